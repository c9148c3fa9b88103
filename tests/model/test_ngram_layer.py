"""What n-grams add to the logits of a network, and how they are trained."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lstm_sentiment.config import Config
from lstm_sentiment.data.ngram_vocabulary import NgramBatch, NgramVocabulary, ReviewNgrams
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.ngram_layer import NgramLayer, log_count_ratios

Make = Callable[..., Config]
IDS, LENGTHS = torch.tensor([[3, 5, 2], [4, 0, 0]]), torch.tensor([3, 1])
NGRAMS = NgramBatch(torch.tensor([0, 2, 1, 2]), torch.tensor([0, 0, 1, 1]))
RATIO = np.array([[2.0], [-1.0], [0.5]], np.float32)
# Reviews with the n-grams {0, 1}, {1}, {0, 2} and {}.
REVIEWS = ReviewNgrams(np.array([0, 1, 1, 0, 2], np.int32), np.array([0, 2, 3, 5, 5]))


def test_ratios_compare_the_shares_of_ngrams_in_two_classes() -> None:
    ratios = log_count_ratios(REVIEWS, 3, np.array([1, 0, 1, 0]), 1)
    # With one added, the numbers of reviews are 3, 2, 2 of 7 and 1, 2, 1 of 4.
    expected = np.log([3 / 7 / (1 / 4), 2 / 7 / (2 / 4), 2 / 7 / (1 / 4)])
    np.testing.assert_allclose(ratios, expected[:, None], rtol=1e-6)
    assert ratios.dtype == np.float32


def test_ratios_of_more_classes_compare_each_with_the_rest() -> None:
    labels = np.array([2, 0, 1, 2])
    ratios = log_count_ratios(REVIEWS, 3, labels, 3)
    for label in range(3):
        against_the_rest = log_count_ratios(REVIEWS, 3, (labels == label).astype(int), 1)
        np.testing.assert_array_equal(ratios[:, label], against_the_rest[:, 0])


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_logit_is_that_of_the_network_plus_the_weights_of_its_ngrams(
    tiny: Make, outputs: int
) -> None:
    ratio = np.tile(RATIO, outputs) * np.arange(1, outputs + 1, dtype=np.float32)
    net = Classifier(tiny(), 10, outputs, ratio).eval()
    assert net.wide is not None
    alone = Classifier(tiny(), 10, outputs).eval()
    alone.load_state_dict({k: v for k, v in net.state_dict().items() if "wide" not in k})
    torch.testing.assert_close(net(IDS, LENGTHS, NGRAMS), alone(IDS, LENGTHS))  # at the start
    with torch.no_grad():
        net.wide.weight.copy_(torch.tensor([[0.5], [3.0], [4.0]]).expand(3, outputs))
    # 2 · 0.5 + 0.5 · 4 and -1 · 3 + 0.5 · 4
    added = torch.tensor([[3.0], [-1.0]]) * torch.arange(1, outputs + 1)
    expected = alone(IDS, LENGTHS) + added.squeeze(-1)
    torch.testing.assert_close(net(IDS, LENGTHS, NGRAMS), expected)
    vectors = net.embedding.vectors(IDS)
    torch.testing.assert_close(net.classify(vectors, LENGTHS, NGRAMS), expected)


def test_a_network_with_ngrams_refuses_reviews_without(tiny: Make) -> None:
    with pytest.raises(ValueError, match="needs those of the reviews"):
        Classifier(tiny(), 10, 1, RATIO)(IDS, LENGTHS)


def test_a_review_without_ngrams_gets_nothing_and_others_do_not_matter() -> None:
    layer = NgramLayer(RATIO)
    torch.nn.init.normal_(layer.weight)
    together = layer(NGRAMS, 3)
    assert together[2] == 0
    for row in range(2):
        ids = NGRAMS.ids[NGRAMS.rows == row]
        alone = layer(NgramBatch(ids, torch.zeros_like(ids)), 1)
        torch.testing.assert_close(alone[0], together[row])


def test_the_ratios_scale_the_gradients_and_are_not_trained(tiny: Make) -> None:
    net = Classifier(tiny(), 10, 1, RATIO)
    assert net.wide is not None
    net(IDS, LENGTHS, NGRAMS).sum().backward()
    assert net.wide.weight.grad is not None
    assert net.wide.weight.grad.tolist() == [[2.0], [-1.0], [1.0]]  # the last is in both reviews
    assert "wide.log_ratio" not in dict(net.named_parameters())
    counts = net.parameter_counts()
    assert counts["n-grams"] == 3
    assert sum(counts.values()) == sum(p.numel() for p in net.parameters())


def test_a_temperature_divides_what_ngrams_add(tiny: Make) -> None:
    net = Classifier(tiny(), 10, 1, RATIO).eval()
    assert net.wide is not None
    torch.nn.init.normal_(net.wide.weight)
    before = net(IDS, LENGTHS, NGRAMS)
    net.divide_logits(2.5)
    torch.testing.assert_close(net(IDS, LENGTHS, NGRAMS), before / 2.5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_linear_model_of_the_words_computes_the_same(outputs: int) -> None:
    layer = NgramLayer(np.random.default_rng(0).normal(size=(3, outputs)).astype(np.float32))
    torch.nn.init.normal_(layer.weight)
    vocabulary = NgramVocabulary(["bad", "not"], [np.array([1 * 2 + 0])])
    assert vocabulary.ngrams == ["bad", "not", "not bad"]
    model = layer.linear_model(vocabulary)
    logits = model.logits(["not bad not bad".split(), "bad film".split()])
    batch = NgramBatch(torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 0, 1]))
    expected = layer(batch, 2).squeeze(-1).detach().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert model.longest == 2
