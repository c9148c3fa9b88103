"""texts -> predictions of an n-gram baseline, with the tokenization of training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.labels import BINARY, POSITIVE, Classes
from lstm_sentiment.model.ngrams import NgramClassifier
from lstm_sentiment.serving.attribution import LINEAR, Attribution
from lstm_sentiment.serving.predictor import Explanation, Kind, Predictor


@dataclass(frozen=True, eq=False)
class NgramPredictor(Predictor):
    """A trained n-gram baseline, which reads whole texts."""

    classifier: NgramClassifier
    config: Config
    classes: Classes = BINARY

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        return "n-grams"

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        return self.classifier.logits([self._tokenize(text) for text in texts])

    def _explanation(self, text: str, label: int | None) -> Explanation:
        tokens, prediction = self._tokenize(text), self.predict(text)
        label = self._explained(prediction) if label is None else label
        # The logit of the first of two classes is the negative of that of the second one.
        sign = -1 if len(self.classes) == 2 and label != POSITIVE else 1
        contributions = sign * self.classifier.contributions(tokens, label)
        intercepts = np.broadcast_to(self.classifier.intercept, len(self.classes))
        intercept = sign * float(intercepts[label])
        attribution = Attribution(
            logit=intercept + float(contributions.sum()),
            baseline=intercept,
            contributions=tuple(contributions.tolist()),
            attention=None,
            gap=0.0,
            method=LINEAR,
        )
        known = tuple(token in self.classifier for token in tokens)
        return Explanation(tuple(tokens), known, 0, attribution, prediction, self.classes, label)
