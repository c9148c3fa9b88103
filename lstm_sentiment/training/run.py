"""config -> run: the one place that knows every part of a review's path."""

import io
import shutil
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn, TrainerStatus

from lstm_sentiment.config import Config
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokens import Vocabulary
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import figures, runtime
from lstm_sentiment.training.progress import EpochLines, Stopwatch, console
from lstm_sentiment.training.record import (
    CONFIG,
    FAILED,
    RECORD,
    SCHEMA,
    read_record,
    recorded,
    run_folder,
    write_atomically,
    write_json,
)


def run(config: Config) -> dict[str, Any]:
    """Trains, evaluates and records one configuration; returns its record, as in `run.json`.

    A run that is finished is not trained again, unless `config.rerun` asks for it. Raises
    InputError where nothing could be begun (and nothing was written), RunError where the run
    came to grief (and its folder says why), KeyboardInterrupt where a person interrupts it.
    """
    plan = Plan.of(config)
    return plan.finished or carry_out(plan)


@dataclass(frozen=True)
class Plan:
    """A run that can be carried out: its device is there, and so are its reviews."""

    config: Config
    choices: Mapping[str, str]
    data: ReviewDataModule
    device: str
    folder: Path

    @classmethod
    def of(cls, config: Config, choices: Mapping[str, str] | None = None) -> "Plan":
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
        folder = run_folder(config, data.identity)
        return cls(config, names | dict(choices or {}), data, device, folder)

    @property
    def finished(self) -> dict[str, Any] | None:
        """The record of this very run, if it stands and is to be kept."""
        return None if self.config.rerun else read_record(self.folder)


def carry_out(plan: Plan) -> dict[str, Any]:
    """Trains whether or not there is a record. Raises as `run` does."""
    runtime.prepare_process(plan.config.trainer.threads)
    with runtime.known_warnings_silenced():
        plan.data.prepare_data()
        plan.data.setup()
        _open(plan)
        attempt = None
        try:
            attempt = _Attempt(plan)
            return attempt.complete()
        except SystemExit as stop:  # Lightning's answer to an interrupt, which others must see
            raise KeyboardInterrupt from stop
        except Exception as error:
            reason, epoch = explain(error), attempt.epoch if attempt else None
            write_json(plan.folder / FAILED, {"schema": SCHEMA, "epoch": epoch, **reason})
            raise RunError(reason["reason"]) from error


def _open(plan: Plan) -> None:
    """An empty folder that says what is about to be computed."""
    try:
        if plan.folder.exists():
            shutil.rmtree(plan.folder)
        plan.folder.mkdir(parents=True)
        content = {"schema": SCHEMA, "choices": plan.choices, "config": recorded(plan.config)}
        write_json(plan.folder / CONFIG, content)
    except OSError as error:
        raise InputError(
            f"root={plan.config.root} cannot be written ({error.strerror}): give a folder that can."
        ) from error


def explain(error: Exception) -> dict[str, str]:
    """The reason in one sentence; for what nobody foresaw, the traceback as well."""
    if isinstance(error, RunError | InputError):
        return {"reason": str(error)}
    first = (str(error).strip().splitlines() or ["no message"])[0]
    reason = f"{type(error).__name__}: {first}"
    return {"reason": reason, "traceback": "".join(traceback.format_exception(error))}


class _Attempt:
    """One training of a plan, from drawing the weights to writing the record."""

    def __init__(self, plan: Plan) -> None:
        config = plan.config
        self.plan, self.config, self.folder, self.data = plan, config, plan.folder, plan.data
        L.seed_everything(config.seed, workers=True, verbose=False)
        runtime.reset_peak_memory(plan.device)
        self.module = SentimentModule(
            Classifier(config, len(plan.data.vocabulary)), config.optimizer
        )
        self.stopwatch = Stopwatch()
        self.best = _best_checkpoint(config, plan.folder)
        self.trainer = self._trainer()

    @property
    def epoch(self) -> int | None:
        """The epoch under way, counted from 1; None before and after the training."""
        fitting = self.trainer.state.fn is TrainerFn.FITTING
        finished = self.trainer.state.status is TrainerStatus.FINISHED
        return len(self.module.history) + 1 if fitting and not finished else None

    def complete(self) -> dict[str, Any]:
        if self.config.trainer.enable_progress_bar:
            console.print(f"  {describe(self.module.classifier)}")
        self.trainer.fit(self.module, self.data)
        best_epoch = self._restore_best()
        stages = self._evaluate()
        record = self._record(best_epoch)
        self._save_model()
        self._save_predictions(stages)
        self._save_figures(record)
        shutil.rmtree(self.folder / "checkpoints")
        write_json(self.folder / RECORD, record)
        return record

    def _trainer(self) -> L.Trainer:
        config, callbacks = self.config.trainer, [self.stopwatch, self.best]
        stopping = self.config.early_stopping
        has_val = self.config.data.val_fraction > 0
        if has_val and stopping.patience is not None:
            callbacks.append(
                EarlyStopping(stopping.monitor, patience=stopping.patience, mode=stopping.mode)
            )
        if config.enable_progress_bar:
            callbacks.append(EpochLines(self.stopwatch))
        return L.Trainer(
            accelerator=self.plan.device,
            devices=1,
            precision=config.precision,  # type: ignore[arg-type]
            max_epochs=config.max_epochs,
            limit_train_batches=config.limit_train_batches,
            limit_val_batches=None if has_val else 0,
            deterministic=config.deterministic,
            log_every_n_steps=config.log_every_n_steps,
            logger=TensorBoardLogger(self.folder, name="", version=""),
            callbacks=callbacks,
            default_root_dir=self.folder,
            num_sanity_val_steps=0,
            enable_progress_bar=False,  # EpochLines shows it
            enable_model_summary=False,
        )

    def _restore_best(self) -> int:
        """Puts the kept weights back; the number of their epoch, counted from 1."""
        kept = torch.load(self.best.best_model_path, weights_only=True)
        self.module.load_state_dict(kept["state_dict"])
        return int(kept["epoch"]) + 1

    def _evaluate(self) -> list[str]:
        """Scores the restored weights on the splits there are; names of these splits."""
        stages = []
        if len(self.data.val):
            self.trainer.validate(self.module, self.data, verbose=False)
            stages.append("val")
        if self.config.test:
            self.trainer.test(self.module, self.data, verbose=False)
            stages.append("test")
        return stages

    def _record(self, best_epoch: int) -> dict[str, Any]:
        latest, seconds = self.module.latest, self.stopwatch.epochs
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
            "best_epoch": best_epoch,
            "val": latest.get("val"),
            "test": latest.get("test"),
            "cost": self._cost(),
            "data": self.data.summary(),
            "environment": runtime.environment(self.plan.device),
        }

    def _cost(self) -> dict[str, Any]:
        seconds, tested = self.stopwatch.epochs, self.data.test
        return {
            "parameters": sum(self.module.classifier.parameter_counts().values()),
            "fit_seconds": self.stopwatch.fit_seconds,
            "seconds_per_epoch": sum(seconds) / len(seconds),
            "tokens_per_second": float(self.stopwatch.tokens) / sum(seconds),
            "peak_memory_mib": runtime.peak_memory_mib(self.plan.device),
            "test_reviews_per_second": (
                len(tested) / self.stopwatch.test_seconds if tested is not None else None
            ),
        }

    def _save_model(self) -> None:
        save_model(self.folder / "model", self.module.classifier, self.data.vocabulary, self.config)

    def _save_figures(self, record: dict[str, Any]) -> None:
        figures.learning_curves(record).savefig(self.folder / "learning_curves.png", dpi=120)
        if record["test"] is not None:
            figures.confusion_matrix(record).savefig(self.folder / "confusion_matrix.png", dpi=120)

    def _save_predictions(self, stages: list[str]) -> None:
        """predictions.parquet: split, index (the row in the split's file), label, probability."""
        parts = []
        for stage in stages:
            columns = self.module.scores[stage].predictions()
            arrays = {name: values.numpy() for name, values in columns.items()}
            arrays["label"] = arrays["label"].astype(np.int8)
            split = pa.array([stage] * len(arrays["index"]))
            parts.append(pa.table({"split": split, **arrays}))
        if parts:
            buffer = io.BytesIO()
            pq.write_table(pa.concat_tables(parts), buffer)
            write_atomically(self.folder / "predictions.parquet", buffer.getvalue())


def _best_checkpoint(config: Config, folder: Path) -> ModelCheckpoint:
    """Keeps the best epoch on validation, or the last one where there is no validation part."""
    has_val = config.data.val_fraction > 0
    return ModelCheckpoint(
        folder / "checkpoints",
        "best",
        monitor=config.early_stopping.monitor if has_val else None,
        mode=config.early_stopping.mode,
        save_weights_only=True,
        enable_version_counter=False,
    )


def save_model(
    folder: Path, classifier: Classifier, vocabulary: Vocabulary, config: Config
) -> None:
    """A folder without code: weights, configuration and words, each whole or not there."""
    folder.mkdir(exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in classifier.state_dict().items()}
    write_atomically(folder / "model.safetensors", safetensors.torch.save(weights))
    write_json(folder / "config.json", {"schema": SCHEMA, "config": recorded(config)})
    write_json(folder / "vocab.json", vocabulary.words)


def describe(classifier: Classifier) -> str:
    """The parts in the order of the path, with their trainable numbers."""
    counts = classifier.parameter_counts()
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return f"{sum(counts.values()):,} parameters: {parts}"
