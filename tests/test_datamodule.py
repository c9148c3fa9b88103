import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from lstm_sentiment.config import AugmentConfig, DataConfig, Padding, Side
from lstm_sentiment.data.batches import (
    AugmentedReviews,
    Batch,
    EncodedReviews,
    TrainingOrder,
    shuffled_batches,
)
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokens import UNK, tokenize
from lstm_sentiment.errors import InputError


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
        fields = {"path": str(tmp_path), "cache": cache, "batch_size": 2, **fields}
        module = ReviewDataModule(DataConfig(**fields), seed, test)
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


@pytest.mark.parametrize("ask", [ReviewDataModule.prepare_data, ReviewDataModule.identity.fget])
def test_a_missing_test_split_is_found_before_anything_is_read(
    make: Make, tmp_path: Path, ask: Callable[[ReviewDataModule], object]
) -> None:
    make(unlike(20, negative=10))
    data = ReviewDataModule(DataConfig(path=str(tmp_path), cache=str(tmp_path / "cache")))
    with pytest.raises(InputError, match=r"no test\.parquet"):
        ask(data)
    assert not data.splits
    assert not (tmp_path / "cache").exists()


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
    assert sorted(data.train.rows) == list(range(20))
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
        "held_out": None,
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
        assert sorted(row for batch in rows for row in batch) == sorted(part.rows)
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
    """Trains one number and keeps which reviews it saw, and their ids, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[list[int]]] = {}
        self.ids: dict[int, list[list[list[int]]]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: Batch) -> torch.Tensor:
        self.seen.setdefault(self.current_epoch, []).append(batch.rows.tolist())
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


def test_a_trainer_sees_every_epoch_in_its_own_order(make: Make) -> None:
    data = make(unlike(40, negative=20), batch_size=4, seed=7)
    observer = Observer()
    fit(observer, data, epochs=3)
    for epoch in range(3):
        drawn = shuffled_batches(data.train.lengths, 4, 7, epoch)
        assert observer.seen[epoch] == [data.train.rows[batch].tolist() for batch in drawn]
    assert observer.seen[0] != observer.seen[1] != observer.seen[2]
    assert sorted(observer.validated) == sorted(data.val.rows.tolist() * 3)


def test_a_batch_larger_than_the_training_part_is_refused(make: Make) -> None:
    sentence = r"^data\.batch_size=33 is more than the 32 reviews to train on: give at most 32\.$"
    with pytest.raises(InputError, match=sentence):
        make(unlike(40, negative=20), batch_size=33)
    assert [len(batch) for batch in rows_of(make(batch_size=32).train_dataloader())] == [32]


Table = tuple[list[str], list[int]]


def permuted(table: Table, seed: int) -> Table:
    order = np.random.default_rng(seed).permutation(len(table[0]))
    return [table[0][row] for row in order], [table[1][row] for row in order]


def with_copies(name: str) -> Table:
    """Among them copies, one of them under both labels, and every length."""
    texts, labels = unlike(50, negative=20, name=name)
    return [*texts, *texts[:8], texts[9], f"{name} 映画 \U0001f3ac, <br/> ?!"], labels + [0] * 9 + [
        1
    ]


Told = list[tuple[list[list[int]], list[int], list[float], list[str]]]


def told(loader: DataLoader[Batch], texts: Sequence[str]) -> Told:
    """Batch by batch: ids, lengths, labels, and the texts in place of their rows."""
    return [
        (
            batch.ids.tolist(),
            batch.lengths.tolist(),
            batch.labels.tolist(),
            [texts[row] for row in batch.rows],
        )
        for batch in loader
    ]


def test_the_order_of_the_rows_changes_nothing_but_the_rows(make: Make) -> None:
    fields: dict[str, Any] = {"test": True, "batch_size": 4, "limit_train": 50, "limit_test": 20}

    def everything(train: Table, testing: Table, **more: Any) -> list[object]:
        data = make(train, testing, **fields, **more)
        return [
            data.identity,
            data.summary(),
            data.vocabulary.words,
            told(data.train_dataloader(), train[0]),
            told(data.val_dataloader(), train[0]),
            told(data.test_dataloader(), testing[0]),
        ]

    train, testing = with_copies("train"), with_copies("test")
    first = everything(train, testing)
    for seed in range(3):
        assert everything(permuted(train, seed), permuted(testing, seed)) == first
    augment = AugmentConfig(shuffle_sentences=True, crop=0.7, drop=0.1, replace=0.1)
    changed = everything(train, testing, augment=augment)
    assert changed != first
    assert everything(permuted(train, 0), permuted(testing, 0), augment=augment) == changed


def test_other_reviews_are_other_data(make: Make) -> None:
    train = with_copies("train")
    identities = {make(train).identity}
    identities.add(make((train[0][:-1], train[1][:-1])).identity)
    identities.add(make((train[0], [1 - label for label in train[1]])).identity)
    identities.add(make(([*train[0][:-1], "else"], train[1])).identity)
    assert len(identities) == 4


def write_aclimdb(folder: Path, **splits: Table) -> None:
    for split, rows in splits.items():
        for number, (text, label) in enumerate(zip(*rows, strict=True)):
            file = folder / "aclImdb" / split / ("neg", "pos")[label] / f"{number}_1.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, newline="")


def write_shards(folder: Path, **splits: Table) -> None:
    for split, rows in splits.items():
        for shard in (0, 1):
            table = pa.table({"text": rows[0][shard::2], "label": rows[1][shard::2]})
            pq.write_table(table, folder / f"{split}-0000{shard}-of-00002.parquet")


@pytest.mark.parametrize("write", [write_aclimdb, write_shards])
def test_imdb_is_the_same_in_every_form(
    make: Make, tmp_path: Path, cache: str, write: Callable[..., None]
) -> None:
    splits = {name: with_copies(name) for name in ("train", "test")}
    one = make(splits["train"], splits["test"], test=True)
    folder = tmp_path / "other"
    folder.mkdir()
    write(folder, **splits)
    other = ReviewDataModule(DataConfig(path=str(folder), cache=cache, batch_size=2))
    other.setup()
    assert other.identity == one.identity
    assert other.vocabulary.words == one.vocabulary.words
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for mine, theirs in zip(getattr(one, loader)(), getattr(other, loader)(), strict=True):
            assert [part.tolist() for part in mine[:3]] == [part.tolist() for part in theirs[:3]]


def as_csv(rows: Table, file: Path, separator: str = ",") -> None:
    lines = zip(rows[0], ("neg" if label == 0 else "pos" for label in rows[1]), strict=True)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerows([("review", "sentiment"), *lines])


def as_json_lines(rows: Table, file: Path) -> None:
    lines = [json.dumps({"label": label, "text": text}) for text, label in zip(*rows, strict=True)]
    file.write_text("\n".join(lines))


def as_parquet(rows: Table, file: Path) -> None:
    pq.write_table(pa.table({"text": rows[0], "label": rows[1]}), file)


def of_ones_own(folder: Path, cache: str, test: bool = True, **fields: Any) -> ReviewDataModule:
    (file,) = folder.glob("films.*")
    config = DataConfig("reviews", path=str(file), cache=cache, **{"batch_size": 2, **fields})
    data = ReviewDataModule(config, test=test)
    data.prepare_data()
    data.setup()
    return data


def test_reviews_of_ones_own_are_the_same_in_every_form_and_order(
    tmp_path: Path, cache: str
) -> None:
    rows = with_copies("own")
    forms: dict[str, Callable[[Table, Path], None]] = {
        "films.csv": as_csv,
        "films.tsv": lambda rows, file: as_csv(rows, file, "\t"),
        "films.jsonl": as_json_lines,
        "films.parquet": as_parquet,
    }
    found: list[list[object]] = []
    for number, (name, write) in enumerate(forms.items()):
        (tmp_path / name).mkdir()
        mine = permuted(rows, number)
        write(mine, tmp_path / name / name)
        data = of_ones_own(tmp_path / name, cache, test_fraction=0.3)
        loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        found.append([data.identity, *(told(loader, mine[0]) for loader in loaders)])
        assert data.summary()["held_out"] == 0.3
    assert found == found[:1] * 4


def texts_of(part: EncodedReviews | None, texts: Sequence[str]) -> list[str]:
    assert part is not None
    return sorted(texts[row] for row in part.rows)


def test_what_is_held_out_is_apart_and_the_same_for_every_split(tmp_path: Path, cache: str) -> None:
    texts, labels = unlike(100, negative=40)
    as_parquet((texts, labels), tmp_path / "films.parquet")
    data = of_ones_own(tmp_path, cache)
    assert data.test is not None
    assert by_label(data.test) == [8, 12]
    parts = [set(part.rows.tolist()) for part in (data.train, data.val, data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 100
    other = of_ones_own(tmp_path, cache, split_seed=1, val_fraction=0.3, limit_train=50)
    assert texts_of(other.test, texts) == texts_of(data.test, texts)
    assert texts_of(other.val, texts) != texts_of(data.val, texts)
    assert other.identity == data.identity
    less = of_ones_own(tmp_path, cache, test_fraction=0.1)
    assert less.identity != data.identity


def test_what_is_held_out_is_so_without_a_test_too(tmp_path: Path, cache: str) -> None:
    texts, labels = unlike(60, negative=30)
    as_parquet((texts, labels), tmp_path / "films.parquet")
    data, without = of_ones_own(tmp_path, cache), of_ones_own(tmp_path, cache, test=False)
    assert without.test is None
    assert without.summary()["test"] is None
    assert without.train.rows.tolist() == data.train.rows.tolist()
    assert without.val.rows.tolist() == data.val.rows.tolist()
    assert without.vocabulary.words == data.vocabulary.words
    assert [without.identity] == data.identity.split()[:1]


@pytest.mark.parametrize("fraction", [0.0, 0.02])
def test_too_small_a_share_for_testing_is_refused(
    tmp_path: Path, cache: str, fraction: float
) -> None:
    as_parquet(unlike(40, negative=20), tmp_path / "films.parquet")
    sentence = (
        rf"^data\.test_fraction={fraction} leaves the test part 0 reviews and not both labels: "
        r"keep more of them\.$"
    )
    with pytest.raises(InputError, match=sentence):
        of_ones_own(tmp_path, cache, test_fraction=fraction)
    assert len(of_ones_own(tmp_path, cache, test=False, test_fraction=fraction).train) == 32


def test_texts_are_found_by_their_rows(make: Make, tmp_path: Path, cache: str) -> None:
    train, testing = unlike(30, negative=15), unlike(20, negative=10, name="test")
    data = make(train, testing, test=True)
    assert data.test is not None
    for stage, part, texts in [
        ("train", data.train, train[0]),
        ("val", data.val, train[0]),
        ("test", data.test, testing[0]),
    ]:
        for row in part.rows:
            assert data.text(stage, row) == " ".join(tokenize(texts[row]))
    as_parquet(train, tmp_path / "films.parquet")
    data = of_ones_own(tmp_path, cache)
    assert data.test is not None
    for row in data.test.rows:
        assert data.text("test", row) == " ".join(tokenize(train[0][row]))


def test_reviews_without_labels_are_a_split_of_their_own(make: Make, tmp_path: Path) -> None:
    texts = [f"unlabelled {row}" for row in range(5)]
    as_parquet((texts, [-1] * 5), tmp_path / "unsupervised.parquet")
    data = make(unlike(20, negative=10))
    before = data.identity
    split = data.split("unsupervised")
    assert split.labels.tolist() == [-1] * 5
    assert sorted(split.rows) == list(range(5))
    assert data.identity == before


EVERY_CHANGE = AugmentConfig(shuffle_sentences=True, crop=0.5, drop=0.2, replace=0.2)


def values(loader: DataLoader[Batch]) -> list[list[object]]:
    return [[part.tolist() for part in batch] for batch in loader]


def test_by_default_training_reviews_stay_as_they_are(make: Make) -> None:
    data = make(unlike(40, negative=20), batch_size=4)
    loader = data.train_dataloader()
    assert loader.dataset is data.train
    assert values(loader) == [
        [part.tolist() for part in data.train[chosen]]
        for chosen in shuffled_batches(data.train.lengths, 4, 0, 0)
    ]
    assert values(make(augment=AugmentConfig(), batch_size=4).train_dataloader()) == values(loader)


@pytest.mark.parametrize(
    "change", [{"shuffle_sentences": True}, {"crop": 0.5}, {"drop": 0.2}, {"replace": 0.2}]
)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("padding", list(Padding))
def test_augmentation_changes_training_and_nothing_else(
    make: Make, padding: Padding, side: Side, change: dict[str, Any]
) -> None:
    texts, labels = unlike(40, negative=20)
    splits = [f"{text} Is it? So it is!" for text in texts], labels
    fields: dict[str, Any] = {"padding": padding, "truncation_side": side, "max_length": 8}
    fields |= {"batch_size": 4, "test": True}
    plain = make(splits, unlike(20, negative=10, name="test"), **fields)
    data = make(augment=AugmentConfig(**change), **fields)
    assert values(data.val_dataloader()) == values(plain.val_dataloader())
    assert values(data.test_dataloader()) == values(plain.test_dataloader())
    assert data.vocabulary.words == plain.vocabulary.words
    assert data.summary() == plain.summary()
    mine, theirs = list(data.train_dataloader()), list(plain.train_dataloader())
    for one, other in zip(mine, theirs, strict=True):  # the same reviews travel together
        assert one.rows.tolist() == other.rows.tolist()
        assert one.labels.tolist() == other.labels.tolist()
    assert [one.ids.tolist() for one in mine] != [other.ids.tolist() for other in theirs]
    assert values(data.train_dataloader()) == [[part.tolist() for part in one] for one in mine]


def test_a_trainer_sees_every_epoch_changed_in_its_own_way(make: Make) -> None:
    data = make(unlike(40, negative=20), batch_size=4, seed=7, augment=EVERY_CHANGE)
    observer = Observer()
    fit(observer, data, epochs=3)
    order = TrainingOrder(data.train.lengths, 4, 7)
    reviews = AugmentedReviews(data.train, EVERY_CHANGE, order)
    for epoch in range(3):
        order.set_epoch(epoch)
        expected = [reviews[chosen] for chosen in order]
        assert observer.ids[epoch] == [batch.ids.tolist() for batch in expected]
        assert observer.seen[epoch] == [batch.rows.tolist() for batch in expected]
    assert sorted(observer.validated) == sorted(data.val.rows.tolist() * 3)


def test_what_a_run_records_needs_the_files_no_longer(make: Make, tmp_path: Path) -> None:
    data = make(unlike(20, negative=10), unlike(10, negative=5, name="test"), test=True)
    before = data.summary()
    for file in tmp_path.glob("*.parquet"):
        file.unlink()
    assert data.summary() == before


def test_a_fault_is_said_of_the_file_that_was_given(tmp_path: Path, cache: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"films.{name}.csv").write_text("text,label\nGood.,1\nBad.,7\n")
        with pytest.raises(InputError, match=rf"films\.{name}\.csv: row 2: label '7'"):
            of_ones_own(tmp_path / name, cache)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"test_fraction": 0.9}, "data.test_fraction=0.9"),
        ({"test_fraction": 0.01, "limit_test": 5}, "data.test_fraction=0.01"),
    ],
)
def test_the_share_for_testing_is_named_where_it_is_the_cause(
    tmp_path: Path, cache: str, fields: dict[str, float], named: str
) -> None:
    as_parquet(unlike(20, negative=10), tmp_path / "films.parquet")
    with pytest.raises(InputError, match=named):
        of_ones_own(tmp_path, cache, **fields)
