"""Formats of reviews: CSV, TSV, JSON Lines, Parquet, tables in memory and folders of texts."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_sentiment.config import Quoting
from lstm_sentiment.data import parquet
from lstm_sentiment.data.columns import Columns, Review
from lstm_sentiment.data.delimited import TextFormat
from lstm_sentiment.data.formats import (
    count_rows,
    read_arrow,
    read_folders,
    read_tables,
    table_suffix,
)
from lstm_sentiment.errors import InputError
from tests.support.tables import (
    NumberedReview,
    numbered,
    read_reviews,
    refusal,
    table_bytes,
    write_bytes,
    write_columns,
)

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


REVIEWS = [NumberedReview(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]


NAMES = (
    "a.csv a.csv.gz a.tsv a.TSV.GZ a.json a.json.gz a.jsonl a.jsonl.gz a.ndjson a.ndjson.gz "
    "a.parquet A.CSV"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_every_format_preserves_texts_and_labels(tmp_path: Path, name: str) -> None:
    assert read_reviews(write_columns(tmp_path / name, TEXTS, LABELS)) == REVIEWS


@pytest.mark.parametrize("name", NAMES)
def test_unlabelled_reviews_need_no_label_column(tmp_path: Path, name: str) -> None:
    file = write_columns(tmp_path / name, TEXTS, names="text")
    assert read_reviews(file, labelled=False) == [NumberedReview(text, None) for text in TEXTS]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.jsonl"])
def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path, name: str) -> None:
    columns = {"text": TEXTS, "label": LABELS}
    raw = b"\xef\xbb\xbf" + table_bytes(name.removesuffix(".gz"), columns)
    file = write_bytes(tmp_path / name, gzip.compress(raw) if name.endswith(".gz") else raw)
    assert read_reviews(file) == REVIEWS


def test_a_csv_file_with_quotes_empty_lines_and_further_columns(tmp_path: Path) -> None:
    raw = (
        '\ufeff"label", note,"text"\r\n'
        '"neg",,"It ""sank"", I fear,\r\nand \0 nobody\n\n cared."\r\n'
        "\r\n"
        'pos,"a,b",It floats "well"\r\n'
        "\r\n"
    )
    assert read_reviews(write_bytes(tmp_path / "a.csv", raw)) == [
        NumberedReview('It "sank", I fear,\r\nand \0 nobody\n\n cared.', 0),
        NumberedReview('It floats "well"', 1),
    ]


def test_json_objects_may_differ_in_order_and_further_fields(tmp_path: Path) -> None:
    raw = (
        '{"text": "\\u6620\\ud83c\\udfac\\n", "label": 1}\n\n \r\n'
        '{"x": [1], "label": "neg", "text": "b\u2028c"}'
    )
    assert read_reviews(write_bytes(tmp_path / "a.jsonl", raw)) == [
        NumberedReview("映🎬\n", 1),
        NumberedReview("b\u2028c", 0),
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("dictionary", [False, True])
def test_arrow_types_of_texts_are_equivalent(
    tmp_path: Path, kind: pa.DataType, dictionary: bool
) -> None:
    texts = pa.array(TEXTS, pa.string()).cast(kind)
    labels = pa.array(["neg", "pos"]).take(pa.array(LABELS)).cast(pa.large_string())
    if dictionary:
        texts, labels = texts.dictionary_encode(), labels.dictionary_encode()
    assert read_reviews(write_columns(tmp_path / "a.parquet", texts, labels)) == REVIEWS
    table = pa.table({"text": texts, "label": labels})
    assert numbered(list(read_arrow("films", table))) == REVIEWS


def test_only_the_slice_of_a_table_is_read() -> None:
    table = pa.table({"text": pa.array(TEXTS).dictionary_encode(), "label": LABELS})
    assert numbered(list(read_arrow("films", table.slice(2, 3)))) == REVIEWS[2:5]


def test_several_files_are_one_table_in_the_given_order(tmp_path: Path) -> None:
    one = write_columns(tmp_path / "z.csv", TEXTS[:2], LABELS[:2])
    two = write_columns(tmp_path / "a.csv.gz", LABELS[2:4], TEXTS[2:4], names="label text")
    three = write_columns(tmp_path / "m.parquet", TEXTS[4:], LABELS[4:])
    assert read_reviews(one, two, three) == REVIEWS


def test_json_files_may_differ_in_further_fields(tmp_path: Path) -> None:
    one = write_columns(tmp_path / "1.jsonl", ["a"], [1], ["x"], names="text label url")
    assert read_reviews(one, write_columns(tmp_path / "2.jsonl", ["b"], [0])) == [
        NumberedReview("a", 1),
        NumberedReview("b", 0),
    ]


def test_reviews_are_read_lazily(tmp_path: Path) -> None:
    one, broken = write_columns(tmp_path / "1.csv", ["a"], [1]), tmp_path / "2.csv"
    reviews = read_tables([one, broken])
    assert next(reviews) == Review("a", "1")
    with pytest.raises(InputError, match=r"2\.csv: cannot be read \(No such file or directory"):
        next(reviews)


def test_rows_keep_their_order_and_numbers_across_batches(tmp_path: Path) -> None:
    number = 2 * parquet.ROWS_AT_ONCE + 500
    texts, labels = [f"film {row}" for row in range(number)], [row % 2 for row in range(number)]
    file = write_columns(tmp_path / "a.parquet", texts, labels)
    assert [review.text for review in read_reviews(file)] == texts
    labels[2_001] = 2
    assert refusal(write_columns(file, texts, labels), classes=("0", "1")).startswith(
        "row 2002: label '2' is not one of"
    )


def test_folders_of_text_files_are_read_in_order(tmp_path: Path) -> None:
    for side in ("neg", "pos"):
        (tmp_path / side).mkdir()
    for number, text in enumerate(TEXTS):
        write_bytes(tmp_path / "neg" / f"{9 - number}_1.txt", text)
    write_bytes(tmp_path / "pos" / "0_9.txt", "other")
    write_bytes(tmp_path / "pos" / "urls.md", "no review")
    reviews = list(read_folders([(tmp_path / "neg", "neg"), (tmp_path / "pos", "pos")]))
    assert reviews == [*(Review(text, "neg") for text in TEXTS[::-1]), Review("other", "pos")]


def test_quotes_inside_a_field_are_text_and_quotes_around_it_are_not(tmp_path: Path) -> None:
    raw = 'text\tlabel\nA "great" film\t1\nHe said "hi\t0\n'
    file = write_bytes(tmp_path / "a.tsv", raw)
    assert read_reviews(file) == [
        NumberedReview('A "great" film', 1),
        NumberedReview('He said "hi', 0),
    ]
    file = write_bytes(tmp_path / "a.tsv", f'{raw}"Great" film\t1\n')
    message = refusal(file, text_format=TextFormat(quoting=Quoting.csv))
    assert message.startswith("row 3 (line 4): text follows a closing quote")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_empty_lines_are_ignored(tmp_path: Path, name: str) -> None:
    raw = table_bytes(name, {"text": ["a"], "label": [1]}).replace(b"\n", b"\n\n")
    assert read_reviews(write_bytes(tmp_path / name, raw)) == [NumberedReview("a", 1)]
    assert read_reviews(write_bytes(tmp_path / name, b"\r\n\n" + raw)) == [NumberedReview("a", 1)]


def test_texts_may_be_long(tmp_path: Path) -> None:
    text = "very, " * 100_000
    assert read_reviews(write_columns(tmp_path / "a.csv", [text], [1])) == [NumberedReview(text, 1)]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.csv", ".csv"), ("a.b.TSV.GZ", ".tsv"), ("a.json", ".json"), ("a b.Parquet", ".parquet")],
)
def test_the_suffix_names_the_format(name: str, suffix: str) -> None:
    assert table_suffix(Path("folder.csv") / name) == suffix


def test_only_parquet_files_have_their_rows_counted(tmp_path: Path) -> None:
    one, two = (write_columns(tmp_path / f"{name}.parquet", TEXTS, LABELS) for name in "ab")
    other = write_columns(tmp_path / "a.csv", TEXTS, LABELS)
    assert count_rows([one, two]) == 12
    assert count_rows([one, other]) is None
    assert count_rows([one, tmp_path / "absent.parquet"]) is None


def test_errors_in_a_table_in_memory_have_its_name() -> None:
    table = pa.table({"text": ["a", "b"], "label": [1, -1]})
    with pytest.raises(InputError, match=r"^films, train: row 2: label '-1' is not one of"):
        list(read_arrow("films, train", table, Columns(classes=("0", "1"))))
    with pytest.raises(
        InputError, match=r"^films: there is no column answer \(columns: text, label"
    ):
        list(read_arrow("films", table, Columns(text="answer")))
    assert [r.label for r in read_arrow("films", table, labelled=False)] == [None, None]


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
def test_every_text_can_be_written_and_read_back(folder: Path, name: str, texts: list[str]) -> None:
    labels = [len(text) % 2 for text in texts]
    file = write_columns(folder / name, texts, labels)
    assert read_reviews(file) == [NumberedReview(*row) for row in zip(texts, labels, strict=True)]
    only = write_columns(folder / name, texts, names="text")
    assert [review.text for review in read_reviews(only, labelled=False)] == texts
