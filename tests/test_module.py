import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from sklearn import metrics as reference
from torch.nn import functional as F

from lstm_sentiment.config import Config, OptimizerConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule, StageScores


def batch_of(labels: torch.Tensor, first_row: int = 0) -> Batch:
    rows = torch.arange(first_row, first_row + len(labels))
    return Batch(torch.zeros(len(labels), 1), torch.ones(len(labels)), labels, rows)


def scored(logits: torch.Tensor, labels: torch.Tensor, sizes: list[int]) -> StageScores:
    scores, start = StageScores(), 0
    for size in sizes:
        part = slice(start, start + size)
        losses = F.binary_cross_entropy_with_logits(logits[part], labels[part], reduction="none")
        scores.update(logits[part], losses, batch_of(labels[part], start))
        start += size
    return scores


def test_scores_equal_scikit_learns_over_uneven_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (100,), generator=generator).float()
    logits = torch.randn(100, generator=generator) + labels
    result = scored(logits, labels, [60, 37, 3]).compute()

    probability = logits.sigmoid().double().numpy()
    truth, answer = labels.numpy(), probability > 0.5
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(truth, answer))
    assert result["precision"] == pytest.approx(reference.precision_score(truth, answer))
    assert result["recall"] == pytest.approx(reference.recall_score(truth, answer))
    assert result["f1"] == pytest.approx(reference.f1_score(truth, answer))
    assert result["auroc"] == pytest.approx(reference.roc_auc_score(truth, probability))
    assert result["loss"] == pytest.approx(reference.log_loss(truth, probability), rel=1e-5)
    assert result["confusion_matrix"] == reference.confusion_matrix(truth, answer).tolist()


def test_logits_between_0_and_1_are_not_taken_for_probabilities() -> None:
    # All positive, so all answers are "positive"; as probabilities .2 and .3 would be "negative".
    result = scored(torch.tensor([0.2, 0.3, 0.9]), torch.tensor([1.0, 1.0, 0.0]), [3]).compute()
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["confusion_matrix"] == [[0, 1], [0, 2]]


def test_predictions_stand_in_the_order_of_their_rows() -> None:
    scores = StageScores()
    for first, logit in ((2, 1.0), (0, -1.0)):
        scores.update(torch.full((2,), logit), torch.zeros(2), batch_of(torch.ones(2), first))
    predictions = scores.predictions()
    assert predictions["index"].tolist() == [0, 1, 2, 3]
    low, high = 1 / (1 + math.e), math.e / (1 + math.e)
    assert predictions["probability"].tolist() == pytest.approx([low, low, high, high])
    scores.reset()
    scores.update(torch.zeros(1), torch.zeros(1), batch_of(torch.ones(1)))
    assert scores.predictions()["index"].tolist() == [0]


def test_a_loss_that_is_no_number_is_not_averaged_away() -> None:
    scores = StageScores()
    for loss in (0.5, math.nan):
        scores.update(torch.zeros(2), torch.tensor([0.5, loss]), batch_of(torch.tensor([0.0, 1.0])))
    assert np.isnan(scores.compute()["loss"])


def test_gradients_are_clipped_to_their_norm(tiny: Callable[..., Config]) -> None:
    for clip, expected in ((0.5, 0.5), (None, 5.0)):
        module = SentimentModule(
            Classifier(tiny(), 10), OptimizerConfig(clip=clip, schedule="constant")
        )
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        module.classifier.output.weight.grad[0, :2] = torch.tensor([3.0, 4.0])
        module.on_before_optimizer_step(module.configure_optimizers())
        assert module.classifier.output.weight.grad.norm().item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_optimizer_is_the_configured_one(tiny: Callable[..., Config], name: str) -> None:
    module = SentimentModule(
        Classifier(tiny(), 10),
        OptimizerConfig(name, lr=0.03, weight_decay=0.2, schedule="constant"),
    )
    optimizer = module.configure_optimizers()
    assert type(optimizer) is {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    assert optimizer.defaults["lr"] == 0.03
    assert optimizer.defaults["weight_decay"] == 0.2
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in module.classifier.parameters()}


@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [0.08] * 4), ("linear", [0.08, 0.06, 0.04, 0.02])]
)
def test_the_learning_rate_falls_to_zero_over_all_epochs(
    tiny: Callable[..., Config], tmp_path: Path, schedule: str, expected: list[float]
) -> None:
    config = tiny(data={"batch_size": 48})  # 96 training reviews: two batches, two epochs
    data = ReviewDataModule(config.data, test=False)
    data.setup()
    module = SentimentModule(
        Classifier(config, len(data.vocabulary)), OptimizerConfig(lr=0.08, schedule=schedule)
    )
    rates: list[float] = []

    class Watch(L.Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

    L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=TensorBoardLogger(tmp_path),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Watch()],
    ).fit(module, data)
    assert rates == pytest.approx(expected)
