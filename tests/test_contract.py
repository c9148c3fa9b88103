"""What holds for every cell, depth, direction and head: the promise of the whole project."""

from itertools import product

import pytest
import torch
from torch import nn

from lstm_sentiment.config import (
    Cell,
    Config,
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    HeadKind,
)
from lstm_sentiment.model.classifier import Classifier

MAX_LENGTH = 12
WORDS = 20
LENGTHS = torch.tensor([7, 1, 9, 4, 2])
GRID = [
    pytest.param(*combination, id="-".join(map(str, combination)))
    for combination in product(Cell, (1, 2, 3), ("uni", "bi"), HeadKind)
]


def classifier(cell: Cell, layers: int, direction: str, head: HeadKind) -> Classifier:
    torch.manual_seed(3)
    config = Config(
        encoder=EncoderConfig(cell, 5, layers, direction == "bi", dropout=0.3),
        head=HeadConfig(head),
        embedding=EmbeddingConfig(dim=4),
        data=DataConfig(max_length=MAX_LENGTH),
    )
    net = Classifier(config, WORDS)
    nn.init.normal_(net.embedding.weight)  # as large as after training, and padding has one too
    return net


def batch(width: int) -> torch.Tensor:
    """(5, width) ids, the same reviews whatever the width."""
    ids = torch.randint(2, WORDS, (5, MAX_LENGTH), generator=torch.Generator().manual_seed(4))
    return (ids * (torch.arange(MAX_LENGTH) < LENGTHS[:, None]))[:, :width]


@pytest.mark.parametrize(("cell", "layers", "direction", "head"), GRID)
@torch.inference_mode()
def test_padding_batch_and_order_never_change_an_answer(
    cell: Cell, layers: int, direction: str, head: HeadKind
) -> None:
    net = classifier(cell, layers, direction, head).eval()
    logits = net(batch(9), LENGTHS)
    assert logits.shape == (5,)
    assert logits.std() > 1e-3  # not one answer for all

    padded = net(batch(MAX_LENGTH), LENGTHS)
    alone = torch.cat(
        [net(batch(int(n))[i : i + 1], LENGTHS[i : i + 1]) for i, n in enumerate(LENGTHS)]
    )
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = net(batch(9)[order], LENGTHS[order])

    for other in (padded, alone, permuted[order.argsort()]):
        torch.testing.assert_close(other, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "layers", "direction", "head"), GRID)
def test_every_parameter_learns_and_no_padding_does(
    cell: Cell, layers: int, direction: str, head: HeadKind
) -> None:
    # In double precision, where a dead parameter's rounding noise is far below the threshold.
    net = classifier(cell, layers, direction, head).double().train()
    net(batch(9), LENGTHS).square().sum().backward()
    largest = {name: p.grad.abs().max().item() for name, p in net.named_parameters()}
    for name, gradient in largest.items():
        assert gradient > 1e-6 * max(largest.values()), name
    assert not net.embedding.weight.grad[0].any()


@pytest.mark.parametrize(("cell", "layers", "direction", "head"), GRID)
def test_bfloat16_gives_nearly_the_same(
    cell: Cell, layers: int, direction: str, head: HeadKind
) -> None:
    net = classifier(cell, layers, direction, head).eval()
    exact = net(batch(9), LENGTHS)
    exact.square().sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in net.parameters()])
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        rounded, padded = (net(batch(width), LENGTHS).float() for width in (9, MAX_LENGTH))
    rounded.square().sum().backward()
    # A number has 8 bits, so each operation is off by up to 1/256.
    torch.testing.assert_close(rounded, exact, atol=0.03, rtol=0)
    torch.testing.assert_close(padded, rounded, atol=0.01, rtol=0)
    error = torch.cat([p.grad.flatten() for p in net.parameters()]) - gradient
    assert error.norm() < 0.05 * gradient.norm()


@pytest.mark.parametrize("head", HeadKind)
@torch.inference_mode()
def test_unmasked_padding_is_read_as_text(head: HeadKind) -> None:
    config = Config(
        head=HeadConfig(head), data=DataConfig(max_length=MAX_LENGTH, padding="trailing")
    )
    net = Classifier(config, WORDS).eval()
    everything = torch.full((5,), MAX_LENGTH)
    before = net(batch(MAX_LENGTH), everything)
    net.embedding.weight[0] += 1.0
    assert not torch.allclose(net(batch(MAX_LENGTH), everything), before, atol=1e-4)
