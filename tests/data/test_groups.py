"""Groups of reviews: read from every form, and never divided by a split."""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data import films
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.digests import text_digest
from lstm_sentiment.data.splits import Split, count_shared_groups, stratified_folds
from lstm_sentiment.data.tokenized import NO_GROUP, TokenizedReviews
from lstm_sentiment.errors import InputError
from tests.support.corpora import (
    Hub,
    groups,
    open_reviews,
    open_source,
    refusal_of,
    version,
    write_archive,
)
from tests.support.datamodules import data_of_file, set_up
from tests.support.tables import write_columns, write_rows

CHECKED = settings(deadline=None, max_examples=150, derandomize=True)
NAMES = "text label product"
Labelled = Sequence[tuple[str, int, str | None]]  # texts, labels and groups
# Few texts and groups, so that copies connect groups.
REVIEWS = st.lists(
    st.tuples(
        st.integers(0, 40).map("film {}".format),
        st.integers(0, 1),
        st.none() | st.integers(0, 12).map(str),
    ),
    min_size=1,
    max_size=70,
)


def digests(values: Sequence[str | None]) -> np.ndarray:
    content = b"".join(NO_GROUP if value is None else text_digest(value) for value in values)
    return np.frombuffer(content, "<u8").reshape(-1, 2)


def split_of(reviews: Labelled) -> Split:
    """Return reviews of one word, but with the digests of these texts and groups."""
    texts, labels, named = zip(*reviews, strict=True)
    return Split.whole(
        TokenizedReviews(
            words=["film"],
            tokens=np.zeros(len(texts), np.int32),
            offsets=np.arange(len(texts) + 1),
            labels=np.array(labels, np.int8),
            digests=digests(texts),
            copies=digests(texts),
            groups=digests(named),
            preparation=2,
            label_names=["negative", "positive", "mixed"],
        )
    )


def components_of(reviews: Labelled) -> list[set[int]]:
    """Return the rows that texts and groups connect, by merging sets until nothing changes."""
    components: list[tuple[set[int], set[str]]] = []
    for row, (text, _, group) in enumerate(reviews):
        rows, names = {row}, {f"text {text}", *([] if group is None else [f"group {group}"])}
        apart = []
        for other_rows, other_names in components:
            if names & other_names:
                rows, names = rows | other_rows, names | other_names
            else:
                apart.append((other_rows, other_names))
        components = [*apart, (rows, names)]
    return [rows for rows, _ in components]


def is_divided(rows: set[int], *splits: Split) -> bool:
    return sum(bool(rows & set(split.rows.tolist())) for split in splits) > 1


# Splits


@CHECKED
@given(REVIEWS)
def test_components_are_those_of_a_reference(reviews: Labelled) -> None:
    split = split_of(reviews)
    found: dict[int, set[int]] = {}
    for row, component in zip(split.rows.tolist(), split.components.tolist(), strict=True):
        found.setdefault(component, set()).add(row)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, components_of(reviews)))
    for position, rows in found.items():
        assert split.rows[position] in rows


@CHECKED
@given(REVIEWS, st.floats(0.1, 0.6), st.integers(0, 3))
def test_no_split_divides_a_component(reviews: Labelled, fraction: float, seed: int) -> None:
    whole = split_of(reviews)
    parts = whole.split_off(np.arange(len(reviews)), fraction, np.random.default_rng(seed))
    assert sorted(row for part in parts for row in part.rows) == list(range(len(reviews)))
    assert not any(is_divided(rows, *parts) for rows in components_of(reviews))
    assert count_shared_groups(parts[1], parts[0]) == 0


@CHECKED
@given(REVIEWS, st.randoms(use_true_random=False))
def test_a_split_by_groups_does_not_depend_on_the_order(reviews: Labelled, random: Any) -> None:
    order = random.sample(range(len(reviews)), len(reviews))
    one, other = split_of(reviews), split_of([reviews[row] for row in order])
    assert one.identity == other.identity
    assert one.components.tolist() == other.components.tolist()
    assert [reviews[row] for row in one.rows] == [reviews[order[row]] for row in other.rows]


def test_groups_change_the_identity_but_their_absence_does_not() -> None:
    plain = [(f"film {row}", row % 2, None) for row in range(6)]
    grouped = [(text, label, "a") for text, label, _ in plain]
    others = [*grouped[:5], (*plain[5][:2], "b")]
    assert len({split_of(rows).identity for rows in (plain, grouped, others)}) == 3
    # The identity of the version that had no groups.
    assert split_of(plain).identity == (
        "sha256-ffbd7093c3f2f94849fc9e0a5ee52bf2b176246096eddada2f63319a0af280dd"
    )


def test_a_copy_connects_two_groups() -> None:
    rows = [("a", 0, "x"), ("b", 1, "x"), ("b", 0, "y"), ("c", 1, "y"), ("d", 0, None)]
    split = split_of(rows)
    assert split.number_of_components == 2
    assert len({split.components[split.rows == row].item() for row in range(4)}) == 1


# Folds


@CHECKED
@given(REVIEWS, st.integers(2, 6))
def test_each_review_is_in_one_fold_and_no_component_is_divided(
    reviews: Labelled, folds: int
) -> None:
    whole, components = split_of(reviews), components_of(reviews)
    counts = np.bincount(whole.labels, minlength=2)
    if len(components) < folds or (counts[counts > 0] < folds).any():
        with pytest.raises(InputError, match=rf"^data\.folds={folds} is more than the \d+ "):
            whole.fold(folds, 0)
        return
    held_out = []
    for fold in range(folds):
        train, test = whole.fold(folds, fold)
        assert sorted([*train.rows, *test.rows]) == list(range(len(reviews)))
        assert not any(is_divided(rows, train, test) for rows in components)
        assert len(test.rows)
        held_out.append(test)
    assert sorted(row for test in held_out for row in test.rows) == list(range(len(reviews)))


@CHECKED
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1), st.integers(2, 6))
def test_folds_are_balanced_up_to_the_largest_component(
    components: list[tuple[int, int]], folds: int
) -> None:
    """Components of one label: the numbers of a label differ by at most its largest component."""
    sizes = [size for size, _ in components]
    labels = np.repeat([label for _, label in components], sizes)
    fold_of = stratified_folds(labels, np.repeat(np.arange(len(sizes)), sizes), folds)
    for label in set(labels.tolist()):
        counts = np.bincount(fold_of[labels == label], minlength=folds)
        assert np.ptp(counts) <= max(size for size, kind in components if kind == label)


def test_components_with_both_labels_are_balanced_by_label() -> None:
    """Four products: two of 3 negative and 1 positive review, two the other way round."""
    labels = np.array([0, 0, 0, 1] * 2 + [1, 1, 1, 0] * 2)
    fold_of = stratified_folds(labels, np.repeat(np.arange(4), 4), 2)
    for fold in (0, 1):
        assert np.bincount(labels[fold_of == fold]).tolist() == [4, 4]


def test_folds_do_not_depend_on_the_seeds(tmp_path: Path, cache: str) -> None:
    rows = [(f"film {row}", row % 2, row // 3) for row in range(60)]
    file = write_rows(tmp_path / "a.csv", rows, NAMES)

    def test_rows(fold: int, **fields: Any) -> list[int]:
        chosen = {"group_column": "product", "folds": 3, "fold": fold, **fields}
        data = data_of_file(file, cache, **chosen)
        assert data.test is not None
        assert not {row // 3 for row in data.test.rows} & {row // 3 for row in data.train.rows}
        assert not {row // 3 for row in data.val.rows} & {row // 3 for row in data.train.rows}
        assert data.summary()["folds"] == 3
        assert data.summary()["fold"] == fold
        return sorted(data.test.rows.tolist())

    folds = [test_rows(fold) for fold in range(3)]
    assert sorted(row for rows in folds for row in rows) == list(range(60))
    assert [len(rows) for rows in folds] == [21, 18, 21]  # of 20 groups of 3 reviews
    assert test_rows(1, split_seed=5) == folds[1]


def test_all_folds_have_one_identity_and_the_test_set_is_not_read(
    tmp_path: Path, cache: str
) -> None:
    rows = [(f"film {row}", row % 2) for row in range(40)]
    write_rows(tmp_path / "train.parquet", rows)  # without test.parquet
    fields: dict[str, Any] = {"path": str(tmp_path), "cache": cache, "folds": 4, "batch_size": 2}
    modules = [ReviewDataModule(DataConfig(Source.imdb, **fields, fold=fold)) for fold in range(4)]
    identities = {data.identity for data in modules}
    assert len(identities) == 1
    assert identities.pop().startswith("4 folds of sha256-")
    five = ReviewDataModule(DataConfig(Source.imdb, **{**fields, "folds": 5}, fold=0))
    assert five.identity.startswith("5 folds of sha256-")
    modules[0].setup()
    assert modules[0].test is not None
    assert (len(modules[0].train), len(modules[0].val), len(modules[0].test)) == (24, 6, 10)


@pytest.mark.parametrize(
    ("rows", "fields", "message"),
    [
        (
            [("a", 0), ("b", 0), ("c", 0), ("d", 0), ("e", 1), ("f", 1)],
            {"folds": 3},
            "data.folds=3 is more than the 2 reviews of class positive: give at most 2.",
        ),
        (
            [("a", 0), ("a", 1), ("a", 0), ("a", 1), ("b", 1), ("b", 0)],
            {"folds": 3},
            "data.folds=3 is more than the 2 different reviews: give at most 2.",
        ),
        (
            [("a", 0), ("b", 1), ("a", 0), ("c", 1)],
            {"folds": 2, "group_column": "label_as_group"},
            "data.folds=2 is more than the 1 group: leave out data.folds, or add reviews.",
        ),
    ],
)
def test_impossible_folds_are_refused(
    tmp_path: Path, cache: str, rows: Any, fields: dict[str, Any], message: str
) -> None:
    rows = [(*row, "same") for row in rows]
    file = write_rows(tmp_path / "a.csv", rows, "text label label_as_group")
    assert refusal_of(lambda: data_of_file(file, cache, fold=0, **fields)) == message


# Reading


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_groups_are_read_from_every_format(tmp_path: Path, name: str) -> None:
    products = ["Lamp", " lamp ", "", "Table\t", "LAMP", "ß"]
    texts, labels = [f"text {row}" for row in range(6)], [0, 1] * 3
    file = write_columns(tmp_path / name, texts, labels, products, names=NAMES)
    corpus = open_reviews(file, group_column="Product")
    assert groups(corpus, "all") == ["lamp", "lamp", None, "table", "lamp", "ss"]
    assert groups(open_reviews(file), "all") == [None] * 6


def test_numbers_and_missing_values_as_groups(tmp_path: Path) -> None:
    texts, labels = list("abcd"), [0, 1, 0, 1]
    file = write_columns(tmp_path / "a.parquet", texts, labels, [1.0, None, 2.5, 1.0], names=NAMES)
    assert groups(open_reviews(file, group_column="product"), "all") == ["1", None, "2.5", "1"]
    file = write_columns(tmp_path / "a.jsonl", texts, labels, [1, None, "1.0", True], names=NAMES)
    corpus = open_reviews(file, group_column="product")
    assert groups(corpus, "all") == ["1", None, "1", "true"]


def test_groups_of_a_data_set_of_the_hub(hub: Hub) -> None:
    columns = {"text": ["a", "b"], "label": [0, 1], "author": ["X", "y"]}
    hub.answer = datasets.DatasetDict({"train": datasets.Dataset.from_dict(columns)})
    assert groups(open_reviews("a/films", group_column="author"), "all") == ["x", "y"]


def test_the_column_is_part_of_the_version(tmp_path: Path) -> None:
    rows = [("a", 0, "x", "y"), ("b", 1, "x", "z")]
    file = write_rows(tmp_path / "a.csv", rows, "text label product author")
    columns = (None, "product", "author")
    versions = {version(open_reviews(file, group_column=column), "all") for column in columns}
    assert len(versions) == 3


def test_a_group_column_that_cannot_be_used_is_refused(tmp_path: Path, cache: str) -> None:
    file = write_rows(tmp_path / "a.csv", [("a", 0, "x"), ("b", 1, "y")], NAMES)
    assert refusal_of(lambda: data_of_file(file, cache, group_column="author")) == (
        f"{file}: there is no column author (columns: text, label, product): name the group column "
        "with data.group_column."
    )
    for column in ("text", "Label"):
        assert refusal_of(lambda column=column: data_of_file(file, cache, group_column=column)) == (
            f"{file}: data.group_column={column} is the column of the texts or of the labels: give "
            "another column."
        )


@pytest.mark.parametrize(
    ("number", "fields", "sets"), [(1, {}, 3), (2, {}, 3), (1, {"val_fraction": 0}, 2)]
)
def test_fewer_groups_than_sets_are_refused(
    tmp_path: Path, cache: str, number: int, fields: dict[str, Any], sets: int
) -> None:
    rows = [(f"film {row}", row % 2, row // 2 % number) for row in range(40)]
    file = write_rows(tmp_path / "a.csv", rows, NAMES)
    noun = "1 group" if number == 1 else f"{number} groups"
    message = refusal_of(lambda: data_of_file(file, cache, group_column="product", **fields))
    assert message == (
        f"data.group_column=product leaves {noun} for {sets} sets, and no group may be in two of "
        "them: give a column with more groups, or a file for each set."
    )


def test_a_group_column_without_a_value_is_refused(tmp_path: Path, cache: str) -> None:
    rows = [(f"film {row}", row % 2, " ") for row in range(40)]
    file = write_rows(tmp_path / "a.csv", rows, NAMES)
    assert refusal_of(lambda: data_of_file(file, cache, group_column="product")) == (
        "data.group_column=product has no value in any review: give another column, or leave out "
        "the field."
    )


@pytest.mark.parametrize("number", [2, 4])
def test_a_class_of_few_groups_is_refused(tmp_path: Path, cache: str, number: int) -> None:
    # Two groups are too few for three sets; of four groups, only two have the class "c".
    rows = [(f"film {row}", "abc"[row % 3], row % (2 if row % 3 == 2 else number))
            for row in range(60)]  # fmt: skip
    file = write_rows(tmp_path / "a.csv", rows, NAMES)
    message = refusal_of(lambda: data_of_file(file, cache, group_column="product"))
    expected = "data.group_column=product leaves 2 groups for 3 sets"
    if number == 4:
        expected = f"{file}: the class c has reviews of only 2 groups: at least 3 are needed"
    assert message.startswith(expected)


@pytest.mark.parametrize("group", [["x"], {"name": "x"}])
def test_a_list_or_an_object_is_no_group(tmp_path: Path, cache: str, group: Any) -> None:
    file = write_rows(tmp_path / "a.jsonl", [("a", 0, "x"), ("b", 1, group)], NAMES)
    assert refusal_of(lambda: data_of_file(file, cache, group_column="product")) == (
        f"{file}: row 2: the group must be a text or a number (got {group!r})."
    )


def test_as_many_groups_as_sets_are_enough(tmp_path: Path, cache: str) -> None:
    rows = [(f"film {row}", row % 2, row // 2 % 3) for row in range(60)]
    file = write_rows(tmp_path / "a.csv", rows, NAMES)
    data = data_of_file(file, cache, group_column="product", test_fraction=0.3, val_fraction=0.3)
    assert data.test is not None
    assert {len(part) for part in (data.train, data.val, data.test)} == {20}


def test_groups_in_two_given_sets_are_noted(tmp_path: Path, cache: str) -> None:
    train, test = (
        write_rows(
            tmp_path / f"{name}.csv",
            [(f"{name} {row}", row % 2, f"{row // 4 + first}") for row in range(40)],
            NAMES,
        )
        for name, first in (("train", 0), ("test", 8))
    )
    fields = {"test_path": str(test), "val_fraction": 0.2}
    assert not data_of_file(train, cache, **fields).notes
    assert data_of_file(train, cache, group_column="product", **fields).notes == [
        "2 of the 10 groups of the test set also have reviews in other sets: the test scores are "
        "not those on new groups."
    ]


# IMDB

FILMS = ["tt0000007", "tt0123456", "tt0000007", "tt1234567"]
IMDB_ROWS = [("Dull.", 0), ("Bright.", 1), ("So dull.", 0), ("So bright.", 1)]


def imdb_groups(path: Path | None, part: str = "train") -> list[str | None]:
    chosen = None if path is None else str(path)
    return groups(open_source(Source.imdb, path=chosen, group_column="film"), part)


def archive(folder: Path, addresses: Sequence[str]) -> Path:
    """Write an archive whose file number i is about the film of line i."""
    write_archive(folder, IMDB_ROWS, IMDB_ROWS, unsupervised=["Unknown."])
    for split in ("train", "test"):
        for side in ("neg", "pos"):
            (folder / split / f"urls_{side}.txt").write_text("".join(f"{a}\n" for a in addresses))
    return folder


def address(film: str) -> str:
    return f"http://www.imdb.com/title/{film}/usercomments"


def test_films_of_the_archive(tmp_path: Path) -> None:
    folder = archive(tmp_path, list(map(address, FILMS)))
    # First the negative reviews, whose files are 0_0.txt and 2_0.txt, then 1_7.txt and 3_7.txt.
    assert imdb_groups(folder) == ["tt0000007", "tt0000007", "tt0123456", "tt1234567"]
    assert imdb_groups(folder, "test") == imdb_groups(folder)
    assert imdb_groups(folder, "unsupervised") == [None]


def test_the_films_of_an_archive_are_part_of_its_version(tmp_path: Path) -> None:
    folder = archive(tmp_path, list(map(address, FILMS)))

    def versions() -> list[str]:
        chosen = (None, "film")
        return [
            version(open_source(Source.imdb, path=str(folder), group_column=column))
            for column in chosen
        ]

    before = versions()
    assert before[0] != before[1]
    archive(folder, list(map(address, FILMS[::-1])))
    after = versions()
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        (
            FILMS[:3],
            "line 1 of urls_neg.txt is not the address of a title at IMDB (got 'tt0000007')",
        ),
        ([address("tt0000007")], "urls_neg.txt has no line for this file (1 lines)"),
    ],
)
def test_unusable_addresses_are_refused(
    tmp_path: Path, addresses: Sequence[str], message: str
) -> None:
    folder = archive(tmp_path, addresses)
    assert message in refusal_of(lambda: imdb_groups(folder))


def test_a_missing_file_of_addresses_is_refused(tmp_path: Path) -> None:
    folder = write_archive(tmp_path, IMDB_ROWS, IMDB_ROWS)
    assert refusal_of(lambda: imdb_groups(folder)) == (
        f"{folder}/train/urls_neg.txt does not exist: data.group_column=film needs this file of "
        "aclImdb, which names the film of each review."
    )


def test_films_of_a_parquet_file(tmp_path: Path) -> None:
    rows = [(*row, film) for row, film in zip(IMDB_ROWS, FILMS, strict=True)]
    write_rows(tmp_path / "train.parquet", rows, "text label film")
    write_columns(tmp_path / "unsupervised.parquet", ["a"], names="text")
    assert imdb_groups(tmp_path) == FILMS
    assert imdb_groups(tmp_path, "unsupervised") == [None]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the index of films by one of the reviews above, without the last."""
    rows = zip(IMDB_ROWS[:3], FILMS, strict=False)
    known = {films.index_digest(text): film for (text, _), film in rows}
    monkeypatch.setattr(films, "film_index", lambda: known)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("name", ["train.parquet", "IMDB Dataset.csv"])
def test_the_index_names_the_films_of_other_forms(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / name, [(f" {text}\n", label) for text, label in IMDB_ROWS])
    corpus = open_source(Source.imdb, path=str(tmp_path), group_column="film")
    part = corpus.parts["train" if name == "train.parquet" else "all"]()
    assert [review.group for review in part.read()] == [*FILMS[:3], None]
    assert part.notes[-1] == "1 of 4 reviews are of an unknown film: each is its own group."
    assert part.version().startswith("film ")


@pytest.mark.usefixtures("index")
def test_the_index_names_the_films_of_the_hub(hub: Hub) -> None:
    texts, labels = zip(*IMDB_ROWS, strict=True)
    hub.answer = datasets.Dataset.from_dict({"text": texts, "label": labels})
    assert imdb_groups(None) == [*FILMS[:3], None]
    hub.answer = datasets.Dataset.from_dict({"text": texts, "label": [-1] * 4})
    assert imdb_groups(None, "unsupervised") == [None] * 4


def test_reviews_that_are_not_of_imdb_have_no_films(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.parquet", IMDB_ROWS)
    assert refusal_of(lambda: imdb_groups(tmp_path)) == (
        "data.group_column=film: the reviews do not name their films, and none of them is a "
        "labelled review of IMDB: give IMDB's files, or leave out the field."
    )


# Groups that are known, but do not affect the splits


def imdb_data(folder: Path, cache: str, **fields: Any) -> ReviewDataModule:
    chosen: dict[str, Any] = {"path": str(folder), "cache": cache, "batch_size": 2, **fields}
    return set_up(DataConfig(Source.imdb, **chosen))


def many_reviews(name: str) -> list[tuple[str, int, str]]:
    """Return reviews of films of 4 reviews each; every tenth is a copy of the one before it."""
    rows = [(f"{name} {row - (row % 10 == 9)}", row % 2, f"tt{row // 4:07}") for row in range(80)]
    random.Random(name).shuffle(rows)
    return rows


@pytest.mark.parametrize("fields", [{}, {"folds": 4, "fold": 1}, {"limit_train": 30}])
def test_known_films_change_no_split(tmp_path: Path, cache: str, fields: dict[str, Any]) -> None:
    named, unnamed = tmp_path / "named", tmp_path / "unnamed"
    for split in ("train", "test"):
        rows = many_reviews(split)
        write_rows(named / f"{split}.parquet", rows, "text label film")
        write_rows(unnamed / f"{split}.parquet", [row[:2] for row in rows], "text label")
    one, other = imdb_data(named, cache, **fields), imdb_data(unnamed, cache, **fields)
    assert one.identity == other.identity
    assert one.notes == other.notes
    for stage in ("train", "val", "test"):
        assert getattr(one, stage).rows.tolist() == getattr(other, stage).rows.tolist()
    different = {"source", "groups"}
    rest = [{k: v for k, v in d.summary().items() if k not in different} for d in (one, other)]
    assert rest[0] == rest[1]
    assert (one.summary()["groups"], other.summary()["groups"]) == ("film", None)
    assert one.review_columns("test", np.arange(3)).keys() == {"tokens", "group"}
    assert other.review_columns("test", np.arange(3)).keys() == {"tokens"}


def group_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little", signed=True)


def test_reviews_of_a_group_have_one_number_in_every_set(tmp_path: Path, cache: str) -> None:
    for split in ("train", "test"):
        rows = [(text, label, film if row else None)
                for row, (text, label, film) in enumerate(many_reviews(split))]  # fmt: skip
        write_rows(tmp_path / f"{split}.parquet", rows, "text label film")
    for column in (None, "film"):
        data = imdb_data(tmp_path, cache, group_column=column)
        for stage, split in (("val", "train"), ("test", "test")):
            numbers = data.review_columns(stage, np.arange(80))["group"]
            assert numbers.dtype == np.int64
            films = [film for _, _, film in many_reviews(split)]
            # The first review has no film: it is a group of its own.
            assert numbers.tolist() == [-1, *map(group_number, films[1:])]


def test_groups_of_other_reviews_are_those_of_their_column(tmp_path: Path, cache: str) -> None:
    rows = [(f"film {row}", row % 2, f" Lamp{row // 4}") for row in range(60)]
    file = write_rows(tmp_path / "a.csv", rows, NAMES)
    data = data_of_file(file, cache, group_column="product")
    assert data.summary()["groups"] == "product"
    numbers = data.review_columns("test", np.arange(60))["group"]
    assert numbers.tolist() == [group_number(f"lamp{row // 4}") for row in range(60)]
    data = data_of_file(file, cache)
    assert data.summary()["groups"] is None
    assert "group" not in data.review_columns("test", np.arange(60))


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("form", ["archive", "train.parquet", "IMDB Dataset.csv"])
def test_films_are_known_without_being_asked_for(tmp_path: Path, form: str) -> None:
    if form == "archive":
        write_archive(tmp_path, IMDB_ROWS)  # without its files of addresses
    else:
        write_rows(tmp_path / form, IMDB_ROWS)
    corpus = open_source(Source.imdb, path=str(tmp_path))
    part = corpus.parts["all" if form == "IMDB Dataset.csv" else "train"]()
    expected = {text: film for (text, _), film in zip(IMDB_ROWS[:3], FILMS, strict=False)}
    reviews = list(part.read())
    assert [review.group for review in reviews] == [expected.get(each.text) for each in reviews]
    assert not part.notes
    assert not part.version().startswith("film ")


def test_the_shipped_index_has_the_labelled_reviews_of_imdb() -> None:
    index = films.film_index()
    assert len(index) == 49_582  # different texts
    assert len(set(index.values())) == 6_988
    assert all(films.TITLE.search(address(film)) for film in list(index.values())[:100])
