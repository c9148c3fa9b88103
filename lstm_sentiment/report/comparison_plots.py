"""variants -> plots that compare variants by their records and predictions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_curve,
)

from lstm_sentiment.labels import POSITIVE, Classes
from lstm_sentiment.model.metrics import auroc, margins, mean_auroc
from lstm_sentiment.report.class_wording import class_name
from lstm_sentiment.report.formatting import NOTHING
from lstm_sentiment.report.statistics import Estimate, Interval
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.predictions import Predictions
from lstm_sentiment.runs.run_plots import (
    COLOUR_MAP,
    COLOURS,
    GREY,
    STAGES,
    STYLES,
    despine,
    wrapped,
    write_in_cell,
)

FIFTHS = 5
NAME_WIDTH = 40  # characters in a line of a variant's name
PART_WIDTH = 11  # characters in a line of the name of a part of the reviews
STEP = 0.09  # between the points of a part, where the distance between parts is 1
# Rates at which curves are drawn: more points are not visible, and make the page larger.
GRID = np.linspace(0, 1, 201)
PER_CENT = FuncFormatter(lambda share, _: f"{100 * share:g} %")


def accuracy_bars(
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[Interval],
    baselines: set[str],
    published: Sequence[float | None] = (),
) -> Figure:
    """Return a plot of test accuracies with their 95 % intervals, the first on top.

    Dashed lines show the accuracies of `baselines`, and crosses show `published` accuracies.
    """
    labels = [name + " (baseline)" * (name in baselines) for name in names]
    figure, axes = _intervals(labels, means, intervals)
    for position, theirs in enumerate(reversed(published)):
        if theirs is not None:
            axes.plot(theirs, position, "x", color=COLOURS[1], markersize=7)
    for name, mean in zip(names, means, strict=True):
        if name in baselines:
            axes.axvline(mean, color=GREY, linestyle="--", linewidth=1, zorder=0)
    axes.set(xlabel="test accuracy with 95 % interval")
    axes.xaxis.set_major_formatter(PER_CENT)
    return figure


def effect_sizes(
    names: Sequence[str], effects: Sequence[float], intervals: Sequence[Interval]
) -> Figure:
    """Return a plot of the effects of choices on accuracy, with simultaneous 95 % intervals."""
    points = [Interval(100 * low, 100 * high) for low, high in intervals]
    figure, axes = _intervals(names, [100 * effect for effect in effects], points)
    axes.axvline(0, color=GREY, linewidth=1, zorder=0)
    axes.set(xlabel="percentage points of test accuracy with 95 % interval")
    return figure


def _intervals(
    labels: Sequence[str], means: Sequence[float], intervals: Sequence[Interval]
) -> tuple[Figure, Axes]:
    labels = [wrapped(label, NAME_WIDTH) for label in labels]
    figure = Figure(figsize=(8, 0.9 + 0.26 * _lines(labels)), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(labels))[::-1]
    # A bootstrap interval may lie to one side of its mean; error bars cannot have negative length.
    low = [max(0, mean - interval.low) for mean, interval in zip(means, intervals, strict=True)]
    high = [max(0, interval.high - mean) for mean, interval in zip(means, intervals, strict=True)]
    axes.errorbar(means, positions, xerr=[low, high], fmt="o", color=COLOURS[0], capsize=3)
    axes.set_yticks(positions, labels)
    axes.set(ylim=(-0.6, len(labels) - 0.4))
    axes.grid(axis="x", alpha=0.3)
    return despine(figure), axes


def influence(distances: Sequence[int], networks: Mapping[str, Sequence[float]]) -> Figure:
    """Return a plot of the influence of words on the logit by their distance from the last word."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), style in zip(networks.items(), _styles(len(networks)), strict=True):
        shares = np.array(values) / values[0]
        axes.plot(distances, shares, marker="o", markersize=3, label=name, **style)
    axes.set(xlabel="distance from the last word", ylabel="influence relative to the last word")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_xticks(distances, map(str, distances))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    _legend_on_the_right(axes)
    return despine(figure)


def heat_map(rows: Sequence[str], columns: Sequence[str], accuracies: np.ndarray) -> Figure:
    """Return a heat map of test accuracies, (rows, columns), with NaN if there is no variant."""
    size = 1.9 + 0.95 * len(columns), 1.2 + 0.42 * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(accuracies, cmap=COLOUR_MAP, aspect="auto")
    middle = (np.nanmin(accuracies) + np.nanmax(accuracies)) / 2
    for (row, column), value in np.ndenumerate(accuracies):
        if np.isfinite(value):
            write_in_cell(axes, row, column, f"{value:.1%}", value > middle, "medium")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    figure.colorbar(image, format=PER_CENT, label="test accuracy")
    axes.spines[:].set_visible(False)
    return figure


def accuracy_against_time(
    names: Sequence[str],
    seconds: Sequence[float],
    accuracies: Sequence[float],
    baselines: set[str],
) -> Figure:
    """Return a plot of test accuracy by training time, with the Pareto front of the networks."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    networks = [k for k, name in enumerate(names) if name not in baselines]
    ngrams = [k for k, name in enumerate(names) if name in baselines]
    positions = pareto_front([seconds[k] for k in networks], [accuracies[k] for k in networks])
    front = [networks[k] for k in positions]

    def columns(chosen: Sequence[int]) -> tuple[list[float], list[float]]:
        return [seconds[k] for k in chosen], [accuracies[k] for k in chosen]

    axes.scatter(*columns(networks), color=GREY, s=25)
    axes.step(*columns(front), where="post", color=COLOURS[0], marker="o", label="Pareto front")
    if ngrams:
        axes.scatter(*columns(ngrams), color=COLOURS[1], marker="D", label="n-gram baseline")
    for k in [*front, *ngrams]:
        name, point = wrapped(names[k], NAME_WIDTH), (seconds[k], accuracies[k])
        axes.annotate(name, point, (6, -11), textcoords="offset points")
    axes.set(xlabel="training time (seconds)", ylabel="test accuracy", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.15)
    axes.yaxis.set_major_formatter(PER_CENT)
    figure.legend(frameon=False, loc="outside upper left", ncols=2)
    return despine(figure)


def pareto_front(costs: Sequence[float], gains: Sequence[float]) -> list[int]:
    """Return the positions of the Pareto front, in the order of increasing cost."""
    front: list[int] = []
    for k in sorted(range(len(costs)), key=lambda k: (costs[k], -gains[k])):
        if not front or gains[k] > gains[front[-1]]:
            front.append(k)
    return front


class Curves(NamedTuple):
    """ROC and precision-recall curves at `GRID`, and the areas under them, if they are defined."""

    true_positive_rate: np.ndarray  # (P,), by false positive rate
    precision: np.ndarray  # (P,), by recall
    under_roc: float | None
    under_precision_recall: float


def roc_and_precision_recall(predictions: Mapping[str, Predictions]) -> Figure:
    """Return a plot of ROC and precision-recall curves with their areas, one run per variant.

    The curves of more than two classes are the means of the curves of each class against the rest
    (macro averages).
    """
    return _plot_curves([(name, _macro_curves(run)) for name, run in predictions.items()])


def curves_by_class(run: Predictions, labels: Sequence[int]) -> Figure:
    """Return the same plot of a single run, with the curves of some classes against the rest."""
    scores = margins(run.logit)
    return _plot_curves(
        [
            (class_name(run.classes, label), _curves(run.label == label, scores[:, label]))
            for label in labels
        ]
    )


def _macro_curves(run: Predictions) -> Curves:
    if run.logit.ndim == 1:
        return _curves(run.label, run.logit)
    scores, occurring = margins(run.logit), np.unique(run.label)
    rates, precisions, _, areas = zip(
        *(_curves(run.label == label, scores[:, label]) for label in occurring), strict=True
    )
    under_roc = mean_auroc(run.label, run.logit)
    return Curves(np.mean(rates, 0), np.mean(precisions, 0), under_roc, float(np.mean(areas)))


def _curves(label: np.ndarray, score: np.ndarray) -> Curves:
    """Return the curves of two classes; `label` is (N,), 0 or 1, and `score` is (N,)."""
    false_positive_rate, true_positive_rate, _ = roc_curve(label, score)
    precision, recall, _ = precision_recall_curve(label, score)
    return Curves(
        np.interp(GRID, false_positive_rate, true_positive_rate),
        np.interp(GRID, recall[::-1], precision[::-1]),
        auroc(label, score),
        float(average_precision_score(label, score)),
    )


def _plot_curves(curves: Sequence[tuple[str, Curves]]) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    roc, pr = figure.subplots(1, 2)
    for (name, each), style in zip(curves, _styles(len(curves)), strict=True):
        under_roc = NOTHING if each.under_roc is None else f"{each.under_roc:.3f}"
        label = f"{wrapped(name, NAME_WIDTH)}: {under_roc}, {each.under_precision_recall:.3f}"
        roc.plot(GRID, each.true_positive_rate, label=label, **style)
        pr.plot(GRID, each.precision, **style)
    roc.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    pr.set(xlabel="recall", ylabel="precision", title="precision-recall")
    title = "area under the curve: ROC, precision-recall"
    figure.legend(
        frameon=False, fontsize="small", loc="outside right upper", title=title,
        title_fontsize="small",
    )  # fmt: skip
    return despine(figure)


def calibration(predictions: Mapping[str, Predictions]) -> Figure:
    """Return a reliability diagram with ten bins, of one run per variant.

    It shows the probability of the second class of two, or of the predicted class of more.
    """
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, label="perfect calibration")
    for (name, run), style in zip(predictions.items(), _styles(len(predictions)), strict=True):
        label, predicted = run.label, run.probability
        if predicted.ndim > 1:
            label, predicted = run.correct, predicted.max(1)
        share, probability = calibration_curve(label, predicted, n_bins=10)
        axes.plot(
            probability, share, marker="o", markersize=3, label=wrapped(name, NAME_WIDTH), **style
        )
    classes = next(iter(predictions.values())).classes
    axes.set(
        xlabel=calibrated(classes)[0],
        ylabel=f"share of {calibrated(classes)[1]}",
        aspect="equal",
    )
    _legend_on_the_right(axes)
    return despine(figure)


def calibrated(classes: Classes) -> tuple[str, str]:
    """Return the probability, and the reviews whose share is compared with it."""
    if len(classes) > 2:
        return "probability of the predicted class", "correct predictions"
    name = class_name(classes, POSITIVE)
    reviews = "positive reviews" if classes.are_usual else f"reviews of the class {name}"
    return f"predicted probability of {name}", reviews


def accuracy_by_length(predictions: Mapping[str, Sequence[Predictions]]) -> Figure | None:
    """Return a plot of the test accuracy in fifths of the reviews by length, mean over seeds.

    Return None if the lengths are not recorded or do not differ.
    """
    known = {name: runs for name, runs in predictions.items() if runs[0].tokens is not None}
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
    positions = np.arange(len(bounds) - 1)
    for (name, runs), style in zip(known.items(), _styles(len(known)), strict=True):
        right = np.mean([run.correct for run in runs], 0)
        values = [right[part_of == position].mean() for position in positions]
        label = wrapped(name, NAME_WIDTH)
        axes.plot(positions, values, marker="o", markersize=4, label=label, **style)
    spans = [f"{low} to {high - 1}" for low, high in pairwise(bounds)]
    spans[-1] = f"{bounds[-2]} to {bounds[-1]}"
    axes.set_xticks(positions, spans, fontsize="small")
    axes.set(xlabel="length of the review (tokens)", ylabel="test accuracy")
    axes.yaxis.set_major_formatter(PER_CENT)
    _legend_on_the_right(axes)
    return despine(figure)


def accuracy_by_part(
    sizes: Mapping[str, int],
    estimates: Mapping[str, Sequence[Estimate]],
    baselines: set[str],
    label: str,
) -> Figure:
    """Return a plot of test accuracies on parts of the reviews, with their 95 % intervals.

    `sizes` are the numbers of reviews of the parts, and `estimates` the accuracies on them, by the
    names of the variants. `baselines` are drawn as open diamonds. The `label` names the parts.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    positions, count = np.arange(len(sizes)), len(estimates)
    offsets = (np.arange(count) - (count - 1) / 2) * STEP
    styles = zip(offsets, _styles(count), strict=True)
    for (name, values), (offset, style) in zip(estimates.items(), styles, strict=True):
        means = np.array([each.value for each in values])
        bounds = np.clip([each.interval() for each in values], 0, 1)  # (P, 2)
        is_baseline = name in baselines
        axes.errorbar(
            positions + offset,
            means,
            yerr=np.abs(bounds.T - means),
            fmt="D" if is_baseline else "o",
            markerfacecolor="none" if is_baseline else style["color"],
            markersize=4,
            capsize=2,
            color=style["color"],
            label=wrapped(name, NAME_WIDTH),
        )
    for between in positions[1:] - 0.5:
        axes.axvline(between, color=GREY, linewidth=0.5)
    names = [f"{wrapped(part, PART_WIDTH)}\n({size:,})" for part, size in sizes.items()]
    axes.set_xticks(positions, names, fontsize="small")
    axes.set(xlabel=wrapped(label, 2 * NAME_WIDTH), ylabel="test accuracy")
    axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-0.03, 1.03))
    axes.yaxis.set_major_formatter(PER_CENT)
    axes.grid(axis="y", alpha=0.3)
    _legend_on_the_right(axes)
    return despine(figure)


def generalization_gaps(variants: Sequence[Variant]) -> Figure:
    """Return a plot of training and validation accuracy in the best epoch.

    They are means over seeds and, with a cross-validation, over folds.
    """
    names = [wrapped(variant.name, NAME_WIDTH) for variant in variants]
    figure = Figure(figsize=(8, 1.3 + 0.3 * _lines(names)), layout="constrained")
    axes = figure.subplots()
    for position, variant in zip(range(len(variants))[::-1], variants, strict=True):
        best = [record["epochs"][record["best_epoch"] - 1] for record in variant.trained]
        ends = [
            np.mean([epoch[stage]["accuracy"] for epoch in best if epoch[stage]] or [np.nan])
            for stage in STAGES
        ]
        axes.plot(ends, [position, position], color=GREY, zorder=1)
        for end, (colour, marker) in zip(ends, STAGES.values(), strict=True):
            axes.scatter(end, position, color=colour, marker=marker, zorder=2)
    for stage, (colour, marker) in STAGES.items():
        axes.scatter([], [], color=colour, marker=marker, label=stage)
    axes.set_yticks(range(len(names))[::-1], names)
    axes.set(xlabel="accuracy in the best epoch")
    axes.xaxis.set_major_formatter(PER_CENT)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return despine(figure)


def _legend_on_the_right(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def _lines(labels: Sequence[str]) -> int:
    """Return the number of text lines for the labels if all are as high as the highest."""
    return len(labels) * max((label.count("\n") + 1 for label in labels), default=1)


def _styles(count: int) -> list[dict[str, Any]]:
    """Return a colour and a line style for each of `count` curves; the first eight are solid."""
    return [
        {"color": COLOURS[k % len(COLOURS)], "linestyle": STYLES[k // len(COLOURS) % len(STYLES)]}
        for k in range(count)
    ]
