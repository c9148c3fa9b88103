"""What was drawn, read back from the axes, beside examples by hand or by scikit-learn."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from lstm_sentiment.report import plots
from lstm_sentiment.report.configurations import Answers, Configuration
from lstm_sentiment.report.runs import RunSummary, State
from lstm_sentiment.report.statistics import Interval
from lstm_sentiment.training.figures import TRAIN, VAL


def answers(
    label: Sequence[int], probability: Sequence[float], tokens: Sequence[int] | None = None
) -> Answers:
    return Answers(
        np.arange(len(label)),
        np.array(label, bool),
        np.array(probability, np.float32),
        None if tokens is None else np.array(tokens),
    )


def drawn_answers(seed: int, size: int = 400) -> Answers:
    """Of a model that is right more often than not."""
    random = np.random.default_rng(seed)
    label = random.random(size) < 0.4
    probability = 1 / (1 + np.exp(-(2.0 * label - 1 + random.standard_normal(size))))
    return Answers(np.arange(size), label, probability.astype(np.float32), None)


def scores(value: float) -> dict[str, float]:
    """Each another, so that none is taken for another."""
    return {
        "loss": value,
        "accuracy": 1 - value,
        "precision": 1 - value / 2,
        "recall": 1 - value / 4,
    }


def configuration(name: str, *records: dict[str, Any]) -> Configuration:
    runs = {k: RunSummary(Path(name), State.done, record) for k, record in enumerate(records)}
    return Configuration(name, {}, runs)


def history(train: Sequence[float], val: Sequence[float] | None, best: int) -> dict[str, Any]:
    """A record of these losses, epoch by epoch."""
    epochs = [
        {"epoch": k, "train": scores(loss), "val": scores(val[k - 1]) if val else None}
        for k, loss in enumerate(train, 1)
    ]
    return {"epochs": epochs, "best_epoch": best}


def points(axes: Axes) -> list[tuple[float, ...]]:
    """Of all that was scattered."""
    offsets = [np.ma.filled(dots.get_offsets(), np.nan).tolist() for dots in axes.collections]
    return [tuple(point) for each in offsets for point in each]


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    [found] = [each for each in axes.lines if each.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def ticks(axes: Axes) -> tuple[dict[float, str], dict[float, str]]:
    """Place -> text, of both axes."""
    return tuple(
        {float(at): text.get_text() for at, text in zip(axis.get_ticklocs(), labels, strict=True)}
        for axis, labels in (
            (axes.xaxis, axes.get_xticklabels()),
            (axes.yaxis, axes.get_yticklabels()),
        )
    )  # type: ignore[return-value]


def cells(axes: Axes) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in axes.texts}


def legend(of: Axes | Figure) -> list[str]:
    [found] = of.legends if isinstance(of, Figure) else [of.get_legend()]
    return [text.get_text() for text in found.get_texts()]


@pytest.mark.parametrize(
    ("costs", "gains", "front"),
    [
        ([5], [0.8], [0]),
        ([], [], []),
        ([1, 2, 3], [0.7, 0.8, 0.9], [0, 1, 2]),
        ([3, 2, 1], [0.9, 0.8, 0.7], [2, 1, 0]),  # the cheapest first
        ([1, 2, 3], [0.9, 0.8, 0.7], [0]),  # the cheapest is the best
        ([1, 2, 3], [0.8, 0.7, 0.9], [0, 2]),
        ([1, 2, 3], [0.8, 0.8, 0.9], [0, 2]),  # as good, but dearer
        ([2, 2, 2], [0.7, 0.9, 0.8], [1]),  # as dear, but worse
        ([1, 1], [0.8, 0.8], [0]),  # one of two alike
    ],
)
def test_the_front_by_hand(costs: list[float], gains: list[float], front: list[int]) -> None:
    assert plots.pareto_front(costs, gains) == front


def test_nothing_beats_the_front_and_the_front_beats_the_rest() -> None:
    random = np.random.default_rng(0)
    costs, gains = random.integers(0, 30, 60), random.integers(0, 30, 60)
    front = plots.pareto_front(list(costs), list(gains))

    def beats(a: int, b: int) -> bool:
        better = costs[a] < costs[b] or gains[a] > gains[b]
        return bool(costs[a] <= costs[b] and gains[a] >= gains[b] and better)

    assert not any(beats(a, b) for a, b in product(range(60), front))
    for k in set(range(60)) - set(front):
        twin = any((costs[k], gains[k]) == (costs[f], gains[f]) for f in front)
        assert twin or any(beats(f, k) for f in front)


def test_colours_are_distinct_and_no_two_series_look_alike() -> None:
    assert len({to_hex(colour) for colour in plots.COLOURS}) == len(plots.COLOURS) == 8
    styles = plots._styles(32)
    assert len({(style["color"], style["linestyle"]) for style in styles}) == 32
    assert plots._styles(3) == [{"color": c, "linestyle": "-"} for c in plots.COLOURS[:3]]


def looks(axes: Axes) -> list[tuple[str, str]]:
    """Colour and style of every line."""
    return [(to_hex(each.get_color()), each.get_linestyle()) for each in axes.lines]


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_no_two_lines_look_alike_in_a_picture_with_a_diagonal(count: int) -> None:
    given = {f"c{k}": drawn_answers(k, 60) for k in range(count)}
    for axes in (plots.curves(given).axes[0], plots.reliability(given).axes[0]):
        assert len(set(looks(axes))) == len(axes.lines) == count + 1


@pytest.mark.parametrize("count", [1, 8])
def test_no_two_lines_look_alike_elsewhere(count: int) -> None:
    given = {f"c{k}": drawn_answers(k, 60)._replace(tokens=np.arange(60)) for k in range(count)}
    by_length = plots.by_length({name: [each] for name, each in given.items()})
    assert by_length
    for axes in (plots.curves(given).axes[1], by_length.axes[0]):
        assert len(set(looks(axes))) == len(axes.lines) == count


def test_bars_are_means_with_their_intervals_the_first_on_top() -> None:
    names, means = ["gru-max", "ngrams-nb_svm", "lstm-avg"], [0.9, 0.85, 0.8]
    ranges = [Interval(0.88, 0.93), Interval(0.84, 0.86), Interval(0.75, 0.81)]
    [axes] = plots.accuracy_bars(names, means, ranges, {"ngrams-nb_svm"}).axes
    [bars] = axes.containers
    data, _, (spans,) = bars.lines
    assert list(data.get_xdata()) == means
    assert list(data.get_ydata()) == [2, 1, 0]
    for place, (low, high), found in zip([2, 1, 0], ranges, spans.get_segments(), strict=True):
        assert found == pytest.approx(np.array([[low, place], [high, place]]))
    assert ticks(axes)[1] == {2: "gru-max", 1: "ngrams-nb_svm (baseline)", 0: "lstm-avg"}
    low, high = axes.get_ylim()
    assert low < 0 < 2 < high
    assert axes.xaxis.get_major_formatter()(0.875, 0) == "87.5 %"


def test_a_dashed_line_is_at_each_baseline() -> None:
    names, means = ["a", "b", "c"], [0.9, 0.85, 0.8]
    ranges = [Interval(mean, mean) for mean in means]
    for baselines, expected in ((set("bc"), [0.85, 0.8]), (set(), [])):
        [axes] = plots.accuracy_bars(names, means, ranges, baselines).axes
        dashed = [each for each in axes.lines if each.get_linestyle() == "--"]
        assert [list(each.get_xdata()) for each in dashed] == [[at, at] for at in expected]


def test_a_cross_is_what_was_published() -> None:
    ranges = [Interval(0.8, 0.9)] * 3
    figure = plots.accuracy_bars(["a", "b", "c"], [0.85] * 3, ranges, set(), [0.7, None, 0.9])
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    places = {(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses}
    assert places == {(0.7, 2), (0.9, 0)}  # the first is on top


def test_influence_is_a_share_of_the_last_words() -> None:
    figure = plots.influence([0, 1, 10], {"rnn": [4.0, 2.0, 0.04], "lstm": [1.0, 0.9, 0.5]})
    drawn = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert drawn == {"rnn": [1.0, 0.5, 0.01], "lstm": [1.0, 0.9, 0.5]}


def test_a_mean_beside_its_interval_is_drawn() -> None:
    ranges = [Interval(0.91, 0.92), Interval(0.7, 0.79)]
    [axes] = plots.accuracy_bars(["a", "b"], [0.9, 0.8], ranges, set()).axes
    first, second = axes.containers[0].lines[2][0].get_segments()
    assert first[:, 0] == pytest.approx([0.9, 0.92])
    assert second[:, 0] == pytest.approx([0.7, 0.8])


def test_contributions_are_points_around_zero() -> None:
    ranges = [Interval(0.01, 0.03), Interval(-0.03, 0.005)]
    [axes] = plots.contributions(["gru", "lstm"], [0.02, -0.02], ranges).axes
    data, _, (spans,) = axes.containers[0].lines
    assert list(data.get_xdata()) == pytest.approx([2, -2])
    assert list(data.get_ydata()) == [1, 0]
    assert spans.get_segments()[0][:, 0] == pytest.approx([1, 3])
    assert spans.get_segments()[1][:, 0] == pytest.approx([-3, 0.5])
    assert ticks(axes)[1] == {1: "gru", 0: "lstm"}
    assert [list(each.get_xdata()) for each in axes.lines].count([0, 0]) == 1


def test_a_cell_says_its_accuracy_and_one_without_says_nothing() -> None:
    values = np.array([[0.5, 0.9123, 0.6], [0.85, np.nan, 0.7]])
    axes, bar = plots.heat_map(["gru", "lstm"], ["max", "avg", "last"], values).axes
    assert cells(axes) == {
        (0, 0): "50.0%",
        (1, 0): "91.2%",
        (2, 0): "60.0%",
        (0, 1): "85.0%",
        (2, 1): "70.0%",
    }
    [image] = axes.images
    assert np.ma.filled(image.get_array(), np.nan) == pytest.approx(values, nan_ok=True)
    assert ticks(axes) == ({0: "max", 1: "avg", 2: "last"}, {0: "gru", 1: "lstm"})
    assert bar.get_ylabel() == "accuracy on test"


def test_a_cells_text_is_dark_on_light_and_light_on_dark() -> None:
    axes = plots.heat_map(["a"], ["b", "c"], np.array([[0.5, 0.9]])).axes[0]
    [image] = axes.images
    for text in axes.texts:
        value = image.get_array()[0, text.get_position()[0]]
        ground = np.mean(image.cmap(image.norm(value))[:3])
        ink = np.mean([int(str(text.get_color())[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        assert abs(ground - ink) > 0.5


def over_time() -> Axes:
    """c is slower and no better than a; d is a baseline, cheaper and better than all."""
    names, seconds = ["a", "b", "c", "d"], [10, 100, 50, 1]
    figure = plots.accuracy_against_time(names, seconds, [0.8, 0.9, 0.75, 0.95], {"d"})
    return figure.axes[0]


def test_the_front_is_of_networks_and_baselines_stand_apart() -> None:
    axes = over_time()
    assert line(axes, "front of the networks") == ([10, 100], [0.8, 0.9])
    [front] = axes.lines
    assert front.get_drawstyle() == "steps-post"  # at 50 seconds nothing better than a is to be had
    networks, baselines = axes.collections
    assert networks.get_offsets().tolist() == [[10, 0.8], [100, 0.9], [50, 0.75]]
    assert baselines.get_offsets().tolist() == [[1, 0.95]]
    assert not same_color(baselines.get_facecolor(), networks.get_facecolor())
    assert axes.get_xscale() == "log"


def test_the_front_and_the_baselines_are_named() -> None:
    axes = over_time()
    named = {text.get_text(): text.xy for text in axes.texts}
    assert named == {"a": (10, 0.8), "b": (100, 0.9), "d": (1, 0.95)}
    assert legend(axes.figure) == ["front of the networks", "without recurrence"]


def test_without_baselines_none_is_in_the_legend() -> None:
    figure = plots.accuracy_against_time(["a"], [10], [0.8], set())
    assert legend(figure) == ["front of the networks"]


def test_baselines_alone_have_no_front() -> None:
    [axes] = plots.accuracy_against_time(["a"], [10], [0.8], {"a"}).axes
    assert line(axes, "front of the networks") == ([], [])
    assert points(axes) == [(10, 0.8)]


def test_curves_are_those_of_scikit_learn() -> None:
    given = {"gru": drawn_answers(1), "lstm": drawn_answers(2)}
    figure = plots.curves(given)
    roc, pr = figure.axes
    labels = []
    for k, (name, answer) in enumerate(given.items()):
        areas = [
            area(answer.label, answer.probability)
            for area in (roc_auc_score, average_precision_score)
        ]
        labels.append(f"{name}: {areas[0]:.3f}, {areas[1]:.3f}")
        x, y = line(roc, labels[-1])
        called, found, _ = roc_curve(answer.label, answer.probability)
        assert y == pytest.approx(np.interp(x, called, found))
        assert np.trapezoid(y, x) == pytest.approx(areas[0], abs=0.01)
        drawn = pr.lines[k]
        precision, recall, _ = precision_recall_curve(answer.label, answer.probability)
        expected = np.interp(drawn.get_xdata(), recall[::-1], precision[::-1])
        assert drawn.get_ydata() == pytest.approx(expected)
        assert np.trapezoid(drawn.get_ydata(), drawn.get_xdata()) == pytest.approx(
            areas[1], abs=0.02
        )
        assert drawn.get_color() == roc.lines[k].get_color()
    assert legend(figure) == labels
    assert (roc.get_xlabel(), pr.get_xlabel()) == ("share of negatives called positive", "recall")
    assert list(roc.lines[-1].get_ydata()) == [0, 1]  # of guessing


def test_curves_by_hand() -> None:
    # The one mistake: a negative above one of two positives.
    figure = plots.curves({"a": answers([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])})
    assert legend(figure) == ["a: 0.750, 0.833"]


def test_reliability_by_hand() -> None:
    # Bins of a tenth: three of 0.1 to 0.2, one of them positive; two of 0.9 to 1, both.
    given = answers([0, 0, 1, 1, 1], [0.12, 0.15, 0.18, 0.92, 0.96])
    [axes] = plots.reliability({"gru": given}).axes
    said, share = line(axes, "gru")
    assert said == pytest.approx([0.15, 0.94])
    assert share == pytest.approx([1 / 3, 1])
    assert line(axes, "as said") == ([0, 1], [0, 1])
    assert legend(axes) == ["as said", "gru"]


def test_reliability_of_ten_bins_and_of_each_model() -> None:
    middles = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]
    label = [0, 1] * 5
    given = {"a": answers(label, middles), "b": answers([1] * 5 + [0] * 5, middles)}
    [axes] = plots.reliability(given).axes
    assert line(axes, "a")[0] == pytest.approx(middles)
    assert line(axes, "a")[1] == label
    assert line(axes, "b")[1] == [1] * 5 + [0] * 5


def by_ten(wrong: Mapping[int, Sequence[int]]) -> list[Answers]:
    """Ten reviews of 1 to 10 tokens, in no order; by seed the lengths that it gets wrong."""
    tokens = [7, 3, 1, 9, 5, 2, 10, 4, 8, 6]
    return [
        answers([1] * 10, [0.1 if length in lengths else 0.9 for length in tokens], tokens)
        for lengths in wrong.values()
    ]


def test_accuracy_by_length_by_hand() -> None:
    given = {"gru": by_ten({0: [1, 2, 10], 1: [1, 9, 10]}), "lstm": by_ten({0: []})}
    figure = plots.by_length(given)
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
    figure = plots.by_length({"a": [answers([1] * 1000, np.where(right, 0.9, 0.1), tokens)]})
    assert figure
    assert line(figure.axes[0], "a")[1] == pytest.approx([1, 1, 1, 0, 0], abs=0.01)


def test_many_of_one_length_make_fewer_parts() -> None:
    tokens = [500] * 8 + [1, 2]
    figure = plots.by_length({"a": [answers([1] * 10, [0.9] * 8 + [0.1] * 2, tokens)]})
    assert figure
    assert line(figure.axes[0], "a")[1] == pytest.approx([0, 8 / 9])
    assert ticks(figure.axes[0])[0] == {0: "1 to 1", 1: "2 to 500"}


def test_accuracy_by_length_needs_lengths_that_differ() -> None:
    assert plots.by_length({"a": [answers([1, 0], [0.9, 0.1])]}) is None
    assert plots.by_length({"a": [answers([1] * 5, [0.9] * 5, [7] * 5)]}) is None
    assert plots.by_length({}) is None


def test_models_without_lengths_are_left_out() -> None:
    given = {"old": [answers([1] * 10, [0.9] * 10)], "new": by_ten({0: []})}
    figure = plots.by_length(given)
    assert figure
    assert legend(figure.axes[0]) == ["new"]


def test_gaps_are_of_the_kept_epoch_and_means_over_seeds() -> None:
    one = history([0.5, 0.25, 0.1], [0.5, 0.3, 0.4], best=2)
    two = history([0.4, 0.2], [0.5, 0.4], best=1)
    [axes] = plots.gaps([configuration("gru-max", one, two), configuration("gru-avg", one)]).axes
    ends = [list(each.get_xdata()) for each in axes.lines]
    assert ends[0] == pytest.approx([(0.75 + 0.6) / 2, (0.7 + 0.5) / 2])
    assert ends[1] == pytest.approx([0.75, 0.7])
    assert [list(each.get_ydata()) for each in axes.lines] == [[1, 1], [0, 0]]
    assert ticks(axes)[1] == {1: "gru-max", 0: "gru-avg"}
    dots = [
        (to_hex(dot.get_facecolor()[0]), *map(float, dot.get_offsets()[0]))
        for dot in axes.collections
        if len(dot.get_offsets())
    ]
    train, val = TRAIN.lower(), VAL.lower()
    expected = [(train, 0.675, 1), (val, 0.6, 1), (train, 0.75, 0), (val, 0.7, 0)]
    for found, (colour, x, y) in zip(dots, expected, strict=True):
        assert found[0] == colour
        assert found[1:] == pytest.approx((x, y))
    assert legend(axes) == ["train", "val"]


def test_gaps_without_validation_show_train() -> None:
    [axes] = plots.gaps([configuration("gru", history([0.5, 0.25], None, best=1))]).axes
    shown = [point for point in points(axes) if np.isfinite(point).all()]
    assert shown == [(0.5, 0)]


def test_every_seed_is_a_line_in_every_panel() -> None:
    seeds = [history([0.5, 0.25], [0.6, 0.4], 2), history([0.375, 0.125, 0.1], [0.5, 0.2, 0.3], 2)]
    figure = plots.learning_curves(configuration("gru", *seeds))
    for axes, panel in zip(
        figure.axes, (["loss"], ["accuracy"], ["precision", "recall"]), strict=True
    ):
        drawn = [
            (
                each.get_color(),
                each.get_linestyle(),
                list(each.get_xdata()),
                list(each.get_ydata()),
            )
            for each in axes.lines
        ]
        assert drawn == [
            (
                colour,
                style,
                [epoch["epoch"] for epoch in record["epochs"]],
                [epoch[stage][score] for epoch in record["epochs"]],
            )
            for record in seeds
            for stage, colour in (("train", TRAIN), ("val", VAL))
            for score, style in zip(panel, ("-", "--"), strict=False)
        ]
    said = [axes.get_ylabel() for axes in figure.axes]
    assert said == ["loss", "accuracy", "precision (line) and recall (dashes)"]
    assert legend(figure) == ["train", "val"]


def test_a_record_without_validation_has_curves_of_train() -> None:
    figure = plots.learning_curves(configuration("gru", history([0.5, 0.25], None, 2)))
    loss = figure.axes[0]
    shown = [list(each.get_ydata()) for each in loss.lines if len(each.get_ydata())]
    assert shown == [[0.5, 0.25]]


def test_an_epoch_without_validation_is_left_out_of_its_line() -> None:
    record = history([0.5, 0.25, 0.125], [0.6, 0.4, 0.3], 3)
    record["epochs"][1]["val"] = None
    val = plots.learning_curves(configuration("gru", record)).axes[0].lines[1]
    assert (list(val.get_xdata()), list(val.get_ydata())) == ([1, 3], [0.6, 0.3])


def test_matrices_are_shares_of_each_label() -> None:
    matrices = {
        "gru": np.array([[30, 10], [5, 1495]]),
        "lstm": np.array([[20.5, 19.5], [0, 0]]),  # a mean of two seeds; no positive review
    }
    first, second = plots.confusion_matrices(matrices).axes
    assert cells(first) == {
        (0, 0): "75.0%\n30",
        (1, 0): "25.0%\n10",
        (0, 1): "0.3%\n5",
        (1, 1): "99.7%\n1,495",
    }
    drawn = np.ma.filled(first.images[0].get_array())
    assert drawn == pytest.approx(np.array([[0.75, 0.25], [1 / 300, 299 / 300]]))
    assert first.images[0].get_clim() == (0, 1)
    assert cells(second)[1, 1] == "0.0%\n0"
    assert [axes.get_title() for axes in (first, second)] == ["gru", "lstm"]
    assert ticks(first) == ({0: "negative", 1: "positive"},) * 2


def test_matrices_say_which_is_the_answer() -> None:
    figure = plots.confusion_matrices({"a": np.eye(2)})
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("answer", "label")


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 4)), (12, (3, 4))])
def test_matrices_stand_in_rows_of_four(count: int, shape: tuple[int, int]) -> None:
    figure = plots.confusion_matrices({str(k): np.eye(2) * 100 for k in range(count)})
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    shown = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert shown == [str(k) for k in range(count)]


def test_every_part_has_a_review() -> None:
    given = answers([1] * 4, [0.9] * 4, [10, 20, 30, 1000])
    figure = plots.by_length({"a": [given]})
    assert figure
    assert line(figure.axes[0], "a")[1] == [1] * len(ticks(figure.axes[0])[0])


def test_long_names_leave_room_for_the_picture() -> None:
    name = (
        "stacked_bilstm-max_attention embedding.kind=word2vec data.max_vocab=30000 optimizer.lr=0.1"
    )
    ranges = [Interval(0.8, 0.9)] * 3
    figure = plots.accuracy_bars([name, "a", "b"], [0.85] * 3, ranges, set())
    [label, *_] = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert label.replace("\n", " ") == name
    assert max(map(len, label.splitlines())) <= 40
    figure.draw_without_rendering()
    box = figure.axes[0].get_position()
    assert box.width > 0.5
