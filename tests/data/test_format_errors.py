"""Files that cannot be read: every error names the file and the row, in one sentence."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lstm_sentiment.config import Quoting
from lstm_sentiment.data.delimited import TextFormat
from lstm_sentiment.data.formats import count_rows, read_folders, read_rows, table_suffix
from lstm_sentiment.errors import InputError
from tests.support.tables import read_reviews, refusal, table_bytes, write_bytes, write_columns

FILMS = {"text": [f"film {row}" for row in range(200)], "label": [0, 1] * 100}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet"])
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path / name)
    assert message.startswith("cannot be read (")
    assert "No such file or directory" in message


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_folder_in_place_of_a_file_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert "not a regular file" in refusal(tmp_path / name)


@pytest.mark.parametrize("name", "a.txt a a.gz a.txt.gz csv a.csv.zip a.xlsx a.parquet.gz".split())
def test_an_unknown_suffix_is_reported_with_the_known_ones(tmp_path: Path, name: str) -> None:
    assert table_suffix(tmp_path / name) is None
    message = refusal(write_bytes(tmp_path / name, "text,label\na,1\n"))
    assert "must end in .csv, .tsv, .json, .jsonl, .ndjson or .parquet" in message
    file = tmp_path / name.replace(".txt", ".text")  # read_rows reads text files, too
    with pytest.raises(InputError, match=f"^{re.escape(str(file))}: the file name must end in"):
        read_rows(file)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.jsonl.gz"])
def test_a_file_of_another_format_than_its_suffix_is_reported(tmp_path: Path, name: str) -> None:
    assert refusal(write_bytes(tmp_path / name, "text,label\na,1\n")).startswith("cannot be read (")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_files_with_different_columns_are_refused(tmp_path: Path, name: str) -> None:
    one = write_columns(tmp_path / f"1{name}", ["a"], [1])
    same = write_columns(tmp_path / f"2{name}", [0], ["b"], names="label text")
    other = write_columns(tmp_path / f"3{name}", ["c"], [1], ["x"], names="text label url")
    facts = f"the columns are text, label, url, but those of 1{name} are text, label"
    assert refusal(one, same, other).startswith(facts)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_an_empty_table_is_reported(tmp_path: Path, name: str) -> None:
    assert refusal(write_bytes(tmp_path / name, b"")) == "the file is empty."


def broken_utf8(name: str) -> bytes:
    """Return a file of three reviews of which the second is not UTF-8."""
    if name.endswith(".parquet"):
        offsets = pa.py_buffer(np.array([0, 1, 3, 4], np.int32).tobytes())
        texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"ab\xffc")])
        return table_bytes(name, {"text": texts, "label": [1, 0, 1]})
    raw = table_bytes(name.removesuffix(".gz"), {"text": ["a\n", "b?", "c"], "label": [1, 0, 1]})
    raw = raw.replace(b"b?", b"b\xff")
    return gzip.compress(raw) if name.endswith(".gz") else raw


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl", "a.parquet"])
def test_a_text_that_is_not_utf8_is_reported_with_its_row(tmp_path: Path, name: str) -> None:
    message = refusal(write_bytes(tmp_path / name, broken_utf8(name)))
    place = "row 2 (line 4): " if "sv" in name else "row 2: "
    assert message.startswith(place)
    assert "not UTF-8 (byte 0xff)" in message


def test_an_encoded_lone_surrogate_is_not_utf8(tmp_path: Path) -> None:
    raw = b'{"text": "a", "label": 1}\n{"text": "\xed\xa0\xbd", "label": 1}\n'
    assert refusal(write_bytes(tmp_path / "a.jsonl", raw)) == (
        "row 2: not UTF-8 (byte 0xed): JSON must be saved as UTF-8."
    )


def test_a_text_file_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    write_bytes(tmp_path / "0_9.txt", "Gut gespielt.")
    bad = write_bytes(tmp_path / "1_9.txt", "Schön.".encode("latin-1"))
    with pytest.raises(InputError) as raised:
        list(read_folders([(tmp_path, 1)]))
    assert str(raised.value) == f"{bad}: not UTF-8 (byte 0xf6)."


@pytest.mark.parametrize("length", [0, 1, 3, 4, 8, 50, 200, -100, -9, -8, -1])
def test_truncated_parquet_is_reported(tmp_path: Path, length: int) -> None:
    raw = table_bytes("a.parquet", FILMS)
    file = write_bytes(tmp_path / "a.parquet", raw[:length])
    assert refusal(file).startswith("cannot be read (")
    assert count_rows([file]) is None


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("length", [1, 5, 10, 20, 100, -9, -8, -1])
def test_truncated_gzip_is_reported(tmp_path: Path, name: str, length: int) -> None:
    raw = table_bytes(name, FILMS)
    assert refusal(write_bytes(tmp_path / name, raw[:length])).startswith("cannot be read (")


def with_changed_byte(raw: bytes, number: int, first: int = 0) -> Iterator[bytes]:
    """Yield copies in each of which one random byte is changed."""
    draw = random.Random(0)
    for _ in range(number):
        damaged = bytearray(raw)
        damaged[draw.randrange(first, len(raw))] ^= draw.randrange(1, 256)
        yield bytes(damaged)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_damaged_gzip_is_reported(tmp_path: Path, name: str) -> None:
    raw = table_bytes(name, FILMS)
    for damaged in with_changed_byte(raw, 100, first=10):  # the header holds a time
        assert refusal(write_bytes(tmp_path / name, damaged))


def test_damaged_parquet_is_read_or_reported(tmp_path: Path) -> None:
    raw = table_bytes(
        "a.parquet", {"text": ["A warm film.", "Dull, dull."] * 8, "label": [1, 0] * 8}
    )
    file, messages = tmp_path / "a.parquet", []
    for damaged in with_changed_byte(raw, 400):
        file.write_bytes(damaged)
        try:
            read_reviews(file)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 200
    assert all(text.startswith(f"{file}: ") and "\n" not in text for text in messages)


def test_counting_the_rows_of_damaged_parquet_never_raises(tmp_path: Path) -> None:
    """The number of rows is only shown; the damage is reported when the file is read."""
    columns = {"text": ["A warm film.", "Dull, dull."] * 3, "label": [1, 0] * 3}
    raw = table_bytes("a.parquet", columns)
    counts = []
    for place in range(len(raw)):
        damaged = bytes([*raw[:place], raw[place] ^ 0xFF, *raw[place + 1 :]])
        counts.append(count_rows([write_bytes(tmp_path / "a.parquet", damaged)]))
    assert all(count is None or isinstance(count, int) for count in counts)
    assert counts[-4:] == [None] * 4  # the magic number at the end
    assert 6 in counts  # damage of the data leaves the metadata intact


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('"a,1\nb,0\n', "row 1 (line 2): a quote is opened and never closed: "),
        ('a,1\nb,0\n"c,1', "row 3 (line 4): a quote is opened and never closed: "),
        ('a,1\n"b,0\n"c",1\n', "row 2 (line 3): text follows a closing quote: "),
        ('a,1\n"b" c,0\n', "row 2 (line 3): text follows a closing quote: write a quote "),
        ("a,1\nb\n", "row 2 (line 3): the number of fields is 1, but the header has 2: "),
        (
            "a,1\nb, and more,0\n",
            "row 2 (line 3): the number of fields is 3, but the header has 2: ",
        ),
        ("a,1\nb,0,\n", "row 2 (line 3): the number of fields is 3, but the header has 2: "),
        ('"a\n\nb",1\n\n"c\nd"e,0\n', "row 2 (line 6): text follows a closing "),
        ("a,1\rb,0\n", "row 1 (line 2): there is a carriage return outside of quotes."),
        ("a,1\r\nb\r,0\r\n", "row 2 (line 3): there is a carriage return outside of quotes."),
    ],
)
@pytest.mark.parametrize("delimiter", ",\t")
def test_a_malformed_row_is_reported(
    tmp_path: Path, delimiter: str, rows: str, reason: str
) -> None:
    raw = f"text,label\n{rows}".replace(",", delimiter)
    file = write_bytes(tmp_path / ("a.csv" if delimiter == "," else "a.tsv"), raw)
    assert refusal(file, text_format=TextFormat(quoting=Quoting.csv)).startswith(reason)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('"text" x,label\n', "text follows a closing quote: write a quote inside a text "),
        ('"text,label\na,1\n', "a quote is opened and never closed: "),
        ("text,label\ra,1\rb,0\r", "there is a carriage return outside of quotes."),
        (b"text,l\xff\na,1\n", "not UTF-8 (byte 0xff): "),
    ],
)
def test_a_malformed_header_is_reported(tmp_path: Path, header: bytes | str, reason: str) -> None:
    assert refusal(write_bytes(tmp_path / "a.csv", header)).startswith(f"the header: {reason}")


def test_every_error_of_a_row_has_the_same_place(tmp_path: Path) -> None:
    """Empty lines are not counted as rows."""
    rows = "b, ", "b,", "b", '"b" c,1', '"b,1', "b\xff,1", "b\r,1"
    raws = (f"text,label\n\na,1\n{row}\n".encode("latin-1") for row in rows)
    messages = [refusal(write_bytes(tmp_path / "a.csv", raw)) for raw in raws]
    assert all(re.match(r"row 2( \(line 4\))?: ", message) for message in messages)


def test_an_open_quote_is_noticed_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_LINE_BYTES", "1000")
    rows = "".join(f"film {row},1\n" for row in range(10_000))
    file = write_bytes(tmp_path / "a.csv", f'text,label\na,1\n"b,0\n{rows}')
    assert refusal(file).startswith("row 2 (line 3): it is longer than 1,000 bytes")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("text,label", "not valid JSON ("),
        ('{"text": "b", "label": 1', "not valid JSON ("),
        ('{"text": "b", "label": 1},', "not valid JSON ("),
        ("{'text': 'b', 'label': 1}", "not valid JSON ("),
        ("[" * 100_000, "not valid JSON ("),
        ("9" * 10_000, "not valid JSON ("),
        ('["b", 1]', "not a JSON object"),
        ('"b"', "not a JSON object"),
        ("null", "not a JSON object"),
        ("1", "not a JSON object"),
    ],
)
def test_a_line_that_is_not_a_json_object_is_reported(
    tmp_path: Path, line: str, reason: str
) -> None:
    raw = f'{{"text": "a", "label": 0}}\n\n{line}\n'
    assert refusal(write_bytes(tmp_path / "a.jsonl", raw)).startswith(f"row 2: {reason}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"label": 1}', "row 2: the text is missing"),
        ('{"text": "b", "Label": 1}', "row 2: the label is missing"),
    ],
)
def test_a_json_object_without_text_or_label_is_reported(
    tmp_path: Path, line: str, reason: str
) -> None:
    file = write_bytes(tmp_path / "a.json", f'{{"text": "a", "label": 0}}\n{line}')
    assert refusal(file).startswith(reason)


@pytest.mark.parametrize("before", ["", '{"text": "a", "label": 0}\n'])
def test_an_empty_json_object_is_reported(tmp_path: Path, before: str) -> None:
    message = refusal(write_bytes(tmp_path / "a.json", before + "{}\n"))
    assert "text is missing" in message or "no column text or review (columns: none)" in message


@pytest.mark.parametrize(
    ("indent", "reason"),
    [(None, "not a JSON object"), (2, "not valid JSON (Expecting value)")],
)
def test_a_json_array_is_reported(tmp_path: Path, indent: int | None, reason: str) -> None:
    raw = json.dumps([{"text": "a", "label": 1}, {"text": "b", "label": 0}], indent=indent)
    message = refusal(write_bytes(tmp_path / "a.json", raw))
    assert message.startswith(f"row 1: {reason}")
    assert "each line must hold one" in message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz"])
def test_an_empty_json_file_is_reported(tmp_path: Path, name: str) -> None:
    raw = gzip.compress(b"\n\n") if name.endswith(".gz") else b"\n\n"
    assert refusal(write_bytes(tmp_path / name, raw)) == "the file is empty."


def test_a_value_that_python_cannot_represent_is_reported(tmp_path: Path) -> None:
    labels = pa.array([2**62], pa.timestamp("us"))
    assert refusal(write_columns(tmp_path / "a.parquet", ["a"], labels)).startswith(
        "cannot be read ("
    )
