"""Rows of files with predictions: all of them, in their order, whole or not there."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from networks import TEXTS, predictor

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving import rows as rows_module
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.rows import in_parts, predict_file, predictions, texts_of

Make = Callable[..., Config]
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@pytest.fixture
def ours(tiny: Make, tmp_path: Path) -> Predictor:
    return predictor(tmp_path / "run", tiny())


def write(file: Path, columns: dict[str, list[Any]]) -> Path:
    if file.suffix == ".parquet":
        pq.write_table(pa.table(columns), file)
    elif file.suffix == ".jsonl":
        rows = zip(*columns.values(), strict=True)
        lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
        file.write_text("\n".join(lines))
    else:
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter="," if file.suffix == ".csv" else "\t")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    return file


def read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="," if file.suffix == ".csv" else "\t"))


@pytest.mark.parametrize("output", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_every_row_keeps_its_place_and_its_columns(
    ours: Predictor, tmp_path: Path, source: str, output: str
) -> None:
    numbers = list(range(len(TEXTS)))
    file = write(tmp_path / f"in{source}", {"id": numbers, "Review": TEXTS, "more": TEXTS[::-1]})
    seen: list[int] = []
    out = tmp_path / f"out{output}"
    assert predict_file(ours, file, None, out, seen.append) == len(TEXTS)
    assert seen == [len(TEXTS)]
    found = read(out)
    assert [*found[0]] == ["id", "Review", "more", "label", "probability"]
    assert [int(row["id"]) for row in found] == numbers
    assert [row["Review"] or "" for row in found] == TEXTS
    assert [row["more"] or "" for row in found] == TEXTS[::-1]
    for row, said in zip(found, ours.predict(TEXTS), strict=True):
        assert row["label"] == said.label
        assert float(row["probability"]) == pytest.approx(said.probability, abs=1e-6)


def test_a_parquet_file_keeps_its_types(ours: Predictor, tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["good", None], pa.large_string()),
            "stars": pa.array([5, None], pa.int8()),
            "raw": pa.array([b"\xff", b"a"], pa.binary()),
            "tags": pa.array([["a"], []], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    predict_file(ours, tmp_path / "in.parquet", None, tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(range(4)).equals(table)
    assert found.schema.field("probability").type == pa.float64()
    predict_file(ours, tmp_path / "in.parquet", None, tmp_path / "out.csv")
    assert [row["tags"] for row in read(tmp_path / "out.csv")] == ['["a"]', "[]"]
    assert [row["raw"] for row in read(tmp_path / "out.csv")] == ["\ufffd", "a"]


def test_odd_rows_get_their_row(ours: Predictor, tmp_path: Path) -> None:
    """Missing, of another type, not UTF-8, and much too long."""
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
        assert predict_file(ours, file, None, out) == 8
        assert [int(row["id"]) for row in read(out)] == list(range(1, 9))
        probabilities = [float(row["probability"]) for row in read(out)]
        assert probabilities[1] == probabilities[2]  # of a review that says nothing
        assert probabilities[1] == pytest.approx(ours.predict("").probability, abs=1e-6)
        assert probabilities[0] != probabilities[1]


def test_what_is_called_like_ours_stays(ours: Predictor, tmp_path: Path) -> None:
    columns = {"text": ["good"], "label": ["mine"], "probability": ["certain"]}
    out = tmp_path / "out.csv"
    predict_file(ours, write(tmp_path / "in.csv", columns), None, out)
    assert [*read(out)[0]] == [*columns, "predicted_label", "predicted_probability"]
    assert read(out)[0]["label"] == "mine"
    again = tmp_path / "again.parquet"
    predict_file(ours, out, None, again)
    assert read(again)[0]["predicted_predicted_label"] == read(out)[0]["predicted_label"]


def test_lines_of_a_text_file_are_rows(ours: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "in.txt.gz"
    file.write_bytes(gzip.compress(b'\xef\xbb\xbfgood film\r\n\nnot \xff good\n,"\n'))
    assert list(texts_of(file, None)) == ["good film", "", "not \ufffd good", ',"']
    assert predict_file(ours, file, None, tmp_path / "out.csv") == 4
    assert [row["text"] for row in read(tmp_path / "out.csv")] == [*texts_of(file, None)]


def test_a_table_without_rows_makes_one_without_rows(ours: Predictor, tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        file = write(tmp_path / f"in{suffix}", {"id": [], "text": []})
        assert predict_file(ours, file, None, tmp_path / "out.csv") == 0
        assert (tmp_path / "out.csv").read_text() == "id,text,label,probability\n"


def test_a_file_may_replace_itself(ours: Predictor, tmp_path: Path) -> None:
    file = write(tmp_path / "in.csv", {"text": TEXTS})
    assert predict_file(ours, file, None, file) == len(TEXTS)
    assert len(read(file)) == len(TEXTS)


@pytest.mark.parametrize(
    ("content", "column", "output", "reason"),
    [
        ('text\ngood\n"open\n', None, "out.csv", "in.csv: row 2 .*: a quote is opened and never"),
        ("text,id\na,1\nb\n", None, "out.csv", "row 2 .* has 1 fields, but the header 2"),
        ("", None, "out.csv", "in.csv: it is empty."),
        (
            "a,b\n1,2\n",
            None,
            "out.csv",
            "there is no column text or review, only a, b: .* --column",
        ),
        ("a,b\n1,2\n", "c", "out.csv", "there is no column c, only a, b"),
        ("text,x,x\n1,2,3\n", None, "out.csv", "x names more than one column"),
        ("text\na\n", None, "out.xlsx", "out.xlsx ends in none of .csv, .tsv, .jsonl, .parquet"),
        ("text\na\n", None, "no/out.csv", "out.csv cannot be written"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    ours: Predictor, tmp_path: Path, content: str, column: str | None, output: str, reason: str
) -> None:
    (tmp_path / "in.csv").write_text(content)
    (tmp_path / "out.csv").write_text("of before")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=reason) as caught:
        predict_file(ours, tmp_path / "in.csv", column, tmp_path / output)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "out.csv").read_text() == "of before"


def test_rows_come_in_parts_that_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "CHARACTERS", 10)
    rows = [["abc"], [None], ["x" * 30], ["a"], [b"b"], ["c"]]
    assert [len(part) for part in in_parts(iter(rows), 0, at_once=2)] == [2, 1, 2, 1]
    assert list(in_parts(iter([]), 0)) == []


def test_texts_are_answered_as_they_come(ours: Predictor) -> None:
    asked: list[str] = []

    def texts() -> Any:
        for text in TEXTS:
            asked.append(text)
            yield text

    first = next(predictions(ours, texts(), at_once=1))
    assert asked == TEXTS[:1]
    assert first == (TEXTS[0], ours.predict(TEXTS[0]))
    assert [text for text, _ in predictions(ours, iter(TEXTS), at_once=3)] == TEXTS
