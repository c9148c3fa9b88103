"""Networks whose output units also read n-grams: training, resuming, and the use of the model."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from lstm_sentiment import Config, Predictor, run
from lstm_sentiment.estimator import SentimentClassifier
from lstm_sentiment.runs.predictions import read_table
from tests.support.project import (
    Killed,
    MakeConfig,
    StepCalls,
    folder_of,
    folder_of_record,
    results,
    reviews_of,
)
from tests.support.tables import write_columns

FILLER = "the a film plot with of and its cast scene".split()
# Single words are no evidence for either class; pairs of neighbours are.
VERDICTS = {1: ["good", "not bad"], 0: ["bad", "not good"]}
# The network reads only the first token, which says nothing.
BLIND: dict[str, Any] = {"max_length": 1, "limit_train": None, "limit_test": None}


def reviews(count: int) -> tuple[list[str], list[int]]:
    """Return different reviews with a verdict among neutral words, and their labels."""
    draw, labels = random.Random(0), [number % 2 for number in range(count)]
    texts = [
        " ".join(
            [
                *draw.choices(FILLER, k=4),
                draw.choice(VERDICTS[label][:1] if number % 4 < 2 else VERDICTS[label][1:]),
                *draw.choices(FILLER, k=3),
            ]
        )
        for number, label in enumerate(labels)
    ]
    return texts, labels


@pytest.fixture
def config(tiny: MakeConfig, tmp_path: Path) -> Config:
    """Return a configuration in which only the n-grams can tell the classes apart."""
    file = write_columns(tmp_path / "reviews.csv", *reviews(400))
    return tiny(
        data={"source": "reviews", "path": str(file), **BLIND},
        optimizer={"lr": 0.03},
        trainer={"max_epochs": 4},
        head={"ngrams": 2},
    )


def test_bigrams_decide_where_words_cannot(config: Config) -> None:
    accuracies = [
        run(replace(config, head=replace(config.head, ngrams=longest)))["val"]["accuracy"]
        for longest in (0, 1, 2)
    ]
    assert accuracies[0] < 0.6
    assert accuracies[1] < 0.85
    assert accuracies[2] > 0.95


@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_an_interrupted_run_gives_the_same_results(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch, adversarial: float
) -> None:
    config = tiny(
        head={"ngrams": 2},
        data={"batch_size": 16},
        optimizer={"lr": 0.03, "adversarial": adversarial},
    )
    whole = replace(config, sweep="whole")
    run(whole)
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", 8)
        with pytest.raises(Killed):
            run(config)
    run(config)
    one, other = (results(folder_of(each)) for each in (config, whole))
    for record in (one, other):
        del record["sweep"], record["config"]["sweep"]
    assert one == other


@pytest.mark.parametrize("tokenizer", ["basic_english", "bpe"])
@pytest.mark.parametrize("classes", [None, 3])
def test_predictions_equal_those_of_the_test_set(
    tiny: MakeConfig, classes: int | None, tokenizer: str, tmp_path: Path
) -> None:
    config = tiny(
        head={"kind": "max", "ngrams": 3},
        data={"max_length": 10, "tokenizer": tokenizer, "classes": classes},
        optimizer={"lr": 0.02},
    )
    record = run(config)
    folder = folder_of_record(config, record)
    recorded = read_table(folder / "predictions.parquet").filter(pc.field("split") == "test")
    data = reviews_of(config)
    texts = [data.text("test", row) for row in recorded["index"].to_pylist()]
    predictor = Predictor.load(folder)
    logits = predictor.logits(texts)
    names = [name for name in recorded.column_names if name.startswith("logit")]
    expected = np.stack([recorded[name].to_numpy() for name in names], 1).squeeze()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert logits.dtype == np.float32
    predictor.save(tmp_path / "saved")  # type: ignore[attr-defined]
    np.testing.assert_array_equal(Predictor.load(tmp_path / "saved").logits(texts), logits)


def test_calibration_divides_what_ngrams_add(config: Config) -> None:
    decision = replace(config.decision, calibration="temperature")
    plain, calibrated = (
        folder_of_record(each, run(each)) for each in (config, replace(config, decision=decision))
    )
    texts, _ = reviews(20)
    one, other = (Predictor.load(folder).logits(texts) for folder in (plain, calibrated))
    ratios = one / other
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)
    assert ratios[0] != pytest.approx(1, abs=1e-3)


def test_averaged_ngrams_are_calibrated(config: Config) -> None:
    """The average does not depend on the calibration, which divides all of its logits."""
    config = replace(config, trainer=replace(config.trainer, max_epochs=1))
    averaged = replace(config, optimizer=replace(config.optimizer, average=0.9))
    decision = replace(config.decision, calibration="temperature")
    configs = [config, averaged, replace(averaged, decision=decision)]
    records = [run(each) for each in configs]
    folders = [*map(folder_of_record, configs, records)]
    texts, _ = reviews(20)
    trained, average, calibrated = (Predictor.load(folder).logits(texts) for folder in folders)
    assert np.abs(trained - average).max() > 0.01
    temperature = records[2]["decision"]["calibration"]["temperature"]
    assert temperature != pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(calibrated * temperature, average, rtol=1e-4)
    assert_predictions_are_those_of_the_model(configs[2], folders[2])


def assert_predictions_are_those_of_the_model(config: Config, folder: Path) -> None:
    """Compare the recorded logits of the test set with those of the model in the folder."""
    table = read_table(folder / "predictions.parquet").filter(pc.field("split") == "test")
    data = reviews_of(config)
    texts = [data.text("test", row) for row in table["index"].to_pylist()]
    expected = table["logit"].to_numpy()
    np.testing.assert_allclose(Predictor.load(folder).logits(texts), expected, atol=1e-5)


def test_segments_are_read_backwards_beside_ngrams(tiny: MakeConfig) -> None:
    encoder = {"segment": 7, "backward": True}
    config = tiny(encoder=encoder, head={"kind": "concat", "ngrams": 2}, optimizer={"lr": 0.02})
    folder = folder_of_record(config, run(config))
    assert_predictions_are_those_of_the_model(config, folder)


def test_a_run_with_ngrams_can_be_repeated(
    tiny: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(head={"ngrams": 2})
    folder = folder_of_record(config, run(config))
    before = results(folder)
    run(replace(config, rerun=True))
    assert results(folder) == before
    assert "files of others" not in capsys.readouterr().out


def test_an_estimator_learns_and_keeps_ngrams(config: Config, tmp_path: Path) -> None:
    texts, labels = reviews(400)
    estimator = SentimentClassifier(config=config, max_length=1).fit(texts, labels)
    assert estimator.score(texts, labels) > 0.95
    estimator.save(tmp_path / "saved")
    loaded = SentimentClassifier.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict(texts), estimator.predict(texts))
    np.testing.assert_array_equal(
        loaded.decision_function(texts), estimator.decision_function(texts)
    )
