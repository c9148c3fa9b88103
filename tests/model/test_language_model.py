"""The language model: what it predicts from what, its softmaxes, and its regularization."""

from itertools import product
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lstm_sentiment.config import Cell, EmbeddingConfig, EncoderConfig
from lstm_sentiment.config_pretraining import LanguageModelConfig, PretrainingConfig, Softmax
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.language_model import LanguageModel, TiedSoftmax, adaptive, locked_dropout

SIZE = 30  # words
IDS = torch.tensor([[5, 7, 9, 2], [3, 4, 0, 0], [8, 0, 0, 0]])
LENGTHS = torch.tensor([4, 2, 1])
DIRECTIONS: list[dict[str, Any]] = [{}, {"backward": True}, {"bidirectional": True}]


def build(encoder: dict[str, Any] | None = None, **fields: Any) -> LanguageModel:
    torch.manual_seed(3)
    chosen = {"hidden_size": 6, **(encoder or {})}
    quiet = {"word_dropout": 0.0, "output_dropout": 0.0, "activation": 0.0}
    config = PretrainingConfig(
        encoder=EncoderConfig(**chosen),
        embedding=EmbeddingConfig(dim=5, dropout=0.0),
        language_model=LanguageModelConfig(**{**quiet, "temporal_activation": 0.0, **fields}),
    )
    return LanguageModel(config, SIZE)


@pytest.mark.parametrize(
    ("cell", "direction"),
    [(cell, way) for cell, way in product(Cell, DIRECTIONS) if not cell.is_elementwise],
)
@pytest.mark.parametrize("softmax", Softmax)
def test_each_word_is_predicted_from_the_words_that_were_read_before(
    cell: Cell, direction: dict[str, Any], softmax: Softmax
) -> None:
    """The reference reads each review with PyTorch's cell, a word at a time."""
    model = build({"cell": cell, **direction}, softmax=softmax).eval()
    expected = []
    for backward, projection, suffix in zip(
        model.encoder.directions, model.projections, ("l0", "l0_reverse"), strict=False
    ):
        kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
        reference = kind(5, 6, batch_first=True)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            weight = getattr(model.encoder.rnn, f"{name}_{suffix}")
            setattr(reference, f"{name}_l0", torch.nn.Parameter(weight.detach().clone()))
        for row, length in zip(IDS, LENGTHS.tolist(), strict=True):
            words = row[:length].flip(0) if backward else row[:length]
            if length < 2:
                continue
            states, _ = reference(F.embedding(words[None], model.embedding.weight))
            contexts, targets = projection(states[0, :-1]), words[1:]
            if backward:
                contexts, targets = contexts.flip(0), targets.flip(0)
            if isinstance(model.softmax, TiedSoftmax):
                logits = contexts @ model.embedding.weight.T + model.softmax.bias
                log_probabilities = logits.log_softmax(-1)
            else:
                log_probabilities = model.softmax.log_prob(contexts)
            expected += [-log_probabilities[k, word] for k, word in enumerate(targets)]

    predicted = model(IDS, LENGTHS)

    assert len(predicted.losses) == (3 + 1) * len(model.encoder.directions)
    torch.testing.assert_close(predicted.losses, torch.stack(expected), atol=1e-5, rtol=1e-5)
    assert predicted.penalty == 0


@pytest.mark.parametrize("changed", range(4))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_prediction_depends_on_the_words_before_and_on_its_target_only(
    direction: dict[str, Any], changed: int
) -> None:
    model = build(direction).eval()
    length = torch.tensor([4])
    before = model(IDS[:1], length).losses
    other = IDS[:1].clone()
    other[0, changed] = 11
    after = model(other, length).losses
    forward = [word >= changed for word in (1, 2, 3)]  # the words that are predicted
    backward = [word <= changed for word in (0, 1, 2)]
    expected = [forward, backward, forward + backward][DIRECTIONS.index(direction)]
    assert (before != after).tolist() == expected


def test_losses_do_not_depend_on_padding_and_on_the_batch() -> None:
    model = build().eval()
    together = model(IDS, LENGTHS).losses
    alone = [
        model(row[None, : int(n)], n[None]).losses for row, n in zip(IDS, LENGTHS, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)


@pytest.mark.parametrize("cell", Cell)
@pytest.mark.parametrize("backward", [False, True])
def test_reviews_in_a_row_continue_from_the_state_before(cell: Cell, backward: bool) -> None:
    """Two pieces give the losses of the whole; a network that reads backwards gets turned words."""
    model = build({"cell": cell, "num_layers": 2, "backward": backward}, truncation=3).eval()
    ids = torch.randint(2, SIZE, (2, 7))
    read = ids.flip(1) if backward else ids
    first = model.stream(read[:, :4], None)
    second = model.stream(read[:, 3:], first.state)
    pieces = torch.cat([first.losses.view(2, 3), second.losses.view(2, 3)], 1)
    whole = model(ids, torch.tensor([7, 7])).losses.view(2, 6)
    torch.testing.assert_close(pieces, whole.flip(1) if backward else whole, atol=1e-5, rtol=0)


def test_the_gradient_ends_where_a_piece_begins() -> None:
    model = build(truncation=3)
    first = model.stream(IDS[:1], None)
    second = model.stream(IDS[:1], first.state)
    second.losses.sum().backward()
    assert first.state is not None
    assert all(part.grad_fn is not None for part in first.state)
    assert model.encoder.rnn.weight_hh_l0.grad is not None
    # Words of the first piece alone would have gradients if it went on.
    other = torch.tensor([[12, 13, 14, 15]])
    model.zero_grad()
    model.stream(IDS[:1], model.stream(other, None).state).losses.sum().backward()
    table = model.embedding.weight.grad
    assert table is not None
    assert table[12:16].abs().sum() == 0


def test_the_penalties_are_those_of_awd_lstm() -> None:
    """The mean squares of the dropped states and of the changes from step to step, by hand."""
    model = build(activation=2.0, temporal_activation=0.5).train()
    states = torch.tensor([[[1.0, 2.0], [3.0, 0.0], [9.0, 9.0]]])
    dropped = torch.tensor([[[2.0, 0.0], [6.0, 0.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    # 2 x (4 + 36) / 4 + 0.5 x (4 + 4) / 2
    assert model._penalty(states, dropped, mask).item() == pytest.approx(2 * 10 + 0.5 * 4)
    assert model.eval()._penalty(states, dropped, mask) == 0


def test_a_dropped_word_is_dropped_in_the_whole_batch() -> None:
    model = build(word_dropout=0.5).train()
    ids = torch.tensor([[5, 6, 7, 5, 6, 7], [7, 7, 6, 5, 5, 6]])
    dropped = 0
    for _ in range(20):
        vectors = model._embedded(ids).dense()[:, :6]
        for word in (5, 6, 7):
            of_word = vectors[ids == word]
            expected = 2 * model.embedding.weight[word]  # divided by the share that is kept
            is_dropped = bool((of_word == 0).all())
            assert is_dropped or torch.allclose(of_word, expected.expand_as(of_word))
            dropped += is_dropped
    assert 15 < dropped < 45  # of 60, each with probability 1/2


def test_dropout_has_one_mask_for_all_steps() -> None:
    torch.manual_seed(0)
    dropped = locked_dropout(torch.ones(3, 4, 50), 0.4, training=True)
    assert torch.equal(dropped[:, :1].expand(-1, 4, -1), dropped)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.6])
    assert not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("softmax", Softmax)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_agree_with_finite_differences(
    softmax: Softmax, direction: dict[str, Any]
) -> None:
    model = build(direction, softmax=softmax).eval()
    weight = model.projections[0].weight
    model(IDS, LENGTHS).losses.sum().backward()
    assert weight.grad is not None
    step = 1e-2
    for place in ((0, 0), (3, 4)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[place] += sign * step
                values.append(model(IDS, LENGTHS).losses.sum().item())
                weight[place] -= sign * step
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(weight.grad[place].item(), abs=2e-3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoder": EncoderConfig(num_layers=2, bidirectional=True)}, "would read the words"),
        (
            {
                "encoder": EncoderConfig(bidirectional=True),
                "language_model": LanguageModelConfig(truncation=20),
            },
            "different times",
        ),
        ({"encoder": EncoderConfig(start_from="a")}, "encoder.start_from=a is not allowed"),
        ({"embedding": EmbeddingConfig(kind="word2vec")}, "learns its own vectors"),  # type: ignore[arg-type]
    ],
)
def test_settings_without_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PretrainingConfig(**fields)


@pytest.mark.parametrize(
    ("size", "widths"), [(1, [1, 1]), (5, [2, 1]), (17, [4, 1]), (200, [50, 12])]
)
def test_every_group_of_the_adaptive_softmax_has_weights(size: int, widths: list[int]) -> None:
    """By default, PyTorch gives no numbers to the last group if vectors are short."""
    softmax = adaptive(size, 9_000)
    assert [tail[0].out_features for tail in softmax.tail] == widths
