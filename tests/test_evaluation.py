"""Scores on labelled files, against scikit-learn and by hand."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import saved
from rich.console import Console
from sklearn import metrics

from lstm_sentiment.config import Config
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.formats import Columns
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.evaluation import evaluate, names, scores, table
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.rows import OPTIONS
from lstm_sentiment.training.run import run

Make = Callable[..., Config]


def test_scores_by_hand() -> None:
    """Right: two of three positive ones and one of two negative ones."""
    labels = np.array([1, 1, 1, 0, 0])
    said = np.array([0.9, 0.8, 0.3, 0.6, 0.1])
    found = scores(labels, said)
    assert found["reviews"] == 5
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["auroc"] == pytest.approx(5 / 6)
    expected = -np.log([0.9, 0.8, 0.3, 1 - 0.6, 1 - 0.1]).mean()
    assert found["loss"] == pytest.approx(expected)
    assert found["confusion_matrix"] == [[1, 1], [1, 2]]
    # Wilson's interval of 3 of 5, by its formula.
    z, p, n = 1.959964, 0.6, 5
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    bounds = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    assert found["interval"] == pytest.approx(bounds, abs=1e-5)
    # Each in a bin of its own: how far the probability is from what it should have been.
    assert found["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.7 + 0.6 + 0.1) / 5, abs=1e-6)


def test_scores_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    said = random.beta(2, 2, 500) * 0.5 + labels * 0.4
    found = scores(labels, said)
    positive = said > 0.5
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, positive))
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(labels, said))
    assert found["loss"] == pytest.approx(metrics.log_loss(labels, said))
    assert 0 < found["auroc"] < 1


def test_half_is_no_yes_and_one_label_has_no_auroc() -> None:
    found = scores(np.array([0, 0]), np.array([0.5, 0.4]))
    assert found["accuracy"] == 1
    assert found["auroc"] is None
    assert found["precision"] == 0


def labelled(file: Path, count: int = 60) -> Path:
    texts, labels = generate(count, 3)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "sentiment"])
        writer.writerows([t, "pos" if n else "neg"] for t, n in zip(texts, labels, strict=True))
    return file


def test_a_run_gets_the_scores_of_its_record(tiny: Make, tmp_path: Path) -> None:
    """On the very reviews of its test, from a file."""
    config = tiny(trainer={"max_epochs": 4})
    record = run(config)
    data = ReviewDataModule(config.data)
    data.setup()
    assert data.test is not None
    labels = data.test.reviews.labels
    lines = [f'"{data.text("test", row)}",{labels[row]}' for row in data.test.rows]
    (tmp_path / "test.csv").write_text("text,label\n" + "\n".join(lines))
    ours = Predictor.load(Path(config.root, "default", record["name"]))
    found = evaluate({"it": ours}, tmp_path / "test.csv", Columns())["it"]
    assert found["confusion_matrix"] == record["test"]["confusion_matrix"]
    for score in ("accuracy", "precision", "recall", "f1", "auroc", "loss"):
        assert found[score] == pytest.approx(record["test"][score], abs=1e-5), score


def test_an_ensemble_is_the_mean_of_its_probabilities(tiny: Make, tmp_path: Path) -> None:
    networks = {
        cell: Predictor.load(saved(tmp_path / cell, tiny(encoder={"cell": cell})))
        for cell in ("rnn", "lstm", "gru")
    }
    file = labelled(tmp_path / "a.csv")
    seen: list[int] = []
    found = evaluate(networks, file, Columns(), seen.append)
    assert list(found) == ["rnn", "lstm", "gru", "ensemble"]
    assert seen == [60]
    texts, labels = generate(60, 3)
    mean = np.mean([network.probabilities(texts) for network in networks.values()], 0)
    for score, value in scores(np.array(labels), mean).items():
        assert np.array(found["ensemble"][score]) == pytest.approx(np.array(value)), score
    alone = evaluate({"rnn": networks["rnn"]}, file, Columns())
    assert list(alone) == ["rnn"]
    assert alone["rnn"] == found["rnn"]


LABELS = np.array([1, 1, 1, 0, 0])
SCORES = scores(LABELS, np.array([0.9, 0.8, 0.3, 0.6, 0.1]))


def printed(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    stream = io.StringIO()
    Console(file=stream, width=80).print(table(found))
    return [line.split() for line in stream.getvalue().splitlines()]


def test_a_table_names_what_it_shows() -> None:
    rows = printed({"mine": SCORES})
    assert rows[:4] == [
        ["mine"],
        ["reviews", "5"],
        ["accuracy", "%", "60.00"],
        ["95", "%", "interval", "23.07"],
    ]
    assert ["recall", "of", "positive", "%", "66.67"] in rows
    assert ["negative", "1", "1"] in rows
    assert ["positive", "1", "2"] in rows


def test_networks_of_long_names_stand_side_by_side() -> None:
    names = [f"bilstm-max_attention-s{seed}-0123abcd" for seed in range(5)]
    right = scores(LABELS, LABELS.astype(float))
    rows = printed(dict.fromkeys(names, SCORES) | {"ensemble": right})
    assert [row[1] for row in rows[:5]] == names
    assert rows[5] == ["1", "2", "3", "4", "5", "ensemble"]
    assert ["accuracy", "%", *["60.00"] * 5, "100.00"] in rows
    assert ["positive", "0", "3"] in rows


@pytest.mark.parametrize(
    ("content", "columns", "reason"),
    [
        (
            "text\na\n",
            Columns(options=OPTIONS),
            "no column label or sentiment.*with --label-column",
        ),
        ("text,label\na,good\n", Columns(options=OPTIONS), "'good' is not .*with --positive-label"),
        ("text,label\na,1\n,0\n", Columns(), "row 2: the text is missing"),
        ("text,label\n", Columns(), "has no rows"),
    ],
)
def test_what_cannot_be_scored_is_said(
    tiny: Make, tmp_path: Path, content: str, columns: Columns, reason: str
) -> None:
    (tmp_path / "a.csv").write_text(content)
    ours = Predictor.load(saved(tmp_path / "run", tiny()))
    with pytest.raises(InputError, match=reason):
        evaluate({"it": ours}, tmp_path / "a.csv", columns)


def test_networks_are_told_apart() -> None:
    assert names([Path("runs/a/x"), Path("runs/b/y")]) == ["x", "y"]
    assert names([Path("runs/a/x"), Path("runs/b/x")]) == ["runs/a/x", "runs/b/x"]
