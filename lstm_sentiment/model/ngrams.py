"""tokens -> bag of words and bigrams -> logit: the n-gram baselines.

The models use the n-grams of a review and ignore all other word order. The report shows when a
network does not beat them.
"""

from enum import StrEnum, auto

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

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


def _vectorizer(kind: type[CountVectorizer], **options: bool) -> CountVectorizer:
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
