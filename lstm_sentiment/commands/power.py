"""lstm-sentiment power: compute how many seeds and test reviews it takes to find a difference."""

import argparse
from pathlib import Path

from lstm_sentiment.commands.options import RUNS_HELP, Commands
from lstm_sentiment.commands.tables import FittedTable
from lstm_sentiment.commands.terminal import console
from lstm_sentiment.errors import InputError, UsageError

DIFFERENCES, POWER = (0.5, 1.0), 0.8
LEAST_POWER, MOST_POWER = 0.1, 0.999


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "power",
        help="compute how many seeds and test reviews it takes to find a difference",
        description="Compute, from the finished runs below RUNS, how likely a difference between "
        "two networks like theirs is found, and how many seeds and test reviews it takes. No file "
        "is changed.",
        epilog="example: lstm-sentiment power runs/default --difference 0.5",
    )
    parser.add_argument("runs", type=Path, metavar="RUNS", help=RUNS_HELP)
    parser.add_argument(
        "--difference", type=float, action="append", metavar="POINTS",
        help="a difference of test accuracies in percentage points (default: 0.5 and 1); may be "
        "given several times",
    )  # fmt: skip
    parser.add_argument(
        "--power", type=float, default=POWER, metavar="SHARE",
        help="the probability with which the difference shall be found (default: %(default)s)",
    )  # fmt: skip
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Print a table of powers for each data set."""
    differences = [*dict.fromkeys(options.difference or DIFFERENCES)]
    _require_possible(differences, options.power)

    from lstm_sentiment.report.comparison import Comparison
    from lstm_sentiment.report.power_section import COLUMNS, power_table
    from lstm_sentiment.report.variants import variant_groups
    from lstm_sentiment.runs.reader import read_runs

    comparisons = [Comparison(group) for group in variant_groups(read_runs(options.runs))]
    tested = [comparison for comparison in comparisons if comparison.tested_networks]
    if not tested:
        raise InputError(
            f"{options.runs} has no finished network with test predictions, from which the power "
            "could be computed."
        )
    shares = [difference / 100 for difference in differences]
    for comparison in tested:
        rows, notes = power_table(comparison, shares, options.power)
        console.print(FittedTable(COLUMNS, rows, title=comparison.title, ruled=True))
        console.print(" ".join(notes))


def _require_possible(differences: list[float], power: float) -> None:
    """Raise UsageError if an option has a value that is not possible."""
    for difference in differences:
        if not 0 < difference < 100:
            raise UsageError(
                f"--difference must be above 0 and below 100 points (got {difference:g})."
            )
    if not LEAST_POWER <= power <= MOST_POWER:
        raise UsageError(f"--power must be from {LEAST_POWER} to {MOST_POWER} (got {power:g}).")
