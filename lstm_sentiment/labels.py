"""The classes of a review: their names, their order and the decision rule."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from lstm_sentiment.errors import InputError

NEGATIVE, POSITIVE = 0, 1
UNLABELLED = -1
THRESHOLD = 0.5
MAX_CLASSES = 100
MAX_SYNTHETIC_CLASSES = 20  # of the synthetic corpus
# Beyond it, different whole numbers may be equal in float64, so such labels, which may be
# identifiers, are words.
LARGEST_NUMBER = 2.0**53 - 1
# Labels are compared as text, so that 1, 1.0, True, "1" and "Positive" are all positive.
USUAL_LABELS = {
    **dict.fromkeys(("0", "neg", "negative", "false"), NEGATIVE),
    **dict.fromkeys(("1", "pos", "positive", "true"), POSITIVE),
}
WHOLE_NUMBER = re.compile(r"^(-?\d+)\.0+$")


def label_text(value: Any) -> str:
    """Return the text of a label: "1" for 1.0, "True" for True, "" for a missing label.

    It is in Unicode's form NFC, so that letters with marks have one spelling.
    """
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return WHOLE_NUMBER.sub(r"\1", unicodedata.normalize("NFC", str(value).strip()))


@dataclass(frozen=True)
class Classes:
    """K classes, by their labels 0 to K - 1, and the rule that chooses one of them.

    A network has one logit for two classes, that of the second one, and K logits for more. The
    predicted class of two is the second if its probability is above `threshold`; a probability of
    exactly `threshold` gives the first, as in torchmetrics. The predicted class of more is the most
    probable one, the first of them if several are equally probable.
    """

    names: tuple[str, ...] = ("negative", "positive")
    threshold: float = THRESHOLD

    @classmethod
    def found(cls, labels: Iterable[str]) -> "Classes":
        """Return the classes of a corpus with these labels, in every spelling that occurs.

        Only usual labels, such as 0 and 1 or neg and pos, give the classes negative and positive.
        Other labels are classes of their own; case has no meaning. They are sorted as numbers, if
        all of them are numbers, or by spelling. Numbers are decimal, such as -1, 4.5 and 1e3, with
        digits of any script, and at most `LARGEST_NUMBER`. Raises InputError if two labels are the
        same number.
        """
        spellings: dict[str, str] = {}
        for label in sorted(labels):
            spellings.setdefault(label.casefold(), label)
        if spellings.keys() <= USUAL_LABELS.keys():
            return cls()
        names = [spellings[key] for key in sorted(spellings)]
        if (values := _numbers(names)) is not None:
            pairs = sorted(zip(values, names, strict=True))
            for (value, name), (next_value, next_name) in pairwise(pairs):
                if value == next_value:
                    raise InputError(
                        f"the labels {name} and {next_name} are the same number: write them alike."
                    )
            names = [name for _, name in pairs]
        return cls(tuple(names))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def are_usual(self) -> bool:
        """Whether the classes are negative and positive."""
        return self.names == BINARY.names

    @property
    def outputs(self) -> int:
        """The number of logits of a review."""
        return 1 if len(self) == 2 else len(self)

    @cached_property
    def values(self) -> tuple[float, ...] | None:
        """The numbers that the names are, such as stars; None if they are not all numbers."""
        return _numbers(self.names)

    def label(self, text: str) -> int | None:
        """Return the label of the class with this name, or None if there is no such class.

        Case has no meaning. The classes negative and positive have all usual names.
        """
        if self.are_usual:
            return USUAL_LABELS.get(text.casefold())
        return self._labels.get(text.casefold())

    def predicted(self, probabilities: Any) -> Any:
        """Return the label of the predicted class of each review, (N,).

        `probabilities`, an array, is (N,) for two classes: that of the second one. For more it is
        (N, K).
        """
        if probabilities.ndim == 1:
            return (probabilities > self.threshold).astype(int)
        return probabilities.argmax(1)

    def with_threshold(self, threshold: float) -> "Classes":
        """Return the same classes with another threshold."""
        return replace(self, threshold=threshold)

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {name.casefold(): label for label, name in enumerate(self.names)}


def _numbers(names: Sequence[str]) -> tuple[float, ...] | None:
    if any("_" in name for name in names):  # Python's 1_000
        return None
    try:
        numbers = tuple(float(name) for name in names)
    except ValueError:
        return None
    return numbers if all(abs(number) <= LARGEST_NUMBER for number in numbers) else None


BINARY = Classes()
