"""variant -> the section on it: learning curves, confusion matrix, scores by class, mistakes."""

from sklearn.metrics import precision_recall_fscore_support

from lstm_sentiment.labels import POSITIVE
from lstm_sentiment.model.metrics import most_confident_mistakes
from lstm_sentiment.report.class_wording import class_name
from lstm_sentiment.report.formatting import percent
from lstm_sentiment.report.markup import plain
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
    if variant.is_network:
        each = "seed and fold" if len(variant.trained) > len(variant.runs) else "seed"
        title = f"{variant.name}: loss and scores by epoch, one line per {each}."
        blocks.append(Plot(f"{name}_curves", title, learning_curves(variant.trained)))
    if len(variant.scores("test", "accuracy")):
        title = f"{variant.name}: confusion matrix of the test set, mean over seeds."
        matrix = mean_confusion_matrix(variant)
        figure = confusion_matrices({variant.name: matrix}, variant.classes.names)
        blocks.append(Plot(f"{name}_confusion", title, figure))
    for seed, run in list(predictions.items())[:1]:
        blocks += [
            Paragraph(f"Test scores by class, seed {seed}:"),
            class_table(run),
            Paragraph(_mistakes(run)),
        ]
    return blocks


def class_table(predictions: Predictions) -> Table:
    """Return precision, recall and F1 of each class, and the number of its reviews."""
    labels = range(len(predictions.classes))
    scores = precision_recall_fscore_support(
        predictions.label, predictions.predicted, labels=labels, zero_division=0
    )
    rows = [
        [plain(class_name(predictions.classes, label)), *map(percent, rates), f"{reviews:,}"]
        for label, *rates, reviews in zip(labels, *scores, strict=True)
    ]
    return Table(["class", "precision", "recall", "F1", "reviews"], rows)


def _mistakes(run: Predictions) -> str:
    positions = most_confident_mistakes(run.label, run.logit, run.predicted, MAX_MISTAKES)
    if not len(positions):
        return "All predictions are correct."
    mistakes = ", ".join(f"{run.row[k]} ({_mistake(run, k)})" for k in positions)
    shown = "label and predicted " + (
        f"probability of {class_name(run.classes, POSITIVE)}"
        if len(run.classes) == 2
        else "class with its probability"
    )
    return plain(
        f"Most confident mistakes, by row of the data (counted from 0), with {shown}: {mistakes}."
    )


def _mistake(run: Predictions, position: int) -> str:
    """Return the label and the probability of the second class of two, or the predicted class."""
    label, probability = class_name(run.classes, run.label[position]), run.probability[position]
    if len(run.classes) == 2:
        return f"{label}, {probability:.4f}"
    predicted = int(probability.argmax())
    return f"{label}, {class_name(run.classes, predicted)} {probability[predicted]:.4f}"
