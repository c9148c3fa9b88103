"""The requirements of the sets of a corpus: enough classes, reviews and groups.

Each function raises InputError with a sentence that names what is missing and what helps.
"""

from collections.abc import Sequence

import numpy as np

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.tokenized import TokenizedReviews
from lstm_sentiment.display import counted
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import Classes


def required_classes(config: DataConfig, reviews: TokenizedReviews) -> Classes:
    """Return the classes that the configuration names, or else those that occur.

    There must be at least two, and as many as configured.
    """
    if (names := config.class_names) is not None:
        return Classes(names)
    found = Classes.found(reviews.label_names)
    occurring = {found.label(name) for name in reviews.label_names}
    if len(occurring) < 2:
        label = join_names([found.names[occurring.pop() or 0]]) if occurring else "missing"
        raise InputError(
            f"every label is {label} (reviews: {len(reviews.labels)}): at least two classes must "
            "occur."
        )
    if (expected := config.class_count) not in (None, len(found)):
        raise InputError(
            f"data.classes={expected}, but the labels have {len(found)} classes "
            f"({join_names(found.names)})."
        )
    return found


def require_groups(whole: Split, column: str, sets: int) -> None:
    """Require that reviews have groups in this column, one at least for each set drawn of them."""
    given = f"data.group_column={column}"
    if not whole.tokenized.has_groups:
        raise InputError(
            f"{given} has no value in any review: give another column, or leave out the field."
        )
    if (count := whole.number_of_components) < sets:
        raise InputError(
            f"{given} leaves {counted(count, 'group')} for {sets} sets, and no group may be in two "
            "of them: give a column with more groups, or a file for each set."
        )


def require_enough_reviews(whole: Split, classes: Classes, sets: Sequence[str]) -> None:
    """Require a review of each class for each of the sets that are drawn from `whole`.

    Reviews of one group, and copies, stay in one set and count once. Of two classes, only one that
    does not occur is reported here, and others by `require_classes`.
    """
    labels, _ = np.unique(np.stack([whole.labels, whole.components]), axis=1)
    counts = np.bincount(labels, minlength=len(classes))
    fewest = int(counts.argmin())
    name, count = join_names([classes.names[fewest]]), int(counts[fewest])
    if not count:
        raise InputError(
            f"data.classes names {name}, but no training review has this label: leave it out."
        )
    if len(classes) > 2 and count < len(sets):
        available = f"has only {counted(count, 'review')}, copies aside"
        if whole.tokenized.has_groups:
            available = f"has reviews of only {counted(count, 'group')}"
        raise InputError(
            f"the class {name} {available}: at least {len(sets)} are needed, one for each set that "
            f"is drawn ({', '.join(sets)})."
        )


def require_classes(split: Split, classes: Classes, name: str, cause: str) -> None:
    """Require every class in the training set, and two classes in another set.

    `name` is that of the set, and `cause` says what determines its size.
    """
    counts = np.bincount(split.labels, minlength=len(classes))
    if (counts > 0).sum() < 2:
        needed = "both classes" if len(classes) == 2 else "at least two classes"
        raise InputError(
            f"{cause} leaves {len(split.rows)} reviews for the {name} set, which needs reviews of "
            f"{needed}: keep more of them, and different ones, since the copies of a review, and "
            "the reviews of a group, stay in one set."
        )
    if name == "training" and not counts.all():
        missing = join_names([classes.names[int(counts.argmin())]])
        raise InputError(
            f"{cause} leaves no review of the class {missing} for the training set: keep more "
            "reviews, or remove the class."
        )
