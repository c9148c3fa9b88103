"""Tokenized reviews: each part of a corpus is tokenized once and cached as flat arrays.

Runs map the arrays into memory. A token is stored as the number of its word among all words of the
part. With another vocabulary, limit or validation set, only word counts and ids are computed again,
and the texts are not needed.
"""

import json
from array import array
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from lstm_sentiment.config import Tokenizer
from lstm_sentiment.data.cache import DataCache, cache_key
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.digests import DIGEST_SIZE, GROUP_ID_SIZE, group_id, text_digest
from lstm_sentiment.data.sources import Part
from lstm_sentiment.data.tokenizer import UNK, tokenize, tokenizer_key
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.display import Display, counted, track
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import UNLABELLED, Classes

LAYOUT = "6"  # part of the cache's key: raise it if the format of the files changes
WORDS, LABELS, NOTES = "words.json", "labels.json", "notes.json"
ARRAYS = ("tokens", "offsets", "labels", "digests", "copies", "groups", "group_ids", "constructs")
FILES = (WORDS, LABELS, NOTES, *(f"{name}.npy" for name in ARRAYS))
NO_GROUP = bytes(DIGEST_SIZE)  # in place of the digest of a group
NO_GROUP_ID = bytes(GROUP_ID_SIZE)
TOKENS_AT_ONCE = 2**22


@dataclass(frozen=True)
class TokenizedReviews:
    """N reviews with W different words; a word is stored as its number, its index in `words`.

    The words are tokens of the tokenizer or, after `in_subwords`, subwords.
    """

    words: list[str]  # (W,) sorted by spelling
    tokens: np.ndarray  # (all tokens,) int32, word numbers
    offsets: np.ndarray  # (N + 1,) int64: review i is tokens[offsets[i]:offsets[i + 1]]
    labels: np.ndarray  # (N,) int32, positions in `label_names`; see `labelled`
    digests: np.ndarray  # (N, 2) uint64, equal for reviews with the same text
    copies: np.ndarray  # (N, 2) uint64, equal for reviews that count as copies of each other
    groups: np.ndarray  # (N, 2) uint64, equal for reviews of the same group; 0 without a group
    preparation: int  # version of `tokenize`
    # Labels as read, sorted by spelling, or names of classes; empty without labels.
    label_names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # sentences about how they were read
    # (N,) int64, see `group_id`; 0 without a group. Unlike `groups`, they never affect a split.
    group_ids: np.ndarray | None = None
    constructs: np.ndarray | None = None  # (N,) str, see `Review`; "" for reviews without one
    tokenizer: Tokenizer = Tokenizer.basic_english
    vocabulary: str = ""  # after `in_subwords`, a hash of the vocabulary

    @classmethod
    def load(
        cls, folder: Path, preparation: int, tokenizer: Tokenizer = Tokenizer.basic_english
    ) -> "TokenizedReviews":
        """Read the files of a cache entry; the arrays are mapped into memory."""
        words = json.loads((folder / WORDS).read_bytes())
        label_names = json.loads((folder / LABELS).read_bytes())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        notes = json.loads((folder / NOTES).read_bytes())
        return cls(
            words,
            **arrays,
            label_names=label_names,
            preparation=preparation,
            notes=notes,
            tokenizer=tokenizer,
        )

    def labelled(self, classes: Classes) -> "TokenizedReviews":
        """Return the same reviews with the labels of these classes, (N,) int8.

        Raises InputError if a label as read is none of them.
        """
        numbers = [classes.label(name) for name in self.label_names]
        for name, number in zip(self.label_names, numbers, strict=True):
            if number is None:
                raise InputError(
                    f"label {name!r:.60} is not one of the classes of the training reviews "
                    f"({join_names(classes.names)}): remove its reviews, or train with some."
                )
        by_position = np.array([*numbers, UNLABELLED], np.int8)  # the last stands at -1
        return replace(self, labels=by_position[self.labels], label_names=[*classes.names])

    def tokens_of(self, row: int) -> np.ndarray:
        """Return the tokens of the review in `row`, (T,) int32, as word numbers."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def gathered(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of the reviews in `rows`, (N,), and the length of each review, (N,).

        The tokens are one after another in the order of `rows`, (T,) int32.
        """
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        return self.tokens[positions_of(starts, lengths)], lengths

    def words_of(self, row: int) -> list[str]:
        """Return the tokens of the review in `row` as words."""
        return [self.words[number] for number in self.tokens_of(row).tolist()]

    def copies_of(self, rows: np.ndarray) -> np.ndarray:
        """Return a value of 16 bytes for each review in `rows`, (N,), equal for copies."""
        return np.ascontiguousarray(self.copies[rows]).view("V16")[:, 0]

    @property
    def has_groups(self) -> bool:
        """Whether any review belongs to a named group."""
        return bool(self.groups.any())

    def groups_of(self, rows: np.ndarray) -> np.ndarray:
        """Return a value of 16 bytes for each review in `rows`, (N,), equal within a group.

        Reviews without a group are left out.
        """
        groups = np.ascontiguousarray(self.groups[rows])
        return groups[groups.any(1)].view("V16")[:, 0]

    def group_numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the group of each review in `rows`, (N,) int64.

        A review without a group has a negative number of its own.
        """
        assert self.group_ids is not None
        numbers = self.group_ids[rows]
        return np.where(numbers == 0, -1 - rows, numbers)

    def ungrouped(self) -> "TokenizedReviews":
        """Return the same reviews without `groups`, so that splits may divide groups."""
        return replace(self, groups=np.zeros_like(self.groups))

    def word_ids(self, vocabulary: Vocabulary) -> np.ndarray:
        """Return the vocabulary's id of each word, (W,) int32."""
        return vocabulary.encode(self.words)

    def in_subwords(self, vocabulary: Vocabulary) -> "TokenizedReviews":
        """Return the same reviews with the tokens of a vocabulary of subwords, in memory."""
        split = [vocabulary.subwords(word) for word in self.words]
        words = sorted({subword for subwords in split for subword in subwords})
        numbers = {word: number for number, word in enumerate(words)}
        sizes = np.fromiter(map(len, split), np.int64, len(split))
        subwords = np.fromiter(
            (numbers[subword] for subwords in split for subword in subwords), np.int32
        )
        first = np.cumsum(sizes) - sizes  # position of each word in `subwords`
        tokens, ends = [], [np.zeros(1, np.int64)]
        for start in range(0, len(self.tokens), TOKENS_AT_ONCE):  # to bound the memory
            chunk = self.tokens[start : start + TOKENS_AT_ONCE]
            counts = sizes[chunk]
            tokens.append(subwords[positions_of(first[chunk], counts)])
            ends.append(ends[-1][-1] + np.cumsum(counts))
        offsets = np.concatenate(ends)[self.offsets]
        return replace(
            self,
            words=words,
            tokens=np.concatenate(tokens),
            offsets=offsets,
            vocabulary=cache_key(json.dumps([vocabulary.words, vocabulary.merges])),
        )

    def word_counts(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of occurrences of each word in the reviews of `rows`, (W,) int64."""
        is_counted = np.zeros(len(self.labels), bool)
        is_counted[rows] = True
        counts = np.zeros(len(self.words), np.int64)
        start = 0
        while start < len(is_counted):  # in blocks of whole reviews, to bound the memory
            after = np.searchsorted(self.offsets, self.offsets[start] + TOKENS_AT_ONCE, "right")
            end = min(max(start + 1, int(after) - 1), len(is_counted))
            tokens = self.tokens[self.offsets[start] : self.offsets[end]]
            lengths = np.diff(self.offsets[start : end + 1])
            counts += np.bincount(
                tokens[np.repeat(is_counted[start:end], lengths)], minlength=len(counts)
            )
            start = end
        return counts


def positions_of(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return all positions of some slices, one slice after another, (sum of the lengths,) int64.

    A slice has its first position in `starts`, (N,), and its length in `lengths`, (N,).
    """
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def tokenized_reviews(
    part: Part,
    root: str | Path,
    cache: DataCache,
    preparation: int,
    tokenizer: Tokenizer = Tokenizer.basic_english,
) -> TokenizedReviews:
    """Return the tokenized reviews of a part from the cache below `root`, filling it if needed.

    Raises InputError if the part cannot be read or the cache cannot be written.
    """
    key = cache_key(tokenizer_key(tokenizer, preparation), LAYOUT, part.version())
    make = partial(_tokenize, part, preparation, tokenizer, cache.display)
    folder = cache.entry(root, key, FILES, part.name, make)
    return TokenizedReviews.load(folder, preparation, tokenizer)


def _tokenize(
    part: Part, preparation: int, tokenizer: Tokenizer, display: Display, folder: Path
) -> None:
    """Write the files of `TokenizedReviews`, without holding all texts or tokens in memory."""
    numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers))
    # The leading 0 makes the cumulative sum of the lengths the offsets.
    names: defaultdict[str | None, int] = defaultdict(lambda: len(names))
    labels, lengths = array("i"), array("q", [0])
    digests, copies, groups, group_ids = bytearray(), bytearray(), bytearray(), bytearray()
    constructs, without_words = list[str](), 0
    unsorted_tokens = folder / "tokens"
    reviews = track(part.read(), f"tokenizing {Path(part.name).name}", display, part.count())
    with unsorted_tokens.open("wb") as stream:
        for text, label, group, construct in reviews:
            tokens = tokenize(text, preparation, tokenizer)
            without_words += tokens == [UNK]
            row = np.fromiter(map(numbers.__getitem__, tokens), np.int32, len(tokens))
            stream.write(row.data)
            lengths.append(len(tokens))
            labels.append(names[label])
            digests += text_digest(text)
            copies += text_digest(text if preparation == 1 else _spelling(text, tokens, tokenizer))
            groups += NO_GROUP if group is None else text_digest(group)
            group_ids += NO_GROUP_ID if group is None else group_id(group)
            constructs.append(construct)
    if not labels:
        raise InputError(f"{part.name}: there are no reviews.")
    words = sorted(numbers)
    label_names = sorted(name for name in names if name is not None)
    (folder / WORDS).write_bytes(_json(words))
    (folder / LABELS).write_bytes(_json(label_names))
    notes = [*part.notes]
    if without_words:
        notes.append(f"{counted(without_words, 'review')} without a word: each is read as {UNK}.")
    (folder / NOTES).write_text(json.dumps(notes))
    number_by_spelling = np.empty(len(words), np.int32)
    number_by_spelling[[numbers[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    _renumber(unsorted_tokens, number_by_spelling, folder / "tokens.npy")
    np.save(folder / "offsets.npy", np.cumsum(np.frombuffer(lengths, np.int64)))
    position: dict[str | None, int] = {name: k for k, name in enumerate(label_names)}
    by_number = np.array([position.get(name, UNLABELLED) for name in names], np.int32)
    np.save(folder / "labels.npy", by_number[np.frombuffer(labels, np.int32)])
    for name, content in (("digests", digests), ("copies", copies), ("groups", groups)):
        np.save(folder / f"{name}.npy", np.frombuffer(content, "<u8").reshape(-1, 2))
    np.save(folder / "group_ids.npy", np.frombuffer(group_ids, "<i8"))
    np.save(folder / "constructs.npy", np.array(constructs))


def _spelling(text: str, tokens: list[str], tokenizer: Tokenizer) -> str:
    """Return a text that is equal for copies of a review.

    It consists of the tokens of `basic_english`, so that the sets do not depend on the tokenizer.
    """
    default = Tokenizer.basic_english
    return " ".join(tokens if tokenizer is default else tokenize(text, 2, default))


def _json(texts: list[str]) -> bytes:
    # Not escaped: two adjacent lone surrogates would be read back as one character.
    return json.dumps(texts, ensure_ascii=False).encode(errors="surrogatepass")


def _renumber(source: Path, numbers: np.ndarray, target: Path) -> None:
    """Write `numbers[source]`, an int32 array, in NumPy's format, and remove the source file."""
    header = {
        "descr": np.lib.format.dtype_to_descr(numbers.dtype),
        "fortran_order": False,
        "shape": (source.stat().st_size // numbers.itemsize,),
    }
    with source.open("rb") as old, target.open("wb") as new:
        np.lib.format.write_array_header_1_0(new, header)
        while len(chunk := np.fromfile(old, np.int32, TOKENS_AT_ONCE)):
            new.write(numbers[chunk].data)
    source.unlink()
