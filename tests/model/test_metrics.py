"""Scores beside scikit-learn's and by hand, and the most confident mistakes."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torch.nn import functional as F

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.metrics import (
    StageScores,
    calibration_error,
    classification_scores,
    most_confident_mistakes,
)


def batch_of(labels: torch.Tensor, first_row: int = 0) -> Batch:
    rows = torch.arange(first_row, first_row + len(labels))
    return Batch(torch.zeros(len(labels), 1), torch.ones(len(labels)), labels, rows)


def scored(logits: torch.Tensor, labels: torch.Tensor, sizes: list[int]) -> StageScores:
    scores, start = StageScores(), 0
    for size in sizes:
        part = slice(start, start + size)
        losses = F.binary_cross_entropy_with_logits(logits[part], labels[part], reduction="none")
        scores.update(logits[part], losses, batch_of(labels[part], start))
        start += size
    return scores


def test_scores_equal_scikit_learns_over_uneven_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (100,), generator=generator).float()
    logits = torch.randn(100, generator=generator) + labels
    result = scored(logits, labels, [60, 37, 3]).compute()

    probability = logits.sigmoid().double().numpy()
    truth, predicted = labels.numpy(), probability > 0.5
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert result["precision"] == pytest.approx(reference.precision_score(truth, predicted))
    assert result["recall"] == pytest.approx(reference.recall_score(truth, predicted))
    assert result["f1"] == pytest.approx(reference.f1_score(truth, predicted))
    assert result["auroc"] == pytest.approx(reference.roc_auc_score(truth, probability))
    assert result["loss"] == pytest.approx(reference.log_loss(truth, probability), rel=1e-5)
    assert result["confusion_matrix"] == reference.confusion_matrix(truth, predicted).tolist()


def test_scores_by_hand() -> None:
    labels = torch.tensor([1, 1, 1, 0, 0])
    probabilities = torch.tensor([0.9, 0.8, 0.5, 0.7, 0.1])  # 0.5 is classified as negative
    assert classification_scores(labels, probabilities) == {
        "accuracy": pytest.approx(3 / 5),
        "auroc": pytest.approx(5 / 6),  # of six pairs, 0.5 and 0.7 stand in the wrong order
        "confusion_matrix": [[1, 1], [1, 2]],
        "f1": pytest.approx(2 / 3),
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
    }


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auroc(label: int) -> None:
    labels, probabilities = torch.full((3,), label), torch.tensor([0.1, 0.6, 0.7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = classification_scores(labels, probabilities)
    assert scores["auroc"] is None
    assert sum(map(sum, scores["confusion_matrix"])) == 3
    # A record holds a number for each score.
    assert scored(probabilities, labels.float(), [3]).compute()["auroc"] == 0.0


def test_undefined_precision_and_recall_are_zero() -> None:
    scores = classification_scores(torch.tensor([0, 0]), torch.tensor([0.1, 0.2]))
    assert (scores["accuracy"], scores["precision"], scores["recall"], scores["f1"]) == (1, 0, 0, 0)


def test_logits_between_0_and_1_are_not_taken_for_probabilities() -> None:
    # Classified as positive all three; as probabilities, 0.2 and 0.3 would be negative.
    result = scored(torch.tensor([0.2, 0.3, 0.9]), torch.tensor([1.0, 1.0, 0.0]), [3]).compute()
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["confusion_matrix"] == [[0, 1], [0, 2]]


def test_predictions_are_sorted_by_row() -> None:
    scores = StageScores()
    for first, logit in ((2, 1.0), (0, -1.0)):
        scores.update(torch.full((2,), logit), torch.zeros(2), batch_of(torch.ones(2), first))
    predictions = scores.predictions()
    assert predictions["index"].tolist() == [0, 1, 2, 3]
    low, high = 1 / (1 + math.e), math.e / (1 + math.e)
    assert predictions["probability"].tolist() == pytest.approx([low, low, high, high])
    scores.reset()
    scores.update(torch.zeros(1), torch.zeros(1), batch_of(torch.ones(1)))
    assert scores.predictions()["index"].tolist() == [0]


def test_a_loss_that_is_not_a_number_is_not_averaged_away() -> None:
    scores = StageScores()
    for loss in (0.5, math.nan):
        scores.update(torch.zeros(2), torch.tensor([0.5, loss]), batch_of(torch.tensor([0.0, 1.0])))
    assert np.isnan(scores.compute()["loss"])


@pytest.mark.parametrize("kind", [np.int8, np.float32, bool])
def test_the_most_confident_mistakes_come_first_and_the_earlier_of_equals(kind: type) -> None:
    labels = np.array([1, 0, 1, 0, 1, 0]).astype(kind)
    probabilities = np.array([0.25, 0.25, 0.5, 0.75, 0.0, 1.0], np.float32)
    assert most_confident_mistakes(labels, probabilities, 10).tolist() == [4, 5, 0, 3, 2]
    assert most_confident_mistakes(labels, probabilities, 2).tolist() == [4, 5]


def test_correct_predictions_are_no_mistakes() -> None:
    labels = np.array([1, 0, 0])
    probabilities = np.array([0.75, 0.0, 0.5])  # 0.5 is classified as negative
    assert not len(most_confident_mistakes(labels, probabilities, 10))


@pytest.mark.parametrize(
    ("labels", "probabilities", "expected"),
    [
        ([0, 1], [0.0, 1.0], 0),
        ([1, 0], [0.0, 1.0], 1),
        # Two bins of two: 0.05 predicted and 1/2 positive, 0.95 predicted and all positive.
        ([0, 1, 1, 1], [0.05, 0.05, 0.95, 0.95], (0.45 + 0.05) / 2),
        # 0.41 and 0.45 lie in the bin from 6/15 to 7/15, 0.48 in the next.
        ([1, 0, 1], [0.41, 0.45, 0.48], (2 * abs(0.5 - 0.43) + abs(1 - 0.48)) / 3),
    ],
)
def test_calibration_error_by_hand(
    labels: list[int], probabilities: list[float], expected: float
) -> None:
    error = calibration_error(np.array(labels, bool), np.array(probabilities, np.float32))
    assert error == pytest.approx(expected, abs=1e-6)
    assert calibration_error(torch.tensor(labels), torch.tensor(probabilities)) == error
