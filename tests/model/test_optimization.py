"""Layers, their learning rates, schedules, and frozen layers."""

from collections.abc import Callable
from math import cos, pi
from typing import Any

import pytest
import torch
from torch import nn

from lstm_sentiment.config import Config, OptimizerConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model import kernels
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.model.optimization import build_optimizer, build_schedule, freeze_layers

Make = Callable[..., Config]

TOP = {"head.hidden.weight", "head.hidden.bias", "head.query.weight",
       "output.weight", "output.bias"}  # fmt: skip
LAST, FIRST = (
    {f"encoder.rnn.{kind}_l{layer}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    for layer in (1, 0)
)
VECTORS = {"embedding.weight"}
LAYERS = [TOP, LAST, FIRST, VECTORS]
BATCH = Batch(
    torch.tensor([[2, 3, 4], [5, 6, 0]]),
    torch.tensor([3, 2]),
    torch.tensor([1.0, 0.0]),
    torch.arange(2),
)


@pytest.fixture
def net(tiny: Make) -> Classifier:
    """Return an LSTM with two layers and a head with parameters."""
    return Classifier(tiny(encoder={"num_layers": 2}, head={"kind": "attention"}), 10)


def names_of(net: Classifier, parameters: Any) -> set[str]:
    """Return the names of parameters, each of which must occur once."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    found = [names[id(parameter)] for parameter in parameters]
    assert len({*found}) == len(found)
    return {*found}


# Layers and their rates


def test_layers_are_listed_from_the_output_to_the_word_vectors(net: Classifier) -> None:
    assert [names_of(net, layer) for layer in net.layers()] == LAYERS


def test_a_layer_has_both_directions(tiny: Make) -> None:
    net = Classifier(tiny(encoder={"bidirectional": True, "cell": "gru"}), 10)
    top, both, vectors = (names_of(net, layer) for layer in net.layers())
    assert top == {"output.weight", "output.bias"}
    assert vectors == VECTORS
    assert both == FIRST | {f"{name}_reverse" for name in FIRST}


def test_without_layer_decay_there_is_one_group_in_the_order_of_the_network(
    net: Classifier,
) -> None:
    [group] = build_optimizer(net, OptimizerConfig()).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in net.parameters()]
    assert (group["lr"], group["fused"]) == (2e-3, True)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_each_lower_layer_has_a_rate_times_layer_decay(net: Classifier, name: str) -> None:
    """The first step of Adam has the size of the rate, whatever the gradient."""
    optimizer = build_optimizer(net, OptimizerConfig(name, lr=0.08, layer_decay=0.5))
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, -3.0)
    optimizer.step()
    groups = optimizer.param_groups
    assert [names_of(net, group["params"]) for group in groups] == LAYERS
    assert [group["lr"] for group in groups] == [0.08, 0.04, 0.02, 0.01]
    for layer, rate in zip(LAYERS, (0.08, 0.04, 0.02, 0.01), strict=True):
        for each in layer:
            step = net.get_parameter(each) - before[each]
            torch.testing.assert_close(step, torch.full_like(step, rate))


def test_weight_decay_holds_in_all_groups(net: Classifier) -> None:
    config = OptimizerConfig("adamw", layer_decay=0.5, weight_decay=0.25)
    groups = build_optimizer(net, config).param_groups
    assert [group["weight_decay"] for group in groups] == [0.25] * 4


# Schedules


def rates_of(
    net: Classifier, steps: int, **fields: Any
) -> tuple[list[list[float]], list[list[float]]]:
    """Return the rate and Adam's beta1 of all groups at each step."""
    config = OptimizerConfig(**fields)
    optimizer = build_optimizer(net, config)
    schedule = build_schedule(optimizer, config, steps)
    rates, betas = [], []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        betas.append([group["betas"][0] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return rates, betas


def half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * share)) / 2


def test_one_cycle_by_hand(net: Classifier) -> None:
    """The rate has its peak in step 3 of steps 0 to 9."""
    rates, betas = rates_of(net, 10, lr=0.1, schedule="one_cycle")
    rise = [half_cosine(0.01, 0.1, step / 3) for step in range(3)]
    fall = [half_cosine(0.1, 1e-6, step / 6) for step in range(7)]
    assert [rate for [rate] in rates] == pytest.approx(rise + fall)
    assert rates[0][0] == pytest.approx(0.01)
    assert rates[3][0] == pytest.approx(0.1)
    assert rates[6][0] == pytest.approx((0.1 + 1e-6) / 2)
    assert rates[9][0] == pytest.approx(1e-6)
    fall = [half_cosine(0.95, 0.85, step / 3) for step in range(3)]
    rise = [half_cosine(0.85, 0.95, step / 6) for step in range(7)]
    assert [beta for [beta] in betas] == pytest.approx(fall + rise)


@pytest.mark.parametrize("warmup", [1e-9, 0.1, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("steps", [3, 4, 5, 10, 97])
def test_one_cycle_has_its_peak_at_the_share_of_warmup(
    net: Classifier, warmup: float, steps: int
) -> None:
    rates, _ = rates_of(net, steps, lr=0.1, schedule="one_cycle", warmup=warmup)
    flat = [rate for [rate] in rates]
    peak = flat.index(max(flat))
    assert max(flat) == pytest.approx(0.1)
    assert peak == min(max(round(warmup * steps), 1), steps - 2)
    assert flat[: peak + 1] == sorted(flat[: peak + 1])
    assert flat[peak:] == sorted(flat[peak:], reverse=True)
    assert flat[-1] == pytest.approx(1e-6)


@pytest.mark.parametrize("schedule", ["linear", "one_cycle"])
def test_a_schedule_holds_for_all_groups(net: Classifier, schedule: str) -> None:
    rates, _ = rates_of(net, 8, lr=0.1, schedule=schedule, layer_decay=0.5)
    for top, *lower in rates:
        assert lower == pytest.approx([top / 2, top / 4, top / 8])


def test_one_cycle_of_few_steps_ends_before_the_rate_has_fallen(net: Classifier) -> None:
    for steps in (1, 2):
        rates, _ = rates_of(net, steps, lr=0.1, schedule="one_cycle")
        assert [rate for [rate] in rates] == pytest.approx([0.01, 0.1][:steps])


# Frozen layers


def trained_parts(net: Classifier, epoch: int, unfreeze_every: int, freeze_epochs: int) -> str:
    """Return the initials of the layers that are trained: output, last, first, and vectors."""
    freeze_layers(net, epoch, unfreeze_every, freeze_epochs)
    trained = names_of(net, [p for p in net.parameters() if p.requires_grad])
    parts = [initial for initial, layer in zip("olfv", LAYERS, strict=True) if layer <= trained]
    assert trained == set().union(*(LAYERS["olfv".index(part)] for part in parts))
    return "".join(parts)


@pytest.mark.parametrize(
    ("unfreeze_every", "freeze_epochs", "expected"),
    [
        (0, 0, ["olfv"] * 3),
        (0, 2, ["olf", "olf", "olfv"]),
        (1, 0, ["o", "ol", "olf", "olfv", "olfv"]),
        (2, 0, ["o", "o", "ol", "ol", "olf", "olf", "olfv"]),
        (1, 2, ["o", "ol", "olf", "olfv"]),
        (1, 5, ["o", "ol", "olf", "olf", "olf", "olfv"]),
    ],
)
def test_layers_are_unfrozen_from_the_top(
    net: Classifier, unfreeze_every: int, freeze_epochs: int, expected: list[str]
) -> None:
    epochs = range(len(expected))
    found = [trained_parts(net, epoch, unfreeze_every, freeze_epochs) for epoch in epochs]
    assert found == expected


@pytest.mark.parametrize("adversarial", [0.0, 0.02])
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_frozen_layers_stay_as_they_are(
    net: Classifier, adversarial: float, layer_decay: float
) -> None:
    """Weight decay and moments of Adam do not change them, and their moments start at zero."""
    config = OptimizerConfig(
        "adamw", lr=0.1, weight_decay=0.5, schedule="constant",
        adversarial=adversarial, layer_decay=layer_decay,
    )  # fmt: skip
    module = SentimentModule(net, config)
    optimizer = module.configure_optimizers()
    steps = dict.fromkeys(dict(net.named_parameters()), 0)
    for epoch, trained in enumerate((TOP, TOP | LAST, TOP | LAST | FIRST)):
        freeze_layers(net, epoch, 1, 0)
        before = {name: parameter.clone() for name, parameter in net.named_parameters()}
        for _ in range(2):
            optimizer.zero_grad()
            module.training_step(BATCH).backward()
            optimizer.step()
        for name, parameter in net.named_parameters():
            assert torch.equal(parameter, before[name]) == (name not in trained), name
            steps[name] += 2 if name in trained else 0
            state = optimizer.state.get(parameter, {})
            assert state.get("step", 0) == steps[name]
            if name not in trained:
                assert parameter.grad is None
                assert not state


def test_no_gradient_is_computed_below_the_last_trained_layer(
    net: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = kernels.lstm_backward

    def counted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        original(*arguments)

    monkeypatch.setattr(kernels, "lstm_backward", counted)
    for epoch, expected in enumerate((0, 1, 2, 2)):
        calls = 0
        freeze_layers(net, epoch, 1, 0)
        nn.Module.zero_grad(net)
        net(BATCH.ids, BATCH.lengths).sum().backward()
        assert calls == expected
