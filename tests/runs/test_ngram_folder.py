"""Folders of n-gram baselines: read unchanged, and refused if damaged, changed or malicious."""

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel
from lstm_sentiment.model.ngrams import TrainingNgrams
from lstm_sentiment.runs.ngram_folder import read_ngrams, save_ngrams
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training.baseline import recorded_baseline

WORDS = "the a film was good bad not very dull and great plot".split()
FILES = ("model.safetensors", "config.json", "vocab.json")


def trained(kind: NgramModel) -> NgramClassifier:
    draw = random.Random(0)
    reviews = [draw.choices(WORDS, k=12) for _ in range(60)]
    labels = np.array([review.count("good") > review.count("bad") for review in reviews])
    return TrainingNgrams(kind, reviews, labels.astype(int)).fitted(1.0)


def saved(folder: Path, kind: NgramModel, config: Config | None = None) -> Path:
    config = config or Config()
    save_ngrams(folder, trained(kind), recorded_baseline(kind, config)["ngrams"], config)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(tmp_path / "model", NgramModel.logistic)


def refused(model: Path) -> str:
    """Return the message with which loading the model is refused."""
    with pytest.raises(InputError) as refusal:
        Predictor.load(model)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("kind", NgramModel)
def test_a_saved_baseline_is_read_unchanged(tmp_path: Path, kind: NgramModel) -> None:
    before = trained(kind)
    after, *_ = read_ngrams(saved(tmp_path / "model", kind))
    assert after.ngrams == before.ngrams
    assert after.intercept == before.intercept
    np.testing.assert_array_equal(after.weights, before.weights)
    assert (after.idf is None) == (before.idf is None) == (kind is NgramModel.nb_svm)
    texts = [["good"], ["not", "good", "plot"], [], ["?"]]
    np.testing.assert_array_equal(after.logits(texts), before.logits(texts))


@pytest.mark.parametrize("kind", NgramModel)
def test_a_baseline_of_three_classes_is_read_unchanged(tmp_path: Path, kind: NgramModel) -> None:
    draw, folder = random.Random(0), tmp_path / "model"
    reviews = [draw.choices(WORDS, k=12) for _ in range(60)]
    before = TrainingNgrams(kind, reviews, np.arange(60) % 3, 3).fitted(1.0)
    settings = recorded_baseline(kind, Config())["ngrams"]
    classes = Classes(("1", "2", "3"))
    save_ngrams(folder, before, settings, Config(), classes)
    after, _, read = read_ngrams(folder)
    assert read == Predictor.load(folder).classes == classes
    assert after.weights.shape == (3, len(before.ngrams))
    np.testing.assert_array_equal(after.logits(reviews), before.logits(reviews))


def test_a_folder_has_the_files_of_a_model_and_the_choices_of_the_reviews(tmp_path: Path) -> None:
    config = Config(data=Config().data.__class__(text_column="said", source="reviews", path="x",
                    test_path="y"))  # type: ignore[arg-type]  # fmt: skip
    folder = saved(tmp_path / "model", NgramModel.nb_svm, config)
    assert {file.name for file in folder.iterdir()} == {*FILES}
    assert read_ngrams(folder)[1].data.text_column == "said"


@pytest.mark.parametrize("kind", NgramModel)
def test_a_baseline_of_an_earlier_version_is_used_with_its_bigrams(
    tmp_path: Path, kind: NgramModel
) -> None:
    """Its settings were the longest n-gram, 2, and a fixed C; it had no grid."""
    ngrams, weights = ["good", "not good"], np.array([1, -2], np.float32)
    idf = np.array([1, 2], np.float32) if kind is NgramModel.logistic else None
    before = NgramClassifier(ngrams, weights, np.float32(0.5), idf, longest=2)
    settings = {"kind": str(kind), "longest": 2, "least": 2, "c": 0.3}
    save_ngrams(tmp_path / "model", before, settings, Config())
    after, *_ = read_ngrams(tmp_path / "model")
    assert after.longest == 2
    predictor = Predictor.load(tmp_path / "model")
    values = np.array([1, 1]) if idf is None else idf / np.linalg.norm(idf)
    logit = 0.5 + values @ weights
    np.testing.assert_allclose(predictor.logits(["not good"]), [logit], rtol=1e-6)
    attribution = predictor.explain("not good").attribution
    half = values[1] * -2 / 2
    np.testing.assert_allclose(attribution.contributions, [half, half + values[0]], rtol=1e-6)


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("name", FILES)
def test_a_pickle_is_not_opened(model: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "exploded"
    (model / name).write_bytes(pickle.dumps(Bomb(str(mark))))
    message = refused(model)
    assert name in message
    assert "damaged" in message
    assert not mark.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    assert name in refused(model)


def change_weights(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    def apply(model: Path) -> None:
        file = model / "model.safetensors"
        weights = {n: w.copy() for n, w in safetensors.numpy.load_file(file).items()}
        change(weights)
        safetensors.numpy.save_file(weights, file)

    return apply


def change_json(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    def apply(model: Path) -> None:
        content = json.loads((model / name).read_text())
        change(content)
        (model / name).write_text(json.dumps(content))

    return apply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_weights(lambda w: w.update(weights=w["weights"][:-1])), "weights"),
        (change_weights(lambda w: w.update(weights=w["weights"].astype(float))), "F64"),
        (change_weights(lambda w: w["weights"].fill(np.nan)), "not finite"),
        (change_weights(lambda w: w["intercept"].fill(np.inf)), "not finite"),
        (change_weights(lambda w: w.pop("idf")), "lacks the weights 'idf'"),
        (change_weights(lambda w: w.update(more=w["idf"])), "has the weights 'more'"),
        (change_json("config.json", lambda c: c.update(classes=["1", "2", "3"])), "need 3 x"),
        (change_json("config.json", lambda c: c.update(classes=["1", "1"])), "classes is"),
        (change_json("config.json", lambda c: c.update(threshold=2)), "threshold is 2"),
        (change_json("vocab.json", lambda v: v.append("more")), "need"),
        (change_json("vocab.json", lambda v: v.__setitem__(0, v[1])), "once"),
        (change_json("vocab.json", lambda v: v.__setitem__(0, 7)), "list of words"),
        (change_json("vocab.json", lambda v: v.clear()), "at least one"),
        (change_json("config.json", lambda c: c["ngrams"].update(kind="trees")), "'trees'"),
        (change_json("config.json", lambda c: c["ngrams"].update(kind=["nb_svm"])), "nb_svm"),
        (change_json("config.json", lambda c: c["ngrams"].update(longest=4)), "got 4"),
        (change_json("config.json", lambda c: c.update(ngrams=3)), "group of fields"),
        (change_json("config.json", lambda c: c.update(schema=3)), "schema 3"),
        (change_json("config.json", lambda c: c["config"].update(more=2)), "more"),
        (change_json("config.json", lambda c: c.pop("ngrams")), "vocabulary"),
    ],
)
def test_a_changed_file_is_refused_in_words(
    model: Path, change: Callable[[Path], None], words: str
) -> None:
    change(model)
    assert words in refused(model)


def test_a_link_to_another_folder_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "vocab.json").rename(tmp_path / "elsewhere.json")
    (model / "vocab.json").symlink_to(tmp_path / "elsewhere.json")
    assert "a link, which is not followed" in refused(model)
