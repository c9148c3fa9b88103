"""Reviews to batches for Lightning: split, vocabulary, loaders."""

from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lstm_sentiment.config import AugmentConfig, DataConfig, Source
from lstm_sentiment.data.batches import (
    AugmentedReviews,
    Batch,
    EncodedReviews,
    ResidentReviews,
    TrainingOrder,
    sorted_batches,
)
from lstm_sentiment.data.corpus import tokenized
from lstm_sentiment.data.reviews import Part, open_corpus
from lstm_sentiment.data.splits import Split, stratified_sample, stratified_split
from lstm_sentiment.data.tokens import UNK_ID, Vocabulary, printable
from lstm_sentiment.errors import InputError

# Without gradients more reviews fit into a batch, and larger batches are faster.
EVALUATION_FACTOR = 4
# Of a device's free memory, what the reviews of a split may take to stay there.
RESIDENT_SHARE, ID_BYTES = 0.2, 4


class ReviewDataModule(L.LightningDataModule):
    """Tokenizes, splits and pads the reviews that `config` names.

    `seed` draws the order of the training batches; limits and split depend on
    `config.split_seed` alone. Without `test` the test split is not even opened.
    """

    training: Split
    train: EncodedReviews
    val: EncodedReviews
    test: EncodedReviews | None
    word_counts: np.ndarray  # (W,) how often each word of the part occurs in training
    vocabulary: Vocabulary

    def __init__(
        self, config: DataConfig, seed: int = 0, test: bool = True, progress: bool = False
    ) -> None:
        super().__init__()
        self.config, self.seed, self.with_test, self.progress = config, seed, test, progress
        self.corpus = open_corpus(config)
        self.splits: dict[str, Split] = {}  # those that were read: "train", "test", ...

    @property
    def identity(self) -> str:
        """What the reviews are, in whatever files; fills the cache of tokenized reviews.

        Raises InputError where that cannot be.
        """
        self.prepare_data()
        return " ".join(self.split(name).identity for name in self._needed)

    def prepare_data(self) -> None:
        """Fills the cache of tokenized reviews. Raises InputError where that cannot be."""
        if self.splits.keys() >= set(self._needed):
            return  # the files may have gone since
        for name in self._needed:
            self._part(name)  # what is not there is noticed before anything is read
        for name in self._needed:
            self.split(name)

    def setup(self, stage: str = "") -> None:
        if hasattr(self, "vocabulary"):
            return  # Lightning asks again for every stage
        config, whole = self.config, self.split("train")
        random = np.random.default_rng(config.split_seed)
        chosen = stratified_sample(whole.labels, config.limit_train, random)
        train, val = (
            whole.take(places)
            for places in stratified_split(
                chosen, whole.labels, whole.copies, config.val_fraction, random
            )
        )
        cause = self._cause(limit_train=config.limit_train, val_fraction=config.val_fraction)
        _require_both_labels(train, "training", cause)
        if config.val_fraction:
            _require_both_labels(val, "validation", cause)
        if len(train.rows) < config.batch_size:
            raise InputError(
                f"data.batch_size={config.batch_size} is more than the {len(train.rows)} reviews "
                f"to train on: give at most {len(train.rows)}."
            )
        self.training = train
        self.word_counts = whole.reviews.count(train.rows)
        self.vocabulary = Vocabulary.most_frequent(
            whole.reviews.words, self.word_counts, config.max_vocab
        )
        self.train, self.val = self._encoded(train), self._encoded(val)
        self.test = self._encoded(self._limited_test()) if self.with_test else None

    def _limited_test(self) -> Split:
        config, whole = self.config, self.split("test")
        random = np.random.default_rng(config.split_seed)
        test = whole.take(stratified_sample(whole.labels, config.limit_test, random))
        _require_both_labels(test, "test", self._cause(limit_test=config.limit_test))
        return test

    def _cause(self, **fields: float | None) -> str:
        """What has made a part as small as it is."""
        if self.config.source is Source.reviews:
            fields["test_fraction"] = self.corpus.held_out
        named = [f"data.{name}={value}" for name, value in fields.items() if value is not None]
        return " with ".join(named) or self.corpus.name

    def train_dataloader(self) -> DataLoader[Batch]:
        order = TrainingOrder(self.train.lengths, self.config.batch_size, self.seed)
        if self.config.augment == AugmentConfig():
            return _loader(self._resident(self.train), order)
        return _loader(AugmentedReviews(self.train, self.config.augment, order), order)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation_loader(self.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        assert self.test is not None, "made without the test split"
        return self._evaluation_loader(self.test)

    def text(self, stage: str, row: int) -> str:
        """The words of a review of "train", "val" or "test", by its row in the split's file."""
        return printable(" ".join(self._split_of(stage).reviews.spelled(row)))

    def token_counts(self, stage: str, rows: Tensor) -> Tensor:
        """(N,), (N,) int64: how many tokens the reviews of these rows have, uncut."""
        offsets = self._split_of(stage).reviews.offsets
        return torch.from_numpy(offsets[rows.numpy() + 1] - offsets[rows.numpy()])

    def _split_of(self, stage: str) -> Split:
        return self.split("test" if stage == "test" else "train")

    def summary(self) -> dict[str, Any]:
        """What a record says of the data; shares are of the training part."""
        lengths, counts = self.train.token_counts, self.word_counts
        return {
            "source": self.corpus.name,
            "fingerprint": self.identity,
            "held_out": self.corpus.held_out,
            "train": len(self.train),
            "val": len(self.val),
            "test": len(self.test) if self.test is not None else None,
            "vocabulary": len(self.vocabulary),
            "unknown_share": float(counts[self.train.lookup == UNK_ID].sum() / counts.sum()),
            "truncated_share": float((lengths > self.config.max_length).mean()),
        }

    @property
    def _needed(self) -> tuple[str, ...]:
        return ("train", "test") if self.with_test else ("train",)

    def split(self, name: str) -> Split:
        """Raises InputError where the reviews cannot be read or kept."""
        if name not in self.splits:
            reviews = tokenized(self._part(name), self.config.cache, self.progress)
            whole = Split.whole(reviews)
            if self.corpus.held_out is None:
                self.splits[name] = whole
            else:
                train, test = whole.held_out(self.corpus.held_out)
                self.splits |= {"train": train, "test": test}
        return self.splits[name]

    def _part(self, split: str) -> Part:
        return self.corpus.parts["all" if self.corpus.held_out is not None else split]()

    def _encoded(self, split: Split) -> EncodedReviews:
        return EncodedReviews(
            split.reviews,
            split.rows,
            split.reviews.lookup(self.vocabulary),
            self.config.max_length,
            self.config.padding,
            self.config.truncation_side,
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        # Lengths and rows are asked for on the CPU; to fetch them back would stop the device.
        return batch._replace(ids=batch.ids.to(device), labels=batch.labels.to(device))

    def _evaluation_loader(self, reviews: EncodedReviews) -> DataLoader[Batch]:
        size = self.config.batch_size * EVALUATION_FACTOR
        return _loader(self._resident(reviews), sorted_batches(reviews.lengths, size))

    def _resident(self, reviews: EncodedReviews) -> Dataset[Batch]:
        """The reviews, on the device if that is CUDA and they take little of it."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type != "cuda":
            return reviews
        free, _ = torch.cuda.mem_get_info(device)
        small = reviews.lengths.sum() * ID_BYTES < free * RESIDENT_SHARE
        return ResidentReviews(reviews, device) if small else reviews


def _loader(reviews: Dataset[Batch], order: Any) -> DataLoader[Batch]:
    # The sampler yields whole batches, so the loader must not batch again.
    return DataLoader(reviews, sampler=order, batch_size=None)


def _require_both_labels(split: Split, part: str, cause: str) -> None:
    if len(np.unique(split.labels)) < 2:
        raise InputError(
            f"{cause} leaves the {part} part {len(split.rows)} reviews and not both labels: "
            "keep more of them."
        )
