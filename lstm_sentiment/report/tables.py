"""comparison, runs -> CSV: every figure of a report for other programs."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from lstm_sentiment.config import SCORES
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.configurations import Configuration, settings
from lstm_sentiment.report.runs import RunSummary

COSTS = ("parameters", "fit_seconds", "tokens_per_second", "peak_memory_mib")


def comparison_table(comparisons: Iterable[Comparison]) -> str:
    """A row for each configuration: scores over seeds, interval, verdicts beside the best (of the
    networks alone, where it is one) and beside the best baseline, costs.

    Scores are shares; costs are means. What is not known is empty.
    """
    rows = []
    for comparison in comparisons:
        judged = {
            "": comparison.against(comparison.best),
            "baseline/": comparison.against(comparison.baseline),
        }
        for rank, c in enumerate(comparison.configurations, 1):
            row: dict[str, Any] = {"reviews": comparison.title, "rank": rank}
            row |= {"configuration": c.name, "seeds": len(c.runs)} | _scores(c)
            if interval := comparison.intervals.get(c.name):
                row |= {"test/accuracy/low": interval.low, "test/accuracy/high": interval.high}
            for beside, verdicts in judged.items():
                if verdict := verdicts.get(c.name):
                    row |= {f"{beside}difference": verdict.difference, f"{beside}p": verdict.p}
                    row[f"{beside}verdict"] = verdict.verdict
            row |= {cost: values.mean() for cost in COSTS if len(values := c.costs(cost))}
            rows.append(row | dict(c.settings))
    return _csv(rows)


def _scores(c: Configuration) -> dict[str, float]:
    row = {}
    for split in ("val", "test"):
        for score in SCORES:
            if len(values := c.scores(split, score)):
                row[f"{split}/{score}"] = values.mean()
            if len(values) > 1:
                row[f"{split}/{score}/std"] = values.std(ddof=1)
    return row


def run_table(runs: Iterable[RunSummary]) -> str:
    """A row for each run, whatever became of it."""
    return _csv([_run(run) for run in runs])


def _run(run: RunSummary) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.name, "state": str(run.state), "trouble": run.trouble}
    if (record := run.record) is None:
        return row
    row |= {"seed": record["config"]["seed"], "best_epoch": record["best_epoch"]}
    for split in ("val", "test"):
        row |= {f"{split}/{score}": record[split][score] for score in SCORES if record[split]}
    row |= record["cost"] | {name: record["environment"][name] for name in ("device", "threads")}
    return row | {"data": record["data"]["fingerprint"]} | settings(run)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """Columns in the order in which they come."""
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer, dict.fromkeys(name for row in rows for name in row), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
