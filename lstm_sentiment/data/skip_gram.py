"""Word vectors learned from the reviews: skip-gram (Mikolov et al. 2013), trained by gensim."""

import json
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lstm_sentiment.data.cache import DataCache, cache_key
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokenizer import UNK, tokenizer_key
from lstm_sentiment.display import Display, track
from lstm_sentiment.errors import InputError

# With more than one worker, the vectors differ between runs.
SETTINGS = {"sg": 1, "window": 5, "negative": 5, "min_count": 3, "epochs": 5, "workers": 1}
FILE = "vectors.txt"


def _require_gensim() -> Any:
    try:
        import gensim.models
    except ImportError as error:
        raise InputError(
            "embedding=word2vec learns vectors with gensim, which is not installed: "
            'run pip install "lstm_sentiment[vectors]" (up to Python 3.13), '
            "or give vectors with embedding.path=FILE."
        ) from error
    for name in ("gensim", "smart_open"):  # they log every step
        logging.getLogger(name).setLevel(logging.WARNING)
    return gensim.models


def learn_vectors(
    splits: Sequence[Split], dim: int, root: str | Path, cache: DataCache
) -> tuple[str, Path]:
    """Return a description of the vectors and their file in the cache, in word2vec's text format.

    The vectors have `dim` numbers and are learned from the tokens, words or subwords, of all
    reviews of `splits`, which must have one tokenizer and one vocabulary of subwords. Raises
    InputError if gensim is missing or there are too few reviews.
    """
    reviews = splits[0].tokenized
    tokenizer = tokenizer_key(reviews.tokenizer, reviews.preparation) + reviews.vocabulary
    key = cache_key(
        "1", tokenizer, json.dumps([SETTINGS, dim]), *(split.identity for split in splits)
    )
    source = f"word2vec of {' + '.join(f'{len(split.rows):,}' for split in splits)} reviews"
    make = partial(_train, splits, dim, cache.display)
    return source, cache.entry(root, f"word2vec-{key}", [FILE], source, make) / FILE


def _train(splits: Sequence[Split], dim: int, display: Display, folder: Path) -> None:
    models = _require_gensim()
    try:
        model = models.Word2Vec(_Texts(splits, display), vector_size=dim, seed=1, **SETTINGS)
    except RuntimeError as error:  # no word is frequent enough
        count = sum(len(split.rows) for split in splits)
        raise InputError(
            f"embedding=word2vec needs a word that occurs {SETTINGS['min_count']} times, but there "
            f"is none in {count} reviews: give more reviews, or vectors with embedding.path=FILE."
        ) from error
    model.wv.save_word2vec_format(str(folder / FILE))


class _Texts:
    """The reviews as lists of words, for gensim: one pass to count words, then the epochs."""

    def __init__(self, splits: Sequence[Split], display: Display) -> None:
        self.splits = [(split, [*map(_writable, split.tokenized.words)]) for split in splits]
        self.display, self.passes = display, 0

    def __iter__(self) -> Iterator[list[str]]:
        title = "counting" if self.passes == 0 else f"epoch {self.passes} of {SETTINGS['epochs']}"
        self.passes += 1
        rows = [(split, words, row) for split, words in self.splits for row in split.rows.tolist()]
        for split, words, row in track(rows, f"word2vec, {title}", self.display, len(rows)):
            yield [words[number] for number in split.tokenized.tokens_of(row).tolist()]


def _writable(word: str) -> str:
    """Return the word, or `<unk>` if it has a lone surrogate, which cannot be written to a file."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return UNK
    return word
