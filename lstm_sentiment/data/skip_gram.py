"""Word vectors learned from the reviews themselves: skip-gram (Mikolov et al. 2013), by gensim."""

import json
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import track

from lstm_sentiment.data.cache import cache_key, cached
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokens import TOKENIZER, UNK
from lstm_sentiment.errors import InputError

# One thread, since with more of them no two vectors are the same twice.
SETTINGS = {"sg": 1, "window": 5, "negative": 5, "min_count": 3, "epochs": 5, "workers": 1}
FILE = "vectors.txt"


def _require_gensim() -> Any:
    try:
        import gensim.models
    except ImportError as error:
        raise InputError(
            "embedding=word2vec learns vectors with gensim, which is not installed: "
            "pip install -c constraints.txt -e '.[vectors]' (up to Python 3.13), "
            "or give vectors with embedding.path=FILE."
        ) from error
    for name in ("gensim", "smart_open"):  # which tell every step of theirs
        logging.getLogger(name).setLevel(logging.WARNING)
    return gensim.models


def trained(
    splits: Sequence[Split], dim: int, cache: str | Path, progress: bool = False
) -> tuple[str, Path]:
    """What the vectors were learned from, and their file, in word2vec's text format in the cache.

    Raises InputError where nothing can be learned.
    """
    key = cache_key(
        "1", TOKENIZER, json.dumps([SETTINGS, dim]), *(split.identity for split in splits)
    )
    source = f"word2vec of {' + '.join(f'{len(split.rows):,}' for split in splits)} reviews"
    make = partial(_train, splits, dim, progress)
    return source, cached(cache, f"word2vec-{key}", [FILE], source, make) / FILE


def _train(splits: Sequence[Split], dim: int, progress: bool, folder: Path) -> None:
    models = _require_gensim()
    try:
        model = models.Word2Vec(_Texts(splits, progress), vector_size=dim, seed=1, **SETTINGS)
    except RuntimeError as error:  # no word is frequent enough
        count = sum(len(split.rows) for split in splits)
        raise InputError(
            f"embedding=word2vec finds no word {SETTINGS['min_count']} times in {count} reviews: "
            "give more reviews, or vectors with embedding.path=FILE."
        ) from error
    model.wv.save_word2vec_format(str(folder / FILE))


class _Texts:
    """The tokens of reviews, again and again: once to count the words, then for every epoch."""

    def __init__(self, splits: Sequence[Split], progress: bool) -> None:
        self.parts = [(split, [*map(_writable, split.reviews.words)]) for split in splits]
        self.progress, self.passes = progress, 0

    def __iter__(self) -> Iterator[list[str]]:
        reading = "counts" if self.passes == 0 else f"epoch {self.passes} of {SETTINGS['epochs']}"
        self.passes += 1
        rows = [(part, row) for part in self.parts for row in part[0].rows.tolist()]
        for (split, words), row in track(rows, f"word2vec, {reading}", disable=not self.progress):
            yield [words[number] for number in split.reviews.of(row).tolist()]


def _writable(word: str) -> str:
    """A lone surrogate is no text that could stand in a file."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return UNK
    return word
