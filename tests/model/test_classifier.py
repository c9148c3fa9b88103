"""The whole network: its parts, dropout, and what pretrained vectors replace."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lstm_sentiment.config import Config, HeadKind
from lstm_sentiment.model.classifier import Classifier

IDS = torch.randint(2, 10, (4, 6), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([6, 3, 1, 5])


def test_parameter_counts_add_up(tiny: Callable[..., Config]) -> None:
    net = Classifier(tiny(head={"kind": "attention"}, encoder={"bidirectional": True}), 10)
    counts = net.parameter_counts()
    assert counts == {
        "embedding": 10 * 5,
        "encoder": 2 * 4 * 6 * (5 + 6 + 2),
        "head": 12 * 12 + 12 + 12,
        "output": 12 + 1,
    }
    assert sum(counts.values()) == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"cell": "lstm"}, "lstm"),
        ({"cell": "gru", "bidirectional": True}, "bigru"),
        ({"cell": "lstm", "num_layers": 2}, "stacked_lstm"),
        ({"cell": "rnn", "num_layers": 3, "bidirectional": True}, "deep_birnn"),
    ],
)
def test_an_encoder_is_named_after_its_architecture(
    tiny: Callable[..., Config], fields: dict[str, object], name: str
) -> None:
    assert tiny(encoder=fields).encoder.network == name


@pytest.mark.parametrize("padding", ["exact", "trailing"])
@pytest.mark.parametrize("head", HeadKind)
def test_a_wide_batch_is_classified_like_each_review_alone(
    tiny: Callable[..., Config], head: HeadKind, padding: str
) -> None:
    width = 67  # rounded up to 68
    config = tiny(head={"kind": head}, data={"max_length": width, "padding": padding})
    net = Classifier(config, 200).eval()
    ids = torch.randint(2, 200, (3, width), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([width, 40, 5]) if padding == "exact" else torch.full((3,), width)
    alone = [net(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    torch.testing.assert_close(net(ids, lengths), torch.cat(alone), atol=1e-6, rtol=0)


@pytest.mark.parametrize("part", ["encoder", "embedding"])
def test_dropout_acts_in_training_only(tiny: Callable[..., Config], part: str) -> None:
    """A single layer has dropout before the output and on the word vectors."""
    none = {"encoder": {"dropout": 0.0}, "embedding": {"dropout": 0.0}}
    undropped = Classifier(tiny(**none), 10).train()
    assert torch.equal(undropped(IDS, LENGTHS), undropped(IDS, LENGTHS))
    net = Classifier(tiny(**(none | {part: {"dropout": 0.5}})), 10).train()
    assert not torch.equal(net(IDS, LENGTHS), net(IDS, LENGTHS))
    net.eval()
    assert torch.equal(net(IDS, LENGTHS), net(IDS, LENGTHS))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@torch.inference_mode()
def test_bf16_gives_nearly_the_logits_of_fp32(tiny: Callable[..., Config], cell: str) -> None:
    encoder = {"cell": cell, "num_layers": 2, "bidirectional": True, "hidden_size": 16}
    net = Classifier(tiny(encoder=encoder, head={"kind": "max"}), 10).eval()
    torch.nn.init.normal_(net.embedding.weight)
    torch.nn.init.normal_(net.output.weight)
    ids, lengths = torch.randint(2, 10, (64, 6)), torch.randint(1, 7, (64,))
    exact = net(ids, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = net(ids, lengths).float()
    errors = (rounded - exact) / exact.std()  # bf16 has 8 bits: relative errors of up to 1/256
    assert 0 < errors.abs().max() < 0.1
    assert errors.square().mean().sqrt() < 0.03


def test_vectors_give_the_logits_of_their_ids(tiny: Callable[..., Config]) -> None:
    net = Classifier(tiny(), 10).eval()
    logits = net.classify(net.embedding.vectors(IDS), LENGTHS)
    torch.testing.assert_close(logits, net(IDS, LENGTHS))


def test_pretrained_vectors_replace_those_of_known_words(tiny: Callable[..., Config]) -> None:
    net = Classifier(tiny(), 10)
    before = net.embedding.weight.detach().clone()
    vectors, has_vector = np.full((10, 5), 7, np.float32), np.arange(10) % 3 == 1
    net.start_from(vectors, has_vector)
    assert (net.embedding.weight[has_vector] == 7).all()
    assert torch.equal(net.embedding.weight[~has_vector], before[~has_vector])


def test_parameters_have_the_names_of_saved_models(tiny: Callable[..., Config]) -> None:
    net = Classifier(tiny(head={"kind": "attention"}), 10)
    assert [name for name in net.state_dict() if not name.startswith("encoder.rnn.")] == [
        "embedding.weight",
        "head.hidden.weight",
        "head.hidden.bias",
        "head.query.weight",
        "output.weight",
        "output.bias",
    ]
