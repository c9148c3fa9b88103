"""Reviews to batches for Lightning: split, vocabulary, loaders."""

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.batches import Batch, EncodedReviews, TrainingOrder, sorted_batches
from lstm_sentiment.data.corpus import TokenizedReviews, tokenized
from lstm_sentiment.data.reviews import open_corpus
from lstm_sentiment.data.tokens import UNK_ID, Vocabulary
from lstm_sentiment.errors import InputError

# Without gradients more reviews fit into a batch, and larger batches are faster.
EVALUATION_FACTOR = 4


class ReviewDataModule(L.LightningDataModule):
    """Tokenizes, splits and pads the reviews that `config` names.

    `seed` draws the order of the training batches; limits and split depend on
    `config.split_seed` alone. Without `test` the test split is not even opened.
    """

    train: EncodedReviews
    val: EncodedReviews
    test: EncodedReviews | None
    vocabulary: Vocabulary

    def __init__(
        self, config: DataConfig, seed: int = 0, test: bool = True, progress: bool = False
    ) -> None:
        super().__init__()
        self.config, self.seed, self.with_test, self.progress = config, seed, test, progress
        self.corpus = open_corpus(config)
        self.tokenized: dict[str, TokenizedReviews] = {}  # by split

    @property
    def identity(self) -> str:
        """What the data are: hub name and revision, or hashes of the files."""
        splits = ("train", "test") if self.with_test else ("train",)
        return " ".join(self.corpus.identify(split) for split in splits)

    def prepare_data(self) -> None:
        """Fills the cache of tokenized reviews. Raises InputError where that cannot be."""
        for split in ("train", "test") if self.with_test else ("train",):
            self._tokenized(split)

    def setup(self, stage: str = "") -> None:
        if hasattr(self, "vocabulary"):
            return  # Lightning asks again for every stage
        config = self.config
        reviews = self._tokenized("train")
        random = np.random.default_rng(config.split_seed)
        rows = stratified_sample(reviews.labels, config.limit_train, random)
        train, val = stratified_split(
            rows, reviews.labels, reviews.copies, config.val_fraction, random
        )
        cause = f"data.val_fraction={config.val_fraction}"
        if config.limit_train is not None:
            cause = f"data.limit_train={config.limit_train} with {cause}"
        _require_both_labels(reviews.labels[train], "training", cause)
        if config.val_fraction:
            _require_both_labels(reviews.labels[val], "validation", cause)
        self.vocabulary = Vocabulary.most_frequent(
            reviews.words, reviews.count(train), config.max_vocab
        )
        self.train, self.val = self._encoded(reviews, train), self._encoded(reviews, val)
        self.test = None
        if self.with_test:
            reviews = self._tokenized("test")
            random = np.random.default_rng(config.split_seed)
            rows = stratified_sample(reviews.labels, config.limit_test, random)
            _require_both_labels(reviews.labels[rows], "test", f"data.limit_test={len(rows)}")
            self.test = self._encoded(reviews, rows)

    def train_dataloader(self) -> DataLoader[Batch]:
        order = TrainingOrder(self.train.lengths, self.config.batch_size, self.seed)
        return _loader(self.train, order)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation_loader(self.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        assert self.test is not None, "made without the test split"
        return self._evaluation_loader(self.test)

    def text(self, stage: str, row: int) -> str:
        """The words of a review of "train", "val" or "test", by its row in the split's file."""
        reviews = self._tokenized("test" if stage == "test" else "train")
        numbers = reviews.tokens[reviews.offsets[row] : reviews.offsets[row + 1]]
        return " ".join(reviews.words[number] for number in numbers)

    def summary(self) -> dict[str, Any]:
        """What a record says of the data; shares are of the training part."""
        counts = self.train.token_counts
        tokens = self.train.reviews.count(self.train.rows)
        return {
            "source": self.corpus.name,
            "fingerprint": self.identity,
            "train": len(self.train),
            "val": len(self.val),
            "test": len(self.test) if self.test is not None else None,
            "vocabulary": len(self.vocabulary),
            "unknown_share": float(tokens[self.train.lookup == UNK_ID].sum() / tokens.sum()),
            "truncated_share": float((counts > self.config.max_length).mean()),
        }

    def _tokenized(self, split: str) -> TokenizedReviews:
        if split not in self.tokenized:
            cache = Path(self.config.cache)
            self.tokenized[split] = tokenized(self.corpus, split, cache, self.progress)
        return self.tokenized[split]

    def _encoded(self, reviews: TokenizedReviews, rows: np.ndarray) -> EncodedReviews:
        return EncodedReviews(
            reviews,
            rows,
            reviews.lookup(self.vocabulary),
            self.config.max_length,
            self.config.padding,
            self.config.truncation_side,
        )

    def _evaluation_loader(self, reviews: EncodedReviews) -> DataLoader[Batch]:
        size = self.config.batch_size * EVALUATION_FACTOR
        return _loader(reviews, sorted_batches(reviews.lengths, size))


def _loader(reviews: EncodedReviews, order: Any) -> DataLoader[Batch]:
    # The sampler yields whole batches, so the loader must not batch again.
    return DataLoader(reviews, sampler=order, batch_size=None)


def stratified_sample(
    labels: np.ndarray, limit: int | None, random: np.random.Generator
) -> np.ndarray:
    """Rows of at most `limit` reviews, sorted, with the labels in proportion."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    values, counts = np.unique(labels, return_counts=True)
    exact = counts * limit / len(labels)
    quotas = exact.astype(int)
    quotas[np.argsort(quotas - exact, kind="stable")[: limit - quotas.sum()]] += 1
    chosen = [
        random.permutation(np.flatnonzero(labels == value))[:quota]
        for value, quota in zip(values, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def stratified_split(
    rows: np.ndarray,
    labels: np.ndarray,
    copies: np.ndarray,
    fraction: float,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and for validation; copies of a text stay on one side.

    `labels` and `copies` are of the whole split. Each label gives `fraction` of its reviews, up
    to the size of a group of copies; a text under both labels goes with its first one.
    """
    groups, members = np.unique(copies[rows], return_inverse=True)
    sizes, group_labels = np.bincount(members), labels[groups]
    in_val = np.zeros(len(groups), bool)
    for value in np.unique(group_labels):
        order = random.permutation(np.flatnonzero(group_labels == value))
        filled = np.cumsum(sizes[order])
        in_val[order[filled <= round(filled[-1] * fraction)]] = True
    return rows[~in_val[members]], rows[in_val[members]]


def _require_both_labels(labels: np.ndarray, part: str, cause: str) -> None:
    if len(np.unique(labels)) < 2:
        raise InputError(
            f"{cause} leaves the {part} part {len(labels)} reviews and not both labels: "
            "keep more of them."
        )
