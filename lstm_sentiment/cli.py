"""lstm-sentiment: what is done before and after training."""

import argparse
import re
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lstm_sentiment.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0, 1 for an input that cannot be used, 2 for a wrong usage."""
    parser = argparse.ArgumentParser(prog="lstm-sentiment", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = commands.add_parser(
        "report",
        help="compare all runs below a folder",
        description="Prints every run below RUNS, ranked by validation accuracy, and writes the "
        "same to report.md.",
        epilog="example: lstm-sentiment report runs/default",
    )
    report.add_argument("runs", type=Path, metavar="RUNS", help="a run, a sweep, or all of runs/")
    report.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="where report.md goes (default: RUNS)"
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
    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _report(options: argparse.Namespace) -> None:
    from lstm_sentiment.files import write_atomically
    from lstm_sentiment.report.comparison import comparison, markdown
    from lstm_sentiment.report.runs import read_runs

    runs = read_runs(options.runs)
    Console(soft_wrap=True, highlight=False).print(comparison(runs))
    folder = options.output or options.runs
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "report.md", f"{markdown(runs)}\n".encode())
    except OSError as error:
        raise InputError(
            f"report.md cannot be written to {folder} ({error.strerror}): name another with -o."
        ) from error


def _status(options: argparse.Namespace) -> None:
    from lstm_sentiment.report.runs import read_runs
    from lstm_sentiment.report.status import status

    Console(soft_wrap=True, highlight=False).print(status(read_runs(options.runs)))


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


if __name__ == "__main__":
    sys.exit(main())
