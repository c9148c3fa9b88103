"""folders -> what became of each run: the one reader of what training leaves."""

from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import LOCK, is_held
from lstm_sentiment.training.record import (
    CONFIG,
    FAILED,
    PROGRESS,
    RECORD,
    SCHEMA,
    SWEEP,
    planned_runs,
    read_json,
    read_record,
)


class State(StrEnum):
    done = auto()
    running = auto()
    failed = auto()
    interrupted = auto()
    missing = auto()


@dataclass(frozen=True)
class RunSummary:
    """A run's folder: its record, or what became of it instead."""

    folder: Path
    state: State
    record: dict[str, Any] | None = None
    trouble: str = ""  # what there is to say where there is no record
    progress: dict[str, Any] | None = None  # of a run under way: see training.progress.Heartbeat

    @property
    def name(self) -> str:
        return self.folder.name


def read_run(folder: Path) -> RunSummary:
    try:
        return _read_run(folder)
    except OSError as error:
        return RunSummary(folder, State.failed, None, f"cannot be read ({error.strerror})")


def _read_run(folder: Path) -> RunSummary:
    held = is_held(folder / LOCK)  # asked first: a run may finish at any moment
    if (record := read_record(folder)) is not None:
        return RunSummary(folder, State.done, record)
    if held:
        progress = _progress(folder)
        return RunSummary(folder, State.running, None, f"running{_in_epoch(progress)}", progress)
    if (folder / RECORD).exists():
        return RunSummary(folder, State.failed, None, _trouble_with_record(folder))
    failed = read_json(folder / FAILED)
    if isinstance(failed, dict):
        trouble = f"failed{_in_epoch(failed)}: {failed.get('reason')}"
        return RunSummary(folder, State.failed, None, trouble)
    if (folder / CONFIG).exists():
        progress = _progress(folder)
        trouble = f"interrupted{_in_epoch(progress)}"
        return RunSummary(folder, State.interrupted, None, trouble, progress)
    return RunSummary(folder, State.missing, None, "missing: not begun")


def read_runs(root: Path) -> list[RunSummary]:
    """Every run at or below `root`, also those asked for and not begun. InputError without any."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give one that holds runs, such as runs/default.")
    folders = {file.parent for file in root.rglob(RECORD)}
    folders |= {file.parent for file in root.rglob(CONFIG) if _begins_a_run(file)}
    for plan in root.rglob(SWEEP):
        folders |= {plan.parent / name for name in planned_runs(plan.parent)}
    if not folders:
        raise InputError(f"{root} holds no run: python train.py makes one below runs/.")
    return [read_run(folder) for folder in sorted(folders)]


def _trouble_with_record(folder: Path) -> str:
    found = read_json(folder / RECORD)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema in (None, SCHEMA):
        return f"{RECORD} is damaged"
    return f"{RECORD} has schema {schema}, this reads {SCHEMA}"


def _progress(folder: Path) -> dict[str, Any] | None:
    note = read_json(folder / PROGRESS)
    known = {"epoch", "max_epochs", "share", "seconds"}
    return note if isinstance(note, dict) and note.keys() >= known else None


def _in_epoch(note: dict[str, Any] | None) -> str:
    return f" in epoch {note['epoch']}" if note and note.get("epoch") else ""


def _begins_a_run(file: Path) -> bool:
    # A model's folder has a config.json as well, and so have the folders of many other programs.
    content = read_json(file)
    return isinstance(content, dict) and content.keys() >= {"schema", "choices", "config"}
