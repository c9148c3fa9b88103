"""The benchmark of a step times the data, a bare loop and a whole run."""

import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.benchmarks.step", "--steps=2", "--turns=1", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_it_times_data_loop_and_run(tmp_path: Path) -> None:
    few = ["data=synthetic", "data.limit_train=200", "encoder.hidden_size=4"]
    result = call(*few, f"data.cache={tmp_path}")
    assert result.returncode == 0, result.stderr
    data, bare, whole = (line.split() for line in result.stdout.splitlines()[-3:])
    assert (data[0], bare[:2], whole[:2]) == ("data", ["bare", "loop"], ["whole", "run"])
    assert 0 < float(data[1]) < float(bare[2])
    assert bare[3] == "100.0%"
    assert float(whole[2]) > 0


def test_a_wrong_word_is_reported_without_a_traceback() -> None:
    result = call("encoder=transformer")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "transformer" in result.stderr
