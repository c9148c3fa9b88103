"""Processes for tests: commands that may be killed or lack disk space, and holders of locks.

Commands are forked from a server that has imported the slow modules, so that they start at once.
"""

import atexit
import codecs
import ctypes
import fcntl
import multiprocessing
import os
import resource
import runpy
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from lstm_sentiment.files.locks import sole_writer

TRAIN = Path(__file__).parents[2] / "train.py"

spawn = multiprocessing.get_context("spawn")
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "hydra",
        "lstm_sentiment.commands.main",
        "lstm_sentiment.commands.sweep",
        "lstm_sentiment.report.sections",
        "lstm_sentiment.serving.export",  # left out without the extra onnx
        "lstm_sentiment.serving.file_prediction",
        "lstm_sentiment.training.baseline",
        "tests.support.processes",
        "tests.support.drawing",
        "tests.fuzz.readers",
    ]
)


Before = tuple[Callable[..., None], *tuple[Any, ...]] | None


def _train(folder: Path, arguments: tuple[str, ...], output: Connection, before: Before) -> None:
    from tests.support import drawing

    drawing.leave_plots_empty()
    _begin(folder, output, before)
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(TRAIN), run_name="__main__")


def _program(folder: Path, arguments: tuple[str, ...], output: Connection, before: Before) -> None:
    from lstm_sentiment.commands.main import main

    _begin(folder, output, before)
    sys.exit(main(arguments))


def _begin(folder: Path, output: Connection, before: Before) -> None:
    import torch

    torch.set_num_threads(1)
    # As in a terminal: tests may run in the background, where these signals are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.chdir(folder)
    for standard in (1, 2):
        os.dup2(output.fileno(), standard)
    output.close()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if before is not None:
        before[0](*before[1:])


class Command:
    """`python train.py ...` in a folder, in a process of its own."""

    target = staticmethod(_train)

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        before: Before = None,
    ) -> None:
        """Start the command.

        `before` is a function of this module with its arguments; the new process calls it first.
        """
        folder.mkdir(exist_ok=True)
        self.text = ""  # the output so far
        # A pipe, since a file could not grow when the disk is full.
        output, end = context.Pipe(duplex=False)
        arguments_of_process = (folder, arguments, end, before)
        self.process = context.Process(target=self.target, args=arguments_of_process)
        self.process.start()
        atexit.register(self.process.kill)  # a stopped process would never end
        end.close()
        self.reader = threading.Thread(target=self._read, args=(output,), daemon=True)
        self.reader.start()
        assert self.process.pid is not None
        self.pid = self.process.pid

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Wait until the words are printed; fails if the command ends before, or takes longer."""
        while words not in self.text and seconds > 0 and self.process.is_alive():
            self.process.join(0.02)
            seconds -= 0.02
        if not self.process.is_alive():
            self.reader.join()
        assert words in self.text, self.text

    def end(self, number: int | None = None) -> int:
        """Send the signal `number`, if any, and wait for the end; return the exit code.

        The code is negative if a signal that the process did not catch ended it.
        """
        if number is not None:
            with suppress(ProcessLookupError):  # the command has ended
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


class Program(Command):
    """`lstm-sentiment ...` in a folder, in a process of its own."""

    target = staticmethod(_program)


def alone(scratch: Path, modules: Path | None = None) -> None:
    """Let this process have temporary files of its own, and import modules from a folder first."""
    tempfile.tempdir = str(scratch)
    if modules is not None:
        sys.path.insert(0, str(modules))
        os.environ["PYTHONPATH"] = str(modules)


def torchrun_variables(rank: int, port: int) -> None:
    """Let this process be one of two that torchrun has started, where the first has the store."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ |= {name: str(number) for name, number in numbers.items()}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "a"}


def with_programs(folder: Path) -> None:
    """Let this process find the programs in a folder, and its own start this package."""
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(TRAIN.parent)
    os.environ["OMP_NUM_THREADS"] = "1"


def tensorboard_stand_in(folder: Path) -> Path:
    """Return the folder, with a module that prints its folder of runs, and waits.

    The module stands in for TensorBoard, which takes seconds to start.
    """
    package = folder / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text(
        "import sys, time\n"
        "print('TensorBoard', sys.argv[2], flush=True)\n"
        "time.sleep(20); print('left alone')\n"
    )
    return folder


@contextmanager
def disk_full() -> Iterator[None]:
    """Let the kernel refuse to make any file larger than a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def disk_full_at(name: str, lasting: bool) -> None:
    """Fill the disk when a file of this name is written: for that write, or from then on."""
    import numpy

    from lstm_sentiment.files import writing
    from lstm_sentiment.training import train  # noqa: F401 - imports every module that writes a run

    write, save = writing.write_atomically, numpy.save
    pending = [True]

    def full(function: Callable[..., None], path: Path, *rest: Any) -> None:
        if name not in path.name or not pending:
            return function(path, *rest)
        if lasting:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
            return function(path, *rest)
        pending.clear()
        with disk_full():
            return function(path, *rest)

    for module in [*sys.modules.values()]:
        if getattr(module, "write_atomically", None) is write:
            module.write_atomically = lambda *a: full(write, *a)  # type: ignore[attr-defined]
    numpy.save = lambda *a: full(save, *a)  # type: ignore[assignment]


def kill_after_first_removal() -> None:
    """Kill this process when it has removed the first file or folder of a run."""
    from lstm_sentiment.runs import folder

    remove = folder.remove

    def once(path: Path) -> None:
        remove(path)
        os.kill(os.getpid(), signal.SIGKILL)

    folder.remove = once


def bound_by_permissions() -> None:
    """Give up root's right to read and write files in spite of their permissions."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        version = (ctypes.c_uint32 * 2)(0x20080522, 0)  # see capset(2)
        sets = (ctypes.c_uint32 * 6)()
        libc.capget(version, sets)
        sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        assert libc.capset(version, sets) == 0


CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWPID = 0x20000, 0x4000000, 0x20000000  # see unshare(2)
PR_SET_PDEATHSIG = 1  # see prctl(2)


def another_machine(name: str) -> None:
    """Continue in a child that has a host name, mounts and numbers of processes of its own.

    This process waits for the child, which is killed with it. It raises OSError if the machine does
    not permit this.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID):
        raise OSError(ctypes.get_errno(), "no namespaces")
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(abs(os.waitstatus_to_exitcode(status)))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    socket.sethostname(name)
    private = 0x4C000  # MS_REC | MS_PRIVATE: later mounts are not seen outside
    if libc.mount(b"none", b"/", None, private, None) or libc.mount(
        b"proc", b"/proc", b"proc", 0, None
    ):
        raise OSError(ctypes.get_errno(), "no mounts")
    os.environ["LSTM_SENTIMENT_LOCKS"] = "heartbeat"
    os.environ["LSTM_SENTIMENT_HEARTBEAT"] = "0.1"
    fcntl.flock = _no_flock
    without_sync()


def without_sync() -> None:
    """Let this process not wait for the disk, which matters only if the machine crashes."""
    os.fsync = lambda _: None


def _no_flock(*_: object) -> None:
    raise AssertionError("flock was called")


def other_machines_are_permitted() -> bool:
    """Return whether this process may start commands with `another_machine`."""
    process = context.Process(target=another_machine, args=("a",))
    process.start()
    process.join(60)
    return process.exitcode == 0


def in_machine(command: "Command") -> int:
    """Return the number of the process that runs a command with `another_machine`."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    [child] = children.read_text().split()
    return int(child)


def fill_cache(cache: str) -> None:
    """Read the synthetic corpus into the cache."""
    from lstm_sentiment.config import DataConfig
    from lstm_sentiment.data.datamodule import ReviewDataModule

    ReviewDataModule(DataConfig("synthetic", cache=cache)).prepare_data()


@contextmanager
def held_elsewhere(lock: Path) -> Iterator[tuple[SpawnProcess, Connection]]:
    """Let another process hold the lock until it is killed or something is sent to it.

    Yields the process and the connection to it.
    """
    here, there = spawn.Pipe()
    process = spawn.Process(target=_hold, args=(lock, there))
    process.start()
    there.close()
    with here:
        assert here.recv() == "held"
        yield process, here
    process.join(60)


def _hold(lock: Path, test: Connection) -> None:
    with sole_writer(lock):
        test.send("held")
        test.poll(None)  # until the test sends something or closes its end
