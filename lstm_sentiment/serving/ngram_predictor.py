"""texts -> predictions of an n-gram baseline, with the tokenization of training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngrams import NgramClassifier
from lstm_sentiment.serving.attribution import LINEAR, Attribution
from lstm_sentiment.serving.predictor import Explanation, Predictor


@dataclass(frozen=True, eq=False)
class NgramPredictor(Predictor):
    """A trained n-gram baseline, which reads whole texts."""

    classifier: NgramClassifier
    config: Config
    classes: Classes = BINARY

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        return self.classifier.logits([self._tokenize(text) for text in texts])

    def _explanation(self, text: str) -> Explanation:
        tokens = self._tokenize(text)
        contributions = self.classifier.contributions(tokens)
        intercept = float(self.classifier.intercept)
        attribution = Attribution(
            logit=intercept + float(contributions.sum()),
            baseline=intercept,
            contributions=tuple(contributions.tolist()),
            attention=None,
            gap=0.0,
            method=LINEAR,
        )
        known = tuple(token in self.classifier for token in tokens)
        return Explanation(tuple(tokens), known, 0, attribution, self.predict(text))
