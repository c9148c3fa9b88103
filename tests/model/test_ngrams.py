"""The n-gram baselines: which n-grams they count, and how they weight them."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from lstm_sentiment.config import ClassWeights
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.ngrams import (
    NaiveBayesWeights,
    NgramClassifier,
    NgramModel,
    TrainingNgrams,
    bag_of_ngrams,
)

FILLER = "the a film plot with of and its cast scene".split()
# Single words are no evidence for either class; pairs of neighbours are.
VERDICTS = {1: ["good", "not bad"], 0: ["bad", "not good"]}


def reviews(count: int, seed: int) -> tuple[list[list[str]], np.ndarray]:
    """Return reviews with a verdict at a random position among neutral words, and their labels."""
    draw = random.Random(seed)
    labels = np.arange(count) % 2
    texts = [
        [*draw.choices(FILLER, k=5), *draw.choice(VERDICTS[label]).split(), *draw.choices(FILLER)]
        for label in labels.tolist()
    ]
    return texts, labels


def ngrams_of(kind: NgramModel, *texts: str) -> set[str]:
    """Return the n-grams that a classifier uses after training on these texts."""
    model = bag_of_ngrams(kind).fit([text.split() for text in texts], np.arange(len(texts)) % 2)
    return set(model[0].get_feature_names_out())


def test_a_weight_is_the_log_ratio_of_two_shares() -> None:
    counts = csr_matrix([[2, 0, 1], [0, 3, 0], [1, 0, 0]])
    weights = NaiveBayesWeights().fit(counts, np.array([1, 0, 1]))
    # With one added, the counts are 4, 1, 2 of 7 in positive and 1, 4, 1 of 6 in negative reviews.
    ratios = np.array([4 / 7 / (1 / 6), 1 / 7 / (4 / 6), 2 / 7 / (1 / 6)])
    np.testing.assert_allclose(weights.log_ratio_, np.log(ratios))
    np.testing.assert_allclose(
        weights.transform(counts).toarray(), counts.toarray() * np.log(ratios)
    )


@pytest.mark.parametrize("binary", [False, True])
def test_the_weights_are_those_of_scikit_learns_naive_bayes(binary: bool) -> None:
    draw = np.random.default_rng(0)
    counts = csr_matrix(draw.poisson(0.7, (30, 12)))
    if binary:
        counts = counts.sign()
    labels = draw.permutation(np.arange(30) % 3 == 0).astype(np.int8)
    negative, positive = MultinomialNB(alpha=1).fit(counts, labels).feature_log_prob_
    weights = NaiveBayesWeights().fit(counts, labels).log_ratio_
    np.testing.assert_allclose(weights, positive - negative)


def test_swapped_labels_negate_the_weights() -> None:
    counts = csr_matrix(np.random.default_rng(0).poisson(1, (20, 5)))
    labels = np.arange(20) % 4 == 0
    first, second = (NaiveBayesWeights().fit(counts, y).log_ratio_ for y in (labels, ~labels))
    np.testing.assert_allclose(first, -second)


@pytest.mark.parametrize("kind", NgramModel)
def test_words_bigrams_and_trigrams_are_counted_but_nothing_longer(kind: NgramModel) -> None:
    expected = {"a", "b", "c", "d", "a b", "b c", "c d", "a b c", "b c d"}
    assert ngrams_of(kind, "a b c d", "a b c d") == expected


@pytest.mark.parametrize("kind", NgramModel)
def test_case_and_punctuation_are_preserved(kind: NgramModel) -> None:
    assert ngrams_of(kind, "Good ! x", "good ! X", "Good !") == {"Good", "!", "Good !"}


@pytest.mark.parametrize("kind", NgramModel)
def test_ngrams_of_a_single_review_are_left_out(kind: NgramModel) -> None:
    assert ngrams_of(kind, "dull dull dull film", "film", "a film") == {"film"}


def test_logistic_regression_reads_tf_idf() -> None:
    """TF is 1 + the log of a count, IDF is smoothed, and a review's vector has length 1."""
    model = bag_of_ngrams(NgramModel.logistic)
    model.fit([["a"], ["a"], ["a", "b"], ["a", "b"], ["c"]], np.array([1, 0, 1, 0, 1]))
    idf = {"a": 1 + np.log(6 / 5), "b": 1 + np.log(6 / 3), "a b": 1 + np.log(6 / 3)}
    names = model[0].get_feature_names_out().tolist()
    assert names == ["a", "a b", "b"]
    tf = {"a": 1 + np.log(3), "b": 1.0, "a b": 1.0}
    expected = np.array([tf[name] * idf[name] for name in names])
    features = model[:-1].transform([["a", "a", "a", "b"]]).toarray()[0]
    np.testing.assert_allclose(features, expected / np.linalg.norm(expected))


def test_nb_svm_reads_the_weights_of_present_ngrams() -> None:
    model = bag_of_ngrams(NgramModel.nb_svm)
    model.fit([["a", "a"], ["b"], ["a", "a", "a"], ["a", "b"]], np.array([1, 0, 1, 0]))
    # "a a" occurs in two reviews, and "a a a" in one.
    assert model[0].get_feature_names_out().tolist() == ["a", "a a", "b"]
    # With one added, the numbers of reviews are 3, 3, 1 of 7 and 2, 1, 3 of 6: an n-gram counts
    # once in a review, however often it occurs.
    weights = np.log(np.array([3, 3, 1]) / 7) - np.log(np.array([2, 1, 3]) / 6)
    features = model[:-1].transform([["a", "a", "a", "x", "a"], ["b", "x", "b"]]).toarray()
    np.testing.assert_allclose(features, weights * np.array([[1, 1, 0], [0, 0, 1]]))


def test_repetitions_change_only_the_tf_idf_model() -> None:
    models = {kind: bag_of_ngrams(kind).fit(*reviews(100, 0)) for kind in NgramModel}
    once, often = "good - film", "good - good - good - film"
    for kind, same in ((NgramModel.nb_svm, True), (NgramModel.logistic, False)):
        logits = models[kind].decision_function([once.split(), often.split()])
        assert np.isclose(*logits) == same


@pytest.mark.parametrize("kind", NgramModel)
def test_the_order_beyond_three_words_does_not_matter(kind: NgramModel) -> None:
    texts, labels = reviews(200, 0)
    model = bag_of_ngrams(kind).fit([[*text, "the", "end"] for text in texts], labels)
    first, second = model.decision_function(
        # The same words, bigrams and trigrams.
        [
            text.split()
            for text in ("a a good a a film a a not bad a a", "a a not bad a a film a a good a a")
        ]
    )
    assert first == pytest.approx(second, abs=1e-12)
    first, second = model.decision_function(["not bad film".split(), "bad not film".split()])
    assert first > 0 > second


@pytest.mark.parametrize("kind", NgramModel)
def test_the_decision_function_is_the_log_odds_of_positive(kind: NgramModel) -> None:
    model = bag_of_ngrams(kind).fit(*reviews(200, 0))
    texts, labels = reviews(50, 1)
    log_odds = model.decision_function(texts)
    np.testing.assert_allclose(expit(log_odds), model.predict_proba(texts)[:, 1])
    assert log_odds[labels == 1].mean() > 1
    assert log_odds[labels == 0].mean() < -1


@pytest.mark.parametrize("kind", NgramModel)
def test_weights_balance_the_likelihood_against_their_size(kind: NgramModel) -> None:
    """At the minimum of |w|² / 2 + C · loss, the gradient is zero: w = C · sum of (y - p) x."""
    texts, labels = reviews(200, 0)
    model = bag_of_ngrams(kind).fit(texts, labels)
    residuals = labels - model.predict_proba(texts)[:, 1]
    gradient = model[:-1].transform(texts).T @ residuals
    np.testing.assert_allclose(model[-1].coef_[0], ngrams.DEFAULT_C[kind] * gradient, atol=1e-3)
    assert np.abs(model[-1].coef_).max() > 0.5


def uneven_reviews() -> tuple[list[list[str]], np.ndarray]:
    """Return 400 reviews of which 95 % are positive, and their labels."""
    texts, labels = reviews(8_000, 0)
    kept = (labels == 1) | (np.arange(len(labels)) % 38 == 0)
    kept &= np.cumsum(kept) <= 400
    return [text for text, keep in zip(texts, kept, strict=True) if keep], labels[kept]


@pytest.mark.parametrize("kind", NgramModel)
def test_the_intercept_is_not_penalised(kind: NgramModel) -> None:
    """With a free intercept, the mean probability of the training set is the share of positive."""
    texts, labels = uneven_reviews()
    assert labels.mean() == pytest.approx(0.95, abs=0.005)
    model = bag_of_ngrams(kind).fit(texts, labels)
    assert model.predict_proba(texts)[:, 1].mean() == pytest.approx(labels.mean(), abs=1e-5)
    reference = LogisticRegression(
        C=ngrams.DEFAULT_C[kind], solver="lbfgs", tol=1e-10, max_iter=10_000
    )
    features = model[:-1].transform(texts)
    np.testing.assert_allclose(
        model.decision_function(texts),
        reference.fit(features, labels).decision_function(features),
        atol=2e-3,
    )


@pytest.mark.parametrize("kind", NgramModel)
def test_bigrams_are_learned(kind: NgramModel) -> None:
    model = bag_of_ngrams(kind).fit(*reviews(400, 0))
    texts, labels = reviews(400, 1)
    assert (model.predict(texts) == labels).all()
    words = bag_of_ngrams(kind).set_params(counts__ngram_range=(1, 1)).fit(*reviews(400, 0))
    assert (words.predict(texts) == labels).mean() < 0.9


@pytest.mark.parametrize("kind", NgramModel)
def test_trigrams_are_learned(kind: NgramModel) -> None:
    """Only the three words in a row tell the classes apart: "not so bad" and "so not bad"."""
    draw, labels = random.Random(0), np.arange(400) % 2
    verdicts = ["not so dull . so not bad", "not so bad . so not dull"]
    texts = [
        [*draw.choices(FILLER, k=5), *verdicts[label].split(), *draw.choices(FILLER, k=5)]
        for label in labels.tolist()
    ]
    model = bag_of_ngrams(kind).set_params(counts__min_df=20).fit(texts[:200], labels[:200])
    assert (model.predict(texts[200:]) == labels[200:]).all()


@pytest.mark.parametrize("kind", NgramModel)
def test_a_review_of_unknown_words_gets_the_intercept(kind: NgramModel) -> None:
    model = bag_of_ngrams(kind).fit(*reviews(100, 0))
    logits = model.decision_function([["?"], [], ["unknown", "word"]])
    np.testing.assert_array_equal(logits, np.repeat(model[-1].intercept_, 3))


@pytest.mark.parametrize("kind", NgramModel)
def test_training_is_deterministic(kind: NgramModel) -> None:
    texts, labels = reviews(200, 0)
    first, second = (bag_of_ngrams(kind).fit(texts, labels) for _ in range(2))
    np.testing.assert_array_equal(first.decision_function(texts), second.decision_function(texts))


# The classifier that is saved


@pytest.mark.parametrize("kind", NgramModel)
def test_a_classifier_computes_the_probabilities_of_scikit_learns_pipeline(
    kind: NgramModel,
) -> None:
    texts, labels = reviews(300, 0)
    pipeline = bag_of_ngrams(kind, c=1.0).fit(texts, labels)
    classifier = TrainingNgrams(kind, texts, labels).fitted(1.0)
    draw = random.Random(1)
    words = [*FILLER, "good", "bad", "not", "unknown"]
    others = [[], ["?"], ["good"] * 50, *(draw.choices(words, k=k) for k in range(1, 60))]
    np.testing.assert_allclose(
        expit(classifier.logits(others)), pipeline.predict_proba(others)[:, 1], atol=1e-6
    )


@pytest.mark.parametrize("kind", NgramModel)
def test_the_contribution_of_an_ngram_is_its_weight_times_its_value(kind: NgramModel) -> None:
    """Each occurrence gets an equal part, and a bigram's part is halved between its tokens."""
    idf = np.array([1, 2, 3], np.float32) if kind is NgramModel.logistic else None
    weights = np.array([0.5, -2.0, 4.0], np.float32)
    classifier = NgramClassifier(["a", "b", "a b"], weights, np.float32(0.25), idf)
    tokens = "a b a x".split()
    values = np.ones(3)
    if idf is not None:
        values = np.array([1 + np.log(2), 1, 1]) * idf
        values /= np.linalg.norm(values)
    a, b, bigram = weights * values
    expected = [a / 2 + bigram / 2, b + bigram / 2, a / 2, 0]
    np.testing.assert_allclose(classifier.contributions(tokens), expected)
    assert classifier.logits([tokens])[0] == pytest.approx(0.25 + a + b + bigram)


@pytest.mark.parametrize("kind", NgramModel)
def test_the_part_of_a_trigram_is_divided_among_its_three_tokens(kind: NgramModel) -> None:
    idf = np.ones(1, np.float32) if kind is NgramModel.logistic else None
    classifier = NgramClassifier(["a b c"], np.array([6], np.float32), np.float32(0), idf)
    np.testing.assert_allclose(classifier.contributions("x a b c".split()), [0, 2, 2, 2])
    assert classifier.logits(["x a b c".split()])[0] == 6
    bigrams_only = replace(classifier, longest=2)
    assert bigrams_only.logits(["x a b c".split()])[0] == 0


@pytest.mark.parametrize("kind", NgramModel)
@pytest.mark.parametrize("count", [2, 3])
def test_several_penalties_need_one_count_of_the_ngrams(kind: NgramModel, count: int) -> None:
    """Each classifier is that of a pipeline with its penalty, whatever was fitted before."""
    texts, labels = graded_reviews(200, 0)
    labels = np.minimum(labels, count - 1)
    others = [*graded_reviews(50, 1)[0], [], ["?"]]
    training = TrainingNgrams(kind, texts, labels, count, ClassWeights.balanced)
    for c in (0.1, 10.0, 0.1):
        classifier = training.fitted(c)
        pipeline = bag_of_ngrams(kind, count, ClassWeights.balanced, c).fit(texts, labels)
        expected = pipeline.decision_function(others)
        np.testing.assert_allclose(classifier.logits(others), expected, atol=1e-5)
        of_values = classifier.logits_of_values(training.values(others))
        np.testing.assert_allclose(of_values, expected, atol=1e-5)


@pytest.mark.parametrize("kind", NgramModel)
def test_contributions_and_intercept_add_up_to_the_logit(kind: NgramModel) -> None:
    texts, labels = reviews(300, 0)
    classifier = TrainingNgrams(kind, texts, labels).fitted(1.0)
    for text in [[], ["?"], *texts[:50]]:
        total = classifier.intercept + classifier.contributions(text).sum()
        assert total == pytest.approx(classifier.logits([text])[0], abs=1e-12)


# Three classes


def graded_reviews(count: int, seed: int) -> tuple[list[list[str]], np.ndarray]:
    """Return reviews of three classes, each with a word of its class, and their uneven labels."""
    draw = random.Random(seed)
    labels = np.minimum(np.arange(count) % 4, 2)
    texts = [
        draw.sample([*draw.choices(FILLER, k=5), draw.choice(["poor", "fair", "great"][label:])], 6)
        for label in labels.tolist()
    ]
    return texts, labels


def scikit_learns_logits(
    kind: NgramModel,
    texts: list[list[str]],
    labels: np.ndarray,
    others: list[list[str]],
    **solver: Any,
) -> np.ndarray:
    """Return the logits of a model that is made of scikit-learn's parts alone."""
    options = {"tokenizer": list, "token_pattern": None, "lowercase": False}
    options |= {"ngram_range": (1, 3), "min_df": 2}
    if kind is NgramModel.logistic:
        bag = TfidfVectorizer(sublinear_tf=True, **options)
        model = LogisticRegression(C=30, **solver)
        features = bag.fit_transform(texts)
        return model.fit(features, labels).decision_function(bag.transform(others))
    bag = CountVectorizer(binary=True, **options)
    counts, columns = bag.fit_transform(texts), []
    for label in range(3):
        rest, own = MultinomialNB(alpha=1).fit(counts, labels == label).feature_log_prob_
        model = LogisticRegression(C=0.3, **solver)
        model.fit(counts.multiply(own - rest).tocsr(), labels == label)
        columns.append(model.decision_function(bag.transform(others).multiply(own - rest).tocsr()))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(
    ("solver", "tolerance"),
    [
        ({"solver": "newton-cg", "tol": ngrams.TOLERANCE}, 1e-6),
        ({"solver": "newton-cholesky", "tol": 1e-10}, 2e-5),  # which reaches the very minimum
    ],
)
@pytest.mark.parametrize("kind", NgramModel)
def test_probabilities_of_three_classes_are_those_of_scikit_learn(
    kind: NgramModel, solver: dict[str, Any], tolerance: float
) -> None:
    texts, labels = graded_reviews(300, 0)
    others = [*graded_reviews(100, 1)[0], [], ["?"]]
    classifier = TrainingNgrams(kind, texts, labels, 3).fitted(ngrams.DEFAULT_C[kind])
    assert classifier.weights.shape == (3, len(classifier.ngrams))
    logits = classifier.logits(others)
    assert logits.shape == (102, 3)
    reference = scikit_learns_logits(kind, texts, labels, others, **solver)
    difference = softmax(logits, axis=1) - softmax(reference, axis=1)
    assert np.abs(difference).max() < tolerance
    pipeline = bag_of_ngrams(kind, 3).fit(texts, labels)
    np.testing.assert_allclose(logits, pipeline.decision_function(others), atol=1e-5)
    assert (logits.argmax(1) == pipeline.predict(others)).all()


def test_no_review_has_no_logits_of_three_classes() -> None:
    texts, labels = graded_reviews(60, 0)
    classifier = TrainingNgrams(NgramModel.nb_svm, texts, labels, 3).fitted(1.0)
    assert classifier.logits([]).shape == (0, 3)


@pytest.mark.parametrize("kind", NgramModel)
def test_contributions_add_up_to_the_logit_of_their_class(kind: NgramModel) -> None:
    texts, labels = graded_reviews(300, 0)
    classifier = TrainingNgrams(kind, texts, labels, 3).fitted(1.0)
    for text in [[], *texts[:20]]:
        totals = [
            classifier.intercept[label] + classifier.contributions(text, label).sum()
            for label in range(3)
        ]
        assert totals == pytest.approx(classifier.logits([text])[0].tolist(), abs=1e-12)


# Temperature and class weights


@pytest.mark.parametrize("kind", NgramModel)
@pytest.mark.parametrize("count", [2, 3])
def test_a_temperature_divides_the_logits(kind: NgramModel, count: int) -> None:
    texts, labels = graded_reviews(200, 0)
    classifier = TrainingNgrams(kind, texts, np.minimum(labels, count - 1), count).fitted(1.0)
    np.testing.assert_allclose(
        classifier.divided_by(2.5).logits(texts), classifier.logits(texts) / 2.5, atol=1e-6
    )
    unchanged = classifier.divided_by(1.0)
    np.testing.assert_array_equal(unchanged.weights, classifier.weights)
    assert unchanged.weights.dtype == unchanged.intercept.dtype == np.float32


@pytest.mark.parametrize("kind", NgramModel)
def test_balanced_weights_give_the_classes_equal_shares(kind: NgramModel) -> None:
    """With a free intercept, the weighted mean probability is the weighted share of a class."""
    texts, labels = uneven_reviews()
    model = bag_of_ngrams(kind, class_weights=ClassWeights.balanced).fit(texts, labels)
    weights = len(labels) / (2 * np.bincount(labels))[labels]
    probability = model.predict_proba(texts)[:, 1]
    assert np.average(probability, weights=weights) == pytest.approx(0.5, abs=1e-5)
