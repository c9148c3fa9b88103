import sys
from pathlib import Path

import pytest

from lstm_sentiment.training.sweep import Sweep, typed


def test_time_left_is_that_of_the_runs_to_come() -> None:
    sweep = Sweep(5)
    sweep.begun = 1
    assert sweep._time_left() == ""
    sweep.begun, sweep.durations = 3, [20.0, 40.0]
    assert sweep._time_left() == "about 90 s left" or sweep._time_left() == "about 2 min left"
    sweep.durations = [600.0, 300.0]
    assert sweep._time_left() == "about 22 min left"
    sweep.size = None
    assert sweep._time_left() == ""


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
