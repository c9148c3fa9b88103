"""The moving average of the weights: its arithmetic, and its place in a run."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from lstm_sentiment import Config, run
from lstm_sentiment.config import Calibration, DecisionConfig
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training.averaging import WeightAverage
from lstm_sentiment.training.checkpoints import VerifiedCheckpointIO, latest
from tests.support.project import (
    MakeConfig,
    folder_of,
    read_events,
    reviews_of,
    scalars,
)


class Weight(nn.Module):
    """A module of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(("decay", "third"), [(0.999, 2.7), (0.2, 0.2 * 1.8 + 0.8 * 3)])
def test_three_steps_by_hand(decay: float, third: float) -> None:
    """The weights are 0, then 1, 2 and 3; the decays are 1/10, 2/11 and 3/12, if not limited."""
    average, module = WeightAverage(decay), Weight()
    trainer: Any = SimpleNamespace(global_step=0)
    average.on_train_start(trainer, module)  # type: ignore[arg-type]
    for expected in (0.1 * 0 + 0.9 * 1, 2 / 11 * 0.9 + 9 / 11 * 2, third):
        trainer.global_step += 1
        module.number.data += 1
        average.on_train_batch_end(trainer, module, None, None, 0)  # type: ignore[arg-type]
        assert average.weights["number"].item() == pytest.approx(expected)
    assert module.number.item() == 3


def test_a_weight_that_is_not_trained_stays_exactly() -> None:
    average, module = WeightAverage(0.999), Weight()
    module.number.data.fill_(0.1)
    average.on_train_start(SimpleNamespace(), module)  # type: ignore[arg-type]
    for step in range(1, 200):
        trainer: Any = SimpleNamespace(global_step=step)
        average.on_train_batch_end(trainer, module, None, None, 0)  # type: ignore[arg-type]
    assert torch.equal(average.weights["number"], module.number)


@pytest.mark.parametrize(
    ("stage", "expected"), [(TrainerFn.FITTING, 5.0), (TrainerFn.VALIDATING, 7.0)]
)
def test_only_validations_during_training_see_the_average(
    stage: TrainerFn, expected: float
) -> None:
    average, module = WeightAverage(0.9), Weight()
    average.weights = {"number": torch.full((1,), 5.0)}
    module.number.data.fill_(7.0)
    trainer: Any = SimpleNamespace(state=SimpleNamespace(fn=stage))
    average.on_validation_start(trainer, module)  # type: ignore[arg-type]
    assert module.number.item() == expected
    average.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert module.number.item() == 7
    assert average.weights["number"].item() == 5


# Runs


def averaged(tiny: MakeConfig, **fields: Any) -> Config:
    """Return a run of three epochs with six steps each."""
    data = {"batch_size": 16, **fields.pop("data", {})}
    return tiny(
        optimizer={"lr": 0.01, "average": 0.9},
        early_stopping={"patience": None},
        trainer={"max_epochs": 3},
        data=data,
        keep_checkpoints=True,
        **fields,
    )


def checkpoint_of(config: Config) -> dict[str, Any]:
    """Return the content of the last checkpoint."""
    path, _ = latest(folder_of(config) / "checkpoints")
    return VerifiedCheckpointIO().load_checkpoint(path)


def average_of(config: Config) -> dict[str, Tensor]:
    """Return the average in the last checkpoint, by the name of the parameter in the network."""
    weights = checkpoint_of(config)["callbacks"]["WeightAverage"]["weights"]
    return {name.removeprefix("classifier."): tensor for name, tensor in weights.items()}


def saved(config: Config) -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder_of(config) / "model" / "model.safetensors")


def assert_equal(weights: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_training_continues_with_the_weights_themselves(tiny: MakeConfig) -> None:
    config = averaged(tiny)
    plain = replace(config, optimizer=replace(config.optimizer, average=0.0))
    records = [run(each) for each in (config, plain)]
    assert_equal(*(checkpoint_of(each)["state_dict"] for each in (config, plain)))
    losses = [[epoch["train"]["loss"] for epoch in record["epochs"]] for record in records]
    assert losses[0] == losses[1]
    losses = [[epoch["val"]["loss"] for epoch in record["epochs"]] for record in records]
    assert all(one != other for one, other in zip(*losses, strict=True))


def test_the_average_is_validated_kept_and_saved(tiny: MakeConfig) -> None:
    """The best epoch is the last one here, whose average is in the checkpoint."""
    config = averaged(tiny)
    record = run(config)
    assert record["best_epoch"] == 3
    assert_equal(saved(config), average_of(config))
    assert record["epochs"][-1]["val"]["loss"] == record["val"]["loss"]
    events = read_events(folder_of(config))
    assert [*scalars(events, "val/loss").values()][-1] == pytest.approx(record["val"]["loss"])


def test_the_validation_loss_is_that_of_the_average(tiny: MakeConfig) -> None:
    config = averaged(tiny)
    record = run(config)
    data = reviews_of(config)
    net = Classifier(config, len(data.vocabulary)).eval()
    net.load_state_dict(average_of(config))
    with torch.inference_mode():
        losses = [
            nn.functional.binary_cross_entropy_with_logits(
                net(batch.ids, batch.lengths), batch.labels, reduction="none"
            )
            for batch in data.val_dataloader()
        ]
    expected = record["epochs"][-1]["val"]["loss"]
    assert torch.cat(losses).mean().item() == pytest.approx(expected, rel=1e-5)


def test_without_validation_set_the_average_of_the_last_epoch_is_saved(tiny: MakeConfig) -> None:
    config = averaged(tiny, data={"val_fraction": 0.0})
    run(config)
    assert_equal(saved(config), average_of(config))


def test_a_run_without_average_has_none_in_its_checkpoints(tiny: MakeConfig) -> None:
    config = tiny(trainer={"max_epochs": 1}, keep_checkpoints=True)
    run(config)
    assert "WeightAverage" not in checkpoint_of(config)["callbacks"]


def test_a_temperature_divides_the_average(tiny: MakeConfig) -> None:
    """The decision is chosen for the weights that are saved."""
    config = replace(averaged(tiny), decision=DecisionConfig(calibration=Calibration.temperature))
    temperature = run(config)["decision"]["calibration"]["temperature"]
    expected = average_of(config)["output.weight"] / temperature
    torch.testing.assert_close(saved(config)["output.weight"], expected)
