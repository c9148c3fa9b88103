"""The benchmark of subnormal numbers times backward steps with and without flushing them."""

from pathlib import Path

import pytest

from tests.support.project import RunCommand

MODULE = "scripts.benchmarks.subnormals"


@pytest.mark.slow
def test_it_times_backward_steps(script: RunCommand, tmp_path: Path) -> None:
    few = ["data=synthetic", "data.limit_train=200", "encoder.hidden_size=4"]
    result = script(MODULE, *few, f"data.cache={tmp_path}")
    assert result.code == 0, result.text
    rows = [line.split() for line in result.text.splitlines()[-8:]]
    assert [row[0] for row in rows] == ["0", "1", "2", "4", "8", "16", "32", "64"]
    for _, flushed, plain, ratio, share in rows:
        assert float(flushed) > 0
        assert float(ratio[:-1]) == pytest.approx(float(plain) / float(flushed), rel=0.2)
        assert 0 <= float(share[:-1]) <= 100


def test_a_wrong_word_is_reported_without_a_traceback(script: RunCommand) -> None:
    result = script(MODULE, "encoder=transformer")
    assert result.code == 1
    assert "Traceback" not in result.text
    assert "transformer" in result.text
