"""runs -> status: what is done, running, failed, interrupted or missing."""

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from lstm_sentiment.report.runs import RunSummary, State

COLOURS = {State.done: "green", State.running: "cyan", State.failed: "red"}


def status(runs: Sequence[RunSummary]) -> Group:
    """A line for every run, those that are done last, and a count of each state."""
    order = [State.running, State.failed, State.interrupted, State.missing, State.done]
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("state", no_wrap=True)
    table.add_column("run", no_wrap=True)
    table.add_column("", overflow="fold")
    for run in sorted(runs, key=lambda run: (order.index(run.state), run.folder)):
        colour = COLOURS.get(run.state, "yellow")
        where = run.folder.parent.name
        table.add_row(
            f"[{colour}]{run.state}[/]", escape(f"{where}/{run.name}"), escape(_news(run))
        )
    counts = Counter(run.state for run in runs)
    summary = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return Group(table, f"{len(runs)} runs: {summary}" if len(runs) > 1 else summary)


def _news(run: RunSummary) -> str:
    if run.record:
        scores = run.record["test"] or run.record["val"] or run.record["epochs"][-1]["train"]
        split = "test" if run.record["test"] else "val" if run.record["val"] else "train"
        return f"{split} {scores['accuracy']:.2%}, {len(run.record['epochs'])} epochs"
    if run.state is not State.running or run.progress is None:
        return run.trouble.removeprefix(str(run.state)).lstrip(": ")
    share, seconds = run.progress["share"], run.progress["seconds"]
    if run.progress["epoch"] is None:
        return "trained, being tested"
    epoch = f"epoch {run.progress['epoch']} of {run.progress['max_epochs']}"
    if share == 0:
        return epoch
    return f"{epoch}, about {_duration(seconds / share * (1 - share))} left"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes >= 90:
        return f"{minutes / 60:.1f} h"
    return f"{minutes:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
