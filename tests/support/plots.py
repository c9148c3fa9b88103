"""Reading plots from their axes, and records with known learning curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def scores(loss: float) -> dict[str, float]:
    """Return scores that all differ."""
    return {
        "loss": loss,
        "accuracy": 1 - loss,
        "precision": 1 - loss / 2,
        "recall": 1 - loss / 4,
    }


def history(train: Sequence[float], val: Sequence[float] | None, best: int) -> dict[str, Any]:
    """Return the part of a record about training, with these losses by epoch."""
    epochs = [
        {"epoch": k, "train": scores(loss), "val": scores(val[k - 1]) if val else None}
        for k, loss in enumerate(train, 1)
    ]
    return {"epochs": epochs, "best_epoch": best}


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """Return x and y of the line with this label."""
    [curve] = [each for each in axes.lines if each.get_label() == label]
    return list(curve.get_xdata()), list(curve.get_ydata())


def points(axes: Axes) -> list[tuple[float, ...]]:
    """Return the points of all scatter plots."""
    offsets = [np.ma.filled(dots.get_offsets(), np.nan).tolist() for dots in axes.collections]
    return [tuple(point) for each in offsets for point in each]


def ticks(axes: Axes) -> tuple[dict[float, str], dict[float, str]]:
    """Return position -> text for the ticks of both axes."""
    return tuple(
        {float(at): text.get_text() for at, text in zip(axis.get_ticklocs(), labels, strict=True)}
        for axis, labels in (
            (axes.xaxis, axes.get_xticklabels()),
            (axes.yaxis, axes.get_yticklabels()),
        )
    )  # type: ignore[return-value]


def cells(axes: Axes) -> dict[tuple[float, float], str]:
    """Return the texts in a plot, by position."""
    return {text.get_position(): text.get_text() for text in axes.texts}


def legend(of: Axes | Figure) -> list[str]:
    """Return the texts of the only legend."""
    [box] = of.legends if isinstance(of, Figure) else [of.get_legend()]
    return [text.get_text() for text in box.get_texts()]
