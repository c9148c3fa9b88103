"""Vectors moved against a network: where to and how far, and what is trained on them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lstm_sentiment.config import Config, EmbeddingConfig, HeadConfig, HeadKind, OptimizerConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.adversary import moved
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training.run import run

IDS = torch.randint(2, 10, (4, 6), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 3, 1, 5])
IDS[torch.arange(6) >= LENGTHS.unsqueeze(1)] = 0
LABELS = torch.tensor([1.0, 0.0, 1.0, 0.0])
BATCH = Batch(IDS, LENGTHS, LABELS, torch.arange(4))


def test_a_review_is_moved_by_hand() -> None:
    # Norms 5 and 10; along (0, 1) and (-0.6, 0.8), however long the gradient is.
    vectors = torch.tensor([[[3.0, 4.0]], [[6.0, 8.0]]])
    gradient = torch.tensor([[[0.0, 7.0]], [[-0.003, 0.004]]])
    expected = torch.tensor([[[3.0, 4.5]], [[5.4, 8.8]]])
    torch.testing.assert_close(moved(vectors, gradient, 0.1), expected)


def test_a_review_that_the_loss_does_not_depend_on_stays() -> None:
    vectors = torch.ones(2, 3, 4)
    gradient = torch.stack([torch.ones(3, 4), torch.zeros(3, 4)])
    there = moved(vectors, gradient, 0.1)
    assert torch.equal(there[1], vectors[1])
    assert not torch.equal(there[0], vectors[0])


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
    (gradient,) = torch.autograd.grad(losses.mean(), vectors, retain_graph=True)
    there = moved(vectors, gradient, 0.05)
    harder = F.binary_cross_entropy_with_logits(
        net.classify(there, LENGTHS), LABELS, reduction="none"
    )
    assert (harder > losses).all()
    steps = (there - vectors).flatten(1).norm(dim=1)
    torch.testing.assert_close(steps, 0.05 * vectors.flatten(1).norm(dim=1))
    assert not (there - vectors)[IDS == 0].any()


def test_vectors_are_those_that_the_network_reads() -> None:
    net = module().classifier.train()
    net.embedding_dropout = 0.5
    torch.manual_seed(1)
    spelled = net.vectors(IDS)
    torch.manual_seed(1)
    distinct, places = net._distinct_vectors(IDS)
    assert places is not None
    assert torch.equal(spelled, distinct[places][:, : IDS.shape[1]])
    assert (spelled == 0).any(1).any()  # some components are dropped


def test_what_is_trained_on_is_the_sum_of_both_losses() -> None:
    trained = module()
    net = trained.classifier
    loss = trained.training_step(BATCH)
    [(_, _, _, counted)] = trained.scores["train"].seen

    vectors = net.vectors(IDS)
    plain = F.binary_cross_entropy_with_logits(net.classify(vectors, LENGTHS), LABELS)
    assert counted.mean().item() == pytest.approx(plain.item())  # scores are of reviews as they are
    (gradient,) = torch.autograd.grad(plain, vectors, retain_graph=True)
    there = moved(vectors, gradient, 0.05)
    both = plain + F.binary_cross_entropy_with_logits(net.classify(there, LENGTHS), LABELS)
    torch.testing.assert_close(loss, both)

    parameters = [*net.parameters()]
    found = torch.autograd.grad(loss, parameters)
    for ours, expected in zip(found, torch.autograd.grad(both, parameters), strict=True):
        torch.testing.assert_close(ours, expected)


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
