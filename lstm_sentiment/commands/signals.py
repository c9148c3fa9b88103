"""Signals that end a command: it still removes its drafts and ends the programs it started."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# How other programs end a command; a closed terminal sends SIGHUP, which Windows does not have.
TERMINATING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
LAST_RESORT = 10  # seconds after which the process ends even if a library catches SystemExit


@contextmanager
def exit_on_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Turn these signals into SystemExit with the exit codes that shells use, 128 + number.

    SIGHUP is still ignored if this process was started with `nohup`.
    """

    def handle(number: int, _: Any) -> None:
        last_resort = threading.Timer(LAST_RESORT, os._exit, [128 + number])
        last_resort.daemon = True
        last_resort.start()
        sys.exit(128 + number)

    previous = {
        number: signal.signal(number, handle)
        for number in numbers
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
