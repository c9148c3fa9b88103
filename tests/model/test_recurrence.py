"""Our recurrences beside PyTorch's in double precision: states, gradients, threads, bfloat16."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lstm_sentiment.model import kernels, recurrence
from lstm_sentiment.model.recurrence import Inputs, RowPartition, Weights


class Cell(NamedTuple):
    gates: int
    ours: Callable[[Inputs, Weights, RowPartition, bool], Tensor]
    reference: Callable[..., tuple[Tensor, ...]]


CELLS = {
    "rnn": Cell(1, recurrence.rnn, torch.rnn_tanh),
    "lstm": Cell(4, recurrence.lstm, torch.lstm),
    "gru": Cell(3, recurrence.gru, torch.gru),
}
NAMES = ("inputs", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
MIXED = [4, 9, 1, 7, 9, 2, 3]
LENGTHS = {
    "mixed": MIXED,
    "equal": [5, 5, 5, 5, 5],
    "ones": [1, 1, 1],
    "single": [6],
    "smallest": [1],
    "first one": [1, 8],  # less than a block of reviews, and after one step a single review
}
DIRECTIONS = pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)


class Case:
    """A layer and a batch with vectors at every step, padding included, and their gradients."""

    def __init__(
        self, cell: str, lengths: list[int], inputs: int = 5, size: int = 6, seed: int = 1
    ) -> None:
        random = torch.Generator().manual_seed(seed)
        self.cell, self.lengths = CELLS[cell], torch.tensor(lengths)
        T, B, G = max(lengths), len(lengths), self.cell.gates * size
        self.vectors = torch.randn(T, B, inputs, generator=random)
        self.weights = [
            torch.randn(G, inputs, generator=random) / math.sqrt(inputs),
            torch.randn(G, size, generator=random) / math.sqrt(size),
            torch.randn(G, generator=random),
            torch.randn(G, generator=random),
        ]
        self.d_states = torch.randn(T, B, size, generator=random)

    @property
    def mask(self) -> Tensor:
        """(T, B, 1), True on real tokens"""
        return (torch.arange(len(self.vectors))[:, None] < self.lengths).unsqueeze(-1)

    def states(self, backwards: bool, *leaves: Tensor) -> Tensor:
        """Return the states, (T, B, H); `leaves` replace the vectors and weights of the case."""
        vectors, *weights = leaves or (self.vectors, *self.weights)
        return self.cell.ours(Inputs(vectors), weights, RowPartition(self.lengths), backwards)

    def leaves(self, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        return [t.to(dtype, copy=True).requires_grad_() for t in (self.vectors, *self.weights)]

    def computed(self, backwards: bool) -> list[Tensor]:
        """Return the states, then the gradients of the vectors and of the four weights."""
        leaves = self.leaves()
        states = self.states(backwards, *leaves)
        return [states.detach(), *torch.autograd.grad(states, leaves, self.d_states)]

    def expected(self, backwards: bool) -> list[Tensor]:
        """Return the same as `computed`, by PyTorch in double precision."""
        leaves = self.leaves(torch.float64)
        states = reference(self.cell, self.lengths, backwards, *leaves)
        return [states.detach(), *torch.autograd.grad(states, leaves, self.d_states.double())]


def reference(
    cell: Cell, lengths: Tensor, backwards: bool, vectors: Tensor, *weights: Tensor
) -> Tensor:
    """Return the states, (T, B, H), computed review by review and so without any padding."""
    zeros = vectors.new_zeros(1, 1, weights[1].shape[1])
    start = (zeros, zeros) if cell.gates == 4 else zeros
    columns = []
    for b, length in enumerate(lengths.tolist()):
        review = vectors[:length, b : b + 1]
        review = review.flip(0) if backwards else review
        states = cell.reference(review, start, weights, True, 1, 0.0, True, False, False)[0]
        states = states.flip(0) if backwards else states
        rest = states.new_zeros(len(vectors) - length, 1, states.shape[2])
        columns.append(torch.cat([states, rest]))
    return torch.cat(columns, 1)


def assert_equal(ours: list[Tensor], others: list[Tensor], error: float = 1e-5) -> None:
    """Compare with the tolerance `error`, relative to the largest number if that is above 1."""
    for name, our, other in zip(("states", *NAMES), ours, others, strict=True):
        atol = error * max(1.0, other.abs().max().item())
        torch.testing.assert_close(
            our, other.to(our.dtype), atol=atol, rtol=0, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """`torch.set_num_threads`; the number is restored after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@DIRECTIONS
@EVERY_CELL
def test_equals_pytorch(cell: str, backwards: bool, lengths: list[int]) -> None:
    case = Case(cell, lengths)
    computed = case.computed(backwards)
    assert_equal(computed, case.expected(backwards))
    states, d_inputs = computed[:2]
    assert not states[~case.mask.expand_as(states)].any()
    assert not d_inputs[~case.mask.expand_as(d_inputs)].any()


# No multiple of a block (4) or of a vector (16), and one multiple of each.
@pytest.mark.parametrize(
    ("inputs", "size"), [(1, 1), (3, 1), (1, 3), (17, 3), (3, 17), (100, 16), (17, 100)]
)
@DIRECTIONS
@EVERY_CELL
def test_equals_pytorch_at_any_size(cell: str, backwards: bool, inputs: int, size: int) -> None:
    case = Case(cell, [3, 12, 6, 1, 8], inputs, size)
    assert_equal(case.computed(backwards), case.expected(backwards))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(CELLS)),
    st.booleans(),
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
    st.integers(1, 9),
    st.integers(1, 20),
)
def test_equals_pytorch_for_any_lengths(
    cell: str, backwards: bool, lengths: list[int], inputs: int, size: int
) -> None:
    case = Case(cell, lengths, inputs, size)
    # A gradient sums over all steps, so that its rounding errors add up in long reviews.
    assert_equal(case.computed(backwards), case.expected(backwards), error=2e-5)


LN2, LN3 = math.log(2), math.log(3)  # tanh: 0.6 and 0.8; sigmoid of ln 3: 3/4, of -ln 3: 1/4


def by_hand(cell: str, ih: list[float], hh: list[float], bias_hh: list[float]) -> list[float]:
    """Return the states, of size 1, for the inputs 1 and 0."""
    weights = [torch.tensor(ih)[:, None], torch.tensor(hh)[:, None], torch.zeros(len(ih))]
    inputs = Inputs(torch.tensor([1.0, 0.0]).view(2, 1, 1))
    partition = RowPartition(torch.tensor([2]))
    states = CELLS[cell].ours(inputs, [*weights, torch.tensor(bias_hh)], partition, False)
    return states.flatten().tolist()


def test_rnn_by_hand() -> None:
    assert by_hand("rnn", [LN2], [LN3 / 0.6], [0.0]) == pytest.approx([0.6, 0.8], abs=1e-6)


def test_lstm_by_hand() -> None:
    # First step: i = 3/4, g = 0.8, o = 1/4, so c = 0.6.
    first = 0.25 * math.tanh(0.6)
    # Second step: i = 1/2, f = 3/4, g = 0.6, o = 1/4, so c = 3/4 * 0.6 + 1/2 * 0.6 = 0.75.
    ih = [LN3, -5.0, LN3, -LN3]
    hh = [0.0, LN3 / first, LN2 / first, -LN3 / first]
    states = by_hand("lstm", ih, hh, [0.0] * 4)
    assert states == pytest.approx([first, 0.25 * math.tanh(0.75)], abs=1e-6)


def test_gru_by_hand() -> None:
    # First step: r = 3/4, z = 1/4, n = tanh(3/4 * bias) = 0.8, so h = 3/4 * 0.8 = 0.6.
    bias = LN3 / 0.75
    # Second step: r = 1/2, z = 3/4, n = tanh(1/2 * 2 ln 3) = 0.8, so h = 1/4 * 0.8 + 3/4 * 0.6.
    hh = [0.0, LN3 / 0.6, (2 * LN3 - bias) / 0.6]
    states = by_hand("gru", [LN3, -LN3, 0.0], hh, [0.0, 0.0, bias])
    assert states == pytest.approx([0.6, 0.65], abs=1e-6)


@DIRECTIONS
@EVERY_CELL
def test_gradients_predict_the_change_of_a_sum(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED)
    own = [case.vectors, *case.weights]
    gradients = case.computed(backwards)[1:]
    length = math.sqrt(sum(g.double().square().sum().item() for g in gradients))

    def total(distance: float) -> float:
        """Return the weighted sum of the states after a step of this length along the gradient."""
        moved = [t + distance / length * g for t, g in zip(own, gradients, strict=True)]
        return (case.states(backwards, *moved).double() * case.d_states).sum().item()

    assert (total(0.01) - total(-0.01)) / 0.02 == pytest.approx(length, rel=2e-3)


@pytest.mark.parametrize("number", [2, 3, 99])
@DIRECTIONS
@EVERY_CELL
def test_results_do_not_depend_on_the_number_of_threads(
    cell: str, backwards: bool, number: int, threads: Callable[[int], None]
) -> None:
    case = Case(cell, MIXED, size=17)

    def computed(number: int) -> list[Tensor]:
        threads(number)
        partition = RowPartition(case.lengths)
        threads(1)  # PyTorch's products then use one thread
        leaves = case.leaves()
        states = case.cell.ours(Inputs(leaves[0]), leaves[1:], partition, backwards)
        return [states.detach(), *torch.autograd.grad(states, leaves, case.d_states)]

    alone, together = computed(1), computed(number)
    assert torch.equal(together[0], alone[0])
    assert torch.equal(together[1], alone[1])
    assert_equal(together, alone, 1e-6)
    threads(number)  # and so do PyTorch's products
    assert_equal(case.computed(backwards), alone)


def test_shares_hold_each_review_once_the_longest_first(
    threads: Callable[[int], None],
) -> None:
    for number in (1, 2, 3, 7, 99):
        threads(number)
        partition = RowPartition(torch.tensor(MIXED))
        assert len(partition.rows) == min(number, len(MIXED))
        rows = np.concatenate(partition.rows).tolist()
        assert sorted(rows) == list(range(len(MIXED)))
        assert [MIXED[b] for b in rows] == sorted(MIXED, reverse=True)


@DIRECTIONS
@EVERY_CELL
def test_indices_select_vectors(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED)
    shared = torch.randn(4, 5)
    indices = torch.randint(0, 4, (len(MIXED), 9)).T  # not contiguous, as in training
    results = []
    for dense in (False, True):
        leaves = [shared.clone().requires_grad_(), *case.leaves()[1:]]
        inputs = Inputs(leaves[0][indices]) if dense else Inputs(leaves[0], indices)
        states = case.cell.ours(inputs, leaves[1:], RowPartition(case.lengths), backwards)
        results.append([states, *torch.autograd.grad(states, leaves, case.d_states)])
    assert results[0][1].shape == (4, 5)
    assert_equal(*results)


@pytest.mark.parametrize("name", NAMES)
@DIRECTIONS
@EVERY_CELL
def test_nan_reaches_the_states_that_depend_on_it(cell: str, backwards: bool, name: str) -> None:
    case = Case(cell, MIXED)
    before = case.states(backwards)
    leaves = [t.clone() for t in (case.vectors, *case.weights)]
    if name == "inputs":
        leaves[0][2, 1, 3] = math.nan  # the third of nine tokens
        states = case.states(backwards, *leaves)
        touched = torch.zeros_like(states, dtype=torch.bool)
        touched[slice(3) if backwards else slice(2, 9), 1] = True
        assert torch.equal(states.isnan(), touched)
        assert torch.equal(states[~touched], before[~touched])  # other reviews and earlier steps
    else:
        leaves[NAMES.index(name)].view(-1)[-1] = math.nan  # the last gate's last number
        states = case.states(backwards, *leaves)
        for b, length in enumerate(MIXED):
            assert states[:length, b].isnan().any(-1).all()


@EVERY_CELL
def test_an_infinite_gradient_stays_infinite(cell: str) -> None:
    case = Case(cell, MIXED)
    case.d_states[3, 1, 2] = math.inf
    for gradient in case.computed(False)[1:]:
        assert not gradient.isfinite().all()


@DIRECTIONS
@EVERY_CELL
def test_padding_is_not_read(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED)
    before = case.computed(backwards)
    padding = ~case.mask.expand_as(case.vectors)
    for garbage in (1e6, math.nan, math.inf):
        case.vectors[padding] = garbage
        case.d_states[~case.mask.expand_as(case.d_states)] = garbage
        states, d_inputs, d_ih, *others = case.computed(backwards)
        assert torch.equal(states, before[0])
        assert torch.equal(d_inputs, before[1])
        if math.isfinite(garbage):  # the gradient there is zero, and zero times NaN is NaN
            assert_equal([states, d_inputs, d_ih, *others], before)
        else:
            assert_equal([states, d_inputs, before[2], *others], before)


@DIRECTIONS
@EVERY_CELL
def test_more_padding_changes_nothing(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED)
    before = case.computed(backwards)
    case.vectors = torch.cat([case.vectors, torch.randn(4, len(MIXED), 5)])
    case.d_states = torch.cat([case.d_states, torch.randn(4, len(MIXED), 6)])
    states, d_inputs, *others = case.computed(backwards)
    assert not states[9:].any()
    assert not d_inputs[9:].any()
    assert_equal([states[:9], d_inputs[:9], *others], before)


@pytest.fixture
def keeps(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each forward pass of the test, whether it has stored what the gradient needs."""
    calls: list[bool] = []

    def watched(kernel: Any) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            keep, gates, memory = arguments[3], arguments[4], arguments[8]
            before = gates.copy(), memory.view(np.uint32).copy()
            kernel(*arguments)
            same = np.array_equal(gates, before[0])
            same = same and np.array_equal(memory.view(np.uint32), before[1])
            assert same is not keep
            calls.append(not same)

        return call

    for cell in ("lstm", "gru"):
        name = f"{cell}_forward"
        monkeypatch.setattr(kernels, name, watched(getattr(kernels, name)))
    return calls


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_nothing_is_stored_without_a_gradient(cell: str, keeps: list[bool]) -> None:
    case = Case(cell, MIXED)
    leaves = case.leaves()
    with_gradient = case.states(False, *leaves)
    assert keeps == [True]
    frozen = case.states(False)  # no weight is trained
    with torch.no_grad():
        no_grad = case.states(False, *leaves)
    with torch.inference_mode():
        inferred = case.states(False, *leaves)
    assert keeps == [True, False, False, False]
    for states in (frozen, no_grad, inferred):
        assert torch.equal(states, with_gradient)
        assert not states.requires_grad


@EVERY_CELL
def test_states_are_the_same_without_a_gradient(cell: str) -> None:
    case = Case(cell, MIXED)
    with_gradient = case.states(True, *case.leaves())
    with torch.no_grad():
        assert torch.equal(case.states(True, *case.leaves()), with_gradient)


@pytest.mark.parametrize("name", NAMES)
@EVERY_CELL
def test_a_single_trained_tensor_has_its_gradient(cell: str, name: str) -> None:
    case = Case(cell, MIXED)
    position = NAMES.index(name)
    leaves = [t.clone() for t in (case.vectors, *case.weights)]
    leaves[position].requires_grad_()
    states = case.states(False, *leaves)
    (gradient,) = torch.autograd.grad(states, leaves[position], case.d_states)
    torch.testing.assert_close(gradient, case.computed(False)[1 + position])


@DIRECTIONS
@EVERY_CELL
def test_two_backward_passes_give_the_same(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED)
    leaves = case.leaves()
    states = case.states(backwards, *leaves)
    before = states.detach().clone()
    first, second, doubled = (
        torch.autograd.grad(states, leaves, factor * case.d_states, retain_graph=True)
        for factor in (1, 1, 2)
    )
    assert torch.equal(states, before)
    for one, same, two in zip(first, second, doubled, strict=True):
        assert torch.equal(one, same)
        torch.testing.assert_close(two, 2 * one)


@DIRECTIONS
@EVERY_CELL
def test_states_may_be_used_several_times(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED)

    def loss(states: Tensor) -> Tensor:
        """Use the states as attention and a second layer together would."""
        return (states * case.d_states).sum() + states.square().sum() + states[0].tanh().sum()

    ours, others = case.leaves(), case.leaves(torch.float64)
    loss(case.states(backwards, *ours)).backward()
    loss(reference(case.cell, case.lengths, backwards, *others)).backward()
    states = case.states(backwards)
    assert_equal([states, *(t.grad for t in ours)], [states, *(t.grad for t in others)])


@EVERY_CELL
def test_layers_may_be_stacked(cell: str) -> None:
    case, above = Case(cell, MIXED), Case(cell, MIXED, inputs=6, seed=2)
    ours, others = case.leaves(), case.leaves(torch.float64)
    ours_above, others_above = above.leaves()[1:], above.leaves(torch.float64)[1:]
    top = above.states(True, case.states(False, *ours), *ours_above)
    below = reference(case.cell, case.lengths, False, *others)
    expected = reference(case.cell, case.lengths, True, below, *others_above)
    top.backward(case.d_states)
    expected.backward(case.d_states.double())
    assert_equal([top, *(t.grad for t in ours)], [expected, *(t.grad for t in others)])
    above_ours, above_others = ([t.grad for t in w] for w in (ours_above, others_above))
    assert_equal([top, ours[0].grad, *above_ours], [expected, others[0].grad, *above_others])


@EVERY_CELL
def test_memory_need_not_be_contiguous(cell: str) -> None:
    case = Case(cell, MIXED, size=8)
    before = case.computed(False)
    # Vectors with the batch first, and gradients like those of a slice and of a sum.
    case.vectors = case.vectors.transpose(0, 1).contiguous().transpose(0, 1)
    wide = torch.randn(len(MIXED), 9, 16)
    wide[..., ::2] = case.d_states.transpose(0, 1)
    case.d_states = wide[..., ::2].transpose(0, 1)
    assert not case.vectors.is_contiguous()
    assert not case.d_states.is_contiguous()
    assert_equal(case.computed(False), before)
    case.d_states = torch.ones(1).expand(9, len(MIXED), 8)
    expanded = case.computed(False)
    case.d_states = torch.ones(9, len(MIXED), 8)
    assert_equal(case.computed(False), expanded)


@DIRECTIONS
@EVERY_CELL
def test_bfloat16(cell: str, backwards: bool) -> None:
    case = Case(cell, MIXED, size=17)
    single = case.computed(backwards)
    leaves = case.leaves()
    with torch.autocast("cpu", torch.bfloat16):
        states = case.states(backwards, *leaves)
        indices = torch.arange(9 * len(MIXED)).view(9, -1)
        inputs = Inputs(leaves[0].flatten(0, 1), indices)
        shared = case.cell.ours(inputs, leaves[1:], RowPartition(case.lengths), backwards)
    assert states.dtype is torch.bfloat16
    assert torch.equal(states, shared)
    assert not states[~case.mask.expand_as(states)].any()
    gradients = torch.autograd.grad(states, leaves, case.d_states.bfloat16())
    assert {gradient.dtype for gradient in gradients} == {torch.float32}
    # Numbers have 8 bits: relative errors are up to 1/256, and of sums not much larger.
    torch.testing.assert_close(states.float(), single[0], atol=0.02, rtol=0)
    for name, half, whole in zip(NAMES, gradients, single[1:], strict=True):
        assert (half - whole).norm() < 0.02 * whole.norm(), name


@EVERY_CELL
def test_bfloat16_sums_the_gradients_of_a_frequent_word_in_full(cell: str) -> None:
    """With 8 bits, 256 + 1 is 256: a sum in bfloat16 would stop growing."""
    case = Case(cell, [300] * 16, size=6)
    leaves, indices = case.leaves(), torch.zeros(300, 16, dtype=torch.int64)
    word = leaves[0][0, :1].detach().requires_grad_()
    gradients = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            inputs = Inputs(word, indices)
            states = case.cell.ours(inputs, leaves[1:], RowPartition(case.lengths), False)
        gradients.append(torch.autograd.grad(states.float().sum(), [word, *leaves[1:]]))
    for whole, sums in zip(*gradients, strict=True):
        assert (sums - whole).norm() < 0.02 * whole.norm()


def test_bfloat16_does_not_depend_on_the_number_of_threads(threads: Callable[[int], None]) -> None:
    for cell in CELLS:
        case, results = Case(cell, MIXED), []
        for number in (1, 3):
            threads(number)
            partition = RowPartition(case.lengths)
            threads(1)
            with torch.autocast("cpu", torch.bfloat16):
                results.append(case.cell.ours(Inputs(case.vectors), case.weights, partition, True))
        assert torch.equal(*results)


def test_several_threads_may_compute_at_once(threads: Callable[[int], None]) -> None:
    cases = [Case(cell, 3 * MIXED, size=17, seed=seed) for seed, cell in enumerate(2 * [*CELLS])]
    expected = [case.computed(True) for case in cases]
    threads(3)

    def computed(turn: int) -> list[list[Tensor]]:
        order = cases if turn % 2 else cases[::-1]
        results = [case.computed(True) for _ in range(5) for case in order]
        return results if turn % 2 else results[::-1]

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(computed, range(4)):
            for ours, alone in zip(results, 5 * expected, strict=True):
                assert_equal(ours, alone, 1e-6)


@DIRECTIONS
@EVERY_CELL
def test_long_reviews_and_large_weights(cell: str, backwards: bool) -> None:
    case = Case(cell, [300, 150, 7], inputs=3, size=5)
    case.weights[0] *= 3  # gates close and open fully
    assert_equal(case.computed(backwards), case.expected(backwards))


@given(st.sampled_from(list(product(CELLS, (False, True)))), st.permutations(range(len(MIXED))))
@settings(max_examples=12, deadline=None)
def test_the_order_of_reviews_does_not_matter(kind: tuple[str, bool], order: list[int]) -> None:
    cell, backwards = kind
    case, other = Case(cell, MIXED), Case(cell, MIXED)
    other.lengths = case.lengths[order]
    other.vectors, other.d_states = case.vectors[:, order], case.d_states[:, order]
    states, d_inputs, *weights = case.computed(backwards)
    assert_equal(other.computed(backwards), [states[:, order], d_inputs[:, order], *weights])
