"""The LightningModule that trains a language model."""

from math import exp

import torch
from torch import Tensor
from torch.optim import Optimizer

from lstm_sentiment.config import OptimizerConfig
from lstm_sentiment.data.language_batches import WordBatch
from lstm_sentiment.model.encoders.recurrent import State
from lstm_sentiment.model.language_model import LanguageModel
from lstm_sentiment.model.optimization import OPTIMIZERS
from lstm_sentiment.model.scored_module import ScoredModule

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
        # On the device of the losses: copying a number would wait for the GPU in each step.
        self.total = self.total.to(losses.device) + losses.detach().sum(dtype=torch.float64)
        self.count += len(losses)

    def compute(self) -> dict[str, float]:
        """Return the mean loss, and the perplexity, its exponential."""
        loss = float(self.total / max(1, self.count))
        return {"loss": loss, "perplexity": exp(min(loss, LARGEST_EXPONENT))}


class LanguageModule(ScoredModule):
    """A LightningModule that trains a language model on the parts of passes over its texts.

    Lightning's epochs are parts.
    """

    scores: dict[str, MeanLoss]

    def __init__(self, model: LanguageModel, optimizer: OptimizerConfig, seed: int = 0) -> None:
        super().__init__(optimizer, seed)
        self.model = model
        self.scores = {stage: MeanLoss() for stage in ("train", "val")}
        self._state: State | None = None  # of reviews in a row; zero at the start of a part

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
        super().on_train_epoch_start()
        self._state = None

    def build_optimizer(self) -> Optimizer:
        config = self.optimizer_config
        return OPTIMIZERS[config.name](
            self.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
