"""ids -> logits: embedding, encoder, head and output units, which may read n-grams, too."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from lstm_sentiment.config import Config
from lstm_sentiment.data.ngram_vocabulary import NgramBatch, NgramVocabulary
from lstm_sentiment.model.embedding import Embedded, Embedding
from lstm_sentiment.model.encoders import build_encoder
from lstm_sentiment.model.heads import HEADS
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.model.ngram_layer import NgramLayer


class Classifier(nn.Module):
    """The whole network: embedding, encoder, head and output units.

    There is one output unit for two classes, the logit of the second one, and one for each of more
    classes: `outputs` is `Classes.outputs`. With `log_ratio`, (G, K), the output units also read
    the n-grams of a review, see `NgramLayer`; `wide` is this layer, or None.
    """

    def __init__(
        self,
        config: Config,
        vocabulary_size: int,
        outputs: int = 1,
        log_ratio: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary_size, config.embedding, config.data.padding.masked)
        self.encoder = build_encoder(config.encoder, config.embedding.dim)
        self.head = HEADS[config.head.kind](self.encoder.output_size, config.data.max_length)
        self.dropout = nn.Dropout(config.encoder.dropout)
        self.output = nn.Linear(self.head.output_size, outputs)
        self.wide = None if log_ratio is None else NgramLayer(log_ratio)

    def forward(self, ids: Tensor, lengths: Tensor, ngrams: NgramBatch | None = None) -> Tensor:
        """Return the logits of reviews: ids (B, T), padded on the right, and lengths (B,), 1 to T.

        The logits are (B,) for two classes and (B, K) for more. `ngrams` are those of the reviews,
        which a network with the layer `wide` needs.
        """
        return self._logits(self.embedding(ids), lengths, ngrams)

    def classify(
        self, vectors: Tensor, lengths: Tensor, ngrams: NgramBatch | None = None
    ) -> Tensor:
        """Return the logits of reviews from word vectors (B, T, E), lengths (B,) and n-grams."""
        return self._logits(Embedded(vectors), lengths, ngrams)

    def _logits(self, embedded: Embedded, lengths: Tensor, ngrams: NgramBatch | None) -> Tensor:
        logits = self.output(self.dropout(self.head(self.encoder(embedded, lengths))))
        if self.wide is not None:
            if ngrams is None:
                raise ValueError("a network with n-grams needs those of the reviews")
            logits = logits + self.wide(ngrams, len(logits))
        return logits.squeeze(-1)

    @torch.no_grad()
    def start_from(self, vectors: np.ndarray, has_vector: np.ndarray) -> None:
        """Copy pretrained vectors, (V, E), to the words that have one, (V,) bool.

        The vectors of all other words keep their random initial values.
        """
        self.embedding.weight[torch.from_numpy(has_vector)] = torch.from_numpy(vectors[has_vector])

    def start_encoder_from(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights of an encoder from those of a whole model, by PyTorch's names."""
        prefix = "encoder."
        own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        assert isinstance(self.encoder, nn.Module)
        self.encoder.load_state_dict(own)

    @torch.no_grad()
    def divide_logits(self, temperature: float) -> None:
        """Divide all weights and the bias of the output units, and so all logits."""
        for part in (self.output, self.wide):
            for parameter in [] if part is None else part.parameters():
                parameter.div_(temperature)

    def linear_model(self, vocabulary: NgramVocabulary | None) -> NgramClassifier | None:
        """Return the layer for n-grams as a linear model of these n-grams, if there is one."""
        if self.wide is None or vocabulary is None:
            return None
        return self.wide.linear_model(vocabulary)

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters by layer, from the top to the bottom.

        The first layer is the head and the output units. The layers of the encoder follow, from the
        last to the first, and then the word vectors.
        """
        lower = [*reversed(self.encoder.layers()), [*self.embedding.parameters()]]
        known = {id(parameter) for layer in lower for parameter in layer}
        return [[p for p in self.parameters() if id(p) not in known], *lower]

    def parameter_counts(self) -> dict[str, int]:
        """Return the number of trainable parameters of each module, in the order of computation."""
        parts = {name: getattr(self, name) for name in ("embedding", "encoder", "head", "output")}
        if self.wide is not None:
            parts["n-grams"] = self.wide
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
