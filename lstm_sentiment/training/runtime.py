"""The machine under a run: its device, threads, memory and versions."""

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
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lstm_sentiment.config import Accelerator
from lstm_sentiment.errors import InputError

MIB = 2**20
PACKAGES = ("lstm_sentiment", "torch", "lightning", "torchmetrics", "torchtext", "numpy", "numba")

# Advice for other circumstances than ours, by the beginning of the message.
_KNOWN_WARNINGS = (
    r".*LeafSpec",  # of a library within a library
    r".*does not have many workers",  # batches are gathered faster than a worker could send them
    r"The number of training batches .* is smaller than the logging interval",
    r"Checkpoint directory .* exists and is not empty",
    r"GPU available but not used",
    r"RNN module weights are not part of single contiguous chunk",  # recurrent dropout on CUDA
)


def choose_device(wanted: Accelerator) -> str:
    """ "cuda" or "cpu"; raises InputError where a GPU is asked for and none works."""
    if wanted is Accelerator.cpu:
        return "cpu"
    trouble = _cuda_trouble()
    if trouble is None:
        return "cuda"
    if wanted is Accelerator.gpu:
        raise InputError(
            f"trainer=gpu needs a working CUDA device ({trouble}): use trainer=cpu or trainer=auto."
        )
    return "cpu"


@cache
def _cuda_trouble() -> str | None:
    if not torch.cuda.is_available():
        return "PyTorch finds none"
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def prepare_process(threads: int | None) -> None:
    """Settings that hold for the whole process; safe to repeat."""
    _default_threads()
    tune_allocator()
    torch.set_num_threads(threads or _default_threads())
    # Deterministic algorithms would also fill every new tensor, against reads that we do not do.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Without it cuBLAS has no deterministic mode.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


@cache
def _default_threads() -> int:
    """PyTorch's own choice, asked for before any run has made another."""
    return torch.get_num_threads()


@cache
def tune_allocator() -> None:
    """Keeps freed memory in the process, so that a training step need not fault it in again.

    With glibc's defaults a step maps and unmaps hundreds of MiB and spends most of its time on
    page faults. Linux with glibc only; a no-op elsewhere.
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
    """Starts the peak anew, after memory that earlier runs left has gone back to the system."""
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif (libc := _glibc()) is not None:
        libc.malloc_trim(0)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
        except OSError:
            return  # the peak then covers the whole process


def peak_memory_mib(device: str) -> float | None:
    """Most memory since the last reset: on the device with CUDA, else resident in the process."""
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


def environment(device: str) -> dict[str, Any]:
    """What the numbers of a run depend on beside its configuration; names no folder."""
    return {
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None  # run from a checkout that was never installed


@cache
def _commit() -> str | None:
    """The checkout's commit, with "+" behind it where the code differs; None outside a checkout."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            return None  # installed somewhere below another project's checkout
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def known_warnings_silenced() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield
