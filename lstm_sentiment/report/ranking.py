"""variants -> rows of the ranking: means over seeds, sorted by validation accuracy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lstm_sentiment.report import page
from lstm_sentiment.report.class_wording import score_notes
from lstm_sentiment.report.folds import joined_folds
from lstm_sentiment.report.formatting import NOTHING, mean, mean_percent, percent, spread
from lstm_sentiment.report.majority import MajorityClass, majority_class
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.variants import Variant, order_of, variant_groups
from lstm_sentiment.runs.reader import RunSummary

COLUMNS = ("seeds", "params", "val %", "test %", "F1 %", "AUROC %", "fit s")
BALANCED = "balanced %"  # a further column, before F1, if the classes of any data set are uneven
# Further columns, after AUROC, if the classes of any data set are numbers; their scores.
NUMERIC = {"MAE": "mean_absolute_error", "kappa": "quadratic_kappa"}
NOTE = "F1 and AUROC are test scores."
OVER_SEEDS = "± is the standard deviation over seeds."


class RankingTable(NamedTuple):
    """The ranking of the variants on one data set; a row has the name of a variant."""

    title: str
    rows: list[list[str]]
    note: str


def ranking(
    runs: Iterable[RunSummary],
) -> tuple[list[RankingTable], Sequence[str], list[tuple[str, str]]]:
    """Return a table for each data set, the column titles, and the runs that are not compared."""
    joined, left_out = joined_folds(runs)
    tables, columns = _tables(joined)
    return tables, columns, not_compared(joined, left_out)


def markdown(runs: Iterable[RunSummary]) -> str:
    """Return the ranking and the runs that are not compared as Markdown."""
    blocks: list[page.Block] = []
    tables, columns, failures = ranking(runs)
    for title, rows, note in tables:
        escaped = [[plain(cell) for cell in row] for row in rows]
        blocks += [page.Paragraph(plain(title)), page.Table(["", *columns], escaped)]
        blocks.append(page.Paragraph(plain(note)))
    if failures:
        blocks.append(page.Listing([plain(f"{name}: {trouble}") for name, trouble in failures]))
    return page.markdown(blocks).rstrip("\n")


def not_compared(
    joined: Iterable[RunSummary], left_out: Iterable[tuple[RunSummary, str]]
) -> list[tuple[str, str]]:
    """Return the name of every run without a record or without the other folds, and the reason.

    The arguments are those that `joined_folds` returns.
    """
    reasons = [(run.name, run.trouble) for run in joined if not run.record]
    return sorted(reasons + [(run.name, reason) for run, reason in left_out])


def _tables(runs: Iterable[RunSummary]) -> tuple[list[RankingTable], Sequence[str]]:
    groups = variant_groups(runs)
    majorities = [majority_class(group.variants) for group in groups]
    columns = [*COLUMNS]
    if any(majorities):
        columns.insert(columns.index("F1 %"), BALANCED)
    if any(group.classes.values is not None for group in groups):
        columns[-1:-1] = NUMERIC
    tables = []
    for group, majority in zip(groups, majorities, strict=True):
        cells = [_cells(variant, majority) for variant in group.variants]
        notes = [NOTE, *score_notes(group.classes, "F1 is"), order_of(group.variants)]
        if any("±" in cell for row in cells for cell in row.values()):
            notes.append(OVER_SEEDS)
        if majority:
            cells.append(_majority_cells(majority))
            notes.append(majority.note(group.variants))
        rows = [[row.get(name, NOTHING) for name in ("", *columns)] for row in cells]
        tables.append(RankingTable(group.title, rows, " ".join(notes)))
    return tables, columns


def _cells(variant: Variant, majority: MajorityClass | None) -> dict[str, str]:
    """Return the cells of a variant, by the titles of their columns."""
    balanced = variant.scores(majority.stage if majority else "test", "balanced_accuracy")
    return {
        "": variant.name,
        "seeds": str(len(variant.runs)),
        "params": f"{variant.costs('parameters').mean():,.0f}",
        "val %": spread(variant.scores("val", "accuracy")),
        "test %": spread(variant.scores("test", "accuracy")),
        BALANCED: mean_percent(balanced),
        "F1 %": mean_percent(variant.scores("test", "f1")),
        "AUROC %": mean_percent(variant.scores("test", "auroc")),
        **mean_numeric_cells(variant),
        "fit s": f"{variant.costs('fit_seconds').mean():,.1f}",
    }


def _majority_cells(majority: MajorityClass) -> dict[str, str]:
    cells = {f"{s} %": percent(scores["accuracy"]) for s, scores in majority.scores.items()}
    balanced = majority.scores[majority.stage]["balanced_accuracy"]
    cells |= {"": majority.name, BALANCED: percent(balanced)}
    if (test := majority.scores.get("test")) is not None:
        cells["F1 %"] = percent(test["f1"])
        cells |= numeric_cells(test)
    return cells


def mean_numeric_cells(variant: Variant) -> dict[str, str]:
    """Return the cells of the further columns of numeric classes, by the titles of the columns."""
    return {title: mean(variant.scores("test", score), ".3f") for title, score in NUMERIC.items()}


def numeric_cells(scores: Mapping[str, float]) -> dict[str, str]:
    """Return the same cells of a single classifier with these scores; none without numbers."""
    return {title: f"{scores[score]:.3f}" for title, score in NUMERIC.items() if score in scores}
