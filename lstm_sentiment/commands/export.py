"""lstm-sentiment export: write a trained network for ONNX Runtime."""

import argparse
from itertools import islice
from pathlib import Path

from lstm_sentiment.commands.options import HUB_HELP, RUN_HELP, Commands, add_file
from lstm_sentiment.commands.terminal import Terminal, error_console, print_labelled, print_text
from lstm_sentiment.errors import InputError, UsageError

MAX_TEXTS = 1_000  # on which the exported network is compared with the original


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "export",
        help="export a trained network to ONNX",
        description="Write the network for ONNX Runtime, with the vocabulary and the "
        "configuration, and compare its predictions with the predictions of the run. Requires "
        "the extra onnx.",
        epilog="example: lstm-sentiment export RUN --int8 --file reviews.csv",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help=f"{RUN_HELP}, or {HUB_HELP}")
    # ONNX is the only format; earlier versions required the option.
    parser.add_argument("--onnx", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--int8", action="store_true", help="store the weights in 8 bits")
    add_file(parser, f"texts for the check, the first {MAX_TEXTS:,} of this file (default: random "
             "texts of known words)")  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR",
        help="folder of the exported model (default: RUN/onnx or RUN/onnx-int8)",
    )  # fmt: skip
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Export the network and print the comparison of its predictions with the original."""
    from lstm_sentiment.runs.hub_models import hub_model
    from lstm_sentiment.serving.file_prediction import read_texts
    from lstm_sentiment.serving.file_reading import file_reading
    from lstm_sentiment.serving.predictor import Predictor

    try:
        from lstm_sentiment.serving.export import export, random_texts, require_network, run_kept
    except ImportError as error:
        raise InputError(
            f'ONNX is not installed ({error.name} is missing): pip install "lstm_sentiment[onnx]"'
        ) from error

    if options.output is None and hub_model(options.run) is not None:
        raise UsageError(
            f"{options.run} is no folder to write the export into: give one with -o DIR."
        )
    folder = options.output or options.run / ("onnx-int8" if options.int8 else "onnx")
    display = Terminal(error_console)
    with run_kept(folder):
        predictor = Predictor.load(options.run, display)
        require_network(predictor)  # before a file is read
        if options.file is not None:
            configs = {str(options.run): predictor.config}
            reading = file_reading(options.file, configs, vars(options))
            read = read_texts(options.file, reading, display)
            texts = list(islice(filter(None, read), MAX_TEXTS))
        else:
            texts = random_texts(predictor)
        print_text(export(predictor, folder, options.int8, texts).summary)
    print_labelled("exported", folder)
