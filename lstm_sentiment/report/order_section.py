"""comparison -> the section on reviews where the words and their order disagree.

Networks and n-gram baselines are compared on parts of the test reviews: parts in which a baseline
is more or less sure of a wrong class, and the reviews of each construct of the synthetic corpus.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from lstm_sentiment.data.synthetic import Construct
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.comparison_plots import accuracy_by_part
from lstm_sentiment.report.formatting import percent, points
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Plot, Table
from lstm_sentiment.report.statistics import Accuracies, Correct, accuracies, compare
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.predictions import Predictions

TITLE = "Where words and order disagree"
MAX_NETWORKS = 6  # the best ones; with two baselines, a plot has eight variants
MIN_REVIEWS = 20  # for a sentence on a difference; intervals of fewer reviews say nothing
CONFIDENCES = {"below 70 %": 0.0, "70–90 %": 0.7, "90–100 %": 0.9}  # their lower bounds
*_, SURE = CONFIDENCES
BY_CONSTRUCT = (
    "What a reader has to understand in order to know the verdict of a review of the synthetic "
    "corpus. Only the words of a plain verdict have the polarity of the label."
)
CHOSEN_BY_ERRORS = (
    "chose the reviews: it is correct on none of those on the left and on all on the right. Other "
    "models make similar errors, so all of them are worse on the left than on average, whatever "
    "they learned."
)
OTHER_BASELINE = (
    "did not choose the reviews, so the networks are compared with it. But it counts the same "
    "words and shares more errors with the first baseline than a network does. A network that errs "
    "differently is ahead of it on the left and behind it on the right; only the accuracy on all "
    "reviews shows whether this is a gain."
)
NO_OTHER_BASELINE = (
    "There is no other n-gram baseline for a comparison on the same reviews, so these accuracies "
    "do not show whether recurrence helps."
)

Parts = Mapping[str, np.ndarray]  # name -> whether each test review belongs to the part, (N,) bool


def order_section(comparison: Comparison, prefix: str) -> list[Block]:
    """Return the section on words and order; the names of its plots begin with `prefix`.

    It is empty if no network was tested, or if there is neither a baseline nor a construct.
    """
    networks = comparison.tested_networks[:MAX_NETWORKS]
    if not networks:
        return []
    blocks = [
        *_by_construct(comparison, networks, prefix),
        *_by_confidence(comparison, networks, prefix),
    ]
    return [Heading(TITLE, 3), *blocks] if blocks else []


def _by_construct(comparison: Comparison, networks: Sequence[Variant], prefix: str) -> list[Block]:
    """Return the accuracies by construct; empty if the constructs are unknown."""
    runs = (run for v in comparison.tested for run in comparison.predictions[v.name].values())
    constructs = next((run.construct for run in runs if run.construct is not None), None)
    if constructs is None or not np.isin(constructs, [*Construct]).any():
        return []
    baselines = _baselines(comparison)
    measured = _Measured(comparison, [*networks, *baselines])
    parts = {each.replace("_", " "): constructs == each for each in Construct}
    title = "Test accuracy by the construct that decides a review, with 95 % intervals."
    blocks: list[Block] = [
        Paragraph(BY_CONSTRUCT),
        *measured.blocks(f"{prefix}constructs", title, parts, "construct"),
    ]
    if baselines:
        which = "without a plain verdict, whose order of words decides"
        reviews = np.isin(constructs, [each for each in Construct if each is not Construct.plain])
        blocks += measured.differences(baselines[0], reviews, which)
    return blocks


def _by_confidence(comparison: Comparison, networks: Sequence[Variant], prefix: str) -> list[Block]:
    """Return the accuracies by the confidence of a baseline; empty if there is no baseline."""
    baselines = _baselines(comparison)
    if not baselines:
        return []
    # NB-SVM, the stronger one of the two, is judged.
    choosing, *others = sorted(baselines, key=lambda v: _kind(v) != NgramModel.logistic)
    name = plain(choosing.name)
    run = next(iter(comparison.predictions[choosing.name].values()))
    parts = _parts_by_confidence(run)
    measured = _Measured(comparison, [*networks, *others])
    title = f"Test accuracy by the confidence of {choosing.name}, with 95 % intervals."
    label = f"prediction of {choosing.name} and its probability"
    blocks = measured.blocks(f"{prefix}confidence", title, parts, label)
    for other in others:
        sure = f"that {name} classifies wrongly with a probability of at least 90 %"
        blocks += measured.differences(other, parts[f"wrong, {SURE}"], sure)
        blocks += measured.differences(other, ~run.correct, f"that {name} classifies wrongly")
    judged = f"{plain(others[0].name)} {OTHER_BASELINE}" if others else NO_OTHER_BASELINE
    return [*blocks, Paragraph(f"{name} {CHOSEN_BY_ERRORS} {judged}")]


def _baselines(comparison: Comparison) -> list[Variant]:
    """Return the best tested baseline of each kind, the best one first."""
    best: dict[str, Variant] = {}
    for variant in comparison.tested:
        if variant.is_baseline:
            best.setdefault(_kind(variant), variant)
    return [*best.values()]


def _kind(baseline: Variant) -> str:
    return str(baseline.settings["ngrams.kind"])


def _parts_by_confidence(run: Predictions) -> Parts:
    """Return the reviews by whether a prediction is correct, and by its probability.

    With two classes, this is the order of the probability of the true class.
    """
    probability = run.probability
    if probability.ndim == 1:
        probability = np.stack([1 - probability, probability], 1)
    confidence = probability[np.arange(len(probability)), run.predicted.astype(int)]
    level = np.digitize(confidence, [*CONFIDENCES.values()]) - 1
    names = [*CONFIDENCES]
    return {
        f"wrong, {name}": ~run.correct & (level == k) for k, name in reversed([*enumerate(names)])
    } | {f"correct, {name}": run.correct & (level == k) for k, name in enumerate(names)}


class _Measured:
    """Variants whose accuracies are measured on parts of the test reviews."""

    def __init__(self, comparison: Comparison, variants: Sequence[Variant]) -> None:
        self.variants = variants
        self.groups = comparison.groups
        positions = [comparison.tested.index(v) for v in variants]
        self.correct = [comparison.correct[k] for k in positions]
        self.everywhere = comparison.accuracies.observed[positions]  # on all reviews

    def on(self, reviews: np.ndarray) -> tuple[list[Correct], Accuracies]:
        """Return the correct predictions for some reviews, and their accuracies."""
        correct: list[Correct] = [
            {seed: run[reviews] for seed, run in runs.items()} for runs in self.correct
        ]
        groups = None if self.groups is None else self.groups[reviews]
        return correct, accuracies(correct, groups)

    def blocks(self, name: str, title: str, parts: Parts, label: str) -> list[Block]:
        """Return a plot of the accuracies on the parts that have reviews, and a table of them."""
        occurring = {part: reviews for part, reviews in parts.items() if reviews.any()}
        sizes = {part: int(reviews.sum()) for part, reviews in occurring.items()}
        by_part = [self.on(reviews)[1] for reviews in occurring.values()]
        estimates = {
            v.name: [each.accuracy(k) for each in by_part] for k, v in enumerate(self.variants)
        }
        baselines = {v.name for v in self.variants if v.is_baseline}
        rows = [
            [plain(v.name), *(percent(each.value) for each in estimates[v.name]), percent(total)]
            for v, total in zip(self.variants, self.everywhere, strict=True)
        ]
        columns = ["", *(f"{part} ({size:,})" for part, size in sizes.items()), "all reviews"]
        figure = accuracy_by_part(sizes, estimates, baselines, f"{label} (number of reviews)")
        note = "Accuracies in per cent, means over seeds, with the numbers of reviews in brackets."
        return [Plot(name, title, figure), Table(columns, rows), Paragraph(note)]

    def differences(self, baseline: Variant, reviews: np.ndarray, which: str) -> list[Block]:
        """Return how the networks compare with a baseline on some reviews; empty for few reviews.

        The intervals are simultaneous for the networks.
        """
        count = int(reviews.sum())
        if count < MIN_REVIEWS:
            return []
        correct, measured = self.on(reviews)
        position = self.variants.index(baseline)
        networks = [k for k, v in enumerate(self.variants) if not v.is_baseline]
        verdicts = compare(correct, [(k, position) for k in networks], measured)
        items = []
        for k, verdict in zip(networks, verdicts, strict=True):
            low, high = map(points, verdict.interval)
            items.append(
                f"{plain(self.variants[k].name)}: {percent(measured.observed[k])} %, "
                f"{points(verdict.difference)} points ({low} to {high}), {verdict.wording}"
            )
        opening = (
            f"On the {count:,} reviews {which}, {plain(baseline.name)} is correct on "
            f"{percent(measured.observed[position])} %. The networks relative to it:"
        )
        return [Paragraph(opening), Listing(items)]
