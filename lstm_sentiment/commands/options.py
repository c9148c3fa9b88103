"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

RUNS_HELP = "a run, a sweep, or the folder of all sweeps"
RUN_HELP = "the folder of a finished run"
MODEL_HELP = "the folder of a finished run or baseline, its model/, or an exported model"
TABLE_HELP = "CSV, TSV, JSON Lines (also .gz) or Parquet"


def add_file(parser: argparse.ArgumentParser, text: str, required: bool = False) -> None:
    """Add the options --file, with the help `text`, and --column."""
    parser.add_argument("--file", type=Path, required=required, metavar="FILE", help=text)
    parser.add_argument(
        "--column", metavar="NAME", help="column of the texts (default: text or review)"
    )
