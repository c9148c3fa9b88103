"""Folds of a cross-validation: joined into one run for each seed."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.config import Config, DataConfig
from lstm_sentiment.labels import BINARY
from lstm_sentiment.model.metrics import classification_scores
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.folds import joined_folds
from lstm_sentiment.report.page import Paragraph
from lstm_sentiment.report.ranking import not_compared
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.reader import read_runs
from tests.support.records import DATA, amend, answers, logits, put_run
from tests.support.reports import details, only_group, plot, report, rows_by_column, table_below

ROWS = np.arange(60)


def put_fold(
    sweep: Path, seed: int, fold: int, wrong: int, threshold: float = 0.5, **changes: Any
) -> Path:
    """Write the run of one of three folds; row r is in fold r % 3, and labels alternate."""
    rows = ROWS[fold == ROWS % 3]
    labels, config = rows // 3 % 2, Config(seed=seed, data=DataConfig(folds=3, fold=fold))
    return put_run(
        sweep, config, answers(wrong, labels, confidence=0.8), answers(2 * wrong, labels), labels,
        rows=rows, data=DATA | {"train": 40 - fold, "val": 20, "test": 20 + fold},
        classes=BINARY.with_threshold(threshold), **changes,
    )  # fmt: skip


def test_the_folds_of_a_seed_are_one_run_with_all_reviews(tmp_path: Path) -> None:
    for seed in (0, 1):
        for fold in range(3):
            rows = ROWS[fold == ROWS % 3]
            known = {"group": rows // 5, "construct": rows.astype(str)}
            put_fold(tmp_path, seed, fold, wrong=1 + fold + seed, **known)
    group = only_group(tmp_path)
    (variant,) = group.variants
    assert [*variant.runs] == [0, 1]
    assert group.title == "imdb, 3 folds: 40 train, 20 val, 60 test"
    assert variant.scores("test", "accuracy") == pytest.approx([1 - 6 / 60, 1 - 9 / 60])
    assert variant.scores("val", "accuracy") == pytest.approx([1 - 12 / 60, 1 - 18 / 60])
    comparison = Comparison(group)
    predictions = comparison.predictions[variant.name][0]
    assert predictions.row.tolist() == ROWS.tolist()
    assert predictions.group is not None
    assert predictions.group.tolist() == (ROWS // 5).tolist()
    assert predictions.construct is not None
    assert predictions.construct.tolist() == ROWS.astype(str).tolist()
    assert predictions.label.tolist() == (ROWS // 3 % 2 == 1).tolist()
    assert comparison.tested == [variant]
    expected = np.zeros(60)
    for fold in range(3):
        labels = ROWS[fold == ROWS % 3] // 3 % 2
        expected[fold::3] = logits(answers(1 + fold, labels, confidence=0.8))
    scores = classification_scores(ROWS // 3 % 2, expected)
    assert variant.scores("test", "auroc")[0] == pytest.approx(scores["auroc"])
    assert variant.scores("test", "loss")[0] == pytest.approx(scores["loss"], abs=1e-6)


def test_each_fold_decides_with_its_own_threshold(tmp_path: Path) -> None:
    for fold, threshold in enumerate((0.1, 0.5, 0.6)):
        errors = {"temperature": 1.0 + fold, "before": 0.3, "after": 0.1 * fold}
        decision = {"threshold": threshold, "calibration": errors}
        put_fold(tmp_path, 0, fold, wrong=0, threshold=threshold, decision=decision)
    blocks = report(tmp_path)
    table = table_below(blocks, "Decisions chosen on the validation set")
    assert [*rows_by_column(table)[0].values()][1:] == ["0.400", "2.000", "0.300", "0.100"]
    # Negative reviews have the probability 0.2, which only the first fold classifies as positive.
    [blocks_of_variant] = details(blocks).values()
    *_, mistakes = blocks_of_variant
    assert isinstance(mistakes, Paragraph)
    rows = [int(row) for row in re.findall(r"(\d+) \(negative, 0.2000\)", mistakes.text)]
    assert rows == [*range(0, 60, 6)]


def test_the_curves_are_those_of_all_folds(tmp_path: Path) -> None:
    for fold in range(3):
        put_fold(tmp_path, 0, fold, wrong=fold)
    [variant] = only_group(tmp_path).variants
    assert [record["data"]["train"] for record in variant.trained] == [40, 39, 38]
    title = plot(report(tmp_path), "model_1_curves").title
    assert title.endswith("one line per seed and fold.")


def test_a_seed_that_lacks_a_fold_is_not_compared(tmp_path: Path) -> None:
    for fold in range(3):
        put_fold(tmp_path, 0, fold, wrong=2)
    lonely = put_fold(tmp_path, 1, 1, wrong=2)
    runs = read_runs(tmp_path)
    assert [*only_group(tmp_path).variants[0].runs] == [0]
    assert not_compared(*joined_folds(runs)) == [
        (lonely.name, "not compared: seed 1 lacks folds 0, 2 of 3")
    ]
    alone = [run for run in runs if run.folder == lonely]
    assert variant_groups(alone) == []


def test_folds_without_predictions_are_not_compared(tmp_path: Path) -> None:
    folders = [put_fold(tmp_path, 0, fold, wrong=2) for fold in range(3)]
    (folders[1] / "predictions.parquet").unlink()
    runs = read_runs(tmp_path)
    assert variant_groups(runs) == []
    assert {reason for _, reason in not_compared(*joined_folds(runs))} == {
        f"not compared: {folders[1].name}/predictions.parquet is missing"
    }


def test_other_folds_and_other_reviews_are_other_variants(tmp_path: Path) -> None:
    for fold in range(3):
        put_fold(tmp_path / "one", 0, fold, wrong=2)
        folder = put_fold(tmp_path / "two", 0, fold, wrong=2)
        amend(folder, lambda record: record["data"].update(fingerprint="2"))
    put_run(tmp_path, Config(), answers(20), answers(20))
    assert len(variant_groups(read_runs(tmp_path))) == 3
