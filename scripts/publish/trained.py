"""results/ -> the comparisons and variants of the pages."""

from functools import cache
from pathlib import Path

import numpy as np

from lstm_sentiment.config import Padding
from lstm_sentiment.report.comparison import Comparison, natural_order
from lstm_sentiment.report.published import Published, published
from lstm_sentiment.report.variants import Variant, variant_groups
from lstm_sentiment.runs.reader import read_runs
from scripts.publish.experiments import references_of

RESULTS = Path(__file__).parents[2] / "results"
EXPERIMENTS = (
    "pooling",
    "architectures",
    "keras_lstm",
    "lstm_vs_gru",
    "glove_bilstm",
    "grid",
    "best_scratch",
    "best_vectors",
    "best_cpu",
)


@cache
def comparison_of(*experiments: str) -> Comparison | None:
    """Return the comparison of all runs of some experiments; None if no network was trained.

    If there are several data sets, only the runs on the most frequent one are compared.
    """
    folders = [RESULTS / experiment for experiment in experiments]
    runs = [run for folder in folders if folder.is_dir() for run in read_runs(folder)]
    data_sets = variant_groups(runs)
    comparison = Comparison(data_sets[0]) if data_sets else None
    return comparison if comparison and comparison.tested and comparison.networks else None


def find(
    comparison: Comparison,
    network: str | None = None,
    head: str | None = None,
    padding: str | None = None,
) -> Variant | None:
    """Return the tested network with these choices, if there is one.

    Raises ValueError if there are several.
    """
    matches = [
        variant
        for variant in comparison.tested_networks
        if network in (None, variant.network)
        if head in (None, variant.settings["head.kind"])
        if padding in (None, variant.settings["data.padding"])
    ]
    if len(matches) > 1:
        raise ValueError(f"{', '.join(v.name for v in matches)}: only one variant was expected")
    return matches[0] if matches else None


def baseline_of(comparison: Comparison) -> Variant | None:
    """Return the n-gram baseline that the networks are compared with.

    This baseline has the lower validation loss. Without a validation set, it is the kind that
    is better in most other experiments.
    """
    baselines = {v.settings["ngrams.kind"]: v for v in comparison.variants if v.is_baseline}
    if baselines and all(not np.isnan(v.val_accuracy) for v in baselines.values()):
        return comparison.baseline
    return baselines.get(usual_baseline())


@cache
def usual_baseline() -> str | None:
    """Return the kind of baseline that is better in most experiments with a validation set."""
    kinds = [
        comparison.baseline.settings["ngrams.kind"]
        for experiment in EXPERIMENTS
        if (comparison := comparison_of(experiment)) is not None
        if comparison.baseline is not None and not np.isnan(comparison.baseline.val_accuracy)
    ]
    return max(kinds, key=kinds.count, default=None)


def published_accuracy(comparison: Comparison, variant: Variant | None) -> float | None:
    """Return the published test accuracy of a network, if there is one."""
    result = variant and published_result(comparison, variant)
    return result.theirs if result else None


def published_result(comparison: Comparison, variant: Variant) -> Published | None:
    """Return the published result with a test accuracy of a network, if there is one."""
    rows = published_results(comparison)
    return next((r for r in rows if r.name == variant.name and r.score == "accuracy"), None)


def published_results(comparison: Comparison) -> list[Published]:
    """Return the published results, described as by the experiments today."""
    return published(comparison.variants, references_of(comparison))


@cache
def highlights() -> list[tuple[str, Comparison, Variant]]:
    """Return the networks of the README with their experiments, without the grid.

    The experiment pooling contributes only its networks with masked padding.
    """
    return [
        (experiment, comparison, variant)
        for experiment in EXPERIMENTS
        if experiment != "grid" and (comparison := comparison_of(experiment)) is not None
        for variant in sorted(
            comparison.tested_networks, key=lambda v: natural_order(v.settings["head.kind"])
        )
        if experiment != "pooling" or variant.settings["data.padding"] == Padding.exact
    ]
