"""The settings of a run that affect its results, from its record."""

from collections.abc import Mapping
from typing import Any

from lstm_sentiment.config import values_if_missing
from lstm_sentiment.runs.identity import BASELINE, ENSEMBLE, NOT_FINGERPRINTED
from lstm_sentiment.runs.reader import RunSummary
from lstm_sentiment.runs.record import IF_MISSING

# What a baseline's record means if it lacks a setting that was added later.
BASELINE_DEFAULTS = {
    f"{BASELINE}.intercept": "penalised",
    "data.class_weights": "none",
    "decision.threshold": "0.5",
    "decision.calibration": "none",
}
PSEUDO_LABELS = "data.pseudo_labels"
START_FROM = "encoder.start_from"


def settings(run: RunSummary) -> dict[str, Any]:
    """Return all settings that affect the results, except the seed, by dotted name.

    A field that did not exist when a record was written has the value that its absence implies.
    """
    assert run.record is not None
    config = run.record["config"]
    values = {**_implied(config), **flattened(config)}
    for name in values.keys() & {"seed", "test", *NOT_FINGERPRINTED}:
        del values[name]
    # Identified by their content, not by their paths.
    if vectors := run.record.get("vectors"):
        values["vectors"] = vectors["fingerprint"]
    if not {BASELINE, ENSEMBLE} & config.keys():
        pseudo = run.record.get("pseudo_labels")
        values[PSEUDO_LABELS] = pseudo["fingerprint"] if pseudo else None
        language_model = run.record.get("language_model")
        values[START_FROM] = f"sha256-{language_model['digest']}" if language_model else None
    return values


def _implied(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of settings that a configuration lacks."""
    if ENSEMBLE in config:  # its members may differ in them
        return {}
    return IF_MISSING | BASELINE_DEFAULTS if BASELINE in config else values_if_missing()


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a nested configuration by dotted name."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        is_group = isinstance(value, dict)
        values |= flattened(value, f"{prefix}{name}.") if is_group else {prefix + name: value}
    return values
