"""A run's name, its folder and the record it leaves: all that a report will ever read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from lstm_sentiment.config import Config, EmbeddingKind, Reference, Source, flat
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically

SCHEMA = 1  # of the files; raised when their meaning changes
# Raised when a default or the computation changes, so that no new run takes an old one's place.
RECIPE = 3

UNTOLD = "unrecorded"  # stands for the path of a file that was read, in what is restored

BASELINE = "ngrams"  # in a name in the place of a network, and in a configuration that has none

RECORD_KEYS = frozenset({"name", "choices", "config", "epochs", "val", "test", "cost", "data"})
CONFIG, RECORD, FAILED = "config.json", "run.json", "failed.json"
PROGRESS = "progress.json"  # while it trains: how far it is
PREDICTIONS = "predictions.parquet"  # of the kept weights, for every review of val and test
SWEEP = "sweep.json"  # beside the runs: the names of all that were asked for

# Where a run is kept, on what it runs and where its data lie: no part of what it computes.
# The data count by what they are.
PLACES = frozenset(
    {
        "root",
        "sweep",
        "rerun",
        "keep_checkpoints",
        "reference",
        "data.source",
        "data.path",
        "data.test_path",
        "data.test_fraction",
        "data.text_column",
        "data.label_column",
        "data.positive_label",
        "data.cache",
        "embedding.path",
        "trainer.accelerator",
        "trainer.threads",
        "trainer.log_every_n_steps",
        "trainer.enable_progress_bar",
    }
)
# Left out of records: folders of the machine, and what only says how a run is to be treated.
UNRECORDED = frozenset(
    {
        "root",
        "data.path",
        "data.test_path",
        "data.cache",
        "embedding.path",
        "rerun",
        "keep_checkpoints",
    }
)


def fingerprint(config: Config, data: str) -> str:
    """Eight hexadecimal digits of what is computed: recipe, data, and what differs from a default.

    `data` is the identity of the reviews, and of word vectors from elsewhere. A field that is added
    later, at its default, changes nothing.
    """
    default = flat(Config())
    chosen = {
        name: value
        for name, value in flat(config).items()
        if name not in PLACES and value != default[name]
    }
    return digest(RECIPE, data, chosen)


def digest(recipe: int, data: str, chosen: Mapping[str, Any]) -> str:
    text = json.dumps({"recipe": recipe, "data": data, "config": chosen}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_name(config: Config, data: str) -> str:
    """<network>-<head>-s<seed>-<fingerprint>"""
    return f"{config.encoder.network}-{config.head.kind}-s{config.seed}-{fingerprint(config, data)}"


def run_folder(config: Config, data: str) -> Path:
    return sweep_folder(config) / run_name(config, data)


def sweep_folder(config: Config) -> Path:
    return Path(config.root).expanduser() / (config.sweep or "default")


def recorded(config: Config) -> dict[str, Any]:
    """The configuration as a record shows it: nested, without what is no part of the result."""
    nested: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    for name in UNRECORDED:
        *groups, field = name.split(".")
        part = nested
        for group in groups:
            part = part[group]
        del part[field]
    return nested


def restored(nested: Any) -> Config:
    """The configuration that `recorded` has shown; what is not shown is at its default.

    Raises InputError where a field is none of this version's, or has a value that is not allowed.
    """
    try:
        return _restored(Config, nested, "")
    except (TypeError, OverflowError, RecursionError) as error:  # of values of no sensible type
        raise InputError(f"its configuration cannot be understood ({error}).") from error


def _restored(kind: type[Any], nested: Any, prefix: str) -> Any:
    if not isinstance(nested, dict):
        raise InputError(f"{prefix.rstrip('.') or 'config'}={nested!r:.60} is no group of fields.")
    groups = {field.name: field.type for field in fields(kind)}
    chosen: dict[str, Any] = {}
    for name, value in nested.items():
        if name not in groups or prefix + name in UNRECORDED:
            raise InputError(f"{prefix}{name:.60} is no field of a model's configuration.")
        group = groups[name]
        if isinstance(group, type) and is_dataclass(group):
            value = _restored(group, value, f"{prefix}{name}.")
        elif prefix + name == "reference" and isinstance(value, list):
            value = [_restored(Reference, figure, "reference.") for figure in value]
        chosen[name] = value
    return kind(**chosen, **_untold(prefix, chosen))


def _untold(prefix: str, chosen: Mapping[str, Any]) -> dict[str, str]:
    """What has to be named for the choices to be allowed together, and records do not show."""
    if prefix == "data." and chosen.get("source") == Source.reviews:
        drawn = chosen.get("test_fraction") is not None
        return {"path": UNTOLD} if drawn else {"path": UNTOLD, "test_path": UNTOLD}
    if prefix == "embedding." and chosen.get("name") is None:
        return (
            {}
            if chosen.get("kind", EmbeddingKind.random) == EmbeddingKind.random
            else {"path": UNTOLD}
        )
    return {}


def read_json(path: Path) -> Any | None:
    """None where there is no file that can be read, or one that was cut short."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a finished run; None where there is none that this version understands."""
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        return None
    return record if record.keys() >= RECORD_KEYS else None


def refuse_newer_record(folder: Path) -> None:
    """A record that this version cannot read is nobody's to throw away. Raises InputError."""
    record = read_json(folder / RECORD)
    schema = record.get("schema") if isinstance(record, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"{folder / RECORD} has schema {schema}, this version reads {SCHEMA}: "
            "use a newer one, or rerun=true to replace it."
        )


def planned_runs(sweep: Path) -> set[str]:
    """The names of all runs that commands have asked for in this folder."""
    names = read_json(sweep / SWEEP)
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def write_json(path: Path, content: Any, durable: bool = True) -> None:
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode(), durable)
