"""The benchmark of serving measures every form of a network, and a process that predicts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm_sentiment.config import Config
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.serving.evaluation import evaluate
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import saved
from tests.support.project import RunCommand

MODULE = "scripts.benchmarks.serving"


def test_it_measures_every_form_and_a_file_of_rows(
    script: RunCommand, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    run = saved(tmp_path / "run", tiny(encoder={"cell": "gru"}))
    texts, labels = generate(60, 1)
    lines = [
        f'{{"text": {json.dumps(t)}, "label": {n}}}' for t, n in zip(texts, labels, strict=True)
    ]
    file, output = tmp_path / "a.jsonl", tmp_path / "serving.json"
    file.write_text("\n".join(lines))
    result = script(MODULE, str(run), "--file", str(file), "--rows", "30", "-o", str(output))
    assert result.code == 0, result.text
    record = json.loads(output.read_text())
    eager, exported, int8 = record["networks"]
    assert [row["form"] for row in record["networks"]] == ["eager", "ONNX", "ONNX int8"]
    assert eager["network"] == "gru, last"
    expected = evaluate({"it": Predictor.load(run)}, file, FileReading()).networks["it"]
    assert eager["accuracy"] == exported["accuracy"] == expected["accuracy"]
    weights = run / "model" / "model.safetensors"
    assert eager["mib"] == weights.stat().st_size / 2**20
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in record["networks"])
    assert record["file"]["rows"] == 30
    assert record["file"]["peak_mib"] > 100  # the least that PyTorch takes
    assert "| gru, last | eager | 0.0 |" in result.text
    assert "CSV of 30 rows" in result.text
    assert int8["reviews_per_second"] > 0


def test_a_missing_file_is_reported_without_a_traceback(script: RunCommand, tmp_path: Path) -> None:
    result = script(MODULE, str(tmp_path), "--file", str(tmp_path / "none.csv"))
    assert result.code == 1
    assert "none.csv" in result.text
    assert "Traceback" not in result.text
