"""Reviews that are held in memory: a corpus made of texts and labels, without a file."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from lstm_sentiment.data.cache import cache_key
from lstm_sentiment.data.columns import (
    Columns,
    LabelParser,
    Options,
    Review,
    parse_text,
)
from lstm_sentiment.data.sources import TRAIN, Corpus, Part
from lstm_sentiment.errors import InputError

NAME = "reviews in memory"
# For error messages: they take the place of the options that name columns and labels of a file.
ARGUMENTS = Options("texts", "labels", "positive_label", "classes", missing=None)
MISSING = ("nan", "<NA>", "NaT")  # a missing value, as NumPy and pandas print it


def checked_reviews(
    texts: Any,
    labels: Any,
    positive_label: str | None = None,
    classes: Sequence[str] | None = None,
) -> list[Review]:
    """Return N texts with their N labels as reviews.

    Labels are those that a file may have. `positive_label` names the positive one of two, or
    `classes` all allowed ones. Raises InputError if a text or a label is missing or not allowed, or
    if the numbers of texts and labels differ.
    """
    names = None if classes is None else tuple(classes)
    parser = LabelParser(Columns(positive=positive_label, options=ARGUMENTS, classes=names))
    columns = checked_texts(texts), _parsed("labels", labels, parser.parse)
    if len(columns[0]) != len(columns[1]):
        raise InputError(
            f"texts and labels must have the same length (got {len(columns[0]):,} texts and "
            f"{len(columns[1]):,} labels)."
        )
    return list(map(Review, *columns))


def corpus_in_memory(reviews: Sequence[Review], cache: str | None = None) -> Corpus:
    """Return a corpus whose only part is the training set.

    `cache` is the folder of its tokenized reviews; without it, they are in the folder of all
    others.
    """
    content = [str(part) for review in reviews for part in review]
    part = Part(NAME, lambda: cache_key(*content), lambda: iter(reviews), lambda: len(reviews))
    return Corpus(NAME, {TRAIN: lambda: part}, cache=cache)


def checked_texts(texts: Any) -> list[str]:
    """Return the texts as a list. Raises InputError unless there is a sequence of strings."""
    return _parsed("texts", texts, parse_text)


def _parsed(name: str, values: Any, parse: Any) -> list[Any]:
    """Return the parsed values. Raises InputError with the name and the index of a bad value."""
    parsed = []
    for index, value in enumerate(_one_dimensional(name, values)):
        try:
            parsed.append(parse(None if is_missing(value) else value))
        except ValueError as error:
            raise InputError(f"{name}[{index}]: {str(error).removesuffix('.')}.") from error
    return parsed


def _one_dimensional(name: str, values: Any) -> list[Any]:
    """Return the values as a list. Raises InputError unless they are one-dimensional and ordered.

    A table would be read as the names of its columns, and a string as its characters.
    """
    found = type(values).__name__
    if hasattr(values, "__array__"):
        values = np.asarray(values)
        if values.ndim == 1:
            return values.tolist()
        found = f"{found} with {values.ndim} dimensions"
    elif isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping | Set):
        return list(values)
    raise InputError(f"{name} must be a list or a one-dimensional array (got {found}).")


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or another mark of a missing value."""
    return value is None or (not isinstance(value, str) and str(value) in MISSING)
