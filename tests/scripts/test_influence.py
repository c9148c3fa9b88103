"""The influence of words, measured on networks in which it is known."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.runs.network_folder import read_model
from scripts.benchmarks.influence import accuracy, influence, long_reviews, networks

IDS, LENGTHS = torch.full((2, 8), 2), torch.tensor([8, 6])


def forgetful_rnn(head: str, kept: float) -> Classifier:
    """An RNN with one unit that keeps this share of its state from step to step.

    Its states are near zero, where tanh is linear.
    """
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


def test_the_influence_on_the_last_state_is_the_share_that_is_kept() -> None:
    norms = influence(forgetful_rnn("last", 0.5), IDS, LENGTHS, (0, 1, 2, 5))
    assert (norms / norms[0]).tolist() == pytest.approx([1, 0.5, 0.25, 0.03125], rel=1e-3)


def test_the_first_word_influences_an_average_more_than_the_last() -> None:
    norms = influence(forgetful_rnn("avg", 0.5), IDS[:1], LENGTHS[:1], (0, 1, 7))
    # A word is in its own state and, halved at each step, in all later ones.
    assert (norms / norms[0]).tolist() == pytest.approx([1, 1.5, 1.9921875], rel=1e-3)


def test_only_the_last_words_are_read() -> None:
    net = forgetful_rnn("avg", 0)
    with torch.no_grad():
        net.embedding.weight[3] = -1e-4
        net.output.weight.fill_(1)
        net.output.bias.fill_(0)
    # Positive (2) and negative (3) words; 0 is padding.
    ids = torch.tensor([[2, 2, 2, 3, 3], [3, 2, 2, 3, 0]])
    reviews = Batch(ids, torch.tensor([5, 4]), torch.tensor([1.0, 1.0]), torch.arange(2))
    assert [accuracy(net, reviews, last) for last in (1, 2, 3)] == [0, 0, 0.5]
    assert accuracy(net, reviews._replace(labels=torch.tensor([0.0, 1.0])), 3) == 1


def test_every_run_with_a_model_is_measured(tiny: Callable[..., Config]) -> None:
    config = tiny(encoder={"cell": "gru", "bidirectional": True})
    records = [run(config), run(replace(config, seed=1))]
    folder = Path(config.root) / records[0]["sweep"]
    assert sorted(networks(folder)) == [
        ("bigru", path) for path in sorted(folder / record["name"] for record in records)
    ]
    shutil.rmtree(folder / records[1]["name"] / "model")
    assert [*networks(folder)] == [("bigru", folder / records[0]["name"])]


def test_short_reviews_alone_are_refused(tiny: Callable[..., Config]) -> None:
    config = tiny()
    record = run(config)
    folder = Path(config.root) / record["sweep"] / record["name"]
    with pytest.raises(InputError, match="400"):
        long_reviews(config.data, read_model(folder / "model").vocabulary)


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    data = DataConfig("synthetic", limit_train=100, limit_test=50, cache=str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="vocabulary"):
        long_reviews(data, Vocabulary([*SPECIALS, "film"]))
