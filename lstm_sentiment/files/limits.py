"""Limits on the content of files, checked before anything of that size is in memory.

They are far above what reviews, records and models need. An environment variable raises each.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from lstm_sentiment.errors import InputError

PREFIX = "LSTM_SENTIMENT_MAX_"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limit:
    """The largest allowed amount of something in a file."""

    name: str  # ends the name of the environment variable that raises the limit
    default: int
    unit: str  # of the amount in a message: "bytes in one line"
    applies_to: str  # in the documentation

    @property
    def variable(self) -> str:
        """The environment variable that raises the limit."""
        return PREFIX + self.name

    @property
    def value(self) -> int:
        """The limit. Raises InputError if the environment variable is not a positive number."""
        text = os.environ.get(self.variable)
        if text is None:
            return self.default
        if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
            raise InputError(f"{self.variable} must be a whole number of at least 1 (got {text}).")
        return int(text)

    def check(self, amount: float) -> None:
        """Raise InputError if the amount exceeds the limit."""
        if amount > self.value:
            self.refuse(f"{amount:,}")

    def bounded(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items. Raises InputError if there are more than the limit."""
        most = self.value
        for number, item in enumerate(items, 1):
            if number > most:
                self.refuse()
            yield item

    def refuse(self, amount: str = "") -> NoReturn:
        """Raise InputError; without an amount, it is unknown how much the limit is exceeded."""
        found = f"it has {amount} {self.unit}, " if amount else f"too many {self.unit}: "
        raise InputError(
            f"{found}more than the {self.value:,} allowed; the environment variable "
            f"{self.variable} raises this limit."
        )


JSON_BYTES = Limit(
    "JSON_BYTES", 2**24, "bytes", "records, plans, failures and configurations of runs and models"
)
VOCABULARY_BYTES = Limit(
    "VOCABULARY_BYTES", 2**28, "bytes", "the vocabulary of a model, and the merges of its subwords"
)
ELEMENTS = Limit("ELEMENTS", 10_000_000, "values", "any JSON file but reviews")
NESTING = Limit("NESTING", 64, "levels of lists and objects", "any JSON file but reviews")
WORDS = Limit(
    "WORDS", 5_000_000, "words", "the vocabulary of a model, and the merges of its subwords"
)
MODEL_BYTES = Limit("MODEL_BYTES", 2**29, "bytes", "the weights of a model, and an ONNX file")
TEXTS = Limit("TEXTS", 2**29, "bytes", "the values of the texts that a language model has read")
PREDICTION_ROWS = Limit(
    "PREDICTION_ROWS", 5_000_000, "rows", "the predictions of a run, and the reviews of a sweep"
)
PLANNED_RUNS = Limit("PLANNED_RUNS", 20_000, "runs", "the plan of a sweep")
MEMBERS = Limit("MEMBERS", 100, "members", "the record of an ensemble")
ROWS = Limit("ROWS", 50_000_000, "rows", "a table of reviews")
COLUMNS = Limit("COLUMNS", 10_000, "columns", "a table of reviews")
LINE_BYTES = Limit(
    "LINE_BYTES",
    2**24,
    "bytes in one line, field or text",
    "a table of reviews, a text file, and standard input",
)
BLOCK_BYTES = Limit(
    "BLOCK_BYTES",
    2**28,
    "bytes in 1,000 rows or a page",
    "reviews and predictions in Parquet's format",
)
FOOTER_BYTES = Limit(
    "FOOTER_BYTES", 2**24, "bytes of metadata", "reviews and predictions in Parquet's format"
)
EXPANSION = Limit(
    "EXPANSION", 200, "bytes for each compressed byte", "a compressed file, after its first 16 MiB"
)
VECTOR_BYTES = Limit("VECTOR_BYTES", 2**20, "bytes in one line", "a file of word vectors")
STATES = Limit(
    "STATES", 2**25, "numbers in its states (tokens x width of the network)", "a text to classify"
)
EXPLAINED_STATES = Limit(
    "EXPLAINED_STATES",
    2**19,
    "numbers in its states (tokens x width of the network)",
    "a text to explain",
)

LIMITS = (
    JSON_BYTES,
    VOCABULARY_BYTES,
    ELEMENTS,
    NESTING,
    WORDS,
    MODEL_BYTES,
    TEXTS,
    PREDICTION_ROWS,
    PLANNED_RUNS,
    MEMBERS,
    ROWS,
    COLUMNS,
    LINE_BYTES,
    BLOCK_BYTES,
    FOOTER_BYTES,
    EXPANSION,
    VECTOR_BYTES,
    STATES,
    EXPLAINED_STATES,
)
