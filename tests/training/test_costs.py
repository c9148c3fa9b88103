"""Seconds and tokens of a run."""

from typing import Any

import pytest

from lstm_sentiment.training import costs as module
from lstm_sentiment.training.costs import Costs

UNUSED: Any = None  # trainer and module


def set_clock(patch: pytest.MonkeyPatch, *times: float) -> None:
    clock = iter(times)
    patch.setattr(module.time, "perf_counter", lambda: next(clock))


def train_epoch(costs: Costs, *batches: list[int], validate: bool = False) -> None:
    """Report an epoch with batches of reviews of these lengths."""
    costs.on_train_epoch_start(UNUSED, UNUSED)
    for lengths in batches:
        batch: Any = type("Batch", (), {"tokens": sum(lengths)})
        costs.on_train_batch_end(UNUSED, UNUSED, None, batch, 0)
    if validate:
        costs.on_validation_start(UNUSED, UNUSED)
    costs.on_train_epoch_end(UNUSED, UNUSED)


def test_the_seconds_of_an_epoch_exclude_its_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 100.0, 107.0, 200.0, 203.0)
    costs = Costs("cpu")
    train_epoch(costs, validate=True)
    train_epoch(costs)
    assert costs.seconds == [7.0, 3.0]


def test_tokens_are_counted_for_each_epoch() -> None:
    costs = Costs("cpu")
    train_epoch(costs, [3, 4], [5])
    train_epoch(costs, [1])
    assert costs.tokens == [12, 1]


def test_the_evaluation_on_the_test_set_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 10.0, 12.5)
    costs = Costs("cpu")
    costs.on_test_start(UNUSED, UNUSED)
    costs.on_test_end(UNUSED, UNUSED)
    assert costs.test_seconds == 2.5


def test_seconds_add_up_over_the_attempts_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 0.0, 30.0, 1000.0, 1005.0)
    first = Costs("cpu")
    first.on_fit_start(UNUSED, UNUSED)
    checkpoint = first.state_dict()  # after 30 seconds
    second = Costs("cpu")
    second.load_state_dict(checkpoint)
    second.on_fit_start(UNUSED, UNUSED)
    second.on_fit_end(UNUSED, UNUSED)
    assert second.fit_seconds == 35.0
