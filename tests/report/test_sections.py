"""The order of a report, and reports on runs of which something is missing."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, markdown, plots
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.runs.reader import read_runs
from tests.support.records import DATA, answers, network, put, put_baseline, put_run, record
from tests.support.reports import (
    below,
    details,
    headings,
    opening,
    plot,
    put_three,
    ranking,
    report,
)

TITLE = "imdb: 900 train, 200 val, 200 test"


def test_a_report_has_its_sections_in_order(tmp_path: Path) -> None:
    put_three(tmp_path)
    put_baseline(tmp_path, answers(40), answers(15))
    blocks = report(tmp_path)
    assert headings(blocks) == [
        "Comparison",
        TITLE,
        "Comparison with gru-max, the best network",
        "Comparison with ngrams-logistic, the best n-gram baseline",
        "What these runs can show",
        "Where words and order disagree",
        "Plots",
        "Variants",
    ]
    assert blocks[:2] == [Heading("Comparison", 1), Heading(TITLE)]
    assert list(details(blocks)) == ["gru-max", "ngrams-logistic", "lstm-max", "rnn-max"]


def test_each_data_set_has_its_own_sections(tmp_path: Path) -> None:
    other = {"source": "reviews", "fingerprint": "2", "train": 80}
    put_three(tmp_path / "a")
    put_run(tmp_path / "b", network("gru", "max"), answers(5), answers(5), data=DATA | other)
    blocks, comparisons = build_report(read_runs(tmp_path))
    titles = [TITLE, "reviews: 80 train, 200 val, 200 test"]
    assert [comparison.title for comparison in comparisons] == titles
    assert isinstance(blocks[1], Paragraph)
    assert "2 different data sets" in blocks[1].text
    assert blocks[2] == Listing([f"{titles[0]} (3 variants)", f"{titles[1]} (1 variant)"])
    assert markdown(blocks).count("**gru-max** has the highest validation accuracy") == 1
    assert markdown(blocks).count("**gru-max** is the only variant") == 1
    names = [each.name for each in plots(blocks)]
    assert len(names) == len(set(names))
    assert {name[:2] for name in names} == {"1_", "2_"}


def test_a_single_data_set_has_no_number(three: list[Block]) -> None:
    assert "data sets" not in markdown(three)
    assert not any(each.name.startswith("1_") for each in plots(three))


def test_runs_without_a_record_are_listed(tmp_path: Path) -> None:
    put_three(tmp_path)
    begun = record(network("gru", "max"), None, None)
    put(tmp_path / "rnn-avg-s0-1", config=begun, failed={"epoch": 2, "reason": "no memory"})
    put(tmp_path / "gru-avg-s0-2", config=begun)
    blocks = report(tmp_path)
    assert below(blocks, "Runs that are not compared") == [
        Listing(["gru-avg-s0-2: interrupted", "rnn-avg-s0-1: failed in epoch 2: no memory"])
    ]
    assert len(ranking(blocks)) == 3


def test_a_report_may_have_no_run_with_a_record(tmp_path: Path) -> None:
    put(tmp_path / "gru-avg-s0-2", config=record(network("gru", "max"), None, None))
    assert headings(report(tmp_path)) == ["Comparison", "Runs that are not compared"]


def test_notes_say_what_limits_the_comparison(tmp_path: Path) -> None:
    put_three(tmp_path)
    folder = put_run(tmp_path, network("gru", "avg"), answers(20), answers(40))
    (folder / "predictions.parquet").unlink()
    [notes] = below(report(tmp_path), "Notes")
    assert isinstance(notes, Listing)
    [note] = notes.items
    assert note.startswith(f"{folder.name}/predictions.parquet is missing")


def test_there_are_no_empty_sections(three: list[Block]) -> None:
    assert headings(three) == [
        "Comparison",
        TITLE,
        "Comparison with gru-max, the best network",
        "What these runs can show",
        "Plots",
        "Variants",
    ]


def test_the_report_and_the_comparisons_have_the_same_variants(tmp_path: Path) -> None:
    put_three(tmp_path)
    blocks, [comparison] = build_report(read_runs(tmp_path))
    assert isinstance(comparison, Comparison)
    names = [row[""].strip("*") for row in ranking(blocks)]
    assert names == [variant.name for variant in comparison.variants]


def drawn(blocks: Sequence[Block]) -> list[str]:
    """Draw all plots, and return their names."""
    for each in plots(blocks):
        each.figure.draw_without_rendering()
    return [each.name for each in plots(blocks)]


def untested(root: Path) -> None:
    put_run(root, network("gru", "max"), None, answers(10))
    put_run(root, network("lstm", "max"), None, answers(20))


def not_validated(root: Path) -> None:
    put_run(root, network("gru", "max"), answers(10), None)
    put_run(root, network("lstm", "max"), answers(20), None)
    put_baseline(root, answers(20), None)


def neither(root: Path) -> None:
    put_run(root, network("gru", "max"), None, None)


def single(root: Path) -> None:
    put_run(root, network("gru", "max"), answers(10), answers(20))


def only_baselines(root: Path) -> None:
    put_baseline(root, answers(10), answers(10), "nb_svm")
    put_baseline(root, answers(20), answers(20), "logistic")


def all_correct(root: Path) -> None:
    put_run(root, network("gru", "max"), answers(0, confidence=1.0), answers(0, confidence=1.0))
    put_run(root, network("lstm", "max"), answers(0), answers(0))


def untested_baseline(root: Path) -> None:
    put_run(root, network("gru", "max"), None, answers(10))
    put_baseline(root, None, answers(20))


BEST = {  # the best variant, its validation accuracy and its test accuracy, as in the report
    untested: ("gru-max", "95.00", None),
    not_validated: None,
    neither: None,
    single: ("gru-max", "90.00", "95.00"),
    only_baselines: ("ngrams-nb_svm", "95.00", "95.00"),
    all_correct: ("gru-max", "100.00", "100.00"),
    untested_baseline: ("gru-max", "95.00", None),
}


@pytest.mark.parametrize("write", BEST)
def test_a_report_is_complete_without_some_scores(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path)
    blocks = report(tmp_path)
    text = opening(blocks)
    if best := BEST[write]:
        name, val, test = best
        claim = "is the only variant (" if write is single else "has the highest "
        assert text.startswith(f"**{name}** {claim}validation accuracy ")
        assert f"{val} %)." in text.split("Its")[0]
        assert ("Its test accuracy is" in text) == (test is not None)
        assert test is None or f"Its test accuracy is {test} % (95 % interval " in text
    else:
        assert "**" not in text.split("\n")[0]
    names = drawn(blocks)
    assert "gap" in names
    tested = write not in (untested, neither, untested_baseline)
    assert ({"accuracy", "time", "curves", "reliability", "confusion"} <= set(names)) is tested
    for row in ranking(blocks):
        assert (row["test %"] == row["95 % interval"] == row["calibration error"] == "–") is (
            not tested
        )
        assert "nan" not in " ".join(row.values())


def test_variants_without_any_mistake_do_not_differ(tmp_path: Path) -> None:
    all_correct(tmp_path)
    text = opening(report(tmp_path))
    assert re.search(r"95 % interval 9[789]\.\d\d to 100\.00;", text)
    assert "lstm-max is not significantly different" in text


@pytest.mark.filterwarnings("ignore:Only one class is present", "ignore:No negative samples")
@pytest.mark.parametrize(("auroc", "shown"), [("null", "–"), ("0.0", "0.00")])  # 0 in old records
def test_reviews_may_have_a_single_label(tmp_path: Path, auroc: str, shown: str) -> None:
    labels = np.ones(200, int)
    mistakes = answers(40, labels)
    folder = put_run(tmp_path, network("gru", "max"), mistakes, mistakes, labels)
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace("NaN", auroc))
    blocks = report(tmp_path)
    row, always = ranking(blocks)
    assert (row["test %"], row["AUROC"]) == ("80.00", shown)
    assert (always[""], always["test %"]) == ("always positive", "100.00")
    assert {"curves", "reliability", "confusion"} <= set(drawn(blocks))


def test_a_dollar_in_a_name_is_no_formula(tmp_path: Path) -> None:
    for text in ("$\\frac$", "b"):
        config = network("gru", "max")
        config.embedding.name = text
        put_run(tmp_path, config, answers(20), answers(10))
    assert "$\\frac$" in plot(report(tmp_path), "accuracy").svg
