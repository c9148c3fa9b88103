"""config -> run: the one place that knows every part of a review's path."""

import errno
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from lstm_sentiment.config import Config
from lstm_sentiment.data import embeddings
from lstm_sentiment.data.cache import begin_command, leave_nothing
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.embeddings import WordVectors
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files import LOCK, HeldError, remove_drafts, sole_writer
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import checkpoints, runtime
from lstm_sentiment.training.artifacts import save_figures, save_predictions
from lstm_sentiment.training.board import Board
from lstm_sentiment.training.model_folder import MODEL, save_model
from lstm_sentiment.training.progress import Costs, EpochLines, Heartbeat, console, say
from lstm_sentiment.training.record import (
    CONFIG,
    FAILED,
    PREDICTIONS,
    PROGRESS,
    RECORD,
    SCHEMA,
    read_json,
    read_record,
    recorded,
    refuse_newer_record,
    run_folder,
    write_json,
)

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def run(config: Config) -> dict[str, Any]:
    """Trains, evaluates and records one configuration; returns its record, as in `run.json`.

    A run that is finished is not trained again, unless `config.rerun` asks for it; one that was
    interrupted goes on after its last whole epoch; one that another process trains is waited for.
    Raises InputError where nothing could be begun (and nothing was written), RunError where the
    run came to grief (and its folder says why), KeyboardInterrupt where a person interrupts it.
    """
    begin_command()
    try:
        plan = Plan.of(config)
        if (record := plan.finished) is not None:
            tidy(plan)
            return record
        return carry_out(plan, _say_that_it_waits)
    except InputError:
        leave_nothing()
        raise


@dataclass(frozen=True)
class Plan:
    """A run that can be carried out: its device is there, and so are its reviews."""

    config: Config
    choices: Mapping[str, str]
    data: ReviewDataModule
    device: str
    folder: Path
    since: float  # seconds since 1970: what others finish or fail from then on is not repeated

    @classmethod
    def of(
        cls,
        config: Config,
        choices: Mapping[str, str] | None = None,
        since: float | None = None,
    ) -> "Plan":
        """`choices` are the names typed for encoder, head, embedding and data, where any were."""
        device = runtime.choose_device(config.trainer.accelerator)
        progress = config.trainer.enable_progress_bar
        data = ReviewDataModule(config.data, config.seed, config.test, progress)
        names = {
            "encoder": config.encoder.network,
            "head": str(config.head.kind),
            "embedding": str(config.embedding.kind),
            "data": str(config.data.source),
        }
        vectors = embeddings.identify(config.embedding, data)  # first: it reads the least
        identity = " ".join(filter(None, [data.identity, vectors]))
        folder = run_folder(config, identity)
        since = time.time() if since is None else since
        return cls(config, names | dict(choices or {}), data, device, folder, since)

    def prepare(self) -> WordVectors | None:
        """Reads the reviews and the vectors of their words; what is kept of them is there then.

        Raises InputError where they cannot be used.
        """
        self.data.prepare_data()
        self.data.setup()
        return embeddings.load(self.config.embedding, self.data)

    @property
    def finished(self) -> dict[str, Any] | None:
        """The record of this very run, if it stands and is to be kept."""
        record = read_record(self.folder)
        return None if self.config.rerun and not self.is_new(RECORD) else record

    @property
    def failed(self) -> str | None:
        """Why the run failed in another process just now, if it did."""
        failure = read_json(self.folder / FAILED) if self.is_new(FAILED) else None
        return None if failure is None else str(failure["reason"])

    def is_new(self, name: str) -> bool:
        """Whether a file of the run was written since this command began."""
        try:
            return (self.folder / name).stat().st_mtime >= self.since
        except OSError:
            return False


def carry_out(plan: Plan, waiting: Callable[[], object] | None = None) -> dict[str, Any]:
    """Trains what there is no record of. Raises as `run` does.

    Where another process trains it, calls `waiting` and waits, or without it raises HeldError.
    """
    runtime.prepare_process(plan.config.trainer.threads)
    with runtime.known_warnings_silenced(), ExitStack() as held:
        vectors = plan.prepare()
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(sole_writer(plan.folder / LOCK, waiting))
            # Another process may have had the lock until now.
            if (record := plan.finished) is not None:
                return record
            if (reason := plan.failed) is not None:
                raise RunError(reason)
            if not plan.config.rerun:
                refuse_newer_record(plan.folder)
            checkpoint = _open(plan)
        except OSError as error:
            raise unwritable(plan.config.root, error) from error
        return _attempt(plan, vectors, checkpoint)


def unwritable(root: str | Path, error: OSError) -> InputError:
    return InputError(f"root={root} cannot be written ({error.strerror}): give a folder that can.")


def _say_that_it_waits() -> None:
    console.print("Another process trains this run: waiting for it.")


def _open(plan: Plan) -> Path | None:
    """A folder that says what is about to be computed; the checkpoint to go on from, if any."""
    folder = plan.folder
    checkpoint, damaged = checkpoints.latest(folder / checkpoints.FOLDER)
    for path in damaged:
        before = "the one before it is used" if checkpoint else "the run starts afresh"
        say(folder.name, f"[yellow]warning[/] {path.name} is damaged: {before}")
        _remove(path)
    # With rerun=true, another process of the same command may have begun it anew already.
    if checkpoint is None or (plan.config.rerun and not plan.is_new(CONFIG)):
        checkpoint = None
        (folder / RECORD).unlink(missing_ok=True)  # first: no record may outlive what it is of
        for item in folder.iterdir():
            if item.name != LOCK:
                _remove(item)
    (folder / FAILED).unlink(missing_ok=True)
    for place in (folder, folder / MODEL, folder / checkpoints.FOLDER):
        remove_drafts(place)
    content = {"schema": SCHEMA, "choices": plan.choices, "config": recorded(plan.config)}
    write_json(folder / CONFIG, content)
    return checkpoint


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _attempt(plan: Plan, vectors: WordVectors | None, checkpoint: Path | None) -> dict[str, Any]:
    attempt = None
    try:
        attempt = _Attempt(plan, vectors)
        return attempt.complete(checkpoint)
    except SIGTERMException as stop:  # which Lightning raises where nobody else handles the signal
        raise SystemExit(128 + signal.SIGTERM) from stop
    except SystemExit as stop:
        if stop.code == 1:  # Lightning's answer to an interrupt, which others must see
            raise KeyboardInterrupt from stop
        raise
    except Exception as error:
        reason, epoch = explain(error), attempt.epoch if attempt else None
        with suppress(OSError):  # where the disk is full, the sentence below must do
            write_json(plan.folder / FAILED, {"schema": SCHEMA, "epoch": epoch, **reason})
        raise RunError(reason["reason"]) from error
    finally:
        if attempt is not None:
            with suppress(OSError):
                attempt.board.close()


def explain(error: Exception) -> dict[str, str]:
    """The reason in one sentence; for what nobody foresaw, the traceback as well."""
    if isinstance(error, RunError | InputError):
        return {"reason": str(error)}
    first = (str(error).strip().splitlines() or ["no message"])[0]
    if isinstance(error, MemoryError) or any(said in str(error) for said in OUT_OF_MEMORY):
        return {"reason": f"out of memory ({first}): a smaller data.batch_size may help"}
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return {"reason": f"nothing more can be written ({error.strerror}): free some space"}
    reason = f"{type(error).__name__}: {first}"
    return {"reason": reason, "traceback": "".join(traceback.format_exception(error))}


def tidy(plan: Plan) -> None:
    """What a kill between the record and its clearing up has left of a finished run."""
    if any((plan.folder / name).exists() for name in (LOCK, PROGRESS)):
        with suppress(OSError, HeldError), sole_writer(plan.folder / LOCK):
            if plan.finished and (plan.folder / PROGRESS).exists():
                _clear(plan)


def _clear(plan: Plan) -> None:
    """Removes what only an unfinished run needs; the sign that it was one goes last."""
    if not plan.config.keep_checkpoints:
        shutil.rmtree(plan.folder / checkpoints.FOLDER, ignore_errors=True)
    with suppress(OSError):
        (plan.folder / PROGRESS).unlink(missing_ok=True)


class _Attempt:
    """One training of a plan, from drawing the weights or a checkpoint to writing the record."""

    def __init__(self, plan: Plan, vectors: WordVectors | None) -> None:
        config = plan.config
        self.vectors = vectors.summary(plan.data) if vectors else None
        self.plan, self.config, self.folder, self.data = plan, config, plan.folder, plan.data
        L.seed_everything(config.seed, workers=True, verbose=False)
        runtime.reset_peak_memory(plan.device)
        classifier = Classifier(config, len(plan.data.vocabulary))
        if vectors is not None:
            classifier.start_from(vectors.matrix, vectors.found)
        self.module = SentimentModule(
            classifier, config.optimizer, config.seed, config.embedding.freeze_epochs
        )
        self.costs = Costs(plan.device)
        self.best = checkpoints.BestEpoch(config.early_stopping)
        self.board = Board(plan.folder, config, self.costs)
        self.trainer = self._trainer()

    @property
    def epoch(self) -> int | None:
        """The epoch under way, counted from 1; None before and after the training."""
        fitting = self.trainer.state.fn is TrainerFn.FITTING
        finished = self.trainer.state.status is TrainerStatus.FINISHED
        return len(self.module.history) + 1 if fitting and not finished else None

    def complete(self, checkpoint: Path | None) -> dict[str, Any]:
        if self.config.trainer.enable_progress_bar:
            say(self.folder.name, describe(self.module.classifier))
            if self.vectors is not None:
                say(self.folder.name, describe_vectors(self.vectors))
            if checkpoint is not None:
                epoch = checkpoints.epoch_of(checkpoint)
                say(self.folder.name, f"goes on after epoch {epoch}")
        self.trainer.fit(self.module, self.data, ckpt_path=checkpoint)
        self.module.load_state_dict(self.best.weights)
        predictions = {stage: self._predictions(stage) for stage in self._evaluate()}
        record = self._record()
        save_model(self.folder / MODEL, self.module.classifier, self.data.vocabulary, self.config)
        save_predictions(self.folder / PREDICTIONS, predictions)
        save_figures(self.folder, record)
        self.board.finish(record, self.trainer.global_step, predictions, self.data.text)
        write_json(self.folder / RECORD, record)
        _clear(self.plan)
        return record

    def _trainer(self) -> L.Trainer:
        config = self.config.trainer
        # In this order: a checkpoint finds on disk what led to it, and a line tells what is safe.
        callbacks = [
            self.costs,
            Heartbeat(self.folder, self.costs),
            self.best,
            self.board,
            checkpoints.EpochCheckpoints(self.folder / checkpoints.FOLDER),
        ]
        if config.enable_progress_bar:
            callbacks.append(EpochLines(self.folder.name, self.costs))
        return L.Trainer(
            accelerator=self.plan.device,
            devices=1,
            precision=config.precision,  # type: ignore[arg-type]
            max_epochs=config.max_epochs,
            limit_train_batches=config.limit_train_batches,
            limit_val_batches=None if self.config.data.val_fraction > 0 else 0,
            deterministic=config.deterministic,
            logger=False,  # Board is
            callbacks=callbacks,
            plugins=[checkpoints.VerifiedCheckpointIO()],
            default_root_dir=self.folder,
            num_sanity_val_steps=0,
            enable_progress_bar=False,  # EpochLines shows it
            enable_model_summary=False,
        )

    def _evaluate(self) -> list[str]:
        """Scores the kept weights on the splits there are; names of these splits."""
        stages = []
        if len(self.data.val):
            self.trainer.validate(self.module, self.data, verbose=False)
            stages.append("val")
        if self.config.test:
            self.trainer.test(self.module, self.data, verbose=False)
            stages.append("test")
        return stages

    def _predictions(self, stage: str) -> dict[str, Tensor]:
        columns = self.module.scores[stage].predictions()
        return {**columns, "tokens": self.data.token_counts(stage, columns["index"])}

    def _record(self) -> dict[str, Any]:
        latest, seconds = self.module.latest, self.costs.seconds
        return {
            "schema": SCHEMA,
            "name": self.folder.name,
            "sweep": self.folder.parent.name,
            "choices": self.plan.choices,
            "config": recorded(self.config),
            "epochs": [
                {"epoch": number, "seconds": spent, **scores}
                for number, (spent, scores) in enumerate(
                    zip(seconds, self.module.history, strict=True), 1
                )
            ],
            "best_epoch": self.best.epoch,
            "val": latest.get("val"),
            "test": latest.get("test"),
            "cost": self._cost(),
            "data": self.data.summary(),
            "vectors": self.vectors,
            "environment": runtime.environment(self.plan.device),
        }

    def _cost(self) -> dict[str, Any]:
        costs, tested = self.costs, self.data.test
        return {
            "parameters": sum(self.module.classifier.parameter_counts().values()),
            "fit_seconds": costs.fit_seconds,
            "seconds_per_epoch": sum(costs.seconds) / len(costs.seconds),
            "tokens_per_second": sum(costs.tokens) / sum(costs.seconds),
            "peak_memory_mib": costs.peak_memory_mib,
            "test_reviews_per_second": (
                len(tested) / costs.test_seconds if tested is not None else None
            ),
        }


def describe(classifier: Classifier) -> str:
    """The parts in the order of the path, with how many numbers each learns."""
    counts = classifier.parameter_counts()
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return f"{sum(counts.values()):,} parameters: {parts}"


def describe_vectors(summary: dict[str, Any]) -> str:
    """Where the words' vectors come from, and how much of the training text they cover."""
    words, tokens = summary["words"], summary["tokens"]
    return f"{summary['source']}: vectors for {words:.1%} of the words, {tokens:.1%} of the tokens"
