"""The progress of training: on a display, and in `progress.json` for `lstm-sentiment status`."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import lightning as L

from lstm_sentiment.display import Advance, Display
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.model.scored_module import ScoredModule
from lstm_sentiment.runs.folder import PROGRESS
from lstm_sentiment.training.checkpoints import AfterEpoch
from lstm_sentiment.training.costs import Costs

INTERVAL = 5.0  # seconds between two writes of progress.json


class ProgressFile(L.Callback):
    """A callback that writes `progress.json`: epoch, completed share of all epochs, and seconds."""

    def __init__(self, folder: Path, costs: Costs) -> None:
        self.path, self.costs = folder / PROGRESS, costs
        self._due = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._write_share(trainer, 0.0)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        if time.monotonic() >= self._due:
            self._write_share(trainer, (number + 1) / trainer.num_training_batches)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._write({"epoch": None, "max_epochs": trainer.max_epochs, "share": 1.0})

    def _write_share(self, trainer: L.Trainer, share_of_epoch: float) -> None:
        epoch, epochs = trainer.current_epoch, trainer.max_epochs
        assert epochs is not None
        share = (epoch + share_of_epoch) / epochs
        self._write({"epoch": epoch + 1, "max_epochs": epochs, "share": share})
        self._due = time.monotonic() + INTERVAL

    def _write(self, progress: dict[str, Any]) -> None:
        with suppress(OSError):  # training does not depend on this file
            write_json(self.path, progress | {"seconds": self.costs.elapsed}, durable=False)


class EpochDisplay(AfterEpoch):
    """A callback that shows a progress bar during an epoch and a line with its scores after it."""

    def __init__(self, costs: Costs, display: Display, unit: str = "epoch") -> None:
        self.costs, self.display, self.unit = costs, display, unit
        self._bar = ExitStack()
        self._advance: Advance = lambda _: None

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        title = f"{self.unit} {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self._open_bar(title, int(trainer.num_training_batches))

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        self._advance(number + 1)

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._open_bar("validating", int(sum(trainer.num_val_batches)))

    def on_validation_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._advance(number + 1)

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._open_bar("testing", int(sum(trainer.num_test_batches)))

    def on_test_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._advance(number + 1)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, ScoredModule)
        number, scores = len(module.history), module.history[-1]
        parts = [f"{self.unit} {number} of {trainer.max_epochs}  {self.costs.seconds[-1]:6.1f} s"]
        for stage in ("train", "val"):
            if scores[stage] is not None:
                loss, score = scores[stage]["loss"], _main_score(scores[stage])
                parts.append(f"{stage} loss {loss:.3f}, {score}")
        self.display.message("   ".join(parts))

    def teardown(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        self._bar.close()

    def on_exception(
        self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException
    ) -> None:
        self._bar.close()

    def _open_bar(self, title: str, total: int) -> None:
        self._bar.close()
        self._advance = self._bar.enter_context(self.display.progress(title, total))


def _main_score(scores: dict[str, Any]) -> str:
    """Return the score that users look at: the accuracy, or the perplexity of a language model."""
    if "accuracy" in scores:
        return f"accuracy {scores['accuracy']:.1%}"
    return f"perplexity {scores['perplexity']:.1f}"
