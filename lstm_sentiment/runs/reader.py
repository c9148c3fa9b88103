"""Read the folders of runs: whether each run is finished, and its record."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from lstm_sentiment.display import on_one_line, printable, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, is_held
from lstm_sentiment.files.reading import read_json, reason_of
from lstm_sentiment.runs.folder import CONFIG, FAILED, PROGRESS, RECORD, SWEEP, planned_runs
from lstm_sentiment.runs.record import examine_record, is_number


class State(StrEnum):
    """The states of a run."""

    done = auto()
    running = auto()
    failed = auto()
    interrupted = auto()
    missing = auto()


@dataclass(frozen=True)
class RunSummary:
    """A run's folder: its record, or the reason why there is none."""

    folder: Path
    state: State
    record: dict[str, Any] | None = None
    trouble: str = ""  # the reason why there is no record
    progress: dict[str, Any] | None = None  # of an unfinished run; see training.progress
    folds: tuple["RunSummary", ...] = ()  # the runs whose test sets were joined to that of this run

    @property
    def name(self) -> str:
        """The name of the run, as printable text."""
        return printable(self.folder.name)


def read_run(folder: Path) -> RunSummary:
    """Return the summary of the run in this folder; it has failed if the folder cannot be read."""
    try:
        return _read_run(folder)
    except (OSError, ValueError) as error:
        return RunSummary(folder, State.failed, None, f"cannot be read ({reason_of(error)})")


def _read_run(folder: Path) -> RunSummary:
    held = is_held(folder / LOCK)  # before the record, since the run may finish in between
    record, problem = examine_record(folder)
    if record is not None:
        return RunSummary(folder, State.done, record)
    if held:
        progress = _progress(folder)
        return RunSummary(folder, State.running, None, f"running{_in_epoch(progress)}", progress)
    if problem:
        return RunSummary(folder, State.failed, None, problem)
    failure = read_json(folder / FAILED)
    if isinstance(failure, dict):
        trouble = f"failed{_in_epoch(failure)}: {on_one_line(failure.get('reason'))}"
        return RunSummary(folder, State.failed, None, trouble)
    if (folder / CONFIG).exists():
        progress = _progress(folder)
        trouble = f"interrupted{_in_epoch(progress)}"
        return RunSummary(folder, State.interrupted, None, trouble, progress)
    return RunSummary(folder, State.missing, None, "missing: not begun")


def read_runs(root: Path) -> list[RunSummary]:
    """Return every run at or below `root`, including planned ones that have not begun.

    Raises InputError if there are none.
    """
    try:
        is_folder = root.is_dir()
        # A run must have the name of its folder, and not that of a link to it.
        resolved = Path(os.path.realpath(root))
    except (OSError, ValueError) as error:
        raise InputError(f"{root!s:.100} cannot be read ({reason_of(error)}).") from error
    if not is_folder:
        raise InputError(f"{root} is not a folder: give a folder of runs, such as runs/default.")
    folders = set(_folders_of_runs(resolved))
    if not folders:
        raise InputError(f"{root} contains no runs: lstm-sentiment train makes one below runs/.")
    return [read_run(folder) for folder in sorted(folders)]


def _folders_of_runs(root: Path) -> Iterator[Path]:
    """Yield the folders of runs at or below a folder; links are not followed."""
    for path, folders, files in os.walk(root):
        folder, names = Path(path), {*folders, *files}
        if RECORD in names or (CONFIG in names and _belongs_to_run(folder / CONFIG)):
            yield folder
        if SWEEP in names:
            planned = (folder / name for name in planned_runs(folder))
            yield from (run for run in planned if not os.path.islink(run))  # noqa: PTH114 - never raises


def _progress(folder: Path) -> dict[str, Any] | None:
    """Return the content of `progress.json`, or None if it is missing or damaged."""
    progress = read_json(folder / PROGRESS)
    if not isinstance(progress, dict) or type(progress.get("epoch", "")) not in (int, type(None)):
        return None
    numbers = [progress.get(name) for name in ("max_epochs", "share", "seconds")]
    return progress if all(map(is_number, numbers)) else None


def _in_epoch(content: dict[str, Any] | None) -> str:
    return f" in epoch {shortened(content['epoch'])}" if content and content.get("epoch") else ""


def _belongs_to_run(file: Path) -> bool:
    # The folders of models and of many other programs also contain a config.json.
    content = read_json(file)
    return isinstance(content, dict) and content.keys() >= {"schema", "choices", "config"}
