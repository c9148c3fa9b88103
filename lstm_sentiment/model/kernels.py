"""The recurrences of each cell, forward and backward, compiled by Numba for the CPU.

One call computes all steps of some reviews of a batch, so threads never wait for each other. The
hidden states of these reviews stay in the processor's cache. Padding is not computed, and the
backward direction starts at the end of each review. Libraries that compute one step at a time
synchronize their threads at every step, which takes longer than the arithmetic at the sizes of
sentiment classifiers.

Arrays are C-contiguous and time-major. They hold float32, or bfloat16 as its bits (uint16). Gates
are in PyTorch's order. B is the number of reviews, T the number of steps, H the hidden size and
G the width of all gates together.

rows       the reviews that a call computes, the longest first
lengths    (B,), the number of real tokens of each review
backwards  whether the recurrence runs from the end of each review to its start
keep       whether to store the values that the gradient needs, in `gates` and `memory`
projected  (U, G), the inputs multiplied by the input weights, plus biases
indices    (T, B), the row of `projected` that is read at each step of each review
weights    (H, G), the hidden-to-hidden weights, padded with zeros to whole blocks and vectors
bias       (H,), the bias of a GRU's candidate; unused by the other cells
gates      (T, B, G), output: the gates' values; it may share its memory with `projected` if no two
           indices are equal
states     (T, B, H), output: the hidden states, zero on padding
memory     (T, B, H), output: an LSTM's cell states, or a GRU's candidates before the reset gate

A name with `d_` is the gradient of the loss with respect to that array.

The activations are computed as fractions, which compilers vectorize, unlike exponentials.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.extending import overload

BLOCK = 4  # rows and columns of the unrolled matrix products below
VECTOR = 16  # float32 numbers in the widest registers
ONE = np.float32(1)  # with a plain 1, Numba would compute in float64

Array = np.ndarray


# Division by zero follows IEEE ("numpy"): Numba's check for it would prevent vectorization. The
# fast-math flags preserve NaN, so that diverging training is noticed.
OPTIONS: Any = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}


class CompiledCodeCache(FunctionCache):
    """Numba's cache of compiled code, which ignores damaged files and failures to write.

    The cache is in the folder of this file or, if that folder is read-only, in the user's cache.
    Damaged entries are compiled anew, and entries that cannot be written are not cached; Numba's
    own class raises an error in both cases.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling damaged bytes may raise anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):  # reads the existing index first, which may be damaged
            super().save_overload(sig, data)


def compiled(function: Callable[..., Any]) -> Any:
    """Return a function that Numba compiles when it is first called."""
    kernel = njit(function, **OPTIONS)
    with suppress(RuntimeError):  # without a writable folder, each process compiles anew
        kernel._cache = CompiledCodeCache(function)  # as Numba does for cache=True
    return kernel


@compiled
def tanh(x: Any) -> Any:
    """Return 2pq / (p² + q²), where p/q = tanh(x/2), with an error of up to 2e-7."""
    half = min(max(x, np.float32(-9.0)), np.float32(9.0)) * np.float32(0.5)
    p, q = tanh_fraction(half)
    return (p + p) * q / (p * p + q * q)


@compiled
def sigmoid(x: Any) -> Any:
    """Return (p + q)² / 2(p² + q²), where p/q = tanh(x/4), with an error of up to 3e-7.

    It equals (1 + tanh(x/2)) / 2.
    """
    quarter = min(max(x, np.float32(-18.0)), np.float32(18.0)) * np.float32(0.25)
    p, q = tanh_fraction(quarter)
    return np.float32(0.5) * (p + q) * (p + q) / (p * p + q * q)


@compiled
def tanh_fraction(x: Any) -> tuple[Any, Any]:
    """Return p and q with p/q = tanh(x) for |x| up to 4.5.

    They are the numerator and the denominator of Lambert's fraction
    x/(1 + x²/(3 + x²/(5 + ... x²/17))).
    """
    y = x * x
    p = np.float32(34459425.0) + y * (
        np.float32(4729725.0) + y * (np.float32(135135.0) + y * (np.float32(990.0) + y))
    )
    q = np.float32(34459425.0) + y * (
        np.float32(16216200.0)
        + y * (np.float32(945945.0) + y * (np.float32(13860.0) + y * np.float32(45.0)))
    )
    return x * p, q


@compiled
def add_product(left: Array, right: Array, sums: Array, count: int) -> None:
    """Compute sums[:count] += left[:count] @ right for large N; (R, K), (K, N), (R, N).

    Sixteen numbers of `left` stay in registers during a pass over four rows of the others.
    """
    for r in range(0, count, 4):
        for k in range(0, right.shape[0], 4):
            a00, a01, a02, a03 = left[r, k : k + 4]
            a10, a11, a12, a13 = left[r + 1, k : k + 4]
            a20, a21, a22, a23 = left[r + 2, k : k + 4]
            a30, a31, a32, a33 = left[r + 3, k : k + 4]
            for n in range(right.shape[1]):
                b0, b1, b2, b3 = right[k, n], right[k + 1, n], right[k + 2, n], right[k + 3, n]
                sums[r, n] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                sums[r + 1, n] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                sums[r + 2, n] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                sums[r + 3, n] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3


@compiled
def add_product_with_transposed(left: Array, right: Array, sums: Array, count: int) -> None:
    """Compute sums[:count] += left[:count] @ right.T for large K; (R, K), (N, K), (R, N).

    Sixteen sums stay in registers during a pass over four rows of `left` and of `right`.
    """
    for r in range(0, count, 4):
        for n in range(0, right.shape[0], 4):
            s00 = s01 = s02 = s03 = np.float32(0)
            s10 = s11 = s12 = s13 = np.float32(0)
            s20 = s21 = s22 = s23 = np.float32(0)
            s30 = s31 = s32 = s33 = np.float32(0)
            for k in range(right.shape[1]):
                a0, a1, a2, a3 = left[r, k], left[r + 1, k], left[r + 2, k], left[r + 3, k]
                b0, b1, b2, b3 = right[n, k], right[n + 1, k], right[n + 2, k], right[n + 3, k]
                s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
                s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
                s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
                s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
            for j, s in enumerate((s00, s01, s02, s03)):
                sums[r, n + j] += s
            for j, s in enumerate((s10, s11, s12, s13)):
                sums[r + 1, n + j] += s
            for j, s in enumerate((s20, s21, s22, s23)):
                sums[r + 2, n + j] += s
            for j, s in enumerate((s30, s31, s32, s33)):
                sums[r + 3, n + j] += s


@compiled
def blocks(count: int) -> int:
    """Return `count` rounded up to whole blocks; results for the additional rows are ignored."""
    return -(-count // 4) * 4


@compiled
def position(length: int, step: int, backwards: bool) -> int:
    """Return the position of the token that a recurrence reads at a step, both from zero."""
    return length - 1 - step if backwards else step


@compiled
def gate_views(row: Array, size: int) -> tuple[Array, Array, Array, Array]:
    """Return a view of each gate in a row; a GRU does not use the fourth.

    Loops over these views start at zero. Loops with an offset are not vectorized, since an index
    might be negative.
    """
    return row[:size], row[size : 2 * size], row[2 * size : 3 * size], row[3 * size : 4 * size]


def load(source: Array, target: Array) -> None:
    """Copy N stored numbers to the first N elements of a float32 array."""
    raise NotImplementedError("compiled functions only: see the overload below")


def store(source: Array, target: Array) -> None:
    """Copy the first N elements of a float32 array to N stored numbers, rounding to the nearest.

    Ties are rounded to even.
    """
    raise NotImplementedError("compiled functions only: see the overload below")


@overload(load, jit_options=OPTIONS)
def _load(source: Any, target: Any) -> Callable[[Any, Any], None]:
    def copy(source: Any, target: Any) -> None:
        for j in range(len(source)):  # Numba checks slices for overlap, which is slower
            target[j] = source[j]

    def widen(source: Any, target: Any) -> None:
        bits = target.view(np.uint32)
        for j in range(len(source)):
            bits[j] = np.uint32(source[j]) << np.uint32(16)

    return {types.float32: copy, types.uint16: widen}[source.dtype]


@overload(store, jit_options=OPTIONS)
def _store(source: Any, target: Any) -> Callable[[Any, Any], None]:
    def copy(source: Any, target: Any) -> None:
        for j in range(len(target)):
            target[j] = source[j]

    def narrow(source: Any, target: Any) -> None:
        bits = source.view(np.uint32)
        for j in range(len(target)):
            b, high = bits[j], bits[j] >> np.uint32(16)
            is_nan = (b & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
            rounded = (b + np.uint32(0x7FFF) + (high & np.uint32(1))) >> np.uint32(16)
            target[j] = high | np.uint32(0x40) if is_nan else rounded

    return {types.float32: copy, types.uint16: narrow}[target.dtype]


@compiled
def clear_padding(rows: Array, lengths: Array, states: Array) -> None:
    """Set the padding of these rows of a (T, B, ...) array to zero."""
    for b in rows:
        states[lengths[b] :, b] = 0


@compiled
def rnn_forward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    keep: bool,
    projected: Array,
    indices: Array,
    weights: Array,
    bias: Array,
    gates: Array,
    states: Array,
    memory: Array,
) -> None:
    """Compute h' = tanh(gate + W h); the gradient needs only the states."""
    H, count = states.shape[2], len(rows)
    hidden = np.zeros((blocks(count), weights.shape[0]), np.float32)
    sums = np.zeros((blocks(count), weights.shape[1]), np.float32)
    for step in range(lengths[rows[0]]):
        while lengths[rows[count - 1]] <= step:
            count -= 1
        for r in range(count):
            b = rows[r]
            load(projected[indices[position(lengths[b], step, backwards), b]], sums[r])
        add_product(hidden, weights, sums, blocks(count))
        for r in range(count):
            b = rows[r]
            for j in range(H):
                hidden[r, j] = tanh(sums[r, j])
            store(hidden[r], states[position(lengths[b], step, backwards), b])
    clear_padding(rows, lengths, states)


@compiled
def rnn_backward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    gates: Array,
    weights: Array,
    states: Array,
    memory: Array,
    d_states: Array,
    d_gates: Array,
    d_memory: Array,
) -> None:
    """Compute the gradients of the gates from the gradients of the states, in reverse order."""
    H, count = states.shape[2], 0
    d_hidden = np.zeros((blocks(len(rows)), weights.shape[0]), np.float32)
    d_sums = np.zeros((blocks(len(rows)), weights.shape[1]), np.float32)
    state, above = np.zeros((2, H), np.float32)
    for step in range(lengths[rows[0]] - 1, -1, -1):
        while count < len(rows) and lengths[rows[count]] > step:
            count += 1
        for r in range(count):
            b = rows[r]
            t = position(lengths[b], step, backwards)
            d_sum, d_h = d_sums[r], d_hidden[r]
            load(states[t, b], state)
            load(d_states[t, b], above)
            for j in range(H):
                d_sum[j] = (d_h[j] + above[j]) * (ONE - state[j] * state[j])
                d_h[j] = 0
            store(d_sum, d_gates[t, b])
        add_product_with_transposed(d_sums, weights, d_hidden, blocks(count))
    clear_padding(rows, lengths, d_gates)


@compiled
def lstm_forward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    keep: bool,
    projected: Array,
    indices: Array,
    weights: Array,
    bias: Array,
    gates: Array,
    states: Array,
    cells: Array,
) -> None:
    """Compute i, f, o = sigmoid(gate + W h), g = tanh(gate + W h), c' = f c + i g, h' = o tanh(c').

    `memory` is `cells`, which keeps c'.
    """
    H, count = states.shape[2], len(rows)
    hidden = np.zeros((blocks(count), weights.shape[0]), np.float32)
    sums = np.zeros((blocks(count), weights.shape[1]), np.float32)
    cell = np.zeros((count, H), np.float32)
    for step in range(lengths[rows[0]]):
        while lengths[rows[count - 1]] <= step:
            count -= 1
        for r in range(count):
            b = rows[r]
            load(projected[indices[position(lengths[b], step, backwards), b]], sums[r])
        add_product(hidden, weights, sums, blocks(count))
        for r in range(count):
            b = rows[r]
            t = position(lengths[b], step, backwards)
            i, f, g, o = gate_views(sums[r], H)
            c, h = cell[r], hidden[r]
            for j in range(H):
                i[j], f[j], o[j] = sigmoid(i[j]), sigmoid(f[j]), sigmoid(o[j])
                g[j] = tanh(g[j])
            for j in range(H):
                c[j] = f[j] * c[j] + i[j] * g[j]
                h[j] = o[j] * tanh(c[j])
            store(h, states[t, b])
            if keep:
                store(sums[r], gates[t, b])
                store(c, cells[t, b])
    clear_padding(rows, lengths, states)


@compiled
def lstm_backward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    gates: Array,
    weights: Array,
    states: Array,
    cells: Array,
    d_states: Array,
    d_gates: Array,
    d_memory: Array,
) -> None:
    """Compute the gradients of the gates from the gradients of the states, in reverse order."""
    H, count = states.shape[2], 0
    d_hidden = np.zeros((blocks(len(rows)), weights.shape[0]), np.float32)
    d_sums = np.zeros((blocks(len(rows)), weights.shape[1]), np.float32)
    d_cell = np.zeros((len(rows), H), np.float32)
    gate, cell = np.zeros(4 * H, np.float32), np.zeros(H, np.float32)
    before, above = np.zeros(H, np.float32), np.zeros(H, np.float32)
    for step in range(lengths[rows[0]] - 1, -1, -1):
        while count < len(rows) and lengths[rows[count]] > step:
            count += 1
        for r in range(count):
            b = rows[r]
            t = position(lengths[b], step, backwards)
            load(gates[t, b], gate)
            load(cells[t, b], cell)
            load(d_states[t, b], above)
            if step > 0:
                load(cells[position(lengths[b], step - 1, backwards), b], before)
            else:
                before[:] = 0
            i, f, g, o = gate_views(gate, H)
            d_i, d_f, d_g, d_o = gate_views(d_sums[r], H)
            d_c, d_h = d_cell[r], d_hidden[r]
            for j in range(H):
                c, d = tanh(cell[j]), d_h[j] + above[j]
                d_o[j] = d * c * o[j] * (ONE - o[j])
                d_c[j] += d * o[j] * (ONE - c * c)
                d_h[j] = 0
            for j in range(H):
                d_i[j] = d_c[j] * g[j] * i[j] * (ONE - i[j])
                d_f[j] = d_c[j] * before[j] * f[j] * (ONE - f[j])
                d_g[j] = d_c[j] * i[j] * (ONE - g[j] * g[j])
                d_c[j] *= f[j]
            store(d_sums[r], d_gates[t, b])
        add_product_with_transposed(d_sums, weights, d_hidden, blocks(count))
    clear_padding(rows, lengths, d_gates)


@compiled
def gru_forward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    keep: bool,
    projected: Array,
    indices: Array,
    weights: Array,
    bias: Array,
    gates: Array,
    states: Array,
    candidates: Array,
) -> None:
    """Compute r, z = sigmoid(gate + W h), a = W h + bias, n = tanh(gate + r a), h' = n + z (h - n).

    `memory` is `candidates`, which keeps a.
    """
    H, count = states.shape[2], len(rows)
    hidden = np.zeros((blocks(count), weights.shape[0]), np.float32)
    sums = np.zeros((blocks(count), weights.shape[1]), np.float32)
    for_new = np.zeros(H, np.float32)
    for step in range(lengths[rows[0]]):
        while lengths[rows[count - 1]] <= step:
            count -= 1
        for r in range(count):
            b = rows[r]
            load(projected[indices[position(lengths[b], step, backwards), b], : 2 * H], sums[r])
            load(bias, sums[r, 2 * H :])
        add_product(hidden, weights, sums, blocks(count))
        for r in range(count):
            b = rows[r]
            t = position(lengths[b], step, backwards)
            reset, update, new, _ = gate_views(sums[r], H)
            h = hidden[r]
            load(projected[indices[t, b], 2 * H :], for_new)
            if keep:
                store(new, candidates[t, b])
            for j in range(H):
                reset[j], update[j] = sigmoid(reset[j]), sigmoid(update[j])
                new[j] = tanh(for_new[j] + reset[j] * new[j])
            for j in range(H):
                h[j] = new[j] + update[j] * (h[j] - new[j])
            store(h, states[t, b])
            if keep:
                store(sums[r], gates[t, b])
    clear_padding(rows, lengths, states)


@compiled
def gru_backward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    gates: Array,
    weights: Array,
    states: Array,
    candidates: Array,
    d_states: Array,
    d_gates: Array,
    d_candidates: Array,
) -> None:
    """Compute the gradients of gates and candidates from the gradients of the states."""
    H, count = states.shape[2], 0
    d_hidden = np.zeros((blocks(len(rows)), weights.shape[0]), np.float32)
    d_sums = np.zeros((blocks(len(rows)), weights.shape[1]), np.float32)
    gate, candidate = np.zeros(3 * H, np.float32), np.zeros(H, np.float32)
    before, above, d_projected = np.zeros((3, H), np.float32)
    for step in range(lengths[rows[0]] - 1, -1, -1):
        while count < len(rows) and lengths[rows[count]] > step:
            count += 1
        for r in range(count):
            b = rows[r]
            t = position(lengths[b], step, backwards)
            load(gates[t, b], gate)
            load(candidates[t, b], candidate)
            load(d_states[t, b], above)
            if step > 0:
                load(states[position(lengths[b], step - 1, backwards), b], before)
            else:
                before[:] = 0
            reset, update, new, _ = gate_views(gate, H)
            d_reset, d_update, d_candidate, _ = gate_views(d_sums[r], H)
            d_h = d_hidden[r]
            for j in range(H):
                d = d_h[j] + above[j]
                d_new = d * (ONE - update[j]) * (ONE - new[j] * new[j])
                d_reset[j] = d_new * candidate[j] * reset[j] * (ONE - reset[j])
                d_update[j] = d * (before[j] - new[j]) * update[j] * (ONE - update[j])
                d_candidate[j] = d_new * reset[j]
                d_projected[j] = d_new
                d_h[j] = d * update[j]
            store(d_sums[r], d_gates[t, b, : 2 * H])
            store(d_projected, d_gates[t, b, 2 * H :])
            store(d_candidate, d_candidates[t, b])
        add_product_with_transposed(d_sums, weights, d_hidden, blocks(count))
    clear_padding(rows, lengths, d_gates)
    clear_padding(rows, lengths, d_candidates)
