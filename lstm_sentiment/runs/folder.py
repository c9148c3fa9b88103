"""The files in the folder of a run, and those of a sweep, next to the folders of its runs.

| file | content |
| --- | --- |
| `config.json` | the configuration, and the attempts to train it; written first |
| `run.json` | the record; written last, so a run that has one is finished |
| `failed.json` | the reason, if the run failed |
| `progress.json` | the progress of training; removed when the record is written |
| `predictions.parquet` | logits of every review of the validation and the test set |
| `model/` | the trained model |
| `checkpoints/` | the last epochs; removed when the record is written |
| `reviews-<digest>.parquet` | of the sweep: the reviews to which the predictions belong |
| `sweep.json` | of the sweep: the names of all planned runs |
"""

import errno
import stat
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from lstm_sentiment.display import Display, printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.heartbeats import require_held
from lstm_sentiment.files.limits import PLANNED_RUNS
from lstm_sentiment.files.locks import LOCK
from lstm_sentiment.files.names import is_plain_name
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import DRAFT, remove, remove_drafts

CONFIG, RECORD, FAILED = "config.json", "run.json", "failed.json"
PROGRESS = "progress.json"
PREDICTIONS = "predictions.parquet"
REVIEWS = "reviews-{}.parquet"
MODEL = "model"
CHECKPOINTS = "checkpoints"
PRETRAINING = "pretraining.json"  # the record of a language model, in the place of `run.json`
COPIES = "copies.bin"  # in the model folder of a language model, see `language_model_folder`
SWEEP = "sweep.json"

# The files of a run by their folder in the run's folder, as patterns of names. Only these files are
# ever removed. Older versions also wrote hparams.yaml.
OWN_FILES = {
    "": (
        *(CONFIG, RECORD, PRETRAINING, FAILED, PROGRESS, PREDICTIONS),
        *("learning_curves.png", "confusion_matrix.png", "events.out.tfevents.*", "hparams.yaml"),
    ),
    MODEL: (
        *("model.safetensors", "config.json", "vocab.json", "merges.json"),
        *("ngrams.json", "ngrams.safetensors", COPIES),
    ),
    CHECKPOINTS: ("epoch-[0-9]*.*.ckpt",),
}
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def own_files(run: Path, folders: Iterable[str] = tuple(OWN_FILES)) -> list[Path]:
    """Return the files in these folders of a run that this program wrote, by their names.

    Raises InputError if a link or anything else that runs do not contain has one of the names.
    """
    files = []
    for name in folders:
        folder = run / name
        if _is_there(folder, stat.S_IFDIR):
            files += [folder / file for file in _names(folder) if _is_own(name, file)]
    return [file for file in files if _is_there(file, stat.S_IFREG)]


def remove_own_files(run: Path, folders: Iterable[str] = tuple(OWN_FILES)) -> None:
    """Remove the files of a run that this program wrote; files of others are kept.

    The record is removed first, since a run with a record must be complete. Raises InputError like
    `own_files`, and LostError if this process has lost the lock of the run, before anything is
    removed.
    """
    require_held(run / RECORD)
    records = (RECORD, PRETRAINING)
    for file in sorted(own_files(run, folders), key=lambda file: file.name not in records):
        remove(file)
    for name in filter(None, folders):
        remove_drafts(run / name, is_locked=True)
        with suppress(OSError):  # it contains files of others, or there is none
            (run / name).rmdir()


def start_over(run: Path, display: Display) -> None:
    """Remove the own files of a run that is trained from the beginning; name all that is kept.

    Raises InputError like `own_files` before anything is removed.
    """
    remove_own_files(run)
    remove_drafts(run, is_locked=True)
    kept = sorted(name for name in _names(run) if not name.startswith((LOCK, DRAFT)))
    if kept:
        names = printable(", ".join(kept[:3])) + (" …" if len(kept) > 3 else "")
        display.message(
            f"files of others stay in the run's folder ({names}): an exported model among them is "
            "that of the earlier network",
            "warning",
        )


def _names(folder: Path) -> list[str]:
    """Return the names in a folder; none if another process has just removed it."""
    with suppress(FileNotFoundError):
        return [item.name for item in folder.iterdir()]
    return []


def _is_own(folder: str, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in OWN_FILES[folder])


def _is_there(path: Path, kind: int) -> bool:
    """Return whether a path exists. Raises InputError if it is not of this kind, as in `stat`."""
    try:
        found = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return False
    if found != kind:
        expected = "a folder" if kind == stat.S_IFDIR else "a file"
        problem = "is a link" if found == stat.S_IFLNK else f"is not {expected}"
        raise InputError(
            f"{printable(str(path))} {problem}, but a run needs {expected} there: remove it."
        )
    return True


def planned_runs(sweep: Path) -> set[str]:
    """Return the names of all runs that commands have planned in this sweep's folder.

    Anything that is not the name of a folder in the sweep is left out, as is a plan of more runs
    than `PLANNED_RUNS`.
    """
    names = read_json(sweep / SWEEP)
    if not isinstance(names, list) or len(names) > PLANNED_RUNS.value:
        return set()
    return {name for name in names if is_plain_name(name)}


def unwritable(root: str | Path, error: OSError) -> InputError:
    """Return the error for a folder of sweeps that cannot be written."""
    if error.errno in NO_LOCKS:
        return InputError(
            f"root={root} is on a file system whose locks have no effect ({error.strerror}), so "
            "that two commands could write one run: set LSTM_SENTIMENT_LOCKS=heartbeat for all of "
            "them, or give a folder on another file system, such as a local disk."
        )
    return InputError(f"root={root} cannot be written ({error.strerror}): give a writable folder.")
