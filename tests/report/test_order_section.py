"""The section on words and order: tables, plots and differences, with numbers known by hand."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.data.synthetic import Construct
from lstm_sentiment.labels import Classes
from lstm_sentiment.report.formatting import points
from lstm_sentiment.report.order_section import (
    MAX_NETWORKS,
    MIN_REVIEWS,
    NO_OTHER_BASELINE,
    OTHER_BASELINE,
    TITLE,
)
from lstm_sentiment.report.page import Block, Listing, Paragraph, Plot, Table, plots
from lstm_sentiment.report.statistics import accuracies
from tests.support.plots import legend, ticks
from tests.support.records import LABELS, answers, network, put_baseline, put_run
from tests.support.reports import below, headings, plot, report, rows_by_column

# The probability that the choosing baseline gives to the true class.
TRUE_CLASS = np.repeat([0.05, 0.2, 0.4, 0.6, 0.8, 0.95], [40, 20, 10, 30, 40, 60])
CHOOSING = np.where(LABELS == 1, TRUE_CLASS, 1 - TRUE_CLASS)
BY_CONFIDENCE = {
    "wrong, 90–100 % (40)": "62.50",
    "wrong, 70–90 % (20)": "100.00",
    "wrong, below 70 % (10)": "100.00",
    "correct, below 70 % (30)": "100.00",
    "correct, 70–90 % (40)": "100.00",
    "correct, 90–100 % (60)": "100.00",
    "all reviews": "92.50",
}


def put_chosen(root: Path, group: np.ndarray | None = None) -> None:
    """Write logistic regression, NB-SVM and a GRU.

    Of the 40 reviews of which logistic regression is surest of the wrong class, NB-SVM classifies
    10 correctly, and the two seeds of the GRU 20 and 30. They make no other mistakes.
    """
    put_baseline(root, CHOOSING, answers(40), group=group)
    put_baseline(root, answers(30), answers(20), "nb_svm", group=group)
    for seed, wrong in enumerate((20, 10)):
        put_run(root, network("gru", "max", seed=seed), answers(wrong), answers(30), group=group)


def table(blocks: list[Block], position: int = 0) -> dict[str, dict[str, str]]:
    """Return the rows of a table of the section, by the names of the variants."""
    tables = [block for block in below(blocks, TITLE) if isinstance(block, Table)]
    return {row.pop(""): row for row in rows_by_column(tables[position])}


def differences(blocks: list[Block]) -> dict[str, list[str]]:
    """Return the sentences on the networks, by the sentences on the baselines."""
    section = below(blocks, TITLE)
    return {
        paragraph.text: [*listing.items]
        for paragraph, listing in pairwise(section)
        if isinstance(paragraph, Paragraph) and isinstance(listing, Listing)
    }


def heights(figure: Plot) -> dict[str, list[float]]:
    """Return the accuracies in a plot, by the names of the variants."""
    drawn: list[Any] = figure.figure.axes[0].containers
    return {str(each.get_label()): [float(y) for y in each.lines[0].get_ydata()] for each in drawn}


def test_accuracies_are_shown_by_the_confidence_of_another_baseline(tmp_path: Path) -> None:
    put_chosen(tmp_path)
    blocks = report(tmp_path)
    assert table(blocks) == {
        "gru-max": BY_CONFIDENCE,
        "ngrams-nb_svm": {
            **BY_CONFIDENCE,
            "wrong, 90–100 % (40)": "25.00",
            "all reviews": "85.00",
        },
    }
    drawn = plot(blocks, "confidence")
    assert heights(drawn) == {
        "gru-max": pytest.approx([0.625, 1, 1, 1, 1, 1]),
        "ngrams-nb_svm": pytest.approx([0.25, 1, 1, 1, 1, 1]),
    }
    axes = drawn.figure.axes[0]
    assert list(ticks(axes)[0].values()) == [
        *("wrong,\n90–100 %\n(40)", "wrong,\n70–90 %\n(20)", "wrong,\nbelow 70 %\n(10)"),
        *("correct,\nbelow 70 %\n(30)", "correct,\n70–90 %\n(40)", "correct,\n90–100 %\n(60)"),
    ]
    assert axes.get_xlabel().startswith("prediction of ngrams-logistic")
    assert "constructs" not in [each.name for each in plots(blocks)]
    note = below(blocks, TITLE)[-1]
    assert isinstance(note, Paragraph)
    assert note.text.startswith("ngrams-logistic chose the reviews")
    assert note.text.endswith(f"ngrams-nb_svm {OTHER_BASELINE}")


def test_differences_are_from_the_baseline_that_did_not_choose(tmp_path: Path) -> None:
    groups = np.arange(200) // 8
    put_chosen(tmp_path, groups)
    sure, all_wrong = differences(report(tmp_path)).items()
    assert sure[0] == (
        "On the 40 reviews that ngrams-logistic classifies wrongly with a probability of at least "
        "90 %, ngrams-nb_svm is correct on 25.00 %. The networks relative to it:"
    )
    assert all_wrong[0] == (
        "On the 70 reviews that ngrams-logistic classifies wrongly, ngrams-nb_svm is correct on "
        "57.14 %. The networks relative to it:"
    )
    for (_, [sentence]), size, shares in (
        (sure, 40, (62.5, 37.5)),
        (all_wrong, 70, (78.57, 21.43)),
    ):
        position = np.arange(size)
        correct = [{0: position >= 20, 1: position >= 10}, {0: position >= 30}]
        low, high = accuracies(correct, groups[:size]).difference(0, 1).interval()
        verdict = "better" if low > 0 else "not significantly different"
        assert sentence == (
            f"gru-max: {shares[0]:.2f} %, +{shares[1]:.2f} points "
            f"({points(low)} to {points(high)}), {verdict}"
        )


def test_a_single_baseline_chooses_and_is_not_shown(tmp_path: Path) -> None:
    put_baseline(tmp_path, np.where(LABELS == 1, TRUE_CLASS, 1 - TRUE_CLASS), answers(1), "nb_svm")
    put_run(tmp_path, network("gru", "max"), answers(15), answers(30))
    blocks = report(tmp_path)
    changed = {"wrong, 90–100 % (40)": "62.50", "all reviews": "92.50"}
    assert table(blocks) == {"gru-max": BY_CONFIDENCE | changed}
    assert not differences(blocks)
    note = below(blocks, TITLE)[-1]
    assert isinstance(note, Paragraph)
    assert note.text.endswith(NO_OTHER_BASELINE)


def test_few_reviews_have_no_sentence_and_parts_without_reviews_are_left_out(
    tmp_path: Path,
) -> None:
    put_baseline(tmp_path, answers(MIN_REVIEWS - 1, confidence=0.95), answers(40))
    put_baseline(tmp_path, answers(10), answers(20), "nb_svm")
    put_run(tmp_path, network("gru", "max"), answers(0), answers(30))
    blocks = report(tmp_path)
    assert [*table(blocks)["gru-max"]] == [
        "wrong, 90–100 % (19)",
        "correct, 90–100 % (181)",
        "all reviews",
    ]
    assert not differences(blocks)


def test_a_prediction_of_several_classes_may_be_correct_with_a_low_probability(
    tmp_path: Path,
) -> None:
    labels = np.arange(60) % 3
    classes = Classes(("bad", "fair", "good"))

    def several(wrong: int, confidence: float) -> np.ndarray:
        predicted = np.where(np.arange(60) < wrong, (labels + 1) % 3, labels)
        rest = (1 - confidence) / 2
        return np.where(np.eye(3, dtype=bool)[predicted], confidence, rest)

    mixed = np.concatenate([several(30, 0.95)[:45], several(30, 0.4)[45:]])
    fields: dict[str, Any] = {"labels": labels, "classes": classes}
    put_baseline(tmp_path, mixed, several(9, 0.9), **fields)
    put_baseline(tmp_path, several(24, 0.9), several(6, 0.9), "nb_svm", **fields)
    put_run(tmp_path, network("gru", "max"), several(12, 0.9), several(3, 0.9), **fields)
    blocks = report(tmp_path)
    assert table(blocks) == {
        name: {
            "wrong, 90–100 % (30)": wrong,
            "correct, below 70 % (15)": "100.00",
            "correct, 90–100 % (15)": "100.00",
            "all reviews": everywhere,
        }
        for name, wrong, everywhere in (
            ("gru-max", "60.00", "80.00"),
            ("ngrams-nb_svm", "20.00", "60.00"),
        )
    }


def test_confidence_is_that_of_the_predicted_class_with_any_threshold(tmp_path: Path) -> None:
    classes = Classes(threshold=0.2)
    probabilities = np.where(LABELS == 1, 0.25, 0.05)  # all are correct
    put_baseline(tmp_path, probabilities, answers(40), classes=classes)
    put_run(tmp_path, network("gru", "max"), answers(20), answers(10))
    columns = table(report(tmp_path))["gru-max"]
    assert [*columns] == ["correct, below 70 % (100)", "correct, 90–100 % (100)", "all reviews"]


CONSTRUCTS = np.repeat(
    [Construct.plain, Construct.reported_speech, Construct.negation], [80, 20, 100]
)


def test_accuracies_are_shown_by_construct(tmp_path: Path) -> None:
    # The mistakes begin with the plain verdicts; turned, with the negations and reported speech.
    order = np.argsort(-np.arange(200))
    turned = [answers(wrong, LABELS[order])[order] for wrong in (110, 50)]
    put_baseline(tmp_path, turned[0], answers(40), construct=CONSTRUCTS)
    put_run(tmp_path, network("gru", "max"), turned[1], answers(10), construct=CONSTRUCTS)
    put_run(tmp_path, network("rnn", "max"), answers(20), answers(30))  # of an older version
    blocks = report(tmp_path)
    assert table(blocks) == {
        "gru-max": {
            "plain (80)": "100.00",
            "negation (100)": "50.00",
            "reported speech (20)": "100.00",
            "all reviews": "75.00",
        },
        "rnn-max": {
            "plain (80)": "75.00",
            "negation (100)": "100.00",
            "reported speech (20)": "100.00",
            "all reviews": "90.00",
        },
        "ngrams-logistic": {
            "plain (80)": "100.00",
            "negation (100)": "0.00",
            "reported speech (20)": "50.00",
            "all reviews": "45.00",
        },
    }
    drawn = plot(blocks, "constructs")
    assert heights(drawn) == {
        "gru-max": pytest.approx([1, 0.5, 1]),
        "rnn-max": pytest.approx([0.75, 1, 1]),
        "ngrams-logistic": pytest.approx([1, 0, 0.5]),
    }
    names = [*ticks(drawn.figure.axes[0])[0].values()]
    assert names == ["plain\n(80)", "negation\n(100)", "reported\nspeech\n(20)"]
    [(opening, sentences)] = differences(blocks).items()
    assert opening.startswith("On the 120 reviews without a plain verdict")
    assert "ngrams-logistic is correct on 8.33 %" in opening
    assert sentences[0].startswith("gru-max: 58.33 %, +50.00 points (")
    assert sentences[1].startswith("rnn-max: 100.00 %, +91.67 points (")


def test_constructs_need_no_baseline(tmp_path: Path) -> None:
    put_run(tmp_path, network("gru", "max"), answers(20), answers(10), construct=CONSTRUCTS)
    blocks = report(tmp_path)
    assert [*table(blocks)] == ["gru-max"]
    assert not differences(blocks)
    assert "confidence" not in [each.name for each in plots(blocks)]


def test_unknown_constructs_are_not_shown(tmp_path: Path) -> None:
    unknown = np.full(200, "irony")
    put_run(tmp_path / "all", network("gru", "max"), answers(20), answers(10), construct=unknown)
    assert TITLE not in headings(report(tmp_path / "all"))
    some = np.where(np.arange(200) < 50, unknown, "negation")
    put_run(tmp_path / "some", network("gru", "max"), answers(20), answers(10), construct=some)
    put_baseline(tmp_path / "some", answers(20), answers(10), construct=some)
    blocks = report(tmp_path / "some")
    assert [*table(blocks)["gru-max"]] == ["negation (150)", "all reviews"]
    assert next(iter(differences(blocks))).startswith("On the 150 reviews")


def test_there_is_no_section_without_networks_baselines_or_test_predictions(
    tmp_path: Path,
) -> None:
    put_baseline(tmp_path / "baselines", answers(40), answers(40))
    put_run(tmp_path / "networks", network("gru", "max"), answers(20), answers(10))
    put_baseline(tmp_path / "untested", None, answers(40))
    put_run(tmp_path / "untested", network("gru", "max"), None, answers(10))
    for name in ("baselines", "networks", "untested"):
        assert TITLE not in headings(report(tmp_path / name))


def test_many_networks_are_limited_and_all_points_lie_in_their_part(tmp_path: Path) -> None:
    grid = [(cell, head) for cell in ("lstm", "gru", "rnn") for head in ("max", "avg", "last")]
    for k, (cell, head) in enumerate(grid):
        put_run(
            tmp_path, network(cell, head), answers(20 + k), answers(10 + k), construct=CONSTRUCTS
        )
    put_baseline(tmp_path, answers(60), answers(50), construct=CONSTRUCTS)
    put_baseline(tmp_path, answers(50), answers(45), "nb_svm", construct=CONSTRUCTS)
    axes = plot(report(tmp_path), "constructs").figure.axes[0]
    names = [f"{cell}-{head}" for cell, head in grid[:MAX_NETWORKS]]
    assert legend(axes) == [*names, "ngrams-nb_svm", "ngrams-logistic"]
    drawn: list[Any] = axes.containers
    lines = [each.lines[0] for each in drawn]
    positions = np.array([each.get_xdata() for each in lines])
    assert np.abs(positions - [0, 1, 2]).max() < 0.45
    assert len(np.unique(positions)) == positions.size
    assert [each.get_marker() for each in lines] == ["o"] * MAX_NETWORKS + ["D"] * 2
    assert len({each.get_color() for each in lines}) == len(lines)
