"""configurations -> a table for the terminal or a page: means over seeds, ranked by validation."""

from collections.abc import Iterable

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from lstm_sentiment.report import document
from lstm_sentiment.report.configurations import Configuration, groups
from lstm_sentiment.report.runs import RunSummary

COLUMNS = ("seeds", "params", "val %", "test %", "F1 %", "AUROC %", "fit s")
NOTE = "Accuracy on val and test, F1 and AUROC on test; ranked by validation."
OVER_SEEDS = "± is the standard deviation over seeds."
NOTHING = "–"


def ranking(runs: Iterable[RunSummary]) -> Group:
    """For the terminal: a table for each set of reviews, a line for every run without a record."""
    parts: list[RenderableType] = []
    for title, rows in _tables(runs):
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0)
        table.add_column("", overflow="fold")
        for name in COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        parts += [table, _note(rows)]
    parts += [f"[red]{escape(name)}[/] {escape(trouble)}" for name, trouble in without_record(runs)]
    return Group(*parts)


def markdown(runs: Iterable[RunSummary]) -> str:
    """The same for a page."""
    blocks: list[document.Block] = []
    for title, rows in _tables(runs):
        blocks += [document.Paragraph(title), document.Table(["", *COLUMNS], rows)]
        blocks.append(document.Paragraph(_note(rows)))
    if trouble := without_record(runs):
        blocks.append(document.Listing([f"{name}: {why}" for name, why in trouble]))
    return document.markdown(blocks).rstrip("\n")


def without_record(runs: Iterable[RunSummary]) -> list[tuple[str, str]]:
    """Name and trouble of every run that takes no part in a comparison."""
    return sorted((run.name, run.trouble) for run in runs if not run.record)


def _tables(runs: Iterable[RunSummary]) -> list[tuple[str, list[list[str]]]]:
    """(what the data are, rows): only runs on the same reviews can be compared."""
    return [(group.title, [_row(c) for c in group.configurations]) for group in groups(runs)]


def _row(configuration: Configuration) -> list[str]:
    return [
        configuration.name,
        str(len(configuration.runs)),
        f"{configuration.costs('parameters').mean():,.0f}",
        *(spread(configuration.scores(split, "accuracy")) for split in ("val", "test")),
        *(percent(configuration.scores("test", score)) for score in ("f1", "auroc")),
        f"{configuration.costs('fit_seconds').mean():,.1f}",
    ]


def percent(shares: np.ndarray) -> str:
    """(S,) -> their mean, in per cent."""
    return f"{100 * shares.mean():.2f}" if len(shares) else NOTHING


def spread(shares: np.ndarray) -> str:
    """(S,) -> their mean, with their standard deviation where there are several, in per cent."""
    deviation = f" ± {100 * shares.std(ddof=1):.2f}" if len(shares) > 1 else ""
    return percent(shares) + deviation


def _note(rows: list[list[str]]) -> str:
    return f"{NOTE} {OVER_SEEDS}" if any("±" in cell for row in rows for cell in row) else NOTE
