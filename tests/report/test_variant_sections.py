"""The section on a single variant: scores by class, and the most confident mistakes."""

import re
from pathlib import Path

import numpy as np
from sklearn.metrics import classification_report

from lstm_sentiment.report.page import Paragraph, Table
from tests.support.records import LABELS, answers, network, put_run
from tests.support.reports import details, report


def random_probabilities(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.clip(0.5 + 0.25 * (LABELS - 0.5) + 0.2 * random.standard_normal(200), 0.01, 0.99)


def test_scores_by_class_are_those_of_scikit_learn(tmp_path: Path) -> None:
    probabilities = random_probabilities(3)
    put_run(tmp_path, network("gru", "max", seed=4), probabilities, answers(10))
    put_run(tmp_path, network("gru", "max", seed=5), random_probabilities(4), answers(10))
    blocks = details(report(tmp_path))["gru-max"]
    title, table, _ = blocks[-3:]
    assert isinstance(title, Paragraph)
    assert title.text.endswith("seed 4:")
    assert isinstance(table, Table)
    assert table.columns == ["class", "precision", "recall", "F1", "reviews"]
    names = ["negative", "positive"]
    expected = classification_report(
        LABELS, probabilities > 0.5, target_names=names, output_dict=True
    )
    scores = ("precision", "recall", "f1-score")
    assert table.rows == [
        [name, *(f"{100 * expected[name][score]:.2f}" for score in scores), "100"] for name in names
    ]
    assert table.rows[0][1:4] != table.rows[1][1:4]


def mistakes(root: Path) -> str:
    """Return the mistakes in the section on the only variant."""
    [blocks] = details(report(root)).values()
    assert isinstance(blocks[-1], Paragraph)
    return blocks[-1].text.split(": ", 1)[-1]


def test_the_most_confident_mistakes_by_hand(tmp_path: Path) -> None:
    probabilities, rows = answers(0), np.arange(200) ** 2
    probabilities[[4, 5, 6, 9]] = [0.6, 0.02, 0.99, 0.4]
    put_run(tmp_path, network(), probabilities, answers(10), rows=rows)
    assert mistakes(tmp_path) == (
        "36 (negative, 0.9900), 25 (positive, 0.0200), "
        "16 (negative, 0.6000), 81 (positive, 0.4000)."
    )


def test_ten_mistakes_are_shown_in_a_stable_order(tmp_path: Path) -> None:
    probabilities = answers(30)
    probabilities[25] = 0.0078125  # LABELS[25] is positive: the most confident mistake
    put_run(tmp_path, network(), probabilities, answers(10))
    assert re.findall(r"(\d+) \(", mistakes(tmp_path)) == ["25", *map(str, range(9))]


def test_a_variant_may_have_no_mistakes(tmp_path: Path) -> None:
    put_run(tmp_path, network(), answers(0), answers(0))
    assert mistakes(tmp_path) == "All predictions are correct."
