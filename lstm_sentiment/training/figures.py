"""Pictures of one run: its learning curves and its confusion matrix."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours, told apart with every kind of colour vision.
TRAIN, VAL, TEST, BEST = "#0072B2", "#D55E00", "#009E73", "#999999"
CLASSES = ("negative", "positive")


def learning_curves(record: dict[str, Any]) -> Figure:
    """Loss and accuracy of train and validation, epoch by epoch."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(record["name"])
    for axes, score in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _curve(axes, record, score)
    return figure


def _curve(axes: Axes, record: dict[str, Any], score: str) -> None:
    epochs = [epoch["epoch"] for epoch in record["epochs"]]
    for stage, colour, marker in (("train", TRAIN, "o"), ("val", VAL, "s")):
        if record["epochs"][0][stage] is not None:
            values = [epoch[stage][score] for epoch in record["epochs"]]
            axes.plot(epochs, values, color=colour, marker=marker, markersize=4, label=stage)
    axes.axvline(record["best_epoch"], color=BEST, linestyle=":", label="kept")
    axes.set(xlabel="epoch", ylabel=score)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def confusion_matrix(record: dict[str, Any], stage: str = "test") -> Figure:
    """Reviews of a split by label and answer, with the share of each label."""
    matrix = record[stage]["confusion_matrix"]
    figure = Figure(figsize=(4.4, 4), layout="constrained")
    axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            share = shares[row][column]
            axes.text(
                column,
                row,
                f"{matrix[row][column]:,}\n{share:.1%}",
                ha="center",
                va="center",
                color="white" if share > 0.5 else "black",
            )
    axes.set(
        title=f"{record['name']}, {stage}",
        xlabel="answer",
        ylabel="label",
        xticks=(0, 1),
        yticks=(0, 1),
        xticklabels=CLASSES,
        yticklabels=CLASSES,
    )
    axes.title.set_fontsize("medium")
    axes.spines[:].set_visible(False)
    return figure
