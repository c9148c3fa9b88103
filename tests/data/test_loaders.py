"""Data loaders: every review once, in an order of each epoch, augmented in the training set."""

from typing import Any

import lightning as L
import pytest
import torch

from lstm_sentiment.config import AugmentConfig, Padding, Side
from lstm_sentiment.data.batches import (
    AugmentedReviews,
    Batch,
    TrainingOrder,
    shuffled_batches,
)
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokenizer import UNK, tokenize
from tests.support.datamodules import Make, distinct_reviews, rows_of, values_of


def test_loaders_return_every_review_once(make: Make) -> None:
    splits = distinct_reviews(50, negative=25), distinct_reviews(30, negative=15, name="test")
    data = make(*splits, test=True, batch_size=3, val_fraction=0.4)
    assert data.test is not None
    train = data.train_dataloader()
    for loader, part in (
        (train, data.train),
        (train, data.train),
        (data.val_dataloader(), data.val),
        (data.test_dataloader(), data.test),
    ):
        rows = rows_of(loader)
        assert sorted(row for batch in rows for row in batch) == sorted(part.rows)
        assert len(loader) == len(rows)
    assert max(len(batch) for batch in rows_of(train)) == 3
    assert [len(batch) for batch in rows_of(data.val_dataloader())] == [12, 8]  # four times as many
    widths = [batch.ids.shape[1] for batch in data.test_dataloader()]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padding", list(Padding))
def test_batches_can_be_decoded_to_the_reviews(make: Make, padding: Padding, side: str) -> None:
    texts, labels = distinct_reviews(30, negative=10)
    make((texts, labels))  # so that the next reads its arrays from the cache
    fields = {"padding": padding, "truncation_side": side, "max_length": 8, "batch_size": 4}
    data = make(val_fraction=0.3, **fields)
    train = {token for row in data.train.rows for token in tokenize(texts[row], 2)}
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for batch in loader:
            for ids, label, row in zip(batch.ids, batch.labels, batch.rows, strict=True):
                tokens = tokenize(texts[row], 2)
                kept = tokens[:8] if side == "right" else tokens[-8:]
                expected = [token if token in train else UNK for token in kept]
                assert data.vocabulary.decode(ids[ids > 0]) == expected
                assert label == labels[row]


def test_seed_alone_draws_the_order_of_training(make: Make) -> None:
    loader = make(distinct_reviews(80, negative=40), batch_size=4).train_dataloader()
    assert rows_of(make(batch_size=4).train_dataloader()) == rows_of(loader)
    assert rows_of(make(batch_size=4, seed=1).train_dataloader()) != rows_of(loader)


class Observer(L.LightningModule):
    """Trains one number and records the rows and ids of the reviews, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))
        self.rows: dict[int, list[list[int]]] = {}
        self.ids: dict[int, list[list[list[int]]]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: Batch) -> torch.Tensor:
        self.rows.setdefault(self.current_epoch, []).append(batch.rows.tolist())
        self.ids.setdefault(self.current_epoch, []).append(batch.ids.tolist())
        return self.number * batch.labels.sum()

    def validation_step(self, batch: Batch) -> None:
        self.validated += batch.rows.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(observer: Observer, data: ReviewDataModule, epochs: int) -> None:
    L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    ).fit(observer, data)


def test_every_epoch_has_its_own_order(make: Make) -> None:
    data = make(distinct_reviews(40, negative=20), batch_size=4, seed=7)
    observer = Observer()
    fit(observer, data, epochs=3)
    for epoch in range(3):
        drawn = shuffled_batches(data.train.lengths, 4, 7, epoch)
        assert observer.rows[epoch] == [data.train.rows[batch].tolist() for batch in drawn]
    assert observer.rows[0] != observer.rows[1] != observer.rows[2]
    assert sorted(observer.validated) == sorted(data.val.rows.tolist() * 3)


# Augmentation


EVERY_CHANGE = AugmentConfig(shuffle_sentences=True, crop=0.5, drop=0.2, replace=0.2)


def test_by_default_training_reviews_are_not_changed(make: Make) -> None:
    data = make(distinct_reviews(40, negative=20), batch_size=4)
    loader = data.train_dataloader()
    assert loader.dataset is data.train
    assert values_of(loader) == values_of(
        data.train[chosen] for chosen in shuffled_batches(data.train.lengths, 4, 0, 0)
    )
    assert values_of(make(augment=AugmentConfig(), batch_size=4).train_dataloader()) == values_of(
        loader
    )


@pytest.mark.parametrize(
    "change", [{"shuffle_sentences": True}, {"crop": 0.5}, {"drop": 0.2}, {"replace": 0.2}]
)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("padding", list(Padding))
def test_augmentation_changes_the_training_set_only(
    make: Make, padding: Padding, side: Side, change: dict[str, Any]
) -> None:
    texts, labels = distinct_reviews(40, negative=20)
    splits = [f"{text} Is it? So it is!" for text in texts], labels
    fields: dict[str, Any] = {"padding": padding, "truncation_side": side, "max_length": 8}
    fields |= {"batch_size": 4, "test": True}
    plain = make(splits, distinct_reviews(20, negative=10, name="test"), **fields)
    data = make(augment=AugmentConfig(**change), **fields)
    assert values_of(data.val_dataloader()) == values_of(plain.val_dataloader())
    assert values_of(data.test_dataloader()) == values_of(plain.test_dataloader())
    assert data.vocabulary.words == plain.vocabulary.words
    assert data.summary() == plain.summary()
    mine, theirs = list(data.train_dataloader()), list(plain.train_dataloader())
    for one, other in zip(mine, theirs, strict=True):  # the batches consist of the same reviews
        assert one.rows.tolist() == other.rows.tolist()
        assert one.labels.tolist() == other.labels.tolist()
    assert [one.ids.tolist() for one in mine] != [other.ids.tolist() for other in theirs]
    assert values_of(data.train_dataloader()) == values_of(mine)


def test_every_epoch_has_its_own_changes(make: Make) -> None:
    data = make(distinct_reviews(40, negative=20), batch_size=4, seed=7, augment=EVERY_CHANGE)
    observer = Observer()
    fit(observer, data, epochs=3)
    order = TrainingOrder(data.train.lengths, 4, 7)
    reviews = AugmentedReviews(data.train, EVERY_CHANGE, order)
    for epoch in range(3):
        order.set_epoch(epoch)
        expected = [reviews[chosen] for chosen in order]
        assert observer.ids[epoch] == [batch.ids.tolist() for batch in expected]
        assert observer.rows[epoch] == [batch.rows.tolist() for batch in expected]
    assert sorted(observer.validated) == sorted(data.val.rows.tolist() * 3)
