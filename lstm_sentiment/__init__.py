"""A laboratory for recurrent sentiment classifiers.

from lstm_sentiment import Config, run
record = run(Config(sweep="mine"))
"""

import os
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
    "RunError",
    "TrainerConfig",
    "run",
]


def __getattr__(name: str) -> Any:
    # PyTorch and Lightning take seconds to import: `train.py --help` must not wait for them.
    if name == "run":
        from lstm_sentiment.training.run import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
