"""The program `lstm-sentiment`: its commands and its exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from lstm_sentiment.commands import (
    baseline,
    data,
    evaluate,
    explain,
    export,
    predict,
    report,
    status,
    tensorboard,
)
from lstm_sentiment.errors import InputError, UsageError

COMMANDS = (report, status, tensorboard, data, baseline, predict, evaluate, explain, export)
SHELLS = ("bash", "zsh", "tcsh")  # supported by shtab


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 for an input that cannot be used, or 2 for wrong usage."""
    try:
        options = _parse(build_parser(), arguments)
        options.handler(options)
        sys.stdout.flush()
    except InputError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="lstm-sentiment",
        description="Compare, inspect and use the runs of train.py.",
        epilog="example: lstm-sentiment report runs/default; "
        "lstm-sentiment COMMAND --help describes a command",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print a script that completes commands and options in this shell, and exit",
    )
    return parser


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

        print(shtab.complete(parser, values))
        parser.exit()


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; positional arguments of a list may also follow options.

    argparse reports such arguments as unrecognized. The default `repeated` of a command is the name
    of its list.
    """
    options, rest = parser.parse_known_args(arguments)
    end = rest.index("--") if "--" in rest else len(rest)
    if rest and ("repeated" not in options or any(word.startswith("-") for word in rest[:end])):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        getattr(options, options.repeated).extend(rest[:end] + rest[end + 1 :])
    return options


if __name__ == "__main__":
    sys.exit(main())
