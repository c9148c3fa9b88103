"""One layer in one direction of a cell without a matrix product from step to step.

The gates of all steps are one matrix product of the inputs. Each unit then depends on its own
previous value only. There are two implementations of each cell, with the same results:

- On the CPU, in float32, a compiled kernel reads one review after the other.
- Otherwise, such as on CUDA, PyTorch computes all reviews in the order of reading. minGRU and
  minLSTM are linear in the previous state, so that a parallel scan takes log2(T) passes instead of
  T steps. The forget gate of an SRU depends on its previous state, so it takes T steps.

The initial state is zero. Layers are time-major: (T, B, E) inputs -> (T, B, H) states.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lstm_sentiment.model import elementwise_kernels as kernels
from lstm_sentiment.model.recurrence import (
    Inputs,
    RowPartition,
    Weights,
    checked_indices,
    sum_by_index,
)

# The factor of an SRU's inputs in its highway connection, by which the states of a deep stack keep
# their variance if the bias of the reset gate is 0 at the start (Lei et al. 2018, initialization).
HIGHWAY_SCALE = math.sqrt(1 + 2 * math.exp(0))


def mingru(inputs: Inputs, weights: Weights, partition: RowPartition, backwards: bool) -> Tensor:
    """Return the states, (T, B, H), of one direction of a minGRU; see `scan_mingru`."""
    projected = inputs.project(*weights)
    return _recur(
        kernels.mingru_forward, kernels.mingru_backward, projected, 2, None, partition, backwards
    )


def minlstm(inputs: Inputs, weights: Weights, partition: RowPartition, backwards: bool) -> Tensor:
    """Return the states, (T, B, H), of one direction of a minLSTM; see `scan_minlstm`."""
    as_mingru = Inputs(_mingru_gates(inputs.project(*weights).vectors), inputs.indices)
    return _recur(
        kernels.mingru_forward, kernels.mingru_backward, as_mingru, 2, None, partition, backwards
    )


def sru(inputs: Inputs, weights: Weights, partition: RowPartition, backwards: bool) -> Tensor:
    """Return the states, (T, B, H), of one direction of an SRU; see `scan_sru`."""
    *linear, state_weight = weights
    projected = _sru_projection(inputs, linear, backwards)
    return _recur(
        kernels.sru_forward, kernels.sru_backward, projected, 4, state_weight, partition, backwards
    )


def scan_mingru(
    vectors: Tensor, weights: Weights, _backwards: bool, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the states of a minGRU, (T, B, H), and the last one, from the state `start`, (B, H).

    z = sigmoid(Wz x + bz), h' = (1 - z) h + z (Wh x + bh): Feng et al. 2024, "Were RNNs All We
    Needed?", section 3.1, in the form of the main text, with a linear candidate. The other form of
    the paper, in log space, passes the candidate through a function g > 0, which its parallel scan
    of logarithms needs. The scan here is of the values themselves: all factors are below 1, so it
    is stable without logarithms, and states may be negative.

    `vectors` are in the order of reading.
    """
    return _scan_gates(F.linear(vectors, *weights), start)


def scan_minlstm(
    vectors: Tensor, weights: Weights, _backwards: bool, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the states of a minLSTM, (T, B, H), and the last one, from the state `start`, (B, H).

    f = sigmoid(Wf x + bf), i = sigmoid(Wi x + bi), h' = (f h + i (Wh x + bh)) / (f + i): Feng et
    al. 2024, section 3.2, with the normalized gates that keep the scale of the states independent
    of the number of steps, and with a linear candidate, like `scan_mingru`. With these gates, it is
    a minGRU with another update gate.
    """
    return _scan_gates(_mingru_gates(F.linear(vectors, *weights)), start)


def _scan_gates(gates: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states of a minGRU, (T, B, H), and the last one, given its gates, (T, B, 2 H)."""
    update, candidate = gates.chunk(2, -1)
    states = linear_recurrence(torch.sigmoid(-update), torch.sigmoid(update) * candidate, start)
    return states, states[-1]


def _mingru_gates(gates: Tensor) -> Tensor:
    """Return the gates of the minGRU that equals a minLSTM: (..., 3 H) -> (..., 2 H).

    The share of the candidate, i / (f + i), is the sigmoid of log i - log f.
    """
    forget, admit, candidate = gates.chunk(3, -1)
    return torch.cat([F.logsigmoid(admit) - F.logsigmoid(forget), candidate], -1)


def scan_sru(
    vectors: Tensor, weights: Weights, backwards: bool, start: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the states of an SRU, (T, B, H), and its last internal state, from `start`, (B, H).

    f = sigmoid(Wf x + vf * c + bf), c' = f * c + (1 - f) * W x, r = sigmoid(Wr x + vr * c + br),
    h = r * c' + (1 - r) * s: Lei et al. 2018, "Simple Recurrent Units for Highly Parallelizable
    Recurrence", equations 1 to 4. The highway connection s is the scaled input, see
    `HIGHWAY_SCALE`, or Ws x if the layer's output has another width than its input.
    """
    *linear, state_weight = weights
    projected = _sru_projection(Inputs(vectors), linear, backwards).vectors
    new, forget, reset, skip = projected.chunk(4, -1)
    for_forget, for_reset = state_weight.chunk(2)
    cells = [start]
    for x, f in zip(new, forget, strict=True):
        cells.append(torch.lerp(x, cells[-1], torch.sigmoid(f + for_forget * cells[-1])))
    before, after = torch.stack(cells[:-1]), torch.stack(cells[1:])
    states = torch.lerp(skip, after, torch.sigmoid(reset + for_reset * before))
    return states, cells[-1]


def linear_recurrence(decay: Tensor, update: Tensor, start: Tensor) -> Tensor:
    """Return h' = decay h + update for all steps: (T, B, H), (T, B, H), (B, H) -> (T, B, H)."""
    first = update[:1] + decay[:1] * start
    scanned: Tensor = _LinearRecurrence.apply(  # type: ignore[no-untyped-call]
        decay, torch.cat([first, update[1:]])
    )
    return scanned


class _LinearRecurrence(torch.autograd.Function):
    """h' = decay h + update from a state of zero; the gradient is such a recurrence, in reverse."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor) -> Tensor:
        states = _scan(decay, update)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        zeros = torch.zeros_like(states[:1])
        d_update = _scan(torch.cat([decay[1:], zeros]).flip(0), d_states.flip(0)).flip(0)
        return d_update * torch.cat([zeros, states[:-1]]), d_update


def _scan(decay: Tensor, update: Tensor) -> Tensor:
    """Return h' = decay h + update by doubling the steps that each value covers, in log2(T) passes.

    Of steps that cover spans before and after each other, the later one takes over the product of
    the decays and the decayed update (Hillis and Steele 1986).
    """
    span = 1
    while span < len(update):
        later = update[span:] + decay[span:] * update[:-span]
        update = torch.cat([update[:span], later])
        decay = torch.cat([decay[:span], decay[span:] * decay[:-span]])
        span *= 2
    return update


def _sru_projection(inputs: Inputs, linear: Weights, backwards: bool) -> Inputs:
    """Return W x, Wf x + bf, Wr x + br and the highway connection, side by side.

    `linear` is a weight, (3 H, E) or, with a projection of the highway connection, (4 H, E), and
    the bias of both gates, (2 H). Without a projection, the input is as wide as the states of all
    directions, and each direction takes its part.
    """
    weight, bias = linear
    size = len(bias) // 2
    projected = inputs.project(weight, F.pad(bias, (size, len(weight) - 3 * size)))
    if len(weight) == 4 * size:
        return projected
    first = inputs.vectors.shape[-1] - size if backwards else 0
    skip = HIGHWAY_SCALE * inputs.vectors[..., first : first + size]
    gates = projected.vectors
    return Inputs(torch.cat([gates, skip.to(gates.dtype)], -1), inputs.indices)


def _recur(
    forward: Any,
    backward: Any,
    projected: Inputs,
    gates: int,
    weight: Tensor | None,
    partition: RowPartition,
    backwards: bool,
) -> Tensor:
    """Return the states, (T, B, H), of a cell with so many gates and candidates.

    Raises ValueError like `checked_indices`.
    """
    indices = checked_indices(projected, partition)
    # Decided here, since gradients are always disabled within a Function.
    keep = torch.is_grad_enabled() and (
        projected.vectors.requires_grad or (weight is not None and weight.requires_grad)
    )
    options = (gates, forward, backward, partition, backwards, keep)
    return _ElementwiseRecurrence.apply(  # type: ignore[no-untyped-call]
        projected.vectors, indices.contiguous(), weight, *options
    )


class _ElementwiseRecurrence(torch.autograd.Function):
    """A recurrence with its gradient: contributions of the inputs to the gates -> (T, B, H) states.

    The contributions are (T, B, G), or (U, G) with (T, B) indices; `weight`, of an SRU only, is
    (2 H). To save memory, the gates' values overwrite contributions of (T, B, G).
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        indices: Tensor,
        weight: Tensor | None,
        gates_count: int,
        forward: Any,
        backward: Any,
        partition: RowPartition,
        backwards: bool,
        keep: bool,
    ) -> Tensor:
        (T, B), G = indices.shape, projected.shape[-1]
        H = G // gates_count
        ctx.shared = projected.dim() == 2
        states = projected.new_empty(T, B, H)
        gates = projected.new_empty(*((T, B) if keep else (0, 0)), G) if ctx.shared else projected
        memory = projected.new_empty(*((T, B) if keep and weight is not None else (0, 0)), H)
        partition.compute(
            forward,
            backwards,
            keep,
            projected.view(-1, G),
            indices,
            _rows(weight, H),
            gates,
            states,
            memory,
        )
        ctx.save_for_backward(gates, indices, weight, states, memory)
        ctx.distinct, ctx.kernel = len(projected), backward
        ctx.partition, ctx.backwards = partition, backwards
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        gates, indices, weight, states, memory = ctx.saved_tensors
        d_gates = torch.empty_like(gates)
        rows = 0 if weight is None else indices.shape[1]
        d_weights = torch.empty(rows, 2, states.shape[2])
        ctx.partition.compute(
            ctx.kernel,
            ctx.backwards,
            gates,
            _rows(weight, states.shape[2]),
            states,
            memory,
            d_states.contiguous(),
            d_gates,
            d_weights,
        )
        d_weight = None if weight is None else d_weights.sum(0).flatten()
        d_projected = sum_by_index(d_gates, indices, ctx.distinct) if ctx.shared else d_gates
        return d_projected, None, d_weight, None, None, None, None, None, None


def _rows(weight: Tensor | None, size: int) -> Tensor:
    """Return the weights of the previous state, (2, H); none has no rows."""
    return torch.empty(0, size) if weight is None else weight.view(2, size)
