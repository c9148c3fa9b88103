import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data import reviews, synthetic
from lstm_sentiment.data.reviews import Corpus, open_corpus
from lstm_sentiment.errors import InputError

TEXTS = ["A warm and clever film.", "I looked at my watch.<br />Often.", " 映画 \0 🎬\n", ""]
LABELS = [1, 0, 1, 0]


def write(file: Path, texts: Any = TEXTS, labels: Any = LABELS, **more: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"label": labels, "text": texts, **more}), file)
    return file


def opened(folder: Path) -> Corpus:
    return open_corpus(DataConfig(path=str(folder)))


def test_a_folder_gives_texts_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", url=["w", "x", "y", "z"])
    write(tmp_path / "test.parquet", ["Dull.", "Bright."], [0, 1])
    corpus = opened(tmp_path)
    texts, labels = corpus.read("train")
    assert list(texts) == TEXTS
    assert labels.tolist() == LABELS
    assert labels.dtype == np.int8
    assert list(corpus.read("test").texts) == ["Dull.", "Bright."]
    assert corpus.name == f"Parquet folder {tmp_path.name}"


@pytest.mark.parametrize("layout", ["", "plain_text"])
def test_the_hubs_own_layout_is_read_shard_by_shard(tmp_path: Path, layout: str) -> None:
    write(tmp_path / layout / "train-00001-of-00002.parquet", ["third", "fourth"], [1, 1])
    write(tmp_path / layout / "train-00000-of-00002.parquet", ["first", "second"], [0, 0])
    write(tmp_path / layout / "test-00000-of-00001.parquet", ["other", "one"], [0, 1])
    corpus = opened(tmp_path)
    texts, labels = corpus.read("train")
    assert list(texts) == ["first", "second", "third", "fourth"]
    assert labels.tolist() == [0, 0, 1, 1]
    assert list(corpus.read("test").texts) == ["other", "one"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("labels", [[1, 0, 1, 0], [1.0, 0.0, 1.0, 0.0], [True, False, True, False]])
def test_kinds_of_columns_that_mean_the_same(
    tmp_path: Path, kind: pa.DataType, labels: Sequence[object]
) -> None:
    write(tmp_path / "train.parquet", pa.array(TEXTS, kind), labels)
    texts, read = opened(tmp_path).read("train")
    assert list(texts) == TEXTS
    assert read.tolist() == LABELS


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "films" / "train.parquet")
    assert list(open_corpus(DataConfig(path="~/films")).read("train").texts) == TEXTS


def test_the_same_content_is_the_same_data(tmp_path: Path) -> None:
    write(tmp_path / "a" / "train.parquet")
    write(tmp_path / "b" / "test.parquet", ["else", "where"], [0, 1])
    os.utime(write(tmp_path / "b" / "plain_text" / "train-00000-of-00001.parquet"), (1, 1))
    assert opened(tmp_path / "a").identify("train") == opened(tmp_path / "b").identify("train")


@pytest.mark.parametrize(
    ("texts", "labels"), [([*TEXTS[:3], "!"], LABELS), (TEXTS[::-1], LABELS), (TEXTS, LABELS[::-1])]
)
@pytest.mark.parametrize("changed", ["train-00000.parquet", "train-00001.parquet"])
def test_other_content_is_other_data(
    tmp_path: Path, changed: str, texts: list[str], labels: list[int]
) -> None:
    for name in ("train-00000.parquet", "train-00001.parquet", "test.parquet"):
        write(tmp_path / name)
    before, same = opened(tmp_path).identify("train"), opened(tmp_path).identify("test")
    write(tmp_path / changed, texts, labels)
    assert opened(tmp_path).identify("train") != before
    assert opened(tmp_path).identify("test") == same


def test_identity_needs_no_readable_file(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"no Parquet")
    before = opened(tmp_path).identify("train")
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    assert opened(tmp_path).identify("train") != before


def test_the_test_split_is_not_opened_unasked(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet")
    corpus = opened(tmp_path)
    assert corpus.identify("train")
    assert list(corpus.read("train").texts) == TEXTS


@pytest.mark.parametrize("ask", ["identify", "read"])
def test_a_missing_split_says_what_the_folder_holds(tmp_path: Path, ask: str) -> None:
    write(tmp_path / "train.parquet")
    (tmp_path / "notes.txt").touch()
    corpus = opened(tmp_path)
    with pytest.raises(
        InputError, match=r"no test\.parquet \(it holds notes\.txt, train\.par"
    ) as e:
        getattr(corpus, ask)("test")
    assert str(tmp_path) in str(e.value)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no train\.parquet \(it holds nothing\)"):
        opened(tmp_path).identify("train")


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_path_that_is_no_folder_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=rf"data\.path=.*{name} is no folder: give one that"):
        opened(tmp_path / name)


@pytest.mark.parametrize(
    ("texts", "labels", "reason"),
    [
        (["a", None], [0, 1], r"a text or a label is missing \(null\)"),
        (["a", "b"], [0, None], r"a text or a label is missing \(null\)"),
        ([1, 2], [0, 1], "column text holds int64"),
        ([b"a", b"b"], [0, 1], "column text holds binary"),
        ([["a"], ["b"]], [0, 1], "column text holds list<.*>"),
        (["a", "b", "c"], [0, 1, 2], "label 2 is not allowed: 0 is negative, 1 positive"),
        (["a", "b", "c"], [-1, 0, 1], "label -1 is not allowed"),
        (["a", "b", "c"], [0.0, 0.5, 1.0], r"label 0\.5 is not allowed"),
        (["a", "b", "c"], [0.0, float("nan"), 1.0], "label nan is not allowed"),
        (["a", "b"], ["neg", "pos"], "label neg is not allowed"),
        (["a", "b"], [1, 1], "all 2 labels are alike: both 0 and 1 must occur"),
        (["a", "b", "c"], [0, 0, 0], "all 3 labels are alike"),
        (pa.array([], pa.string()), pa.array([], pa.int64()), "all 0 labels are alike"),
    ],
)
def test_bad_columns_are_refused(tmp_path: Path, texts: Any, labels: Any, reason: str) -> None:
    write(tmp_path / "train.parquet", texts, labels)
    with pytest.raises(InputError, match=rf"^train\.parquet: {reason}"):
        opened(tmp_path).read("train")


@pytest.mark.parametrize("column", ["text", "label"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    table = pa.table({"text": TEXTS, "label": LABELS, "stars": [1, 2, 3, 4]})
    pq.write_table(table.drop_columns([column]), tmp_path / "train.parquet")
    with pytest.raises(InputError, match=rf"train\.parquet cannot be read .*\({column}\)"):
        opened(tmp_path).read("train")


@pytest.mark.parametrize("kept", [0, 3, 200, -1])
def test_a_file_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    file = write(tmp_path / "train.parquet")
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"train\.parquet cannot be read as Parquet") as e:
        opened(tmp_path).read("train")
    assert str(file) in str(e.value)
    assert "\n" not in str(e.value)


def test_shards_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-00000.parquet")
    write(tmp_path / "train-00001.parquet", labels=["pos", "neg", "pos", "neg"])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        opened(tmp_path).read("train")


def test_the_damaged_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train-00000.parquet")
    (tmp_path / "train-00001.parquet").write_bytes(b"no Parquet")
    with pytest.raises(InputError, match=r"train-00001\.parquet cannot be read"):
        opened(tmp_path).read("train")


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-00001-of-00003.parquet")
    with pytest.raises(InputError, match="of-00003"):
        opened(tmp_path).read("train")


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    offsets = pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes())
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xffa")])
    write(tmp_path / "train.parquet", texts, [0, 1])
    with pytest.raises(InputError, match=r"^train\.parquet: "):
        opened(tmp_path).read("train")


@pytest.mark.parametrize("labels", [[[0], [1]], [{"stars": 0}, {"stars": 1}]])
def test_labels_that_are_no_scalars_are_refused(tmp_path: Path, labels: list[object]) -> None:
    write(tmp_path / "train.parquet", ["a", "b"], labels)
    with pytest.raises(InputError, match=r"^train\.parquet: .*label"):
        opened(tmp_path).read("train")


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").mkdir()
    with pytest.raises(InputError, match=r"train\.parquet"):
        opened(tmp_path).identify("train")


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


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_hub_is_asked_for_one_split_of_the_pinned_revision(hub: Hub, split: str) -> None:
    texts, labels = open_corpus(DataConfig()).read(split)
    assert list(texts) == TEXTS
    assert labels.tolist() == LABELS
    revision = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
    expected = {"split": split, "revision": revision}
    assert hub.calls == [(("stanfordnlp/imdb", "plain_text"), expected)]


def test_the_hubs_identity_is_its_revision_and_needs_no_network(hub: Hub) -> None:
    corpus = open_corpus(DataConfig())
    revision = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
    assert corpus.identify("train") == f"stanfordnlp/imdb@{revision}-train"
    assert corpus.identify("test") == f"stanfordnlp/imdb@{revision}-test"
    assert hub.calls == []


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach the Hub"),
        FileNotFoundError("no such data set"),
        datasets.exceptions.DatasetNotFoundError("gone"),
        datasets.exceptions.DatasetGenerationError("half of it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_hub_out_of_reach_says_what_to_do_instead(hub: Hub, error: Exception) -> None:
    hub.answer = error
    with pytest.raises(InputError) as raised:
        open_corpus(DataConfig()).read("train")
    for part in ("stanfordnlp/imdb", type(error).__name__, "data.path=", "data=synthetic"):
        assert part in str(raised.value)
    assert raised.value.__cause__ is error


def test_reviews_of_the_hub_are_checked_like_others(hub: Hub) -> None:
    hub.answer = datasets.Dataset.from_dict({"text": TEXTS, "label": [1, 0, -1, -1]})
    with pytest.raises(InputError, match="stanfordnlp/imdb, train: label -1 is not allowed"):
        open_corpus(DataConfig()).read("train")


def test_synthetic_splits_are_of_the_grammar_and_share_no_review(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "train", 40)
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "test", 20)
    corpus = open_corpus(DataConfig(source=Source.synthetic))
    train, test = corpus.read("train"), corpus.read("test")
    assert (list(train.texts), list(test.texts)) == (
        synthetic.generate(40, reviews.SYNTHETIC_SEED["train"])[0],
        synthetic.generate(20, reviews.SYNTHETIC_SEED["test"])[0],
    )
    assert not set(train.texts) & set(test.texts)
    assert train.labels.sum() == 20


def test_the_synthetic_identity_is_grammar_size_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    def identities() -> set[str]:
        corpus = open_corpus(DataConfig(source=Source.synthetic))
        return {corpus.identify("train"), corpus.identify("test")}

    before = identities()
    assert len(before) == 2
    monkeypatch.setattr(synthetic, "GRAMMAR", 77)
    assert not identities() & before
    monkeypatch.undo()
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "train", 41)
    assert len(identities() & before) == 1
    monkeypatch.setitem(reviews.SYNTHETIC_SIZE, "test", 41)
    assert len(identities()) == 2
