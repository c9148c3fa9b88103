import csv
import gzip
import json
import os
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data import reviews, synthetic
from lstm_sentiment.data.cache import begin_command
from lstm_sentiment.data.corpus import tokenized
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.formats import Review
from lstm_sentiment.data.reviews import Corpus, open_corpus
from lstm_sentiment.errors import InputError

TEXTS = ["A warm and clever film.", "I looked at my watch.<br />Often.", " 映画 \0 🎬\n", " "]
LABELS = [1, 0, 1, 0]
REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    """What one test found amiss is asked anew by the next."""
    begin_command()


Rows = Sequence[tuple[str, Any]]  # texts and labels


def rows_of(texts: Sequence[str] = TEXTS, labels: Sequence[int] = LABELS) -> list[Review]:
    return [Review(text, label) for text, label in zip(texts, labels, strict=True)]


def write(file: Path, texts: Any = TEXTS, labels: Any = LABELS, **more: Any) -> Path:
    """Parquet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": labels, "text": texts, **more}), file)
    return file


def write_rows(file: Path, rows: Rows, names: Sequence[str] = ("text", "label")) -> Path:
    """CSV, TSV, JSON Lines or Parquet, by the file's name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.name.endswith(".parquet"):
        return write(file, [text for text, _ in rows], [label for _, label in rows])
    opened: Any = gzip.open if file.suffix == ".gz" else Path.open
    with opened(file, "wt", encoding="utf-8", newline="") as stream:
        if ".json" in file.name:
            stream.writelines(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
        else:
            delimiter = "\t" if ".tsv" in file.name else ","
            csv.writer(stream, delimiter=delimiter).writerows([names, *rows])
    return file


def write_tree(
    folder: Path, train: Rows, test: Rows = (), unsupervised: Sequence[str] = ()
) -> Path:
    """The original archive of IMDB."""
    sides = {0: "neg", 1: "pos", -1: "unsup"}
    for split, rows in (
        ("train", [*train, *((text, -1) for text in unsupervised)]),
        ("test", test),
    ):
        for number, (text, label) in enumerate(rows):
            file = folder / split / sides[label] / f"{number}_{7 * label}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
    return folder


def opened(path: Path | str, **fields: Any) -> Corpus:
    return open_corpus(DataConfig(path=str(path), **fields))


def own(path: Path | str, **fields: Any) -> Corpus:
    return opened(path, source=Source.reviews, **fields)


def read(corpus: Corpus, part: str = "train") -> list[Review]:
    return list(corpus.parts[part]().read())


def stamp(corpus: Corpus, part: str = "train") -> str:
    return corpus.parts[part]().stamp()


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(InputError) as raised:
        ask()
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
    return str(raised.value)


class Hub:
    """Stands for `datasets.load_dataset`; `answer` is given back, or raised."""

    def __init__(self) -> None:
        self.answer: Any = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS})
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    monkeypatch.setattr(datasets, "load_dataset", hub)
    return hub


# IMDB in its forms


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", url=["w", "x", "y", "z"])
    write(tmp_path / "test.parquet", ["Dull.", "Bright."], [0, 1])
    corpus = opened(tmp_path)
    assert read(corpus) == rows_of()
    assert read(corpus, "test") == [("Dull.", 0), ("Bright.", 1)]
    assert [corpus.parts[split]().count() for split in ("train", "test")] == [4, 2]
    assert corpus.name == f"Parquet folder {tmp_path.name}"
    assert corpus.held_out is None
    assert list(corpus.parts) == ["train", "test"]


@pytest.mark.parametrize("layout", ["", "plain_text"])
def test_the_hubs_own_layout_is_read_shard_by_shard(tmp_path: Path, layout: str) -> None:
    write(tmp_path / layout / "train-00001-of-00002.parquet", ["third", "fourth"], [1, 1])
    write(tmp_path / layout / "train-00000-of-00002.parquet", ["first", "second"], [0, 0])
    write(tmp_path / layout / "test-00000-of-00001.parquet", ["other", "one"], [0, 1])
    write(tmp_path / layout / "unsupervised-00000-of-00001.parquet", ["a", "b"], [-1, -1])
    corpus = opened(tmp_path)
    assert read(corpus) == [("first", 0), ("second", 0), ("third", 1), ("fourth", 1)]
    assert read(corpus, "test") == [("other", 0), ("one", 1)]
    assert read(corpus, "unsupervised") == [("a", -1), ("b", -1)]


def test_the_unsupervised_part_needs_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "unsupervised.parquet")
    assert read(opened(tmp_path), "unsupervised") == rows_of(labels=[-1] * 4)


@pytest.mark.parametrize("parent", [False, True])
def test_the_original_archive(tmp_path: Path, parent: bool) -> None:
    tree = write_tree(tmp_path / "aclImdb", rows_of(), [("Dull.", 0), ("Bright.", 1)], ["?", "!"])
    (tree / "train" / "unsupBow.feat").touch()
    (tree / "train" / "neg" / "urls.md").touch()
    corpus = opened(tmp_path if parent else tree)
    assert sorted(read(corpus)) == sorted(rows_of())
    assert read(corpus, "test") == [("Dull.", 0), ("Bright.", 1)]
    assert read(corpus, "unsupervised") == [("?", -1), ("!", -1)]
    assert [corpus.parts[part]().count() for part in corpus.parts] == [4, 2, 2]
    assert corpus.name == f"aclImdb folder {tmp_path.name if parent else 'aclImdb'}"
    assert corpus.held_out is None


def test_the_archive_without_unlabelled_reviews_has_no_such_part(tmp_path: Path) -> None:
    assert list(opened(write_tree(tmp_path, rows_of())).parts) == ["train", "test"]


@pytest.mark.parametrize("missing", ["train/neg", "test/pos"])
def test_what_the_archive_lacks_is_said_when_it_is_asked_for(tmp_path: Path, missing: str) -> None:
    write_tree(tmp_path, rows_of(), rows_of(), ["?"])
    for file in (tmp_path / missing).iterdir():
        file.unlink()
    part = "unsupervised" if "unsup" in missing else missing.split("/")[0]
    corpus = opened(tmp_path)
    assert refused(corpus.parts[part]) == (
        f"{tmp_path / missing} holds no .txt files: give the whole of aclImdb."
    )
    assert {"train", "test"} - {part} <= {name for name in corpus.parts if name != part}


@pytest.mark.parametrize("name", ["IMDB Dataset.csv", "IMDB Dataset.csv.gz", "imdb.csv"])
@pytest.mark.parametrize("folder", [False, True])
def test_kaggles_single_file_is_halved(tmp_path: Path, name: str, folder: bool) -> None:
    rows = [(text, "positive" if label else "negative") for text, label in rows_of()]
    file = write_rows(tmp_path / name, rows, ("review", "sentiment"))
    corpus = opened(tmp_path if folder else file)
    assert read(corpus, "all") == rows_of()
    assert (corpus.name, corpus.held_out, list(corpus.parts)) == (name, 0.5, ["all"])


def test_only_kaggles_csv_holds_all_of_imdb(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.parquet is not IMDB's only file: give a folder"):
        opened(write(tmp_path / "train.parquet"))


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "films" / "train.parquet")
    assert read(opened("~/films")) == rows_of()
    assert read(own("~/films/train.parquet"), "all") == rows_of()
    assert read(own("~/films/t*.parquet"), "all") == rows_of()


def test_the_test_split_is_not_opened_unasked(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    corpus = opened(tmp_path)
    assert stamp(corpus)
    assert read(corpus) == rows_of()


def test_a_missing_split_says_what_the_folder_holds(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    (tmp_path / "notes.txt").touch()
    assert refused(opened(tmp_path).parts["test"]) == (
        f"data.path={tmp_path} has no test.parquet (it holds notes.txt, train.parquet): "
        "give a folder with train.parquet and test.parquet."
    )


@pytest.mark.parametrize(
    ("files", "content"),
    [
        ([], "nothing"),
        (["notes.txt", "a.csv"], "a.csv, notes.txt"),
        ([f"{number}.txt" for number in range(9)], "0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, "),
    ],
)
def test_a_folder_of_no_known_form_says_what_it_holds(
    tmp_path: Path, files: list[str], content: str
) -> None:
    for file in files:
        (tmp_path / file).touch()
    sentence = refused(lambda: opened(tmp_path))
    start = f"data.path={tmp_path} has none of the forms of IMDB (it holds {content}"
    assert sentence.startswith(start)
    for form in ("train.parquet", "aclImdb", "IMDB Dataset.csv", "data=reviews"):
        assert form in sentence


def test_a_path_that_is_nothing_is_refused_at_once(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert refused(lambda: opened(absent)) == (
        f"data.path={absent} is no file or folder: give a folder with train.parquet and "
        "test.parquet, aclImdb with its train/pos and train/neg, or IMDB Dataset.csv."
    )


PLACES = [(Source.imdb, "path"), (Source.reviews, "path"), (Source.reviews, "test_path")]


@pytest.mark.parametrize(("source", "field"), PLACES)
@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("~nobody-at-all/x.csv", "Could not determine home directory"),
        (f"{'x' * 300}.csv", "File name too long"),
        ("x" * 300, "File name too long"),
        ("nul\0nul/*.csv", "embedded null byte"),
    ],
)
def test_what_the_system_has_against_a_path_is_said(
    tmp_path: Path, hub: Hub, source: Source, field: str, typed: str, reason: str
) -> None:
    given = {"path": str(write_rows(tmp_path / "a.csv", rows_of())), field: typed}
    sentence = refused(lambda: open_corpus(DataConfig(source=source, **given)))
    assert sentence.startswith(f"data.{field}={typed!r} cannot be read ({reason}")
    assert hub.calls == []


@pytest.mark.parametrize(("source", "field"), PLACES)
def test_a_nul_in_a_path_is_said_and_not_written(
    tmp_path: Path, source: Source, field: str
) -> None:
    given = {"path": str(write_rows(tmp_path / "a.csv", rows_of())), field: "nul\0nul.csv"}
    sentence = refused(lambda: open_corpus(DataConfig(source=source, **given)))
    assert sentence.startswith(f"data.{field}=")
    assert sentence.isprintable()


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-00001-of-00003.parquet")
    sentence = refused(opened(tmp_path).parts["train"])
    assert sentence.startswith(f"{tmp_path} holds 1 of the 3 files that train-00001-of-00003.parq")


def test_the_damaged_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train-00000.parquet")
    damaged = tmp_path / "train-00001.parquet"
    damaged.write_bytes(b"no Parquet")
    sentence = refused(lambda: read(opened(tmp_path)))
    assert sentence.startswith(f"{damaged}: it cannot be read (")


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").mkdir()
    corpus = opened(tmp_path)
    for ask in (read, stamp):
        assert refused(lambda ask=ask: ask(corpus)).startswith(f"{tmp_path / 'train.parquet'}: ")


# Reviews of one's own


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.parquet"])
def test_one_file_is_held_out_in_part(tmp_path: Path, name: str) -> None:
    corpus = own(write_rows(tmp_path / name, rows_of()), test_fraction=0.3)
    assert read(corpus, "all") == rows_of()
    assert (corpus.name, corpus.held_out, list(corpus.parts)) == (name, 0.3, ["all"])


def test_a_file_of_its_own_for_testing(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "a.csv", rows_of())
    test = write_rows(tmp_path / "b.jsonl", [("Dull.", 0), ("Bright.", 1)])
    corpus = own(train, test_path=str(test))
    assert read(corpus) == rows_of()
    assert read(corpus, "test") == [("Dull.", 0), ("Bright.", 1)]
    assert (corpus.name, corpus.held_out, list(corpus.parts)) == ("a.csv", None, ["train", "test"])


def test_columns_and_labels_are_those_that_are_named(tmp_path: Path) -> None:
    rows = [("x", "good"), ("y", "bad")]
    names = ("said", "grade")
    train = write_rows(tmp_path / "a.csv", rows, names)
    test = write_rows(tmp_path / "b.jsonl", rows[::-1], names)
    columns = {"text_column": "said", "label_column": "grade", "positive_label": "good"}
    corpus = own(train, test_path=str(test), **columns)
    assert read(corpus) == [("x", 1), ("y", 0)]
    assert read(corpus, "test") == [("y", 0), ("x", 1)]
    assert "data.label_column" in refused(lambda: read(own(train, text_column="said"), "all"))


def test_a_glob_gives_its_files_in_order(tmp_path: Path) -> None:
    for name, text in (("b/10.csv", "second"), ("b/2.csv", "third"), ("a/x.csv", "first")):
        write_rows(tmp_path / name, [(text, 1)])
    (tmp_path / "b" / "notes.txt").touch()
    corpus = own(tmp_path / "*" / "*.csv")
    assert [review.text for review in read(corpus, "all")] == ["first", "second", "third"]
    assert corpus.name == "x.csv and 2 more"
    assert read(own(tmp_path / "**" / "1?.csv"), "all") == [("second", 1)]


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    assert read(own(write_rows(tmp_path / "films [new].csv", rows_of())), "all") == rows_of()


@pytest.mark.parametrize("field", ["path", "test_path"])
def test_files_that_are_not_there_are_said(tmp_path: Path, hub: Hub, field: str) -> None:
    write_rows(tmp_path / "a.csv", rows_of())
    given: dict[str, Any] = {"source": Source.reviews, "path": str(tmp_path / "a.csv")}

    def sentence(value: Path | str) -> str:
        return refused(lambda: open_corpus(DataConfig(**{**given, field: str(value)})))

    absent = tmp_path / "absent.csv"
    assert sentence(absent) == f"data.{field}={absent} is no file: give one that is there."
    for name in ("absent.csv", "absent.txt", "some/absent.txt", "absent.parquet.gz"):
        assert sentence(name) == f"data.{field}={name} is no file: give one that is there."
    pattern = tmp_path / "*.tsv"
    assert sentence(pattern) == f"data.{field}={pattern} fits no file: give a glob that does."
    assert sentence(tmp_path) == (
        f"data.{field}={tmp_path} is a folder (it holds a.csv): "
        "give a file in it, or a glob such as 'folder/*.csv'."
    )
    assert hub.calls == []


def test_a_file_of_no_known_form_is_said_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A film.")
    sentence = refused(lambda: read(own(tmp_path / "a.txt"), "all"))
    assert sentence.startswith(f"{tmp_path / 'a.txt'}: its name ends in none of .csv, .tsv, ")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "it holds no review."),
        ([("a", 1), ("b", 1)], "all 2 labels are positive: both kinds must occur."),
        ([("a", 0)] * 3, "all 3 labels are negative: both kinds must occur."),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.parquet"])
def test_reviews_of_one_kind_are_refused(
    tmp_path: Path, name: str, rows: Rows, reason: str
) -> None:
    part = own(write_rows(tmp_path / name, rows)).parts["all"]()
    assert refused(lambda: tokenized(part, tmp_path / "cache")) == f"{tmp_path / name}: {reason}"
    assert not (tmp_path / "cache").exists()


def test_what_is_wrong_with_a_row_is_said_by_all_that_reads(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", [("a", 1), ("b", 2)])
    config = DataConfig(source=Source.reviews, path=str(file), cache=str(tmp_path / "cache"))
    sentence = refused(lambda: ReviewDataModule(config).identity)
    assert sentence.startswith(f"{file}: row 2: label '2' is not allowed: ")


# Stamps: when a source may have changed


def test_the_same_content_has_the_same_stamp(tmp_path: Path) -> None:
    write(tmp_path / "a" / "train.parquet")
    write(tmp_path / "b" / "test.parquet", ["else", "where"], [0, 1])
    os.utime(write(tmp_path / "b" / "plain_text" / "train-00000-of-00001.parquet"), (1, 1))
    assert stamp(opened(tmp_path / "a")) == stamp(opened(tmp_path / "b"))


@pytest.mark.parametrize(
    ("texts", "labels"), [([*TEXTS[:3], "!"], LABELS), (TEXTS[::-1], LABELS), (TEXTS, LABELS[::-1])]
)
@pytest.mark.parametrize("changed", ["train-00000.parquet", "train-00001.parquet"])
def test_other_content_has_another_stamp(
    tmp_path: Path, changed: str, texts: list[str], labels: list[int]
) -> None:
    for name in ("train-00000.parquet", "train-00001.parquet", "test.parquet"):
        write(tmp_path / name)
    before, same = stamp(opened(tmp_path)), stamp(opened(tmp_path), "test")
    write(tmp_path / changed, texts, labels)
    assert stamp(opened(tmp_path)) != before
    assert stamp(opened(tmp_path), "test") == same


def test_a_stamp_needs_no_readable_file(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"no Parquet")
    before = stamp(opened(tmp_path))
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    assert stamp(opened(tmp_path)) != before


def test_a_file_that_is_read_in_another_way_has_another_stamp(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", rows_of())
    ways = [{}, {"text_column": "text"}, {"label_column": "label"}, {"positive_label": "1"}]
    assert len({stamp(own(file, **way), "all") for way in ways}) == 4


def test_a_review_of_the_archive_that_changes_sides_changes_the_stamp(tmp_path: Path) -> None:
    write_tree(tmp_path, [("a", 0), ("b", 0), ("c", 1), ("d", 1)])
    before = stamp(opened(tmp_path))
    (tmp_path / "train/neg/1_0.txt").rename(tmp_path / "train/pos/1_7.txt")
    assert [label for _, label in read(opened(tmp_path))] == [0, 1, 1, 1]
    assert stamp(opened(tmp_path)) != before


def test_a_file_that_is_renamed_into_another_form_has_another_stamp(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", rows_of())
    before = stamp(own(file), "all")
    assert stamp(own(file.rename(tmp_path / "a.tsv")), "all") != before


def test_each_of_two_bad_files_is_named(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "twin/a.csv"):
        for rows, reason in (([("said twice", 3)], "row 1: label '3' "), ([], "it holds no rev")):
            file = write_rows(tmp_path / name, rows)
            part = own(file).parts["all"]()
            sentence = refused(lambda part=part: tokenized(part, tmp_path / "cache"))
            assert sentence.startswith(f"{file}: {reason}")


# The identity: what the reviews are


def invented(number: int, seed: int = 0) -> list[Review]:
    """Short reviews with copies, one text under both labels, and all that files may mistake."""
    draw = random.Random(seed)
    words = 'a film "quoted" dull, bright \t \n \r\n 映画 🎬 <br\xa0/> plot\0 \\n it\'s'.split(" ")
    rows = [
        Review(f"{' '.join(draw.choices(words, k=8))} {seed}.{row}", row % 2)
        for row in range(number - 6)
    ]
    rows += [rows[0], rows[0], rows[3], rows[8], Review("so-so", 0), Review("so-so", 1)]
    draw.shuffle(rows)
    return rows


TRAIN, TEST, ALL = invented(60), invented(30, seed=1), invented(90, seed=2)


def identity(tmp_path: Path, path: Path | str, test: bool = True, **fields: Any) -> str:
    # A cache of its own: nothing may come from that of another form.
    cache = mkdtemp(dir=tmp_path)
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
    assert identity(tmp_path, write_tree(tmp_path / "tree", TRAIN, TEST)) == expected
    for suffix in ("csv", "tsv", "jsonl", "csv.gz", "parquet"):
        folder = tmp_path / suffix
        one = write_rows(folder / f"train.{suffix}", TRAIN[::-1])
        other = write_rows(folder / f"test.{suffix}", sorted(TEST))
        files: dict[str, Any] = {"path": one, "test_path": str(other)}
        assert identity(tmp_path, source=Source.reviews, **files) == expected
    assert identity(tmp_path, tmp_path / "parquet", test=False) == train


def test_a_drawn_split_is_the_same_in_every_form_and_order(tmp_path: Path) -> None:
    def of(path: Path) -> str:
        return identity(tmp_path, path, source=Source.reviews, test_fraction=0.3)

    expected = of(write_rows(tmp_path / "a.csv", ALL))
    for name in ("a.tsv", "a.jsonl", "a.parquet", "a.jsonl.gz"):
        rows = random.Random(name).sample(ALL, len(ALL))
        assert of(write_rows(tmp_path / name, rows)) == expected
    for shard in range(4):
        write_rows(tmp_path / "shards" / f"{shard}.parquet", ALL[shard::4])
    assert of(tmp_path / "shards" / "*.parquet") == expected


def halves(tmp_path: Path, name: str = "imdb.csv") -> dict[str, list[Review]]:
    """Of ALL, as the module draws them."""
    file = write_rows(tmp_path / name, ALL)
    cache = str(tmp_path / "cache")
    module = ReviewDataModule(DataConfig(path=str(file), cache=cache))
    return {part: [ALL[row] for row in module.split(part).rows] for part in ("train", "test")}


def test_all_of_imdb_in_one_file_is_the_folder_of_its_halves(tmp_path: Path) -> None:
    found = halves(tmp_path)
    assert sorted(found["train"] + found["test"]) == sorted(ALL)
    folder = parquet_folder(tmp_path / "halves", found["train"][::-1], found["test"])
    expected = identity(tmp_path, folder)
    assert identity(tmp_path, tmp_path / "imdb.csv") == expected
    assert identity(tmp_path, tmp_path / "imdb.csv", test=False) == expected.split()[0]
    own_half: dict[str, Any] = {"source": Source.reviews, "test_fraction": 0.5}
    assert identity(tmp_path, tmp_path / "imdb.csv", **own_half) == expected


def test_halves_hold_half_of_each_label_and_share_no_text(tmp_path: Path) -> None:
    found = halves(tmp_path)
    assert not {text for text, _ in found["train"]} & {text for text, _ in found["test"]}
    for label in (0, 1):
        both = [sum(review.label == label for review in rows) for rows in found.values()]
        assert sum(both) == sum(review.label == label for review in ALL)
        assert abs(both[0] - both[1]) <= 4  # no more than a group of copies


def test_the_split_seed_does_not_move_what_is_held_out(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.csv", ALL)
    drawn = {identity(tmp_path, file, split_seed=seed) for seed in (0, 1, 2)}
    assert len(drawn) == 1
    fractions = (0.2, 0.5)
    own_files: dict[str, Any] = {"source": Source.reviews, "path": file}
    assert len({identity(tmp_path, test_fraction=f, **own_files) for f in fractions}) == 2


@pytest.mark.parametrize("place", [0, 17, 59])
def test_one_character_or_one_label_is_another_identity(tmp_path: Path, place: int) -> None:
    text, label = TRAIN[place]
    others: list[Rows] = [
        [*TRAIN[:place], *changed, *TRAIN[place + 1 :]]
        for changed in (
            [Review(f"{text} ", label)],
            [Review(text[:-1] + ("!" if text[-1] == "?" else "?"), label)],
            [Review(text, 1 - label)],
            [],
            [TRAIN[place]] * 2,
        )
    ]
    before = identity(tmp_path, parquet_folder(tmp_path / "films"))
    seen = {before}
    for train in others:
        now = identity(tmp_path, parquet_folder(tmp_path / "films", train))
        assert now.split()[1] == before.split()[1]
        seen.add(now)
    assert len(seen) == 6


def test_labels_that_change_places_are_another_identity(tmp_path: Path) -> None:
    one = parquet_folder(tmp_path / "a", [Review("a", 0), Review("b", 1), Review("c", 0)])
    other = parquet_folder(tmp_path / "b", [Review("a", 1), Review("b", 0), Review("c", 0)])
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
    write_rows(tmp_path / "a.csv", [Review(ALL[0].text + ".", ALL[0].label), *ALL[1:]])
    assert now() != before


# The hub


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_hub_is_asked_for_one_split_of_the_pinned_revision(hub: Hub, split: str) -> None:
    part = open_corpus(DataConfig()).parts[split]()
    assert list(part.read()) == list(part.read()) == rows_of()
    expected = {"split": split, "revision": REVISION}
    assert hub.calls == [(("stanfordnlp/imdb", "plain_text"), expected)]


def test_unlabelled_reviews_of_the_hub(hub: Hub) -> None:
    hub.answer = datasets.Dataset.from_dict({"text": TEXTS, "label": [-1] * 4})
    corpus = open_corpus(DataConfig())
    assert read(corpus, "unsupervised") == rows_of(labels=[-1] * 4)


def test_the_hubs_stamp_is_its_revision_and_needs_no_network(hub: Hub) -> None:
    corpus = open_corpus(DataConfig())
    assert stamp(corpus) == f"stanfordnlp/imdb@{REVISION}-train"
    assert stamp(corpus, "test") == f"stanfordnlp/imdb@{REVISION}-test"
    assert hub.calls == []


ERRORS = [
    ConnectionError("Couldn't reach the Hub"),
    FileNotFoundError("no such data set"),
    ValueError("Unknown split\n\nof many lines"),
    datasets.exceptions.DatasetNotFoundError("gone"),
    datasets.exceptions.DatasetGenerationError("half of it"),
    RuntimeError("Dataset scripts are no longer supported, but found films.py"),
    OSError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_hub_out_of_reach_says_what_to_do_instead(hub: Hub, error: Exception) -> None:
    hub.answer = error
    start = "cannot be fetched from the Hugging Face hub"
    reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    assert refused(lambda: read(open_corpus(DataConfig()))) == (
        f"stanfordnlp/imdb {start} ({reason}): "
        "give data.path=FOLDER with IMDB's files, or data=synthetic, which needs no network."
    )
    assert refused(lambda: own("somebody/films")) == (
        f"somebody/films {start} ({reason}): data.path=somebody/films is no file here: give one, "
        "or a data set that can be fetched, or data=synthetic, which needs no network."
    )


def test_a_hub_out_of_reach_is_asked_once_in_a_command(hub: Hub) -> None:
    hub.answer, answer = ConnectionError("Couldn't reach the Hub"), of_the_hub(train=rows_of())
    assert refused(lambda: own("a/films")) == refused(lambda: own("a/films"))
    assert len(hub.calls) == 1
    hub.answer = answer
    begin_command()
    assert read(own("a/films"), "all") == rows_of()


@pytest.mark.parametrize("name", ["films", "somebody/films", "somebody/films:new@v1.0"])
def test_offline_a_name_that_is_no_file_is_said_to_be_neither(name: str) -> None:
    sentence = refused(lambda: own(name))
    assert sentence.startswith(f"{name.split(':')[0]} cannot be fetched from the Hugging Face hub ")
    assert f"data.path={name} is no file here: give one" in sentence


def test_reviews_of_the_hub_are_checked_like_others(hub: Hub) -> None:
    hub.answer = datasets.Dataset.from_dict({"text": TEXTS, "label": [1, 0, -1, -1]})
    sentence = refused(lambda: read(open_corpus(DataConfig())))
    assert sentence.startswith("stanfordnlp/imdb, train: row 3: label '-1' is not allowed")


def of_the_hub(**splits: Rows) -> datasets.DatasetDict:
    """Labels by their names, as the hub often has them."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    columns = {
        split: {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
        for split, rows in splits.items()
    }
    return datasets.DatasetDict(
        {split: datasets.Dataset.from_dict(rows, features) for split, rows in columns.items()}
    )


@pytest.mark.parametrize(
    ("typed", "name", "subset", "revision"),
    [
        ("films", "films", None, None),
        ("some-body/films_2.0", "some-body/films_2.0", None, None),
        ("a/films:new", "a/films", "new", None),
        ("a/films@v1.0", "a/films", None, "v1.0"),
        ("a/films:new@0fe1", "a/films", "new", "0fe1"),
        ("films@refs/pr/1", "films", None, "refs/pr/1"),
        ("a/films:new@refs/convert/parquet", "a/films", "new", "refs/convert/parquet"),
        ("a/films:20220301.en", "a/films", "20220301.en", None),
    ],
)
def test_a_data_set_of_the_hub_with_subset_and_revision(
    hub: Hub, typed: str, name: str, subset: str | None, revision: str | None
) -> None:
    hub.answer = of_the_hub(train=rows_of(), test=[("Dull.", 0), ("Bright.", 1)])
    corpus = own(typed)
    assert hub.calls == [((name, subset), {"split": None, "revision": revision})]
    assert (read(corpus), corpus.name, corpus.held_out) == (rows_of(), typed, None)
    assert read(corpus, "test") == [("Dull.", 0), ("Bright.", 1)]
    assert [corpus.parts[part]().count() for part in corpus.parts] == [4, 2]


def test_a_data_set_without_a_test_split_is_held_out_in_part(hub: Hub) -> None:
    hub.answer = of_the_hub(train=rows_of(), validation=rows_of())
    corpus = own("a/films", test_fraction=0.4)
    assert (read(corpus, "all"), corpus.held_out, list(corpus.parts)) == (rows_of(), 0.4, ["all"])


@pytest.mark.parametrize("more", [{}, {"test": [("x", 0)]}])
def test_a_file_may_test_what_the_hub_trains(tmp_path: Path, hub: Hub, more: Any) -> None:
    hub.answer = of_the_hub(train=rows_of(), **more)
    test = write_rows(tmp_path / "b.csv", [("Dull.", 0), ("Bright.", 1)])
    corpus = own("a/films", test_path=str(test))
    assert (read(corpus), corpus.held_out) == (rows_of(), None)
    assert read(corpus, "test") == [("Dull.", 0), ("Bright.", 1)]


def test_a_data_set_may_have_unlabelled_reviews(hub: Hub) -> None:
    hub.answer = of_the_hub(train=rows_of(), test=rows_of(), unsupervised=[("?", -1)])
    assert read(own("a/films"), "unsupervised") == [("?", -1)]


def test_a_data_set_without_a_train_split_says_what_it_has(hub: Hub) -> None:
    hub.answer = of_the_hub(validation=rows_of(), test=rows_of())
    sentence = refused(lambda: own("a/films:new"))
    assert sentence == "a/films:new has no split train, only validation, test."


def test_a_data_set_of_the_hub_has_columns_too(hub: Hub) -> None:
    table = {"said": ["a", "b"], "stars": ["5", "1"]}
    hub.answer = datasets.DatasetDict({"train": datasets.Dataset.from_dict(table)})
    columns = {"text_column": "said", "label_column": "stars", "positive_label": "5"}
    assert read(own("a/films", **columns), "all") == [("a", 1), ("b", 0)]
    sentence = refused(lambda: read(own("a/films"), "all"))
    assert sentence.startswith("a/films, train: there is no column text or review, only said, st")


def test_another_version_of_a_data_set_has_another_stamp(hub: Hub) -> None:
    hub.answer = of_the_hub(train=rows_of())
    before = stamp(own("a/films"), "all")
    assert stamp(own("a/films"), "all") == before
    assert stamp(own("a/films", positive_label="1"), "all") != before
    hub.answer = of_the_hub(train=rows_of(labels=LABELS[::-1]))
    assert stamp(own("a/films"), "all") != before


def test_the_hub_gives_the_same_identity_as_files(tmp_path: Path, hub: Hub) -> None:
    hub.answer = of_the_hub(train=TRAIN[::-1], test=TEST)
    expected = identity(tmp_path, parquet_folder(tmp_path / "films"))
    assert identity(tmp_path, "a/films", source=Source.reviews) == expected


# The grammar


def test_synthetic_splits_are_of_the_grammar_and_share_no_review(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "train", 40)
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "test", 20)
    corpus = open_corpus(DataConfig(source=Source.synthetic))
    found = {}
    for split, size in (("train", 40), ("test", 20)):
        texts, labels = synthetic.generate(size, reviews.SYNTHETIC_SEED[split])
        assert read(corpus, split) == rows_of(texts, labels.tolist())
        assert corpus.parts[split]().count() == size
        found[split] = set(texts)
    assert not found["train"] & found["test"]
    assert sum(label for _, label in read(corpus)) == 20


def test_the_synthetic_stamp_is_grammar_size_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    def stamps() -> set[str]:
        corpus = open_corpus(DataConfig(source=Source.synthetic))
        return {stamp(corpus, "train"), stamp(corpus, "test")}

    before = stamps()
    assert len(before) == 2
    monkeypatch.setattr(synthetic, "GRAMMAR", 77)
    assert not stamps() & before
    monkeypatch.undo()
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "train", 41)
    assert len(stamps() & before) == 1
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "test", 41)
    assert len(stamps()) == 2
