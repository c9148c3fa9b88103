"""variants -> the classifier that always predicts the largest class, if classes are uneven."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstm_sentiment.labels import Classes
from lstm_sentiment.model.rates import are_uneven, rates
from lstm_sentiment.report.class_wording import belong_to, class_name
from lstm_sentiment.report.formatting import first_names, percent
from lstm_sentiment.report.variants import Variant


class MajorityClass(NamedTuple):
    """The scores of always predicting the largest class; a network should have better ones."""

    label: int  # of the largest class
    classes: Classes
    stage: str  # "test", or "val" if no variant was tested
    scores: Mapping[str, Mapping[str, float]]  # by stage; those of `rates`

    @property
    def name(self) -> str:
        """The name of its row in a table."""
        return f"always {class_name(self.classes, self.label)}"

    def note(self, variants: Sequence[Variant]) -> str:
        """Return sentences on the largest class, and on variants that are no better than it."""
        share = self.scores[self.stage]["accuracy"]
        reviews = "test" if self.stage == "test" else "validation"
        predicted = class_name(self.classes, self.label)
        text = (
            f"{percent(share)} % of the {reviews} reviews {belong_to(self.classes, self.label)}: a "
            f"classifier that always predicts {predicted} has this accuracy. Balanced accuracy is "
            f"the mean recall of {'both' if len(self.classes) == 2 else 'the'} classes in the "
            f"{reviews} set."
        )
        accuracies = {v.name: v.scores(self.stage, "accuracy") for v in variants}
        not_better = [
            n for n, values in accuracies.items() if len(values) and values.mean() <= share
        ]
        if not_better:
            text += f" No better than always predicting {predicted}: {first_names(not_better)}."
        return text


def majority_class(variants: Sequence[Variant]) -> MajorityClass | None:
    """Return the scores of always predicting the largest class; None if the classes are even.

    The variants have the same reviews.
    """
    counts = {
        stage: [sum(row) for row in record[stage]["confusion_matrix"]]
        for variant in variants
        for record in variant.records
        for stage in ("val", "test")
        if record[stage]
    }
    if not counts:
        return None
    stage, classes = "test" if "test" in counts else "val", variants[0].classes
    largest = int(np.argmax(counts[stage]))
    scores = {
        stage: rates(_constant(largest, sizes), classes.values) for stage, sizes in counts.items()
    }
    if not are_uneven(scores[stage]["majority_share"], len(classes)):
        return None
    return MajorityClass(largest, classes, stage, scores)


def _constant(label: int, sizes: Sequence[int]) -> list[list[int]]:
    """Return the confusion matrix of always predicting the label."""
    return [[size * (k == label) for k in range(len(sizes))] for size in sizes]
