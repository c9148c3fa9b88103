"""The mode in which a processor treats subnormal numbers, below 1.2e-38 in float32, as zero.

The gradients of an untrained network fade over hundreds of steps and pass through this range, where
an operation takes over a hundred cycles on Intel processors: a GRU's backward step took eleven
times as long. The mode belongs to a thread, and a new thread inherits it from the one that starts
it.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch


def flush_subnormals(flush: bool = True) -> None:
    """Treat subnormal numbers as zero, or no longer, in this thread and in its OpenMP threads."""
    torch.set_flush_denormal(flush)
    set_mode = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(flush))
    # OpenMP threads that run already inherit nothing. GNU's, which PyTorch has on Linux, can be
    # made to call a function; where there is another OpenMP, only threads started later follow.
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libgomp.so.1").GOMP_parallel(set_mode, None, torch.get_num_threads(), 0)


@contextmanager
def subnormals_flushed(openmp: bool = False) -> Iterator[None]:
    """Treat subnormal numbers as zero in this thread, and restore its mode at the end.

    With `openmp`, do so in its OpenMP threads that run already, too, which takes some 0.1 ms.
    """
    before = are_subnormals_flushed()
    set_mode = flush_subnormals if openmp else torch.set_flush_denormal
    set_mode(True)
    try:
        yield
    finally:
        set_mode(before)


def are_subnormals_flushed() -> bool:
    """Return whether this thread treats subnormal numbers as zero."""
    smallest_normal = sys.float_info.min
    return smallest_normal / 2 == 0
