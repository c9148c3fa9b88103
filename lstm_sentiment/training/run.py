"""Execute a planned run: lock its folder, start or resume training, record a failure."""

import errno
import signal
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.exceptions import SIGTERMException

from lstm_sentiment.display import Display
from lstm_sentiment.errors import FittingError, InputError, RunError
from lstm_sentiment.files.heartbeats import LostError
from lstm_sentiment.files.locks import LOCK, HeldError, sole_writer
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import remove, remove_drafts, write_json
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    FAILED,
    MODEL,
    PRETRAINING,
    PROGRESS,
    RECORD,
    own_files,
    remove_own_files,
    start_over,
    unwritable,
)
from lstm_sentiment.runs.record import (
    SCHEMA,
    check_attempts,
    refuse_newer_record,
)
from lstm_sentiment.training import checkpoints, runtime
from lstm_sentiment.training.plan import Planned
from lstm_sentiment.training.train import Attempt, train

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


# Trains what is planned, from the start or from a checkpoint, and returns its record.
Train = Callable[[Any, Path | None, list[Attempt], Display], dict[str, Any]]


def execute(
    plan: Planned, display: Display, wait: bool = False, train: Train = train
) -> dict[str, Any]:
    """Train a planned run or language model unless it is finished, and return its record.

    With `wait`, wait for another process that is training the run; without it, raise HeldError.
    Raises InputError if the run cannot be started, in which case no file was written, RunError if
    training fails, LostError if another process takes over, since this one was paused, and
    KeyboardInterrupt if the user interrupts training.
    """

    def show_waiting() -> None:
        display.message("another process is training this run: waiting for it", "warning")

    trainer = plan.config.trainer
    runtime.require_cores(trainer.threads)
    runtime.prepare_process(trainer.threads, trainer.devices)
    with (
        runtime.known_warnings_silenced(),
        subnormals_flushed(openmp=True),
        ExitStack() as lock,
    ):
        plan.prepare()  # before anything is written, since the reviews may be unusable
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
            own_files(plan.folder)  # raises InputError if a link stands there
            lock.enter_context(sole_writer(plan.folder / LOCK, show_waiting if wait else None))
            # Another process may have trained the run before it released the lock.
            if (record := plan.finished_record) is not None:
                return record
            if (reason := plan.failure_reason) is not None:
                raise RunError(reason)
            if not plan.config.rerun:
                refuse_newer_record(plan.folder)
            checkpoint, attempts = _open_folder(plan, display)
        except OSError as error:
            raise unwritable(plan.config.root, error) from error
        record = _train_or_record_failure(plan, checkpoint, attempts, display, train)
        _remove_training_state(plan)
        return record


def _open_folder(plan: Planned, display: Display) -> tuple[Path | None, list[Attempt]]:
    """Write `config.json`; return the checkpoint to resume from, and the attempts with this one.

    If there is no checkpoint, or with rerun=true, training starts from the beginning: return None
    and remove the run's files. Raises InputError, before anything is removed, if a link or a folder
    stands in the place of one of them.
    """
    folder = plan.folder
    own_files(folder)
    _, problem = plan.examine_record()
    if problem and not plan.config.rerun:
        display.message(f"{problem}: the run is trained again", "warning")
    checkpoint, damaged = checkpoints.latest(folder / CHECKPOINTS)
    for path in damaged:
        remedy = f"{checkpoint.name} is used instead" if checkpoint else "training starts over"
        display.message(f"{path.name} is damaged: {remedy}", "warning")
        remove(path)
    # With rerun=true, another process of this command may already have restarted the run.
    if checkpoint is None or (plan.config.rerun and not plan.is_begun):
        checkpoint, attempts = None, []
        start_over(folder, display)
    else:
        attempts = earlier_attempts(folder, checkpoints.epoch_of(checkpoint))
        remove(folder / RECORD)
        remove(folder / PRETRAINING)
    remove(folder / FAILED)
    for subfolder in (folder, folder / MODEL, folder / CHECKPOINTS):
        remove_drafts(subfolder, is_locked=True)
    first = 1 if checkpoint is None else checkpoints.epoch_of(checkpoint) + 1
    environment = runtime.environment(plan.device, plan.config.trainer.processes)
    attempts.append({"epoch": first, "environment": environment})
    write_json(
        folder / CONFIG,
        {
            "schema": SCHEMA,
            "command": plan.command,
            **plan.description,
            "attempts": attempts,
        },
    )
    return checkpoint, attempts


def earlier_attempts(folder: Path, epochs: int) -> list[Attempt]:
    """Return the attempts that trained a run for so many epochs, the first one first.

    They are read from its `config.json`; runs of older versions have none. An attempt of which no
    epoch is used, such as one that was killed in its first, is left out.
    """
    content = read_json(folder / CONFIG)
    attempts: Any = content.get("attempts") if isinstance(content, dict) else None
    try:
        check_attempts(attempts)
    except (KeyError, TypeError, ValueError):
        return []
    return [attempt for attempt in attempts if attempt["epoch"] <= epochs]


def _train_or_record_failure(
    plan: Planned,
    checkpoint: Path | None,
    attempts: list[Attempt],
    display: Display,
    train: Train,
) -> dict[str, Any]:
    try:
        return train(plan, checkpoint, attempts, display)
    except SIGTERMException as stop:  # Lightning's, if the process does not handle the signal
        raise SystemExit(128 + signal.SIGTERM) from stop
    except SystemExit as stop:
        if stop.code == 1:  # Lightning exits with 1 after a KeyboardInterrupt
            raise KeyboardInterrupt from stop
        raise
    except LostError:
        raise
    except FittingError as failure:
        if isinstance(failure.error, LostError):
            raise failure.error from None
        raise _recorded_failure(plan, failure.error, failure.epoch) from failure.error
    except Exception as error:
        raise _recorded_failure(plan, error, None) from error


def _recorded_failure(plan: Planned, error: Exception, epoch: int | None) -> RunError:
    """Write `failed.json` and return the error for the caller."""
    failure = describe_error(error)
    with suppress(OSError):  # the disk may be full; the error gives the reason anyway
        content = {"schema": SCHEMA, "command": plan.command, "epoch": epoch, **failure}
        write_json(plan.folder / FAILED, content)
    return RunError(failure["reason"])


def describe_error(error: Exception) -> dict[str, str]:
    """Return the reason of a failure on one line, and the traceback of an unexpected error."""
    if isinstance(error, FittingError):
        error = error.error
    if isinstance(error, RunError | InputError):
        return {"reason": str(error)}
    first = (str(error).strip().splitlines() or ["no message"])[0]
    if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY):
        return {"reason": f"out of memory ({first}): a smaller data.batch_size may help"}
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return {"reason": f"the disk is full ({error.strerror}): free some space"}
    reason = f"{type(error).__name__}: {first}"
    return {"reason": reason, "traceback": "".join(traceback.format_exception(error))}


def remove_leftovers(plan: Planned) -> None:
    """Remove leftovers of a run that was killed after its record was written."""
    if any((plan.folder / name).exists() for name in (LOCK, PROGRESS)):
        with suppress(OSError, HeldError, InputError), sole_writer(plan.folder / LOCK):
            if plan.finished_record and (plan.folder / PROGRESS).exists():
                _remove_training_state(plan)


def _remove_training_state(plan: Planned) -> None:
    """Remove checkpoints and `progress.json`, which only unfinished runs need.

    `progress.json` is removed last: while it exists, `remove_leftovers` repeats the removal.
    """
    if not plan.config.keep_checkpoints:
        with suppress(OSError, InputError, LostError):
            remove_own_files(plan.folder, [CHECKPOINTS])
    with suppress(OSError):
        remove(plan.folder / PROGRESS)
