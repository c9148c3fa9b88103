"""lstm-sentiment pretrain: train a language model. `python pretrain.py` is the same command."""

import argparse

from rich.text import Text

from lstm_sentiment.commands.options import Commands, add_config_dir
from lstm_sentiment.commands.terminal import (
    Terminal,
    console,
    display_of_run,
    print_next,
    print_text,
    typed_path,
    typed_program,
)
from lstm_sentiment.display import duration

NAME = "pretrain"


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        NAME,
        help="train a language model, from which networks start",
        description="Train a recurrent language model on the training and the unlabelled reviews, "
        "but on no text of the test set. The default data.val_fraction=0 has no validation set, so "
        "the language model reads the texts, but no label, of the reviews on which a network "
        "validates by default; give the data.val_fraction of the network to leave them out. With "
        "encoder.start_from, the word vectors and the encoder of a network start from the language "
        "model.",
        epilog="example: lstm-sentiment pretrain encoder=gru data.path=../imdb",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="FIELD=VALUE",
        help="settings (default: those of conf/pretrain.yaml)",
    )
    add_config_dir(parser)
    parser.add_argument("--cfg", choices=["job"], help="print the configuration, and train nothing")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Train a language model, unless it is finished, and print how well it predicts."""
    from lstm_sentiment.commands.hydra_config import compose_pretraining

    config, text = compose_pretraining(options.overrides, options.config_dir)
    if options.cfg:
        print_text(text.rstrip())
        return

    from lstm_sentiment.data.cache import DataCache
    from lstm_sentiment.training.pretrain import PretrainingPlan, pretrain
    from lstm_sentiment.training.run import execute, remove_leftovers

    with DataCache(Terminal()) as cache:
        plan = PretrainingPlan.of(config, cache)
        record = plan.finished_record
        if record is not None:
            remove_leftovers(plan)
            remark = "  is finished; rerun=true trains it again"
            console.print(Text.assemble((plan.folder.name, "bold"), remark))
        else:
            console.print(Text(plan.folder.name, "bold"))
            shown = config.trainer.enable_progress_bar
            display = display_of_run(plan.folder.name, shown)
            record = execute(plan, display, wait=True, train=pretrain)
    cost = record["cost"]
    console.print(
        f"perplexity {record['perplexity']:.2f} on {record['data']['held_out']:,} held-out "
        f"reviews, trained in {duration(cost['fit_seconds'])}, "
        f"{cost['tokens_per_second']:,.0f} tokens/s"
    )
    program = typed_program("lstm-sentiment")
    print_next(f"{program} train encoder.start_from={typed_path(plan.folder)}")
