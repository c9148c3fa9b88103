"""Files with predictions: every row, in its order, written completely or not at all."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving import file_prediction
from lstm_sentiment.serving.file_prediction import (
    in_chunks,
    predict_file,
    predict_stream,
    read_texts,
)
from lstm_sentiment.serving.predictor import Predictor
from tests.support.displays import RecordingDisplay
from tests.support.networks import TEXTS, predictor
from tests.support.tables import table_bytes, write_bytes

Make = Callable[..., Config]
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
    with file.open(newline="") as stream:
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
    assert predict_file(network, file, None, out, display) == len(TEXTS)
    [bar] = display.bars
    assert bar.total == (len(TEXTS) if source == ".parquet" else None)
    assert bar.steps == [len(TEXTS)]
    rows = read(out)
    assert [*rows[0]] == ["id", "Review", "more", "label", "probability"]
    assert [int(row["id"]) for row in rows] == numbers
    assert [row["Review"] or "" for row in rows] == TEXTS
    assert [row["more"] or "" for row in rows] == TEXTS[::-1]
    for row, prediction in zip(rows, network.predict(TEXTS), strict=True):
        assert row["label"] == prediction.label
        assert float(row["probability"]) == pytest.approx(prediction.probability, abs=1e-6)


def test_columns_of_a_parquet_file_keep_their_types(network: Predictor, tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["good", None], pa.large_string()),
            "stars": pa.array([5, None], pa.int8()),
            "raw": pa.array([b"\xff", b"a"], pa.binary()),
            "tags": pa.array([["a"], []], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    predict_file(network, tmp_path / "in.parquet", None, tmp_path / "out.parquet")
    output = pq.read_table(tmp_path / "out.parquet")
    assert output.select(range(4)).equals(table)
    assert output.schema.field("probability").type == pa.float64()
    predict_file(network, tmp_path / "in.parquet", None, tmp_path / "out.csv")
    assert [row["tags"] for row in read(tmp_path / "out.csv")] == ['["a"]', "[]"]
    assert [row["raw"] for row in read(tmp_path / "out.csv")] == ["\ufffd", "a"]


def test_unusual_texts_are_predicted(network: Predictor, tmp_path: Path) -> None:
    """Texts may be missing, of another type, not UTF-8, or far longer than max_length."""
    lines = [
        b'{"id": 1, "text": "good"}',
        b'{"id": 2, "text": null}',
        b'{"id": 3}',
        b'{"id": 4, "text": 12}',
        b'{"id": 5, "text": "a \xff film"}',
        b'{"id": 6, "text": "\\ud800"}',
        b'{"id": 7, "text": "' + b"dull " * 20_000 + b'"}',
        b'{"id": 8, "text": {"a": ["b"]}}',
    ]
    file = tmp_path / "in.jsonl"
    file.write_bytes(b"\n".join(lines))
    for suffix in SUFFIXES:
        out = tmp_path / f"out{suffix}"
        assert predict_file(network, file, None, out) == 8
        assert [int(row["id"]) for row in read(out)] == list(range(1, 9))
        probabilities = [float(row["probability"]) for row in read(out)]
        assert probabilities[1] == probabilities[2]
        assert probabilities[1] == pytest.approx(network.predict("").probability, abs=1e-6)
        assert probabilities[0] != probabilities[1]


def test_existing_columns_of_the_same_names_are_kept(network: Predictor, tmp_path: Path) -> None:
    columns = {"text": ["good"], "label": ["mine"], "probability": ["certain"]}
    out = tmp_path / "out.csv"
    predict_file(network, write(tmp_path / "in.csv", columns), None, out)
    assert [*read(out)[0]] == [*columns, "predicted_label", "predicted_probability"]
    assert read(out)[0]["label"] == "mine"
    again = tmp_path / "again.parquet"
    predict_file(network, out, None, again)
    assert read(again)[0]["predicted_predicted_label"] == read(out)[0]["predicted_label"]


def test_each_line_of_a_text_file_is_a_row(network: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "in.txt.gz"
    file.write_bytes(gzip.compress(b'\xef\xbb\xbfgood film\r\n\nnot \xff good\n,"\n'))
    assert list(read_texts(file, None)) == ["good film", "", "not \ufffd good", ',"']
    assert predict_file(network, file, None, tmp_path / "out.csv") == 4
    assert [row["text"] for row in read(tmp_path / "out.csv")] == [*read_texts(file, None)]


def test_a_table_without_rows_gives_a_header(network: Predictor, tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        file = write(tmp_path / f"in{suffix}", {"id": [], "text": []})
        assert predict_file(network, file, None, tmp_path / "out.csv") == 0
        assert (tmp_path / "out.csv").read_text() == "id,text,label,probability\n"


def test_the_output_may_replace_the_input(network: Predictor, tmp_path: Path) -> None:
    file = write(tmp_path / "in.csv", {"text": TEXTS})
    assert predict_file(network, file, None, file) == len(TEXTS)
    assert len(read(file)) == len(TEXTS)


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
    with pytest.raises(InputError, match=problem) as caught:
        predict_file(network, tmp_path / "in.csv", column, tmp_path / output)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "out.csv").read_text() == "an older output"


def test_parts_are_bounded_in_rows_and_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_prediction, "CHARACTERS", 10)
    rows = [["abc"], [None], ["x" * 30], ["a"], [b"b"], ["c"]]
    assert [len(chunk) for chunk in in_chunks(iter(rows), 0, size=2)] == [2, 1, 2, 1]
    assert list(in_chunks(iter([]), 0)) == []


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
