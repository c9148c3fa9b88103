"""Runs and baselines of three ordered, uneven classes."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment import Config, InputError, run
from lstm_sentiment.config import DataConfig, DecisionConfig, EarlyStoppingConfig
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import State, read_run
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training.baseline import baseline
from tests.support.project import (
    MakeConfig,
    folder_of,
    folder_of_record,
    read_events,
    reviews_of,
    scalars,
)
from tests.support.records import scores_of_probabilities

WriteStars = Callable[..., Config]
WORDS = {1: "poor", 3: "fair", 5: "great"}


@pytest.fixture
def stars(tiny: MakeConfig, tmp_path: Path) -> WriteStars:
    """Return a function that makes a configuration on reviews with 1, 3 or, mostly, 5 stars."""
    draw, path = random.Random(0), tmp_path / "stars.jsonl"
    rows = []
    for number in range(300):
        label = (1, 3, 5, 5, 5, 5)[number % 6]
        words = [*draw.choices("a the film plot cast with of".split(), k=6), WORDS[label]]
        rows.append({"text": " ".join(draw.sample(words, 7)), "label": label})
    path.write_text("\n".join(map(json.dumps, rows)))

    def make(decision: DecisionConfig | None = None, **data: Any) -> Config:
        config = tiny(head={"kind": "max"}, optimizer={"lr": 0.03})
        fields = {"cache": str(tmp_path / "cache"), "batch_size": 16, **data}
        reviews = DataConfig("reviews", str(path), **fields)  # type: ignore[arg-type]
        return replace(config, data=reviews, decision=decision or DecisionConfig())

    return make


TEMPERATURE = DecisionConfig(calibration="temperature")  # type: ignore[arg-type]


def check_scores(folder: Path, record: dict[str, Any]) -> None:
    """Compare the scores of a record with those of scikit-learn for its predictions."""
    summary = read_run(folder)
    assert summary.state is State.done
    for stage in ("val", "test"):
        predictions = read_predictions(summary, stage)
        assert predictions.classes.names == ("1", "3", "5")
        expected = scores_of_probabilities(
            predictions.label, predictions.probability, predictions.classes
        )
        assert record[stage].keys() == expected.keys()
        assert record[stage]["confusion_matrix"] == expected.pop("confusion_matrix")
        assert {name: record[stage][name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_a_run_of_three_classes_is_scored_as_by_scikit_learn(stars: WriteStars) -> None:
    config = stars(TEMPERATURE, class_weights="balanced")
    record = run(config)
    assert record["data"]["classes"] == ["1", "3", "5"]
    check_scores(folder_of(config), record)
    assert record["decision"]["threshold"] == 0.5
    assert record["decision"]["calibration"].keys() == {"temperature", "before", "after"}
    events = read_events(folder_of(config))
    for score in ("balanced_accuracy", "mean_absolute_error", "quadratic_kappa"):
        expected = [epoch["val"][score] for epoch in record["epochs"]]
        assert list(scalars(events, f"val/{score}").values()) == pytest.approx(expected)
    [final] = scalars(events, "test/quadratic_kappa").values()
    assert final == pytest.approx(record["test"]["quadratic_kappa"])
    curves = {tag for tag in events.Tags()["tensors"] if tag.startswith("test/precision_recall")}
    assert curves == {f"test/precision_recall/{name}" for name in "135"}


@pytest.mark.parametrize("kind", NgramModel)
def test_a_baseline_of_three_classes_is_scored_as_by_scikit_learn(
    stars: WriteStars, kind: NgramModel
) -> None:
    config = stars(TEMPERATURE, class_weights="balanced")
    record = baseline(kind, config)
    folder = folder_of_record(config, record)
    check_scores(folder, record)
    assert record["config"]["data"]["class_weights"] == "balanced"
    ngrams = len(json.loads((folder / "model" / "vocab.json").read_text()))
    assert record["cost"]["parameters"] == 3 * ngrams + 3
    texts = ["a great film", "the plot of a poor film", "a fair cast"]
    assert [each.label for each in Predictor.load(folder).predict(texts)] == ["5", "1", "3"]


def test_balanced_weights_have_a_mean_of_one(stars: WriteStars) -> None:
    """Of n reviews in K classes, the class with n_k reviews has the weight n / (K n_k)."""
    data = reviews_of(stars(class_weights="balanced"))
    counts = np.bincount(data.train.labels)
    assert counts[2] > 3 * counts[0]
    assert data.class_weights is not None
    np.testing.assert_allclose(data.class_weights, counts.sum() / (3 * counts), rtol=1e-6)
    assert data.class_weights[data.train.labels].mean() == pytest.approx(1)
    assert reviews_of(stars()).class_weights is None


def test_a_threshold_is_refused_before_anything_is_written(stars: WriteStars) -> None:
    config = stars(DecisionConfig("balanced"))
    for train in (run, lambda each: baseline(NgramModel.nb_svm, each)):
        with pytest.raises(InputError, match="decision.threshold=balanced .* have 3, of which"):
            train(config)
    assert not Path(config.root).exists()


def test_an_undefined_score_is_not_monitored(stars: WriteStars, tmp_path: Path) -> None:
    rows = [{"text": f"{WORDS[label]} {number}", "label": label} for number in range(9)
            for label in (1, 5)]  # fmt: skip
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = stars(val_path=str(tmp_path / "val.jsonl"))
    auroc = EarlyStoppingConfig(monitor="val/auroc")
    with pytest.raises(InputError, match="set, which has none of 3: monitor another score"):
        run(replace(config, early_stopping=auroc))
    record = run(config)
    assert record["val"]["auroc"] is None
    assert read_run(folder_of(config)).state is State.done
