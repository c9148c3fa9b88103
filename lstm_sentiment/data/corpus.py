"""Every review tokenized once, and kept on disk as flat arrays that runs map into memory.

A token is stored as its number in the table of all words of the split, so that another
vocabulary, limit or validation split needs no text again: only a count and a lookup. Beside the
arrays stand their checksums: what a disk has damaged is noticed, and made again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from lstm_sentiment.data.reviews import Corpus, Reviews
from lstm_sentiment.data.tokens import TOKENIZER, Vocabulary, tokenize
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import LOCK, sole_writer, written_atomically

WORDS, CHECKSUMS = "words.json", "checksums.json"
ARRAYS = ("tokens", "offsets", "labels", "copies")


@dataclass(frozen=True)
class TokenizedReviews:
    words: list[str]  # (W,) every word of the split, by spelling
    tokens: np.ndarray  # (all tokens,) int32, numbers into words
    offsets: np.ndarray  # (N + 1,) int64: review i is tokens[offsets[i]:offsets[i + 1]]
    labels: np.ndarray  # (N,) int8
    copies: np.ndarray  # (N,) int64, the first review with the same text

    def count(self, rows: np.ndarray) -> np.ndarray:
        """(W,) int64: how often each word occurs in these reviews."""
        chosen = np.zeros(len(self.labels), bool)
        chosen[rows] = True
        return np.bincount(
            self.tokens[np.repeat(chosen, np.diff(self.offsets))], minlength=len(self.words)
        )

    def lookup(self, vocabulary: Vocabulary) -> np.ndarray:
        """(W,) int32: the vocabulary's id of each word."""
        return vocabulary.encode(self.words)


def tokenized(corpus: Corpus, split: str, cache: Path, progress: bool = False) -> TokenizedReviews:
    """A split of the corpus from the cache, which is filled first where it has to be.

    Raises InputError where the corpus cannot be read or the cache cannot be written.
    """
    key = hashlib.sha256(f"{TOKENIZER} {corpus.identify(split)}".encode()).hexdigest()[:16]
    folder = cache.expanduser() / key
    if (found := _load(folder)) is not None:
        return found
    reviews = corpus.read(split)  # first: what cannot be read leaves no folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with sole_writer(folder.with_name(key + LOCK), _say_that_it_waits):
            if (found := _load(folder)) is not None:
                return found  # another process was first
            if folder.exists():
                Console().print(f"The cache of {split} is damaged and is made again.")
            made = _tokenize(reviews, f"tokenizing {split}", progress)
            with written_atomically(folder) as draft:
                _save(made, draft)
            return made
    except OSError as error:
        raise InputError(
            f"data.cache={cache} cannot be written ({error.strerror or error}): "
            "give a folder that can."
        ) from error


def _say_that_it_waits() -> None:
    Console().print("Another process tokenizes the same reviews: waiting for it.")


def _tokenize(reviews: Reviews, title: str, progress: bool) -> TokenizedReviews:
    numbers: dict[str, int] = {}
    first_with: dict[bytes, int] = {}
    rows: list[np.ndarray] = []
    copies = np.empty(len(reviews.texts), np.int64)
    for row, text in enumerate(track(reviews.texts, title, disable=not progress)):
        tokens = tokenize(text)
        rows.append(
            np.fromiter(
                (numbers.setdefault(t, len(numbers)) for t in tokens), np.int32, len(tokens)
            )
        )
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        copies[row] = first_with.setdefault(digest, row)
    words = sorted(numbers)
    by_spelling = np.empty(len(words), np.int32)
    by_spelling[[numbers[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return TokenizedReviews(
        words, by_spelling[np.concatenate(rows)], offsets.astype(np.int64), reviews.labels, copies
    )


def _load(folder: Path) -> TokenizedReviews | None:
    """None where the folder is not there or not as it was written."""
    try:
        checksums = json.loads((folder / CHECKSUMS).read_bytes())
        if checksums != _checksums(folder):
            return None
        words = json.loads((folder / WORDS).read_bytes())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    except (OSError, ValueError):
        return None
    return TokenizedReviews(words, **arrays)


def _save(reviews: TokenizedReviews, folder: Path) -> None:
    (folder / WORDS).write_text(json.dumps(reviews.words))
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(reviews, name))
    (folder / CHECKSUMS).write_text(json.dumps(_checksums(folder)))


def _checksums(folder: Path) -> dict[str, str]:
    sums = {}
    for file in (WORDS, *(f"{name}.npy" for name in ARRAYS)):
        with (folder / file).open("rb") as stream:
            sums[file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
