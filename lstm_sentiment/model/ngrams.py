"""tokens -> bag of words and bigrams -> logit: the n-gram baselines.

The models use the n-grams of a review and ignore all other word order. The report shows when a
network does not beat them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import normalize

MAX_TOKENS = 2  # of an n-gram
MIN_REVIEWS = 2  # of the training set in which an n-gram must occur


class NgramModel(StrEnum):
    """The kinds of n-gram baselines."""

    logistic = auto()  # logistic regression on TF-IDF
    nb_svm = auto()  # logistic regression on the presence of n-grams, weighted by naive Bayes


# The inverse strength of the L2 penalty, chosen on a validation set of IMDB.
C = {NgramModel.logistic: 10.0, NgramModel.nb_svm: 0.3}
TOLERANCE = 1e-7  # of the mean loss's gradient; with scikit-learn's 1e-4, training stops early
INTERCEPT = "unpenalised"  # recorded, since liblinear penalised it in earlier baselines


def bag_of_ngrams(kind: NgramModel) -> Pipeline:
    """Return an untrained classifier of reviews, each of which is a list of tokens.

    Its `decision_function` returns the log-odds of positive. `nb_svm` follows Wang and Manning
    (2012), but with the logistic loss instead of the hinge loss, like Mesnil et al. (2015): the
    hinge loss gives no probabilities.
    """
    bags = {
        NgramModel.logistic: [("counts", _vectorizer(TfidfVectorizer, sublinear_tf=True))],
        NgramModel.nb_svm: [
            ("counts", _vectorizer(CountVectorizer, binary=True)),
            ("naive_bayes", NaiveBayesWeights()),
        ],
    }
    # liblinear, the usual solver of sparse problems, would penalise the intercept.
    regression = LogisticRegression(C=C[kind], solver="newton-cg", tol=TOLERANCE)
    return Pipeline([*bags[kind], ("regression", regression)])


def _vectorizer(kind: type[CountVectorizer], **options: bool | dict[str, int]) -> CountVectorizer:
    """Return a vectorizer of reviews that are tokenized already."""
    return kind(
        tokenizer=_identity,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, MAX_TOKENS),
        min_df=MIN_REVIEWS,
        **options,
    )


def _identity(tokens: list[str]) -> list[str]:
    return tokens


class NaiveBayesWeights(TransformerMixin, BaseEstimator):
    """A scaling of each n-gram by its log-count ratio (Wang and Manning 2012, section 2.1).

    The ratio is the frequency of the n-gram among all n-grams of positive reviews, divided by its
    frequency among those of negative reviews. One is added to each count.
    """

    def fit(self, counts: csr_matrix, labels: np.ndarray) -> "NaiveBayesWeights":
        """Compute the ratios from the counts of N reviews, (N, W), and labels, 0 or 1, (N,)."""
        positive, negative = (
            1 + np.asarray(counts[labels == label].sum(0)).ravel() for label in (1, 0)
        )
        self.log_ratio_ = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        return self

    def transform(self, counts: csr_matrix) -> csr_matrix:
        """Return the scaled counts, (N, W)."""
        return counts.multiply(self.log_ratio_).tocsr()


@dataclass(frozen=True, eq=False)
class NgramClassifier:
    """A trained baseline: a linear model of the n-grams of a review.

    The logit of a review is the intercept plus weight x value of each of its n-grams. With `idf`,
    the values are those of TF-IDF; without, the value of every n-gram that occurs is 1.
    """

    ngrams: Sequence[str]  # W, tokens joined by a space
    weights: np.ndarray  # (W,) float32
    intercept: np.float32
    idf: np.ndarray | None  # (W,) float32

    @classmethod
    def fitted(
        cls, kind: NgramModel, reviews: Sequence[Sequence[str]], labels: np.ndarray
    ) -> "NgramClassifier":
        """Fit a baseline to N reviews, each a list of tokens, and their labels, (N,).

        Raises ValueError if no n-gram occurs in `MIN_REVIEWS` reviews.
        """
        return cls.of_pipeline(bag_of_ngrams(kind).fit(reviews, labels))

    @classmethod
    def of_pipeline(cls, pipeline: Pipeline) -> "NgramClassifier":
        """Return the linear model of a trained pipeline, rounded to float32."""
        regression, bag = pipeline["regression"], pipeline["counts"]
        weights, idf = regression.coef_[0], None
        if "naive_bayes" in pipeline.named_steps:
            weights = weights * pipeline["naive_bayes"].log_ratio_
        else:
            idf = bag.idf_.astype(np.float32)
        return cls(
            bag.get_feature_names_out().tolist(),
            weights.astype(np.float32),
            np.float32(regression.intercept_[0]),
            idf,
        )

    def logits(self, reviews: Sequence[Sequence[str]]) -> np.ndarray:
        """Return the logit of each of N reviews, each a list of tokens, (N,) float64."""
        if not reviews:  # scikit-learn refuses an empty matrix
            return np.empty(0)
        return self._values(reviews) @ self.weights.astype(float) + float(self.intercept)

    def contributions(self, tokens: Sequence[str]) -> np.ndarray:
        """Return the contribution of each token of a review to its logit, (T,) float64.

        The contribution of an n-gram, weight x value, is divided equally among all tokens of all
        its occurrences. The logit is the sum of all contributions and the intercept.
        """
        values = self._values([tokens])
        products = self.weights[values.indices] * values.data
        of_ngrams = dict(zip(values.indices.tolist(), products.tolist(), strict=True))
        occurrences = [
            (number, slice(start, start + length))
            for length in range(1, MAX_TOKENS + 1)
            for start in range(len(tokens) - length + 1)
            if (number := self._numbers.get(" ".join(tokens[start : start + length]))) is not None
        ]
        counts = Counter(number for number, _ in occurrences)
        contributions = np.zeros(len(tokens))
        for number, span in occurrences:
            contributions[span] += of_ngrams[number] / counts[number] / (span.stop - span.start)
        return contributions

    def __contains__(self, ngram: str) -> bool:
        return ngram in self._numbers

    def _values(self, reviews: Sequence[Sequence[str]]) -> csr_matrix:
        """Return the values of the n-grams of N reviews, (N, W) float64."""
        values = self._vectorizer.transform(reviews).astype(float)
        if self.idf is None:
            return values.sign()
        values.data = (1 + np.log(values.data)) * self.idf[values.indices]
        return normalize(values, copy=False)

    @cached_property
    def _vectorizer(self) -> CountVectorizer:
        return _vectorizer(CountVectorizer, vocabulary=self._numbers)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {ngram: number for number, ngram in enumerate(self.ngrams)}
