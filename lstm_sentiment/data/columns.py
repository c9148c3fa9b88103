"""The columns of a table that hold text and label, and the meaning of their values."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lstm_sentiment.display import printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import BINARY, MAX_CLASSES, USUAL_LABELS, Classes, label_text

TEXT_COLUMNS, LABEL_COLUMNS = ("text", "review"), ("label", "sentiment")
NO_CLASS = -1  # a label of the library `datasets` that is unknown, such as in hidden test sets
NAMES_SHOWN, NAME_LENGTH = 8, 40  # in a message
MAX_LABEL_LENGTH = 100  # characters; a longer label is probably a text


class Review(NamedTuple):
    """A text, its label, the group of reviews to which it belongs, and what decides its label."""

    text: str
    label: str | None  # as in the column of the labels; None if it is not read
    group: str | None = None  # None: a group of its own
    construct: str = ""  # of a synthetic review, see `synthetic.Construct`


class Options(NamedTuple):
    """The options that set the fields of `Columns`, for error messages."""

    text: str = "data.text_column"
    label: str = "data.label_column"
    positive: str = "data.positive_label"
    classes: str = "data.classes"
    missing: str | None = "data.missing=skip"
    remedy: str = ""  # for a label that is not one of two classes
    group: str = "data.group_column"


# Part of the keys of cached reviews by its repr: class and field names must not change.
@dataclass(frozen=True)
class Columns:
    """The names of the text and label columns and the positive label; None means the usual ones.

    `classes` are the names of the allowed labels; None allows all of them. `skip_missing` says
    whether rows without a text or a label are left out. `group` is the column of the groups; None
    means that there are none.
    """

    text: str | None = None
    label: str | None = None
    positive: str | None = None
    options: Options = field(default=Options(), repr=False)
    skip_missing: bool = False
    classes: tuple[str, ...] | None = None
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
    short = [printable(" ".join(str(name).split())[:NAME_LENGTH]) or "(unnamed)" for name in names]
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

    Case and surrounding blanks have no meaning, and 1 and 1.0 name the same group. Raises
    ValueError if the value is a list or an object.
    """
    _require_single("group", value)
    return label_text(value).casefold() or None


def _require_single(what: str, value: Any) -> None:
    """Raise ValueError if a value is a list or an object, as JSON Lines and Parquet may have it."""
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        raise ValueError(f"the {what} must be a text or a number (got {value!r:.60}).")


class LabelParser:
    """A converter of the values of a label column to labels as text, such as "4" or "positive".

    If the positive label is named, labels become "positive" and "negative", and the first other
    value is negative. If the classes are named, only these labels are allowed. Surrounding blanks
    have no meaning. In a table whose classes have names, a number stands for the name of its class.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.positive = None if columns.positive is None else label_text(columns.positive)
        self.negative: str | None = None
        self.classes = None if columns.classes is None else Classes(columns.classes)
        self.names: dict[int, str] = {}  # the texts of numbers
        self.found: set[str] = set()  # without case

    def name_classes(self, names: Sequence[str]) -> None:
        """Set the names of the classes of the next table, by number; none if numbers have no names.

        Raises InputError if the label that was named as positive is none of them.
        """
        if not names:
            self.names = {}
            return
        numbers = [str(number) for number in range(len(names))]
        if not any(self._is_chosen(name.strip()) for name in names):
            options, chosen = self.columns.options, self.columns.classes or (self.positive or "",)
            if not set(chosen) <= set(numbers):
                if self.positive is not None:
                    given = f"{options.positive}={self.positive} is not one"
                else:
                    given = f"{options.classes} ({join_names(chosen)}) are none"
                raise InputError(
                    f"{given} of the classes of the labels ({join_names(names)}): give one of "
                    "these names."
                )
            names = numbers  # the classes are given by their numbers
        self.names = {NO_CLASS: "", **dict(enumerate(names))}

    def parse(self, value: Any) -> str:
        """Return the label.

        Raises MissingError if there is no value, and ValueError if the value is not allowed.
        """
        _require_single("label", value)
        text = label_text(self.names.get(value, value) if type(value) is int else value)
        if not text:
            raise MissingError("label")
        if self.positive is not None:
            return self._positive_or_negative(text)
        if self.classes is not None and self.classes.label(text) is None:
            raise ValueError(
                f"label {text!r:.60} is not one of {self.columns.options.classes} "
                f"({join_names(self.classes.names)})"
                f"{self.columns.options.remedy if len(self.classes) == 2 else ''}."
            )
        self.found.add(text.casefold())
        excess = ""
        if len(text) > MAX_LABEL_LENGTH:
            excess = f"longer than the {MAX_LABEL_LENGTH} characters"
        elif len(self.found) > MAX_CLASSES:
            excess = f"one more than the {MAX_CLASSES} different labels"
        if excess:
            raise ValueError(
                f"label {text!r:.60} is {excess} that are allowed: name the column of the labels "
                f"with {self.columns.options.label}."
            )
        return text

    def _positive_or_negative(self, text: str) -> str:
        assert self.positive is not None
        negative, positive = BINARY.names
        if _same(text, self.positive):
            return positive
        self.negative = text if self.negative is None else self.negative
        if not _same(text, self.negative):
            option = self.columns.options.positive
            raise ValueError(
                f"label {text!r:.60} is neither {option}={self.positive} nor "
                f"{self.negative!r:.60}, which is read as negative: leave out {option} for more "
                "than two classes."
            )
        return negative

    def knows(self, value: Any) -> bool:
        """Return whether the value is one of the labels that have been read or are allowed."""
        text = label_text(value)
        if self.positive is not None:
            return any(_same(text, label) for label in (self.positive, self.negative) if label)
        if self.classes is not None:
            return self.classes.label(text) is not None
        return text.casefold() in self.found | USUAL_LABELS.keys()

    def _is_chosen(self, text: str) -> bool:
        """Return whether a label is the positive one, or one of the classes, if they are named."""
        if self.positive is not None:
            return _same(text, self.positive)
        return self.classes is None or self.classes.label(text) is not None


def _same(label: str, other: str) -> bool:
    return label.casefold() == other.casefold()
