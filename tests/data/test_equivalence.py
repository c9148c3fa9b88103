"""The same reviews give the same data in every format and in every order of the rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from lstm_sentiment.config import AugmentConfig, DataConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from tests.support.corpora import write_archive
from tests.support.datamodules import (
    Make,
    Table,
    data_of_file,
    permuted,
    reviews_with_copies,
    set_up,
)
from tests.support.tables import write_columns

Content = list[tuple[list[list[int]], list[int], list[float], list[str]]]


def content(loader: DataLoader[Batch], texts: Sequence[str]) -> Content:
    """Return the ids, lengths and labels of every batch, and texts in place of the rows."""
    return [
        (
            batch.ids.tolist(),
            batch.lengths.tolist(),
            batch.labels.tolist(),
            [texts[row] for row in batch.rows],
        )
        for batch in loader
    ]


def contents(data: ReviewDataModule, train: Table, testing: Table) -> list[Content]:
    return [
        content(data.train_dataloader(), train[0]),
        content(data.val_dataloader(), train[0]),
        content(data.test_dataloader(), testing[0]),
    ]


def test_the_order_of_rows_changes_row_numbers_only(make: Make) -> None:
    fields: dict[str, Any] = {"test": True, "batch_size": 4, "limit_train": 50, "limit_test": 20}

    def everything(train: Table, testing: Table, **more: Any) -> list[object]:
        data = make(train, testing, **fields, **more)
        summary = [data.identity, data.summary(), data.vocabulary.words]
        return [*summary, *contents(data, train, testing)]

    train, testing = reviews_with_copies("train"), reviews_with_copies("test")
    first = everything(train, testing)
    for seed in range(3):
        assert everything(permuted(train, seed), permuted(testing, seed)) == first
    augment = AugmentConfig(shuffle_sentences=True, crop=0.7, drop=0.1, replace=0.1)
    changed = everything(train, testing, augment=augment)
    assert changed != first
    assert everything(permuted(train, 0), permuted(testing, 0), augment=augment) == changed


def test_other_reviews_have_another_identity(make: Make) -> None:
    texts, labels = reviews_with_copies("train")
    identities = {
        make((texts, labels)).identity,
        make((texts[:-1], labels[:-1])).identity,
        make((texts, [1 - label for label in labels])).identity,
        make(([*texts[:-1], "else"], labels)).identity,
    }
    assert len(identities) == 4


def write_archives(folder: Path, train: Table, testing: Table) -> None:
    rows = [list(zip(*table, strict=True)) for table in (train, testing)]
    write_archive(folder / "aclImdb", *rows)


def write_shards(folder: Path, train: Table, testing: Table) -> None:
    for split, (texts, labels) in (("train", train), ("test", testing)):
        for shard in (0, 1):
            file = folder / f"{split}-0000{shard}-of-00002.parquet"
            write_columns(file, texts[shard::2], labels[shard::2])


@pytest.mark.parametrize("write", [write_archives, write_shards])
def test_imdb_is_the_same_in_every_form(
    make: Make, tmp_path: Path, cache: str, write: Callable[[Path, Table, Table], None]
) -> None:
    train, testing = reviews_with_copies("train"), reviews_with_copies("test")
    one = make(train, testing, test=True)
    folder = tmp_path / "other"
    write(folder, train, testing)
    other = set_up(DataConfig(path=str(folder), cache=cache, batch_size=2))
    assert other.identity == one.identity
    assert other.vocabulary.words == one.vocabulary.words
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for mine, theirs in zip(getattr(one, loader)(), getattr(other, loader)(), strict=True):
            assert [part.tolist() for part in mine[:3]] == [part.tolist() for part in theirs[:3]]


def test_files_are_equivalent_in_every_format_and_order(tmp_path: Path, cache: str) -> None:
    texts, labels = reviews_with_copies("own")
    results: list[list[object]] = []
    for number, suffix in enumerate(("csv", "tsv", "jsonl", "parquet")):
        table = permuted((texts, labels), number)
        columns = table[0], [("neg", "pos")[label] for label in table[1]]
        file = write_columns(tmp_path / f"films.{suffix}", *columns, names="review sentiment")
        data = data_of_file(file, cache, test_fraction=0.3)
        results.append([data.identity, *contents(data, table, table)])
        assert data.summary()["held_out"] == 0.3
    assert results == results[:1] * 4
