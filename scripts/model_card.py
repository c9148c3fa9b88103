"""record -> model card: what the best small model is, what it is good for, and where it fails.

After Mitchell et al. 2019. Every number is of the records of the first of EXPERIMENTS that was
trained.
"""

from itertools import pairwise

import answers
import numpy as np

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.configurations import Answers, Configuration
from lstm_sentiment.report.document import Block, Heading, Listing, Paragraph, Table
from lstm_sentiment.report.ranking import percent
from lstm_sentiment.report.report import calibration_error, class_table

EXPERIMENTS = ("best_vectors", "best_scratch")  # of one size, the better on validation first
FIFTHS = 5


def card() -> list[Block]:
    blocks: list[Block] = [Heading("Model card: the best small network", 1)]
    for experiment in EXPERIMENTS:
        if (compared := answers.trained(experiment)) is not None:
            [model, *_] = answers.networks(compared)
            about = [*_details(experiment, model), *_use(), *_measured(compared, model)]
            return [*blocks, *about, *_limits()]
    return [*blocks, Paragraph(f"Not trained yet: `experiment={EXPERIMENTS[0]}`.")]


def _details(experiment: str, model: Configuration) -> list[Block]:
    record = model.records[0]
    config, data, cost = record["config"], record["data"], record["cost"]
    size = 4 * cost["parameters"] / 2**20
    vectors = record["vectors"]
    learned = f" Its words' vectors began as {vectors['source']}." if vectors else ""
    return [
        Paragraph(
            f"A {model.network} with {config['encoder']['hidden_size']} units and the head "
            f"`{config['head']['kind']}`, over {config['embedding']['dim']} numbers for each of "
            f"{data['vocabulary']:,} words: {cost['parameters']:,} parameters, {size:.0f} MiB. It "
            "says how probable it is that an English film review is positive."
        ),
        Heading("Train it yourself"),
        Paragraph(
            f"`python train.py experiment={experiment} seed={config['seed']}` fetches IMDB and "
            f"leaves the model in `runs/{experiment}/{record['name']}/model/`, after "
            f"{model.costs('fit_seconds').mean() / 60:.0f} minutes of training with "
            f"`trainer.threads={record['environment']['threads']}`, with which, on the same "
            "machine, it is this very model, number by number. The folder holds weights "
            "(safetensors), configuration and words, and no code."
        ),
        Heading("What it learned from"),
        Paragraph(
            f"{data['train']:,} labelled reviews of the Large Movie Review Dataset (Maas et al. "
            f"2011), half of them positive, by their {data['vocabulary']:,} most frequent words; "
            f"{100 * data['unknown_share']:.1f} % of the text is unknown to it, and "
            f"{100 * data['truncated_share']:.1f} % of the reviews are longer than the "
            f"{config['data']['max_length']:,} tokens that are read.{learned} Recipe and "
            "length of the training are those of the run that was best on a fifth of these "
            "reviews, trained on the other four (`results/search/`); then all were trained on."
        ),
    ]


def _use() -> list[Block]:
    return [
        Heading("What it is for"),
        Listing(
            [
                "Whether an English film review of some sentences likes the film.",
                "A reference that other recurrent networks are held against.",
                "Not for other languages; for other kinds of text only after measuring there.",
                "Not for judging people by what they write.",
            ]
        ),
    ]


def _measured(compared: Comparison, model: Configuration) -> list[Block]:
    given = compared.answers[model.name]
    first, seeds = next(iter(given)), ", ".join(map(str, given))
    calibration = np.mean([calibration_error(each) for each in given.values()])
    rows = [
        ["accuracy %", answers.score(model)],
        ["95 % interval", answers.interval(compared, model)],
        *([f"{name} %", percent(model.scores("test", name))] for name in ("f1", "auroc")),
        ["loss", f"{model.scores('test', 'loss').mean():.3f}"],
        ["calibration error", f"{calibration:.3f}"],
    ]
    return [
        Heading("What it reaches"),
        Paragraph(f"On the 25,000 test reviews, mean over seeds {seeds}:"),
        Table(["test", ""], rows),
        *_beside_counting(compared, model),
        Paragraph(f"By class, seed {first}:"),
        class_table(given[first]),
        Paragraph("By length, the shortest fifth of the reviews first, mean over seeds:"),
        _by_length(list(given.values())),
    ]


def _beside_counting(compared: Comparison, model: Configuration) -> list[Block]:
    bar = answers.counting(compared)
    if bar is None or model.name not in compared.against(bar):
        return []
    size = f"{bar.costs('parameters').mean():,.0f}"
    return [
        Paragraph(
            f"Beside {bar.name}, which counts words and bigrams and reads nothing in order "
            f"({answers.score(bar)} %, {size} parameters): {answers.beside(compared, model, bar)}."
        )
    ]


def _by_length(given: list[Answers]) -> Table:
    lengths, right = given[0].tokens, np.mean([each.right for each in given], 0)
    assert lengths is not None
    order = np.argsort(lengths, kind="stable")
    bounds = np.linspace(0, len(order), FIFTHS + 1).astype(int)
    rows = []
    for low, high in pairwise(bounds):
        fifth = order[low:high]
        shortest, longest = lengths[fifth[0]], lengths[fifth[-1]]
        rows.append([f"{shortest} to {longest}", f"{100 * right[fifth].mean():.2f}"])
    return Table(["tokens", "accuracy %"], rows)


def _limits() -> list[Block]:
    return [
        Heading("Where it fails"),
        Listing(
            [
                "The reviews are of IMDB before 2011, at most 30 of each film, and none is "
                "neutral: those with 5 or 6 of 10 points were left out. On a lukewarm review its "
                "probability means little.",
                "At least 2.9 % of the test labels are rejected by a majority of raters "
                "(Northcutt et al. 2021), so part of its mistakes are none.",
                "What is said in a review behind the tokens that it reads is lost.",
                "It has seen names of films and people beside verdicts, and does worse on films "
                "that it has not read of ([accuracy.md](accuracy.md)).",
            ]
        ),
    ]
