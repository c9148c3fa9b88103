"""record -> model card: what the best small model is, what it is good for, and where it fails.

After Mitchell et al. 2019. Every number is of the records of `experiment=best_scratch`.
"""

from itertools import pairwise

import answers
import numpy as np

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.configurations import Answers, Configuration
from lstm_sentiment.report.document import Block, Heading, Listing, Paragraph, Table
from lstm_sentiment.report.ranking import percent
from lstm_sentiment.report.report import calibration_error, class_table

EXPERIMENT = "best_scratch"
FIFTHS = 5


def card() -> list[Block]:
    blocks: list[Block] = [Heading("Model card: the best small model", 1)]
    compared = answers.trained(EXPERIMENT)
    if compared is None:
        return [*blocks, Paragraph(f"Not trained yet: `experiment={EXPERIMENT}`.")]
    [model, *_] = compared.networks
    return [*blocks, *_details(model), *_use(), *_measured(compared, model), *_limits()]


def _details(model: Configuration) -> list[Block]:
    record = model.records[0]
    config, data, cost = record["config"], record["data"], record["cost"]
    encoder = config["encoder"]
    size = 4 * cost["parameters"] / 2**20
    return [
        Paragraph(
            f"A {model.network} with {encoder['hidden_size']} units in each direction and the head "
            f"`{config['head']['kind']}`, over {config['embedding']['dim']} numbers for each of "
            f"{data['vocabulary']:,} words: {cost['parameters']:,} parameters, {size:.0f} MiB. It "
            f"says how probable it is that an English film review is positive."
        ),
        Heading("Train it yourself"),
        Paragraph(
            f"`python train.py experiment={EXPERIMENT} seed=0` fetches IMDB and leaves the model "
            f"in `runs/{EXPERIMENT}/{record['name']}/model/`, in "
            f"{cost['fit_seconds'] / 60:.0f} minutes on {record['environment']['threads']} cores. "
            "On the same kind of machine, with as many threads, it is this very model, number by "
            "number. The folder holds weights (safetensors), configuration and words, and no code."
        ),
        Heading("What it learned from"),
        Paragraph(
            f"{data['train']:,} labelled reviews of the Large Movie Review Dataset (Maas et al. "
            f"2011), half of them positive, by their {data['vocabulary']:,} most frequent words; "
            f"{100 * data['unknown_share']:.1f} % of the text is unknown to it, and "
            f"{100 * data['truncated_share']:.1f} % of the reviews are longer than the "
            f"{config['data']['max_length']} tokens that are read. Recipe and number of epochs "
            "were found on a fifth of these reviews (`results/search/`), and all of them were "
            "trained on for as many epochs."
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
    first = next(iter(given.values()))
    calibration = np.mean([calibration_error(each) for each in given.values()])
    seeds = ", ".join(str(seed) for seed in given)
    rows = [
        ["accuracy %", answers.score(model)],
        ["95 % interval", answers.interval(compared, model)],
        *([f"{name} %", percent(model.scores("test", name))] for name in ("f1", "auroc")),
        ["loss", f"{model.scores('test', 'loss').mean():.3f}"],
        ["calibration error", f"{calibration:.3f}"],
    ]
    return [
        Heading("What it reaches"),
        Paragraph(f"On the 25,000 test reviews, read once, mean over seeds {seeds}:"),
        Table(["test", ""], rows),
        Paragraph("By class, seed 0:"),
        class_table(first),
        Paragraph("By length, the shortest fifth of the reviews first, mean over seeds:"),
        _by_length(list(given.values())),
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
                "The reviews are of IMDB before 2011, of at most 30 for each film, and none is "
                "neutral: those with 5 or 6 of 10 points were left out. On a lukewarm review its "
                "probability means little.",
                "At least 2.9 % of the test labels are rejected by a majority of raters, so part "
                "of its mistakes are none.",
                "What is said late in a review that is longer than it reads is lost.",
                "It has seen names of films, actors and directors beside verdicts, and will "
                "prefer some of them.",
            ]
        ),
    ]
