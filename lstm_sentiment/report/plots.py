"""configurations -> pictures. Every figure is drawn from what a record and its predictions say."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from lstm_sentiment.report.configurations import Answers, Configuration
from lstm_sentiment.report.statistics import Interval
from lstm_sentiment.training.figures import BEST, CLASSES, TRAIN, VAL

# Okabe and Ito's colours, told apart with every kind of colour vision, on white and on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A00", "#000000")
STYLES = ("-", "--", ":", "-.")  # once through the colours, the next style
FIFTHS = 5
WIDEST, MATRIX = 40, 32  # characters of a line of a name, beside a picture and over a matrix
PER_CENT = FuncFormatter(lambda share, _: f"{100 * share:g} %")


def accuracy_bars(
    names: Sequence[str],
    means: Sequence[float],
    ranges: Sequence[Interval],
    baselines: set[str],
    published: Sequence[float | None] = (),
) -> Figure:
    """Test accuracy with its 95 % interval, in the order given, the first on top.

    A cross is what others have published of it.
    """
    labels = [name + " (baseline)" * (name in baselines) for name in names]
    figure, axes = _points(labels, means, ranges)
    for place, theirs in enumerate(reversed(published)):
        if theirs is not None:
            axes.plot(theirs, place, "x", color=COLOURS[1], markersize=7)
    for name, mean in zip(names, means, strict=True):
        if name in baselines:
            axes.axvline(mean, color=BEST, linestyle="--", linewidth=1, zorder=0)
    axes.set(xlabel="accuracy on test, with its 95 % interval")
    axes.xaxis.set_major_formatter(PER_CENT)
    return figure


def contributions(
    names: Sequence[str], effects: Sequence[float], ranges: Sequence[Interval]
) -> Figure:
    """What each choice adds to the average of all configurations, with its 95 % interval."""
    points = [Interval(100 * low, 100 * high) for low, high in ranges]
    figure, axes = _points(names, [100 * effect for effect in effects], points)
    axes.axvline(0, color=BEST, linewidth=1, zorder=0)
    axes.set(xlabel="points of accuracy on test, with their 95 % interval")
    return figure


def influence(distances: Sequence[int], networks: Mapping[str, Sequence[float]]) -> Figure:
    """How much a word moves the answer, as a share of what the last word does."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), style in zip(networks.items(), _styles(len(networks)), strict=True):
        shares = np.array(values) / values[0]
        axes.plot(distances, shares, marker="o", markersize=3, label=name, **style)
    axes.set(xlabel="words before the last that is read", ylabel="influence beside the last word's")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_xticks(distances, map(str, distances))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return _tidy(figure)


def _points(
    labels: Sequence[str], means: Sequence[float], ranges: Sequence[Interval]
) -> tuple[Figure, Axes]:
    labels = [_wrapped(label) for label in labels]
    figure = Figure(figsize=(8, 0.9 + 0.26 * _lines(labels)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(labels))[::-1]
    # A mean may lie beside the middle of its interval, but an interval never beside its mean.
    low = [max(0, mean - interval.low) for mean, interval in zip(means, ranges, strict=True)]
    high = [max(0, interval.high - mean) for mean, interval in zip(means, ranges, strict=True)]
    axes.errorbar(means, places, xerr=[low, high], fmt="o", color=COLOURS[0], capsize=3)
    axes.set_yticks(places, labels)
    axes.set(ylim=(-0.6, len(labels) - 0.4))
    axes.grid(axis="x", alpha=0.3)
    return _tidy(figure), axes


def heat_map(rows: Sequence[str], columns: Sequence[str], values: np.ndarray) -> Figure:
    """(rows, columns) accuracies, NaN where nothing was trained."""
    figure = Figure(
        figsize=(1.9 + 0.95 * len(columns), 1.2 + 0.42 * len(rows)), layout="constrained"
    )
    axes = figure.subplots()
    image = axes.imshow(values, cmap="cividis", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "#010101" if value > middle else "#ffffff"
            axes.text(column, row, f"{value:.1%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    figure.colorbar(image, format=PER_CENT, label="accuracy on test")
    axes.spines[:].set_visible(False)
    return figure


def accuracy_against_time(
    names: Sequence[str],
    seconds: Sequence[float],
    accuracies: Sequence[float],
    baselines: set[str],
) -> Figure:
    """Training time and accuracy on test; no network is both faster and better than the front."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    networks = [k for k, name in enumerate(names) if name not in baselines]
    found = pareto_front([seconds[k] for k in networks], [accuracies[k] for k in networks])
    front = [networks[k] for k in found]
    axes.scatter(
        [seconds[k] for k in networks], [accuracies[k] for k in networks], color=BEST, s=25
    )
    axes.step(
        [seconds[k] for k in front], [accuracies[k] for k in front],
        where="post", color=COLOURS[0], marker="o", label="front of the networks",
    )  # fmt: skip
    without = [k for k in range(len(names)) if k not in networks]
    if without:
        axes.scatter(
            [seconds[k] for k in without], [accuracies[k] for k in without],
            color=COLOURS[1], marker="D", label="without recurrence",
        )  # fmt: skip
    for k in [*front, *without]:
        axes.annotate(
            _wrapped(names[k]), (seconds[k], accuracies[k]), (6, -11), textcoords="offset points"
        )
    axes.set(xlabel="seconds of training", ylabel="accuracy on test", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.15)
    axes.yaxis.set_major_formatter(PER_CENT)
    figure.legend(frameon=False, loc="outside upper left", ncols=2)
    return _tidy(figure)


def pareto_front(costs: Sequence[float], gains: Sequence[float]) -> list[int]:
    """Positions of those that nothing else beats in both, the cheapest first."""
    front: list[int] = []
    for k in sorted(range(len(costs)), key=lambda k: (costs[k], -gains[k])):
        if not front or gains[k] > gains[front[-1]]:
            front.append(k)
    return front


def curves(answers: Mapping[str, Answers]) -> Figure:
    """ROC and precision over recall of one run of each configuration, by its name."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    roc, pr = figure.subplots(1, 2)
    shared = np.linspace(0, 1, 201)  # as many points as an eye can tell apart
    for (name, answer), style in zip(answers.items(), _styles(len(answers)), strict=True):
        called, found, _ = roc_curve(answer.label, answer.probability)
        areas = [
            score(answer.label, answer.probability)
            for score in (roc_auc_score, average_precision_score)
        ]
        label = f"{_wrapped(name)}: {areas[0]:.3f}, {areas[1]:.3f}"
        roc.plot(shared, np.interp(shared, called, found), label=label, **style)
        precision, recall, _ = precision_recall_curve(answer.label, answer.probability)
        pr.plot(shared, np.interp(shared, recall[::-1], precision[::-1]), **style)
    roc.plot([0, 1], [0, 1], color=BEST, linewidth=0.8)
    roc.set(
        xlabel="share of negatives called positive", ylabel="share of positives found", title="ROC"
    )
    pr.set(xlabel="recall", ylabel="precision", title="precision and recall")
    figure.legend(
        frameon=False, fontsize="small", loc="outside right upper", title="areas: ROC, precision"
    )
    return _tidy(figure)


def reliability(answers: Mapping[str, Answers]) -> Figure:
    """How often reviews are positive of which the network says so with this probability."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=BEST, linewidth=0.8, label="as said")
    for (name, answer), style in zip(answers.items(), _styles(len(answers)), strict=True):
        share, said = calibration_curve(answer.label, answer.probability, n_bins=10)
        axes.plot(said, share, marker="o", markersize=3, label=_wrapped(name), **style)
    axes.set(xlabel="probability said", ylabel="share that is positive", aspect="equal")
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return _tidy(figure)


def by_length(answers: Mapping[str, Sequence[Answers]]) -> Figure | None:
    """Accuracy on test in fifths of the reviews, the shortest first, over all seeds of each.

    None where the lengths are not known.
    """
    known = {name: parts for name, parts in answers.items() if parts[0].tokens is not None}
    if not known:
        return None
    lengths = next(iter(known.values()))[0].tokens
    assert lengths is not None
    bounds = np.unique(np.quantile(lengths, np.arange(FIFTHS + 1) / FIFTHS, method="inverted_cdf"))
    if len(bounds) < 3:
        return None
    part_of = np.clip(np.searchsorted(bounds, lengths, "right") - 1, 0, len(bounds) - 2)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(bounds) - 1)
    for (name, parts), style in zip(known.items(), _styles(len(known)), strict=True):
        right = np.mean([part.right for part in parts], 0)
        values = [right[part_of == place].mean() for place in places]
        axes.plot(places, values, marker="o", markersize=4, label=_wrapped(name), **style)
    spans = [f"{low} to {high - 1}" for low, high in pairwise(bounds)]
    spans[-1] = f"{bounds[-2]} to {bounds[-1]}"
    axes.set_xticks(places, spans)
    axes.set(xlabel="tokens of the review", ylabel="accuracy on test")
    axes.yaxis.set_major_formatter(PER_CENT)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return _tidy(figure)


def gaps(configurations: Sequence[Configuration]) -> Figure:
    """Accuracy on train and on validation in the epoch that was kept."""
    names = [_wrapped(configuration.name) for configuration in configurations]
    figure = Figure(figsize=(8, 1.3 + 0.3 * _lines(names)), layout="constrained")
    axes = figure.subplots()
    for place, configuration in zip(range(len(configurations))[::-1], configurations, strict=True):
        kept = [record["epochs"][record["best_epoch"] - 1] for record in configuration.records]
        ends = [
            np.mean([epoch[split]["accuracy"] for epoch in kept if epoch[split]] or [np.nan])
            for split in ("train", "val")
        ]
        axes.plot(ends, [place, place], color=BEST, zorder=1)
        for end, colour, marker in zip(ends, (TRAIN, VAL), "os", strict=True):
            axes.scatter(end, place, color=colour, marker=marker, zorder=2)
    for split, colour, marker in (("train", TRAIN, "o"), ("val", VAL, "s")):
        axes.scatter([], [], color=colour, marker=marker, label=split)
    axes.set_yticks(range(len(names))[::-1], names)
    axes.set(xlabel="accuracy in the epoch kept")
    axes.xaxis.set_major_formatter(PER_CENT)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return _tidy(figure)


def learning_curves(configuration: Configuration) -> Figure:
    """Loss, accuracy, precision and recall, epoch by epoch: a line for each seed."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = (("loss",), ("accuracy",), ("precision", "recall"))
    for axes, scores in zip(figure.subplots(1, 3), panels, strict=True):
        for record in configuration.records:
            for stage, colour in (("train", TRAIN), ("val", VAL)):
                for score, style in zip(scores, STYLES, strict=False):
                    _curve(axes, record, stage, score, colour, style)
        axes.set(
            xlabel="epoch", ylabel=" (line) and ".join(scores) + " (dashes)" * (len(scores) - 1)
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [
        Line2D([], [], color=colour, label=s) for s, colour in (("train", TRAIN), ("val", VAL))
    ]
    figure.legend(handles=handles, frameon=False, loc="outside upper left", ncols=2)
    return _tidy(figure)


def _curve(
    axes: Axes, record: Mapping[str, Any], stage: str, score: str, colour: str, style: str
) -> None:
    epochs = [epoch for epoch in record["epochs"] if epoch[stage]]
    axes.plot(
        [epoch["epoch"] for epoch in epochs], [epoch[stage][score] for epoch in epochs],
        color=colour, linestyle=style, marker="o", markersize=3, linewidth=1.2,
    )  # fmt: skip


def confusion_matrices(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Reviews by label and answer, as shares of the label: means over seeds."""
    columns = min(4, len(matrices))
    rows = -(-len(matrices) // columns)
    figure = Figure(figsize=(2.5 * columns, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(matrices) :]:
        axes.set_visible(False)
    for axes, (name, matrix) in zip(grid, matrices.items(), strict=False):  # the rest is hidden
        shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            colour = "#010101" if share > 0.5 else "#ffffff"
            text = f"{share:.1%}\n{matrix[row, column]:,.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
        axes.set_title(_wrapped(name, MATRIX), fontsize="small")
        axes.set_xticks(range(2), CLASSES, fontsize="small")
        axes.set_yticks(range(2), CLASSES, fontsize="small", rotation=90, va="center")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    figure.supxlabel("answer", fontsize="medium")
    figure.supylabel("label", fontsize="medium")
    return figure


def _wrapped(name: str, width: int = WIDEST) -> str:
    """Over as many lines as it takes, broken between settings where that is possible."""
    return textwrap.fill(name, width, break_on_hyphens=False)


def _lines(labels: Sequence[str]) -> int:
    """As high as the highest for each: they stand at equal distances."""
    return len(labels) * max((label.count("\n") + 1 for label in labels), default=1)


def _styles(count: int) -> list[dict[str, Any]]:
    return [
        {"color": COLOURS[k % len(COLOURS)], "linestyle": STYLES[k // len(COLOURS) % len(STYLES)]}
        for k in range(count)
    ]


def _tidy(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure
