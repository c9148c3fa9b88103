"""lstm-sentiment tune: search settings for the highest validation accuracy, with Optuna."""

import argparse

from lstm_sentiment.commands.choices import choices
from lstm_sentiment.commands.options import Commands, add_config_dir
from lstm_sentiment.commands.signals import resumable
from lstm_sentiment.errors import InputError, UsageError

SAMPLERS, PRUNERS = ("tpe", "random"), ("median", "hyperband", "none")


class Suggested(list[str]):
    """Choices that a shell completes, beside which all other words are allowed."""

    def __contains__(self, word: object) -> bool:
        return True


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "tune",
        help="search settings for the highest validation accuracy",
        description="Search settings for the highest validation accuracy of the best epoch. Spaces "
        "are written as in Hydra's sweeps: range(LOW,HIGH[,STEP]) with both ends included, "
        "interval(LOW,HIGH), choice(A,B) or A,B. Numbers are searched on a linear scale; write "
        "tag(log,interval(1e-4,1e-2)) for rates, which are then searched on a logarithmic scale. "
        "The test set is not used. Each trial is an ordinary run. The same command on other "
        "terminals or machines adds workers, and continues a search that was interrupted. Requires "
        "the extra tune.",
        epilog="example: lstm-sentiment tune data.path=../imdb head=max,avg "
        "'encoder.hidden_size=range(64,512)' 'optimizer.lr=tag(log,interval(1e-4,1e-2))' "
        "--trials 50",
    )
    settings = parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE",
        help="settings of all trials, and the spaces of those that are searched",
    )  # fmt: skip
    settings.choices = Suggested(choices())
    parser.add_argument(
        "--trials", type=int, required=True, metavar="N",
        help="finished and pruned trials of all workers together",
    )  # fmt: skip
    parser.add_argument(
        "--sampler", choices=SAMPLERS, default=SAMPLERS[0],
        help="tpe draws values from what earlier trials have shown (tree-structured Parzen "
        "estimator), random does not (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--pruner", choices=PRUNERS, default=PRUNERS[0],
        help="ends trials that are worse than others after the same epoch (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--storage", metavar="STORAGE",
        help="what the workers share: a URL postgresql://USER@HOST/DATABASE (requires the extra "
        "postgresql) or, for a network disk, a FILE.journal (default: an SQLite database in the "
        "folder of the sweep)",
    )  # fmt: skip
    add_config_dir(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Train trials until as many as asked for have ended, and show the best ones."""
    if options.trials < 1:
        raise UsageError(f"--trials must be at least 1 (got {options.trials}).")
    from lstm_sentiment.commands.search_space import SearchSpace

    space = SearchSpace.parse(options.overrides, options.config_dir)
    try:
        from lstm_sentiment.commands.search import Search
    except ImportError as error:
        raise InputError(
            f'Optuna is not installed ({error.name} is missing): pip install "lstm_sentiment[tune]"'
        ) from error

    with resumable():
        search = Search.begin(
            space, options.storage, options.sampler, options.pruner, options.trials
        )
        search.train()
        search.show()
