from typing import Any

import pytest

from lstm_sentiment.training import progress
from lstm_sentiment.training.progress import Stopwatch


def test_an_epoch_is_timed_without_its_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 107.0, 200.0, 203.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    watch, nothing = Stopwatch(), [None, None]
    watch.on_train_epoch_start(*nothing)  # type: ignore[arg-type]
    watch.on_validation_start(*nothing)  # type: ignore[arg-type]
    watch.on_train_epoch_end(*nothing)  # type: ignore[arg-type]
    watch.on_train_epoch_start(*nothing)  # type: ignore[arg-type]
    watch.on_train_epoch_end(*nothing)  # type: ignore[arg-type]
    assert watch.epochs == [7.0, 3.0]


def test_the_test_pass_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = iter([10.0, 12.5])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    watch.on_test_start(None, None)  # type: ignore[arg-type]
    watch.on_test_end(None, None)  # type: ignore[arg-type]
    assert watch.test_seconds == 2.5
