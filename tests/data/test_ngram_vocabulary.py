"""The n-grams of a network are those that scikit-learn counts for the baselines."""

import random
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from lstm_sentiment.config import AugmentConfig, DataConfig
from lstm_sentiment.data import ngram_vocabulary
from lstm_sentiment.data.batches import AugmentedReviews, Batch, TrainingOrder
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.ngram_vocabulary import NgramVocabulary
from lstm_sentiment.data.tokenized import TokenizedReviews
from lstm_sentiment.errors import InputError
from tests.support.datamodules import Make

Reviews = list[list[str]]


def tokenized(reviews: Reviews) -> TokenizedReviews:
    words = sorted({word for review in reviews for word in review})
    tokens = [words.index(word) for review in reviews for word in review]
    offsets = np.cumsum([0, *map(len, reviews)])
    no_digests = np.zeros((len(reviews), 2), np.uint64)
    return TokenizedReviews(
        words,
        np.array(tokens, np.int32),
        offsets,
        np.zeros(len(reviews), np.int8),
        no_digests,
        no_digests,
        no_digests,
        preparation=2,
    )


def drawn_reviews(count: int, seed: int, words: str = "abcdefgh") -> Reviews:
    draw = random.Random(seed)
    return [draw.choices(words, k=draw.randint(1, 12)) for _ in range(count)]


def found(vocabulary: NgramVocabulary, reviews: Reviews, rows: list[int]) -> list[set[str]]:
    """Return the n-grams of each review in `rows`, which must be distinct."""
    ngrams = vocabulary.find(tokenized(reviews), np.array(rows))
    names = vocabulary.ngrams
    each = [
        [names[id] for id in ngrams.ids[start:end]]
        for start, end in zip(ngrams.offsets[:-1], ngrams.offsets[1:], strict=True)
    ]
    assert all(len(set(some)) == len(some) for some in each)
    return [*map(set, each)]


def test_ngrams_of_two_reviews_are_frequent() -> None:
    reviews = ["a b a b".split(), "a b c".split(), "b c".split(), "c b".split()]
    vocabulary = NgramVocabulary.frequent(tokenized(reviews), np.arange(3), 3)
    assert vocabulary.ngrams == ["a", "b", "c", "a b", "b c"]  # "b a" has one review
    assert len(vocabulary) == 5
    assert vocabulary.longest == 3
    assert found(vocabulary, reviews, [3, 0]) == [{"b", "c"}, {"a", "b", "a b"}]


@pytest.mark.parametrize("longest", [1, 2, 3])
@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_the_ngrams_are_those_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, longest: int, block: int
) -> None:
    """The reviews of another part have other numbers of words, and unknown words."""
    monkeypatch.setattr(ngram_vocabulary, "TOKENS_AT_ONCE", block)
    train, others = drawn_reviews(60, 0), drawn_reviews(30, 1, "abcxyzfh")
    rows = [row for row in range(60) if row % 3]
    vectorizer = CountVectorizer(
        tokenizer=list, token_pattern=None, lowercase=False, ngram_range=(1, longest), min_df=2
    )
    vectorizer.fit([train[row] for row in rows])
    vocabulary = NgramVocabulary.frequent(tokenized(train), np.array(rows), longest)
    assert set(vocabulary.ngrams) == set(vectorizer.get_feature_names_out())
    assert len(vocabulary.ngrams) == len(vocabulary) == len(vectorizer.vocabulary_)
    names = vectorizer.get_feature_names_out()
    counted = vectorizer.transform(others)
    expected = [{*names[csr_matrix(counted[row]).indices]} for row in range(len(others))]
    assert found(vocabulary, others, [*range(len(others))]) == expected


def test_a_longer_ngram_than_any_review_is_no_problem() -> None:
    reviews = [["a"], ["a"], ["b"]]
    vocabulary = NgramVocabulary.frequent(tokenized(reviews), np.arange(3), 3)
    assert vocabulary.ngrams == ["a"]
    assert found(vocabulary, reviews, [2, 1]) == [set(), {"a"}]


def test_a_batch_names_the_review_of_each_ngram() -> None:
    reviews = ["a b".split(), "x".split(), "b a b".split()]
    vocabulary = NgramVocabulary.frequent(tokenized(reviews), np.arange(3), 2)
    assert vocabulary.ngrams == ["a", "b", "a b"]
    batch = vocabulary.find(tokenized(reviews), np.arange(3)).batch(np.array([2, 1, 0]))
    assert batch.ids.tolist() == [0, 1, 2, 0, 1, 2]
    assert batch.rows.tolist() == [0, 0, 0, 2, 2, 2]


TRAIN = (["good film , not bad"] * 3 + ["bad film , not good"] * 3, [1] * 3 + [0] * 3)


def with_ngrams(make: Make, **fields: Any) -> ReviewDataModule:
    config = make(TRAIN, val_fraction=0.0, **fields).config
    data = ReviewDataModule(config, test=False, ngrams=2)
    data.prepare_data()
    data.setup()
    return data


def names_of(data: ReviewDataModule, batch: Batch) -> list[set[str]]:
    assert data.ngram_vocabulary is not None
    assert batch.ngrams is not None
    names = data.ngram_vocabulary.ngrams
    result: list[set[str]] = [set() for _ in batch.labels]
    for id, row in zip(batch.ngrams.ids.tolist(), batch.ngrams.rows.tolist(), strict=True):
        result[row].add(names[id])
    return result


POSITIVE = {"good", "film", ",", "not", "bad", "good film", "film ,", ", not", "not bad"}


@pytest.mark.parametrize("tokenizer", ["basic_english", "bpe"])
def test_ngrams_are_those_of_the_whole_review(make: Make, tokenizer: str) -> None:
    """Truncation, the vocabulary and subwords matter to the network only."""
    data = with_ngrams(make, max_length=2, max_vocab=4, tokenizer=tokenizer)
    batch = data.train[np.argsort(-data.train.labels)[[0, -1]]]
    assert batch.ids.shape == (2, 2)
    positive, negative = names_of(data, batch)
    assert positive == POSITIVE
    assert negative == POSITIVE - {"good film", "not bad"} | {"bad film", "not good"}


def test_augmentation_leaves_the_ngrams_unchanged(make: Make) -> None:
    data = with_ngrams(make, augment=AugmentConfig(drop=0.9))
    order = TrainingOrder(data.train.lengths, 2, 0)
    batch = AugmentedReviews(data.train, data.config.augment, order)[np.array([1, 5])]
    assert batch.lengths.max() < 5
    assert names_of(data, batch) == names_of(data, data.train[np.array([1, 5])])


def test_batches_have_no_ngrams_unless_they_are_asked_for(make: Make) -> None:
    data = make(TRAIN, val_fraction=0.0)
    assert data.ngram_vocabulary is None
    assert data.train[np.array([0])].ngrams is None


def test_reviews_without_a_common_word_are_refused(make: Make) -> None:
    config = make((["one", "two", "three", "four"], [1, 0, 1, 0]), val_fraction=0.0).config
    data = ReviewDataModule(config, test=False, ngrams=2)
    with pytest.raises(InputError, match="no word occurs in 2 of the .* head.ngrams=2"):
        data.setup()


def test_more_ngrams_than_a_model_may_have_are_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_WORDS", "8")
    with pytest.raises(InputError, match="it has 11 words, more than the 8 allowed"):
        with_ngrams(make)


@pytest.mark.parametrize(("classes", "outputs"), [(None, 1), (3, 3)])
def test_more_weights_than_a_model_may_have_are_refused(
    cache: str, monkeypatch: pytest.MonkeyPatch, classes: int | None, outputs: int
) -> None:
    """Each n-gram has a float32 number for each output of the network."""
    config = DataConfig("synthetic", classes=classes, limit_train=90, cache=cache)
    count = len(ngrams_of(config))
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_MODEL_BYTES", str(4 * count * outputs))
    assert len(ngrams_of(config)) == count
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_MODEL_BYTES", str(4 * count * outputs - 1))
    with pytest.raises(InputError, match=f"synthetic: it has {4 * count * outputs:,} bytes, more"):
        ngrams_of(config)


def ngrams_of(config: DataConfig) -> NgramVocabulary:
    data = ReviewDataModule(config, test=False, ngrams=1)
    data.setup()
    assert data.ngram_vocabulary is not None
    return data.ngram_vocabulary
