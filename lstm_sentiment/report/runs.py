"""folders -> what became of each run: the one reader of what training leaves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from math import isclose, isfinite
from pathlib import Path
from typing import Any

from lstm_sentiment.config import DEPTHS, SCORES, Cell, HeadKind
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import LOCK, is_held
from lstm_sentiment.training.record import (
    BASELINE,
    CONFIG,
    FAILED,
    PROGRESS,
    RECORD,
    SCHEMA,
    SWEEP,
    planned_runs,
    read_json,
    read_record,
)


class State(StrEnum):
    done = auto()
    running = auto()
    failed = auto()
    interrupted = auto()
    missing = auto()


@dataclass(frozen=True)
class RunSummary:
    """A run's folder: its record, or what became of it instead."""

    folder: Path
    state: State
    record: dict[str, Any] | None = None
    trouble: str = ""  # what there is to say where there is no record
    progress: dict[str, Any] | None = None  # of a run under way: see training.progress.Heartbeat

    @property
    def name(self) -> str:
        return self.folder.name


def read_run(folder: Path) -> RunSummary:
    try:
        return _read_run(folder)
    except OSError as error:
        return RunSummary(folder, State.failed, None, f"cannot be read ({error.strerror})")


def _read_run(folder: Path) -> RunSummary:
    held = is_held(folder / LOCK)  # asked first: a run may finish at any moment
    if (record := read_record(folder)) is not None:
        if (found := flaw(record, folder.name)) is not None:
            return RunSummary(folder, State.failed, None, f"{RECORD} {found}")
        return RunSummary(folder, State.done, record)
    if held:
        progress = _progress(folder)
        return RunSummary(folder, State.running, None, f"running{_in_epoch(progress)}", progress)
    if (folder / RECORD).exists():
        return RunSummary(folder, State.failed, None, _trouble_with_record(folder))
    failed = read_json(folder / FAILED)
    if isinstance(failed, dict):
        reason = " ".join(str(failed.get("reason")).encode(errors="replace").decode().split())
        trouble = f"failed{_in_epoch(failed)}: {reason}"
        return RunSummary(folder, State.failed, None, trouble)
    if (folder / CONFIG).exists():
        progress = _progress(folder)
        trouble = f"interrupted{_in_epoch(progress)}"
        return RunSummary(folder, State.interrupted, None, trouble, progress)
    return RunSummary(folder, State.missing, None, "missing: not begun")


def read_runs(root: Path) -> list[RunSummary]:
    """Every run at or below `root`, also those asked for and not begun. InputError without any."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give one that holds runs, such as runs/default.")
    folders = {file.parent for file in root.rglob(RECORD)}
    folders |= {file.parent for file in root.rglob(CONFIG) if _begins_a_run(file)}
    for plan in root.rglob(SWEEP):
        folders |= {plan.parent / name for name in planned_runs(plan.parent)}
    if not folders:
        raise InputError(f"{root} holds no run: python train.py makes one below runs/.")
    return [read_run(folder) for folder in sorted(folders)]


def flaw(record: Mapping[str, Any], name: str) -> str | None:
    """What is wrong with the record of a run of this name; None where nothing is."""
    if record["name"] != name:
        return f"is of another run, {_short(record['name'])}"
    try:
        _check(record)
    except KeyError as error:
        return f"is damaged: {error.args[0]} is missing"
    except (TypeError, AttributeError, IndexError):
        return "is damaged: a part of it is not of its kind"
    except (ValueError, OverflowError) as error:
        return f"is damaged: {error}"
    return None


def _check(record: Mapping[str, Any]) -> None:
    """Raises where a field that reports read is missing, or is none of the values it can have."""
    json.dumps(record, ensure_ascii=False).encode()  # half a character cannot be written again
    for name in ("choices", "config"):
        _require(isinstance(record[name], dict), name, record[name])
    _check_config(record["config"])
    for epoch in record["epochs"]:
        _number("epoch", epoch["epoch"])
        _require(epoch["train"] is not None, "train", "null in an epoch")
        for split in ("train", "val"):
            _check_scores(split, epoch[split])
    best = record["best_epoch"]
    known = type(best) is int and best in range(1, len(record["epochs"]) + 1)
    _require(known, "best_epoch", best)
    for split in ("val", "test"):
        _check_scores(split, record[split])
    for name in ("parameters", "fit_seconds", "tokens_per_second"):
        _number(name, record["cost"][name])
    if (peak := record["cost"].get("peak_memory_mib")) is not None:
        _number("peak_memory_mib", peak)
    if (vectors := record.get("vectors")) is not None:
        _require(isinstance(vectors["fingerprint"], str), "vectors", vectors["fingerprint"])
    for name in ("source", "fingerprint"):
        _require(isinstance(record["data"][name], str), name, record["data"][name])
    _number("data.train", record["data"]["train"])
    for split in ("val", "test"):
        if (size := record["data"][split]) is not None:
            _number(f"data.{split}", size)
    _require(isinstance(record["environment"]["device"], str), "environment", "without a device")
    _number("threads", record["environment"]["threads"])


def _check_config(config: Mapping[str, Any]) -> None:
    _require(type(config["seed"]) is int and config["seed"] >= 0, "seed", config["seed"])
    if BASELINE in config:  # a baseline, which has no network
        return
    cell, layers = config["encoder"]["cell"], config["encoder"]["num_layers"]
    _require(cell in list(Cell), "encoder.cell", cell)
    _require(layers in DEPTHS, "encoder.num_layers", layers)
    _require(type(config["encoder"]["bidirectional"]) is bool, "encoder.bidirectional", "no flag")
    _require(config["head"]["kind"] in list(HeadKind), "head.kind", config["head"]["kind"])
    for figure in config.get("reference") or []:
        for name in ("run", "source"):
            _require(isinstance(figure[name], str), f"reference.{name}", figure[name])
        for score, most in (("accuracy", 1.0), ("loss", float("inf"))):
            if figure.get(score) is not None:
                _number(f"reference.{score}", figure[score], most)


def _check_scores(split: str, scores: Mapping[str, Any] | None) -> None:
    if scores is None:
        return
    for score in SCORES:
        _number(f"{split} {score}", scores[score], float("inf") if score == "loss" else 1)
    (right, wrong), (missed, found) = scores["confusion_matrix"]
    for count in (right, wrong, missed, found):
        _number(f"{split} confusion_matrix", count)
    accuracy = (right + found) / (right + wrong + missed + found or 1)
    _require(right + wrong + missed + found > 0, f"{split} confusion_matrix", "empty")
    agrees = isclose(accuracy, scores["accuracy"], abs_tol=1e-4)
    _require(agrees, f"{split} accuracy", f"{scores['accuracy']} beside {accuracy:.4f} counted")


def _number(name: str, value: Any, most: float = float("inf")) -> None:
    is_number = type(value) in (int, float) and isfinite(value)
    _require(is_number and 0 <= value <= most, name, value)


def _require(valid: bool, name: str, value: Any) -> None:
    if not valid:
        raise ValueError(f"{name} is {_short(value)}")


def _short(value: Any) -> str:
    """On one line, and no longer than a sentence bears; whatever can be printed of it."""
    text = " ".join(str(value).encode(errors="replace").decode().split())
    return text if len(text) <= 40 else f"{text[:40]} …"


def _trouble_with_record(folder: Path) -> str:
    found = read_json(folder / RECORD)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema in (None, SCHEMA):
        return f"{RECORD} is damaged"
    return f"{RECORD} has schema {_short(schema)}, this reads {SCHEMA}"


def _progress(folder: Path) -> dict[str, Any] | None:
    note = read_json(folder / PROGRESS)
    if not isinstance(note, dict) or type(note.get("epoch", "")) not in (int, type(None)):
        return None
    numbers = [note.get(name) for name in ("max_epochs", "share", "seconds")]
    return note if all(type(number) in (int, float) for number in numbers) else None


def _in_epoch(note: dict[str, Any] | None) -> str:
    return f" in epoch {note['epoch']}" if note and note.get("epoch") else ""


def _begins_a_run(file: Path) -> bool:
    # A model's folder has a config.json as well, and so have the folders of many other programs.
    content = read_json(file)
    return isinstance(content, dict) and content.keys() >= {"schema", "choices", "config"}
