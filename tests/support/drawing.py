"""Runs with empty plots: drawing takes two thirds of the time of a small run."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from matplotlib.figure import Figure

from lstm_sentiment.runs import run_plots
from lstm_sentiment.training import train
from lstm_sentiment.training.tensorboard_callback import TensorBoard

enabled = False  # set by the fixture `drawn_plots`


def leave_plots_empty() -> None:
    """Let the runs of this process save empty plots, except while `enabled` is set."""
    train.save_plots = _empty_unless_enabled(train.save_plots)  # type: ignore[attr-defined]
    TensorBoard.finish = _empty_unless_enabled(TensorBoard.finish)  # type: ignore[method-assign]


def _empty_unless_enabled(save: Callable[..., None]) -> Callable[..., None]:
    @wraps(save)
    def call(*arguments: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if not enabled:
                for plot in ("learning_curves", "confusion_matrix"):
                    patch.setattr(run_plots, plot, lambda *_: Figure(figsize=(1, 1)))
            save(*arguments)

    return call
