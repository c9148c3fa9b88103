"""The plots of a comparison, read back from their axes."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_hex

from lstm_sentiment.report import comparison_plots as plots
from lstm_sentiment.report.statistics import Interval
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.reader import RunSummary, State
from lstm_sentiment.runs.run_plots import TRAIN_COLOUR, VAL_COLOUR
from tests.support.plots import cells, history, legend, line, points, ticks


def variant(name: str, *records: dict[str, Any]) -> Variant:
    runs = {k: RunSummary(Path(name), State.done, record) for k, record in enumerate(records)}
    return Variant(name, {}, runs)


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
def test_the_pareto_front_by_hand(costs: list[float], gains: list[float], front: list[int]) -> None:
    assert plots.pareto_front(costs, gains) == front


def test_no_point_beats_the_pareto_front_and_the_front_beats_all_others() -> None:
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


def test_accuracies_are_means_with_intervals_the_first_on_top() -> None:
    names, means = ["gru-max", "ngrams-nb_svm", "lstm-avg"], [0.9, 0.85, 0.8]
    intervals = [Interval(0.88, 0.93), Interval(0.84, 0.86), Interval(0.75, 0.81)]
    [axes] = plots.accuracy_bars(names, means, intervals, {"ngrams-nb_svm"}).axes
    [bars] = axes.containers
    data, _, (spans,) = bars.lines
    assert list(data.get_xdata()) == means
    assert list(data.get_ydata()) == [2, 1, 0]
    for place, (low, high), segment in zip([2, 1, 0], intervals, spans.get_segments(), strict=True):
        assert segment == pytest.approx(np.array([[low, place], [high, place]]))
    assert ticks(axes)[1] == {2: "gru-max", 1: "ngrams-nb_svm (baseline)", 0: "lstm-avg"}
    low, high = axes.get_ylim()
    assert low < 0 < 2 < high
    assert axes.xaxis.get_major_formatter()(0.875, 0) == "87.5 %"


def test_each_baseline_has_a_dashed_line() -> None:
    names, means = ["a", "b", "c"], [0.9, 0.85, 0.8]
    intervals = [Interval(mean, mean) for mean in means]
    for baselines, expected in ((set("bc"), [0.85, 0.8]), (set(), [])):
        [axes] = plots.accuracy_bars(names, means, intervals, baselines).axes
        dashed = [each for each in axes.lines if each.get_linestyle() == "--"]
        assert [list(each.get_xdata()) for each in dashed] == [[at, at] for at in expected]


def test_a_cross_is_a_published_accuracy() -> None:
    intervals = [Interval(0.8, 0.9)] * 3
    figure = plots.accuracy_bars(["a", "b", "c"], [0.85] * 3, intervals, set(), [0.7, None, 0.9])
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    places = {(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses}
    assert places == {(0.7, 2), (0.9, 0)}  # the first is on top


def test_influence_is_relative_to_the_last_word() -> None:
    figure = plots.influence([0, 1, 10], {"rnn": [4.0, 2.0, 0.04], "lstm": [1.0, 0.9, 0.5]})
    drawn = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert drawn == {"rnn": [1.0, 0.5, 0.01], "lstm": [1.0, 0.9, 0.5]}


def test_a_mean_outside_of_its_interval_is_drawn() -> None:
    intervals = [Interval(0.91, 0.92), Interval(0.7, 0.79)]
    [axes] = plots.accuracy_bars(["a", "b"], [0.9, 0.8], intervals, set()).axes
    first, second = axes.containers[0].lines[2][0].get_segments()
    assert first[:, 0] == pytest.approx([0.9, 0.92])
    assert second[:, 0] == pytest.approx([0.7, 0.8])


def test_effect_sizes_are_points_around_zero() -> None:
    intervals = [Interval(0.01, 0.03), Interval(-0.03, 0.005)]
    [axes] = plots.effect_sizes(["gru", "lstm"], [0.02, -0.02], intervals).axes
    data, _, (spans,) = axes.containers[0].lines
    assert list(data.get_xdata()) == pytest.approx([2, -2])
    assert list(data.get_ydata()) == [1, 0]
    assert spans.get_segments()[0][:, 0] == pytest.approx([1, 3])
    assert spans.get_segments()[1][:, 0] == pytest.approx([-3, 0.5])
    assert ticks(axes)[1] == {1: "gru", 0: "lstm"}
    assert [list(each.get_xdata()) for each in axes.lines].count([0, 0]) == 1


def test_a_cell_shows_its_accuracy_or_nothing() -> None:
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
    assert bar.get_ylabel() == "test accuracy"


def test_the_text_of_a_cell_contrasts_with_its_colour() -> None:
    axes = plots.heat_map(["a"], ["b", "c"], np.array([[0.5, 0.9]])).axes[0]
    [image] = axes.images
    for text in axes.texts:
        value = image.get_array()[0, text.get_position()[0]]
        ground = np.mean(image.cmap(image.norm(value))[:3])
        ink = np.mean([int(str(text.get_color())[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        assert abs(ground - ink) > 0.5


def over_time() -> Axes:
    """Plot a, b, c, which is slower and no better than a, and d, a baseline better than all."""
    names, seconds = ["a", "b", "c", "d"], [10, 100, 50, 1]
    figure = plots.accuracy_against_time(names, seconds, [0.8, 0.9, 0.75, 0.95], {"d"})
    return figure.axes[0]


def test_the_pareto_front_is_of_networks_only() -> None:
    axes = over_time()
    assert line(axes, "Pareto front") == ([10, 100], [0.8, 0.9])
    [front] = axes.lines
    assert front.get_drawstyle() == "steps-post"  # up to 100 seconds a is best
    networks, baselines = axes.collections
    assert networks.get_offsets().tolist() == [[10, 0.8], [100, 0.9], [50, 0.75]]
    assert baselines.get_offsets().tolist() == [[1, 0.95]]
    assert not same_color(baselines.get_facecolor(), networks.get_facecolor())
    assert axes.get_xscale() == "log"


def test_the_front_and_the_baselines_are_named() -> None:
    axes = over_time()
    named = {text.get_text(): text.xy for text in axes.texts}
    assert named == {"a": (10, 0.8), "b": (100, 0.9), "d": (1, 0.95)}
    assert legend(axes.figure) == ["Pareto front", "n-gram baseline"]


def test_without_baselines_none_is_in_the_legend() -> None:
    figure = plots.accuracy_against_time(["a"], [10], [0.8], set())
    assert legend(figure) == ["Pareto front"]


def test_baselines_alone_have_no_pareto_front() -> None:
    [axes] = plots.accuracy_against_time(["a"], [10], [0.8], {"a"}).axes
    assert line(axes, "Pareto front") == ([], [])
    assert points(axes) == [(10, 0.8)]


def test_gaps_are_of_the_best_epoch_and_means_over_seeds() -> None:
    one = history([0.5, 0.25, 0.1], [0.5, 0.3, 0.4], best=2)
    two = history([0.4, 0.2], [0.5, 0.4], best=1)
    [axes] = plots.generalization_gaps([variant("gru-max", one, two), variant("gru-avg", one)]).axes
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
    train, val = TRAIN_COLOUR.lower(), VAL_COLOUR.lower()
    expected = [(train, 0.675, 1), (val, 0.6, 1), (train, 0.75, 0), (val, 0.7, 0)]
    for (shown, *point), (colour, x, y) in zip(dots, expected, strict=True):
        assert shown == colour
        assert point == pytest.approx([x, y])
    assert legend(axes) == ["train", "val"]


def test_gaps_without_validation_show_train() -> None:
    [axes] = plots.generalization_gaps([variant("gru", history([0.5, 0.25], None, best=1))]).axes
    shown = [point for point in points(axes) if np.isfinite(point).all()]
    assert shown == [(0.5, 0)]


def test_long_names_leave_room_for_the_plot() -> None:
    name = (
        "stacked_bilstm-max_attention embedding.kind=word2vec data.max_vocab=30000 optimizer.lr=0.1"
    )
    intervals = [Interval(0.8, 0.9)] * 3
    figure = plots.accuracy_bars([name, "a", "b"], [0.85] * 3, intervals, set())
    [label, *_] = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert label.replace("\n", " ") == name
    assert max(map(len, label.splitlines())) <= 40
    figure.draw_without_rendering()
    box = figure.axes[0].get_position()
    assert box.width > 0.5
