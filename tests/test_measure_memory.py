"""How far back a network remembers, beside networks whose memory is known."""

import sys

import pytest
import torch
from conftest import ROOT

from lstm_sentiment.config import Config, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.model.classifier import Classifier

sys.path.insert(0, str(ROOT / "scripts"))
from measure_memory import influence

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
