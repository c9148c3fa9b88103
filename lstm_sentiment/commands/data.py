"""lstm-sentiment data: show sizes, balance, lengths, copies and examples of the reviews."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_sentiment.commands.options import Commands, add_config_dir
from lstm_sentiment.commands.terminal import Terminal, console, print_labelled

if TYPE_CHECKING:
    from lstm_sentiment.config import Config


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "data",
        help="inspect the reviews before training",
        description="Print sizes and class balance of the splits, lengths, unknown tokens, copies "
        "and ten examples, and plot the lengths. DATA is a file, a folder, a glob, a data set on "
        "the Hugging Face hub, imdb, synthetic, or FIELD=VALUE as for training.",
        epilog="example: lstm-sentiment data reviews.csv data.max_length=200",
    )
    parser.add_argument("data", nargs="+", metavar="DATA", help="reviews, or a setting FIELD=VALUE")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR",
        help="folder of the plot (default: here)",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action="store_true",
        help="replace a file of the plot's name even if it is not from this command",
    )  # fmt: skip
    add_config_dir(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Print an overview of the reviews and write the plot of their lengths."""
    from lstm_sentiment.commands.data_overview import length_histogram, overview
    from lstm_sentiment.data.cache import DataCache
    from lstm_sentiment.data.datamodule import ReviewDataModule
    from lstm_sentiment.files.outputs import errors_of_writing, file_output
    from lstm_sentiment.runs.run_plots import is_own_png, png

    terminal = Terminal()
    configs = parse_data(options.data, options.config_dir)
    for number, config in enumerate(configs, 1):
        with DataCache(terminal) as cache:
            data = ReviewDataModule(config.data, test=config.test, cache=cache)
            data.prepare_data()
            data.setup()
        console.print(overview(data))
        prefix = f"{number}_" if len(configs) > 1 else ""  # two data sets may have the same name
        name = re.sub(r"\W+", "_", data.corpus.name)
        path = options.output / f"{prefix}{name}_lengths.png"
        with errors_of_writing(path):
            options.output.mkdir(parents=True, exist_ok=True)
        with file_output(path, options.overwrite or is_own_png(path)) as draft:
            draft.write_bytes(png(length_histogram(data)))
        console.print()
        print_labelled("plot", path)


def parse_data(arguments: Sequence[str], config_dir: Path | None = None) -> "list[Config]":
    """Return one configuration for each DATA in `arguments`; FIELD=VALUE applies to all of them.

    DATA is a path, a glob, a name on the hub, or one of the choices of `data=`. Without DATA, the
    fields define one configuration. Raises InputError if a configuration is not valid.
    """
    from lstm_sentiment.commands.hydra_config import compose

    # Unlike Path.exists, which raises an error for long names.
    fields = [each for each in arguments if "=" in each and not os.path.exists(each)]  # noqa: PTH110
    names = [argument for argument in arguments if argument not in fields]
    configs = [_config(name, fields, config_dir) for name in names] or [
        compose(fields, config_dir=config_dir)
    ]
    for config in configs:
        config.data.batch_size = 1  # the reviews may be fewer than a batch
    return configs


def _config(data: str, fields: Sequence[str], config_dir: Path | None) -> "Config":
    from lstm_sentiment.commands.hydra_config import compose
    from lstm_sentiment.config import Source
    from lstm_sentiment.data.sources import KAGGLE_NAMES

    if data in list(Source):
        return compose([f"data={data}", *fields], config_dir=config_dir)
    path = Path(data).expanduser()
    imdb = os.path.isdir(path) or path.name in KAGGLE_NAMES  # noqa: PTH112 - never raises
    source = Source.imdb if imdb else Source.reviews
    return compose([f"data={source}", *fields], data, config_dir)
