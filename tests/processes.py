"""Commands in processes of their own, which may be killed, beside each other or short of disk.

Forked from a server that has imported what takes seconds, so that each starts at once.
"""

import atexit
import codecs
import ctypes
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TRAIN = Path(__file__).parent.parent / "train.py"

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["hydra", "lstm_sentiment.training.sweep", "processes"])


class Command:
    """`python train.py ...` in a folder; begins at once."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        before: tuple[Callable[..., None], *tuple[Any, ...]] | None = None,
    ) -> None:
        """`before`: a function of this module, with its arguments, called in the new process."""
        folder.mkdir(exist_ok=True)
        self.text = ""  # what it has printed
        # A pipe, as a file could not grow where the disk is full.
        output, end = context.Pipe(duplex=False)
        self.process = context.Process(target=_train, args=(folder, arguments, end, before))
        self.process.start()
        atexit.register(self.process.kill)  # a stopped process would be waited for for ever
        end.close()
        self.reader = threading.Thread(target=self._read, args=(output,), daemon=True)
        self.reader.start()
        assert self.process.pid is not None
        self.pid = self.process.pid

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Returns once the words are printed."""
        while words not in self.text and seconds > 0 and self.process.is_alive():
            self.process.join(0.02)
            seconds -= 0.02
        if not self.process.is_alive():
            self.reader.join()
        assert words in self.text, self.text

    def end(self, number: int | None = None) -> int:
        """The exit code, negative for a signal that the process did not catch."""
        if number is not None:
            with suppress(ProcessLookupError):  # it was faster
                os.kill(self.pid, number)
        self.process.join(180)
        assert self.process.exitcode is not None, f"still running:\n{self.text}"
        self.reader.join()
        return self.process.exitcode

    def _read(self, output: Connection) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        while part := os.read(output.fileno(), 65536):
            self.text += decoder.decode(part)
        output.close()


def _train(
    folder: Path,
    arguments: tuple[str, ...],
    output: Connection,
    before: tuple[Callable[..., None], *tuple[Any, ...]] | None,
) -> None:
    import torch

    torch.set_num_threads(1)
    os.chdir(folder)
    for standard in (1, 2):
        os.dup2(output.fileno(), standard)
    output.close()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv = ["train.py", *arguments]
    if before is not None:
        before[0](*before[1:])
    runpy.run_path(str(TRAIN), run_name="__main__")


@contextmanager
def disk_full() -> Iterator[None]:
    """The kernel refuses to let any file grow beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def disk_full_at(name: str, lasting: bool) -> None:
    """From the first writing of a file so named on: for that moment, or for good."""
    import numpy

    from lstm_sentiment import files
    from lstm_sentiment.training import run  # noqa: F401 - every module that writes a run

    write, save = files.write_atomically, numpy.save
    again = [True]

    def full(function: Callable[..., None], path: Path, *rest: Any) -> None:
        if name not in path.name or not again:
            return function(path, *rest)
        if lasting:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
            return function(path, *rest)
        again.clear()
        with disk_full():
            return function(path, *rest)

    for module in [*sys.modules.values()]:
        if getattr(module, "write_atomically", None) is write:
            module.write_atomically = lambda *a: full(write, *a)  # type: ignore[attr-defined]
    numpy.save = lambda *a: full(save, *a)  # type: ignore[assignment]


def kill_after_first_removal() -> None:
    from lstm_sentiment.training import run

    remove = run._remove

    def once(path: Path) -> None:
        remove(path)
        os.kill(os.getpid(), signal.SIGKILL)

    run._remove = once


def bound_by_permissions() -> None:
    """As for everyone but root: what may not be written cannot be."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        version = (ctypes.c_uint32 * 2)(0x20080522, 0)  # see capset(2)
        sets = (ctypes.c_uint32 * 6)()
        libc.capget(version, sets)
        sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        assert libc.capset(version, sets) == 0


def fill_cache(cache: str) -> None:
    from lstm_sentiment.config import DataConfig
    from lstm_sentiment.data.datamodule import ReviewDataModule

    ReviewDataModule(DataConfig("synthetic", cache=cache)).prepare_data()
