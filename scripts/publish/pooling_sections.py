"""experiments pooling and trailing_padding -> sections on heads and on padding."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_sentiment.config import Padding
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.comparison_plots import heat_map
from lstm_sentiment.report.formatting import percent, points
from lstm_sentiment.report.page import Block, Listing, Paragraph, Plot, Table
from lstm_sentiment.report.variants import Variant
from scripts.publish.experiments import questions_of
from scripts.publish.trained import comparison_of, find, published_accuracy
from scripts.publish.wording import answers, interval, optional_percent, score, titled_list

HEADS = ("last", "flatten", "max", "avg")
PADDINGS = {
    Padding.exact: "masked padding",
    Padding.keras: "unmasked pre-padding",
    Padding.trailing: "unmasked post-padding",
}
CHANCE = 0.6  # accuracies up to this one are at chance level


def pooling(comparison: Comparison) -> list[Block]:
    """Return a table of heads and paddings, and each head compared with the last state."""
    variants = _heads_by_padding(comparison)
    rows = [
        [
            head,
            *map(score, row),
            optional_percent(published_accuracy(comparison, next(filter(None, row), None))),
        ]
        for head, row in zip(HEADS, variants, strict=True)
    ]
    return [
        Table(["head", *PADDINGS.values(), "published"], rows),
        *_answers(comparison, about_padding=False),
    ]


def _answers(comparison: Comparison, about_padding: bool) -> list[Block]:
    """Return the answers to the questions about padding, or to those about heads."""
    return [
        block
        for question in questions_of("pooling", comparison)
        if ("data.padding" in question.named) == about_padding
        for block in answers(comparison, question, _head_and_padding)
    ]


def _head_and_padding(variant: Variant) -> str:
    settings = variant.settings
    return f"{settings['head.kind']}, {PADDINGS[Padding(settings['data.padding'])]}"


def pooling_plots() -> list[Plot]:
    """Return a heat map of heads and paddings; empty unless several paddings were trained."""
    comparison = comparison_of("pooling")
    variants = _heads_by_padding(comparison) if comparison else []
    columns = [k for k in range(len(PADDINGS)) if any(row[k] for row in variants)]
    if len(columns) < 2:
        return []
    accuracies = [[_accuracy(row[k]) for k in columns] for row in variants]
    names = [[*PADDINGS.values()][k].replace(" ", "\n") for k in columns]
    title = "Test accuracy of an LSTM by head and padding."
    return [Plot("pooling", title, heat_map(HEADS, names, np.array(accuracies)))]


def _heads_by_padding(comparison: Comparison) -> list[list[Variant | None]]:
    return [[find(comparison, head=h, padding=p) for p in PADDINGS] for h in HEADS]


def _accuracy(variant: Variant | None) -> float:
    return float(variant.scores("test", "accuracy").mean()) if variant else float("nan")


def padding(comparison: Comparison) -> list[Block]:
    """Return the accuracies of a last state by padding, compared with the published accuracy."""
    variants = {p: v for p in PADDINGS if (v := find(comparison, head="last", padding=p))}
    return [
        Listing([_seeds(PADDINGS[p], v) for p, v in variants.items()]),
        *_answers(comparison, about_padding=True),
        *_closest_to_published(comparison, variants),
        *_learning_curves(comparison),
        *_trailing_padding(),
    ]


def _seeds(padding: str, variant: Variant) -> str:
    seeds = ", ".join(f"{100 * value:.1f}" for value in variant.scores("test", "accuracy"))
    return f"Last state, {padding}: {score(variant)} % (seeds: {seeds})."


def _closest_to_published(
    comparison: Comparison, variants: Mapping[Padding, Variant]
) -> list[Block]:
    """Return the padding with the accuracy closest to the published one."""
    accuracies = [published_accuracy(comparison, variant) for variant in variants.values()]
    theirs = next((value for value in accuracies if value is not None), None)
    if theirs is None or variants.keys() != PADDINGS.keys():
        return []
    differences = {p: _accuracy(variant) - theirs for p, variant in variants.items()}
    closest = min(differences, key=lambda p: abs(differences[p]))
    low, high = comparison.intervals[variants[closest].name]
    inside = "inside" if low <= theirs <= high else "outside"
    return [
        Paragraph(
            f"Published: {percent(theirs)} %; the source does not describe its padding. The "
            f"closest result is that of {PADDINGS[closest]} "
            f"({points(differences[closest])} points). The published accuracy is "
            f"{inside} the 95 % interval of this result "
            f"({interval(comparison, variants[closest])})."
        )
    ]


def _learning_curves(comparison: Comparison) -> list[Block]:
    """Return the validation accuracy of every head after each epoch, with masked padding."""
    variants = {h: v for h in HEADS if (v := find(comparison, head=h, padding=Padding.exact))}
    curves = {head: _learning_curve(variant) for head, variant in variants.items()}
    if curves.keys() != set(HEADS):
        return []
    epochs = min(map(len, curves.values()))
    theirs = [published_accuracy(comparison, variant) for variant in variants.values()]
    rows = [
        [head, *(f"{100 * value:.1f}" for value in values[:epochs]), optional_percent(published)]
        for (head, values), published in zip(curves.items(), theirs, strict=True)
    ]
    columns = ["head", *(f"epoch {n + 1}" for n in range(epochs)), "published test"]
    return [
        Paragraph("Validation accuracy after each epoch, mean over seeds, with masked padding:"),
        Table(columns, rows),
        *_epoch_of_published(curves, theirs[0]),
    ]


def _learning_curve(variant: Variant) -> np.ndarray:
    """Return the mean validation accuracy after each epoch that all seeds have."""
    curves = [[e["val"]["accuracy"] for e in record["epochs"]] for record in variant.records]
    return np.mean([curve[: min(map(len, curves))] for curve in curves], 0)


def _epoch_of_published(curves: Mapping[str, np.ndarray], theirs: float | None) -> list[Block]:
    """Return the epoch in which the last state has about the published accuracy, if any."""
    last, *others = curves.values()
    if theirs is None or last.max() < theirs:
        return []
    closest = int(np.argmin(abs(last - theirs)))
    sentence = (
        f"A last state has about the published accuracy early in training: its validation accuracy "
        f"is closest to {percent(theirs)} % after epoch {closest + 1}, with "
        f"{100 * last[closest]:.1f} %, and reaches {100 * last.max():.1f} %."
    )
    if all(values[closest] > last[closest] for values in others):
        sentence += " Every other head has a higher accuracy after that epoch."
    return [Paragraph(sentence)]


def _trailing_padding() -> list[Block]:
    """Return the accuracies of a last state after post-padding that was trained for more epochs."""
    comparison = comparison_of("trailing_padding")
    if comparison is None:
        return [Paragraph("Not trained yet: `experiment=trailing_padding`.")]
    sentences = [_first_learning(r) for variant in comparison.networks for r in variant.records]
    command = "`python train.py experiment=trailing_padding`"
    title = f"Unmasked post-padding with more epochs than in the table ({command}):"
    return titled_list(title, sentences)


def _first_learning(record: Mapping[str, Any]) -> str:
    """Return the first epoch of a run above chance level, and its accuracies."""
    seed = f"Seed {record['config']['seed']}"
    curve = [epoch["val"]["accuracy"] for epoch in record["epochs"]]
    first = next((n for n, value in enumerate(curve) if value > CHANCE), None)
    if first is None:
        return f"{seed}: at chance level in all {len(curve)} epochs."
    return (
        f"{seed}: at chance level for {first} epochs, then {percent(curve[first])} % validation "
        f"accuracy after epoch {first + 1} and {percent(max(curve))} % at best; test accuracy "
        f"{percent(record['test']['accuracy'])} %."
    )
