"""Learning curves and confusion matrices, read back from their axes, and the files of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_sentiment.runs import run_plots
from lstm_sentiment.runs.run_plots import (
    NAME_LINES,
    TRAIN_COLOUR,
    VAL_COLOUR,
    confusion_matrices,
    confusion_matrix,
    learning_curves,
    png,
    save_plots,
    svg,
    wrapped,
)
from tests.support.plots import cells, history, legend, ticks

SVG = "{http://www.w3.org/2000/svg}"
PANELS = (("loss",), ("accuracy",), ("precision", "recall"))


def record(train: Sequence[float], val: Sequence[float] | None, best: int) -> dict[str, Any]:
    """Return a record with these losses by epoch."""
    test = {"confusion_matrix": [[30, 10], [5, 1495]]}
    return {"schema": 1, "name": "gru-max-s0-1", "test": test} | history(train, val, best)


def curves(axes: Axes) -> list[Line2D]:
    """Return the lines that have points, without those at the best epochs."""
    return [line for line in axes.lines if line.get_linestyle() != ":" and len(line.get_xdata())]


def best_epochs(axes: Axes) -> list[int]:
    """Return the positions of the dotted vertical lines."""
    return [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]


def test_every_record_has_a_line_for_each_split_and_score() -> None:
    records = [
        record([0.5, 0.25], [0.6, 0.4], 2),
        record([0.375, 0.125, 0.1], [0.5, 0.2, 0.3], 1),
    ]
    figure = learning_curves(records)
    for axes, panel in zip(figure.axes, PANELS, strict=True):
        assert [
            (line.get_color(), line.get_linestyle(), [*line.get_xdata()], [*line.get_ydata()])
            for line in curves(axes)
        ] == [
            (
                colour,
                style,
                [epoch["epoch"] for epoch in run["epochs"]],
                [epoch[split][score] for epoch in run["epochs"]],
            )
            for run in records
            for split, colour in (("train", TRAIN_COLOUR), ("val", VAL_COLOUR))
            for score, style in zip(panel, ("-", "--"), strict=False)
        ]
        assert best_epochs(axes) == [1, 2]
    titles = [axes.get_ylabel() for axes in figure.axes]
    assert titles == ["loss", "accuracy", "precision and recall (dashed)"]
    assert legend(figure) == ["train", "val", "best epoch"]


def test_a_best_epoch_of_several_records_is_marked_once() -> None:
    records = [record([0.5, 0.25], [0.6, 0.4], 2)] * 3
    assert best_epochs(learning_curves(records).axes[0]) == [2]


def test_a_record_without_validation_has_curves_of_train_only() -> None:
    figure = learning_curves([record([0.5, 0.25], None, 2)])
    assert [[*line.get_ydata()] for line in curves(figure.axes[0])] == [[0.5, 0.25]]
    assert legend(figure) == ["train", "best epoch"]


def test_an_epoch_without_validation_is_left_out_of_its_line() -> None:
    run = record([0.5, 0.25, 0.125], [0.6, 0.4, 0.3], 3)
    run["epochs"][1]["val"] = None
    _, val = curves(learning_curves([run]).axes[0])
    assert ([*val.get_xdata()], [*val.get_ydata()]) == ([1, 3], [0.6, 0.3])


def test_matrices_show_counts_and_shares_of_each_label() -> None:
    matrices = {
        "gru": np.array([[30, 10], [5, 1495]]),
        "lstm": np.array([[20.5, 19.5], [0, 0]]),  # a mean of two seeds; no positive review
    }
    first, second = confusion_matrices(matrices).axes
    assert cells(first) == {
        (0, 0): "75.0%\n30",
        (1, 0): "25.0%\n10",
        (0, 1): "0.3%\n5",
        (1, 1): "99.7%\n1,495",
    }
    colours = np.ma.filled(first.images[0].get_array())
    assert colours == pytest.approx(np.array([[0.75, 0.25], [1 / 300, 299 / 300]]))
    assert first.images[0].get_clim() == (0, 1)
    assert cells(second)[1, 1] == "0.0%\n0"
    assert [axes.get_title() for axes in (first, second)] == ["gru", "lstm"]


def test_the_axes_of_matrices_are_named() -> None:
    figure = confusion_matrices({"a": np.eye(2)})
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("predicted class", "true class")
    assert ticks(figure.axes[0]) == ({0: "negative", 1: "positive"},) * 2


def test_matrices_of_several_classes_show_counts_and_names() -> None:
    names = ("bad", "$x$", "a long name of a class, and more", "good")
    matrix = np.diag([1000, 20, 3, 4]) + np.eye(4, k=1)
    [axes] = confusion_matrices({"gru": matrix}, names).axes
    assert cells(axes) == {
        (column, row): f"{matrix[row, column]:,.0f}" for row in range(4) for column in range(4)
    }
    shown = dict(enumerate(("bad", "$x$", "a long name of a cla …", "good")))
    assert ticks(axes) == (shown, shown)


def test_three_classes_also_show_shares() -> None:
    [axes] = confusion_matrices({"gru": np.full((3, 3), 10)}, ("a", "b", "c")).axes
    assert {*cells(axes).values()} == {"33.3%\n10"}


@pytest.mark.parametrize(("count", "step"), [(20, 1), (21, 3), (100, 10)])
def test_large_matrices_have_few_names_and_no_numbers(count: int, step: int) -> None:
    names = [f"c{k}" for k in range(count)]
    axes = confusion_matrices({"gru": np.eye(count)}, names).axes[0]
    assert len(cells(axes)) == (count**2 if count <= 20 else 0)
    assert list(ticks(axes)[0].values()) == names[::step]


def test_the_matrix_of_a_run_has_the_names_of_its_classes() -> None:
    classes = {"data": {"classes": ["1", "2", "3"]}, "decision": {"threshold": 0.5}}
    test = {"confusion_matrix": np.eye(3, dtype=int).tolist()}
    run = record([0.5], None, 1) | classes | {"schema": 2, "test": test}
    assert [*ticks(confusion_matrix(run).axes[0])[0].values()] == ["1", "2", "3"]


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 4)), (12, (3, 4))])
def test_matrices_are_in_rows_of_four(count: int, shape: tuple[int, int]) -> None:
    figure = confusion_matrices({str(k): np.eye(2) * 100 for k in range(count)})
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    shown = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert shown == [str(k) for k in range(count)]


def test_the_matrix_of_a_run_is_that_of_its_record() -> None:
    [axes] = confusion_matrix(record([0.5], None, 1)).axes
    assert axes.get_title() == "gru-max-s0-1, test"
    assert cells(axes)[1, 1] == "99.7%\n1,495"


@pytest.mark.parametrize("tested", [True, False])
def test_a_tested_run_has_two_plots(tmp_path: Path, tested: bool) -> None:
    run = record([0.5, 0.25], [0.6, 0.4], 2)
    save_plots(tmp_path, run if tested else run | {"test": None})
    names = {"learning_curves.png", "confusion_matrix.png"} if tested else {"learning_curves.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_own_pictures_are_recognised(tmp_path: Path) -> None:
    own, other = tmp_path / "own.png", tmp_path / "other.png"
    own.write_bytes(run_plots.png(Figure(figsize=(1, 1))))
    Figure(figsize=(1, 1)).savefig(other)
    recognised = [run_plots.is_own_png(path) for path in (own, other, tmp_path / "missing.png")]
    assert recognised == [True, False, False]


# Errors or formulas, if they are not drawn literally.
NAMES = ["$\\frac{", "a$b$c {x}_^", "映画 😀", "\x1b[31m\n\udcff", "\\$"]


def test_names_are_drawn_literally() -> None:
    """A warning, such as on characters that the font lacks, would be an error in tests."""
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2], [1, 1e-3], label=NAMES[0])
    axes.set_xticks(range(len(NAMES)), NAMES)
    axes.set(title=NAMES[1], ylabel=NAMES[2], yscale="log")
    axes.annotate(NAMES[3], (1, 1))
    axes.legend()
    figure.suptitle(NAMES[0])
    root = ElementTree.fromstring(svg(figure))
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    for name in ["$\\frac{", "a$b$c {x}_^", "映画 😀", "\\udcff", "\\$"]:
        assert name in texts
    assert texts.count("$\\frac{") == 3
    assert "10\u22121" in ["".join(text.split()) for text in texts]  # 10⁻¹, a formula
    assert png(figure)[:4] == b"\x89PNG"


def test_a_very_long_name_is_cut() -> None:
    assert wrapped("ab cd", 3) == "ab\ncd"
    lines = wrapped("word " * 1000, 10).split("\n")
    assert len(lines) == NAME_LINES
    assert lines[-1].endswith("…")
