"""Read the folders of runs: whether each run is finished, and its record.

The folders of language models can be read, too. They have no record of a run.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from lstm_sentiment.display import on_one_line, printable, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, is_held
from lstm_sentiment.files.reading import read_json, reason_of
from lstm_sentiment.runs.folder import (
    CONFIG,
    FAILED,
    PROGRESS,
    RECORD,
    SWEEP,
    planned_runs,
)
from lstm_sentiment.runs.identity import LANGUAGE_MODEL
from lstm_sentiment.runs.record import examine_language_model, examine_record, is_number


class State(StrEnum):
    """The states of a run."""

    done = auto()
    running = auto()
    failed = auto()
    interrupted = auto()
    missing = auto()


@dataclass(frozen=True)
class RunSummary:
    """A run's folder: its record, or the reason why there is none.

    A language model has no record of a run. Its training is divided into parts in place of epochs.
    """

    folder: Path
    state: State
    record: dict[str, Any] | None = None
    trouble: str = ""  # the reason why there is no record
    progress: dict[str, Any] | None = None  # of an unfinished run; see training.progress
    folds: tuple["RunSummary", ...] = ()  # the runs whose test sets were joined to that of this run
    unit: str = "epoch"  # "part" for a language model
    perplexity: float | None = None  # of a finished language model

    @property
    def name(self) -> str:
        """The name of the run, as printable text."""
        return printable(self.folder.name)


def read_run(folder: Path) -> RunSummary:
    """Return the summary of the run in this folder; it has failed if the folder cannot be read."""
    return _read(folder, _read_run)


def read_language_model_run(folder: Path) -> RunSummary:
    """Return the summary of the language model in this folder, like `read_run`."""
    return _read(folder, _read_language_model)


def _read(folder: Path, summarize: Callable[[Path, bool], RunSummary]) -> RunSummary:
    """Return the summary of a folder, given whether a process holds its lock."""
    try:
        # The lock comes before the record, since the run may finish in between.
        return summarize(folder, is_held(folder / LOCK))
    except (OSError, ValueError) as error:
        return RunSummary(folder, State.failed, None, f"cannot be read ({reason_of(error)})")


def _read_run(folder: Path, held: bool) -> RunSummary:
    record, problem = examine_record(folder)
    if record is not None:
        return RunSummary(folder, State.done, record)
    return _unfinished(folder, held, problem)


def _read_language_model(folder: Path, held: bool) -> RunSummary:
    record, problem = examine_language_model(folder)
    if record is not None:
        return RunSummary(folder, State.done, unit="part", perplexity=record["perplexity"])
    return _unfinished(folder, held, problem, unit="part")


def _unfinished(folder: Path, held: bool, problem: str, unit: str = "epoch") -> RunSummary:
    """Return the summary of a folder without a record, of which `problem` may be the reason."""
    if held:
        progress = _progress(folder)
        trouble = f"running{_at(progress, unit)}"
        return RunSummary(folder, State.running, None, trouble, progress, unit=unit)
    if problem:
        return RunSummary(folder, State.failed, None, problem, unit=unit)
    failure = read_json(folder / FAILED)
    if isinstance(failure, dict):
        trouble = f"failed{_at(failure, unit)}: {on_one_line(failure.get('reason'))}"
        return RunSummary(folder, State.failed, None, trouble, unit=unit)
    if (folder / CONFIG).exists():
        progress = _progress(folder)
        trouble = f"interrupted{_at(progress, unit)}"
        return RunSummary(folder, State.interrupted, None, trouble, progress, unit=unit)
    return RunSummary(folder, State.missing, None, "missing: not begun", unit=unit)


def read_runs(root: Path, language_models: bool = False) -> list[RunSummary]:
    """Return every run at or below `root`, including planned ones that have not begun.

    With `language_models`, the language models at or below `root` are among them. Raises InputError
    if there are none.
    """
    try:
        is_folder = root.is_dir()
        # A run must have the name of its folder, and not that of a link to it.
        resolved = Path(os.path.realpath(root))
    except (OSError, ValueError) as error:
        raise InputError(f"{root!s:.100} cannot be read ({reason_of(error)}).") from error
    if not is_folder:
        raise InputError(f"{root} is not a folder: give a folder of runs, such as runs/default.")
    readers = dict.fromkeys(_folders_of_runs(resolved), read_run)
    if language_models:
        readers |= dict.fromkeys(_folders_of_language_models(resolved), read_language_model_run)
    if not readers:
        raise InputError(f"{root} contains no runs: lstm-sentiment train makes one below runs/.")
    return [readers[folder](folder) for folder in sorted(readers)]


def _folders_of_runs(root: Path) -> Iterator[Path]:
    """Yield the folders of runs at or below a folder; links are not followed."""
    for path, folders, files in os.walk(root):
        folder, names = Path(path), {*folders, *files}
        if RECORD in names or (CONFIG in names and _belongs_to_run(folder / CONFIG)):
            yield folder
        if SWEEP in names:
            planned = (folder / name for name in planned_runs(folder))
            yield from (run for run in planned if not os.path.islink(run))  # noqa: PTH114 - never raises


def _folders_of_language_models(root: Path) -> Iterator[Path]:
    """Yield the folders in which language models are, or were, trained; links are not followed."""
    for path, _, files in os.walk(root):
        if CONFIG in files:
            content = read_json(Path(path, CONFIG))
            # The `model/` folder of a language model has no attempts.
            if isinstance(content, dict) and content.keys() >= {LANGUAGE_MODEL, "attempts"}:
                yield Path(path)


def _progress(folder: Path) -> dict[str, Any] | None:
    """Return the content of `progress.json`, or None if it is missing or damaged."""
    progress = read_json(folder / PROGRESS)
    if not isinstance(progress, dict) or type(progress.get("epoch", "")) not in (int, type(None)):
        return None
    numbers = [progress.get(name) for name in ("max_epochs", "share", "seconds")]
    return progress if all(map(is_number, numbers)) else None


def _at(content: dict[str, Any] | None, unit: str) -> str:
    return f" in {unit} {shortened(content['epoch'])}" if content and content.get("epoch") else ""


def _belongs_to_run(file: Path) -> bool:
    # The folders of models and of many other programs also contain a config.json.
    content = read_json(file)
    return isinstance(content, dict) and content.keys() >= {"schema", "choices", "config"}
