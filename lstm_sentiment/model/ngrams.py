"""tokens -> bag of words and bigrams -> logit: no recurrence, the bar that a network has to clear.

What a review says is counted, in whatever order it says it.
"""

from enum import StrEnum, auto

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

LONGEST = 2  # words of an n-gram
LEAST = 2  # reviews it must occur in


class Classifier(StrEnum):
    logistic = auto()  # logistic regression on TF-IDF
    nb_svm = auto()  # on presence, weighted by naive Bayes


# The strength of the weights' penalty is 1 / C. Chosen on IMDB's validation part.
C = {Classifier.logistic: 10.0, Classifier.nb_svm: 0.3}


def bag_of_ngrams(kind: Classifier) -> Pipeline:
    """An untrained classifier of reviews, each a list of tokens.

    Its `decision_function` gives log-odds of positive. `nb_svm` follows Wang and Manning (2012),
    with the logistic loss in place of the hinge, as Mesnil et al. (2015) have it: a hinge states
    no probability.
    """
    bags = {
        Classifier.logistic: [("counts", _counted(TfidfVectorizer, sublinear_tf=True))],
        Classifier.nb_svm: [
            ("counts", _counted(CountVectorizer, binary=True)),
            ("naive_bayes", NaiveBayesWeights()),
        ],
    }
    regression = LogisticRegression(C=C[kind], solver="liblinear", random_state=0)
    return Pipeline([*bags[kind], ("regression", regression)])


def _counted(vectorizer: type[CountVectorizer], **options: bool) -> CountVectorizer:
    return vectorizer(
        tokenizer=_as_they_are,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, LONGEST),
        min_df=LEAST,
        **options,
    )


def _as_they_are(tokens: list[str]) -> list[str]:
    return tokens


class NaiveBayesWeights(TransformerMixin, BaseEstimator):
    """Scales what is counted by how much it speaks for positive: the log of the ratio of its
    shares, with one added to each count (Wang and Manning 2012, section 2.1).
    """

    def fit(self, counts: csr_matrix, labels: np.ndarray) -> "NaiveBayesWeights":
        """(N, W) counts of N reviews, (N,) labels 0 or 1"""
        positive, negative = (
            1 + np.asarray(counts[labels == label].sum(0)).ravel() for label in (1, 0)
        )
        self.log_ratio_ = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        return self

    def transform(self, counts: csr_matrix) -> csr_matrix:
        return counts.multiply(self.log_ratio_).tocsr()
