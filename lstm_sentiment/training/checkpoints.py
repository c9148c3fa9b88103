"""Checkpoints: the best weights so far, and the state from which training resumes."""

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from lstm_sentiment.config import EarlyStoppingConfig
from lstm_sentiment.files.reading import open_regular
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.model.scored_module import ScoredModule
from lstm_sentiment.training.averaging import WeightAverage

NAME = re.compile(r"epoch-(\d+)\.([0-9a-f]+)\.ckpt")
DIGITS = 16  # of the digest in a name
MAX_CHECKPOINTS = 2  # of a run; the older one is used if the newer one is damaged

# Takes an epoch, counted from 1, and its validation scores; returns whether training may continue.
MayContinue = Callable[[int, Mapping[str, Any]], bool]


class AfterEpoch(Checkpoint):
    """Base of the callbacks that need the scores of a finished epoch.

    Lightning calls checkpoint callbacks after the module's `on_train_epoch_end`, in the order given
    to the Trainer. It calls other callbacks before that hook, when the epoch has no scores yet.
    """


class BestEpoch(AfterEpoch):
    """A callback that keeps the weights of the best epoch and stops training early.

    The best epoch is the first with the best score on the validation set, or the last epoch if
    there is no validation set. Training stops `patience` epochs after the best one. If
    training is resumed at that point, no further epoch is trained.

    With an `average`, the weights that are kept are those of the average, which the validation
    scores refer to.

    `may_continue` is called after every epoch that has validation scores. If it returns false,
    training ends, and the run is `pruned` unless this was its last epoch in any case.
    """

    def __init__(
        self,
        config: EarlyStoppingConfig,
        average: WeightAverage | None = None,
        may_continue: MayContinue | None = None,
    ) -> None:
        self.average, self.may_continue, self.pruned = average, may_continue, False
        self.score = config.monitor.removeprefix("val/")
        self.sign = -1 if config.mode == "min" else 1
        self.patience = inf if config.patience is None else config.patience
        self.epoch = 0  # counted from 1
        self.value = -inf  # the best score, negated if lower is better
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._stop_if_due(trainer, trainer.current_epoch)
        if self.pruned:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, ScoredModule)
        epoch, scores = len(module.history), module.history[-1]["val"]
        # `Plan.prepare` refuses an AUROC that is undefined; all other scores are defined.
        value = inf if scores is None else self.sign * scores[self.score]
        if scores is None or value > self.value:
            self.epoch, self.value = epoch, value
            state = module.state_dict() | (self.average.weights if self.average else {})
            self.weights = {name: tensor.cpu().clone() for name, tensor in state.items()}
        self._stop_if_due(trainer, epoch)
        if scores is None or self.may_continue is None or self.may_continue(epoch, scores):
            return
        if epoch != trainer.max_epochs and not trainer.should_stop:
            self.pruned = trainer.should_stop = True

    def _stop_if_due(self, trainer: L.Trainer, epoch: int) -> None:
        if self.epoch and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        state = {"epoch": self.epoch, "value": self.value, "weights": self.weights}
        return state | {"pruned": self.pruned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch, self.value = state_dict["epoch"], state_dict["value"]
        self.weights = state_dict["weights"]
        # Otherwise, the run of a search is now trained to its end.
        if self.may_continue is not None:
            self.pruned = state_dict.get("pruned", False)


class EpochCheckpoints(AfterEpoch):
    """A callback that writes a checkpoint after every epoch and removes outdated ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch + 1}.ckpt")
        for outdated in _newest_first(self.folder)[MAX_CHECKPOINTS:]:
            outdated.unlink()


class VerifiedCheckpointIO(TorchCheckpointIO):
    """Input and output of checkpoints that are written atomically and checked for damage.

    `epoch-3.ckpt` is written as `epoch-3.<digest>.ckpt`. Loading a checkpoint never executes code:
    it holds plain values and tensors only.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getvalue()
        path = Path(path)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path.with_suffix(f".{_digest(content)}.ckpt"), content)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return torch.load(path, map_location="cpu", weights_only=True)


def latest(folder: Path) -> tuple[Path | None, list[Path]]:
    """Return the newest intact checkpoint, or None, and the newer damaged checkpoints."""
    damaged: list[Path] = []
    for path in _newest_first(folder):
        with suppress(OSError):  # an unreadable checkpoint counts as damaged
            with open_regular(path) as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()[:DIGITS]
            if path.name.split(".")[1] == digest:
                return path, damaged
        damaged.append(path)
    return None, damaged


def epoch_of(path: Path) -> int:
    """Return the epoch, counted from 1, after which a checkpoint was written."""
    return int(path.name.split(".")[0].removeprefix("epoch-"))


def _newest_first(folder: Path) -> list[Path]:
    paths = [path for path in folder.glob("*.ckpt") if NAME.fullmatch(path.name)]
    return sorted(paths, key=epoch_of, reverse=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
