"""The benchmark of a step times the data, a bare loop and a whole run."""

from pathlib import Path

from tests.support.project import RunCommand

STEP = ("scripts.benchmarks.step", "--steps=2", "--turns=1")


def test_it_times_data_loop_and_run(script: RunCommand, tmp_path: Path) -> None:
    few = ["data=synthetic", "data.limit_train=200", "encoder.hidden_size=4"]
    result = script(*STEP, *few, f"data.cache={tmp_path}")
    assert result.code == 0, result.text
    data, bare, whole = (line.split() for line in result.text.splitlines()[-3:])
    assert (data[0], bare[:2], whole[:2]) == ("data", ["bare", "loop"], ["whole", "run"])
    assert 0 < float(data[1]) < float(bare[2])
    assert bare[3] == "100.0%"
    assert float(whole[2]) > 0


def test_a_wrong_word_is_reported_without_a_traceback(script: RunCommand) -> None:
    result = script(*STEP, "encoder=transformer")
    assert result.code == 1
    assert "Traceback" not in result.text
    assert "transformer" in result.text
