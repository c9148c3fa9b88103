"""What the card of a model says for records of other kinds."""

import json
from typing import Any

import pytest

from lstm_sentiment.report.model_card import NETWORK, CardModel, model_card
from lstm_sentiment.runs.record import record_classes, restored
from tests.support.project import ROOT

[RUN, *_] = sorted((ROOT / "results" / "best_cpu").glob("lstm-concat-s0-*"))


@pytest.fixture
def record() -> dict[str, Any]:
    return json.loads((RUN / "run.json").read_text())


def card(record: dict[str, Any]) -> str:
    model = CardModel(NETWORK, restored(record["config"]), record_classes(record), 30_000)
    return model_card("ann/films", model, record)


def test_a_network_without_a_validation_set_that_reads_ngrams(record: dict[str, Any]) -> None:
    text = card(record)
    assert ", for 2 epochs without a validation set. " in text
    assert "was the best" not in text
    assert "also read n-grams of up to 2 words, whose weights are among the parameters." in text
    assert (
        "The recurrent part does not read words beyond the maximum length; the n-grams do." in text
    )
    assert "start from a language model" in text
    assert "- `encoder.hidden_size=400`\n" in text


def test_only_scores_of_the_whole_test_set_are_claimed(record: dict[str, Any]) -> None:
    assert "type: stanfordnlp/imdb" in card(record)
    record["config"]["data"]["limit_test"] = 500
    assert "stanfordnlp/imdb" not in card(record)
    record["config"]["data"]["limit_test"] = None
    record["data"]["folds"] = 5
    text = card(record)
    assert "stanfordnlp/imdb" not in text
    assert "|  | held-out fold |" in text
