"""The classes of reviews: found or configured, in every set, and the labels that are refused."""

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest

from lstm_sentiment.commands.main import main
from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.in_memory import checked_reviews, corpus_in_memory
from tests.support.corpora import Hub, refusal_of
from tests.support.datamodules import data_of_file, set_up
from tests.support.tables import refusal, write_columns, write_rows

STARS = ["3", "1", "10", "9", "3"] * 8


def texts_of(labels: list[Any], name: str = "train") -> list[str]:
    """Return a text of its own for every label."""
    return [f"{name} {row} is worth {label}." for row, label in enumerate(labels)]


def write_labels(file: Path, labels: list[Any], name: str = "train") -> Path:
    return write_columns(file, texts_of(labels, name), labels)


def refusal_of_labels(file: Path, cache: str, **fields: Any) -> str:
    return refusal_of(lambda: data_of_file(file, cache, **fields))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_numbers_are_classes_in_their_order(tmp_path: Path, cache: str, name: str) -> None:
    data = data_of_file(write_labels(tmp_path / name, [*map(int, STARS)]), cache)
    assert data.classes.names == ("1", "3", "9", "10")
    assert data.test is not None
    for part, counts in ((data.train, [6, 10, 5, 5]), (data.val, [1, 3, 1, 1])):
        assert abs(np.bincount(part.labels, minlength=4) - counts).max() <= 1
        for row, label in zip(part.rows, part.labels, strict=True):
            assert data.text("train", row).split()[-2] == data.classes.names[label]
    assert data.summary()["classes"] == ["1", "3", "9", "10"]


def test_configured_classes_have_their_order(tmp_path: Path, cache: str) -> None:
    file = write_labels(tmp_path / "a.csv", ["good", "Bad", "so-so", "so-so"] * 10)
    data = data_of_file(file, cache, classes=["bad", "so-so", "good"])
    assert data.classes.names == ("bad", "so-so", "good")
    assert np.bincount(data.split("train").labels).tolist() == [8, 16, 8]
    other = data_of_file(file, cache, classes=["good", "so-so", "bad"])
    assert other.identity != data.identity
    assert data_of_file(file, cache, classes=3).classes.names == ("Bad", "good", "so-so")


@pytest.mark.parametrize("classes", [None, 2])
def test_usual_labels_have_the_identity_of_old_runs(
    tmp_path: Path, cache: str, classes: int | None
) -> None:
    file = write_labels(tmp_path / "a.csv", ["pos", "0", "False", "1"] * 10)
    assert "classes" not in data_of_file(file, cache, classes=classes).identity


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, 4.5, 2.0] * 10),
        pa.array([1, 4, 2] * 10, pa.int8()),
        pa.array(["b", "c", "a"] * 10).dictionary_encode(),
        pa.array([b"b", b"c", b"a"] * 10),
    ],
)
def test_columns_of_any_type_name_the_classes(tmp_path: Path, cache: str, column: Any) -> None:
    file = write_columns(tmp_path / "a.parquet", texts_of([1] * 30), column)
    names = [str(value).removesuffix(".0") for value in column.to_pylist()[:3]]
    if names[0] == "b'b'":
        names = ["b", "c", "a"]
    assert data_of_file(file, cache).classes.names == tuple(sorted(names))


def test_labels_and_groups_have_one_unicode_form(tmp_path: Path, cache: str) -> None:
    composed, decomposed = "sch\u00f6n", "scho\u0308n"
    rows = [
        (f"film {row}", (composed, decomposed, "mies")[row % 3], (decomposed, composed)[row % 2])
        for row in range(30)
    ]
    file = write_rows(tmp_path / "a.csv", rows, "text label product")
    for classes in (None, ["mies", decomposed]):
        assert data_of_file(file, cache, classes=classes).classes.names == ("mies", composed)
    message = refusal_of_labels(file, cache, group_column="product")
    assert "data.group_column=product leaves 1 group" in message


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", [lambda label: [label], lambda label: {"stars": label}])
def test_lists_and_objects_are_no_labels(
    tmp_path: Path, cache: str, kind: Any, suffix: str
) -> None:
    labels = [kind(row % 3) for row in range(30)]
    file = write_labels(tmp_path / f"a.{suffix}", labels)
    assert refusal_of_labels(file, cache) == (
        f"{file}: row 1: the label must be a text or a number (got {labels[0]})."
    )


def test_names_of_the_hub_are_the_classes(cache: str, hub: Hub) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["x", "z", "y"])}
    )
    columns = {"text": texts_of([0] * 30), "label": [0, 1, 2] * 10}
    hub.answer = datasets.DatasetDict(train=datasets.Dataset.from_dict(columns, features))
    config = DataConfig("reviews", path="some/films", cache=cache, batch_size=2)
    assert set_up(config).classes.names == ("x", "y", "z")
    columns = {"text": ["a", "b", "c"], "label": [0, 0, 0]}
    hub.answer = datasets.DatasetDict(train=datasets.Dataset.from_dict(columns, features))
    one = DataConfig("reviews", path="some/films@one", cache=cache)
    assert "every label is x (reviews: 3): at least two" in refusal_of(lambda: set_up(one))


# What is refused


def test_one_class_in_memory_is_refused(cache: str) -> None:
    corpus = corpus_in_memory(checked_reviews(["a", "b"], ["3", "3"]), cache)
    data = ReviewDataModule(DataConfig(), test=False, corpus=corpus)
    assert "every label is 3 (reviews: 2): at least two classes" in refusal_of(data.prepare_data)


def test_a_label_that_is_no_configured_class_is_reported_with_its_row(
    tmp_path: Path, cache: str
) -> None:
    file = write_labels(tmp_path / "a.csv", ["1", "2", "3"])
    message = refusal_of_labels(file, cache, classes=[1, 2])
    assert message == f"{file}: row 3: label '3' is not one of data.classes (1, 2)."


def test_a_configured_class_that_never_occurs_is_named(tmp_path: Path, cache: str) -> None:
    file = write_labels(tmp_path / "a.csv", ["1", "2"] * 10)
    assert refusal_of_labels(file, cache, classes=[1, 2, 3]) == (
        f"{file}: data.classes names 3, but no training review has this label: leave it out."
    )


def test_another_number_of_classes_is_reported_with_those_that_occur(
    tmp_path: Path, cache: str
) -> None:
    file = write_labels(tmp_path / "a.csv", ["1", "2", "3"] * 4)
    assert refusal_of_labels(file, cache, classes=4) == (
        f"{file}: data.classes=4, but the labels have 3 classes (1, 2, 3)."
    )


@pytest.mark.parametrize("field", ["test_path", "val_path"])
def test_a_class_that_training_lacks_is_named_with_the_file(
    tmp_path: Path, cache: str, field: str
) -> None:
    file = write_labels(tmp_path / "a.csv", ["1", "2", "3"] * 10)
    other = write_labels(tmp_path / "b.csv", ["1", "7", "2"], name=field)
    message = refusal_of_labels(file, cache, **{field: str(other)})
    assert message.startswith(
        f"{other}: label '7' is not one of the classes of the training reviews (1, 2, 3): "
    )


def test_a_validation_file_of_one_class_is_named(tmp_path: Path, cache: str) -> None:
    file = write_labels(tmp_path / "a.csv", ["1", "2", "3"] * 10)
    val = write_labels(tmp_path / "val.csv", ["1", "1"], name="val")
    message = refusal_of_labels(file, cache, val_path=str(val))
    assert message.startswith(f"{val} leaves 2 reviews for the validation set, which needs ")


def test_a_refused_class_is_one_sentence_of_the_command(
    tmp_path: Path, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_labels(tmp_path / "a.csv", ["1", "2", "3"] * 10)
    other = write_labels(tmp_path / "b.csv", ["1", "\x1b[31m7", "2"], name="test")
    words = ["data", str(file), f"data.test_path={other}", f"data.cache={cache}"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "is not one of the classes of the training reviews (1, 2, 3)" in shown
    assert "\x1b" not in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("fields", "needed", "sets"),
    [
        ({}, 3, "training, validation, test"),
        ({"val_fraction": 0}, 2, "training, test"),
        ({"test_path": ""}, 2, "training, validation"),
    ],
)
def test_a_class_with_fewer_reviews_than_sets_is_named(
    tmp_path: Path, cache: str, fields: dict[str, Any], needed: int, sets: str
) -> None:
    if "test_path" in fields:
        fields["test_path"] = str(write_labels(tmp_path / "b.csv", ["a", "b"] * 5, name="test"))
    common, rare = ["a", "b"] * 10, needed - 1
    rows = [*zip(texts_of(common), common, strict=True)]
    rare_rows = [(f"rare {row}", "c") for row in range(rare)]
    copies = [rare_rows[0]] * 5  # which stay with their original
    file = write_rows(tmp_path / "a.csv", [*rows, *rare_rows, *copies])
    plural = "" if rare == 1 else "s"
    assert refusal_of_labels(file, cache, **fields) == (
        f"{file}: the class c has only {rare} review{plural}, copies aside: at least {needed} are "
        f"needed, one for each set that is drawn ({sets})."
    )
    enough = write_rows(tmp_path / "c.csv", [*rows, *rare_rows, ("another", "c")])
    assert len(data_of_file(enough, cache, **fields).classes) == 3


def test_a_limit_that_leaves_a_class_out_is_refused(tmp_path: Path, cache: str) -> None:
    file = write_labels(tmp_path / "a.csv", ["a"] * 50 + ["b"] * 50 + ["c"] * 4)
    message = refusal_of_labels(file, cache, limit_train=10)
    assert "data.limit_train=10" in message
    assert "leaves no review of the class c for the training set" in message


def test_a_set_without_a_class_is_noted(tmp_path: Path, cache: str) -> None:
    labels = ["a"] * 50 + ["b"] * 50
    data = data_of_file(write_labels(tmp_path / "a.csv", [*labels, "c", "c", "c"]), cache)
    assert data.notes == [
        "The validation set has no review of c: its AUROC is undefined, and its balanced accuracy "
        "does not include every class."
    ]
    many = data_of_file(write_labels(tmp_path / "b.csv", [*labels, *["c"] * 9]), cache)
    assert not many.notes


def test_more_than_100_labels_are_refused(tmp_path: Path, cache: str) -> None:
    labels = [str(number) for number in range(100)] * 10
    assert len(data_of_file(write_labels(tmp_path / "a.csv", labels), cache).classes) == 100
    file = write_labels(tmp_path / "b.csv", [*labels, "100"])
    assert refusal_of_labels(file, cache) == (
        f"{file}: row 1001: label '100' is one more than the 100 different labels that are "
        "allowed: name the column of the labels with data.label_column."
    )


@pytest.mark.parametrize("label", ["very, " * 2_000, "\x1b[31m" * 30])
def test_a_label_that_is_a_text_is_refused_and_shortened(tmp_path: Path, label: str) -> None:
    file = write_labels(tmp_path / "a.csv", ["a", label])
    message = refusal(file)
    assert message.startswith("row 2: label ")
    assert message.isprintable()
    assert "is longer than the 100 characters that are allowed" in message
    assert len(message) < 250


@pytest.mark.parametrize("name", ["$x^2$", "{seed}", "<b>&amp;</b>", "\x1b[31mred", "a\tb", "${x}"])
def test_hostile_names_are_names(tmp_path: Path, cache: str, name: str) -> None:
    file = write_labels(tmp_path / "a.jsonl", [name, "b", "c"] * 10)
    assert sorted(data_of_file(file, cache).classes.names) == sorted([name, "b", "c"])
    assert data_of_file(file, cache, classes=["b", name, "c"]).classes.names == ("b", name, "c")
    message = refusal_of_labels(file, cache, classes=2)
    assert message.isprintable()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"classes": 1}, "must be a list of 2 to 100 different labels (texts or numbers), or "),
        ({"classes": 101}, "(got 101)"),
        ({"classes": ["a"]}, "(got ['a'])"),
        ({"classes": ["a", "A "]}, "(got ['a', 'A '])"),
        ({"classes": [1, 1.0]}, "(got [1, 1.0])"),
        ({"classes": [True, False]}, "(got [True, False])"),
        ({"classes": "a"}, "(got 'a')"),
        (
            {"classes": [1, 2], "positive_label": "1"},
            "data.positive_label=1 and data.classes=['1', '2'] exclude each other",
        ),
    ],
)
def test_classes_that_cannot_be_configured(fields: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal_of(lambda: DataConfig("reviews", path="a.csv", **fields))


@pytest.mark.parametrize(
    ("source", "classes", "sentence"),
    [
        ("imdb", 2, "data.classes=2 is allowed only with data=reviews or data=synthetic."),
        ("synthetic", ["a", "b"], "data.classes=['a', 'b'] must be a number with data=synthetic."),
        ("synthetic", 21, "data.classes=21 must be at most 20 with data=synthetic."),
    ],
)
def test_classes_of_built_in_corpora(source: str, classes: Any, sentence: str) -> None:
    assert refusal_of(lambda: DataConfig(source, classes=classes)) == sentence
