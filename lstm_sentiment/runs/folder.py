"""The files in the folder of a run, and those of a sweep, next to the folders of its runs.

| file | content |
| --- | --- |
| `config.json` | the configuration; written first |
| `run.json` | the record; written last, so a run that has one is finished |
| `failed.json` | the reason, if the run failed |
| `progress.json` | the progress of training; removed when the record is written |
| `predictions.parquet` | logits of every review of the validation and the test set |
| `model/` | the trained model |
| `checkpoints/` | the last epochs; removed when the record is written |
| `reviews-<digest>.parquet` | of the sweep: the reviews to which the predictions belong |
| `sweep.json` | of the sweep: the names of all planned runs |
"""

from pathlib import Path

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json

CONFIG, RECORD, FAILED = "config.json", "run.json", "failed.json"
PROGRESS = "progress.json"
PREDICTIONS = "predictions.parquet"
REVIEWS = "reviews-{}.parquet"
MODEL = "model"
CHECKPOINTS = "checkpoints"
SWEEP = "sweep.json"


def planned_runs(sweep: Path) -> set[str]:
    """Return the names of all runs that commands have planned in this sweep's folder."""
    names = read_json(sweep / SWEEP)
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def unwritable(root: str | Path, error: OSError) -> InputError:
    """Return the error for a folder of sweeps that cannot be written."""
    return InputError(f"root={root} cannot be written ({error.strerror}): give a writable folder.")
