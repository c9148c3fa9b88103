"""comparison -> the section with the plots of all variants."""

import numpy as np
from matplotlib.figure import Figure

from lstm_sentiment.report import comparison_plots
from lstm_sentiment.report.comparison import Comparison, natural_order
from lstm_sentiment.report.page import Block, Heading, Plot
from lstm_sentiment.report.variants import Variant, order_of
from lstm_sentiment.runs.run_plots import confusion_matrices

NETWORK = ("encoder.cell", "encoder.num_layers", "encoder.bidirectional")
MAX_CURVES = 8  # in a plot; more cannot be distinguished
MAX_MATRICES = 12

NamedFigure = tuple[str, str, Figure | None]  # name, title, and the figure, or None without data


def plot_section(comparison: Comparison, prefix: str) -> list[Block]:
    """Return all plots of a comparison; their names begin with `prefix`."""
    plots = [*_accuracy_plots(comparison), *_prediction_plots(comparison)]
    plots.append(
        (
            "gap",
            "Training and validation accuracy in the best epoch.",
            comparison_plots.generalization_gaps(comparison.variants),
        )
    )
    shown = [
        Plot(prefix + name, title, figure) for name, title, figure in plots if figure is not None
    ]
    return [Heading("Plots", 3), *shown]


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
    networks = [v for v in comparison.tested if not v.is_baseline]
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
    best = comparison.tested[:MAX_MATRICES]
    return [
        (
            "curves",
            f"ROC and precision-recall curves with the areas under them ({selection}, first seed).",
            comparison_plots.roc_and_precision_recall(first_seed),
        ),
        (
            "reliability",
            f"Calibration: share of positive reviews by predicted probability ({selection}, first "
            "seed).",
            comparison_plots.calibration(first_seed),
        ),
        (
            "length",
            f"Test accuracy by length of the review ({selection}).",
            comparison_plots.accuracy_by_length(all_seeds),
        ),
        (
            "confusion",
            f"Confusion matrices of the test set, mean over seeds (the {len(best)} best variants).",
            confusion_matrices({v.name: mean_confusion_matrix(v) for v in best}),
        ),
    ]


def _chosen(comparison: Comparison) -> tuple[list[Variant], str]:
    """Return the variants of a plot, including the best baseline, and a phrase that names them."""
    chosen, baseline = comparison.tested[:MAX_CURVES], comparison.baseline
    if len(chosen) == len(comparison.tested):
        return chosen, "all variants"
    if baseline is not None and baseline in comparison.tested and baseline not in chosen:
        networks = chosen[:-1]
        return [*networks, baseline], f"the {len(networks)} best variants and the best baseline"
    return chosen, f"the {len(chosen)} best variants"


def mean_confusion_matrix(variant: Variant) -> np.ndarray:
    """Return the mean confusion matrix of a tested variant over its seeds, (2, 2)."""
    records = [record for record in variant.records if record["test"]]
    return np.mean([record["test"]["confusion_matrix"] for record in records], 0)
