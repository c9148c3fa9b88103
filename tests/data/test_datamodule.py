"""The data module: splits and limits, refusals, vocabulary and summary."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokenizer import tokenize
from lstm_sentiment.display import Silent
from lstm_sentiment.errors import InputError
from tests.support.datamodules import (
    Make,
    by_label,
    data_of_file,
    distinct_reviews,
    rows_of,
    texts_of,
)
from tests.support.tables import write_bytes, write_columns, write_rows

# Splits and limits


def test_training_and_validation_set_are_disjoint_and_stratified(make: Make) -> None:
    data = make(distinct_reviews(60, negative=40), val_fraction=0.25)
    assert by_label(data.train) == [30, 15]
    assert by_label(data.val) == [10, 5]
    assert sorted([*data.train.rows, *data.val.rows]) == list(range(60))


def test_limits_apply_before_the_split_and_keep_proportions(make: Make) -> None:
    data = make(
        distinct_reviews(100, negative=70),
        distinct_reviews(50, negative=10, name="test"),
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
    splits = distinct_reviews(20, negative=10), distinct_reviews(8, negative=4, name="test")
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
    splits = distinct_reviews(80, negative=40), distinct_reviews(80, negative=40, name="test")

    def drawn(**options: Any) -> list[list[int]]:
        data = make(test=True, limit_train=40, limit_test=20, **options)
        assert data.test is not None
        return [part.rows.tolist() for part in (data.train, data.val, data.test)]

    make(*splits)
    first = drawn()
    assert drawn(seed=1) == first
    assert all(one != other for one, other in zip(drawn(split_seed=1), first, strict=True))
    assert make(split_seed=1).val.rows.tolist() != make(split_seed=2).val.rows.tolist()


def test_training_and_validation_set_do_not_depend_on_the_test_set(make: Make) -> None:
    splits = distinct_reviews(30, negative=15), distinct_reviews(10, negative=5, name="test")
    data, without = make(*splits, test=True), make(test=False)
    assert without.test is None
    assert without.train.rows.tolist() == data.train.rows.tolist()
    assert without.val.rows.tolist() == data.val.rows.tolist()
    assert without.vocabulary.words == data.vocabulary.words
    assert data.identity.split()[0] == without.identity
    assert len(data.identity.split()) == 2


def test_validation_reviews_may_be_a_file(tmp_path: Path, cache: str) -> None:
    tables = {
        name: distinct_reviews(20, negative=negative, name=name)
        for name, negative in (("train", 10), ("val", 5), ("test", 15))
    }
    files = {
        name: write_columns(tmp_path / f"{name}.csv", *table) for name, table in tables.items()
    }
    paths = {"test_path": str(files["test"]), "val_path": str(files["val"])}
    data = data_of_file(files["train"], cache, **paths)
    assert [by_label(data.train), by_label(data.val)] == [[10, 10], [5, 15]]
    assert texts_of(data.val, tables["val"][0]) == sorted(tables["val"][0])
    assert data.text("val", 0).startswith("val0 was")
    assert "val0" not in data.vocabulary.words
    drawn = data_of_file(files["train"], cache, test_path=str(files["test"]))
    train, _, test = data.identity.split()
    assert [train, test] == drawn.identity.split()
    paths["val_path"] = str(files["test"])
    assert data_of_file(files["train"], cache, **paths).identity == f"{train} {test} {test}"
    del paths["test_path"]  # the test set is drawn from the training reviews
    data = data_of_file(files["train"], cache, **paths)
    assert data.test is not None
    assert [len(part) for part in (data.train, data.val, data.test)] == [16, 20, 4]


def test_notes_are_shown_once_in_a_command_also_from_the_cache(tmp_path: Path, cache: str) -> None:
    """A later command reads the cache and not the file, but its user must see them, too."""
    rows = "".join(f"film {number};{number % 2}\n" for number in range(20))
    file = write_bytes(tmp_path / "a.csv", f"text;label\n{rows};\n")
    config = DataConfig("reviews", path=str(file), cache=cache, missing="skip")  # type: ignore[arg-type]
    expected = [
        "a.csv: Guessed from the file: data.delimiter=semicolon.",
        "a.csv: 1 of 21 rows were left out, since they have no text or no label.",
    ]
    for _ in range(2):
        display = Messages()
        command = DataCache(display)
        for _ in range(2):
            ReviewDataModule(config, cache=command).prepare_data()
        assert display.messages == expected


class Messages(Silent):
    """A display that keeps the warnings."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str, style: str = "") -> None:
        assert style == "warning"
        self.messages.append(text)


@pytest.mark.parametrize("damaged", [False, True], ids=["absent", "damaged"])
def test_an_unneeded_test_set_is_not_opened(make: Make, tmp_path: Path, damaged: bool) -> None:
    if damaged:
        (tmp_path / "test.parquet").write_bytes(b"no Parquet")
    data = make(distinct_reviews(20, negative=10), test=False)
    assert data.test is None
    assert data.summary()["test"] is None
    with pytest.raises(InputError, match=r"test\.parquet"):
        make(test=True)


@pytest.mark.parametrize("ask", [ReviewDataModule.prepare_data, ReviewDataModule.identity.fget])
def test_a_missing_test_set_is_reported_before_anything_is_read(
    make: Make, tmp_path: Path, ask: Callable[[ReviewDataModule], object]
) -> None:
    make(distinct_reviews(20, negative=10))
    data = ReviewDataModule(DataConfig(path=str(tmp_path), cache=str(tmp_path / "cache")))
    with pytest.raises(InputError, match=r"no test\.parquet"):
        ask(data)
    assert not data.splits
    assert not (tmp_path / "cache").exists()


def test_copies_stay_on_one_side_whatever_their_labels(make: Make) -> None:
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


def test_without_a_validation_set_every_review_is_used_for_training(make: Make) -> None:
    data = make(distinct_reviews(20, negative=8), val_fraction=0)
    assert sorted(data.train.rows) == list(range(20))
    assert len(data.val) == 0
    assert list(data.val_dataloader()) == []
    assert data.summary()["val"] == 0


def test_a_drawn_test_set_is_disjoint_and_the_same_for_every_split_seed(
    tmp_path: Path, cache: str
) -> None:
    texts, labels = distinct_reviews(100, negative=40)
    file = write_columns(tmp_path / "films.parquet", texts, labels)
    data = data_of_file(file, cache)
    assert data.test is not None
    assert by_label(data.test) == [8, 12]
    parts = [set(part.rows.tolist()) for part in (data.train, data.val, data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 100
    other = data_of_file(file, cache, split_seed=1, val_fraction=0.3, limit_train=50)
    assert texts_of(other.test, texts) == texts_of(data.test, texts)
    assert texts_of(other.val, texts) != texts_of(data.val, texts)
    assert other.identity == data.identity
    less = data_of_file(file, cache, test_fraction=0.1)
    assert less.identity != data.identity


def test_a_test_set_is_drawn_even_if_it_is_not_used(tmp_path: Path, cache: str) -> None:
    texts, labels = distinct_reviews(60, negative=30)
    file = write_columns(tmp_path / "films.parquet", texts, labels)
    data, without = data_of_file(file, cache), data_of_file(file, cache, test=False)
    assert without.test is None
    assert without.summary()["test"] is None
    assert without.train.rows.tolist() == data.train.rows.tolist()
    assert without.val.rows.tolist() == data.val.rows.tolist()
    assert without.vocabulary.words == data.vocabulary.words
    assert [without.identity] == data.identity.split()[:1]


def test_unlabelled_reviews_are_a_split_of_their_own(make: Make, tmp_path: Path) -> None:
    texts = [f"unlabelled {row}" for row in range(5)]
    write_columns(tmp_path / "unsupervised.parquet", texts, [-1] * 5)
    data = make(distinct_reviews(20, negative=10))
    before = data.identity
    split = data.split("unsupervised")
    assert split.labels.tolist() == [-1] * 5
    assert sorted(split.rows) == list(range(5))
    assert data.identity == before


def test_setup_can_be_repeated(make: Make) -> None:
    data = make(distinct_reviews(40, negative=20), batch_size=4)
    before = rows_of(data.train_dataloader()), rows_of(data.val_dataloader()), data.summary()
    data.setup("test")
    after = rows_of(data.train_dataloader()), rows_of(data.val_dataloader()), data.summary()
    assert after == before


# Refusals


@pytest.mark.parametrize(
    ("fields", "name", "left"),
    [
        ({"limit_train": 2, "val_fraction": 0.5}, "validation", 0),
        ({"limit_train": 2, "val_fraction": 0.9}, "training", 0),
        ({"limit_train": 10, "val_fraction": 0.05}, "validation", 0),
        ({"limit_train": 3, "val_fraction": 0.6}, "training", 1),
    ],
)
def test_too_few_reviews_for_both_sets_are_refused(
    make: Make, fields: dict[str, float], name: str, left: int
) -> None:
    sentence = (
        rf"^data\.limit_train={fields['limit_train']} with "
        rf"data\.val_fraction={fields['val_fraction']} leaves {left} reviews for the {name} set"
    )
    with pytest.raises(InputError, match=sentence):
        make(distinct_reviews(20, negative=10), **fields)


def test_a_test_set_with_one_class_is_refused(make: Make) -> None:
    splits = distinct_reviews(20, negative=10), distinct_reviews(20, negative=18, name="test")
    with pytest.raises(InputError, match=r"^data\.limit_test=3 leaves 3 reviews for the test set"):
        make(*splits, test=True, limit_test=3)


@pytest.mark.parametrize("fraction", [0.0, 0.02])
def test_too_small_a_test_fraction_is_refused(tmp_path: Path, cache: str, fraction: float) -> None:
    file = write_columns(tmp_path / "films.parquet", *distinct_reviews(40, negative=20))
    facts = rf"^data\.test_fraction={fraction} leaves 0 reviews for the test set"
    with pytest.raises(InputError, match=facts):
        data_of_file(file, cache, test_fraction=fraction)
    assert len(data_of_file(file, cache, test=False, test_fraction=fraction).train) == 32


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"test_fraction": 0.9}, "data.test_fraction=0.9"),
        ({"test_fraction": 0.01, "limit_test": 5}, "data.test_fraction=0.01"),
    ],
)
def test_the_test_fraction_is_named_if_it_is_the_cause(
    tmp_path: Path, cache: str, fields: dict[str, float], named: str
) -> None:
    file = write_columns(tmp_path / "films.parquet", *distinct_reviews(20, negative=10))
    with pytest.raises(InputError, match=named):
        data_of_file(file, cache, **fields)


def test_a_batch_larger_than_the_training_set_is_refused(make: Make) -> None:
    with pytest.raises(InputError, match=r"^data\.batch_size must be at most 32.* \(got 33\)"):
        make(distinct_reviews(40, negative=20), batch_size=33)
    assert [len(batch) for batch in rows_of(make(batch_size=32).train_dataloader())] == [32]


def test_errors_name_the_given_file(tmp_path: Path, cache: str) -> None:
    for name in ("one", "two"):
        file = tmp_path / name / "films.csv"
        write_columns(file, ["Good.", "Bad."], [1, 7])
        with pytest.raises(InputError, match=rf"{name}/films\.csv: row 2: label '7'"):
            data_of_file(file, cache, classes=[0, 1])


# Vocabulary and summary


def test_only_words_of_the_training_set_are_known(make: Make) -> None:
    texts, labels = distinct_reviews(40, negative=20)
    data = make((texts, labels), distinct_reviews(10, negative=5, name="test"), test=True)
    assert data.test is not None
    known = {token for row in data.train.rows for token in tokenize(texts[row], 2)}
    assert set(data.vocabulary.words[2:]) == known
    assert len(data.vocabulary) == 32 + 4 + 2
    for unknown in (data.val, data.test):  # each review begins with its own word
        batch = unknown[np.arange(len(unknown))]
        assert batch.ids[:, 0].tolist() == [1] * len(unknown)
        assert 1 not in batch.ids[:, 1:]
    assert 1 not in data.train[np.arange(len(data.train))].ids


def test_max_vocab_includes_the_special_tokens(make: Make) -> None:
    texts = ["good good good film", "good film", "good bad", "film bad awful"]
    data = make((texts, [0, 1, 0, 1]), val_fraction=0, max_vocab=4)
    assert data.vocabulary.words == ["<pad>", "<unk>", "good", "film"]


def test_the_summary_of_a_worked_example(make: Make, tmp_path: Path) -> None:
    texts = ["good good film", "bad film indeed", "good"]
    data = make((texts, [1, 0, 1]), val_fraction=0, max_vocab=4, max_length=2)
    assert data.summary() == {
        "source": f"Parquet folder {tmp_path.name}",
        "fingerprint": data.identity,
        "classes": ["negative", "positive"],
        "held_out": None,
        "group_column": None,
        "groups": None,
        "folds": None,
        "fold": None,
        "train": 3,
        "val": 0,
        "test": None,
        "test_copies": None,
        "vocabulary": 4,
        "unknown_share": pytest.approx(2 / 7),  # bad, indeed
        "truncated_share": pytest.approx(2 / 3),
        "unlabelled": None,
    }


def test_the_shares_of_the_summary_are_those_of_the_training_set(make: Make) -> None:
    texts, labels = distinct_reviews(40, negative=20)
    splits = (texts, labels), distinct_reviews(12, negative=6, name="test")
    data = make(*splits, test=True, val_fraction=0.5, max_length=8)
    summary = data.summary()
    assert (summary["train"], summary["val"], summary["test"]) == (20, 20, 12)
    assert summary["unknown_share"] == 0
    cut = [len(tokenize(texts[row], 2)) > 8 for row in data.train.rows]
    assert summary["truncated_share"] == pytest.approx(sum(cut) / 20)
    # Elsewhere the shares differ, or this would prove nothing.
    assert 1 in data.val[np.arange(20)].ids
    assert sum(cut) != sum(len(tokenize(texts[row], 2)) > 8 for row in data.val.rows)


def test_literal_special_tokens_are_unknown_words(make: Make) -> None:
    data = make((["<unk> good", "<pad> bad"], [1, 0]), val_fraction=0)
    assert data.summary()["unknown_share"] == 0.5


def test_the_summary_does_not_need_the_files(make: Make, tmp_path: Path) -> None:
    data = make(
        distinct_reviews(20, negative=10), distinct_reviews(10, negative=5, name="test"), test=True
    )
    before = data.summary()
    for file in tmp_path.glob("*.parquet"):
        file.unlink()
    assert data.summary() == before


def test_texts_are_returned_by_row(make: Make, tmp_path: Path, cache: str) -> None:
    train, testing = (
        distinct_reviews(30, negative=15),
        distinct_reviews(20, negative=10, name="test"),
    )
    data = make(train, testing, test=True)
    assert data.test is not None
    for stage, part, texts in [
        ("train", data.train, train[0]),
        ("val", data.val, train[0]),
        ("test", data.test, testing[0]),
    ]:
        for row in part.rows:
            assert data.text(stage, row) == " ".join(tokenize(texts[row], 2))
    file = write_columns(tmp_path / "films.parquet", *train)
    data = data_of_file(file, cache)
    assert data.test is not None
    for row in data.test.rows:
        assert data.text("test", row) == " ".join(tokenize(train[0][row], 2))


# Copies


def near_copies(number: int) -> list[tuple[str, int]]:
    """Return reviews, each with a copy that differs in case, blanks, quotes or markup."""
    changes: list[Callable[[str], str]] = [
        str.upper,
        lambda text: text.replace(" ", "  ") + "\n",
        lambda text: text.replace(" ", "<br /><br />"),
        lambda text: text.replace("'", "’"),
    ]
    rows: list[tuple[str, int]] = []
    for row in range(number):
        text = f"it's film {row} and it's {('dull', 'fine')[row % 2]}"
        rows += [(text, row % 2), (changes[row % 4](text), row % 2)]
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_copies_in_another_spelling_stay_on_one_side(tmp_path: Path, cache: str, seed: int) -> None:
    file = write_rows(tmp_path / "films.csv", near_copies(80))

    def sides(preparation: int) -> list[set[int]]:
        data = data_of_file(file, cache, split_seed=seed, preparation=preparation)
        assert data.test is not None
        return [{row // 2 for row in part.rows} for part in (data.train, data.val, data.test)]

    train, val, test = sides(2)
    assert len(train | val | test) == len(train) + len(val) + len(test)
    train, val, test = sides(1)
    assert train & val
    assert train & test


@pytest.mark.parametrize("copied", [0, 1, 40])
def test_test_reviews_that_are_training_reviews_are_counted_and_noted(
    tmp_path: Path, cache: str, copied: int
) -> None:
    train = [(f"film {row} was {('dull', 'fine')[row % 2]}", row % 2) for row in range(200)]
    test = [(f"play {row} was {('dull', 'fine')[row % 2]}", row % 2) for row in range(200)]
    test[:copied] = [(text.upper(), label) for text, label in train[:copied]]
    data = data_of_file(
        write_rows(tmp_path / "train.csv", train),
        cache,
        test_path=str(write_rows(tmp_path / "test.csv", test)),
    )
    assert data.summary()["test_copies"] == copied
    expected = ["40 of the 200 test reviews are copies of training or validation reviews"]
    assert [note.partition(":")[0] for note in data.notes] == (expected if copied == 40 else [])


@pytest.mark.parametrize("copied", [0, 1, 40])
def test_validation_reviews_that_are_training_reviews_are_noted(
    tmp_path: Path, cache: str, copied: int
) -> None:
    """A file of validation reviews may have copies; drawn ones have none."""
    rows = [(f"film {row} was {('dull', 'fine')[row % 2]}", row % 2) for row in range(400)]
    val = [(text.upper(), label) for text, label in rows[200 - copied : 400 - copied]]
    data = data_of_file(
        write_rows(tmp_path / "train.csv", rows[:200]),
        cache,
        val_path=str(write_rows(tmp_path / "val.csv", val)),
        test_path=str(write_rows(tmp_path / "test.csv", [("play", 0), ("fun", 1)])),
    )
    expected = [
        "40 of the 200 validation reviews are copies of training reviews: the validation scores "
        "are not those on new reviews."
    ]
    assert data.notes == (expected if copied == 40 else [])


def test_without_a_test_set_its_copies_are_not_counted(make: Make) -> None:
    assert make(distinct_reviews(20, negative=10)).summary()["test_copies"] is None


def test_sets_that_cannot_have_the_proportions_of_the_classes_are_noted(
    tmp_path: Path, cache: str
) -> None:
    rows = [(f"film {row} was dull", 0) for row in range(100)]
    rows += [("so fine", 1)] * 60 + [("so good", 1)] * 30 + [("fun", 1), ("fine", 1)] * 5
    data = data_of_file(write_rows(tmp_path / "films.csv", rows), cache, val_fraction=0.25)
    assert data.test is not None
    assert by_label(data.test) == [20, 10]
    assert "33% of the test reviews are positive, but 50% of all reviews" in data.notes[-1]


def test_many_copies_of_a_text_leave_the_proportions_of_all_sets(
    tmp_path: Path, cache: str
) -> None:
    rows = [("so good", 1)] * 300
    rows += [(f"film {row} was {('dull', 'fine')[row % 2]}", row % 2) for row in range(600)]
    data = data_of_file(write_rows(tmp_path / "films.csv", rows), cache)
    assert data.test is not None
    assert (by_label(data.test), by_label(data.val)) == ([60, 120], [48, 96])
    assert not data.notes
