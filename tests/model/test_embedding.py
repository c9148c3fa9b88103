"""The table of word vectors in both forms, and its dropout."""

from typing import Any

import pytest
import torch

from lstm_sentiment.config import EmbeddingConfig
from lstm_sentiment.model.embedding import Embedded, Embedding, round_up

IDS = torch.randint(2, 10, (4, 6), generator=torch.Generator().manual_seed(0))


def embedding(words: int = 10, masked: bool = True, **fields: Any) -> Embedding:
    torch.manual_seed(0)
    return Embedding(words, EmbeddingConfig(**{"dim": 5, "dropout": 0.0, **fields}), masked)


def test_each_word_of_a_batch_is_embedded_once() -> None:
    table = embedding()
    embedded = table(IDS)
    assert len(embedded.vectors) == len(IDS.unique())
    assert torch.equal(embedded.dense(), table.weight[IDS])


def test_dense_vectors_are_returned_as_they_are() -> None:
    vectors = torch.randn(2, 3, 4)
    assert Embedded(vectors).dense() is vectors


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_both_forms_hold_the_same_vectors(dropout: float) -> None:
    table = embedding(dropout=dropout).train()
    torch.manual_seed(1)
    dense = table.vectors(IDS)
    torch.manual_seed(1)
    distinct = table(IDS)
    assert torch.equal(dense, distinct.dense()[:, : IDS.shape[1]])
    assert (dense == 0).any() == (dropout > 0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_both_forms_train_the_same_vectors(dropout: float, masked: bool) -> None:
    table = embedding(dropout=dropout, masked=masked).train()
    ids = torch.cat([IDS, torch.zeros(4, 2, dtype=torch.long)], 1)
    gradients = []
    for form in (table.vectors, lambda ids: table(ids).dense()):
        torch.manual_seed(1)
        (gradient,) = torch.autograd.grad(form(ids).square().sum(), table.weight)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients)
    assert bool(gradients[0][0].any()) is not masked


@pytest.mark.parametrize("id", [-1, 10])
def test_an_id_without_a_vector_is_refused(id: int) -> None:
    with pytest.raises(IndexError):
        embedding()(torch.full((1, 3), id))


def test_sizes_are_few_and_little_larger() -> None:
    assert [round_up(size) for size in (1, 31, 32, 33, 240, 241, 500, 2401)] == [
        *(1, 31, 32, 34, 240, 248, 512, 2432),
    ]
    sizes = range(1, 5000)
    assert len({round_up(size) for size in sizes}) < 150
    assert all(size <= round_up(size) < 1.07 * size for size in sizes)


def test_both_sizes_of_a_batch_are_rounded_up() -> None:
    table = embedding(words=1000)
    ids = torch.arange(1, 68).repeat(2, 1)
    vectors, indices = table(ids)
    assert len(vectors) == round_up(68)  # 67 words and padding
    assert indices.shape == (2, round_up(67))
    assert not table(ids).dense()[:, 67:].any()


def test_dropout_is_the_same_at_every_step_of_a_review() -> None:
    table = embedding(dim=40, dropout=0.25)
    ids = torch.randint(1, 10, (50, 7), generator=torch.Generator().manual_seed(0))
    plain, dropped = table.eval()(ids).dense(), table.train()(ids).dense()
    is_left = dropped != 0
    assert (is_left == is_left[:, :1]).all()
    assert 0.7 < is_left.float().mean() < 0.8
    assert not (is_left[0] == is_left[1]).all()  # each review has its own draw
    torch.testing.assert_close(dropped[is_left], plain[is_left] / 0.75)


@pytest.mark.parametrize("masked", [False, True])
def test_vectors_start_small_and_masked_padding_at_zero(masked: bool) -> None:
    weight = embedding(400, masked, dim=50).weight
    assert weight[1:].std().item() == pytest.approx(0.1, rel=0.05)
    assert bool(weight[0].any()) is not masked


def test_initial_vectors_are_a_tenth_of_pytorchs() -> None:
    """Other random draws would change the results of every seed."""
    weight = embedding().weight
    torch.manual_seed(0)
    reference = torch.nn.Embedding(10, 5, padding_idx=0)
    assert torch.equal(weight, reference.weight * 0.1)


def test_vectors_that_take_no_memory_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing them would make every start of a command two seconds longer."""
    monkeypatch.setattr(torch.nn.init, "normal_", lambda _: pytest.fail("numbers are drawn"))
    with torch.device("meta"):
        vectors = Embedding(9, EmbeddingConfig(dim=5), masked=True)
    assert vectors.weight.shape == (9, 5)
