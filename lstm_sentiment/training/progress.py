"""What a person sees while a network trains, and what the training costs."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import runtime
from lstm_sentiment.training.checkpoints import AfterEpoch
from lstm_sentiment.training.record import PROGRESS, write_json

console = Console(soft_wrap=True, highlight=False)

BESIDE_OTHERS = multiprocessing.parent_process() is not None  # a launcher's, on one terminal
BEAT = 5.0  # seconds between two notes of how far a run is
LINE = 30.0  # seconds between two lines within an epoch, where no bar can be drawn


def say(run: str, line: str) -> None:
    """Prints a line of a run, with its name where other runs print theirs between."""
    console.print(f"{run}  {line}" if BESIDE_OTHERS else f"  {line}")


class Costs(L.Callback):
    """Seconds of each epoch's training, without its validation; tokens; memory.

    They add up over the attempts of a run, but for what an interruption made to be done twice.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: list[float] = []  # of each epoch
        self.tokens: list[int] = []  # trained on in each epoch
        self.fit_seconds = 0.0
        self.test_seconds = 0.0
        self._peak_before = 0.0
        self._fit_started: float | None = None
        self._epoch_started: float | None = None
        self._epoch_tokens = 0

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, validation and what lies between included."""
        running = 0.0 if self._fit_started is None else time.perf_counter() - self._fit_started
        return self.fit_seconds + running

    @property
    def peak_memory_mib(self) -> float | None:
        peak = runtime.peak_memory_mib(self.device)
        return None if peak is None else max(peak, self._peak_before)

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._fit_started = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._epoch_started = time.perf_counter()
        self._epoch_tokens = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, number: int
    ) -> None:
        self._epoch_tokens += int(batch.lengths.sum())  # on the CPU, whatever the device

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._end_epoch()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._end_epoch()

    def _end_epoch(self) -> None:
        if self._epoch_started is not None:
            if self.device == "cuda":
                torch.cuda.synchronize()  # kernels run behind the program
            self.tokens.append(self._epoch_tokens)
            self.seconds.append(time.perf_counter() - self._epoch_started)
            self._epoch_started = None

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.fit_seconds, self._fit_started = self.elapsed, None

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.test_seconds = -time.perf_counter()

    def on_test_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.test_seconds += time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "tokens": self.tokens,
            "fit_seconds": self.elapsed,
            "peak_memory_mib": self.peak_memory_mib or 0.0,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.tokens = state_dict["seconds"], state_dict["tokens"]
        self.fit_seconds = state_dict["fit_seconds"]
        self._peak_before = state_dict["peak_memory_mib"]


class Heartbeat(L.Callback):
    """Notes in the run's folder how far it is, for those who ask from outside."""

    def __init__(self, folder: Path, costs: Costs) -> None:
        self.path, self.costs = folder / PROGRESS, costs
        self._next = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._beat(trainer, 0.0)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, number: int
    ) -> None:
        if time.monotonic() >= self._next:
            self._beat(trainer, (number + 1) / trainer.num_training_batches)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._write({"epoch": None, "max_epochs": trainer.max_epochs, "share": 1.0})

    def _beat(self, trainer: L.Trainer, share: float) -> None:
        epoch, epochs = trainer.current_epoch, trainer.max_epochs
        assert epochs is not None
        note = {"epoch": epoch + 1, "max_epochs": epochs, "share": (epoch + share) / epochs}
        self._write(note)
        self._next = time.monotonic() + BEAT

    def _write(self, note: dict[str, Any]) -> None:
        try:
            write_json(self.path, note | {"seconds": self.costs.elapsed}, durable=False)
        except OSError:
            return  # nothing that a run should end for


class EpochLines(AfterEpoch):
    """A line for every epoch that is over; within it a bar, or in a file a line now and then."""

    def __init__(self, run: str, costs: Costs) -> None:
        self.run, self.costs = run, costs
        self.bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=BESIDE_OTHERS or not console.is_terminal,
        )
        self._started = self._next = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start_bar(f"epoch {trainer.current_epoch + 1}", int(trainer.num_training_batches))
        self._started = time.monotonic()
        self._next = self._started + LINE

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, number: int
    ) -> None:
        self._advance()
        if self.bar.disable and time.monotonic() >= self._next:
            done, batches = number + 1, int(trainer.num_training_batches)
            left = (time.monotonic() - self._started) / done * (batches - done)
            where = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            say(self.run, f"{where}  batch {done:,} of {batches:,}, {left:.0f} s left")
            self._next = time.monotonic() + LINE

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start_bar("validating", int(sum(trainer.num_val_batches)))

    def on_validation_batch_end(self, *_: Any) -> None:
        self._advance()

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._start_bar("testing", int(sum(trainer.num_test_batches)))

    def on_test_batch_end(self, *_: Any) -> None:
        self._advance()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SentimentModule)
        number, scores = len(module.history), module.history[-1]
        parts = [f"epoch {number} of {trainer.max_epochs}  {self.costs.seconds[-1]:6.1f} s"]
        for stage in ("train", "val"):
            if scores[stage] is not None:
                loss, accuracy = scores[stage]["loss"], scores[stage]["accuracy"]
                parts.append(f"{stage} loss {loss:.3f}, accuracy {accuracy:.1%}")
        say(self.run, "   ".join(parts))

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
