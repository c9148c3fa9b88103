"""ids -> the probability of each word, given the words before it: a recurrent language model.

Its embedding and its encoder are those of a classifier, which can start from them (Dai and Le 2015,
Howard and Ruder 2018). It is regularized as in AWD-LSTM (Merity, Keskar and Socher 2018):
DropConnect on the hidden-to-hidden weights (section 3), dropout with one mask for all steps (4.2),
dropout of whole words (4.3), and penalties on the states (4.7).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_sentiment.config_pretraining import PretrainingConfig, Softmax
from lstm_sentiment.data.vocabulary import PAD_ID
from lstm_sentiment.model.embedding import Embedded, Embedding
from lstm_sentiment.model.encoders.recurrent import RecurrentEncoder, State

# Words of the first group of the adaptive softmax, and of the first two. Of IMDB's words, the first
# group has 79 %, the second 15 %.
CUTOFFS = (1_000, 8_000)


class Prediction(NamedTuple):
    """The losses of a batch in all its predictions, of which each direction makes its own."""

    losses: Tensor  # (P,), negative log-likelihood of each predicted word in nats
    penalty: Tensor  # the activation penalties, a scalar; zero in evaluation
    state: State | None = None  # the state after the last step, of reviews in a row


class LanguageModel(nn.Module):
    """Embedding, encoder, and the prediction of the next word from each state.

    A forward network predicts the next word, a backward network the previous one. In a network of
    both directions, each direction predicts from its own states, and both share the embedding and
    the softmax (Peters et al. 2018, section 3.1).
    """

    def __init__(self, config: PretrainingConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.config = config.language_model
        dim, hidden_size = config.embedding.dim, config.encoder.hidden_size
        self.embedding = Embedding(vocabulary_size, config.embedding, masked=True)
        self.encoder = RecurrentEncoder(config.encoder, dim)
        self.hidden_size, self.vocabulary_size = hidden_size, vocabulary_size
        directions = len(self.encoder.directions)
        # The softmax takes as many numbers as a vector has: tied weights need it, and it is faster.
        self.projections = nn.ModuleList(nn.Linear(hidden_size, dim) for _ in range(directions))
        is_tied = self.config.softmax is Softmax.tied
        self.softmax = TiedSoftmax(vocabulary_size) if is_tied else adaptive(dim, vocabulary_size)

    def forward(self, ids: Tensor, lengths: Tensor) -> Prediction:
        """Predict the words of reviews, each by itself: ids (B, T), padded on the right, (B,).

        A review of n words has n - 1 predictions in each direction. P is their number.
        """
        encoded = self.encoder(self._embedded(ids), lengths)
        is_pair = encoded.mask[:, 1 : ids.shape[1]]  # both words of a pair of neighbours are real
        ids = ids[:, : encoded.states.shape[1]]
        losses, penalty = [], encoded.states.new_zeros(())
        of_directions = encoded.states.split(self.hidden_size, -1)
        for backward, states, project in zip(
            self.encoder.directions, of_directions, self.projections, strict=True
        ):
            states = states[:, : ids.shape[1]]
            dropped = locked_dropout(states, self.config.output_dropout, self.training)
            context = dropped[:, 1:] if backward else dropped[:, :-1]
            targets = ids[:, :-1] if backward else ids[:, 1:]
            losses.append(self._losses(project(context[is_pair]), targets[is_pair]))
            penalty = penalty + self._penalty(states, dropped, encoded.mask[:, : ids.shape[1]])
        return Prediction(torch.cat(losses), penalty)

    def stream(self, ids: Tensor, state: State | None) -> Prediction:
        """Predict the words of reviews in a row, (B, T + 1) ids in the order of reading.

        `state` is that of the step before the first, or None. The gradient ends there.
        """
        read, targets = ids[:, :-1], ids[:, 1:]
        vectors = self._embedded(read).dense()[:, : read.shape[1]]  # it may have more padding
        states, state = self.encoder.stream(vectors, state)
        dropped = locked_dropout(states, self.config.output_dropout, self.training)
        losses = self._losses(self.projections[0](dropped).flatten(0, 1), targets.flatten())
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        return Prediction(losses, self._penalty(states, dropped, mask), state)

    def _embedded(self, ids: Tensor) -> Embedded:
        """Return the vectors of a batch. Dropped words have a vector of zeros, like padding."""
        share = self.config.word_dropout if self.training else 0.0
        if share == 0:
            return self.embedding(ids)
        is_dropped = torch.rand(self.vocabulary_size, device=ids.device) < share
        embedded = self.embedding(torch.where(is_dropped[ids], PAD_ID, ids))
        return embedded._replace(vectors=embedded.vectors / (1 - share))

    def _losses(self, context: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each prediction, (P,), from its context, (P, E), in float32."""
        # PyTorch's adaptive softmax fails if autocast narrows a part of its results.
        with torch.autocast(context.device.type, enabled=False):
            context = context.float()
            if isinstance(self.softmax, TiedSoftmax):
                return self.softmax(context, targets, self.embedding.weight)
            return -self.softmax(context, targets).output

    def _penalty(self, states: Tensor, dropped: Tensor, mask: Tensor) -> Tensor:
        """Return the activation penalties (Merity et al. 2018, section 4.7) of one direction.

        They are the mean squares of the states after dropout, and of the differences of successive
        states: (B, T, H), (B, T, H), (B, T) -> scalar.
        """
        if not self.training:
            return states.new_zeros(())
        size = self.config.activation * dropped[mask].square().mean()
        change = (states[:, 1:] - states[:, :-1])[mask[:, 1:]]
        if not len(change):  # reviews of one word
            return size
        return size + self.config.temporal_activation * change.square().mean()


class TiedSoftmax(nn.Module):
    """A softmax whose weights are the word vectors (Press and Wolf 2017), with its own bias."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, context: Tensor, targets: Tensor, vectors: Tensor) -> Tensor:
        """Return the losses, (P,): (P, E) contexts, (P,) targets, (V, E) word vectors."""
        return F.cross_entropy(F.linear(context, vectors, self.bias), targets, reduction="none")


def adaptive(input_size: int, vocabulary_size: int) -> nn.AdaptiveLogSoftmaxWithLoss:
    """Return the adaptive softmax (Grave et al. 2017) of words, the most frequent ones first."""
    cutoffs = [cutoff for cutoff in CUTOFFS if cutoff < vocabulary_size] or [vocabulary_size - 1]
    # Each group has a fourth of the numbers of the one before, but at least one.
    divisor = min(4.0, 0.999 * input_size ** (1 / len(cutoffs)))
    return nn.AdaptiveLogSoftmaxWithLoss(
        input_size, vocabulary_size, cutoffs, div_value=divisor, head_bias=True
    )


def locked_dropout(states: Tensor, dropout: float, training: bool) -> Tensor:
    """Drop the same components at all steps of a review: (B, T, H) -> (B, T, H)."""
    if not training or dropout == 0:
        return states
    return states * F.dropout(states.new_ones(len(states), 1, states.shape[2]), dropout)
