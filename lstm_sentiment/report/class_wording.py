"""classes -> their names in sentences and tables, and notes on the scores of several classes.

Names of classes are untrusted text: all of them are printable and shortened here, and none is
markup.
"""

from lstm_sentiment.display import shortened
from lstm_sentiment.labels import POSITIVE, Classes

NAME_LENGTH = 40
NUMERIC_NOTE = (
    "MAE is the mean absolute error in the numbers of the classes; kappa is Cohen's kappa with "
    "quadratic weights. Neither is in per cent."
)


def class_name(classes: Classes, label: int) -> str:
    """Return the name of the class with this label, as printable text on one line."""
    return shortened(classes.names[label], NAME_LENGTH)


def belong_to(classes: Classes, label: int) -> str:
    """Return what reviews of this class do: "are positive", or "belong to the class 4"."""
    verb = "are" if classes.are_usual else "belong to the class"
    return f"{verb} {class_name(classes, label)}"


def score_notes(classes: Classes, scores: str) -> list[str]:
    """Return sentences on the meaning of `scores`, such as "F1 is"; none for the usual classes."""
    notes = []
    if len(classes) > 2:
        notes.append(
            f"{scores} the mean over the {len(classes)} classes (macro average), and AUROC is the "
            "mean over the classes against the rest."
        )
    elif not classes.are_usual:
        notes.append(f"{scores} that of the class {class_name(classes, POSITIVE)}.")
    return notes + [NUMERIC_NOTE] * (classes.values is not None)
