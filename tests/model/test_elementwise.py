"""Cells without a matrix product from step to step, beside the equations of their papers.

The reference computes one review after the other and one step after the other.
"""

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from lstm_sentiment.config import Cell, EncoderConfig
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.elementwise_recurrence import linear_recurrence
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders.recurrent import RecurrentEncoder

CELLS = [cell for cell in Cell if cell.is_elementwise]
SIZE = 6
LENGTHS = torch.tensor([9, 1, 4, 7, 2])
DIRECTIONS = ("forward", "backward", "both")
# The input size of an SRU decides on its highway connection: another width than the states, as wide
# as one direction, and as wide as both.
GRID = [*product(CELLS, (1, 2, 3), DIRECTIONS, (4,))]
GRID += [*product([Cell.sru], (1, 2), DIRECTIONS, (SIZE, 2 * SIZE))]
sigmoid = torch.sigmoid


def make(
    cell: Cell, layers: int = 1, direction: str = "forward", input_size: int = 4
) -> RecurrentEncoder:
    torch.manual_seed(5)
    chosen = {"bidirectional": direction == "both", "backward": direction == "backward"}
    encoder = RecurrentEncoder(EncoderConfig(cell, SIZE, layers, dropout=0.0, **chosen), input_size)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "bias" in name:  # those of an SRU are zero at the start
                parameter.add_(torch.randn_like(parameter), alpha=0.5)
    return encoder


def vectors(input_size: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    """(5, 9, input_size): vectors at every step, so that a test notices if padding is read."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 9, input_size, generator=generator, dtype=dtype)


def mingru(review: Tensor, weights: dict[str, Tensor], *_: int) -> list[Tensor]:
    """Feng et al. 2024, section 3.1."""
    (of_update, of_candidate), (b_update, b_candidate) = (
        weights[kind].chunk(2) for kind in ("weight", "bias")
    )
    states, h = [], torch.zeros(SIZE, dtype=review.dtype)
    for x in review:
        z = sigmoid(of_update @ x + b_update)
        h = (1 - z) * h + z * (of_candidate @ x + b_candidate)
        states.append(h)
    return states


def minlstm(review: Tensor, weights: dict[str, Tensor], *_: int) -> list[Tensor]:
    """Feng et al. 2024, section 3.2."""
    (of_forget, of_input, of_candidate), (b_forget, b_input, b_candidate) = (
        weights[kind].chunk(3) for kind in ("weight", "bias")
    )
    states, h = [], torch.zeros(SIZE, dtype=review.dtype)
    for x in review:
        f, i = sigmoid(of_forget @ x + b_forget), sigmoid(of_input @ x + b_input)
        h = f / (f + i) * h + i / (f + i) * (of_candidate @ x + b_candidate)
        states.append(h)
    return states


def sru(review: Tensor, weights: dict[str, Tensor], first: int, total: int) -> list[Tensor]:
    """Lei et al. 2018, equations 1 to 4, with the scaled highway connection."""
    of_new, of_forget, of_reset, *of_skip = weights["weight"].split(SIZE)
    (b_forget, b_reset), (v_forget, v_reset) = (
        weights[kind].chunk(2) for kind in ("bias", "state_weight")
    )
    states, c = [], torch.zeros(SIZE, dtype=review.dtype)
    assert len(of_skip) == (review.shape[1] != total)
    for x in review:
        f = sigmoid(of_forget @ x + v_forget * c + b_forget)
        r = sigmoid(of_reset @ x + v_reset * c + b_reset)
        c = f * c + (1 - f) * (of_new @ x)
        skip = of_skip[0] @ x if of_skip else math.sqrt(3) * x[first : first + SIZE]
        states.append(r * c + (1 - r) * skip)
    return states


REFERENCES: dict[Cell, Callable[..., list[Tensor]]] = {
    Cell.mingru: mingru, Cell.minlstm: minlstm, Cell.sru: sru,
}  # fmt: skip


def expected(encoder: RecurrentEncoder, cell: Cell, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states, (B, T, D), and the final states, (B, D)."""
    rows, finals, weights = [], [], dict(encoder.rnn.named_parameters())
    total = SIZE * len(encoder.directions)
    for review, length in zip(inputs, LENGTHS.tolist(), strict=True):
        states, final = review[:length], []
        for layer in range(encoder.rnn.num_layers):
            directions, final = [], []
            for place, backward in enumerate(encoder.directions):
                suffix = f"_l{layer}" + ("_reverse" if place else "")
                own = {n.removesuffix(suffix): w for n, w in weights.items() if n.endswith(suffix)}
                read = states.flip(0) if backward else states
                computed = torch.stack(REFERENCES[cell](read, own, place * SIZE, total))
                final.append(computed[-1])
                directions.append(computed.flip(0) if backward else computed)
            states = torch.cat(directions, -1)
        finals.append(torch.cat(final))
        rows.append(torch.cat([states, states.new_zeros(inputs.shape[1] - length, total)]))
    return torch.stack(rows), torch.stack(finals)


def gradients(encoder: RecurrentEncoder, states: Tensor, final: Tensor, *more: Tensor) -> list:
    """Return the gradients of a weighted sum of the states with respect to all parameters."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(states.shape, generator=generator, dtype=torch.float64)
    loss = (states * weight.to(states.dtype)).sum() + final.sum()
    return [*torch.autograd.grad(loss, [*encoder.parameters(), *more])]


@pytest.mark.parametrize(("cell", "layers", "direction", "input_size"), GRID)
def test_both_implementations_equal_the_equations(
    cell: Cell, layers: int, direction: str, input_size: int
) -> None:
    """The kernels in float32, which stores distinct vectors once, and the scan in float64."""
    encoder = make(cell, layers, direction, input_size).double()
    inputs = vectors(input_size).requires_grad_()
    reference = expected(encoder, cell, inputs)
    reference_gradients = gradients(encoder, *reference, inputs)

    scanned = encoder(Embedded(inputs), LENGTHS)
    torch.testing.assert_close([scanned.states, scanned.final], [*reference])
    found = gradients(encoder, scanned.states, scanned.final, inputs)
    torch.testing.assert_close(found, reference_gradients)

    encoder.float()
    distinct = inputs.detach().float().flatten(0, 1).requires_grad_()
    dense = inputs.detach().float().requires_grad_()
    for given in (Embedded(distinct, torch.arange(45).view(5, 9)), Embedded(dense)):
        computed = encoder(given, LENGTHS)
        close = {"atol": 1e-5, "rtol": 1e-4, "check_dtype": False}
        torch.testing.assert_close([computed.states, computed.final], [*reference], **close)
        found = gradients(encoder, computed.states, computed.final, given.vectors)
        found[-1] = found[-1].view(5, 9, input_size)
        torch.testing.assert_close(found, reference_gradients, **close)


def test_a_mingru_by_hand() -> None:
    """The gate is a half, and the candidate twice the input."""
    encoder = RecurrentEncoder(EncoderConfig("mingru", 1, dropout=0.0), 1)
    encoder.load_state_dict(
        {"rnn.weight_l0": torch.tensor([[0.0], [2.0]]), "rnn.bias_l0": torch.zeros(2)}
    )
    states = encoder(Embedded(torch.ones(1, 3, 1)), torch.tensor([3])).states
    torch.testing.assert_close(states, torch.tensor([[[1.0], [1.5], [1.75]]]))


def test_a_minlstm_with_closed_gates_by_hand() -> None:
    """Both gates are nearly 0, and i / (f + i) is sigmoid(-20 + 25)."""
    encoder = RecurrentEncoder(EncoderConfig("minlstm", 1, dropout=0.0), 1)
    encoder.load_state_dict(
        {
            "rnn.weight_l0": torch.tensor([[0.0], [0.0], [1.0]]),
            "rnn.bias_l0": torch.tensor([-25.0, -20.0, 0.0]),
        }
    )
    share = sigmoid(torch.tensor(5.0)).item()
    for dtype in (torch.float32, torch.float64):  # the kernel and the scan
        inputs = Embedded(torch.ones(1, 2, 1, dtype=dtype))
        states = encoder.to(dtype)(inputs, torch.tensor([2])).states
        expected = torch.tensor([[[share], [1 - (1 - share) ** 2]]], dtype=dtype)
        torch.testing.assert_close(states, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_results_do_not_depend_on_the_number_of_threads(cell: Cell) -> None:
    encoder, inputs = make(cell, 2, "both"), vectors(dtype=torch.float32)
    alone = encoder(Embedded(inputs), LENGTHS)
    before = gradients(encoder, alone.states, alone.final)
    torch.set_num_threads(3)
    try:
        shared = encoder(Embedded(inputs), LENGTHS)
        after = gradients(encoder, shared.states, shared.final)
    finally:
        torch.set_num_threads(1)
    torch.testing.assert_close([shared.states, *after], [alone.states, *before])


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_the_gradient_of_a_linear_recurrence(steps: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    decay, update = torch.rand(2, steps, 2, 3, generator=generator, dtype=torch.float64)
    start = torch.rand(2, 3, generator=generator, dtype=torch.float64)
    h, states = start, []
    for a, b in zip(decay, update, strict=True):
        h = a * h + b
        states.append(h)
    torch.testing.assert_close(linear_recurrence(decay, update, start), torch.stack(states))
    inputs = [part.requires_grad_() for part in (decay, update, start)]
    assert torch.autograd.gradcheck(linear_recurrence, inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_continues(cell: Cell) -> None:
    """The second half of a text, from the state after the first half, is that of the whole."""
    encoder, inputs = make(cell, 2).double(), vectors()
    first, state = encoder.stream(inputs[:, :4], None)
    second, _ = encoder.stream(inputs[:, 4:], state)
    whole = encoder(Embedded(inputs), torch.full((5,), 9)).states
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


@pytest.mark.parametrize("cell", CELLS)
def test_gates_that_are_open_or_closed_give_finite_states_and_gradients(cell: Cell) -> None:
    encoder = make(cell)
    inputs = (1e3 * vectors(dtype=torch.float32)).requires_grad_()
    for compute in (encoder.layerwise, encoder.scanned):
        states = compute(Embedded(inputs), LENGTHS)
        found = torch.autograd.grad(states.sum(), [inputs, *encoder.parameters()])
        assert all(part.isfinite().all() for part in (states, *found))


@pytest.mark.parametrize("cell", CELLS)
def test_an_index_out_of_bounds_is_refused(cell: Cell) -> None:
    indices = torch.zeros(5, 9, dtype=torch.long).index_fill(1, torch.tensor([3]), 3)
    with pytest.raises(ValueError, match="indices must be below the number of vectors"):
        make(cell)(Embedded(torch.randn(3, 4), indices), LENGTHS)


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_of_hidden_to_hidden_weights_is_refused(cell: Cell) -> None:
    with pytest.raises(InputError) as refusal:
        EncoderConfig(cell, recurrent_dropout=0.2)
    assert str(refusal.value) == (
        f"encoder.recurrent_dropout=0.2 is not allowed with encoder.cell={cell}, which has no "
        "hidden-to-hidden weights: give 0."
    )


def test_initial_weights() -> None:
    torch.manual_seed(5)
    size, width = 200, 50
    built = {cell: RecurrentEncoder(EncoderConfig(cell, size), width).rnn for cell in CELLS}
    for cell, gates in ((Cell.mingru, 2), (Cell.minlstm, 3)):
        weight, bias = (built[cell].get_parameter(f"{kind}_l0") for kind in ("weight", "bias"))
        assert weight.shape == (gates * size, width)
        for part in (weight, bias[-size:]):
            assert 0.95 * width**-0.5 < part.abs().max() <= width**-0.5
    forget = built[Cell.minlstm].get_parameter("bias_l0")[:size]
    assert torch.equal(forget, torch.ones(size))
    weight, bias, state_weight = built[Cell.sru].parameters()
    deviations = [part.std().item() * width**0.5 for part in weight.split(size)]
    assert deviations == pytest.approx([1, 0.5**0.5, 0.5**0.5, 3**0.5], rel=0.02)
    assert not bias.any()
    assert state_weight.std().item() == pytest.approx(0.5**0.5, rel=0.05)
