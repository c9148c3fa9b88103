"""The LightningModule: optimizer, clipping, learning rate, class weights and decision."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from lstm_sentiment.config import Config, OptimizerConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule, cross_entropy
from lstm_sentiment.model.objectives import objective_of


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
    optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert optimized == {id(p) for p in module.classifier.parameters()}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.08] * 4),
        ("linear", [0.08, 0.06, 0.04, 0.02]),
        ("one_cycle", [0.008, 0.08, (0.08 + 8e-7) / 2, 8e-7]),
    ],
)
def test_the_learning_rate_changes_over_all_epochs(
    tiny: Callable[..., Config], tmp_path: Path, schedule: str, expected: list[float]
) -> None:
    config = tiny(data={"batch_size": 48})  # two batches of 96 reviews, in two epochs
    data = ReviewDataModule(config.data, test=False)
    data.setup()
    module = SentimentModule(
        Classifier(config, len(data.vocabulary)), OptimizerConfig(lr=0.08, schedule=schedule)
    )
    rates: list[float] = []

    class RecordRates(L.Callback):
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
        callbacks=[RecordRates()],
    ).fit(module, data)
    assert rates == pytest.approx(expected)


# Class weights


def batch_of(*labels: float) -> Batch:
    """Return reviews of one to four words, with these labels."""
    count = len(labels)
    ids = torch.arange(4 * count).reshape(count, 4) % 8 + 2
    lengths = torch.arange(count) % 4 + 1
    ids[torch.arange(4) >= lengths.unsqueeze(1)] = 0
    return Batch(ids, lengths, torch.tensor(labels), torch.arange(count))


def module_of(config: Config, count: int, weights: list[float] | None) -> SentimentModule:
    torch.manual_seed(0)
    classes = Classes(tuple("abc"[:count]))
    array = None if weights is None else np.array(weights, np.float32)
    classifier = Classifier(config, 10, classes.outputs)
    return SentimentModule(
        classifier,
        config.optimizer,
        classes=classes,
        class_weights=array,
        objective=objective_of(config),
    )


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("adversarial", [0.0, 0.5])
def test_class_weights_weight_the_training_loss(
    tiny: Callable[..., Config], count: int, adversarial: float
) -> None:
    """The loss of a batch is the mean of weight x loss; a batch of one class shows its weight."""
    config = tiny(optimizer={"adversarial": adversarial}, encoder={"dropout": 0.0},
                  embedding={"dropout": 0.0})  # fmt: skip
    weights = [0.5, 2.0, 3.0][:count]
    plain, weighted = (module_of(config, count, each) for each in (None, weights))
    for label, weight in enumerate(weights):
        batch = batch_of(*[float(label)] * 3)
        expected = weight * plain.training_step(batch).item()
        assert weighted.training_step(batch).item() == pytest.approx(expected, rel=1e-5)
    if adversarial == 0:
        mixed = weighted.training_step(batch_of(0.0, 1.0, 1.0)).item()
        logits = plain(*batch_of(0.0, 1.0, 1.0)[:2])
        losses = cross_entropy(logits, torch.tensor([0.0, 1.0, 1.0])) * torch.tensor([0.5, 2, 2])
        assert mixed == pytest.approx(losses.mean().item(), rel=1e-5)


def test_class_weights_change_no_score(tiny: Callable[..., Config]) -> None:
    batch, scores = batch_of(0.0, 1.0, 2.0, 1.0), []
    for weights in (None, [0.5, 2.0, 3.0]):
        module = module_of(tiny(), 3, weights).eval()
        module.training_step(batch)
        module.validation_step(batch)
        scores += [module.scores[stage].compute() for stage in ("train", "val")]
    assert scores[0] == scores[1] == scores[2] == scores[3]


def test_class_weights_move_with_the_module_and_are_not_saved(tiny: Callable[..., Config]) -> None:
    module = module_of(tiny(), 2, [0.5, 2.0])
    assert "class_weights" not in module.state_dict()
    assert module.to("meta").class_weights.device.type == "meta"


# Decision


@pytest.mark.parametrize("count", [2, 3])
def test_a_temperature_divides_the_logits(tiny: Callable[..., Config], count: int) -> None:
    module = module_of(tiny(), count, None).eval()
    batch = batch_of(0.0, 1.0, 1.0)
    before = module(batch.ids, batch.lengths)
    module.decide(module.scores["val"].classes, 2.5)
    torch.testing.assert_close(module(batch.ids, batch.lengths), before / 2.5)


def test_scores_follow_the_threshold(tiny: Callable[..., Config]) -> None:
    module = module_of(tiny(), 2, None).eval()
    for threshold, expected in ((0.0, [[0, 1], [0, 2]]), (1.0, [[1, 0], [2, 0]])):
        module.decide(BINARY.with_threshold(threshold), 1.0)
        for stage, step in (("val", module.validation_step), ("test", module.test_step)):
            module.scores[stage].reset()
            step(batch_of(0.0, 1.0, 1.0))
            assert module.scores[stage].compute()["confusion_matrix"] == expected
