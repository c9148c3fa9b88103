"""Objectives: which vectors are moved how far, and which loss is minimised."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Config, EmbeddingConfig, HeadConfig, HeadKind, OptimizerConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.model.objectives import objective_of, perturb, with_gradients

IDS = torch.randint(2, 10, (4, 6), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 3, 1, 5])
IDS[torch.arange(6) >= LENGTHS.unsqueeze(1)] = 0
LABELS = torch.tensor([1.0, 0.0, 1.0, 0.0])
BATCH = Batch(IDS, LENGTHS, LABELS, torch.arange(4))


def module(**fields: Any) -> SentimentModule:
    torch.manual_seed(0)
    config = Config(embedding=EmbeddingConfig(dim=5, dropout=0.0), **fields)
    optimizer = OptimizerConfig(adversarial=0.05)
    objective = objective_of(replace(config, optimizer=optimizer))
    return SentimentModule(Classifier(config, 10).eval(), optimizer, objective=objective)


def losses_of(net: Classifier, vectors: Tensor) -> Tensor:
    """(B, T, E) -> (B,)"""
    logits = net.classify(vectors, LENGTHS)
    return F.binary_cross_entropy_with_logits(logits, LABELS, reduction="none")


def test_a_perturbation_by_hand() -> None:
    # The norms are 5 and 10, the directions (0, 1) and (-0.6, 0.8).
    vectors = torch.tensor([[[3.0, 4.0]], [[6.0, 8.0]]])
    gradient = torch.tensor([[[0.0, 7.0]], [[-0.003, 0.004]]])
    expected = torch.tensor([[[3.0, 4.5]], [[5.4, 8.8]]])
    torch.testing.assert_close(perturb(vectors, gradient, 0.1), expected)


def test_a_review_without_a_gradient_stays() -> None:
    vectors = torch.ones(2, 3, 4)
    gradient = torch.stack([torch.ones(3, 4), torch.zeros(3, 4)])
    perturbed = perturb(vectors, gradient, 0.1)
    assert torch.equal(perturbed[1], vectors[1])
    assert not torch.equal(perturbed[0], vectors[0])


def test_a_loss_with_known_gradients_has_that_value_and_those_gradients() -> None:
    sources = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)]
    gradients = [torch.tensor([0.5, -4.0]), torch.tensor(7.0)]
    loss = with_gradients(torch.tensor(11.0), sources, gradients)
    assert loss.item() == 11.0
    for known, gradient in zip(gradients, torch.autograd.grad(loss, sources), strict=True):
        assert torch.equal(gradient, known)


@pytest.mark.parametrize("head", HeadKind)
def test_perturbed_reviews_have_a_higher_loss_and_padding_stays(head: HeadKind) -> None:
    net = module(head=HeadConfig(head)).classifier
    vectors = net.embedding.vectors(IDS)
    losses = losses_of(net, vectors)
    (gradient,) = torch.autograd.grad(losses.mean(), vectors, retain_graph=True)
    perturbed = perturb(vectors, gradient, 0.05)
    assert (losses_of(net, perturbed) > losses).all()
    distances = (perturbed - vectors).flatten(1).norm(dim=1)
    torch.testing.assert_close(distances, 0.05 * vectors.flatten(1).norm(dim=1))
    assert not (perturbed - vectors)[IDS == 0].any()


def test_the_training_loss_is_the_sum_of_both_losses() -> None:
    trained = module()
    net = trained.classifier
    loss = trained.training_step(BATCH)
    trained_score = trained.scores["train"].compute()["loss"]

    vectors = net.embedding.vectors(IDS)
    clean = losses_of(net, vectors).mean()
    assert trained_score == pytest.approx(clean.item())  # scores ignore perturbation
    (gradient,) = torch.autograd.grad(clean, vectors, retain_graph=True)
    both = clean + losses_of(net, perturb(vectors, gradient, 0.05)).mean()
    torch.testing.assert_close(loss, both)

    parameters = [*net.parameters()]
    gradients = torch.autograd.grad(loss, parameters)
    for ours, expected in zip(gradients, torch.autograd.grad(both, parameters), strict=True):
        torch.testing.assert_close(ours, expected)


def test_frozen_vectors_are_perturbed_too() -> None:
    frozen = module()
    frozen.classifier.embedding.requires_grad_(False)
    loss = frozen.training_step(BATCH)
    assert loss.item() == pytest.approx(module().training_step(BATCH).item())
    loss.backward()
    assert frozen.classifier.output.weight.grad.any()


def test_a_run_trains_on_perturbed_reviews(tiny: Callable[..., Config]) -> None:
    plain, adversarial = (
        run(tiny(optimizer={"adversarial": share}, test=False)) for share in (0.0, 0.1)
    )
    assert plain["name"] != adversarial["name"]
    assert plain["epochs"][-1]["train"]["loss"] != adversarial["epochs"][-1]["train"]["loss"]
