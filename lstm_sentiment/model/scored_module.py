"""What the LightningModules of classifiers and of language models have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isfinite
from typing import Any, Protocol

import lightning as L
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.optim import Optimizer

from lstm_sentiment.config import OptimizerConfig, Schedule
from lstm_sentiment.errors import RunError
from lstm_sentiment.model.optimization import build_schedule


class Scores(Protocol):
    """A collection of the scores of a stage."""

    def reset(self) -> None:
        """Forget all batches."""

    def compute(self) -> dict[str, Any]:
        """Return the scores of all batches, the loss among them."""
        ...


class ScoredModule(L.LightningModule, ABC):
    """Base of the LightningModules that are trained with an optimizer and scored in each epoch.

    `history` has the scores of each epoch by stage, "train" and "val", and `latest` the last scores
    of each stage. Dropout is seeded with `seed` and the epoch, so that an epoch does not depend on
    the random numbers drawn before it.
    """

    scores: Mapping[str, Scores]  # by stage

    def __init__(self, optimizer: OptimizerConfig, seed: int) -> None:
        super().__init__()
        self.optimizer_config, self.seed = optimizer, seed
        self.latest: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []

    @abstractmethod
    def build_optimizer(self) -> Optimizer:
        """Return the optimizer of the parameters."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Not in on_train_epoch_start: after that hook, the loader draws a random number.
        if batch_idx == 0:
            seeds = np.random.SeedSequence([self.seed, self.current_epoch])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

    def on_train_epoch_start(self) -> None:
        self.scores["train"].reset()

    def on_validation_epoch_start(self) -> None:
        self.scores["val"].reset()

    def on_test_epoch_start(self) -> None:
        self.scores["test"].reset()

    def on_train_epoch_end(self) -> None:
        self._finish("train")  # Lightning calls this hook after the epoch's validation
        self.history.append({stage: self.latest.get(stage) for stage in ("train", "val")})

    def on_validation_epoch_end(self) -> None:
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        self._finish("test")

    def _finish(self, stage: str) -> None:
        """Compute and log the scores of a stage. Raises RunError if the loss is not finite."""
        scores = self.scores[stage].compute()
        if not isfinite(scores["loss"]):
            raise RunError(
                f"the {stage} loss is {scores['loss']} in epoch {self.current_epoch + 1}: "
                f"a lower optimizer.lr may help (it is {self.optimizer_config.lr})"
            )
        self.latest[stage] = scores
        # The validation after training repeats the best epoch, which is already in the learning
        # curve.
        is_new = self.trainer.state.fn is not TrainerFn.VALIDATING
        numbers = {f"{stage}/{k}": v for k, v in scores.items() if isinstance(v, float)}
        self.log_dict(numbers, logger=is_new and self.trainer.logger is not None)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Lightning's Trainer refuses to clip gradients of a fused optimizer in mixed precision.
        if self.optimizer_config.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.optimizer_config.clip)

    def configure_optimizers(self) -> Any:
        optimizer, config = self.build_optimizer(), self.optimizer_config
        if config.schedule is Schedule.constant:
            return optimizer
        schedule = build_schedule(optimizer, config, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
