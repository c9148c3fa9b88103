"""With `encoder.segment`, the segments of a review are encoded like reviews of their own."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lstm_sentiment.config import Config, EncoderConfig, HeadKind
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders.contract import Encoded
from lstm_sentiment.model.encoders.recurrent import RecurrentEncoder
from tests.support.networks import encoders

Make = Callable[..., Config]
LENGTHS = torch.tensor([7, 1, 9, 4, 2])
EVERY_ENCODER = pytest.mark.parametrize("config", encoders(), ids=lambda config: config.network)


def segmented(config: EncoderConfig, size: int | None) -> RecurrentEncoder:
    torch.manual_seed(3)
    return RecurrentEncoder(replace(config, segment=size), 4).eval()


def segment_by_segment(net: RecurrentEncoder, vectors: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the states, (T, D), and the final state, (D,), of one review, (T, E)."""
    segments = [
        net(Embedded(segment.unsqueeze(0)), torch.tensor([len(segment)]))
        for segment in vectors.split(size)
    ]
    last, first = segments[-1].final[0], segments[0].final[0]
    forward = 0 if net.backward else net.rnn.hidden_size  # states that are read forwards
    final = torch.cat([last[:forward], first[forward:]])
    return torch.cat([segment.states[0] for segment in segments]), final


@EVERY_ENCODER
@pytest.mark.parametrize("form", ["dense", "distinct", "packed"])
@torch.no_grad()
def test_the_states_are_those_of_the_segments(
    config: EncoderConfig, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = segmented(config, None)
    distinct = torch.randn(20, 4)
    indices = torch.randint(20, (5, 11))
    embedded = Embedded(distinct, indices) if form == "distinct" else Embedded(distinct[indices])
    for size in (1, 3, 9, 20):
        net = segmented(config, size)
        if form == "packed":
            monkeypatch.setattr(net, "cell", net.cell._replace(recurrence=None))
        encoded = net(embedded, LENGTHS)
        assert encoded.states.shape == (5, 11, net.output_size)
        assert not encoded.states[~encoded.mask].any()
        for row, length in enumerate(LENGTHS.tolist()):
            vectors = distinct[indices[row, :length]]
            states, final = segment_by_segment(whole, vectors, size)
            torch.testing.assert_close(encoded.states[row, :length], states, atol=1e-5, rtol=0)
            torch.testing.assert_close(encoded.final[row], final, atol=1e-5, rtol=0)


@EVERY_ENCODER
@torch.no_grad()
def test_neither_padding_nor_other_reviews_matter(config: EncoderConfig) -> None:
    net, vectors = segmented(config, 3), torch.randn(5, 9, 4)
    encoded = net(Embedded(vectors), LENGTHS)
    padded = net(Embedded(nn.functional.pad(vectors, (0, 0, 0, 4), value=1e3)), LENGTHS)
    torch.testing.assert_close(padded.states[:, :9], encoded.states, atol=1e-5, rtol=0)
    torch.testing.assert_close(padded.final, encoded.final, atol=1e-5, rtol=0)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net(Embedded(vectors[row : row + 1, :length]), LENGTHS[row : row + 1])
        same = Encoded(*(part[row : row + 1] for part in encoded))
        torch.testing.assert_close(alone.states, same.states[:, :length], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.final, same.final, atol=1e-5, rtol=0)


def test_a_longer_segment_than_the_reviews_changes_nothing() -> None:
    config = EncoderConfig("lstm", 5, bidirectional=True)
    vectors = torch.randn(5, 9, 4)
    one, other = (segmented(config, size)(Embedded(vectors), LENGTHS) for size in (None, 9))
    torch.testing.assert_close(one.states, other.states)
    torch.testing.assert_close(one.final, other.final)


@pytest.mark.parametrize("head", HeadKind)
@pytest.mark.parametrize("direction", ["bidirectional", "backward"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_parameter_is_trained_through_every_head(
    tiny: Make, cell: str, direction: str, head: HeadKind
) -> None:
    encoder = {"cell": cell, "segment": 3, direction: True, "num_layers": 2}
    config = tiny(encoder=encoder, head={"kind": head}, data={"max_length": 12})
    net = Classifier(config, 20).double().train()
    nn.init.normal_(net.embedding.weight)
    ids = torch.randint(2, 20, (5, 9)) * (torch.arange(9) < LENGTHS.unsqueeze(1))
    net(ids, LENGTHS).square().sum().backward()
    largest = {name: p.grad.abs().max().item() for name, p in net.named_parameters()}
    for name, gradient in largest.items():
        assert gradient > 1e-6 * max(largest.values()), name
    assert not net.embedding.weight.grad[0].any()
