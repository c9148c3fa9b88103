"""Heads: they reduce the states of a review to one vector, without padding."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_sentiment.config import HeadKind
from lstm_sentiment.model.encoders.contract import Encoded


class Head(Protocol):
    """An `nn.Module` that reduces the states of each review to a vector of length `output_size`.

    The vector of a review depends neither on padding nor on the other reviews of the batch.
    """

    output_size: int

    def __init__(self, input_size: int, max_length: int) -> None:
        """Take states of width `input_size`, for reviews of at most `max_length` tokens."""
        ...

    def __call__(self, encoded: Encoded) -> Tensor:
        """Return the vectors, (B, output_size)."""
        ...


def masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Return the largest value of each unit over real tokens: (B, T, D), (B, T) -> (B, D)."""
    return torch.where(mask.unsqueeze(-1), states, -torch.inf).max(1).values


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over real tokens: (B, T, D), (B, T) -> (B, D)."""
    keep = mask.unsqueeze(-1)
    return (states * keep).sum(1) / keep.sum(1)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return weights with sum 1 over real tokens, zero on padding: (B, T), (B, T) -> (B, T)."""
    return scores.masked_fill(~mask, -torch.inf).softmax(1)


def weighted_sum(states: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of the states times their weights: (B, T, D), (B, T) -> (B, D)."""
    return torch.einsum("btd,bt->bd", states, weights)


class Last(nn.Module):
    """The last forward state and the first backward state, concatenated."""

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.output_size = input_size

    def forward(self, encoded: Encoded) -> Tensor:
        return encoded.final


class Flatten(nn.Module):
    """All states, concatenated and padded with zeros to `max_length` steps."""

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.output_size = input_size * max_length

    def forward(self, encoded: Encoded) -> Tensor:
        missing = self.max_length - encoded.states.shape[1]
        return F.pad(encoded.states, (0, 0, 0, missing)).flatten(1)


class Max(nn.Module):
    """Global max pooling."""

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.output_size = input_size

    def forward(self, encoded: Encoded) -> Tensor:
        return masked_max(encoded.states, encoded.mask)


class Average(nn.Module):
    """Global average pooling."""

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.output_size = input_size

    def forward(self, encoded: Encoded) -> Tensor:
        return masked_mean(encoded.states, encoded.mask)


class Attention(nn.Module):
    """Word attention (Yang et al. 2016, equations 5 to 7): weights from a learned query.

    The scores have no bias, since the softmax would cancel it.
    """

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.output_size = input_size
        self.hidden = nn.Linear(input_size, input_size)
        self.query = nn.Linear(input_size, 1, bias=False)

    def weights(self, encoded: Encoded) -> Tensor:
        """Return the attention weights, (B, T): they sum to 1, and are zero on padding."""
        scores = self.query(torch.tanh(self.hidden(encoded.states))).squeeze(-1)
        return masked_softmax(scores, encoded.mask)

    def forward(self, encoded: Encoded) -> Tensor:
        return weighted_sum(encoded.states, self.weights(encoded))


class MaxAttention(nn.Module):
    """Max-attention (Maini et al. 2020): the query is the max-pooled state."""

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.output_size = input_size

    def weights(self, encoded: Encoded) -> Tensor:
        """Return the attention weights, (B, T): they sum to 1, and are zero on padding."""
        query = masked_max(encoded.states, encoded.mask)
        scores = torch.einsum("btd,bd->bt", F.normalize(encoded.states, dim=-1), query)
        return masked_softmax(scores, encoded.mask)

    def forward(self, encoded: Encoded) -> Tensor:
        return weighted_sum(encoded.states, self.weights(encoded))


class Concat(nn.Module):
    """Concat pooling (Howard and Ruder 2018, section 3.3): last state, maximum and mean."""

    def __init__(self, input_size: int, max_length: int) -> None:
        super().__init__()
        self.output_size = 3 * input_size

    def forward(self, encoded: Encoded) -> Tensor:
        states, final, mask = encoded
        return torch.cat([final, masked_max(states, mask), masked_mean(states, mask)], -1)


HEADS: dict[HeadKind, type[Head]] = {
    HeadKind.last: Last,
    HeadKind.flatten: Flatten,
    HeadKind.max: Max,
    HeadKind.avg: Average,
    HeadKind.attention: Attention,
    HeadKind.max_attention: MaxAttention,
    HeadKind.concat: Concat,
}
