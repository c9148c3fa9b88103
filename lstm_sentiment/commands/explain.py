"""lstm-sentiment explain: show how much each token contributes to a prediction."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_sentiment.commands.options import MODEL_HELP, Commands, add_output_file
from lstm_sentiment.commands.terminal import (
    Terminal,
    TextConsole,
    error_console,
    print_labelled,
    write_text,
)
from lstm_sentiment.display import printable
from lstm_sentiment.labels import BINARY, NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lstm_sentiment.serving.predictor import Explanation


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "explain",
        help="show how much each token contributes to a prediction",
        description="Show the contribution of each token to the logit (integrated gradients; "
        "for an n-gram baseline, weight times value): "
        f"green tokens favour {BINARY.names[POSITIVE]}, red ones {BINARY.names[NEGATIVE]}. With "
        "more than two classes, green tokens favour the predicted one. Show the attention weights "
        "if the head has any.",
        epilog='example: lstm-sentiment explain RUN "Not bad at all." -o why.html',
    )
    parser.add_argument("run", type=Path, metavar="RUN", help=MODEL_HELP)
    parser.add_argument("text", metavar="TEXT", help="the text to classify and explain")
    parser.add_argument(
        "--class", dest="label", metavar="NAME",
        help="class whose logit is explained (default: the second of two classes, "
        f"{BINARY.names[POSITIVE]}, or the predicted one of more)",
    )  # fmt: skip
    add_output_file(parser, "OUT.html", "also write the explanation as a page")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Print the explanation and, if requested, write its page."""
    from lstm_sentiment.files.outputs import check_file_output
    from lstm_sentiment.serving.explanation import page
    from lstm_sentiment.serving.predictor import Predictor

    if options.output is not None:
        check_file_output(options.output, options.overwrite)  # before the model is loaded
    predictor = Predictor.load(options.run, Terminal(error_console))
    explanation = predictor.explain(options.text, options.label)
    if options.output is not None:
        write_text(options.output, page(explanation), options.overwrite)
    TextConsole().print(explanation_view(explanation))  # wraps the text into lines
    if options.output is not None:
        print_labelled("page", options.output)


def explanation_view(explanation: "Explanation") -> "RenderableType":
    """Render the coloured text, the strongest tokens and the notes."""
    from rich.console import Group
    from rich.text import Text

    from lstm_sentiment.commands.tables import FittedTable
    from lstm_sentiment.serving.explanation import (
        decomposition,
        headline,
        legend,
        strongest_tokens,
        token_notes,
    )

    columns, rows = ["token", "contribution"], []
    if explanation.attribution.attention is not None:
        columns.append("attention")
    for token, contribution, attention in strongest_tokens(explanation):
        cells = [f"{attention:.1%}"] if attention is not None else []
        rows.append([printable(token), f"{contribution:+.3f}", *cells])
    is_usual = explanation.classes.are_usual and explanation.label == POSITIVE  # as in --help
    meaning = "" if is_usual else legend(explanation)
    notes = [meaning, decomposition(explanation), token_notes(explanation)]
    return Group(
        Text(headline(explanation), "bold"),
        _coloured_text(explanation),
        Text(),
        FittedTable(columns, rows),
        Text(),
        Text("\n".join(filter(None, notes))),
    )


def _coloured_text(explanation: "Explanation") -> "RenderableType":
    """Render the tokens, white on the colour of their contribution; unknown ones underlined."""
    from rich.text import Text

    from lstm_sentiment.serving.explanation import colour, relative_contributions

    text = Text()
    for token, known, contribution in zip(
        explanation.tokens, explanation.known, relative_contributions(explanation), strict=True
    ):
        background = (int(abs(contribution) * part) for part in colour(contribution))
        style = f"white on rgb({','.join(map(str, background))})" + ("" if known else " underline")
        text.append(printable(token), style).append(" ")
    return text
