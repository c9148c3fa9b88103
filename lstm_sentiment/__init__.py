"""Recurrent sentiment classifiers: train, compare and use them.

>>> from lstm_sentiment import Config, Predictor, run
>>> record = run(Config(sweep="mine"))  # doctest: +SKIP
>>> Predictor.load(f"runs/mine/{record['name']}").predict("Not bad at all.")  # doctest: +SKIP
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lstm_sentiment.config import (
    Config,
    DataConfig,
    DecisionConfig,
    EarlyStoppingConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    ObjectiveConfig,
    OptimizerConfig,
    TrainerConfig,
)
from lstm_sentiment.errors import InputError, RunError

__version__ = "0.1.0"

# Set before PyTorch is imported. With GNU's default, idle threads of PyTorch spin for long and keep
# cores from other processes and from the threads that compute recurrences: two runs at the same
# time took three times as long as one after the other.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from lstm_sentiment.commands.train import run
    from lstm_sentiment.estimator import SentimentClassifier, fit
    from lstm_sentiment.serving.predictor import Prediction, Predictor

__all__ = [
    "Config",
    "DataConfig",
    "DecisionConfig",
    "EarlyStoppingConfig",
    "EmbeddingConfig",
    "EncoderConfig",
    "HeadConfig",
    "InputError",
    "ObjectiveConfig",
    "OptimizerConfig",
    "Prediction",
    "Predictor",
    "RunError",
    "SentimentClassifier",
    "TrainerConfig",
    "fit",
    "run",
]


LAZY_IMPORTS = {
    "Prediction": "lstm_sentiment.serving.predictor",
    "Predictor": "lstm_sentiment.serving.predictor",
    "SentimentClassifier": "lstm_sentiment.estimator",
    "fit": "lstm_sentiment.estimator",
    "run": "lstm_sentiment.commands.train",
}


def __getattr__(name: str) -> Any:
    # PyTorch and Lightning take seconds to import: `--help` must not wait for them.
    if name in LAZY_IMPORTS:
        return getattr(import_module(LAZY_IMPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
