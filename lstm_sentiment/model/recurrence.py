"""One layer in one direction on the CPU: (T, B, E) inputs -> (T, B, H) states, with gradients.

The kernels compute only what goes from step to step. What does not are matrix products over all
steps at once, which are PyTorch's: inputs to gates before it, gradients of the weights behind it.
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

Weights = list[Tensor]  # input-hidden, hidden-hidden, and the two biases


class Inputs(NamedTuple):
    """What a layer reads: vectors, or where the same ones come again and again, each once."""

    vectors: Tensor  # (T, B, E), or (U, E)
    places: Tensor | None = None  # (T, B), which of the U stands where

    def project(self, weight: Tensor, bias: Tensor) -> "Inputs":
        """What they contribute to the gates, (T, B, G) or (U, G); a new tensor"""
        return Inputs(F.linear(self.vectors, weight, bias), self.places)


class Shares:
    """Which reviews of a batch each thread computes, the longest first: it depends on no other."""

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths.numpy()
        if not len(lengths) or self.lengths.min() < 1:
            raise ValueError(f"lengths are {lengths.tolist()}: every review needs a token")
        self.longest = int(self.lengths.max())
        order = np.argsort(-self.lengths, kind="stable")
        self.rows = [rows for rows in np.array_split(order, torch.get_num_threads()) if len(rows)]

    def compute(self, kernel: Any, *arguments: Any) -> None:
        """Calls `kernel(rows, lengths, *arguments)` for all shares at once."""
        arrays = [_array(a) if isinstance(a, Tensor) else a for a in arguments]
        first, *others = [(rows, self.lengths, *arrays) for rows in self.rows]
        workers = _workers(torch.get_num_threads())
        waiting = [workers.submit(kernel, *call) for call in others]
        kernel(*first)
        for call in waiting:
            call.result()


def _array(tensor: Tensor) -> np.ndarray:
    """The same memory; bfloat16, which NumPy does not know, as its bits."""
    return (tensor.view(torch.uint16) if tensor.dtype is torch.bfloat16 else tensor).numpy()


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    # Python's threads: while a kernel runs it has no need of the interpreter.
    return ThreadPoolExecutor(threads, "recurrence")


if hasattr(os, "register_at_fork"):  # a child process inherits the pool, but not its threads
    os.register_at_fork(after_in_child=_workers.cache_clear)


def rnn(inputs: Inputs, weights: Weights, shares: Shares, backwards: bool) -> Tensor:
    ih, hh, bias_ih, bias_hh = weights
    given = inputs.project(ih, bias_ih + bias_hh)
    return _recur(kernels.rnn_forward, kernels.rnn_backward, given, hh, None, shares, backwards)


def lstm(inputs: Inputs, weights: Weights, shares: Shares, backwards: bool) -> Tensor:
    ih, hh, bias_ih, bias_hh = weights
    given = inputs.project(ih, bias_ih + bias_hh)
    return _recur(kernels.lstm_forward, kernels.lstm_backward, given, hh, None, shares, backwards)


def gru(inputs: Inputs, weights: Weights, shares: Shares, backwards: bool) -> Tensor:
    ih, hh, bias_ih, bias_hh = weights
    size = hh.shape[1]
    # PyTorch's reset gate multiplies the last third of this bias, too.
    given = inputs.project(ih, bias_ih + F.pad(bias_hh[: 2 * size], (0, size)))
    bias = bias_hh[2 * size :]
    return _recur(kernels.gru_forward, kernels.gru_backward, given, hh, bias, shares, backwards)


def _recur(
    forward: Any,
    backward: Any,
    given: Inputs,
    weight: Tensor,
    bias: Tensor | None,
    shares: Shares,
    backwards: bool,
) -> Tensor:
    places = given.places
    if places is None:
        T, B, _ = given.vectors.shape
        places = torch.arange(T * B).view(T, B)
    elif places.min() < 0 or places.max() >= len(given.vectors):
        raise ValueError(
            f"places from {places.min()} to {places.max()} among {len(given.vectors)} vectors"
        )
    T, B = places.shape
    if shares.longest > T or len(shares.lengths) != B:
        raise ValueError(
            f"{len(shares.lengths)} lengths of up to {shares.longest} for {B} reviews of {T} steps"
        )  # the kernels look at no bound: they would read and write elsewhere
    # Asked here, since within a Function no gradient is ever enabled.
    keep = torch.is_grad_enabled() and (given.vectors.requires_grad or weight.requires_grad)
    return _Recurrence.apply(  # type: ignore[no-untyped-call]
        given.vectors, places.contiguous(), weight, bias, forward, backward, shares, backwards, keep
    )


class _Recurrence(torch.autograd.Function):
    """What the inputs contribute to the gates, (T, B, G), or (U, G) with (T, B) places; (G, H)
    weights of the states; (H,) bias of a GRU -> (T, B, H) states.

    (T, B, G) is overwritten by the gates' values: they are as large as all the rest together.
    """

    @staticmethod
    def forward(
        ctx: Any,
        given: Tensor,
        places: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        forward: Any,
        backward: Any,
        shares: Shares,
        backwards: bool,
        keep: bool,
    ) -> Tensor:
        (T, B), (G, H) = places.shape, weight.shape
        ctx.shared = given.dim() == 2
        states = given.new_empty(T, B, H)
        kept = (T, B) if keep else (0, 0)
        gates = given.new_empty(*kept, G) if ctx.shared else given
        memory = given.new_empty(*kept, H)
        shares.compute(
            forward,
            backwards,
            keep,
            given.view(-1, G),
            places,
            _transposed(weight),
            given.new_empty(0) if bias is None else bias,
            gates,
            states,
            memory,
        )
        ctx.save_for_backward(gates, places, weight, bias, states, memory)
        ctx.words, ctx.kernel, ctx.shares, ctx.backwards = len(given), backward, shares, backwards
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        gates, places, weight, bias, states, memory = ctx.saved_tensors
        d_gates, d_memory = torch.empty_like(gates), torch.empty_like(memory)
        ctx.shares.compute(
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
        d_given = _sum_of_places(d_gates, places, ctx.words) if ctx.shared else d_gates
        return d_given, None, d_weight, d_bias, None, None, None, None, None


def _sum_of_places(d_gates: Tensor, places: Tensor, words: int) -> Tensor:
    """(T, B, G), (T, B) -> (U, G): what the places of each word add up to, in float32.

    A word stands in a batch a thousand times, and in bfloat16 a sum stops growing after some
    hundred terms.
    """
    gradient = torch.ops.aten.embedding_dense_backward
    sums = gradient(d_gates.float(), places, words, padding_idx=-1, scale_grad_by_freq=False)
    return sums.to(d_gates.dtype)


def _weight_gradient(d_sums: Tensor, states: Tensor, backwards: bool) -> Tensor:
    """(T, B, G), (T, B, H) -> (G, H): the sum over all steps of d_sums times the state before"""
    after, before = (d_sums[:-1], states[1:]) if backwards else (d_sums[1:], states[:-1])
    return after.flatten(0, 1).T @ before.flatten(0, 1)


def _transposed(weight: Tensor) -> Tensor:
    """(G, H) -> (H, G), with zeros behind up to whole blocks and vectors.

    Rows a multiple of 1 KiB apart would compete for a few lines of the cache.
    """
    G, H = weight.shape
    rows, columns = -(-H // kernels.BLOCK), -(-G // kernels.VECTOR)
    columns += 2 if columns % 16 == 0 else 0
    padded = weight.new_zeros(rows * kernels.BLOCK, columns * kernels.VECTOR)
    padded[:H, :G] = weight.T
    return padded
