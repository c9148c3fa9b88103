"""records -> published results, each with the variants that it describes.

An experiment lists published results in `reference`. The field `run` of a published result
describes a network by overrides, such as `encoder=lstm head=max`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lstm_sentiment.config import Reference
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.report.overrides import matches
from lstm_sentiment.report.variants import Variant

# The fields that the reference of a record may lack, with the values that this means.
OPTIONAL = {
    known.name.removeprefix(Reference.prefix): known.default for known in fields_of(Reference)
}
DESCRIPTION = ("reviews", "labels", "otherwise")  # fields that a later record may add


@dataclass(frozen=True)
class Published:
    """A published score of a paper or a reference system, and ours."""

    run: str  # overrides, such as encoder=lstm head=max
    source: str
    score: str
    theirs: float
    reviews: int | None = None  # labelled ones, of training and test together; None if unknown
    labels: int | None = None  # that the system was trained on; None if unknown
    otherwise: str = ""  # what was done otherwise
    name: str | None = None  # of a variant that `run` describes, if there is one
    ours: float | None = None


def published(variants: Sequence[Variant], more: Iterable[Reference] = ()) -> list[Published]:
    """Return every published score in the records, once for each variant that it describes.

    The references of older records may be incomplete; `more` are those of their experiment today.
    """
    return [
        row
        for reference in _references(variants, more)
        for score in ("accuracy", "loss")
        if reference[score] is not None
        for row in _with_ours(reference, score, variants)
    ]


def _references(variants: Sequence[Variant], more: Iterable[Reference]) -> list[dict[str, Any]]:
    """Return the references of all records, each once and in its most complete form."""
    references: list[dict[str, Any]] = []
    records = [record for variant in variants for record in variant.records]
    recorded = [each for record in records for each in record["config"].get("reference") or []]
    for each in [*recorded, *map(asdict, more)]:
        reference = OPTIONAL | each
        if reference not in references:
            references.append(reference)
    return [one for one in references if not any(_completes(other, one) for other in references)]


def _completes(reference: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Return whether `reference` is `earlier` with more of its description and a longer source.

    A sweep that was continued after its experiment had been described better records both.
    """
    added = [name for name in DESCRIPTION if reference[name] != earlier[name]]
    return (
        bool(added)
        and all(earlier[name] == OPTIONAL[name] for name in added)
        and all(reference[name] == earlier[name] for name in ("run", "accuracy", "loss"))
        and reference["source"].lower().startswith(earlier["source"].lower())
    )


def _with_ours(
    reference: dict[str, Any], score: str, variants: Sequence[Variant]
) -> list[Published]:
    description = {name: reference[name] for name in DESCRIPTION}
    theirs = Published(
        reference["run"], reference["source"], score, reference[score], **description
    )
    rows = [
        replace(theirs, name=variant.name, ours=float(variant.scores("test", score).mean()))
        for variant in variants
        if len(variant.scores("test", score)) and matches(variant, reference["run"])
    ]
    return rows or [theirs]
