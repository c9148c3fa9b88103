"""records -> published results, each with the variants that it describes.

An experiment lists published results in `reference`. The field `run` of a published result
describes a network by overrides, such as `encoder=lstm head=max`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lstm_sentiment.report.overrides import matches
from lstm_sentiment.report.variants import Variant

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
    rows = [
        replace(theirs, name=variant.name, ours=float(variant.scores("test", score).mean()))
        for variant in variants
        if len(variant.scores("test", score)) and matches(variant, reference["run"])
    ]
    return rows or [theirs]
