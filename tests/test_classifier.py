from collections.abc import Callable

import pytest
import torch

from lstm_sentiment.config import Config, HeadKind
from lstm_sentiment.model.classifier import Classifier, one_of_few

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
def test_a_network_is_named_after_what_it_is(
    tiny: Callable[..., Config], fields: dict[str, object], name: str
) -> None:
    assert tiny(encoder=fields).encoder.network == name


def inputs(net: Classifier, ids: torch.Tensor) -> torch.Tensor:
    """(B, T, E): what the encoder reads."""
    vectors, places = net._distinct_vectors(ids)
    return vectors[places]


def test_every_word_of_a_batch_is_embedded_once(tiny: Callable[..., Config]) -> None:
    net = Classifier(tiny(), 10).eval()
    vectors, places = net._distinct_vectors(IDS)
    assert len(vectors) == len(IDS.unique())
    assert torch.equal(vectors[places], net.embedding(IDS))


@pytest.mark.parametrize("id", [-1, 10])
def test_an_id_without_a_vector_is_refused(tiny: Callable[..., Config], id: int) -> None:
    with pytest.raises(IndexError):
        Classifier(tiny(), 10).eval()(torch.full((1, 3), id), torch.tensor([3]))


def test_sizes_are_few_and_little_larger() -> None:
    assert [one_of_few(size) for size in (1, 31, 32, 33, 240, 241, 500, 2401)] == [
        *(1, 31, 32, 34, 240, 248, 512, 2432),
    ]
    sizes = range(1, 5000)
    assert len({one_of_few(size) for size in sizes}) < 150
    assert all(size <= one_of_few(size) < 1.07 * size for size in sizes)


@pytest.mark.parametrize("padding", ["exact", "trailing"])
@pytest.mark.parametrize("head", HeadKind)
def test_a_wide_batch_is_answered_as_each_review_alone(
    tiny: Callable[..., Config], head: HeadKind, padding: str
) -> None:
    width = 67  # computed as 68
    config = tiny(head={"kind": head}, data={"max_length": width, "padding": padding})
    net = Classifier(config, 200).eval()
    ids = torch.randint(2, 200, (3, width), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([width, 40, 5]) if padding == "exact" else torch.full((3,), width)
    alone = [net(ids[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    torch.testing.assert_close(net(ids, lengths), torch.cat(alone), atol=1e-6, rtol=0)


def test_embedding_dropout_takes_the_same_components_at_every_step(
    tiny: Callable[..., Config],
) -> None:
    net = Classifier(tiny(embedding={"dim": 40, "dropout": 0.25}), 10)
    ids = torch.randint(1, 10, (50, 7), generator=torch.Generator().manual_seed(0))
    plain, dropped = inputs(net.eval(), ids), inputs(net.train(), ids)
    kept = dropped != 0
    assert (kept == kept[:, :1]).all()
    assert 0.7 < kept.float().mean() < 0.8
    assert not (kept[0] == kept[1]).all()  # each review has its own
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)


@pytest.mark.parametrize("part", ["encoder", "embedding"])
def test_dropout_acts_in_training_only(tiny: Callable[..., Config], part: str) -> None:
    """Of one layer: before the output, and on the vectors."""
    off = {"encoder": {"dropout": 0.0}, "embedding": {"dropout": 0.0}}
    still = Classifier(tiny(**off), 10).train()
    assert torch.equal(still(IDS, LENGTHS), still(IDS, LENGTHS))
    net = Classifier(tiny(**(off | {part: {"dropout": 0.5}})), 10).train()
    assert not torch.equal(net(IDS, LENGTHS), net(IDS, LENGTHS))
    net.eval()
    assert torch.equal(net(IDS, LENGTHS), net(IDS, LENGTHS))


@pytest.mark.parametrize("padding", ["exact", "keras"])
def test_vectors_start_small_and_padding_at_zero_where_it_is_masked(
    tiny: Callable[..., Config], padding: str
) -> None:
    weight = Classifier(
        tiny(embedding={"dim": 50}, data={"padding": padding}), 400
    ).embedding.weight
    assert weight[1:].std().item() == pytest.approx(0.1, rel=0.05)
    assert bool(weight[0].any()) == (padding == "keras")


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
    errors = (rounded - exact) / exact.std()  # bf16 has 8 bits: a step is off by up to 1/256
    assert 0 < errors.abs().max() < 0.1
    assert errors.square().mean().sqrt() < 0.03
