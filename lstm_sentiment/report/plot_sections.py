"""comparison -> the section with the plots of all variants."""

import numpy as np
from matplotlib.figure import Figure

from lstm_sentiment.report import comparison_plots
from lstm_sentiment.report.comparison import Comparison, natural_order
from lstm_sentiment.report.page import Block, Heading, Plot
from lstm_sentiment.report.variants import Variant, order_of
from lstm_sentiment.runs.predictions import Predictions
from lstm_sentiment.runs.run_plots import confusion_matrices

NETWORK = ("encoder.cell", "encoder.num_layers", "encoder.bidirectional")
MAX_CURVES = 8  # in a plot; more cannot be distinguished
MAX_CLASS_CURVES = 10
MAX_MATRICES, MAX_LARGE_MATRICES = 12, 4  # in a plot; large ones have more than `LARGE` classes
LARGE = 4

NamedFigure = tuple[str, str, Figure | None]  # name, title, and the figure, or None without data


def plot_section(comparison: Comparison, prefix: str) -> list[Block]:
    """Return all plots of a comparison; their names begin with `prefix`."""
    plots = [*_accuracy_plots(comparison), *_prediction_plots(comparison)]
    plots.append(
        (
            "gap",
            "Training and validation accuracy in the best epoch.",
            _generalization_gaps(comparison),
        )
    )
    shown = [
        Plot(prefix + name, title, figure) for name, title, figure in plots if figure is not None
    ]
    return [Heading("Plots", 3), *shown]


def _generalization_gaps(comparison: Comparison) -> Figure | None:
    """Return training and validation accuracies; None without a model that was trained itself."""
    trained = [v for v in comparison.variants if not v.is_ensemble]
    return comparison_plots.generalization_gaps(trained) if trained else None


def _accuracy_plots(comparison: Comparison) -> list[NamedFigure]:
    """Return the plots of test accuracies: with intervals, against time, by encoder and head."""
    tested = comparison.tested
    if not tested:
        return []
    names = [v.name for v in tested]
    means = [float(v.scores("test", "accuracy").mean()) for v in tested]
    seconds = [float(v.costs("fit_seconds").mean()) for v in tested]
    intervals = [comparison.intervals[name] for name in names]
    baselines = {v.name for v in tested if v.is_baseline}
    return [
        (
            "accuracy",
            f"Test accuracy with its 95 % interval. {order_of(tested)}",
            comparison_plots.accuracy_bars(names, means, intervals, baselines),
        ),
        (
            "time",
            "Test accuracy against training time. No network is both faster and more accurate "
            "than one on the Pareto front.",
            comparison_plots.accuracy_against_time(names, seconds, means, baselines),
        ),
        ("heat_map", "Test accuracy by encoder and head.", _heat_map(comparison)),
    ]


def _heat_map(comparison: Comparison) -> Figure | None:
    """Return the mean accuracies by encoder and head; None unless both vary."""
    accuracies: dict[tuple[str, str], list[float]] = {}
    networks = comparison.tested_networks
    for v in networks:
        accuracy = float(v.scores("test", "accuracy").mean())
        accuracies.setdefault((v.network, str(v.settings["head.kind"])), []).append(accuracy)
    order = {v.network: [natural_order(v.settings[name]) for name in NETWORK] for v in networks}
    rows = sorted(order, key=lambda network: order[network])
    columns = sorted({head for _, head in accuracies}, key=natural_order)
    if len(rows) < 2 or len(columns) < 2:
        return None
    means = [[np.mean(accuracies.get((row, column), np.nan)) for column in columns] for row in rows]
    return comparison_plots.heat_map(rows, columns, np.array(means))


def _prediction_plots(comparison: Comparison) -> list[NamedFigure]:
    """Return the plots of single predictions: curves, calibration, lengths, confusion matrices."""
    if not comparison.tested:
        return []
    chosen, selection = _chosen(comparison)
    all_seeds = {v.name: [*comparison.predictions[v.name].values()] for v in chosen}
    first_seed = {name: runs[0] for name, runs in all_seeds.items()}
    classes = comparison.classes
    is_large = len(classes) > LARGE
    best = comparison.tested[: MAX_LARGE_MATRICES if is_large else MAX_MATRICES]
    averaged = ", macro averages over the classes" * (len(classes) > 2)
    return [
        (
            "curves",
            "ROC and precision-recall curves with the areas under them "
            f"({selection}, first seed{averaged}).",
            comparison_plots.roc_and_precision_recall(first_seed),
        ),
        _curves_by_class(chosen[0].name, first_seed[chosen[0].name]),
        (
            "reliability",
            f"Calibration: share of {comparison_plots.calibrated(classes)[1]} by predicted "
            f"probability ({selection}, first seed).",
            comparison_plots.calibration(first_seed),
        ),
        (
            "length",
            f"Test accuracy by length of the review ({selection}).",
            comparison_plots.accuracy_by_length(all_seeds),
        ),
        (
            "confusion",
            "Confusion matrices of the test set, mean over seeds "
            f"({_at_the_top(comparison, len(best))}).",
            confusion_matrices({v.name: mean_confusion_matrix(v) for v in best}, classes.names),
        ),
    ]


def _curves_by_class(name: str, run: Predictions) -> NamedFigure:
    """Return the curves of each class against the rest; no figure of two classes."""
    count = len(run.classes)
    if count == 2:
        return "class_curves", "", None
    reviews = np.bincount(run.label, minlength=count)
    largest = np.argsort(-reviews, kind="stable")[:MAX_CLASS_CURVES]
    labels = sorted(label for label in largest.tolist() if reviews[label])
    which = "each class" if len(labels) == count else f"the {len(labels)} largest classes"
    return (
        "class_curves",
        f"ROC and precision-recall curves of {which} against the rest, with the areas under them "
        f"({name}, first seed).",
        comparison_plots.curves_by_class(run, labels),
    )


def _chosen(comparison: Comparison) -> tuple[list[Variant], str]:
    """Return the variants of a plot, including the best baseline, and a phrase that names them."""
    chosen, baseline = comparison.tested[:MAX_CURVES], comparison.baseline
    if len(chosen) == len(comparison.tested):
        return chosen, "all variants"
    if baseline is not None and baseline in comparison.tested and baseline not in chosen:
        networks = chosen[:-1]
        last = "the best baseline" if comparison.best else "a baseline"
        return [*networks, baseline], f"{_at_the_top(comparison, len(networks))} and {last}"
    return chosen, _at_the_top(comparison, len(chosen))


def _at_the_top(comparison: Comparison, number: int) -> str:
    """Return a phrase for the variants that are listed first; they are ranked by validation."""
    return f"the {number} best variants" if comparison.best else f"the first {number} variants"


def mean_confusion_matrix(variant: Variant) -> np.ndarray:
    """Return the mean confusion matrix of a tested variant over its seeds, (K, K)."""
    records = [record for record in variant.records if record["test"]]
    return np.mean([record["test"]["confusion_matrix"] for record in records], 0)
