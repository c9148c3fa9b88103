"""records -> plots of runs: learning curves and confusion matrices.

The functions plot the runs of a variant for a report, or a single run.
"""

import io
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, MaxNLocator

from lstm_sentiment.display import printable, shortened
from lstm_sentiment.files.reading import open_regular
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.labels import BINARY
from lstm_sentiment.runs.record import record_classes

# The colours of Okabe and Ito, which are distinct for people with any kind of colour vision. A page
# replaces black by the colour of its text, so all colours are legible on white and on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A00", "#000000")
TRAIN_COLOUR, VAL_COLOUR, TEST_COLOUR = COLOURS[:3]
GREY = "#999999"  # of reference lines
STYLES = ("-", "--", ":", "-.")
STAGES = {"train": (TRAIN_COLOUR, "o"), "val": (VAL_COLOUR, "s")}  # colour and marker

PANELS = (("loss",), ("accuracy",), ("precision", "recall"))
MAX_COLUMNS, MAX_WIDTH = 4, 13.0  # of a grid of confusion matrices; the width is in inches
CELL = 0.42  # inches, of a matrix of more classes than fit with the side of one of two
MAX_NUMBERED = 20  # classes; the cells of larger matrices have no numbers
UNNUMBERED_SIDE = 5.0  # inches, of such a matrix
CLASS_WIDTH = 20  # characters of the name of a class beside an axis
NAME_WIDTH = 32  # characters in a line of a matrix's title
SOFTWARE = "lstm-sentiment"  # in every PNG file, which is thereby recognised
NAME_LINES = 8
COLOUR_MAP = "cividis"  # of shares


def learning_curves(records: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Return loss, accuracy, precision and recall by epoch, with a line for each record.

    Dotted vertical lines mark the best epochs.
    """
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for axes, scores in zip(panels, PANELS, strict=True):
        _panel(axes, records, scores)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3, label=stage)
        for stage, (colour, marker) in STAGES.items()
        if any(epoch[stage] for record in records for epoch in record["epochs"])
    ]
    handles.append(Line2D([], [], color=GREY, linestyle=":", label="best epoch"))
    figure.legend(handles=handles, frameon=False, loc="outside upper right", ncols=len(handles))
    figure.suptitle(title, x=0.01, horizontalalignment="left")
    return despine(figure)


def _panel(axes: Axes, records: Sequence[Mapping[str, Any]], scores: Sequence[str]) -> None:
    for record in records:
        for stage, (colour, marker) in STAGES.items():
            epochs = [epoch for epoch in record["epochs"] if epoch[stage]]
            for score, style in zip(scores, STYLES, strict=False):
                axes.plot(
                    [epoch["epoch"] for epoch in epochs],
                    [epoch[stage][score] for epoch in epochs],
                    color=colour,
                    linestyle=style,
                    linewidth=1.2,
                    marker=marker,
                    markersize=3,
                )
    for epoch in sorted({record["best_epoch"] for record in records}):
        axes.axvline(epoch, color=GREY, linestyle=":", linewidth=1, zorder=0)
    axes.set(xlabel="epoch", ylabel=" and ".join(scores) + " (dashed)" * (len(scores) > 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def confusion_matrices(
    matrices: Mapping[str, np.ndarray], names: Sequence[str] = BINARY.names, side: float = 2.5
) -> Figure:
    """Return a grid of confusion matrices, titled by their keys.

    Each matrix is (K, K) for the K classes `names`: counts of reviews by true class (rows) and
    predicted class (columns). Counts may be means. The colour of a cell is its share of the true
    class. A cell shows this percentage and its count if there are at most three classes, its count
    if there are at most `MAX_NUMBERED`, and otherwise no number. `side` is the least width of a
    matrix in inches.
    """
    is_numbered = len(names) <= MAX_NUMBERED
    side = max(side, CELL * len(names) + 1) if is_numbered else UNNUMBERED_SIDE
    columns = min(MAX_COLUMNS, len(matrices), max(1, int(MAX_WIDTH / side)))
    rows = -(-len(matrices) // columns)
    figure = Figure(figsize=(side * columns, (side + 0.1) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(matrices) :]:
        axes.set_visible(False)
    for axes, (name, matrix) in zip(grid, matrices.items(), strict=False):
        image = _matrix(axes, matrix, names)
        axes.set_title(wrapped(name, NAME_WIDTH), fontsize="small")
    if not is_numbered:
        figure.colorbar(image, ax=grid, location="top", aspect=40, label="share of the true class")
    figure.supxlabel("predicted class", fontsize="medium")
    figure.supylabel("true class", fontsize="medium")
    return figure


def _matrix(axes: Axes, matrix: np.ndarray, names: Sequence[str]) -> AxesImage:
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=COLOUR_MAP, vmin=0, vmax=1)
    if len(names) <= MAX_NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            text = f"{matrix[row, column]:,.0f}"
            if len(names) <= 3:
                text = f"{share:.1%}\n{text}"
            size = "small" if len(names) <= 5 else "x-small"
            write_in_cell(axes, row, column, text, share > 0.5, size)
    _name_classes(axes, names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _step(classes: int) -> int:
    """Return the distance between the classes whose names are shown beside a matrix."""
    return 1 if classes <= MAX_NUMBERED else -(-2 * classes // MAX_NUMBERED)


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    """Write the names of the classes beside a matrix; of more than `MAX_NUMBERED`, only some."""
    positions = range(0, len(names), _step(len(names)))
    shown = [shortened(names[position], CLASS_WIDTH) for position in positions]
    is_binary = len(names) == 2
    is_short = sum(map(len, shown)) <= CLASS_WIDTH or is_binary
    axes.set_xticks(positions, shown, fontsize="small", rotation=0 if is_short else 90)
    axes.set_yticks(
        positions, shown, fontsize="small", va="center", rotation=90 if is_binary else 0
    )


def confusion_matrix(record: Mapping[str, Any], stage: str = "test") -> Figure:
    """Return the confusion matrix of a run in a stage, by default "test"."""
    matrix = np.array(record[stage]["confusion_matrix"])
    names = record_classes(record).names
    return confusion_matrices({f"{record['name']}, {stage}": matrix}, names, side=3.6)


def save_plots(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a run's learning curves and, if it was tested, its confusion matrix into `folder`."""
    figures = {"learning_curves": learning_curves([record], record["name"])}
    if record["test"] is not None:
        figures["confusion_matrix"] = confusion_matrix(record)
    for name, figure in figures.items():
        write_atomically(folder / f"{name}.png", png(figure))


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file."""
    buffer = io.BytesIO()
    with _literal_texts(figure):
        figure.savefig(buffer, format="png", dpi=120, metadata={"Software": SOFTWARE})
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Return the figure as an SVG file without a background, with text that can be searched."""
    buffer = io.StringIO()
    with (
        _literal_texts(figure),
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lstm_sentiment"}),
    ):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


@contextmanager
def _literal_texts(figure: Figure) -> Iterator[None]:
    """Show the names in a figure literally: a dollar begins no formula, and all text is printable.

    Characters that the font lacks are drawn as boxes, and names may need more room than there is,
    without a warning.
    """
    texts = {*figure.findobj(Text)}
    for axis in (each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):  # sets the labels when it is drawn
            axis.set_ticklabels([printable(label.get_text()) for label in axis.get_ticklabels()])
        else:
            texts -= {*axis.findobj(Text)} - {axis.label}  # numbers, which may be formulas
    for text in texts:
        text.set_parse_math(False)
        text.set_text(printable(text.get_text()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
        yield


def is_own_png(path: Path) -> bool:
    """Return whether `png` made the file."""
    try:
        with open_regular(path) as stream:
            return f"Software\0{SOFTWARE}".encode() in stream.read(1024)
    except OSError:
        return False


def despine(figure: Figure) -> Figure:
    """Hide the upper and the right border of every plot in the figure, and return the figure."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def wrapped(name: str, width: int) -> str:
    """Return the name with line breaks, at spaces if possible; no line is longer than `width`.

    After `NAME_LINES` lines, an ellipsis stands for the rest.
    """
    return textwrap.fill(
        printable(name), width, break_on_hyphens=False, max_lines=NAME_LINES, placeholder=" …"
    )


def write_in_cell(
    axes: Axes, row: int, column: int, text: str, bright: bool, size: str = "small"
) -> None:
    """Write text into a cell of an image, in black if the cell is bright and in white otherwise."""
    # Not #000000, which a page replaces by the colour of its text.
    colour = "#010101" if bright else "#ffffff"
    axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
