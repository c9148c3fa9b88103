"""lstm-sentiment evaluate: score trained models on a labelled file."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_sentiment.commands.options import (
    MODEL_HELP,
    TABLE_HELP,
    Commands,
    add_file,
    add_output_file,
)
from lstm_sentiment.commands.terminal import (
    Terminal,
    console,
    error_console,
    print_text,
    write_text,
)
from lstm_sentiment.config import MissingValues
from lstm_sentiment.display import shortened
from lstm_sentiment.errors import UsageError
from lstm_sentiment.labels import BINARY, POSITIVE, THRESHOLD
from lstm_sentiment.model.rates import are_uneven

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lstm_sentiment.serving.evaluation import Evaluation

# Of two classes, precision, recall and F1 are those of the second one, {second}.
TITLES_OF_TWO = {
    "reviews": "reviews",
    "accuracy": "accuracy %",
    "interval": "95 % interval",
    "majority_share": "larger class %",
    "balanced_accuracy": "balanced accuracy %",
    "precision": "precision of {second} %",
    "recall": "recall of {second} %",
    "f1": "F1 of {second} %",
    "auroc": "AUROC %",
    "mean_absolute_error": "mean absolute error",
    "quadratic_kappa": "quadratic kappa",
    "loss": "loss",
    "calibration_error": "calibration error",
    "threshold": "threshold",
}
TITLES_OF_MORE = TITLES_OF_TWO | {
    "majority_share": "largest class %",
    "precision": "macro precision %",
    "recall": "macro recall %",
    "f1": "macro F1 %",
}
IF_UNEVEN = ("majority_share", "balanced_accuracy")  # shown if the classes are uneven
# All other scores are percentages.
FORMATS = {
    "reviews": ",",
    "mean_absolute_error": ".4f",
    "quadratic_kappa": ".4f",
    "loss": ".4f",
    "calibration_error": ".4f",
    "threshold": ".4f",
}


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "evaluate",
        help="score trained models on a labelled file",
        description="Score each RUN on the rows of a labelled file. Several RUNs are also scored "
        "as an ensemble, whose probability is the mean of their probabilities.",
        epilog="example: lstm-sentiment evaluate RUN OTHER_RUN --file held_out.csv",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=MODEL_HELP)
    add_file(parser, TABLE_HELP, required=True)
    parser.add_argument(
        "--label-column", metavar="NAME",
        help="column of the labels (default: as in training, usually label or sentiment)",
    )  # fmt: skip
    parser.add_argument(
        "--positive-label", metavar="LABEL",
        help=f"label of the second of two classes, {BINARY.names[POSITIVE]} (default: as in "
        "training, usually 1, pos, positive or true)",
    )  # fmt: skip
    parser.add_argument(
        "--missing", choices=[*MissingValues],
        help="rows without a text or a label: refuse stops at the first, skip leaves them out "
        "(default: as in training, usually refuse)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_output_file(parser, "OUT.json", "also write the JSON to a file")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Print the scores of each model and of their ensemble."""
    from lstm_sentiment.files.outputs import check_file_output
    from lstm_sentiment.serving.evaluation import evaluate, network_names
    from lstm_sentiment.serving.file_reading import file_reading
    from lstm_sentiment.serving.predictor import Predictor

    runs = [Path(run) for run in options.runs]
    names = network_names(runs)
    if len(set(names)) < len(runs):
        raise UsageError("Each RUN may be given only once.")
    if options.output is not None:
        check_file_output(options.output, options.overwrite)  # before the models are loaded
    display = Terminal(error_console)
    predictors = {name: Predictor.load(run, display) for name, run in zip(names, runs, strict=True)}
    configs = {name: predictor.config for name, predictor in predictors.items()}
    reading = file_reading(options.file, configs, vars(options))
    result = evaluate(predictors, options.file, reading, display)
    text = json.dumps({"file": options.file.name, **_content(result)}, indent=1)
    if options.output is not None:
        write_text(options.output, text + "\n", options.overwrite)
    if options.json:
        print_text(text)
    else:
        console.print(scores_table(result.networks, result.classes))


def _content(result: "Evaluation") -> dict[str, Any]:
    """Return the evaluation for JSON, with the names of the classes unless they are usual."""
    content = result._asdict()
    if result.classes == BINARY.names:
        del content["classes"]
    return content


def scores_table(
    scores: Mapping[str, Mapping[str, Any]], classes: Sequence[str] = BINARY.names
) -> "RenderableType":
    """Render a column for each model, and the confusion matrix of the last one.

    If there are several, the last is the ensemble. The others are numbered, with a legend above the
    table, since the names of runs are longer than their scores.
    """
    from rich.console import Group
    from rich.text import Text

    from lstm_sentiment.commands.tables import FittedTable, SplitTable

    *members, last = scores
    names = [*map(shortened, classes)]
    uneven = are_uneven(scores[last]["majority_share"], len(names))
    titles = [*map(str, range(1, len(scores))), last if members else ""]
    rows = [
        [title, *(_cell(score, values.get(score)) for values in scores.values())]
        for score, title in _titles(names).items()
        if any(score in values for values in scores.values()) and (uneven or score not in IF_UNEVEN)
    ]
    matrix = [
        [name, *(f"{count:,}" for count in row)]
        for name, row in zip(names, scores[last]["confusion_matrix"], strict=True)
    ]
    legend = [f" {number}: {name}" for number, name in enumerate(members, 1)] or [f" {last}"]
    table = FittedTable if len(names) == 2 else SplitTable  # K columns may not fit into a line
    return Group(
        *map(Text, legend),
        SplitTable(["", *titles], rows),
        Text(),
        table(_matrix_titles(last, names), matrix),
    )


def _matrix_titles(network: str, classes: Sequence[str]) -> list[str]:
    """Return the titles of the confusion matrix; those of many classes must be short."""
    if len(classes) > 2:
        return [f"{network}: class, predicted:", *classes]
    return [f"{network}: class", *(f"predicted {name}" for name in classes)]


def _titles(classes: Sequence[str]) -> dict[str, str]:
    """Return the titles of the scores of these classes."""
    if len(classes) > 2:
        return TITLES_OF_MORE
    second = classes[POSITIVE]
    return {score: title.replace("{second}", second) for score, title in TITLES_OF_TWO.items()}


def _cell(score: str, value: Any) -> str:
    from lstm_sentiment.report.formatting import NOTHING

    if score == "threshold" and value is None:
        value = THRESHOLD
    if value is None:
        return NOTHING
    if score in FORMATS:
        return f"{value:{FORMATS[score]}}"
    if score == "interval":
        return "\n".join(f"{100 * bound:.2f}" for bound in value)
    return f"{100 * value:.2f}"
