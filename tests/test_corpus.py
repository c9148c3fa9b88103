import errno
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_sentiment.data import corpus as module
from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.cache import begin_command
from lstm_sentiment.data.corpus import ARRAYS, TokenizedReviews, tokenized
from lstm_sentiment.data.formats import UNLABELLED
from lstm_sentiment.data.reviews import Part, Review
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokens import UNK, UNK_ID, Vocabulary, tokenize
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import sole_writer

CHECKED = settings(deadline=None, max_examples=40, derandomize=True)
ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates, too
TEXTS = st.lists(
    st.sampled_from(["Good. Bad!", "good. bad!", "", "<br>", "It's\ud83d", "a b a"]) | ANY_TEXT,
    min_size=1,
    max_size=12,
)
FILES = ["words.json", "checksums.json", *(f"{name}.npy" for name in ARRAYS)]


def of(texts: Sequence[str], name: str = "films", labels: Sequence[int] | None = None) -> Part:
    """Both labels by turns, where there is more than one text, or these."""
    if labels is None:
        labels = [row % 2 for row in range(len(texts))] if len(texts) > 1 else [UNLABELLED]
    return Part(name, lambda: name, lambda: map(Review, texts, labels), lambda: len(texts))


def unreadable(name: str = "films") -> Part:
    def read() -> Iterator[Review]:
        raise AssertionError("the text was read")

    return Part(name, lambda: name, read)


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
    texts = ["Bad. Bad!", "<br/>", "a bad", "Bad. Bad!", "a bad"]
    reviews = tokenized(of(texts), tmp_path)
    assert reviews.words == ["!", ".", "<unk>", "a", "bad"]
    assert reviews.tokens.tolist() == [4, 1, 4, 0, 2, 3, 4, 4, 1, 4, 0, 3, 4]
    assert reviews.offsets.tolist() == [0, 4, 5, 7, 11, 13]
    assert reviews.labels.tolist() == [0, 1, 0, 1, 0]
    assert (reviews.tokens.dtype, reviews.offsets.dtype) == (np.int32, np.int64)
    assert reviews.of(2).tolist() == [3, 4]
    assert reviews.spelled(3) == ["bad", ".", "bad", "!"]
    for text, digest in zip(texts, reviews.digests, strict=True):
        assert digest.astype("<u8").tobytes() == blake2b(text.encode(), digest_size=16).digest()


@CHECKED
@given(TEXTS)
@example(["good " * 20_000, "🎬"])
def test_tokens_and_digests_are_those_of_the_texts(texts: list[str]) -> None:
    with TemporaryDirectory() as cache:
        fresh = tokenized(of(texts), cache)
        loaded = tokenized(unreadable(), cache)
        assert spelled(fresh) == [tokenize(text) for text in texts]
        assert fresh.words == sorted({token for text in texts for token in tokenize(text)})
        digests = [digest.tobytes() for digest in fresh.digests]
        assert [digests.index(digest) for digest in digests] == list(map(texts.index, texts))
        assert_same(loaded, fresh)


@CHECKED
@given(TEXTS)
@example(
    ["é" * 100_000, "<br>" * 25_000, "", "\udc80", "🎬" * 9, "映画 " * 33_333, "\0", "A\u0130"]
)
def test_texts_come_back_from_the_ids_of_their_words(texts: list[str]) -> None:
    with TemporaryDirectory() as cache:
        tokenized(of(texts), cache)
        reviews = tokenized(unreadable(), cache)
        split = Split.whole(reviews)
        counts = reviews.count(split.rows)
        vocabulary = Vocabulary.most_frequent(reviews.words, counts, len(reviews.words) + 2)
        encoded = EncodedReviews(reviews, split.rows, reviews.lookup(vocabulary), 200_000)
        batch = encoded[np.arange(len(texts))]
        assert sorted(batch.rows.tolist()) == list(range(len(texts)))
        for ids, length, row in zip(batch.ids, batch.lengths, batch.rows, strict=True):
            expected = [UNK if token == "<pad>" else token for token in tokenize(texts[row])]
            assert vocabulary.decode(ids[:length]) == expected
            assert not ids[length:].any()


def test_lone_surrogates_that_came_to_stand_side_by_side_stay_two(tmp_path: Path) -> None:
    texts = ['a \ud83d"\ude00 b', "a 😀 b"]  # the tokenizer takes the quote out
    assert spelled(tokenized(of(texts), tmp_path)) == [tokenize(text) for text in texts]


@CHECKED
@given(TEXTS, st.data())
def test_count_is_that_of_the_chosen_reviews(texts: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True))
    with TemporaryDirectory() as cache:
        reviews = tokenized(of(texts), cache)
    expected = Counter(token for row in rows for token in tokenize(texts[row]))
    for at_once in (1, 2, 3, 7, module.TOKENS_AT_ONCE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "TOKENS_AT_ONCE", at_once)
            counts = reviews.count(np.array(rows, np.int64))
        assert counts.tolist() == [expected[word] for word in reviews.words], at_once
        assert counts.dtype == np.int64


def test_count_takes_so_many_tokens_at_once_as_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = tokenized(of(["a " * length for length in (2, 3, 9, 1, 4, 5, 1)]), tmp_path)
    taken: list[int] = []
    count = np.bincount

    def observed(numbers: np.ndarray, minlength: int) -> np.ndarray:
        taken.append(len(numbers))
        return count(numbers, minlength=minlength)

    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 5)
    monkeypatch.setattr(np, "bincount", observed)
    assert reviews.count(np.arange(7)).tolist() == [25]
    assert taken == [5, 9, 5, 5, 1]  # one review is never cut


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_numbers_are_by_spelling_in_whatever_blocks_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", at_once)
    reviews = tokenized(of(["z y x", "a z", "m"]), tmp_path)
    assert reviews.words == ["a", "m", "x", "y", "z"]
    assert reviews.tokens.tolist() == [4, 3, 2, 0, 4, 1]


def test_lookup_gives_each_word_its_id(tmp_path: Path) -> None:
    reviews = tokenized(of(["b a", "c <unk>"]), tmp_path)
    assert reviews.words == ["<unk>", "a", "b", "c"]
    lookup = reviews.lookup(Vocabulary(["<pad>", UNK, "c", "zebra", "a"]))
    assert lookup.tolist() == [UNK_ID, 4, UNK_ID, 2]


def test_the_second_time_no_text_is_read(tmp_path: Path) -> None:
    fresh = tokenized(of(["Good.", "Bad."]), tmp_path)
    assert_same(tokenized(unreadable(), tmp_path), fresh)
    with pytest.raises(AssertionError, match="the text was read"):
        tokenized(unreadable("books"), tmp_path)


def test_a_part_is_known_by_its_stamp_and_not_by_its_name(tmp_path: Path) -> None:
    whole = tokenized(of(["Good.", "Bad."]), tmp_path)
    renamed = replace(unreadable(), name="the same, elsewhere")
    assert_same(tokenized(renamed, tmp_path), whole)
    changed = replace(of(["Fine.", "Bad."]), stamp=lambda: "films, changed")
    assert spelled(tokenized(changed, tmp_path)) == [["fine", "."], ["bad", "."]]


@pytest.mark.parametrize("name", ["TOKENIZER", "LAYOUT"])
def test_another_tokenizer_or_layout_reads_the_text_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tokenized(of(["Good.", "Bad."]), tmp_path)
    monkeypatch.setattr(module, name, "another")
    monkeypatch.setattr(module, "tokenize", str.split)
    assert spelled(tokenized(of(["Good.", "Bad."]), tmp_path)) == [["Good."], ["Bad."]]
    monkeypatch.undo()
    assert spelled(tokenized(unreadable(), tmp_path)) == [["good", "."], ["bad", "."]]


def test_parts_do_not_share_a_folder(tmp_path: Path) -> None:
    for name in ("films train", "films test", "books train"):
        tokenized(of([name, "?"], name), tmp_path)
    for name in ("films train", "films test", "books train"):
        assert spelled(tokenized(unreadable(name), tmp_path))[0] == name.split()


def in_memory(reviews: TokenizedReviews) -> TokenizedReviews:
    """A copy that does not change with the files."""
    return replace(reviews, **{name: np.array(getattr(reviews, name)) for name in ARRAYS})


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
    part = of(["Good. " * 50, "Bad.", "Good. " * 50])
    whole = in_memory(tokenized(part, tmp_path))
    (folder,) = tmp_path.iterdir()
    damage(folder / file)
    if (folder / file).exists():
        os.utime(folder / file, (1, 1))  # another time, however coarse the clock of the files
    assert_same(tokenized(part, tmp_path), whole)
    assert_same(tokenized(unreadable(), tmp_path), whole)
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
    part = of(["Good.", "Bad."])
    whole = in_memory(tokenized(part, tmp_path))
    (folder,) = tmp_path.iterdir()
    (folder / file).write_bytes(content)
    assert_same(tokenized(part, tmp_path), whole)


def test_the_cache_holds_one_folder_a_part_and_no_drafts(tmp_path: Path) -> None:
    cache = tmp_path / "not" / "yet" / "there"
    for name in ("train", "test", "train"):
        tokenized(of(["Good.", "Bad."], name), cache)
    assert len(list(cache.iterdir())) == 2
    for folder in cache.iterdir():
        assert not folder.name.startswith(".")
        assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tokenized(of(["Good.", "Bad."]), "~/cache")
    assert [folder.name for folder in tmp_path.iterdir()] == ["cache"]


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\): give a") as error:
        tokenized(of(["Good.", "Bad."]), cache)
    assert f"data.cache={cache} " in str(error.value)


def test_a_part_that_cannot_be_read_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the text was read"):
        tokenized(unreadable(), tmp_path / "cache")
    assert not list(tmp_path.iterdir())


class Failing:
    """A part that comes to an end in the middle; counts how often it is read."""

    def __init__(self, reason: Exception) -> None:
        self.reason, self.times = reason, 0
        self.part = Part("films.csv", lambda: "films.csv", self.read, lambda: 4)

    def read(self) -> Iterator[Review]:
        self.times += 1
        yield from map(Review, ["Good. " * 10_000, "Bad."], [1, 0])
        raise self.reason


def test_a_part_with_a_fault_in_the_middle_is_read_once_and_leaves_no_trace(tmp_path: Path) -> None:
    films = Failing(InputError("films.csv: row 3: the text is missing."))
    for _ in range(3):
        with pytest.raises(InputError, match=r"^films\.csv: row 3: the text is missing\.$"):
            tokenized(films.part, tmp_path / "cache")
        assert not list(tmp_path.iterdir())
    assert films.times == 1
    with pytest.raises(InputError):
        tokenized(films.part, tmp_path / "another")
    changed = replace(of(["Good.", "Bad."]), stamp=lambda: "films.csv, mended")
    assert len(tokenized(changed, tmp_path / "cache").labels) == 2


@pytest.mark.parametrize(
    "reason",
    [
        InputError("films.csv: row 3: the text is missing."),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        ValueError("a defect"),
    ],
    ids=str,
)
def test_what_others_have_in_the_cache_outlasts_a_fault(tmp_path: Path, reason: Exception) -> None:
    others = tokenized(of(["Good.", "Bad."], "others"), tmp_path)
    (tmp_path / ".draft-0123456789abcdef").mkdir()
    (tmp_path / ".draft-of a process that was killed").mkdir()
    with sole_writer(tmp_path / "0123456789abcdef.lock"):  # by a process that makes something else
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError if isinstance(reason, OSError) else type(reason)):
            tokenized(Failing(reason).part, tmp_path)
        assert before[0].name == ".draft-0123456789abcdef"
        assert sorted(tmp_path.rglob("*")) == [before[0], *before[2:]]
    assert_same(tokenized(unreadable("others"), tmp_path), others)


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
        tokenized(of(["Good.", "Bad."]), tmp_path / "cache")
    assert not list(tmp_path.iterdir())
    assert (reason.strerror or str(reason)) in str(error.value)
    monkeypatch.undo()
    begin_command()  # as the next command does, which may find space
    assert spelled(tokenized(of(["Good.", "Bad."]), tmp_path / "cache"))[0] == ["good", "."]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([], "films.csv: it holds no review."),
        ([1, 1, 1], "films.csv: all 3 labels are positive: both kinds must occur."),
        ([0, 0], "films.csv: all 2 labels are negative: both kinds must occur."),
    ],
)
def test_a_part_without_both_labels_is_refused_in_a_sentence(
    tmp_path: Path, labels: list[int], sentence: str
) -> None:
    part = of(["Good."] * len(labels), "films.csv", labels)
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        tokenized(part, tmp_path / "cache")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [1, 3])
def test_reviews_without_labels_need_none(tmp_path: Path, number: int) -> None:
    reviews = tokenized(of(["Good."] * number, labels=[UNLABELLED] * number), tmp_path)
    assert reviews.labels.tolist() == [UNLABELLED] * number
    assert spelled(reviews) == [["good", "."]] * number


@pytest.mark.parametrize("count", [2, None])
@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_where_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], progress: bool, count: int | None
) -> None:
    part = replace(of(["Good.", "Bad."], "films.csv"), count=lambda: count)
    tokenized(part, tmp_path, progress)
    assert ("tokenizing films.csv" in capsys.readouterr().out) == progress
