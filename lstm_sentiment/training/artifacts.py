"""What a finished run leaves beside its record and its model: predictions and pictures."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from torch import Tensor

from lstm_sentiment.files import write_atomically
from lstm_sentiment.training import figures

Predictions = Mapping[str, Mapping[str, Tensor]]  # split -> (N,) by column


def save_predictions(path: Path, predictions: Predictions) -> None:
    """A Parquet file: split, index (the row in the split's file), label, probability, tokens."""
    parts = []
    for stage, columns in predictions.items():
        arrays = {name: values.numpy() for name, values in columns.items()}
        arrays["label"] = arrays["label"].astype(np.int8)
        split = pa.array([stage] * len(arrays["index"]))
        parts.append(pa.table({"split": split, **arrays}))
    if parts:
        buffer = io.BytesIO()
        pq.write_table(pa.concat_tables(parts), buffer)
        write_atomically(path, buffer.getvalue())


def save_figures(folder: Path, record: dict[str, Any]) -> None:
    _save_figure(folder / "learning_curves.png", figures.learning_curves(record))
    if record["test"] is not None:
        _save_figure(folder / "confusion_matrix.png", figures.confusion_matrix(record))


def _save_figure(path: Path, figure: Figure) -> None:
    write_atomically(path, png(figure))


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
