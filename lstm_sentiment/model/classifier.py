"""ids -> logit: embedding, encoder, head and one output unit."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_sentiment.config import Config
from lstm_sentiment.data.tokens import PAD_ID
from lstm_sentiment.model.encoders import Encoder
from lstm_sentiment.model.heads import HEADS


class Classifier(nn.Module):
    """The whole network; a positive logit says that the review is positive."""

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            vocabulary_size,
            config.embedding.dim,
            # Where padding is read as text, its vector is learned like any other.
            padding_idx=PAD_ID if config.data.padding.masked else None,
        )
        # PyTorch's own start, N(0, 1), drowns in noise what is learned of rare words.
        with torch.no_grad():
            self.embedding.weight.mul_(0.1)
        self.embedding_dropout = config.embedding.dropout
        self.encoder = Encoder(config.encoder, config.embedding.dim)
        self.head = HEADS[config.head.kind](self.encoder.output_size, config.data.max_length)
        self.dropout = nn.Dropout(config.encoder.dropout)
        self.output = nn.Linear(self.head.output_size, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) ids padded on the right, (B,) lengths from 1 to T -> (B,) logits"""
        vectors, places = self._distinct_vectors(ids)
        return self.classify(vectors, lengths, places)

    def classify(self, vectors: Tensor, lengths: Tensor, places: Tensor | None = None) -> Tensor:
        """(B, T, E) words' vectors, or (U, E) with (B, T) places among them -> (B,) logits"""
        encoded = self.encoder(vectors, lengths, places)
        return self.output(self.dropout(self.head(encoded))).squeeze(-1)

    def vectors(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, E): those of all words in the order in which they are read"""
        vectors = self.embedding(ids)
        return vectors if (kept := self._kept(ids)) is None else vectors * kept.unsqueeze(1)

    def _distinct_vectors(self, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T) -> (U, E), (B, >= T): the vectors of a batch, each once, and which stands where.

        A word has one vector in the whole batch; under dropout it has one in each review. For
        cuDNN, which wants them spelled out, (B, T, E) and None.
        """
        if ids.is_cuda:
            return self.vectors(ids), None
        kept, words = self._kept(ids), self.embedding.num_embeddings
        ids = F.pad(ids, (0, one_of_few(ids.shape[1]) - ids.shape[1]), value=PAD_ID)
        keys = ids if kept is None else ids + words * torch.arange(len(ids)).unsqueeze(1)
        distinct, places = torch.unique(keys, return_inverse=True)
        distinct = F.pad(distinct, (0, one_of_few(len(distinct)) - len(distinct)))
        if kept is None:
            return self.embedding(distinct), places
        return self.embedding(distinct % words) * kept[distinct // words], places

    def _kept(self, ids: Tensor) -> Tensor | None:
        """(B, E) of dropout, if there is any."""
        if not self.training or self.embedding_dropout == 0:
            return None
        size = len(ids), self.embedding.embedding_dim
        return locked_dropout(self.embedding_dropout, size, ids.device)

    @torch.no_grad()
    def start_from(self, vectors: np.ndarray, found: np.ndarray) -> None:
        """(V, D), (V,) bool: takes the vectors that were found; the others stay as drawn."""
        self.embedding.weight[torch.from_numpy(found)] = torch.from_numpy(vectors[found])

    def parameter_counts(self) -> dict[str, int]:
        """Trainable numbers of each part, in the order in which a review meets them."""
        parts = {name: getattr(self, name) for name in ("embedding", "encoder", "head", "output")}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def one_of_few(size: int) -> int:
    """Rounded up, to one of sixteen sizes for each power of two.

    oneDNN builds a product in bf16 anew for each number of rows it meets, which takes longer than
    the product, and keeps it in memory. In fp32 nothing is gained, and little lost: the recurrences
    compute nothing on padding.
    """
    step = max(1, 2 ** (size.bit_length() - 5))
    return -(-size // step) * step


def locked_dropout(p: float, shape: tuple[int, int], device: torch.device) -> Tensor:
    """(B, E): what all vectors of a review are multiplied with.

    It zeroes the same components at all steps of a review (Gal & Ghahramani 2016), as Keras's
    `dropout` of a recurrent layer does to its input.
    """
    return F.dropout(torch.ones(shape, device=device), p)
