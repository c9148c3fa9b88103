"""variant -> the section on it: learning curves, confusion matrix, scores by class, mistakes."""

from sklearn.metrics import classification_report

from lstm_sentiment.labels import BINARY
from lstm_sentiment.model.metrics import most_confident_mistakes
from lstm_sentiment.report.formatting import percent
from lstm_sentiment.report.page import Block, Paragraph, Plot, Table
from lstm_sentiment.report.plot_sections import mean_confusion_matrix
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.predictions import Predictions
from lstm_sentiment.runs.run_plots import confusion_matrices, learning_curves

MAX_MISTAKES = 10


def variant_section(
    variant: Variant, predictions: dict[int, Predictions], name: str
) -> list[Block]:
    """Return the section on a variant; the names of its plots begin with `name`."""
    blocks: list[Block] = []
    if not variant.is_baseline:
        title = f"{variant.name}: loss and scores by epoch, one line per seed."
        blocks.append(Plot(f"{name}_curves", title, learning_curves(variant.records)))
    if len(variant.scores("test", "accuracy")):
        title = f"{variant.name}: confusion matrix of the test set, mean over seeds."
        figure = confusion_matrices({variant.name: mean_confusion_matrix(variant)})
        blocks.append(Plot(f"{name}_confusion", title, figure))
    for seed, run in list(predictions.items())[:1]:
        blocks += [
            Paragraph(f"Test scores by class, seed {seed}:"),
            class_table(run),
            Paragraph(_mistakes(run)),
        ]
    return blocks


def class_table(predictions: Predictions) -> Table:
    """Return precision, recall and F1 of each class."""
    report = classification_report(
        predictions.label,
        predictions.predicted,
        labels=[False, True],
        target_names=BINARY.names,
        output_dict=True,
        zero_division=0,
    )
    scores = ("precision", "recall", "f1-score")
    rows = [
        [
            name,
            *(percent(report[name][score]) for score in scores),
            f"{report[name]['support']:,.0f}",
        ]
        for name in BINARY.names
    ]
    return Table(["class", "precision", "recall", "F1", "reviews"], rows)


def _mistakes(run: Predictions) -> str:
    positions = most_confident_mistakes(run.label, run.logit, MAX_MISTAKES)
    if not len(positions):
        return "All predictions are correct."
    mistakes = ", ".join(
        f"{run.row[k]} ({BINARY.names[int(run.label[k])]}, {run.probability[k]:.4f})"
        for k in positions
    )
    return (
        "Most confident mistakes, by row of the data (counted from 0), with label and predicted "
        f"probability of positive: {mistakes}."
    )
