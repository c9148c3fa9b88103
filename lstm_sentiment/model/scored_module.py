"""What the LightningModules of classifiers and of language models have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isfinite
from typing import Any, Protocol

import lightning as L
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer

from lstm_sentiment.config import OptimizerConfig, Schedule
from lstm_sentiment.data.ranks import ALONE, Ranks
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
    of each stage. Dropout is seeded with `seed`, the epoch and the rank, so that an epoch does not
    depend on the random numbers drawn before it.

    Of several `ranks`, each computes the gradients of its share of a batch. Their sums, the same in
    all processes, are the gradients of the whole batch, so the processes keep the same weights.
    """

    scores: Mapping[str, Scores]  # by stage
    step_loss: Tensor  # of the whole batch of the last step

    def __init__(self, optimizer: OptimizerConfig, seed: int, ranks: Ranks = ALONE) -> None:
        super().__init__()
        self.optimizer_config, self.seed, self.ranks = optimizer, seed, ranks
        self.latest: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []

    @abstractmethod
    def build_optimizer(self) -> Optimizer:
        """Return the optimizer of the parameters."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Not in on_train_epoch_start: after that hook, the loader draws a random number.
        if batch_idx == 0:
            # NumPy ignores trailing zeros, so rank 0 has the seeds of a process that is alone.
            seeds = np.random.SeedSequence([self.seed, self.current_epoch, self.ranks.rank])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

    def on_train_start(self) -> None:
        self.ranks.copy_from_leader(self.parameters())  # they start from the same weights anyway

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
        # Early stopping must not depend on rounding, which differs between machines.
        scores = self.ranks.of_leader(self.scores[stage].compute())
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

    def on_before_backward(self, loss: Tensor) -> None:
        self.step_loss = loss.detach()

    def on_after_backward(self) -> None:
        if self.ranks.size > 1:
            self._add_gradients()

    def _add_gradients(self) -> None:
        """Replace the gradients and the loss of this process's share by those of the whole batch.

        All of them are added in one message, which is shorter than many. An unused parameter has a
        gradient of zero, so that the messages of all processes have the same length.
        """
        trained = [each for each in self.parameters() if each.requires_grad]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([self.step_loss.view(1), *(gradient.flatten() for gradient in own)])
        loss, *added = torch.split(self.ranks.added(flat), [1, *(p.numel() for p in trained)])
        self.step_loss = loss[0]
        for parameter, gradient in zip(trained, added, strict=True):
            parameter.grad = gradient.view_as(parameter)

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
