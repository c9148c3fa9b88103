"""The plots of single predictions: ROC and precision-recall curves, calibration, lengths."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from lstm_sentiment.report import comparison_plots as plots
from lstm_sentiment.runs.predictions import Predictions
from lstm_sentiment.runs.run_plots import COLOURS
from tests.support.plots import legend, line, ticks
from tests.support.records import logits


def predictions(
    label: Sequence[int], probability: Sequence[float], tokens: Sequence[int] | None = None
) -> Predictions:
    return Predictions(
        np.arange(len(label)),
        np.array(label, bool),
        logits(np.array(probability)),
        None if tokens is None else np.array(tokens),
    )


def random_predictions(seed: int, size: int = 400) -> Predictions:
    """Return predictions that are correct more often than not."""
    random = np.random.default_rng(seed)
    label = random.random(size) < 0.4
    return Predictions(np.arange(size), label, 2.0 * label - 1 + random.standard_normal(size), None)


def test_no_two_of_32_curves_have_the_same_colour_and_style() -> None:
    assert len({to_hex(colour) for colour in COLOURS}) == len(COLOURS) == 8
    styles = plots._styles(32)
    assert len({(style["color"], style["linestyle"]) for style in styles}) == 32
    assert plots._styles(3) == [{"color": c, "linestyle": "-"} for c in COLOURS[:3]]


def looks(axes: Axes) -> list[tuple[str, str]]:
    """Return colour and style of every line."""
    return [(to_hex(each.get_color()), each.get_linestyle()) for each in axes.lines]


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_no_two_lines_look_alike_beside_a_diagonal(count: int) -> None:
    runs = {f"c{k}": random_predictions(k, 60) for k in range(count)}
    for axes in (plots.roc_and_precision_recall(runs).axes[0], plots.calibration(runs).axes[0]):
        assert len(set(looks(axes))) == len(axes.lines) == count + 1


@pytest.mark.parametrize("count", [1, 8])
def test_no_two_lines_look_alike_in_other_plots(count: int) -> None:
    runs = {f"c{k}": random_predictions(k, 60)._replace(tokens=np.arange(60)) for k in range(count)}
    by_length = plots.accuracy_by_length({name: [run] for name, run in runs.items()})
    assert by_length
    for axes in (plots.roc_and_precision_recall(runs).axes[1], by_length.axes[0]):
        assert len(set(looks(axes))) == len(axes.lines) == count


def test_curves_are_those_of_scikit_learn() -> None:
    runs = {"gru": random_predictions(1), "lstm": random_predictions(2)}
    figure = plots.roc_and_precision_recall(runs)
    roc, pr = figure.axes
    labels = []
    for k, (name, run) in enumerate(runs.items()):
        areas = [
            area(run.label, run.probability) for area in (roc_auc_score, average_precision_score)
        ]
        labels.append(f"{name}: {areas[0]:.3f}, {areas[1]:.3f}")
        x, y = line(roc, labels[-1])
        false_positive_rate, true_positive_rate, _ = roc_curve(run.label, run.probability)
        assert y == pytest.approx(np.interp(x, false_positive_rate, true_positive_rate))
        assert np.trapezoid(y, x) == pytest.approx(areas[0], abs=0.01)
        drawn = pr.lines[k]
        precision, recall, _ = precision_recall_curve(run.label, run.probability)
        expected = np.interp(drawn.get_xdata(), recall[::-1], precision[::-1])
        assert drawn.get_ydata() == pytest.approx(expected)
        assert np.trapezoid(drawn.get_ydata(), drawn.get_xdata()) == pytest.approx(
            areas[1], abs=0.02
        )
        assert drawn.get_color() == roc.lines[k].get_color()
    assert legend(figure) == labels
    assert (roc.get_xlabel(), pr.get_xlabel()) == ("false positive rate", "recall")
    assert list(roc.lines[-1].get_ydata()) == [0, 1]  # the diagonal


def test_curves_by_hand() -> None:
    # One negative has a higher probability than one of two positives.
    figure = plots.roc_and_precision_recall({"a": predictions([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])})
    assert legend(figure) == ["a: 0.750, 0.833"]


def test_reliability_by_hand() -> None:
    # Bins of a tenth: three of 0.1 to 0.2, one of them positive; two of 0.9 to 1, both.
    run = predictions([0, 0, 1, 1, 1], [0.12, 0.15, 0.18, 0.92, 0.96])
    [axes] = plots.calibration({"gru": run}).axes
    probability, share = line(axes, "gru")
    assert probability == pytest.approx([0.15, 0.94])
    assert share == pytest.approx([1 / 3, 1])
    assert line(axes, "perfect calibration") == ([0, 1], [0, 1])
    assert legend(axes) == ["perfect calibration", "gru"]


def test_reliability_of_ten_bins_and_of_each_model() -> None:
    middles = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]
    label = [0, 1] * 5
    runs = {"a": predictions(label, middles), "b": predictions([1] * 5 + [0] * 5, middles)}
    [axes] = plots.calibration(runs).axes
    assert line(axes, "a")[0] == pytest.approx(middles)
    assert line(axes, "a")[1] == label
    assert line(axes, "b")[1] == [1] * 5 + [0] * 5


def by_ten(wrong: Mapping[int, Sequence[int]]) -> list[Predictions]:
    """Return ten reviews of 1 to 10 tokens, shuffled; `wrong` are the mistaken lengths by seed."""
    tokens = [7, 3, 1, 9, 5, 2, 10, 4, 8, 6]
    return [
        predictions([1] * 10, [0.1 if length in lengths else 0.9 for length in tokens], tokens)
        for lengths in wrong.values()
    ]


def test_accuracy_by_length_by_hand() -> None:
    runs = {"gru": by_ten({0: [1, 2, 10], 1: [1, 9, 10]}), "lstm": by_ten({0: []})}
    figure = plots.accuracy_by_length(runs)
    assert figure
    [axes] = figure.axes
    # Fifths of 1 to 10 begin after 0, 2, 4, 6 and 8 of them: each with the last of the one before.
    places, accuracies = line(axes, "gru")
    assert places == [0, 1, 2, 3, 4]
    # 1 (wrong twice); 2 and 3 (one of four); 4, 5; 6, 7; 8, 9, 10 (three of six).
    assert accuracies == pytest.approx([0, 3 / 4, 1, 1, 1 / 2])
    assert line(axes, "lstm")[1] == [1] * 5
    expected = dict(enumerate(["1 to 1", "2 to 3", "4 to 5", "6 to 7", "8 to 10"]))
    assert ticks(axes)[0] == expected
    assert legend(axes) == ["gru", "lstm"]


def test_fifths_are_fifths_of_the_reviews() -> None:
    tokens = np.random.default_rng(0).permutation(1000) ** 2  # many short, few long
    right = tokens < np.quantile(tokens, 0.6)  # the shortest three fifths
    figure = plots.accuracy_by_length(
        {"a": [predictions([1] * 1000, np.where(right, 0.9, 0.1), tokens)]}
    )
    assert figure
    assert line(figure.axes[0], "a")[1] == pytest.approx([1, 1, 1, 0, 0], abs=0.01)


def test_many_of_one_length_make_fewer_parts() -> None:
    tokens = [500] * 8 + [1, 2]
    figure = plots.accuracy_by_length({"a": [predictions([1] * 10, [0.9] * 8 + [0.1] * 2, tokens)]})
    assert figure
    assert line(figure.axes[0], "a")[1] == pytest.approx([0, 8 / 9])
    assert ticks(figure.axes[0])[0] == {0: "1 to 1", 1: "2 to 500"}


def test_accuracy_by_length_needs_lengths_that_differ() -> None:
    assert plots.accuracy_by_length({"a": [predictions([1, 0], [0.9, 0.1])]}) is None
    assert plots.accuracy_by_length({"a": [predictions([1] * 5, [0.9] * 5, [7] * 5)]}) is None
    assert plots.accuracy_by_length({}) is None


def test_variants_without_lengths_are_left_out() -> None:
    runs = {"old": [predictions([1] * 10, [0.9] * 10)], "new": by_ten({0: []})}
    figure = plots.accuracy_by_length(runs)
    assert figure
    assert legend(figure.axes[0]) == ["new"]


def test_no_fifth_is_empty() -> None:
    run = predictions([1] * 4, [0.9] * 4, [10, 20, 30, 1000])
    figure = plots.accuracy_by_length({"a": [run]})
    assert figure
    assert line(figure.axes[0], "a")[1] == [1] * len(ticks(figure.axes[0])[0])
