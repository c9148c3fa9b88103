"""Every review tokenized once, and kept on disk as flat arrays that runs map into memory.

A token is stored as its number in the table of all words of the part, so that another
vocabulary, limit or validation split needs no text again: only a count and a lookup.
"""

import hashlib
import json
from array import array
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

from lstm_sentiment.data.cache import cache_key, cached
from lstm_sentiment.data.formats import UNLABELLED
from lstm_sentiment.data.reviews import Part
from lstm_sentiment.data.tokens import TOKENIZER, Vocabulary, tokenize
from lstm_sentiment.errors import InputError

LAYOUT = "2"  # of the files; raised when they change
WORDS = "words.json"
ARRAYS = ("tokens", "offsets", "labels", "digests")
FILES = (WORDS, *(f"{name}.npy" for name in ARRAYS))
DIGEST_SIZE = 16
TOKENS_AT_ONCE = 2**22


@dataclass(frozen=True)
class TokenizedReviews:
    words: list[str]  # (W,) every word of the part, by spelling
    tokens: np.ndarray  # (all tokens,) int32, numbers into words
    offsets: np.ndarray  # (N + 1,) int64: review i is tokens[offsets[i]:offsets[i + 1]]
    labels: np.ndarray  # (N,) int8
    digests: np.ndarray  # (N, 2) uint64, alike for reviews with the same text

    @classmethod
    def load(cls, folder: Path) -> "TokenizedReviews":
        words = json.loads((folder / WORDS).read_bytes())
        return cls(words, *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS))

    def count(self, rows: np.ndarray) -> np.ndarray:
        """(W,) int64: how often each word occurs in these reviews."""
        chosen = np.zeros(len(self.labels), bool)
        chosen[rows] = True
        counts = np.zeros(len(self.words), np.int64)
        start = 0
        while start < len(chosen):  # so many reviews at once as bound the memory
            after = np.searchsorted(self.offsets, self.offsets[start] + TOKENS_AT_ONCE, "right")
            end = min(max(start + 1, int(after) - 1), len(chosen))
            tokens = self.tokens[self.offsets[start] : self.offsets[end]]
            kept = np.repeat(chosen[start:end], np.diff(self.offsets[start : end + 1]))
            counts += np.bincount(tokens[kept], minlength=len(counts))
            start = end
        return counts

    def lookup(self, vocabulary: Vocabulary) -> np.ndarray:
        """(W,) int32: the vocabulary's id of each word."""
        return vocabulary.encode(self.words)

    def of(self, row: int) -> np.ndarray:
        """(T,) int32: a review, by numbers of words."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def spelled(self, row: int) -> list[str]:
        return [self.words[number] for number in self.of(row).tolist()]


def tokenized(part: Part, cache: str | Path, progress: bool = False) -> TokenizedReviews:
    """A part of a corpus from the cache, which is filled first where it has to be.

    Raises InputError where the part cannot be read or the cache cannot be written.
    """
    key = cache_key(TOKENIZER, LAYOUT, part.stamp())
    make = partial(_tokenize, part, progress)
    return TokenizedReviews.load(cached(cache, key, FILES, part.name, make))


def _tokenize(part: Part, progress: bool, folder: Path) -> None:
    """Writes the files of `TokenizedReviews` without ever holding the texts or the tokens."""
    numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers))
    labels, lengths, digests = array("b"), array("q", [0]), bytearray()
    in_order_of_appearance = folder / "tokens"
    reviews = track(
        part.read(), f"tokenizing {Path(part.name).name}", total=part.count(), disable=not progress
    )
    with in_order_of_appearance.open("wb") as stream:
        for text, label in reviews:
            tokens = tokenize(text)
            row = np.fromiter(map(numbers.__getitem__, tokens), np.int32, len(tokens))
            stream.write(row.data)
            lengths.append(len(tokens))
            labels.append(label)
            content = text.encode(errors="surrogatepass")
            digests += hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()
    _require_both_labels(part.name, np.frombuffer(labels, np.int8))
    words = sorted(numbers)
    # Not escaped: read back, two lone surrogates side by side would become one character.
    encoded = json.dumps(words, ensure_ascii=False).encode(errors="surrogatepass")
    (folder / WORDS).write_bytes(encoded)
    by_spelling = np.empty(len(words), np.int32)
    by_spelling[[numbers[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    _renumber(in_order_of_appearance, by_spelling, folder / "tokens.npy")
    np.save(folder / "offsets.npy", np.cumsum(np.frombuffer(lengths, np.int64)))
    np.save(folder / "labels.npy", np.frombuffer(labels, np.int8))
    np.save(folder / "digests.npy", np.frombuffer(digests, "<u8").reshape(-1, 2))


def _require_both_labels(name: str, labels: np.ndarray) -> None:
    if len(labels) == 0:
        raise InputError(f"{name}: it holds no review.")
    if (alike := labels[0]) != UNLABELLED and (labels == alike).all():
        side = "positive" if alike else "negative"
        what = f"all {len(labels)} labels are" if len(labels) > 1 else "its only label is"
        raise InputError(f"{name}: {what} {side}: both kinds must occur.")


def _renumber(source: Path, numbers: np.ndarray, target: Path) -> None:
    """Writes `numbers[source]`, an int32 array, in NumPy's format, and removes the source."""
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
