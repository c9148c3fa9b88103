"""Scores on labelled files, compared with values by hand, scikit-learn and a run's record."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Config
from lstm_sentiment.data.columns import Columns
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.metrics import classification_scores
from lstm_sentiment.serving.evaluation import evaluate, network_names, scores
from lstm_sentiment.serving.file_reading import COLUMN_OPTIONS, FileReading, file_reading
from lstm_sentiment.serving.predictor import Predictor
from tests.support.displays import RecordingDisplay
from tests.support.networks import saved
from tests.support.tables import write_columns, write_rows

Make = Callable[..., Config]


def test_scores_by_hand() -> None:
    """Correct are two of the three positive reviews and one of the two negative ones."""
    labels = np.array([1, 1, 1, 0, 0])
    result = scores(labels, np.array([0.9, 0.8, 0.3, 0.6, 0.1]))
    assert result["reviews"] == 5
    assert result["accuracy"] == pytest.approx(3 / 5)
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["recall"] == pytest.approx(2 / 3)
    assert result["f1"] == pytest.approx(2 / 3)
    assert result["auroc"] == pytest.approx(5 / 6)
    loss = -np.log([0.9, 0.8, 0.3, 1 - 0.6, 1 - 0.1]).mean()
    assert result["loss"] == pytest.approx(loss)
    assert result["confusion_matrix"] == [[1, 1], [1, 2]]
    # The formula of Wilson's interval.
    z, p, n = 1.959964, 0.6, 5
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    bounds = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    assert result["interval"] == pytest.approx(bounds, abs=1e-5)
    # Each review is alone in its bin: its error is the distance of the probability from the label.
    errors = [0.1, 0.2, 0.7, 0.6, 0.1]
    assert result["calibration_error"] == pytest.approx(np.mean(errors), abs=1e-6)


@pytest.fixture
def noisy_predictions() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities of 500 reviews, most of them classified correctly."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    return labels, random.beta(2, 2, 500) * 0.6 + labels * 0.3


def test_scores_agree_with_scikit_learn(noisy_predictions: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = noisy_predictions
    result = scores(labels, probabilities)
    predicted = probabilities > 0.5
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "precision": metrics.precision_score(labels, predicted),
        "recall": metrics.recall_score(labels, predicted),
        "f1": metrics.f1_score(labels, predicted),
        "auroc": metrics.roc_auc_score(labels, probabilities),
        "loss": metrics.log_loss(labels, probabilities),
    }
    for name, value in expected.items():
        assert result[name] == pytest.approx(value, abs=1e-12), name
        assert 0 < value < 1


def test_scores_agree_with_those_of_training(
    noisy_predictions: tuple[np.ndarray, np.ndarray],
) -> None:
    """They are defined alike; torchmetrics computes in float32."""
    labels, probabilities = noisy_predictions
    result = scores(labels, probabilities)
    recorded = classification_scores(torch.from_numpy(labels), torch.from_numpy(probabilities))
    assert result["confusion_matrix"] == recorded.pop("confusion_matrix")
    assert {name: result[name] for name in recorded} == pytest.approx(recorded, abs=1e-6)


def test_one_half_is_negative_and_one_class_has_no_auroc() -> None:
    result = scores(np.array([0, 0]), np.array([0.5, 0.4]))
    assert result["accuracy"] == 1
    assert result["auroc"] is None
    assert result["precision"] == 0


def test_a_run_gets_the_scores_of_its_record(tiny: Make, tmp_path: Path) -> None:
    """The file holds the reviews of the test set."""
    config = tiny(trainer={"max_epochs": 4})
    record = run(config)
    data = ReviewDataModule(config.data)
    data.setup()
    assert data.test is not None
    labels = data.test.tokenized.labels
    rows = [(data.text("test", row), labels[row]) for row in data.test.rows]
    file = write_rows(tmp_path / "test.csv", rows)
    network = Predictor.load(Path(config.root, "default", record["name"]))
    result = evaluate({"network": network}, file, FileReading())["network"]
    assert result["confusion_matrix"] == record["test"]["confusion_matrix"]
    for score in ("accuracy", "precision", "recall", "f1", "auroc", "loss"):
        assert result[score] == pytest.approx(record["test"][score], abs=1e-5), score


def test_the_ensemble_predicts_the_mean_probability(tiny: Make, tmp_path: Path) -> None:
    networks = {
        cell: Predictor.load(saved(tmp_path / cell, tiny(encoder={"cell": cell})))
        for cell in ("rnn", "lstm", "gru")
    }
    texts, labels = generate(60, 3)
    names = ["pos" if label else "neg" for label in labels]
    file = write_columns(tmp_path / "a.csv", texts, names, names="review sentiment")
    display = RecordingDisplay()
    results = evaluate(networks, file, FileReading(), display)
    assert list(results) == ["rnn", "lstm", "gru", "ensemble"]
    assert [bar.steps for bar in display.bars] == [[60]]
    mean = np.mean([network.probabilities(texts) for network in networks.values()], 0)
    for score, value in scores(np.array(labels), mean).items():
        assert np.array(results["ensemble"][score]) == pytest.approx(np.array(value)), score
    alone = evaluate({"rnn": networks["rnn"]}, file, FileReading())
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
    reading = file_reading({"run": network.config}, {"missing": "skip"})
    result = evaluate({"run": network}, file, reading, display)["run"]
    assert result == scores(np.array([1, 0]), network.probabilities(["good", "dull"]))
    assert any("3 of 5 rows were left out" in message for message in display.messages)
