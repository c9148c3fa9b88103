"""One recurrent layer in one direction on the CPU: (T, B, E) inputs -> (T, B, H) states.

The kernels compute the terms that depend on the previous step. PyTorch computes all other terms as
matrix products over all steps at once: the contributions of the inputs to the gates before the
recurrence, and the gradients of the weights after it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lstm_sentiment.model import kernels

Weights = list[Tensor]  # weight_ih, weight_hh, bias_ih and bias_hh of PyTorch


class Inputs(NamedTuple):
    """The inputs of a layer: all vectors, or each distinct vector once and their indices."""

    vectors: Tensor  # (T, B, E), or (U, E) with indices
    indices: Tensor | None = None  # (T, B), the vector that each review reads at each step

    def project(self, weight: Tensor, bias: Tensor) -> "Inputs":
        """Return the inputs times `weight`, plus `bias`: (T, B, G) or (U, G), in a new tensor."""
        return Inputs(F.linear(self.vectors, weight, bias), self.indices)


class RowPartition:
    """A division of the reviews of a batch among threads; each thread has its longest review first.

    `rows` holds the rows of each thread, `lengths` is (B,), and `longest` is the largest length.
    Raises ValueError if a length is below 1.
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths.numpy()
        if not len(lengths) or self.lengths.min() < 1:
            raise ValueError(f"each length must be at least 1 (got {lengths.tolist()})")
        self.longest = int(self.lengths.max())
        order = np.argsort(-self.lengths, kind="stable")
        self.rows = [rows for rows in np.array_split(order, torch.get_num_threads()) if len(rows)]

    def compute(self, kernel: Any, *arguments: Any) -> None:
        """Call `kernel(rows, lengths, *arguments)` on the rows of all threads at the same time."""
        arrays = [_array(a) if isinstance(a, Tensor) else a for a in arguments]
        first, *others = [(rows, self.lengths, *arrays) for rows in self.rows]
        workers = _workers(torch.get_num_threads())
        futures = [workers.submit(kernel, *call) for call in others]
        kernel(*first)
        for future in futures:
            future.result()


def _array(tensor: Tensor) -> np.ndarray:
    """Return a view of a tensor; bfloat16, which NumPy lacks, is viewed as its bits."""
    return (tensor.view(torch.uint16) if tensor.dtype is torch.bfloat16 else tensor).numpy()


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    """Return a pool of Python threads: a running kernel does not hold the interpreter lock.

    Its threads treat subnormal numbers as zero, see `subnormals`.
    """
    return ThreadPoolExecutor(threads, "recurrence", torch.set_flush_denormal, (True,))


if hasattr(os, "register_at_fork"):  # a forked process has the pool, but not its threads
    os.register_at_fork(after_in_child=_workers.cache_clear)


def rnn(inputs: Inputs, weights: Weights, partition: RowPartition, backwards: bool) -> Tensor:
    """Return the states, (T, B, H), of one direction of an RNN with tanh."""
    ih, hh, bias_ih, bias_hh = weights
    projected = inputs.project(ih, bias_ih + bias_hh)
    return _recur(
        kernels.rnn_forward, kernels.rnn_backward, projected, hh, None, partition, backwards
    )


def lstm(inputs: Inputs, weights: Weights, partition: RowPartition, backwards: bool) -> Tensor:
    """Return the states, (T, B, H), of one direction of an LSTM."""
    ih, hh, bias_ih, bias_hh = weights
    projected = inputs.project(ih, bias_ih + bias_hh)
    return _recur(
        kernels.lstm_forward, kernels.lstm_backward, projected, hh, None, partition, backwards
    )


def gru(inputs: Inputs, weights: Weights, partition: RowPartition, backwards: bool) -> Tensor:
    """Return the states, (T, B, H), of one direction of a GRU."""
    ih, hh, bias_ih, bias_hh = weights
    size = hh.shape[1]
    # In PyTorch, the reset gate also multiplies the last third of bias_hh.
    projected = inputs.project(ih, bias_ih + F.pad(bias_hh[: 2 * size], (0, size)))
    bias = bias_hh[2 * size :]
    return _recur(
        kernels.gru_forward, kernels.gru_backward, projected, hh, bias, partition, backwards
    )


def checked_indices(projected: Inputs, partition: RowPartition) -> Tensor:
    """Return the row of `projected` that is read at each step, (T, B), which kernels do not check.

    Raises ValueError if an index is out of bounds or if the lengths do not fit the inputs.
    """
    indices = projected.indices
    if indices is None:
        T, B, _ = projected.vectors.shape
        indices = torch.arange(T * B).view(T, B)
    elif indices.min() < 0 or indices.max() >= len(projected.vectors):
        raise ValueError(
            f"indices must be below the number of vectors and at least 0 (got "
            f"{indices.min()} to {indices.max()} for {len(projected.vectors)} vectors)"
        )
    T, B = indices.shape
    if partition.longest > T or len(partition.lengths) != B:
        raise ValueError(
            f"lengths must fit the inputs (got {len(partition.lengths)} lengths of up to "
            f"{partition.longest} for {B} reviews of {T} steps)"
        )
    return indices


def _recur(
    forward: Any,
    backward: Any,
    projected: Inputs,
    weight: Tensor,
    bias: Tensor | None,
    partition: RowPartition,
    backwards: bool,
) -> Tensor:
    """Return the states, (T, B, H). Raises ValueError like `checked_indices`."""
    indices = checked_indices(projected, partition)
    # Decided here, since gradients are always disabled within a Function.
    keep = torch.is_grad_enabled() and (projected.vectors.requires_grad or weight.requires_grad)
    return _Recurrence.apply(  # type: ignore[no-untyped-call]
        projected.vectors,
        indices.contiguous(),
        weight,
        bias,
        forward,
        backward,
        partition,
        backwards,
        keep,
    )


class _Recurrence(torch.autograd.Function):
    """A recurrence with its gradient: contributions of the inputs to the gates -> (T, B, H) states.

    The contributions are (T, B, G), or (U, G) with (T, B) indices; `weight` is (G, H), and `bias`,
    of a GRU only, is (H,). To save memory, the gates' values overwrite contributions of (T, B, G).
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        indices: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        forward: Any,
        backward: Any,
        partition: RowPartition,
        backwards: bool,
        keep: bool,
    ) -> Tensor:
        (T, B), (G, H) = indices.shape, weight.shape
        ctx.shared = projected.dim() == 2
        states = projected.new_empty(T, B, H)
        steps = (T, B) if keep else (0, 0)
        gates = projected.new_empty(*steps, G) if ctx.shared else projected
        memory = projected.new_empty(*steps, H)
        partition.compute(
            forward,
            backwards,
            keep,
            projected.view(-1, G),
            indices,
            _transposed(weight),
            projected.new_empty(0) if bias is None else bias,
            gates,
            states,
            memory,
        )
        ctx.save_for_backward(gates, indices, weight, bias, states, memory)
        ctx.distinct, ctx.kernel = len(projected), backward
        ctx.partition, ctx.backwards = partition, backwards
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        gates, indices, weight, bias, states, memory = ctx.saved_tensors
        d_gates, d_memory = torch.empty_like(gates), torch.empty_like(memory)
        ctx.partition.compute(
            ctx.kernel,
            ctx.backwards,
            gates,
            _transposed(weight),
            states,
            memory,
            d_states.contiguous(),
            d_gates,
            d_memory,
        )
        if bias is None:
            d_weight, d_bias = _weight_gradient(d_gates, states, ctx.backwards), None
        else:
            d_sums = d_gates[..., : -weight.shape[1]], d_memory
            d_weight = torch.cat([_weight_gradient(d, states, ctx.backwards) for d in d_sums])
            d_bias = d_memory.sum((0, 1), dtype=torch.float32)
        d_projected = sum_by_index(d_gates, indices, ctx.distinct) if ctx.shared else d_gates
        return d_projected, None, d_weight, d_bias, None, None, None, None, None


def sum_by_index(d_gates: Tensor, indices: Tensor, count: int) -> Tensor:
    """Sum over all steps that read the same vector, in float32: (T, B, G), (T, B) -> (U, G).

    A frequent word occurs a thousand times in a batch, and a sum in bfloat16 stops growing after a
    few hundred terms.
    """
    gradient = torch.ops.aten.embedding_dense_backward
    sums = gradient(d_gates.float(), indices, count, padding_idx=-1, scale_grad_by_freq=False)
    return sums.to(d_gates.dtype)


def _weight_gradient(d_sums: Tensor, states: Tensor, backwards: bool) -> Tensor:
    """Sum `d_sums` times the previous state over all steps: (T, B, G), (T, B, H) -> (G, H)."""
    after, before = (d_sums[:-1], states[1:]) if backwards else (d_sums[1:], states[:-1])
    return after.flatten(0, 1).T @ before.flatten(0, 1)


def _transposed(weight: Tensor) -> Tensor:
    """Transpose the weights, (G, H) -> (H, G), and pad them with zeros to whole blocks and vectors.

    The distance between rows is never a multiple of 1 KiB: such rows compete for few cache lines.
    """
    G, H = weight.shape
    rows, columns = -(-H // kernels.BLOCK), -(-G // kernels.VECTOR)
    columns += 2 if columns % 16 == 0 else 0
    padded = weight.new_zeros(rows * kernels.BLOCK, columns * kernels.VECTOR)
    padded[:H, :G] = weight.T
    return padded
