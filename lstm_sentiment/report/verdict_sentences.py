"""comparison -> sentences on the best variant and on the verdicts."""

from collections.abc import Collection

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import bounds, enumeration, mean_percent, percent, spread
from lstm_sentiment.report.page import Block, Paragraph
from lstm_sentiment.report.statistics import Verdict
from lstm_sentiment.report.variants import Variant

MAX_NAMES = 4  # in a sentence; for more variants, it gives the number
NO_VALIDATION = "No run has validation scores, so no variant is the best."
NO_BASELINE = (
    "There is no n-gram baseline for these runs. `lstm-sentiment baseline` trains one; it takes "
    "the same arguments as train.py."
)
SINGLE_SEEDS = (
    "Some networks have a single seed. Verdicts on them apply to these trained networks only; "
    "another seed may change them."
)


def summary(comparison: Comparison) -> list[Block]:
    """Return the best variant, and the verdicts relative to it and to the n-gram baseline."""
    best, network = comparison.best, comparison.best_network
    baseline = _relative_to_baseline(comparison)
    if best is None:
        return [Paragraph(NO_VALIDATION), *baseline]
    sentences = [
        f"**{best.name}** has the highest validation accuracy ({percent(best.val_accuracy)} %).",
        *_test_accuracy(comparison, best),
        *_relative_to_best(comparison.against(best)),
    ]
    if network is not None and network is not best:
        accuracy = percent(network.val_accuracy)
        sentences += [
            f"The best network is **{network.name}** (validation accuracy {accuracy} %).",
            *_test_accuracy(comparison, network),
        ]
    blocks: list[Block] = [Paragraph(" ".join(sentences)), *baseline]
    if comparison.has_single_seeds and len(comparison.variants) > 1:
        blocks.append(Paragraph(SINGLE_SEEDS))
    return blocks


def _test_accuracy(comparison: Comparison, variant: Variant) -> list[str]:
    scores = variant.scores("test", "accuracy")
    if not len(scores):
        return []
    interval = comparison.intervals.get(variant.name)
    within = f" (95 % interval {bounds(interval)})" if interval else ""
    return [f"Its test accuracy is {spread(scores)} %{within}."]


def _relative_to_best(verdicts: dict[str, Verdict]) -> list[str]:
    if not verdicts:
        return []
    parts = []
    for wording in ("worse", "not significantly different", "better"):
        names = [name for name, verdict in verdicts.items() if verdict.wording == wording]
        if names:
            few = len(names) <= MAX_NAMES
            subject = enumeration(names) if few else f"{len(names)} variants"
            parts.append(f"{subject} {_are(names)} {wording}")
    return [f"Compared with it on the same test reviews, {enumeration(parts)}."]


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
        networks = f"all {len(wordings)} networks are" if len(wordings) > 1 else "the network is"
        parts = [f"{networks} {wordings[0]}"]
    accuracy = mean_percent(baseline.scores("test", "accuracy"))
    return [
        Paragraph(
            f"Compared with the n-gram baseline **{baseline.name}** (test accuracy {accuracy} %), "
            f"{enumeration(parts)}."
        )
    ]


def _are(subjects: Collection[str]) -> str:
    return "is" if len(subjects) == 1 else "are"
