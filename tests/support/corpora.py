"""Corpora of a few reviews: in the forms of IMDB, in files, and in place of the hub."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.sources import Corpus, open_corpus
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import UNLABELLED
from tests.support.tables import NumberedReview, numbered, write_columns

TEXTS = ["A warm and clever film.", "I looked at my watch.<br />Often.", " 映画 \0 🎬\n", " "]
LABELS = [1, 0, 1, 0]

Rows = Sequence[tuple[Any, ...]]  # texts and labels, perhaps followed by groups


def reviews(
    texts: Sequence[str] = TEXTS, labels: Sequence[int | None] = LABELS
) -> list[NumberedReview]:
    return [NumberedReview(text, label) for text, label in zip(texts, labels, strict=True)]


def write_reviews(file: Path, texts: Sequence[str] = TEXTS, labels: Sequence[int] = LABELS) -> Path:
    return write_columns(file, labels, texts, names="label text")


def write_archive(
    folder: Path, train: Rows, test: Rows = (), unsupervised: Sequence[str] = ()
) -> Path:
    """Write the files of IMDB's original archive."""
    sides = {0: "neg", 1: "pos", UNLABELLED: "unsup"}
    unlabelled = [(text, UNLABELLED) for text in unsupervised]
    for split, rows in (("train", [*train, *unlabelled]), ("test", test)):
        for number, (text, label, *_) in enumerate(rows):
            file = folder / split / sides[label] / f"{number}_{7 * label}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
    return folder


def open_source(source: Source, **fields: Any) -> Corpus:
    return open_corpus(DataConfig(source=source, **fields), DataCache())


def open_imdb(path: Path | str | None = None) -> Corpus:
    return open_source(Source.imdb, path=None if path is None else str(path))


def open_reviews(path: Path | str, cache: DataCache | None = None, **fields: Any) -> Corpus:
    """Open reviews in a command of their own, or in that of `cache`."""
    config = DataConfig(source=Source.reviews, path=str(path), **fields)
    return open_corpus(config, cache or DataCache())


def read(corpus: Corpus, part: str = "train") -> list[NumberedReview]:
    """Return the texts and labels of the reviews, which have no groups."""
    read_reviews = list(corpus.parts[part]().read())
    assert all(review.group is None for review in read_reviews)
    return numbered(read_reviews)


def groups(corpus: Corpus, part: str = "train") -> list[str | None]:
    """Return the groups of the reviews."""
    return [review.group for review in corpus.parts[part]().read()]


def version(corpus: Corpus, part: str = "train") -> str:
    return corpus.parts[part]().version()


def refusal_of(call: Callable[[], object]) -> str:
    """Return the message of an InputError: one line, a full sentence."""
    with pytest.raises(InputError) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
    return str(raised.value)


class Hub:
    """Stands for `datasets.load_dataset`: returns `answer`, or raises it."""

    def __init__(self) -> None:
        self.answer: Any = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS})
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def data_set(**splits: Rows) -> datasets.DatasetDict:
    """Return a data set of the hub, whose labels have names."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    columns = {
        split: {"text": [row[0] for row in rows], "label": [row[1] for row in rows]}
        for split, rows in splits.items()
    }
    return datasets.DatasetDict(
        {split: datasets.Dataset.from_dict(rows, features) for split, rows in columns.items()}
    )
