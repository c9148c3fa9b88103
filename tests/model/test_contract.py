"""The promises of every encoder, every head and every network made of them.

A new cell, encoder or head is held to them as soon as it can be chosen in a configuration.
"""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    HeadKind,
)
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders import build_encoder
from lstm_sentiment.model.encoders.contract import Encoded, Encoder
from lstm_sentiment.model.heads import HEADS, Head
from tests.support.networks import encoders

MAX_LENGTH = 12
WORDS = 20
INPUT_SIZE = 4
LENGTHS = torch.tensor([7, 1, 9, 4, 2])
WIDTH = int(LENGTHS.max())
ORDER = torch.tensor([3, 0, 4, 2, 1])

EVERY_ENCODER = pytest.mark.parametrize("config", encoders(), ids=lambda config: config.network)
EVERY_HEAD = pytest.mark.parametrize("kind", HeadKind)
EVERY_NETWORK = pytest.mark.parametrize(
    ("encoder", "head"),
    [pytest.param(e, h, id=f"{e.network}-{h}") for e, h in product(encoders(), HeadKind)],
)


def mask_of(width: int) -> Tensor:
    """(5, width)"""
    return torch.arange(width) < LENGTHS.unsqueeze(1)


def ids_of(width: int) -> Tensor:
    """(5, width): the same reviews for every width."""
    ids = torch.randint(2, WORDS, (5, MAX_LENGTH), generator=torch.Generator().manual_seed(4))
    return (ids * mask_of(MAX_LENGTH))[:, :width]


# Encoders


def encoder(config: EncoderConfig) -> Encoder:
    torch.manual_seed(3)
    built = build_encoder(config, INPUT_SIZE)
    assert isinstance(built, nn.Module)
    built.eval()
    return built


def vectors_of(width: int) -> Tensor:
    """(5, width, INPUT_SIZE): vectors at every step, padding included."""
    generator = torch.Generator().manual_seed(6)
    return torch.randn(5, MAX_LENGTH, INPUT_SIZE, generator=generator)[:, :width]


def assert_same(one: Encoded, other: Encoded) -> None:
    """Compare two results for the same reviews; one of them may have more padding."""
    steps = min(one.states.shape[1], other.states.shape[1])
    torch.testing.assert_close(one.states[:, :steps], other.states[:, :steps], atol=1e-5, rtol=0)
    torch.testing.assert_close(one.final, other.final, atol=1e-5, rtol=0)


@EVERY_ENCODER
@torch.inference_mode()
def test_an_encoder_returns_states_of_its_width_and_zero_on_padding(config: EncoderConfig) -> None:
    net = encoder(config)
    for width in (WIDTH, MAX_LENGTH):
        encoded = net(Embedded(vectors_of(width)), LENGTHS)
        assert encoded.states.shape == (5, width, net.output_size)
        assert encoded.final.shape == (5, net.output_size)
        assert torch.equal(encoded.mask, mask_of(width))
        assert not encoded.states[~encoded.mask].any()
        assert encoded.states.any()


@EVERY_ENCODER
@torch.inference_mode()
def test_an_encoder_reads_neither_padding_nor_other_reviews(config: EncoderConfig) -> None:
    net, vectors = encoder(config), vectors_of(WIDTH)
    encoded = net(Embedded(vectors), LENGTHS)
    assert_same(net(Embedded(vectors_of(MAX_LENGTH)), LENGTHS), encoded)
    changed = torch.where(mask_of(WIDTH).unsqueeze(-1), vectors, 1e3)
    assert_same(net(Embedded(changed), LENGTHS), encoded)
    permuted = net(Embedded(vectors[ORDER]), LENGTHS[ORDER])
    assert_same(Encoded(*(part[ORDER.argsort()] for part in permuted)), encoded)
    for i, length in enumerate(LENGTHS):
        alone = net(Embedded(vectors[i : i + 1, :length]), LENGTHS[i : i + 1])
        assert_same(alone, Encoded(*(part[i : i + 1] for part in encoded)))


@EVERY_ENCODER
def test_an_encoder_takes_distinct_vectors_and_dense_ones_alike(config: EncoderConfig) -> None:
    net = encoder(config)
    distinct = torch.randn(WORDS, INPUT_SIZE, generator=torch.Generator().manual_seed(6))
    distinct.requires_grad_()
    compact = net(Embedded(distinct, ids_of(WIDTH)), LENGTHS)
    dense = net(Embedded(distinct[ids_of(WIDTH)]), LENGTHS)
    assert_same(compact, dense)
    gradients = [
        torch.autograd.grad(encoded.states.square().sum(), distinct)[0]
        for encoded in (compact, dense)
    ]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


# Heads


def head(kind: HeadKind) -> Head:
    torch.manual_seed(3)
    return HEADS[kind](6, MAX_LENGTH)


def encoded_of(width: int) -> Encoded:
    generator = torch.Generator().manual_seed(7)
    states = torch.randn(5, MAX_LENGTH, 6, generator=generator)[:, :width]
    final = torch.randn(5, 6, generator=generator)
    return Encoded(states * mask_of(width).unsqueeze(-1), final, mask_of(width))


@EVERY_HEAD
@torch.inference_mode()
def test_a_head_returns_a_vector_of_its_width_for_each_review(kind: HeadKind) -> None:
    reduced = head(kind)(encoded_of(WIDTH))
    assert reduced.shape == (5, head(kind).output_size)
    assert (reduced.std(0) > 0).any()


@EVERY_HEAD
@torch.inference_mode()
def test_a_head_sees_neither_padding_nor_other_reviews(kind: HeadKind) -> None:
    net, encoded = head(kind), encoded_of(WIDTH)
    reduced = net(encoded)
    padded = net(encoded_of(MAX_LENGTH))
    permuted = net(Encoded(*(part[ORDER] for part in encoded)))[ORDER.argsort()]
    states, final, mask = encoded
    alone = torch.cat(
        [
            net(Encoded(states[i : i + 1, :n], final[i : i + 1], mask[i : i + 1, :n]))
            for i, n in enumerate(LENGTHS)
        ]
    )
    for other in (padded, permuted, alone):
        torch.testing.assert_close(other, reduced, atol=1e-6, rtol=0)


# Networks


# One logit for two classes, five for five; the outputs share everything before them, so the more
# expensive promises are held to for one number.
EVERY_NUMBER_OF_OUTPUTS = pytest.mark.parametrize("classes", [2, 5])


def classifier(encoder: EncoderConfig, head: HeadKind, classes: int = 2) -> Classifier:
    torch.manual_seed(3)
    config = Config(
        encoder=encoder,
        head=HeadConfig(head),
        embedding=EmbeddingConfig(dim=INPUT_SIZE),
        data=DataConfig(max_length=MAX_LENGTH),
    )
    net = Classifier(config, WORDS, 1 if classes == 2 else classes)
    nn.init.normal_(net.embedding.weight)  # as large as after training; padding has a vector too
    return net


@EVERY_NUMBER_OF_OUTPUTS
@EVERY_NETWORK
@torch.inference_mode()
def test_a_logit_depends_neither_on_padding_nor_on_other_reviews(
    encoder: EncoderConfig, head: HeadKind, classes: int
) -> None:
    net = classifier(encoder, head, classes).eval()
    logits = net(ids_of(WIDTH), LENGTHS)
    assert logits.shape == ((5,) if classes == 2 else (5, classes))
    assert (logits.std(0) > 1e-3).all()  # reviews are told apart

    padded = net(ids_of(MAX_LENGTH), LENGTHS)
    alone = torch.cat(
        [net(ids_of(int(n))[i : i + 1], LENGTHS[i : i + 1]) for i, n in enumerate(LENGTHS)]
    )
    permuted = net(ids_of(WIDTH)[ORDER], LENGTHS[ORDER])[ORDER.argsort()]
    for other in (padded, alone, permuted):
        torch.testing.assert_close(other, logits, atol=1e-5, rtol=0)


@EVERY_NUMBER_OF_OUTPUTS
@EVERY_NETWORK
def test_every_parameter_is_trained_and_padding_is_not(
    encoder: EncoderConfig, head: HeadKind, classes: int
) -> None:
    # In double precision, rounding noise in the gradient of a dead parameter is below the bound.
    net = classifier(encoder, head, classes).double().train()
    net(ids_of(WIDTH), LENGTHS).square().sum().backward()
    largest = {name: p.grad.abs().max().item() for name, p in net.named_parameters()}
    for name, gradient in largest.items():
        assert gradient > 1e-6 * max(largest.values()), name
    assert not net.embedding.weight.grad[0].any()


@EVERY_NETWORK
def test_bfloat16_gives_nearly_the_same(encoder: EncoderConfig, head: HeadKind) -> None:
    net = classifier(encoder, head).eval()
    exact = net(ids_of(WIDTH), LENGTHS)
    exact.square().sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in net.parameters()])
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        rounded, padded = (net(ids_of(width), LENGTHS).float() for width in (WIDTH, MAX_LENGTH))
    rounded.square().sum().backward()
    # A number has 8 bits, so the relative error of each operation is up to 1/256.
    torch.testing.assert_close(rounded, exact, atol=0.03, rtol=0)
    torch.testing.assert_close(padded, rounded, atol=0.01, rtol=0)
    error = torch.cat([p.grad.flatten() for p in net.parameters()]) - gradient
    assert error.norm() < 0.05 * gradient.norm()


@EVERY_HEAD
@torch.inference_mode()
def test_unmasked_padding_is_read_as_text(kind: HeadKind) -> None:
    config = Config(
        head=HeadConfig(kind), data=DataConfig(max_length=MAX_LENGTH, padding="trailing")
    )
    net = Classifier(config, WORDS).eval()
    all_steps = torch.full((5,), MAX_LENGTH)
    before = net(ids_of(MAX_LENGTH), all_steps)
    net.embedding.weight[0] += 1.0
    assert not torch.allclose(net(ids_of(MAX_LENGTH), all_steps), before, atol=1e-4)
