"""The machine: device, threads, memory and versions of packages."""

import ctypes
import gc
import logging
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from lstm_sentiment.config import Accelerator
from lstm_sentiment.errors import InputError

MIB = 2**20
PACKAGES = ("lstm_sentiment", "torch", "lightning", "torchmetrics", "numpy", "numba")
LOGGERS = ("lightning.pytorch", "lightning.fabric")

# Warnings that do not apply here: regular expressions for the beginning of the message.
_KNOWN_WARNINGS = (
    r".*LeafSpec",  # caused by code of Lightning
    r".*does not have many workers",  # reviews are in memory, so workers would slow training down
    r"The number of training batches .* is smaller than the logging interval",
    r"Checkpoint directory .* exists and is not empty",
    r"GPU available but not used",
    r"It is recommended to use .*sync_dist=True",  # scores are those of all processes already
    r"RNN module weights are not part of single contiguous chunk",  # recurrent dropout on CUDA
)


def choose_device(accelerator: Accelerator) -> str:
    """Return "cuda" or "cpu". Raises InputError if a GPU is required and none works."""
    if accelerator is Accelerator.cpu:
        return "cpu"
    problem = _cuda_problem()
    if problem is None:
        return "cuda"
    if accelerator is Accelerator.gpu:
        raise InputError(
            f"trainer=gpu needs a working CUDA device ({problem}): use trainer=cpu or trainer=auto."
        )
    return "cpu"


@cache
def _cuda_problem() -> str | None:
    """Return the reason why CUDA cannot be used, or None if it works."""
    if not torch.cuda.is_available():
        return "PyTorch finds none"
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def require_cores(threads: int | None) -> None:
    """Raise InputError if the machine has fewer cores than these threads.

    The operating system refuses a process that starts far too many.
    """
    cores = os.cpu_count() or 1
    if threads is not None and threads > cores:
        raise InputError(
            f"trainer.threads must be at most {cores}, the number of this machine's cores (got "
            f"{threads}), or null."
        )


def prepare_process(threads: int | None, processes: int = 1) -> None:
    """Set threads, allocator, determinism and log levels of this process; calls may be repeated.

    Without `threads`, the process has its share of PyTorch's number: so many `processes` train a
    network on this machine.
    """
    tune_allocator()
    _threads.choose(threads, processes)
    # By default, deterministic mode also fills every new tensor, which takes time without a benefit
    # here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # cuBLAS is deterministic only with this setting.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def process_state_restored() -> Iterator[None]:
    """Restore the state of this process at the end, except the settings of the allocator.

    This state is the random states, the number of threads, the determinism of PyTorch, the
    environment variables, and the log levels of Lightning.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    benchmark, variables = torch.backends.cudnn.benchmark, dict(os.environ)
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        with isolate_rng():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@dataclass
class _Threads:
    """PyTorch's number of threads: that of the process, and that of its latest run."""

    own: int = 0
    chosen: int = 0

    def choose(self, threads: int | None, processes: int) -> None:
        """Set the number of threads; None means that of the process, divided by `processes`."""
        current = torch.get_num_threads()
        if current != self.chosen:  # before the first run, or changed since the latest one
            self.own = current
        self.chosen = threads or max(1, self.own // processes)
        torch.set_num_threads(self.chosen)


_threads = _Threads()


@cache
def tune_allocator() -> None:
    """Keep freed memory in the process, which avoids page faults in training steps.

    With glibc's defaults, a step maps and unmaps hundreds of MiB and spends most of its time in
    page faults. Without glibc, this function has no effect.
    """
    libc = _glibc()
    if libc is None:
        return
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # names and values of malloc.h
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(M_TOP_PAD, 2**28)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL("libc.so.6")


def reset_peak_memory(device: str) -> None:
    """Reset the peak of used memory, after returning memory of earlier runs to the system."""
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif (libc := _glibc()) is not None:
        libc.malloc_trim(0)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
        except OSError:
            return  # not permitted; the peak then includes earlier runs of the process


def peak_memory_mib(device: str) -> float | None:
    """Return the peak memory of the GPU or the process since the last reset, in MiB, or None."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MIB
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MIB if sys.platform == "darwin" else 1024)


def environment(device: str, processes: int = 1) -> dict[str, Any]:
    """Return the entry `environment` of a record, which contains no paths of the machine.

    So many `processes` train the network; the threads are those of each.
    """
    return {
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": processes,
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None  # the package runs from a checkout without being installed


@cache
def _commit() -> str | None:
    """Return the commit of the checkout, with "+" if files are changed; None outside one."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            return None  # installed in a folder of another project's checkout
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def known_warnings_silenced() -> Iterator[None]:
    """Ignore the known warnings that do not apply here."""
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield
