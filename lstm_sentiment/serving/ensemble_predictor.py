"""texts -> predictions of an ensemble: the mean of the probabilities of its members."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import THRESHOLD, Classes
from lstm_sentiment.model.metrics import logit_of_mean
from lstm_sentiment.serving.predictor import Explanation, Kind, Predictor


@dataclass(frozen=True, eq=False)
class EnsemblePredictor(Predictor):
    """Trained models, each with the tokenization of its training, and their shares of the mean."""

    members: Sequence[Predictor]
    weights: Sequence[float]
    config: Config  # that of the first member: the members were trained on the same reviews
    classes: Classes

    @classmethod
    def of(cls, members: Sequence[Predictor], weights: Sequence[float]) -> "EnsemblePredictor":
        """Return the ensemble of these models. Raises InputError if their classes differ."""
        first, *others = members
        for other in others:
            if other.classes.names != first.classes.names:
                raise InputError("The members of the ensemble have different classes.")
        classes = first.classes.with_threshold(THRESHOLD)
        return cls(members, weights, first.config, classes)

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        return "ensemble"

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        return logit_of_mean([member.logits(texts) for member in self.members], self.weights)

    def _explanation(self, text: str, label: int | None) -> Explanation:
        raise InputError("An ensemble has no explanation of its own: explain one of its members.")
