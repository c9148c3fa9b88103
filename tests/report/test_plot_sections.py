"""The plots of a report show the numbers of the records."""

from pathlib import Path

import pytest

from lstm_sentiment.config import OptimizerConfig
from lstm_sentiment.report.page import plots
from tests.support.records import COST, answers, network, put_baseline, put_run
from tests.support.reports import plot, report


def test_plots_show_the_numbers_of_the_records(tmp_path: Path) -> None:
    for seed in range(2):
        config = network("gru", "max", seed=seed)
        put_run(tmp_path, config, answers(10 + 10 * seed), answers(10))
    put_baseline(tmp_path, answers(40), answers(30))
    blocks = report(tmp_path)
    points = plot(blocks, "accuracy").figure.axes[0].containers[0].lines[0]
    assert list(points.get_xdata()) == pytest.approx([0.925, 0.8])
    baseline = plot(blocks, "time").figure.axes[0].collections[1]
    assert baseline.get_offsets().tolist() == [pytest.approx([COST["fit_seconds"], 0.8])]
    first = plot(blocks, "confusion").figure.axes[0]
    # Means over seeds of 100 reviews of each label: 95 and 90 are correct.
    assert {text.get_text() for text in first.texts} == {"92.5%\n92", "7.5%\n8"}
    curves = plot(blocks, "curves")
    assert curves.title.endswith("(all variants, first seed).")
    legend = curves.figure.legends[0].get_texts()
    assert [text.get_text().split(":")[0] for text in legend] == ["gru-max", "ngrams-logistic"]
    assert [each.name for each in plots(blocks)] == [
        "confidence",
        *("accuracy", "time", "curves", "reliability", "length", "confusion", "gap"),
        *("model_1_curves", "model_1_confusion", "model_2_confusion"),
    ]


def test_the_best_baseline_is_among_the_curves(tmp_path: Path) -> None:
    for k in range(9):
        config = network("gru", "max", optimizer=OptimizerConfig(lr=(k + 1) / 1000))
        put_run(tmp_path, config, answers(20), answers(10 + k))
    put_baseline(tmp_path, answers(40), answers(30))
    blocks = report(tmp_path)
    curves = plot(blocks, "curves")
    names = [text.get_text().split(":")[0] for text in curves.figure.legends[0].get_texts()]
    networks = [f"gru-max optimizer.lr={(k + 1) / 1000}" for k in range(7)]
    assert names == [*networks, "ngrams-logistic"]
    assert "the 7 best variants and the best baseline" in curves.title
    length = plot(blocks, "length").figure.axes[0]
    assert [text.get_text() for text in length.get_legend().get_texts()] == names
    confusion = plot(blocks, "confusion")
    assert len([axes for axes in confusion.figure.axes if axes.get_visible()]) == 10


def test_the_heat_map_is_of_networks_by_encoder_and_head(tmp_path: Path) -> None:
    grid = {("lstm", "max"): 40, ("lstm", "avg"): 42, ("gru", "max"): 20, ("rnn", "max"): 100}
    for (cell, head), wrong in grid.items():
        put_run(tmp_path, network(cell, head), answers(wrong), answers(wrong))
    put_run(tmp_path, network("gru", "max", seed=1), answers(24), answers(24))
    put_baseline(tmp_path, answers(1), answers(1))
    axes = plot(report(tmp_path), "heat_map").figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    cells = {
        (rows[int(text.get_position()[1])], columns[int(text.get_position()[0])]): text.get_text()
        for text in axes.texts
    }
    assert rows == ["rnn", "lstm", "gru"]
    assert cells == {
        ("rnn", "max"): "50.0%",
        ("lstm", "max"): "80.0%",
        ("lstm", "avg"): "79.0%",
        ("gru", "max"): "89.0%",
    }
