"""Signals that end a command: it still removes its drafts and ends the programs it started."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LAST_RESORT = 10  # seconds after which the process ends even if a library catches SystemExit


@contextmanager
def exit_on_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Turn these signals into SystemExit with the exit codes that shells use, 128 + number."""

    def handle(number: int, _: Any) -> None:
        last_resort = threading.Timer(LAST_RESORT, os._exit, [128 + number])
        last_resort.daemon = True
        last_resort.start()
        sys.exit(128 + number)

    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
