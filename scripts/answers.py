"""records -> answers: what the reference systems claimed, what is found here, and how sure that is.

Every number and every verdict is computed from the records below results/; what was not trained
yet is said to be missing. scripts/publish.py makes docs/results.md of it.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lstm_sentiment.config import Padding
from lstm_sentiment.report import plots
from lstm_sentiment.report.comparison import Comparison, natural_order, published
from lstm_sentiment.report.configurations import Configuration, groups
from lstm_sentiment.report.document import Block, Heading, Listing, Paragraph, Picture, Table
from lstm_sentiment.report.ranking import NOTHING, spread
from lstm_sentiment.report.report import effects, within
from lstm_sentiment.report.runs import read_runs
from lstm_sentiment.report.statistics import Verdict

RESULTS = Path(__file__).parent.parent / "results"

HEADS = ("last", "flatten", "max", "avg")
PADDINGS = {
    Padding.exact: "masked",
    Padding.keras: "in front, read as text",
    Padding.trailing: "behind, read as text",
}
DEPTHS = ("lstm", "stacked_lstm", "deep_lstm")
ARCHITECTURES = ("rnn", *DEPTHS, "bilstm")
CHANCE = 0.6  # accuracies up to this are taken for it
FAR = 100  # words before the end of a review
EXPERIMENTS = (
    "pooling",
    "architectures",
    "keras_lstm",
    "lstm_vs_gru",
    "glove_bilstm",
    "grid",
    "best_scratch",
    "best_vectors",
)


@cache
def trained(*experiments: str) -> Comparison | None:
    """What was trained for them on the same reviews; None where no network was."""
    folders = [RESULTS / experiment for experiment in experiments]
    runs = [run for folder in folders if folder.is_dir() for run in read_runs(folder)]
    found = groups(runs)
    compared = Comparison(found[0]) if found else None
    return compared if compared and compared.tested and compared.networks else None


def answers() -> list[Block]:
    """All questions, in the order in which they are asked."""
    blocks: list[Block] = [
        Heading("Results: what was claimed, what is found, how sure that is", 1),
        Paragraph(INTRODUCTION),
    ]
    questions: dict[str, tuple[str, Callable[[Comparison], list[Block]]]] = {
        "What does pooling add to an LSTM's last state?": ("pooling", pooling),
        "Where did the published 77 % come from?": ("pooling", padding),
        "LSTM or GRU?": ("lstm_vs_gru", cells),
        "Which architecture is best for its size?": ("architectures", architectures),
        "Why does the simple RNN do as it does?": ("architectures", memory),
        "What does the Keras recipe reach?": ("keras_lstm", recipe),
        "How far do word vectors carry a BiLSTM on few labels?": ("glove_bilstm", recipe),
        "What do cell, direction, depth and head contribute?": ("grid", contributions),
        "How good does a recurrent network get on the labels alone?": ("best_scratch", recipe),
        "How much do word vectors of the reviews add?": ("best_vectors", vectors),
    }
    remarked = set()  # two questions may be answered by one experiment
    for question, (experiment, answer) in questions.items():
        blocks.append(Heading(question))
        compared = trained(experiment)
        if compared is None:
            blocks.append(Paragraph(f"Not trained yet: `experiment={experiment}`."))
        else:
            blocks += answer(compared)
            blocks += [] if experiment in remarked else _remarks(compared)
            remarked.add(experiment)
    return [*blocks, Heading("How far ahead or behind is counting words?"), *beside_counting()]


INTRODUCTION = (
    "Test accuracy on the 25,000 test reviews of IMDB, in per cent. ± is the standard deviation "
    "over seeds; an interval (95 %) carries the luck of seeds and of test reviews, but of reviews "
    "only where there is one seed. p is corrected for the number of configurations, the intervals "
    "of differences are not ([how](statistics.md)). Epochs were chosen on validation, no recipe by "
    "test accuracy. What was published is of another program and recipe, trained once: a figure "
    "beside ours is a bar, not a measurement of one difference. [results/](../results) has the "
    "records, the predictions and reports with all pictures; what was tried on validation is told "
    "in [accuracy.md](accuracy.md)."
)


def _remarks(compared: Comparison) -> list[Block]:
    """What keeps runs from being compared."""
    return [Listing(compared.remarks)] if compared.remarks else []


def pooling(compared: Comparison) -> list[Block]:
    found = _heads_by_padding(compared)
    rows = [
        [
            head,
            *map(score, row),
            _share(published_accuracy(compared, next(filter(None, row), None))),
        ]
        for head, row in zip(HEADS, found, strict=True)
    ]
    columns = ["head", *(f"padding {what}" for what in PADDINGS.values()), "published"]
    last, *pooled = found
    said = [
        _beside(compared, f"{head}, padding {padding}", c, beside)
        for padding, beside, *column in zip(PADDINGS.values(), last, *pooled, strict=True)
        for head, c in zip(HEADS[1:], column, strict=True)
        if c and beside
    ]
    return [Table(columns, rows), *_listed("Beside the last state, padded alike:", said)]


def _listed(title: str, said: list[str]) -> list[Block]:
    return [Paragraph(title), Listing(said)] if said else []


def padding(compared: Comparison) -> list[Block]:
    found = {p: c for p in PADDINGS if (c := _find(compared, head="last", padding=p))}
    exact = found.get(Padding.exact)
    blocks: list[Block] = [
        Listing(
            [
                f"Last state, padding {PADDINGS[p]}: {score(c)} %, seeds "
                f"{', '.join(f'{100 * s:.1f}' for s in c.scores('test', 'accuracy'))}."
                for p, c in found.items()
            ]
        )
    ]
    if exact is not None:
        said = [
            _beside(compared, f"padding {PADDINGS[p]}", c, exact)
            for p, c in found.items()
            if c is not exact
        ]
        blocks += _listed("Beside masked padding:", said)
    return [
        *blocks,
        *_nearest_to_published(compared, found),
        *_epoch_by_epoch(compared),
        *_given_time(),
    ]


def _nearest_to_published(
    compared: Comparison, found: Mapping[Padding, Configuration]
) -> list[Block]:
    """Which way of padding comes nearest to the published figure."""
    figures = [published_accuracy(compared, c) for c in found.values()]
    theirs = next((figure for figure in figures if figure is not None), None)
    if theirs is None or found.keys() != PADDINGS.keys():
        return []
    away = {p: 100 * (c.scores("test", "accuracy").mean() - theirs) for p, c in found.items()}
    nearest = min(away, key=lambda p: abs(away[p]))
    low, high = compared.intervals[found[nearest].name]
    inside = "within" if low <= theirs <= high else "outside"
    return [
        Paragraph(
            f"Published: {_share(theirs)} %, without a word on padding. Nearest is padding "
            f"{PADDINGS[nearest]}, {away[nearest]:+.2f} points from it; the published figure lies "
            f"{inside} its interval ({interval(compared, found[nearest])})."
        )
    ]


def _epoch_by_epoch(compared: Comparison) -> list[Block]:
    """How fast each head learns, where nothing but the text is read."""
    found = {head: c for head in HEADS if (c := _find(compared, head=head, padding=Padding.exact))}
    rows = {head: _by_epoch(c) for head, c in found.items()}
    if rows.keys() != set(HEADS):
        return []
    epochs = min(map(len, rows.values()))
    theirs = [published_accuracy(compared, c) for c in found.values()]
    table = [
        [head, *(f"{100 * value:.1f}" for value in values[:epochs]), _share(figure)]
        for (head, values), figure in zip(rows.items(), theirs, strict=True)
    ]
    return [
        Paragraph("Validation accuracy after each epoch, mean over seeds, padding masked:"),
        Table(["head", *(f"epoch {n + 1}" for n in range(epochs)), "published test"], table),
        *_passed_by_last(rows, theirs[0]),
    ]


def _passed_by_last(rows: Mapping[str, np.ndarray], theirs: float | None) -> list[Block]:
    """When the last state has the published accuracy, and whether the others have more by then."""
    last, *pooled = rows.values()
    if theirs is None or last.max() < theirs:
        return []
    nearest = int(np.argmin(abs(last - theirs)))
    ahead = all(values[nearest] > last[nearest] for values in pooled)
    sentence = (
        f"So {_share(theirs)} % is what a last state has on its way: it is nearest after epoch "
        f"{nearest + 1}, with {100 * last[nearest]:.1f} %, and comes to {100 * last.max():.1f} %. "
    )
    return [Paragraph(sentence + "Every other head is ahead of it by then." * ahead)]


def _by_epoch(configuration: Configuration) -> np.ndarray:
    """(epochs that every seed has,) the mean accuracy on validation"""
    curves = [[e["val"]["accuracy"] for e in r["epochs"]] for r in configuration.records]
    return np.mean([curve[: min(map(len, curves))] for curve in curves], 0)


def _given_time() -> list[Block]:
    """Whether a last state that stands behind its padding learns past it in more epochs."""
    compared = trained("trailing_padding")
    if compared is None:
        return [Paragraph("Not trained yet: `experiment=trailing_padding`.")]
    said = [_awakening(record) for c in compared.networks for record in c.records]
    return _listed("Padding behind, read as text, with more epochs than the five above:", said)


def _awakening(record: Mapping[str, Any]) -> str:
    """When a run has left chance, and where it has come to."""
    curve = [epoch["val"]["accuracy"] for epoch in record["epochs"]]
    left = next((n for n, value in enumerate(curve) if value > CHANCE), None)
    if left is None:
        return f"Seed {record['config']['seed']}: at chance in all {len(curve)} epochs."
    return (
        f"Seed {record['config']['seed']}: at chance for {left} epochs, then {_share(curve[left])} "
        f"% on validation after epoch {left + 1} and at best {_share(max(curve))} %; "
        f"{_share(record['test']['accuracy'])} % on test."
    )


def cells(compared: Comparison) -> list[Block]:
    rows = [
        [c.name, score(c), interval(compared, c), _loss(c), _share(published_accuracy(compared, c))]
        for c in compared.networks
    ]
    blocks: list[Block] = [Table(["", "test %", "95 % interval", "loss", "published"], rows)]
    lstm, gru = (_find(compared, network=name) for name in ("lstm", "gru"))
    if lstm and gru:
        blocks.append(Paragraph(_beside(compared, "GRU beside LSTM", gru, lstm)))
        theirs, others = published_accuracy(compared, gru), published_accuracy(compared, lstm)
        if theirs is not None and others is not None:
            apart = f"{100 * (theirs - others):+.2f} points"
            blocks.append(Paragraph(f"Published: {apart}."))
    return blocks


def architectures(compared: Comparison) -> list[Block]:
    found = {name: c for name in ARCHITECTURES if (c := _find(compared, network=name))}
    columns = ["", "parameters", "test %", "95 % interval", "val %", "F1 %", "train − val"]
    rows = [
        [
            name,
            f"{c.costs('parameters').mean():,.0f}",
            score(c),
            interval(compared, c),
            spread(c.scores("val", "accuracy")),
            spread(c.scores("test", "f1")),
            f"{100 * _gap(c):+.1f}",
            f"{c.costs('fit_seconds').mean():,.0f}",
        ]
        for name, c in found.items()
    ]
    pairs = (
        ("bilstm", "lstm"),
        ("bilstm", "stacked_lstm"),
        ("lstm", "rnn"),
        ("stacked_lstm", "lstm"),
        ("deep_lstm", "lstm"),
    )
    said = [
        _beside(compared, f"{ours} beside {other}", found[ours], found[other])
        for ours, other in pairs
        if found.keys() >= {ours, other}
    ]
    gaps = [f"{name}: {100 * _gap(found[name]):+.1f} points." for name in DEPTHS if name in found]
    return [
        Paragraph(
            "Claimed, without figures: bidirectional gives the best accuracy for its size, deeper "
            "risks overfitting, LSTM beats the simple RNN."
        ),
        Table([*columns, "training s"], rows),
        *_listed("Found:", said),
        *_listed(
            "Overfitting by depth, as accuracy on train less that on validation in the epoch kept:",
            gaps,
        ),
    ]


def memory(_: Comparison) -> list[Block]:
    """From what scripts/measure_memory.py has measured on the trained networks."""
    file = RESULTS / "memory.json"
    if not file.exists():
        return [Paragraph("Not measured yet: scripts/measure_memory.py.")]
    measured = json.loads(file.read_text())
    last, distances = measured["last"], measured["distances"]
    names = [name for name in ARCHITECTURES if name in measured["accuracy"]]
    read = {name: np.array(measured["accuracy"][name]) for name in names}
    influence = {name: np.array(measured["influence"][name]) for name in names}
    whole, near = last[-1], last.index(FAR)
    gains = [
        f"{name}: {100 * (values[-1] - values[near]):+.1f} points, where reading {FAR} instead of "
        f"{last[0]} adds {100 * (values[near] - values[0]):.1f}."
        for name, values in read.items()
    ]
    title = "How much a word moves the answer, by how far before the end of what is read it stands."
    return [
        Paragraph(
            f"Accuracy on the {measured['reviews']:,} test reviews of more than {whole} tokens "
            "where nothing but the last words of what is read reaches the network, mean over seeds:"
        ),
        Table(
            ["last words", *map(str, last)],
            [[name, *(f"{100 * value:.1f}" for value in values)] for name, values in read.items()],
        ),
        *_listed(f"What the words before the last {FAR} add:", gains),
        Paragraph(
            "The answer's gradient with respect to a word's vector (median over reviews, mean over "
            "seeds), in per cent of the last word's, by how many words stand behind it:"
        ),
        Table(
            ["words behind it", *map(str, distances[1:])],
            [
                [name, *(f"{100 * share:.1f}" for share in (values / values[0])[1:])]
                for name, values in influence.items()
            ],
        ),
        Picture("memory", title, plots.influence(distances, influence)),
    ]


def recipe(compared: Comparison) -> list[Block]:
    """Of an experiment that asks what one network reaches."""
    rows = [
        [
            c.name,
            str(len(c.runs)),
            score(c),
            interval(compared, c),
            _loss(c),
            f"{c.costs('parameters').mean():,.0f}",
            f"{c.costs('fit_seconds').mean():,.0f}",
        ]
        for c in compared.configurations
    ]
    columns = ["", "seeds", "test %", "95 % interval", "loss", "parameters", "training s"]
    return [Paragraph(f"{compared.title}."), Table(columns, rows)]


def vectors(compared: Comparison) -> list[Block]:
    """Beside the same network without them."""
    both = trained("best_scratch", "best_vectors")
    found = {c.settings["embedding.kind"]: c for c in both.networks} if both else {}
    blocks = recipe(compared)
    if both and found.keys() >= {"word2vec", "random"}:
        ours, other = found["word2vec"], found["random"]
        replaced = [c.settings["data.augment.replace"] for c in (ours, other)]
        blocks.append(
            Paragraph(
                f"{_beside(both, 'With vectors beside without', ours, other)} Each has the share "
                f"of unknown words that validation had best for it: {replaced[0]} with vectors, "
                f"{replaced[1]} without."
            )
        )
    return blocks


def contributions(compared: Comparison) -> list[Block]:
    found = effects(compared, "grid_") or [
        Paragraph("Too little of the grid is trained to tell its effects apart.")
    ]
    return [Paragraph(f"{compared.title}; {len(compared.networks)} networks."), *found]


@cache
def highlights() -> list[tuple[str, Comparison, Configuration]]:
    """What README shows: the networks of the reference systems, and the best of ours."""
    return [
        (experiment, compared, c)
        for experiment in EXPERIMENTS
        if experiment != "grid" and (compared := trained(experiment)) is not None
        for c in sorted(networks(compared), key=lambda c: natural_order(c.settings["head.kind"]))
        if experiment != "pooling" or c.settings["data.padding"] == Padding.exact
    ]


def summary() -> Table:
    """A line for each of them."""
    rows = [
        [
            f"`{experiment}`",
            _network(c),
            labels(c),
            str(len(c.runs)),
            _share(published_accuracy(compared, c)),
            score(c),
            interval(compared, c),
            score(counting(compared)),
        ]
        for experiment, compared, c in highlights()
    ]
    columns = ["`experiment=`", "network", "labels", "seeds", "published %", "test %"]
    return Table([*columns, "95 % interval", "counting %"], rows)


def overview() -> list[Picture]:
    """README's two pictures."""
    if not highlights():
        return []
    shown = {
        f"{experiment}: {_network(c)}": (compared, c) for experiment, compared, c in highlights()
    }
    bars = {
        f"{c.settings['ngrams.kind']}, {labels(c)} labels": (compared, c)
        for compared, _ in shown.values()
        if (c := counting(compared)) is not None
    }
    shown |= bars
    title = "Accuracy on test with its 95 % interval; a cross is what was published."
    drawn = plots.accuracy_bars(
        [*shown],
        [float(c.scores("test", "accuracy").mean()) for _, c in shown.values()],
        [compared.intervals[c.name] for compared, c in shown.values()],
        {*bars},
        [published_accuracy(compared, c) for compared, c in shown.values()],
    )
    return [Picture("results", title, drawn), *_pooling_by_padding()]


def _pooling_by_padding() -> list[Picture]:
    """Where more than one way of padding was trained."""
    compared = trained("pooling")
    found = _heads_by_padding(compared) if compared else []
    columns = [k for k in range(len(PADDINGS)) if any(row[k] for row in found)]
    if len(columns) < 2:
        return []
    values = [
        [
            c.scores("test", "accuracy").mean() if c else np.nan
            for c in map(row.__getitem__, columns)
        ]
        for row in found
    ]
    names = [[*PADDINGS.values()][k].replace(", ", ",\n") for k in columns]
    title = "Accuracy on test of an LSTM by what follows it, and by how padding is treated."
    return [Picture("pooling", title, plots.heat_map(HEADS, names, np.array(values)))]


def _heads_by_padding(compared: Comparison) -> list[list[Configuration | None]]:
    return [[_find(compared, head=h, padding=p) for p in PADDINGS] for h in HEADS]


def beside_counting() -> list[Block]:
    """The best network of every experiment beside words and bigrams."""
    rows = []
    for experiment in EXPERIMENTS:
        compared = trained(experiment)
        bar = counting(compared) if compared else None
        if compared is None or bar is None:
            continue
        best = compared.best_network or compared.networks[0]
        found = compared.against(bar).get(best.name)
        if found is not None:
            shown = [best.name, labels(best), score(best), score(bar), *_points(found)]
            rows.append([f"`{experiment}`", *shown])
    columns = ["", "its best network", "labels", "test %", "counting %", "difference"]
    return [
        Paragraph(
            "Of each experiment the network that is best on validation, or its only one. The bar "
            "is the better on validation of logistic regression on TF-IDF and of NB-SVM (Wang and "
            "Manning 2012), on words and bigrams of the same training reviews; where all labels "
            "are trained on, it is of the kind that was better elsewhere."
        ),
        Table([*columns, "the network is"], rows),
    ]


def counting(compared: Comparison) -> Configuration | None:
    """The baseline beside these networks: the better on validation."""
    found = {c.settings["ngrams.kind"]: c for c in compared.configurations if c.is_baseline}
    if found and all(not np.isnan(c.val) for c in found.values()):
        return compared.baseline
    return found.get(_usual_kind())


@cache
def _usual_kind() -> str | None:
    """The kind that is the better one in most experiments with validation."""
    kinds = [
        compared.baseline.settings["ngrams.kind"]
        for experiment in EXPERIMENTS
        if (compared := trained(experiment)) is not None
        if compared.baseline is not None and not np.isnan(compared.baseline.val)
    ]
    return max(kinds, key=kinds.count, default=None)


def labels(c: Configuration) -> str:
    """How many reviews it was trained on."""
    return f"{c.records[0]['data']['train']:,}"


def _find(
    compared: Comparison,
    network: str | None = None,
    head: str | None = None,
    padding: str | None = None,
) -> Configuration | None:
    """The one that fits what is given, if there is one and its answers are there."""
    fitting = [
        c
        for c in networks(compared)
        if network in (None, c.network)
        if head in (None, c.settings["head.kind"])
        if padding in (None, c.settings["data.padding"])
    ]
    if len(fitting) > 1:
        raise ValueError(f"{', '.join(c.name for c in fitting)}: only one was expected")
    return fitting[0] if fitting else None


def networks(compared: Comparison) -> list[Configuration]:
    """Those whose answers are there."""
    return [c for c in compared.tested if not c.is_baseline]


def score(c: Configuration | None) -> str:
    """Accuracy on test in per cent, with its deviation over seeds."""
    return spread(c.scores("test", "accuracy")) if c else NOTHING


def interval(compared: Comparison, c: Configuration) -> str:
    """The 95 % interval of that."""
    return within(compared, c) or NOTHING


def _loss(c: Configuration) -> str:
    return f"{c.scores('test', 'loss').mean():.3f}"


def published_accuracy(compared: Comparison, c: Configuration | None) -> float | None:
    """What others have published of such a network."""
    if c is None:
        return None
    figures = published(compared.configurations)
    return next((f.theirs for f in figures if f.name == c.name and f.score == "accuracy"), None)


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.2f}"


def _network(c: Configuration) -> str:
    return f"{c.network}, {c.settings['head.kind']}"


def _gap(c: Configuration) -> float:
    kept = [record["epochs"][record["best_epoch"] - 1] for record in c.records]
    gaps = [epoch["train"]["accuracy"] - epoch["val"]["accuracy"] for epoch in kept]
    return float(np.mean(gaps))


def beside(compared: Comparison, ours: Configuration, other: Configuration) -> str:
    """How far it is ahead or behind on the same reviews, and how sure that is."""
    difference, verdict = _points(compared.against(other)[ours.name])
    return f"{difference}: {verdict}"


def _beside(compared: Comparison, what: str, ours: Configuration, other: Configuration) -> str:
    return f"{what}: {beside(compared, ours, other)}."


def _points(verdict: Verdict) -> tuple[str, str]:
    low, high = (f"{100 * bound:+.2f}" for bound in verdict.interval)
    p = "below 0.001" if verdict.p < 0.001 else f"= {verdict.p:.3f}"
    return f"{100 * verdict.difference:+.2f} points ({low} to {high})", f"{verdict.verdict}, p {p}"
