"""Pretrained vectors for the words of a vocabulary: GloVe, word2vec, or a text file of either."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lstm_sentiment.config import EmbeddingConfig, EmbeddingKind
from lstm_sentiment.data import skip_gram
from lstm_sentiment.data.cache import cache_key
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pretraining import pretraining_identity, pretraining_reviews
from lstm_sentiment.data.vector_files import (
    check_first_line,
    errors_of,
    fetch_glove,
    open_lines,
    read_vectors,
)
from lstm_sentiment.data.vocabulary import SPECIALS
from lstm_sentiment.display import track
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import content_digest

MATRIX, HAS_VECTOR = "matrix.npy", "found.npy"

Vectors = tuple[np.ndarray, np.ndarray]  # matrix and has_vector, as in `WordVectors`


@dataclass(frozen=True)
class WordVectors:
    """Vectors for a vocabulary of V words."""

    matrix: np.ndarray  # (V, D) float32, zero for words without a vector
    has_vector: np.ndarray  # (V,) bool
    source: str  # the name of a file, or a description
    fingerprint: str  # equal for the same vectors
    # Unlabelled reviews that were left out of the learning; None if none were looked for.
    left_out: int | None = None

    def summary(self, data: ReviewDataModule) -> dict[str, Any]:
        """Return the entry `vectors` of a record.

        `words` is the share of the vocabulary's words that have a vector, and `tokens` is the share
        of the training set's tokens. `left_out` is the number of unlabelled reviews from which the
        vectors were not learned, since they are copies of validation or test reviews; null if none
        were looked for.
        """
        counts, has_vector = data.word_counts, self.has_vector[data.train.word_ids]
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "dim": self.matrix.shape[1],
            "words": float(self.has_vector[len(SPECIALS) :].mean()),
            "tokens": float(counts[has_vector].sum() / counts.sum()),
            "left_out": self.left_out,
        }


def identify(config: EmbeddingConfig, data: ReviewDataModule) -> str:
    """Return a string that, with the configuration, identifies the vectors; "" for random ones.

    Raises InputError if their file is missing or does not contain vectors of this size.
    """
    if config.kind is EmbeddingKind.random:
        return ""
    if config.path is not None:
        path = Path(config.path).expanduser()
        identity = _file_identity(path)
        with open_lines(path) as lines:
            check_first_line(next(lines, b""), path, config.dim)
        return identity
    if config.kind is EmbeddingKind.glove:
        return _glove_name(config)
    return " ".join([json.dumps(skip_gram.SETTINGS), *pretraining_identity(data)])


def load(config: EmbeddingConfig, data: ReviewDataModule) -> WordVectors | None:
    """Return the vectors of the vocabulary's words; None if they are random.

    Vectors that are not cached are downloaded or learned. Raises InputError if this fails, or if no
    word has a vector.
    """
    if config.kind is EmbeddingKind.random:
        return None
    root, left_out = Path(data.config.cache).expanduser(), None
    # Pretrained vectors are those of words: a subword has one if it is a whole word.
    words = data.vocabulary.whole_words
    if config.path is not None:
        path = Path(config.path).expanduser()
        source, fingerprint = path.name, _file_identity(path)
        read = partial(_read_file, path, words)
    elif config.kind is EmbeddingKind.glove:
        source = fingerprint = _glove_name(config)
        read = partial(_read_glove, config, root, words)
    else:
        reviews = pretraining_reviews(data)
        left_out = reviews.left_out
        if reviews.note:
            data.cache.note(reviews.note)
        source, path = skip_gram.learn_vectors(reviews.splits, config.dim, root, data.cache)
        fingerprint, words = _file_identity(path), data.vocabulary.words
        read = partial(_read_file, path, words)
    make = partial(_extract, read, source, config, data)
    key = cache_key("1", fingerprint, str(config.dim), *words)
    folder = data.cache.entry(
        root, f"vectors-{key}", (MATRIX, HAS_VECTOR), f"vectors of {source}", make
    )
    matrix, has_vector = np.load(folder / MATRIX), np.load(folder / HAS_VECTOR)
    return WordVectors(matrix, has_vector, source, fingerprint, left_out)


def _extract(
    read: Callable[[str, int, ReviewDataModule], Vectors],
    source: str,
    config: EmbeddingConfig,
    data: ReviewDataModule,
    folder: Path,
) -> None:
    """Write the files of a cache entry."""
    matrix, has_vector = read(source, config.dim, data)
    if not has_vector.any():
        raise InputError(
            f"{config.path or source} has no word in common with the reviews: give lower-case "
            "vectors in the language of the reviews."
        )
    np.save(folder / MATRIX, matrix)
    np.save(folder / HAS_VECTOR, has_vector)


def _read_file(
    path: Path, words: Sequence[str], source: str, dim: int, data: ReviewDataModule
) -> Vectors:
    with open_lines(path) as stream:
        return read_vectors(_tracked(stream, source, data), path, dim, words)


def _read_glove(
    config: EmbeddingConfig,
    root: Path,
    words: Sequence[str],
    source: str,
    dim: int,
    data: ReviewDataModule,
) -> Vectors:
    assert config.name is not None
    path = fetch_glove(config.name, root, data.cache.display)
    try:
        with open_lines(path, f"{source}.txt") as stream:
            return read_vectors(_tracked(stream, source, data), path, dim, words)
    except InputError as error:
        if getattr(error.__cause__, "errno", None) is not None:
            raise  # the file could not be read, but need not be damaged
        path.unlink(missing_ok=True)  # damaged since the download, which checked it
        raise InputError(
            f"{path} has been damaged since its download and was removed: run the same command "
            "again to download it."
        ) from error


def _tracked(lines: Iterator[bytes], source: str, data: ReviewDataModule) -> Iterable[bytes]:
    return track(lines, f"reading {source}", data.cache.display)


def _file_identity(path: Path) -> str:
    with errors_of(path):
        return f"sha256-{content_digest(path)}"


def _glove_name(config: EmbeddingConfig) -> str:
    return f"glove.{config.name}.{config.dim}d"
