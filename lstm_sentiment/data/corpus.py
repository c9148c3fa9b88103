"""Every review tokenized once, and kept on disk as flat arrays that runs map into memory.

A token is stored as its number in the table of all words of the split, so that another
vocabulary, limit or validation split needs no text again: only a count and a lookup.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
from rich.progress import track

from lstm_sentiment.data.reviews import Corpus, Reviews
from lstm_sentiment.data.tokens import TOKENIZER, Vocabulary, tokenize
from lstm_sentiment.errors import InputError

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
    reviews = _tokenize(corpus.read(split), f"tokenizing {split}", progress)
    try:
        _save(reviews, folder)
    except OSError as error:
        if (found := _load(folder)) is not None:
            return found  # another process was first
        raise InputError(
            f"data.cache={cache} cannot be written ({error.strerror or error}): "
            "give a folder that can."
        ) from error
    return reviews


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
    """None where the folder is not there or not whole."""
    try:
        words = json.loads((folder / "words.json").read_bytes())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    except (OSError, ValueError, EOFError, TokenError, BadZipFile):  # what np.load makes of garbage
        return None
    found = TokenizedReviews(words, **arrays)
    return found if _fit_together(found) else None


def _fit_together(reviews: TokenizedReviews) -> bool:
    rows, tokens = len(reviews.labels), reviews.tokens
    return (
        len(reviews.offsets) == rows + 1
        and len(reviews.copies) == rows
        and len(tokens) == reviews.offsets[-1]
        and len(reviews.words) == tokens.max() + 1
    )


def _save(reviews: TokenizedReviews, folder: Path) -> None:
    draft = folder.with_name(f".{folder.name}-{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        (draft / "words.json").write_text(json.dumps(reviews.words))
        for name in ARRAYS:
            np.save(draft / f"{name}.npy", getattr(reviews, name))
        shutil.rmtree(folder, ignore_errors=True)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
