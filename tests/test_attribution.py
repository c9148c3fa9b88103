"""What tokens contribute adds up, for every network, and is what it must be where that is known."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TEXTS, drawn, predictor

from lstm_sentiment.config import Cell, Config, HeadKind
from lstm_sentiment.serving.attribution import CLOSE, attribute

Make = Callable[..., Config]
READ = [text for text in TEXTS if len(text) < 500]


@pytest.mark.parametrize(("cell", "head", "two"), [*product(Cell, HeadKind, (False, True))])
def test_contributions_add_up(
    tiny: Make, tmp_path: Path, cell: Cell, head: HeadKind, two: bool
) -> None:
    config = tiny(
        encoder={"cell": cell, "bidirectional": two, "num_layers": 1 + two}, head={"kind": head}
    )
    ours = predictor(tmp_path / "run", config)
    for text, logit in zip(READ, ours.logits(READ), strict=True):
        found = ours.explain(text)
        parts = found.attribution
        assert parts.logit == pytest.approx(logit, abs=1e-5)
        total = parts.baseline + sum(parts.contributions)
        assert total == pytest.approx(logit, abs=CLOSE + 1e-4)
        assert parts.gap == pytest.approx(logit - total, abs=1e-4)
        assert len(found.tokens) == len(parts.contributions)
        assert np.ptp(parts.contributions) > 1e-3 or len(parts.contributions) == 1


@pytest.mark.parametrize("padding", ["keras", "trailing"])
def test_padding_that_is_read_as_text_contributes_nothing(
    tiny: Make, tmp_path: Path, padding: str
) -> None:
    """Its vectors stay on the whole path, so what is said of the tokens is all there is."""
    config = tiny(data={"padding": padding, "max_length": 9}, head={"kind": "avg"})
    found = predictor(tmp_path / "run", config).explain("a dull plot")
    assert found.tokens == ("a", "dull", "plot")
    parts = found.attribution
    assert parts.baseline + sum(parts.contributions) == pytest.approx(parts.logit, abs=CLOSE)
    net = drawn(config)
    vectors = net.embedding(torch.zeros(1, 9, dtype=torch.long)).clone()
    place = slice(6, 9) if padding == "keras" else slice(0, 3)
    vectors[:, place] = 0
    with torch.inference_mode():
        assert parts.baseline == pytest.approx(net.classify(vectors, torch.tensor([9])).item())


def test_a_linear_network_gives_each_word_its_product(tiny: Make) -> None:
    """Of the logit w · (mean of the vectors), a word contributes w · v / T."""
    config = tiny(head={"kind": "avg"}, encoder={"hidden_size": 5})
    net = drawn(config)
    lengths = torch.tensor([4])

    def linear(vectors: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return net.output(vectors.mean(1)).squeeze(-1)

    net.classify = linear  # type: ignore[assignment,method-assign]
    ids = torch.tensor([[3, 7, 7, 11]])
    found = attribute(net, ids, lengths, torch.ones(1, 4, dtype=torch.bool))
    with torch.inference_mode():
        expected = (net.embedding(ids)[0] @ net.output.weight[0] / 4).tolist()
    assert found.contributions == pytest.approx(expected, abs=1e-5)
    assert found.baseline == pytest.approx(net.output.bias.item(), abs=1e-6)
    assert found.gap == pytest.approx(0, abs=1e-5)


def test_a_word_without_a_vector_contributes_nothing(tiny: Make) -> None:
    net = drawn(tiny(head={"kind": "max"}, encoder={"bidirectional": True}))
    with torch.no_grad():
        net.embedding.weight[6] = 0
    ids = torch.tensor([[3, 6, 9]])
    found = attribute(net, ids, torch.tensor([3]), torch.ones(1, 3, dtype=torch.bool))
    assert found.contributions[1] == 0
    assert found.contributions[0] != 0 != found.contributions[2]


@pytest.mark.parametrize("head", HeadKind)
def test_attention_is_the_heads_own(tiny: Make, tmp_path: Path, head: HeadKind) -> None:
    ours = predictor(tmp_path / "run", tiny(head={"kind": head}))
    attention = ours.explain(TEXTS[0]).attribution.attention
    if not head.endswith("attention"):
        assert attention is None
        return
    assert attention is not None
    assert len(attention) == len(ours.explain(TEXTS[0]).tokens)
    assert sum(attention) == pytest.approx(1)
    assert np.ptp(attention) > 1e-3
    net = drawn(ours.config)
    ids = torch.from_numpy(ours.vocabulary.encode(ours.explain(TEXTS[0]).tokens)).long()[None]
    encoded = net.encoder(net.embedding(ids), torch.tensor([ids.shape[1]]))
    states, weights = encoded.states[0], torch.tensor(attention)
    with torch.inference_mode():
        logit = net.output(states.T @ weights).item()
    assert ours.explain(TEXTS[0]).attribution.logit == pytest.approx(logit, abs=1e-5)


@pytest.mark.parametrize(("side", "kept"), [("right", "a dull plot"), ("left", "not very good")])
def test_only_what_is_read_is_explained(tiny: Make, tmp_path: Path, side: str, kept: str) -> None:
    config = tiny(data={"max_length": 3, "truncation_side": side})
    found = predictor(tmp_path / "run", config).explain("a dull plot zyzzyva not very good")
    assert found.tokens == tuple(kept.split())
    assert found.unread == 4
    assert all(found.known)


def test_unknown_words_are_told(tiny: Make, tmp_path: Path) -> None:
    found = predictor(tmp_path / "run", tiny()).explain("a zyzzyva <unk> plot")
    assert found.known == (True, False, False, True)
    assert found.tokens == ("a", "zyzzyva", "<unk>", "plot")
