"""Fixtures of the tests of data."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from tests.support.corpora import Hub
from tests.support.datamodules import Make, Table, set_up
from tests.support.tables import write_columns


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Replace the hub."""
    hub = Hub()
    monkeypatch.setattr(datasets, "load_dataset", hub)
    return hub


@pytest.fixture
def make(tmp_path: Path, cache: str) -> Make:
    """Return a function that writes the given splits and sets up a data module of all splits."""

    def make(
        train: Table | None = None,
        testing: Table | None = None,
        seed: int = 0,
        test: bool = False,
        **fields: Any,
    ) -> ReviewDataModule:
        for name, table in (("train", train), ("test", testing)):
            if table is not None:
                write_columns(tmp_path / f"{name}.parquet", *table)
        fields = {"path": str(tmp_path), "cache": cache, "batch_size": 2, **fields}
        return set_up(DataConfig(**fields), seed, test)

    return make
