"""A trained baseline is used like a network: predict, evaluate and explain take its folder."""

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from lstm_sentiment import Predictor
from lstm_sentiment.commands.main import main
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.predictions import read_table
from lstm_sentiment.serving.explanation import decomposition, page
from lstm_sentiment.training.baseline import baseline
from tests.support.project import MakeConfig, folder_of_record, reviews_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture(params=NgramModel)
def run(request: pytest.FixtureRequest, tiny: MakeConfig) -> Path:
    """Return the folder of a trained baseline."""
    config = tiny()
    return folder_of_record(config, baseline(request.param, config))


@pytest.mark.parametrize("kind", NgramModel)
def test_predictions_equal_those_of_the_test_set(tiny: MakeConfig, kind: NgramModel) -> None:
    config = tiny()
    folder = folder_of_record(config, baseline(kind, config))
    recorded = read_table(folder / "predictions.parquet").filter(pc.field("split") == "test")
    data = reviews_of(config)
    # Tokens joined by spaces are split into the same tokens again.
    texts = [data.text("test", row) for row in recorded["index"].to_pylist()]
    for model in (folder, folder / "model"):
        np.testing.assert_allclose(
            Predictor.load(model).logits(texts), recorded["logit"], atol=1e-6
        )


def test_contributions_are_exact_and_cover_the_whole_text(run: Path) -> None:
    predictor = Predictor.load(run)
    text = "A film, unlike Zyzzyva! " * 400
    explanation = predictor.explain(text)
    attribution = explanation.attribution
    assert len(explanation.tokens) == 400 * 6
    assert explanation.unread == attribution.gap == 0
    assert dict(zip(explanation.tokens, explanation.known, strict=True))["zyzzyva"] is False
    assert attribution.logit == pytest.approx(predictor.logits([text])[0], abs=1e-9)
    total = attribution.baseline + sum(attribution.contributions)
    assert attribution.logit == pytest.approx(total)
    assert "(intercept)" in decomposition(explanation)
    assert "integrated gradients" not in page(explanation)
    assert "bigram" in page(explanation)


def test_a_predictor_of_a_baseline_can_be_pickled(run: Path) -> None:
    predictor = Predictor.load(run)
    texts = ["not a good film", ""]
    expected = predictor.logits(texts)
    copy = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(copy.logits(texts), expected)


def test_a_text_that_is_no_string_is_refused(run: Path) -> None:
    predictor = Predictor.load(run)
    for use in (predictor.explain, lambda text: predictor.predict([text])):
        with pytest.raises(InputError, match="must be a string"):
            use(3)  # type: ignore[arg-type]


def test_commands_take_the_folder_of_a_baseline(run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["predict", str(run), "--json", "--weights", "a good film"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert [token for token, _ in row["weights"]] == ["a", "good", "film"]
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\ngood,1\nbad,0\n")
    assert main(["evaluate", str(run), "--file", str(file), "--json"]) == 0
    [scores] = json.loads(capsys.readouterr().out)["networks"].values()
    assert scores["reviews"] == 2
    why = tmp_path / "why.html"
    assert main(["explain", str(run), "not a good film", "-o", str(why)]) == 0
    assert "(intercept)" in capsys.readouterr().out
    assert "good</span>" in why.read_text()


def test_an_export_of_a_baseline_is_refused_in_words(
    run: Path, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "texts.txt"
    file.write_text("good\n")
    for more in ([], ["--file", str(file)]):
        assert main(["export", str(run), "--onnx", *more, "-o", str(tmp_path / "out")]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("An n-gram baseline cannot be exported")
    assert not (tmp_path / "out").exists()
