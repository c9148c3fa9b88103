"""Device, memory, threads and the entry `environment` of a record."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lstm_sentiment.config import Accelerator
from lstm_sentiment.errors import InputError
from lstm_sentiment.training import runtime


def test_without_cuda_auto_chooses_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_cuda_problem", lambda: "the driver is too old")
    assert runtime.choose_device(Accelerator.auto) == "cpu"


def test_without_cuda_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_cuda_problem", lambda: "the driver is too old")
    with pytest.raises(InputError, match="the driver is too old.*trainer=cpu or trainer=auto"):
        runtime.choose_device(Accelerator.gpu)


def test_with_cuda_auto_and_gpu_choose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_cuda_problem", lambda: None)
    assert runtime.choose_device(Accelerator.auto) == "cuda"
    assert runtime.choose_device(Accelerator.gpu) == "cuda"
    assert runtime.choose_device(Accelerator.cpu) == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_peak_memory_is_measured_since_the_last_reset() -> None:
    runtime.reset_peak_memory("cpu")
    before = runtime.peak_memory_mib("cpu")
    block = np.ones(64 * 2**20 // 8)
    after = runtime.peak_memory_mib("cpu")
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(64, abs=24)
    del block
    runtime.reset_peak_memory("cpu")
    freed = runtime.peak_memory_mib("cpu")
    assert freed is not None
    assert freed < after - 32


def test_the_environment_holds_versions_but_no_paths() -> None:
    environment = runtime.environment("cpu")
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["threads"] == torch.get_num_threads()
    assert environment["device"] == "cpu"
    assert str(Path.home()) not in str(environment)
    assert str(Path.cwd()) not in str(environment)


def test_threads_are_reset_for_each_run() -> None:
    before = torch.get_num_threads()
    runtime.prepare_process(None)
    try:
        runtime.prepare_process(before + 1)
        assert torch.get_num_threads() == before + 1
        runtime.prepare_process(None)
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


def test_a_number_of_threads_set_by_the_process_is_kept() -> None:
    """The number is read at each start, not only at the first one."""
    before = torch.get_num_threads()
    try:
        runtime.prepare_process(before + 1)
        torch.set_num_threads(before + 2)
        runtime.prepare_process(None)
        assert torch.get_num_threads() == before + 2
        runtime.prepare_process(before + 1)
        runtime.prepare_process(None)
        assert torch.get_num_threads() == before + 2
    finally:
        torch.set_num_threads(before)


def test_the_allocator_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[int, int] = {}

    class Libc:
        @staticmethod
        def mallopt(option: int, value: int) -> int:
            return options.setdefault(option, value)

    monkeypatch.setattr(runtime, "_glibc", lambda: Libc)
    runtime.tune_allocator.cache_clear()
    runtime.prepare_process(None)
    runtime.tune_allocator.cache_clear()
    assert options == {-4: 0, -1: 2**31 - 1, -2: 2**28}


def test_a_package_inside_another_checkout_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime._commit.cache_clear()
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "a" / "b" / "runtime.py"))
    assert runtime._commit() is None
    runtime._commit.cache_clear()


def test_threads_are_at_most_the_cores_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for threads in (None, 1, 4):
        runtime.require_cores(threads)
    with pytest.raises(InputError, match=r"^trainer\.threads must be at most 4, .* \(got 5\)"):
        runtime.require_cores(5)
