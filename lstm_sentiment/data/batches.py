"""Batches of reviews: their selection and order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from lstm_sentiment.config import AugmentConfig, Padding, Side
from lstm_sentiment.data.augmentation import SENTENCE_ENDS, augment
from lstm_sentiment.data.layout import geometry, lay_out, token_positions, truncated
from lstm_sentiment.data.ngram_vocabulary import NgramBatch, ReviewNgrams
from lstm_sentiment.data.ranks import Ranks
from lstm_sentiment.data.subwords import MARK
from lstm_sentiment.data.tokenized import TokenizedReviews, positions_of
from lstm_sentiment.data.vocabulary import PAD_ID, UNK_ID

# The number of batches in a pool: larger pools need less padding, smaller pools mix reviews better.
POOL = 50

Pair = tuple[np.ndarray, np.ndarray]  # positions of labelled and of unlabelled reviews


class Share(NamedTuple):
    """The share of a batch that one of several processes computes."""

    own: int  # its reviews; 0 if it only computes along, with the copy of a review of another one
    whole: int  # the reviews of all processes


class Batch(NamedTuple):
    """B reviews, padded to T positions."""

    ids: Tensor  # (B, T) int64
    lengths: Tensor  # (B,) int64, positions that the network reads as text
    # (B,) float32, of the classes. With pseudo-labels, (B,) probabilities of the second of two
    # classes or (B, K) of each of more; those of labelled reviews are 0 and 1.
    labels: Tensor
    rows: Tensor  # (B,) int64, rows of the reviews in their part of the corpus
    is_labelled: Tensor | None = None  # (B,) bool, on the CPU; None without pseudo-labels
    unlabelled: "Batch | None" = None  # further reviews, whose labels mean nothing
    # Those of the whole reviews, before truncation and augmentation; None without `head.ngrams`.
    ngrams: NgramBatch | None = None
    share: Share | None = None  # None if it is the whole batch

    @property
    def tokens(self) -> int:
        """The number of positions that the network reads as text, of all reviews."""
        others = 0 if self.unlabelled is None else self.unlabelled.tokens
        return int(self.own(self.lengths).sum()) + others  # lengths stay on the CPU

    def own(self, values: Tensor) -> Tensor:
        """Return the values of the reviews that count in this process, from B of them."""
        return values if self.share is None else values[: self.share.own]

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with all that a network reads on a device, except the lengths.

        Lengths and rows stay on the CPU, since packing sequences needs the lengths there.
        """
        ngrams = None if self.ngrams is None else NgramBatch(*(t.to(device) for t in self.ngrams))
        return self._replace(
            ids=self.ids.to(device),
            labels=self.labels.to(device),
            unlabelled=None if self.unlabelled is None else self.unlabelled.to(device),
            ngrams=ngrams,
        )


def mean(values: Sequence[Tensor], batches: Sequence[Batch]) -> Tensor:
    """Return the mean of the values of reviews, of (B,) for each batch, over all batches together.

    Of several processes, each returns the sum of its own values divided by the number of all
    reviews, so that the sum over the processes is the mean.
    """
    own = torch.cat([batch.own(of) for of, batch in zip(values, batches, strict=True)])
    shares = [batch.share for batch in batches if batch.share is not None]
    return own.sum() / sum(share.whole for share in shares) if shares else own.mean()


class Reviews(Dataset[Batch]):
    """Reviews of which any batch can be requested, by positions, (B,)."""

    def part(self, chosen: np.ndarray, own: np.ndarray) -> Batch:
        """Return a part of the batch of the reviews at `chosen`: those of the indices `own`."""
        return self[chosen[own]]


@dataclass(frozen=True)
class EncodedReviews(Reviews):
    """The reviews of a split, of which any batch of ids can be requested."""

    tokenized: TokenizedReviews
    rows: np.ndarray  # (N,) rows of the part that belong to the split
    word_ids: np.ndarray  # (W,) int32, word number -> id
    max_length: int
    padding: Padding = Padding.exact
    truncation_side: Side = Side.right
    ngrams: ReviewNgrams | None = None  # of the N reviews
    # With pseudo-labels, the probabilities in place of labels, (reviews of the part,) or (.., K)
    # float32, and which of these reviews have labels, (reviews of the part,) bool.
    soft_labels: np.ndarray | None = None
    is_labelled: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """Labels, (N,) int8."""
        return self.tokenized.labels[self.rows]

    @property
    def token_counts(self) -> np.ndarray:
        """Tokens of each review before truncation, (N,)."""
        return np.diff(self.tokenized.offsets)[self.rows]

    @property
    def lengths(self) -> np.ndarray:
        """Positions of each review that the network reads as text, (N,)."""
        counts = np.minimum(self.token_counts, self.max_length)
        return counts if self.padding.masked else np.full_like(counts, self.max_length)

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        """Return the batch of the reviews at the positions `chosen`, (B,), among `rows`."""
        rows = self.rows[chosen]
        starts, ends = self.tokenized.offsets[rows], self.tokenized.offsets[rows + 1]
        return self.batch(chosen, self.tokenized.tokens, starts, ends)

    def batch(
        self, chosen: np.ndarray, tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ) -> Batch:
        """Return a batch whose review i, (B,), consists of tokens[starts[i]:ends[i]].

        `tokens`, (all tokens,), are word numbers. Labels and n-grams are those of the reviews at
        the positions `chosen`, (B,), among `rows`.
        """
        rows = self.rows[chosen]
        layout = lay_out(starts, ends, self.max_length, self.padding, self.truncation_side)
        ids = layout.fill(tokens, self.word_ids)
        labels, is_labelled = self.labels_of(rows)
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(layout.lengths),
            labels,
            torch.from_numpy(rows),
            is_labelled,
            ngrams=self.ngrams_of(chosen),
        )

    def ngrams_of(self, chosen: np.ndarray) -> NgramBatch | None:
        """Return the n-grams of the reviews at the positions `chosen`, (B,), if they are known."""
        return None if self.ngrams is None else self.ngrams.batch(chosen)

    def labels_of(self, rows: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Return `labels` and `is_labelled` of a batch of the reviews in `rows`, (B,)."""
        if self.soft_labels is None or self.is_labelled is None:
            return torch.from_numpy(self.tokenized.labels[rows].astype(np.float32)), None
        return torch.from_numpy(self.soft_labels[rows]), torch.from_numpy(self.is_labelled[rows])


class ResidentReviews(Reviews):
    """The batches of `reviews`, computed on a device that holds the ids of all reviews.

    Lengths and rows stay on the CPU, since packing sequences needs the lengths there.
    """

    def __init__(self, reviews: EncodedReviews, device: torch.device) -> None:
        self.reviews, self.device = reviews, device
        offsets = reviews.tokenized.offsets
        first, self.counts = truncated(
            offsets[reviews.rows],
            offsets[reviews.rows + 1],
            reviews.max_length,
            reviews.truncation_side,
        )
        self.starts = np.cumsum(self.counts) - self.counts  # among the ids of this split
        tokens = reviews.tokenized.tokens[positions_of(first, self.counts)]
        ids = reviews.word_ids[tokens]
        self.ids = torch.from_numpy(ids).to(device)
        self.labels, self.is_labelled = reviews.labels_of(reviews.rows)

    def __len__(self) -> int:
        return len(self.reviews)

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        """Return the batch of the reviews at `chosen`, (B,), with ids on the device."""
        counts, starts = self.counts[chosen], self.starts[chosen]
        width, left, lengths = geometry(counts, self.reviews.max_length, self.reviews.padding)
        per_review = torch.from_numpy(np.stack([left, starts, counts])[:, :, None])
        positions, mask = token_positions(
            torch.arange(width, device=self.device), *per_review.to(self.device, non_blocking=True)
        )
        return Batch(
            torch.where(mask, self.ids[positions].long(), PAD_ID),
            torch.from_numpy(lengths),
            self.labels[chosen].to(self.device, non_blocking=True),
            torch.from_numpy(self.reviews.rows[chosen]),
            None if self.is_labelled is None else self.is_labelled[chosen],
            ngrams=self.reviews.ngrams_of(chosen),
        )


def shuffled_batches(lengths: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of an epoch, each as the positions of reviews of similar length.

    `lengths` is (N,), `size` the number of reviews in a batch. The shuffled reviews are divided
    into pools of `POOL` batches, each pool is sorted by length and cut into batches, and all
    batches are shuffled. The result depends only on the arguments.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), POOL * size):
        pool = order[start : start + POOL * size]
        batches += sorted_batches(lengths[pool], size, pool)
    return [batches[number] for number in random.permutation(len(batches))]


def sorted_batches(
    lengths: np.ndarray, size: int, positions: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return batches of `size` positions, sorted by descending length.

    `lengths` and `positions` are (N,); positions are 0 to N - 1 by default. With the longest
    reviews first, evaluation fails at once if a batch does not fit into memory.
    """
    order = np.argsort(-lengths, kind="stable")
    if positions is not None:
        order = positions[order]
    return [order[start : start + size] for start in range(0, len(order), size)]


class TrainingOrder(Sampler[np.ndarray]):
    """The shuffled batches of each epoch; Lightning calls `set_epoch`."""

    def __init__(self, lengths: np.ndarray, size: int, seed: int) -> None:
        self.lengths, self.size, self.seed, self.epoch = lengths, size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next batches belong to."""
        self.epoch = epoch

    def __len__(self) -> int:
        pool = POOL * self.size
        whole, rest = divmod(len(self.lengths), pool)
        return whole * POOL + -(-rest // self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        # A generator, so that an epoch that is set after iter() is used.
        yield from shuffled_batches(self.lengths, self.size, self.seed, self.epoch)


class PairedOrder(Sampler[Pair]):
    """The training batches of each epoch, each with a batch of unlabelled reviews.

    The training batches of all epochs pass through the unlabelled reviews again and again, each
    time in a new order. The pairs of an epoch depend only on the two orders and the epoch.
    """

    def __init__(self, train: TrainingOrder, unlabelled: TrainingOrder) -> None:
        self.train, self.unlabelled = train, unlabelled

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next batches belong to."""
        self.train.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.train)

    def __iter__(self) -> Iterator[Pair]:
        first = self.train.epoch * len(self.train)
        yield from zip(self.train, self._unlabelled_from(first), strict=False)

    def _unlabelled_from(self, number: int) -> Iterator[np.ndarray]:
        """Yield the batches of unlabelled reviews from this one on, without an end."""
        passes, skipped = divmod(number, len(self.unlabelled))
        while True:
            self.unlabelled.set_epoch(passes)
            yield from islice(self.unlabelled, skipped, None)
            passes, skipped = passes + 1, 0


class PairedReviews(Dataset[Batch]):
    """The batches of a `PairedOrder`: labelled reviews, and unlabelled ones beside them."""

    def __init__(self, train: Dataset[Batch], unlabelled: Dataset[Batch]) -> None:
        self.train, self.unlabelled = train, unlabelled

    def __getitem__(self, chosen: Pair) -> Batch:
        """Return the batch of the labelled and the unlabelled reviews at these positions."""
        labelled, unlabelled = chosen
        return self.train[labelled]._replace(unlabelled=self.unlabelled[unlabelled])


class AugmentedReviews(Reviews):
    """Augmented training reviews; the seed and the epoch of `order` determine the changes.

    Only the ids change: the n-grams of a batch are those of the unchanged reviews.
    """

    def __init__(
        self, reviews: EncodedReviews, config: AugmentConfig, order: TrainingOrder
    ) -> None:
        words = reviews.tokenized.words
        self.unknown = len(words)  # the number of an additional word, whose id is that of <unk>
        self.reviews = replace(reviews, word_ids=np.append(reviews.word_ids, np.int32(UNK_ID)))
        ends = [n for n, word in enumerate(words) if word.removeprefix(MARK) in SENTENCE_ENDS]
        self.ends = np.array(ends, np.int32)
        self.config, self.order = config, order

    def __len__(self) -> int:
        return len(self.reviews)

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        """Return the batch of the reviews at the positions `chosen`, (B,)."""
        return self.part(chosen, np.arange(len(chosen)))

    def part(self, chosen: np.ndarray, own: np.ndarray) -> Batch:
        """Return a part of a batch, in which each review has the changes of the whole batch.

        The first position is part of the seed of the changes, since it differs between batches.
        """
        # The 1 gives other draws than the order's seed; NumPy ignores trailing zeros of seeds
        random = np.random.default_rng([self.order.seed, self.order.epoch, 1, chosen[0]])
        rows, source = self.reviews.rows[chosen], self.reviews.tokenized
        changed = [
            augment(source.tokens_of(row), self.config, self.ends, self.unknown, random)
            for row in rows
        ]
        changed = [changed[index] for index in own]
        ends = np.cumsum([len(tokens) for tokens in changed])
        starts = np.concatenate([[0], ends[:-1]])
        return self.reviews.batch(chosen[own], np.concatenate(changed), starts, ends)


class SharedReviews(Dataset[Batch]):
    """The share of one of several processes in each batch of `reviews`.

    Batches are sorted by length, so every process takes each review after as many of others. A
    process without a review of its own gets the copy of another one, which does not count: all
    processes must compute, since they exchange numbers in each step.
    """

    def __init__(self, reviews: Reviews, ranks: Ranks) -> None:
        self.reviews, self.ranks = reviews, ranks

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        """Return the share in the batch of the reviews at the positions `chosen`, (B,)."""
        own = np.arange(self.ranks.rank, len(chosen), self.ranks.size)
        share = Share(len(own), len(chosen))
        return self.reviews.part(chosen, own if len(own) else np.zeros(1, int))._replace(
            share=share
        )
