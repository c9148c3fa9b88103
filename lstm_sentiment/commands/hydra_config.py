"""Compose a `Config` from the overrides of a command line with Hydra.

Only this module and `train` import Hydra.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError

CONF = Path(__file__).parents[2] / "conf"

ConfigStore.instance().store(name="schema", node=Config)


def compose(overrides: list[str], path: str | None = None) -> Config:
    """Return the configuration with these overrides; the axes of an experiment are ignored.

    `path` is used literally as `data.path`. Raises InputError if an override is not valid.
    """
    with _hydra(overrides):
        composed = hydra.compose("config", overrides, return_hydra_config=True)
        if path is not None:
            composed.data.path = path.replace("${", "\\${")  # not an interpolation
        config = to_config(composed)
        return replace(config, sweep=config.sweep or composed.hydra.runtime.choices["experiment"])


def compose_all(overrides: list[str]) -> list[Config]:
    """Return the configurations of the runs that `train.py -m` trains with these overrides.

    Raises InputError if an override is not valid.
    """
    with _hydra(overrides):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        parsed = parser.parse_overrides(overrides)
        single = [
            override
            for override, value in zip(overrides, parsed, strict=True)
            if not value.is_sweep_override()
        ]
        composed = hydra.compose("config", single, return_hydra_config=True)
        composed.hydra.overrides.task = overrides
        runs = list(combinations(composed))
    return [compose(run) for run in runs]


@contextmanager
def _hydra(overrides: list[str]) -> Iterator[None]:
    """Initialize Hydra for a block, and raise its errors as InputError."""
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            yield
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"{' '.join(overrides)}: {one_line(error)}") from error


def combinations(composed: DictConfig) -> Iterator[list[str]]:
    """Yield the overrides of each run: all combinations of the experiment's and command's axes."""
    axes = composed.hydra.sweeper.get("params") or {}
    swept = [f"{name}={values}" for name, values in axes.items()]
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    choices: dict[str, list[str]] = {}  # a later override of the same key replaces an earlier one
    for override in parser.parse_overrides([*swept, *composed.hydra.overrides.task]):
        key = override.get_key_element()
        if override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return (list(combination) for combination in product(*choices.values()))


def to_config(composed: DictConfig) -> Config:
    """Return the configuration as a dataclass. Raises InputError if a value is out of bounds."""
    without_hydra = composed.copy()
    with flag_override(without_hydra, ["readonly", "struct"], False):
        without_hydra.pop("hydra", None)
    config = OmegaConf.to_object(without_hydra)
    assert isinstance(config, Config)
    return config


def one_line(error: Exception) -> str:
    """Return the message of Hydra's error on one line, without its hints on search paths."""
    text = f"{error} {error.__cause__ or ''}".partition("Config search path")[0]
    text = text.partition("See https://hydra.cc")[0]
    return " ".join(text.split())
