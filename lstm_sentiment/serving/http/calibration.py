"""predictions of a run -> the bins of a reliability diagram."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.folder import PREDICTIONS
from lstm_sentiment.serving.http.schemas import ReliabilityBin

BINS = 10


def reliability(home: Path, record: Mapping[str, Any]) -> list[ReliabilityBin]:
    """Return the bins for the predictions of a run; none if these are missing or damaged.

    There are none without pyarrow either, which installations for exported networks alone lack.
    """
    import numpy as np

    try:
        from lstm_sentiment.runs.predictions import read_predictions  # slow to import
        from lstm_sentiment.runs.reader import read_run
    except ImportError:
        return []

    run = read_run(home)
    split = next((name for name in ("test", "val") if record[name] is not None), None)
    if run.record is None or split is None or not (home / PREDICTIONS).exists():
        return []
    try:
        predictions = read_predictions(run, split)
    except InputError:
        return []
    actual, probability = predictions.label, predictions.probability
    if probability.ndim > 1:
        actual, probability = predictions.correct, probability.max(1)
    numbers = np.minimum((probability * BINS).astype(int), BINS - 1)
    return [
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            count=int(inside.sum()),
            probability=float(probability[inside].mean()),
            accuracy=float(actual[inside].mean()),
        )
        for number in range(BINS)
        if (inside := numbers == number).any()
    ]
