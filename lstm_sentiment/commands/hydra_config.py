"""Compose a `Config` from the overrides of a command line with Hydra.

Only this module, `launchers`, `search_space` and `train` import Hydra.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from lstm_sentiment.commands.choices import CONF
from lstm_sentiment.config import CompareConfig, Config, Reference, flat
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.errors import InputError

LISTS = {"reference": Reference, "compare": CompareConfig}  # the fields with entries of this type
NO_LIST = re.compile(rf"full_key: ({'|'.join(LISTS)})(\[\d+\])?\n")
UNKNOWN_FIELD = re.compile(r"Could not override '([^']*)'")
TARGET = "_target_"  # the key of a function in Hydra's configurations
HINTS = ("full_key:", "reference_type=", "object_type=", "See https://hydra.cc")

ConfigStore.instance().store(name="schema", node=Config)
ConfigStore.instance().store(name="pretraining_schema", node=PretrainingConfig)

Kind = TypeVar("Kind", Config, PretrainingConfig)
Schema = type[Config] | type[PretrainingConfig]
# The options that list all fields of a schema. Other commands than these two have no such option.
LISTING: dict[Schema, str] = {
    Config: "lstm-sentiment train --help",
    PretrainingConfig: "lstm-sentiment pretrain --cfg job",
}


class Composed(NamedTuple):
    """A configuration, and what it was composed of."""

    config: Config
    choices: Mapping[str, str]  # the names chosen for the groups
    axes: Sequence[str]  # the fields and groups that the experiment sweeps with -m


def compose(
    overrides: list[str], path: str | None = None, config_dir: Path | None = None
) -> Config:
    """Return the configuration with these overrides; see `compose_run`.

    `path` is used literally as `data.path`.
    """
    return compose_run(overrides, config_dir, path).config


def compose_run(
    overrides: Sequence[str], config_dir: Path | None = None, path: str | None = None
) -> Composed:
    """Compose the configuration with these overrides; the axes of an experiment are ignored.

    `config_dir` is Hydra's --config-dir. Raises InputError if an override is not valid.
    """
    refuse_code(overrides)
    with hydra_initialized(overrides, config_dir) as search_path:
        overrides = [*overrides, *search_path]
        composed = hydra.compose("config", overrides, return_hydra_config=True)
        if path is not None:
            composed.data.path = path.replace("${", "\\${")  # not an interpolation
        config, choices = to_config(composed), dict(composed.hydra.runtime.choices)
        config = replace(config, sweep=config.sweep or choices["experiment"])
        return Composed(config, choices, [*(composed.hydra.sweeper.get("params") or {})])


def compose_pretraining(
    overrides: list[str], config_dir: Path | None = None
) -> tuple[PretrainingConfig, str]:
    """Return the configuration of a language model with these overrides, also as YAML.

    Raises InputError if an override is not valid.
    """
    refuse_code(overrides)
    with hydra_initialized(overrides, config_dir, PretrainingConfig) as search_path:
        composed = hydra.compose("pretrain", [*overrides, *search_path])
        return to_dataclass(composed, PretrainingConfig), OmegaConf.to_yaml(composed)


def compose_all(overrides: list[str], config_dir: Path | None = None) -> list[Config]:
    """Return the configurations of the runs that `train -m` trains with these overrides.

    Raises InputError if an override is not valid.
    """
    refuse_code(overrides)
    with hydra_initialized(overrides, config_dir) as search_path:
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        parsed = parser.parse_overrides(overrides)
        single = [
            override
            for override, value in zip(overrides, parsed, strict=True)
            if not value.is_sweep_override()
        ]
        composed = hydra.compose("config", [*single, *search_path], return_hydra_config=True)
        composed.hydra.overrides.task = overrides
        runs = list(combinations(composed))
    return [compose(run, config_dir=config_dir) for run in runs]


def seed_experiments(names: Iterable[str]) -> dict[str, Config]:
    """Return the first configuration of each experiment whose runs differ only in their seed.

    Other names are left out.
    """
    known = {file.stem for file in (CONF / "experiment").glob("*.yaml")}
    experiments = {}
    for name in sorted(known.intersection(names)):
        first, *others = compose_all([f"experiment={name}"])
        if others and all(replace(run, seed=first.seed) == first for run in others):
            experiments[name] = first
    return experiments


@contextmanager
def hydra_initialized(
    overrides: Sequence[str], config_dir: Path | None, schema: Schema = Config
) -> Iterator[list[str]]:
    """Initialize Hydra for a block, and raise its errors as InputError.

    Yields the overrides that add `config_dir` to the search path, after `CONF` as in training.
    `schema` is that of the configuration, of which errors suggest fields.
    """
    search_path: list[str] = []
    if config_dir is not None:
        if not os.path.isdir(config_dir):  # noqa: PTH112 - never raises
            raise InputError(f"--config-dir {config_dir} is not a folder.")
        search_path = [f"hydra.searchpath=[{_quoted(f'file://{config_dir.resolve()}')}]"]
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            yield search_path
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"{' '.join(overrides)}: {one_line(error, schema)}") from error


def refuse_code(words: Sequence[str]) -> None:
    """Raise InputError if a word of a command line sets a function for Hydra to call.

    Words that are not overrides are left to Hydra.
    """
    for word in words:
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException:
            continue
        key = f"{override.key_or_group}@{override.package}".replace("/", ".")
        if TARGET in key or "hydra.callbacks" in key or _has_target(override.value()):
            raise InputError(
                f"{word} is not allowed: {TARGET} and hydra.callbacks name functions to call, and "
                "may be set only in files of a --config-dir, which is trusted like code."
            )


def _has_target(value: Any) -> bool:
    if isinstance(value, ChoiceSweep):
        return _has_target(value.list)
    if isinstance(value, dict):
        return any(TARGET in str(name) for name in value) or _has_target([*value.values()])
    return isinstance(value, list) and any(map(_has_target, value))


def _quoted(text: str) -> str:
    """Return the text as a quoted string of Hydra's grammar."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def combinations(composed: DictConfig) -> Iterator[list[str]]:
    """Yield the overrides of each run: all combinations of the experiment's and command's axes."""
    axes = composed.hydra.sweeper.get("params") or {}
    swept = [f"{name}={values}" for name, values in axes.items()]
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    choices: dict[str, list[str]] = {}  # a later override of the same key replaces an earlier one
    for override in parser.parse_overrides([*swept, *task_overrides(composed)]):
        key = override.get_key_element()
        if override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return (list(combination) for combination in product(*choices.values()))


def task_overrides(composed: DictConfig) -> list[str]:
    """Return the overrides as they were typed; "${...}" in them is resolved later."""
    typed = OmegaConf.to_container(composed.hydra.overrides.task, resolve=False)
    assert isinstance(typed, list)
    return typed


def to_config(composed: DictConfig) -> Config:
    """Return the configuration of a run as a dataclass; see `to_dataclass`."""
    return to_dataclass(composed, Config)


def to_dataclass(composed: DictConfig, kind: type[Kind]) -> Kind:
    """Return the configuration as a dataclass of this kind.

    Raises InputError if a value is out of bounds, or if Hydra's "+" added an unknown field.
    """
    without_hydra = composed.copy()
    with flag_override(without_hydra, ["readonly", "struct"], False):
        without_hydra.pop("hydra", None)
    config = OmegaConf.to_object(without_hydra)
    assert isinstance(config, kind)
    if added := next(_added_fields(config), None):
        raise InputError(_unknown_field(added, kind))
    return config


def _added_fields(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the attributes that OmegaConf sets although they are not fields of the dataclasses."""
    known = {item.name for item in fields(config)}
    for name, value in vars(config).items():
        if name not in known:
            yield prefix + name
        elif is_dataclass(value):
            yield from _added_fields(value, f"{prefix}{name}.")


def one_line(error: Exception, schema: Schema = Config) -> str:
    """Return the message of Hydra's error as one sentence, without its hints on Hydra itself.

    `schema` is that of the configuration, whose fields are suggested in place of an unknown one.
    """
    unknown = UNKNOWN_FIELD.match(str(error))
    # Else an item of a list has no such field.
    if unknown and unknown[1] not in flat(schema()):
        return _unknown_field(unknown[1], schema)
    text = f"{error}\n{error.__cause__ or ''}"
    if no_list := NO_LIST.search(text):
        return _no_list(text.splitlines()[0], no_list[1])
    lines = text.partition("Config search path")[0].splitlines()
    words = [line.strip() for line in lines if not line.strip().startswith(HINTS)]
    return " ".join(" ".join(words).split())


def _no_list(where: str, name: str) -> str:
    """Return a sentence on a value of a list such as `compare`; `where` begins with its place."""
    keys = ", ".join(field.name.removeprefix(f"{name}.") for field in fields_of(LISTS[name]))
    return f"{where.partition(': ')[0]}: {name} must be a list of entries with the keys {keys}."


def _unknown_field(name: str, schema: Schema) -> str:
    groups = {folder.name for folder in CONF.iterdir() if folder.is_dir()}
    if schema is PretrainingConfig:
        groups &= {item.name for item in fields(schema)}
    known = [*flat(schema()), *sorted(groups)]
    similar = get_close_matches(name, known, n=1)
    question = f"did you mean {similar[0]}?" if similar else ""
    listing = f"{LISTING[schema]} lists all fields."
    return " ".join(f"{name} is not a field: {question} {listing}".split())
