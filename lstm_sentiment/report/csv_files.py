"""comparisons, runs -> CSV files with the numbers of a report, for other programs.

A text that begins with =, +, - or @ is written with an apostrophe before it, since spreadsheets
would run it as a formula.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from lstm_sentiment.config import SCORES
from lstm_sentiment.display import printable
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.settings import settings
from lstm_sentiment.report.statistics import Verdict
from lstm_sentiment.report.variants import Variant, recorded_scores
from lstm_sentiment.runs.reader import RunSummary
from lstm_sentiment.runs.record import PRUNED, is_pruned

RECORDED = (
    *(*SCORES, "balanced_accuracy", "majority_share"),
    *("mean_absolute_error", "quadratic_kappa"),  # of numeric classes
)
COSTS = ("parameters", "fit_seconds", "tokens_per_second", "peak_memory_mib")


def comparison_table(comparisons: Iterable[Comparison]) -> str:
    """Return comparison.csv, with a row for each variant.

    A row has the scores over seeds, the interval of the test accuracy, the verdicts relative to
    the best variant and to the best baseline, and the costs. Scores are shares, and costs are
    means. `family` is the number of comparisons for which p and the interval of the difference are
    corrected. Unknown values are empty.
    """
    rows = []
    for comparison in comparisons:
        others = {"": comparison.best, "baseline/": comparison.baseline}
        for rank, variant in enumerate(comparison.variants, 1):
            row: dict[str, Any] = {"reviews": comparison.title, "rank": rank}
            row |= {"configuration": variant.name, "seeds": len(variant.runs)} | _scores(variant)
            if interval := comparison.intervals.get(variant.name):
                row |= {"test/accuracy/low": interval.low, "test/accuracy/high": interval.high}
            for prefix, other in others.items():
                if other and (verdict := comparison.against(other).get(variant.name)):
                    cells = {"compared_with": other.name} | _verdict(verdict)
                    row |= {f"{prefix}{name}": value for name, value in cells.items()}
            row |= {cost: values.mean() for cost in COSTS if len(values := variant.costs(cost))}
            rows.append(row | dict(variant.settings))
    return _csv(rows)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "difference": verdict.difference,
        "difference/low": verdict.interval.low,
        "difference/high": verdict.interval.high,
        "p": verdict.p,
        "family": verdict.family,
        "verdict": verdict.verdict,
    }


def _scores(variant: Variant) -> dict[str, float]:
    row = {}
    for stage in ("val", "test"):
        for score in RECORDED:
            if len(values := variant.scores(stage, score)):
                row[f"{stage}/{score}"] = values.mean()
            if len(values) > 1:
                row[f"{stage}/{score}/std"] = values.std(ddof=1)
    return row


def run_table(runs: Iterable[RunSummary]) -> str:
    """Return runs.csv, with a row for each run in any state."""
    return _csv([_run(run) for run in runs])


def _run(run: RunSummary) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.name, "state": str(run.state), "trouble": run.trouble}
    if (record := run.record) is None:
        return row
    row |= {"seed": record["config"]["seed"], "best_epoch": record["best_epoch"]}
    row |= {PRUNED: True} if is_pruned(record) else {}
    for stage in ("val", "test"):
        scores = recorded_scores(record, stage)
        row |= {f"{stage}/{score}": scores[score] for score in RECORDED if score in scores}
    row |= record["cost"] | {name: record["environment"][name] for name in ("device", "threads")}
    return row | {"data": record["data"]["fingerprint"]} | settings(run)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as CSV, with all columns in the order of their first occurrence."""
    buffer = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(name, "")) for name in columns] for row in rows)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
