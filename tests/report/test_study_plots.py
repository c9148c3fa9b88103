"""The plots of a search, read back from their axes."""

import pytest
from matplotlib.figure import Figure

from lstm_sentiment.report.study_plots import (
    Axis,
    Point,
    history,
    importances,
    parallel_coordinates,
)
from lstm_sentiment.runs.run_plots import png
from tests.support.plots import line

RATE, SIZE, HEAD = "optimizer.lr", "encoder.hidden_size", "head"
AXES = [Axis(RATE, is_log=True), Axis(SIZE), Axis(HEAD, choices=["max", "avg", "last"])]


def point(number: int, accuracy: float, *values: str, pruned: bool = False) -> Point:
    names = (RATE, SIZE, HEAD)
    return Point(number, dict(zip(names, values, strict=True)), accuracy, pruned)


POINTS = [
    point(0, 0.7, "0.001", "10", "avg"),
    point(1, 0.5, "0.1", "20", "max", pruned=True),
    point(2, 0.6, "0.01", "30", "last"),
    point(4, 0.8, "0.1", "15", "last"),
]


def test_history_shows_each_trial_and_the_best_so_far() -> None:
    [axes] = history(POINTS).axes
    assert line(axes, "finished") == ([0, 2, 4], [0.7, 0.6, 0.8])
    assert line(axes, "pruned") == ([1], [0.5])
    assert line(axes, "best so far") == ([0, 2, 4], [0.7, 0.7, 0.8])


def test_importances_are_shares_with_the_largest_on_top() -> None:
    [axes] = importances({RATE: 0.25, SIZE: 0.7, HEAD: 0.05}).axes
    assert [bar.get_width() for bar in axes.patches] == [0.05, 0.25, 0.7]
    assert [label.get_text() for label in axes.get_yticklabels()] == [HEAD, RATE, SIZE]
    assert [text.get_text() for text in axes.texts] == ["5%", "25%", "70%"]


def test_a_line_passes_through_the_values_of_its_trial() -> None:
    """From the least value at 0 to the largest at 1, of rates on a logarithmic scale."""
    [axes] = parallel_coordinates(POINTS, AXES).axes
    lines = [list(map(float, each.get_ydata())) for each in axes.lines[: len(POINTS)]]
    # Pruned trials are drawn first, and then the others from the worst to the best.
    assert lines == [
        pytest.approx([1, 0.5, 0, 0]),
        pytest.approx([0.5, 1, 1, 1 / 3]),
        pytest.approx([0, 0, 0.5, 2 / 3]),
        pytest.approx([1, 0.25, 1, 1]),
    ]
    styles = [each.get_linestyle() for each in axes.lines[: len(POINTS)]]
    assert styles == ["--", "-", "-", "-"]


def test_axes_are_labelled_with_values_inside_them() -> None:
    [axes] = parallel_coordinates(POINTS, AXES).axes
    titles = [label.get_text().replace("\n", "") for label in axes.get_xticklabels()]
    assert titles == ["optimizer.lr(log)", SIZE, HEAD, "validationaccuracy"]
    ticks: dict[int, dict[str, float]] = {}
    for text in axes.texts:
        x, y = text.get_position()
        ticks.setdefault(int(x), {})[text.get_text()] = round(float(y), 2)
    assert ticks[0]["0.001"] == 0
    assert ticks[0]["0.01"] == 0.5
    assert ticks[1]["20"] == 0.5
    assert ticks[2] == {"max": 0, "avg": 0.5, "last": 1}
    assert ticks[3]["80 %"] == 1


@pytest.mark.parametrize(
    "figure",
    [
        history(POINTS[:1]),
        history(POINTS[1:2]),  # no trial is finished
        parallel_coordinates(POINTS[:1], AXES),
        parallel_coordinates(POINTS[1:2], AXES[2:]),
    ],
)
def test_a_single_trial_can_be_drawn(figure: Figure) -> None:
    assert png(figure).startswith(b"\x89PNG")
