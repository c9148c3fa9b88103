"""tokens -> bag of words, bigrams and trigrams -> logits: the training of the n-gram baselines.

The models use the n-grams of a review and ignore all other word order. The report shows when a
network does not beat them.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from lstm_sentiment.config import LONGEST_NGRAM, ClassWeights
from lstm_sentiment.data.ngram_vocabulary import MIN_REVIEWS
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel

# The inverse strengths of the L2 penalty that are tried, the strongest penalty first.
GRID = {
    NgramModel.logistic: (3.0, 10.0, 30.0, 100.0, 300.0),
    NgramModel.nb_svm: (0.03, 0.1, 0.3, 1.0, 3.0),
}
# The values that are used if there are too few reviews to choose one.
DEFAULT_C = {NgramModel.logistic: 30.0, NgramModel.nb_svm: 0.3}
TOLERANCE = 1e-7  # of the mean loss's gradient; with scikit-learn's 1e-4, training stops early
INTERCEPT = "unpenalised"  # recorded, since liblinear penalised it in earlier baselines


def bag_of_ngrams(
    kind: NgramModel,
    count: int = 2,
    class_weights: ClassWeights = ClassWeights.none,
    c: float | None = None,
) -> Pipeline:
    """Return an untrained classifier of reviews, each of which is a list of tokens.

    `count` is the number of classes, whose labels are 0 to `count` - 1, and `c` the inverse
    strength of the penalty, by default that of `DEFAULT_C`. The `decision_function`
    returns the log-odds of the second of two classes, (N,), or the logits of more, (N, K), whose
    softmax gives the probabilities.

    `logistic` with more classes is multinomial. `nb_svm` follows Wang and Manning (2012), but with
    the logistic loss instead of the hinge loss, like Mesnil et al. (2015): the hinge loss gives no
    probabilities. With more classes, it is a model of each class against the rest, as in section
    2.1 of Wang and Manning, and the logits are the log-odds of these models.
    """
    # liblinear, the usual solver of sparse problems, would penalise the intercept.
    regression = LogisticRegression(
        C=DEFAULT_C[kind] if c is None else c,
        solver="newton-cg",
        tol=TOLERANCE,
        warm_start=True,  # a repeated fit with another C is faster
        class_weight=None if class_weights is ClassWeights.none else str(class_weights),
    )
    if kind is NgramModel.logistic:
        counts = _vectorizer(TfidfVectorizer, sublinear_tf=True)
        return Pipeline([("counts", counts), ("regression", regression)])
    counts = _vectorizer(CountVectorizer, binary=True)
    weighted = [("naive_bayes", NaiveBayesWeights()), ("regression", regression)]
    if count == 2:
        return Pipeline([("counts", counts), *weighted])
    return Pipeline([("counts", counts), ("one_vs_rest", OneVsRestClassifier(Pipeline(weighted)))])


def _vectorizer(kind: type[CountVectorizer], **options: bool) -> CountVectorizer:
    """Return a vectorizer of reviews that are tokenized already."""
    return kind(
        tokenizer=_identity,
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, LONGEST_NGRAM),
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


class TrainingNgrams:
    """The n-grams of training reviews, counted once to fit baselines with several penalties."""

    def __init__(
        self,
        kind: NgramModel,
        reviews: Sequence[Sequence[str]],
        labels: np.ndarray,
        count: int = 2,
        class_weights: ClassWeights = ClassWeights.none,
    ) -> None:
        """Count the n-grams of N reviews, each a list of tokens; `labels` is (N,).

        `count` is the number of classes, all of which must occur. Raises ValueError if no n-gram
        occurs in `MIN_REVIEWS` reviews.
        """
        self._pipeline, self._labels = bag_of_ngrams(kind, count, class_weights), labels
        self._train_values = self._pipeline["counts"].fit_transform(reviews)

    def values(self, reviews: Sequence[Sequence[str]]) -> csr_matrix:
        """Return the values of the n-grams of N other reviews, (N, W)."""
        return self._pipeline["counts"].transform(reviews)

    def fitted(self, c: float) -> NgramClassifier:
        """Fit a baseline with the inverse strength `c` of the penalty.

        The solver starts from the weights of the last fit, so fits are fastest in the order of `c`.
        """
        model = self._pipeline[1:]  # of the same objects
        model.set_params(**{_parameter_c(model): c}).fit(self._train_values, self._labels)
        return _linear_model(self._pipeline)


def _parameter_c(model: Pipeline) -> str:
    """Return the name of the parameter C of the regression, which may be inside one_vs_rest."""
    return next(name for name in model.get_params() if name.endswith("regression__C"))


def _linear_model(pipeline: Pipeline) -> NgramClassifier:
    """Return the linear model of a trained pipeline, rounded to float32."""
    bag, model = pipeline["counts"], pipeline[-1]
    if isinstance(model, OneVsRestClassifier):
        parts = [_of_model(estimator) for estimator in model.estimators_]
        weights, intercept = map(np.stack, zip(*parts, strict=True))
    else:
        weights, intercept = _of_model(pipeline)
    idf = bag.idf_.astype(np.float32) if isinstance(bag, TfidfVectorizer) else None
    return NgramClassifier(
        bag.get_feature_names_out().tolist(),
        weights.astype(np.float32, order="C"),
        intercept.astype(np.float32),
        idf,
    )


def _of_model(pipeline: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and intercept of a trained regression on n-grams, in float64.

    They are (W,) and () if it has one logit, and (K, W) and (K,) otherwise.
    """
    regression = pipeline["regression"]
    weights, intercept = regression.coef_, regression.intercept_
    if "naive_bayes" in pipeline.named_steps:
        weights = weights * pipeline["naive_bayes"].log_ratio_
    return (weights[0], intercept[0]) if len(weights) == 1 else (weights, intercept)
