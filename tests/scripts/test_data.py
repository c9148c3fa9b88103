"""The benchmark of the data measures corpora of several sizes."""

from pathlib import Path

import pytest
from rich.console import Console

from scripts.benchmarks import data


def test_each_corpus_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "ROWS", 150)
    monkeypatch.setattr(data, "STEPS", 2)
    monkeypatch.setattr(data, "PATTERNS", {1: "reviews-00.parquet", 3: "reviews-??.parquet"})
    data.write_reviews(tmp_path)
    first = (tmp_path / "reviews-00.parquet").stat()
    data.write_reviews(tmp_path)
    assert (tmp_path / "reviews-00.parquet").stat() == first
    results = [data.measure(tmp_path / pattern) for pattern in data.PATTERNS.values()]
    assert [result["reviews"] for result in results] == [150, 450]
    assert all(value > 0 for result in results for value in result.values())
    assert all(result["trained_peak_mib"] > 50 for result in results)
    console = Console(width=200)
    with console.capture() as output:
        console.print(data.as_table(results))
    assert [line.split()[0] for line in output.get().splitlines()[-2:]] == ["150", "450"]
