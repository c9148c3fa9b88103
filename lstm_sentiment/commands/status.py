"""lstm-sentiment status: list runs that are done, running, failed, interrupted or missing."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from lstm_sentiment.commands.accuracy import accuracy_text
from lstm_sentiment.commands.options import RUNS_HELP, Commands
from lstm_sentiment.commands.tables import FittedTable
from lstm_sentiment.commands.terminal import console
from lstm_sentiment.display import counted, duration, on_one_line
from lstm_sentiment.runs.identity import BASELINE, ENSEMBLE
from lstm_sentiment.runs.reader import RunSummary, State, read_runs
from lstm_sentiment.runs.record import is_pruned, varying_attempts

STATE_COLOURS = {State.done: "green", State.running: "cyan", State.failed: "red"}


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "status",
        help="list runs as done, running, failed, interrupted or missing",
        description="List the state of every run and language model at or below RUNS. No file is "
        "changed.",
        epilog="example: lstm-sentiment status runs/default",
    )
    parser.add_argument("runs", type=Path, metavar="RUNS", help=RUNS_HELP)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Print the state of every run."""
    console.print(status_table(read_runs(options.runs, language_models=True)))


def status_table(runs: Sequence[RunSummary]) -> Group:
    """Return a table with a line for every run, finished runs last, and a count of each state."""
    order = [State.running, State.failed, State.interrupted, State.missing, State.done]
    rows: list[list[str | Text]] = [
        [
            Text(run.state, STATE_COLOURS.get(run.state, "yellow")),
            on_one_line(f"{run.folder.parent.name}/{run.name}"),
            _details(run),
        ]
        for run in sorted(runs, key=lambda run: (order.index(run.state), run.folder))
    ]
    table = FittedTable(["state", "run", ""], rows, names=(0, 1, 2), ruled=True)
    counts = Counter(run.state for run in runs)
    summary = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return Group(table, f"{len(runs)} runs: {summary}" if len(runs) > 1 else summary)


def _details(run: RunSummary) -> str:
    """Return the score of a finished run, the progress of a running run, or the problem."""
    if run.perplexity is not None:
        return f"perplexity {run.perplexity:.2f}"
    if run.record:
        scores = run.record["test"] or run.record["val"] or run.record["epochs"][-1]["train"]
        stage = "test" if run.record["test"] else "val" if run.record["val"] else "train"
        accuracy = accuracy_text(stage, scores)
        if BASELINE in run.record["config"]:
            return accuracy
        if ENSEMBLE in run.record["config"]:
            return f"{accuracy}, {len(run.record['members'])} members"
        epochs = counted(len(run.record["epochs"]), "epoch")
        if is_pruned(run.record):
            epochs = f"pruned after {epochs}"
        return ", ".join(filter(None, [accuracy, epochs, varying_attempts(run.record)]))
    if run.state is not State.running or run.progress is None:
        return run.trouble.removeprefix(str(run.state)).lstrip(": ")
    share, seconds = run.progress["share"], run.progress["seconds"]
    if run.progress["epoch"] is None:
        return "trained, evaluating"
    epoch = f"{run.unit} {run.progress['epoch']} of {run.progress['max_epochs']}"
    if share == 0:
        return epoch
    return f"{epoch}, about {duration(seconds / share * (1 - share))} left"
