"""A laboratory for recurrent sentiment classifiers.

from lstm_sentiment import Config, Predictor, run
record = run(Config(sweep="mine"))
Predictor.load(f"runs/mine/{record['name']}").predict("Not bad at all.")
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EarlyStoppingConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    OptimizerConfig,
    TrainerConfig,
)
from lstm_sentiment.errors import InputError, RunError

# Before PyTorch is loaded: its threads that wait for work by spinning would take the cores from
# other processes, and from the threads that compute recurrences. With GNU's default, two runs at
# once took three times as long as one after the other.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from lstm_sentiment.serving.predictor import Prediction, Predictor
    from lstm_sentiment.training.run import run

__all__ = [
    "Config",
    "DataConfig",
    "EarlyStoppingConfig",
    "EmbeddingConfig",
    "EncoderConfig",
    "HeadConfig",
    "InputError",
    "OptimizerConfig",
    "Prediction",
    "Predictor",
    "RunError",
    "TrainerConfig",
    "run",
]


LATER = {
    "Prediction": "lstm_sentiment.serving.predictor",
    "Predictor": "lstm_sentiment.serving.predictor",
    "run": "lstm_sentiment.training.run",
}


def __getattr__(name: str) -> Any:
    # PyTorch and Lightning take seconds to import: `train.py --help` must not wait for them.
    if name in LATER:
        return getattr(import_module(LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
