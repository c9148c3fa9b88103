"""runs -> groups of variants. A variant is the runs that differ only in their seed and fold.

Only variants that were trained on the same reviews are compared, so each group has its own reviews.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.display import counted, shortened
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.rates import rates
from lstm_sentiment.report.folds import joined_folds
from lstm_sentiment.report.settings import settings
from lstm_sentiment.runs.identity import BASELINE, ENSEMBLE
from lstm_sentiment.runs.reader import RunSummary
from lstm_sentiment.runs.record import is_pruned, record_classes

KIND = f"{BASELINE}.kind"  # of an n-gram baseline
FOLLOW_FROM_KIND = {f"{BASELINE}.c", f"{BASELINE}.grid"}
# The settings that are part of a run's name, or follow from it.
NAMED = {field.name for field in fields_of(Config) if field.factor} | {KIND} | FOLLOW_FROM_KIND
FINGERPRINT = re.compile(r"\b(sha256-[0-9a-f]{8})[0-9a-f]{50,}")  # names show its beginning
# The settings that identify word vectors.
VECTORS = {field.name for field in fields_of(Config) if field.describes == "vectors"} | {"vectors"}


@dataclass(frozen=True, eq=False)
class Variant:
    """Runs that differ only in their seed, and were all pruned by a search or all not."""

    name: str  # <network>-<head>, and settings that distinguish the variant in its group
    settings: Mapping[str, Any]  # by dotted name
    runs: Mapping[int, RunSummary]  # by seed; each has a record

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of the runs, in the order of their seeds."""
        return [run.record for run in self.runs.values() if run.record]

    @property
    def trained(self) -> list[dict[str, Any]]:
        """The records of all trained models: of each seed or, with folds, of each of its folds."""
        runs = [each for run in self.runs.values() for each in run.folds or (run,)]
        return [run.record for run in runs if run.record]

    @property
    def network(self) -> str:
        """The name of the network, such as bilstm."""
        return self.name.split("-")[0]

    @property
    def classes(self) -> Classes:
        """The classes of its reviews; their threshold is that of the first seed."""
        return record_classes(self.records[0])

    @property
    def is_baseline(self) -> bool:
        """Whether it is an n-gram baseline."""
        return BASELINE in self.records[0]["config"]

    @property
    def is_ensemble(self) -> bool:
        """Whether it is the mean of several models."""
        return ENSEMBLE in self.records[0]["config"]

    @property
    def is_network(self) -> bool:
        """Whether it is a single network."""
        return not (self.is_baseline or self.is_ensemble)

    @property
    def is_pruned(self) -> bool:
        """Whether a search ended the training of its runs early."""
        return is_pruned(self.records[0])

    @property
    def model(self) -> str:
        """The kind of the model, in words."""
        if self.is_baseline:
            return "n-gram baseline"
        return "ensemble" if self.is_ensemble else "network"

    def scores(self, stage: str, score: str) -> np.ndarray:
        """Return a score of a stage, (S,): one for each seed that has it."""
        values = [recorded_scores(record, stage).get(score) for record in self.records]
        return np.array([value for value in values if value is not None], float)

    def costs(self, cost: str) -> np.ndarray:
        """Return a cost, (S,): one for each seed that has it."""
        values = [record["cost"].get(cost) for record in self.records]
        return np.array([value for value in values if value is not None], float)

    @cached_property
    def val_accuracy(self) -> float:
        """The mean validation accuracy, by which variants are ranked; NaN if there is none."""
        scores = self.scores("val", "accuracy")
        return float(scores.mean()) if len(scores) else float("nan")


def recorded_scores(record: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    """Return the scores of a stage, {} if there are none.

    Scores that older versions did not record follow from the confusion matrix.
    """
    scores = record[stage]
    if not scores:
        return {}
    return rates(scores["confusion_matrix"], record_classes(record).values) | scores


@dataclass(frozen=True)
class VariantGroup:
    """Variants trained on the same reviews, ranked by validation accuracy if they have one."""

    title: str
    variants: Sequence[Variant]
    notes: Sequence[str]  # on runs that were left out

    @property
    def classes(self) -> Classes:
        """The classes of the reviews."""
        return self.variants[0].classes


def order_of(variants: Sequence[Variant]) -> str:
    """Return a sentence on the order in which the variants of a group are listed."""
    if all(np.isnan(variant.val_accuracy) for variant in variants):
        return "No variant has validation scores, so they are listed by name."
    if any(variant.is_pruned for variant in variants):
        return "Variants are ranked by validation accuracy; those that a search pruned are last."
    return "Variants are ranked by validation accuracy."


def variant_groups(runs: Iterable[RunSummary]) -> list[VariantGroup]:
    """Return the groups of the variants of all finished runs, the largest group first.

    The folds of a seed are joined, unless the runs are already joined ones.
    """
    members: dict[tuple[str, str, tuple[str, ...]], list[RunSummary]] = {}
    sizes = {}
    for run in joined_folds(runs)[0]:
        if run.record:
            data = run.record["data"]
            key = data["fingerprint"], _sizes(data), record_classes(run.record).names
            members.setdefault(key, []).append(run)
            sizes[key] = data["train"]
    order = sorted(members, key=lambda key: (-len(members[key]), -sizes[key]))
    return [_group(members[key]) for key in order]


def _sizes(data: Mapping[str, Any]) -> str:
    parts = [f"{data[stage]:,} {stage}" for stage in ("train", "val", "test") if data[stage]]
    return ", ".join(parts)


def _group(runs: Sequence[RunSummary]) -> VariantGroup:
    by_settings: dict[str, dict[int, RunSummary]] = {}
    notes = []
    for run in runs:
        pruned = run.record is not None and is_pruned(run.record)
        key = json.dumps([settings(run), pruned], sort_keys=True)
        seeds = by_settings.setdefault(key, {})
        if (first := seeds.setdefault(_seed(run), run)) is not run:
            notes.append(f"{_path(run)} is left out: it is the same run as {_path(first)}.")
    data = (runs[0].record or {})["data"]
    variants = sorted(_variants(by_settings.values()), key=_rank)
    if pruned_runs := sum(len(variant.runs) for variant in variants if variant.is_pruned):
        notes.append(
            f"A search pruned {counted(pruned_runs, 'run')}: it ended their training early, so "
            "their scores are not those that their settings reach."
        )
    classes, column = len(variants[0].classes), data.get("group_column")
    title = f"{data['source']}: {_sizes(data)}" + f", {classes} classes" * (classes > 2)
    if column is not None:
        title += f", groups by {shortened(column)}"
    return VariantGroup(title, variants, notes)


def _path(run: RunSummary) -> str:
    return f"{run.folder.parent.name}/{run.folder.name}"


def distinguishing_settings(variants: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the settings with different values among the variants that have them.

    Several settings may identify word vectors, such as a kind and a name. If several of them
    distinguish the same variants, only the first is returned.
    """
    names: dict[tuple[str, ...], str] = {}
    for name in dict.fromkeys(name for values in variants for name in values):
        values = [str(variant[name]) if name in variant else "" for variant in variants]
        if len({value for value in values if value}) > 1:
            pattern = [str(values.index(value)) for value in values] if name in VECTORS else [name]
            names.setdefault(tuple(pattern), name)
    return [*names.values()]


def _seed(run: RunSummary) -> int:
    assert run.record is not None
    return int(run.record["config"]["seed"])


def _variants(members: Collection[Mapping[int, RunSummary]]) -> list[Variant]:
    """Return the variants, with unique names that omit the values that most variants have."""
    chosen = [settings(next(iter(runs.values()))) for runs in members]
    unnamed = [{n: v for n, v in values.items() if n not in NAMED} for values in chosen]
    names = distinguishing_settings(unnamed)
    usual = {name: _usual([values[name] for values in chosen if name in values]) for name in names}
    full = [_name(runs, values, usual) for values, runs in zip(chosen, members, strict=True)]
    short = [FINGERPRINT.sub(r"\1", name) for name in full]
    named = short if len({*short}) == len(short) else full
    return [
        Variant(name, values, dict(sorted(runs.items())))
        for name, values, runs in zip(named, chosen, members, strict=True)
    ]


def _name(
    runs: Mapping[int, RunSummary], values: Mapping[str, Any], usual: Mapping[str, str | None]
) -> str:
    first = next(iter(runs.values()))
    network_and_head = "-".join(first.name.split("-")[:2])
    unusual = [n for n, value in usual.items() if n in values and str(values[n]) != value]
    chosen = [f"{name}={values[name]}" for name in unusual]
    pruned = first.record is not None and is_pruned(first.record)
    return " ".join([network_and_head, *chosen, *["(pruned)"] * pruned])


def _usual(values: Sequence[Any]) -> str | None:
    """Return the value of more than half of the items, or None if there is no such value."""
    value, count = Counter(map(str, values)).most_common(1)[0]
    return value if 2 * count > len(values) else None


def _rank(variant: Variant) -> tuple[bool, float, float, str]:
    """Return the sort key: descending validation accuracy, then ascending validation loss.

    Variants that a search pruned are last.
    """
    loss = variant.scores("val", "loss")
    if not len(loss):
        return variant.is_pruned, np.inf, np.inf, variant.name
    return variant.is_pruned, -variant.val_accuracy, float(loss.mean()), variant.name
