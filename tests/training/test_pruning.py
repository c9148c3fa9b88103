"""Runs that a search ends early: what they leave, and how they are trained to their end."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment import Config, run
from lstm_sentiment.runs.reader import read_run
from lstm_sentiment.runs.record import examine_record
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.run import execute
from lstm_sentiment.training.train import train
from tests.support.displays import RecordingDisplay
from tests.support.project import Killed, StepCalls, folder_of, results, tiny_config

EPOCHS = 3
BATCHES = 2  # of an epoch: 96 of the 120 reviews, 64 at a time


@pytest.fixture(scope="module")
def whole(cache: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, Any]]:
    """Return the configuration and the results of a run that was trained to its end."""
    root = str(tmp_path_factory.mktemp("whole"))
    config = tiny_config(
        cache, root, optimizer={"lr": 0.03}, trainer={"max_epochs": EPOCHS}, test=False
    )
    run(config)
    return config, results(folder_of(config))


def pruned_after(
    config: Config, epoch: int | None, display: RecordingDisplay | None = None
) -> tuple[dict[str, Any], list[tuple[int, float]]]:
    """Train until a search ends the run; return its record, and the accuracies it was asked for."""
    asked: list[tuple[int, float]] = []

    def may_continue(number: int, scores: Mapping[str, Any]) -> bool:
        asked.append((number, scores["accuracy"]))
        return number != epoch

    plan = replace(Plan.of(config), may_be_pruned=True)
    hook = partial(train, may_continue=may_continue)
    return execute(plan, display or RecordingDisplay(), train=hook), asked


def test_a_pruned_run_has_the_record_of_its_epochs(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path
) -> None:
    config, expected = replace(whole[0], root=str(tmp_path)), whole[1]
    record, asked = pruned_after(config, 2)
    assert record["pruned"] is True
    assert asked == [(e["epoch"], e["val"]["accuracy"]) for e in expected["epochs"][:2]]
    assert [e["val"] for e in record["epochs"]] == [e["val"] for e in expected["epochs"][:2]]
    best = record["epochs"][record["best_epoch"] - 1]["val"]
    assert record["val"]["accuracy"] == best["accuracy"]
    assert examine_record(folder_of(config)) == (record, "")
    assert not (folder_of(config) / "checkpoints").exists()


@pytest.mark.parametrize("epoch", [None, EPOCHS])
def test_a_run_that_was_trained_to_its_end_is_not_pruned(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path, epoch: int | None
) -> None:
    config = replace(whole[0], root=str(tmp_path))
    record, asked = pruned_after(config, epoch)
    assert "pruned" not in record
    assert [number for number, _ in asked] == [1, 2, 3]
    assert results(folder_of(config)) == whole[1]


@pytest.mark.parametrize("keep", [False, True])
def test_without_the_search_a_pruned_run_is_trained_to_its_end(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path, keep: bool
) -> None:
    """From the beginning, or from its checkpoint if that was kept; the results are the same."""
    config = replace(whole[0], root=str(tmp_path), keep_checkpoints=keep)
    pruned_after(config, 1)
    with pytest.MonkeyPatch.context() as patch:
        calls = StepCalls(patch, "training_step")
        record = run(config)
    assert calls.count == (len(record["epochs"]) - keep) * BATCHES
    assert results(folder_of(config)) == whole[1]


def test_a_search_trains_no_pruned_run_again(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path
) -> None:
    config = replace(whole[0], root=str(tmp_path))
    record, _ = pruned_after(config, 1)
    assert pruned_after(config, None) == (record, [])


def test_a_run_that_is_killed_after_it_was_pruned_is_not_trained_further(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(whole[0], root=str(tmp_path))
    with monkeypatch.context() as patch:
        StepCalls(patch, "validation_step", last=2)  # after training, in the evaluation
        with pytest.raises(Killed):
            pruned_after(config, 1)
    calls = StepCalls(monkeypatch, "training_step")
    record, asked = pruned_after(config, 1)
    assert calls.count == 0
    assert asked == []
    assert record["pruned"] is True
    assert len(record["epochs"]) == 1


def test_a_record_with_another_mark_is_damaged(
    whole: tuple[Config, dict[str, Any]], tmp_path: Path
) -> None:
    config = replace(whole[0], root=str(tmp_path))
    pruned_after(config, 1)
    file = folder_of(config) / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pruned": "yes"}))
    assert read_run(file.parent).trouble == "run.json is damaged: pruned is yes"
