"""Reviews as segments of a few tokens, which an encoder reads like reviews of their own."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_sentiment.model.embedding import Embedded


class Segments:
    """The division of B reviews of up to T steps into P segments of at most `size` tokens.

    `lengths`, (B,), are those of the reviews; the attribute has those of the segments, (P,).
    Segments that would be padding only are left out.
    """

    def __init__(self, lengths: Tensor, steps: int, size: int) -> None:
        self.reviews, self.steps, self.size = len(lengths), steps, size
        self.count = -(-steps // size)  # of each review, with those that are left out
        starts = size * torch.arange(self.count, device=lengths.device)
        all_lengths = (lengths.unsqueeze(1) - starts).clamp(0, size).flatten()
        self.kept = all_lengths.nonzero().squeeze(1)  # (P,)
        self.lengths = all_lengths[self.kept]

    def of(self, embedded: Embedded) -> Embedded:
        """Return the vectors of the segments, P x `size`, in the form of those of the reviews."""
        vectors, indices = embedded
        if indices is None:
            return Embedded(self._divided(vectors))
        return Embedded(vectors, self._divided(indices.unsqueeze(-1)).squeeze(-1))

    def _divided(self, values: Tensor) -> Tensor:
        """Cut (B, T, E) into the segments, (P, size, E); padding is zero."""
        missing = self.count * self.size - self.steps
        padded = F.pad(values, (0, 0, 0, missing))
        return padded.reshape(-1, self.size, values.shape[-1])[self.kept.to(values.device)]

    def joined(self, states: Tensor) -> Tensor:
        """Return the states of the reviews, (B, T, D), from those of the segments, (P, size, D)."""
        whole = states.new_zeros(self.reviews * self.count, self.size, states.shape[-1])
        whole = whole.index_copy(0, self.kept.to(states.device), states)
        return whole.view(self.reviews, -1, states.shape[-1])[:, : self.steps]
