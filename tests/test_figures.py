from typing import Any

import pytest

from lstm_sentiment.training import figures


@pytest.fixture
def record() -> dict[str, Any]:
    def epoch(number: int, train: float, val: float) -> dict[str, Any]:
        scores = {"loss": train, "accuracy": 1 - train}, {"loss": val, "accuracy": 1 - val}
        return {"epoch": number, "train": scores[0], "val": scores[1]}

    return {
        "name": "gru-max-s0-1",
        "best_epoch": 2,
        "epochs": [epoch(1, 0.5, 0.75), epoch(2, 0.25, 0.5), epoch(3, 0.125, 0.625)],
        "test": {"confusion_matrix": [[30, 10], [5, 1495]]},
    }


def test_curves_show_every_epoch_of_train_and_val(record: dict[str, Any]) -> None:
    loss, accuracy = figures.learning_curves(record).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert drawn["train"] == [0.5, 0.25, 0.125]
    assert drawn["val"] == [0.75, 0.5, 0.625]
    assert list(loss.lines[-1].get_xdata()) == [2, 2]  # the kept epoch
    assert list(accuracy.lines[1].get_ydata()) == [0.25, 0.5, 0.375]


def test_curves_without_validation_show_train_only(record: dict[str, Any]) -> None:
    for epoch in record["epochs"]:
        epoch["val"] = None
    loss, _ = figures.learning_curves(record).axes
    assert [line.get_label() for line in loss.lines] == ["train", "kept"]


def test_the_matrix_shows_counts_and_the_share_of_each_label(record: dict[str, Any]) -> None:
    [axes] = figures.confusion_matrix(record).axes
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {
        (0, 0): "30\n75.0%",
        (1, 0): "10\n25.0%",
        (0, 1): "5\n0.3%",
        (1, 1): "1,495\n99.7%",
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == ["negative", "positive"]
    assert axes.get_ylabel() == "label"
    assert axes.get_xlabel() == "answer"
