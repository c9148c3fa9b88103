"""lstm-sentiment serve: answer requests over HTTP with trained models."""

import argparse
import os
from pathlib import Path

from lstm_sentiment.commands.options import MODEL_HELP, Commands
from lstm_sentiment.errors import InputError, UsageError
from lstm_sentiment.serving.http.settings import MIB, Settings, usable_cores

TOKEN = "LSTM_SENTIMENT_TOKEN"
SHORTEST_TOKEN = 16  # characters


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "serve",
        help="answer requests over HTTP with trained models",
        description="Answer requests over HTTP with one or more trained models, and show a page "
        "in which to try them. Requires the extra serve. SIGHUP loads the models again; SIGTERM "
        "answers all accepted requests and ends.",
        epilog="example: lstm-sentiment serve RUN --port 8000",
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN",
        help=f"{MODEL_HELP}; requests name a model by its folder, and get the first by default",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen on (default: %(default)s, only this machine)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8000, help="port (default: %(default)s)")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE",
        help=f"file with the token that requests must send; {TOKEN} in the environment gives one, "
        "too. Needed if --host is not this machine",
    )  # fmt: skip
    parser.add_argument(
        "--no-token", action="store_true", help="listen beyond this machine without a token"
    )
    parser.add_argument(
        "--origin", action="append", default=[], metavar="URL",
        help="origin whose pages may read answers (CORS); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, metavar="N",
        help="batches that are computed at the same time (default: one for each core)",
    )  # fmt: skip
    for name, default, text in OPTIONS:
        parser.add_argument(
            f"--{name}", type=type(default), default=default, metavar="N",
            help=f"{text} (default: %(default)s)",
        )  # fmt: skip
    parser.add_argument("--no-access-log", action="store_true", help="do not log requests")
    parser.set_defaults(handler=run)


OPTIONS: tuple[tuple[str, int | float, str], ...] = (
    ("batch-size", 64, "texts that are computed together, at most"),
    ("batch-wait", 0.0, "ms that an idle worker waits for more texts"),
    ("queue-size", 4_000, "texts that may wait; more requests get status 503"),
    ("max-texts", 1_000, "texts in a request"),
    ("max-characters", 1_000_000, "characters in a text"),
    ("max-body", 16, "MiB of a request"),
    ("max-file", 256, "MiB of a file"),
    ("timeout", 60.0, "seconds until a request is answered"),
)


def run(options: argparse.Namespace) -> None:
    """Answer requests until a signal ends the process."""
    settings = _settings(options)
    try:
        from lstm_sentiment.serving.http.server import serve
    except ImportError as error:
        raise InputError(
            f"The service is not installed ({error.name} is missing): "
            'pip install "lstm_sentiment[serve]"'
        ) from error
    serve(options.runs, settings, log_requests=not options.no_access_log)


def _settings(options: argparse.Namespace) -> Settings:
    """Return the settings that the options describe. Raises UsageError if one is not allowed."""
    if not 0 <= options.port < 2**16:
        raise UsageError(f"--port must be a number from 0 to 65535 (got {options.port}).")
    for name, default, _ in OPTIONS:
        value, low = getattr(options, name.replace("-", "_")), 0 if default == 0 else 1
        if not low <= value < 2**31:  # also NaN
            raise UsageError(f"--{name} must be at least {low} (got {value}).")
    threads, cores = options.threads, usable_cores()
    if threads is not None and not 1 <= threads <= cores:
        raise UsageError(f"--threads must be 1 to {cores}, the number of cores (got {threads}).")
    settings = Settings(
        host=options.host,
        port=options.port,
        token=_token(options),
        origins=tuple(options.origin),
        threads=threads or cores,
        batch_size=options.batch_size,
        batch_wait=options.batch_wait / 1_000,
        queue_size=max(options.queue_size, options.max_texts),
        max_texts=options.max_texts,
        max_characters=options.max_characters,
        max_body=options.max_body * MIB,
        max_file=options.max_file * MIB,
        timeout=options.timeout,
    )
    if not settings.is_local and settings.token is None and not options.no_token:
        raise UsageError(
            f"--host {options.host} lets other machines send requests: give a token with "
            f"--token-file or {TOKEN}, or --no-token."
        )
    return settings


def _token(options: argparse.Namespace) -> str | None:
    """Return the token of the file or the environment. Raises InputError if it is too short."""
    if options.no_token and options.token_file is not None:
        raise UsageError("Give either --token-file or --no-token, not both.")
    if options.no_token:
        return None
    source, token = TOKEN, os.environ.get(TOKEN)
    if options.token_file is not None:
        source = str(options.token_file)
        try:
            token = options.token_file.read_text().strip()
        except (OSError, ValueError) as error:
            raise InputError(f"{source} cannot be read ({error}).") from error
    if token is None:
        return None
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
        raise InputError(
            f"The token of {source} must have at least {SHORTEST_TOKEN} printable ASCII characters "
            f"(got {len(token)})."
        )
    return token
