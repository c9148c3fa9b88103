"""logits -> loss and scores: the LightningModule that trains a classifier."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from lstm_sentiment.config import OptimizerConfig
from lstm_sentiment.data.batches import Batch, mean
from lstm_sentiment.data.ngram_vocabulary import NgramBatch
from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.metrics import StageScores
from lstm_sentiment.model.objectives import Objective, supervised
from lstm_sentiment.model.optimization import build_optimizer, freeze_layers
from lstm_sentiment.model.scored_module import ScoredModule


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each review, (B,): logits (B,) or (B, K), labels (B,) float32.

    Pseudo-labels are probabilities: of the second of two classes, (B,), or of K classes, (B, K).
    """
    if logits.ndim == 1:
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return F.cross_entropy(logits, labels.long() if labels.ndim == 1 else labels, reduction="none")


class SentimentModule(ScoredModule):
    """A LightningModule that trains a classifier with an objective, and scores it.

    There are scores for each of the stages "train", "val" and "test". `class_weights`, (K,), weight
    the cross-entropy in training, and so does `pseudo_weight` that of pseudo-labelled reviews. The
    losses in the scores are cross-entropy of labelled reviews, without weights.

    Word vectors are frozen for the first `freeze_epochs` epochs.
    """

    scores: dict[str, StageScores]
    class_weights: Tensor | None

    def __init__(
        self,
        classifier: Classifier,
        optimizer: OptimizerConfig,
        seed: int = 0,
        freeze_epochs: int = 0,
        classes: Classes = BINARY,
        class_weights: np.ndarray | None = None,
        objective: Objective = supervised,
        pseudo_weight: float = 1.0,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(optimizer, seed, ranks)
        self.classifier = classifier
        self.objective = objective
        self.freeze_epochs = freeze_epochs
        self.pseudo_weight = pseudo_weight
        weights = None if class_weights is None else torch.from_numpy(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.scores = {stage: StageScores(classes, ranks) for stage in ("train", "val", "test")}

    def decide(self, classes: Classes, temperature: float) -> None:
        """Divide all logits by a temperature, and score the decisions of `classes` from now on."""
        self.classifier.divide_logits(temperature)
        for scores in self.scores.values():
            scores.classes = classes

    def forward(self, ids: Tensor, lengths: Tensor, ngrams: NgramBatch | None = None) -> Tensor:
        return self.classifier(ids, lengths, ngrams)

    def training_step(self, batch: Batch) -> Tensor:
        logits, loss = self.objective(self.classifier, batch, self._cross_entropy)
        self.scores["train"].update(logits, batch)
        return loss

    def validation_step(self, batch: Batch) -> None:
        self.scores["val"].update(self(batch.ids, batch.lengths, batch.ngrams), batch)

    def test_step(self, batch: Batch) -> None:
        self.scores["test"].update(self(batch.ids, batch.lengths, batch.ngrams), batch)

    def _cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, each review times its weight."""
        losses = cross_entropy(logits, batch.labels)
        if batch.is_labelled is not None:
            is_labelled = batch.is_labelled.to(losses.device)
            losses = torch.where(is_labelled, losses, self.pseudo_weight * losses)
        if self.class_weights is not None:
            losses = losses * self._weights_of(batch)
        return mean([losses], [batch])

    def _weights_of(self, batch: Batch) -> Tensor:
        """Return the weight of the class of each review, (B,), expected from pseudo-labels."""
        assert self.class_weights is not None
        if batch.is_labelled is None:
            return self.class_weights[batch.labels.long()]
        labels = batch.labels
        if labels.ndim == 1:
            labels = torch.stack([1 - labels, labels], dim=1)
        return labels @ self.class_weights

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        freeze_layers(
            self.classifier,
            self.current_epoch,
            self.optimizer_config.unfreeze_every,
            self.freeze_epochs,
        )

    def build_optimizer(self) -> Optimizer:
        return build_optimizer(self.classifier, self.optimizer_config)
