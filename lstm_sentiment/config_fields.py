"""Declarations of the configuration's fields, with their bounds, their help and their roles.

`config.py` declares every field with one of the functions below. A dataclass that inherits from
`Checked` checks its fields when it is created. `fields_of` lists the fields of a dataclass.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from math import isfinite
from os import PathLike
from re import Pattern
from typing import Any, ClassVar, TypedDict, TypeVar, Unpack, get_args

from lstm_sentiment.display import shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import label_text

LONGEST_SHOWN = 200  # characters of a refused value in a message
AUTO = "auto"  # the value of a field that is guessed

Kind = TypeVar("Kind")
Name = TypeVar("Name", bound=str | None)
Number = TypeVar("Number", bound=float | None)
Whole = TypeVar("Whole", bound=int | None)


class Roles(TypedDict, total=False):
    """The roles of a field in the rest of the program; see `Field`."""

    fingerprinted: bool
    recorded: bool
    factor: str
    describes: str
    if_missing: Any


@dataclass(frozen=True)
class Field:
    """A field: its name, its bounds, its help and its roles.

    `name` is dotted, as on the command line. `check` returns the value to store, or raises
    ValueError if the value is not allowed; `allowed` describes the allowed values.

    A field that is not `fingerprinted` does not change the results and is not part of a run's
    fingerprint, such as the folder of the run, the device, the path of the data, or the display. A
    field that is not `recorded` is left out of records: a path of the machine, or an instruction
    such as `rerun`. A comparison analyses a field with a `factor` as a choice of the network, under
    this name. Fields with the same `describes`, such as "vectors", count as one difference between
    variants if they vary together.

    `if_missing` is the value that a written configuration without the field implies: older
    versions, which did not have the field, always behaved like this value. It may be left out if it
    is the default, except for fields of n-gram baselines, whose records leave this value out.
    """

    name: str
    default: Any
    optional: bool  # whether null is allowed
    allowed: str
    help: str
    check: Callable[[Any], Any]
    fingerprinted: bool = True
    recorded: bool = True
    factor: str = ""
    describes: str = ""
    if_missing: Any = None  # None: the default

    def allows(self, value: Any) -> bool:
        """Return whether the field can have this value."""
        try:
            self.stored(value)
        except InputError:
            return False
        return True

    def stored(self, value: Any) -> Any:
        """Return the value in the form in which it is stored, such as 0.0 for 0.

        Raises InputError if the value is not allowed.
        """
        if value is None and self.optional:
            return None
        try:
            return self.check(value)
        except ValueError as error:
            shown = str(value) if isinstance(value, StrEnum) else value
            got = shortened(repr(shown), LONGEST_SHOWN)
            raise InputError(f"{self.name} must be {self.allowed} (got {got}).") from error


class Checked:
    """Base class of the configuration's dataclasses; `prefix` begins the names of their fields.

    Creating an instance raises InputError if the value of a field is not allowed.
    """

    prefix: ClassVar[str] = ""

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls.prefix = prefix

    def __post_init__(self) -> None:
        for name, known in own_fields(type(self)).items():
            setattr(self, name, known.stored(getattr(self, name)))
        self.check_combination()

    def check_combination(self) -> None:
        """Raise InputError if values are incompatible; set defaults that depend on other fields."""


def own_fields(kind: type[Checked]) -> dict[str, Field]:
    """Return the fields of a dataclass, including groups, by their names without prefix."""
    known = {}
    for item in fields(kind):  # type: ignore[arg-type]
        default = item.default if item.default_factory is MISSING else item.default_factory()
        optional = item.type is Any or type(None) in get_args(item.type)
        about = dict(item.metadata)
        if optional:
            about["allowed"] += ", or null"
        known[item.name] = Field(kind.prefix + item.name, default, optional, **about)
    return known


def fields_of(kind: type[Checked]) -> Iterator[Field]:
    """Yield the fields of a dataclass in their order, with groups replaced by their fields."""
    for known in own_fields(kind).values():
        if isinstance(known.default, Checked):
            yield from fields_of(type(known.default))
        else:
            yield known


def whole(
    default: Whole, *, low: int, high: int | None = None, help: str, **roles: Unpack[Roles]
) -> Whole:
    """Declare a whole number."""
    bounds = Bounds(low=low, high=high)

    def check(value: Any) -> int:
        if type(value) is not int or value not in bounds:
            raise ValueError
        return value

    return _field(default, check, f"a whole number {bounds}", help, roles)


def number(
    default: Number,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    help: str,
    **roles: Unpack[Roles],
) -> Number:
    """Declare a finite number."""
    bounds = Bounds(low, above, high, below)

    def check(value: Any) -> float:
        if type(value) not in (int, float):
            raise ValueError
        try:
            real = float(value)  # 0 and 0.0 are one configuration and must have one fingerprint
        except OverflowError as error:
            raise ValueError from error
        if not isfinite(real) or real not in bounds:
            raise ValueError
        return real

    return _field(default, check, f"a number {bounds}", help, roles)


def fraction(default: Number, *, help: str, **roles: Unpack[Roles]) -> Number:
    """Declare a fraction: a number of at least 0 and below 1."""
    return number(default, low=0, below=1, help=help, **roles)


def flag(default: bool, *, help: str, **roles: Unpack[Roles]) -> bool:
    """Declare a field that is either true or false."""

    def check(value: Any) -> bool:
        if type(value) is not bool:
            raise ValueError
        return value

    return _field(default, check, "true or false", help, roles)


def choice(
    default: Name, *, options: Iterable[str] | None = None, help: str, **roles: Unpack[Roles]
) -> Name:
    """Declare a choice among `options`, or among the members of the default's enumeration."""
    kind: Any = type(default) if options is None else str
    names = tuple(kind if options is None else options)

    def check(value: Any) -> str:
        if value not in names:
            raise ValueError
        return kind(value)

    return _field(default, check, f"one of {', '.join(names)}", help, roles)


def text(
    default: Name,
    *,
    allowed: str = "a text that is not empty",
    pattern: Pattern[str] | None = None,
    longest: int | None = None,
    help: str,
    **roles: Unpack[Roles],
) -> Name:
    """Declare a text that matches `pattern` or, without a pattern, is not empty.

    `longest` is its greatest length in bytes of UTF-8.
    """

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        if value != default and not (pattern.fullmatch(value) if pattern else value):
            raise ValueError
        if longest is not None and len(value.encode(errors="replace")) > longest:
            raise ValueError
        return value

    return _field(default, check, allowed, help, roles)


def encoding(default: str, *, help: str, **roles: Unpack[Roles]) -> str:
    """Declare the name of an encoding that Python knows, or "auto"."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not (value == AUTO or is_encoding(value)):
            raise ValueError
        return value

    allowed = f"{AUTO} or the name of an encoding, such as utf-8, utf-16 or cp1252"
    return _field(default, check, allowed, help, roles)


def is_encoding(name: str) -> bool:
    """Return whether Python can decode text with the codec of this name."""
    try:
        return isinstance(bytes(4).decode(codecs.lookup(name).name), str)
    except (LookupError, ValueError):  # unknown, or a codec that does not decode text
        return False


def location(
    default: Name, *, allowed: str = "a file or folder", help: str, **roles: Unpack[Roles]
) -> Name:
    """Declare a path or a text such as a glob; the value is stored as a text."""

    def check(value: Any) -> str:
        if not isinstance(value, str | PathLike) or not str(value).strip():
            raise ValueError
        return str(value)

    return _field(default, check, allowed, help, roles)


def locations(*, allowed: str, help: str, **roles: Unpack[Roles]) -> Any:
    """Declare a path or a list of paths, which is stored as a list, or as null if it is empty."""

    def check(value: Any) -> list[str] | None:
        paths = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(path, str | PathLike) and str(path).strip() for path in paths):
            raise ValueError
        return [str(path) for path in paths] or None

    return _field(None, check, allowed, help, roles)


def group(kind: type[Kind]) -> Kind:
    """Declare a group of fields with its default values."""

    def check(value: Any) -> Kind:
        if not isinstance(value, kind):
            raise ValueError
        return value

    metadata = {"check": check, "allowed": f"of type {kind.__name__}", "help": ""}
    return field(default_factory=kind, metadata=metadata)


def class_names(*, most: int, help: str, **roles: Unpack[Roles]) -> Any:
    """Declare the number of the classes or the list of their names, which is null by default."""

    def check(value: Any) -> int | list[str]:
        if type(value) is int and 2 <= value <= most:
            return value
        if not isinstance(value, list | tuple) or not 2 <= len(value) <= most:
            raise ValueError
        if any(isinstance(name, bool) or not isinstance(name, str | int | float) for name in value):
            raise ValueError
        names = [label_text(name) for name in value]
        if "" in names or len({name.casefold() for name in names}) < len(names):
            raise ValueError
        return names

    allowed = f"a list of 2 to {most} different labels (texts or numbers), or their number"
    return _field(None, check, allowed, help, roles)


def list_of(kind: type[Kind], *, help: str, **roles: Unpack[Roles]) -> list[Kind]:
    """Declare a list of groups, which is empty by default."""

    def check(value: Any) -> list[Kind]:
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise ValueError
        return value

    allowed = f"a list whose items are of type {kind.__name__}"
    metadata = {"check": check, "allowed": allowed, "help": help, **roles}
    return field(default_factory=list, metadata=metadata)


@dataclass(frozen=True)
class Bounds:
    """An interval of numbers, which includes `low` and `high`, but not `above` and `below`."""

    low: float | None = None
    above: float | None = None
    high: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high}"
        bounds = {
            "of at least": self.low, "above": self.above,
            "at most": self.high, "below": self.below,
        }  # fmt: skip
        return " and ".join(
            f"{phrase} {bound}" for phrase, bound in bounds.items() if bound is not None
        )


def _field(default: Any, check: Callable[[Any], Any], allowed: str, help: str, roles: Roles) -> Any:
    metadata = {"check": check, "allowed": allowed, "help": help, **roles}
    return field(default=default, metadata=metadata)
