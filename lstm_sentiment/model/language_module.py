"""The LightningModule that trains a language model."""

from math import exp, isfinite
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from lstm_sentiment.config import OptimizerConfig, Schedule
from lstm_sentiment.data.language_batches import WordBatch
from lstm_sentiment.errors import RunError
from lstm_sentiment.model.encoders.recurrent import State
from lstm_sentiment.model.language_model import LanguageModel
from lstm_sentiment.model.optimization import OPTIMIZERS, build_schedule

LARGEST_EXPONENT = 700.0  # beyond it, exp() overflows


class MeanLoss:
    """The mean loss of all predictions since the last reset, in nats."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self.total, self.count = torch.zeros((), dtype=torch.float64), 0

    def update(self, losses: Tensor) -> None:
        """Add the losses of predictions, (P,)."""
        self.total = self.total + losses.detach().sum(dtype=torch.float64).cpu()
        self.count += len(losses)

    def compute(self) -> dict[str, float]:
        """Return the mean loss, and the perplexity, its exponential."""
        loss = float(self.total / max(1, self.count))
        return {"loss": loss, "perplexity": exp(min(loss, LARGEST_EXPONENT))}


class LanguageModule(L.LightningModule):
    """A LightningModule that trains a language model on the parts of passes over its texts.

    Lightning's epochs are parts, and `history` has the scores after each part. Dropout is seeded
    with `seed` and the part.
    """

    def __init__(self, model: LanguageModel, optimizer: OptimizerConfig, seed: int = 0) -> None:
        super().__init__()
        self.model, self.optimizer_config, self.seed = model, optimizer, seed
        self.scores = {stage: MeanLoss() for stage in ("train", "val")}
        self.latest: dict[str, dict[str, float]] = {}
        self.history: list[dict[str, Any]] = []
        self._state: State | None = None  # of reviews in a row; zero at the start of a part

    def on_train_batch_start(self, batch: WordBatch, batch_idx: int) -> None:
        # Not in on_train_epoch_start: after that hook, the loader draws a random number.
        if batch_idx == 0:
            seeds = np.random.SeedSequence([self.seed, self.current_epoch])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

    def training_step(self, batch: WordBatch) -> Tensor:
        if self.model.config.truncation is None:
            predicted = self.model(batch.ids, batch.lengths)
        else:
            predicted = self.model.stream(batch.ids, self._state)
            self._state = predicted.state
        self.scores["train"].update(predicted.losses)
        return predicted.losses.mean() + predicted.penalty

    def validation_step(self, batch: WordBatch) -> None:
        self.scores["val"].update(self.model(batch.ids, batch.lengths).losses)

    def on_train_epoch_start(self) -> None:
        self._state = None
        self.scores["train"].reset()

    def on_validation_epoch_start(self) -> None:
        self.scores["val"].reset()

    def on_validation_epoch_end(self) -> None:
        self._finish("val")

    def on_train_epoch_end(self) -> None:
        self._finish("train")  # Lightning calls this hook after the part's validation
        self.history.append({stage: self.latest[stage] for stage in ("train", "val")})

    def _finish(self, stage: str) -> None:
        """Compute and log the scores of a stage. Raises RunError if the loss is not finite."""
        scores = self.scores[stage].compute()
        if not isfinite(scores["loss"]):
            raise RunError(
                f"the {stage} loss is {scores['loss']} in part {self.current_epoch + 1}: "
                f"a lower optimizer.lr may help (it is {self.optimizer_config.lr})"
            )
        self.latest[stage] = scores

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.optimizer_config.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.optimizer_config.clip)

    def configure_optimizers(self) -> Any:
        config = self.optimizer_config
        optimizer = OPTIMIZERS[config.name](
            self.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        if config.schedule is Schedule.constant:
            return optimizer
        schedule = build_schedule(optimizer, config, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
