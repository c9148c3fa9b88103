"""comparison -> the sections with the ranking, published results and verdicts."""

from collections.abc import Sequence

import numpy as np

from lstm_sentiment.display import counted
from lstm_sentiment.model.metrics import CALIBRATION_BINS, calibration_error
from lstm_sentiment.report.class_wording import score_notes
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.differences import differing
from lstm_sentiment.report.formatting import (
    NOTHING,
    bounds,
    enumeration,
    first_names,
    mean,
    mean_percent,
    p_value,
    percent,
    points,
    spread,
)
from lstm_sentiment.report.majority import MajorityClass, majority_class
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Paragraph, Table
from lstm_sentiment.report.published import Published, published
from lstm_sentiment.report.ranking import NUMERIC, mean_numeric_cells, numeric_cells
from lstm_sentiment.report.statistics import Verdict
from lstm_sentiment.report.variants import Variant, order_of

BALANCED = "balanced accuracy"  # a further column, before precision, if classes are uneven
RANKING_NOTE = (
    "All scores but the validation accuracy are those of the test set, in per cent except for the "
    f"loss and the calibration error (expected calibration error, {CALIBRATION_BINS} bins). The "
    "interval is that of the test accuracy, over seeds and reviews; for a variant with one seed, "
    "it is over reviews only."
)
SEEDS_NOTE = (
    "± is the standard deviation over seeds. With few seeds it is uncertain, so an interval is "
    "wider than the ± suggests."
)
CHOICE_NOTE = "The lower end of the interval of a variant that was chosen allows for the choice."
SINGLE_REVIEWS_NOTE = "Reviews are sampled one by one, since no groups of reviews are known."
NOT_STATED = "not stated"  # the number of labels of a published result
VERDICT_NOTE = (
    "Differences are percentage points of test accuracy on the same reviews. The interval and p "
    "account for other seeds and other reviews (Welch's t-test), and for all comparisons of their "
    "family: an interval excludes zero if and only if p is below 0.05. McNemar's exact test "
    "compares two trained networks, seed by seed, and does not account for other seeds or for "
    "groups of reviews; its p-values are corrected for the comparisons of the table (Holm)."
)
CONFOUNDED_NOTE = (
    "If two variants differ in several settings, their comparison is confounded: the difference "
    "may come from any of the settings."
)


def ranking_section(comparison: Comparison) -> list[Block]:
    """Return the ranking with all scores and costs, and a note that explains it."""
    columns = ["", "seeds", "val %", "test %", "95 % interval", "precision", "recall", "F1"]
    columns += ["AUROC", "loss", "calibration error", "parameters", "training s", "tokens/s", "MiB"]
    several_seeds = any(len(variant.runs) > 1 for variant in comparison.variants)
    notes = [order_of(comparison.variants), RANKING_NOTE, *[SEEDS_NOTE] * several_seeds]
    notes += [CHOICE_NOTE] * any(map(comparison.candidates, comparison.tested))
    notes += _sampling_notes(comparison)
    notes += score_notes(comparison.classes, "Precision, recall and F1 are each")
    if comparison.classes.values is not None:
        columns[columns.index("loss") : columns.index("loss")] = NUMERIC
    majority = majority_class(comparison.variants)
    cells = [_ranking_cells(variant, comparison, majority) for variant in comparison.variants]
    if majority is not None:
        columns.insert(columns.index("precision"), BALANCED)
        cells.append(_majority_cells(majority))
        notes.append(plain(majority.note(comparison.variants)))
    rows = [[row.get(name, NOTHING) for name in columns] for row in cells]
    return [Table(columns, rows), Paragraph(" ".join(notes))]


def _sampling_notes(comparison: Comparison) -> list[str]:
    """Return a sentence on the groups of reviews that the intervals account for."""
    if not comparison.tested:
        return []
    measured, group = comparison.accuracies, plain(comparison.data.get("groups") or "group")
    if comparison.groups is None:
        return [SINGLE_REVIEWS_NOTE]
    if len(np.unique(comparison.groups)) == 1:
        return [f"All reviews are of one {group}, so they are sampled one by one."]
    least, most = measured.design_effects.min(), measured.design_effects.max()
    factors = " to ".join(dict.fromkeys([f"{least:.2f}", f"{most:.2f}"]))
    return [
        f"Reviews are sampled by {group}, of which there are {measured.groups:,}: the variance of "
        f"an accuracy over reviews is {factors} times that of independent reviews "
        "(design effect)."
    ]


def _majority_cells(majority: MajorityClass) -> dict[str, str]:
    cells = {f"{s} %": percent(scores["accuracy"]) for s, scores in majority.scores.items()}
    balanced = majority.scores[majority.stage]["balanced_accuracy"]
    cells |= {"": plain(majority.name), BALANCED: percent(balanced)}
    if (test := majority.scores.get("test")) is not None:
        cells |= {name: percent(test[name.lower()]) for name in ("precision", "recall", "F1")}
        cells |= numeric_cells(test)
    return cells


def _ranking_cells(
    variant: Variant, comparison: Comparison, majority: MajorityClass | None
) -> dict[str, str]:
    """Return the cells of a variant, by the titles of their columns."""
    errors = [
        calibration_error(run.label, run.probability)
        for run in comparison.predictions[variant.name].values()
    ]
    scores = {"precision": "precision", "recall": "recall", "F1": "f1", "AUROC": "auroc"}
    balanced = variant.scores(majority.stage if majority else "test", "balanced_accuracy")
    name = plain(variant.name)
    return {
        "": f"**{name}**" if variant is comparison.best else name,
        "seeds": str(len(variant.runs)),
        "val %": spread(variant.scores("val", "accuracy")),
        "test %": spread(variant.scores("test", "accuracy")),
        "95 % interval": bounds(comparison.intervals.get(variant.name)),
        BALANCED: mean_percent(balanced),
        **{title: mean_percent(variant.scores("test", score)) for title, score in scores.items()},
        **mean_numeric_cells(variant),
        "loss": mean(variant.scores("test", "loss"), ".3f"),
        "calibration error": mean(np.array(errors), ".3f"),
        "parameters": mean(variant.costs("parameters"), ",.0f"),
        "training s": mean(variant.costs("fit_seconds"), ",.1f"),
        "tokens/s": mean(variant.costs("tokens_per_second"), ",.0f"),
        "MiB": mean(variant.costs("peak_memory_mib"), ",.0f"),
    }


def published_section(comparison: Comparison) -> list[Block]:
    """Return the section with published scores and ours; empty without published scores."""
    results = published(comparison.variants)
    if not results:
        return []
    rows = [
        [
            plain(row.name or row.run),
            plain(_source(row)),
            row.score,
            *_published_scores(row),
            NOT_STATED if row.labels is None else f"{row.labels:,}",
            plain(published_note(row, comparison)) or NOTHING,
        ]
        for row in results
    ]
    columns = ["", "source of the published score", "test score", "published", "ours", "difference"]
    return [
        Heading("Comparison with published results", 3),
        Table([*columns, "labels there", "what differs there"], rows),
        *_amounts_of_reviews(comparison, results),
    ]


def _source(row: Published) -> str:
    return f"{row.source or 'source not named'}: {row.run}"


def published_note(row: Published, comparison: Comparison) -> str:
    """Return how the published system differs from our runs, as far as known; "" if in nothing."""
    amounts = (
        (row.labels, "labels", comparison.data["train"]),
        (row.reviews, "reviews in all", _labelled_reviews(comparison)),
    )
    notes = [
        f"{theirs:,} {kind}, ours {ours:,}"
        for theirs, kind, ours in amounts
        if row.ours is not None and theirs not in (None, ours)
    ]
    return "; ".join([*notes, *([row.otherwise] if row.otherwise else [])])


def _labelled_reviews(comparison: Comparison) -> int:
    return sum(comparison.data[stage] or 0 for stage in ("train", "val", "test"))


def _amounts_of_reviews(comparison: Comparison, results: Sequence[Published]) -> list[Block]:
    """Return a note if published results are of another, or an unknown, number of reviews."""
    ours = _labelled_reviews(comparison)
    compared = [row for row in results if row.ours is not None]
    parts = []
    for reviews in dict.fromkeys(row.reviews for row in compared if row.reviews != ours):
        sources = dict.fromkeys(row.source for row in compared if row.reviews == reviews)
        amount = "an unknown number of" if reviews is None else f"{reviews:,}"
        names = [plain(source) or "the source that is not named" for source in sources]
        parts.append(f"{enumeration(names)} used {amount} labelled reviews")
    if not parts:
        return []
    return [
        Paragraph(
            f"{'; '.join(parts)}; our runs used {ours:,} for training, validation and test. "
            "A difference may come from the number of reviews."
        )
    ]


def _published_scores(row: Published) -> list[str]:
    """Return the published score, ours and the difference."""
    is_loss = row.score == "loss"
    theirs = f"{row.theirs:.4f}" if is_loss else percent(row.theirs)
    if row.ours is None:
        return [theirs, "not trained", NOTHING]
    difference = row.ours - row.theirs
    if is_loss:
        return [theirs, f"{row.ours:.4f}", f"{difference:+.4f}"]
    return [theirs, percent(row.ours), points(difference)]


def verdict_section(comparison: Comparison) -> list[Block]:
    """Return the verdicts relative to the best network and to the best baseline."""
    blocks: list[Block] = []
    for other in (comparison.best_network, comparison.baseline):
        verdicts = comparison.against(other)
        if other is None or not verdicts:
            continue
        title = f"Comparison with {other.name}, {_described(other, comparison)}"
        columns = ["", "points", "95 % interval", "p", "p of McNemar, by seed", "differs in"]
        rows = [
            _verdict_row(variant, other, verdicts[variant.name])
            for variant in comparison.tested
            if variant.name in verdicts
        ]
        table = Table([*columns, "verdict"], rows)
        blocks += [
            Heading(title, 3),
            table,
            _family(other, len(rows), next(iter(verdicts.values()))),
        ]
    return [*blocks, Paragraph(f"{VERDICT_NOTE} {CONFOUNDED_NOTE}")] if blocks else []


def _described(other: Variant, comparison: Comparison) -> str:
    """Return what the variant is that others are compared with."""
    if not other.is_baseline:
        return "the best network"
    is_chosen = bool(len(other.scores("val", "loss")))
    if is_chosen or sum(v.is_baseline for v in comparison.variants) == 1:
        return "the best n-gram baseline"
    return "the first n-gram baseline (none has validation scores)"


def _family(other: Variant, comparisons: int, verdict: Verdict) -> Paragraph:
    """Return a sentence on the family of the verdicts of a table."""
    if verdict.family > comparisons:
        return Paragraph(
            f"Since {plain(other.name)} was chosen by its validation accuracy, the family are all "
            f"{verdict.family} pairs of networks."
        )
    return Paragraph(f"The family has {counted(verdict.family, 'comparison')}.")


def _verdict_row(variant: Variant, other: Variant, verdict: Verdict) -> list[str]:
    low, high = verdict.interval
    names = [difference.setting for difference in differing(variant, other)]
    return [
        plain(variant.name),
        points(verdict.difference),
        f"{points(low)} to {points(high)}",
        p_value(verdict.p),
        ", ".join(p_value(p) for p in verdict.mcnemar.values()) or NOTHING,
        plain(first_names(names)),
        verdict.wording,
    ]
