"""Uneven classes: the classifier that always predicts the larger class, beside the networks."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lstm_sentiment.commands.status import status_table
from lstm_sentiment.report.csv_files import run_table
from lstm_sentiment.report.page import Paragraph, Table
from lstm_sentiment.report.ranking import ranking
from lstm_sentiment.runs.reader import read_runs
from tests.support.records import amend, answers, network, put_run
from tests.support.reports import ranking as report_ranking
from tests.support.reports import report

MOSTLY_POSITIVE = (np.arange(200) >= 10).astype(int)  # 95 %
ALWAYS_POSITIVE = np.full(200, 0.9)


def put_uneven(root: Path) -> None:
    """Write a run with a balanced accuracy above one half, and one that is always positive."""
    few_mistakes = answers(8, MOSTLY_POSITIVE)  # 8 of the 10 negative reviews
    put_run(root, network("lstm"), few_mistakes, few_mistakes, MOSTLY_POSITIVE)
    put_run(root, network("gru"), ALWAYS_POSITIVE, ALWAYS_POSITIVE, MOSTLY_POSITIVE)


def test_the_ranking_shows_the_larger_class_and_balanced_accuracies(tmp_path: Path) -> None:
    put_uneven(tmp_path)
    [table], columns, _ = ranking(read_runs(tmp_path))
    rows = [dict(zip(("", *columns), row, strict=True)) for row in table.rows]
    shown = ("", "val %", "test %", "balanced %", "F1 %", "AUROC %", "params")
    assert [[row[name] for name in shown] for row in rows] == [
        ["lstm-last", "96.00", "96.00", "60.00", "97.94", "60.00", "1,412,225"],
        ["gru-last", "95.00", "95.00", "50.00", "97.44", "50.00", "1,412,225"],
        ["always positive", "95.00", "95.00", "50.00", "97.44", "–", "–"],
    ]
    assert "95.00 % of the test reviews are positive" in table.note
    assert table.note.endswith(" No better than always predicting positive: gru-last.")


def test_the_report_shows_them_too(tmp_path: Path) -> None:
    put_uneven(tmp_path)
    blocks = report(tmp_path)
    rows = {row[""].strip("*"): row for row in report_ranking(blocks)}
    balanced = {name: row["balanced accuracy"] for name, row in rows.items()}
    assert balanced == {"lstm-last": "60.00", "gru-last": "50.00", "always positive": "50.00"}
    always = rows["always positive"]
    assert (always["precision"], always["recall"], always["F1"]) == ("95.00", "100.00", "97.44")
    [note] = [b.text for b in blocks if isinstance(b, Paragraph) and "Balanced" in b.text]
    assert note.endswith(" No better than always predicting positive: gru-last.")


def test_status_shows_them_beside_the_accuracy(tmp_path: Path) -> None:
    put_uneven(tmp_path)
    put_run(tmp_path, network("rnn"), answers(20), answers(20))  # of even classes
    console = Console(width=200)
    with console.capture() as output:
        console.print(status_table(read_runs(tmp_path)))
    rows = [line.split(" test ") for line in output.get().splitlines() if " test " in line]
    by_cell = {run.split("/")[1].split("-")[0]: details.strip() for run, details in rows}
    assert by_cell == {
        "lstm": "96.00% (balanced 60.00%, majority class 95.00%), 1 epoch",
        "gru": "95.00% (balanced 50.00%, majority class 95.00%), 1 epoch",
        "rnn": "90.00%, 1 epoch",
    }


def test_better_networks_are_not_named(tmp_path: Path) -> None:
    good = answers(2, MOSTLY_POSITIVE)
    put_run(tmp_path, network("lstm"), good, good, MOSTLY_POSITIVE)
    [table], _, _ = ranking(read_runs(tmp_path))
    assert "No better" not in table.note


def test_the_validation_set_counts_without_a_test_set(tmp_path: Path) -> None:
    labels = 1 - MOSTLY_POSITIVE
    put_run(tmp_path, network(), None, 1 - ALWAYS_POSITIVE, labels)
    [table], columns, _ = ranking(read_runs(tmp_path))
    assert dict(zip(columns, table.rows[0][1:], strict=True))["balanced %"] == "50.00"
    assert "95.00 % of the validation reviews are negative" in table.note
    assert table.note.endswith(" No better than always predicting negative: lstm-last.")


@pytest.mark.parametrize(("positives", "uneven"), [(110, False), (111, True), (89, True)])
def test_nearly_even_classes_change_nothing(tmp_path: Path, positives: int, uneven: bool) -> None:
    labels = (np.arange(200) < positives).astype(int)
    put_run(tmp_path, network(), np.full(200, 0.9), answers(20, labels), labels)
    [table], columns, _ = ranking(read_runs(tmp_path))
    blocks = report(tmp_path)
    first = next(block for block in blocks if isinstance(block, Table))
    for shown in (columns, table.note.split(), first.columns):
        assert any("balanced" in word.lower() for word in shown) == uneven
    assert len(table.rows) == len(first.rows) == 1 + uneven


def test_scores_missing_in_older_records_follow_from_the_confusion_matrix(tmp_path: Path) -> None:
    put_uneven(tmp_path)
    runs = read_runs(tmp_path)
    expected = ranking(runs), run_table(runs)
    for folder in tmp_path.glob("*-last-*"):
        for stage in ("val", "test"):
            for score in ("balanced_accuracy", "majority_share"):
                amend(folder, lambda record, s=stage, name=score: record[s].pop(name))
        assert "balanced" not in json.dumps(json.loads((folder / "run.json").read_text())["test"])
    runs = read_runs(tmp_path)
    assert (ranking(runs), run_table(runs)) == expected
