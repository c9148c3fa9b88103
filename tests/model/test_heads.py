"""The arithmetic of each head, worked out by hand."""

import math

import numpy as np
import torch
from sklearn.preprocessing import normalize

from lstm_sentiment.config import HeadKind
from lstm_sentiment.model.encoders.contract import Encoded
from lstm_sentiment.model.heads import (
    HEADS,
    Attention,
    MaxAttention,
    masked_max,
    masked_mean,
    masked_softmax,
)

# Two reviews of 3 and 1 tokens, with states of two units. Padding holds large values, which no
# pooling may use; an encoder would return zeros there.
STATES = torch.tensor(
    [[[1.0, -4.0], [3.0, -2.0], [-1.0, -3.0]], [[-5.0, 2.0], [9.0, 9.0], [9.0, 9.0]]]
)
MASK = torch.tensor([[True, True, True], [True, False, False]])
CLEAN = STATES * MASK.unsqueeze(-1)
FINAL = torch.tensor([[-1.0, -3.0], [-5.0, 2.0]])
ENCODED = Encoded(CLEAN, FINAL, MASK)


def test_masked_max_by_hand() -> None:
    # In the second review, zeros on padding would be larger than -5.
    assert masked_max(STATES, MASK).tolist() == [[3.0, -2.0], [-5.0, 2.0]]
    assert masked_max(CLEAN, MASK).tolist() == [[3.0, -2.0], [-5.0, 2.0]]


def test_masked_mean_by_hand() -> None:
    assert masked_mean(STATES, MASK).tolist() == [[1.0, -3.0], [-5.0, 2.0]]


def test_masked_softmax_by_hand() -> None:
    weights = masked_softmax(
        torch.tensor([[0.0, math.log(3), 50.0]]), torch.tensor([[True, True, False]])
    )
    torch.testing.assert_close(weights, torch.tensor([[0.25, 0.75, 0.0]]))


def test_last_is_the_final_state() -> None:
    assert torch.equal(HEADS[HeadKind.last](2, 3)(ENCODED), FINAL)


def test_flatten_pads_with_zeros_to_max_length() -> None:
    assert HEADS[HeadKind.flatten](2, 4)(ENCODED).tolist() == [
        [1.0, -4.0, 3.0, -2.0, -1.0, -3.0, 0.0, 0.0],
        [-5.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]


def test_max_and_avg_pool_real_tokens_only() -> None:
    assert HEADS[HeadKind.max](2, 3)(ENCODED).tolist() == [[3.0, -2.0], [-5.0, 2.0]]
    assert HEADS[HeadKind.avg](2, 3)(ENCODED).tolist() == [[1.0, -3.0], [-5.0, 2.0]]


def test_attention_by_hand() -> None:
    head = Attention(2, 3)
    with torch.no_grad():
        head.hidden.weight.copy_(torch.eye(2))
        head.hidden.bias.copy_(torch.tensor([0.0, 3.0]))
        head.query.weight.copy_(torch.tensor([[0.0, 2.0]]))
    # Scores 2 tanh(x2 + 3) of the first review: x2 + 3 = -1, 1, 0.
    exponents = [math.exp(2 * math.tanh(value)) for value in (-1, 1, 0)]
    shares = [value / sum(exponents) for value in exponents]
    torch.testing.assert_close(head.weights(ENCODED)[0], torch.tensor(shares))
    assert head.weights(ENCODED)[1].tolist() == [1.0, 0.0, 0.0]
    expected = sum(share * state for share, state in zip(shares, STATES[0], strict=True))
    torch.testing.assert_close(head(ENCODED)[0], expected)
    torch.testing.assert_close(head(ENCODED)[1], STATES[1, 0])


def test_max_attention_by_hand() -> None:
    head = MaxAttention(2, 3)
    query = torch.tensor([3.0, -2.0])
    unit = torch.from_numpy(normalize(STATES[0].numpy()))
    expected = torch.softmax(unit @ query, 0)
    torch.testing.assert_close(head.weights(ENCODED)[0], expected)
    torch.testing.assert_close(head(ENCODED)[0], expected @ STATES[0])
    torch.testing.assert_close(head(ENCODED)[1], STATES[1, 0])
    assert not list(head.parameters())


def test_concat_is_last_maximum_and_mean_beside_each_other() -> None:
    head = HEADS[HeadKind.concat](2, 3)
    assert head.output_size == 6
    assert head(ENCODED).tolist() == [
        [-1.0, -3.0, 3.0, -2.0, 1.0, -3.0],
        [-5.0, 2.0, -5.0, 2.0, -5.0, 2.0],
    ]


def test_concat_is_that_of_numpy_on_the_real_states_of_each_review() -> None:
    lengths, states = [4, 1, 3], np.random.default_rng(0).normal(size=(3, 5, 2)).astype("f")
    mask = np.arange(5) < np.array(lengths)[:, None]
    final = np.stack([review[n - 1] for review, n in zip(states, lengths, strict=True)])
    expected = [
        np.concatenate([review[n - 1], review[:n].max(0), review[:n].mean(0)])
        for review, n in zip(states, lengths, strict=True)
    ]
    padded = torch.from_numpy(states * mask[..., None])
    encoded = Encoded(padded, torch.from_numpy(final), torch.from_numpy(mask))
    np.testing.assert_allclose(HEADS[HeadKind.concat](2, 5)(encoded), expected, rtol=1e-6)


def test_every_kind_has_a_head() -> None:
    assert set(HEADS) == set(HeadKind)
