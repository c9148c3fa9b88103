"""Vectors moved against a network: where to and how far, and what is trained on them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lstm_sentiment.config import Config, EmbeddingConfig, HeadConfig, HeadKind, OptimizerConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.adversary import moved_against
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training.run import run

IDS = torch.randint(2, 10, (4, 6), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 3, 1, 5])
IDS[torch.arange(6) >= LENGTHS.unsqueeze(1)] = 0
LABELS = torch.tensor([1.0, 0.0, 1.0, 0.0])
BATCH = Batch(IDS, LENGTHS, LABELS, torch.arange(4))


def test_a_review_is_moved_by_hand() -> None:
    # Norms 5 and 10; the loss grows along (0, 1) and (-0.6, 0.8), however fast.
    vectors = torch.tensor([[[3.0, 4.0]], [[6.0, 8.0]]], requires_grad=True)
    slopes = torch.tensor([[[0.0, 7.0]], [[-0.003, 0.004]]])
    moved = moved_against((vectors * slopes).sum(), vectors, 0.1)
    torch.testing.assert_close(moved, torch.tensor([[[3.0, 4.5]], [[5.4, 8.8]]]))


def test_a_review_that_the_loss_does_not_depend_on_stays() -> None:
    vectors = torch.ones(2, 3, 4, requires_grad=True)
    moved = moved_against(vectors[0].square().sum(), vectors, 0.1)
    assert torch.equal(moved[1], vectors[1])
    assert not torch.equal(moved[0], vectors[0])


def module(**fields: Any) -> SentimentModule:
    torch.manual_seed(0)
    config = Config(embedding=EmbeddingConfig(dim=5, dropout=0.0), **fields)
    optimizer = OptimizerConfig(adversarial=0.05)
    return SentimentModule(Classifier(config, 10).eval(), optimizer)


@pytest.mark.parametrize("head", HeadKind)
def test_moved_reviews_are_harder_and_padding_stays(head: HeadKind) -> None:
    net = module(head=HeadConfig(head)).classifier
    vectors = net.vectors(IDS)
    losses = F.binary_cross_entropy_with_logits(
        net.classify(vectors, LENGTHS), LABELS, reduction="none"
    )
    moved = moved_against(losses.sum(), vectors, 0.05)
    harder = F.binary_cross_entropy_with_logits(
        net.classify(moved, LENGTHS), LABELS, reduction="none"
    )
    assert (harder > losses).all()
    steps = (moved - vectors).flatten(1).norm(dim=1)
    torch.testing.assert_close(steps, 0.05 * vectors.flatten(1).norm(dim=1))
    assert not (moved - vectors)[IDS == 0].any()


def test_what_is_trained_on_is_the_sum_of_both_losses() -> None:
    trained = module()
    net = trained.classifier
    loss = trained.training_step(BATCH)
    [(_, _, _, counted)] = trained.scores["train"].seen
    plain = F.binary_cross_entropy_with_logits(net(IDS, LENGTHS), LABELS)
    assert counted.mean().item() == pytest.approx(plain.item())  # scores are of reviews as they are
    assert plain < loss - plain < 2 * plain
    loss.backward()
    gradient = net.embedding.weight.grad.clone()
    net.zero_grad()
    plain.backward()
    assert not torch.allclose(gradient, 2 * net.embedding.weight.grad, rtol=1e-3)


def test_vectors_that_are_not_trained_are_moved_all_the_same() -> None:
    frozen = module()
    frozen.classifier.embedding.requires_grad_(False)
    loss = frozen.training_step(BATCH)
    assert loss.item() == pytest.approx(module().training_step(BATCH).item())
    loss.backward()
    assert frozen.classifier.output.weight.grad.any()


def test_a_run_trains_on_them(tiny: Callable[..., Config]) -> None:
    plain, adversarial = (
        run(tiny(optimizer={"adversarial": share}, test=False)) for share in (0.0, 0.1)
    )
    assert plain["name"] != adversarial["name"]
    assert plain["epochs"][-1]["train"]["loss"] != adversarial["epochs"][-1]["train"]["loss"]
