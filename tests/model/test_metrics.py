"""Scores beside scikit-learn's and by hand, and the most confident mistakes."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as torchmetrics
from scipy.special import expit, log_expit
from sklearn import metrics as reference

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.model.metrics import (
    StageScores,
    auroc,
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
        scores.update(logits[part], batch_of(labels[part], start))
        start += size
    return scores


def reference_scores(labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """Return the scores by scikit-learn, in float64."""
    predicted = logits > 0
    certainty = np.where(labels == 1, logits, -logits)  # of the true class
    return {
        "loss": -np.mean(log_expit(certainty)),
        "accuracy": reference.accuracy_score(labels, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, predicted),
        "precision": reference.precision_score(labels, predicted),
        "recall": reference.recall_score(labels, predicted),
        "f1": reference.f1_score(labels, predicted),
        "auroc": reference.roc_auc_score(labels, logits),
        "majority_share": max(np.mean(labels), 1 - np.mean(labels)),
        "confusion_matrix": reference.confusion_matrix(labels, predicted).tolist(),
    }


@pytest.mark.parametrize("scale", [1, 8, 60], ids="logits around {}".format)
@pytest.mark.parametrize("positive_share", [0.5, 0.95])
def test_scores_equal_scikit_learns_over_uneven_batches(scale: int, positive_share: float) -> None:
    """In float32, all probabilities of logits above 17 would be 1, and their order lost."""
    random = np.random.default_rng(scale)
    labels = random.random(1000) < positive_share
    logits = (scale * (random.standard_normal(1000) + labels)).astype(np.float32)
    scores = scored(torch.from_numpy(logits), torch.from_numpy(labels).float(), [600, 370, 30])
    expected = reference_scores(labels, logits.astype(float))
    result = scores.compute()
    assert result.keys() == expected.keys()
    assert result.pop("confusion_matrix") == expected.pop("confusion_matrix")
    assert result == pytest.approx(expected, rel=1e-12)


def test_scores_are_those_of_torchmetrics_up_to_its_rounding() -> None:
    random = np.random.default_rng(0)
    labels = random.random(500) < 0.7
    logits = random.standard_normal(500) + labels
    result = classification_scores(labels, logits)
    arguments = torch.from_numpy(expit(logits)), torch.from_numpy(labels).int()
    for name, metric in {
        "accuracy": torchmetrics.binary_accuracy,
        "precision": torchmetrics.binary_precision,
        "recall": torchmetrics.binary_recall,
        "f1": torchmetrics.binary_f1_score,
        "auroc": torchmetrics.binary_auroc,
    }.items():
        assert result[name] == pytest.approx(metric(*arguments).item(), abs=1e-6), name


def test_scores_by_hand() -> None:
    labels = np.array([1, 1, 1, 0, 0])
    logits = np.array([2.0, 1.5, 0, 1, -3])  # 0 is classified as negative
    losses = np.log(1 + np.exp([-2.0, -1.5, 0, 1, -3]))
    assert classification_scores(labels, logits) == {
        "loss": pytest.approx(losses.mean()),
        "accuracy": 3 / 5,
        "balanced_accuracy": pytest.approx((2 / 3 + 1 / 2) / 2),
        "auroc": pytest.approx(5 / 6),  # of six pairs, 0 and 1 stand in the wrong order
        "confusion_matrix": [[1, 1], [1, 2]],
        "f1": pytest.approx(2 / 3),
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "majority_share": 3 / 5,
    }


@pytest.mark.parametrize("seed", range(20))
def test_no_auroc_is_above_1(seed: int) -> None:
    """torchmetrics, which sums in float32, gives 1.0000001 for some numbers of reviews."""
    random = np.random.default_rng(seed)
    labels = random.random(random.integers(10, 30_000)) < 0.4
    labels[:2] = 0, 1
    logits = random.random(len(labels)) + labels
    assert auroc(labels, logits) == 1
    assert auroc(labels, -logits) == 0
    assert auroc(labels, np.zeros(len(labels))) == 0.5


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auroc(label: int) -> None:
    labels, logits = torch.full((3,), label).float(), torch.tensor([-2.0, 0.5, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = scored(logits, labels, [3]).compute()
    assert scores["auroc"] is None
    assert scores["majority_share"] == 1
    assert scores["balanced_accuracy"] == scores["accuracy"]
    assert sum(map(sum, scores["confusion_matrix"])) == 3


def test_undefined_precision_and_recall_are_zero() -> None:
    scores = classification_scores(np.array([0, 0]), np.array([-2.0, -1.0]))
    assert (scores["accuracy"], scores["precision"], scores["recall"], scores["f1"]) == (1, 0, 0, 0)


def test_a_network_that_always_predicts_the_larger_class_has_a_balanced_accuracy_of_a_half() -> (
    None
):
    labels = np.arange(100) < 95
    scores = classification_scores(labels, np.full(100, 1.0))
    assert (scores["accuracy"], scores["majority_share"]) == (0.95, 0.95)
    assert scores["balanced_accuracy"] == 0.5


def test_logits_between_0_and_1_are_not_taken_for_probabilities() -> None:
    # Classified as positive all three; as probabilities, 0.2 and 0.3 would be negative.
    result = scored(torch.tensor([0.2, 0.3, 0.9]), torch.tensor([1.0, 1.0, 0.0]), [3]).compute()
    assert result["accuracy"] == 2 / 3
    assert result["confusion_matrix"] == [[0, 1], [0, 2]]


def test_predictions_are_sorted_by_row() -> None:
    scores = StageScores()
    for first, logit in ((2, 1.0), (0, -1.0)):
        scores.update(torch.full((2,), logit), batch_of(torch.ones(2), first))
    predictions = scores.predictions()
    assert predictions["index"].tolist() == [0, 1, 2, 3]
    assert predictions["logit"].tolist() == [-1, -1, 1, 1]
    scores.reset()
    scores.update(torch.zeros(1), batch_of(torch.ones(1)))
    assert scores.predictions()["index"].tolist() == [0]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_is_not_averaged_away(logit: float) -> None:
    scores = StageScores()
    for value in (0.5, logit):
        scores.update(torch.tensor([0.5, value]), batch_of(torch.tensor([0.0, 1.0])))
    assert math.isnan(scores.compute()["loss"])


@pytest.mark.parametrize("kind", [np.int8, np.float32, bool])
def test_the_most_confident_mistakes_come_first_and_the_earlier_of_equals(kind: type) -> None:
    labels = np.array([1, 0, 1, 0, 1, 0]).astype(kind)
    logits = np.array([-1, -1, 0, 1, -50, 51], np.float32)
    assert most_confident_mistakes(labels, logits, logits > 0, 10).tolist() == [5, 4, 0, 3, 2]
    assert most_confident_mistakes(labels, logits, logits > 0, 2).tolist() == [5, 4]


def test_correct_predictions_are_no_mistakes() -> None:
    labels = np.array([1, 0, 0])
    logits = np.array([1.0, -9, 0])  # 0 is classified as negative
    assert not len(most_confident_mistakes(labels, logits, logits > 0, 10))


def test_with_a_low_threshold_an_improbable_mistake_is_the_least_confident() -> None:
    labels, logits = np.array([0, 0, 1]), np.array([-2.0, 1.0, -3.0])
    mistakes = most_confident_mistakes(labels, logits, logits > -2.5, 10)
    assert mistakes.tolist() == [2, 1, 0]


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
    assert calibration_error(np.array(labels), np.array(probabilities)) == pytest.approx(error)
