"""Scores on labelled files, compared with values by hand, scikit-learn and a run's record."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit, logit
from sklearn import metrics

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Config
from lstm_sentiment.data.columns import Columns
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.metrics import classification_scores
from lstm_sentiment.model.probabilities import logit_of_mean
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import read_run
from lstm_sentiment.serving.evaluation import evaluate, network_names, scores
from lstm_sentiment.serving.file_reading import COLUMN_OPTIONS, FileReading, file_reading
from lstm_sentiment.serving.predictor import Predictor
from tests.support.displays import RecordingDisplay
from tests.support.networks import saved
from tests.support.records import logits
from tests.support.tables import write_columns, write_rows

Make = Callable[..., Config]


def test_scores_by_hand() -> None:
    """Correct are two of the three positive reviews and one of the two negative ones."""
    labels, probabilities = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.8, 0.3, 0.6, 0.1])
    result = scores(labels=labels, logits=logits(probabilities))
    expected = classification_scores(labels, logits(probabilities))
    assert {name: result[name] for name in expected} == expected
    assert result["reviews"] == 5
    assert result["accuracy"] == 3 / 5
    assert result["confusion_matrix"] == [[1, 1], [1, 2]]
    # The formula of Wilson's interval.
    z, p, n = 1.959964, 0.6, 5
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    bounds = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    assert result["interval"] == pytest.approx(bounds, abs=1e-5)
    # Each review is alone in its bin: its error is the distance of the probability from the label.
    errors = [0.1, 0.2, 0.7, 0.6, 0.1]
    assert result["calibration_error"] == pytest.approx(np.mean(errors))


def test_one_class_has_no_auroc() -> None:
    result = scores(labels=np.array([0, 0]), logits=np.array([0.0, -1.0]))
    assert result["accuracy"] == 1
    assert result["auroc"] is None
    assert result["precision"] == 0


def test_the_logit_of_a_mean_probability() -> None:
    ordinary = np.random.default_rng(0).normal(0, 3, (3, 50))
    expected = logit(expit(ordinary).mean(0))
    assert logit_of_mean([*ordinary]) == pytest.approx(expected, abs=1e-9)
    # Two networks that are certain: 1 - p is the mean of exp(-50) and exp(-60).
    certain = logit_of_mean([np.array([50, -50.0], np.float32), np.array([60, -60.0], np.float32)])
    size = -np.log((np.exp(-50) + np.exp(-60)) / 2)
    assert certain == pytest.approx([size, -size])


def certain(
    network: Classifier, ids: torch.Tensor, lengths: torch.Tensor, _: object = None
) -> torch.Tensor:
    """Return logits from 15 to 60, positive or negative, that only depend on the tokens."""
    number = ids.sum(1) % 90 - 44.5
    gradients = 0 * (network.output.weight.sum() + lengths.sum())
    return number + 15 * number.sign() + gradients


@pytest.mark.parametrize("forward", [certain, Classifier.forward], ids=["certain", "trained"])
def test_a_run_gets_the_scores_of_its_record_and_of_scikit_learn(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forward: Callable[..., Any]
) -> None:
    """In float32, the probabilities of a very certain network are 0 and 1, and lose their order."""
    monkeypatch.setattr(Classifier, "forward", forward)
    config = tiny(trainer={"max_epochs": 4})
    record = run(config)
    data = ReviewDataModule(config.data)
    data.setup()
    assert data.test is not None
    labels = data.test.tokenized.labels
    rows = [(data.text("test", row), labels[row]) for row in data.test.rows]
    file = write_rows(tmp_path / "test.csv", rows)
    folder = Path(config.root, "default", record["name"])
    result = evaluate({"network": Predictor.load(folder)}, file, FileReading()).networks["network"]
    # The logits of a trained network depend on the batch in their last digits.
    allowed = 1e-9 if forward is certain else 1e-5
    for score, value in record["test"].items():
        assert np.array(result[score]) == pytest.approx(np.array(value), abs=allowed), score

    saved = read_predictions(read_run(folder), "test")
    assert (np.abs(saved.logit).min() >= 15) == (forward is certain)
    sign = np.where(saved.label, 1, -1)
    expected = {
        "accuracy": metrics.accuracy_score(saved.label, saved.logit > 0),
        "auroc": metrics.roc_auc_score(saved.label, saved.logit),
        "f1": metrics.f1_score(saved.label, saved.logit > 0),
        "loss": -log_expit(sign * saved.logit).mean(),
    }
    assert {score: record["test"][score] for score in expected} == pytest.approx(expected, abs=1e-9)


def test_the_ensemble_predicts_the_mean_probability(tiny: Make, tmp_path: Path) -> None:
    networks = {
        cell: Predictor.load(saved(tmp_path / cell, tiny(encoder={"cell": cell})))
        for cell in ("rnn", "lstm", "gru")
    }
    texts, labels = generate(60, 3)
    names = ["pos" if label else "neg" for label in labels]
    file = write_columns(tmp_path / "a.csv", texts, names, names="review sentiment")
    display = RecordingDisplay()
    results = evaluate(networks, file, FileReading(), display).networks
    assert list(results) == ["rnn", "lstm", "gru", "ensemble"]
    assert [bar.steps for bar in display.bars] == [[60]]
    mean = np.mean([network.probabilities(texts) for network in networks.values()], 0)
    for score, value in scores(labels=np.array(labels), logits=logit(mean)).items():
        assert np.array(results["ensemble"][score]) == pytest.approx(np.array(value)), score
    alone = evaluate({"rnn": networks["rnn"]}, file, FileReading()).networks
    assert alone == {"rnn": results["rnn"]}


@pytest.mark.parametrize(
    ("content", "columns", "problem"),
    [
        ("text\na\n", Columns(options=COLUMN_OPTIONS), "label or sentiment.*--label-column"),
        ("text,label\na,good\n", Columns(options=COLUMN_OPTIONS), "'good'.*--positive-label"),
        ("text,label\na,1\n,0\n", Columns(options=COLUMN_OPTIONS), "row 2: .*missing.*--missing"),
        ("text,label\n", Columns(), "no rows"),
    ],
)
def test_unusable_files_are_refused(
    tiny: Make, tmp_path: Path, content: str, columns: Columns, problem: str
) -> None:
    (tmp_path / "a.csv").write_text(content)
    network = Predictor.load(saved(tmp_path / "run", tiny()))
    with pytest.raises(InputError, match=f"a.csv.*{problem}"):
        evaluate({"network": network}, tmp_path / "a.csv", FileReading(columns))


def test_networks_are_named_after_their_folders() -> None:
    assert network_names([Path("runs/a/x"), Path("runs/b/y")]) == ["x", "y"]
    assert network_names([Path("runs/a/x"), Path("runs/b/x")]) == ["runs/a/x", "runs/b/x"]


def test_rows_without_a_text_or_a_label_can_be_skipped(tiny: Make, tmp_path: Path) -> None:
    """They are counted; without the option, the first one is refused."""
    network = Predictor.load(saved(tmp_path / "run", tiny()))
    rows = [("good", 1), ("", 0), ("dull", 0), ("a film", ""), (" ", 1)]
    file = write_rows(tmp_path / "a.csv", rows)
    display = RecordingDisplay()
    reading = file_reading(file, {"run": network.config}, {"missing": "skip"})
    result = evaluate({"run": network}, file, reading, display).networks["run"]
    assert result == scores(labels=np.array([1, 0]), logits=network.logits(["good", "dull"]))
    assert any("3 of 5 rows were left out" in message for message in display.messages)
