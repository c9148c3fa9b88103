"""The temperature and the threshold of a model, beside references and in runs."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax
from sklearn import metrics as reference

from lstm_sentiment import InputError, run
from lstm_sentiment.config import DecisionConfig
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.metrics import calibration_error
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import State, read_run
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training import decision as module
from lstm_sentiment.training.baseline import baseline, baseline_folder
from lstm_sentiment.training.decision import (
    HIGHEST,
    LOWEST,
    best_threshold,
    decide,
    fitted_temperature,
)
from tests.support.displays import RecordingDisplay
from tests.support.project import MakeConfig, folder_of, folder_of_record

STARS = Classes(("1", "2", "3"))


def drawn(count: int, outputs: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return labels drawn from the probabilities of logits, and these logits times `scale`."""
    random = np.random.default_rng(outputs)
    if outputs == 1:
        logits = random.normal(0, 2, count)
        return (random.random(count) < expit(logits)).astype(int), logits * scale
    logits = random.normal(0, 2, (count, outputs))
    sums = softmax(logits, axis=1).cumsum(1)
    return (random.random((count, 1)) > sums).sum(1), logits * scale


# The temperature


def test_a_temperature_makes_the_mean_probability_the_share_of_correct_predictions() -> None:
    """With logits of 4 or -4, three of four correct, sigmoid(4 / T) is 3/4: T = 4 / log(3)."""
    labels, logits = np.array([1, 1, 1, 0, 0, 0, 0, 1]), np.array([4.0] * 4 + [-4.0] * 4)
    assert fitted_temperature(labels, logits) == pytest.approx(4 / np.log(3), abs=1e-9)


def test_a_temperature_of_three_classes_solves_the_same_equation() -> None:
    """The softmax of (2 / T, 0, 0) is 1/2 for the first class if exp(2 / T) is 2."""
    labels, logits = np.array([0, 0, 1, 2]), np.array([[2.0, 0, 0]] * 4)
    assert fitted_temperature(labels, logits) == pytest.approx(2 / np.log(2), abs=1e-9)


@pytest.mark.parametrize("outputs", [1, 3, 5])
@pytest.mark.parametrize("scale", [0.3, 1, 4])
def test_the_loss_is_least_at_the_temperature(outputs: int, scale: float) -> None:
    labels, logits = drawn(2_000, outputs, scale)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        both = np.stack([np.zeros(len(labels)), scaled], axis=1) if outputs == 1 else scaled
        return reference.log_loss(labels, softmax(both, axis=1))

    optimum = minimize_scalar(loss, bounds=np.log([0.01, 100]), options={"xatol": 1e-9})
    temperature = fitted_temperature(labels, logits)
    assert temperature == pytest.approx(np.exp(optimum.x), rel=1e-5)
    assert temperature == pytest.approx(scale, rel=0.1)


def test_without_mistakes_the_temperature_is_the_least_allowed_one() -> None:
    assert fitted_temperature(np.array([0, 1]), np.array([-1.0, 1.0])) == LOWEST
    assert fitted_temperature(np.array([1, 0]), np.array([-1.0, 1.0])) == HIGHEST


def test_a_temperature_at_a_bound_is_shown_as_a_warning() -> None:
    display = RecordingDisplay()
    config = DecisionConfig(calibration="temperature")  # type: ignore[arg-type]
    decide(config, BINARY, np.array([0, 1]), np.array([-1.0, 1.0])).show(display)
    assert any("0.05 is the least" in line for line in display.messages)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_calibration_errors_are_those_before_and_after(outputs: int) -> None:
    labels, logits = drawn(2_000, outputs, 4)
    classes = BINARY if outputs == 1 else STARS
    config = DecisionConfig(calibration="temperature")  # type: ignore[arg-type]
    chosen = decide(config, classes, labels, logits)
    assert chosen.classes == classes
    probability = expit if outputs == 1 else lambda each: softmax(each, axis=1)
    recorded = chosen.recorded["calibration"]
    before = calibration_error(labels, probability(logits))
    assert recorded["before"] == pytest.approx(before, rel=1e-12)
    after = calibration_error(labels, probability(logits / chosen.temperature))
    assert recorded["after"] == pytest.approx(after, rel=1e-12)
    assert after < before


# The threshold


def scores_at(threshold: float, labels: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    predicted = probability > threshold
    return {
        "f1": reference.f1_score(labels, predicted, zero_division=0),
        "balanced": reference.balanced_accuracy_score(labels, predicted),
    }


@pytest.mark.parametrize("objective", ["f1", "balanced"])
@pytest.mark.parametrize("decimals", [1, 3, 17], ids="{} decimals".format)
@pytest.mark.parametrize("seed", range(4))
def test_no_threshold_is_better(objective: str, decimals: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random(60) < 0.2).astype(int)
    labels[:2] = 0, 1
    probability = expit(random.normal(labels - 1.5, 1)).round(decimals)
    threshold = best_threshold(labels, probability, objective)
    reached = scores_at(threshold, labels, probability)[objective]
    candidates = [-1.0, 0.5, *probability, *probability - 1e-9]
    everywhere = [scores_at(each, labels, probability)[objective] for each in candidates]
    assert reached == pytest.approx(max(everywhere), abs=1e-12)
    if objective == "f1":
        precision, recall, _ = reference.precision_recall_curve(labels, probability)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        assert reached == pytest.approx(f1.max(), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "probability", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 0.25),
        ([0, 0, 1, 1], [0.1, 0.2, 0.9, 1.0], 0.55),
        ([0, 1], [0.6, 0.6], 0.3),  # F1 needs the positives; a balanced accuracy is 1/2 anyway
        ([1, 0, 1], [0.3, 0.4, 0.9], 0.65),
        ([0, 1], [0.0, np.nextafter(0, 1)], 0.0),
    ],
)
def test_a_threshold_is_halfway_between_neighbours(
    labels: list[int], probability: list[float], expected: float
) -> None:
    objective = "balanced" if len(labels) == 3 else "f1"
    chosen = best_threshold(np.array(labels), np.array(probability), objective)
    assert chosen == pytest.approx(expected, abs=1e-15)


def test_the_nearest_to_one_half_of_equally_good_thresholds_is_chosen() -> None:
    """Balanced accuracy is 3/4 between 0.1 and 0.2, and between 0.3 and 0.8."""
    labels, probability = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.8])
    assert best_threshold(labels, probability, "balanced") == pytest.approx(0.55)


def test_saturated_probabilities_have_no_threshold_between_them() -> None:
    labels, probability = np.array([1, 0, 1, 0]), np.array([0.0, 0.0, 1.0, 1.0])
    assert best_threshold(labels, probability, "balanced") == 0.5


def test_the_threshold_is_chosen_after_the_calibration() -> None:
    labels, logits = drawn(500, 1, 4)
    config = DecisionConfig("balanced", "temperature")  # type: ignore[arg-type]
    chosen = decide(config, BINARY, labels, logits)
    calibrated = expit(logits / chosen.temperature)
    assert chosen.classes.threshold == best_threshold(labels, calibrated, "balanced")


# Runs


def decided(**fields: str) -> dict[str, Any]:
    return {"decision": DecisionConfig(**fields)}  # type: ignore[arg-type]


UNEVEN = {"optimizer": {"lr": 0.03}, "head": {"kind": "max"}}


@pytest.mark.parametrize("threshold", ["f1", "balanced"])
def test_a_run_records_and_applies_its_decision(tiny: MakeConfig, threshold: str) -> None:
    plain, config = (
        tiny(**UNEVEN, **decision)
        for decision in ({}, decided(threshold=threshold, calibration="temperature"))
    )
    before, record = run(plain), run(config)
    assert record["epochs"] == [
        {**epoch, "seconds": after["seconds"]}
        for epoch, after in zip(before["epochs"], record["epochs"], strict=True)
    ]
    chosen = record["decision"]["threshold"]
    assert 0 < chosen < 1
    assert chosen != 0.5
    summary = read_run(folder_of(config))
    assert summary.state is State.done
    temperature = record["decision"]["calibration"]["temperature"]
    for stage in ("val", "test"):
        # The logits are those of the undecided run, divided by the temperature.
        predictions = read_predictions(summary, stage)
        undecided = read_predictions(read_run(folder_of(plain)), stage)
        np.testing.assert_allclose(predictions.logit, undecided.logit / temperature, atol=1e-5)
        assert record[stage]["auroc"] == pytest.approx(before[stage]["auroc"], abs=1e-3)
        accuracy = ((predictions.probability > chosen) == predictions.label).mean()
        assert record[stage]["accuracy"] == pytest.approx(accuracy)
    val = read_predictions(summary, "val")
    assert fitted_temperature(val.label, val.logit) == pytest.approx(1, abs=1e-4)
    predictor = Predictor.load(folder_of(config))
    assert predictor.classes.threshold == chosen


def test_calibration_alone_changes_no_prediction(tiny: MakeConfig) -> None:
    plain, config = tiny(**UNEVEN), tiny(**UNEVEN, **decided(calibration="temperature"))
    before, record = run(plain), run(config)
    assert record["decision"]["threshold"] == 0.5
    for score in ("accuracy", "f1", "confusion_matrix"):
        assert record["test"][score] == before["test"][score]
    assert record["val"]["loss"] < before["val"]["loss"]


def test_a_run_that_was_killed_after_its_last_epoch_gets_the_same_decision(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(**UNEVEN, **decided(threshold="f1", calibration="temperature"))
    expected = run(config)["decision"]

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("lstm_sentiment.training.train._make_record", fail)
        with pytest.raises(Exception, match="memory"):
            run(tiny(**UNEVEN, **decided(threshold="f1", calibration="temperature"), rerun=True))
    assert run(config)["decision"] == expected


def test_a_threshold_is_refused_with_three_classes() -> None:
    with pytest.raises(InputError) as refusal:
        module.require_possible(DecisionConfig("f1"), STARS)
    assert str(refusal.value) == (
        "decision.threshold=f1 is allowed only with two classes: the reviews have 3, of which the "
        "most probable one is predicted."
    )
    module.require_possible(DecisionConfig(calibration="temperature"), STARS)  # type: ignore[arg-type]


# Baselines


@pytest.mark.parametrize("kind", NgramModel)
def test_a_baseline_has_a_decision_too(tiny: MakeConfig, kind: NgramModel) -> None:
    config = tiny(**decided(threshold="f1", calibration="temperature"))
    plain, record = baseline(kind, tiny()), baseline(kind, config)
    assert record["config"]["decision"] == {"threshold": "f1", "calibration": "temperature"}
    assert "decision" not in plain["config"]
    folders = [folder_of_record(config, each) for each in (plain, record)]
    undecided, val = (read_predictions(read_run(folder), "val") for folder in folders)
    temperature = record["decision"]["calibration"]["temperature"]
    np.testing.assert_allclose(val.logit, undecided.logit / temperature, rtol=1e-5)
    assert val.classes.threshold == record["decision"]["threshold"]
    assert record["val"]["f1"] >= plain["val"]["f1"]
    assert Predictor.load(folders[1]).classes == val.classes


def test_a_decision_changes_the_folder_of_a_baseline(tiny: MakeConfig) -> None:
    configs = [tiny(), tiny(**decided(threshold="f1")), tiny(data={"class_weights": "balanced"})]
    assert len({baseline_folder(NgramModel.nb_svm, each, "id") for each in configs}) == 3
