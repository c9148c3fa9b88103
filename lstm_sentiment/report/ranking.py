"""variants -> rows of the ranking: means over seeds, sorted by validation accuracy."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lstm_sentiment.report import page
from lstm_sentiment.report.formatting import mean_percent, spread
from lstm_sentiment.report.variants import Variant, order_of, variant_groups
from lstm_sentiment.runs.reader import RunSummary

COLUMNS = ("seeds", "params", "val %", "test %", "F1 %", "AUROC %", "fit s")
NOTE = "F1 and AUROC are test scores."
OVER_SEEDS = "± is the standard deviation over seeds."


class RankingTable(NamedTuple):
    """The ranking of the variants on one data set; a row is a variant's name and its COLUMNS."""

    title: str
    rows: list[list[str]]
    note: str


def ranking(
    runs: Iterable[RunSummary],
) -> tuple[list[RankingTable], Sequence[str], list[tuple[str, str]]]:
    """Return a table for each data set, the column titles, and the runs without a record."""
    runs = list(runs)
    return _tables(runs), COLUMNS, without_record(runs)


def markdown(runs: Iterable[RunSummary]) -> str:
    """Return the ranking and the runs without a record as Markdown."""
    runs = list(runs)
    blocks: list[page.Block] = []
    for title, rows, note in _tables(runs):
        blocks += [page.Paragraph(title), page.Table(["", *COLUMNS], rows), page.Paragraph(note)]
    if failures := without_record(runs):
        blocks.append(page.Listing([f"{name}: {trouble}" for name, trouble in failures]))
    return page.markdown(blocks).rstrip("\n")


def without_record(runs: Iterable[RunSummary]) -> list[tuple[str, str]]:
    """Return the name and the state of every run without a record, sorted by name."""
    return sorted((run.name, run.trouble) for run in runs if not run.record)


def _tables(runs: Iterable[RunSummary]) -> list[RankingTable]:
    tables = []
    for group in variant_groups(runs):
        rows = [_row(variant) for variant in group.variants]
        several_seeds = any("±" in cell for row in rows for cell in row)
        note = [NOTE, order_of(group.variants), *[OVER_SEEDS] * several_seeds]
        tables.append(RankingTable(group.title, rows, " ".join(note)))
    return tables


def _row(variant: Variant) -> list[str]:
    return [
        variant.name,
        str(len(variant.runs)),
        f"{variant.costs('parameters').mean():,.0f}",
        *(spread(variant.scores(stage, "accuracy")) for stage in ("val", "test")),
        *(mean_percent(variant.scores("test", score)) for score in ("f1", "auroc")),
        f"{variant.costs('fit_seconds').mean():,.1f}",
    ]
