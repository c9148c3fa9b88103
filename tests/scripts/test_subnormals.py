"""The benchmark of subnormal numbers times backward steps with and without flushing them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.benchmarks.subnormals", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_it_times_backward_steps(tmp_path: Path) -> None:
    few = ["data=synthetic", "data.limit_train=200", "encoder.hidden_size=4"]
    result = call(*few, f"data.cache={tmp_path}")
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[-8:]]
    assert [row[0] for row in rows] == ["0", "1", "2", "4", "8", "16", "32", "64"]
    for _, flushed, plain, ratio, share in rows:
        assert float(flushed) > 0
        assert float(ratio[:-1]) == pytest.approx(float(plain) / float(flushed), rel=0.2)
        assert 0 <= float(share[:-1]) <= 100


def test_a_wrong_word_is_reported_without_a_traceback() -> None:
    result = call("encoder=transformer")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "transformer" in result.stderr
