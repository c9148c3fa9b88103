"""all experiments -> the table and the plots of the README."""

from lstm_sentiment.report.comparison_plots import accuracy_bars
from lstm_sentiment.report.page import Plot, Table
from scripts.publish.pooling_sections import pooling_plots
from scripts.publish.trained import baseline_of, highlights, published_accuracy
from scripts.publish.wording import interval, labels, network, published_cell, score


def summary() -> Table:
    """Return a table with a row for each network."""
    rows = [
        [
            f"`{experiment}`",
            name,
            labels(variant),
            str(len(variant.runs)),
            published_cell(comparison, variant),
            score(variant),
            interval(comparison, variant),
            score(baseline_of(comparison)),
        ]
        for name, (experiment, comparison, variant) in zip(_names(), highlights(), strict=True)
    ]
    columns = ["`experiment=`", "network", "labels", "seeds", "published %", "test %"]
    return Table([*columns, "95 % interval", "n-gram baseline %"], rows)


def _names() -> list[str]:
    """Return the names of all networks; those that an experiment has twice have more settings."""
    names = [(experiment, network(variant)) for experiment, _, variant in highlights()]
    further = [variant.name.partition(" ")[2] for _, _, variant in highlights()]
    return [
        f"{each[1]}, {settings}" if names.count(each) > 1 else each[1]
        for each, settings in zip(names, further, strict=True)
    ]


def plots() -> list[Plot]:
    """Return the plots of all networks and baselines, and of heads by padding."""
    if not highlights():
        return []
    networks = {
        f"{experiment}: {name}": (comparison, variant)
        for name, (experiment, comparison, variant) in zip(_names(), highlights(), strict=True)
    }
    baselines = {
        f"{variant.settings['ngrams.kind']}, {labels(variant)} labels": (comparison, variant)
        for comparison, _ in networks.values()
        if (variant := baseline_of(comparison)) is not None
    }
    bars = networks | baselines
    figure = accuracy_bars(
        [*bars],
        [float(variant.scores("test", "accuracy").mean()) for _, variant in bars.values()],
        [comparison.intervals[variant.name] for comparison, variant in bars.values()],
        {*baselines},
        [published_accuracy(comparison, variant) for comparison, variant in bars.values()],
    )
    title = (
        "Test accuracy with 95 % intervals; crosses are published accuracies, for which the table "
        "says if they are of other numbers of labels."
    )
    return [Plot("results", title, figure), *pooling_plots()]
