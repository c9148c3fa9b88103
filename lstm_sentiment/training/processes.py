"""The processes of a run on several devices: their start, their group, and their end.

The process of the command, of rank 0, leads. It alone holds the lock of the run and writes its
files. The others, the followers, compute their share of every batch. On one machine, the leader
starts them for each run. torchrun starts the processes of several machines, which then train a
single run.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from lstm_sentiment.config import Config, TrainerConfig, flat, updated
from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.errors import FittingError, InputError, RunError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import scratch_folder, write_json
from lstm_sentiment.training import torchrun

FOLLOWER = "lstm_sentiment.training.follower"
# In the scratch folder of a local group, by rank: written when a follower can begin, or has failed.
READY, FAILURE, OUTPUT = "ready-{}.json", "failure-{}.json", "output-{}.txt"
JOB, STORE = "job.json", "store"
POLL = 0.05  # seconds between two looks at a follower
PATIENCE = 5.0  # seconds in which a follower whose connection was lost ends
GRACE = 20.0  # seconds after the end of a follower until the leader ends, if a call never returns
TIMEOUT = timedelta(minutes=30)  # of an exchange, in which the slowest process is waited for
# Lists for reports, which a follower does not need.
ONLY_REPORTED = ("reference", "compare")
Store = Any  # a torch.distributed.Store: keys and values that all processes read and write
Failure = Callable[[float], str]  # waits so many seconds for the failure of a follower


def require_possible(trainer: TrainerConfig, device: str) -> None:
    """Raise InputError if the processes of a configuration cannot be started on this machine."""
    given = f"trainer.devices={trainer.devices}"
    started = torchrun.world_size()
    if started > 1:
        devices = torchrun.local_size()
        nodes = started // devices
        if (trainer.devices, trainer.num_nodes) != (devices, nodes):
            raise InputError(
                f"torchrun has started {started} processes, {devices} on this node: give "
                f"trainer.devices={devices} trainer.num_nodes={nodes}."
            )
    elif trainer.num_nodes > 1:
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes} needs torchrun, which starts the processes of "
            "all nodes."
        )
    if device == "cuda" and trainer.devices > torch.cuda.device_count():
        raise InputError(
            f"{given} needs as many GPUs, and {torch.cuda.device_count()} can be used here: give "
            "fewer devices, or trainer=cpu."
        )
    if trainer.processes > 1 and not dist.is_available():
        raise InputError(f"{given} needs a build of PyTorch with torch.distributed.")
    if trainer.processes > 1 and dist.is_initialized():
        raise InputError(f"{given} needs a process that is not yet a part of a group of PyTorch.")


@contextmanager
def trained_together(
    config: Config, name: str, device: str, checkpoint: Path | None
) -> Iterator[Ranks]:
    """Yield the ranks of the process that leads a run, and let its followers compute meanwhile.

    `name` is that of the run's folder. Raises RunError if a follower fails or is killed.
    """
    if config.trainer.processes == 1:
        yield ALONE
        return
    job = {
        "config": {k: v for k, v in flat(config).items() if k not in ONLY_REPORTED},
        "name": name,
        "device": device,
        "checkpoint": None if checkpoint is None else str(checkpoint),
    }
    start = _local_group if torchrun.world_size() == 1 else _torchrun_group
    with start(job) as (ranks, store, failure), ExitStack() as joined:
        with _failures_named(failure):
            joined.enter_context(group(ranks, device, store))
        # Within the group: when this process leaves it, the followers fail, too.
        with _failures_named(failure):
            yield ranks


@contextmanager
def _failures_named(failure: Failure) -> Iterator[None]:
    """Raise the failure of a follower instead of the loss of the connection to it."""
    try:
        yield
    except Exception as error:
        cause = error.error if isinstance(error, FittingError) else error
        # A RunError is that of all processes.
        reason = "" if isinstance(cause, RunError) else failure(PATIENCE)
        if not reason:
            raise
        lost = RunError(reason)
        raise (
            FittingError(lost, error.epoch) if isinstance(error, FittingError) else lost
        ) from error


@contextmanager
def _local_group(job: dict[str, Any]) -> Iterator[tuple[Ranks, Store, Failure]]:
    """Start followers on this machine, and end them at the end."""
    if sys.platform != "win32":  # they talk on this machine only
        for library in ("GLOO", "NCCL"):
            interface = "lo0" if sys.platform == "darwin" else "lo"
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", interface)
    size = job["config"]["trainer.devices"]
    with scratch_folder() as scratch:
        followers = Followers(scratch, job, size)
        try:
            followers.wait_until_ready()
            yield Ranks(0, size), file_store(scratch, size), followers.failure
        finally:
            followers.end()


@contextmanager
def _torchrun_group(job: dict[str, Any]) -> Iterator[tuple[Ranks, Store, Failure]]:
    """Give the job to the followers that torchrun has started."""
    torchrun.give_job(job)
    ranks = Ranks(0, torchrun.world_size(), torchrun.local_rank())
    try:
        yield ranks, torchrun.store(), torchrun.failure
    finally:
        torchrun.finish()


@contextmanager
def group(ranks: Ranks, device: str, store: Store) -> Iterator[None]:
    """Join the group of all processes, in which they exchange numbers."""
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=TIMEOUT
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def file_store(scratch: Path, size: int) -> Store:
    """Return the store of a local group, which opens no port."""
    return dist.FileStore(str(scratch / STORE), size)  # type: ignore[attr-defined]


def job_config(job: dict[str, Any]) -> Config:
    """Return the configuration of a job, without the lists for reports."""
    config: Config = updated(Config(), job["config"])
    return config


class Followers:
    """The followers on the leader's machine. They end with the leader, which holds their pipes."""

    def __init__(self, scratch: Path, job: dict[str, Any], size: int) -> None:
        self.scratch = scratch
        self.processes: dict[int, subprocess.Popen[bytes]] = {}  # by rank
        self._ended = threading.Event()
        write_json(scratch / JOB, job, durable=False)
        for rank in range(1, size):
            self.processes[rank] = self._started(rank)
        threading.Thread(target=self._watch, daemon=True).start()

    def _started(self, rank: int) -> "subprocess.Popen[bytes]":
        # With -P, a file of the working folder is not taken for a package.
        command = [sys.executable, "-P", "-m", FOLLOWER, str(self.scratch), str(rank)]
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        with (self.scratch / OUTPUT.format(rank)).open("wb") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": paths},
            )

    def wait_until_ready(self) -> None:
        """Wait until all followers have read the reviews. Raises RunError if one has failed."""
        while not all((self.scratch / READY.format(r)).exists() for r in self.processes):
            if reason := self.failure():
                raise RunError(reason)
            time.sleep(POLL)

    def failure(self, patience: float = 0) -> str:
        """Return the reason why a follower has ended within these seconds, or ""."""
        deadline = time.monotonic() + patience
        while True:
            for rank, process in self.processes.items():
                if process.poll() is not None:
                    return f"process {rank} of {len(self.processes) + 1} {self._reason(rank)}"
            if time.monotonic() >= deadline:
                return ""
            time.sleep(POLL)

    def _reason(self, rank: int) -> str:
        """Return how a follower has ended, in words."""
        failure = read_json(self.scratch / FAILURE.format(rank))
        if isinstance(failure, dict):
            return f"failed: {failure['reason']}"
        code = self.processes[rank].returncode
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        output = (self.scratch / OUTPUT.format(rank)).read_text(errors="replace").strip()
        last = output.splitlines()[-1] if output else "no message"
        return f"ended with exit code {code} ({last})"

    def _watch(self) -> None:
        """End this process if a follower has ended and this process waits for it in vain.

        A GPU that waits for another one does not return to Python.
        """
        while not self._ended.wait(POLL * 10):
            if (reason := self.failure()) and not self._ended.wait(GRACE):
                print(f"The run was ended: {reason}.", file=sys.stderr, flush=True)
                os._exit(1)

    def end(self) -> None:
        """End all followers."""
        self._ended.set()
        for process in self.processes.values():
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()  # which ends it
        for process in self.processes.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
