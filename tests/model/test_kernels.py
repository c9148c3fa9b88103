"""The compiled kernels: activations, products, bfloat16, and what they read and write."""

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
# Dense where activations change most, and on both sides of each bound in the code.
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
    """Return the bits of PyTorch's bfloat16 for float32 numbers: (N,) uint16."""
    return torch.from_numpy(numbers).bfloat16().view(torch.uint16).numpy()


def exact_sigmoid(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-numbers))


@pytest.mark.parametrize(
    ("function", "exact", "error"),
    [(tanh_of_all, np.tanh, 2e-7), (sigmoid_of_all, exact_sigmoid, 3e-7)],
)
def test_the_error_of_an_activation_is_as_documented(
    function: Callable[..., Any], exact: Callable[..., Any], error: float
) -> None:
    values = function(RANGE)
    assert values.dtype == np.float32
    assert np.abs(values - exact(RANGE.astype(np.float64))).max() <= error


@pytest.mark.parametrize(
    ("function", "low", "error"), [(tanh_of_all, -1, 2e-7), (sigmoid_of_all, 0, 3e-7)]
)
def test_an_activation_is_monotonic_between_its_bounds(
    function: Callable[..., Any], low: int, error: float
) -> None:
    values = function(np.sort(RANGE)).astype(np.float64)
    # Up to its error: it may be too high at one number and too low at the next.
    assert abs(values.min() - low) <= error
    assert abs(values.max() - 1) <= error
    assert (np.maximum.accumulate(values) - values).max() <= 2 * error
    # Beyond the bounds it is constant.
    far = np.array([18, 18.5, 1e4, LARGEST, math.inf], np.float32)
    for end in (far, -far):
        assert len(set(function(end).tolist())) == 1


def test_tanh_is_odd_and_exact_for_small_numbers() -> None:
    assert np.array_equal(tanh_of_all(-RANGE), -tanh_of_all(RANGE))
    small = np.geomspace(1e-30, 1e-4, 1001).astype(np.float32)
    np.testing.assert_allclose(tanh_of_all(small), np.tanh(small.astype(np.float64)), rtol=5e-7)
    assert sigmoid_of_all(np.zeros(1, np.float32))[0] == 0.5


def test_an_activation_of_nan_is_nan() -> None:
    # At each position among numbers, so that it meets vectorized loops and their remainders.
    for position in range(40):
        numbers = np.ones(40, np.float32)
        numbers[position] = math.nan
        for function in (tanh_of_all, sigmoid_of_all):
            assert np.flatnonzero(np.isnan(function(numbers))).tolist() == [position]
    for function in (kernels.tanh, kernels.sigmoid):
        assert math.isnan(function(np.float32(math.nan)))


# Rows, inner size, columns: multiples of blocks, of vectors, and of neither.
SHAPES = [(4, 4, 4), (4, 4, 16), (8, 12, 20), (12, 16, 48), (4, 100, 416), (16, 4, 36)]


def drawn(*shape: int) -> np.ndarray:
    """Return small integers, whose sums are exact in float32."""
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
        assert np.array_equal(plain, expected)  # rows from `count` on are unchanged
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


def test_nan_stays_in_its_row_of_a_product() -> None:
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


def test_blocks_and_positions() -> None:
    assert [kernels.blocks(count) for count in (0, 1, 3, 4, 5, 8, 9)] == [0, 4, 4, 4, 8, 8, 12]
    assert [kernels.position(3, step, False) for step in range(3)] == [0, 1, 2]
    assert [kernels.position(3, step, True) for step in range(3)] == [2, 1, 0]


def test_loading_and_storing_a_bfloat16_changes_nothing() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    loaded = np.zeros(len(every), np.float32)
    load(every, loaded)
    widened = torch.from_numpy(every).view(torch.bfloat16).float().numpy()
    number = ~np.isnan(widened)
    assert np.array_equal(loaded[number].view(np.uint32), widened[number].view(np.uint32))
    assert np.isnan(loaded[~number]).all()
    stored = np.zeros_like(every)
    store(loaded, stored)
    assert np.array_equal(stored[number], every[number])  # including infinities and negative zero
    assert torch.from_numpy(stored).view(torch.bfloat16)[torch.from_numpy(~number)].isnan().all()


def test_bfloat16_is_rounded_as_pytorch_does() -> None:
    random = np.random.default_rng(5)
    halves = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint64) + 0x8000  # all ties
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


def test_nan_is_stored_as_nan_in_bfloat16() -> None:
    with np.errstate(invalid="ignore"):
        computed = np.array([math.inf, 0], np.float32) * np.array([0, -math.inf], np.float32)
    odd = [0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF]  # rounding up would give other numbers
    numbers = np.concatenate([computed, np.array(odd, np.uint32).view(np.float32)])
    stored = np.zeros(len(numbers), np.uint16)
    store(numbers, stored)
    assert torch.from_numpy(stored).view(torch.bfloat16).isnan().all()


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_a_longer_array_is_filled_from_its_start(kind: Any) -> None:
    numbers = np.array([1.5, -2, 3], np.float32)
    source = numbers if kind is np.float32 else bits_of(numbers)
    target = np.full(5, 7, np.float32)
    load(source, target)
    assert target.tolist() == [1.5, -2, 3, 7, 7]
    stored = np.zeros(3, kind)
    store(target, stored)
    assert np.array_equal(stored, source)


def compiled_anew(folder: Path) -> Any:
    """Import the module in this folder as a new process would."""
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
    lambda content: content[:-1],
    lambda content: content[: len(content) // 2],
    lambda content: b"\0" * len(content),
    lambda _: b"not a pickle",
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_compiled_code_is_compiled_anew(
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
    assert function.stats.cache_hits  # it was cached again


def test_compiled_code_that_cannot_be_cached_is_used(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert compiled_anew(square)(3.0) == 9
    assert not list((square / "__pycache__").glob("*.nb*"))  # no incomplete file either
    assert compiled_anew(square)(3.0) == 9
    (index,) = (square / "__pycache__").glob("*.nbi")
    index.write_bytes(b"not a pickle")
    monkeypatch.setattr("os.replace", full)
    assert compiled_anew(square)(3.0) == 9


def test_without_a_writable_folder_code_is_compiled(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locator(*_: Any) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.core.caching.CacheImpl.__init__", no_locator)
    assert compiled_anew(square)(3.0) == 9
    assert not (square / "__pycache__").exists()


LENGTHS = np.array([2, 5, 3, 1, 5, 4])
ROWS = np.array([1, 5, 2])  # the longest first; the other reviews belong to another thread
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Arrays:
    """The arguments of a cell's kernels; all outputs are filled with `MARK`."""

    T, B, H, U, MARK = 7, 6, 3, 5, 3

    def __init__(self, cell: str, half: bool, shared: bool) -> None:
        G = GATES[cell] * self.H
        self.dtype = np.uint16 if half else np.float32
        random = np.random.default_rng(1)
        if shared:
            self.projected = self.narrowed(random.standard_normal((self.U, G)))
            self.indices = random.integers(0, self.U, (self.T, self.B))
            self.gates = self.unwritten(G)
        else:  # projected inputs and gates share their memory
            self.projected = self.narrowed(random.standard_normal((self.T * self.B, G)))
            self.indices = np.arange(self.T * self.B).reshape(self.T, self.B)
            self.gates = self.projected.reshape(self.T, self.B, G)
        self.weights = np.zeros((4, 16), np.float32)
        self.weights[: self.H, :G] = np.random.default_rng(2).standard_normal((self.H, G))
        self.bias = np.full(self.H, 0.5, np.float32)
        self.states, self.memory = self.unwritten(self.H), self.unwritten(self.H)
        self.d_states = self.narrowed(np.ones((self.T, self.B, self.H)))
        self.d_gates, self.d_memory = self.unwritten(G), self.unwritten(self.H)

    def narrowed(self, numbers: np.ndarray) -> np.ndarray:
        single = numbers.astype(np.float32)
        return bits_of(single) if self.dtype is np.uint16 else single

    def unwritten(self, width: int) -> np.ndarray:
        return np.full((self.T, self.B, width), self.MARK, self.dtype)

    def forward(self, kernel: Any, backwards: bool = False, keep: bool = True) -> None:
        kernel(
            *(
                ROWS,
                LENGTHS,
                backwards,
                keep,
                self.projected,
                self.indices,
                self.weights,
                self.bias,
            ),
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
def test_padding_becomes_zero_and_other_reviews_stay_unwritten(
    cell: str, backwards: bool, half: bool, shared: bool
) -> None:
    a = Arrays(cell, half, shared)
    projected, untouched = a.projected.copy(), a.gates.copy()
    a.forward(getattr(kernels, f"{cell}_forward"), backwards)
    values, states, memory = a.gates.copy(), a.states.copy(), a.memory.copy()
    a.backward(getattr(kernels, f"{cell}_backward"), backwards)

    # The backward pass does not change its inputs, so that it can be repeated.
    assert np.array_equal(a.gates, values)
    assert np.array_equal(a.states, states)
    assert np.array_equal(a.memory, memory)
    if shared:
        assert np.array_equal(a.projected, projected)
    written = [a.states, a.d_gates] + ([a.d_memory] if cell == "gru" else [])
    for b, length in enumerate(LENGTHS):
        for array in written:
            if b in ROWS:
                assert (array[:length, b] != a.MARK).all()
                assert (array[:length, b] != 0).any()
                assert not array[length:, b].any()
            else:
                assert (array[:, b] == a.MARK).all()
        # Values that are never read are not written.
        unread = slice(length if b in ROWS else 0, None)
        assert np.array_equal(a.gates[unread, b], untouched[unread, b])
        assert (a.memory[unread, b] == a.MARK).all()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gates_are_stored_only_with_keep(cell: str, half: bool, shared: bool) -> None:
    states = []
    for keep in (True, False):
        a = Arrays(cell, half, shared)
        untouched = a.gates.copy()
        a.forward(getattr(kernels, f"{cell}_forward"), keep=keep)
        for b in ROWS:
            tokens = slice(LENGTHS[b])
            for array, before in ((a.gates, untouched), (a.memory, a.unwritten(a.H))):
                assert np.array_equal(array[tokens, b], before[tokens, b]) is not keep
        states.append(a.states)
    assert np.array_equal(*states)


@pytest.mark.parametrize("cell", GATES)
def test_distinct_and_repeated_inputs_give_the_same_states(cell: str) -> None:
    repeated, shared = Arrays(cell, False, False), Arrays(cell, False, True)
    repeated.gates[:] = shared.projected[shared.indices]
    for a in (repeated, shared):
        a.forward(getattr(kernels, f"{cell}_forward"))
    assert np.array_equal(repeated.states, shared.states)


# The number of loops with divisions, forward and backward: one for each activation.
DIVISIONS = {"rnn": (1, 0), "lstm": (5, 1), "gru": (3, 0)}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("cell", GATES)
def test_activations_are_vectorized_and_nothing_is_computed_in_double(
    cell: str, half: bool
) -> None:
    a = Arrays(cell, half, shared=True)
    for direction, divisions in zip(("forward", "backward"), DIVISIONS[cell], strict=True):
        # Compiled here: cached code cannot be inspected.
        kernel = njit(getattr(kernels, f"{cell}_{direction}").py_func, **kernels.OPTIONS)
        a.forward(kernel) if direction == "forward" else a.backward(kernel, False)
        (code,) = kernel.inspect_llvm().values()
        widths = [int(width) for width in re.findall(r"fdiv .*?<(\d+) x float>", code)]
        widest = max(widths, default=4)
        assert widest >= 4  # the width of the narrowest SIMD registers
        assert widths.count(widest) >= divisions
        assert not re.search(r"fpext .*double", code)


def test_the_parts_of_a_row_are_views() -> None:
    row = np.arange(14, dtype=np.float32)  # wider than the four gates
    parts = kernels.gate_views(row, 3)
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    parts[1][:] = 0
    assert row.tolist() == [0, 1, 2, 0, 0, 0, *range(6, 14)]
