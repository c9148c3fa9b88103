"""texts -> predictions of an exported network, which ONNX Runtime computes without PyTorch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.serving.onnx_model import OnnxNetwork
from lstm_sentiment.serving.predictor import Explanation, Kind, NetworkPredictor


@dataclass(frozen=True, eq=False)
class OnnxPredictor(NetworkPredictor):
    """An exported network."""

    network: OnnxNetwork
    vocabulary: Vocabulary
    config: Config
    classes: Classes = BINARY
    ngrams: NgramClassifier | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        return "exported"

    def write_into(self, folder: Path) -> None:
        """Raise InputError: the weights have another form."""
        raise InputError("An exported model cannot be saved: copy its folder.")

    def _network_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self.network(ids, lengths)

    def _explanation(self, text: str, label: int | None) -> Explanation:
        raise InputError(
            "An exported model has no gradients: explain the run that it was exported from."
        )
