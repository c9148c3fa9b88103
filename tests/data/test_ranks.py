"""The shares of several processes in a batch: together they are the batch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lstm_sentiment.data.batches import Batch, Share, mean
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.ranks import ALONE, Ranks
from tests.support.project import MakeConfig, reviews_of

AUGMENTED = {"shuffle_sentences": True, "crop": 0.5, "drop": 0.2, "replace": 0.2}


def reviews(tiny: MakeConfig, augment: dict[str, Any] | None = None, **data: Any) -> Any:
    """Return the data module of ten training reviews."""
    from lstm_sentiment.config import AugmentConfig

    data |= {"augment": AugmentConfig(**(augment or {})), "val_fraction": 0.2, "batch_size": 3}
    return reviews_of(tiny(data={**data, "limit_train": 12, "limit_test": 7}))


def batches_of(data: ReviewDataModule, ranks: Ranks, stage: str = "train") -> list[Batch]:
    data.ranks = ranks
    return list(getattr(data, f"{stage}_dataloader")())


def words_of(batch: Batch) -> dict[int, list[int]]:
    """Return the ids of each review that counts, without padding, by its row."""
    parts = zip(*map(batch.own, (batch.rows, batch.ids, batch.lengths)), strict=True)
    return {int(row): ids[: int(length)].tolist() for row, ids, length in parts}


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("augment", [None, AUGMENTED], ids=["plain", "augmented"])
@pytest.mark.parametrize("stage", ["train", "test"])
def test_the_shares_of_a_batch_are_its_reviews(
    tiny: MakeConfig, size: int, augment: dict[str, Any] | None, stage: str
) -> None:
    data = reviews(tiny, augment)
    whole = batches_of(data, ALONE, stage)
    shares = [batches_of(data, Ranks(rank, size), stage) for rank in range(size)]
    for number, batch in enumerate(whole):
        parts = [of_rank[number] for of_rank in shares]
        found = [words_of(part) for part in parts]
        assert sum(map(len, found)) == len(batch.rows)
        assert {row: ids for part in found for row, ids in part.items()} == words_of(batch)
        assert sum(part.tokens for part in parts) == batch.tokens
        assert [len(part.rows) for part in parts] == [max(1, len(each)) for each in found]
        for part in parts:
            assert part.share == Share(len(words_of(part)), len(batch.rows))
            assert max(map(len, found)) - len(words_of(part)) <= 1  # as equal as possible
    assert [*map(len, shares)] == [len(whole)] * size  # all have as many steps
    if stage == "train":
        assert sorted(len(batch.rows) for batch in whole) == [1, 3, 3, 3]


def test_a_process_without_a_review_computes_along_and_counts_nothing(tiny: MakeConfig) -> None:
    data = reviews(tiny)
    [alone] = [b for b in batches_of(data, ALONE) if len(b.rows) == 1]
    [idle] = [b for b in batches_of(data, Ranks(1, 2)) if b.share == Share(0, 1)]
    assert torch.equal(idle.ids, alone.ids)
    assert idle.tokens == 0
    losses = torch.ones(1, requires_grad=True)
    mean([losses], [idle]).backward()
    assert losses.grad is not None
    assert losses.grad.tolist() == [0.0]


def test_the_means_of_shares_add_up_to_the_mean_of_the_batch() -> None:
    def batch(values: list[float], share: Share | None) -> tuple[Tensor, Batch]:
        zeros = torch.zeros(len(values), dtype=torch.int64)
        return torch.tensor(values), Batch(zeros, zeros, zeros, zeros, share=share)

    whole = [batch([1.0, 2.0, 6.0], None), batch([11.0], None)]
    one = [batch([1.0, 6.0], Share(2, 3)), batch([11.0], Share(1, 1))]
    other = [batch([2.0], Share(1, 3)), batch([11.0], Share(0, 1))]
    assert mean(*zip(*whole, strict=True)).item() == 5.0
    assert [mean(*zip(*part, strict=True)).item() for part in (one, other)] == [18 / 4, 2 / 4]


def test_a_process_that_is_alone_exchanges_nothing() -> None:
    values = torch.ones(2)
    assert ALONE.added(values) is values
    assert ALONE.joined(values) is values
    assert ALONE.of_leader({"a": np.nan})["a"] is np.nan
