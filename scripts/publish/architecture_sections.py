"""experiments lstm_vs_gru and architectures -> sections on cells and architectures."""

import json

import numpy as np

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.comparison_plots import influence as influence_plot
from lstm_sentiment.report.formatting import points, spread
from lstm_sentiment.report.page import Block, Paragraph, Plot, Table
from lstm_sentiment.report.variants import Variant
from scripts.publish import trained
from scripts.publish.experiments import questions_of
from scripts.publish.trained import find, published_accuracy
from scripts.publish.wording import (
    answers,
    interval,
    loss,
    optional_percent,
    parameters,
    score,
    seconds,
    titled_list,
)

DEPTHS = ("lstm", "stacked_lstm", "deep_lstm")
ARCHITECTURES = ("rnn", *DEPTHS, "bilstm")
LAST_WORDS = 100  # of a review; the page gives the gain from the words before them


def cells(comparison: Comparison) -> list[Block]:
    """Return the comparison of an LSTM with a GRU, and the published difference."""
    rows = [
        [
            variant.name,
            score(variant),
            interval(comparison, variant),
            loss(variant),
            optional_percent(published_accuracy(comparison, variant)),
        ]
        for variant in comparison.networks
    ]
    blocks: list[Block] = [Table(["", "test %", "95 % interval", "loss", "published"], rows)]
    for question in questions_of("lstm_vs_gru", comparison):
        blocks += answers(comparison, question, lambda variant: variant.network.upper())
    lstm, gru = (find(comparison, network=name) for name in ("lstm", "gru"))
    if lstm and gru:
        theirs = [published_accuracy(comparison, variant) for variant in (gru, lstm)]
        if theirs[0] is not None and theirs[1] is not None:
            difference = points(theirs[0] - theirs[1])
            blocks.append(Paragraph(f"The published difference is {difference} points."))
    return blocks


def architectures(comparison: Comparison) -> list[Block]:
    """Return a table of architectures, tests of the published claims, and overfitting by depth."""
    variants = {name: v for name in ARCHITECTURES if (v := find(comparison, network=name))}
    columns = ["", "parameters", "test %", "95 % interval", "val %", "F1 %", "train − val"]
    rows = [
        [
            name,
            parameters(variant),
            score(variant),
            interval(comparison, variant),
            spread(variant.scores("val", "accuracy")),
            spread(variant.scores("test", "f1")),
            f"{100 * _gap(variant):+.1f}",
            seconds(variant),
        ]
        for name, variant in variants.items()
    ]
    results = [
        block
        for question in questions_of("architectures", comparison)
        for block in answers(comparison, question, lambda variant: variant.network)
    ]
    gaps = [
        f"{name}: {100 * _gap(variants[name]):+.1f} points." for name in DEPTHS if name in variants
    ]
    return [
        Paragraph(
            "Claims that were published without scores: a bidirectional network is the most "
            "accurate one for its size, deeper networks may overfit, and an LSTM is more accurate "
            "than a simple RNN."
        ),
        Table([*columns, "training s"], rows),
        *results,
        *titled_list(
            "Overfitting by depth, as training accuracy minus validation accuracy in the best "
            "epoch:",
            gaps,
        ),
    ]


def _gap(variant: Variant) -> float:
    """Return the mean training accuracy minus validation accuracy in the best epoch."""
    best = [record["epochs"][record["best_epoch"] - 1] for record in variant.records]
    return float(np.mean([epoch["train"]["accuracy"] - epoch["val"]["accuracy"] for epoch in best]))


def influence(_: Comparison) -> list[Block]:
    """Return the measurements of scripts.benchmarks.influence on the trained networks."""
    file = trained.RESULTS / "memory.json"
    if not file.exists():
        return [Paragraph("Not measured yet: `python -m scripts.benchmarks.influence`.")]
    record = json.loads(file.read_text())
    last, distances = record["last"], record["distances"]
    names = [name for name in ARCHITECTURES if name in record["accuracy"]]
    accuracy = {name: np.array(record["accuracy"][name]) for name in names}
    norms = {name: record["influence"][name] for name in names}  # of the gradients
    before = last.index(LAST_WORDS)
    gains = [
        f"{name}: {100 * (values[-1] - values[before]):+.1f} points; reading {LAST_WORDS} words "
        f"instead of {last[0]} adds {100 * (values[before] - values[0]):.1f} points."
        for name, values in accuracy.items()
    ]
    title = "Influence of a word on the prediction, by its distance from the end of the review."
    return [
        Paragraph("Measured by `python -m scripts.benchmarks.influence`."),
        Paragraph(
            f"Accuracy on the {record['reviews']:,} test reviews of more than {last[-1]} tokens "
            "if the network reads only the last words of each review, mean over seeds:"
        ),
        Table(
            ["last words", *map(str, last)],
            [[n, *(f"{100 * value:.1f}" for value in values)] for n, values in accuracy.items()],
        ),
        *titled_list(f"Gain from the words before the last {LAST_WORDS}:", gains),
        Paragraph(
            "Gradient of the logit with respect to a word's vector (median over reviews, mean over "
            "seeds), in per cent of that of the last word, by the number of words after it:"
        ),
        Table(
            ["words after it", *map(str, distances[1:])],
            [
                [name, *(f"{100 * value / values[0]:.1f}" for value in values[1:])]
                for name, values in norms.items()
            ],
        ),
        Plot("memory", title, influence_plot(distances, norms)),
    ]
