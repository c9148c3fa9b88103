"""Files of reviews and vectors that cost far more memory or time than their size suggests."""

import gzip
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_sentiment.data.delimited import is_unicode
from lstm_sentiment.data.formats import count_rows, read_folders, read_rows, read_tables
from lstm_sentiment.data.parquet import ROWS_AT_ONCE, open_parquet
from lstm_sentiment.data.vector_files import open_lines
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY
from lstm_sentiment.serving.file_prediction import predict_file, read_texts
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Prediction
from tests.support.bounded import bounded
from tests.support.tables import refusal

LINE = "too many bytes in one line"
EXPANDED = "bytes for each compressed byte"
COLUMNS = "columns, more than the 10,000 allowed"
BLOCK = "bytes in 1,000 rows or a page, more than the 268,435,456 allowed"


class Agreeing:
    """A model for which every text is positive."""

    classes = BINARY

    def predict(self, texts: list[str], weights: bool = False) -> list[Prediction]:
        return [Prediction("positive", 0.75) for _ in texts]


def use_all(files: list[Path]) -> dict[str, list[str]]:
    """Read files in every way; return the refusals by name, and "" where there is none."""
    return {file.name: [_message(way, file) for way in WAYS] for file in files}


def _message(way: Callable[[Path], Any], file: Path) -> str:
    try:
        way(file)
    except InputError as error:
        return str(error)
    return ""


def _train(file: Path) -> None:
    for _ in read_tables([file]):
        pass


def _predict(file: Path) -> None:
    for _ in read_texts(file, FileReading()):
        pass


def _convert(file: Path) -> None:
    predict_file(Agreeing(), file, file.parent / "out" / "a.csv", FileReading())  # type: ignore[arg-type]


def _copy(file: Path) -> None:
    suffix = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    predict_file(Agreeing(), file, file.parent / "out" / f"a{suffix}", FileReading())  # type: ignore[arg-type]


WAYS = (_train, _predict, _convert, _copy)


def same(value: str | bytes, count: int, kind: pa.DataType | None = None) -> pa.Array:
    """Return a value repeated, which Parquet stores once."""
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([value], kind))


def write_parquet(file: Path, **columns: Any) -> None:
    """Write columns without the schema of Arrow, so that repeated values are plain strings."""
    table = pa.table(columns)
    pq.write_table(table, file, compression="zstd", write_statistics=False, store_schema=False)


def test_small_files_of_text_stay_small(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    block = b"a" * 2**20
    with gzip.open(tmp_path / "line.csv.gz", "wb", compresslevel=1) as csv_file:
        csv_file.write(b'text,label\n"')
        for _ in range(17):
            csv_file.write(block)
    plain = b'{"text": "' + block * 17 + b'", "label": 1}\n'
    (tmp_path / "line.jsonl").write_bytes(plain)
    rows = (b"a" * 1_000 + b",1\n") * 40_000
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"text,label\n" + rows))
    names = [f"c{number}" for number in range(100_000)]
    (tmp_path / "columns.csv").write_text(",".join([*names, "text", "label"]) + "\n")
    wide = json.dumps({"text": "a", "label": 1, **dict.fromkeys(names)})
    (tmp_path / "columns.jsonl").write_text(wide + "\n")
    (tmp_path / "quote.csv").write_bytes(b'text,label\n"a,1\n' + (b"b" * 1_000 + b",0\n") * 18_000)
    deep = '{"text": "a", "label": 1, "x": ' + "[" * 10**6 + "]" * 10**6 + "}\n"
    (tmp_path / "deep.jsonl").write_text(deep)
    reasons = {
        "line.csv.gz": LINE,
        "line.jsonl": LINE,
        "rows.csv.gz": EXPANDED,
        "columns.csv": COLUMNS,
        "columns.jsonl": COLUMNS,
        "quote.csv": "a closing quote may be missing",
        "deep.jsonl": "not valid JSON (too deep)",
    }
    outcome = bounded(use_all, [tmp_path / name for name in reasons], seconds=40)  # all of them
    for name, reason in reasons.items():
        for message in outcome.value[name]:
            assert message.startswith(f"{tmp_path / name}: "), (name, message)
            assert reason in message, name


def test_small_parquet_files_stay_small(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    few = {"text": ["a"] * 1_000, "label": [1] * 1_000}
    write_parquet(tmp_path / "texts.parquet", text=same("a" * 2_000_000, 1_000), label=few["label"])
    write_parquet(tmp_path / "other.parquet", **few, x=same("a" * 5_000_000, 1_000))
    categories = pa.table({**few, "x": same("a" * 5_000_000, 1_000)})
    pq.write_table(categories, tmp_path / "categories.parquet", compression="zstd")
    struct = pa.StructArray.from_arrays([same("a" * 2_000_000, 1_000)], ["y"])
    write_parquet(tmp_path / "struct.parquet", **few, x=struct)
    strings = pa.ListArray.from_arrays(
        np.minimum(np.arange(1_001) * 10**5, 10**5), same("a" * 10**5, 10**5)
    )
    write_parquet(tmp_path / "strings.parquet", **few, x=strings)
    numbers = pa.ListArray.from_arrays(
        np.minimum(np.arange(1_001) * 10**7, 10**7), pa.nulls(10**7, pa.int8())
    )
    write_parquet(tmp_path / "numbers.parquet", **few, x=numbers)
    fixed = pa.array([b"a" * 300_000] * 1_000, pa.binary(300_000))
    write_parquet(tmp_path / "fixed.parquet", **few, x=fixed)
    used_to_train = {"texts.parquet"}
    names = [file.name for file in tmp_path.glob("*.parquet")]
    assert len(names) == 7
    outcome = bounded(use_all, [tmp_path / name for name in names], seconds=40)  # all of them
    for name in names:
        train, predict, *outputs = outcome.value[name]
        needs = [train, predict, *outputs] if name in used_to_train else outputs
        assert all(BLOCK in message for message in needs), (name, outcome.value[name])
        assert name in used_to_train or train == predict == ""


def test_pages_are_measured_before_they_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes that the metadata give are not used: files may give wrong ones."""
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_BLOCK_BYTES", "1000000")
    file = tmp_path / "a.parquet"
    for version, dictionary in (("1.0", False), ("2.0", False), ("1.0", True)):
        table = pa.table({"text": ["a" * 2_000_000], "label": [1]})
        pq.write_table(
            table, file, compression="zstd", data_page_version=version, use_dictionary=dictionary
        )
        pyarrow_reads = pq.ParquetFile.iter_batches
        with monkeypatch.context() as patched:
            patched.delattr(pq.ParquetFile, "iter_batches")
            assert "more than the 1,000,000 allowed" in refusal(file)
        assert pyarrow_reads is pq.ParquetFile.iter_batches


@pytest.mark.parametrize(
    "written",
    [{"column_encoding": {"text": "DELTA_BYTE_ARRAY"}}, {"max_rows_per_page": 10}],
    ids=["values that continue others", "many pages"],
)
def test_long_values_are_read_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: dict[str, Any]
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_BLOCK_BYTES", "1000000")
    file = tmp_path / "a.parquet"
    texts = pa.table({"text": ["a" * 10_000] * 1_000})
    pq.write_table(texts, file, use_dictionary=False, compression="zstd", **written)
    with open_parquet(file) as table:
        assert table._largest_batch([0], [0], set()) < ROWS_AT_ONCE / 5
        with pytest.raises(InputError, match=r"bytes in 1,000 rows"):
            next(table.batches(["text"]))


def test_lists_of_long_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All values of many pages may be in one row."""
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_BLOCK_BYTES", "1000000")
    file = tmp_path / "a.parquet"
    lists = pa.table({"text": [["a" * 10_000]] * 1_000})
    pq.write_table(lists, file, use_dictionary=False, compression="zstd", max_rows_per_page=10)
    with monkeypatch.context() as patched, open_parquet(file) as table:
        patched.delattr(pq.ParquetFile, "iter_batches")
        with pytest.raises(InputError, match=r"bytes in 1,000 rows"):
            next(table.batches(["text"]))


def test_categories_stay_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long dictionary is read once for many rows, not for every few."""
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_BLOCK_BYTES", "1000000")
    categories = pa.array([f"{number:0200}" for number in range(1_000)]).dictionary_encode()
    pq.write_table(pa.table({"x": categories}), tmp_path / "a.parquet")
    with open_parquet(tmp_path / "a.parquet") as table:
        assert next(table.batches(["x"])).num_rows == ROWS_AT_ONCE


def test_tables_with_too_many_rows_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_ROWS", "3")
    texts, labels = ["a"] * 4, [0, 1] * 2
    write_parquet(tmp_path / "a.parquet", text=texts, label=labels)
    (tmp_path / "a.csv").write_text("text,label\na,0\na,1\na,0\na,1\n")
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n' * 4)
    (tmp_path / "a.txt").write_text("a\n" * 4)
    for suffix in ("parquet", "csv", "jsonl", "txt"):
        file = tmp_path / f"a.{suffix}"
        with pytest.raises(InputError, match=r"rows.*LSTM_SENTIMENT_MAX_ROWS raises this limit"):
            list(read_rows(file).rows)
    assert count_rows([tmp_path / "a.parquet"]) is None


def test_parquet_files_with_many_columns_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_COLUMNS", "2")
    write_parquet(tmp_path / "a.parquet", text=["a"], label=[1], x=[2])
    assert "3 columns, more than the 2 allowed" in refusal(tmp_path / "a.parquet")
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_COLUMNS", "3")
    assert len(list(read_tables([tmp_path / "a.parquet"]))) == 1


def test_columns_of_all_json_objects_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_COLUMNS", "4")
    lines = [json.dumps({"text": "a", f"x{row}": row}) for row in range(4)]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines[:3]))
    assert read_rows(file).names == ["text", "x0", "x1", "x2"]
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match="5 columns, more than the 4 allowed"):
        read_rows(file)


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"row_group_size": 1},
        {"use_dictionary": False, "column_encoding": {"list.list.element": "DELTA_BYTE_ARRAY"}},
    ],
    ids=["one group", "several groups", "delta encoding"],
)
def test_nested_columns_keep_their_values(tmp_path: Path, written: dict[str, Any]) -> None:
    table = pa.table(
        {
            "text": ["good", "bad", None],
            "list": [["x", None, "y"], ["z"], None],
            "struct": [{"a": ["z"], "b": 1}, None, {"a": None, "b": 2}],
            "map": pa.array([[("k", "v")], [], None], pa.map_(pa.string(), pa.string())),
            "bytes": pa.array([[b"\xff"], None, []], pa.large_list(pa.binary())),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", **written)
    with open_parquet(tmp_path / "a.parquet") as read:
        batches = list(read.batches(table.column_names))
    assert pa.Table.from_batches(batches).cast(table.schema).equals(table)
    rows = [tuple(row) for row in read_rows(tmp_path / "a.parquet").rows]
    assert [row[1:] for row in rows] == [tuple(row.values())[1:] for row in table.to_pylist()]


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_times_keep_all_their_digits(tmp_path: Path, unit: str, suffix: str) -> None:
    (tmp_path / "out").mkdir()
    small = {"us": "000001", "ns": "000000001"}[unit]
    times = pa.array([1], pa.time64(unit))
    moments = pa.array([1], pa.timestamp(unit))
    table = pa.table(
        {
            "text": ["good"],
            "time": times,
            "moment": moments,
            "span": pa.array([1], pa.duration(unit)),
            "times": pa.ListArray.from_arrays([0, 1], times),
            "struct": pa.StructArray.from_arrays([moments], ["a"]),
            "spans": pa.array([[1]], pa.list_(pa.duration(unit))),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    output = tmp_path / "out" / f"a{suffix}"
    predict_file(Agreeing(), tmp_path / "a.parquet", output, FileReading())  # type: ignore[arg-type]
    if suffix == ".parquet":
        assert pq.read_table(output).select(table.column_names).equals(table)
    else:
        assert output.read_text().count(f":00:00.{small}") == 6


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for suffix in (".csv", ".csv.gz", ".tsv", ".jsonl", ".parquet", ".txt"):
        for name in (f"fifo{suffix}", f"device{suffix}"):
            path = tmp_path / name
            fifo(path) if name.startswith("fifo") else path.symlink_to("/dev/zero")
            assert count_rows([path]) is None
            assert not is_unicode(path, "cp1252")
            with pytest.raises(InputError, match=r"cannot be read \(not a regular file\)"):
                read_rows(path)
            with pytest.raises(InputError, match=r"not a regular file"), open_lines(path):
                pass
    with pytest.raises(InputError, match="not a regular file"):
        list(read_folders([(tmp_path, 1)]))
    (tmp_path / "a.csv").write_text("text,label\na,1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    assert len(list(read_tables([tmp_path / "link.csv"]))) == 1


def test_compressed_vectors_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_EXPANSION", "50")  # needs less content
    lines = (b"good" + b" 1" * 500 + b"\n") * 20_000
    (tmp_path / "a.gz").write_bytes(gzip.compress(lines, compresslevel=6))
    (tmp_path / "lies.gz").write_bytes(gzip.compress(lines, 6)[:-4] + bytes(4))  # on its size
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", lines)
    for name, member in (("a.gz", None), ("lies.gz", None), ("a.zip", "a.txt")):
        with (
            pytest.raises(InputError, match=EXPANDED),
            open_lines(tmp_path / name, member) as stream,
        ):
            sum(1 for _ in stream)


def test_other_bytes_in_the_names_of_files(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"f\xff.csv")
    file.write_text("text,label\na,1\nb,\n")
    with pytest.raises(InputError, match="row 2: the label is missing"):
        list(read_tables([file]))
    file.unlink()
    with pytest.raises(InputError, match="No such file"):
        list(read_tables([file]))
