"""A predictor computes the same probabilities as training, whatever else is in the batch."""

import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

import lstm_sentiment
from lstm_sentiment import InputError
from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Config
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokenizer import tokenize
from lstm_sentiment.data.vocabulary import PAD_ID
from lstm_sentiment.labels import BINARY
from lstm_sentiment.runs.predictions import read_table
from lstm_sentiment.serving.predictor import (
    BATCH_POSITIONS,
    Prediction,
    Predictor,
    batches_of_similar_length,
)
from lstm_sentiment.serving.torch_predictor import TorchPredictor
from tests.support.networks import TEXTS, drawn, predictor, saved
from tests.support.project import ROOT

Make = Callable[..., Config]


@pytest.mark.parametrize(
    "data",
    [
        {"padding": padding, "truncation_side": side, "max_length": 12}
        for padding in ("exact", "keras", "trailing")
        for side in ("left", "right")
    ],
    ids=lambda data: f"{data['padding']}-{data['truncation_side']}",
)
def test_texts_are_truncated_and_padded_as_configured(
    tiny: Make, tmp_path: Path, data: dict[str, str]
) -> None:
    """The ids of each text are built here from the rules, and the network is run on them alone."""
    config = tiny(data=data, head={"kind": "max"})
    net, network = drawn(config), predictor(tmp_path / "run", config)
    for text, logit in zip(TEXTS, network.logits(TEXTS), strict=True):
        ids = network.vocabulary.encode(tokenize(text, 2)).tolist()
        ids = ids[-12:] if data["truncation_side"] == "left" else ids[:12]
        padding = [PAD_ID] * (12 - len(ids))
        if data["padding"] == "keras":
            ids = padding + ids
        elif data["padding"] == "trailing":
            ids = ids + padding
        with torch.inference_mode():
            expected = net(torch.tensor([ids]), torch.tensor([len(ids)])).item()
        assert logit == pytest.approx(expected, abs=1e-6)


def test_a_model_tokenizes_as_in_its_training(tiny: Make, tmp_path: Path) -> None:
    """The configuration of a model from before the field says nothing about the preparation."""
    typed, plain = "The film was ｇｏｏｄ…<p>", "the film was good..."
    present, former = predictor(tmp_path / "now", tiny()), saved(tmp_path / "former", tiny())
    file = former / "model" / "config.json"
    content = json.loads(file.read_text())
    assert content["config"]["data"].pop("preparation") == 2
    file.write_text(json.dumps(content))
    before = Predictor.load(former)
    assert before.config.data.preparation == 1
    assert [*before.explain(typed).tokens] == ["the", "film", "was", "ｇｏｏｄ…<p>"]
    assert [*present.explain(typed).tokens] == "the film was good . . .".split()
    assert before.logits([plain]) == present.logits([plain]) == present.logits([typed])
    assert before.logits([typed]) != before.logits([plain])


@pytest.mark.parametrize("padding", ["exact", "keras", "trailing"])
def test_predictions_equal_those_of_the_test_set(tiny: Make, padding: str) -> None:
    config = tiny(data={"padding": padding, "max_length": 30})
    folder = Path(config.root, "default", run(config)["name"])
    recorded = read_table(folder / "predictions.parquet").filter(pc.field("split") == "test")
    logits = recorded["logit"].to_numpy()
    data = ReviewDataModule(config.data)
    data.setup()
    # Tokens joined by spaces are split into the same tokens again.
    texts = [data.text("test", row) for row in recorded["index"].to_pylist()]
    np.testing.assert_allclose(Predictor.load(folder).logits(texts), logits, atol=1e-6)
    classes = [p.label for p in Predictor.load(folder / "model").predict(texts)]
    assert classes.count("positive") == sum(logits > 0)


def test_predictions_depend_neither_on_order_nor_on_other_texts(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny(head={"kind": "attention"}))
    texts = TEXTS * 20
    together = network.logits(texts)
    assert together.std() > 0.1
    np.testing.assert_allclose(together[::-1], network.logits(texts[::-1]), atol=1e-6)
    alone = [network.logits([text])[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone * 20, atol=1e-6)


def test_predictions_have_the_class_of_their_probability(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny())
    one, predictions = network.predict(TEXTS[0]), network.predict(TEXTS)
    assert predictions[0].probability == pytest.approx(one.probability, abs=1e-6)
    assert network.predict([]) == []
    for prediction, logit in zip(predictions, network.logits(TEXTS), strict=True):
        assert prediction.probability == pytest.approx(1 / (1 + np.exp(-logit)))
        assert prediction.label == ("positive" if logit > 0 else "negative")
        assert prediction.weights is None
    assert {prediction.label for prediction in predictions} == {"positive", "negative"}


def test_a_probability_of_one_half_is_classified_as_negative() -> None:
    half, more = Prediction.all_from(np.array([0.5, 0.500001]), BINARY)
    assert half == Prediction("negative", 0.5, probabilities=(0.5, 0.5))
    assert more.label == "positive"


def test_weights_are_the_contributions_of_the_explanation(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny())
    predictions = network.predict(TEXTS[:2], weights=True)
    explanation = network.explain(TEXTS[0])
    assert [weight.token for weight in predictions[0].weights or ()] == tokenize(TEXTS[0], 2)
    assert predictions[0].weights == explanation.weights
    assert [w.weight for w in explanation.weights] == [*explanation.attribution.contributions]
    assert [weight.token for weight in predictions[1].weights or ()] == ["<unk>"]
    assert [p.probability for p in predictions] == [
        p.probability for p in network.predict(TEXTS[:2])
    ]


def test_unknown_words_do_not_change_the_vocabulary(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny())
    words, ids = list(network.vocabulary.words), dict(network.vocabulary._ids)
    logits = network.logits(["neverseen"])
    network.predict([f"word{number} <pad> <unk>" for number in range(1000)])
    assert (network.vocabulary.words, network.vocabulary._ids) == (words, ids)
    assert network.logits(["otherword"]) == logits


def test_dropout_and_gradients_are_off(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny(encoder={"dropout": 0.5, "num_layers": 2}))
    assert network.logits(TEXTS[:1]) == network.logits(TEXTS[:1])
    assert isinstance(network, TorchPredictor)
    assert not any(p.requires_grad for p in network.classifier.parameters())


@pytest.mark.parametrize("value", [3, None, b"bytes", ["a list"]])
def test_a_text_must_be_a_string(tiny: Make, tmp_path: Path, value: object) -> None:
    network = predictor(tmp_path / "run", tiny())
    with pytest.raises(InputError, match=rf"must be a string \(got {type(value).__name__}: "):
        network.predict(["fine", value])  # type: ignore[list-item]


def test_batches_of_long_reviews_are_small() -> None:
    lengths = np.array([BATCH_POSITIONS * 2, 5, *[BATCH_POSITIONS // 2] * 2, *[3] * 100])
    batches = list(batches_of_similar_length(lengths))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert [len(batch) for batch in batches[:3]] == [1, 2, 64]
    assert list(batches_of_similar_length(np.empty(0, int))) == []


@pytest.mark.parametrize(("padding", "sizes"), [("exact", [8]), ("keras", [3, 3, 2])])
def test_batches_of_padded_reviews_are_bounded_too(
    tiny: Make, tmp_path: Path, padding: str, sizes: list[int]
) -> None:
    """With Keras' padding, every review has as many positions as the longest one may have."""
    config = tiny(data={"padding": padding, "max_length": BATCH_POSITIONS // 3})
    shapes: list[tuple[int, ...]] = []

    def network(ids: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        shapes.append(ids.shape)
        return torch.zeros(len(ids))

    replace(predictor(tmp_path / "run", config), classifier=network).logits(TEXTS)
    assert [shape[0] for shape in shapes] == sizes


@pytest.mark.parametrize("ask", [TorchPredictor.predict, TorchPredictor.explain])
def test_an_answer_that_is_not_finite_is_refused(
    tiny: Make, tmp_path: Path, ask: Callable[[TorchPredictor, str], object]
) -> None:
    """The weights are finite, but their products are not."""
    network = predictor(tmp_path / "run", tiny(head={"kind": "attention"}))
    assert isinstance(network, TorchPredictor)
    network.classifier.head.hidden.weight.fill_(3e38)
    network.classifier.head.query.weight.fill_(-3e38)
    words = "The film " + "was good " * 20
    with pytest.raises(InputError) as refusal:
        ask(network, words)
    assert str(refusal.value) == (
        f"The logit of the text {words[:60]!r} is not finite: the weights of the model are "
        "damaged or too large."
    )


def test_long_texts_are_refused(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The width of the network is that of its states in both directions, 12."""
    config = tiny(encoder={"hidden_size": 6, "bidirectional": True}, data={"max_length": 100})
    network, text = predictor(tmp_path / "run", config), "film " * 200
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_STATES", "1200")
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_EXPLAINED_STATES", "119")
    network.predict([text, *TEXTS])
    with pytest.raises(InputError, match=r"^The text 'film .*: it has 120 numbers in its states"):
        network.explain("film " * 10)
    assert network.explain("film " * 9)
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_STATES", "1199")
    with pytest.raises(InputError, match=r"MAX_STATES raises this limit"):
        network.predict([*TEXTS, text])
    padded = replace(network, config=tiny(encoder={"hidden_size": 6}, data={"padding": "keras"}))
    with pytest.raises(InputError, match=r"EXPLAINED_STATES raises this limit"):
        padded.explain("film")


def test_batches_of_wide_networks_are_small(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm_sentiment.serving.predictor.BATCH_NUMBERS", 5 * 6 * 3)
    network = predictor(tmp_path / "run", tiny(encoder={"hidden_size": 6}))
    sizes: list[int] = []

    def count(ids: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        sizes.append(len(ids))
        return torch.zeros(len(ids))

    replace(network, classifier=count).logits(["a good film ."[: 2 * n] for n in (1, 4, 5)] * 3)
    assert max(sizes) > 1
    replace(network, classifier=count).logits(["a good film . it"] * 5)
    assert sizes[-2:] == [3, 2]


def test_the_package_exports_the_predictor() -> None:
    assert lstm_sentiment.Predictor is Predictor
    with pytest.raises(AttributeError):
        _ = lstm_sentiment.Predicter


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing", "does not exist"),
        ("empty folder", "holds no model"),
        ("file", "is not a folder"),
    ],
)
def test_a_folder_without_a_model_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "empty folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{name} {problem}"):
        Predictor.load(tmp_path / name)


def test_a_finished_run_without_its_model_says_how_to_get_it() -> None:
    """The repository keeps the records of published runs, but not their models."""
    [run, *_] = (ROOT / "results" / "best_vectors").glob("gru-max_attention-s0-*")
    message = (
        "is a finished run whose model was not kept: train it again with lstm-sentiment train and "
        "the settings in its run.json"
    )
    with pytest.raises(InputError, match=message):
        Predictor.load(run)


def test_a_baseline_without_its_model_names_the_command_for_baselines() -> None:
    [folder, *_] = (ROOT / "results").glob("*/ngrams-*")
    message = "finished baseline whose model was not kept.* with lstm-sentiment baseline and"
    with pytest.raises(InputError, match=message):
        Predictor.load(folder)


@pytest.mark.parametrize("part", ["model", "another"])
def test_the_model_of_a_finished_run_is_not_replaced(
    tiny: Make, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the run would describe another model."""
    network = predictor(tmp_path / "run", tiny())
    assert isinstance(network, TorchPredictor)
    network.save(tmp_path / "run" / "model")  # without a record, the folder is any folder
    (tmp_path / "run" / "run.json").write_text("{}")
    before = sorted((tmp_path / "run").rglob("*"))
    monkeypatch.chdir(tmp_path / "run" / "model")
    for folder in (tmp_path / "run" / part, Path("..") / part):
        with pytest.raises(InputError, match="belongs to a finished run, whose run.json"):
            network.save(folder)
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_a_run_and_its_model_folder_load_the_same_network(tiny: Make, tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", tiny())
    from_run, from_model = Predictor.load(str(folder)), Predictor.load(folder / "model")
    assert from_run.logits(TEXTS[:1]) == from_model.logits(TEXTS[:1])


def test_a_predictor_can_be_pickled_and_copied(tiny: Make, tmp_path: Path) -> None:
    network = predictor(tmp_path / "run", tiny(head={"kind": "attention"}))
    for copied in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert copied.logits(TEXTS).tolist() == network.logits(TEXTS).tolist()
        assert copied.explain(TEXTS[0]) == network.explain(TEXTS[0])
        assert copied.config == network.config


@pytest.mark.slow
def test_another_process_can_use_a_predictor(tiny: Make, tmp_path: Path) -> None:
    """A pool pickles the method together with its predictor."""
    network = predictor(tmp_path / "run", tiny())
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(network.predict, TEXTS).result() == network.predict(TEXTS)
