"""The program `lstm-sentiment`: its commands and its exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from lstm_sentiment import __version__
from lstm_sentiment.commands import (
    baseline,
    data,
    ensemble,
    evaluate,
    explain,
    export,
    power,
    predict,
    pretrain,
    push,
    report,
    serve,
    status,
    tensorboard,
    train_options,
    tune,
)
from lstm_sentiment.commands.signals import TERMINATING, exit_on_signals
from lstm_sentiment.commands.terminal import print_error, print_text
from lstm_sentiment.display import printable
from lstm_sentiment.errors import InputError, RunError, UsageError

COMMANDS = (
    train_options,
    tune,
    pretrain,
    report,
    power,
    status,
    tensorboard,
    data,
    baseline,
    ensemble,
    predict,
    evaluate,
    explain,
    export,
    push,
    serve,
)
SHELLS = ("bash", "zsh", "tcsh")  # supported by shtab
BROKEN_PIPE = 128 + 13  # as shells count the signal SIGPIPE, which Windows does not have


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 for an input that cannot be used, or 2 for wrong usage."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with _missing_packages_named():
            if words[:1] == [train_options.NAME]:
                from lstm_sentiment.commands import train  # imports Hydra, which parses the options
            else:
                return _run(words)
    except InputError as error:
        print_error(error)
        return 2 if isinstance(error, UsageError) else 1
    except RunError as error:
        print_error(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        print_error("Interrupted.")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return train.main(words[1:])


def _run(words: Sequence[str]) -> int:
    """Run any other command than the training, and return its exit code."""
    with exit_on_signals(*TERMINATING):
        options = _parse(words)
        options.handler(options)
        sys.stdout.flush()
    return 0


@contextmanager
def _missing_packages_named() -> Iterator[None]:
    """Turn the error of a package that is not installed into InputError."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package == __package__.partition(".")[0]:
            raise
        raise InputError(
            f"This command needs the package {package}, which is not installed: "
            "pip install lstm_sentiment installs the packages of all commands."
        ) from error


def build_parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser of the program, and the parser of each command by its name."""
    parser = Parser(
        prog="lstm-sentiment",
        description="Train, compare, inspect and use networks.",
        epilog="example: lstm-sentiment report runs/default; "
        "lstm-sentiment COMMAND --help describes a command",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print a script that completes commands and options in this shell, and exit",
    )
    return parser, commands.choices


class Parser(argparse.ArgumentParser):
    """A parser whose messages repeat arguments without control characters."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with code 2."""
        super().error(printable(message))


class PrintCompletion(argparse.Action):
    """Print the completion script of a shell and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Print the script for the shell `values`."""
        import shtab  # slow to import, and not needed by other options

        print_text(shtab.complete(parser, values))
        parser.exit()


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the words; options may stand before, between and after the arguments of a command.

    A command whose options belong to another program has the default `intermixed=False`.
    """
    parser, commands = build_parsers()
    command = commands.get(words[0]) if words else None
    if command is None or command.get_default("intermixed") is False:
        return parser.parse_args(words)
    return command.parse_intermixed_args(words[1:])


if __name__ == "__main__":
    sys.exit(main())
