"""Calls in a process of their own, whose memory and time are limited and measured."""

import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from lstm_sentiment.errors import InputError
from lstm_sentiment.training.runtime import peak_memory_mib
from tests.support.processes import context

MEMORY_MIB, SECONDS = 1536, 10.0  # that any untrusted file may cost
MIB = 2**20


class Outcome(NamedTuple):
    """What a call returned, or the message of its InputError, and what it cost."""

    value: Any
    refusal: str | None
    peak_mib: float  # of the whole process, with the modules that it imports
    seconds: float


def bounded(function: Callable[..., Any], *arguments: Any, seconds: float = SECONDS) -> Outcome:
    """Call a function of a module, and fail if it takes too much memory or time.

    Errors other than InputError fail, too. The value must be small and picklable.
    """
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, function, arguments))
    process.start()
    there.close()
    try:
        assert here.poll(seconds + 20), f"not finished after {seconds} s"  # 20 s to begin
        try:
            outcome = here.recv()
        except EOFError:
            process.join()
            raise AssertionError(f"the process ended with {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, BaseException):
        raise outcome
    assert outcome.peak_mib < MEMORY_MIB, outcome
    assert outcome.seconds < seconds, outcome
    return outcome


def _call(connection: Connection, function: Callable[..., Any], arguments: Any) -> None:
    # Far more than is allowed, so that the peak is measured, but the machine stays usable.
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + 4_096 * MIB,) * 2)
    started = time.monotonic()
    value, refusal = None, None
    try:
        value = function(*arguments)
    except InputError as error:
        refusal = str(error)
    except Exception as error:
        connection.send(AssertionError(f"{type(error).__name__}: {error}"))
        return
    seconds = time.monotonic() - started
    connection.send(Outcome(value, refusal, peak_memory_mib("cpu") or 0.0, seconds))


def _address_space() -> int:
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()
