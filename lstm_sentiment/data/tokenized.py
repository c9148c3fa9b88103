"""Tokenized reviews: each part of a corpus is tokenized once and cached as flat arrays.

Runs map the arrays into memory. A token is stored as the number of its word among all words of the
part. With another vocabulary, limit or validation set, only word counts and ids are computed again,
and the texts are not needed.
"""

import json
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from lstm_sentiment.data.cache import DataCache, cache_key
from lstm_sentiment.data.digests import DIGEST_SIZE, text_digest
from lstm_sentiment.data.sources import Part
from lstm_sentiment.data.tokenizer import UNK, tokenize, tokenizer_key
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.display import Display, counted, track
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import CLASSES, UNLABELLED

LAYOUT = "4"  # part of the cache's key: raise it if the format of the files changes
WORDS, NOTES = "words.json", "notes.json"
ARRAYS = ("tokens", "offsets", "labels", "digests", "copies", "groups")
FILES = (WORDS, NOTES, *(f"{name}.npy" for name in ARRAYS))
NO_GROUP = bytes(DIGEST_SIZE)  # in place of the digest of a group
TOKENS_AT_ONCE = 2**22


@dataclass(frozen=True)
class TokenizedReviews:
    """N reviews with W different words; a word is stored as its number, its index in `words`."""

    words: list[str]  # (W,) sorted by spelling
    tokens: np.ndarray  # (all tokens,) int32, word numbers
    offsets: np.ndarray  # (N + 1,) int64: review i is tokens[offsets[i]:offsets[i + 1]]
    labels: np.ndarray  # (N,) int8
    digests: np.ndarray  # (N, 2) uint64, equal for reviews with the same text
    copies: np.ndarray  # (N, 2) uint64, equal for reviews that count as copies of each other
    groups: np.ndarray  # (N, 2) uint64, equal for reviews of the same group; 0 without a group
    preparation: int  # version of `tokenize`
    notes: list[str] = field(default_factory=list)  # sentences about how they were read

    @classmethod
    def load(cls, folder: Path, preparation: int) -> "TokenizedReviews":
        """Read the files of a cache entry; the arrays are mapped into memory."""
        words = json.loads((folder / WORDS).read_bytes())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        notes = json.loads((folder / NOTES).read_bytes())
        return cls(words, **arrays, preparation=preparation, notes=notes)

    def tokens_of(self, row: int) -> np.ndarray:
        """Return the tokens of the review in `row`, (T,) int32, as word numbers."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

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

    def word_ids(self, vocabulary: Vocabulary) -> np.ndarray:
        """Return the vocabulary's id of each word, (W,) int32."""
        return vocabulary.encode(self.words)

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


def tokenized_reviews(
    part: Part, root: str | Path, cache: DataCache, preparation: int
) -> TokenizedReviews:
    """Return the tokenized reviews of a part from the cache below `root`, filling it if needed.

    Raises InputError if the part cannot be read or the cache cannot be written.
    """
    key = cache_key(tokenizer_key(preparation), LAYOUT, part.version())
    make = partial(_tokenize, part, preparation, cache.display)
    folder = cache.entry(root, key, FILES, part.name, make)
    return TokenizedReviews.load(folder, preparation)


def _tokenize(part: Part, preparation: int, display: Display, folder: Path) -> None:
    """Write the files of `TokenizedReviews`, without holding all texts or tokens in memory."""
    numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers))
    # The leading 0 makes the cumulative sum of the lengths the offsets.
    labels, lengths = array("b"), array("q", [0])
    digests, copies, groups, without_words = bytearray(), bytearray(), bytearray(), 0
    unsorted_tokens = folder / "tokens"
    reviews = track(part.read(), f"tokenizing {Path(part.name).name}", display, part.count())
    with unsorted_tokens.open("wb") as stream:
        for text, label, group in reviews:
            tokens = tokenize(text, preparation)
            without_words += tokens == [UNK]
            row = np.fromiter(map(numbers.__getitem__, tokens), np.int32, len(tokens))
            stream.write(row.data)
            lengths.append(len(tokens))
            labels.append(label)
            digests += text_digest(text)
            copies += text_digest(text if preparation == 1 else " ".join(tokens))
            groups += NO_GROUP if group is None else text_digest(group)
    _require_both_labels(part.name, np.frombuffer(labels, np.int8))
    words = sorted(numbers)
    # Not escaped: two adjacent lone surrogates would be read back as one character.
    encoded = json.dumps(words, ensure_ascii=False).encode(errors="surrogatepass")
    (folder / WORDS).write_bytes(encoded)
    notes = [*part.notes]
    if without_words:
        notes.append(f"{counted(without_words, 'review')} without a word: each is read as {UNK}.")
    (folder / NOTES).write_text(json.dumps(notes))
    number_by_spelling = np.empty(len(words), np.int32)
    number_by_spelling[[numbers[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    _renumber(unsorted_tokens, number_by_spelling, folder / "tokens.npy")
    np.save(folder / "offsets.npy", np.cumsum(np.frombuffer(lengths, np.int64)))
    np.save(folder / "labels.npy", np.frombuffer(labels, np.int8))
    for name, content in (("digests", digests), ("copies", copies), ("groups", groups)):
        np.save(folder / f"{name}.npy", np.frombuffer(content, "<u8").reshape(-1, 2))


def _require_both_labels(name: str, labels: np.ndarray) -> None:
    if len(labels) == 0:
        raise InputError(f"{name}: there are no reviews.")
    if labels[0] != UNLABELLED and (labels == labels[0]).all():
        raise InputError(
            f"{name}: every label is {CLASSES[labels[0]]} (reviews: {len(labels)}): "
            "both classes must occur."
        )


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
