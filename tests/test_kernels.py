import errno
import importlib.util
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numba import njit

from lstm_sentiment.model import kernels

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
# Densely where a gate is neither shut nor open, and on both sides of every bound in the code.
RANGE = np.concatenate(
    [
        np.linspace(-20, 20, 400_001),
        np.geomspace(1e-30, 1, 10_001),
        -np.geomspace(1e-30, 1, 10_001),
        [end for bound in (4.5, 9, 18) for end in (bound, -bound)],
        [np.nextafter(np.float32(b), np.float32(99 * b)) for b in (9, -9, 18, -18)],
        [0.0, -0.0, SMALLEST, -SMALLEST, 1e-40, -1e-40, 88.8, -88.8, 1e4, -1e4],
        [LARGEST, -LARGEST, math.inf, -math.inf],
    ]
).astype(np.float32)


@njit(**kernels.OPTIONS)
def tanh_of_all(numbers: np.ndarray) -> np.ndarray:
    values = np.empty_like(numbers)
    for j in range(len(numbers)):
        values[j] = kernels.tanh(numbers[j])
    return values


@njit(**kernels.OPTIONS)
def sigmoid_of_all(numbers: np.ndarray) -> np.ndarray:
    values = np.empty_like(numbers)
    for j in range(len(numbers)):
        values[j] = kernels.sigmoid(numbers[j])
    return values


@njit(**kernels.OPTIONS)
def load(source: np.ndarray, target: np.ndarray) -> None:
    kernels.load(source, target)


@njit(**kernels.OPTIONS)
def store(source: np.ndarray, target: np.ndarray) -> None:
    kernels.store(source, target)


def bits_of(numbers: np.ndarray) -> np.ndarray:
    """What PyTorch makes of float32 as bfloat16: (N,) uint16"""
    return torch.from_numpy(numbers).bfloat16().view(torch.uint16).numpy()


def exact_sigmoid(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-numbers))


@pytest.mark.parametrize(
    ("function", "exact", "error"),
    [(tanh_of_all, np.tanh, 2e-7), (sigmoid_of_all, exact_sigmoid, 3e-7)],
)
def test_an_activation_is_as_exact_as_it_says(
    function: Callable[..., Any], exact: Callable[..., Any], error: float
) -> None:
    values = function(RANGE)
    assert values.dtype == np.float32
    assert np.abs(values - exact(RANGE.astype(np.float64))).max() <= error


@pytest.mark.parametrize(
    ("function", "low", "error"), [(tanh_of_all, -1, 2e-7), (sigmoid_of_all, 0, 3e-7)]
)
def test_an_activation_rises_from_bound_to_bound(
    function: Callable[..., Any], low: int, error: float
) -> None:
    values = function(np.sort(RANGE)).astype(np.float64)
    # All to its error: it may fall by as much below one value as it was above another.
    assert abs(values.min() - low) <= error
    assert abs(values.max() - 1) <= error
    assert (np.maximum.accumulate(values) - values).max() <= 2 * error
    # From its bounds on nothing changes any more.
    far = np.array([18, 18.5, 1e4, LARGEST, math.inf], np.float32)
    for end in (far, -far):
        assert len(set(function(end).tolist())) == 1


def test_tanh_is_odd_and_keeps_what_is_small() -> None:
    assert np.array_equal(tanh_of_all(-RANGE), -tanh_of_all(RANGE))
    small = np.geomspace(1e-30, 1e-4, 1001).astype(np.float32)
    np.testing.assert_allclose(tanh_of_all(small), np.tanh(small.astype(np.float64)), rtol=5e-7)
    assert sigmoid_of_all(np.zeros(1, np.float32))[0] == 0.5


def test_not_a_number_stays_so() -> None:
    # Among numbers and on all places of a register, so that loops taking many at once are met.
    for place in range(40):
        numbers = np.ones(40, np.float32)
        numbers[place] = math.nan
        for function in (tanh_of_all, sigmoid_of_all):
            assert np.flatnonzero(np.isnan(function(numbers))).tolist() == [place]
    for function in (kernels.tanh, kernels.sigmoid):
        assert math.isnan(function(np.float32(math.nan)))


# Rows, inner size, columns: blocks of four, vectors of sixteen, and neither.
SHAPES = [(4, 4, 4), (4, 4, 16), (8, 12, 20), (12, 16, 48), (4, 100, 416), (16, 4, 36)]


def drawn(*shape: int) -> np.ndarray:
    """Small whole numbers, of which float32 takes every sum exactly."""
    return np.random.default_rng(sum(shape)).integers(-9, 10, shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_products_are_added(shape: tuple[int, int, int]) -> None:
    R, K, N = shape
    left, right, sums = drawn(R, K), drawn(K, N), drawn(R, N)
    for count in range(0, R + 1, 4):
        expected = sums.copy()
        expected[:count] += left[:count] @ right
        plain, transposed = sums.copy(), sums.copy()
        kernels.add_product(left, right, plain, count)
        kernels.add_product_with_transposed(left, np.ascontiguousarray(right.T), transposed, count)
        assert np.array_equal(plain, expected)  # rows behind `count` are as they were
        assert np.array_equal(transposed, expected)


def test_products_of_any_numbers() -> None:
    random = np.random.default_rng(3)
    left, right = random.standard_normal((8, 100)), random.standard_normal((100, 400))
    l32, r32 = left.astype(np.float32), right.astype(np.float32)
    plain, transposed = np.ones((8, 400), np.float32), np.ones((8, 400), np.float32)
    kernels.add_product(l32, r32, plain, 8)
    kernels.add_product_with_transposed(l32, np.ascontiguousarray(r32.T), transposed, 8)
    np.testing.assert_allclose(plain, left @ right + 1, atol=5e-5)
    np.testing.assert_allclose(transposed, left @ right + 1, atol=5e-5)


def test_what_is_not_a_number_stays_in_its_row_of_a_product() -> None:
    left, right = drawn(8, 12), drawn(12, 20)
    left[5, 7] = math.nan
    for sums in (np.zeros((8, 20), np.float32), np.zeros((8, 20), np.float32)):
        kernels.add_product(left, right, sums, 8)
        assert np.isnan(sums[5]).all()
        assert np.isfinite(np.delete(sums, 5, 0)).all()
    sums = np.zeros((8, 20), np.float32)
    kernels.add_product_with_transposed(left, np.ascontiguousarray(right.T), sums, 8)
    assert np.isnan(sums[5]).all()
    assert np.isfinite(np.delete(sums, 5, 0)).all()


def test_blocks_and_places() -> None:
    assert [kernels.blocks(count) for count in (0, 1, 3, 4, 5, 8, 9)] == [0, 4, 4, 4, 8, 8, 12]
    assert [kernels.place(3, step, False) for step in range(3)] == [0, 1, 2]
    assert [kernels.place(3, step, True) for step in range(3)] == [2, 1, 0]


def test_every_bfloat16_is_loaded_as_it_is_and_stored_as_it_was() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    loaded = np.zeros(len(every), np.float32)
    load(every, loaded)
    widened = torch.from_numpy(every).view(torch.bfloat16).float().numpy()
    number = ~np.isnan(widened)
    assert np.array_equal(loaded[number].view(np.uint32), widened[number].view(np.uint32))
    assert np.isnan(loaded[~number]).all()
    stored = np.zeros_like(every)
    store(loaded, stored)
    assert np.array_equal(stored[number], every[number])  # infinities and negative zero, too
    assert torch.from_numpy(stored).view(torch.bfloat16)[torch.from_numpy(~number)].isnan().all()


def test_bfloat16_is_rounded_as_pytorch_does() -> None:
    random = np.random.default_rng(5)
    halves = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint64) + 0x8000  # every tie there is
    bits = np.concatenate(
        [random.integers(0, 1 << 32, 200_000, np.uint64), halves - 1, halves, halves + 1]
    )
    numbers = bits.astype(np.uint32).view(np.float32)
    numbers = numbers[~np.isnan(numbers)]
    assert {math.inf, -math.inf}.isdisjoint(numbers.tolist())
    numbers = np.concatenate(
        [numbers, np.array([0.0, -0.0, math.inf, -math.inf, LARGEST, -SMALLEST], np.float32)]
    )
    stored = np.zeros(len(numbers), np.uint16)
    store(numbers, stored)
    assert np.array_equal(stored, bits_of(numbers))


def test_what_is_no_number_stays_so_in_bfloat16() -> None:
    with np.errstate(invalid="ignore"):
        made = np.array([math.inf, 0], np.float32) * np.array([0, -math.inf], np.float32)
    odd = [0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF]  # rounding would carry into the rest
    numbers = np.concatenate([made, np.array(odd, np.uint32).view(np.float32)])
    stored = np.zeros(len(numbers), np.uint16)
    store(numbers, stored)
    assert torch.from_numpy(stored).view(torch.bfloat16).isnan().all()


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_a_longer_place_is_filled_from_the_left(kind: Any) -> None:
    numbers = np.array([1.5, -2, 3], np.float32)
    source = numbers if kind is np.float32 else bits_of(numbers)
    target = np.full(5, 7, np.float32)
    load(source, target)
    assert target.tolist() == [1.5, -2, 3, 7, 7]
    stored = np.zeros(3, kind)
    store(target, stored)
    assert np.array_equal(stored, source)


def compiled_anew(folder: Path) -> Any:
    """What a new process would have of a module in this folder."""
    spec = importlib.util.spec_from_file_location("square", folder / "square.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.square


@pytest.fixture
def square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    code = "from lstm_sentiment.model.kernels import compiled\n\n"
    code += "@compiled\ndef square(x):\n    return x * x\n"
    (tmp_path / "square.py").write_text(code)
    return tmp_path


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda _: b"",
    lambda kept: kept[:-1],
    lambda kept: kept[: len(kept) // 2],
    lambda kept: b"\0" * len(kept),
    lambda _: b"no pickle",
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_compiled_code_that_was_damaged_is_made_anew(
    square: Path, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    assert compiled_anew(square)(3.0) == 9
    (file,) = (square / "__pycache__").glob(f"*.{kind}")
    file.write_bytes(damage(file.read_bytes()))
    function = compiled_anew(square)
    assert function(3.0) == 9
    assert function.stats.cache_misses
    function = compiled_anew(square)
    assert function(3.0) == 9
    assert function.stats.cache_hits  # it was kept again


def test_compiled_code_that_cannot_be_kept_is_used_all_the_same(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert compiled_anew(square)(3.0) == 9
    assert not list((square / "__pycache__").glob("*.nb*"))  # and nothing half-written
    assert compiled_anew(square)(3.0) == 9
    (index,) = (square / "__pycache__").glob("*.nbi")
    index.write_bytes(b"no pickle")
    monkeypatch.setattr("os.replace", full)
    assert compiled_anew(square)(3.0) == 9


def test_without_a_place_to_keep_it_code_is_compiled_all_the_same(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.caching.CacheImpl.__init__", nowhere)
    assert compiled_anew(square)(3.0) == 9
    assert not (square / "__pycache__").exists()


LENGTHS = np.array([2, 5, 3, 1, 5, 4])
ROWS = np.array([1, 5, 2])  # the longest first; the others are another thread's
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Arrays:
    """What the kernels of a cell are called with; all that they may write is full of a mark."""

    T, B, H, U, MARK = 7, 6, 3, 5, 3

    def __init__(self, cell: str, half: bool, shared: bool) -> None:
        G = GATES[cell] * self.H
        self.dtype = np.uint16 if half else np.float32
        random = np.random.default_rng(1)
        if shared:
            self.given = self.narrowed(random.standard_normal((self.U, G)))
            self.places = random.integers(0, self.U, (self.T, self.B))
            self.gates = self.marked(G)
        else:  # what is given stands where the gates will
            self.given = self.narrowed(random.standard_normal((self.T * self.B, G)))
            self.places = np.arange(self.T * self.B).reshape(self.T, self.B)
            self.gates = self.given.reshape(self.T, self.B, G)
        self.weights = np.zeros((4, 16), np.float32)
        self.weights[: self.H, :G] = np.random.default_rng(2).standard_normal((self.H, G))
        self.bias = np.full(self.H, 0.5, np.float32)
        self.states, self.memory = self.marked(self.H), self.marked(self.H)
        self.d_states = self.narrowed(np.ones((self.T, self.B, self.H)))
        self.d_gates, self.d_memory = self.marked(G), self.marked(self.H)

    def narrowed(self, numbers: np.ndarray) -> np.ndarray:
        single = numbers.astype(np.float32)
        return bits_of(single) if self.dtype is np.uint16 else single

    def marked(self, width: int) -> np.ndarray:
        return np.full((self.T, self.B, width), self.MARK, self.dtype)

    def forward(self, kernel: Any, backwards: bool = False, keep: bool = True) -> None:
        kernel(
            *(ROWS, LENGTHS, backwards, keep, self.given, self.places, self.weights, self.bias),
            *(self.gates, self.states, self.memory),
        )

    def backward(self, kernel: Any, backwards: bool) -> None:
        kernel(
            *(ROWS, LENGTHS, backwards, self.gates, self.weights, self.states, self.memory),
            *(self.d_states, self.d_gates, self.d_memory),
        )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", GATES)
def test_zero_is_written_on_padding_and_nothing_for_other_reviews(
    cell: str, backwards: bool, half: bool, shared: bool
) -> None:
    a = Arrays(cell, half, shared)
    given, untouched = a.given.copy(), a.gates.copy()
    a.forward(getattr(kernels, f"{cell}_forward"), backwards)
    values, states, memory = a.gates.copy(), a.states.copy(), a.memory.copy()
    a.backward(getattr(kernels, f"{cell}_backward"), backwards)

    # What the backward pass reads it leaves alone, so that there can be another one.
    assert np.array_equal(a.gates, values)
    assert np.array_equal(a.states, states)
    assert np.array_equal(a.memory, memory)
    if shared:
        assert np.array_equal(a.given, given)
    written = [a.states, a.d_gates] + ([a.d_memory] if cell == "gru" else [])
    for b, length in enumerate(LENGTHS):
        for array in written:
            if b in ROWS:
                assert (array[:length, b] != a.MARK).all()
                assert (array[:length, b] != 0).any()
                assert not array[length:, b].any()
            else:
                assert (array[:, b] == a.MARK).all()
        # Nothing is computed that nobody reads.
        unread = slice(length if b in ROWS else 0, None)
        assert np.array_equal(a.gates[unread, b], untouched[unread, b])
        assert (a.memory[unread, b] == a.MARK).all()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_values_of_gates_are_kept_only_if_asked_for(cell: str, half: bool, shared: bool) -> None:
    states = []
    for keep in (True, False):
        a = Arrays(cell, half, shared)
        untouched = a.gates.copy()
        a.forward(getattr(kernels, f"{cell}_forward"), keep=keep)
        for b in ROWS:
            words = slice(LENGTHS[b])
            for array, before in ((a.gates, untouched), (a.memory, a.marked(a.H))):
                assert np.array_equal(array[words, b], before[words, b]) is not keep
        states.append(a.states)
    assert np.array_equal(*states)


@pytest.mark.parametrize("cell", GATES)
def test_a_word_is_read_where_it_stands_or_in_its_place(cell: str) -> None:
    apart, shared = Arrays(cell, False, False), Arrays(cell, False, True)
    apart.gates[:] = shared.given[shared.places]
    for a in (apart, shared):
        a.forward(getattr(kernels, f"{cell}_forward"))
    assert np.array_equal(apart.states, shared.states)


# How many of its loops divide: one for each activation.
DIVISIONS = {"rnn": (1, 0), "lstm": (5, 1), "gru": (3, 0)}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("cell", GATES)
def test_activations_are_vectorized_and_nothing_is_computed_in_double(
    cell: str, half: bool
) -> None:
    a = Arrays(cell, half, shared=True)
    for way, divisions in zip(("forward", "backward"), DIVISIONS[cell], strict=True):
        # Compiled here, since of what comes from the cache no code can be seen.
        kernel = njit(getattr(kernels, f"{cell}_{way}").py_func, **kernels.OPTIONS)
        a.forward(kernel) if way == "forward" else a.backward(kernel, False)
        (code,) = kernel.inspect_llvm().values()
        widths = [int(width) for width in re.findall(r"fdiv .*?<(\d+) x float>", code)]
        widest = max(widths, default=4)
        assert widest >= 4  # numbers in the registers of every processor of ours
        assert widths.count(widest) >= divisions
        assert not re.search(r"fpext .*double", code)


def test_parts_of_a_row_are_views_of_it() -> None:
    row = np.arange(14, dtype=np.float32)  # wider than the gates
    parts = kernels.parts(row, 3)
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    parts[1][:] = 0
    assert row.tolist() == [0, 1, 2, 0, 0, 0, *range(6, 14)]
