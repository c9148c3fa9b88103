"""comparison -> sentences on the best variant and on the verdicts."""

from collections.abc import Collection, Mapping, Sequence

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import (
    bounds,
    enumeration,
    mean_percent,
    percent,
    points,
    spread,
)
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Paragraph
from lstm_sentiment.report.statistics import Verdict
from lstm_sentiment.report.variants import Variant

MAX_NAMES = 4  # in a sentence; for more variants, it gives the number
NO_VALIDATION = "No run has validation scores, so no variant is the best."
NO_NETWORK = "No network was trained on these reviews."
NO_BASELINE = (
    "There is no n-gram baseline for these runs. `lstm-sentiment baseline` trains one; it takes "
    "the same arguments as train.py."
)
SINGLE_SEEDS = (
    "Some networks have a single seed. Verdicts on them apply to these trained networks only; "
    "another seed may change them."
)

ENSEMBLES = (
    "An ensemble is one model. Verdicts on it apply to its trained members only; an ensemble of "
    "other seeds may give others."
)


def summary(comparison: Comparison) -> list[Block]:
    """Return the best variant, and the verdicts relative to it and to the n-gram baseline."""
    best, network = comparison.best, comparison.best_network
    baseline = _relative_to_baseline(comparison)
    if best is None:
        return [Paragraph(NO_VALIDATION), *baseline, *_limits(comparison)]
    sentences = [
        *_best(comparison, best),
        *_test_accuracy(comparison, best),
        *_relative_to(comparison.against(best)),
    ]
    if network is not None and network is not best:
        accuracy = percent(network.val_accuracy)
        sentences += [
            f"The best network is **{plain(network.name)}** (validation accuracy {accuracy} %).",
            *_test_accuracy(comparison, network),
            *_relative_to(comparison.against(network)),
        ]
    sentences += _other_cells(comparison)
    blocks: list[Block] = [Paragraph(" ".join(sentences)), *baseline]
    if not comparison.networks:
        blocks.append(Paragraph(NO_NETWORK))
    return [*blocks, *_limits(comparison)]


def _limits(comparison: Comparison) -> list[Block]:
    """Return to which trained models the verdicts apply, if this is not a matter of course."""
    if len(comparison.variants) < 2:
        return []
    notes = [SINGLE_SEEDS] * comparison.has_single_seeds + [ENSEMBLES] * comparison.has_ensembles
    return [Paragraph(note) for note in notes]


def _best(comparison: Comparison, best: Variant) -> list[str]:
    accuracy = percent(best.val_accuracy)
    if len(comparison.variants) == 1:
        return [f"**{plain(best.name)}** is the only variant (validation accuracy {accuracy} %)."]
    sentences = [f"**{plain(best.name)}** has the highest validation accuracy ({accuracy} %)."]
    ties = [v.name for v in comparison.variants if v.val_accuracy == best.val_accuracy]
    if others := ties[1:]:
        verb = "has" if len(others) == 1 else "have"
        sentences.append(f"{_names(others)} {verb} the same, but no lower validation loss.")
    return sentences


def _test_accuracy(comparison: Comparison, variant: Variant) -> list[str]:
    scores = variant.scores("test", "accuracy")
    if not len(scores):
        return []
    interval = comparison.intervals.get(variant.name)
    chosen = "; its lower end allows for the choice" * bool(comparison.candidates(variant))
    within = f" (95 % interval {bounds(interval)}{chosen})" if interval else ""
    return [f"Its test accuracy is {spread(scores)} %{within}."]


def _relative_to(verdicts: Mapping[str, Verdict]) -> list[str]:
    """Return a sentence on the verdicts relative to the variant of the sentence before."""
    if not verdicts:
        return []
    parts = []
    for wording in ("worse", "not significantly different", "better"):
        names = [name for name, verdict in verdicts.items() if verdict.wording == wording]
        if names:
            parts.append(f"{_names(names)} {_are(names)} {wording}")
    return [f"Compared with it on the same test reviews, {enumeration(parts)}."]


def _other_cells(comparison: Comparison) -> list[str]:
    """Return how the best network compares with the best network of each other cell.

    The list is empty if the sentences before compare these networks already: if each cell has one
    network, or there is one cell.
    """
    best, verdicts = comparison.best_network, comparison.against(comparison.best_network)
    best_of_cell: dict[str, Variant] = {}
    for variant in comparison.networks:
        best_of_cell.setdefault(_cell(variant), variant)
    parts = [
        f"the best {cell} ({plain(variant.name)}) is {verdicts[variant.name].wording} "
        f"({points(verdicts[variant.name].difference)} points)"
        for cell, variant in best_of_cell.items()
        if variant.name in verdicts
    ]
    if best is None or not parts or len(comparison.networks) == len(best_of_cell):
        return []
    return [f"Compared with the best {_cell(best)} ({plain(best.name)}), {enumeration(parts)}."]


def _cell(network: Variant) -> str:
    return plain(str(network.settings["encoder.cell"]).upper())


def _names(names: Sequence[str]) -> str:
    return (
        enumeration([*map(plain, names)]) if len(names) <= MAX_NAMES else f"{len(names)} variants"
    )


def _relative_to_baseline(comparison: Comparison) -> list[Block]:
    baseline = comparison.baseline
    if baseline is None:
        return [Paragraph(NO_BASELINE)]
    verdicts = comparison.against(baseline)
    wordings = [verdicts[v.name].wording for v in comparison.networks if v.name in verdicts]
    if not wordings:
        return []
    parts: list[str] = []
    for wording in ("better", "worse", "not significantly different"):
        if same := [each for each in wordings if each == wording]:
            of_all = "" if parts else f" of {len(wordings)} networks"
            parts.append(f"{len(same)}{of_all} {_are(same)} {wording}")
    if len(parts) == 1:
        counts = {1: "the network is", 2: "both networks are"}
        networks = counts.get(len(wordings), f"all {len(wordings)} networks are")
        parts = [f"{networks} {wordings[0]}"]
    name, accuracy = plain(baseline.name), mean_percent(baseline.scores("test", "accuracy"))
    return [
        Paragraph(
            f"Compared with the n-gram baseline **{name}** (test accuracy {accuracy} %), "
            f"{enumeration(parts)}."
        )
    ]


def _are(subjects: Collection[str]) -> str:
    return "is" if len(subjects) == 1 else "are"
