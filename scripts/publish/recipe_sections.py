"""other experiments -> sections on single networks, word vectors, the grid and the baselines."""

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.effect_section import effect_section
from lstm_sentiment.report.page import Block, Paragraph, Table
from scripts.publish.trained import EXPERIMENTS, baseline_of, comparison_of
from scripts.publish.wording import (
    difference,
    interval,
    judgement,
    labels,
    loss,
    p_value,
    parameters,
    score,
    seconds,
)


def recipe(comparison: Comparison) -> list[Block]:
    """Return the scores and costs of all variants of an experiment."""
    rows = [
        [
            variant.name,
            str(len(variant.runs)),
            score(variant),
            interval(comparison, variant),
            loss(variant),
            parameters(variant),
            seconds(variant),
        ]
        for variant in comparison.variants
    ]
    columns = ["", "seeds", "test %", "95 % interval", "loss", "parameters", "training s"]
    return [Paragraph(f"{comparison.title}."), Table(columns, rows)]


def vectors(comparison: Comparison) -> list[Block]:
    """Return the network with word vectors, compared with the same network without them."""
    both = comparison_of("best_scratch", "best_vectors")
    variants = {v.settings["embedding.kind"]: v for v in both.networks} if both else {}
    blocks = recipe(comparison)
    if both and variants.keys() >= {"word2vec", "random"}:
        ours, other = variants["word2vec"], variants["random"]
        replaced = [variant.settings["data.augment.replace"] for variant in (ours, other)]
        blocks.append(
            Paragraph(
                f"With word vectors compared with without: {judgement(both, ours, other)} The "
                "share of words that training replaces by the unknown word was selected by "
                f"validation accuracy: {replaced[0]} with vectors, {replaced[1]} without."
            )
        )
    return blocks


def contributions(comparison: Comparison) -> list[Block]:
    """Return the contribution of each choice in the grid."""
    effects = effect_section(comparison, "grid_") or [
        Paragraph("Too few networks of the grid are trained to estimate contributions.")
    ]
    return [Paragraph(f"{comparison.title}; {len(comparison.networks)} networks."), *effects]


def baselines() -> list[Block]:
    """Return the best network of every experiment, compared with the n-gram baseline."""
    rows = []
    for experiment in EXPERIMENTS:
        comparison = comparison_of(experiment)
        baseline = baseline_of(comparison) if comparison else None
        if comparison is None or baseline is None:
            continue
        best = comparison.best_network or comparison.networks[0]
        verdict = comparison.against(baseline).get(best.name)
        if verdict is not None:
            scores = [best.name, labels(best), score(best), score(baseline)]
            judged = [difference(verdict), f"{verdict.wording}, {p_value(verdict)}"]
            rows.append([f"`{experiment}`", *scores, *judged])
    columns = ["", "best network", "labels", "test %", "n-gram baseline %", "difference", "verdict"]
    return [
        Paragraph(
            "The network of each experiment is the one with the highest validation accuracy, or "
            "the only one. The n-gram baseline is logistic regression on TF-IDF features or NB-SVM "
            "(Wang and Manning 2012), trained on words, bigrams and trigrams of the same reviews: "
            "the one with the higher validation accuracy. For networks that were trained on all "
            "labels, without a validation set, it is the kind that was better in most other "
            "experiments."
        ),
        Table(columns, rows),
    ]
