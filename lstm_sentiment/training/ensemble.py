"""Average the predictions of finished runs, and leave a record like a run's.

The probability of a class is the mean of the members' probabilities, which may be weighted. The
most probable class is predicted, of two classes the second one above 0.5: the thresholds of the
members are not used. Nothing is trained, and no text is read.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lstm_sentiment.config import Config
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.display import SILENT, Display, printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import MEMBERS
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.files.names import is_plain_name
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.labels import THRESHOLD
from lstm_sentiment.model.metrics import classification_scores
from lstm_sentiment.model.probabilities import logit_of_mean
from lstm_sentiment.runs.ensemble_folder import predictions_digest
from lstm_sentiment.runs.folder import (
    CONFIG,
    PREDICTIONS,
    RECORD,
    own_files,
    start_over,
    unwritable,
)
from lstm_sentiment.runs.hub_models import hub_model
from lstm_sentiment.runs.identity import ENSEMBLE, digest, sweep_folder
from lstm_sentiment.runs.predictions import Predictions, read_predictions, save_predictions
from lstm_sentiment.runs.reader import RunSummary, read_run
from lstm_sentiment.runs.record import (
    SCHEMA,
    read_record,
    record_classes,
    refuse_newer_record,
)
from lstm_sentiment.training import runtime

ENSEMBLE_RECIPE = 1  # raise it when the computation changes
MEAN, WEIGHTED = "mean", "weighted"  # in place of the head in the name of an ensemble
# Of the entry `data` of the members' records: equal in all of them, since the reviews are.
DATA_ENTRIES = ("source", "fingerprint", "held_out", "group_column", "groups", "folds", "fold")


@dataclass(frozen=True)
class AveragedRun:
    """A finished run, its share of the mean, and the digest of its predictions."""

    run: RunSummary
    weight: float
    predictions: str

    @property
    def record(self) -> dict[str, Any]:
        """The record of the run."""
        assert self.run.record is not None
        return self.run.record

    @property
    def data(self) -> Mapping[str, Any]:
        """The entry `data` of the record."""
        entry: Mapping[str, Any] = self.record["data"]
        return entry

    @property
    def name(self) -> str:
        """The sweep and the name of the run."""
        return printable(f"{self.run.folder.parent.name}/{self.run.folder.name}")

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the run wherever it lies: its name and its predictions."""
        return self.run.folder.name, self.predictions

    @property
    def fingerprint(self) -> str:
        """The fingerprint at the end of the run's name."""
        return self.run.folder.name.rpartition("-")[2]

    def recorded(self, root: Path) -> dict[str, Any]:
        """Return the entry of a record: its folder is relative to `root`, or None elsewhere."""
        folder = self.run.folder
        is_below = folder.is_relative_to(root) and all(
            map(is_plain_name, folder.relative_to(root).parts)
        )
        return {
            "name": folder.name,
            "sweep": folder.parent.name,
            "fingerprint": self.fingerprint,
            "predictions": self.predictions,
            "weight": self.weight,
            "folder": folder.relative_to(root).as_posix() if is_below else None,
        }


def ensemble(
    folders: Sequence[Path],
    weights: Sequence[float] | None = None,
    root: str | None = None,
    sweep: str | None = None,
    rerun: bool = False,
    display: Display = SILENT,
) -> tuple[Path, dict[str, Any]]:
    """Average the predictions of finished runs; return the folder and the record of the ensemble.

    `weights` are those of the runs in their order, relative to each other; by default, they are
    equal. `root` and `sweep` are by default those of the runs, if they have them in common. The
    order of the runs does not matter. A finished ensemble is not made again unless `rerun` is set.

    Raises InputError if the runs cannot be averaged, or if the folder cannot be written.
    """
    members = _members(folders, weights)
    _require_alike(members)
    config = Config(
        root=root or _common([str(member.run.folder.parent.parent) for member in members], "runs"),
        sweep=sweep or _common([member.run.folder.parent.name for member in members], "default"),
    )
    folder = _folder(members, config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own_files(folder)  # raises InputError if a link stands there
        with sole_writer(folder / LOCK, lambda: None):
            if not rerun:
                refuse_newer_record(folder)
                if (record := read_record(folder)) is not None:
                    display.message(f"{folder.name} is finished; --rerun makes it again")
                    return folder, record
            return folder, _average(members, folder, display)
    except InputError:
        with suppress(OSError):  # it contains files
            folder.rmdir()
        raise
    except OSError as error:
        raise unwritable(config.root, error) from error


def _members(folders: Sequence[Path], weights: Sequence[float] | None) -> list[AveragedRun]:
    """Return the finished runs, sorted by their names and predictions, with weights of sum 1."""
    if len(folders) < 2:
        raise InputError(f"An ensemble needs at least two runs (got {len(folders)}).")
    with errors_named("the ensemble"):
        MEMBERS.check(len(folders))  # otherwise, it could not be used
    if weights is None:
        weights = [1.0] * len(folders)
    if len(weights) != len(folders):
        raise InputError(f"{len(folders)} runs need as many weights (got {len(weights)}).")
    total = sum(weights)
    members = [
        _member(folder, weight / total) for folder, weight in zip(folders, weights, strict=True)
    ]
    for (name, _), count in Counter(member.key for member in members).items():
        if count > 1:
            raise InputError(f"{printable(name)} is given {count} times: give each run once.")
    return sorted(members, key=lambda member: member.key)


def _member(folder: Path, weight: float) -> AveragedRun:
    """Return a finished run. Raises InputError if it cannot be a member."""
    if hub_model(folder) is not None:
        raise InputError(
            f"{folder} has no predictions, which are not uploaded to the hub: give a run's folder. "
            "lstm-sentiment evaluate averages the models of the hub on a file."
        )
    run = read_run(Path(os.path.realpath(folder)))
    if run.record is None:
        raise InputError(f"{folder} is not a finished run ({run.trouble}).")
    if ENSEMBLE in run.record["config"]:
        raise InputError(f"{folder} is an ensemble: give its members, each once.")
    if run.record["data"].get("folds") is not None:
        raise InputError(
            f"{folder} is a fold of a cross-validation: an ensemble needs runs without data.folds."
        )
    return AveragedRun(run, weight, predictions_digest(run.folder))


def _require_alike(members: Sequence[AveragedRun]) -> None:
    """Raise InputError if two members have different classes or were trained on other reviews."""
    first = members[0]
    for other in members[1:]:
        names = [record_classes(member.record).names for member in (first, other)]
        if names[0] != names[1]:
            raise InputError(
                f"{first.name} and {other.name} have different classes: {join_names(names[0])}; "
                f"{join_names(names[1])}."
            )
        if first.data["fingerprint"] != other.data["fingerprint"]:
            raise InputError(
                f"{first.name} and {other.name} are of different reviews (data.fingerprint in "
                f"their {RECORD}): members need the same labelled reviews, and either all or none "
                "of them test=false."
            )


def _common(values: Sequence[str], default: str) -> str:
    return values[0] if len(set(values)) == 1 else default


def _folder(members: Sequence[AveragedRun], config: Config) -> Path:
    """Return the folder of the ensemble of these members, ensemble-<kind>-s0-<fingerprint>."""
    chosen = {
        "members": [[*member.key, member.weight] for member in members],
        "threshold": THRESHOLD,
    }
    name = digest(ENSEMBLE_RECIPE, members[0].data["fingerprint"], chosen)
    # Resolved like the folders of the members, which are then recorded relative to the same root.
    sweep = Path(os.path.realpath(sweep_folder(config)))
    return sweep / f"{ENSEMBLE}-{_kind(members)}-s0-{name}"


def _kind(members: Sequence[AveragedRun]) -> str:
    return MEAN if len({member.weight for member in members}) == 1 else WEIGHTED


def _average(members: Sequence[AveragedRun], folder: Path, display: Display) -> dict[str, Any]:
    """Write predictions and record of an ensemble in its folder, which is locked."""
    by_stage = {stage: _mean_predictions(members, stage, display) for stage in ("val", "test")}
    stages = {stage: mean for stage, mean in by_stage.items() if mean is not None}
    if not stages:
        names = ", ".join(member.name for member in members)
        raise InputError(f"{names} have no predictions for the same reviews.")
    start_over(folder, display)
    request: dict[str, Any] = {
        "choices": {"encoder": ENSEMBLE, "head": _kind(members)},
        "config": _config(members, folder, "test" in stages),
    }
    write_json(folder / CONFIG, {"schema": SCHEMA, **request})
    columns = {stage: _columns(mean) for stage, mean in stages.items()}
    save_predictions(folder / PREDICTIONS, columns, lambda stage, _: _review_columns(stages[stage]))
    scores = {
        stage: classification_scores(mean.label, mean.logit, mean.classes)
        for stage, mean in stages.items()
    }
    record = {
        "schema": SCHEMA,
        "name": folder.name,
        "sweep": folder.parent.name,
        **request,
        "members": [member.recorded(folder.parent.parent) for member in members],
        "epochs": [],
        "best_epoch": None,
        "val": scores.get("val"),
        "test": scores.get("test"),
        "decision": {"threshold": THRESHOLD},
        "cost": _cost(members),
        "data": _data(members, stages),
        "vectors": None,
        "environment": runtime.environment("cpu"),
    }
    write_json(folder / RECORD, record)
    return record


def _mean_predictions(
    members: Sequence[AveragedRun], stage: str, display: Display
) -> Predictions | None:
    """Return the mean of the members' predictions, whose logits are rounded to float32.

    None if there are none, or if the members have different validation sets, which is said. Raises
    InputError if they were tested on different reviews.
    """
    with_stage = [member for member in members if member.record[stage]]
    if not with_stage:
        return None
    each = [read_predictions(member.run, stage) for member in with_stage]
    unlike = [
        f"{one.name} and {other.name}"
        for (one, ours), (other, theirs) in pairwise(zip(with_stage, each, strict=True))
        if not (np.array_equal(ours.row, theirs.row) and np.array_equal(ours.label, theirs.label))
    ]
    unlike += [
        f"{with_stage[0].name} and {member.name}" for member in members if not member.record[stage]
    ]
    if unlike and stage == "test":
        raise InputError(f"{unlike[0]} were not tested on the same reviews.")
    if unlike:
        display.message(
            f"{unlike[0]} do not have the same validation set: the ensemble has test scores only",
            "warning",
        )
        return None
    logits = logit_of_mean(
        [predictions.logit for predictions in each], [member.weight for member in members]
    )
    first = next((known for known in each if known.tokens is not None), each[0])
    return first._replace(
        logit=logits.astype(np.float32), classes=first.classes.with_threshold(THRESHOLD)
    )


def _columns(mean: Predictions) -> dict[str, Tensor]:
    return {
        "index": torch.from_numpy(mean.row),
        "label": torch.from_numpy(mean.label),
        "logit": torch.from_numpy(mean.logit),
    }


def _review_columns(mean: Predictions) -> dict[str, np.ndarray]:
    """Return the columns of the reviews that the members know, as `review_columns` of the data."""
    columns = {"tokens": mean.tokens, "group": mean.group, "construct": mean.construct}
    return {name: values for name, values in columns.items() if values is not None}


def _config(members: Sequence[AveragedRun], folder: Path, test: bool) -> dict[str, Any]:
    """Return the entry `config` of the record: the members, and their common fields of `data`.

    The seed is always 0. The members are the ones of these seeds, so an ensemble has no variance
    over seeds that one could know.
    """
    groups = [member.record["config"]["data"] for member in members]
    shared = {
        name: value
        for name, value in groups[0].items()
        if all(name in group and group[name] == value for group in groups)
    }
    settings = {"members": "+".join(member.fingerprint for member in members)}
    if _kind(members) == WEIGHTED:
        settings["weights"] = "+".join(f"{member.weight:.4g}" for member in members)
    return {
        "seed": 0,
        "test": test,
        "sweep": folder.parent.name,
        ENSEMBLE: settings,
        "data": shared,
    }


def _data(members: Sequence[AveragedRun], stages: Mapping[str, Predictions]) -> dict[str, Any]:
    """Return the entry `data` of the record.

    Without a common validation set, the reviews of all validation sets count as training reviews,
    since other members may have been trained on them.
    """
    entries = [member.data for member in members]
    held_out = len(stages["val"].row) if "val" in stages else 0
    learned = [entry["train"] + (0 if "val" in stages else entry["val"] or 0) for entry in entries]
    copies = [count for entry in entries if (count := entry.get("test_copies")) is not None]
    return {
        **{name: entries[0].get(name) for name in DATA_ENTRIES},
        "classes": [*record_classes(members[0].record).names],
        "train": max(learned),
        "val": held_out,
        "test": len(stages["test"].row) if "test" in stages else None,
        "test_copies": max(copies, default=None) if "test" in stages else None,
    }


def _cost(members: Sequence[AveragedRun]) -> dict[str, Any]:
    """Return the cost of training and evaluating all members, one after another."""
    costs = [member.record["cost"] for member in members]
    seconds = sum(cost["fit_seconds"] for cost in costs)
    tokens = sum(cost["fit_seconds"] * cost["tokens_per_second"] for cost in costs)
    speeds = [cost.get("test_reviews_per_second") for cost in costs]
    peaks = [peak for cost in costs if (peak := cost.get("peak_memory_mib")) is not None]
    return {
        "parameters": sum(cost["parameters"] for cost in costs),
        "fit_seconds": seconds,
        "seconds_per_epoch": None,
        "tokens_per_second": tokens / seconds if seconds else 0.0,
        "peak_memory_mib": max(peaks, default=None),
        "test_reviews_per_second": 1 / sum(1 / speed for speed in speeds) if all(speeds) else None,
    }
