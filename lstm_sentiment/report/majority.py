"""variants -> the classifier that always predicts the larger class, if classes are uneven."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_sentiment.labels import BINARY, NEGATIVE, POSITIVE
from lstm_sentiment.model.rates import UNEVEN, rates
from lstm_sentiment.report.formatting import first_names, percent
from lstm_sentiment.report.variants import Variant


class MajorityClass(NamedTuple):
    """The scores of always predicting the larger class; a network should have better ones."""

    label: str  # of the larger class
    stage: str  # "test", or "val" if no variant was tested
    scores: Mapping[str, Mapping[str, float]]  # by stage; those of `rates`

    @property
    def name(self) -> str:
        """The name of its row in a table."""
        return f"always {self.label}"

    def note(self, variants: Sequence[Variant]) -> str:
        """Return sentences on the larger class, and on variants that are no better than it."""
        share = self.scores[self.stage]["accuracy"]
        reviews = "test" if self.stage == "test" else "validation"
        text = (
            f"{percent(share)} % of the {reviews} reviews are {self.label}: a classifier that "
            f"always predicts {self.label} has this accuracy. Balanced accuracy is the mean recall "
            f"of both classes in the {reviews} set."
        )
        accuracies = {v.name: v.scores(self.stage, "accuracy") for v in variants}
        not_better = [
            n for n, values in accuracies.items() if len(values) and values.mean() <= share
        ]
        if not_better:
            text += f" No better than always predicting {self.label}: {first_names(not_better)}."
        return text


def majority_class(variants: Sequence[Variant]) -> MajorityClass | None:
    """Return the scores of always predicting the larger class; None if the classes are even.

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
    stage = "test" if "test" in counts else "val"
    negatives, positives = counts[stage]
    larger = POSITIVE if positives > negatives else NEGATIVE
    scores = {stage: rates(_constant(larger, *sizes)) for stage, sizes in counts.items()}
    if scores[stage]["accuracy"] <= UNEVEN:
        return None
    return MajorityClass(BINARY.names[larger], stage, scores)


def _constant(label: int, negatives: int, positives: int) -> list[list[int]]:
    """Return the confusion matrix of always predicting the label."""
    if label == POSITIVE:
        return [[0, negatives], [0, positives]]
    return [[negatives, 0], [positives, 0]]
