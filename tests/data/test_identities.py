"""Versions, which change with the files, and identities, which depend on the reviews alone."""

import csv
import os
import random
import re
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import datasets
import pytest

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data.datamodule import ReviewDataModule
from tests.support.corpora import (
    LABELS,
    TEXTS,
    Hub,
    Rows,
    data_set,
    open_imdb,
    open_reviews,
    read,
    reviews,
    version,
    write_archive,
    write_reviews,
)
from tests.support.tables import NumberedReview, write_bytes, write_rows

# Versions


def test_the_same_content_has_the_same_version(tmp_path: Path) -> None:
    write_reviews(tmp_path / "a" / "train.parquet")
    write_reviews(tmp_path / "b" / "test.parquet", ["else", "where"], [0, 1])
    os.utime(write_reviews(tmp_path / "b" / "plain_text" / "train-00000-of-00001.parquet"), (1, 1))
    assert version(open_imdb(tmp_path / "a")) == version(open_imdb(tmp_path / "b"))


@pytest.mark.parametrize(
    ("texts", "labels"), [([*TEXTS[:3], "!"], LABELS), (TEXTS[::-1], LABELS), (TEXTS, LABELS[::-1])]
)
@pytest.mark.parametrize("changed", ["train-00000.parquet", "train-00001.parquet"])
def test_other_content_has_another_version(
    tmp_path: Path, changed: str, texts: list[str], labels: list[int]
) -> None:
    for name in ("train-00000.parquet", "train-00001.parquet", "test.parquet"):
        write_reviews(tmp_path / name)
    before, same = version(open_imdb(tmp_path)), version(open_imdb(tmp_path), "test")
    write_reviews(tmp_path / changed, texts, labels)
    assert version(open_imdb(tmp_path)) != before
    assert version(open_imdb(tmp_path), "test") == same


def test_a_version_needs_no_readable_file(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"no Parquet")
    before = version(open_imdb(tmp_path))
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    assert version(open_imdb(tmp_path)) != before


def test_other_columns_give_another_version(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", reviews())
    fields = [{}, {"text_column": "text"}, {"label_column": "label"}, {"positive_label": "1"}]
    assert len({version(open_reviews(file, **each), "all") for each in fields}) == 4


def test_a_review_that_changes_its_folder_changes_the_version(tmp_path: Path) -> None:
    write_archive(tmp_path, [("a", 0), ("b", 0), ("c", 1), ("d", 1)])
    before = version(open_imdb(tmp_path))
    (tmp_path / "train/neg/1_0.txt").rename(tmp_path / "train/pos/1_7.txt")
    assert [label for _, label in read(open_imdb(tmp_path))] == [0, 1, 1, 1]
    assert version(open_imdb(tmp_path)) != before


def test_another_suffix_gives_another_version(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", reviews())
    before = version(open_reviews(file), "all")
    assert version(open_reviews(file.rename(tmp_path / "a.tsv")), "all") != before


def test_versions_are_pinned(tmp_path: Path) -> None:
    """Another version would make existing caches useless: change them only on purpose."""
    file = write_bytes(tmp_path / "a.csv", "text,label\nGood.,1\nBad.,0\n")
    assert version(open_reviews(file), "all") == (
        "2 Columns(text=None, label=None, positive=None, skip_missing=False, classes=None) "
        "auto auto auto True [['.csv']] "
        "c02855a58e718487ebc8344ce22d245b22898134af154c70afa853000e8ed1c6"
    )
    write_archive(tmp_path, [("Bad.", 0), ("Good.", 1)])
    digest = "e1be4733f87db76f0479f46d3d8a1c51737871c4cd53fe26339fcf98bdfc2ea0"
    assert version(open_imdb(tmp_path)) == f"tree [1, 1] {digest}"


# Identities


def random_reviews(number: int, seed: int = 0) -> list[NumberedReview]:
    """Return short reviews with copies, a text with both labels, and difficult characters."""
    draw = random.Random(seed)
    words = 'a film "quoted" dull, bright \t \n \r\n 映画 🎬 <br\xa0/> plot\0 \\n it\'s'.split(" ")
    rows = [
        NumberedReview(f"{' '.join(draw.choices(words, k=8))} {seed}.{row}", row % 2)
        for row in range(number - 6)
    ]
    rows += [
        rows[0],
        rows[0],
        rows[3],
        rows[8],
        NumberedReview("so-so", 0),
        NumberedReview("so-so", 1),
    ]
    draw.shuffle(rows)
    return rows


TRAIN, TEST, ALL = random_reviews(60), random_reviews(30, seed=1), random_reviews(90, seed=2)


def identity(tmp_path: Path, path: Path | str, test: bool = True, **fields: Any) -> str:
    cache = mkdtemp(dir=tmp_path)  # a new one, so that the reviews are read
    return ReviewDataModule(DataConfig(path=str(path), cache=cache, **fields), test=test).identity


def parquet_folder(folder: Path, train: Rows = TRAIN, test: Rows = TEST) -> Path:
    write_rows(folder / "train.parquet", train)
    write_rows(folder / "test.parquet", test)
    return folder


def parquet_shards(folder: Path) -> Path:
    for split, rows in (("train", TRAIN), ("test", TEST)):
        shuffled = random.Random(3).sample(rows, len(rows))
        for shard in range(3):
            file = folder / f"{split}-{shard:05}-of-00003.parquet"
            write_rows(file, shuffled[shard::3])
    return folder


def test_a_split_is_the_same_in_every_form(tmp_path: Path) -> None:
    expected = identity(tmp_path, parquet_folder(tmp_path / "parquet"))
    train, test = expected.split()
    assert train != test
    assert re.fullmatch("sha256-[0-9a-f]{64}", train)
    assert identity(tmp_path, parquet_shards(tmp_path / "shards")) == expected
    assert identity(tmp_path, write_archive(tmp_path / "archive", TRAIN, TEST)) == expected
    for suffix in ("csv", "tsv", "jsonl", "csv.gz", "parquet"):
        folder = tmp_path / suffix
        one = write_rows(folder / f"train.{suffix}", TRAIN[::-1])
        other = write_rows(folder / f"test.{suffix}", sorted(TEST))
        files: dict[str, Any] = {"path": one, "test_path": str(other)}
        assert identity(tmp_path, source=Source.reviews, **files) == expected
    assert identity(tmp_path, tmp_path / "parquet", test=False) == train


def test_a_drawn_split_is_the_same_in_every_form_and_order(tmp_path: Path) -> None:
    def identity_of(path: Path) -> str:
        return identity(tmp_path, path, source=Source.reviews, test_fraction=0.3)

    expected = identity_of(write_rows(tmp_path / "a.csv", ALL))
    for name in ("a.tsv", "a.jsonl", "a.parquet", "a.jsonl.gz"):
        rows = random.Random(name).sample(ALL, len(ALL))
        assert identity_of(write_rows(tmp_path / name, rows)) == expected
    for shard in range(4):
        write_rows(tmp_path / "shards" / f"{shard}.parquet", ALL[shard::4])
    assert identity_of(tmp_path / "shards" / "*.parquet") == expected


def halves(tmp_path: Path) -> dict[str, list[NumberedReview]]:
    """Write all reviews to imdb.csv and return its training and test set."""
    file = write_rows(tmp_path / "imdb.csv", ALL)
    data = ReviewDataModule(DataConfig(path=str(file), cache=str(tmp_path / "cache")))
    return {name: [ALL[row] for row in data.split(name).rows] for name in ("train", "test")}


def test_a_single_file_equals_a_folder_of_its_halves(tmp_path: Path) -> None:
    halved = halves(tmp_path)
    assert sorted(halved["train"] + halved["test"]) == sorted(ALL)
    folder = parquet_folder(tmp_path / "halves", halved["train"][::-1], halved["test"])
    expected = identity(tmp_path, folder)
    assert identity(tmp_path, tmp_path / "imdb.csv") == expected
    assert identity(tmp_path, tmp_path / "imdb.csv", test=False) == expected.split()[0]
    half: dict[str, Any] = {"source": Source.reviews, "test_fraction": 0.5}
    assert identity(tmp_path, tmp_path / "imdb.csv", **half) == expected


def test_halves_have_half_of_each_label_and_share_no_text(tmp_path: Path) -> None:
    halved = halves(tmp_path)
    assert not {review.text for review in halved["train"]} & {
        review.text for review in halved["test"]
    }
    for label in (0, 1):
        both = [sum(review.label == label for review in rows) for rows in halved.values()]
        assert sum(both) == sum(review.label == label for review in ALL)
        assert abs(both[0] - both[1]) <= 4  # the size of a group of copies


def test_the_test_set_does_not_depend_on_the_split_seed(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", ALL)
    drawn = {identity(tmp_path, file, split_seed=seed) for seed in (0, 1, 2)}
    assert len(drawn) == 1
    fractions = (0.2, 0.5)
    files: dict[str, Any] = {"source": Source.reviews, "path": file}
    assert len({identity(tmp_path, test_fraction=f, **files) for f in fractions}) == 2


@pytest.mark.parametrize("place", [0, 17, 59])
def test_one_character_or_one_label_changes_the_identity(tmp_path: Path, place: int) -> None:
    text, label = TRAIN[place]
    others: list[Rows] = [
        [*TRAIN[:place], *changed, *TRAIN[place + 1 :]]
        for changed in (
            [NumberedReview(f"{text} ", label)],
            [NumberedReview(text[:-1] + ("!" if text[-1] == "?" else "?"), label)],
            [NumberedReview(text, 1 - label)],
            [],
            [TRAIN[place]] * 2,
        )
    ]
    before = identity(tmp_path, parquet_folder(tmp_path / "films"))
    identities = {before}
    for train in others:
        now = identity(tmp_path, parquet_folder(tmp_path / "films", train))
        assert now.split()[1] == before.split()[1]
        identities.add(now)
    assert len(identities) == 6


def test_exchanged_labels_change_the_identity(tmp_path: Path) -> None:
    one = parquet_folder(
        tmp_path / "a", [NumberedReview("a", 0), NumberedReview("b", 1), NumberedReview("c", 0)]
    )
    other = parquet_folder(
        tmp_path / "b", [NumberedReview("a", 1), NumberedReview("b", 0), NumberedReview("c", 0)]
    )
    assert identity(tmp_path, one, test=False) != identity(tmp_path, other, test=False)


def test_a_changed_file_is_noticed_in_the_same_cache(tmp_path: Path) -> None:
    def now() -> str:
        file = str(tmp_path / "a.csv")
        config = DataConfig(source=Source.reviews, path=file, cache=str(tmp_path / "cache"))
        return ReviewDataModule(config).identity

    write_rows(tmp_path / "a.csv", ALL)
    before = now()
    write_rows(tmp_path / "a.csv", ALL[::-1])
    assert now() == before
    write_rows(tmp_path / "a.csv", [NumberedReview(ALL[0].text + ".", ALL[0].label), *ALL[1:]])
    assert now() != before


def test_the_hub_gives_the_same_identity_as_files(tmp_path: Path, hub: Hub) -> None:
    hub.answer = data_set(train=TRAIN[::-1], test=TEST)
    expected = identity(tmp_path, parquet_folder(tmp_path / "films"))
    assert identity(tmp_path, "a/films", source=Source.reviews) == expected


def test_names_that_reverse_the_classes_change_the_identity(tmp_path: Path) -> None:
    """A run that took 0 for negative is not continued by one that knows that it is positive."""

    def identity_of(*names: str) -> str:
        label = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int64")
        features = datasets.Features({"text": datasets.Value("string"), "label": label})
        rows = {"text": [row.text for row in ALL], "label": [row.label for row in ALL]}
        datasets.Dataset.from_dict(rows, features).to_parquet(tmp_path / "a.parquet")
        return identity(tmp_path, tmp_path / "a.parquet", source=Source.reviews)

    assert identity_of("neg", "pos") == identity_of()
    assert identity_of("positive", "negative") != identity_of()
    words = [(text, ["positive", "negative"][label]) for text, label in ALL]
    file = write_rows(tmp_path / "a.csv", words)
    assert identity_of("positive", "negative") == identity(tmp_path, file, source=Source.reviews)


def test_the_way_of_writing_does_not_change_the_identity(tmp_path: Path) -> None:
    """The same reviews continue the same run; their choices are not part of the fingerprint."""
    expected = identity(tmp_path, write_rows(tmp_path / "a.csv", ALL), source=Source.reviews)
    rows = csv_text(ALL, ";").encode("utf-16")
    file = write_bytes(tmp_path / "b.csv", rows)
    assert identity(tmp_path, file, source=Source.reviews) == expected
    chosen: dict[str, Any] = {"encoding": "utf-16", "delimiter": "semicolon", "missing": "skip"}
    assert identity(tmp_path, file, source=Source.reviews, **chosen) == expected


def csv_text(rows: Rows, delimiter: str) -> str:
    text = StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("text", "label"), *(row[:2] for row in rows)])
    return text.getvalue()
