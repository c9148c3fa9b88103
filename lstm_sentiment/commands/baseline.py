"""lstm-sentiment baseline: train the n-gram baselines on the same reviews."""

import argparse
from itertools import product

from rich.text import Text

from lstm_sentiment.commands.accuracy import accuracies
from lstm_sentiment.commands.options import Commands, add_config_dir
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
        "baseline",
        help="train the n-gram baselines on the same reviews",
        description="Train logistic regression and NB-SVM on words, bigrams and trigrams of the "
        "reviews that a training command names, and write their records into its sweep. The "
        "strength of the penalty is chosen on the validation set. Settings that only networks use "
        "are ignored.",
        epilog="example: lstm-sentiment baseline experiment=pooling data.path=../imdb",
    )
    parser.add_argument("-m", "--multirun", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="FIELD=VALUE",
        help="settings, as for training (default: none)",
    )
    add_config_dir(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Train each baseline on each set of reviews, and print their scores."""
    from lstm_sentiment.commands.hydra_config import compose_all
    from lstm_sentiment.data.cache import DataCache
    from lstm_sentiment.model.ngram_classifier import NgramModel
    from lstm_sentiment.runs.folder import unwritable
    from lstm_sentiment.runs.identity import sweep_folder
    from lstm_sentiment.training.baseline import baseline, distinct

    terminal = Terminal()
    configs = distinct(compose_all(options.overrides, options.config_dir))
    with DataCache(terminal) as cache:
        for kind, config in product(NgramModel, configs):
            try:
                record = baseline(kind, config, cache)
            except OSError as error:
                raise unwritable(config.root, error) from error
            penalty = f"C={record['penalty']['c']:g}"
            seconds = f"trained in {record['cost']['fit_seconds']:.1f} s"
            results = f"  {', '.join([*accuracies(record), penalty, seconds])}"
            console.print(Text.assemble((record["name"], "bold"), results))
    sweep = typed_path(sweep_folder(config))
    print_next(f"{typed_program('lstm-sentiment')} report {sweep}")
