import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import tiny_config

from lstm_sentiment.files import HeldError
from lstm_sentiment.training import sweep as module
from lstm_sentiment.training.sweep import Sweep, typed


def test_time_left_is_that_of_the_runs_to_come() -> None:
    sweep = Sweep(5)
    sweep.begun = 1
    assert sweep._time_left() == ""
    sweep.begun, sweep.durations = 3, [20.0, 40.0]
    assert sweep._time_left() == "about 90 s left" or sweep._time_left() == "about 2 min left"
    sweep.durations = [600.0, 300.0]
    assert sweep._time_left() == "about 22 min left"
    assert Sweep(1)._time_left() == ""


def test_a_run_that_others_snatch_again_and_again_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = iter([HeldError, HeldError, None])

    def carry_out(_: Any) -> None:
        if (outcome := next(attempts)) is not None:
            raise outcome

    monkeypatch.setattr(module, "carry_out", carry_out)
    sweep = Sweep(1)
    config = tiny_config(str(tmp_path / "cache"), str(tmp_path))
    sweep.plans[module.Plan.of(config).folder] = (config, {})
    sweep._complete()
    assert next(attempts, "used up") == "used up"
    assert capsys.readouterr().out.count("another process trains it") == 2


def test_what_to_type_works_without_activation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed("lstm-sentiment") == ".venv/bin/lstm-sentiment"
    (tmp_path / "lstm-sentiment").touch(mode=0o755)
    assert typed("lstm-sentiment") == "lstm-sentiment"


def test_an_error_nobody_foresaw_does_not_end_the_sweep(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep = Sweep(2)

    def broken() -> None:
        raise ZeroDivisionError("a defect")

    sweep.train(broken, {})  # type: ignore[arg-type]
    assert sweep.close() == 1
    assert "ZeroDivisionError: a defect" in capsys.readouterr().out
