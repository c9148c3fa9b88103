"""comparison -> the section on thresholds and temperatures that runs chose on validation sets."""

from collections.abc import Sequence

import numpy as np

from lstm_sentiment.labels import POSITIVE, THRESHOLD
from lstm_sentiment.model.metrics import CALIBRATION_BINS
from lstm_sentiment.report.class_wording import class_name
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import mean
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Paragraph, Table
from lstm_sentiment.report.variants import Variant
from lstm_sentiment.runs.record import record_classes

CALIBRATION = {
    "temperature": "temperature",
    "calibration error before": "before",
    "calibration error after": "after",
}
CALIBRATION_NOTE = (
    "The logits were divided by the temperature, which minimizes the loss on the validation set "
    "(temperature scaling, Guo et al. 2017). The calibration error (expected calibration error, "
    f"{CALIBRATION_BINS} bins) is that of the validation set, before and after."
)


def decision_section(comparison: Comparison) -> list[Block]:
    """Return a table of chosen thresholds and temperatures; empty without any.

    They are means over seeds and, with a cross-validation, over folds.
    """
    chosen = [variant for variant in comparison.variants if _has_decision(variant)]
    if not chosen:
        return []
    columns, notes = [""], []
    if any(_thresholds(variant) for variant in chosen):
        columns.append("threshold")
        name = class_name(comparison.classes, POSITIVE)
        notes.append(
            f"The class {name} is predicted if its probability is above the threshold, which was "
            "chosen on the validation set; other variants have the threshold 0.5."
        )
    if any(_calibrations(variant, "temperature") for variant in chosen):
        columns += CALIBRATION
        notes.append(CALIBRATION_NOTE)
    rows = [[_cell(variant, column) for column in columns] for variant in chosen]
    heading = Heading("Decisions chosen on the validation set", 3)
    return [heading, Table(columns, rows), Paragraph(plain(" ".join(notes)))]


def _has_decision(variant: Variant) -> bool:
    return bool(_thresholds(variant) or _calibrations(variant, "temperature"))


def _cell(variant: Variant, column: str) -> str:
    if not column:
        return plain(variant.name)
    if column == "threshold":
        return mean(np.array(_thresholds(variant)), ".3f")
    return mean(np.array(_calibrations(variant, CALIBRATION[column])), ".3f")


def _thresholds(variant: Variant) -> Sequence[float]:
    """Return the thresholds of the trained models; none if all of them are usual."""
    thresholds = [record_classes(record).threshold for record in variant.trained]
    return thresholds if any(value != THRESHOLD for value in thresholds) else []


def _calibrations(variant: Variant, name: str) -> Sequence[float]:
    """Return a number of the calibration of each trained model that has one."""
    decisions = [record.get("decision", {}) for record in variant.trained]
    return [decision["calibration"][name] for decision in decisions if decision.get("calibration")]
