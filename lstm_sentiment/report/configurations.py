"""record -> configuration: runs that differ in their seed alone, with their answers to each review.

Only configurations that learned from the same reviews can be compared, so they come in groups.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.config import Config, flat
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.runs import RunSummary
from lstm_sentiment.training.record import BASELINE, PLACES, PREDICTIONS

# What a name tells of a configuration; its settings tell the rest.
NAMED = {"encoder.cell", "encoder.num_layers", "encoder.bidirectional", "head.kind"}
NAMED |= {"ngrams.kind", "ngrams.c"}
VECTORS = ("embedding.kind", "embedding.name", "vectors")


class Answers(NamedTuple):
    """To the reviews of a split, in the order of their rows."""

    row: np.ndarray  # (N,) int64, in the split's file
    label: np.ndarray  # (N,) bool
    probability: np.ndarray  # (N,) float32, of being positive
    tokens: np.ndarray | None  # (N,) int64, of the whole review; older runs do not have it

    @property
    def positive(self) -> np.ndarray:
        """(N,) bool, what was answered; as torchmetrics has it, 0.5 is no yes"""
        return self.probability > 0.5

    @property
    def right(self) -> np.ndarray:
        """(N,) bool"""
        return self.positive == self.label


@dataclass(frozen=True, eq=False)
class Configuration:
    name: str  # <network>-<head>, and the settings in which it differs from others of its group
    settings: Mapping[str, Any]  # by dotted name
    runs: Mapping[int, RunSummary]  # by seed, each with a record

    @property
    def records(self) -> list[dict[str, Any]]:
        return [run.record for run in self.runs.values() if run.record]

    @property
    def network(self) -> str:
        return self.name.split("-")[0]

    @property
    def is_baseline(self) -> bool:
        return BASELINE in self.records[0]["config"]

    def scores(self, split: str, score: str) -> np.ndarray:
        """(S,): one for each seed that has it"""
        found = [record[split][score] for record in self.records if record[split]]
        return np.array(found, float)

    def costs(self, cost: str) -> np.ndarray:
        """(S,): one for each seed that has it"""
        found = [record["cost"].get(cost) for record in self.records]
        return np.array([value for value in found if value is not None], float)

    @cached_property
    def val(self) -> float:
        """The mean accuracy on validation, by which configurations are ranked; NaN without any."""
        scores = self.scores("val", "accuracy")
        return float(scores.mean()) if len(scores) else float("nan")


@dataclass(frozen=True)
class Group:
    """Configurations that learned from the same reviews, the best on validation first."""

    title: str
    configurations: Sequence[Configuration]
    remarks: Sequence[str]  # on runs that were left out


def groups(runs: Iterable[RunSummary]) -> list[Group]:
    """Every run that has a record, in the group of its reviews: the one with most runs first."""
    found: dict[tuple[str, str], list[RunSummary]] = {}
    sizes = {}
    for run in runs:
        if run.record:
            data = run.record["data"]
            key = data["fingerprint"], _sizes(data)
            found.setdefault(key, []).append(run)
            sizes[key] = data["train"]
    order = sorted(found, key=lambda key: (-len(found[key]), -sizes[key]))
    return [_group(found[key]) for key in order]


def _sizes(data: Mapping[str, Any]) -> str:
    parts = [f"{data[split]:,} {split}" for split in ("train", "val", "test") if data[split]]
    return ", ".join(parts)


def _group(runs: Sequence[RunSummary]) -> Group:
    sets: dict[str, dict[int, RunSummary]] = {}
    remarks = []
    for run in runs:
        same = sets.setdefault(json.dumps(settings(run), sort_keys=True), {})
        if (first := same.setdefault(_seed(run), run)) is not run:
            places = [
                f"{folder.parent.name}/{folder.name}" for folder in (run.folder, first.folder)
            ]
            remarks.append(f"{places[0]} is the same run as {places[1]}, and left out.")
    data = (runs[0].record or {})["data"]
    title = f"{data['source']}: {_sizes(data)}"
    return Group(title, sorted(_named(sets.values()), key=_rank), remarks)


def settings(run: RunSummary) -> dict[str, Any]:
    """By dotted name, all that decides what is computed but the seed.

    A field that is younger than a network's record has its default there.
    """
    assert run.record is not None
    values = _flat(run.record["config"])
    if BASELINE not in run.record["config"]:
        values = flat(Config()) | values
    for name in values.keys() & {"seed", "test", *PLACES}:
        del values[name]
    if vectors := run.record.get("vectors"):  # a path would not tell which
        values["vectors"] = vectors["fingerprint"]
    return values


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in config.items():
        deeper = isinstance(value, dict)
        values |= _flat(value, f"{prefix}{name}.") if deeper else {prefix + name: value}
    return values


def telling(chosen: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings in which those that have them differ.

    Of those that tell the same vectors, as a kind and its name, the first is enough.
    """
    found: dict[tuple[str, ...], str] = {}
    for name in dict.fromkeys(name for values in chosen for name in values):
        values = [str(values[name]) if name in values else "" for values in chosen]
        if len({value for value in values if value}) > 1:
            pattern = [str(values.index(value)) for value in values] if name in VECTORS else [name]
            found.setdefault(tuple(pattern), name)
    return [*found.values()]


def _seed(run: RunSummary) -> int:
    assert run.record is not None
    return int(run.record["config"]["seed"])


def _named(sets: Collection[Mapping[int, RunSummary]]) -> list[Configuration]:
    """Each with as much of a name as tells it from the others: what most have is not said."""
    chosen = [settings(next(iter(runs.values()))) for runs in sets]
    unnamed = [{n: v for n, v in values.items() if n not in NAMED} for values in chosen]
    names = telling(unnamed)
    usual = {name: _usual([values[name] for values in chosen if name in values]) for name in names}
    return [
        Configuration(_name(runs, values, usual), values, dict(sorted(runs.items())))
        for values, runs in zip(chosen, sets, strict=True)
    ]


def _name(
    runs: Mapping[int, RunSummary], values: Mapping[str, Any], usual: Mapping[str, str | None]
) -> str:
    short = "-".join(next(iter(runs.values())).name.split("-")[:2])
    odd = [n for n, value in usual.items() if n in values and str(values[n]) != value]
    return " ".join([short, *(f"{name}={values[name]}" for name in odd)])


def _usual(values: Sequence[Any]) -> str | None:
    """What more than half of them are, if anything."""
    value, count = Counter(map(str, values)).most_common(1)[0]
    return value if 2 * count > len(values) else None


def _rank(configuration: Configuration) -> tuple[float, float, str]:
    """By accuracy on validation; of those that are level, the one with the lower loss there."""
    loss = configuration.scores("val", "loss")
    if not len(loss):
        return np.inf, np.inf, configuration.name
    return -configuration.val, float(loss.mean()), configuration.name


def read_answers(run: RunSummary, split: str) -> Answers:
    """Raises InputError where there are none, or others than the record tells of."""
    assert run.record is not None
    path = run.folder / PREDICTIONS
    where = f"{run.name}/{PREDICTIONS}"
    if not path.exists():
        raise InputError(f"{where} is missing")
    try:
        answers = _answers(pq.read_table(path, filters=[("split", "=", split)]))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{where} cannot be read") from error
    if not _of_record(answers, run.record[split]["confusion_matrix"]):
        raise InputError(f"{where} is not of its record")
    return answers


def _answers(table: pa.Table) -> Answers:
    """Raises ValueError, KeyError or TypeError where its columns are not those of answers."""
    row, label, probability = (table[name].to_numpy() for name in ("index", "label", "probability"))
    tokens = table["tokens"].to_numpy() if "tokens" in table.column_names else None
    whole = [row, label] if tokens is None else [row, label, tokens]
    if any(column.dtype.kind != "i" for column in whole) or not np.isin(label, (0, 1)).all():
        raise ValueError("no rows and labels")
    order = np.argsort(row, kind="stable")
    return Answers(
        row[order],
        label[order] == 1,
        probability[order].astype(np.float32),
        None if tokens is None else tokens[order],
    )


def _of_record(answers: Answers, matrix: Sequence[Sequence[int]]) -> bool:
    if not np.all((answers.probability >= 0) & (answers.probability <= 1)):
        return False
    counted = np.bincount(2 * answers.label + answers.positive, minlength=4).reshape(2, 2)
    return len(np.unique(answers.row)) == len(answers.row) and counted.tolist() == matrix
