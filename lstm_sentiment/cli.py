"""lstm-sentiment: what is done before and after training."""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import shtab
from rich.console import Console
from rich.markup import escape

from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.commands import add_commands


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0, 1 for an input that cannot be used, 2 for a wrong usage."""
    parser = argparse.ArgumentParser(
        prog="lstm-sentiment",
        description=__doc__,
        epilog="example: lstm-sentiment report runs/default; COMMAND --help has more",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = commands.add_parser(
        "report",
        help="compare all runs below a folder",
        description="Prints what was trained below RUNS, ranked by accuracy on validation, and "
        "writes report.html, report.md, comparison.csv, runs.csv and figures/.",
        epilog="example: lstm-sentiment report runs/default",
    )
    report.add_argument("runs", type=Path, metavar="RUNS", help="a run, a sweep, or all of runs/")
    report.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where the report goes (default: RUNS)"
    )
    report.set_defaults(command=_report)
    status = commands.add_parser(
        "status",
        help="what is done, running, failed, interrupted or missing",
        description="Says of every run at or below RUNS what became of it; it changes nothing.",
        epilog="example: lstm-sentiment status runs/default",
    )
    status.add_argument("runs", type=Path, metavar="RUNS", help="a run, a sweep, or all of runs/")
    status.set_defaults(command=_status)
    board = commands.add_parser(
        "tensorboard",
        help="TensorBoard with runs under readable names",
        description="Starts TensorBoard on the runs at or below RUNS, each under the name that "
        "report gives it and its seed; what stands behind RUNS is handed on to TensorBoard.",
        epilog="example: lstm-sentiment tensorboard runs/pooling --port 6007",
    )
    board.add_argument("runs", type=Path, metavar="RUNS", help="a run, a sweep, or all of runs/")
    board.add_argument("options", nargs=argparse.REMAINDER, help="options of TensorBoard")
    board.set_defaults(command=_tensorboard)
    data = commands.add_parser(
        "data",
        help="what is in the reviews, before one trains on them",
        description="Shows splits, balance, lengths, unknown words, copies of texts and ten "
        "examples, and draws the lengths. DATA is a file, a folder, a glob, a name of the Hugging "
        "Face hub, imdb or synthetic, or FIELD=VALUE as typed for train.py.",
        epilog="example: lstm-sentiment data reviews.csv data.max_length=200",
    )
    data.add_argument("data", nargs="+", metavar="DATA", help="reviews, or FIELD=VALUE")
    data.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR",
        help="where the picture goes (default: here)",
    )  # fmt: skip
    data.set_defaults(command=_data)
    baseline = commands.add_parser(
        "baseline",
        help="what counting words and bigrams reaches on the same reviews",
        description="Trains logistic regression and NB-SVM on words and bigrams of the reviews "
        "that a training command names, and leaves their records in its sweep. WORD is as typed "
        "for train.py; what concerns networks alone is ignored.",
        epilog="example: lstm-sentiment baseline experiment=pooling data.path=../imdb",
    )
    baseline.add_argument("-m", "--multirun", action="store_true", help=argparse.SUPPRESS)
    baseline.add_argument("words", nargs="*", metavar="WORD", help="as typed for train.py")
    baseline.set_defaults(command=_baseline)
    add_commands(commands)
    shtab.add_argument_to(parser, help="print what completes commands in a shell, and end")
    try:
        options = _parsed(parser, arguments)
        options.command(options)
        sys.stdout.flush()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # who reads the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def _parsed(parser: argparse.ArgumentParser, words: list[str] | None) -> argparse.Namespace:
    """Also where texts or runs stand behind options, which argparse takes for words too many."""
    options, behind = parser.parse_known_args(words)
    end = behind.index("--") if "--" in behind else len(behind)
    if behind and ("repeated" not in options or any(w.startswith("-") for w in behind[:end])):
        parser.error(f"unrecognized arguments: {' '.join(behind)}")
    if behind:
        getattr(options, options.repeated).extend(behind[:end] + behind[end + 1 :])
    return options


def _report(options: argparse.Namespace) -> None:
    from lstm_sentiment.files import write_atomically
    from lstm_sentiment.report import document, tables
    from lstm_sentiment.report.ranking import ranking
    from lstm_sentiment.report.report import report
    from lstm_sentiment.report.runs import read_runs

    console = Console(soft_wrap=True, highlight=False)
    runs = read_runs(options.runs)
    console.print(ranking(runs))
    folder = options.output or options.runs
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before a minute goes into what cannot be kept
        document.earlier_report(folder)
        blocks, comparisons = report(runs)
        document.write(
            f"Comparison of {options.runs.resolve().name}", blocks, folder, console.is_terminal
        )
        for name, text in (
            ("comparison.csv", tables.comparison_table(comparisons)),
            ("runs.csv", tables.run_table(runs)),
        ):
            write_atomically(folder / name, text.encode(), durable=False)
    except OSError as error:
        raise InputError(
            f"The report cannot be written to {folder} ({error.strerror}): name another with -o."
        ) from error
    console.print("[bold]report[/]", escape(str(folder / "report.html")))


def _status(options: argparse.Namespace) -> None:
    from lstm_sentiment.report.runs import read_runs
    from lstm_sentiment.report.status import status

    Console(soft_wrap=True, highlight=False).print(status(read_runs(options.runs)))


def _tensorboard(options: argparse.Namespace) -> None:
    from lstm_sentiment.report.runs import read_runs
    from lstm_sentiment.report.tensorboard import link

    runs = read_runs(options.runs)
    with TemporaryDirectory() as tree:
        link(runs, Path(tree))
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", tree, *options.options]
        with suppress(KeyboardInterrupt):  # which is how one ends it
            if code := subprocess.run(command).returncode:
                raise InputError(f"TensorBoard ended with exit code {code}: it says why above.")


def _data(options: argparse.Namespace) -> None:
    from lstm_sentiment.data.cache import begin_command, leave_nothing
    from lstm_sentiment.data.datamodule import ReviewDataModule
    from lstm_sentiment.files import write_atomically
    from lstm_sentiment.report.overview import length_histogram, overview, typed_configs
    from lstm_sentiment.training.artifacts import png

    console = Console(highlight=False)
    for number, config in enumerate(configs := typed_configs(options.data), 1):
        data = ReviewDataModule(config.data, test=config.test, progress=console.is_terminal)
        begin_command()
        try:
            data.prepare_data()
            data.setup()
        except InputError:
            leave_nothing()
            raise
        console.print(overview(data))
        which = f"{number}_" if len(configs) > 1 else ""  # two may have one name
        name = re.sub(r"\W+", "_", data.corpus.name)
        picture = options.output / f"{which}{name}_lengths.png"
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            write_atomically(picture, png(length_histogram(data)))
        except OSError as error:
            raise InputError(
                f"{picture} cannot be written ({error.strerror}): name another folder with -o."
            ) from error
        console.print(f"\n[bold]picture[/] {escape(str(picture))}")


def _baseline(options: argparse.Namespace) -> None:
    from lstm_sentiment.data.cache import begin_command, leave_nothing
    from lstm_sentiment.launch import compose_all
    from lstm_sentiment.model.ngrams import Classifier
    from lstm_sentiment.training.baseline import baseline, distinct
    from lstm_sentiment.training.record import sweep_folder
    from lstm_sentiment.training.run import unwritable
    from lstm_sentiment.training.sweep import typed

    console = Console(soft_wrap=True, highlight=False)
    configs = distinct(compose_all(options.words))
    begin_command()
    for kind, config in product(Classifier, configs):
        try:
            with console.status(f"{kind}: counting words and bigrams"):
                record = baseline(kind, config)
        except InputError:
            leave_nothing()
            raise
        except OSError as error:
            leave_nothing()
            raise unwritable(config.root, error) from error
        scores = [
            f"{split} {record[split]['accuracy']:.2%}" for split in ("val", "test") if record[split]
        ]
        spent = f"trained in {record['cost']['fit_seconds']:.1f} s"
        console.print(f"[bold]{record['name']}[/]  {', '.join([*scores, spent])}")
    where = shlex.quote(str(sweep_folder(config)))
    console.print("[bold]next[/] ", escape(f"{typed('lstm-sentiment')} report {where}"))


if __name__ == "__main__":
    sys.exit(main())
