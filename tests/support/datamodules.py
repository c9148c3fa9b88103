"""Data modules of a few reviews, and what their batches contain."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.batches import Batch, EncodedReviews
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.ngram_vocabulary import NgramBatch

Table = tuple[list[str], list[int]]  # texts and labels
Make = Callable[..., ReviewDataModule]


def distinct_reviews(number: int, negative: int, name: str = "train") -> Table:
    """Return reviews of many lengths, each with a word of its own; the first are negative."""
    texts = [f"{name}{row} was{' very' * (row * 7 % 11)} long." for row in range(number)]
    return texts, [0] * negative + [1] * (number - negative)


def reviews_with_copies(name: str) -> Table:
    """Return reviews of which some are copies, one of them with both labels."""
    texts, labels = distinct_reviews(50, negative=20, name=name)
    texts += [*texts[:8], texts[9], f"{name} 映画 \U0001f3ac, <br/> ?!"]
    return texts, labels + [0] * 9 + [1]


def permuted(table: Table, seed: int) -> Table:
    order = np.random.default_rng(seed).permutation(len(table[0]))
    return [table[0][row] for row in order], [table[1][row] for row in order]


def set_up(config: DataConfig, seed: int = 0, test: bool = True) -> ReviewDataModule:
    data = ReviewDataModule(config, seed, test)
    data.prepare_data()
    data.setup()
    return data


def data_of_file(file: Path, cache: str, test: bool = True, **fields: Any) -> ReviewDataModule:
    """Return the data module of a file of reviews."""
    fields = {"batch_size": 2, **fields}
    return set_up(DataConfig("reviews", path=str(file), cache=cache, **fields), test=test)


def by_label(reviews: EncodedReviews) -> list[int]:
    """Return the numbers of negative and positive reviews."""
    return np.bincount(reviews.labels, minlength=2).tolist()


def rows_of(loader: Iterable[Batch]) -> list[list[int]]:
    """Return the rows of the reviews, batch by batch."""
    return [batch.rows.tolist() for batch in loader]


def values_of(batches: Iterable[Batch]) -> list[object]:
    """Return the fields of every batch by their names, as lists; absent ones are None."""
    return [*map(_values, batches)]


def _values(part: Batch | NgramBatch | Tensor | None) -> object:
    if part is None or isinstance(part, Tensor):
        return None if part is None else part.tolist()
    return {name: _values(inner) for name, inner in part._asdict().items()}


def texts_of(reviews: EncodedReviews | None, texts: Sequence[str]) -> list[str]:
    """Return the sorted texts of the reviews, whose rows are those of `texts`."""
    assert reviews is not None
    return sorted(texts[row] for row in reviews.rows)
