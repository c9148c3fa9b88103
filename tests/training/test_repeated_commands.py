"""Runs that belong to a command, are trained again, or are damaged; the clock decides nothing."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment import Config, InputError, RunError, run
from lstm_sentiment.commands.sweep import Sweep
from lstm_sentiment.runs.identity import COMMAND
from lstm_sentiment.runs.reader import State, read_run
from lstm_sentiment.training import train as training
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.run import execute
from lstm_sentiment.training.tensorboard_callback import TensorBoard
from tests.support.displays import RecordingDisplay
from tests.support.project import Killed, MakeConfig, StepCalls, folder_of, without_times
from tests.support.records import amend, put


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw plots, which takes a large part of a small run."""
    monkeypatch.setattr(training, "save_plots", lambda *_: None)
    monkeypatch.setattr(TensorBoard, "finish", lambda *_: None)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> StepCalls:
    return StepCalls(monkeypatch, "training_step")


def dated_in_the_future(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (4e9, 4e9))


def trained(steps: StepCalls, plan: Plan) -> bool:
    before = steps.count
    execute(plan, RecordingDisplay())
    return steps.count > before


def test_each_command_with_rerun_trains_a_run_once_whatever_the_clock_says(
    tiny: MakeConfig, steps: StepCalls
) -> None:
    config = replace(tiny(trainer={"max_epochs": 1}), rerun=True)
    assert trained(steps, Plan.of(config, command="a"))
    for command in ("b", "c"):
        dated_in_the_future(folder_of(config))
        assert trained(steps, Plan.of(config, command=command))
        # In another process of the same command:
        plan = Plan.of(config, command=command)
        assert plan.finished_record
        assert not trained(steps, plan)
    assert Plan.of(config).finished_record is None


def test_a_failure_counts_for_its_own_command_only(tiny: MakeConfig, steps: StepCalls) -> None:
    config = tiny(trainer={"max_epochs": 1})
    failure = {"schema": 1, "command": "a", "epoch": 1, "reason": "it rained"}
    folder = put(folder_of(config), failed=failure)
    dated_in_the_future(folder)
    plan = Plan.of(config, command="a")
    assert plan.failure_reason == "it rained"
    with pytest.raises(RunError, match="^it rained$"):
        execute(plan, RecordingDisplay())
    for content in (failure, failure | {"command": None}, [1]):  # older versions wrote no command
        put(folder, failed=content)
        assert Plan.of(config, command="b").failure_reason is None
    assert trained(steps, Plan.of(config, command="b"))
    assert not (folder / "failed.json").exists()


def test_a_failed_run_names_its_command(tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(training, "_fit", fail)
    config = tiny()
    with pytest.raises(RunError):
        execute(Plan.of(config, command="a"), RecordingDisplay())
    assert Plan.of(config, command="a").failure_reason == "ZeroDivisionError: no message"
    assert Plan.of(config, command="b").failure_reason is None


def test_processes_of_a_launcher_have_the_command_of_their_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(COMMAND, "a")
    assert Sweep(1).command == Sweep(2).command == "a"
    monkeypatch.delenv(COMMAND)
    assert Sweep(1).command != Sweep(1).command


# Damaged records and files of others


def trained_again(config: Config, steps: StepCalls) -> tuple[dict[str, Any], str]:
    """Run again; return the record and the messages. The run must have been trained."""
    before, display = steps.count, RecordingDisplay()
    record = execute(Plan.of(config), display)
    assert steps.count > before
    return record, "\n".join(display.messages)


def test_a_damaged_record_is_trained_again_and_files_of_others_stay(
    tiny: MakeConfig, steps: StepCalls
) -> None:
    config = tiny(trainer={"max_epochs": 1})
    record = run(config)
    folder = folder_of(config)
    amend(folder, lambda content: content["val"].update(accuracy=0.01))
    assert read_run(folder).state is State.failed
    put(folder / "onnx", config={"mine": 1})
    (folder / "notes.txt").write_text("mine")
    again, text = trained_again(config, steps)
    assert "run.json is damaged: val accuracy is 0.010000, but the confusion matrix" in text
    assert "the run is trained again" in text
    assert "(notes.txt, onnx): an exported model among them is that of the earlier network" in text
    assert without_times(again) == without_times(record)
    assert read_run(folder).state is State.done
    (folder / "model" / "notes.txt").write_text("mine")
    _, text = trained_again(replace(config, rerun=True), steps)
    assert "damaged" not in text
    for name in ("notes.txt", "onnx/config.json", "model/notes.txt"):
        assert (folder / name).exists()


def test_the_rounding_of_older_versions_is_no_damage(tiny: MakeConfig, steps: StepCalls) -> None:
    config = tiny(trainer={"max_epochs": 1})
    accuracy = run(config)["test"]["accuracy"] + 5e-7
    amend(folder_of(config), lambda content: content["test"].update(accuracy=accuracy))
    before = steps.count
    assert run(config)["test"]["accuracy"] == accuracy
    assert steps.count == before


def test_a_link_is_refused_and_nothing_is_lost(tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny(trainer={"max_epochs": 1})
    run(config)
    folder = folder_of(config)
    model = (folder / "model").rename(tmp_path / "model")
    (folder / "model").symlink_to(model)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(InputError, match="model is a link, but a run needs a folder there"):
            run(replace(config, rerun=True))
    assert {path: path.read_bytes() for path in before} == before


# Attempts


def attempts_of(record: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the first epoch and the threads of each attempt."""
    return [(each["epoch"], each["environment"]["threads"]) for each in record["attempts"]]


def test_every_attempt_is_recorded_with_its_environment(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    config = tiny(trainer={"max_epochs": 3})
    for threads, last in ((1, 3), (2, 1), (3, 3)):  # the second attempt completes no epoch
        trainer = replace(config.trainer, threads=threads)
        with monkeypatch.context() as patch:
            StepCalls(patch, "training_step", last)
            with pytest.raises(Killed):
                run(replace(config, trainer=trainer))
    record = run(config)
    assert attempts_of(record) == [(1, 1), (2, 3), (3, 1)]
    assert record["environment"] == record["attempts"][-1]["environment"]
    assert json.loads((folder_of(config) / "run.json").read_text()) == record
    [attempt] = run(replace(config, rerun=True))["attempts"]
    assert attempt["epoch"] == 1


@pytest.mark.parametrize("content", ["{", {"attempts": 1}, {"attempts": [{"epoch": 1}]}, {}])
def test_a_damaged_configuration_loses_earlier_attempts_only(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    config = tiny()
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", 3)
        with pytest.raises(Killed):
            run(config)
    put(folder_of(config), config=content)
    assert attempts_of(run(config)) == [(2, 1)]
