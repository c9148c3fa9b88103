"""The classifiers without recurrence: what they count, and what they make of it."""

import random

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.naive_bayes import MultinomialNB

from lstm_sentiment.model import ngrams
from lstm_sentiment.model.ngrams import Classifier, NaiveBayesWeights, bag_of_ngrams

FILLER = "the a film plot with of and its cast scene".split()
# Neither word nor order alone tells: it takes the two words that stand side by side.
VERDICTS = {1: ["good", "not bad"], 0: ["bad", "not good"]}


def reviews(count: int, seed: int) -> tuple[list[list[str]], np.ndarray]:
    """A verdict somewhere among words that say nothing."""
    draw = random.Random(seed)
    labels = np.arange(count) % 2
    texts = [
        [*draw.choices(FILLER, k=5), *draw.choice(VERDICTS[label]).split(), *draw.choices(FILLER)]
        for label in labels.tolist()
    ]
    return texts, labels


def counted(kind: Classifier, *texts: str) -> set[str]:
    """What the classifier knows that learned from these, one positive, one negative and so on."""
    model = bag_of_ngrams(kind).fit([text.split() for text in texts], np.arange(len(texts)) % 2)
    return set(model[0].get_feature_names_out())


def test_a_weight_is_the_log_of_the_ratio_of_shares() -> None:
    counts = csr_matrix([[2, 0, 1], [0, 3, 0], [1, 0, 0]])
    weights = NaiveBayesWeights().fit(counts, np.array([1, 0, 1]))
    # With one added to each: 4, 1, 2 of 7 in positive reviews, 1, 4, 1 of 6 in negative ones.
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
    found = NaiveBayesWeights().fit(counts, labels).log_ratio_
    np.testing.assert_allclose(found, positive - negative)


def test_weights_are_swapped_with_the_labels() -> None:
    counts = csr_matrix(np.random.default_rng(0).poisson(1, (20, 5)))
    labels = np.arange(20) % 4 == 0
    found = [NaiveBayesWeights().fit(counts, side).log_ratio_ for side in (labels, ~labels)]
    np.testing.assert_allclose(found[0], -found[1])


@pytest.mark.parametrize("kind", Classifier)
def test_words_and_bigrams_are_counted_and_nothing_longer(kind: Classifier) -> None:
    assert counted(kind, "a b c", "a b c") == {"a", "b", "c", "a b", "b c"}


@pytest.mark.parametrize("kind", Classifier)
def test_case_and_punctuation_are_as_they_are(kind: Classifier) -> None:
    assert counted(kind, "Good ! x", "good ! X", "Good !") == {"Good", "!", "Good !"}


@pytest.mark.parametrize("kind", Classifier)
def test_what_occurs_in_one_review_only_is_left_out(kind: Classifier) -> None:
    assert counted(kind, "dull dull dull film", "film", "a film") == {"film"}


def test_logistic_regression_sees_tf_idf() -> None:
    """Each word by 1 + log of its count and the log of its rarity, the whole of length 1."""
    model = bag_of_ngrams(Classifier.logistic)
    model.fit([["a"], ["a"], ["a", "b"], ["a", "b"], ["c"]], np.array([1, 0, 1, 0, 1]))
    rarity = {"a": 1 + np.log(6 / 5), "b": 1 + np.log(6 / 3), "a b": 1 + np.log(6 / 3)}
    names = model[0].get_feature_names_out().tolist()
    assert names == ["a", "a b", "b"]
    times = {"a": 1 + np.log(3), "b": 1.0, "a b": 1.0}
    expected = np.array([times[name] * rarity[name] for name in names])
    found = model[:-1].transform([["a", "a", "a", "b"]]).toarray()[0]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected))


def test_nb_svm_sees_the_weights_of_what_is_present() -> None:
    model = bag_of_ngrams(Classifier.nb_svm)
    model.fit([["a", "a"], ["b"], ["a", "a", "a"], ["a", "b"]], np.array([1, 0, 1, 0]))
    assert model[0].get_feature_names_out().tolist() == ["a", "a a", "b"]
    # In positive reviews 1 + 2, 1 + 2, 1 + 0 of 7, in negative ones 1 + 1, 1 + 0, 1 + 2 of 6:
    # a word counts once in a review, however often it is there.
    weights = np.log(np.array([3, 3, 1]) / 7) - np.log(np.array([2, 1, 3]) / 6)
    found = model[:-1].transform([["a", "a", "a", "x", "a"], ["b", "x", "b"]]).toarray()
    np.testing.assert_allclose(found, weights * np.array([[1, 1, 0], [0, 0, 1]]))


def test_nb_svm_does_not_mind_how_often_a_word_is_there() -> None:
    models = {kind: bag_of_ngrams(kind).fit(*reviews(100, 0)) for kind in Classifier}
    once, often = "good - film", "good - good - good - film"
    for kind, same in ((Classifier.nb_svm, True), (Classifier.logistic, False)):
        found = models[kind].decision_function([once.split(), often.split()])
        assert np.isclose(*found) == same


@pytest.mark.parametrize("kind", Classifier)
def test_the_order_beyond_two_words_does_not_matter(kind: Classifier) -> None:
    texts, labels = reviews(200, 0)
    model = bag_of_ngrams(kind).fit([[*text, "the", "end"] for text in texts], labels)
    first, second = model.decision_function(
        # The same words and the same pairs of neighbours.
        [text.split() for text in ("a good a film a not bad a", "a not bad a film a good a")]
    )
    assert first == pytest.approx(second, abs=1e-12)
    first, second = model.decision_function(["not bad film".split(), "bad not film".split()])
    assert first > 0 > second


@pytest.mark.parametrize("kind", Classifier)
def test_an_answer_is_the_log_odds_of_positive(kind: Classifier) -> None:
    model = bag_of_ngrams(kind).fit(*reviews(200, 0))
    texts, labels = reviews(50, 1)
    odds = model.decision_function(texts)
    np.testing.assert_allclose(expit(odds), model.predict_proba(texts)[:, 1])
    assert odds[labels == 1].mean() > 1
    assert odds[labels == 0].mean() < -1


@pytest.mark.parametrize("kind", Classifier)
def test_weights_balance_the_likelihood_against_their_size(kind: Classifier) -> None:
    """Where |w|^2 / 2 + C * loss is least, both slopes are alike: w = C * sum of (y - p) x."""
    texts, labels = reviews(200, 0)
    model = bag_of_ngrams(kind).fit(texts, labels)
    residuals = labels - model.predict_proba(texts)[:, 1]
    pull = model[:-1].transform(texts).T @ residuals
    np.testing.assert_allclose(model[-1].coef_[0], ngrams.C[kind] * pull, atol=0.05)
    assert np.abs(model[-1].coef_).max() > 0.5


@pytest.mark.parametrize("kind", Classifier)
def test_it_learns_what_pairs_of_words_say(kind: Classifier) -> None:
    model = bag_of_ngrams(kind).fit(*reviews(400, 0))
    texts, labels = reviews(400, 1)
    assert (model.predict(texts) == labels).all()
    words = bag_of_ngrams(kind).set_params(counts__ngram_range=(1, 1)).fit(*reviews(400, 0))
    assert (words.predict(texts) == labels).mean() < 0.9


@pytest.mark.parametrize("kind", Classifier)
def test_a_review_of_unknown_words_gets_what_all_share(kind: Classifier) -> None:
    model = bag_of_ngrams(kind).fit(*reviews(100, 0))
    found = model.decision_function([["?"], [], ["unheard", "word"]])
    np.testing.assert_array_equal(found, np.repeat(model[-1].intercept_, 3))


@pytest.mark.parametrize("kind", Classifier)
def test_the_same_reviews_give_the_same_answers_to_the_last_digit(kind: Classifier) -> None:
    texts, labels = reviews(200, 0)
    first, second = (bag_of_ngrams(kind).fit(texts, labels) for _ in range(2))
    np.testing.assert_array_equal(first.decision_function(texts), second.decision_function(texts))
