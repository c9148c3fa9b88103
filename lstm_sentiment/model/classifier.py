"""ids -> logits: embedding, encoder, head and output units."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from lstm_sentiment.config import Config
from lstm_sentiment.model.embedding import Embedded, Embedding
from lstm_sentiment.model.encoders import build_encoder
from lstm_sentiment.model.heads import HEADS


class Classifier(nn.Module):
    """The whole network: embedding, encoder, head and output units.

    There is one output unit for two classes, the logit of the second one, and one for each of more
    classes: `outputs` is `Classes.outputs`.
    """

    def __init__(self, config: Config, vocabulary_size: int, outputs: int = 1) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary_size, config.embedding, config.data.padding.masked)
        self.encoder = build_encoder(config.encoder, config.embedding.dim)
        self.head = HEADS[config.head.kind](self.encoder.output_size, config.data.max_length)
        self.dropout = nn.Dropout(config.encoder.dropout)
        self.output = nn.Linear(self.head.output_size, outputs)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of reviews: ids (B, T), padded on the right, and lengths (B,), 1 to T.

        The logits are (B,) for two classes and (B, K) for more.
        """
        encoded = self.encoder(self.embedding(ids), lengths)
        return self.output(self.dropout(self.head(encoded))).squeeze(-1)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of reviews from word vectors (B, T, E) and lengths (B,)."""
        encoded = self.encoder(Embedded(vectors), lengths)
        return self.output(self.dropout(self.head(encoded))).squeeze(-1)

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
        """Divide weights and bias of the output units, and so all logits, by a temperature."""
        for parameter in self.output.parameters():
            parameter.div_(temperature)

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
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
