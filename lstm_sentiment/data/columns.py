"""The columns of a table that hold text and label, and the meaning of their values."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import NEGATIVE, POSITIVE

TEXT_COLUMNS, LABEL_COLUMNS = ("text", "review"), ("label", "sentiment")
# Labels are compared as text, so that 1, 1.0, True, "1" and "Positive" are all positive.
USUAL_LABELS = {
    **dict.fromkeys(("0", "neg", "negative", "false"), NEGATIVE),
    **dict.fromkeys(("1", "pos", "positive", "true"), POSITIVE),
}
NO_CLASS = -1  # a label of the library `datasets` that is unknown, such as in hidden test sets
NAMES_SHOWN, NAME_LENGTH = 8, 40  # in a message
WHOLE_NUMBER = re.compile(r"^(-?\d+)\.0+$")


class Review(NamedTuple):
    """A text, its label, and the group of reviews to which it belongs."""

    text: str
    label: int  # POSITIVE, NEGATIVE or UNLABELLED
    group: str | None = None  # None: a group of its own


class Options(NamedTuple):
    """The options that set the fields of `Columns`, for error messages."""

    text: str = "data.text_column"
    label: str = "data.label_column"
    positive: str = "data.positive_label"
    missing: str | None = "data.missing=skip"
    group: str = "data.group_column"


# Part of the keys of cached reviews by its repr: class and field names must not change.
@dataclass(frozen=True)
class Columns:
    """The names of the text and label columns and the positive label; None means the usual ones.

    `skip_missing` says whether rows without a text or a label are left out. `group` is the column
    of the groups; None means that there are none.
    """

    text: str | None = None
    label: str | None = None
    positive: str | None = None
    options: Options = field(default=Options(), repr=False)
    skip_missing: bool = False
    group: str | None = field(default=None, repr=False)

    def find_text(self, present: Sequence[str]) -> str:
        """Return the name of the text column. Raises InputError if there is none, or several."""
        return _find("text", self.text, TEXT_COLUMNS, present, self.options.text)

    def find_label(self, present: Sequence[str]) -> str:
        """Return the name of the label column. Raises InputError if there is none, or several."""
        return _find("label", self.label, LABEL_COLUMNS, present, self.options.label)

    def find_group(self, present: Sequence[str]) -> str | None:
        """Return the name of the group column, or None if no groups are read.

        Raises InputError if it is missing, or if it is the column of the texts or labels.
        """
        if self.group is None:
            return None
        name = _find("group", self.group, (), present, self.options.group)
        if name in (self.find_text(present), self.find_label(present)):
            raise InputError(
                f"{self.options.group}={self.group} is the column of the texts or of the labels: "
                "give another column."
            )
        return name


USUAL_COLUMNS = Columns()


def _find(
    role: str, chosen: str | None, usual: Sequence[str], present: Sequence[str], option: str
) -> str:
    names = usual if chosen is None else (chosen,)
    for name in names:
        exact = [column for column in present if column == name]
        matches = exact or [
            column for column in present if _normalized(column) == _normalized(name)
        ]
        if len(matches) > 1:
            raise InputError(
                f"{len(matches)} columns are named {join_names([name])}: keep only one of them."
            )
        if matches:
            return matches[0]
    raise InputError(
        f"there is no column {join_names(names, ' or ')} (columns: {join_names(present)}): "
        f"name the {role} column with {option}."
    )


def _normalized(name: str) -> str:
    return name.strip().casefold()


def join_names(names: Iterable[str], separator: str = ", ") -> str:
    """Return the first names, shortened for a message: without a header they are whole reviews."""
    short = [" ".join(str(name).split())[:NAME_LENGTH] or "(unnamed)" for name in names]
    if not short:
        return "none"
    return separator.join(short[:NAMES_SHOWN]) + (", ..." if len(short) > NAMES_SHOWN else "")


def invalid_byte(error: UnicodeDecodeError) -> str:
    """Return the first byte that is not UTF-8, in the form "byte 0xff"."""
    return f"byte 0x{error.object[error.start]:02x}"


class MissingError(ValueError):
    """An error that says that a text or a label is missing."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} is missing: every review needs one")


def parse_text(value: Any) -> str:
    """Return the text of a review.

    Raises MissingError if there is no value, and ValueError if the value is not a text.
    """
    if value is None:
        raise MissingError("text")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"the text is not UTF-8 ({invalid_byte(error)}).") from error
    if not isinstance(value, str):
        raise ValueError(f"the text must be a string (got {value!r:.60}).")
    return value


def parse_group(value: Any) -> str | None:
    """Return the name of a group, or None if the value is missing or blank.

    Case and surrounding blanks have no meaning, and 1 and 1.0 name the same group.
    """
    return _label_text(value).casefold() or None


class LabelParser:
    """A converter of the values of a label column to labels.

    If the positive label is named, the first other value becomes the negative label. Case and
    surrounding blanks have no meaning. In a table whose classes have names, a number stands for the
    name of its class, whatever the number is.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.positive = None if columns.positive is None else _label_text(columns.positive)
        self.negative: str | None = None
        self.classes: dict[int, str] = {}  # the texts of numbers

    def name_classes(self, names: Sequence[str]) -> None:
        """Set the names of the classes of the next table, by number; none if numbers have no names.

        Raises InputError if the names do not tell which class is positive.
        """
        numbers = [str(number) for number in range(len(names))]
        if not names:
            self.classes = {}
            return
        shown, option = join_names(names), self.columns.options.positive
        if self.positive is None:
            if not any(name.strip().casefold() in USUAL_LABELS for name in names):
                raise InputError(
                    f"the classes of the labels are named {shown}: name the positive one with "
                    f"{option}."
                )
        elif not any(_same(name.strip(), self.positive) for name in names):
            if self.positive not in numbers:
                raise InputError(
                    f"{option}={self.positive} is not one of the classes of the labels ({shown}): "
                    "give one of these names."
                )
            names = numbers  # the positive class is given by its number
        self.classes = {NO_CLASS: "", **dict(enumerate(names))}

    def parse(self, value: Any) -> int:
        """Return POSITIVE or NEGATIVE.

        Raises MissingError if there is no value, and ValueError if the value is not allowed.
        """
        text = _label_text(self.classes.get(value, value) if type(value) is int else value)
        if not text:
            raise MissingError("label")
        if self.positive is None:
            return self._usual(text)
        if _same(text, self.positive):
            return POSITIVE
        self.negative = text if self.negative is None else self.negative
        if not _same(text, self.negative):
            option = self.columns.options.positive
            raise ValueError(
                f"label {text!r:.60} is neither {option}={self.positive} nor "
                f"{self.negative!r:.60}, which is read as negative: only two labels are allowed, "
                "so remove the rows with other labels."
            )
        return NEGATIVE

    def knows(self, value: Any) -> bool:
        """Return whether the value is a usual label, or one of the two that are in use."""
        text = _label_text(value)
        if self.positive is None:
            return text.casefold() in USUAL_LABELS
        return any(_same(text, label) for label in (self.positive, self.negative) if label)

    def _usual(self, text: str) -> int:
        label = USUAL_LABELS.get(text.casefold())
        if label is None:
            raise ValueError(
                f"label {text!r:.60} is not allowed: give 0 or 1, neg or pos, negative or "
                "positive, false or true; for two other labels, name the positive one with "
                f"{self.columns.options.positive}."
            )
        return label


def _same(label: str, other: str) -> bool:
    return label.casefold() == other.casefold()


def _label_text(value: Any) -> str:
    """Return the text of a label: "1" for 1.0, "True" for True, "" for a missing label."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return WHOLE_NUMBER.sub(r"\1", str(value).strip())
