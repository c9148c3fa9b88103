"""Signals that end a command: it still removes its drafts and ends the programs it started."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lstm_sentiment.commands.terminal import print_error

# How other programs end a command; a closed terminal sends SIGHUP, which Windows does not have.
TERMINATING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
AGAIN = 0.05  # seconds until a signal is sent again
ENDING = (signal.SIGINT, *TERMINATING)
LAST_RESORT = 10  # seconds after which the process ends even if a library catches SystemExit


@contextmanager
def exit_on_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Turn these signals into SystemExit with the exit codes that shells use, 128 + number.

    SIGHUP is still ignored if this process was started with `nohup`.
    """

    def handle(number: int, _: Any) -> None:
        _later(LAST_RESORT, os._exit, 128 + number)
        sys.exit(128 + number)

    def handle_ignored(error: "sys.UnraisableHookArgs") -> None:
        """Send the signal again if it came during a call from C, which ignores exceptions."""
        code = getattr(error.exc_value, "code", None)
        if isinstance(error.exc_value, SystemExit) and isinstance(code, int):
            _later(AGAIN, os.kill, os.getpid(), code - 128)
        else:
            hook(error)

    previous = {
        number: signal.signal(number, handle)
        for number in numbers
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN
    }
    hook, sys.unraisablehook = sys.unraisablehook, handle_ignored
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def resumable() -> Iterator[None]:
    """Exit if a signal ends the command in the block, and say that the same command resumes."""
    try:
        with exit_on_signals(*ENDING):
            yield
    except KeyboardInterrupt:
        code: Any = 128 + signal.SIGINT
    except SystemExit as stop:
        if stop.code not in [128 + number for number in ENDING]:
            raise
        code = stop.code
    else:
        return
    print_error("Interrupted: the same command resumes where this one stopped.")
    sys.exit(code)


def _later(seconds: float, function: Callable[..., object], *arguments: Any) -> None:
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    timer.start()
