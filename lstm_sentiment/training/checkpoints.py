"""What an epoch leaves for the next: the best weights so far, and a point to go on from."""

import hashlib
import io
import re
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
from lstm_sentiment.files import write_atomically
from lstm_sentiment.model.module import SentimentModule

FOLDER = "checkpoints"
NAME = re.compile(r"epoch-(\d+)\.([0-9a-f]+)\.ckpt")
KEPT = 2  # a second one, in case a disk damages the first


class AfterEpoch(Checkpoint):
    """A callback that acts on a finished epoch.

    Lightning calls these after the module's own `on_train_epoch_end`, in the order in which the
    Trainer was given them; all others are called before it, when the epoch has no scores yet.
    """


class BestEpoch(AfterEpoch):
    """Keeps the weights of the best epoch on validation, or of the last where there is none.

    Ends the training `patience` epochs after the best one, also where it resumes at that point.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        self.score = config.monitor.removeprefix("val/")
        self.sign = -1 if config.mode == "min" else 1
        self.patience = inf if config.patience is None else config.patience
        self.epoch = 0  # counted from 1
        self.value = -inf  # of the score, turned so that more is better
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._stop_where_due(trainer, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, SentimentModule)
        epoch, scores = len(module.history), module.history[-1]["val"]
        value = inf if scores is None else self.sign * scores[self.score]
        if scores is None or value > self.value:
            self.epoch, self.value = epoch, value
            state = module.state_dict()
            self.weights = {name: tensor.cpu().clone() for name, tensor in state.items()}
        self._stop_where_due(trainer, epoch)

    def _stop_where_due(self, trainer: L.Trainer, epoch: int) -> None:
        if self.epoch and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "value": self.value, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epoch, self.value = state_dict["epoch"], state_dict["value"]
        self.weights = state_dict["weights"]


class EpochCheckpoints(AfterEpoch):
    """After every epoch, all that the next one depends on, and all callbacks before this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch + 1}.ckpt")
        for outdated in _newest_first(self.folder)[KEPT:]:
            outdated.unlink()


class VerifiedCheckpointIO(TorchCheckpointIO):
    """Writes `epoch-3.ckpt` as `epoch-3.<digest>.ckpt`, atomically: the name tells what is whole.

    Reads plain values only, as no checkpoint holds anything else.
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
    """The newest checkpoint that is whole, if any; and those that are not, newer than it."""
    damaged: list[Path] = []
    for path in _newest_first(folder):
        with suppress(OSError):  # what cannot be read is no better than what was cut short
            if path.name.split(".")[1] == _digest(path.read_bytes()):
                return path, damaged
        damaged.append(path)
    return None, damaged


def epoch_of(path: Path) -> int:
    return int(path.name.split(".")[0].removeprefix("epoch-"))


def _newest_first(folder: Path) -> list[Path]:
    ours = [path for path in folder.glob("*.ckpt") if NAME.fullmatch(path.name)]
    return sorted(ours, key=epoch_of, reverse=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
