"""The recurrences of cells without a matrix product from step to step, compiled by Numba.

Each unit of such a cell depends on its own previous value only, so a kernel reads one review after
the other, and the state of a review stays in the processor's nearest cache. Arrays and their names
are those of `kernels`, except these:

weights    (2, H), the weights of the previous state in the gates of an SRU; unused by other cells
memory     (T, B, H), output: an SRU's internal states; unused by other cells
d_weights  (B, 2, H), output: the gradient of `weights` of each review, in float32

PyTorch computes the sums over reviews, and all that does not depend on the previous step.
"""

import numpy as np

from lstm_sentiment.model.kernels import (
    ONE,
    Array,
    compiled,
    gate_views,
    load,
    position,
    sigmoid,
    store,
)


@compiled
def mingru_forward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    keep: bool,
    projected: Array,
    indices: Array,
    weights: Array,
    gates: Array,
    states: Array,
    memory: Array,
) -> None:
    """Compute z = sigmoid(gate), h' = h + z (candidate - h)."""
    H = states.shape[2]
    gate, hidden = np.zeros(2 * H, np.float32), np.zeros(H, np.float32)
    for b in rows:
        hidden[:] = 0
        for step in range(lengths[b]):
            t = position(lengths[b], step, backwards)
            load(projected[indices[t, b]], gate)
            update, candidate, _, _ = gate_views(gate, H)
            for j in range(H):
                update[j] = sigmoid(update[j])
                hidden[j] += update[j] * (candidate[j] - hidden[j])
            store(hidden, states[t, b])
            if keep:
                store(gate, gates[t, b])
        states[lengths[b] :, b] = 0


@compiled
def mingru_backward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    gates: Array,
    weights: Array,
    states: Array,
    memory: Array,
    d_states: Array,
    d_gates: Array,
    d_weights: Array,
) -> None:
    """Compute the gradients of the gates from the gradients of the states, in reverse order."""
    H = states.shape[2]
    gate, d_gate = np.zeros((2, 2 * H), np.float32)
    before, above, d_hidden = np.zeros((3, H), np.float32)
    for b in rows:
        d_hidden[:] = 0
        for step in range(lengths[b] - 1, -1, -1):
            t = position(lengths[b], step, backwards)
            load(gates[t, b], gate)
            load(d_states[t, b], above)
            if step > 0:
                load(states[position(lengths[b], step - 1, backwards), b], before)
            else:
                before[:] = 0
            update, candidate, _, _ = gate_views(gate, H)
            d_update, d_candidate, _, _ = gate_views(d_gate, H)
            for j in range(H):
                d = d_hidden[j] + above[j]
                d_update[j] = d * (candidate[j] - before[j]) * update[j] * (ONE - update[j])
                d_candidate[j] = d * update[j]
                d_hidden[j] = d * (ONE - update[j])
            store(d_gate, d_gates[t, b])
        d_gates[lengths[b] :, b] = 0


@compiled
def sru_forward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    keep: bool,
    projected: Array,
    indices: Array,
    weights: Array,
    gates: Array,
    states: Array,
    memory: Array,
) -> None:
    """Compute f, r = sigmoid(gate + w c), c' = x + f (c - x), h = s + r (c' - s)."""
    H = states.shape[2]
    gate = np.zeros(4 * H, np.float32)
    cell, hidden = np.zeros((2, H), np.float32)
    for_forget, for_reset = weights[0], weights[1]
    for b in rows:
        cell[:] = 0
        for step in range(lengths[b]):
            t = position(lengths[b], step, backwards)
            load(projected[indices[t, b]], gate)
            new, forget, reset, skip = gate_views(gate, H)
            for j in range(H):
                forget[j] = sigmoid(forget[j] + for_forget[j] * cell[j])
                reset[j] = sigmoid(reset[j] + for_reset[j] * cell[j])
                cell[j] = new[j] + forget[j] * (cell[j] - new[j])
                hidden[j] = skip[j] + reset[j] * (cell[j] - skip[j])
            store(hidden, states[t, b])
            if keep:
                store(gate, gates[t, b])
                store(cell, memory[t, b])
        states[lengths[b] :, b] = 0


@compiled
def sru_backward(
    rows: Array,
    lengths: Array,
    backwards: bool,
    gates: Array,
    weights: Array,
    states: Array,
    memory: Array,
    d_states: Array,
    d_gates: Array,
    d_weights: Array,
) -> None:
    """Compute the gradients of the gates from the gradients of the states, in reverse order."""
    H = states.shape[2]
    # With rows of one array in their place, the loops would not be vectorized.
    gate, d_gate = np.zeros(4 * H, np.float32), np.zeros(4 * H, np.float32)
    cell, before = np.zeros(H, np.float32), np.zeros(H, np.float32)
    d_hidden, d_cell = np.zeros(H, np.float32), np.zeros(H, np.float32)
    for_forget, for_reset = weights[0], weights[1]
    d_for_forget, d_for_reset = np.zeros((2, H), np.float32)
    for b in rows:
        d_cell[:] = 0
        d_for_forget[:] = 0
        d_for_reset[:] = 0
        for step in range(lengths[b] - 1, -1, -1):
            t = position(lengths[b], step, backwards)
            load(gates[t, b], gate)
            load(memory[t, b], cell)
            load(d_states[t, b], d_hidden)
            if step > 0:
                load(memory[position(lengths[b], step - 1, backwards), b], before)
            else:
                before[:] = 0
            new, forget, reset, skip = gate_views(gate, H)
            d_new, d_forget, d_reset, d_skip = gate_views(d_gate, H)
            for j in range(H):
                d = d_hidden[j]
                d_reset[j] = d * (cell[j] - skip[j]) * reset[j] * (ONE - reset[j])
                d_skip[j] = d * (ONE - reset[j])
                d_cell[j] += d * reset[j]
            for j in range(H):
                d = d_cell[j]
                d_forget[j] = d * (before[j] - new[j]) * forget[j] * (ONE - forget[j])
                d_new[j] = d * (ONE - forget[j])
                d_cell[j] = d * forget[j] + d_forget[j] * for_forget[j] + d_reset[j] * for_reset[j]
            for j in range(H):
                d_for_forget[j] += d_forget[j] * before[j]
                d_for_reset[j] += d_reset[j] * before[j]
            store(d_gate, d_gates[t, b])
        d_gates[lengths[b] :, b] = 0
        load(d_for_forget, d_weights[b, 0])
        load(d_for_reset, d_weights[b, 1])
