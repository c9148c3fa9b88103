"""runs of the folds of a cross-validation -> one run for each seed, tested on all reviews.

Each review is in the test set of one fold. The predictions of the folds of a seed together are
therefore the predictions of that seed for all reviews, by networks that have not seen them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lstm_sentiment.errors import InputError
from lstm_sentiment.model.metrics import classification_scores
from lstm_sentiment.report.settings import settings
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import RunSummary
from lstm_sentiment.runs.record import FIELDS

FOLDS, FOLD = "data.folds", "data.fold"
Reason = tuple[RunSummary, str]  # a run, and the reason why it is not compared


def joined_folds(runs: Iterable[RunSummary]) -> tuple[list[RunSummary], list[Reason]]:
    """Return the runs with the folds of each seed joined into one run, and the runs left out.

    A seed that lacks a fold, or whose predictions cannot be read, is left out.
    """
    joined, left_out = list[RunSummary](), list[Reason]()
    by_seed: dict[str, dict[int, RunSummary]] = {}
    for run in runs:
        if (fold := _fold(run)) is None:
            joined.append(run)
        elif (first := by_seed.setdefault(_key(run), {}).setdefault(fold, run)) is not run:
            left_out.append((run, f"is the same run as {first.folder.parent.name}/{first.name}"))
    for folds in by_seed.values():
        members = [folds[fold] for fold in sorted(folds)]
        try:
            joined.append(_joined(members))
        except InputError as error:
            left_out += [(run, f"not compared: {error}") for run in members]
    return joined, left_out


def _fold(run: RunSummary) -> int | None:
    """Return the fold of a finished run; None if it is not of a cross-validation."""
    values = settings(run) if run.record else {}
    is_fold = FIELDS[FOLDS].allows(values.get(FOLDS)) and type(values.get(FOLD)) is int
    return values[FOLD] if is_fold and values[FOLDS] is not None else None


def _key(run: RunSummary) -> str:
    """Return a text that is equal for the folds of a seed."""
    assert run.record is not None
    same = {name: value for name, value in settings(run).items() if name != FOLD}
    seed, reviews = run.record["config"]["seed"], run.record["data"]["fingerprint"]
    return json.dumps([same, seed, reviews], sort_keys=True)


def _joined(members: Sequence[RunSummary]) -> RunSummary:
    """Return the run whose test set are all folds. Raises InputError if that is not possible."""
    records = [run.record for run in members if run.record]
    first = records[0]
    number = settings(members[0])[FOLDS]
    if missing := sorted({*range(number)} - {_fold(run) for run in members}):
        lacking = f"fold{'s' * (len(missing) > 1)} {', '.join(map(str, missing))} of {number}"
        raise InputError(f"seed {first['config']['seed']} lacks {lacking}")
    if not all(record["test"] for record in records):
        raise InputError("a fold has no test scores")
    run = replace(members[0], folds=tuple(members))
    predictions = read_predictions(run, "test")
    if len(np.unique(predictions.row)) < len(predictions.row):
        raise InputError("a review is in several folds")
    config = first["config"] | {"data": first["config"]["data"] | {"fold": None}}
    data = {
        "source": f"{first['data']['source']}, {number} folds",
        "fold": None,
        "test": len(predictions.row),
        "test_copies": None,
    }
    record = first | {
        "config": config,
        "data": first["data"] | data,
        "val": _mean_scores([record["val"] for record in records]),
        "test": classification_scores(
            predictions.label, predictions.logit, predictions.classes, predictions.predicted
        ),
        "cost": _mean([record["cost"] for record in records]),
    }
    return replace(run, record=record)


def _mean_scores(scores: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Return the mean of the scores of the folds, with the sum of their confusion matrices."""
    known = [each for each in scores if each]
    if len(known) < len(scores):
        return None
    matrices = [each["confusion_matrix"] for each in known]
    return _mean(known) | {"confusion_matrix": np.sum(matrices, 0).tolist()}


def _mean(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means of the numbers that all of them have; None in place of others."""
    means: dict[str, Any] = {}
    for name in values[0]:
        column = [each.get(name) for each in values]
        is_number = all(isinstance(value, int | float) for value in column)
        means[name] = float(np.mean(np.array(column))) if is_number else None
    return means
