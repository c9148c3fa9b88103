"""lstm-sentiment predict, evaluate, explain and export: what a trained run is of use for."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically

if TYPE_CHECKING:
    from lstm_sentiment.serving.predictor import Prediction

RUN = "the folder of a finished run, its model/, or one that export has made"
CHECKED = 1_000  # texts at most, on which an exported network has to agree
TABLE = "CSV, TSV, JSON Lines (also .gz) or Parquet"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the four to the parser of lstm-sentiment."""
    predict = commands.add_parser(
        "predict",
        help="label texts with a trained network",
        description="Labels the TEXTs, the rows of a file, or without either each line of standard "
        "input. To standard output go label, probability of positive and text, tabs between them.",
        epilog='examples: lstm-sentiment predict runs/demo/lstm-max-s0-1294e4ba "Not bad at all."; '
        "lstm-sentiment predict RUN --file reviews.csv -o labelled.csv",
    )
    predict.add_argument("run", type=Path, metavar="RUN", help=RUN)
    predict.add_argument("texts", nargs="*", metavar="TEXT", help="what is to be labelled")
    _add_file(predict, f"{TABLE}, or .txt with a text in each line; its rows keep their order")
    predict.add_argument(
        "-o", "--output", type=Path, metavar="OUT",
        help="with --file: .csv, .tsv, .jsonl or .parquet, all columns of the file and two more",
    )  # fmt: skip
    predict.add_argument("--json", action="store_true", help="print a JSON object for each text")
    predict.add_argument(
        "--weights", action="store_true", help="with --json: what each token adds to the logit"
    )
    predict.set_defaults(command=_predict, repeated="texts")

    evaluate = commands.add_parser(
        "evaluate",
        help="score trained networks on a labelled file",
        description="Scores each RUN on the rows of a labelled file, and several also as an "
        "ensemble, whose probability is the mean of theirs.",
        epilog="example: lstm-sentiment evaluate RUN OTHER_RUN --file held_out.csv",
    )
    evaluate.add_argument("runs", nargs="+", metavar="RUN", help=RUN)
    _add_file(evaluate, TABLE, required=True)
    evaluate.add_argument("--label-column", metavar="C", help="default: label or sentiment")
    evaluate.add_argument(
        "--positive-label", metavar="L", help="what stands for positive, where it is none of the "
        "usual: 1, pos, positive, true",
    )  # fmt: skip
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of a table")
    evaluate.add_argument(
        "-o", "--output", type=Path, metavar="OUT.json", help="also write the JSON to a file"
    )
    evaluate.set_defaults(command=_evaluate, repeated="runs")

    explain = commands.add_parser(
        "explain",
        help="show which words an answer comes from",
        description="Shows the text in colours: green words speak for positive, red ones against "
        "it (integrated gradients); and attention, where the head has any.",
        epilog='example: lstm-sentiment explain RUN "Not bad at all." -o why.html',
    )
    explain.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    explain.add_argument("text", metavar="TEXT")
    explain.add_argument(
        "-o", "--output", type=Path, metavar="OUT.html", help="also write it as a page"
    )
    explain.set_defaults(command=_explain)

    export = commands.add_parser(
        "export",
        help="turn a trained network into ONNX",
        description="Writes the network for ONNX Runtime, beside all that it takes to read texts, "
        "once it has been seen to give the same answers as the run itself. Needs the extra onnx.",
        epilog="example: lstm-sentiment export RUN --onnx --int8 --file reviews.csv",
    )
    export.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    export.add_argument("--onnx", action="store_true", required=True, help="as ONNX")
    export.add_argument("--int8", action="store_true", help="with weights in 8 bits")
    _add_file(export, "texts on which both have to agree; without it, of words that the network "
              "knows, drawn at random")  # fmt: skip
    export.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="default: RUN/onnx or RUN/onnx-int8"
    )
    export.set_defaults(command=_export)


def _add_file(parser: argparse.ArgumentParser, text: str, required: bool = False) -> None:
    parser.add_argument("--file", type=Path, required=required, metavar="FILE", help=text)
    parser.add_argument("--column", metavar="C", help="of the texts; default: text or review")


def _predict(options: argparse.Namespace) -> None:
    from lstm_sentiment.serving.predictor import Predictor
    from lstm_sentiment.serving.rows import (
        ROWS,
        output_writer,
        predict_file,
        predictions,
        texts_of,
    )

    if options.file is not None and options.texts:
        raise InputError("Texts and --file were given: give one of them.")
    if options.output is not None:
        if options.file is None:
            raise InputError(f"-o {options.output} goes with --file: texts go to standard output.")
        output_writer(options.output)  # refused before anything is read
    if options.weights and not options.json:
        raise InputError("--weights goes with --json: lstm-sentiment explain shows them.")
    predictor = Predictor.load(options.run)
    if options.output is not None:
        with _progress(options.file) as seen:
            done = predict_file(predictor, options.file, options.column, options.output, seen)
        print(f"{done:,} rows: {options.output}", file=sys.stderr)
        return
    if options.file is not None:
        texts = texts_of(options.file, options.column)
    else:
        texts = iter(options.texts) if options.texts else _typed_lines()
    at_once = 1 if sys.stdin.isatty() or options.weights else ROWS
    for text, found in predictions(predictor, texts, options.weights, at_once):
        print(_line(text, found, options.json), flush=at_once == 1)


def _typed_lines() -> Iterator[str]:
    """Those of standard input; each may be what no encoding knows."""
    if sys.stdin.isatty():
        print("One text in each line; Ctrl-D ends.", file=sys.stderr)
    for line in sys.stdin.buffer:
        yield line.decode(errors="replace").rstrip("\r\n")


def _line(text: str, found: "Prediction", as_json: bool) -> str:
    from lstm_sentiment.data.tokens import printable

    if not as_json:
        # What would move a terminal's cursor does not get there.
        visible = "".join(c if c.isprintable() else " " for c in text)
        return f"{found.label}\t{found.probability:.4f}\t{printable(' '.join(visible.split()))}"
    values = {"label": found.label, "probability": found.probability, "text": printable(text)}
    if found.weights is not None:
        values["weights"] = [[printable(token), weight] for token, weight in found.weights]
    return json.dumps(values, ensure_ascii=False)


def _evaluate(options: argparse.Namespace) -> None:
    from lstm_sentiment.data.formats import Columns
    from lstm_sentiment.serving.evaluation import evaluate, names, table
    from lstm_sentiment.serving.predictor import Predictor
    from lstm_sentiment.serving.rows import OPTIONS

    columns = Columns(options.column, options.label_column, options.positive_label, OPTIONS)
    runs = [Path(run) for run in options.runs]
    predictors = dict(zip(names(runs), map(Predictor.load, runs), strict=True))
    if len(predictors) < len(runs):
        raise InputError("A RUN was given twice: an ensemble is of different ones.")
    with _progress(options.file) as seen:
        found = evaluate(predictors, options.file, columns, seen)
    text = json.dumps({"file": options.file.name, "networks": found}, indent=1)
    if options.output is not None:
        _write(options.output, text + "\n")
    if options.json:
        print(text)
    else:
        Console(soft_wrap=True, highlight=False).print(table(found))


def _explain(options: argparse.Namespace) -> None:
    from lstm_sentiment.serving.explanation import coloured, page
    from lstm_sentiment.serving.predictor import Predictor

    found = Predictor.load(options.run).explain(options.text)
    if options.output is not None:
        _write(options.output, page(found))
    Console(highlight=False).print(coloured(found))
    if options.output is not None:
        Console(soft_wrap=True, highlight=False).print("[bold]page[/]", escape(str(options.output)))


def _export(options: argparse.Namespace) -> None:
    from lstm_sentiment.serving.rows import texts_of

    try:
        from lstm_sentiment.serving.export import export, random_texts
    except ImportError as error:
        raise InputError(
            f"ONNX is not installed ({error.name} is missing): "
            'pip install -c constraints.txt -e ".[onnx]"'
        ) from error
    from lstm_sentiment.serving.predictor import Predictor

    predictor = Predictor.load(options.run)
    if options.file is not None:
        texts = list(islice(texts_of(options.file, options.column), CHECKED))
    else:
        texts = random_texts(predictor)
    folder = options.output or options.run / ("onnx-int8" if options.int8 else "onnx")
    done = export(predictor, folder, options.int8, texts)
    print(done.sentence)
    Console(soft_wrap=True, highlight=False).print("[bold]exported[/]", escape(str(folder)))


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode(), durable=False)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """A bar of the rows that are done, on standard error where that is a terminal."""
    from lstm_sentiment.data.formats import count_rows

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True,
                  disable=not console.is_terminal) as bar:  # fmt: skip
        task = bar.add_task("", total=count_rows([file]), rate="")

        def seen(rows: int) -> None:
            spent = bar.tasks[0].elapsed
            bar.update(task, completed=rows, rate=f"{rows / spent:,.0f} rows/s" if spent else "")

        yield seen
