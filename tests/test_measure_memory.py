"""How far back a network remembers, beside networks whose memory is known."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.tokens import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training.model_folder import read_model
from lstm_sentiment.training.run import run

sys.path.insert(0, str(ROOT / "scripts"))
from measure_memory import accuracy, influence, long_reviews, networks

IDS, LENGTHS = torch.full((2, 8), 2), torch.tensor([8, 6])


def forgetful_rnn(head: str, kept: float) -> Classifier:
    """One unit that keeps this share of its state from step to step; near zero, tanh does not."""
    torch.manual_seed(0)
    net = Classifier(
        Config(
            encoder=EncoderConfig("rnn", hidden_size=1),
            head=HeadConfig(head),
            embedding=EmbeddingConfig(dim=1),
        ),
        5,
    ).eval()
    with torch.no_grad():
        net.embedding.weight.fill_(1e-4)
        net.encoder.rnn.weight_ih_l0.fill_(1)
        net.encoder.rnn.weight_hh_l0.fill_(kept)
    return net


def test_the_influence_of_a_word_on_the_last_state_is_what_is_kept_of_it() -> None:
    found = influence(forgetful_rnn("last", 0.5), IDS, LENGTHS, (0, 1, 2, 5))
    assert (found / found[0]).tolist() == pytest.approx([1, 0.5, 0.25, 0.03125], rel=1e-3)


def test_an_average_remembers_the_first_word_better_than_the_last() -> None:
    found = influence(forgetful_rnn("avg", 0.5), IDS[:1], LENGTHS[:1], (0, 1, 7))
    # A word is in its own state and, halved each time, in all that follow.
    assert (found / found[0]).tolist() == pytest.approx([1, 1.5, 1.9921875], rel=1e-3)


def test_only_the_last_words_are_read() -> None:
    net = forgetful_rnn("avg", 0)
    with torch.no_grad():
        net.embedding.weight[3] = -1e-4
        net.output.weight.fill_(1)
        net.output.bias.fill_(0)
    # Two good words and two that are bad; padding (0) is no word.
    ids = torch.tensor([[2, 2, 2, 3, 3], [3, 2, 2, 3, 0]])
    reviews = Batch(ids, torch.tensor([5, 4]), torch.tensor([1.0, 1.0]), torch.arange(2))
    assert [accuracy(net, reviews, last) for last in (1, 2, 3)] == [0, 0, 0.5]
    assert accuracy(net, reviews._replace(labels=torch.tensor([0.0, 1.0])), 3) == 1


def test_every_run_that_has_its_model_is_measured(tiny: Callable[..., Config]) -> None:
    config = tiny(encoder={"cell": "gru", "bidirectional": True})
    records = [run(config), run(replace(config, seed=1))]
    folder = Path(config.root) / records[0]["sweep"]
    assert sorted(networks(folder)) == [
        ("bigru", path) for path in sorted(folder / record["name"] for record in records)
    ]
    shutil.rmtree(folder / records[1]["name"] / "model")
    assert [*networks(folder)] == [("bigru", folder / records[0]["name"])]


def test_reviews_that_are_all_too_short_are_refused(tiny: Callable[..., Config]) -> None:
    config = tiny()
    record = run(config)
    folder = Path(config.root) / record["sweep"] / record["name"]
    with pytest.raises(InputError, match="No test review is longer than 400 tokens"):
        long_reviews(config.data, read_model(folder / "model").vocabulary)


def test_reviews_in_other_words_are_refused(tmp_path: Path) -> None:
    data = DataConfig("synthetic", limit_train=100, limit_test=50, cache=str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="other words than the reviews"):
        long_reviews(data, Vocabulary([*SPECIALS, "film"]))
