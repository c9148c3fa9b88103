"""records -> published results, each with the variants that it describes.

An experiment lists published results in `reference`. The field `run` of a published result
describes a network by overrides, such as `encoder=lstm head=max`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lstm_sentiment.config import DEPTHS, Cell, EmbeddingKind, HeadKind, Source
from lstm_sentiment.report.variants import Variant

NETWORKS = [f"{depth}{bi}{cell}" for depth in DEPTHS.values() for bi in ("", "bi") for cell in Cell]
OURS = {"encoder": NETWORKS, "head": [*HeadKind], "embedding": [*EmbeddingKind], "data": [*Source]}

OPTIONAL = ("accuracy", "loss", "reviews")  # fields that the reference of a record may lack


@dataclass(frozen=True)
class Published:
    """A published score of a paper or a reference system, and ours."""

    run: str  # overrides, such as encoder=lstm head=max
    source: str
    score: str
    theirs: float
    reviews: int | None = None  # labelled ones, of training and test together; None if unknown
    name: str | None = None  # of a variant that `run` describes, if there is one
    ours: float | None = None


def published(variants: Sequence[Variant]) -> list[Published]:
    """Return every published score in the records, once for each variant that it describes."""
    return [
        row
        for reference in _references(variants)
        for score in ("accuracy", "loss")
        if reference[score] is not None
        for row in _with_ours(reference, score, variants)
    ]


def _references(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return the references of all records, each once and in its most complete form."""
    references: list[dict[str, Any]] = []
    for variant in variants:
        for record in variant.records:
            for recorded in record["config"].get("reference") or []:
                reference = dict.fromkeys(OPTIONAL) | recorded
                if reference not in references:
                    references.append(reference)
    return [one for one in references if not any(_completes(other, one) for other in references)]


def _completes(reference: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Return whether `reference` is `earlier` with the number of reviews and a longer source.

    A sweep that was continued after its experiment had been described better records both.
    """
    return (
        earlier["reviews"] is None
        and reference["reviews"] is not None
        and all(reference[name] == earlier[name] for name in ("run", "accuracy", "loss"))
        and reference["source"].lower().startswith(earlier["source"].lower())
    )


def _with_ours(
    reference: dict[str, Any], score: str, variants: Sequence[Variant]
) -> list[Published]:
    theirs = Published(
        reference["run"], reference["source"], score, reference[score], reference["reviews"]
    )
    overrides = reference["run"].split()
    rows = [
        replace(theirs, name=variant.name, ours=float(variant.scores("test", score).mean()))
        for variant in variants
        if len(variant.scores("test", score))
        and overrides
        and all(_has(variant, override) for override in overrides)
    ]
    return rows or [theirs]


def _has(variant: Variant, override: str) -> bool:
    """Return whether the variant has a choice, given as an override such as head=max."""
    name, _, text = override.partition("=")
    if name in OURS:
        # A name of this project is compared with the network itself, since different overrides may
        # give the same network. Any other name is compared with the override that was typed.
        typed = variant.records[0]["choices"].get(name)
        known = {"encoder": variant.network, "head": variant.settings.get("head.kind")}
        known |= {"embedding": variant.settings.get("embedding.kind")}
        return text == (known.get(name, typed) if text in OURS[name] else typed)
    value = variant.settings.get(name, "")
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return text == ("null" if value is None else str(value))
