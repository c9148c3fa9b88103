"""tokens -> logits, by the n-grams of a review: a trained baseline, or a part of a network."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lstm_sentiment.config import LONGEST_NGRAM
from lstm_sentiment.labels import POSITIVE

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class NgramModel(StrEnum):
    """The kinds of n-gram baselines."""

    logistic = auto()  # logistic regression on TF-IDF
    nb_svm = auto()  # logistic regression on the presence of n-grams, weighted by naive Bayes


@dataclass(frozen=True, eq=False)
class NgramClassifier:
    """A linear model of the n-grams of a review.

    The logit of a review is the intercept plus weight x value of each of its n-grams. With `idf`,
    the values are those of TF-IDF; without, the value of every n-gram that occurs is 1. Two classes
    have one logit, that of the second one; each of more classes has its own.
    """

    ngrams: Sequence[str]  # W, tokens joined by a space
    weights: np.ndarray  # (W,) float32 for two classes, (K, W) for more
    intercept: np.ndarray | np.float32  # () float32 for two classes, (K,) for more
    idf: np.ndarray | None  # (W,) float32
    longest: int = LONGEST_NGRAM  # tokens of an n-gram; 2 in baselines of earlier versions

    def divided_by(self, temperature: float) -> "NgramClassifier":
        """Return the baseline whose logits are these divided by a temperature."""
        weights = (self.weights / temperature).astype(np.float32)
        intercept = (self.intercept / temperature).astype(np.float32)
        return replace(self, weights=weights, intercept=intercept)

    def logits(self, reviews: Sequence[Sequence[str]]) -> np.ndarray:
        """Return the logits of N reviews, each a list of tokens, in float64.

        They are (N,) for two classes and (N, K) for more.
        """
        logits = np.empty((len(reviews), *self.weights.shape[:-1]))
        for row, tokens in enumerate(reviews):
            numbers, values = self._values([number for number, _ in self._occurrences(tokens)])
            logits[row] = self.weights[..., numbers].astype(float) @ values
        return logits + self.intercept.astype(float)

    def logits_of_values(self, values: "csr_matrix") -> np.ndarray:
        """Return the logits of N reviews, as `logits` does, from the values of their n-grams."""
        return values @ self.weights.T.astype(float) + self.intercept.astype(float)

    def contributions(self, tokens: Sequence[str], label: int = POSITIVE) -> np.ndarray:
        """Return the contribution of each token of a review to a logit, (T,) float64.

        It is the logit of the class `label`; two classes have only that of the second one, whatever
        the label. The contribution of an n-gram, weight x value, is divided equally among all
        tokens of all its occurrences. The logit is the sum of all contributions and the intercept.
        """
        occurrences = [*self._occurrences(tokens)]
        counts = Counter(number for number, _ in occurrences)
        numbers, values = self._values([number for number, _ in occurrences])
        weights = self.weights if self.weights.ndim == 1 else self.weights[label]
        products = dict(zip(numbers.tolist(), (weights[numbers] * values).tolist(), strict=True))
        contributions = np.zeros(len(tokens))
        for number, span in occurrences:
            contributions[span] += products[number] / counts[number] / (span.stop - span.start)
        return contributions

    def __contains__(self, ngram: str) -> bool:
        return ngram in self._numbers

    def _occurrences(self, tokens: Sequence[str]) -> Iterator[tuple[int, slice]]:
        """Yield the number of each n-gram that is known, and the tokens that it consists of."""
        for length in range(1, self.longest + 1):
            for start in range(len(tokens) - length + 1):
                ngram = " ".join(tokens[start : start + length])
                if (number := self._numbers.get(ngram)) is not None:
                    yield number, slice(start, start + length)

    def _values(self, occurring: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct numbers of n-grams, (G,), and their values in a review, (G,) float64.

        `occurring` has the number of an n-gram as often as it occurs.
        """
        numbers, counts = np.unique(np.array(occurring, np.int64), return_counts=True)
        if self.idf is None:
            return numbers, np.ones(len(numbers))
        values = (1 + np.log(counts)) * self.idf[numbers]
        return numbers, values / (np.linalg.norm(values) or 1)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {ngram: number for number, ngram in enumerate(self.ngrams)}
