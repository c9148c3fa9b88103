"""The search space of `lstm-sentiment tune`, from overrides in Hydra's grammar.

| override | space |
| --- | --- |
| `name=a,b` or `name=choice(a,b)` | `Choices` |
| `name=range(low,high[,step])` | `Numbers`, both ends included; whole ones if all of them are |
| `name=interval(low,high)` | `Numbers`; whole ones with `int(interval(...))` |
| `name=tag(log,...)` of either | `Numbers` on a logarithmic scale |

As in Hydra's Optuna sweeper, a range includes its upper end, which it does not in `train -m`.
"""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import islice, product
from pathlib import Path
from typing import TypeAlias

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from lstm_sentiment.commands.hydra_config import Composed, compose_run, hydra_initialized
from lstm_sentiment.config import Config, flat
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.display import typed_value
from lstm_sentiment.errors import InputError

SWEEP = "tune"  # the name of the sweep, or its end after the name of the experiment
LOG = "log"  # the tag of a logarithmic scale
DIGITS = 6  # significant digits of a number that is drawn, so that it can be read and typed
WIDE = 100  # ratio of the ends of an interval from which on a linear scale is pointed out
SEEDS = (0, 1, 2)  # with which the best configuration is trained
MOST_TRIED = 16  # combinations of ends until one is found that is allowed
GROUPS = ("encoder", "head", "embedding", "objective")  # whose choices can be searched
FIELDS = {field.name: field for field in fields_of(Config)}
# Overrides of a search that training the best configuration does not repeat.
OF_THE_SEARCH = ("seed", "sweep", "test")
# Why some fields cannot be searched.
SEED = f"the best configuration is trained with the seeds {', '.join(map(str, SEEDS))} at the end"
TEST_SET = "no choice may be made by the test set"
OTHER_REVIEWS = "all trials must validate on the same reviews"
NO_EFFECT = "its value does not change what is computed"
REASONS = {"seed": SEED, "test": TEST_SET, "data": OTHER_REVIEWS, "experiment": OTHER_REVIEWS}


@dataclass(frozen=True)
class Choices:
    """Some values, as they are typed."""

    values: tuple[str, ...]

    @property
    def ends(self) -> tuple[str, ...]:
        """The values that are checked before the first trial: all of them."""
        return self.values

    @property
    def override(self) -> str:
        """The space as it is typed."""
        return ",".join(self.values)

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True)
class Numbers:
    """The numbers from `low` to `high`, both included.

    They are whole if `low` and `high` are; then there is a `step`. With a `step`, `high` is a
    number of steps above `low`.
    """

    low: float
    high: float
    step: float | None = None
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int)

    @property
    def ends(self) -> tuple[str, ...]:
        """The values that are checked before the first trial: the least and the largest."""
        return self.typed(self.low), self.typed(self.high)

    def typed(self, value: float) -> str:
        """Return a number of the space as it is typed, with `DIGITS` significant digits."""
        if self.is_whole:
            return str(int(value))
        rounded = float(f"{value:.{DIGITS}g}")
        return repr(min(max(rounded, self.low), self.high))

    @property
    def is_wide_and_linear(self) -> bool:
        """Whether nearly all numbers that are drawn are of the magnitude of the largest one."""
        return not self.is_log and not self.is_whole and 0 < WIDE * self.low <= self.high

    @property
    def override(self) -> str:
        """The space as it is typed."""
        step = "" if self.step is None or (self.is_whole and self.step == 1) else f",{self.step}"
        name = "interval" if self.step is None else "range"
        text = f"{name}({self.low},{self.high}{step})"
        return f"tag({LOG},{text})" if self.is_log else text

    def __str__(self) -> str:
        parts = [f"{self.low:g} to {self.high:g}"]
        parts += ["whole numbers"] * self.is_whole
        if self.step is not None and not (self.is_whole and self.step == 1):
            parts.append(f"in steps of {self.step:g}")
        return ", ".join([*parts, *["logarithmic scale"] * self.is_log])


Space: TypeAlias = Choices | Numbers


@dataclass(frozen=True)
class SearchSpace:
    """The overrides of a search: those of every trial, and the spaces of the others by name."""

    fixed: Sequence[str]
    spaces: Mapping[str, Space]
    config_dir: Path | None

    @classmethod
    def parse(cls, overrides: Sequence[str], config_dir: Path | None = None) -> "SearchSpace":
        """Parse the overrides of a command line; a later one of the same name replaces another.

        Raises InputError if an override is not valid, if there is no space, or if a field cannot be
        searched.
        """
        fixed: dict[str, str] = {}
        spaces: dict[str, Space] = {}
        with hydra_initialized(overrides, config_dir):
            parser = OverridesParser.create(GlobalHydra.instance().config_loader())
            parsed = parser.parse_overrides([*overrides])
            for typed, override in zip(overrides, parsed, strict=True):
                name = override.get_key_element().lstrip("+~")
                fixed.pop(name, None)
                spaces.pop(name, None)
                if override.is_sweep_override():
                    spaces[name] = _space(typed, override)
                else:
                    fixed[name] = typed
                    _require_fixed(name, override)
        if not spaces:
            raise InputError(
                "There is nothing to search: give at least one space, such as head=max,avg, "
                "encoder.hidden_size=range(64,512) or optimizer.lr=tag(log,interval(1e-4,1e-2))."
            )
        return cls([*fixed.values()], spaces, config_dir)

    def compose(self, values: Mapping[str, str]) -> Composed:
        """Compose the configuration of a trial with these values; it is not tested.

        Unless a name for the sweep is typed, the runs of a search are not those of the experiment.
        Raises InputError if the values are not allowed.
        """
        overrides = [*self.fixed, "test=false", *overrides_of(values)]
        composed = compose_run(overrides, self.config_dir)
        if any(typed.startswith("sweep=") for typed in self.fixed):
            return composed
        sweep = "-".join(filter(None, [composed.config.sweep, SWEEP]))
        return composed._replace(config=replace(composed.config, sweep=sweep))

    def check(self) -> tuple[Composed, list[tuple[str, str, Composed]]]:
        """Compose the first values and the ends of every space, each with its name and value.

        Each end is composed with the first values of the other spaces or, since these may exclude
        it, alone. Raises InputError if a field is unknown or cannot be searched, or if an end is
        not allowed.
        """
        for name, space in self.spaces.items():
            _require_searchable(name)
            _require_whole(name, space)
        first, composed = self._first()
        ends = [
            (name, value, composed if value == first[name] else self._end(first, name, value))
            for name, space in self.spaces.items()
            for value in space.ends
        ]
        if others := self.spaces.keys() - {*GROUPS, *FIELDS}:
            raise InputError(f"{min(others)} cannot be searched: {NO_EFFECT}.")
        return composed, ends

    def _end(self, first: Mapping[str, str], name: str, value: str) -> Composed:
        try:
            return self.compose({**first, name: value})
        except InputError:
            with suppress(InputError):
                return self.compose({name: value})
            raise

    def _first(self) -> tuple[dict[str, str], Composed]:
        """Return the first values that are allowed together, and their configuration."""
        combinations = product(*(space.ends for space in self.spaces.values()))
        refusals = []
        for combination in islice(combinations, MOST_TRIED):
            values = dict(zip(self.spaces, combination, strict=True))
            try:
                return values, self.compose(values)
            except InputError as error:
                refusals.append(error)
        raise refusals[0]

    def training(self, values: Mapping[str, str]) -> str:
        """Return the overrides, as typed in a shell, that train these values with several seeds.

        They are overrides for `train -m`, and test the networks.
        """
        names = {typed.partition("=")[0] for typed in self.fixed}
        kept = [typed for typed in self.fixed if typed.partition("=")[0] not in OF_THE_SEARCH]
        composed = compose_run([*kept, *overrides_of(values)], self.config_dir)
        kept += ["test=true"] * (not composed.config.test)
        # With -m, the experiment would sweep its own axes.
        own = [axis for axis in composed.axes if axis not in {*names, *values, *OF_THE_SEARCH}]
        fields = flat(composed.config)
        pinned = {
            axis: composed.choices.get(axis) or typed_value(fields[axis], quoted=True)
            for axis in own
        }
        seeds = f"seed={','.join(map(str, SEEDS))}"
        options = [] if self.config_dir is None else ["--config-dir", str(self.config_dir)]
        return shlex.join([*options, *kept, *overrides_of(pinned), *overrides_of(values), seeds])


def overrides_of(values: Mapping[str, str]) -> list[str]:
    """Return the overrides that set these values, given by name."""
    return [f"{name}={value}" for name, value in values.items()]


def _space(typed: str, override: Override) -> Space:
    """Return the space of an override. Raises InputError if it is not possible."""
    value = override.value()
    tags = value.tags if isinstance(value, Sweep) else set()
    if unknown := tags - {LOG}:
        raise InputError(f"{typed}: tag({min(unknown)},...) is unknown; the only tag is {LOG}.")
    is_log = LOG in tags
    if isinstance(value, RangeSweep):
        return _range(typed, value, is_log)
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        return _numbers(typed, value.start, value.end, None, is_log)
    values = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if is_log:
        raise InputError(f"{typed}: tag({LOG},...) is for range and interval only.")
    if len(values) < 2:
        raise InputError(f"{typed} has fewer than two different values.")
    return Choices(values)


def _range(typed: str, value: RangeSweep, is_log: bool) -> Numbers:
    """Return the numbers of a range; its upper end is the last one that a step reaches."""
    assert value.start is not None
    assert value.stop is not None
    if value.step <= 0:
        raise InputError(f"{typed}: the step must be above 0 (got {value.step:g}).")
    # Exactly: 0.5 is three steps of 0.1 above 0.2.
    low, stop, step = (Decimal(str(number)) for number in (value.start, value.stop, value.step))
    try:
        high = low + (stop - low) // step * step
    except InvalidOperation as error:
        raise InputError(f"{typed}: both ends must be finite, and the step larger.") from error
    is_whole = all(isinstance(each, int) for each in (value.start, value.stop, value.step))
    kind = int if is_whole else float
    return _numbers(typed, kind(low), kind(high), kind(step), is_log)


def _numbers(typed: str, low: float, high: float, step: float | None, is_log: bool) -> Numbers:
    if not low < high < float("inf"):
        raise InputError(f"{typed}: the upper end must be above the lower end.")
    if is_log and low <= 0:
        raise InputError(f"{typed}: a logarithmic scale begins above 0.")
    if is_log and step not in (None, 1):
        raise InputError(f"{typed}: a logarithmic scale has no step.")
    if isinstance(low, int):
        return Numbers(low, high, step or 1, is_log)
    return Numbers(low, high, None if is_log else step, is_log)


def _require_fixed(name: str, override: Override) -> None:
    """Raise InputError if a search cannot have this override."""
    if name == "test" and override.value() is not False:
        raise InputError(
            f"test={typed_value(override.value())} is not allowed: {TEST_SET}. The command at the "
            "end trains the best configuration and tests it."
        )
    if name == "rerun" and override.value() is not False:
        raise InputError(
            f"rerun={typed_value(override.value())} is not allowed: the results of a search would "
            "no longer be those of its runs. Give another sweep=NAME."
        )


def _require_whole(name: str, space: Space) -> None:
    """Raise InputError if a field of whole numbers has a space of others."""
    known = FIELDS.get(name)
    if known is None or not isinstance(space, Numbers) or space.is_whole:
        return
    if "whole number" in known.allowed:
        low, high = int(space.low), int(space.high)
        raise InputError(
            f"{name} must be a whole number: give {name}=range({low},{high}) or, on a logarithmic "
            f"scale, {name}=tag(log,range({low},{high}))."
        )


def _require_searchable(name: str) -> None:
    """Raise InputError if a known field cannot be searched."""
    if name in REASONS or (name in FIELDS and not FIELDS[name].fingerprinted):
        raise InputError(f"{name} cannot be searched: {REASONS.get(name, NO_EFFECT)}.")
