"""lstm-sentiment predict: classify texts with a trained model."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_sentiment.commands.options import (
    MODEL_HELP,
    TABLE_HELP,
    Commands,
    add_file,
    add_output_file,
)
from lstm_sentiment.commands.terminal import Terminal, error_console, print_error, print_text
from lstm_sentiment.display import Display, counted, json_text, on_one_line
from lstm_sentiment.errors import UsageError
from lstm_sentiment.labels import BINARY, POSITIVE, Classes

if TYPE_CHECKING:
    from lstm_sentiment.serving.predictor import Prediction


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "predict",
        help="classify texts with a trained model",
        description="Classify the TEXTs, the rows of a file, or otherwise each line of standard "
        f"input. Print class, probability of {BINARY.names[POSITIVE]} and text, separated by tabs; "
        "with more than two classes, the probability of the predicted one.",
        epilog='examples: lstm-sentiment predict runs/demo/lstm-max-s0-ee992522 "Not bad at all."; '
        "lstm-sentiment predict RUN --file reviews.csv -o labelled.csv",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help=MODEL_HELP)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text to classify")
    add_file(parser, f"{TABLE_HELP}, or .txt with one text a line; the rows keep their order")
    add_output_file(
        parser, "OUT", "with --file: write all columns of the file, class and probability, and the "
        "probability of each class if they are not negative and positive, to this .csv, .tsv, "
        ".jsonl or .parquet file",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object for each text")
    parser.add_argument(
        "--weights", action="store_true",
        help="with --json: add the contribution of each token to the logit",
    )  # fmt: skip
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Classify the texts and print the predictions, or write them to a file."""
    from lstm_sentiment.serving.file_prediction import (
        ROWS,
        predict_file,
        predict_stream,
        read_texts,
    )
    from lstm_sentiment.serving.file_reading import file_reading
    from lstm_sentiment.serving.predictor import Predictor
    from lstm_sentiment.serving.table_output import check_output

    _check(options)
    if options.output is not None:
        check_output(options.file, options.output, options.overwrite)  # before the model is loaded
    display = Terminal(error_console)
    predictor = Predictor.load(options.run, display)
    texts: Iterator[str | None]
    if options.file is not None:
        configs = {str(options.run): predictor.config}
        reading = file_reading(options.file, configs, vars(options))
        if options.output is not None:
            counts = predict_file(
                predictor, options.file, options.output, reading, display, options.overwrite
            )
            display.message(f"{counted(counts.rows, 'row')}: {options.output}")
            _warn_of_missing(counts.without_text, display)
            return
        texts = read_texts(options.file, reading, display)
    else:
        texts = iter(options.texts) if options.texts else _standard_input()
    # Show each prediction at once if a person types the texts or each takes long.
    chunk_size = 1 if sys.stdin.isatty() or options.weights else ROWS
    without_text = 0
    for text, prediction in predict_stream(predictor, texts, options.weights, chunk_size):
        line = _json if options.json else _line
        print_text(line(text, prediction, predictor.classes), flush=chunk_size == 1)
        without_text += prediction is None
    _warn_of_missing(without_text, display)


def _warn_of_missing(count: int, display: Display) -> None:
    if count:
        rows = counted(count, "row", "has", "have")
        display.message(f"{rows} no text and therefore no prediction.", "warning")


def _check(options: argparse.Namespace) -> None:
    """Raise UsageError if options contradict each other."""
    if options.file is not None and options.texts:
        raise UsageError("Give either TEXT or --file, not both.")
    if options.output is not None and options.file is None:
        raise UsageError(f"-o {options.output} needs --file.")
    if options.weights and not options.json:
        raise UsageError("--weights needs --json; lstm-sentiment explain prints them as a table.")


def _standard_input() -> Iterator[str]:
    """Yield the lines of standard input; bytes that are not UTF-8 are replaced.

    Raises InputError before a line beyond LINE_BYTES is in memory.
    """
    from lstm_sentiment.files.limits import LINE_BYTES
    from lstm_sentiment.files.reading import errors_named
    from lstm_sentiment.files.streams import lines_of

    if sys.stdin.isatty():
        print_error("Type one text a line; Ctrl-D ends.")
    with errors_named("standard input"):
        for line in lines_of(sys.stdin.buffer, LINE_BYTES):
            yield line.decode(errors="replace").rstrip("\r\n")


def _line(text: str | None, prediction: "Prediction | None", _: Classes) -> str:
    if text is None or prediction is None:
        return "\t\t"
    return f"{on_one_line(prediction.label)}\t{prediction.probability:.4f}\t{on_one_line(text)}"


def _json(text: str | None, prediction: "Prediction | None", classes: Classes) -> str:
    """Return an object with the prediction, and all probabilities unless the classes are usual."""
    values: dict[str, Any] = dict.fromkeys(("label", "probability", "text"))
    if not classes.are_usual:
        values["probabilities"] = None
    if text is None or prediction is None:
        return json_text(values)
    values |= {"label": prediction.label, "probability": prediction.probability, "text": text}
    if not classes.are_usual:
        probabilities = zip(classes.names, prediction.probabilities, strict=True)
        values["probabilities"] = dict(probabilities)
    if prediction.weights is not None:
        values["weights"] = prediction.weights
    return json_text(values)
