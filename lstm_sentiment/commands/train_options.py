"""lstm-sentiment train: the options, for `--help` and for completion in shells.

Hydra parses them: see `train`, which is imported only when the command runs.
"""

from lstm_sentiment.commands.choices import choices
from lstm_sentiment.commands.options import Commands, add_config_dir

NAME = "train"


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        NAME,
        help="train one network or, with -m, several",
        description="Train the network that the settings describe. With -m, values separated by "
        "commas are combined.",
        epilog="example: lstm-sentiment train -m data=synthetic encoder=lstm,gru head=max,avg",
    )
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="train every combination of the values"
    )
    add_config_dir(parser)
    parser.add_argument("--cfg", choices=["job"], help="print the configuration, and train nothing")
    settings = parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE", help="settings (default: an LSTM on IMDB)"
    )
    settings.choices = choices()  # completed, not checked: fields are settings, too
