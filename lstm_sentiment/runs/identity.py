"""The identity of a run: its fingerprint, its name and its folder."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstm_sentiment.config import Config, flat, values_if_missing
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.config_pretraining import DEFAULT_SWEEP, PretrainingConfig

# Raise it if a default or the computation changes, so that no new run gets the folder of an old
# run.
RECIPE = 3
LANGUAGE_RECIPE = 2  # of language models

# The environment variable that tells the processes of a launcher the token of their command.
COMMAND = "LSTM_SENTIMENT_COMMAND"
# They replace the network in the name and the record of a baseline and of an ensemble.
BASELINE, ENSEMBLE = "ngrams", "ensemble"
# The key of a language model's configuration, by which its folder is recognized.
LANGUAGE_MODEL = "pretraining"

# Fields that do not change the results, such as paths. Data are identified by their content.
NOT_FINGERPRINTED = frozenset(field.name for field in fields_of(Config) if not field.fingerprinted)


def fingerprint(config: Config, data: str) -> str:
    """Return the fingerprint of a run, eight hexadecimal digits.

    The fingerprint depends on the recipe, on `data`, which is the identity of the reviews and of
    their word vectors, and on the values that differ from those of a configuration without the
    field. A field that is added later therefore does not change the fingerprints of older runs.
    """
    return digest(RECIPE, data, chosen_values(config))


def chosen_values(config: Config) -> dict[str, Any]:
    """Return the values of which the fingerprint depends, by their names."""
    implied = values_if_missing()
    return {
        name: value
        for name, value in flat(config).items()
        if name not in NOT_FINGERPRINTED and value != implied[name]
    }


def digest(recipe: int, data: str, chosen: Mapping[str, Any]) -> str:
    """Return the fingerprint of a recipe, the identity of its data and the chosen values."""
    text = json.dumps({"recipe": recipe, "data": data, "config": chosen}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_name(config: Config, data: str) -> str:
    """Return <network>-<head>-s<seed>-<fingerprint>."""
    return f"{config.encoder.network}-{config.head.kind}-s{config.seed}-{fingerprint(config, data)}"


def language_model_folder(config: PretrainingConfig, data: str) -> Path:
    """Return the folder of a language model, <root>/<sweep>/<network>-lm-s<seed>-<fingerprint>."""
    default = flat(PretrainingConfig())
    unnamed = {known.name for known in fields_of(PretrainingConfig) if not known.fingerprinted}
    chosen = {
        name: value
        for name, value in flat(config).items()
        if name not in unnamed and value != default[name]
    }
    name = f"{config.encoder.network}-lm-s{config.seed}-{digest(LANGUAGE_RECIPE, data, chosen)}"
    return Path(config.root).expanduser() / (config.sweep or DEFAULT_SWEEP) / name


def run_folder(config: Config, data: str) -> Path:
    """Return the folder of a run, <root>/<sweep>/<name>."""
    return sweep_folder(config) / run_name(config, data)


def sweep_folder(config: Config) -> Path:
    """Return the folder of a run's sweep; without a name it is "default"."""
    return Path(config.root).expanduser() / (config.sweep or "default")


def new_command() -> str:
    """Return a new token, by which the processes of one command know what the command has begun."""
    return secrets.token_hex(8)
