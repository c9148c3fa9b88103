"""The progress of training: lines, bars and `progress.json`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lstm_sentiment import Config
from lstm_sentiment.display import Advance
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import progress
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.run import execute
from tests.support.displays import RecordingDisplay
from tests.support.project import Killed, MakeConfig, StepCalls


class CountingDisplay(RecordingDisplay):
    """A display that counts the bars that are open."""

    open = 0

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Advance]:
        self.open += 1
        with super().progress(title, total) as advance:
            yield advance
        self.open -= 1


def train(config: Config) -> tuple[CountingDisplay, dict[str, Any]]:
    display = CountingDisplay()
    return display, execute(Plan.of(config), display)


def test_every_epoch_has_a_line_with_the_scores_of_the_record(tiny: MakeConfig) -> None:
    display, record = train(tiny())
    lines = [line for line in display.messages if line.startswith("epoch")]
    assert len(lines) == len(record["epochs"]) == 2
    for line, epoch in zip(lines, record["epochs"], strict=True):
        assert f"epoch {epoch['epoch']} of 2" in line
        for split in ("train", "val"):
            scores = epoch[split]
            assert f"{split} loss {scores['loss']:.3f}, accuracy {scores['accuracy']:.1%}" in line


def test_bars_show_every_batch_of_training_validation_and_test(tiny: MakeConfig) -> None:
    display, _ = train(tiny(data={"batch_size": 16}))
    # 96 training reviews in batches of 16; 24 validation and 40 test reviews in batches of 64.
    epochs = [("epoch 1 of 2", 6), ("validating", 1), ("epoch 2 of 2", 6), ("validating", 1)]
    evaluation = [("validating", 1), ("testing", 1)]
    assert [(bar.title, bar.total) for bar in display.bars] == [*epochs, *evaluation]
    for bar in display.bars:
        assert bar.total is not None
        assert bar.steps == list(range(1, bar.total + 1))
    assert display.open == 0


def test_a_failure_closes_the_bar(tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    StepCalls(monkeypatch, "validation_step", last=1)
    display = CountingDisplay()
    with pytest.raises(Killed):
        execute(Plan.of(tiny()), display)
    assert display.bars
    assert display.open == 0


def test_progress_json_holds_epoch_and_share_until_the_run_is_finished(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan.of(tiny(data={"batch_size": 16}))
    contents = []
    validation_step = SentimentModule.validation_step

    def read_and_validate(self: SentimentModule, batch: Any) -> None:
        contents.append(json.loads((plan.folder / "progress.json").read_text()))
        validation_step(self, batch)

    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    monkeypatch.setattr(SentimentModule, "validation_step", read_and_validate)
    execute(plan, RecordingDisplay())
    assert [(c["epoch"], c["share"]) for c in contents[:2]] == [(1, 0.5), (2, 1.0)]
    assert not (plan.folder / "progress.json").exists()
