"""record -> comparison: every run below a folder, ranked by validation accuracy."""

from collections.abc import Iterable
from typing import Any, Literal

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from lstm_sentiment.report.runs import RunSummary
from lstm_sentiment.training.record import PLACES

COLUMNS: dict[str, Literal["left", "right"]] = {
    "network": "left",
    "head": "left",
    "seed": "right",
    "params": "right",
    "val %": "right",
    "test %": "right",
    "F1 %": "right",
    "AUROC %": "right",
    "fit s": "right",
}
# What the columns tell of a configuration; `set to` tells the rest where runs differ in it.
SHOWN = {"encoder.cell", "encoder.num_layers", "encoder.bidirectional", "head.kind"}
NOTE = "Accuracy on val and test, F1 and AUROC on test; ranked by validation."


def ranked(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Best validation accuracy first; runs without one behind, in the order of their names."""

    def key(run: RunSummary) -> tuple[float, str]:
        val = run.record["val"] if run.record else None
        return (-val["accuracy"] if val else float("inf"), run.name)

    return sorted(runs, key=key)


def comparison(runs: Iterable[RunSummary]) -> Group:
    """A table for each data set, and a line for every run without a record, for the terminal."""
    parts: list[RenderableType] = []
    for title, rows in _tables(runs):
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0)
        for name, justify in COLUMNS.items():
            table.add_column(name, justify=justify, no_wrap=True)  # all fit into 80 characters
        if any(row[-1] for row in rows):
            table.add_column("set to", overflow="fold")
        for row in rows:
            table.add_row(*row[: len(table.columns)])
        parts.append(table)
    if parts:
        parts.append(NOTE)
    parts += [f"[red]{escape(name)}[/] {escape(trouble)}" for name, trouble in _without(runs)]
    return Group(*parts)


def markdown(runs: Iterable[RunSummary]) -> str:
    """The same for a page."""
    parts = []
    for title, rows in _tables(runs):
        width = len(COLUMNS) + any(row[-1] for row in rows)
        head = [*COLUMNS, "set to"]
        rule = ["--:" if COLUMNS.get(name) == "right" else "---" for name in head]
        lines = [f"| {' | '.join(cells[:width])} |" for cells in (head, rule, *rows)]
        parts.append("\n".join([title, "", *lines]))
    if parts:
        parts.append(NOTE)
    parts += [f"- {name}: {trouble}" for name, trouble in _without(runs)]
    return "\n\n".join(parts)


def _tables(runs: Iterable[RunSummary]) -> list[tuple[str, list[list[str]]]]:
    """(what the data are, rows) for each set of reviews: only runs on the same can be compared."""
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in ranked(runs):
        if run.record:
            data = run.record["data"]
            sizes = ", ".join(f"{data[s]:,} {s}" for s in ("train", "val", "test") if data[s])
            key = (f"{data['source']}: {sizes}", data["fingerprint"])
            tables.setdefault(key, []).append(run.record)
    return [(title, _rows(records)) for (title, _), records in tables.items()]


def _rows(records: list[dict[str, Any]]) -> list[list[str]]:
    """A row for each record; at its end the settings in which the records differ."""
    settings = [_settings(record["config"]) for record in records]
    names = dict.fromkeys(name for setting in settings for name in setting)
    telling = [name for name in names if len({str(s.get(name)) for s in settings}) > 1]
    rows = []
    for record, setting in zip(records, settings, strict=True):
        note = ", ".join(f"{name}={setting.get(name)}" for name in telling)
        rows.append([*_cells(record), note])
    return rows


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, by dotted name, that no column shows."""
    named = {
        f"{group}.{name}": value
        for group, fields in config.items()
        if isinstance(fields, dict)
        for name, value in fields.items()
    }
    return {name: value for name, value in named.items() if name not in SHOWN | PLACES}


def _without(runs: Iterable[RunSummary]) -> list[tuple[str, str]]:
    return [(run.name, run.trouble) for run in ranked(runs) if not run.record]


def _cells(record: dict[str, Any]) -> list[str]:
    network, head = record["name"].split("-")[:2]
    val, test, cost = record["val"] or {}, record["test"] or {}, record["cost"]
    return [
        network,
        head,
        str(record["config"]["seed"]),
        f"{cost['parameters']:,}",
        *(_percent(scores.get("accuracy")) for scores in (val, test)),
        *(_percent(test.get(score)) for score in ("f1", "auroc")),
        f"{cost['fit_seconds']:.1f}",
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
