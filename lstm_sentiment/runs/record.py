"""The record of a run: written last, and checked for all readers in one place, `examine_record`."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from math import isclose, isfinite
from pathlib import Path
from typing import Any, TypeVar

from lstm_sentiment.config import (
    SCORES,
    CompareConfig,
    Config,
    EmbeddingKind,
    Reference,
    Source,
)
from lstm_sentiment.config_fields import Checked, fields_of
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.display import on_one_line, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import JSON_BYTES
from lstm_sentiment.files.names import is_plain_name
from lstm_sentiment.files.reading import errors_named, parse_json, read_bytes, read_json
from lstm_sentiment.labels import BINARY, MAX_CLASSES, THRESHOLD, Classes
from lstm_sentiment.model.rates import rates
from lstm_sentiment.runs.folder import MODEL, PRETRAINING, RECORD
from lstm_sentiment.runs.identity import BASELINE, ENSEMBLE

# Version of the files that are written, and the versions that are read. Since version 2, records
# name the classes, of which there may be more than two, and the decision.
SCHEMA = 2
READABLE = (1, 2)
READ = " and ".join(map(str, READABLE))  # for messages
PRUNED = "pruned"  # key of the record of a run that a search has ended early
ROUNDING = 1e-6  # allowed in scores: older versions computed them in float32
LARGEST = 1e15  # of any count or duration in a record
LARGEST_LOSS = 1e39  # beyond any number in float32
LISTS: dict[str, type[Checked]] = {"reference": Reference, "compare": CompareConfig}
Restored = TypeVar("Restored", Config, PretrainingConfig)
KINDS: tuple[type[Checked], ...] = (Config, Reference, CompareConfig)
FIELDS = {field.name: field for kind in KINDS for field in fields_of(kind)}
UNRECORDED = frozenset(name for name, field in FIELDS.items() if not field.recorded)
IF_MISSING = {
    name: field.if_missing for name, field in FIELDS.items() if field.if_missing is not None
}
UNRECORDED_PATH = "unrecorded"  # replaces a required path, which records do not contain
# Fields of an environment on which the time of a training depends.
MACHINE = ("device", "threads", "processes")
# Fields of a network that reports read from its record.
NETWORK = ("encoder.cell", "encoder.num_layers", "encoder.bidirectional", "head.kind")


def recorded(config: Config | PretrainingConfig) -> dict[str, Any]:
    """Return the configuration as in a record: nested, without the fields that are not recorded."""
    nested: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    for name in (known.name for known in fields_of(type(config)) if not known.recorded):
        *groups, field = name.split(".")
        inner = nested
        for group in groups:
            inner = inner[group]
        del inner[field]
    return nested


def restored(nested: Any) -> Config:
    """Return the configuration of a record of a run; see `restored_as`."""
    return restored_as(Config, nested)


def restored_as(kind: type[Restored], nested: Any) -> Restored:
    """Return the configuration of a record, of this kind.

    A missing field has its default or, if the field was added later with another default, the value
    of runs before it. Raises InputError if the record has a field that this version does not know,
    or if a value is not allowed.
    """
    try:
        restored_config: Restored = _restored(kind, nested, "")
        return restored_config
    except (TypeError, OverflowError, RecursionError) as error:  # values of an unexpected type
        raise InputError(f"its configuration cannot be understood ({error}).") from error


def _restored(kind: type[Any], nested: Any, prefix: str) -> Any:
    if not isinstance(nested, dict):
        name = prefix.rstrip(".") or "config"
        raise InputError(f"{name} must be a group of fields (got {nested!r:.60}).")
    types = {field.name: field.type for field in fields(kind)}
    groups = {
        name: group
        for name, group in types.items()
        if isinstance(group, type) and is_dataclass(group)
    }
    implied = {name: IF_MISSING[prefix + name] for name in types if prefix + name in IF_MISSING}
    complete: dict[str, Any] = {name: {} for name in groups} | implied | nested
    chosen: dict[str, Any] = {}
    for name, value in complete.items():
        if name not in types or prefix + name in UNRECORDED:
            raise InputError(f"{prefix}{name:.60} is not a field of a model's configuration.")
        if name in groups:
            value = _restored(groups[name], value, f"{prefix}{name}.")
        elif prefix + name in LISTS and isinstance(value, list):
            value = [_restored(LISTS[name], item, f"{name}.") for item in value]
        chosen[name] = value
    return kind(**chosen, **_unrecorded_paths(prefix, chosen))


def _unrecorded_paths(prefix: str, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Return placeholders for the paths that the chosen values require; records omit paths."""
    if prefix == "data." and chosen.get("source") == Source.reviews:
        return {"path": UNRECORDED_PATH}
    if prefix == "embedding." and chosen.get("name") is None:
        kind = chosen.get("kind", EmbeddingKind.random)
        return {} if kind == EmbeddingKind.random else {"path": UNRECORDED_PATH}
    return {}


def examine_record(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the record of a finished run, or None and the problem with its file, if there is one.

    Training, status, reports and predictors all use this check: a run whose record it refuses is
    not finished.
    """
    return _examine(folder, RECORD, _check)


def examine_language_model(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the record of a finished language model, like `examine_record`.

    Training and status use this check.
    """
    record, problem = _examine(folder, PRETRAINING, _check_language_model)
    if record is not None and not (folder / MODEL).is_dir():
        return None, f"{MODEL}/ is missing"
    return record, problem


def _examine(
    folder: Path, name: str, check: Callable[[Mapping[str, Any]], None]
) -> tuple[dict[str, Any] | None, str]:
    """Return the record in the file `name` if it passes the check, or None and the problem."""
    if not os.path.lexists(folder / name):
        return None, ""
    try:
        with errors_named(name):
            record = parse_json(read_bytes(folder / name, JSON_BYTES))
    except InputError as error:
        return None, on_one_line(error).rstrip(".")
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema is None:
        return None, f"{name} is damaged: it is not a record"
    if schema not in READABLE or type(schema) is not int:
        return None, f"{name} has schema {shortened(repr(schema))}, this version reads {READ}"
    problem = defect(record, folder.name, check)
    return (None, f"{name} {problem}") if problem else (record, "")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a finished run, or None if `examine_record` refuses it."""
    return examine_record(folder)[0]


def is_pruned(record: Mapping[str, Any]) -> bool:
    """Return whether a search ended the run before its training would have ended."""
    return bool(record.get(PRUNED, False))


def refuse_newer_record(folder: Path) -> None:
    """Raise InputError if a newer version wrote the record, so that it is not replaced."""
    for name in (RECORD, PRETRAINING):
        record = read_json(folder / name)
        schema = record.get("schema") if isinstance(record, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise InputError(
                f"{folder / name} has schema {schema}, this version reads {READ}: "
                "use a newer version, or replace the record with rerun=true."
            )


def defect(
    record: Mapping[str, Any], name: str, check: Callable[[Mapping[str, Any]], None] | None = None
) -> str | None:
    """Return the problem with the record of a run of this name, or None if there is none.

    `check` raises an error if a value is missing or not possible; by default, it is that of runs.
    """
    try:
        if record["name"] != name:
            return f"is the record of another run, {shortened(record['name'])}"
        (check or _check)(record)
    except KeyError as error:
        return f"is damaged: {error.args[0]} is missing"
    except (TypeError, AttributeError, IndexError):
        return "is damaged: a part of it has the wrong type"
    except (ValueError, OverflowError) as error:
        return f"is damaged: {error}"
    return None


def _check_language_model(record: Mapping[str, Any]) -> None:
    """Raise an error if a number that is shown of a language model is missing or not possible."""
    _require_number("perplexity", record["perplexity"])
    _require_number("data.held_out", record["data"]["held_out"])
    for name in ("fit_seconds", "tokens_per_second"):
        _require_number(f"cost.{name}", record["cost"][name])


def _check(record: Mapping[str, Any]) -> None:
    """Raise an error if a value that reports read is missing or not possible."""
    json.dumps(record, ensure_ascii=False).encode()  # half a surrogate pair cannot be encoded
    for name in ("choices", "config"):
        _require(isinstance(record[name], dict), name, record[name])
    _check_config(record["config"])
    classes = record_classes(record)
    _check_calibration(record)
    for epoch in record["epochs"]:
        _require_number("epoch", epoch["epoch"])
        _require(epoch["train"] is not None, "train of an epoch", None)
        for stage in ("train", "val"):
            _check_scores(stage, epoch[stage], classes)
    if ENSEMBLE in record["config"]:  # which was not trained
        _check_members(record)
    else:
        best = record["best_epoch"]
        is_epoch = type(best) is int and best in range(1, len(record["epochs"]) + 1)
        _require(is_epoch, "best_epoch", best)
        _require(isinstance(record.get(PRUNED, False), bool), PRUNED, record.get(PRUNED))
    for stage in ("val", "test"):
        _check_scores(stage, record[stage], classes)
    for name in ("parameters", "fit_seconds", "tokens_per_second"):
        _require_number(name, record["cost"][name])
    if (peak := record["cost"].get("peak_memory_mib")) is not None:
        _require_number("peak_memory_mib", peak)
    if "grid" in record["config"].get(BASELINE, ()):  # the penalty of older baselines was fixed
        _require_number("penalty.c", record["penalty"]["c"])
    if (vectors := record.get("vectors")) is not None:
        _require_text("vectors.fingerprint", vectors["fingerprint"])
        if (left_out := vectors.get("left_out")) is not None:
            _require_number("vectors.left_out", left_out)
    if (language_model := record.get("language_model")) is not None:
        _require_text("language_model.digest", language_model["digest"])
        if (read := language_model.get("read_validation")) is not None:
            _require_number("language_model.read_validation", read)
    if (pseudo := record.get("pseudo_labels")) is not None:
        _require_text("pseudo_labels.fingerprint", pseudo["fingerprint"])
        _require_number("pseudo_labels.reviews", pseudo["reviews"])
    for name in ("source", "fingerprint"):
        _require_text(f"data.{name}", record["data"][name])
    _require_number("data.train", record["data"]["train"])
    for stage in ("val", "test"):
        if (size := record["data"][stage]) is not None:
            _require_number(f"data.{stage}", size)
    if (groups := record["data"].get("groups")) is not None:
        _require_text("data.groups", groups)
    if (copies := record["data"].get("test_copies")) is not None:
        _require_number("data.test_copies", copies)
    if (unlabelled := record["data"].get("unlabelled")) is not None:
        _require_number("data.unlabelled.reviews", unlabelled["reviews"])
        _require_number("data.unlabelled.left_out", unlabelled["left_out"])
    _check_environment(record["environment"])
    if (attempts := record.get("attempts")) is not None:
        check_attempts(attempts)


def _check_members(record: Mapping[str, Any]) -> None:
    """Raise an error if the members of an ensemble are not possible, or it has no scores."""
    members = record["members"]
    _require(record["epochs"] == [], "epochs", record["epochs"])
    _require(bool(record["val"] or record["test"]), "val and test", None)
    _require(isinstance(members, list) and len(members) > 1, "members", members)
    for member in members:
        for name in ("name", "sweep", "fingerprint", "predictions"):
            _require_text(f"{name} of a member", member[name])
        folder, weight = member["folder"], member["weight"]
        is_below = folder is None or all(map(is_plain_name, folder.split("/")))
        _require(is_below, "folder of a member", folder)
        _require(is_number(weight, 1) and weight > 0, "weight of a member", weight)
    total = sum(member["weight"] for member in members)
    _require(isclose(total, 1, abs_tol=ROUNDING), "the sum of the weights", total)


def record_classes(record: Mapping[str, Any]) -> Classes:
    """Return the classes of a record, with its threshold; those of schema 1 are usual.

    Raises ValueError, KeyError or TypeError if they are damaged.
    """
    if record["schema"] == 1:
        return BINARY
    return checked_classes(record["data"]["classes"], record["decision"]["threshold"])


def _check_calibration(record: Mapping[str, Any]) -> None:
    """Raise an error if the numbers of a calibration that reports read are not possible."""
    calibration = record.get("decision", {}).get("calibration")
    if calibration is not None:
        for name in ("temperature", "before", "after"):
            _require_number(f"calibration {name}", calibration[name])


def checked_classes(names: Any, threshold: Any = THRESHOLD) -> Classes:
    """Return the classes with these names. Raises ValueError if names or threshold are damaged."""
    is_valid = isinstance(names, list) and all(map(_is_label, names))
    _require(is_valid and 2 <= len(names) <= MAX_CLASSES, "classes", names)
    _require(len({name.casefold() for name in names}) == len(names), "classes", names)
    _require(is_number(threshold, 1), "threshold", threshold)
    if len(names) > 2:  # of which the most probable one is predicted
        _require(threshold == THRESHOLD, f"the threshold of {len(names)} classes", threshold)
    return Classes(tuple(names), float(threshold))


def _is_label(name: Any) -> bool:
    """Return whether this can be a label of a file, which has no blanks around it."""
    try:
        return isinstance(name, str) and name == name.strip() and bool(name.encode())
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def check_attempts(attempts: Any) -> None:
    """Raise an error if this is not a list of the attempts to train a run.

    Each attempt has its first epoch, counted from 1, and its environment.
    """
    _require(isinstance(attempts, list), "attempts", attempts)
    for attempt in attempts:
        epoch = attempt["epoch"]
        _require(type(epoch) is int and 1 <= epoch <= LARGEST, "epoch of an attempt", epoch)
        _check_environment(attempt["environment"])


def _check_environment(environment: Mapping[str, Any]) -> None:
    """Raise an error if the entries of an environment that reports read are not possible."""
    _require_text("environment.device", environment["device"])
    _require_number("environment.threads", environment["threads"])
    _require_number("environment.processes", environment.get("processes", 1))


def machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `MACHINE`, with the single process of records that lack the number."""
    return {"processes": 1} | {name: environment[name] for name in MACHINE if name in environment}


def varying_attempts(record: Mapping[str, Any]) -> str:
    """Return a remark if the attempts to train a run differ in a field of `MACHINE`, else ""."""
    environments = [attempt["environment"] for attempt in record.get("attempts") or []]
    remarks = []
    for field in MACHINE:
        values = list(dict.fromkeys(on_one_line(machine(each)[field]) for each in environments))
        if len(values) > 1:
            remarks.append(f"{field} {' then '.join(values)}")
    return ", ".join(remarks)


def _check_config(config: Mapping[str, Any]) -> None:
    _require_allowed("seed", config["seed"])
    if BASELINE in config or ENSEMBLE in config:  # which have no network
        return
    for name in NETWORK:
        group, field = name.split(".")
        _require_allowed(name, config[group][field])
    for reference in config.get("reference") or []:
        for name in ("run", "source"):
            _require_text(f"reference.{name}", reference[name])
        for name in ("accuracy", "loss", "reviews", "labels"):
            _require_allowed(f"reference.{name}", reference.get(name))
        _require_text("reference.otherwise", reference.get("otherwise", ""))
    for question in config.get("compare") or []:
        for name in ("question", "run", "other"):
            _require_allowed(f"compare.{name}", question[name])


def _check_scores(stage: str, scores: Mapping[str, Any] | None, classes: Classes) -> None:
    if scores is None:
        return
    for score in SCORES:
        if score != "auroc" or scores[score] is not None:  # None if only one class occurs
            high = LARGEST_LOSS if score == "loss" else 1 + ROUNDING
            _require_number(f"{stage} {score}", scores[score], high)
    matrix = scores["confusion_matrix"]
    counts = [count for row in matrix for count in row]
    is_square = [len(row) for row in matrix] == [len(classes)] * len(classes)
    _require(is_square, f"{stage} confusion_matrix", matrix)
    for count in counts:
        _require(type(count) is int and 0 <= count <= LARGEST, f"{stage} confusion_matrix", count)
    _require(sum(counts) > 0, f"{stage} confusion_matrix", "empty")
    for score, expected in rates(matrix, classes.values).items():
        if score in scores:  # records of older versions have fewer scores
            is_valid = type(scores[score]) in (int, float) and isfinite(scores[score])
            _require(is_valid, f"{stage} {score}", scores[score])
            if not isclose(scores[score], expected, abs_tol=ROUNDING):
                raise ValueError(
                    f"{stage} {score} is {scores[score]:.6f}, but the confusion matrix gives "
                    f"{expected:.6f}"
                )


def _require_allowed(name: str, value: Any) -> None:
    _require(FIELDS[name].allows(value), name, value)


def _require_text(name: str, value: Any) -> None:
    _require(isinstance(value, str), name, value)


def _require_number(name: str, value: Any, high: float = LARGEST) -> None:
    _require(is_number(value, high), name, value)


def is_number(value: Any, high: float = LARGEST) -> bool:
    """Return whether a value is a number from 0 to `high`."""
    return type(value) in (int, float) and 0 <= value <= high


def _require(valid: bool, name: str, value: Any) -> None:
    if not valid:
        raise ValueError(f"{name} is {shortened(value)}")
