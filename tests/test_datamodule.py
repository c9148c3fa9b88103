from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lstm_sentiment.config import DataConfig, Padding
from lstm_sentiment.data.batches import Batch, EncodedReviews, shuffled_batches
from lstm_sentiment.data.datamodule import ReviewDataModule, stratified_sample, stratified_split
from lstm_sentiment.data.tokens import UNK, tokenize
from lstm_sentiment.errors import InputError

CHECKED = settings(deadline=None, max_examples=100, derandomize=True)
LABELS = st.lists(st.integers(0, 1), min_size=1, max_size=60).map(np.array)


def unlike(number: int, negative: int, name: str = "train") -> tuple[list[str], list[int]]:
    """Reviews with a word of their own each, of many lengths; the first are negative."""
    texts = [f"{name}{row} was{' very' * (row * 7 % 11)} long." for row in range(number)]
    return texts, [0] * negative + [1] * (number - negative)


Rows = tuple[Sequence[str], Sequence[int]]
Make = Callable[..., ReviewDataModule]


@pytest.fixture
def make(tmp_path: Path, cache: str) -> Make:
    """Writes the splits that are given, and sets up a module over all that are there."""

    def make(
        train: Rows | None = None,
        testing: Rows | None = None,
        seed: int = 0,
        test: bool = False,
        **fields: Any,
    ) -> ReviewDataModule:
        for name, rows in (("train", train), ("test", testing)):
            if rows is not None:
                table = pa.table({"text": rows[0], "label": rows[1]})
                pq.write_table(table, tmp_path / f"{name}.parquet")
        module = ReviewDataModule(DataConfig(path=str(tmp_path), cache=cache, **fields), seed, test)
        module.prepare_data()
        module.setup()
        return module

    return make


def by_label(reviews: EncodedReviews) -> list[int]:
    return np.bincount(reviews.reviews.labels[reviews.rows], minlength=2).tolist()


def rows_of(loader: DataLoader[Batch]) -> list[list[int]]:
    return [batch.rows.tolist() for batch in loader]


def test_the_split_is_disjoint_whole_and_in_proportion(make: Make) -> None:
    data = make(unlike(60, negative=40), val_fraction=0.25)
    assert by_label(data.train) == [30, 15]
    assert by_label(data.val) == [10, 5]
    assert sorted([*data.train.rows, *data.val.rows]) == list(range(60))


def test_limits_count_before_the_split_and_keep_proportions(make: Make) -> None:
    data = make(
        unlike(100, negative=70),
        unlike(50, negative=10, name="test"),
        test=True,
        limit_train=40,
        limit_test=10,
        val_fraction=0.25,
    )
    assert by_label(data.train) == [21, 9]
    assert by_label(data.val) == [7, 3]
    assert not set(data.train.rows) & set(data.val.rows)
    assert data.test is not None
    assert by_label(data.test) == [2, 8]


def test_limits_beyond_the_reviews_change_nothing(make: Make) -> None:
    splits = unlike(20, negative=10), unlike(8, negative=4, name="test")
    whole = make(*splits, test=True)
    limited = make(test=True, limit_train=20, limit_test=1_000)
    assert whole.test is not None
    assert limited.test is not None
    for part, same in zip(
        (whole.train, whole.val, whole.test),
        (limited.train, limited.val, limited.test),
        strict=True,
    ):
        assert part.rows.tolist() == same.rows.tolist()
    assert len(whole.test) == 8


def test_split_seed_alone_draws_split_and_limits(make: Make) -> None:
    splits = unlike(80, negative=40), unlike(80, negative=40, name="test")

    def drawn(**options: Any) -> list[list[int]]:
        data = make(test=True, limit_train=40, limit_test=20, **options)
        assert data.test is not None
        return [part.rows.tolist() for part in (data.train, data.val, data.test)]

    make(*splits)
    first = drawn()
    assert drawn(seed=1) == first
    assert all(one != other for one, other in zip(drawn(split_seed=1), first, strict=True))
    assert make(split_seed=1).val.rows.tolist() != make(split_seed=2).val.rows.tolist()


def test_seed_alone_draws_the_order_of_training(make: Make) -> None:
    loader = make(unlike(80, negative=40), batch_size=4).train_dataloader()
    assert rows_of(make(batch_size=4).train_dataloader()) == rows_of(loader)
    assert rows_of(make(batch_size=4, seed=1).train_dataloader()) != rows_of(loader)


def test_without_the_test_split_the_rest_is_the_same(make: Make) -> None:
    splits = unlike(30, negative=15), unlike(10, negative=5, name="test")
    data, without = make(*splits, test=True), make(test=False)
    assert without.test is None
    assert without.train.rows.tolist() == data.train.rows.tolist()
    assert without.val.rows.tolist() == data.val.rows.tolist()
    assert without.vocabulary.words == data.vocabulary.words
    assert data.identity.split()[0] == without.identity
    assert len(data.identity.split()) == 2


@pytest.mark.parametrize("damaged", [False, True], ids=["absent", "damaged"])
def test_a_test_split_that_is_not_asked_for_is_not_opened(
    make: Make, tmp_path: Path, damaged: bool
) -> None:
    if damaged:
        (tmp_path / "test.parquet").write_bytes(b"no Parquet")
    data = make(unlike(20, negative=10), test=False)
    assert data.test is None
    assert data.summary()["test"] is None
    with pytest.raises(InputError, match=r"test\.parquet"):
        make(test=True)


def test_a_missing_test_split_is_found_before_any_work(make: Make, tmp_path: Path) -> None:
    make(unlike(20, negative=10))
    with pytest.raises(InputError, match=r"no test\.parquet"):
        _ = ReviewDataModule(DataConfig(path=str(tmp_path))).identity


def test_copies_stay_on_one_side_under_whatever_label(make: Make) -> None:
    texts = [f"film {row // 4}" for row in range(80)]  # four of each
    labels = [0, 0, 1, 1] * 10 + [0] * 20 + [1] * 20  # the first ten under both labels
    for split_seed in range(5):
        data = make((texts, labels), split_seed=split_seed, val_fraction=0.4)
        train, val = ({texts[row] for row in part.rows} for part in (data.train, data.val))
        assert not train & val
        assert len(train) + len(val) == 20
        limited = make(split_seed=split_seed, val_fraction=0.4, limit_train=40)
        train, val = ({texts[row] for row in part.rows} for part in (limited.train, limited.val))
        assert not train & val


def test_only_words_of_the_training_part_are_known(make: Make) -> None:
    texts, labels = unlike(40, negative=20)
    data = make((texts, labels), unlike(10, negative=5, name="test"), test=True)
    assert data.test is not None
    known = {token for row in data.train.rows for token in tokenize(texts[row])}
    assert set(data.vocabulary.words[2:]) == known
    assert len(data.vocabulary) == 32 + 4 + 2
    for unknown in (data.val, data.test):  # each review begins with its own word
        batch = unknown[np.arange(len(unknown))]
        assert batch.ids[:, 0].tolist() == [1] * len(unknown)
        assert 1 not in batch.ids[:, 1:]
    assert 1 not in data.train[np.arange(len(data.train))].ids


def test_max_vocab_counts_the_specials(make: Make) -> None:
    texts = ["good good good film", "good film", "good bad", "film bad awful"]
    data = make((texts, [0, 1, 0, 1]), val_fraction=0, max_vocab=4)
    assert data.vocabulary.words == ["<pad>", "<unk>", "good", "film"]


def test_without_validation_every_review_trains(make: Make) -> None:
    data = make(unlike(20, negative=8), val_fraction=0)
    assert data.train.rows.tolist() == list(range(20))
    assert len(data.val) == 0
    assert list(data.val_dataloader()) == []
    assert data.summary()["val"] == 0


@pytest.mark.parametrize(
    ("fields", "part", "left"),
    [
        ({"limit_train": 2, "val_fraction": 0.5}, "validation", 0),
        ({"limit_train": 2, "val_fraction": 0.9}, "training", 0),
        ({"limit_train": 10, "val_fraction": 0.05}, "validation", 0),
        ({"limit_train": 3, "val_fraction": 0.6}, "training", 1),
    ],
)
def test_too_few_reviews_for_both_parts_are_refused(
    make: Make, fields: dict[str, float], part: str, left: int
) -> None:
    sentence = (
        rf"^data\.limit_train={fields['limit_train']} with "
        rf"data\.val_fraction={fields['val_fraction']} leaves the {part} part {left} reviews"
    )
    with pytest.raises(InputError, match=sentence):
        make(unlike(20, negative=10), **fields)


def test_a_test_part_with_one_label_is_refused(make: Make) -> None:
    with pytest.raises(InputError, match=r"data\.limit_test=3"):
        make(unlike(20, negative=10), unlike(20, negative=18, name="test"), test=True, limit_test=3)


def test_the_summary_of_a_worked_example(make: Make, tmp_path: Path) -> None:
    texts = ["good good film", "bad film indeed", "good"]
    data = make((texts, [1, 0, 1]), val_fraction=0, max_vocab=4, max_length=2)
    assert data.summary() == {
        "source": f"Parquet folder {tmp_path.name}",
        "fingerprint": data.identity,
        "train": 3,
        "val": 0,
        "test": None,
        "vocabulary": 4,
        "unknown_share": pytest.approx(2 / 7),  # bad, indeed
        "truncated_share": pytest.approx(2 / 3),
    }


def test_the_shares_of_the_summary_are_those_of_the_training_part(make: Make) -> None:
    texts, labels = unlike(40, negative=20)
    splits = (texts, labels), unlike(12, negative=6, name="test")
    data = make(*splits, test=True, val_fraction=0.5, max_length=8)
    summary = data.summary()
    assert (summary["train"], summary["val"], summary["test"]) == (20, 20, 12)
    assert summary["unknown_share"] == 0
    cut = [len(tokenize(texts[row])) > 8 for row in data.train.rows]
    assert summary["truncated_share"] == pytest.approx(sum(cut) / 20)
    # Elsewhere the shares differ, or this would prove nothing.
    assert 1 in data.val[np.arange(20)].ids
    assert sum(cut) != sum(len(tokenize(texts[row])) > 8 for row in data.val.rows)


def test_a_literal_unk_is_an_unknown_word_of_the_summary(make: Make) -> None:
    data = make((["<unk> good", "<pad> bad"], [1, 0]), val_fraction=0)
    assert data.summary()["unknown_share"] == 0.5


def test_loaders_give_every_review_once(make: Make) -> None:
    splits = unlike(50, negative=25), unlike(30, negative=15, name="test")
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
        assert sorted(row for batch in rows for row in batch) == part.rows.tolist()
        assert len(loader) == len(rows)
    assert max(len(batch) for batch in rows_of(train)) == 3
    assert [len(batch) for batch in rows_of(data.val_dataloader())] == [12, 8]  # four times as many
    widths = [batch.ids.shape[1] for batch in data.test_dataloader()]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padding", list(Padding))
def test_batches_decode_to_the_reviews(make: Make, padding: Padding, side: str) -> None:
    texts, labels = unlike(30, negative=10)
    make((texts, labels))  # so that the arrays of the next come from the cache
    fields = {"padding": padding, "truncation_side": side, "max_length": 8, "batch_size": 4}
    data = make(val_fraction=0.3, **fields)
    train = {token for row in data.train.rows for token in tokenize(texts[row])}
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for batch in loader:
            for ids, label, row in zip(batch.ids, batch.labels, batch.rows, strict=True):
                tokens = tokenize(texts[row])
                kept = tokens[:8] if side == "right" else tokens[-8:]
                expected = [token if token in train else UNK for token in kept]
                assert data.vocabulary.decode(ids[ids > 0]) == expected
                assert label == labels[row]


def test_setting_up_again_gives_the_same(make: Make) -> None:
    data = make(unlike(40, negative=20), batch_size=4)
    before = rows_of(data.train_dataloader()), rows_of(data.val_dataloader()), data.summary()
    data.setup("test")
    after = rows_of(data.train_dataloader()), rows_of(data.val_dataloader()), data.summary()
    assert after == before


class Observer(L.LightningModule):
    """Trains one number and keeps which reviews it saw, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[list[int]]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: Batch) -> torch.Tensor:
        self.seen.setdefault(self.current_epoch, []).append(batch.rows.tolist())
        return self.number * batch.labels.sum()

    def validation_step(self, batch: Batch) -> None:
        self.validated += batch.rows.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_trainer_sees_every_epoch_in_its_own_order(make: Make) -> None:
    data = make(unlike(40, negative=20), batch_size=4, seed=7)
    observer = Observer()
    L.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    ).fit(observer, data)
    for epoch in range(3):
        drawn = shuffled_batches(data.train.lengths, 4, 7, epoch)
        assert observer.seen[epoch] == [data.train.rows[batch].tolist() for batch in drawn]
    assert observer.seen[0] != observer.seen[1] != observer.seen[2]
    assert sorted(observer.validated) == sorted(data.val.rows.tolist() * 3)


def test_the_larger_remainder_gets_the_odd_review() -> None:
    labels = np.array([0, 1, 1, 0, 1, 1, 1, 1, 1, 0])
    for seed in range(5):
        rows = stratified_sample(labels, 4, np.random.default_rng(seed))  # 1.2 and 2.8
        assert np.bincount(labels[rows]).tolist() == [1, 3]


@CHECKED
@given(LABELS, st.integers(1, 15), st.integers(0, 9))
def test_a_sample_is_exact_and_within_one_of_proportion(
    labels: np.ndarray, limit: int, seed: int
) -> None:
    rows = stratified_sample(labels, limit, np.random.default_rng(seed))
    size = min(limit, len(labels))
    assert len(rows) == size
    assert rows.tolist() == sorted(set(rows.tolist()))
    for value in (0, 1):
        share = (labels == value).sum() * size / len(labels)
        assert abs((labels[rows] == value).sum() - share) < 1


@CHECKED
@given(LABELS, st.floats(0, 0.99), st.integers(0, 9), st.data())
def test_a_split_gives_each_label_its_fraction_up_to_a_group_of_copies(
    labels: np.ndarray, fraction: float, seed: int, data: st.DataObject
) -> None:
    number = len(labels)
    texts = data.draw(st.lists(st.integers(0, 20), min_size=number, max_size=number))
    copies = np.array([texts.index(text) for text in texts])
    rows = np.array(sorted(data.draw(st.sets(st.sampled_from(range(number))))), int)
    train, val = stratified_split(rows, labels, copies, fraction, np.random.default_rng(seed))
    assert sorted([*train, *val]) == rows.tolist()
    assert not set(copies[train]) & set(copies[val])
    for value in (0, 1):
        mine = copies[rows][labels[copies[rows]] == value]
        taken = int((labels[copies[val]] == value).sum())
        target = round(len(mine) * fraction)
        largest = max(np.bincount(mine), default=0)
        assert taken == target or target - largest < taken < target


def test_limit_split_and_order_are_pinned() -> None:
    """A change of these draws changes every result: raise RECIPE along with the values here."""
    labels, copies, random = np.arange(20) % 2, np.arange(20), np.random.default_rng(0)
    copies[6] = 2
    rows = stratified_sample(labels, 16, random)
    train, val = stratified_split(rows, labels, copies, 0.25, random)
    assert train.tolist() == [1, 4, 5, 6, 8, 9, 12, 14, 15, 17, 18, 19]
    assert val.tolist() == [0, 7, 10, 13]
    batches = shuffled_batches(np.array([5, 1, 4, 2, 9, 7]), 2, seed=3, epoch=1)
    assert [batch.tolist() for batch in batches] == [[4, 5], [0, 2], [3, 1]]
