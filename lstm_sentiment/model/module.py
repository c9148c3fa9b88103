"""logits -> loss and scores: the LightningModule that trains a classifier."""

from math import isfinite
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_sentiment.config import OptimizerConfig, Schedule
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.ngram_vocabulary import NgramBatch
from lstm_sentiment.errors import RunError
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.metrics import StageScores
from lstm_sentiment.model.objectives import Objective, supervised
from lstm_sentiment.model.optimization import build_optimizer, build_schedule, freeze_layers


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each review, (B,): logits (B,) or (B, K), labels (B,) float32.

    Pseudo-labels are probabilities: of the second of two classes, (B,), or of K classes, (B, K).
    """
    if logits.ndim == 1:
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return F.cross_entropy(logits, labels.long() if labels.ndim == 1 else labels, reduction="none")


class SentimentModule(L.LightningModule):
    """A LightningModule that trains a classifier with an objective, and scores it.

    There are scores for each of the stages "train", "val" and "test". `class_weights`, (K,), weight
    the cross-entropy in training, and so does `pseudo_weight` that of pseudo-labelled reviews. The
    losses in the scores are cross-entropy of labelled reviews, without weights.

    Dropout is seeded with `seed` and the epoch, so that an epoch does not depend on the random
    numbers drawn before it. Word vectors are frozen for the first `freeze_epochs` epochs.
    """

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
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.optimizer_config = optimizer
        self.objective = objective
        self.seed = seed
        self.freeze_epochs = freeze_epochs
        self.pseudo_weight = pseudo_weight
        weights = None if class_weights is None else torch.from_numpy(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.scores = {stage: StageScores(classes) for stage in ("train", "val", "test")}
        self.latest: dict[str, dict[str, Any]] = {}  # the last scores, by stage
        self.history: list[dict[str, Any]] = []  # scores by stage, for each epoch

    def decide(self, classes: Classes, temperature: float) -> None:
        """Divide all logits by a temperature, and score the decisions of `classes` from now on."""
        self.classifier.divide_logits(temperature)
        for scores in self.scores.values():
            scores.classes = classes

    def forward(self, ids: Tensor, lengths: Tensor, ngrams: NgramBatch | None = None) -> Tensor:
        return self.classifier(ids, lengths, ngrams)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Not in on_train_epoch_start: after that hook, the loader draws a random number.
        if batch_idx == 0:
            seeds = np.random.SeedSequence([self.seed, self.current_epoch])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

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
        return losses.mean()

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
        self.scores["train"].reset()
        freeze_layers(
            self.classifier,
            self.current_epoch,
            self.optimizer_config.unfreeze_every,
            self.freeze_epochs,
        )

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

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Lightning's Trainer refuses to clip gradients of a fused optimizer in mixed precision.
        if self.optimizer_config.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.optimizer_config.clip)

    def configure_optimizers(self) -> Any:
        config = self.optimizer_config
        optimizer = build_optimizer(self.classifier, config)
        if config.schedule is Schedule.constant:
            return optimizer
        schedule = build_schedule(optimizer, config, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
