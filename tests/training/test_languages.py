"""Networks learn Chinese and German reviews with a tokenizer for their language."""

from collections.abc import Callable

import numpy as np
import pytest

from lstm_sentiment.config import Config, Tokenizer
from lstm_sentiment.data.columns import Review
from lstm_sentiment.estimator import fit
from tests.support.languages import chinese, german
from tests.support.project import MakeConfig

Grammar = Callable[[int, int], list[Review]]


def accuracy(grammar: Grammar, config: Config) -> float:
    """Train on 2,000 reviews; return the accuracy on 500 others, half of them positive."""
    train, test = grammar(2_000, 0), grammar(500, 1)
    predictor = fit([r.text for r in train], [r.label for r in train], config=config)
    positive = predictor.probabilities([r.text for r in test]) > 0.5
    return float(np.mean(positive == [r.label == 1 for r in test]))


@pytest.fixture
def gru(tiny: MakeConfig) -> Callable[[Tokenizer], Config]:
    """Return the configuration of a small GRU with a tokenizer."""

    def make(tokenizer: Tokenizer) -> Config:
        data = {"tokenizer": tokenizer, "max_vocab": 500, "batch_size": 32, "limit_train": None}
        return tiny(
            encoder={"cell": "gru", "hidden_size": 32, "bidirectional": True},
            head={"kind": "max"},
            embedding={"dim": 32},
            data=data,
            optimizer={"lr": 1e-2},
            trainer={"max_epochs": 10},
            early_stopping={"patience": None},
        )

    return make


@pytest.mark.slow  # 2,000 reviews for ten epochs
@pytest.mark.parametrize("grammar", [chinese, german])
@pytest.mark.parametrize("tokenizer", [Tokenizer.unicode, Tokenizer.bpe])
def test_reviews_of_another_language_are_learned(
    gru: Callable[[Tokenizer], Config], grammar: Grammar, tokenizer: Tokenizer
) -> None:
    assert accuracy(grammar, gru(tokenizer)) > 0.9


@pytest.mark.slow  # 2,000 reviews for ten epochs
def test_the_default_tokenizer_learns_nothing_from_chinese(
    gru: Callable[[Tokenizer], Config],
) -> None:
    assert accuracy(chinese, gru(Tokenizer.basic_english)) < 0.6
