"""The sources of reviews: IMDB in its forms, files, and synthetic reviews."""

from pathlib import Path

import pytest

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data import sources, synthetic
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokenized import tokenized_reviews
from lstm_sentiment.errors import InputError
from tests.support.corpora import (
    LABELS,
    TEXTS,
    Hub,
    Rows,
    open_imdb,
    open_reviews,
    open_source,
    read,
    refusal_of,
    reviews,
    version,
    write_archive,
    write_reviews,
)
from tests.support.tables import write_columns, write_rows

TEST_ROWS = [("Dull.", 0), ("Bright.", 1)]


# IMDB in its forms


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    write_columns(tmp_path / "train.parquet", TEXTS, LABELS, list("wxyz"), names="text label url")
    write_reviews(tmp_path / "test.parquet", ["Dull.", "Bright."], [0, 1])
    corpus = open_imdb(tmp_path)
    assert read(corpus) == reviews()
    assert read(corpus, "test") == TEST_ROWS
    assert [corpus.parts[split]().count() for split in ("train", "test")] == [4, 2]
    assert corpus.name == f"Parquet folder {tmp_path.name}"
    assert corpus.test_fraction is None
    assert list(corpus.parts) == ["train", "test"]


@pytest.mark.parametrize("layout", ["", "plain_text"])
def test_shards_are_read_in_order_in_the_layout_of_the_hub(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / layout
    write_reviews(folder / "train-00001-of-00002.parquet", ["third", "fourth"], [1, 1])
    write_reviews(folder / "train-00000-of-00002.parquet", ["first", "second"], [0, 0])
    write_reviews(folder / "test-00000-of-00001.parquet", ["other", "one"], [0, 1])
    write_reviews(folder / "unsupervised-00000-of-00001.parquet", ["a", "b"], [-1, -1])
    corpus = open_imdb(tmp_path)
    assert read(corpus) == [("first", 0), ("second", 0), ("third", 1), ("fourth", 1)]
    assert read(corpus, "test") == [("other", 0), ("one", 1)]
    assert read(corpus, "unsupervised") == [("a", None), ("b", None)]


def test_the_unsupervised_part_needs_no_labels(tmp_path: Path) -> None:
    write_reviews(tmp_path / "train.parquet")
    write_columns(tmp_path / "unsupervised.parquet", TEXTS, names="text")
    assert read(open_imdb(tmp_path), "unsupervised") == reviews(labels=[None] * 4)


@pytest.mark.parametrize("parent", [False, True])
def test_the_original_archive(tmp_path: Path, parent: bool) -> None:
    archive = write_archive(tmp_path / "aclImdb", reviews(), TEST_ROWS, ["?", "!"])
    (archive / "train" / "unsupBow.feat").touch()
    (archive / "train" / "neg" / "urls.md").touch()
    corpus = open_imdb(tmp_path if parent else archive)
    assert sorted(read(corpus)) == sorted(reviews())
    assert read(corpus, "test") == TEST_ROWS
    assert read(corpus, "unsupervised") == [("?", None), ("!", None)]
    assert [corpus.parts[part]().count() for part in corpus.parts] == [4, 2, 2]
    assert corpus.name == f"aclImdb folder {tmp_path.name if parent else 'aclImdb'}"
    assert corpus.test_fraction is None


def test_hidden_files_of_an_archive_are_no_reviews(tmp_path: Path) -> None:
    """On macOS, unpacking adds a file such as ._0_9.txt beside each file."""
    archive = write_archive(tmp_path / "aclImdb", reviews(), TEST_ROWS, ["?"])
    for file in list(archive.rglob("*.txt")):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7Mac OS X")
    corpus = open_imdb(archive)
    assert sorted(read(corpus)) == sorted(reviews())
    assert [corpus.parts[part]().count() for part in corpus.parts] == [4, 2, 1]


def test_an_archive_without_unlabelled_reviews_has_no_such_part(tmp_path: Path) -> None:
    assert list(open_imdb(write_archive(tmp_path, reviews())).parts) == ["train", "test"]


@pytest.mark.parametrize("missing", ["train/neg", "test/pos"])
def test_a_missing_folder_of_the_archive_is_reported_with_its_part(
    tmp_path: Path, missing: str
) -> None:
    write_archive(tmp_path, reviews(), reviews(), ["?"])
    for file in (tmp_path / missing).iterdir():
        file.unlink()
    corpus, part = open_imdb(tmp_path), missing.split("/")[0]
    assert refusal_of(corpus.parts[part]).startswith(f"{tmp_path / missing} contains no .txt files")
    (other,) = {"train", "test"} - {part}
    assert corpus.parts[other]().count() == 4


@pytest.mark.parametrize("name", ["IMDB Dataset.csv", "IMDB Dataset.csv.gz", "imdb.csv"])
@pytest.mark.parametrize("folder", [False, True])
def test_kaggles_single_file_is_halved(tmp_path: Path, name: str, folder: bool) -> None:
    rows = [(text, "positive" if label else "negative") for text, label in reviews()]
    file = write_rows(tmp_path / name, rows, "review sentiment")
    corpus = open_imdb(tmp_path if folder else file)
    assert read(corpus, "all") == reviews()
    assert (corpus.name, corpus.test_fraction, list(corpus.parts)) == (name, 0.5, ["all"])


def test_a_single_file_of_imdb_must_be_csv(tmp_path: Path) -> None:
    file = write_reviews(tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"train\.parquet is not a CSV file of all of IMDB"):
        open_imdb(file)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_reviews(tmp_path / "films" / "train.parquet")
    assert read(open_imdb("~/films")) == reviews()
    assert read(open_reviews("~/films/train.parquet"), "all") == reviews()
    assert read(open_reviews("~/films/t*.parquet"), "all") == reviews()


def test_the_test_set_is_opened_only_if_needed(tmp_path: Path) -> None:
    write_reviews(tmp_path / "train.parquet")
    corpus = open_imdb(tmp_path)
    assert version(corpus)
    assert read(corpus) == reviews()


def test_a_missing_split_is_reported_with_the_content_of_the_folder(tmp_path: Path) -> None:
    write_reviews(tmp_path / "train.parquet")
    (tmp_path / "notes.txt").touch()
    facts = "has no test.parquet (it contains notes.txt, train.parquet)"
    assert refusal_of(open_imdb(tmp_path).parts["test"]).startswith(f"data.path={tmp_path} {facts}")


@pytest.mark.parametrize(
    ("files", "content"),
    [
        ([], "nothing"),
        (["notes.txt", "a.csv"], "a.csv, notes.txt"),
        ([f"{number}.txt" for number in range(9)], "0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, "),
    ],
)
def test_a_folder_of_unknown_form_is_reported_with_its_content(
    tmp_path: Path, files: list[str], content: str
) -> None:
    for file in files:
        (tmp_path / file).touch()
    message = refusal_of(lambda: open_imdb(tmp_path))
    start = f"data.path={tmp_path} has none of the forms of IMDB (it contains {content}"
    assert message.startswith(start)
    for form in ("train.parquet", "aclImdb", "IMDB Dataset.csv", "data=reviews"):
        assert form in message


def test_an_absent_path_is_refused_at_once(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert refusal_of(lambda: open_imdb(absent)) == (
        f"data.path={absent} does not exist: give a folder with train.parquet and "
        "test.parquet, aclImdb with its train/pos and train/neg, or IMDB Dataset.csv."
    )


FIELDS = [(Source.imdb, "path"), (Source.reviews, "path"), (Source.reviews, "test_path")]


def refusal_of_path(folder: Path, source: Source, field: str, value: str) -> str:
    """Return the message about one of the two paths; the other is valid."""
    paths = {"path": str(write_rows(folder / "a.csv", reviews())), field: value}
    return refusal_of(lambda: open_source(source, **paths))


@pytest.mark.parametrize(("source", "field"), FIELDS)
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("~nobody-at-all/x.csv", "Could not determine home directory"),
        (f"{'x' * 300}.csv", "File name too long"),
        ("x" * 300, "File name too long"),
        ("nul\0nul/*.csv", "embedded null byte"),
    ],
)
def test_errors_of_the_file_system_are_reported_with_the_field(
    tmp_path: Path, hub: Hub, source: Source, field: str, path: str, reason: str
) -> None:
    message = refusal_of_path(tmp_path, source, field, path)
    assert message.startswith(f"data.{field}={path!r} cannot be read ({reason}")
    assert hub.calls == []


@pytest.mark.parametrize(("source", "field"), FIELDS)
def test_a_null_byte_in_a_path_is_reported_and_not_printed(
    tmp_path: Path, source: Source, field: str
) -> None:
    message = refusal_of_path(tmp_path, source, field, "nul\0nul.csv")
    assert message.startswith(f"data.{field}=")
    assert message.isprintable()


@pytest.mark.parametrize(("source", "field"), FIELDS)
def test_a_device_is_not_called_absent(
    tmp_path: Path, hub: Hub, source: Source, field: str
) -> None:
    message = refusal_of_path(tmp_path, source, field, "/dev/null")
    assert message.startswith(f"data.{field}=/dev/null is n")
    assert "does not exist" not in message
    assert hub.calls == []


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    write_reviews(tmp_path / "train-00001-of-00003.parquet")
    message = refusal_of(open_imdb(tmp_path).parts["train"])
    assert message.startswith(f"{tmp_path} has 1 of the 3 files that the name train-00001-of-")


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write_reviews(tmp_path / "train-00000.parquet")
    damaged = tmp_path / "train-00001.parquet"
    damaged.write_bytes(b"no Parquet")
    message = refusal_of(lambda: read(open_imdb(tmp_path)))
    assert message.startswith(f"{damaged}: cannot be read (")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").mkdir()
    corpus = open_imdb(tmp_path)
    for message in (refusal_of(lambda: read(corpus)), refusal_of(lambda: version(corpus))):
        assert message.startswith(f"{tmp_path / 'train.parquet'}: cannot be read")


# Reviews in files


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.parquet"])
def test_a_test_set_is_drawn_from_a_single_file(tmp_path: Path, name: str) -> None:
    corpus = open_reviews(write_rows(tmp_path / name, reviews()), test_fraction=0.3)
    assert read(corpus, "all") == reviews()
    assert (corpus.name, corpus.test_fraction, list(corpus.parts)) == (name, 0.3, ["all"])


def test_a_separate_file_of_test_reviews(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "a.csv", reviews())
    test = write_rows(tmp_path / "b.jsonl", TEST_ROWS)
    corpus = open_reviews(train, test_path=str(test))
    assert read(corpus) == reviews()
    assert read(corpus, "test") == TEST_ROWS
    assert (corpus.name, corpus.test_fraction, list(corpus.parts)) == (
        "a.csv",
        None,
        ["train", "test"],
    )


def test_named_columns_and_labels_hold_for_all_files(tmp_path: Path) -> None:
    rows = [("x", "good"), ("y", "bad")]
    names = "answer grade"
    train = write_rows(tmp_path / "a.csv", rows, names)
    test = write_rows(tmp_path / "b.jsonl", rows[::-1], names)
    columns = {"text_column": "answer", "label_column": "grade", "positive_label": "good"}
    corpus = open_reviews(train, test_path=str(test), **columns)
    assert read(corpus) == [("x", 1), ("y", 0)]
    assert read(corpus, "test") == [("y", 0), ("x", 1)]
    unlabelled = open_reviews(train, text_column="answer")
    assert "data.label_column" in refusal_of(lambda: read(unlabelled, "all"))


def test_a_glob_gives_its_files_in_order(tmp_path: Path) -> None:
    for name, text in (("b/10.csv", "second"), ("b/2.csv", "third"), ("a/x.csv", "first")):
        write_rows(tmp_path / name, [(text, 1)])
    (tmp_path / "b" / "notes.txt").touch()
    corpus = open_reviews(tmp_path / "*" / "*.csv")
    assert [text for text, _ in read(corpus, "all")] == ["first", "second", "third"]
    assert corpus.name == "x.csv and 2 more"
    assert read(open_reviews(tmp_path / "**" / "1?.csv"), "all") == [("second", 1)]


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "films [new].csv", reviews())
    assert read(open_reviews(file), "all") == reviews()


@pytest.mark.parametrize("field", ["path", "test_path"])
def test_absent_files_are_reported(tmp_path: Path, hub: Hub, field: str) -> None:
    def message(path: Path | str) -> str:
        return refusal_of_path(tmp_path, Source.reviews, field, str(path))

    absent = tmp_path / "absent.csv"
    assert message(absent) == (
        f"data.{field}={absent} does not exist: give an existing file or a glob."
    )
    for name in ("absent.csv", "absent.txt", "some/absent.txt", "absent.parquet.gz"):
        assert message(name).startswith(f"data.{field}={name} does not exist")
    pattern = tmp_path / "*.tsv"
    assert message(pattern).startswith(f"data.{field}={pattern} matches no file")
    (tmp_path / "folder.tsv").mkdir()
    assert f"matches {tmp_path / 'folder.tsv'}, which is not a file" in message(pattern)
    (tmp_path / "folder.tsv").rmdir()
    facts = f"data.{field}={tmp_path} is a folder (it contains a.csv)"
    assert message(tmp_path).startswith(facts)
    assert hub.calls == []


def test_an_unknown_format_is_reported_when_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A film.")
    message = refusal_of(lambda: read(open_reviews(tmp_path / "a.txt"), "all"))
    assert message.startswith(f"{tmp_path / 'a.txt'}: the file name must end in .csv, .tsv, ")


@pytest.mark.parametrize(
    ("rows", "facts"),
    [
        ([], "there are no reviews."),
        ([("a", 1), ("b", 1)], "every label is positive (reviews: 2): at least two classes"),
        ([("a", 0)] * 3, "every label is negative (reviews: 3): at least two classes"),
        ([("a", 4), ("b", 4)], "every label is 4 (reviews: 2): at least two classes"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.parquet"])
def test_reviews_of_one_class_are_refused(
    tmp_path: Path, name: str, rows: Rows, facts: str
) -> None:
    path, cache = str(write_rows(tmp_path / name, rows)), str(tmp_path / "cache")
    data = ReviewDataModule(DataConfig(source=Source.reviews, path=path, cache=cache))
    message = refusal_of(data.prepare_data)
    assert message.startswith(f"{tmp_path / name}: {facts}")


def test_a_bad_row_is_reported_by_the_data_module(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", [("a", 1), ("b", 2)])
    config = DataConfig(
        source=Source.reviews, path=str(file), classes=["0", "1"], cache=str(tmp_path / "cache")
    )
    message = refusal_of(lambda: ReviewDataModule(config).identity)
    assert message == f"{file}: row 2: label '2' is not one of data.classes (0, 1)."


def test_each_of_several_bad_files_is_named_in_one_command(tmp_path: Path) -> None:
    cache = DataCache()

    def message(file: Path) -> str:
        part = open_reviews(file, cache).parts["all"]()
        return refusal_of(lambda: tokenized_reviews(part, tmp_path / "cache", cache, 2))

    for name in ("a.csv", "b.csv", "twin/a.csv"):
        file = tmp_path / name
        assert message(write_rows(file, [("twice", "")])).startswith(f"{file}: row 1: the label ")
        assert message(write_rows(file, [])).startswith(f"{file}: there are no reviews")


# Synthetic reviews


def test_synthetic_splits_are_generated_and_share_no_review(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sources.SYNTHETIC_SIZE, "train", 40)
    monkeypatch.setitem(sources.SYNTHETIC_SIZE, "test", 20)
    corpus = open_source(Source.synthetic)
    generated = {}
    for split, size in (("train", 40), ("test", 20)):
        texts, labels = synthetic.generate(size, sources.SYNTHETIC_SEED[split])
        assert read(corpus, split) == reviews(texts, labels.tolist())
        expected = synthetic.generate_reviews(size, sources.SYNTHETIC_SEED[split])
        constructs = [review.construct for review in corpus.parts[split]().read()]
        assert constructs == [review.construct for review in expected]
        assert corpus.parts[split]().count() == size
        generated[split] = set(texts)
    assert not generated["train"] & generated["test"]
    assert [review.label for review in read(corpus)].count(1) == 20


def test_synthetic_reviews_of_more_classes_have_grades_as_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sources.SYNTHETIC_SIZE, "train", 24)
    two, five = open_source(Source.synthetic, classes=2), open_source(Source.synthetic, classes=5)
    part = five.parts["train"]()
    assert {review.label for review in part.read()} == {"1", "2", "3", "4", "5"}
    assert part.version() not in {version(two), version(open_source(Source.synthetic, classes=3))}
    assert version(two) == version(open_source(Source.synthetic))
    assert two.name == five.name == "synthetic"  # reports add the number of classes


def test_the_version_of_synthetic_reviews_is_grammar_size_and_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def versions() -> set[str]:
        corpus = open_source(Source.synthetic)
        return {version(corpus, "train"), version(corpus, "test")}

    before = versions()
    assert len(before) == 2
    monkeypatch.setattr(synthetic, "GRAMMAR", 77)
    assert not versions() & before
    monkeypatch.undo()
    monkeypatch.setitem(sources.SYNTHETIC_SIZE, "train", 41)
    assert len(versions() & before) == 1
    monkeypatch.setitem(sources.SYNTHETIC_SIZE, "test", 41)
    assert len(versions()) == 2
