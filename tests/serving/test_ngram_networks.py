"""Models of networks that also read n-grams: logits, contributions, export and refusals."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.serving.explanation import decomposition, page
from lstm_sentiment.serving.integrated_gradients import TOLERANCE
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.torch_predictor import TorchPredictor
from tests.support.networks import NGRAMS, TEXTS, drawn, drawn_ngrams, predictor, saved

Make = Callable[..., Config]
THREE = Classes(("a", "b", "c"))
EVERY_NUMBER_OF_CLASSES = pytest.mark.parametrize("classes", [BINARY, THREE], ids=["2", "3"])
TEXT = "Zyzzyva! a dull plot not good, not bad"


def of_network_alone(folder: Path, config: Config, classes: Classes = BINARY) -> TorchPredictor:
    """Return the predictor of the same network without n-grams."""
    whole = predictor(folder, config, classes)
    assert isinstance(whole, TorchPredictor)
    return replace(whole, ngrams=None)


@EVERY_NUMBER_OF_CLASSES
def test_a_logit_is_that_of_the_network_plus_the_weights_of_its_ngrams(
    tiny: Make, tmp_path: Path, classes: Classes
) -> None:
    config = tiny(head={"ngrams": 3}, data={"max_length": 2})
    alone = of_network_alone(tmp_path / "alone", config, classes).logits([TEXT])[0]
    logits = predictor(tmp_path / "run", config, classes).logits([TEXT])[0]
    ngrams = drawn_ngrams(config, classes)
    assert ngrams is not None
    # The text has all of `NGRAMS`, most of them behind the two tokens that the network reads.
    np.testing.assert_allclose(logits, alone + ngrams.weights.sum(-1), atol=1e-5)


@EVERY_NUMBER_OF_CLASSES
@pytest.mark.parametrize("head", ["max", "attention"])
def test_contributions_add_up_to_the_logit_and_cover_the_whole_text(
    tiny: Make, tmp_path: Path, classes: Classes, head: str
) -> None:
    config = tiny(head={"kind": head, "ngrams": 3}, data={"max_length": 4})
    network = predictor(tmp_path / "run", config, classes)
    alone = of_network_alone(tmp_path / "alone", config, classes)
    ngrams = drawn_ngrams(config, classes)
    assert ngrams is not None
    for label, name in enumerate(classes.names):
        explanation = network.explain(TEXT, name)
        attribution = explanation.attribution
        sign = -1 if len(classes) == 2 and label == 0 else 1
        logits = np.atleast_1d(network.logits([TEXT])[0])
        expected = sign * logits[-1 if len(classes) == 2 else label]
        assert attribution.logit == pytest.approx(expected, abs=1e-5)
        total = attribution.baseline + sum(attribution.contributions)
        assert total == pytest.approx(expected, abs=TOLERANCE + 1e-4)
        assert explanation.tokens == tuple("zyzzyva ! a dull plot not good , not bad".split())
        assert explanation.unread == 0
        of_ngrams = sign * ngrams.contributions([*explanation.tokens], label)
        of_network = alone.explain(TEXT, name).attribution
        expected_each = of_ngrams + np.array([*of_network.contributions, *[0.0] * 6])
        np.testing.assert_allclose(attribution.contributions, expected_each, atol=1e-5)
        assert attribution.baseline == pytest.approx(of_network.baseline)
    # The n-grams know a word that the network does not.
    assert explanation.known[:2] == (True, False)
    if head == "attention":
        assert attribution.attention is not None
        assert sum(attribution.attention) == pytest.approx(1)
        assert not any(attribution.attention[4:])
    assert "no n-grams" in decomposition(explanation)
    assert "plus those of n-grams" in page(explanation)


@EVERY_NUMBER_OF_CLASSES
@pytest.mark.parametrize("int8", [False, True])
def test_an_exported_model_reads_the_same_ngrams(
    tiny: Make, tmp_path: Path, classes: Classes, int8: bool
) -> None:
    pytest.importorskip("onnxruntime")
    from lstm_sentiment.serving.export import export

    config = tiny(head={"ngrams": 3}, data={"max_length": 30})
    network = predictor(tmp_path / "run", config, classes)
    texts = [*TEXTS, TEXT]
    export(network, tmp_path / "onnx", int8, texts)
    exported = Predictor.load(tmp_path / "onnx").logits(texts)
    np.testing.assert_allclose(exported, network.logits(texts), atol=0.2 if int8 else 2e-5)
    alone = of_network_alone(tmp_path / "alone", config, classes)
    difference = np.abs(exported - alone.logits(texts)).max()
    assert difference > 0.5
    (tmp_path / "onnx" / "ngrams.safetensors").unlink()
    with pytest.raises(InputError, match=r"ngrams.safetensors: cannot be read"):
        Predictor.load(tmp_path / "onnx")


def test_a_segmented_network_is_not_exported(tiny: Make, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from lstm_sentiment.serving.export import export

    network = predictor(tmp_path / "run", tiny(encoder={"segment": 5}))
    with pytest.raises(InputError, match=r"encoder.segment=5 cannot be exported to ONNX"):
        export(network, tmp_path / "onnx", False, TEXTS)


# Untrusted folders


@pytest.fixture
def model(tiny: Make, tmp_path: Path) -> Path:
    return saved(tmp_path / "run", tiny(head={"ngrams": 2})) / "model"


def refused(model: Path) -> str:
    """Return the message with which loading the model is refused."""
    with pytest.raises(InputError) as refusal:
        Predictor.load(model)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("name", ["ngrams.json", "ngrams.safetensors"])
def test_a_missing_or_linked_file_is_named(model: Path, name: str) -> None:
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) // 2])
    assert name in refused(model)
    (model / name).unlink()
    assert f"{name}: cannot be read (No such file or directory)" in refused(model)
    (model.parent / "elsewhere").write_bytes(content)
    (model / name).symlink_to(model.parent / "elsewhere")
    assert f"{name}: cannot be read (a link, which is not followed)" in refused(model)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"good": 1}, "it is not a list of words."),
        (["good", 1], "it is not a list of words."),
        ([], "it must list at least one n-gram, and each n-gram once."),
        ([*NGRAMS[:-1], "good"], "it must list at least one n-gram, and each n-gram once."),
        (NGRAMS[:-1], "the weights 'weights' are 6 in F32, but"),
        ([*NGRAMS, "more"], "the weights 'weights' are 6 in F32, but"),
    ],
)
def test_a_wrong_list_is_refused(model: Path, content: Any, reason: str) -> None:
    (model / "ngrams.json").write_text(json.dumps(content))
    assert reason in refused(model)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"weights": np.zeros((2, 6), np.float32)}, "are 2 x 6 in F32"),
        ({"weights": np.zeros(6, np.float64)}, "are 6 in F64"),
        ({"weights": np.full(6, np.nan, np.float32)}, "not finite"),
        ({"other": np.zeros(6, np.float32)}, "it has the weights 'other'"),
        ({}, "it lacks the weights 'weights'"),
    ],
)
def test_wrong_weights_are_refused(model: Path, tensors: Any, reason: str) -> None:
    (model / "ngrams.safetensors").write_bytes(safetensors.numpy.save(tensors))
    message = refused(model)
    assert "ngrams.safetensors" in message
    assert reason in message


@pytest.mark.parametrize("longest", [-1, 4, 1.5, "2", None])
def test_a_wrong_length_is_refused(model: Path, longest: Any) -> None:
    file = model / "config.json"
    content = json.loads(file.read_text())
    content["config"]["head"]["ngrams"] = longest
    file.write_text(json.dumps(content))
    assert "head.ngrams must be a whole number from 0 to 3" in refused(model)


def test_the_number_of_ngrams_is_limited(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_WORDS", "30")
    (model / "ngrams.json").write_text(json.dumps([str(number) for number in range(40)]))
    assert "it has 40 words, more than the 30 allowed" in refused(model)


def test_a_model_is_not_saved_without_its_ngrams(tiny: Make, tmp_path: Path) -> None:
    config = tiny(head={"ngrams": 2})
    network = of_network_alone(tmp_path / "run", config)
    assert drawn(config).wide is None
    with pytest.raises(ValueError, match=r"head.ngrams=2 does not fit"):
        network.save(tmp_path / "saved")
