from typing import Any

import pytest
import torch

from lstm_sentiment.training import progress
from lstm_sentiment.training.progress import Costs

NOBODY: Any = None


def at(*times: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(times)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))


def test_an_epoch_is_timed_without_its_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    at(100.0, 107.0, 200.0, 203.0, monkeypatch=monkeypatch)
    costs = Costs("cpu")
    costs.on_train_epoch_start(NOBODY, NOBODY)
    costs.on_validation_start(NOBODY, NOBODY)
    costs.on_train_epoch_end(NOBODY, NOBODY)
    costs.on_train_epoch_start(NOBODY, NOBODY)
    costs.on_train_epoch_end(NOBODY, NOBODY)
    assert costs.seconds == [7.0, 3.0]


def test_tokens_are_counted_for_each_epoch() -> None:
    costs = Costs("cpu")
    for epoch in ([[3, 4], [5]], [[1]]):
        costs.on_train_epoch_start(NOBODY, NOBODY)
        for lengths in epoch:
            batch: Any = type("Batch", (), {"lengths": torch.tensor(lengths)})
            costs.on_train_batch_end(NOBODY, NOBODY, None, batch, 0)
        costs.on_train_epoch_end(NOBODY, NOBODY)
    assert costs.tokens == [12, 1]


def test_the_test_pass_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    at(10.0, 12.5, monkeypatch=monkeypatch)
    costs = Costs("cpu")
    costs.on_test_start(NOBODY, NOBODY)
    costs.on_test_end(NOBODY, NOBODY)
    assert costs.test_seconds == 2.5


def test_seconds_add_up_over_the_attempts_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    at(0.0, 30.0, 1000.0, 1005.0, monkeypatch=monkeypatch)
    first = Costs("cpu")
    first.on_fit_start(NOBODY, NOBODY)
    kept = first.state_dict()  # after 30 seconds; what came later was lost
    second = Costs("cpu")
    second.load_state_dict(kept)
    second.on_fit_start(NOBODY, NOBODY)
    second.on_fit_end(NOBODY, NOBODY)
    assert second.fit_seconds == 35.0
