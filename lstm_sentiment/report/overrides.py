"""Overrides, such as encoder=lstm head=max,avg -> the variants that have these settings.

Published results (`reference`) and questions (`compare`) name runs in this way.
"""

from collections.abc import Collection

from lstm_sentiment.config import DEPTHS, Cell, EmbeddingKind, HeadKind, Source
from lstm_sentiment.report.variants import VECTORS, Variant
from lstm_sentiment.runs.identity import BASELINE
from lstm_sentiment.runs.record import NETWORK

NETWORKS = [f"{depth}{bi}{cell}" for depth in DEPTHS.values() for bi in ("", "bi") for cell in Cell]
OURS = {"encoder": NETWORKS, "head": [*HeadKind], "embedding": [*EmbeddingKind], "data": [*Source]}
MODEL = "kind of model"  # network or n-gram baseline, as the name of a setting
# The settings that these names determine. The reviews themselves are no setting.
DETERMINED = {
    "encoder": {name for name in NETWORK if name.startswith("encoder.")},
    "head": {"head.kind"},
    "embedding": VECTORS,
    "data": set[str](),
}


def matches(variant: Variant, overrides: str) -> bool:
    """Return whether the variant has all choices, of which a comma separates alternatives."""
    parts = overrides.split()
    return bool(parts) and all(_has(variant, part) for part in parts)


def without_runs(variants: Collection[Variant], overrides: str) -> list[str]:
    """Return the choices, each with one of its alternatives, that no variant has."""
    parts = [part.partition("=") for part in overrides.split()]
    choices = [f"{name}={text}" for name, _, texts in parts for text in texts.split(",")]
    return [
        choice
        for choice in dict.fromkeys(choices)
        if not any(_has(variant, choice) for variant in variants)
    ]


def settings_in_question(run: str, other: str) -> frozenset[str]:
    """Return the names of the settings by which two overrides differ, and of their groups.

    They are those that both overrides name. A name in one of them, such as data.padding in
    "head=max data.padding=exact" beside "head=last", selects runs, but is not in question, unless
    the overrides have no name in common.
    """
    ours, theirs = _names(run), _names(other)
    all_names = ours | theirs
    return frozenset((ours & theirs or all_names) | (all_names & {MODEL}))


def is_in_question(setting: str, named: frozenset[str]) -> bool:
    """Return whether a setting is named, or belongs to a named group such as `encoder.`."""
    groups = [name for name in named if name.endswith(".")]
    return setting in named or any(setting.startswith(group) for group in groups)


def _names(overrides: str) -> set[str]:
    names: set[str] = set()
    for part in overrides.split():
        name, _, values = part.partition("=")
        if name not in OURS:
            names |= VECTORS if name in VECTORS else {name}
        elif all(value in OURS[name] for value in values.split(",")):
            names |= DETERMINED[name]
        else:  # a choice of the user, which may determine any setting of its group
            names.add(f"{name}.")
        if name.startswith(f"{BASELINE}."):
            names.add(MODEL)
    return names


def _has(variant: Variant, override: str) -> bool:
    """Return whether the variant has one of the choices of an override such as head=max,avg."""
    name, _, texts = override.partition("=")
    return any(_has_value(variant, name, text) for text in texts.split(","))


def _has_value(variant: Variant, name: str, text: str) -> bool:
    if name in OURS:
        # A name of this project is compared with the network itself, since different overrides may
        # give the same network. Any other name is compared with the override that was typed.
        typed = variant.records[0]["choices"].get(name)
        known = {"encoder": variant.network, "head": variant.settings.get("head.kind")}
        known |= {"embedding": variant.settings.get("embedding.kind")}
        return text == (known.get(name, typed) if text in OURS[name] else typed)
    if name not in variant.settings:
        return False
    value = variant.settings[name]
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return text == ("null" if value is None else str(value))
