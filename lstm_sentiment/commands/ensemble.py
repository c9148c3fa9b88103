"""lstm-sentiment ensemble: average the predictions of finished runs."""

import argparse
from math import isfinite
from pathlib import Path

from rich.text import Text

from lstm_sentiment.commands.accuracy import accuracies
from lstm_sentiment.commands.options import Commands
from lstm_sentiment.commands.terminal import (
    Terminal,
    console,
    print_next,
    typed_path,
    typed_program,
)


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "ensemble",
        help="average the predictions of finished runs",
        description="Average the class probabilities of finished runs and baselines that were "
        "trained and tested on the same reviews, and write a record like a run's: reports, status "
        "and comparisons show the ensemble beside its members, and predict and evaluate use it. "
        "Nothing is trained.",
        epilog="example: lstm-sentiment ensemble runs/demo/gru-max-s*",
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="the folder of a finished run or baseline"
    )
    parser.add_argument(
        "--weights", type=_weights, metavar="W,W,...",
        help="weights of the runs, in their order and relative to each other (default: equal)",
    )  # fmt: skip
    parser.add_argument(
        "--sweep", metavar="NAME",
        help="the folder below the root for the ensemble (default: that of the runs, or default)",
    )  # fmt: skip
    parser.add_argument(
        "--root", metavar="DIR",
        help="the folder of all sweeps (default: that of the runs, or runs); predict and evaluate "
        "find the members of an ensemble below its root only",
    )  # fmt: skip
    parser.add_argument("--rerun", action="store_true", help="make a finished ensemble again")
    parser.set_defaults(handler=run)


def _weights(text: str) -> list[float]:
    """Return the positive numbers of a list with commas."""
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if not weights or not all(isfinite(weight) and weight > 0 for weight in weights):
        raise argparse.ArgumentTypeError(f"must be positive numbers, such as 1,1,2 (got {text!r})")
    return weights


def run(options: argparse.Namespace) -> None:
    """Make the ensemble, and print its scores beside those of its members."""
    from lstm_sentiment.training.ensemble import ensemble

    folder, record = ensemble(
        options.runs, options.weights, options.root, options.sweep, options.rerun, Terminal()
    )
    size = f"{len(record['members'])} members"
    results = f"  {', '.join([*accuracies(record), size])}"
    console.print(Text.assemble((record["name"], "bold"), results))
    print_next(f"{typed_program('lstm-sentiment')} report {typed_path(folder.parent)}")
