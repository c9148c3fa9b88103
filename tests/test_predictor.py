"""A predictor says of a text what its network said in training, whatever stands beside the text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from networks import TEXTS, drawn, predictor, saved

import lstm_sentiment
from lstm_sentiment import InputError
from lstm_sentiment.config import Config
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokens import PAD_ID, tokenize
from lstm_sentiment.serving.predictor import POSITIONS, Predictor, _batches
from lstm_sentiment.training.run import run

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
def test_it_reads_a_text_as_training_did(tiny: Make, tmp_path: Path, data: dict[str, str]) -> None:
    """Of each text alone, built by hand from the rules of padding and cut."""
    config = tiny(data=data, head={"kind": "max"})
    net, ours = drawn(config), predictor(tmp_path / "run", config)
    for text, logit in zip(TEXTS, ours.logits(TEXTS), strict=True):
        ids = ours.vocabulary.encode(tokenize(text)).tolist()
        ids = ids[-12:] if data["truncation_side"] == "left" else ids[:12]
        padding = [PAD_ID] * (12 - len(ids))
        if data["padding"] == "keras":
            ids = padding + ids
        elif data["padding"] == "trailing":
            ids = ids + padding
        with torch.inference_mode():
            expected = net(torch.tensor([ids]), torch.tensor([len(ids)])).item()
        assert logit == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("padding", ["exact", "keras", "trailing"])
def test_it_agrees_with_the_predictions_of_its_training(tiny: Make, padding: str) -> None:
    config = tiny(data={"padding": padding, "max_length": 30})
    record = run(config)
    folder = Path(config.root, "default", record["name"])
    kept = pq.read_table(folder / "predictions.parquet", filters=[("split", "=", "test")])
    data = ReviewDataModule(config.data)
    data.setup()
    # Tokens with blanks between them are read as the same tokens.
    texts = [data.text("test", row) for row in kept["index"].to_pylist()]
    ours = Predictor.load(folder).probabilities(texts)
    np.testing.assert_allclose(ours, kept["probability"].to_numpy(), atol=1e-6)
    labels = [p.label == "positive" for p in Predictor.load(folder / "model").predict(texts)]
    assert sum(labels) == sum(kept["probability"].to_numpy() > 0.5)


def test_neither_company_nor_order_change_an_answer(tiny: Make, tmp_path: Path) -> None:
    ours = predictor(tmp_path / "run", tiny(head={"kind": "attention"}))
    many = TEXTS * 20
    together = ours.logits(many)
    assert together.std() > 0.1
    np.testing.assert_allclose(together[::-1], ours.logits(many[::-1]), atol=1e-6)
    alone = [ours.logits([text])[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone * 20, atol=1e-6)


def test_what_it_says(tiny: Make, tmp_path: Path) -> None:
    ours = predictor(tmp_path / "run", tiny())
    one, many = ours.predict(TEXTS[0]), ours.predict(TEXTS)
    assert many[0].probability == pytest.approx(one.probability, abs=1e-6)
    assert ours.predict([]) == []
    logits = ours.logits(TEXTS)
    for said, logit in zip(many, logits, strict=True):
        assert said.probability == pytest.approx(1 / (1 + np.exp(-logit)))
        assert said.label == ("positive" if logit > 0 else "negative")
        assert said.weights is None
    assert {said.label for said in many} == {"positive", "negative"}


def test_weights_are_those_of_an_explanation(tiny: Make, tmp_path: Path) -> None:
    ours = predictor(tmp_path / "run", tiny())
    said = ours.predict(TEXTS[:2], weights=True)
    assert [weight.token for weight in said[0].weights or ()] == tokenize(TEXTS[0])
    assert said[0].weights == ours.explain(TEXTS[0]).weights
    assert [weight.token for weight in said[1].weights or ()] == ["<unk>"]


def test_unknown_words_leave_no_trace(tiny: Make, tmp_path: Path) -> None:
    ours = predictor(tmp_path / "run", tiny())
    words, ids = list(ours.vocabulary.words), dict(ours.vocabulary._ids)
    before = ours.logits(["neverseen"])
    ours.predict([f"word{number} <pad> <unk>" for number in range(1000)])
    assert (ours.vocabulary.words, ours.vocabulary._ids) == (words, ids)
    assert ours.logits(["otherword"]) == before


def test_dropout_is_off_and_nothing_is_learned(tiny: Make, tmp_path: Path) -> None:
    ours = predictor(tmp_path / "run", tiny(encoder={"dropout": 0.5, "num_layers": 2}))
    assert ours.logits(TEXTS[:1]) == ours.logits(TEXTS[:1])
    assert not any(p.requires_grad for p in ours.classifier.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("wrong", [3, None, b"bytes", ["a list"]])
def test_what_is_no_text_is_refused(tiny: Make, tmp_path: Path, wrong: object) -> None:
    ours = predictor(tmp_path / "run", tiny())
    with pytest.raises(InputError, match="A text is a string"):
        ours.predict(["fine", wrong])  # type: ignore[list-item]


def test_long_reviews_travel_in_small_batches() -> None:
    lengths = np.array([POSITIONS * 2, 5, POSITIONS // 2, POSITIONS // 2, *[3] * 100])
    batches = list(_batches(lengths))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert [len(batch) for batch in batches[:3]] == [1, 2, 64]
    assert list(_batches(np.empty(0, int))) == []


def test_the_package_has_it_without_importing_torch_at_once() -> None:
    assert lstm_sentiment.Predictor is Predictor
    with pytest.raises(AttributeError):
        _ = lstm_sentiment.Predicter


@pytest.mark.parametrize("place", ["nowhere", "empty", "a file"])
def test_a_place_without_a_model_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").touch()
    with pytest.raises(InputError, match=f"{place} (holds no model|is no folder): give the folder"):
        Predictor.load(tmp_path / place)


def test_a_run_and_its_model_are_one(tiny: Make, tmp_path: Path) -> None:
    folder = saved(tmp_path / "run", tiny())
    assert Predictor.load(str(folder)).logits(TEXTS[:1]) == Predictor.load(folder / "model").logits(
        TEXTS[:1]
    )
