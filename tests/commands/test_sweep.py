"""The runs of one command: the time left, other processes, and errors."""

import sys
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment import Config
from lstm_sentiment.commands import sweep as module
from lstm_sentiment.commands.sweep import Sweep
from lstm_sentiment.commands.terminal import typed_program
from lstm_sentiment.files.locks import HeldError
from lstm_sentiment.training.plan import Plan
from tests.support.project import MakeConfig


def test_time_left_is_estimated_from_the_mean_duration() -> None:
    sweep = Sweep(5)
    sweep.begun = 1
    assert sweep._time_left() == ""
    sweep.begun, sweep.durations = 3, [20.0, 35.0]
    assert sweep._time_left() == "about 82 s left"
    sweep.durations = [600.0, 300.0]
    assert sweep._time_left() == "about 22 min left"


def test_a_single_run_shows_no_time_left() -> None:
    sweep = Sweep(1)
    sweep.begun, sweep.durations = 1, [20.0]
    assert sweep._time_left() == ""


def test_closing_waits_until_a_run_is_no_longer_locked(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = iter([HeldError, HeldError, None])

    def execute(*_: Any, **__: Any) -> None:
        if (error := next(attempts)) is not None:
            raise error

    monkeypatch.setattr(module, "execute", execute)
    sweep, config = Sweep(1), tiny()
    sweep.configs[Plan.of(config).folder] = (config, {})
    sweep.close()
    assert next(attempts, "no attempt left") == "no attempt left"
    assert capsys.readouterr().out.count("another process is training it") == 2


def test_a_program_is_found_without_activating_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed_program("lstm-sentiment") == ".venv/bin/lstm-sentiment"
    (tmp_path / "lstm-sentiment").touch(mode=0o755)
    assert typed_program("lstm-sentiment") == "lstm-sentiment"


def test_an_unexpected_error_does_not_stop_the_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    def make_config() -> Config:
        raise ZeroDivisionError("a defect")

    sweep = Sweep(2)
    sweep.train(make_config, {})
    assert sweep.close() == 1
    assert "ZeroDivisionError: a defect" in capsys.readouterr().out
