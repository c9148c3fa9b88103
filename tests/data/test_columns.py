"""Text and label columns: how they are found, and what their values mean."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tables import (
    NumberedReview,
    read_reviews,
    refusal,
    table_bytes,
    write_bytes,
    write_columns,
)

TEXTS = ["A warm and clever film.", "one\ntwo", " 映画 ", '"']
LABELS = [1, 0, 1, 0]
REVIEWS = [NumberedReview(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]

SPELLINGS = [
    ("a.csv", "0 0.0 neg NEG negative Negative false False".split(), 0),
    ("a.csv", ["1", "1.0", "pos", "Pos", "positive", "POSITIVE", "true", "TRUE", " pos "], 1),
    ("a.jsonl", [0, 0.0, False, -0, "0", "neg", "False"], 0),
    ("a.jsonl", [1, 1.0, True, "1", "pos", "Positive\n"], 1),
    ("a.parquet", pa.array([0, 0], pa.int8()), 0),
    ("a.parquet", pa.array([1, 1], pa.uint64()), 1),
    ("a.parquet", [0.0, 0.0], 0),
    ("a.parquet", pa.array([1.0], pa.float32()), 1),
    ("a.parquet", [False], 0),
    ("a.parquet", [True], 1),
    ("a.parquet", ["Negative", "neg", "0"], 0),
    ("a.parquet", pa.array([b"pos"]), 1),
]


@pytest.mark.parametrize(("name", "values", "label"), SPELLINGS)
def test_usual_labels_in_every_spelling(
    tmp_path: Path, name: str, values: Sequence[Any], label: int
) -> None:
    file = write_columns(tmp_path / name, ["a film"] * len(values), values)
    assert [review.label for review in read_reviews(file)] == [label] * len(values)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("names", ["review sentiment", "text sentiment", "review label"])
def test_usual_columns_are_found(tmp_path: Path, name: str, names: str) -> None:
    assert read_reviews(write_columns(tmp_path / name, TEXTS, LABELS, names=names)) == REVIEWS


def test_text_and_label_precede_review_and_sentiment(tmp_path: Path) -> None:
    names = "sentiment review label text"
    file = write_columns(tmp_path / "a.csv", ["?"], ["no"], [1], ["yes"], names=names)
    assert read_reviews(file) == [NumberedReview("yes", 1)]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_named_columns_and_labels(tmp_path: Path, name: str) -> None:
    columns = ["x"] * 4, ["good", "bad", "good", "bad"], [2] * 4, TEXTS
    file = write_columns(tmp_path / name, *columns, names="text grade label the.answer")
    assert read_reviews(file, text="the.answer", label="grade", positive="good") == REVIEWS


@pytest.mark.parametrize(("positive", "expected"), [("4", [0, 1, 0]), ("0", [1, 0, 1])])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_the_positive_label_may_be_a_number(
    tmp_path: Path, name: str, positive: str, expected: list[int]
) -> None:
    file = write_columns(tmp_path / name, ["a", "b", "c"], [0, 4, 0])
    assert [review.label for review in read_reviews(file, positive=positive)] == expected


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("positive", "labels"),
    [
        ("happy", [" happy", "sad", "happy "]),
        (" happy ", ["happy", "sad", "happy"]),
        ("very happy", ["very happy", "not happy", "very happy"]),
    ],
)
def test_spaces_around_labels_are_ignored(
    tmp_path: Path, name: str, positive: str, labels: list[str]
) -> None:
    file = write_columns(tmp_path / name, ["a", "b", "c"], labels)
    assert [review.label for review in read_reviews(file, positive=positive)] == [1, 0, 1]


@pytest.mark.parametrize("positive", ["1", "1.0"])
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("a.csv", ["1", "2"]),
        ("a.csv", ["1.0", "2.0"]),
        ("a.jsonl", [1, 2]),
        ("a.jsonl", [1.0, 2.0]),
        ("a.parquet", [1, 2]),
        ("a.parquet", [1.0, 2.0]),
    ],
)
def test_the_positive_labels_1_and_1_0_are_equal(
    tmp_path: Path, name: str, labels: list[Any], positive: str
) -> None:
    """A column of integers becomes one of floats as soon as a value is missing."""
    file = write_columns(tmp_path / name, ["a", "b"], labels)
    assert [review.label for review in read_reviews(file, positive=positive)] == [1, 0]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("names", "options", "facts"),
    [
        ("txt label", {}, "no column text or review (columns: txt, label)"),
        ("text stars", {}, "no column label or sentiment (columns: text, stars)"),
        ("text label", {"text": "answer"}, "no column answer (columns: text, label)"),
        ("text label", {"label": "answer"}, "no column answer (columns: text, label)"),
        ("txt label", {"labelled": False}, "no column text or review (columns: txt, label)"),
    ],
)
def test_a_missing_column_is_reported_with_the_present_ones(
    tmp_path: Path, name: str, names: str, options: dict[str, Any], facts: str
) -> None:
    message = refusal(write_columns(tmp_path / name, TEXTS, LABELS, names=names), **options)
    assert facts in message
    role = "label" if "label or" in facts or "label" in options else "text"
    assert message.endswith(f"name the {role} column with data.{role}_column.")


def test_of_many_columns_the_first_are_reported(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(50)]
    file = write_columns(tmp_path / "a.csv", *[["x"]] * 50, names=" ".join(names))
    assert "(columns: c0, c1, c2, c3, c4, c5, c6, c7, ...)" in refusal(file)


@pytest.mark.parametrize("text", ["Not bad.\nNot good.", "very, " * 1_000])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_review_in_place_of_the_header_is_shortened(tmp_path: Path, name: str, text: str) -> None:
    columns = {text: ["b"], "pos": ["neg"]}
    assert len(refusal(write_bytes(tmp_path / name, table_bytes(name, columns)))) < 300


def test_a_column_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([["a"], ["b"], [1]], ["text", "text", "label"]), file)
    assert refusal(file) == "2 columns are named text: keep only one of them."
    file = write_bytes(tmp_path / "a.csv", "text,label,label,x,x\na,1,1,2,2\n")
    assert refusal(file).startswith("2 columns are named label")
    assert read_reviews(file, labelled=False) == [NumberedReview("a", None)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("label", ["2", "-1", "0.5", "nan", "good", "0 1", "pos\nneg"])
def test_an_unusual_label_is_reported_with_its_row(tmp_path: Path, name: str, label: str) -> None:
    file = write_columns(tmp_path / name, ["a", "b\n", "c"], ["1", "0", label])
    assert refusal(file, classes=("0", "1")) == (
        f"row 3: label {label!r} is not one of data.classes (0, 1)."
    )


@pytest.mark.parametrize("label", [2, -1, 0.5, float("inf"), 10**30])
def test_a_label_of_another_type_is_reported_with_its_row(tmp_path: Path, label: Any) -> None:
    file = write_columns(tmp_path / "a.jsonl", ["a", "b"], [1, label])
    message = refusal(file, classes=("0", "1"))
    assert message.startswith(f"row 2: label {str(label)!r} is not one of data.classes")


def test_a_long_label_is_shortened_in_the_message(tmp_path: Path) -> None:
    file = write_columns(tmp_path / "a.csv", ["a"], ["x" * 10_000])
    assert len(refusal(file, classes=("0", "1"))) < 300
    assert len(refusal(file, classes=("y" * 10_000, "z" * 10_000))) < 300


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("third", ["so-so", "Goods"])
def test_a_third_label_is_reported_with_the_others(tmp_path: Path, name: str, third: str) -> None:
    file = write_columns(tmp_path / name, list("abcd"), ["good", "bad", "bad", third])
    start = f"row 4: label {third!r} is neither data.positive_label=good nor 'bad'"
    assert refusal(file, positive="good").startswith(start)


def test_a_third_label_in_another_file_is_noticed(tmp_path: Path) -> None:
    one = write_columns(tmp_path / "1.csv", ["a", "b"], ["good", "bad"])
    two = write_columns(tmp_path / "2.csv", ["a", "b"], ["good", "poor"])
    assert refusal(one, two, positive="good").startswith("row 2: label 'poor' is neither ")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz", "a.parquet"])
@pytest.mark.parametrize("options", [{}, {"positive": "1"}])
def test_a_missing_value_is_reported_with_its_row(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    no_text = write_columns(tmp_path / name, ["a", None], [1, 0])
    assert refusal(no_text, **options).startswith("row 2: the text is missing")
    no_label = write_columns(tmp_path / name, ["a", "b"], [1, None])
    assert refusal(no_label, **options).startswith("row 2: the label is missing")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("a.csv", " "),
        ("a.parquet", "\t"),
        ("a.csv", ""),
        ("a.tsv.gz", ""),
        ("a.jsonl", ""),
        ("a.parquet", ""),
        ("a.jsonl", float("nan")),
        ("a.parquet", float("nan")),
    ],
)
@pytest.mark.parametrize("options", [{}, {"positive": "1"}])
def test_an_empty_label_is_missing_and_not_negative(
    tmp_path: Path, name: str, label: Any, options: dict[str, Any]
) -> None:
    others = [1.0, 1.0] if isinstance(label, float) else ["1", "1"]
    file = write_columns(tmp_path / name, ["a", "b", "c"], [*others, label])
    assert refusal(file, **options).startswith("row 3: the label is missing")


def test_a_column_of_missing_texts_is_refused(tmp_path: Path) -> None:
    file = write_columns(tmp_path / "a.parquet", pa.nulls(2), [0, 1])
    assert refusal(file).startswith("row 1: the text is missing")


@pytest.mark.parametrize(
    ("text", "shown"), [(1, "1"), (1.5, "1.5"), (["a"], "['a']"), ({"a": "b"}, "{'a': 'b'}")]
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_text_that_is_not_a_string_is_refused(
    tmp_path: Path, name: str, text: Any, shown: str
) -> None:
    message = refusal(write_columns(tmp_path / name, [text], [1]))
    assert message == f"row 1: the text must be a string (got {shown})."


# Classes with names


def named_classes(names: Sequence[str], **columns: Sequence[Any]) -> bytes:
    """Return a Parquet file as `datasets.Dataset.to_parquet` writes it."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))}
    )
    stream = BytesIO()
    datasets.Dataset.from_dict(dict(columns), features).to_parquet(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["neg", "pos"], [0, 1, 0]),
        (["positive", "negative"], [1, 0, 1]),
        (["Pos", " NEG "], [1, 0, 1]),
        (["True", "False"], [1, 0, 1]),
        (["1", "0"], [1, 0, 1]),
    ],
)
def test_the_names_of_classes_decide_and_not_their_numbers(
    tmp_path: Path, names: list[str], labels: list[int]
) -> None:
    raw = named_classes(names, text=["a", "b", "c"], label=[0, 1, 0])
    file = write_bytes(tmp_path / "a.parquet", raw)
    assert [review.label for review in read_reviews(file)] == labels
    words = write_columns(tmp_path / "a.csv", ["a", "b", "c"], [names[n] for n in (0, 1, 0)])
    assert read_reviews(words) == read_reviews(file)


@pytest.mark.parametrize("categories", [["positive", "negative"], ["negative", "positive"]])
def test_the_words_of_categories_decide_and_not_their_order(
    tmp_path: Path, categories: list[str]
) -> None:
    labels = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), categories)
    file = write_columns(tmp_path / "a.parquet", ["a", "b"], labels)
    expected = [int(category == "positive") for category in categories]
    assert [review.label for review in read_reviews(file)] == expected


def test_each_file_has_its_own_names(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"text": ["a", "b"], "label": [0, 1]}
    one = write_bytes(tmp_path / "1.parquet", named_classes(["pos", "neg"], **rows))
    two = write_bytes(tmp_path / "2.parquet", named_classes(["neg", "pos"], **rows))
    plain = write_columns(tmp_path / "3.jsonl", ["a", "b"], [0, 1])
    labels = [review.label for review in read_reviews(one, two, plain)]
    assert labels == [1, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("positive", "labels"), [("happy", [0, 1]), ("SAD", [1, 0]), ("1", [0, 1])]
)
def test_other_names_of_classes_have_no_order_until_one_is_positive(
    tmp_path: Path, positive: str, labels: list[int]
) -> None:
    """A number is understood, too, as in configurations of the time when names were ignored."""
    raw = named_classes(["sad", "happy"], text=["a", "b"], label=[0, 1])
    file = write_bytes(tmp_path / "a.parquet", raw)
    assert [review.label for review in read_reviews(file)] == [1, 0]  # sorted by spelling
    assert [review.label for review in read_reviews(file, positive=positive)] == labels
    assert "data.positive_label=glad is not one of the classes of the labels (sad, happy)" in (
        refusal(file, positive="glad")
    )


@pytest.mark.parametrize("names", [["neg", "pos"], ["Negative", "positive"], ["0", "1"]])
def test_configured_classes_have_the_usual_names_in_class_labels(
    tmp_path: Path, names: list[str]
) -> None:
    raw = named_classes(names, text=["a", "b"], label=[0, 1])
    file = write_bytes(tmp_path / "a.parquet", raw)
    assert [review.label for review in read_reviews(file, classes=("negative", "positive"))] == [
        0,
        1,
    ]
    other = write_bytes(
        tmp_path / "b.parquet", named_classes(["sad", "happy"], text=["a"], label=[0])
    )
    message = refusal(other, classes=("negative", "positive"))
    assert message == (
        "data.classes (negative, positive) are none of the classes of the labels (sad, happy): "
        "give one of these names."
    )


def test_a_class_label_of_minus_1_is_missing(tmp_path: Path) -> None:
    raw = named_classes(["neg", "pos"], text=["a", "b", "c"], label=[0, -1, 1])
    file = write_bytes(tmp_path / "a.parquet", raw)
    assert refusal(file).startswith("row 2: the label is missing")
    assert len(read_reviews(file, skip_missing=True)) == 2


@pytest.mark.parametrize(
    "about", ["", "[]", "{", '{"info": {"features": {"label": {"names": 1}}}}']
)
def test_other_metadata_name_no_classes(tmp_path: Path, about: str) -> None:
    table = pa.table({"text": ["a", "b"], "label": [0, 1]})
    pq.write_table(table.replace_schema_metadata({"huggingface": about}), tmp_path / "a.parquet")
    assert [review.label for review in read_reviews(tmp_path / "a.parquet")] == [0, 1]


# Advice


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_the_positive_label_exchanges_two_other_labels(tmp_path: Path, name: str) -> None:
    """Case and blanks have no meaning, whether or not the positive label is named."""
    labels = ["good", "Bad", "GOOD ", " bad", "BAD"]
    file = write_columns(tmp_path / name, list("abcde"), labels)
    assert [review.label for review in read_reviews(file)] == [1, 0, 1, 0, 0]
    for positive in ("bad", "Bad", " BAD "):
        found = [review.label for review in read_reviews(file, positive=positive)]
        assert found == [0, 1, 0, 1, 1]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_rows_without_text_or_label_can_be_left_out(tmp_path: Path, name: str) -> None:
    """Excel leaves empty rows behind, which consist of delimiters."""
    texts, labels = ["a", None, "b", " ", "c", None], ["1", "0", None, "0", "0", None]
    file, notes = write_columns(tmp_path / name, texts, labels), list[str]()
    advice = "row 2: the text is missing: every review needs one; data.missing=skip leaves out such"
    assert refusal(file).startswith(advice)
    expected = [NumberedReview("a", 1), NumberedReview("c", 0)]
    assert read_reviews(file, skip_missing=True, notes=notes) == expected
    assert notes == ["4 of 6 rows were left out, since they have no text or no label."]


def test_a_file_of_which_no_row_is_left_is_refused(tmp_path: Path) -> None:
    file = write_columns(tmp_path / "a.csv", ["a", "b"], ["", ""])
    assert refusal(file, skip_missing=True).startswith("no row has both a text and a label")


def test_an_invalid_label_is_no_missing_one(tmp_path: Path) -> None:
    file = write_columns(tmp_path / "a.csv", ["a", "b"], ["1", "?"])
    message = refusal(file, skip_missing=True, classes=("0", "1"))
    assert message.startswith("row 2: label '?' is not one of data.classes")
