"""Vectors of the vocabulary's words from elsewhere: GloVe, word2vec, or a text file of either."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from lstm_sentiment.config import EmbeddingConfig, EmbeddingKind
from lstm_sentiment.data import skip_gram
from lstm_sentiment.data.cache import cache_key, cached
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokens import SPECIALS
from lstm_sentiment.data.vector_files import (
    fetch_glove,
    opened,
    read_vectors,
    require_vectors,
    unreadable,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import content_digest

MATRIX, FOUND = "matrix.npy", "found.npy"


@dataclass(frozen=True)
class WordVectors:
    """Vectors for a vocabulary, from wherever they come."""

    matrix: np.ndarray  # (V, D) float32, zeros where the word has none
    found: np.ndarray  # (V,) bool
    source: str
    fingerprint: str

    def summary(self, data: ReviewDataModule) -> dict[str, Any]:
        """What a record says of them; the shares that have a vector are of the training part."""
        counts, has_vector = data.word_counts, self.found[data.train.lookup]
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "dim": self.matrix.shape[1],
            "words": float(self.found[len(SPECIALS) :].mean()),
            "tokens": float(counts[has_vector].sum() / counts.sum()),
        }


def identify(config: EmbeddingConfig, data: ReviewDataModule) -> str:
    """What the vectors are, beside what the configuration says; "" where they are random.

    Raises InputError where they cannot be there.
    """
    if config.kind is EmbeddingKind.random:
        return ""
    if config.path is not None:
        path = Path(config.path).expanduser()
        identity = _file_identity(path)
        with opened(path) as lines:
            require_vectors(next(lines, b""), path, config.dim)
        return identity
    if config.kind is EmbeddingKind.glove:
        return _glove_name(config)
    return " ".join(
        [json.dumps(skip_gram.SETTINGS), *(split.identity for split in _unlabelled(data))]
    )


def load(config: EmbeddingConfig, data: ReviewDataModule) -> WordVectors | None:
    """The vectors of the vocabulary's words, fetched or learned where that has not been done.

    None where they are to be random. Raises InputError where there are none to be had.
    """
    if config.kind is EmbeddingKind.random:
        return None
    cache = Path(data.config.cache).expanduser()
    if config.path is not None:
        path = Path(config.path).expanduser()
        source, fingerprint = path.name, _file_identity(path)
        read = partial(_read_file, path)
    elif config.kind is EmbeddingKind.glove:
        source = fingerprint = _glove_name(config)
        read = partial(_read_glove, config, cache)
    else:
        splits = [data.training, *_unlabelled(data)]
        source, path = skip_gram.trained(splits, config.dim, cache, data.progress)
        fingerprint = _file_identity(path)
        read = partial(_read_file, path)
    make = partial(_extract, read, source, config, data)
    key = cache_key("1", fingerprint, str(config.dim), *data.vocabulary.words)
    folder = cached(cache, f"vectors-{key}", (MATRIX, FOUND), f"vectors of {source}", make)
    return WordVectors(np.load(folder / MATRIX), np.load(folder / FOUND), source, fingerprint)


Found = tuple[np.ndarray, np.ndarray]


def _extract(
    read: Callable[[str, int, ReviewDataModule], Found],
    source: str,
    config: EmbeddingConfig,
    data: ReviewDataModule,
    folder: Path,
) -> None:
    """Writes what of a file of vectors belongs to the vocabulary."""
    matrix, found = read(source, config.dim, data)
    if not found.any():
        raise InputError(
            f"{config.path or source} has no word in common with the reviews: give vectors of "
            "their language, in lower case."
        )
    np.save(folder / MATRIX, matrix)
    np.save(folder / FOUND, found)


def _read_file(path: Path, source: str, dim: int, data: ReviewDataModule) -> Found:
    with opened(path) as stream:
        return read_vectors(_tracked(stream, source, data), path, dim, data.vocabulary)


def _read_glove(
    config: EmbeddingConfig, cache: Path, source: str, dim: int, data: ReviewDataModule
) -> Found:
    assert config.name is not None
    path = fetch_glove(config.name, cache, data.progress)
    try:
        with opened(path, f"{source}.txt") as stream:
            return read_vectors(_tracked(stream, source, data), path, dim, data.vocabulary)
    except InputError as error:
        if getattr(error.__cause__, "errno", None) is not None:
            raise  # the system does not let it be read: it may be whole
        path.unlink(missing_ok=True)  # it was whole when it came
        raise InputError(
            f"{path} was damaged since it was fetched, and is removed: the same command fetches it "
            "again."
        ) from error


def _tracked(lines: Iterator[bytes], source: str, data: ReviewDataModule) -> Iterable[bytes]:
    return track(lines, f"reading {source}", total=None, disable=not data.progress)


def _file_identity(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise unreadable(path, "it is no regular file")
        return f"sha256-{content_digest(path)}"
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error


def _glove_name(config: EmbeddingConfig) -> str:
    return f"glove.{config.name}.{config.dim}d"


def _unlabelled(data: ReviewDataModule) -> list[Split]:
    return [data.split("unsupervised")] if "unsupervised" in data.corpus.parts else []
