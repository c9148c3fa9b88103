"""ids -> batches: which reviews travel together, in which order, and how they are padded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from lstm_sentiment.config import AugmentConfig, Padding, Side
from lstm_sentiment.data.augmentation import SENTENCE_ENDS, augmented
from lstm_sentiment.data.corpus import TokenizedReviews
from lstm_sentiment.data.tokens import PAD_ID, UNK_ID

# Batches whose reviews are sorted among themselves: more saves padding, fewer mixes better.
POOL = 50


class Batch(NamedTuple):
    ids: Tensor  # (B, T) int64
    lengths: Tensor  # (B,) int64, positions the network reads as text
    labels: Tensor  # (B,) float32, 1 is positive
    rows: Tensor  # (B,) int64, where the reviews stand in their file


class Layout(NamedTuple):
    """Reviews of different lengths as one rectangle, cut and padded."""

    places: np.ndarray  # (B, T), which of all the tokens stands where
    real: np.ndarray  # (B, T) bool, False on padding
    lengths: np.ndarray  # (B,) int64, positions the network reads as text

    def fill(self, tokens: np.ndarray, lookup: np.ndarray | None = None) -> np.ndarray:
        """(all,) ids, or numbers of words to be looked up -> (B, T) int64 ids"""
        chosen = tokens[self.places]
        ids = chosen if lookup is None else lookup[chosen]
        return np.where(self.real, ids, PAD_ID).astype(np.int64)


def lay_out(
    starts: np.ndarray, ends: np.ndarray, max_length: int, padding: Padding, truncation_side: Side
) -> Layout:
    """(B,), (B,): review i is the tokens from starts[i] up to ends[i]."""
    kept = np.minimum(ends - starts, max_length)
    if truncation_side is Side.left:
        starts = ends - kept
    width = int(kept.max()) if padding.masked else max_length
    shift = (width - kept if padding is Padding.keras else np.zeros_like(kept))[:, None]
    place = np.arange(width) - shift  # (B, T), the position in the review
    real = (place >= 0) & (place < kept[:, None])
    lengths = kept if padding.masked else np.full_like(kept, width)
    return Layout(np.where(real, starts[:, None] + place, 0), real, lengths)


@dataclass(frozen=True)
class EncodedReviews(Dataset[Batch]):
    """Reviews of a split as batches of ids, gathered from the flat tokens at the moment of use."""

    reviews: TokenizedReviews
    rows: np.ndarray  # (N,) the reviews of the split that are in use
    lookup: np.ndarray  # (W,) int32, word number -> id
    max_length: int
    padding: Padding = Padding.exact
    truncation_side: Side = Side.right

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def token_counts(self) -> np.ndarray:
        """(N,) tokens of each review, uncut."""
        return np.diff(self.reviews.offsets)[self.rows]

    @property
    def lengths(self) -> np.ndarray:
        """(N,) positions of each review that the network reads."""
        if not self.padding.masked:
            return np.full(len(self), self.max_length)
        return np.minimum(self.token_counts, self.max_length)

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        """The batch of these positions in `rows`."""
        rows = self.rows[chosen]
        starts, ends = self.reviews.offsets[rows], self.reviews.offsets[rows + 1]
        return self.batch(rows, self.reviews.tokens, starts, ends)

    def batch(
        self, rows: np.ndarray, tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ) -> Batch:
        """(B,) rows, (all,) numbers of words, (B,) each: review i is tokens[starts[i]:ends[i]]."""
        layout = lay_out(starts, ends, self.max_length, self.padding, self.truncation_side)
        ids = layout.fill(tokens, self.lookup)
        return Batch(
            torch.from_numpy(ids),
            torch.from_numpy(layout.lengths),
            torch.from_numpy(self.reviews.labels[rows].astype(np.float32)),
            torch.from_numpy(rows),
        )


class ResidentReviews(Dataset[Batch]):
    """The same batches, gathered on a device where the ids of all reviews lie.

    Lengths and rows stay on the CPU, which asks for them: a packed sequence is made from lengths.
    """

    def __init__(self, reviews: EncodedReviews, device: torch.device) -> None:
        self.reviews, self.device = reviews, device
        counts = np.minimum(reviews.token_counts, reviews.max_length)
        starts = np.cumsum(counts) - counts
        first = reviews.reviews.offsets[reviews.rows]
        if reviews.truncation_side is Side.left:
            first = first + reviews.token_counts - counts
        places = np.arange(counts.sum()) + np.repeat(first - starts, counts)
        self.ids = torch.from_numpy(reviews.lookup[reviews.reviews.tokens[places]]).to(device)
        self.counts, self.starts = torch.from_numpy(counts), torch.from_numpy(starts)
        self.labels = torch.from_numpy(reviews.reviews.labels[reviews.rows].astype(np.float32))

    def __len__(self) -> int:
        return len(self.reviews)

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        padding = self.reviews.padding
        counts, starts = self.counts[chosen], self.starts[chosen]
        width = int(counts.max()) if padding.masked else self.reviews.max_length
        lengths = counts if padding.masked else torch.full_like(counts, width)
        shift = width - counts if padding is Padding.keras else torch.zeros_like(counts)
        shift, counts, starts = (
            column.unsqueeze(1).to(self.device, non_blocking=True)
            for column in (shift, counts, starts)
        )
        place = torch.arange(width, device=self.device) - shift
        real = (place >= 0) & (place < counts)
        ids = self.ids[torch.where(real, starts + place, 0)].long()
        return Batch(
            torch.where(real, ids, PAD_ID),
            lengths,
            self.labels[chosen].to(self.device, non_blocking=True),
            torch.from_numpy(self.reviews.rows[chosen]),
        )


def shuffled_batches(lengths: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Positions (0 to N - 1) in batches of like length; a pure function of (seed, epoch).

    Reviews are shuffled, dealt into pools of `POOL` batches, sorted by length within the pool
    and cut into batches; then the batches are shuffled.
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
    """The longest first, so that too large a batch fails at once and not after minutes."""
    order = np.argsort(-lengths, kind="stable")
    if positions is not None:
        order = positions[order]
    return [order[start : start + size] for start in range(0, len(order), size)]


class TrainingOrder(Sampler[np.ndarray]):
    """The batches of an epoch, drawn anew for each; Lightning calls `set_epoch`."""

    def __init__(self, lengths: np.ndarray, size: int, seed: int) -> None:
        self.lengths, self.size, self.seed, self.epoch = lengths, size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        pool = POOL * self.size
        whole, rest = divmod(len(self.lengths), pool)
        return whole * POOL + -(-rest // self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        # A generator, so that an epoch set after iter() still counts.
        yield from shuffled_batches(self.lengths, self.size, self.seed, self.epoch)


class AugmentedReviews(Dataset[Batch]):
    """Training reviews, changed anew in every epoch as a pure function of (seed, epoch)."""

    def __init__(
        self, reviews: EncodedReviews, config: AugmentConfig, order: TrainingOrder
    ) -> None:
        words = reviews.reviews.words
        self.unknown = len(words)  # a number behind those of all words
        self.reviews = replace(reviews, lookup=np.append(reviews.lookup, np.int32(UNK_ID)))
        ends = [number for number, word in enumerate(words) if word in SENTENCE_ENDS]
        self.ends = np.array(ends, np.int32)
        self.config, self.order = config, order

    def __len__(self) -> int:
        return len(self.reviews)

    def __getitem__(self, chosen: np.ndarray) -> Batch:
        """The batch of these positions, no two batches of an epoch beginning with the same."""
        # The 1 keeps it apart from the draw of the order: seeds that differ in zeros are the same.
        random = np.random.default_rng([self.order.seed, self.order.epoch, 1, chosen[0]])
        rows, source = self.reviews.rows[chosen], self.reviews.reviews
        changed = [
            augmented(source.of(row), self.config, self.ends, self.unknown, random) for row in rows
        ]
        ends = np.cumsum([len(tokens) for tokens in changed])
        starts = np.concatenate([[0], ends[:-1]])
        return self.reviews.batch(rows, np.concatenate(changed), starts, ends)
