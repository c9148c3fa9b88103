"""Training on texts in memory: `fit`, and the estimator in the tools of scikit-learn."""

import json
import logging
import os
import pickle
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import strip_accents_ascii
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

import lstm_sentiment
from lstm_sentiment import Config, InputError, Predictor, SentimentClassifier, fit, run
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Cell, flat
from lstm_sentiment.data import skip_gram
from lstm_sentiment.data.columns import Review
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.estimator import FIELDS, NETWORKS
from lstm_sentiment.files.manifest import MANIFEST
from tests.support.displays import RecordingDisplay
from tests.support.project import MakeConfig, without_times
from tests.support.tables import write_columns

TEXTS, NUMBERS = generate(80, 3)
LABELS = np.array(NUMBERS)
WORDS = ["pos" if label else "neg" for label in LABELS]
REVIEWS = list(map(Review, TEXTS, WORDS))
SMALL = {
    "hidden_size": 4, "embedding_dim": 4, "max_epochs": 1, "max_length": 30, "batch_size": 16,
}  # fmt: skip


def small(**parameters: Any) -> SentimentClassifier:
    """Return an untrained estimator whose training takes a fraction of a second."""
    return SentimentClassifier(**{**SMALL, **parameters})


@pytest.fixture(scope="module")
def fitted() -> SentimentClassifier:
    return small(encoder="gru", head="max").fit(TEXTS, WORDS)


# fit


def test_reviews_in_memory_train_the_network_that_a_file_trains(
    tiny: MakeConfig, tmp_path: Path
) -> None:
    file = write_columns(tmp_path / "reviews.csv", LABELS.tolist(), TEXTS, names="label text")
    reviews = {"source": "reviews", "path": str(file), "test_fraction": 0.0}
    limited = {"limit_train": 70, "batch_size": 16}
    record = run(tiny(data={**reviews, **limited}, test=False, seed=4))
    expected = Predictor.load(tmp_path / "runs" / "default" / record["name"])

    predictor = fit(TEXTS, WORDS, config=tiny(data=limited, seed=4))

    assert np.array_equal(predictor.logits(TEXTS), expected.logits(TEXTS))
    assert predictor.record is not None
    ours, theirs = without_times(dict(predictor.record)), without_times(record)
    assert ours["data"].pop("source") == "reviews in memory"
    assert theirs["data"].pop("source") == "reviews.csv"
    assert (ours["data"].pop("held_out"), theirs["data"].pop("held_out")) == (None, 0.0)
    for name in ("epochs", "best_epoch", "val", "test", "data"):
        assert ours[name] == theirs[name]


def test_fit_leaves_no_files_and_no_state_behind(
    tiny: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def state() -> tuple[Any, ...]:
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            torch.backends.cudnn.benchmark,
            [logging.getLogger(f"lightning.{name}").level for name in ("pytorch", "fabric")],
            dict(os.environ),
        )

    # Unlike the values of a run.
    monkeypatch.setattr("torch.utils.deterministic.fill_uninitialized_memory", True)
    monkeypatch.setattr("torch.backends.cudnn.benchmark", True)
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for name in ("pytorch", "fabric"):
        monkeypatch.setattr(logging.getLogger(f"lightning.{name}"), "level", logging.DEBUG)
    torch.use_deterministic_algorithms(True, warn_only=True)
    request.addfinalizer(lambda: torch.use_deterministic_algorithms(False))
    before = state()
    fit(TEXTS, WORDS, config=tiny(trainer={"threads": 2}))
    assert state() == before
    with pytest.raises(InputError):
        fit(TEXTS, ["pos"] * 80, config=tiny())
    assert state() == before
    assert list(tmp_path.iterdir()) == []


def test_word_vectors_are_kept_for_the_next_training_but_reviews_are_not(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each fold of a cross-validation would download or learn them again."""
    learned = []

    def learn(*arguments: Any) -> None:
        *_, folder = arguments
        learned.append(folder)
        (folder / skip_gram.FILE).write_text("the 1 2 3 4\nwas 4 3 2 1\n")

    monkeypatch.setattr(skip_gram, "_train", learn)
    cache = tmp_path / "cache"
    config = tiny(embedding={"kind": "word2vec", "dim": 4}, data={"cache": str(cache)})
    first, second = (fit(TEXTS, WORDS, config=config) for _ in range(2))
    assert len(learned) == 1
    assert {file.name.split("-")[0] for file in cache.iterdir()} == {"vectors", "word2vec"}
    assert np.array_equal(first.logits(TEXTS), second.logits(TEXTS))


def test_fit_is_quiet_unless_it_gets_a_display(
    tiny: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    display = RecordingDisplay()
    config = tiny(trainer={"enable_progress_bar": True})
    fit(TEXTS, WORDS, config=config)
    assert "".join(capsys.readouterr()) == ""
    fit(TEXTS, WORDS, config=config, display=display)
    assert sum("epoch" in message for message in display.messages) == 2
    small(verbose=True).fit(TEXTS, WORDS)
    assert "epoch 1 of 1" in capsys.readouterr().out


def test_without_a_configuration_few_reviews_are_enough() -> None:
    predictor = fit(TEXTS[:20], WORDS[:20])
    assert predictor.config.encoder == Config().encoder
    assert 1 < predictor.config.data.batch_size <= 16


@pytest.mark.parametrize(
    "data",
    [
        {"source": "reviews", "path": "absent.csv", "test_path": "absent.csv"},
        {"source": "reviews", "path": "absent.csv", "group_column": "film"},
        {"source": "imdb", "folds": 5, "fold": 1},
    ],
)
def test_a_configuration_of_other_reviews_can_be_used_again(
    tiny: MakeConfig, data: dict[str, Any]
) -> None:
    """Fields that name reviews, groups, a test set or a run's folder are not used."""
    chosen = tiny(data=data, sweep="mine")
    first = fit(TEXTS, WORDS, config=chosen)
    assert first.config.data.group_column is None
    again = fit(TEXTS, WORDS, config=first.config)
    assert np.array_equal(first.logits(TEXTS), again.logits(TEXTS))


def test_labels_of_one_class_are_refused(tiny: MakeConfig) -> None:
    message = "every label is positive .*: at least two classes must occur"
    with pytest.raises(InputError, match=message):
        fit(TEXTS, ["pos"] * 80, config=tiny())
    with pytest.raises(InputError, match="there are no reviews"):
        fit([], [], config=tiny())


def test_a_predictor_is_saved_as_a_model_folder(tiny: MakeConfig, tmp_path: Path) -> None:
    predictor = fit(TEXTS, WORDS, config=tiny())
    folder = tmp_path / "models" / "mine"
    for _ in range(2):  # the second model replaces the first
        predictor.save(folder)
        assert {file.name for file in folder.iterdir()} == {
            "model.safetensors", "config.json", "vocab.json", MANIFEST,
        }  # fmt: skip
        assert np.array_equal(Predictor.load(folder).logits(TEXTS), predictor.logits(TEXTS))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="contains notes.txt, which was not written by"):
        predictor.save(folder)
    with pytest.raises(InputError, match="notes.txt cannot be written"):
        predictor.save(folder / "notes.txt")
    foreign = tmp_path / "bert"  # a model of another program, with the same names of files
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model_type": "bert"}')
    (foreign / "model.safetensors").write_bytes(b"theirs")
    with pytest.raises(InputError, match="bert contains config.json, which was not written by"):
        predictor.save(foreign)
    assert (foreign / "model.safetensors").read_bytes() == b"theirs"


def test_importing_the_package_is_fast() -> None:
    code = "import lstm_sentiment, sys; print({'torch', 'sklearn', 'lightning'} & {*sys.modules})"
    environment = {**os.environ, "PYTHONPATH": str(Path(lstm_sentiment.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert result.stdout.decode().strip() == "set()", result.stderr


# The estimator


def test_parameters_become_fields_of_the_configuration() -> None:
    names = {*SentimentClassifier().get_params()}
    special = {"encoder", "positive_label", "random_state", "config", "verbose"}
    assert names == {*FIELDS} | special
    assert {*FIELDS.values()} <= flat(Config()).keys()
    config = Config(seed=5)
    chosen = small(encoder="stacked_bigru", head="avg", config=config)._chosen_config(REVIEWS)
    assert (chosen.encoder.network, chosen.head.kind, chosen.seed) == ("stacked_bigru", "avg", 5)
    assert (chosen.encoder.hidden_size, chosen.data.batch_size) == (4, 16)
    assert small(random_state=np.int64(7), config=config)._chosen_config(REVIEWS).seed == 7
    assert SentimentClassifier(config=config)._chosen_config(REVIEWS * 13) == config


def test_every_network_has_a_name() -> None:
    assert len(NETWORKS) == len(Cell) * 3 * 2
    assert NETWORKS["lstm"] == {
        "encoder.cell": Cell.lstm, "encoder.num_layers": 1, "encoder.bidirectional": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"encoder": "transformer"},
            r"^encoder must be one of rnn, .*lstm, .* \(got 'transformer'",
        ),
        ({"head": "mean"}, r"^head.kind must be one of last, .* \(got 'mean'\)"),
        (
            {"hidden_size": 0},
            r"^encoder.hidden_size must be a whole number of at least 1 \(got 0\)",
        ),
        ({"batch_size": 0}, r"^data.batch_size must be a whole number of at least 1 \(got 0\)"),
        ({"random_state": -1}, r"^seed must be a whole number"),
        ({"positive_label": "good"}, r"^positive_label must be 'neg' or 'pos' \(got 'good'\)"),
        (
            {"class_weights": "even"},
            r"^data.class_weights must be one of none, balanced \(got 'even'\)",
        ),
    ],
)
def test_a_bad_parameter_is_refused_by_fit(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**parameters).fit(TEXTS, WORDS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["pos"] * 80, r"at least two classes and at most 100 \(got 1 class\)"),
        ([*range(101)] * 3, r"at least two classes .* \(got 101 classes\)"),
        ([0.5, 1.5] * 40, "Unknown label type: continuous"),
        (np.array(["neg", "pos"], "S3")[LABELS], "y cannot be used: Support for labels .* bytes"),
        (["pos", 0] * 40, "^y cannot be used: some labels are strings and others are not"),
        (["pos", None] * 40, r"^y cannot be used: y\[1\] is missing"),
        ([0.0, np.nan] * 40, r"^y cannot be used: y\[1\] is missing"),
        (LABELS.reshape(-1, 2), r"^y cannot be used: y should be a 1d array"),
        ("pos", r"^y cannot be used: y should be a 1d array"),
        (LABELS[:79], r"same length \(got 80 texts and 79 labels\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small().fit(TEXTS, labels)


@pytest.mark.parametrize(
    ("negative", "positive", "positive_label"),
    [
        ("neg", "pos", None),
        (0, 1, None),
        (False, True, None),
        (-1, 1, None),
        (1, 2, None),
        ("negative", "POSITIVE", None),  # sorted, the positive class is the first one
        ("cross", "happy", None),
        ("happy", "cross", "cross"),
    ],
)
def test_any_two_classes_are_predicted(
    negative: Any, positive: Any, positive_label: Any, fitted: SentimentClassifier, tmp_path: Path
) -> None:
    """The network is the same, and a saved model knows which class is the positive one."""
    labels = [positive if label else negative for label in LABELS]
    estimator = small(encoder="gru", head="max", positive_label=positive_label).fit(TEXTS, labels)
    assert estimator.classes_.tolist() == sorted([negative, positive])
    assert estimator.classes_.dtype == np.array(labels).dtype
    is_positive = fitted.predict(TEXTS) == "pos"
    expected = np.where(is_positive, positive, negative)
    assert np.array_equal(estimator.predict(TEXTS), expected)
    column = estimator.classes_.tolist().index(positive)
    probabilities = estimator.predict_proba(TEXTS)
    assert np.array_equal(probabilities[:, column], fitted.predict_proba(TEXTS)[:, 1])
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert np.array_equal(estimator.decision_function(TEXTS) > 0, expected == estimator.classes_[1])
    estimator.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert np.array_equal(loaded.predict(TEXTS), expected)
    assert np.array_equal(loaded.classes_, estimator.classes_)
    named = [each.label for each in Predictor.load(tmp_path / "model").predict(TEXTS)]
    assert np.array_equal(np.isin(named, ["positive", str(positive)]), is_positive)


@pytest.mark.parametrize(
    ("classes", "positive_label"),
    [
        (("neg", "pos"), "neg"),  # the usual meaning is inverted
        (("neg", "pos"), None),
        (("bad", "good"), None),
        (("bad", "good"), "bad"),
        ((0, 1), 0),
        ((-1, 1), None),
        ((1.0, 2.0), None),
        ((False, True), None),
        ((False, True), False),
    ],
)
def test_a_saved_estimator_is_evaluated_with_the_score_of_the_estimator(
    classes: Any, positive_label: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels of a file mean what those in memory meant, whichever class is positive."""
    labels = [classes[label] for label in LABELS]
    estimator = small(head="max", positive_label=positive_label).fit(TEXTS, labels)
    estimator.save(tmp_path / "model")
    # An odd number of reviews in each class: inverted predictions cannot have the same score.
    file = write_columns(tmp_path / "some.csv", labels[:41], TEXTS[:41], names="label text")
    expected = estimator.score(TEXTS[:41], labels[:41])
    for saved in (estimator, SentimentClassifier.load(tmp_path / "model")):
        saved.save(tmp_path / "model")
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "model"), "--file", str(file), "--json"]) == 0
        [scores] = json.loads(capsys.readouterr().out)["networks"].values()
        assert scores["accuracy"] == pytest.approx(expected)


def labels_of(classes: Sequence[Any]) -> np.ndarray:
    """Return a label of each class in turn for each of the texts."""
    return np.array(classes)[np.arange(len(TEXTS)) % len(classes)]


@pytest.mark.parametrize(
    "classes",
    [
        ["bad", "good", "so-so"],
        [1, 2, 3, 4, 5],
        [-1.0, 0.0, 2.0],
        [8, 9, 10],  # in the order of numbers, not of their spelling
        ["10", "8", "9"],
        ["neg", "pos", "positive"],  # all of them usual
    ],
)
def test_any_number_of_classes_is_predicted(
    classes: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns have the order of `classes_`, and the commands know the classes by their names."""
    labels = labels_of(classes)
    estimator = small(head="max", class_weights="balanced").fit(TEXTS, labels)
    assert estimator.classes_.tolist() == classes
    assert estimator.classes_.dtype == labels.dtype
    probabilities = estimator.predict_proba(TEXTS)
    assert probabilities.shape == estimator.decision_function(TEXTS).shape == (80, len(classes))
    np.testing.assert_allclose(probabilities.sum(1), 1)
    predicted = estimator.predict(TEXTS)
    assert np.array_equal(predicted, estimator.classes_[probabilities.argmax(1)])
    assert estimator.predictor_.config.data.class_weights == "balanced"
    network = estimator.predictor_
    assert network.record is not None
    assert network.record["data"]["classes"] == [*network.classes.names]
    kind = type(classes[0])
    assert [kind(each.label) for each in network.predict(TEXTS)] == predicted.tolist()

    estimator.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert np.array_equal(loaded.predict(TEXTS), predicted)
    assert np.array_equal(loaded.predict_proba(TEXTS), probabilities)
    again = clone(loaded).set_params(random_state=0).fit(TEXTS, labels)
    assert again.classes_.tolist() == classes
    file = write_columns(tmp_path / "some.csv", labels.tolist(), TEXTS, names="label text")
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "model"), "--file", str(file), "--json"]) == 0
    [scores] = json.loads(capsys.readouterr().out)["networks"].values()
    assert scores["accuracy"] == pytest.approx(estimator.score(TEXTS, labels))


def test_classes_are_sorted_whatever_their_order_in_the_network(
    tiny: MakeConfig, tmp_path: Path
) -> None:
    labels = labels_of(["bad", "so-so", "good"])
    predictor = fit(TEXTS, labels, config=tiny(), classes=["bad", "so-so", "good"])
    assert predictor.classes.names == ("bad", "so-so", "good")
    predictor.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert loaded.classes_.tolist() == ["bad", "good", "so-so"]
    assert [each.label for each in predictor.predict(TEXTS)] == loaded.predict(TEXTS).tolist()
    expected = predictor.probabilities(TEXTS)
    assert np.array_equal(loaded.predict_proba(TEXTS), expected[:, [0, 2, 1]])
    with pytest.raises(InputError, match=r"labels\[2\]: label 'good' is not one of classes"):
        fit(TEXTS, labels, config=tiny(), classes=["bad", "so-so"])
    with pytest.raises(InputError, match=r"^classes must be .*\(got 1\)"):
        fit(TEXTS, labels, classes=1)


def test_other_labels_keep_their_names_and_order(tiny: MakeConfig) -> None:
    spam = fit(TEXTS, labels_of(["spam", "ham"]), config=tiny())
    assert spam.classes.names == ("ham", "spam")
    assert {each.label for each in spam.predict(TEXTS)} <= {"ham", "spam"}
    assert fit(TEXTS, labels_of([10, 9, 8]), config=tiny()).classes.names == ("8", "9", "10")


def test_dates_are_classes() -> None:
    dates = labels_of(np.array(["2024-05-01", "2025-05-01", "2026-05-01"], "M8[D]"))
    estimator = small().fit(TEXTS, dates)
    assert np.isin(estimator.predict(TEXTS), dates).all()


def test_a_model_of_an_earlier_version_knows_which_class_is_positive(
    fitted: SentimentClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    for positive, expected in enumerate((["pos", "neg"], ["neg", "pos"])):
        content = json.dumps({"classes": ["neg", "pos"], "positive": positive})
        (tmp_path / "classes.json").write_text(content)
        is_positive = fitted.predict(TEXTS) == "pos"
        predicted = SentimentClassifier.load(tmp_path).predict(TEXTS)
        assert np.array_equal(predicted, np.array(expected)[is_positive.astype(int)])


@pytest.mark.parametrize(
    "classes", [("Good", "good"), ("good", "good "), ("", "good"), ("", "bad", "Good", "good")]
)
def test_classes_that_are_the_same_in_a_file_are_not_saved(
    classes: tuple[str, ...], tmp_path: Path
) -> None:
    """They are classes in memory."""
    labels = labels_of(classes)
    estimator = small().fit(TEXTS, labels)
    assert estimator.classes_.tolist() == sorted(classes)
    assert 0 <= estimator.score(TEXTS, labels) <= 1
    with pytest.raises(InputError, match="differ only in case or blanks cannot be saved"):
        estimator.save(tmp_path / "model")


def test_a_model_trained_on_a_file_is_saved_as_an_estimator(
    tiny: MakeConfig, tmp_path: Path
) -> None:
    words = ["happy" if label else "cross" for label in LABELS]
    fit(TEXTS, words, config=tiny(), positive_label="happy").save(tmp_path / "run")
    SentimentClassifier.load(tmp_path / "run").save(tmp_path / "copy")
    assert Predictor.load(tmp_path / "copy").config.data.positive_label == "happy"


def test_a_loaded_estimator_can_be_trained_again(
    fitted: SentimentClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = clone(SentimentClassifier.load(tmp_path)).fit(TEXTS, WORDS)
    assert np.array_equal(again.decision_function(TEXTS), fitted.decision_function(TEXTS))


def test_any_model_is_loaded_as_an_estimator(fitted: SentimentClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    fitted.predictor_.save(tmp_path / "model")  # of the predictor alone
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert loaded.classes_.tolist() == ["negative", "positive"]
    assert np.array_equal(loaded.predict(TEXTS) == "positive", fitted.predict(TEXTS) == "pos")


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"classes": ["a"], "positive": 0}', '{"classes": ["a", 1], "positive": 0}',
     '{"classes": ["b", "a"], "positive": 0}', '{"classes": ["a", "b"], "positive": 2}',
     '{"classes": ["a", "b"], "positive": true}', '{"classes": [["a"], ["b"]], "positive": 1}',
     '{"classes": ["a", "b"], "order": [0]}', '{"classes": ["a", "b"], "order": [0, 0]}',
     '{"classes": ["a", "b"], "order": [false, true]}', '{"classes": ["a", "b"], "order": "01"}',
     '{"classes": ["a", "b", "c"], "order": [0, 1, 2]}', '{"classes": ["a", "b"]}'],
)  # fmt: skip
def test_damaged_classes_are_refused(
    content: str, fitted: SentimentClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    (tmp_path / "classes.json").write_text(content)
    message = "classes.json(: it is damaged or not JSON| does not hold the 2 classes)"
    with pytest.raises(InputError, match=message):
        SentimentClassifier.load(tmp_path)


def test_classes_outside_the_folder_and_huge_ones_are_not_read(
    fitted: SentimentClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "model")
    file = tmp_path / "model" / "classes.json"
    outside = file.rename(tmp_path / "outside.json")
    file.symlink_to(outside)
    with pytest.raises(InputError, match=r"classes.json: cannot be read \(a link"):
        SentimentClassifier.load(tmp_path / "model")
    file.unlink()
    with file.open("wb") as stream:
        stream.truncate(2**33)
    with pytest.raises(InputError, match="classes.json: it has 8,589,934,592 bytes, more than"):
        SentimentClassifier.load(tmp_path / "model")


def test_classes_are_those_of_the_model_folder_within_a_folder(
    fitted: SentimentClassifier, tmp_path: Path
) -> None:
    """As for `Predictor.load`, the folder above `model/` is enough."""
    fitted.save(tmp_path / "model")
    assert SentimentClassifier.load(tmp_path).classes_.tolist() == ["neg", "pos"]


def test_classes_that_json_cannot_hold_are_not_saved(tmp_path: Path) -> None:
    estimator = small().fit(TEXTS, np.array(["2024-05-01", "2025-05-01"], "M8[D]")[LABELS])
    with pytest.raises(InputError, match="Classes must be strings"):
        estimator.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_network_and_another_seed_another(
    fitted: SentimentClassifier,
) -> None:
    again = clone(fitted).fit(TEXTS, WORDS)
    assert np.array_equal(again.decision_function(TEXTS), fitted.decision_function(TEXTS))
    other = clone(fitted).set_params(random_state=1).fit(TEXTS, WORDS)
    assert not np.allclose(other.decision_function(TEXTS), fitted.decision_function(TEXTS))
    reordered = np.random.default_rng(0).permutation(80)
    same = clone(fitted).fit([TEXTS[i] for i in reordered], [WORDS[i] for i in reordered])
    assert np.array_equal(same.decision_function(TEXTS), fitted.decision_function(TEXTS))


def test_a_prediction_depends_on_its_text_alone(fitted: SentimentClassifier) -> None:
    together = fitted.decision_function(TEXTS)
    alone = [fitted.decision_function([text])[0] for text in TEXTS]
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(fitted.decision_function(TEXTS[::-1])[::-1], together, atol=1e-5)
    assert fitted.score(TEXTS, WORDS) == np.mean(fitted.predict(TEXTS) == WORDS)


def test_an_estimator_is_pickled(fitted: SentimentClassifier) -> None:
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.decision_function(TEXTS), fitted.decision_function(TEXTS))
    assert str(copy.get_params()) == str(fitted.get_params())
    clone(pickle.loads(pickle.dumps(small(config=Config()))))


def test_an_untrained_estimator_is_refused() -> None:
    for use in (small().predict, small().predict_proba, small().decision_function, small().save):
        with pytest.raises(NotFittedError):
            use(TEXTS)


def test_it_is_the_last_step_of_a_pipeline_of_texts() -> None:
    table = pa.table({"text": TEXTS, "label": WORDS}).to_pandas()
    cleaning = FunctionTransformer(lambda texts: [strip_accents_ascii(text) for text in texts])
    pipeline = make_pipeline(cleaning, small(head="avg")).fit(table["text"], table["label"])
    assert set(pipeline.predict(table["text"])) <= {"pos", "neg"}
    assert 0 <= pipeline.score(table["text"], table["label"]) <= 1


def test_heads_are_compared_by_a_grid_search() -> None:
    search = GridSearchCV(small(), {"head": ["max", "avg"]}, cv=2, scoring="roc_auc")
    search.fit(TEXTS, WORDS)
    assert [point["head"] for point in search.cv_results_["params"]] == ["max", "avg"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.head == search.best_params_["head"]
    assert set(search.predict(TEXTS[:9])) <= {"pos", "neg"}


def test_folds_of_three_classes_are_scored() -> None:
    labels = labels_of(["bad", "good", "so-so"])
    for scoring in ("accuracy", "roc_auc_ovr", "neg_log_loss"):
        assert np.isfinite(cross_val_score(small(), TEXTS, labels, cv=2, scoring=scoring)).all()


@pytest.mark.slow  # two processes import PyTorch
def test_folds_are_trained_in_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(lstm_sentiment.__file__).parents[1]))
    alone = cross_val_score(small(), TEXTS, WORDS, cv=2)
    assert np.array_equal(cross_val_score(small(), TEXTS, WORDS, cv=2, n_jobs=2), alone)


# The checks of scikit-learn


class OfNumbers(SentimentClassifier):
    """The estimator on rows of numbers, since scikit-learn's other checks have no texts.

    Each number becomes a word for its column and its rounded value.
    """

    def texts(self, X: Any, **options: Any) -> list[str]:
        rows = validate_data(self, X, **options)
        return [" ".join(f"x{i}is{value:.0f}" for i, value in enumerate(row)) for row in rows]

    def fit(self, X: Any, y: Any) -> Self:
        validate_data(self, X, y)
        return super().fit(self.texts(X), y)

    def decision_function(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return super().decision_function(self.texts(X, reset=False))

    def predict_proba(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return super().predict_proba(self.texts(X, reset=False))

    def predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return super().predict(self.texts(X, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array = False, False
        tags.input_tags.two_d_array = True
        tags.classifier_tags.poor_score = True  # after one epoch
        return tags


@pytest.mark.slow
@parametrize_with_checks([OfNumbers(**{**SMALL, "batch_size": None}, val_fraction=0.0)])
def test_it_passes_the_checks_of_scikit_learn(
    estimator: SentimentClassifier, check: Callable[[Any], None]
) -> None:
    check(estimator)
