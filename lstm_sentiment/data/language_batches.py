"""reviews -> batches of word ids for a language model, and the vocabulary by count.

The corpus is that of `pretraining_reviews`: the training and the unlabelled reviews, never a text
of the validation or the test set. Some of its reviews are held out, to measure the perplexity.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lstm_sentiment.config import Padding, Side, Tokenizer
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.data.batches import shuffled_batches, sorted_batches
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.layout import lay_out
from lstm_sentiment.data.pretraining import pretraining_reviews
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.vocabulary import UNK_ID, Vocabulary
from lstm_sentiment.errors import InputError

EVALUATION_FACTOR = 2  # size of batches of held-out reviews, in training batches


class WordBatch(NamedTuple):
    """B texts, padded to T positions.

    Texts in a row are continued by those of the next batch. They have a word more than `lengths`,
    which is predicted and read in the next batch.
    """

    ids: Tensor  # (B, T) int64
    lengths: Tensor  # (B,) int64, words that are read; on the CPU

    @property
    def tokens(self) -> int:
        """The number of words that are read."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class EncodedTexts(Dataset[WordBatch]):
    """N reviews as ids, one after another; any batch of pieces of them can be requested."""

    ids: np.ndarray  # (all tokens,) int32
    offsets: np.ndarray  # (N + 1,) int64: review i is ids[offsets[i]:offsets[i + 1]]
    max_length: int  # tokens of a piece

    @cached_property
    def pieces(self) -> np.ndarray:
        """The first token and the end of each piece of each review, (M, 2) int64.

        Pieces have `max_length` tokens, the last of a review the rest. A piece begins with the last
        word of the one before, so that each word but the first is predicted once. A review of one
        word has no piece.
        """
        starts = [
            np.arange(start, end - 1, self.max_length - 1)
            for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]
        of_review = np.repeat(np.arange(len(starts)), [len(each) for each in starts])
        first = np.concatenate(starts)
        end = np.minimum(first + self.max_length, self.offsets[1:][of_review])
        return np.stack([first, end], 1)

    def __getitem__(self, bounds: np.ndarray) -> WordBatch:
        """Return the batch of the pieces with these bounds, (B, 2)."""
        starts, ends = bounds.T
        layout = lay_out(starts, ends, self.max_length, Padding.exact, Side.right)
        return WordBatch(torch.from_numpy(layout.fill(self.ids)), torch.from_numpy(layout.lengths))

    def in_rows(self, order: np.ndarray, rows: int, backward: bool) -> np.ndarray:
        """Return all reviews in this order, one after another, cut into rows: (rows, steps) int32.

        The end that does not fill a row is left out. For a network that reads backwards, all words
        are in the opposite order.
        """
        joined = np.concatenate([self.ids[self.offsets[k] : self.offsets[k + 1]] for k in order])
        joined = joined[::-1] if backward else joined
        steps = len(joined) // rows
        return np.ascontiguousarray(joined[: steps * rows].reshape(rows, steps))


class Parts(Sampler[Any], ABC):
    """The batches of a part of a pass over the texts; Lightning calls `set_epoch`.

    All parts have the same number of batches, so fewer than `count` batches of a pass are left out.
    """

    def __init__(self, batches: int, wanted: int) -> None:
        self.count = min(wanted, batches)  # parts of a pass
        self.size = batches // self.count  # batches of a part
        self.part = 0  # counted over all passes

    def set_epoch(self, epoch: int) -> None:
        """Set the part that the next batches belong to."""
        self.part = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Any]:
        # A generator, so that a part that is set after iter() is used.
        number, part = divmod(self.part, self.count)
        yield from self.batches_of_pass(number)[part * self.size : (part + 1) * self.size]

    @abstractmethod
    def batches_of_pass(self, number: int) -> list[Any]:
        """Return what identifies each batch of a pass, in its order."""


class PieceOrder(Parts):
    """The batches of pieces of similar length, in an order by the seed and the pass."""

    def __init__(self, texts: EncodedTexts, size: int, seed: int, parts: int) -> None:
        self.pieces, self.batch_size, self.seed = texts.pieces, size, seed
        super().__init__(len(self.batches_of_pass(0)), parts)

    def batches_of_pass(self, number: int) -> list[np.ndarray]:
        """Return the bounds of the pieces of each batch, (B, 2)."""
        lengths = self.pieces[:, 1] - self.pieces[:, 0]
        chosen = shuffled_batches(lengths, self.batch_size, self.seed, number)
        return [self.pieces[positions] for positions in chosen]


class RowOrder(Parts):
    """The batches of reviews in a row: the pass and the first step of each."""

    def __init__(self, texts: EncodedTexts, rows: int, steps: int, parts: int) -> None:
        self.steps = steps
        predictions = len(texts.ids) // rows - 1
        self.starts = range(0, max(1, predictions - steps + 1), steps)
        super().__init__(len(self.starts), parts)

    def batches_of_pass(self, number: int) -> list[tuple[int, int]]:
        """Return the pass and the first step of each batch."""
        return [(number, start) for start in self.starts]


class RowBatches(Dataset[WordBatch]):
    """The batches of reviews in a row, in the order of reading; each pass has another order."""

    def __init__(self, texts: EncodedTexts, config: PretrainingConfig, steps: int) -> None:
        self.texts, self.config, self.steps = texts, config, steps
        self.pass_, self.rows = -1, np.zeros((0, 0), np.int32)

    def __getitem__(self, place: tuple[int, int]) -> WordBatch:
        """Return the batch at a step of a pass: one word more than predictions."""
        number, start = place
        if number != self.pass_:
            random = np.random.default_rng([self.config.seed, number])
            order = random.permutation(len(self.texts.offsets) - 1)
            size, backward = self.config.data.batch_size, self.config.encoder.backward
            self.pass_, self.rows = number, self.texts.in_rows(order, size, backward)
        ids = self.rows[:, start : start + self.steps + 1].astype(np.int64)
        return WordBatch(torch.from_numpy(ids), torch.full((len(ids),), ids.shape[1] - 1))


class LanguageDataModule(L.LightningDataModule):
    """The texts of a language model, and its vocabulary. `setup` sets the attributes below."""

    vocabulary: Vocabulary
    train: EncodedTexts
    held_out: EncodedTexts
    copies: np.ndarray  # (N,) uint64, sorted: a value of each text, equal for copies of a review
    unknown_share: float  # of the tokens that are trained on
    left_out: int | None  # unlabelled reviews that are copies of held-out ones

    def __init__(self, config: PretrainingConfig, reviews: ReviewDataModule) -> None:
        super().__init__()
        self.config, self.reviews = config, reviews

    def setup(self, stage: str = "") -> None:
        """Read the corpus, hold some reviews out, and choose the vocabulary.

        Raises InputError if the reviews cannot be read, or if there are too few of them.
        """
        if hasattr(self, "vocabulary"):
            return
        self.reviews.setup()
        corpus = pretraining_reviews(self.reviews)
        if corpus.note:
            self.reviews.cache.note(corpus.note)
        *others, last = corpus.splits
        train, held_out = self._held_out(last)
        splits = [*others, train]
        self.vocabulary = self._vocabulary(splits)
        self.train = self._encoded(splits)
        self.held_out = self._encoded([held_out])
        self.copies = np.unique(np.concatenate([text_values(split) for split in corpus.splits]))
        self._require_predictions()
        self.unknown_share = float((self.train.ids == UNK_ID).mean())
        self.left_out = corpus.left_out

    def _require_predictions(self) -> None:
        """Raise InputError if there is no word to predict, in training or in measuring."""
        source, rows = self.reviews.corpus.name, self.config.data.batch_size
        for texts, purpose in ((self.train, "train on"), (self.held_out, "measure on")):
            if not len(texts.pieces):
                raise InputError(f"{source}: no review to {purpose} has two words.")
        in_rows = self.config.language_model.truncation is not None
        if in_rows and len(self.train.ids) < 2 * rows:
            raise InputError(
                f"data.batch_size must be at most {len(self.train.ids) // 2} with "
                f"language_model.truncation, for two words in each row (got {rows})."
            )

    def _held_out(self, split: Split) -> tuple[Split, Split]:
        """Return the reviews to train on and those to measure on, at least one, by a draw."""
        share = self.config.language_model.held_out
        random = np.random.default_rng(self.config.data.split_seed)
        order = random.permutation(len(split.rows))
        count = max(1, round(share * len(order)))
        if count >= len(order):
            raise InputError(
                f"language_model.held_out={share} leaves none of the {len(order)} reviews to train "
                "on: give a smaller share, or more reviews."
            )
        return split.take(np.sort(order[count:])), split.take(np.sort(order[:count]))

    def _vocabulary(self, splits: list[Split]) -> Vocabulary:
        """Return the most frequent words of all reviews, or the subwords of the training set."""
        if self.config.data.tokenizer is Tokenizer.bpe:
            return self.reviews.vocabulary
        totals: dict[str, int] = {}
        for split in splits:
            counts = split.tokenized.word_counts(split.rows)
            for word, count in zip(split.tokenized.words, counts.tolist(), strict=True):
                totals[word] = totals.get(word, 0) + count
        words = sorted(totals)
        counts = np.array([totals[word] for word in words])
        return Vocabulary.most_frequent(words, counts, self.config.data.max_vocab)

    def _encoded(self, splits: list[Split]) -> EncodedTexts:
        texts, lengths = [], []
        for split in splits:
            reviews = split.tokenized
            word_ids = reviews.word_ids(self.vocabulary)
            tokens, counts = reviews.gathered(split.rows)
            texts.append(word_ids[tokens])
            lengths.append(counts)
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return EncodedTexts(np.concatenate(texts), offsets, self.config.data.max_length)

    @property
    def order(self) -> Parts:
        """The order of the training batches."""
        config, truncation = self.config, self.config.language_model.truncation
        size, parts = config.data.batch_size, config.language_model.parts
        if truncation is not None:
            return RowOrder(self.train, size, truncation, parts)
        return PieceOrder(self.train, size, config.seed, parts)

    def train_dataloader(self) -> DataLoader[WordBatch]:
        """Return the batches of a part of a pass."""
        if (truncation := self.config.language_model.truncation) is not None:
            return _loader(RowBatches(self.train, self.config, truncation), self.order)
        return _loader(self.train, self.order)

    def val_dataloader(self) -> DataLoader[WordBatch]:
        """Return the batches of the held-out reviews, longest pieces first."""
        pieces = self.held_out.pieces
        size = self.config.data.batch_size * EVALUATION_FACTOR
        batches = sorted_batches(pieces[:, 1] - pieces[:, 0], size)
        return _loader(self.held_out, [pieces[chosen] for chosen in batches])

    def transfer_batch_to_device(
        self, batch: WordBatch, device: torch.device, dataloader_idx: int
    ) -> WordBatch:
        """Move the ids; the lengths stay on the CPU."""
        return batch._replace(ids=batch.ids.to(device))

    def summary(self) -> dict[str, Any]:
        """Return the entry `data` of a language model's record."""
        config = self.config.data
        return {
            "source": self.reviews.corpus.name,
            "fingerprint": self.reviews.identity,
            "reviews": len(self.train.offsets) - 1,
            "tokens": len(self.train.ids),
            "held_out": len(self.held_out.offsets) - 1,
            "left_out": self.left_out,
            "vocabulary": len(self.vocabulary),
            "unknown_share": self.unknown_share,
            "val_fraction": config.val_fraction,
        }


def text_values(split: Split) -> np.ndarray:
    """Return a value of each text of a split, (N,) uint64, equal for copies of a review."""
    return np.ascontiguousarray(split.tokenized.copies[split.rows, 0])


def _loader(texts: Dataset[WordBatch], order: Any) -> DataLoader[WordBatch]:
    return DataLoader(texts, sampler=order, batch_size=None)
