import csv
import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_sentiment.data import formats
from lstm_sentiment.data.formats import (
    Columns,
    Review,
    count_rows,
    read_arrow,
    read_folders,
    read_tables,
    table_suffix,
)
from lstm_sentiment.errors import InputError

CHECKED = settings(deadline=None, max_examples=60, derandomize=True)
TEXTS = [
    "A warm and clever film.",
    'He said "watch it", twice,\tand left.',
    "one\ntwo\r\nthree\rfour\n\n",
    " \ufeff映画 \0 🎬 <br /> ",
    '"',
    " ",
]
LABELS = [1, 0, 1, 0, 0, 1]
REVIEWS = [Review(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]
NAMES = (
    "a.csv a.csv.gz a.tsv a.TSV.GZ a.json a.json.gz a.jsonl a.jsonl.gz a.ndjson a.ndjson.gz "
    "a.parquet A.CSV"
).split()


def content(name: str, columns: dict[str, Any]) -> bytes:
    """What a file of this name would hold."""
    if name.lower().endswith(".gz"):
        return gzip.compress(content(name[:-3], columns), mtime=0)
    kind, rows = name.lower().rsplit(".")[-1], zip(*columns.values(), strict=True)
    if kind == "parquet":
        stream = BytesIO()
        pq.write_table(pa.table(columns), stream)
        return stream.getvalue()
    if kind in ("csv", "tsv"):
        text = StringIO()
        csv.writer(text, delimiter="," if kind == "csv" else "\t").writerows([columns, *rows])
        return text.getvalue().encode()
    lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def write(file: Path, *columns: Sequence[Any], names: str = "text label") -> Path:
    chosen: dict[str, Any] = dict(zip(names.split(), columns, strict=True))
    file.write_bytes(content(file.name, chosen))
    return file


def read(*files: Path, labelled: bool = True, **columns: str) -> list[Review]:
    return list(read_tables(files, Columns(**columns), labelled))


def refused(*files: Path, named: Path | None = None, **how: Any) -> str:
    """The sentence about a file, without the file."""
    with pytest.raises(InputError) as raised:
        read(*files, **how)
    start, sentence = f"{named or files[-1]}: ", str(raised.value)
    assert sentence.startswith(start)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence.removeprefix(start)


def holding(folder: Path, name: str, raw: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return file


@pytest.mark.parametrize("name", NAMES)
def test_every_form_gives_texts_and_labels_exactly(tmp_path: Path, name: str) -> None:
    assert read(write(tmp_path / name, TEXTS, LABELS)) == REVIEWS


@pytest.mark.parametrize("name", NAMES)
def test_without_labels_only_the_text_is_looked_for(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, TEXTS, names="text")
    assert read(file, labelled=False) == [Review(text, -1) for text in TEXTS]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, name: str) -> None:
    columns = {"text": TEXTS, "label": LABELS}
    raw = b"\xef\xbb\xbf" + content(name.removesuffix(".gz"), columns)
    file = holding(tmp_path, name, gzip.compress(raw) if name.endswith(".gz") else raw)
    assert read(file) == REVIEWS


def test_a_csv_as_others_write_it(tmp_path: Path) -> None:
    raw = (
        '\ufeff"label", note,"text"\r\n'
        '"neg",,"It ""sank"", I fear,\r\nand \0 nobody\n\n cared."\r\n'
        "\r\n"
        'pos,"a,b",It floats "well"\r\n'
        "\r\n"
    )
    assert read(holding(tmp_path, "a.csv", raw)) == [
        Review('It "sank", I fear,\r\nand \0 nobody\n\n cared.', 0),
        Review('It floats "well"', 1),
    ]


def test_json_lines_may_differ_in_order_and_in_what_else_they_hold(tmp_path: Path) -> None:
    raw = (
        '{"text": "\\u6620\\ud83c\\udfac\\n", "label": 1}\n\n \r\n'
        '{"x": [1], "label": "neg", "text": "b\u2028c"}'
    )
    assert read(holding(tmp_path, "a.jsonl", raw)) == [Review("映🎬\n", 1), Review("b\u2028c", 0)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("dictionary", [False, True])
def test_kinds_of_parquet_texts_that_mean_the_same(
    tmp_path: Path, kind: pa.DataType, dictionary: bool
) -> None:
    texts = pa.array(TEXTS, pa.string()).cast(kind)
    labels = pa.array(["neg", "pos"]).take(pa.array(LABELS)).cast(pa.large_string())
    if dictionary:
        texts, labels = texts.dictionary_encode(), labels.dictionary_encode()
    assert read(write(tmp_path / "a.parquet", texts, labels)) == REVIEWS
    table = pa.table({"text": texts, "label": labels})
    assert list(read_arrow("films", table)) == REVIEWS


def test_a_slice_of_a_table_in_memory_is_read_and_no_more() -> None:
    table = pa.table({"text": pa.array(TEXTS).dictionary_encode(), "label": LABELS})
    assert list(read_arrow("films", table.slice(2, 3))) == REVIEWS[2:5]


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


@pytest.mark.parametrize(("name", "spelled", "label"), SPELLINGS)
def test_the_usual_labels_in_every_spelling(
    tmp_path: Path, name: str, spelled: Sequence[Any], label: int
) -> None:
    file = write(tmp_path / name, ["a film"] * len(spelled), spelled)
    assert [review.label for review in read(file)] == [label] * len(spelled)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("names", ["review sentiment", "text sentiment", "review label"])
def test_usual_columns_are_found(tmp_path: Path, name: str, names: str) -> None:
    assert read(write(tmp_path / name, TEXTS, LABELS, names=names)) == REVIEWS


def test_text_and_label_go_before_review_and_sentiment(tmp_path: Path) -> None:
    names = "sentiment review label text"
    file = write(tmp_path / "a.csv", ["?"], ["no"], [1], ["yes"], names=names)
    assert read(file) == [Review("yes", 1)]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_named_columns_and_labels(tmp_path: Path, name: str) -> None:
    grades = ["good", "bad", "good", "bad", "bad", "good"]
    columns = ["x"] * 6, grades, [2] * 6, TEXTS
    file = write(tmp_path / name, *columns, names="text grade label what.was.said")
    assert read(file, text="what.was.said", label="grade", positive="good") == REVIEWS


@pytest.mark.parametrize(("positive", "expected"), [("4", [0, 1, 0]), ("0", [1, 0, 1])])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_the_positive_label_may_be_a_number(
    tmp_path: Path, name: str, positive: str, expected: list[int]
) -> None:
    file = write(tmp_path / name, ["a", "b", "c"], [0, 4, 0])
    assert [review.label for review in read(file, positive=positive)] == expected


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("positive", "labels"),
    [
        ("happy", [" happy", "sad", "happy "]),
        (" happy ", ["happy", "sad", "happy"]),
        ("very happy", ["very happy", "not happy", "very happy"]),
    ],
)
def test_spaces_around_labels_are_no_part_of_them(
    tmp_path: Path, name: str, positive: str, labels: list[str]
) -> None:
    file = write(tmp_path / name, ["a", "b", "c"], labels)
    assert [review.label for review in read(file, positive=positive)] == [1, 0, 1]


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
def test_a_positive_1_is_a_positive_1_0(
    tmp_path: Path, name: str, labels: list[Any], positive: str
) -> None:
    """One column is integers in one file and floats in another, as soon as a value is missing."""
    file = write(tmp_path / name, ["a", "b"], labels)
    assert [review.label for review in read(file, positive=positive)] == [1, 0]


def test_many_files_are_one_table_in_the_order_given(tmp_path: Path) -> None:
    one = write(tmp_path / "z.csv", TEXTS[:2], LABELS[:2])
    two = write(tmp_path / "a.csv.gz", LABELS[2:4], TEXTS[2:4], names="label text")
    three = write(tmp_path / "m.parquet", TEXTS[4:], LABELS[4:])
    assert read(one, two, three) == REVIEWS


def test_a_json_file_may_lack_what_another_holds_beside_text_and_label(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", ["a"], [1], ["x"], names="text label url")
    assert read(one, write(tmp_path / "2.jsonl", ["b"], [0])) == [Review("a", 1), Review("b", 0)]


def test_reviews_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    one, broken = write(tmp_path / "1.csv", ["a"], [1]), tmp_path / "2.csv"
    reviews = read_tables([one, broken])
    assert next(reviews) == Review("a", 1)
    with pytest.raises(InputError, match=r"2\.csv: it cannot be read \(No such file or directory"):
        next(reviews)


def test_rows_of_many_batches_keep_their_order_and_their_numbers(tmp_path: Path) -> None:
    number = 2 * formats.ROWS_AT_ONCE + 500
    texts, labels = [f"film {row}" for row in range(number)], [row % 2 for row in range(number)]
    file = write(tmp_path / "a.parquet", texts, labels)
    assert [review.text for review in read(file)] == texts
    labels[2_001] = 2
    assert refused(write(file, texts, labels)).startswith("row 2002: label '2' is not allowed")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet"])
def test_a_missing_file_is_said(tmp_path: Path, name: str) -> None:
    sentence = refused(tmp_path / name)
    assert sentence.startswith("it cannot be read (")
    assert "No such file or directory" in sentence


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_folder_in_the_place_of_a_file_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert "directory" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("names", "how", "reason"),
    [
        ("txt label", {}, "there is no column text or review, only txt, label: name the one of "),
        (
            "text stars",
            {},
            "there is no column label or sentiment, only text, stars: name the one ",
        ),
        ("text label", {"text": "said"}, "there is no column said, only text, label: "),
        ("text label", {"label": "said"}, "there is no column said, only text, label: "),
        ("txt label", {"labelled": False}, "there is no column text or review, only txt, label: "),
    ],
)
def test_a_missing_column_is_said_with_what_there_is(
    tmp_path: Path, name: str, names: str, how: dict[str, Any], reason: str
) -> None:
    sentence = refused(write(tmp_path / name, TEXTS, LABELS, names=names), **how)
    assert sentence.startswith(reason)
    assert sentence.endswith(
        "data.label_column." if "label or" in reason or "label" in how else "data.text_column."
    )


def test_of_many_columns_some_are_said(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(50)]
    file = write(tmp_path / "a.csv", *[["x"]] * 50, names=" ".join(names))
    assert "only c0, c1, c2, c3, c4, c5, c6, c7, ...: " in refused(file)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("label", ["2", "-1", "0.5", "nan", "good", "0 1", "pos\nneg"])
def test_an_unusual_label_is_said_with_its_row(tmp_path: Path, name: str, label: str) -> None:
    sentence = refused(write(tmp_path / name, ["a", "b\n", "c"], ["1", "0", label]))
    assert sentence.startswith(f"row 3: label {label!r} is not allowed: allowed are 0 and 1, neg ")
    assert sentence.endswith("data.positive_label.")


@pytest.mark.parametrize("label", [2, -1, 0.5, float("inf"), 10**30, [1], {"stars": 1}])
def test_a_label_of_another_type_is_said_with_its_row(tmp_path: Path, label: Any) -> None:
    file = write(tmp_path / "a.jsonl", ["a", "b"], [1, label])
    assert refused(file).startswith(f"row 2: label {str(label)!r} is not allowed")


def test_a_long_label_is_cut_short_when_it_is_said(tmp_path: Path) -> None:
    assert len(refused(write(tmp_path / "a.csv", ["a"], ["x" * 10_000]))) < 300


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("third", ["so-so", "Good"])
def test_a_third_label_is_said_with_both_others(tmp_path: Path, name: str, third: str) -> None:
    file = write(tmp_path / name, list("abcd"), ["good", "bad", "bad", third])
    assert refused(file, positive="good") == (
        f"row 4: label {third!r} is neither data.positive_label=good nor 'bad', "
        "which stands for negative: there may be two labels."
    )


def test_a_third_label_in_another_file_is_noticed(tmp_path: Path) -> None:
    one = write(tmp_path / "1.csv", ["a", "b"], ["good", "bad"])
    two = write(tmp_path / "2.csv", ["a", "b"], ["good", "poor"])
    assert refused(one, two, positive="good").startswith("row 2: label 'poor' is neither ")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz", "a.parquet"])
@pytest.mark.parametrize("how", [{}, {"positive": "1"}])
def test_a_null_is_said_with_its_row(tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    no_text = write(tmp_path / name, ["a", None], [1, 0])
    sentence = "row 2: the text is missing: every review needs one."
    assert refused(no_text, **how) == sentence
    no_label = write(tmp_path / name, ["a", "b"], [1, None])
    assert refused(no_label, **how) == "row 2: the label is missing: every review needs one."


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
@pytest.mark.parametrize("how", [{}, {"positive": "1"}])
def test_a_label_that_is_left_out_is_said(
    tmp_path: Path, name: str, label: Any, how: dict[str, Any]
) -> None:
    """And does not stand for negative."""
    others = [1.0, 1.0] if isinstance(label, float) else ["1", "1"]
    file = write(tmp_path / name, ["a", "b", "c"], [*others, label])
    assert refused(file, **how) == "row 3: the label is missing: every review needs one."


def test_a_column_of_nulls_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", pa.nulls(2), [0, 1])
    assert refused(file) == "row 1: the text is missing: every review needs one."


@pytest.mark.parametrize(
    ("text", "said"), [(1, "1"), (1.5, "1.5"), (["a"], "['a']"), ({"a": "b"}, "{'a': 'b'}")]
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_text_that_is_no_string_is_said(tmp_path: Path, name: str, text: Any, said: str) -> None:
    assert refused(write(tmp_path / name, [text], [1])) == f"row 1: the text is {said}, no string."


def broken_utf8(name: str) -> bytes:
    """Three reviews, of which the second is no UTF-8."""
    if name.endswith(".parquet"):
        offsets = pa.py_buffer(np.array([0, 1, 3, 4], np.int32).tobytes())
        texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"ab\xffc")])
        return content(name, {"text": texts, "label": [1, 0, 1]})
    raw = content(name.removesuffix(".gz"), {"text": ["a\n", "b?", "c"], "label": [1, 0, 1]})
    raw = raw.replace(b"b?", b"b\xff")
    return gzip.compress(raw) if name.endswith(".gz") else raw


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
def test_text_that_is_no_utf8_is_said_with_its_row(tmp_path: Path, name: str) -> None:
    sentence = refused(holding(tmp_path, name, broken_utf8(name)))
    place = "row 2 (line 4): " if "sv" in name else "row 2: "
    assert sentence.startswith(place)
    assert sentence.endswith("is not UTF-8 (byte 0xff).")


def test_utf16_is_said(tmp_path: Path) -> None:
    file = holding(tmp_path, "a.csv", "text,label\na,1\n".encode("utf-16"))
    assert refused(file) == "the header: it is not UTF-8 (byte 0xff)."


def test_json_with_half_a_pair_in_bytes_is_no_utf8(tmp_path: Path) -> None:
    raw = b'{"text": "a", "label": 1}\n{"text": "\xed\xa0\xbd", "label": 1}\n'
    assert refused(holding(tmp_path, "a.jsonl", raw)) == "row 2: it is not UTF-8 (byte 0xed)."


def test_a_text_file_that_is_no_utf8_is_said(tmp_path: Path) -> None:
    holding(tmp_path, "0_9.txt", "Gut gespielt.")
    bad = holding(tmp_path, "1_9.txt", "Schön.".encode("latin-1"))
    with pytest.raises(InputError) as raised:
        list(read_folders([(tmp_path, 1)]))
    assert str(raised.value) == f"{bad}: it is not UTF-8 (byte 0xf6)."


def test_folders_of_texts_are_read_in_order_and_exactly(tmp_path: Path) -> None:
    for side in ("neg", "pos"):
        (tmp_path / side).mkdir()
    for number, text in enumerate(TEXTS):
        holding(tmp_path / "neg", f"{9 - number}_1.txt", text)
    holding(tmp_path / "pos", "0_9.txt", "other")
    holding(tmp_path / "pos", "urls.md", "no review")
    reviews = list(read_folders([(tmp_path / "neg", 0), (tmp_path / "pos", 1)]))
    assert reviews == [*(Review(text, 0) for text in TEXTS[::-1]), Review("other", 1)]


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 8, 50, 200, -100, -9, -8, -1])
def test_parquet_cut_short_is_said(tmp_path: Path, kept: int) -> None:
    raw = content("a.parquet", {"text": TEXTS, "label": LABELS})
    file = holding(tmp_path, "a.parquet", raw[:kept])
    assert refused(file).startswith("it cannot be read (")
    assert count_rows([file]) is None


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("kept", [1, 5, 10, 20, 100, -9, -8, -1])
def test_gzip_cut_short_is_said(tmp_path: Path, name: str, kept: int) -> None:
    raw = content(name, {"text": [f"film {row}" for row in range(200)], "label": [0, 1] * 100})
    assert refused(holding(tmp_path, name, raw[:kept])).startswith("it cannot be read (")


def flipped(raw: bytes, number: int, first: int = 0) -> Iterator[bytes]:
    places = random.Random(0)
    for _ in range(number):
        damaged = bytearray(raw)
        damaged[places.randrange(first, len(raw))] ^= places.randrange(1, 256)
        yield bytes(damaged)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_damaged_gzip_is_said(tmp_path: Path, name: str) -> None:
    raw = content(name, {"text": [f"film {row}" for row in range(200)], "label": [0, 1] * 100})
    for damaged in flipped(raw, 100, first=10):  # the first bytes hold a time and the like
        assert refused(holding(tmp_path, name, damaged))


def test_damaged_parquet_gives_reviews_or_a_sentence(tmp_path: Path) -> None:
    raw = content("a.parquet", {"text": ["A warm film.", "Dull, dull."] * 8, "label": [1, 0] * 8})
    file, said = tmp_path / "a.parquet", []
    for damaged in flipped(raw, 400):
        file.write_bytes(damaged)
        try:
            read(file)
        except InputError as error:
            said.append(str(error))
    assert len(said) > 200
    assert all(sentence.startswith(f"{file}: ") and "\n" not in sentence for sentence in said)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.jsonl.gz"])
def test_what_is_not_of_the_form_its_name_says_is_said(tmp_path: Path, name: str) -> None:
    assert refused(holding(tmp_path, name, "text,label\na,1\n")).startswith("it cannot be read (")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_files_with_other_columns_do_not_go_together(tmp_path: Path, name: str) -> None:
    one = write(tmp_path / f"1{name}", ["a"], [1])
    same = write(tmp_path / f"2{name}", [0], ["b"], names="label text")
    other = write(tmp_path / f"3{name}", ["c"], [1], ["x"], names="text label url")
    assert refused(one, same, other) == (
        f"its columns are text, label, url, but those of 1{name} are text, label: "
        "give files with the same columns."
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('"a,1\nb,0\n', "row 1 (line 2): a quote is opened and never closed."),
        ('a,1\nb,0\n"c,1', "row 3 (line 4): a quote is opened and never closed."),
        ('a,1\n"b,0\n"c",1\n', "row 2 (line 3): something stands behind a closing quote: "),
        ('a,1\n"b" c,0\n', "row 2 (line 3): something stands behind a closing quote: a quote "),
        ("a,1\nb\n", "row 2 (line 3) has 1 fields, but the header 2: a text that holds the sep"),
        ("a,1\nb, and more,0\n", "row 2 (line 3) has 3 fields, but the header 2: "),
        ("a,1\nb,0,\n", "row 2 (line 3) has 3 fields, but the header 2: "),
        ('"a\n\nb",1\n\n"c\nd"e,0\n', "row 2 (line 6): something stands behind a closing "),
        ("a,1\rb,0\n", "row 1 (line 2): a carriage return stands outside of quotes."),
        ("a,1\r\nb\r,0\r\n", "row 2 (line 3): a carriage return stands outside of quotes."),
    ],
)
@pytest.mark.parametrize("delimiter", ",\t")
def test_a_row_out_of_shape_is_said(tmp_path: Path, delimiter: str, rows: str, reason: str) -> None:
    raw = f"text,label\n{rows}".replace(",", delimiter)
    file = holding(tmp_path, "a.csv" if delimiter == "," else "a.tsv", raw)
    assert refused(file).startswith(reason)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('"text" x,label\n', "something stands behind a closing quote: a quote within a text is "),
        ('"text,label\na,1\n', "a quote is opened and never closed."),
        ("text,label\ra,1\rb,0\r", "a carriage return stands outside of quotes."),
        (b"text,l\xff\na,1\n", "it is not UTF-8 (byte 0xff)."),
    ],
)
def test_a_bad_header_is_said(tmp_path: Path, header: bytes | str, reason: str) -> None:
    assert refused(holding(tmp_path, "a.csv", header)).startswith(f"the header: {reason}")


def test_quotes_within_a_tsv_are_themselves_and_out_of_place_behind_a_first(tmp_path: Path) -> None:
    raw = 'text\tlabel\nA "great" film\t1\nHe said "hi\t0\n'
    file = holding(tmp_path, "a.tsv", raw)
    assert read(file) == [Review('A "great" film', 1), Review('He said "hi', 0)]
    assert refused(holding(tmp_path, "a.tsv", f'{raw}"Great" film\t1\n')) == (
        "row 3 (line 4): something stands behind a closing quote: "
        "a quote within a text is written twice."
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_empty_lines_go_before_and_behind_every_row(tmp_path: Path, name: str) -> None:
    raw = content(name, {"text": ["a"], "label": [1]}).replace(b"\n", b"\n\n")
    assert read(holding(tmp_path, name, raw)) == [Review("a", 1)]
    assert read(holding(tmp_path, name, b"\r\n\n" + raw)) == [Review("a", 1)]


def test_texts_are_as_long_as_they_like(tmp_path: Path) -> None:
    text = "very, " * 100_000
    assert read(write(tmp_path / "a.csv", [text], [1])) == [Review(text, 1)]


@pytest.fixture
def short_fields(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(formats, "LONGEST_FIELD", 1_000)
    before = csv.field_size_limit(1_000)
    assert before == 2**26
    yield
    csv.field_size_limit(before)


@pytest.mark.usefixtures("short_fields")
def test_an_open_quote_is_noticed_before_it_fills_the_memory(tmp_path: Path) -> None:
    rows = "".join(f"film {row},1\n" for row in range(10_000))
    file = holding(tmp_path, "a.csv", f'text,label\na,1\n"b,0\n{rows}')
    assert refused(file) == (
        "row 2 (line 3): a field is longer than 1,000 characters, so a quote may be left open."
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("text,label", "it is no JSON ("),
        ('{"text": "b", "label": 1', "it is no JSON ("),
        ('{"text": "b", "label": 1},', "it is no JSON ("),
        ("{'text': 'b', 'label': 1}", "it is no JSON ("),
        ("[" * 100_000, "it is no JSON ("),
        ("9" * 10_000, "it is no JSON ("),
        ('["b", 1]', "it is no JSON object, as each line must be."),
        ('"b"', "it is no JSON object, as each line must be."),
        ("null", "it is no JSON object, as each line must be."),
        ("1", "it is no JSON object, as each line must be."),
    ],
)
def test_a_line_that_is_no_json_object_is_said(tmp_path: Path, line: str, reason: str) -> None:
    raw = f'{{"text": "a", "label": 0}}\n\n{line}\n'
    assert refused(holding(tmp_path, "a.jsonl", raw)).startswith(f"row 2: {reason}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"label": 1}', "row 2: the text is missing: every review needs one."),
        ('{"text": "b", "Label": 1}', "row 2: the label is missing: every review needs one."),
    ],
)
def test_a_json_object_without_text_or_label_is_said(
    tmp_path: Path, line: str, reason: str
) -> None:
    assert refused(holding(tmp_path, "a.json", f'{{"text": "a", "label": 0}}\n{line}')) == reason


@pytest.mark.parametrize("before", ["", '{"text": "a", "label": 0}\n'])
def test_a_json_object_of_nothing_is_said(tmp_path: Path, before: str) -> None:
    sentence = refused(holding(tmp_path, "a.json", before + "{}\n"))
    assert "text is missing" in sentence or "no column text" in sentence
    assert not re.search("only *[.:]", sentence)


@pytest.mark.parametrize(
    ("indent", "reason"),
    [(None, "it is no JSON object, as each "), (2, "it is no JSON (Expecting value): each ")],
)
def test_an_array_of_json_is_said(tmp_path: Path, indent: int | None, reason: str) -> None:
    raw = json.dumps([{"text": "a", "label": 1}, {"text": "b", "label": 0}], indent=indent)
    sentence = refused(holding(tmp_path, "a.json", raw))
    assert sentence.startswith(f"row 1: {reason}")
    assert "each line " in sentence


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz"])
def test_an_empty_json_file_is_said(tmp_path: Path, name: str) -> None:
    raw = gzip.compress(b"\n\n") if name.endswith(".gz") else b"\n\n"
    assert refused(holding(tmp_path, name, raw)) == "it is empty."


@pytest.mark.parametrize("name", "a.txt a a.gz a.txt.gz csv a.csv.zip a.xlsx a.parquet.gz".split())
def test_a_form_that_is_not_known_is_said_with_those_that_are(tmp_path: Path, name: str) -> None:
    assert table_suffix(tmp_path / name) is None
    assert refused(holding(tmp_path, name, "text,label\na,1\n")) == (
        "its name ends in none of .csv, .tsv, .json, .jsonl, .ndjson, .parquet "
        "(all but the last also with .gz): so it is not known how to read it."
    )


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.csv", ".csv"), ("a.b.TSV.GZ", ".tsv"), ("a.json", ".json"), ("a b.Parquet", ".parquet")],
)
def test_the_name_says_the_form(name: str, suffix: str) -> None:
    assert table_suffix(Path("folder.csv") / name) == suffix


def test_only_parquet_knows_its_rows(tmp_path: Path) -> None:
    one, two = (write(tmp_path / f"{name}.parquet", TEXTS, LABELS) for name in "ab")
    other = write(tmp_path / "a.csv", TEXTS, LABELS)
    assert count_rows([one, two]) == 12
    assert count_rows([one, other]) is None
    assert count_rows([one, tmp_path / "absent.parquet"]) is None


def test_a_table_in_memory_is_said_by_its_name() -> None:
    table = pa.table({"text": ["a", "b"], "label": [1, -1]})
    with pytest.raises(InputError, match=r"^films, train: row 2: label '-1' is not allowed"):
        list(read_arrow("films, train", table))
    with pytest.raises(InputError, match=r"^films: there is no column said, only text, label: "):
        list(read_arrow("films", table, Columns(text="said")))
    assert [r.label for r in read_arrow("films", table, labelled=False)] == [-1, -1]


@pytest.mark.parametrize("text", ["Not bad.\nNot good.", "very, " * 1_000])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_first_row_in_the_place_of_the_header_is_said_in_short(
    tmp_path: Path, name: str, text: str
) -> None:
    columns = {text: ["b"], "pos": ["neg"]}
    assert len(refused(holding(tmp_path, name, content(name, columns)))) < 300


def test_a_column_that_occurs_twice_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([["a"], ["b"], [1]], ["text", "text", "label"]), file)
    assert refused(file) == "2 columns are named text: leave one of them."
    file = holding(tmp_path, "a.csv", "text,label,label,x,x\na,1,1,2,2\n")
    assert refused(file) == "2 columns are named label: leave one of them."
    assert read(file, labelled=False) == [Review("a", -1)]


def test_a_label_that_python_cannot_hold_is_said(tmp_path: Path) -> None:
    labels = pa.array([2**62], pa.timestamp("us"))
    assert refused(write(tmp_path / "a.parquet", ["a"], labels)).startswith("it cannot be read (")


def test_rows_of_damaged_parquet_are_not_known(tmp_path: Path) -> None:
    raw = content("a.parquet", {"text": TEXTS, "label": LABELS})
    for place in range(len(raw)):
        damaged = bytes([*raw[:place], raw[place] ^ 0xFF, *raw[place + 1 :]])
        count_rows([holding(tmp_path, "a.parquet", damaged)])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_an_empty_table_is_said(tmp_path: Path, name: str) -> None:
    assert refused(holding(tmp_path, name, b"")) == "it is empty."


def test_a_row_has_one_number_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    """Empty lines are not counted."""
    rows = "b,2", "b,", "b", '"b" c,1', '"b,1', "b\xff,1", "b\r,1"
    raws = (f"text,label\n\na,1\n{row}\n".encode("latin-1") for row in rows)
    said = [refused(holding(tmp_path, "a.csv", raw)) for raw in raws]
    assert all(re.match(r"row 2( \(line 4\))?[: ]", sentence) for sentence in said)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


@CHECKED
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
@given(
    texts=st.lists(
        st.text(min_size=1) | st.text(st.sampled_from('"\\,\t\r\n\0 é🎬'), min_size=1), min_size=1
    )
)
@example(texts=TEXTS)
def test_whatever_is_written_reads_back(folder: Path, name: str, texts: list[str]) -> None:
    labels = [len(text) % 2 for text in texts]
    file = write(folder / name, texts, labels)
    assert read(file) == [Review(*row) for row in zip(texts, labels, strict=True)]
    only = write(folder / name, texts, names="text")
    assert [review.text for review in read(only, labelled=False)] == texts
