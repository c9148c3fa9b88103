import math
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_sentiment.config import Cell, EncoderConfig
from lstm_sentiment.model.encoders import CELLS, Encoder

GRID = list(product(Cell, (1, 2, 3), (False, True)))
LENGTHS = torch.tensor([9, 1, 4, 7, 2])


def make(cell: Cell, layers: int, bidirectional: bool, **fields: float) -> Encoder:
    torch.manual_seed(5)
    config = EncoderConfig(cell, 6, layers, bidirectional, **{"dropout": 0.0, **fields})
    return Encoder(config, input_size=4)


def reviews() -> torch.Tensor:
    """(5, 9, 4): every position filled, so that one that should not be read can be noticed."""
    return torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), GRID)
def test_equals_pytorch_on_packed_sequences(cell: Cell, layers: int, bidirectional: bool) -> None:
    encoder = make(cell, layers, bidirectional).eval()
    reference = CELLS[cell][0](4, 6, layers, batch_first=True, bidirectional=bidirectional)
    reference.load_state_dict(encoder.rnn.state_dict())
    packed = pack_padded_sequence(reviews(), LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, last = reference(packed)
    states, _ = pad_packed_sequence(outputs, batch_first=True)
    hidden = last[0] if cell is Cell.lstm else last
    final = torch.cat([hidden[-2], hidden[-1]], -1) if bidirectional else hidden[-1]

    encoded = encoder(reviews(), LENGTHS)

    torch.testing.assert_close(encoded.states, states, atol=1e-6, rtol=0)  # zero on padding, too
    torch.testing.assert_close(encoded.final, final, atol=1e-6, rtol=0)
    assert encoded.mask.sum(1).tolist() == LENGTHS.tolist()
    assert encoded.states.shape[-1] == encoder.output_size


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), GRID)
def test_gradients_equal_those_through_packed_sequences(
    cell: Cell, layers: int, bidirectional: bool
) -> None:
    encoder = make(cell, layers, bidirectional)
    weight = torch.randn(5, 9, encoder.output_size)
    mask = (torch.arange(9) < LENGTHS[:, None]).unsqueeze(-1)
    gradients = []
    for path in (encoder.layerwise, encoder.packed):
        encoder.zero_grad()
        (path(reviews(), LENGTHS) * mask * weight).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("place", [-1, 3])
def test_a_place_without_a_vector_is_refused(place: int) -> None:
    places = torch.zeros(5, 9, dtype=torch.long)
    places[2, 3] = place
    with pytest.raises(ValueError, match=f"{place}.* among 3 vectors"):
        make(Cell.gru, 1, False).layerwise(torch.randn(3, 4), LENGTHS, places)


@pytest.mark.parametrize("cell", Cell)
def test_takes_what_autocast_has_made_of_vectors(cell: Cell) -> None:
    encoder, narrow = make(cell, 1, True), reviews().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        states = encoder(narrow, LENGTHS).states
    assert states.dtype is torch.float32
    torch.testing.assert_close(states, encoder(narrow.float(), LENGTHS).states, atol=1e-6, rtol=0)


def test_dropout_stands_between_layers_only() -> None:
    single = make(Cell.gru, 1, False, dropout=0.5).train()
    assert torch.equal(single(reviews(), LENGTHS).states, single.eval()(reviews(), LENGTHS).states)
    stacked = make(Cell.gru, 2, False, dropout=0.5)
    first = stacked.train()(reviews(), LENGTHS).states
    assert not torch.equal(first, stacked(reviews(), LENGTHS).states)
    assert torch.equal(
        stacked.eval()(reviews(), LENGTHS).states, stacked(reviews(), LENGTHS).states
    )


def test_recurrent_dropout_drops_hidden_to_hidden_weights_only() -> None:
    encoder = make(Cell.lstm, 1, False, recurrent_dropout=0.5).train()
    plain = dict(encoder.rnn.named_parameters())
    ih, hh, *biases = encoder._weights("l0")
    assert torch.equal(ih, plain["weight_ih_l0"])
    kept = hh != 0
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(hh[kept], 2 * plain["weight_hh_l0"][kept])
    assert torch.equal(biases[0], plain["bias_ih_l0"])
    # The first step meets no recurrent weight (its hidden state is zero), the second one does.
    dropped, whole = encoder(reviews(), LENGTHS).states, encoder.eval()(reviews(), LENGTHS).states
    torch.testing.assert_close(dropped[:, 0], whole[:, 0])
    assert not torch.allclose(dropped[0, 1], whole[0, 1])


@pytest.mark.parametrize(("cell", "gates"), [(Cell.rnn, 1), (Cell.gru, 3), (Cell.lstm, 4)])
def test_initialisation(cell: Cell, gates: int) -> None:
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
        assert bias.sum() == forget.sum()  # all others are zero


def test_weights_have_pytorchs_names() -> None:
    reference = nn.LSTM(4, 6, 2, bidirectional=True)
    assert list(make(Cell.lstm, 2, True).rnn.state_dict()) == list(reference.state_dict())
