"""comparison -> report: what was asked, what the answer is and how sure, for people to read."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from sklearn.metrics import classification_report
from torchmetrics.functional.classification import binary_calibration_error

from lstm_sentiment.report import plots
from lstm_sentiment.report.comparison import Comparison, natural_order, published
from lstm_sentiment.report.configurations import Answers, Configuration, groups
from lstm_sentiment.report.document import (
    Block,
    Details,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Table,
)
from lstm_sentiment.report.ranking import NOTHING, percent, spread, without_record
from lstm_sentiment.report.runs import RunSummary
from lstm_sentiment.report.statistics import Effect, Verdict
from lstm_sentiment.training.figures import CLASSES

NETWORK = ("encoder.cell", "encoder.num_layers", "encoder.bidirectional")

CURVES = 8  # in one picture
MATRICES = 12
MODELS = 72  # as many as the grid has; a page with pictures of more is slow to open
MISTAKES = 10  # of each model
BINS = 15  # of the calibration error

NOTE = (
    "Ranked by accuracy on validation; every other score is of test, in per cent but for loss and "
    f"calibration error (expected, {BINS} bins). ± is the standard deviation over seeds. The "
    "interval is of accuracy on test, over seeds and reviews; that of a configuration with one "
    "seed carries the noise of reviews only. How much seeds matter is told from all configurations "
    "together, so an interval may be wider than its ± suggests."
)
TESTS = (
    "Points of accuracy on the same test reviews. The interval and p are of a bootstrap over seeds "
    "and reviews; McNemar's exact test compares two trained networks, seed by seed, and says "
    "nothing of other seeds. Both p are corrected for the number of configurations (Holm); the "
    "intervals are not."
)
ONE_SEED = (
    "Some networks have one seed. A verdict on them is on these trained networks only: another "
    "seed may turn it."
)
EFFECTS = "The intervals hold for all of these at once."
EFFECTS_OF_ONE_SEED = (
    "Since some networks have one seed, what seeds do to them is told from how far the sum of the "
    "contributions misses."
)


def report(runs: Sequence[RunSummary]) -> tuple[list[Block], list[Comparison]]:
    """The report, and the comparisons that it tells of: one for each set of reviews."""
    comparisons = [Comparison(group) for group in groups(runs)]
    blocks: list[Block] = [Heading("Comparison", 1)]
    if len(comparisons) > 1:
        blocks.append(
            Paragraph(
                f"These runs are on {len(comparisons)} different sets of reviews. Only runs on the "
                "same can be compared, so each set stands by itself:"
            )
        )
        blocks.append(Listing([_said_of_data(comparison) for comparison in comparisons]))
    with mpl.rc_context({"text.parse_math": False}):  # a dollar in a name is no formula
        for number, comparison in enumerate(comparisons, 1):
            blocks += _section(comparison, f"{number}_" if len(comparisons) > 1 else "")
    if trouble := without_record(runs):
        listed = Listing([f"{name}: {why}" for name, why in trouble])
        blocks += [Heading("Not in the comparison"), listed]
    return blocks, comparisons


def _said_of_data(comparison: Comparison) -> str:
    count = len(comparison.configurations)
    return f"{comparison.title} ({count} configuration{'s' * (count > 1)})"


def _section(comparison: Comparison, prefix: str) -> list[Block]:
    """`prefix` keeps the names of its pictures apart from those of other sections."""
    blocks: list[Block] = [Heading(comparison.title), *_answer(comparison), _ranking(comparison)]
    blocks += [Paragraph(NOTE), *_published(comparison), *_verdicts(comparison)]
    blocks += [*effects(comparison, prefix), *_pictures(comparison, prefix)]
    if comparison.remarks:
        blocks += [Heading("To be kept in mind", 3), Listing(comparison.remarks)]
    blocks.append(Heading("Model by model", 3))
    if len(comparison.configurations) > MODELS:
        blocks.append(Paragraph(f"The {MODELS} best; comparison.csv has the others."))
    for number, configuration in enumerate(comparison.configurations[:MODELS], 1):
        answers = comparison.answers[configuration.name]
        name = f"{prefix}model_{number}"
        blocks.append(Details(configuration.name, _model(configuration, answers, name)))
    return blocks


def _answer(comparison: Comparison) -> list[Block]:
    """Who is best, and how sure that is, in sentences."""
    best = comparison.best
    if best is None:
        nobody = Paragraph("No run was validated, so none is called the best.")
        return [nobody, *_beside_the_baseline(comparison)]
    said = (
        f"**{best.name}** is best on validation ({_share(best.val)} %).{_tested(comparison, best)}"
    )
    if verdicts := comparison.against(best):
        said += f" {_beside_the_rest(verdicts)}"
    network = comparison.best_network
    if network not in (best, None):
        said += f" The best network on validation is **{network.name}** ({_share(network.val)} %)."
        said += _tested(comparison, network)
    blocks: list[Block] = [Paragraph(said), *_beside_the_baseline(comparison)]
    if comparison.has_single_seeds and len(comparison.configurations) > 1:
        blocks.append(Paragraph(ONE_SEED))
    return blocks


def _tested(comparison: Comparison, c: Configuration) -> str:
    scores, reach = c.scores("test", "accuracy"), within(comparison, c)
    if not len(scores):
        return ""
    return f" On test it gets {spread(scores)} %{f', 95 % interval {reach}' if reach else ''}."


def _beside_the_rest(verdicts: dict[str, Verdict]) -> str:
    parts = []
    for verdict, wording in (
        ("worse", "worse than it"),
        ("cannot be told apart", "not to be told apart from it"),
        ("better", "better than it"),
    ):
        names = [name for name, found in verdicts.items() if found.verdict == verdict]
        if names:
            shown = _listed(names) if len(names) <= 4 else f"{len(names)} configurations"
            parts.append(f"{shown} {'is' if len(names) == 1 else 'are'} {wording}")
    return f"On the same test reviews {_listed(parts)}."


def _beside_the_baseline(comparison: Comparison) -> list[Block]:
    baseline = comparison.baseline
    if baseline is None:
        return [
            Paragraph(
                "No baseline without recurrence is beside these runs: `lstm-sentiment baseline` "
                "makes one, from the words of the training command."
            )
        ]
    verdicts = comparison.against(baseline)
    found = [verdicts[c.name].verdict for c in comparison.networks if c.name in verdicts]
    if not found:
        return []
    counted = [
        f"{(count := found.count(verdict))} {'is' if count == 1 else 'are'} {wording}"
        for verdict, wording in (
            ("better", "better"),
            ("worse", "worse"),
            ("cannot be told apart", "not to be told apart"),
        )
        if verdict in found
    ]
    said = (
        f"Beside **{baseline.name}**, which counts words and bigrams and reads nothing in order "
        f"({percent(baseline.scores('test', 'accuracy'))} % on test), "
        f"of {len(found)} network{'s' * (len(found) > 1)} {_listed(counted)}."
    )
    return [Paragraph(said)]


def _ranking(comparison: Comparison) -> Table:
    columns = ["", "seeds", "val %", "test %", "95 % interval", "precision", "recall", "F1"]
    columns += ["AUROC", "loss", "calibration error", "parameters", "training s", "tokens/s", "MiB"]
    rows = [_ranked(c, comparison) for c in comparison.configurations]
    return Table(columns, rows)


def _ranked(c: Configuration, comparison: Comparison) -> list[str]:
    calibration = [calibration_error(a) for a in comparison.answers[c.name].values()]
    return [
        f"**{c.name}**" if c is comparison.best else c.name,
        str(len(c.runs)),
        spread(c.scores("val", "accuracy")),
        spread(c.scores("test", "accuracy")),
        within(comparison, c) or NOTHING,
        *(percent(c.scores("test", score)) for score in ("precision", "recall", "f1", "auroc")),
        _mean(c.scores("test", "loss"), "{:.3f}".format),
        _mean(np.array(calibration), "{:.3f}".format),
        _mean(c.costs("parameters"), "{:,.0f}".format),
        _mean(c.costs("fit_seconds"), "{:,.1f}".format),
        _mean(c.costs("tokens_per_second"), "{:,.0f}".format),
        _mean(c.costs("peak_memory_mib"), "{:,.0f}".format),
    ]


def _published(comparison: Comparison) -> list[Block]:
    rows = [
        [
            row.name or row.run,
            f"{row.source}: {row.run}",
            row.score,
            *_beside(row.theirs, row.ours, row.score),
        ]
        for row in published(comparison.configurations)
    ]
    if not rows:
        return []
    columns = ["", "published by", "on test", "published", "ours", "difference"]
    return [Heading("Beside what was published", 3), Table(columns, rows)]


def _beside(theirs: float, ours: float | None, score: str) -> list[str]:
    form = "{:.4f}".format if score == "loss" else _share
    if ours is None:
        return [form(theirs), "not trained", NOTHING]
    difference = ours - theirs
    signed = f"{difference:+.4f}" if score == "loss" else f"{100 * difference:+.2f}"
    return [form(theirs), form(ours), signed]


def _verdicts(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = []
    for other in (comparison.best_network, comparison.baseline):
        verdicts = comparison.against(other)
        if other is None or not verdicts:
            continue
        kind = "baseline" if other.is_baseline else "network"
        title = f"Beside {other.name}, the best {kind} on validation"
        columns = ["", "points", "95 % interval", "p", "p of McNemar, by seed", "verdict"]
        rows = [_judged(name, verdict) for name, verdict in verdicts.items()]
        blocks += [Heading(title, 3), Table(columns, rows), Paragraph(TESTS)]
    return blocks


def _judged(name: str, verdict: Verdict) -> list[str]:
    low, high = verdict.interval
    return [
        name,
        f"{100 * verdict.difference:+.2f}",
        f"{100 * low:+.2f} to {100 * high:+.2f}",
        _p(verdict.p),
        ", ".join(_p(p) for p in verdict.mcnemar.values()) or NOTHING,
        verdict.verdict,
    ]


def effects(comparison: Comparison, prefix: str) -> list[Block]:
    """What each choice contributes; nothing where that cannot be told."""
    main, pairs = comparison.effects()
    if not main:
        return []
    names = [_what(effect) for effect in main]
    picture = plots.contributions(names, [e.size for e in main], [e.interval for e in main])
    blocks: list[Block] = [
        Heading("What each choice contributes, on average over the others", 3),
        Listing([_sentence(effect) for effect in main]),
        Paragraph(f"{EFFECTS} {EFFECTS_OF_ONE_SEED}" if comparison.has_single_seeds else EFFECTS),
        Picture(f"{prefix}effects", "What each choice adds to the average accuracy.", picture),
    ]
    if pairs:
        blocks.append(Paragraph("The strongest interactions, beyond what each contributes:"))
        blocks.append(Listing([_sentence(effect) for effect in pairs[:2]]))
    return blocks


def _what(effect: Effect) -> str:
    return " and ".join(effect.choice.values())


def _sentence(effect: Effect) -> str:
    size, low, high = (f"{100 * value:+.2f}" for value in (effect.size, *effect.interval))
    than = "the average of all" if len(effect.choice) == 1 else "the two by themselves add up to"
    amount = f"{size[1:]} points {'less' if effect.size < 0 else 'more'} than {than}"
    doubt = "" if effect.certain else ", which may be chance"
    return f"With {_what(effect)} a network gets {amount} ({low} to {high}){doubt}."


def _pictures(comparison: Comparison, prefix: str) -> list[Block]:
    tested = comparison.tested
    blocks: list[Block] = []

    def add(name: str, title: str, figure: Any) -> None:
        if figure is not None:
            blocks.append(Picture(prefix + name, title, figure))

    if tested:
        names = [c.name for c in tested]
        means = [float(c.scores("test", "accuracy").mean()) for c in tested]
        baselines = {c.name for c in tested if c.is_baseline}
        seconds = [float(c.costs("fit_seconds").mean()) for c in tested]
        ranges = [comparison.intervals[name] for name in names]
        shown = _shown(comparison)
        first = {name: next(iter(answers.values())) for name, answers in shown.items()}
        every = {name: [*answers.values()] for name, answers in shown.items()}
        which = "all" if len(shown) == len(tested) else _which(comparison, [*shown])
        add(
            "accuracy",
            "Accuracy on test, the best on validation first.",
            plots.accuracy_bars(names, means, ranges, baselines),
        )
        add(
            "time",
            "Accuracy against training time: no network is both faster and better than the front.",
            plots.accuracy_against_time(names, seconds, means, baselines),
        )
        add("heat_map", "Accuracy on test by encoder and head.", _heat_map(comparison))
        add(
            "curves",
            f"ROC, and precision against recall, with the area under each ({which}, first seed).",
            plots.curves(first),
        )
        add(
            "reliability",
            f"What a stated probability is worth ({which}, first seed).",
            plots.reliability(first),
        )
        add("length", f"Accuracy by the length of a review ({which}).", plots.by_length(every))
        add(
            "confusion",
            f"Answers on test, means over seeds (the {min(MATRICES, len(tested))} best on "
            "validation).",
            plots.confusion_matrices({c.name: _confusion(c) for c in tested[:MATRICES]}),
        )
    add(
        "gap",
        "Accuracy on train and on validation in the epoch that was kept.",
        plots.gaps(comparison.configurations),
    )
    return [Heading("Pictures", 3), *blocks]


def _shown(comparison: Comparison) -> dict[str, dict[int, Answers]]:
    """Answers of as many as can be told apart in one picture; the best baseline is among them."""
    chosen = comparison.tested[:CURVES]
    baseline = comparison.baseline
    if baseline in comparison.tested and baseline not in chosen:
        chosen = [*chosen[:-1], baseline]
    return {c.name: comparison.answers[c.name] for c in chosen}


def _which(comparison: Comparison, shown: Sequence[str]) -> str:
    best = [c.name for c in comparison.tested[: len(shown)]]
    if best == shown:
        return f"the {len(shown)} best on validation"
    return f"the {len(shown) - 1} best on validation and the best baseline"


def _heat_map(comparison: Comparison) -> Any:
    cells: dict[tuple[str, str], list[float]] = {}
    networks = [c for c in comparison.tested if not c.is_baseline]
    for c in networks:
        accuracy = float(c.scores("test", "accuracy").mean())
        cells.setdefault((c.network, str(c.settings["head.kind"])), []).append(accuracy)
    parts = {c.network: [natural_order(c.settings[name]) for name in NETWORK] for c in networks}
    rows = sorted(parts, key=lambda network: parts[network])
    columns = sorted({head for _, head in cells}, key=natural_order)
    if len(rows) < 2 or len(columns) < 2:
        return None
    values = [[np.mean(cells.get((row, column), np.nan)) for column in columns] for row in rows]
    return plots.heat_map(rows, columns, np.array(values))


def _confusion(c: Configuration) -> np.ndarray:
    """(2, 2), the mean over seeds"""
    matrices = [record["test"]["confusion_matrix"] for record in c.records if record["test"]]
    return np.mean(matrices, 0)


def _model(c: Configuration, answers: dict[int, Answers], name: str) -> list[Block]:
    blocks: list[Block] = []
    if not c.is_baseline:
        title = f"{c.name}: loss and scores by epoch, a line for each seed."
        blocks.append(Picture(f"{name}_curves", title, plots.learning_curves(c)))
    if len(c.scores("test", "accuracy")):
        title = f"{c.name}: answers on test, mean over seeds."
        picture = plots.confusion_matrices({c.name: _confusion(c)})
        blocks.append(Picture(f"{name}_confusion", title, picture))
    for seed, given in list(answers.items())[:1]:
        blocks += [
            Paragraph(f"By class, on test, seed {seed}:"),
            class_table(given),
            Paragraph(_worst(given)),
        ]
    return blocks


def class_table(answers: Answers) -> Table:
    """Precision, recall and F1 of each class."""
    found = classification_report(
        answers.label,
        answers.positive,
        labels=[False, True],
        target_names=CLASSES,
        output_dict=True,
        zero_division=0,
    )
    rows = [
        [
            name,
            *(_share(found[name][score]) for score in ("precision", "recall", "f1-score")),
            f"{found[name]['support']:,.0f}",
        ]
        for name in CLASSES
    ]
    return Table(["class", "precision", "recall", "F1", "reviews"], rows)


def _worst(answers: Answers) -> str:
    wrong = np.flatnonzero(~answers.right)
    if not len(wrong):
        return "It makes no mistake."
    error = np.abs(answers.probability[wrong] - answers.label[wrong])
    worst = wrong[np.argsort(-error, kind="stable")][:MISTAKES]
    listed = ", ".join(
        f"{answers.row[k]} ({CLASSES[int(answers.label[k])]}, said {answers.probability[k]:.4f})"
        for k in worst
    )
    return f"Its most certain mistakes, by row of the test file: {listed}."


def calibration_error(answers: Answers) -> float:
    """Expected: how far the share of positives lies from the probability said, on average over bins
    of that probability (Naeini et al. 2015).
    """
    return float(
        binary_calibration_error(
            torch.from_numpy(answers.probability),
            torch.from_numpy(answers.label.astype(int)),
            n_bins=BINS,
        )
    )


def within(comparison: Comparison, configuration: Configuration) -> str:
    """The 95 % interval of its accuracy on test; "" where nothing is known of it."""
    found = comparison.intervals.get(configuration.name)
    return f"{_share(found.low)} to {_share(found.high)}" if found else ""


def _share(share: float) -> str:
    return f"{100 * share:.2f}"


def _mean(values: np.ndarray, form: Callable[[float], str]) -> str:
    return form(float(values.mean())) if len(values) else NOTHING


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
