"""How far back a network remembers, beside networks whose memory is known."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from conftest import ROOT

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training.run import run

sys.path.insert(0, str(ROOT / "scripts"))
from measure_memory import influence, load, long_reviews, networks

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


def test_a_loaded_network_gives_the_answers_of_its_run(
    tiny: Callable[..., Config],
) -> None:
    config = tiny(encoder={"cell": "gru", "bidirectional": True}, head={"kind": "attention"})
    record = run(config)
    folder = Path(config.root) / record["sweep"] / record["name"]
    net, data = load(folder)
    reviews = ReviewDataModule(replace(data, cache=config.data.cache))
    reviews.setup()
    assert reviews.test is not None
    table = pq.read_table(folder / "predictions.parquet", filters=[("split", "=", "test")])
    batch = reviews.test[np.arange(len(reviews.test))]
    said = dict(zip(batch.rows.tolist(), net(batch.ids, batch.lengths).sigmoid(), strict=True))
    for row, probability in zip(table["index"], table["probability"], strict=True):
        assert said[row.as_py()].item() == pytest.approx(probability.as_py(), abs=1e-5)
    assert [*networks(folder.parent)] == [("bigru", folder)]


def test_reviews_that_are_all_too_short_are_refused(
    tiny: Callable[..., Config],
) -> None:
    config = tiny()
    record = run(config)
    folder = Path(config.root) / record["sweep"] / record["name"]
    _, data = load(folder)
    short = replace(data, cache=config.data.cache)
    with pytest.raises(InputError, match="No test review is longer than 400 tokens"):
        long_reviews(short, folder / "model" / "vocab.json")


def test_reviews_in_other_words_are_refused(tmp_path: Path) -> None:
    words = tmp_path / "vocab.json"
    words.write_text('["<pad>", "<unk>", "film"]')
    data = DataConfig("synthetic", limit_train=100, limit_test=50, cache=str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="other words than the reviews"):
        long_reviews(data, words)
