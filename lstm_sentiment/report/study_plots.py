"""trials of a search -> plots: history, importance of the fields, parallel coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import LogLocator, MaxNLocator

from lstm_sentiment.report.comparison_plots import NAME_WIDTH, PER_CENT
from lstm_sentiment.runs.run_plots import COLOUR_MAP, COLOURS, GREY, despine, wrapped

AXIS_WIDTH = 14  # characters in a line of the name of an axis
TICKS = 5  # numbers beside an axis
ACCURACY = "validation accuracy"
DARK_IS_HIGH = f"{COLOUR_MAP}_r"  # a colour map; on white, the best trials are easiest to see
MARGIN = 0.04  # of an axis above and below its values


@dataclass(frozen=True)
class Point:
    """A trial that has ended: its values as they are typed, by name, and its accuracy."""

    number: int
    values: Mapping[str, str]
    accuracy: float
    is_pruned: bool


@dataclass(frozen=True)
class Axis:
    """A field that is searched; its values are numbers if there are no `choices`."""

    name: str
    choices: Sequence[str] | None = None
    is_log: bool = False

    def position(self, value: str) -> float:
        """Return where a value lies: a number or its logarithm, or the number of a choice."""
        if self.choices is not None:
            return float(self.choices.index(value))
        return float(np.log10(float(value))) if self.is_log else float(value)


def history(points: Sequence[Point]) -> Figure:
    """Return a plot of the accuracy of each trial, and of the best accuracy so far."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    finished = [point for point in points if not point.is_pruned]
    pruned = [point for point in points if point.is_pruned]
    best = np.maximum.accumulate([point.accuracy for point in finished])
    numbers = [point.number for point in finished]
    axes.step(numbers, best, where="post", color=COLOURS[1], label="best so far")
    axes.plot(
        numbers, [point.accuracy for point in finished],
        "o", color=COLOURS[0], markersize=5, label="finished",
    )  # fmt: skip
    if pruned:
        axes.plot(
            [point.number for point in pruned], [point.accuracy for point in pruned],
            "x", color=GREY, markersize=6, label="pruned",
        )  # fmt: skip
    axes.set(xlabel="trial", ylabel=ACCURACY)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PER_CENT)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    return despine(figure)


def importances(shares: Mapping[str, float]) -> Figure:
    """Return a plot of the importance of the fields: shares of the variance they explain."""
    names = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(8, 1 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(
        [wrapped(name, NAME_WIDTH) for name in names],
        [shares[name] for name in names],
        color=COLOURS[0],
        height=0.6,
    )
    axes.bar_label(bars, [f"{shares[name]:.0%}" for name in names], padding=4)
    axes.set(xlabel=f"share of the explained variance of the {ACCURACY} (fANOVA)", xlim=(0, 1.08))
    axes.xaxis.set_major_formatter(PER_CENT)
    return despine(figure)


def parallel_coordinates(points: Sequence[Point], axes: Sequence[Axis]) -> Figure:
    """Return a plot with a line for each trial through its values and its accuracy.

    The colour of a line is the accuracy; lines of pruned trials are dashed. The best trials are
    drawn last.
    """
    figure = Figure(figsize=(2.5 + 1.9 * len(axes), 4.8), layout="constrained")
    plot = figure.subplots()
    accuracies = [point.accuracy for point in points]
    colours = colormaps[DARK_IS_HIGH]
    norm = Normalize(min(accuracies), max(accuracies))
    columns = [[axis.position(point.values[axis.name]) for point in points] for axis in axes]
    scales = [_Scale(min(column), max(column)) for column in [*columns, accuracies]]
    heights = np.transpose(
        [
            scale.heights(column)
            for scale, column in zip(scales, [*columns, accuracies], strict=True)
        ]
    )
    order = sorted(zip(points, heights, strict=True), key=lambda each: _drawn_last(each[0]))
    for point, line in order:
        plot.plot(
            line,
            color=colours(norm(point.accuracy)),
            linestyle="--" if point.is_pruned else "-",
            linewidth=1 if point.is_pruned else 1.6,
        )
    for position, (axis, scale) in enumerate(zip([*axes, None], scales, strict=True)):
        _draw_axis(plot, position, scale, axis)
    names = [axis.name + " (log)" * axis.is_log for axis in axes]
    titles = [wrapped(name.replace(".", ". "), AXIS_WIDTH).replace(". ", ".") for name in names]
    plot.set_xticks(range(len(scales)), [*titles, wrapped(ACCURACY, AXIS_WIDTH)])
    plot.set(xlim=(-0.2, len(axes) + 0.45), ylim=(-MARGIN, 1 + MARGIN), yticks=[])
    plot.tick_params(length=0)
    plot.spines[:].set_visible(False)
    if any(point.is_pruned for point in points):
        figure.suptitle("dashed: pruned trials", x=0.99, ha="right", fontsize="small")
    return figure


def _drawn_last(point: Point) -> tuple[bool, float]:
    """Return the sort key of the lines, of which the best is drawn last."""
    return not point.is_pruned, point.accuracy


@dataclass(frozen=True)
class _Scale:
    """The positions from `low` to `high` of an axis, which are drawn at heights from 0 to 1."""

    low: float
    high: float

    def heights(self, positions: Sequence[float]) -> np.ndarray:
        """Return the heights of positions; 0.5 if all positions are the same."""
        width = self.high - self.low
        offsets = np.array(positions) - self.low
        return offsets / width if width else np.full(len(offsets), 0.5)


def _draw_axis(plot: Axes, column: int, scale: _Scale, axis: Axis | None) -> None:
    """Draw the axis of a field, or of the accuracy if it is None, with its ticks."""
    plot.axvline(column, color=GREY, linewidth=1, zorder=0)
    positions, labels = _ticks(scale, axis)
    for height, label in zip(scale.heights(positions), labels, strict=True):
        text = plot.text(column + 0.03, height, label, fontsize="small", va="center", zorder=5)
        text.set_path_effects([Stroke(linewidth=2.5, foreground="#ffffff"), Normal()])


def _ticks(scale: _Scale, axis: Axis | None) -> tuple[list[float], list[str]]:
    """Return the positions of the ticks of an axis, and their labels."""
    if axis is not None and axis.choices is not None:
        shown = [p for p in range(len(axis.choices)) if scale.low <= p <= scale.high]
        return [float(p) for p in shown], [axis.choices[p] for p in shown]
    if axis is not None and axis.is_log:
        locator = LogLocator(subs=(1, 2, 5))
        values = np.array(locator.tick_values(10**scale.low, 10**scale.high))
        positions = np.log10(values)
    else:
        values = positions = np.array(MaxNLocator(TICKS).tick_values(scale.low, scale.high))
    inside = (positions >= scale.low) & (positions <= scale.high)
    texts = [PER_CENT(value) if axis is None else f"{value:g}" for value in values[inside]]
    return positions[inside].tolist(), texts
