"""The recurrent encoder beside PyTorch's own recurrent networks, and its dropout and weights."""

import math
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_sentiment.config import Cell, EncoderConfig
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders.recurrent import CELLS, RecurrentEncoder

# Those of PyTorch; test_elementwise.py has the others.
PACKED = [cell for cell, implementation in CELLS.items() if implementation.packed]
GRID = list(product(PACKED, (1, 2, 3), (False, True)))
LENGTHS = torch.tensor([9, 1, 4, 7, 2])


def make(cell: Cell, layers: int, bidirectional: bool, **fields: float) -> RecurrentEncoder:
    torch.manual_seed(5)
    config = EncoderConfig(cell, 6, layers, bidirectional, **{"dropout": 0.0, **fields})
    return RecurrentEncoder(config, input_size=4)


def vectors() -> torch.Tensor:
    """(5, 9, 4): vectors at every step, so that a test notices if padding is read."""
    return torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(1))


def states(encoder: RecurrentEncoder) -> torch.Tensor:
    return encoder(Embedded(vectors()), LENGTHS).states


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), GRID)
def test_equals_pytorch_on_packed_sequences(cell: Cell, layers: int, bidirectional: bool) -> None:
    encoder = make(cell, layers, bidirectional).eval()
    reference = CELLS[cell].module(4, 6, layers, batch_first=True, bidirectional=bidirectional)
    reference.load_state_dict(encoder.rnn.state_dict())
    packed = pack_padded_sequence(vectors(), LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, last = reference(packed)
    expected, _ = pad_packed_sequence(outputs, batch_first=True)
    hidden = last[0] if isinstance(last, tuple) else last  # an LSTM returns its cells, too
    final = torch.cat([hidden[-2], hidden[-1]], -1) if bidirectional else hidden[-1]

    encoded = encoder(Embedded(vectors()), LENGTHS)

    torch.testing.assert_close(encoded.states, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoded.final, final, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional"), [case for case in GRID if CELLS[case[0]].recurrence]
)
def test_gradients_equal_those_through_packed_sequences(
    cell: Cell, layers: int, bidirectional: bool
) -> None:
    encoder = make(cell, layers, bidirectional)
    weight = torch.randn(5, 9, encoder.output_size)
    mask = (torch.arange(9) < LENGTHS[:, None]).unsqueeze(-1)
    gradients = []
    for path in (encoder.layerwise, encoder.packed):
        encoder.zero_grad()
        (path(Embedded(vectors()), LENGTHS) * mask * weight).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_without_a_vector_is_refused(index: int) -> None:
    indices = torch.zeros(5, 9, dtype=torch.long)
    indices[2, 3] = index
    with pytest.raises(ValueError, match=f"{index}.*3 vectors"):
        make(Cell.gru, 1, False).layerwise(Embedded(torch.randn(3, 4), indices), LENGTHS)


@pytest.mark.parametrize("cell", CELLS)
def test_vectors_that_autocast_has_narrowed_are_read(cell: Cell) -> None:
    encoder, narrow = make(cell, 1, True), vectors().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        narrowed = encoder(Embedded(narrow), LENGTHS).states
    assert narrowed.dtype is torch.float32
    widened = encoder(Embedded(narrow.float()), LENGTHS).states
    torch.testing.assert_close(narrowed, widened, atol=1e-6, rtol=0)


def test_dropout_acts_between_layers_only() -> None:
    single = make(Cell.gru, 1, False, dropout=0.5)
    assert torch.equal(states(single.train()), states(single.eval()))
    stacked = make(Cell.gru, 2, False, dropout=0.5).train()
    assert not torch.equal(states(stacked), states(stacked))
    stacked.eval()
    assert torch.equal(states(stacked), states(stacked))


def test_recurrent_dropout_drops_hidden_to_hidden_weights_only() -> None:
    encoder = make(Cell.lstm, 1, False, recurrent_dropout=0.5).train()
    plain = dict(encoder.rnn.named_parameters())
    ih, hh, *biases = encoder._weights("l0")
    assert torch.equal(ih, plain["weight_ih_l0"])
    is_left = hh != 0
    assert 0.3 < is_left.float().mean() < 0.7
    torch.testing.assert_close(hh[is_left], 2 * plain["weight_hh_l0"][is_left])
    assert torch.equal(biases[0], plain["bias_ih_l0"])
    # The hidden state before the first step is zero: recurrent weights act from the second on.
    dropped, whole = states(encoder), states(encoder.eval())
    torch.testing.assert_close(dropped[:, 0], whole[:, 0])
    assert not torch.allclose(dropped[0, 1], whole[0, 1])


@pytest.mark.parametrize(("cell", "gates"), [(Cell.rnn, 1), (Cell.gru, 3), (Cell.lstm, 4)])
def test_initial_weights(cell: Cell, gates: int) -> None:
    encoder = make(cell, 2, True)
    for name, parameter in encoder.rnn.named_parameters():
        if name.startswith("weight_hh"):
            for gate in parameter.chunk(gates):
                torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
        if name.startswith("weight_ih"):
            inputs = parameter.shape[1]
            assert parameter.abs().max() <= math.sqrt(6 / (inputs + 6))
            assert parameter.std() > 0.4 * math.sqrt(6 / (inputs + 6))
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        bias = getattr(encoder.rnn, f"bias_ih_{suffix}") + getattr(encoder.rnn, f"bias_hh_{suffix}")
        forget = bias[6:12] if cell is Cell.lstm else torch.empty(0)
        assert torch.equal(forget, torch.ones_like(forget))
        assert bias.sum() == forget.sum()  # all other biases are zero


def test_weights_have_pytorchs_names() -> None:
    reference = nn.LSTM(4, 6, 2, bidirectional=True)
    assert list(make(Cell.lstm, 2, True).rnn.state_dict()) == list(reference.state_dict())
