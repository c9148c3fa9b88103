import errno
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_sentiment.data import corpus as module
from lstm_sentiment.data.corpus import ARRAYS, TokenizedReviews, tokenized
from lstm_sentiment.data.reviews import Corpus, Reviews
from lstm_sentiment.data.tokens import UNK, UNK_ID, Vocabulary, tokenize
from lstm_sentiment.errors import InputError

CHECKED = settings(deadline=None, max_examples=40, derandomize=True)
TEXTS = st.lists(
    st.sampled_from(["Good. Bad!", "good. bad!", "", "<br>", "It's\ud83d", "a b a"]) | st.text(),
    min_size=1,
    max_size=12,
)
FILES = ["words.json", "checksums.json", *(f"{name}.npy" for name in ARRAYS)]


def of(texts: Sequence[str], name: str = "films") -> Corpus:
    labels = (np.arange(len(texts)) % 2).astype(np.int8)
    return Corpus(name, f"{name}-{{}}".format, lambda _: Reviews(texts, labels))


def unreadable(name: str = "films") -> Corpus:
    def read(_: str) -> Reviews:
        raise AssertionError("the text was read")

    return Corpus(name, f"{name}-{{}}".format, read)


def spelled(reviews: TokenizedReviews) -> list[list[str]]:
    return [
        [reviews.words[number] for number in reviews.tokens[start:end]]
        for start, end in pairwise(reviews.offsets)
    ]


def assert_same(one: TokenizedReviews, other: TokenizedReviews) -> None:
    assert one.words == other.words
    for name in ARRAYS:
        assert getattr(one, name).dtype == getattr(other, name).dtype
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_worked_example(tmp_path: Path) -> None:
    reviews = tokenized(of(["Bad. Bad!", "<br/>", "a bad", "Bad. Bad!", "a bad"]), "test", tmp_path)
    assert reviews.words == ["!", ".", "<unk>", "a", "bad"]
    assert reviews.tokens.tolist() == [4, 1, 4, 0, 2, 3, 4, 4, 1, 4, 0, 3, 4]
    assert reviews.offsets.tolist() == [0, 4, 5, 7, 11, 13]
    assert reviews.labels.tolist() == [0, 1, 0, 1, 0]
    assert reviews.copies.tolist() == [0, 1, 2, 0, 2]
    assert (reviews.tokens.dtype, reviews.offsets.dtype) == (np.int32, np.int64)


@CHECKED
@given(TEXTS)
@example(["good " * 20_000, "🎬"])
def test_tokens_and_copies_are_those_of_the_texts(texts: list[str]) -> None:
    with TemporaryDirectory() as cache:
        fresh = tokenized(of(texts), "train", Path(cache))
        loaded = tokenized(unreadable(), "train", Path(cache))
        assert spelled(fresh) == [tokenize(text) for text in texts]
        assert fresh.words == sorted({token for text in texts for token in tokenize(text)})
        assert fresh.copies.tolist() == [texts.index(text) for text in texts]
        assert_same(loaded, fresh)


@CHECKED
@given(TEXTS, st.data())
def test_count_is_that_of_the_chosen_reviews(texts: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True))
    with TemporaryDirectory() as cache:
        reviews = tokenized(of(texts), "train", Path(cache))
    counts = reviews.count(np.array(rows, np.int64))
    expected = Counter(token for row in rows for token in tokenize(texts[row]))
    assert counts.tolist() == [expected[word] for word in reviews.words]


def test_lookup_gives_each_word_its_id(tmp_path: Path) -> None:
    reviews = tokenized(of(["b a", "c <unk>"]), "train", tmp_path)
    assert reviews.words == ["<unk>", "a", "b", "c"]
    lookup = reviews.lookup(Vocabulary(["<pad>", UNK, "c", "zebra", "a"]))
    assert lookup.tolist() == [UNK_ID, 4, UNK_ID, 2]


def test_the_second_time_no_text_is_read(tmp_path: Path) -> None:
    fresh = tokenized(of(["Good.", "Bad."]), "train", tmp_path)
    assert_same(tokenized(unreadable(), "train", tmp_path), fresh)
    with pytest.raises(AssertionError, match="the text was read"):
        tokenized(unreadable(), "test", tmp_path)


def test_another_tokenizer_reads_the_text_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized(of(["Good.", "Bad."]), "train", tmp_path)
    monkeypatch.setattr(module, "TOKENIZER", "another")
    monkeypatch.setattr(module, "tokenize", str.split)
    assert spelled(tokenized(of(["Good.", "Bad."]), "train", tmp_path)) == [["Good."], ["Bad."]]
    monkeypatch.undo()
    assert spelled(tokenized(unreadable(), "train", tmp_path)) == [["good", "."], ["bad", "."]]


def test_corpora_and_splits_do_not_share_a_folder(tmp_path: Path) -> None:
    for corpus, split in [("films", "train"), ("films", "test"), ("books", "train")]:
        tokenized(of([f"{corpus} {split}", "?"], corpus), split, tmp_path)
    assert spelled(tokenized(unreadable(), "train", tmp_path))[0] == ["films", "train"]
    assert spelled(tokenized(unreadable(), "test", tmp_path))[0] == ["films", "test"]
    assert spelled(tokenized(unreadable("books"), "train", tmp_path))[0] == ["books", "train"]


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_bytes(b"no such format"),
        lambda file: file.write_bytes(bytes(file.stat().st_size)),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: file.write_bytes(file.read_bytes()[:-2] + flipped(file.read_bytes()[-2:])),
    ],
    ids=["gone", "empty", "cut", "half", "garbage", "zeros", "folder", "bit"],
)
def test_a_damaged_cache_is_made_anew(
    tmp_path: Path, file: str, damage: Callable[[Path], object]
) -> None:
    corpus = of(["Good. " * 50, "Bad.", "Good. " * 50])
    whole = tokenized(corpus, "train", tmp_path)
    (folder,) = tmp_path.iterdir()
    damage(folder / file)
    assert_same(tokenized(corpus, "train", tmp_path), whole)
    assert_same(tokenized(unreadable(), "train", tmp_path), whole)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokens.npy", b"\x93NUMPY\x01\x00\x04\x00{'''"),
        ("words.json", b'["good"]'),
    ],
)
def test_a_cache_that_does_not_fit_together_is_made_anew(
    tmp_path: Path, file: str, content: bytes
) -> None:
    corpus = of(["Good.", "Bad."])
    whole = tokenized(corpus, "train", tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / file).write_bytes(content)
    assert_same(tokenized(corpus, "train", tmp_path), whole)


def test_the_cache_holds_one_folder_a_split_and_no_drafts(tmp_path: Path) -> None:
    cache = tmp_path / "not" / "yet" / "there"
    for split in ("train", "test", "train"):
        tokenized(of(["Good.", "Bad."]), split, cache)
    assert len(list(cache.iterdir())) == 2
    for folder in cache.iterdir():
        assert not folder.name.startswith(".")
        assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tokenized(of(["Good.", "Bad."]), "train", Path("~/cache"))
    assert [folder.name for folder in tmp_path.iterdir()] == ["cache"]


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\): give a") as error:
        tokenized(of(["Good.", "Bad."]), "train", cache)
    assert f"data.cache={cache} " in str(error.value)


def test_a_corpus_that_cannot_be_read_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the text was read"):
        tokenized(unreadable(), "train", tmp_path / "cache")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "reason",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        pytest.param(
            OSError("4096 requested and 512 written"),  # NumPy's own, where some of it still fits
        ),
    ],
    ids=str,
)
def test_a_full_disk_is_said_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: OSError
) -> None:
    def save(file: Path, _: np.ndarray) -> None:
        file.write_bytes(b"some")
        raise reason

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(InputError, match=r"^data\.cache=.* cannot be written \(") as error:
        tokenized(of(["Good.", "Bad."]), "train", tmp_path)
    assert not list(tmp_path.iterdir())
    assert (reason.strerror or str(reason)) in str(error.value)


def test_another_process_that_was_first_does_no_harm(tmp_path: Path) -> None:
    def read(split: str) -> Reviews:
        tokenized(of(["Good.", "Bad."]), split, tmp_path)
        return Reviews(["Good.", "Bad."], np.array([0, 1], np.int8))

    corpus = Corpus("films", "films-{}".format, read)
    assert_same(tokenized(corpus, "train", tmp_path), tokenized(unreadable(), "train", tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_where_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], progress: bool
) -> None:
    tokenized(of(["Good.", "Bad."]), "train", tmp_path, progress)
    assert ("tokenizing train" in capsys.readouterr().out) == progress
