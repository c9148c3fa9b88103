"""The mode in which a processor treats subnormal numbers, below 1.2e-38 in float32, as zero.

The gradients of an untrained network fade over hundreds of steps and pass through this range, where
an operation takes over a hundred cycles on Intel processors: a GRU's backward step took eleven
times as long. The mode belongs to a thread, and a new thread inherits it from the one that starts
it.

The mode is a part of the floating-point environment, which functions of the C library read and set.
PyTorch's function is not used, since exported networks are computed without PyTorch.
"""

import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NamedTuple


class ControlRegister(NamedTuple):
    """The register of a processor that has the mode, as the C library's `fenv_t` stores it."""

    position: int  # in `fenv_t`, in words of 4 bytes
    flush: int  # the bits of the mode


# By the system and the processor; elsewhere, the mode is left as it is.
CONTROL_REGISTERS = {
    ("linux", "x86_64"): ControlRegister(7, 1 << 15 | 1 << 6),  # MXCSR: results, operands
    ("linux", "aarch64"): ControlRegister(0, 1 << 24),  # FPCR
    ("darwin", "arm64"): ControlRegister(2, 1 << 24),  # FPCR
}
WORDS = 16  # of 4 bytes: more than any of these systems' `fenv_t` has


class Environments(NamedTuple):
    """The floating-point environment of this process in each mode, and the function that sets it.

    Both are made once: reading the environment of the thread each time would take ten times as long
    as setting it.
    """

    set: Callable[[object], object]
    normal: object
    flushing: object


@cache
def _environments() -> Environments | None:
    """Return the environments; None where the place of the mode is not known."""
    register = CONTROL_REGISTERS.get((sys.platform, platform.machine()))
    if register is None:
        return None
    with suppress(OSError, AttributeError):
        library = ctypes.PyDLL("libm.so.6" if sys.platform == "linux" else None)
        normal, flushing = (ctypes.c_uint32 * WORDS)(), (ctypes.c_uint32 * WORDS)()
        for environment in (normal, flushing):
            library.fegetenv(environment)
        normal[register.position] &= ~register.flush
        flushing[register.position] |= register.flush
        return Environments(library.fesetenv, normal, flushing)
    return None


def _set_mode(flush: bool) -> None:
    """Treat subnormal numbers as zero, or no longer, in this thread."""
    if (environments := _environments()) is not None:
        environments.set(environments.flushing if flush else environments.normal)


def flush_subnormals(flush: bool = True) -> None:
    """Treat subnormal numbers as zero, or no longer, in this thread and in its OpenMP threads."""
    _set_mode(flush)
    set_mode = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: _set_mode(flush))
    # OpenMP threads that run already inherit nothing. GNU's, which PyTorch has on Linux, can be
    # made to call a function; where there is another OpenMP, only threads started later follow.
    with suppress(OSError, AttributeError):
        openmp = ctypes.CDLL("libgomp.so.1")
        openmp.GOMP_parallel(set_mode, None, openmp.omp_get_max_threads(), 0)


@contextmanager
def subnormals_flushed(openmp: bool = False) -> Iterator[None]:
    """Treat subnormal numbers as zero in this thread, and restore its mode at the end.

    With `openmp`, do so in its OpenMP threads that run already, too, which takes some 0.1 ms.
    """
    before = are_subnormals_flushed()
    set_mode = flush_subnormals if openmp else _set_mode
    set_mode(True)
    try:
        yield
    finally:
        set_mode(before)


def are_subnormals_flushed() -> bool:
    """Return whether this thread treats subnormal numbers as zero."""
    smallest_normal = sys.float_info.min
    return smallest_normal / 2 == 0
