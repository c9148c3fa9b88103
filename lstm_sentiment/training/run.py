"""Execute a planned run: lock its folder, start or resume training, record a failure."""

import errno
import shutil
import signal
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.exceptions import SIGTERMException

from lstm_sentiment.display import Display
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files.locks import LOCK, HeldError, sole_writer
from lstm_sentiment.files.writing import remove_drafts, write_json
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    FAILED,
    MODEL,
    PROGRESS,
    RECORD,
    unwritable,
)
from lstm_sentiment.runs.record import SCHEMA, recorded, refuse_newer_record
from lstm_sentiment.training import checkpoints, runtime
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.train import FittingError, train

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def execute(plan: Plan, display: Display, wait: bool = False) -> dict[str, Any]:
    """Train a planned run unless it is finished, and return its record.

    With `wait`, wait for another process that is training the run; without it, raise HeldError.
    Raises InputError if the run cannot be started, in which case no file was written, RunError if
    training fails, and KeyboardInterrupt if the user interrupts training.
    """

    def show_waiting() -> None:
        display.message("another process is training this run: waiting for it", "warning")

    runtime.prepare_process(plan.config.trainer.threads)
    with (
        runtime.known_warnings_silenced(),
        subnormals_flushed(openmp=True),
        ExitStack() as lock,
    ):
        plan.prepare()  # before anything is written, since the reviews may be unusable
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(sole_writer(plan.folder / LOCK, show_waiting if wait else None))
            # Another process may have trained the run before it released the lock.
            if (record := plan.finished_record) is not None:
                return record
            if (reason := plan.failure_reason) is not None:
                raise RunError(reason)
            if not plan.config.rerun:
                refuse_newer_record(plan.folder)
            checkpoint = _open_folder(plan, display)
        except OSError as error:
            raise unwritable(plan.config.root, error) from error
        record = _train_or_record_failure(plan, checkpoint, display)
        _remove_training_state(plan)
        return record


def _open_folder(plan: Plan, display: Display) -> Path | None:
    """Write `config.json` and return the checkpoint to resume from.

    If there is no checkpoint, or with rerun=true, training starts from the beginning: return None
    and remove all other files.
    """
    folder = plan.folder
    checkpoint, damaged = checkpoints.latest(folder / CHECKPOINTS)
    for path in damaged:
        remedy = f"{checkpoint.name} is used instead" if checkpoint else "training starts over"
        display.message(f"{path.name} is damaged: {remedy}", "warning")
        _remove(path)
    # With rerun=true, another process of this command may already have restarted the run.
    if checkpoint is None or (plan.config.rerun and not plan.is_new(CONFIG)):
        checkpoint = None
        # The record is removed first, since a run with a record must be complete.
        (folder / RECORD).unlink(missing_ok=True)
        for item in folder.iterdir():
            if item.name != LOCK:
                _remove(item)
    (folder / FAILED).unlink(missing_ok=True)
    for subfolder in (folder, folder / MODEL, folder / CHECKPOINTS):
        remove_drafts(subfolder)
    content = {"schema": SCHEMA, "choices": plan.choices, "config": recorded(plan.config)}
    write_json(folder / CONFIG, content)
    return checkpoint


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _train_or_record_failure(
    plan: Plan, checkpoint: Path | None, display: Display
) -> dict[str, Any]:
    try:
        return train(plan, checkpoint, display)
    except SIGTERMException as stop:  # Lightning's, if the process does not handle the signal
        raise SystemExit(128 + signal.SIGTERM) from stop
    except SystemExit as stop:
        if stop.code == 1:  # Lightning exits with 1 after a KeyboardInterrupt
            raise KeyboardInterrupt from stop
        raise
    except FittingError as failure:
        raise _recorded_failure(plan, failure.error, failure.epoch) from failure.error
    except Exception as error:
        raise _recorded_failure(plan, error, None) from error


def _recorded_failure(plan: Plan, error: Exception, epoch: int | None) -> RunError:
    """Write `failed.json` and return the error for the caller."""
    failure = describe_error(error)
    with suppress(OSError):  # the disk may be full; the error gives the reason anyway
        write_json(plan.folder / FAILED, {"schema": SCHEMA, "epoch": epoch, **failure})
    return RunError(failure["reason"])


def describe_error(error: Exception) -> dict[str, str]:
    """Return the reason of a failure on one line, and the traceback of an unexpected error."""
    if isinstance(error, RunError | InputError):
        return {"reason": str(error)}
    first = (str(error).strip().splitlines() or ["no message"])[0]
    if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY):
        return {"reason": f"out of memory ({first}): a smaller data.batch_size may help"}
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return {"reason": f"the disk is full ({error.strerror}): free some space"}
    reason = f"{type(error).__name__}: {first}"
    return {"reason": reason, "traceback": "".join(traceback.format_exception(error))}


def remove_leftovers(plan: Plan) -> None:
    """Remove leftovers of a run that was killed after its record was written."""
    if any((plan.folder / name).exists() for name in (LOCK, PROGRESS)):
        with suppress(OSError, HeldError), sole_writer(plan.folder / LOCK):
            if plan.finished_record and (plan.folder / PROGRESS).exists():
                _remove_training_state(plan)


def _remove_training_state(plan: Plan) -> None:
    """Remove checkpoints and `progress.json`, which only unfinished runs need.

    `progress.json` is removed last: while it exists, `remove_leftovers` repeats the removal.
    """
    if not plan.config.keep_checkpoints:
        shutil.rmtree(plan.folder / CHECKPOINTS, ignore_errors=True)
    with suppress(OSError):
        (plan.folder / PROGRESS).unlink(missing_ok=True)
