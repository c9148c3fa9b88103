"""The LightningModule: optimizer, clipping and learning rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from lstm_sentiment.config import Config, OptimizerConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule


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
    ("schedule", "expected"), [("constant", [0.08] * 4), ("linear", [0.08, 0.06, 0.04, 0.02])]
)
def test_the_learning_rate_falls_to_zero_over_all_epochs(
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
