"""ids -> word vectors: the table of vectors, with the same dropout at every step."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_sentiment.config import EmbeddingConfig
from lstm_sentiment.data.vocabulary import PAD_ID

INITIAL_STD = 0.1  # with PyTorch's N(0, 1), the vectors of rare words would stay mostly noise


class Embedded(NamedTuple):
    """The word vectors of a batch, in one of two forms.

    Without `indices`, `vectors` is (B, T, E). With `indices`, (B, T), `vectors` is (U, E), which
    holds each distinct vector once, and `indices` gives the vector at each position. The recurrent
    encoder multiplies distinct vectors with its input weights once instead of once for each
    occurrence. Other encoders call `dense` and need not distinguish the two forms.
    """

    vectors: Tensor
    indices: Tensor | None = None

    @property
    def steps(self) -> int:
        """T, the steps of the padded reviews."""
        return (self.vectors if self.indices is None else self.indices).shape[1]

    def dense(self) -> Tensor:
        """Return the vectors as (B, T, E)."""
        return self.vectors if self.indices is None else F.embedding(self.indices, self.vectors)


class Embedding(nn.Module):
    """The table of word vectors, (V, E).

    With `masked` padding, the vector of padding is zero and is not trained. Otherwise it is treated
    like all other vectors. Dropout is locked: it zeroes the same components at all steps of a
    review (Gal & Ghahramani 2016), like Keras's `dropout` of the input of a recurrent layer.
    """

    def __init__(self, vocabulary_size: int, config: EmbeddingConfig, masked: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary_size, config.dim))
        self.padding_idx = PAD_ID if masked else None
        self.dropout = config.dropout
        if self.weight.is_meta:  # drawing numbers there imports PyTorch's compiler, in 2 seconds
            return
        nn.init.normal_(self.weight)
        with torch.no_grad():
            self.weight.mul_(INITIAL_STD)
            if masked:
                self.weight[PAD_ID] = 0

    def forward(self, ids: Tensor) -> Embedded:
        """Look up the vectors of (B, T) ids; the result may have more padding on the right."""
        # cuDNN takes dense vectors.
        return Embedded(self.vectors(ids)) if ids.is_cuda else self._distinct_vectors(ids)

    def vectors(self, ids: Tensor) -> Tensor:
        """Return the dense form, (B, T) -> (B, T, E), for gradients with respect to each vector."""
        vectors, factors = self.lookup(ids), self._dropout_factors(ids)
        return vectors if factors is None else vectors * factors.unsqueeze(1)

    def lookup(self, ids: Tensor) -> Tensor:
        """Return the vectors without dropout: (...) ids -> (..., E)."""
        return F.embedding(ids, self.weight, self.padding_idx)

    def _distinct_vectors(self, ids: Tensor) -> Embedded:
        """Return distinct vectors, (U, E), and their indices, (B, >= T), for (B, T) ids.

        A word has one vector in the whole batch; with dropout, it has one vector in each review.
        Both sizes are rounded up: T by padding, U by vectors that no index refers to.
        """
        factors, words = self._dropout_factors(ids), len(self.weight)
        ids = F.pad(ids, (0, round_up(ids.shape[1]) - ids.shape[1]), value=PAD_ID)
        keys = ids if factors is None else ids + words * torch.arange(len(ids)).unsqueeze(1)
        distinct, indices = torch.unique(keys, return_inverse=True)
        distinct = F.pad(distinct, (0, round_up(len(distinct)) - len(distinct)))
        if factors is None:
            return Embedded(self.lookup(distinct), indices)
        return Embedded(self.lookup(distinct % words) * factors[distinct // words], indices)

    def _dropout_factors(self, ids: Tensor) -> Tensor | None:
        """Return the factors of the vectors of each review, (B, E); None without dropout."""
        if not self.training or self.dropout == 0:
            return None
        return F.dropout(
            torch.ones(len(ids), self.weight.shape[1], device=ids.device), self.dropout
        )


def round_up(size: int) -> int:
    """Round a size up to one of sixteen sizes between two powers of two.

    In bf16, oneDNN compiles a kernel for each number of rows. Compiling takes longer than the
    matrix product, and the kernel stays in memory, so only few sizes are used. In fp32 the rounding
    gains nothing and costs little, since the recurrences compute nothing on padding.
    """
    step = max(1, 2 ** (size.bit_length() - 5))
    return -(-size // step) * step
