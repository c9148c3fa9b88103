"""Readers of untrusted files: mutated, generated and once harmful files are read or refused.

`make fuzz` tries more of them.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from lstm_sentiment.errors import InputError
from tests.fuzz import campaign, cases, mutations, worker
from tests.fuzz.trials import try_inputs
from tests.support.bounded import bounded

# The numbers of mutated and of generated inputs; those of slow readers are small.
INPUTS = {
    "model": (20, 10),
    "ngrams": (30, 10),
    "onnx": (15, 5),
    "records": (6, 4),
    "report": (1, 1),
    "predictions": (20, 10),
    "delimited": (40, 20),
    "jsonlines": (40, 20),
    "parquet": (40, 10),
    "vectors": (40, 20),
}


@pytest.mark.parametrize("name", INPUTS)
def test_hostile_files_are_read_or_refused(name: str) -> None:
    assert bounded(try_inputs, name, *INPUTS[name]).value > sum(INPUTS[name])
