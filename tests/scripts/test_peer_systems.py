"""The compared systems compute the same. Those of Keras need its environment, and are not here."""

from typing import Any

import numpy as np
import pytest
import torch

from scripts.benchmarks import peer_systems, peers

LENGTHS = [3, 12, 1, 7, 5, 9]


@pytest.fixture
def reviews() -> Any:
    random = np.random.default_rng(0)
    return peer_systems.Reviews(
        ids=random.integers(2, 30, sum(LENGTHS)).astype(np.int32),
        offsets=np.cumsum([0, *LENGTHS]),
        labels=np.array([0, 1, 1, 0, 1, 0], np.float32),
        words=30,
    )


def test_padding_by_hand(reviews: Any) -> None:
    [third, first] = reviews.padded(np.array([2, 0]), 4, left=True)
    assert third.tolist() == [0, 0, 0, reviews.ids[15]]
    assert first.tolist() == [0, *reviews.ids[:3]]
    [first] = reviews.padded(np.array([0]), 5, left=False)
    assert first.tolist() == [*reviews.ids[:3], 0, 0]


def test_operations_by_hand() -> None:
    # 4 gates of (128 inputs + 100 states) x 100 units, a product and a sum each, three passes.
    nets = peer_systems.NETS
    assert nets["lstm"].flop_per_token() == 3 * 2 * 4 * 228 * 100
    second = 4 * 200 * 100  # its inputs are the states of the first layer
    assert nets["deep_lstm"].flop_per_token() == 6 * (4 * 228 * 100 + 2 * second)
    assert (
        peer_systems.NETS["bilstm"].flop_per_token()
        == 2 * peer_systems.NETS["lstm"].flop_per_token()
    )


@pytest.mark.parametrize("name", peer_systems.NETS)
def test_this_project_and_packed_pytorch_are_one_network(reviews: Any, name: str) -> None:
    ours, packed = peer_systems.Ours(reviews), peer_systems.PyTorch(reviews, packed=True)
    torch.manual_seed(0)
    for system in (ours, packed):
        system.build(peer_systems.NETS[name], "32-true")
    packed.model.embedding.load_state_dict(ours.model.embedding.state_dict())
    packed.model.rnn.load_state_dict(ours.model.encoder.rnn.state_dict())
    packed.model.output.load_state_dict(ours.model.output.state_dict())
    rows = np.arange(len(LENGTHS))
    for _ in range(2):  # before and after a training step on all reviews at once
        logits = [system.model.eval()(*system._inputs(rows)) for system in (ours, packed)]
        torch.testing.assert_close(*logits, atol=1e-5, rtol=0)
        for system in (ours, packed):
            system.train(rows)
            system.predict(rows)


def test_a_padded_network_reads_padding(reviews: Any) -> None:
    padded = peer_systems.PyTorch(reviews, packed=False)
    padded.build(peer_systems.NETS["gru"], "32-true")
    ids, _ = padded._inputs(np.arange(2))
    assert ids.shape == (2, peer_systems.MAX_LENGTH)
    assert ids[0, -3:].tolist() == reviews.ids[:3].tolist()


def test_a_network_that_is_measured_again_replaces_its_old_result() -> None:
    def result(commit: str, **seconds: float) -> dict[str, Any]:
        nets = [{"net": net, "train_s": spent} for net, spent in seconds.items()]
        return {"environment": {"commit": commit}, "settings": {"batch": 64}, "nets": nets}

    before = result("a", lstm=3, rnn=1)
    assert peers.with_others(result("a", gru=2), before) == result("a", lstm=3, gru=2, rnn=1)
    assert peers.with_others(result("a", lstm=4), before) == result("a", lstm=4, rnn=1)
    for other in (None, result("b", rnn=1)):  # no earlier result, or one of another commit
        assert peers.with_others(result("a", gru=2), other) == result("a", gru=2)
