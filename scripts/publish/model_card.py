"""record -> docs/model_card.md: the best small network, its use, its accuracy and its limits.

The sections follow Mitchell et al. 2019. All numbers are from the first of EXPERIMENTS that was
trained.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lstm_sentiment.model.metrics import calibration_error
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import mean_percent
from lstm_sentiment.report.model_card import (
    FILES_NOTE,
    NO_JUDGEMENT,
    OTHER_TEXTS_NOTE,
    TRUNCATION_NOTE,
    network_sentence,
    reading_sentence,
)
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Table
from lstm_sentiment.report.variant_sections import class_table
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.predictions import Predictions
from lstm_sentiment.runs.record import restored
from scripts.publish.trained import baseline_of, comparison_of
from scripts.publish.wording import interval, judgement, loss, parameters, score

EXPERIMENTS = ("best_vectors", "best_scratch")  # networks of one size, the more accurate first
FIFTHS = 5
USE = (
    "Classify an English film review of a few sentences as positive or negative.",
    "Serve as a reference for other recurrent networks.",
    f"Not for other languages. {OTHER_TEXTS_NOTE}",
    NO_JUDGEMENT,
)
LIMITS = (
    "The reviews were written before 2011, at most 30 of them about the same film. None is "
    "neutral: reviews with 5 or 6 of 10 points are not in the data set. The probability for a "
    "lukewarm review means little.",
    "A majority of raters rejects at least 2.9 % of the test labels (Northcutt et al. 2021), so "
    "some of the mistakes are mistakes of the labels.",
    TRUNCATION_NOTE,
    "The training reviews name films and people together with an opinion. Accuracy is lower on "
    "films that are not in the training set ([accuracy.md](accuracy.md)).",
)


def model_card() -> list[Block]:
    """Return the blocks of the page."""
    title = Heading("Model card: the best small network", 1)
    for experiment in EXPERIMENTS:
        if (comparison := comparison_of(experiment)) is not None:
            [model, *_] = comparison.tested_networks
            return [
                title,
                *_description(experiment, model),
                *_list("Intended use", USE),
                *_evaluation(comparison, model),
                *_list("Limits", LIMITS),
            ]
    return [title, Paragraph(f"Not trained yet: `experiment={EXPERIMENTS[0]}`.")]


def _list(title: str, items: Sequence[str]) -> list[Block]:
    return [Heading(title), Listing(items)]


def _description(experiment: str, model: Variant) -> list[Block]:
    record = model.records[0]
    config, data, cost = record["config"], record["data"], record["cost"]
    minutes = model.costs("fit_seconds").mean() / 60
    return [
        Paragraph(
            f"{network_sentence(restored(config), data['vocabulary'], cost['parameters'])} It "
            "predicts the probability that an English film review is positive."
        ),
        Heading("Training"),
        Paragraph(
            f"`python train.py experiment={experiment} seed={config['seed']}` downloads IMDB and "
            f"writes the model to `runs/{experiment}/{record['name']}/model/`, after "
            f"{minutes:.0f} minutes of training with "
            f"`trainer.threads={record['environment']['threads']}`. With that setting, the same "
            f"machine trains exactly the same model. The folder contains {FILES_NOTE}."
        ),
        Heading("Training data"),
        Paragraph(_training_data(model)),
    ]


def _training_data(model: Variant) -> str:
    record = model.records[0]
    data, vectors = record["data"], record["vectors"]
    embedding = f" The embeddings start from {vectors['source']}." if vectors else ""
    return (
        f"{data['train']:,} labelled reviews of the Large Movie Review Dataset (Maas et al. 2011), "
        f"half of them positive, with a vocabulary of their {data['vocabulary']:,} most frequent "
        f"words. {reading_sentence(record)}{embedding} The settings and the number of epochs are "
        "those of the run with the highest accuracy on a fifth of these reviews, trained on the "
        "other four fifths (`results/search/`). The model was then trained on all reviews."
    )


def _evaluation(comparison: Comparison, model: Variant) -> list[Block]:
    predictions = comparison.predictions[model.name]
    first, seeds = next(iter(predictions)), ", ".join(map(str, predictions))
    errors = [calibration_error(run.label, run.probability) for run in predictions.values()]
    rows = [
        ["accuracy %", score(model)],
        ["95 % interval", interval(comparison, model)],
        *([f"{name} %", mean_percent(model.scores("test", name))] for name in ("f1", "auroc")),
        ["loss", loss(model)],
        ["calibration error", f"{np.mean(errors):.3f}"],
    ]
    return [
        Heading("Evaluation"),
        Paragraph(f"Scores on the 25,000 test reviews, mean over seeds {seeds}:"),
        Table(["test", ""], rows),
        *_compared_with_baseline(comparison, model),
        Paragraph(f"Scores by class, seed {first}:"),
        class_table(predictions[first]),
        Paragraph("Accuracy by length, for each fifth of the reviews, mean over seeds:"),
        _by_length(list(predictions.values())),
    ]


def _compared_with_baseline(comparison: Comparison, model: Variant) -> list[Block]:
    baseline = baseline_of(comparison)
    verdict = comparison.against(baseline).get(model.name)
    if baseline is None or verdict is None:
        return []
    return [
        Paragraph(
            f"Compared with the n-gram baseline {baseline.name}, which uses the words, bigrams "
            f"and trigrams of a review without their order ({score(baseline)} %, "
            f"{parameters(baseline)} parameters): {judgement(verdict)}"
        )
    ]


def _by_length(predictions: list[Predictions]) -> Table:
    """Return the accuracy for each fifth of the reviews by their length, the shortest first."""
    lengths, correct = predictions[0].tokens, np.mean([run.correct for run in predictions], 0)
    assert lengths is not None
    order = np.argsort(lengths, kind="stable")
    bounds = np.linspace(0, len(order), FIFTHS + 1).astype(int)
    rows = []
    for low, high in pairwise(bounds):
        fifth = order[low:high]
        shortest, longest = lengths[fifth[0]], lengths[fifth[-1]]
        rows.append([f"{shortest} to {longest}", f"{100 * correct[fifth].mean():.2f}"])
    return Table(["tokens", "accuracy %"], rows)
