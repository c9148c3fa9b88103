"""Files with predictions: every row, in its order, written completely or not at all."""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.config import Config, Quoting
from lstm_sentiment.data import parquet
from lstm_sentiment.data.columns import Columns
from lstm_sentiment.data.delimited import TextFormat
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY
from lstm_sentiment.serving import file_prediction
from lstm_sentiment.serving.file_prediction import (
    in_chunks,
    predict_file,
    predict_stream,
    read_texts,
)
from lstm_sentiment.serving.file_reading import COLUMN_OPTIONS, FileReading
from lstm_sentiment.serving.predictor import Prediction, Predictor
from lstm_sentiment.serving.table_output import InputTable
from tests.support.displays import RecordingDisplay
from tests.support.networks import TEXTS, predictor
from tests.support.tables import table_bytes, write_bytes

Make = Callable[..., Config]
AS_USUAL = FileReading()
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@pytest.fixture
def network(tiny: Make, tmp_path: Path) -> Predictor:
    return predictor(tmp_path / "run", tiny())


def write(file: Path, columns: dict[str, list[Any]]) -> Path:
    return write_bytes(file, table_bytes(file.name, columns))


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    with file.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream, delimiter="," if file.suffix == ".csv" else "\t"))


@pytest.mark.parametrize("output", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_rows_keep_their_order_and_their_columns(
    network: Predictor, tmp_path: Path, source: str, output: str
) -> None:
    numbers = list(range(len(TEXTS)))
    file = write(tmp_path / f"in{source}", {"id": numbers, "Review": TEXTS, "more": TEXTS[::-1]})
    display = RecordingDisplay()
    out = tmp_path / f"out{output}"
    assert predict_file(network, file, out, AS_USUAL, display) == (len(TEXTS), 1)
    [bar] = display.bars
    assert bar.total == (len(TEXTS) if source == ".parquet" else None)
    assert bar.steps == [len(TEXTS)]
    rows = read(out)
    assert [*rows[0]] == ["id", "Review", "more", "label", "probability"]
    assert [int(row["id"]) for row in rows] == numbers
    assert [row["Review"] or "" for row in rows] == TEXTS
    assert [row["more"] or "" for row in rows] == TEXTS[::-1]
    for row, text, prediction in zip(rows, TEXTS, network.predict(TEXTS), strict=True):
        if text:
            assert row["label"] == prediction.label
            assert float(row["probability"]) == pytest.approx(prediction.probability, abs=1e-6)
        else:
            assert not row["label"]
            assert not row["probability"]


def test_columns_of_a_parquet_file_keep_their_types(network: Predictor, tmp_path: Path) -> None:
    """Nanoseconds, categories, bytes and the metadata of the schema are kept, too."""
    table = pa.table(
        {
            "text": pa.array(["good", None], pa.large_string()),
            "stars": pa.array([5, None], pa.int8()),
            "raw": pa.array([b"\xff", b"a"], pa.binary()),
            "tags": pa.array([["a"], []], pa.list_(pa.string())),
            "time": pa.array([1_000_000_001, None], pa.time64("ns")),
            "seen": pa.array([1_600_000_000_000_000_007, None], pa.timestamp("ns", "UTC")),
            "price": pa.array([Decimal("1.10"), None], pa.decimal128(5, 2)),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
        }
    ).replace_schema_metadata({"about": "reviews"})
    pq.write_table(table, tmp_path / "in.parquet")
    predict_file(network, tmp_path / "in.parquet", tmp_path / "out.parquet", AS_USUAL)
    output = pq.read_table(tmp_path / "out.parquet")
    original = pq.read_table(tmp_path / "in.parquet")
    assert output.drop_columns(["label", "probability"]).equals(original, check_metadata=True)
    assert output.schema.field("probability").type == pa.float64()
    assert output["label"].to_pylist()[1] is None
    pq.write_table(table.drop_columns("raw"), tmp_path / "in.parquet")
    predict_file(network, tmp_path / "in.parquet", tmp_path / "out.csv", AS_USUAL)
    first, second = read(tmp_path / "out.csv")
    assert (first["tags"], second["tags"]) == ('["a"]', "[]")
    assert first["time"] == "00:00:01.000000001"
    assert first["seen"].startswith("2020-09-13 12:26:40.000000007")
    assert first["price"] == "1.10"


def test_a_parquet_file_is_copied_across_its_batches(
    network: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(file_prediction, "CHARACTERS", 30)
    columns = {"id": list(range(50)), "text": [f"good {'film ' * (n % 7)}" for n in range(50)]}
    file = write(tmp_path / "in.parquet", columns)
    predict_file(network, file, tmp_path / "out.parquet", AS_USUAL)
    rows = read(tmp_path / "out.parquet")
    assert [row["id"] for row in rows] == columns["id"]
    expected = network.predict(columns["text"])
    assert [row["label"] for row in rows] == [prediction.label for prediction in expected]


def test_unusual_texts_are_predicted(network: Predictor, tmp_path: Path) -> None:
    """Texts may be missing, of another type, or far longer than max_length."""
    lines = [
        b'{"id": 1, "text": "good"}',
        b'{"id": 2, "text": null}',
        b'{"id": 3}',
        b'{"id": 4, "text": 12}',
        b'{"id": 5, "text": " \\n"}',
        b'{"id": 6, "text": "' + b"dull " * 20_000 + b'"}',
        b'{"id": 7, "text": {"a": ["b"]}}',
    ]
    file = write_bytes(tmp_path / "in.jsonl", b"\n".join(lines))
    for suffix in SUFFIXES:
        out = tmp_path / f"out{suffix}"
        assert predict_file(network, file, out, AS_USUAL) == (7, 3)
        assert [int(row["id"]) for row in read(out)] == list(range(1, 8))
        labelled = [bool(row["label"]) for row in read(out)]
        assert labelled == [True, False, False, True, False, True, True]


# What comes back


COPIED = [
    # A carriage return in a field, and quotes that are not needed.
    ("in.csv", b'id,text\n1,"a\rb"\n"2","plain"\n', b'id,text{}\n1,"a\rb"{}\n"2","plain"{}\n'),
    # The line ends and the delimiter of Excel, and a last line without an end.
    ("in.csv", b"text;n\r\ngood;1,5\r\nbad;2", b"text;n{}\r\ngood;1,5{}\r\nbad;2{}"),
    # Byte order marks.
    ("in.csv", b"\xef\xbb\xbftext,n\na,1\n", b"\xef\xbb\xbftext,n{}\na,1{}\n"),
    # Each line of one column is a row, and empty lines of several columns are none.
    ("in.csv", b"text\na\n\nb\n\n", b"text{}\na{}\n{}\nb{}\n{}\n"),
    ("in.csv", b"\ntext,n\n\na,1\n\n\nb,2\n\n", b"\ntext,n{}\n\na,1{}\n\n\nb,2{}\n\n"),
    # Fields that look alike to a reader of CSV.
    ("in.csv", b'text,n,m\na,,""\n,00,1.10\n', b'text,n,m{}\na,,""{}\n,00,1.10{}\n'),
    ("in.tsv", b"text\tn\na\t 1\n", b"text\tn{}\na\t 1{}\n"),
]


@pytest.mark.parametrize(("name", "content", "expected"), COPIED)
def test_a_delimited_file_comes_back_byte_for_byte(
    network: Predictor, tmp_path: Path, name: str, content: bytes, expected: bytes
) -> None:
    """The predictions are appended to the rows; nothing else changes."""
    check_copy(network, tmp_path, name, content, expected, AS_USUAL)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [*product(["cp1252", "utf-16", "utf-16-le", "utf-8-sig"], ["José’s"]), ("shift-jis", "山田")],
)
def test_a_file_comes_back_in_its_own_encoding(
    network: Predictor, tmp_path: Path, encoding: str, name: str
) -> None:
    reading = FileReading(text_format=TextFormat(encoding=encoding, prefix="--"))
    content = f"name,text\n{name},good {name}\n".encode(encoding)
    expected = f"name,text{{}}\n{name},good {name}{{}}\n".encode(encoding)
    check_copy(network, tmp_path, "in.csv", content, expected, reading, encoding)


def test_quotes_come_back_from_a_file_without_quoting(network: Predictor, tmp_path: Path) -> None:
    content = b'text\tid\n"He called it \\"lovely\\""\t1\n"open\t2\n'
    expected = b'text\tid{}\n"He called it \\"lovely\\""\t1{}\n"open\t2{}\n'
    reading = FileReading(text_format=TextFormat(quoting=Quoting.none, prefix="--"))
    check_copy(network, tmp_path, "in.tsv", content, expected, reading)


def check_copy(
    network: Predictor,
    folder: Path,
    name: str,
    content: bytes,
    expected: bytes,
    reading: FileReading,
    encoding: str = "utf-8",
) -> None:
    """Check that the output is `expected` with the new cells in the place of each {}."""
    file = write_bytes(folder / name, content)
    out = folder / f"out{file.suffix}"
    count, _ = predict_file(network, file, out, reading)
    text, template = out.read_bytes().decode(encoding), expected.decode(encoding)
    header, *rows = map(re.escape, template.split("{}"))
    assert len(rows) == count + 1
    cells = r"[,;\t](negative|positive)?[,;\t][\d.e-]*"
    assert re.fullmatch(f"{header}[,;\t]label[,;\t]probability{cells.join(rows)}", text)


def test_json_lines_keep_their_keys_and_their_spelling(network: Predictor, tmp_path: Path) -> None:
    """Keys may be first seen in later rows, and a key `label` of a row is not replaced."""
    lines = [
        '{"text": "A gem.", "id": 1}',
        '{"text":"A bore.","id":1e2,"stars":1.10, "big": 123456789012345678901234567890 }',
        "",
        '{"id": 3, "text": "\\ud800", "label": "mine", "probability": null}',
        "{}",
    ]
    file = write_bytes(tmp_path / "in.ndjson", "\r\n".join(lines))
    out = tmp_path / "out.jsonl"
    assert predict_file(network, file, out, AS_USUAL) == (4, 1)
    pattern = r',? ?"predicted_label": [^,]*, "predicted_probability": [^,]*(?=})'
    copied = out.read_bytes().decode()
    assert len(re.findall(pattern, copied)) == 4
    assert re.sub(pattern, "", copied).replace(" }", "}") == "\r\n".join(lines).replace(" }", "}")
    for line, row in zip(filter(None, lines), filter(None, copied.splitlines()), strict=True):
        assert json.loads(row).items() >= json.loads(line).items()
    file.write_text("\n".join(filter(None, lines[:3])))
    predict_file(network, file, tmp_path / "out.csv", AS_USUAL)
    assert [row["stars"] for row in read(tmp_path / "out.csv")] == ["", "1.1"]


@pytest.mark.parametrize(
    ("name", "content", "output", "problem"),
    [
        ("in.csv", "name,text\nJosé,bon\n".encode("cp1252"), "out.csv", "row 1 .*0xe9.*--encoding"),
        ("in.jsonl", b'{"text": "a"}\n{"text": "\xff"}', "out.jsonl", "row 2: .*0xff.*UTF-8"),
        ("in.jsonl", b'{"text": "a", "b": "\\ud800"}', "out.csv", "row 1, column b: .*format of"),
        ("in.parquet", [b"a", b"\xff"], "out.csv", "row 2: the text is not UTF-8 .byte 0xff"),
    ],
)
def test_what_cannot_come_back_is_refused(
    network: Predictor, tmp_path: Path, name: str, content: Any, output: str, problem: str
) -> None:
    """The message names the row, the byte and the remedy."""
    if isinstance(content, list):
        content = table_bytes(name, {"text": content})
    file = write_bytes(tmp_path / name, content)
    with pytest.raises(InputError, match=f"{name}: {problem}"):
        predict_file(network, file, tmp_path / output, AS_USUAL)
    assert not (tmp_path / output).exists()


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    table=st.integers(1, 3).flatmap(
        lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=6)
    ),
    delimiter=st.sampled_from(",;\t"),
    terminator=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_MINIMAL]),
    output=st.sampled_from(SUFFIXES),
)
def test_the_columns_of_any_table_come_back(
    table: list[tuple[str, ...]], delimiter: str, terminator: str, quoting: Any, output: str
) -> None:
    """As read by the module csv and by pandas, and in every format of the output."""
    names = ["text", "other", "more"][: len(table[0])]
    delimiter = delimiter if len(names) > 1 else ","  # a single column shows no delimiter
    with TemporaryDirectory() as scratch:
        file, out = Path(scratch, "in.csv"), Path(scratch, f"out{output}")
        with file.open("w", newline="", encoding="utf-8") as stream:
            # Characters of the terminator are quoted.
            writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
            writer.writerows([names, *table])
        file.write_bytes(file.read_bytes().replace(b"\r\n", terminator.encode()))
        rows = read_delimited(file, delimiter)
        predict_file(Always(), file, out, AS_USUAL)  # type: ignore[arg-type]
        if output == ".csv":
            assert [row[:-2] for row in read_delimited(out, delimiter)] == rows
            options: Any = {"sep": delimiter, "dtype": str, "keep_default_na": False}
            if len(names) > 1:  # pandas leaves out empty lines
                before, after = pd.read_csv(file, **options), pd.read_csv(out, **options)
                pd.testing.assert_frame_equal(after[names], before)
        else:
            copied = [[row[name] or "" for name in names] for row in read(out)]
            assert copied == rows[1:]


def read_delimited(file: Path, delimiter: str) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream, delimiter=delimiter))
    width = len(rows[0])
    return [row or [""] for row in rows if row or width == 1]


class Always:
    """A predictor that classifies every text as positive."""

    classes = BINARY

    def predict(self, texts: list[str], weights: bool = False) -> list[Prediction]:
        return [Prediction("positive", 0.75) for _ in texts]


def test_any_number_of_columns_may_have_the_names_of_new_ones() -> None:
    used = [f"{'predicted_' * count}label" for count in range(1_500)]
    table = InputTable(Path("in.csv"), SimpleNamespace(names=used))  # type: ignore[arg-type]
    assert table.new_names == [f"predicted_{used[-1]}", "probability"]


def test_existing_columns_of_the_same_names_are_kept(network: Predictor, tmp_path: Path) -> None:
    columns = {"text": ["good"], "label": ["mine"], "probability": ["certain"]}
    out = tmp_path / "out.csv"
    predict_file(network, write(tmp_path / "in.csv", columns), out, AS_USUAL)
    assert [*read(out)[0]] == [*columns, "predicted_label", "predicted_probability"]
    assert read(out)[0]["label"] == "mine"
    again = tmp_path / "again.parquet"
    predict_file(network, out, again, AS_USUAL)
    assert read(again)[0]["predicted_predicted_label"] == read(out)[0]["predicted_label"]


def test_each_line_of_a_text_file_is_a_row(network: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "in.txt.gz"
    file.write_bytes(gzip.compress(b'\xef\xbb\xbfgood film\r\n\nnot good\n,"\n'))
    assert list(read_texts(file, AS_USUAL)) == ["good film", None, "not good", ',"']
    assert predict_file(network, file, tmp_path / "out.csv", AS_USUAL) == (4, 1)
    texts = [row["text"] for row in read(tmp_path / "out.csv")]
    assert texts == ["good film", "", "not good", ',"']


def test_a_table_without_rows_gives_a_header(network: Predictor, tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        file = write(tmp_path / f"in{suffix}", {"id": [], "text": []})
        output = tmp_path / f"from_{suffix[1:]}.csv"
        assert predict_file(network, file, output, AS_USUAL) == (0, 0)
        assert output.read_text() == "id,text,label,probability\n"


@pytest.mark.parametrize("kind", ["itself", "symlink", "hard link"])
def test_the_output_may_not_be_the_input(network: Predictor, tmp_path: Path, kind: str) -> None:
    file = output = write(tmp_path / "in.csv", {"text": TEXTS})
    content = file.read_bytes()
    if kind != "itself":
        output = tmp_path / "link.csv"
        output.symlink_to(file) if kind == "symlink" else output.hardlink_to(file)
    with pytest.raises(InputError, match="-o .* is the input itself"):
        predict_file(network, file, output, AS_USUAL)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "column", "output", "problem"),
    [
        ('text\ngood\n"open\n', None, "out.csv", "in.csv: row 2 .*quote"),
        ("text,id\na,1\nb\n", None, "out.csv", "in.csv: row 2 .*fields"),
        ("", None, "out.csv", "in.csv: .*empty"),
        ("a,b\n1,2\n", None, "out.csv", "in.csv: .*text or review.* a, b.*--column"),
        ("a,b\n1,2\n", "c", "out.csv", "in.csv: .*column c.* a, b"),
        ("text,x,x\n1,2,3\n", None, "out.csv", "in.csv: .*more than one column.* x"),
        ("text\na\n", None, "out.xlsx", r"\.csv, \.tsv, \.jsonl, \.parquet.*out\.xlsx"),
        ("text\na\n", None, "no/out.csv", "no/out.csv cannot be written"),
    ],
)
def test_an_error_leaves_existing_files_alone(
    network: Predictor,
    tmp_path: Path,
    content: str,
    column: str | None,
    output: str,
    problem: str,
) -> None:
    (tmp_path / "in.csv").write_text(content)
    (tmp_path / "out.csv").write_text("an older output")
    names = {path.name for path in tmp_path.iterdir()}
    reading = FileReading(Columns(column, options=COLUMN_OPTIONS))
    with pytest.raises(InputError, match=problem) as caught:
        predict_file(network, tmp_path / "in.csv", tmp_path / output, reading, overwrite=True)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "out.csv").read_text() == "an older output"


def test_parts_are_bounded_in_rows_and_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_prediction, "CHARACTERS", 10)
    rows = [["abc"], [None], ["x" * 30], ["a"], [b"b"], ["c"]]
    assert [len(chunk) for chunk in in_chunks(iter(rows), size=2)] == [2, 1, 2, 1]
    assert list(in_chunks(iter([]))) == []


def test_a_stream_is_read_part_by_part(network: Predictor) -> None:
    consumed: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS:
            consumed.append(text)
            yield text

    first = next(predict_stream(network, texts(), chunk_size=1))
    assert consumed == TEXTS[:1]
    assert first == (TEXTS[0], network.predict(TEXTS[0]))
    assert [text for text, _ in predict_stream(network, iter(TEXTS), chunk_size=3)] == TEXTS


def test_values_of_other_columns_need_not_be_representable(
    tiny: Callable[..., Config], tmp_path: Path
) -> None:
    """A copy of a Parquet file keeps moments that Python's datetime cannot represent."""
    moments = pa.array([2**62, None], pa.timestamp("us"))
    file, output = tmp_path / "a.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"text": ["Good.", "Bad."], "moment": moments}), file)
    predict_file(predictor(tmp_path / "run", tiny()), file, output, FileReading())
    assert pq.read_table(output)["moment"].combine_chunks().equals(moments)
