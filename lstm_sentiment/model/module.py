"""logit -> metrics: the one LightningModule, for every encoder and head."""

from math import isfinite
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LinearLR
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryConfusionMatrix,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
)

from lstm_sentiment.config import OptimizerConfig, OptimizerName, Schedule
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.errors import RunError
from lstm_sentiment.model.adversary import moved
from lstm_sentiment.model.classifier import Classifier

OPTIMIZERS = {OptimizerName.adam: torch.optim.Adam, OptimizerName.adamw: torch.optim.AdamW}


class StageScores:
    """Loss and classification scores of one pass over a split, from probabilities.

    Never from logits: torchmetrics takes logits that happen to lie within [0, 1] for probabilities.
    Scored at the end and on the CPU: on CUDA, a deterministic AUROC takes memory for all pairs.
    """

    def __init__(self) -> None:
        scores: dict[str, Metric | MetricCollection] = {
            "accuracy": BinaryAccuracy(),
            "precision": BinaryPrecision(),
            "recall": BinaryRecall(),
            "f1": BinaryF1Score(),
            "auroc": BinaryAUROC(),
            "confusion_matrix": BinaryConfusionMatrix(),
        }
        self.scores = MetricCollection(scores)
        self.seen: list[tuple[Tensor, ...]] = []

    def reset(self) -> None:
        self.seen = []

    def update(self, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """(B,), (B,): one of each for every review of the batch"""
        probabilities = logits.detach().float().sigmoid()
        self.seen.append((batch.rows, batch.labels, probabilities, losses.detach()))

    def compute(self) -> dict[str, Any]:
        """accuracy, precision, recall, f1, auroc, loss as numbers; [[tn, fp], [fn, tp]]"""
        _, labels, probabilities, losses = self._columns()
        loss = losses.double().mean().item()
        if not isfinite(loss):
            return {"loss": loss}  # the others would only raise
        self.scores.reset()
        self.scores.update(probabilities, labels.int())
        values = {name: value.tolist() for name, value in self.scores.compute().items()}
        return {"loss": loss, **values}

    def predictions(self) -> dict[str, Tensor]:
        """index, label and probability of every review seen, in the order of their index."""
        index, label, probability, _ = self._columns()
        order = index.argsort()
        return {"index": index[order], "label": label[order], "probability": probability[order]}

    def _columns(self) -> tuple[Tensor, ...]:
        return tuple(torch.cat(column).cpu() for column in zip(*self.seen, strict=True))


class SentimentModule(L.LightningModule):
    """Trains a classifier by binary cross-entropy and scores it on train, val and test.

    `seed` draws the dropout, anew for every epoch, so that an epoch does not depend on the random
    numbers that were drawn before it. The words' vectors are trained after `freeze_epochs` epochs.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimizer: OptimizerConfig,
        seed: int = 0,
        freeze_epochs: int = 0,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.optimizer_config = optimizer
        self.seed = seed
        self.freeze_epochs = freeze_epochs
        self.scores = {stage: StageScores() for stage in ("train", "val", "test")}
        self.latest: dict[str, dict[str, Any]] = {}  # stage -> the scores of its last pass
        self.history: list[dict[str, Any]] = []  # those of train and val, epoch by epoch

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        return self.classifier(ids, lengths)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if batch_idx == 0:  # earlier hooks come before the loader, which draws a number, too
            seeds = np.random.SeedSequence([self.seed, self.current_epoch])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

    def training_step(self, batch: Batch) -> Tensor:
        if self.optimizer_config.adversarial > 0:
            return self._adversarial_step(batch)
        return self._step(batch, "train")

    def _adversarial_step(self, batch: Batch) -> Tensor:
        """The loss, and that of the same reviews moved against the network."""
        net = self.classifier
        vectors = net.vectors(batch.ids)
        if not vectors.requires_grad:  # they are not trained in this epoch
            vectors.requires_grad_()
        loss = self._losses(net.classify(vectors, batch.lengths), batch, "train").mean()
        sources = [vectors, *(p for p in net.parameters() if p is not net.embedding.weight)]
        gradients = torch.autograd.grad(loss, sources)
        harder = moved(vectors, gradients[0], self.optimizer_config.adversarial)
        logits = net.classify(harder, batch.lengths)
        # What has the first loss's gradients, which are known, stands for it: a pass less.
        known = [(x * g).sum() for x, g in zip(sources, gradients, strict=True)]
        stand_in = torch.stack(known).sum()
        stand_in = stand_in - stand_in.detach() + loss.detach()
        return stand_in + F.binary_cross_entropy_with_logits(logits, batch.labels)

    def validation_step(self, batch: Batch) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Batch) -> None:
        self._step(batch, "test")

    def _step(self, batch: Batch, stage: str) -> Tensor:
        return self._losses(self(batch.ids, batch.lengths), batch, stage).mean()

    def _losses(self, logits: Tensor, batch: Batch, stage: str) -> Tensor:
        """(B,) -> (B,), counted among the stage's scores"""
        losses = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
        self.scores[stage].update(logits, losses, batch)
        return losses

    def on_train_epoch_start(self) -> None:
        self.scores["train"].reset()
        self.classifier.embedding.requires_grad_(self.current_epoch >= self.freeze_epochs)

    def on_validation_epoch_start(self) -> None:
        self.scores["val"].reset()

    def on_test_epoch_start(self) -> None:
        self.scores["test"].reset()

    def on_train_epoch_end(self) -> None:
        self._finish("train")  # after the epoch's validation
        self.history.append({stage: self.latest.get(stage) for stage in ("train", "val")})

    def on_validation_epoch_end(self) -> None:
        self._finish("val")

    def on_test_epoch_end(self) -> None:
        self._finish("test")

    def _finish(self, stage: str) -> None:
        scores = self.scores[stage].compute()
        if not isfinite(scores["loss"]):
            raise RunError(
                f"the {stage} loss is {scores['loss']} in epoch {self.current_epoch + 1}: "
                f"a lower optimizer.lr than {self.optimizer_config.lr} may help"
            )
        self.latest[stage] = scores
        # The best epoch's second validation is no new point of the curve.
        drawn = self.trainer.state.fn is not TrainerFn.VALIDATING
        named = {f"{stage}/{k}": v for k, v in scores.items() if k != "confusion_matrix"}
        self.log_dict(named, logger=drawn and self.trainer.logger is not None)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Not by the Trainer, which refuses to clip for a fused optimizer in mixed precision.
        if self.optimizer_config.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.optimizer_config.clip)

    def configure_optimizers(self) -> Any:
        config = self.optimizer_config
        optimizer = OPTIMIZERS[config.name](
            self.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        if config.schedule is Schedule.constant:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        decay = LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, "interval": "step"}}
