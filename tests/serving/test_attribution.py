"""Contributions add up to the logit for every network, and equal the values that are known."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from lstm_sentiment.config import Cell, Config, HeadKind
from lstm_sentiment.serving.integrated_gradients import TOLERANCE, attribute
from tests.support.networks import TEXTS, drawn, predictor

Make = Callable[..., Config]
SHORT_TEXTS = [text for text in TEXTS if len(text) < 500]


@pytest.mark.parametrize(
    ("cell", "head", "bidirectional"), [*product(Cell, HeadKind, (False, True))]
)
def test_contributions_add_up_to_the_logit(
    tiny: Make, tmp_path: Path, cell: Cell, head: HeadKind, bidirectional: bool
) -> None:
    encoder = {"cell": cell, "bidirectional": bidirectional, "num_layers": 1 + bidirectional}
    network = predictor(tmp_path / "run", tiny(encoder=encoder, head={"kind": head}))
    for text, logit in zip(SHORT_TEXTS, network.logits(SHORT_TEXTS), strict=True):
        explanation = network.explain(text)
        attribution = explanation.attribution
        assert attribution.logit == pytest.approx(logit, abs=1e-5)
        total = attribution.baseline + sum(attribution.contributions)
        assert total == pytest.approx(logit, abs=TOLERANCE + 1e-4)
        assert attribution.gap == pytest.approx(logit - total, abs=1e-4)
        assert len(explanation.tokens) == len(attribution.contributions)
        assert len(explanation.tokens) == 1 or np.ptp(attribution.contributions) > 1e-3


@pytest.mark.parametrize("padding", ["keras", "trailing"])
def test_padding_read_as_text_contributes_nothing(tiny: Make, tmp_path: Path, padding: str) -> None:
    """The baseline keeps the vectors of padding, so the tokens account for the whole difference."""
    config = tiny(data={"padding": padding, "max_length": 9}, head={"kind": "avg"})
    explanation = predictor(tmp_path / "run", config).explain("a dull plot")
    assert explanation.tokens == ("a", "dull", "plot")
    attribution = explanation.attribution
    total = attribution.baseline + sum(attribution.contributions)
    assert total == pytest.approx(attribution.logit, abs=TOLERANCE)
    net = drawn(config)
    vectors = net.embedding.vectors(torch.zeros(1, 9, dtype=torch.long)).clone()
    tokens = slice(6, 9) if padding == "keras" else slice(0, 3)
    vectors[:, tokens] = 0
    with torch.inference_mode():
        expected = net.classify(vectors, torch.tensor([9])).item()
    assert attribution.baseline == pytest.approx(expected)


def test_contributions_of_a_linear_network(tiny: Make) -> None:
    """If the logit is w · (mean of the vectors) + b, a token with vector v adds w · v / T to it."""
    net = drawn(tiny(head={"kind": "avg"}, encoder={"hidden_size": 5}))

    def linear(vectors: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return net.output(vectors.mean(1)).squeeze(-1)

    net.classify = linear  # type: ignore[assignment,method-assign]
    ids = torch.tensor([[3, 7, 7, 11]])
    attribution = attribute(net, ids, torch.tensor([4]), torch.ones(1, 4, dtype=torch.bool))
    with torch.inference_mode():
        expected = (net.embedding.vectors(ids)[0] @ net.output.weight[0] / 4).tolist()
    assert attribution.contributions == pytest.approx(expected, abs=1e-5)
    assert attribution.baseline == pytest.approx(net.output.bias.item(), abs=1e-6)
    assert attribution.gap == pytest.approx(0, abs=1e-5)


def test_a_token_with_a_zero_vector_contributes_nothing(tiny: Make) -> None:
    net = drawn(tiny(head={"kind": "max"}, encoder={"bidirectional": True}))
    with torch.no_grad():
        net.embedding.weight[6] = 0
    ids = torch.tensor([[3, 6, 9]])
    attribution = attribute(net, ids, torch.tensor([3]), torch.ones(1, 3, dtype=torch.bool))
    assert attribution.contributions[1] == 0
    assert attribution.contributions[0] != 0 != attribution.contributions[2]


@pytest.mark.parametrize("head", HeadKind)
def test_attention_weights_are_those_of_the_head(
    tiny: Make, tmp_path: Path, head: HeadKind
) -> None:
    network = predictor(tmp_path / "run", tiny(head={"kind": head}))
    explanation = network.explain(TEXTS[0])
    attention = explanation.attribution.attention
    if not head.endswith("attention"):
        assert attention is None
        return
    assert attention is not None
    assert len(attention) == len(explanation.tokens)
    assert sum(attention) == pytest.approx(1)
    assert np.ptp(attention) > 1e-3
    net = drawn(network.config)
    ids = torch.from_numpy(network.vocabulary.encode(explanation.tokens)).long()[None]
    encoded = net.encoder(net.embedding(ids), torch.tensor([ids.shape[1]]))
    with torch.inference_mode():
        logit = net.output(encoded.states[0].T @ torch.tensor(attention)).item()
    assert explanation.attribution.logit == pytest.approx(logit, abs=1e-5)


@pytest.mark.parametrize(
    ("side", "remaining"), [("right", "a dull plot"), ("left", "not very good")]
)
def test_truncated_tokens_are_counted_but_not_explained(
    tiny: Make, tmp_path: Path, side: str, remaining: str
) -> None:
    config = tiny(data={"max_length": 3, "truncation_side": side})
    network = predictor(tmp_path / "run", config)
    explanation = network.explain("a dull plot zyzzyva not very good")
    assert explanation.tokens == tuple(remaining.split())
    assert explanation.unread == 4
    assert all(explanation.known)


def test_unknown_tokens_are_marked(tiny: Make, tmp_path: Path) -> None:
    explanation = predictor(tmp_path / "run", tiny()).explain("a zyzzyva <unk> plot")
    assert explanation.tokens == ("a", "zyzzyva", "<unk>", "plot")
    assert explanation.known == (True, False, False, True)
