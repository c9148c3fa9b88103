"""What a person sees while a network trains, and what the training costs."""

import time
from typing import Any

import lightning as L
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.module import SentimentModule

console = Console(soft_wrap=True, highlight=False)


class Stopwatch(L.Callback):
    """Seconds of each epoch's training, without its validation, and tokens trained on."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.tokens = torch.zeros((), dtype=torch.int64)
        self.fit_seconds = 0.0
        self.test_seconds = 0.0
        self._started: float | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, number: int
    ) -> None:
        # No .item(): it would wait for a GPU.
        self.tokens = batch.lengths.sum() + self.tokens.to(batch.lengths.device)

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._stop()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._started is not None:
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.synchronize()  # kernels run behind the program
            self.epochs.append(time.perf_counter() - self._started)
            self._started = None

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.fit_seconds = -time.perf_counter()

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.fit_seconds += time.perf_counter()

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.test_seconds = -time.perf_counter()

    def on_test_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.test_seconds += time.perf_counter()


class EpochLines(L.Callback):
    """A bar within the epoch, and a line for every epoch that is over."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch
        self.printed = 0
        self.bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._print_lines(trainer, module)
        self._start_bar(f"epoch {trainer.current_epoch + 1}", int(trainer.num_training_batches))

    def on_train_batch_end(self, *_: Any) -> None:
        self._advance()

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start_bar("validating", int(sum(trainer.num_val_batches)))

    def on_validation_batch_end(self, *_: Any) -> None:
        self._advance()

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start_bar("testing", int(sum(trainer.num_test_batches)))

    def on_test_batch_end(self, *_: Any) -> None:
        self._advance()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._print_lines(trainer, module)

    def teardown(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: Any) -> None:
        self.bar.stop()

    def _start_bar(self, title: str, total: int) -> None:
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self.bar.add_task(title, total=total)
        self.bar.start()

    def _advance(self) -> None:
        for task in self.bar.task_ids:
            self.bar.advance(task)

    def _print_lines(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SentimentModule)
        for number in range(self.printed, len(module.history)):
            scores, seconds = module.history[number], self.stopwatch.epochs[number]
            parts = [f"  epoch {number + 1} of {trainer.max_epochs}  {seconds:6.1f} s"]
            for stage in ("train", "val"):
                if scores[stage] is not None:
                    loss, accuracy = scores[stage]["loss"], scores[stage]["accuracy"]
                    parts.append(f"{stage} loss {loss:.3f}, accuracy {accuracy:.1%}")
            console.print("   ".join(parts))
        self.printed = len(module.history)
