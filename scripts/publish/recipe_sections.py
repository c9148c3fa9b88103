"""other experiments -> sections on single networks, word vectors, the grid and the baselines."""

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.effect_section import effect_section
from lstm_sentiment.report.page import Block, Paragraph, Table
from lstm_sentiment.report.variants import Variant
from scripts.publish.experiments import note_on_vectors, questions_of, vectors_of
from scripts.publish.trained import EXPERIMENTS, baseline_of, comparison_of
from scripts.publish.wording import (
    answers,
    difference,
    interval,
    labels,
    loss,
    p_value,
    parameters,
    score,
    seconds,
    titled_list,
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
    vectors = [
        f"{variant.name}: {', '.join(filter(None, (used, note_on_vectors(variant))))}."
        for variant in comparison.networks
        if (used := vectors_of(variant))
    ]
    return [
        Paragraph(f"{comparison.title}."),
        Table(columns, rows),
        *titled_list("Word vectors at the start of training:", vectors),
    ]


def vectors(comparison: Comparison) -> list[Block]:
    """Return the network with word vectors, compared with the same network without them."""
    blocks = recipe(comparison)
    if both := comparison_of("best_scratch", "best_vectors"):
        for question in questions_of("best_vectors", both):
            blocks += answers(both, question, _with_or_without)
        blocks.append(
            Paragraph(
                "The share of words that training replaces by the unknown word "
                "(`data.augment.replace`) was selected by validation accuracy: 0.15 with vectors "
                "and 0.3 without. The networks without vectors and with 0.15 were trained for this "
                "comparison only."
            )
        )
    return blocks


def _with_or_without(variant: Variant) -> str:
    return vectors_of(variant) or "random vectors"


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
            "the only one. The comparison is corrected for all networks of the experiment. The "
            "n-gram baseline is logistic regression on TF-IDF features or NB-SVM (Wang and Manning "
            "2012), trained on words, bigrams and trigrams of the same reviews: the one with the "
            "lower validation loss. For networks that were trained on all "
            "labels, without a validation set, it is the kind that was better in most other "
            "experiments. The baselines of an experiment are trained by `lstm-sentiment baseline "
            "experiment=NAME`, with the further arguments of its networks if there are any."
        ),
        Table(columns, rows),
    ]
