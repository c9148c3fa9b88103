"""Read the folders of runs: whether each run is finished, and its record."""

from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from lstm_sentiment.display import on_one_line, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, is_held
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.runs.folder import CONFIG, FAILED, PROGRESS, RECORD, SWEEP, planned_runs
from lstm_sentiment.runs.record import SCHEMA, defect, read_record


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

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.name


def read_run(folder: Path) -> RunSummary:
    """Return the summary of the run in this folder; it has failed if the folder cannot be read."""
    try:
        return _read_run(folder)
    except OSError as error:
        return RunSummary(folder, State.failed, None, f"cannot be read ({error.strerror})")


def _read_run(folder: Path) -> RunSummary:
    held = is_held(folder / LOCK)  # before the record, since the run may finish in between
    if (record := read_record(folder)) is not None:
        if (problem := defect(record, folder.name)) is not None:
            return RunSummary(folder, State.failed, None, f"{RECORD} {problem}")
        return RunSummary(folder, State.done, record)
    if held:
        progress = _progress(folder)
        return RunSummary(folder, State.running, None, f"running{_in_epoch(progress)}", progress)
    if (folder / RECORD).exists():
        return RunSummary(folder, State.failed, None, _trouble_with_record(folder))
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
        resolved = root.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{root!s:.100} cannot be read ({reason}).") from error
    if not is_folder:
        raise InputError(f"{root} is not a folder: give a folder of runs, such as runs/default.")
    folders = {file.parent for file in resolved.rglob(RECORD)}
    folders |= {file.parent for file in resolved.rglob(CONFIG) if _belongs_to_run(file)}
    for plan in resolved.rglob(SWEEP):
        folders |= {plan.parent / name for name in planned_runs(plan.parent)}
    if not folders:
        raise InputError(f"{root} contains no runs: lstm-sentiment train makes one below runs/.")
    return [read_run(folder) for folder in sorted(folders)]


def _trouble_with_record(folder: Path) -> str:
    record = read_json(folder / RECORD)
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema in (None, SCHEMA):
        return f"{RECORD} is damaged"
    return f"{RECORD} has schema {shortened(schema)}, this version reads {SCHEMA}"


def _progress(folder: Path) -> dict[str, Any] | None:
    """Return the content of `progress.json`, or None if it is missing or damaged."""
    progress = read_json(folder / PROGRESS)
    if not isinstance(progress, dict) or type(progress.get("epoch", "")) not in (int, type(None)):
        return None
    numbers = [progress.get(name) for name in ("max_epochs", "share", "seconds")]
    return progress if all(type(number) in (int, float) for number in numbers) else None


def _in_epoch(content: dict[str, Any] | None) -> str:
    return f" in epoch {content['epoch']}" if content and content.get("epoch") else ""


def _belongs_to_run(file: Path) -> bool:
    # The folders of models and of many other programs also contain a config.json.
    content = read_json(file)
    return isinstance(content, dict) and content.keys() >= {"schema", "choices", "config"}
