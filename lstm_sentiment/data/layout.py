"""Truncation and padding: which token is at which position of a batch."""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from lstm_sentiment.config import Padding, Side
from lstm_sentiment.data.vocabulary import PAD_ID

if TYPE_CHECKING:  # a predictor of an exported network works without PyTorch
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


class Layout(NamedTuple):
    """The positions of the tokens of a batch after truncation and padding."""

    positions: np.ndarray  # (B, T) int64, the position of each token among all tokens; 0 on padding
    mask: np.ndarray  # (B, T) bool, True on tokens
    lengths: np.ndarray  # (B,) int64, positions that the network reads as text

    def fill(self, tokens: np.ndarray, word_ids: np.ndarray | None = None) -> np.ndarray:
        """Return the ids of the batch, (B, T) int64.

        `tokens`, (all tokens,), are ids or, with `word_ids`, indices into `word_ids`.
        """
        chosen = tokens[self.positions]
        ids = chosen if word_ids is None else word_ids[chosen]
        return np.where(self.mask, ids, PAD_ID).astype(np.int64)


def lay_out(
    starts: np.ndarray, ends: np.ndarray, max_length: int, padding: Padding, truncation_side: Side
) -> Layout:
    """Lay out a batch in which review i, (B,), consists of the tokens starts[i] to ends[i] - 1."""
    starts, counts = truncated(starts, ends, max_length, truncation_side)
    width, left, lengths = geometry(counts, max_length, padding)
    positions, mask = token_positions(
        np.arange(width), left[:, None], starts[:, None], counts[:, None]
    )
    return Layout(positions, mask, lengths)


def truncated(
    starts: np.ndarray, ends: np.ndarray, max_length: int, truncation_side: Side
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first token and the token count of each review after truncation, (B,)."""
    counts = np.minimum(ends - starts, max_length)
    return (ends - counts if truncation_side is Side.left else starts), counts


def geometry(
    counts: np.ndarray, max_length: int, padding: Padding
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the width T of a batch, the padding before each review, (B,), and lengths, (B,)."""
    if padding.masked:
        return int(counts.max()), np.zeros_like(counts), counts
    left = max_length - counts if padding is Padding.keras else np.zeros_like(counts)
    return max_length, left, np.full_like(counts, max_length)


def token_positions(
    columns: Array, left: Array, starts: Array, counts: Array
) -> tuple[Array, Array]:
    """Return `positions` and `mask` of a layout, in NumPy or on the device of the tensors.

    `columns` is (T,). The other arguments are (B, 1): the padding before a review, its first token
    and its number of tokens.
    """
    offsets = columns - left  # within the review
    mask = (offsets >= 0) & (offsets < counts)
    return (starts + offsets) * mask, mask
