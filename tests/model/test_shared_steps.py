"""Several ranks compute the gradients, the loss and the scores of the whole batch together."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from lstm_sentiment.config import Config, ObjectiveConfig, updated
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pretraining import train_on_unlabelled
from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.model import objectives
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.model.ngram_layer import log_count_ratios
from lstm_sentiment.model.objectives import Passes, objective_of
from tests.support.project import synthetic_imdb, tiny_config
from tests.support.ranks import in_step
from tests.support.tables import write_columns

TERMS = ObjectiveConfig(adversarial=0.7, virtual_adversarial=0.6, entropy=0.5)


class Step(NamedTuple):
    """What a step has computed."""

    loss: float
    gradients: dict[str, Tensor]


class Epoch(NamedTuple):
    """What the steps of an epoch have computed."""

    steps: list[Step]
    scores: dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of synthetic reviews in the form of IMDB, of which some are unlabelled."""
    folder = tmp_path_factory.mktemp("reviews") / "imdb"
    synthetic_imdb(folder)
    texts, _ = generate(25, seed=7)
    write_columns(folder / "unsupervised.parquet", texts, [-1] * len(texts))
    return folder


@pytest.fixture
def make(cache: str, folder: Path) -> Callable[..., Config]:
    """Return a function that makes a configuration without dropout, with nine training reviews."""

    def config(values: dict[str, Any] | None = None, **fields: Any) -> Config:
        small = tiny_config(
            cache,
            "unused",
            data={"source": "imdb", "path": str(folder), "limit_train": 11, "batch_size": 4},
            encoder={"dropout": 0.0},
            embedding={"dropout": 0.0},
            **fields,
        )
        return updated(small, values or {})

    return config


def reviews_of(config: Config) -> ReviewDataModule:
    data = ReviewDataModule(config.data, config.seed, config.test, ngrams=config.head.ngrams)
    data.setup()
    train_on_unlabelled(data, config.objective.unlabelled)
    return data


def network(config: Config, data: ReviewDataModule) -> Classifier:
    """Return a network with random weights, also of n-grams, that are as large as trained ones."""
    ratios = None
    if data.ngram_vocabulary is not None:
        assert data.train.ngrams is not None
        size, labels = len(data.ngram_vocabulary), data.train.labels
        ratios = log_count_ratios(data.train.ngrams, size, labels, 1)
    net = Classifier(config, len(data.vocabulary), 1, ratios)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    if config.data.padding.masked:
        torch.nn.init.zeros_(net.embedding.weight[0])
    return net


def epoch_of(
    config: Config, data: ReviewDataModule, net: Classifier, ranks: Ranks, frozen: str = "none"
) -> Epoch:
    """Compute the gradients of all batches of an epoch with one of the ranks."""
    data = deepcopy_of_loader(data, ranks)
    module = SentimentModule(
        deepcopy(net),
        config.optimizer,
        class_weights=data.class_weights,
        objective=objective_of(config, ranks),
        pseudo_weight=config.data.pseudo_weight,
        ranks=ranks,
    )
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(frozen not in name)
    steps = []
    for batch in data.train_dataloader():
        loss = module.training_step(batch)
        module.on_before_backward(loss)
        loss.backward()
        module.on_after_backward()
        found = {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}
        steps.append(Step(module.step_loss.item(), found))
        module.zero_grad()
    return Epoch(steps, module.scores["train"].compute())


def deepcopy_of_loader(data: ReviewDataModule, ranks: Ranks) -> ReviewDataModule:
    """Return the data module of one of several threads."""
    copy = object.__new__(ReviewDataModule)
    copy.__dict__ = data.__dict__ | {"ranks": ranks}
    return copy


def assert_shared(config: Config, data: ReviewDataModule, size: int, frozen: str = "none") -> None:
    net = network(config, data)
    whole = epoch_of(config, data, net, ALONE, frozen)
    for shared in in_step(size, lambda ranks: epoch_of(config, data, net, ranks, frozen)):
        for step, expected in zip(shared.steps, whole.steps, strict=True):
            assert step.loss == pytest.approx(expected.loss, rel=1e-5)
            assert step.gradients.keys() == expected.gradients.keys()
            for name, gradient in expected.gradients.items():
                assert gradient.any(), name
                torch.testing.assert_close(
                    step.gradients[name],
                    gradient,
                    rtol=1e-4,
                    atol=1e-5 * float(gradient.abs().max()),
                )
        assert shared.scores == {
            name: score if name == "confusion_matrix" else pytest.approx(score, abs=1e-6)
            for name, score in whole.scores.items()
        }


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "values",
    [
        {"head.kind": "max"},
        {"head.kind": "flatten", "encoder.cell": "gru", "encoder.bidirectional": True},
        {"encoder.segment": 4, "encoder.num_layers": 2},
        {"data.padding": "keras"},
        {"data.class_weights": "balanced"},
        {"data.augment.drop": 0.3, "data.augment.replace": 0.3},
        {"optimizer.adversarial": 0.05},
        {"head.ngrams": 2},
    ],
    ids=lambda values: " ".join(values),
)
def test_ranks_have_the_gradients_of_the_whole_batch(
    make: Callable[..., Config], values: dict[str, Any], size: int
) -> None:
    config = make(values)
    data = reviews_of(config)
    assert len(data.train) == 9  # the last batch has one review, so that other ranks have none
    assert_shared(config, data, size)


@pytest.mark.parametrize("unlabelled", [0, 1, 2])
def test_terms_beside_cross_entropy_are_those_of_the_whole_batch(
    make: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, unlabelled: int
) -> None:
    """Random directions are given for each review: drawn ones differ from rank to rank.

    The last batch has two reviews, so that the third rank copies one.
    """
    table = torch.randn(300, 60, 5, generator=torch.Generator().manual_seed(0))

    def direction(passes: Passes) -> Tensor:
        rows = passes.batch.rows + (100 if passes.batch.labels.lt(0).any() else 0)
        return table[rows, : passes.batch.ids.shape[1]]

    monkeypatch.setattr(objectives.Passes, "random_direction", direction)
    config = make({"data.limit_train": 12}, objective=replace(TERMS, unlabelled=unlabelled))
    data = reviews_of(config)
    assert len(data.train) == 10
    assert_shared(config, data, 3)


def test_pseudo_labels_have_their_weight(make: Callable[..., Config]) -> None:
    config = make({"data.pseudo_weight": 0.3, "data.class_weights": "balanced"})
    data = reviews_of(config)
    count = len(data.train.tokenized.labels)
    random = np.random.default_rng(0)
    is_labelled = random.random(count) < 0.5
    soft = np.where(is_labelled, data.train.tokenized.labels, random.random(count))
    data.training = replace(
        data.train, soft_labels=soft.astype(np.float32), is_labelled=is_labelled
    )
    assert 0 < is_labelled[data.train.rows].sum() < len(data.train)
    assert_shared(config, data, 2)


@pytest.mark.parametrize("frozen", ["embedding", "encoder"])
def test_frozen_layers_have_no_gradient(make: Callable[..., Config], frozen: str) -> None:
    config = make()
    data = reviews_of(config)
    assert_shared(config, data, 2, frozen)


def test_ranks_draw_different_dropout_masks_and_the_first_those_of_a_single_process(
    make: Callable[..., Config],
) -> None:
    config = make()

    class InEpoch(SentimentModule):
        current_epoch = 3

    def draws(ranks: Ranks) -> list[float]:
        module = InEpoch(Classifier(config, 10), config.optimizer, seed=5, ranks=ranks)
        module.on_train_batch_start(None, 0)
        return torch.rand(3).tolist()

    alone, first, second = draws(ALONE), draws(Ranks(0, 2)), draws(Ranks(1, 2))
    assert alone == first != second


def test_the_weights_of_the_leader_are_those_of_all(make: Callable[..., Config]) -> None:
    config = make()
    torch.manual_seed(0)
    nets = [Classifier(config, 10) for _ in range(2)]

    def started(ranks: Ranks) -> list[Tensor]:
        module = SentimentModule(nets[ranks.rank], config.optimizer, ranks=ranks)
        module.on_train_start()
        return [parameter.detach().clone() for parameter in module.parameters()]

    one, other = in_step(2, started)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_a_batch_on_a_device_keeps_its_share() -> None:
    from lstm_sentiment.data.batches import Share

    ones = torch.ones(2, dtype=torch.int64)
    batch = Batch(ones, ones, ones, ones, share=Share(1, 3))
    assert batch.to(torch.device("cpu")).share == Share(1, 3)
