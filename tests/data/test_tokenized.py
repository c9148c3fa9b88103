"""Tokenized reviews: worked examples, what is cached, and what a failure leaves behind."""

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import chain, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_sentiment.config import Tokenizer
from lstm_sentiment.data import tokenized as module
from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.cache import CHECKSUMS, DataCache
from lstm_sentiment.data.columns import Review
from lstm_sentiment.data.sources import Part
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokenized import (
    ARRAYS,
    FILES,
    TokenizedReviews,
    positions_of,
    tokenized_reviews,
)
from lstm_sentiment.data.tokenizer import UNK, tokenize
from lstm_sentiment.data.vocabulary import UNK_ID, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import folder_draft
from lstm_sentiment.labels import BINARY, UNLABELLED, Classes
from tests.support.damage import DAMAGES, damage
from tests.support.displays import RecordingDisplay
from tests.support.languages import german

CHECKED = settings(deadline=None, max_examples=40, derandomize=True)
ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates, too
TEXTS = st.lists(
    st.sampled_from(["Good. Bad!", "good. bad!", "", "<br>", "It's\ud83d", "a b a"]) | ANY_TEXT,
    min_size=1,
    max_size=12,
)
BPE = Tokenizer.bpe
ENTRY = [*FILES, CHECKSUMS]  # the files of a cache entry


def tokenize_part(
    part: Part, root: Path | str, cache: DataCache | None = None, preparation: int = 2
) -> TokenizedReviews:
    """Tokenize in a command of its own, or in that of `cache`."""
    return tokenized_reviews(part, root, cache or DataCache(), preparation)


def part_of(
    texts: Sequence[str], name: str = "films", labels: Sequence[str | None] | None = None
) -> Part:
    """Return a part; without `labels` they alternate, and a single text has none."""
    if labels is None:
        labels = [str(row % 2) for row in range(len(texts))] if len(texts) > 1 else [None]
    return Part(name, lambda: name, lambda: map(Review, texts, labels), lambda: len(texts))


def unreadable(name: str = "films") -> Part:
    """Return a part that must come from the cache."""

    def read() -> Iterator[Review]:
        raise AssertionError("the text was read")

    return Part(name, lambda: name, read)


def words_of(reviews: TokenizedReviews) -> list[list[str]]:
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
    reviews = tokenize_part(part_of(texts), tmp_path)
    assert reviews.words == ["!", ".", "<unk>", "a", "bad"]
    assert reviews.tokens.tolist() == [4, 1, 4, 0, 2, 3, 4, 4, 1, 4, 0, 3, 4]
    assert reviews.offsets.tolist() == [0, 4, 5, 7, 11, 13]
    assert reviews.labels.tolist() == [0, 1, 0, 1, 0]
    assert (reviews.tokens.dtype, reviews.offsets.dtype) == (np.int32, np.int64)
    assert reviews.tokens_of(2).tolist() == [3, 4]
    assert reviews.words_of(3) == ["bad", ".", "bad", "!"]
    for text, digest in zip(texts, reviews.digests, strict=True):
        assert digest.astype("<u8").tobytes() == blake2b(text.encode(), digest_size=16).digest()


@CHECKED
@given(TEXTS)
@example(["good " * 20_000, "🎬"])
def test_tokens_and_digests_match_the_texts(texts: list[str]) -> None:
    with TemporaryDirectory() as cache:
        fresh = tokenize_part(part_of(texts), cache)
        loaded = tokenize_part(unreadable(), cache)
        assert words_of(fresh) == [tokenize(text, 2) for text in texts]
        assert fresh.words == sorted({token for text in texts for token in tokenize(text, 2)})
        digests = [digest.tobytes() for digest in fresh.digests]
        assert [digests.index(digest) for digest in digests] == list(map(texts.index, texts))
        assert_same(loaded, fresh)


@CHECKED
@given(TEXTS)
@example(
    ["é" * 100_000, "<br>" * 25_000, "", "\udc80", "🎬" * 9, "映画 " * 33_333, "\0", "A\u0130"]
)
def test_texts_can_be_decoded_from_the_ids_of_their_words(texts: list[str]) -> None:
    with TemporaryDirectory() as cache:
        tokenize_part(part_of(texts), cache)
        reviews = tokenize_part(unreadable(), cache)
        split = Split.whole(reviews)
        counts = reviews.word_counts(split.rows)
        vocabulary = Vocabulary.most_frequent(reviews.words, counts, len(reviews.words) + 2)
        encoded = EncodedReviews(reviews, split.rows, reviews.word_ids(vocabulary), 200_000)
        batch = encoded[np.arange(len(texts))]
        assert sorted(batch.rows.tolist()) == list(range(len(texts)))
        for ids, length, row in zip(batch.ids, batch.lengths, batch.rows, strict=True):
            expected = [UNK if token == "<pad>" else token for token in tokenize(texts[row], 2)]
            assert vocabulary.decode(ids[:length]) == expected
            assert not ids[length:].any()


def test_adjacent_lone_surrogates_stay_two(tmp_path: Path) -> None:
    texts = ['a \ud83d"\ude00 b', "a 😀 b"]  # the tokenizer removes the quote
    assert words_of(tokenize_part(part_of(texts), tmp_path)) == [
        tokenize(text, 2) for text in texts
    ]


def test_tokens_are_gathered_in_the_order_of_the_rows(tmp_path: Path) -> None:
    assert positions_of(np.array([7, 0, 3]), np.array([2, 0, 3])).tolist() == [7, 8, 3, 4, 5]
    reviews = tokenize_part(part_of(["a b c", "", "d", "e f"]), tmp_path)
    for rows in ([3, 0, 1, 3], [1], []):
        tokens, lengths = reviews.gathered(np.array(rows, np.int64))
        words = [reviews.words_of(row) for row in rows]
        assert [reviews.words[token] for token in tokens] == [*chain.from_iterable(words)]
        assert lengths.tolist() == [*map(len, words)]


@CHECKED
@given(TEXTS, st.data())
def test_words_are_counted_in_the_chosen_reviews(texts: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))), unique=True))
    with TemporaryDirectory() as cache:
        reviews = tokenize_part(part_of(texts), cache)
    expected = Counter(token for row in rows for token in tokenize(texts[row], 2))
    for at_once in (1, 2, 3, 7, module.TOKENS_AT_ONCE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "TOKENS_AT_ONCE", at_once)
            counts = reviews.word_counts(np.array(rows, np.int64))
        assert counts.tolist() == [expected[word] for word in reviews.words], at_once
        assert counts.dtype == np.int64


def test_words_are_counted_in_blocks_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = tokenize_part(part_of(["a " * length for length in (2, 3, 9, 1, 4, 5, 1)]), tmp_path)
    sizes: list[int] = []
    count = np.bincount

    def observed(numbers: np.ndarray, minlength: int) -> np.ndarray:
        sizes.append(len(numbers))
        return count(numbers, minlength=minlength)

    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 5)
    monkeypatch.setattr(np, "bincount", observed)
    assert reviews.word_counts(np.arange(7)).tolist() == [25]
    assert sizes == [5, 9, 5, 5, 1]  # a review is never divided


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_word_numbers_are_sorted_by_spelling_for_every_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", at_once)
    reviews = tokenize_part(part_of(["z y x", "a z", "m"]), tmp_path)
    assert reviews.words == ["a", "m", "x", "y", "z"]
    assert reviews.tokens.tolist() == [4, 3, 2, 0, 4, 1]


def test_each_word_gets_its_id(tmp_path: Path) -> None:
    reviews = tokenize_part(part_of(["b a", "c <unk>"]), tmp_path)
    assert reviews.words == ["<unk>", "a", "b", "c"]
    ids = reviews.word_ids(Vocabulary(["<pad>", UNK, "c", "zebra", "a"]))
    assert ids.tolist() == [UNK_ID, 4, UNK_ID, 2]


def test_texts_are_read_once(tmp_path: Path) -> None:
    fresh = tokenize_part(part_of(["Good.", "Bad."]), tmp_path)
    assert_same(tokenize_part(unreadable(), tmp_path), fresh)
    with pytest.raises(AssertionError, match="the text was read"):
        tokenize_part(unreadable("books"), tmp_path)


def test_a_part_is_identified_by_its_version_and_not_by_its_name(tmp_path: Path) -> None:
    whole = tokenize_part(part_of(["Good.", "Bad."]), tmp_path)
    renamed = replace(unreadable(), name="the same, elsewhere")
    assert_same(tokenize_part(renamed, tmp_path), whole)
    changed = replace(part_of(["Fine.", "Bad."]), version=lambda: "films, changed")
    assert words_of(tokenize_part(changed, tmp_path)) == [["fine", "."], ["bad", "."]]


@pytest.mark.parametrize(
    ("name", "value"), [("tokenizer_key", lambda *_: "another"), ("LAYOUT", "another")]
)
def test_another_tokenizer_or_layout_reads_the_texts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    tokenize_part(part_of(["Good.", "Bad."]), tmp_path)
    monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "tokenize", lambda text, *_: text.split())
    assert words_of(tokenize_part(part_of(["Good.", "Bad."]), tmp_path)) == [["Good."], ["Bad."]]
    monkeypatch.undo()
    assert words_of(tokenize_part(unreadable(), tmp_path)) == [["good", "."], ["bad", "."]]


def test_each_preparation_has_its_own_entry_and_its_own_copies(tmp_path: Path) -> None:
    texts = ["It’s good.", "It's  GOOD.", "Bad.", "Bad."]
    former, present = (
        tokenize_part(part_of(texts), tmp_path, preparation=version) for version in (1, 2)
    )
    assert [words[0] for words in words_of(former)] == ["it’s", "it", "bad", "bad"]
    assert [words[0] for words in words_of(present)] == ["it", "it", "bad", "bad"]
    for reviews, groups in ((former, 3), (present, 2)):
        copies = reviews.copies_of(np.arange(4))
        assert copies[2] == copies[3]
        assert len(np.unique(copies)) == groups
        assert len(np.unique(reviews.digests, axis=0)) == 3  # of the texts
    for version, reviews in ((1, former), (2, present)):
        assert_same(tokenize_part(unreadable(), tmp_path, preparation=version), reviews)


def test_parts_do_not_share_a_folder(tmp_path: Path) -> None:
    for name in ("films train", "films test", "books train"):
        tokenize_part(part_of([name, "?"], name), tmp_path)
    for name in ("films train", "films test", "books train"):
        assert words_of(tokenize_part(unreadable(name), tmp_path))[0] == name.split()


def in_memory(reviews: TokenizedReviews) -> TokenizedReviews:
    """Return a copy that does not change with the files."""
    return replace(reviews, **{name: np.array(getattr(reviews, name)) for name in ARRAYS})


@pytest.mark.parametrize("file", ENTRY)
@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if kind != "longer"])
def test_a_damaged_entry_is_rebuilt(tmp_path: Path, file: str, kind: str) -> None:
    part = part_of(["Good. " * 50, "Bad.", "Good. " * 50])
    whole = in_memory(tokenize_part(part, tmp_path))
    (folder,) = tmp_path.iterdir()
    damage(folder / file, kind)
    assert_same(tokenize_part(part, tmp_path), whole)
    assert_same(tokenize_part(unreadable(), tmp_path), whole)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokens.npy", b"\x93NUMPY\x01\x00\x04\x00{'''"),
        ("words.json", b'["good"]'),
    ],
)
def test_an_inconsistent_entry_is_rebuilt(tmp_path: Path, file: str, content: bytes) -> None:
    part = part_of(["Good.", "Bad."])
    whole = in_memory(tokenize_part(part, tmp_path))
    (folder,) = tmp_path.iterdir()
    (folder / file).write_bytes(content)
    assert_same(tokenize_part(part, tmp_path), whole)


def test_the_cache_has_one_folder_for_each_part_and_no_drafts(tmp_path: Path) -> None:
    cache = tmp_path / "not" / "yet" / "there"
    for name in ("train", "test", "train"):
        tokenize_part(part_of(["Good.", "Bad."], name), cache)
    assert len(list(cache.iterdir())) == 2
    for folder in cache.iterdir():
        assert not folder.name.startswith(".")
        assert sorted(file.name for file in folder.iterdir()) == sorted(ENTRY)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tokenize_part(part_of(["Good.", "Bad."]), "~/cache")
    assert [folder.name for folder in tmp_path.iterdir()] == ["cache"]


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "cache"
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)") as raised:
        tokenize_part(part_of(["Good.", "Bad."]), root)
    assert f"data.cache={root} " in str(raised.value)


def test_a_part_that_cannot_be_read_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the text was read"):
        tokenize_part(unreadable(), tmp_path / "cache")
    assert not list(tmp_path.iterdir())


class FailingPart:
    """A part that raises an error after two reviews; counts how often it is read."""

    def __init__(self, error: Exception) -> None:
        self.error, self.times = error, 0
        self.part = Part("films.csv", lambda: "films.csv", self.read, lambda: 4)

    def read(self) -> Iterator[Review]:
        self.times += 1
        yield from map(Review, ["Good. " * 10_000, "Bad."], "10")
        raise self.error


def test_a_damaged_part_is_read_once_in_a_command_and_leaves_no_trace(tmp_path: Path) -> None:
    films, cache = FailingPart(InputError("films.csv: row 3: the text is missing.")), DataCache()
    for _ in range(3):
        with pytest.raises(InputError, match=r"^films\.csv: row 3: the text is missing\.$"):
            tokenize_part(films.part, tmp_path / "cache", cache)
        assert not list(tmp_path.iterdir())
    assert films.times == 1
    with pytest.raises(InputError):
        tokenize_part(films.part, tmp_path / "another", cache)
    changed = replace(part_of(["Good.", "Bad."]), version=lambda: "films.csv, corrected")
    assert len(tokenize_part(changed, tmp_path / "cache", cache).labels) == 2


@pytest.mark.parametrize(
    "error",
    [
        InputError("films.csv: row 3: the text is missing."),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        ValueError("a defect"),
    ],
    ids=str,
)
def test_entries_of_others_outlast_an_error(tmp_path: Path, error: Exception) -> None:
    others = tokenize_part(part_of(["Good.", "Bad."], "others"), tmp_path)
    (tmp_path / ".draft-0123456789abcdef").mkdir()  # of a process that was killed
    with folder_draft(tmp_path / "of a process that writes another entry"):
        expected = set(tmp_path.rglob("*")) - {tmp_path / ".draft-0123456789abcdef"}
        with pytest.raises(InputError if isinstance(error, OSError) else type(error)):
            tokenize_part(FailingPart(error).part, tmp_path)
        assert set(tmp_path.rglob("*")) == expected
    assert_same(tokenize_part(unreadable("others"), tmp_path), others)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("4096 requested and 512 written"),  # NumPy's, if a part of the file still fits
    ],
    ids=str,
)
def test_a_full_disk_is_reported_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def save(file: Path, _: np.ndarray) -> None:
        file.write_bytes(b"some")
        raise error

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(InputError, match=r"^data\.cache=.* cannot be written \(") as raised:
        tokenize_part(part_of(["Good.", "Bad."]), tmp_path / "cache")
    assert not list(tmp_path.iterdir())
    assert (error.strerror or str(error)) in str(raised.value)
    monkeypatch.undo()
    # The next command may find enough space.
    reviews = tokenize_part(part_of(["Good.", "Bad."]), tmp_path / "cache")
    assert words_of(reviews)[0] == ["good", "."]


def test_a_part_without_reviews_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^films\.csv: there are no reviews\.$"):
        tokenize_part(part_of([], "films.csv", []), tmp_path / "cache")
    assert not list(tmp_path.iterdir())


def test_labels_are_kept_as_text_until_classes_give_them_numbers(tmp_path: Path) -> None:
    part = part_of(["One.", "Two.", "Three.", "Four."], labels=["Pos", "0", None, "pos"])
    reviews = tokenize_part(part, tmp_path)
    assert reviews.label_names == ["0", "Pos", "pos"]
    assert reviews.labels.tolist() == [1, 0, UNLABELLED, 2]
    numbered = reviews.labelled(BINARY)
    assert numbered.labels.tolist() == [1, 0, UNLABELLED, 1]
    assert numbered.labels.dtype == np.int8
    assert numbered.label_names == ["negative", "positive"]
    with pytest.raises(
        InputError, match=r"^label 'Pos' is not one of the classes of .* \(0, 1\): "
    ):
        reviews.labelled(Classes(("0", "1")))


@pytest.mark.parametrize("number", [1, 3])
def test_unlabelled_reviews_need_no_labels(tmp_path: Path, number: int) -> None:
    part = part_of(["Good."] * number, labels=[None] * number)
    reviews = tokenize_part(part, tmp_path)
    assert reviews.labels.tolist() == [UNLABELLED] * number
    assert words_of(reviews) == [["good", "."]] * number


@pytest.mark.parametrize("count", [2, None])
def test_progress_is_shown_while_texts_are_read(tmp_path: Path, count: int | None) -> None:
    part = replace(part_of(["Good.", "Bad."], "folder/films.csv"), count=lambda: count)
    display = RecordingDisplay()
    for _ in range(2):  # the second time, no text is read
        tokenize_part(part, tmp_path, DataCache(display))
    (bar,) = display.bars
    assert (bar.title, bar.total, bar.steps) == ("tokenizing films.csv", count, [1, 2])


def test_the_key_of_an_entry_is_pinned(tmp_path: Path) -> None:
    """Another key would make every existing cache useless: change it only on purpose."""
    tokenize_part(part_of(["Good.", "Bad."]), tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["acc04f175b7ac1fb"]


def test_reviews_without_a_word_are_counted(tmp_path: Path) -> None:
    """Tags and invisible characters are removed, so that nothing may be left of a text."""
    some = part_of(["Good.", "<br />", "\u200b", "Bad."], "some")
    expected = ["2 reviews without a word: each is read as <unk>."]
    assert tokenize_part(some, tmp_path).notes == expected
    assert tokenize_part(part_of(["Good.", "Bad."]), tmp_path).notes == []


def test_reviews_in_subwords_are_the_words_split_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 5)
    texts = [review.text for review in german(20, 0)] + ["", "映画🎬", "x"]
    words = tokenize_bpe(texts, tmp_path)
    counts = words.word_counts(np.arange(20))
    vocabulary = Vocabulary.of_subwords(words.words, counts, 60)
    subwords = words.in_subwords(vocabulary)
    for row in range(len(texts)):
        assert subwords.words_of(row) == vocabulary.tokens_of(words.words_of(row))
    assert subwords.words_of(20) == [UNK]
    assert subwords.words_of(21) == ["▁", "映", "画", "▁", "🎬"]  # unknown, but not lost
    assert subwords.words == sorted(set(subwords.words))
    assert subwords.tokens.dtype == np.int32
    assert subwords.offsets[-1] == len(subwords.tokens)
    ids = subwords.word_ids(vocabulary)[subwords.tokens_of(21)].tolist()
    assert ids == vocabulary.encode(vocabulary.tokens_of(tokenize(texts[21], 2, BPE))).tolist()
    assert subwords.labels is words.labels
    assert subwords.copies is words.copies


def test_each_tokenizer_has_its_own_entry_and_all_have_the_same_copies(tmp_path: Path) -> None:
    texts = ["好看。不好", "Good: film", "good film", 'ＧＯＯＤ "film"', "good, film", "straße"]
    part, cache = part_of(texts), DataCache()
    default, *others = (
        tokenized_reviews(part, tmp_path, cache, 2, tokenizer) for tokenizer in Tokenizer
    )
    assert default.words_of(0) == ["好看。不好"]
    assert [other.words_of(0) for other in others] == [[*"好看。不好"], ["好看", "。", "不好"]]
    assert [
        len(set(reviews.copies_of(np.arange(6)).tolist())) for reviews in (default, *others)
    ] == [4, 4, 4]
    for other in others:
        assert (other.copies == default.copies).all()


def tokenize_bpe(texts: list[str], folder: Path) -> TokenizedReviews:
    return tokenized_reviews(part_of(texts), folder, DataCache(), 2, BPE)
