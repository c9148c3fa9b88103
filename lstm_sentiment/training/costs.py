"""The costs of training: time, tokens and memory."""

import time
from typing import Any, Protocol

import lightning as L
import torch

from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.training import runtime


class Counted(Protocol):
    """A batch that knows how many tokens it has."""

    @property
    def tokens(self) -> int: ...


class Costs(L.Callback):
    """A callback that measures seconds and tokens of each epoch, and the peak memory.

    The seconds of an epoch do not include its validation. The costs of all attempts of a run are
    added; an epoch that was interrupted and repeated is counted once. Of several `ranks`, the
    tokens are added, and the peak is that of the process that needed the most memory.
    """

    def __init__(self, device: str, ranks: Ranks = ALONE) -> None:
        self.device, self.ranks = device, ranks
        self.seconds: list[float] = []  # by epoch
        self.tokens: list[int] = []  # of the training batches, by epoch
        self.fit_seconds = 0.0
        self.test_seconds = 0.0
        self._peak_before = 0.0  # of earlier attempts, and of other processes
        self._fit_started: float | None = None
        self._epoch_started: float | None = None
        self._epoch_tokens = 0

    @property
    def elapsed(self) -> float:
        """Seconds of fitting so far, including validation and earlier attempts."""
        running = 0.0 if self._fit_started is None else time.perf_counter() - self._fit_started
        return self.fit_seconds + running

    @property
    def peak_memory_mib(self) -> float | None:
        """The highest peak of all attempts in MiB; None if it cannot be measured."""
        peak = runtime.peak_memory_mib(self.device)
        return None if peak is None else max(peak, self._peak_before)

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._fit_started = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._epoch_started = time.perf_counter()
        self._epoch_tokens = 0

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Counted,
        number: int,
    ) -> None:
        self._epoch_tokens += batch.tokens

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._end_epoch()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._end_epoch()

    def _end_epoch(self) -> None:
        if self._epoch_started is not None:
            if self.device == "cuda":
                torch.cuda.synchronize()  # CUDA kernels run asynchronously
            self.seconds.append(time.perf_counter() - self._epoch_started)
            self._epoch_started = None
            own = torch.tensor(
                [[self._epoch_tokens, self.peak_memory_mib or 0]], dtype=torch.float64
            )
            tokens, peaks = self.ranks.joined(own).T
            self.tokens.append(int(tokens.sum()))
            self._peak_before = max(self._peak_before, float(peaks.max()))

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
