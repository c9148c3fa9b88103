"""lstm-sentiment report: compare all runs below a folder."""

import argparse
import re
from pathlib import Path

from lstm_sentiment.commands.options import RUNS_HELP, Commands
from lstm_sentiment.commands.terminal import Terminal, console, print_labelled, ranking_table
from lstm_sentiment.config import CompareConfig
from lstm_sentiment.config_fields import LONGEST_SHOWN
from lstm_sentiment.display import shortened
from lstm_sentiment.errors import InputError


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report",
        help="compare all runs below a folder",
        description="Print the runs below RUNS, ranked by validation accuracy, and write "
        "report.html, report.md, comparison.csv, runs.csv and figures/.",
        epilog="example: lstm-sentiment report runs/default",
    )
    parser.add_argument("runs", type=Path, metavar="RUNS", help=RUNS_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder of the report (default: RUNS)"
    )
    parser.add_argument(
        "--compare", action="append", default=[], metavar="'RUN : OTHER'",
        help="compare the variants with the choices RUN with those with the choices OTHER, such as "
        "'encoder=gru : encoder=lstm'; may be repeated",
    )  # fmt: skip
    parser.set_defaults(handler=run)


def compared(text: str) -> CompareConfig:
    """Return the two sides of an argument of --compare, "RUN : OTHER".

    Raises InputError if it is not two texts of choices.
    """
    sides = re.split(r"\s+:\s+", text.strip())
    if len(sides) != 2:
        raise InputError(
            "--compare must be two sets of choices with a colon between blanks, such as "
            f"'encoder=gru : encoder=lstm' (got {shortened(repr(text), LONGEST_SHOWN)})."
        )
    try:
        return CompareConfig(run=sides[0], other=sides[1])
    except InputError as error:
        raise InputError(f"--compare {shortened(repr(text), LONGEST_SHOWN)}: {error}") from error


def run(options: argparse.Namespace) -> None:
    """Print the ranking and write the report."""
    from lstm_sentiment.commands.hydra_config import seed_experiments
    from lstm_sentiment.files.manifest import ADVICE
    from lstm_sentiment.files.outputs import errors_of_writing
    from lstm_sentiment.report import csv_files, page, ranking
    from lstm_sentiment.report.sections import build_report
    from lstm_sentiment.runs.reader import read_runs

    compare = [*map(compared, options.compare)]
    runs = read_runs(options.runs)
    console.print(ranking_table(*ranking.ranking(runs)))
    folder = options.output or options.runs
    # Before the report is built, which takes a minute.
    with errors_of_writing(folder, ADVICE), page.report_folder(folder) as manifest:
        sweeps = [str(run.record.get("sweep")) for run in runs if run.record]
        blocks, comparisons = build_report(runs, compare, seed_experiments(sweeps))
        title = f"Comparison of {options.runs.resolve().name}"
        tables = {
            page.COMPARISON: csv_files.comparison_table(comparisons).encode(),
            page.RUNS: csv_files.run_table(runs).encode(),
        }
        manifest.replace_all(page.files(title, blocks, Terminal()) | tables)
    for note in dict.fromkeys(note for each in comparisons for note in each.notes):
        Terminal().message(note, "warning")
    print_labelled("report", folder / page.PAGE)
