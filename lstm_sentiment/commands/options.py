"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import TypeAlias

from lstm_sentiment.config import Delimiter, Quoting

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

RUNS_HELP = "a run, a sweep, or the folder of all sweeps"
RUN_HELP = "the folder of a finished run"
HUB_HELP = "hub:OWNER/NAME, a model of the Hugging Face hub"
MODEL_HELP = (
    "the folder of a finished run, baseline or ensemble, its model/, an exported model, or "
    f"{HUB_HELP}"
)
TABLE_HELP = "CSV, TSV, JSON Lines (also .gz) or Parquet"


def add_file(parser: argparse.ArgumentParser, text: str, required: bool = False) -> None:
    """Add the option --file, with the help `text`, and the options that say how it is read."""
    parser.add_argument("--file", type=Path, required=required, metavar="FILE", help=text)
    parser.add_argument(
        "--column", dest="text_column", metavar="NAME",
        help="column of the texts (default: as in training, usually text or review)",
    )  # fmt: skip
    parser.add_argument(
        "--delimiter", choices=[*Delimiter],
        help="character between the fields of a CSV or TSV file (default: as in training, usually "
        "auto, which finds it in the header)",
    )  # fmt: skip
    parser.add_argument(
        "--encoding", metavar="NAME",
        help="encoding of a CSV, TSV or .txt file, such as cp1252 (default: as in training unless "
        "the file is in Unicode, usually auto, which is UTF-8 or, if the file begins like it, "
        "UTF-16 or UTF-32)",
    )  # fmt: skip
    parser.add_argument(
        "--quoting", choices=[*Quoting],
        help="csv: a text may be in quotes; none: quotes are part of the texts (default: as in "
        "training, usually auto, which is csv unless a TSV file is certainly without quoting)",
    )  # fmt: skip


def add_output_file(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """Add the option --output of a file, with the help `text`, and --overwrite."""
    parser.add_argument("-o", "--output", type=Path, metavar=metavar, help=text)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file of -o if it exists"
    )


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Add Hydra's option --config-dir."""
    parser.add_argument(
        "-cd", "--config-dir", type=Path, metavar="DIR",
        help="folder of your own choices and experiments, laid out like conf/; "
        "it is code: its files may execute any function",
    )  # fmt: skip
