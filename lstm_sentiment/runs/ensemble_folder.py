"""The members of a finished ensemble, whose models its predictions are averaged from.

An ensemble has no model of its own. Its record names the folders of its members relative to the
folder of all sweeps, <root>/<sweep>/<name>, so that both can be moved together. A record is
untrusted input: members are looked for below this folder only, and links are not followed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lstm_sentiment.display import shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import MEMBERS
from lstm_sentiment.files.reading import content_digest, errors_named
from lstm_sentiment.runs.folder import PREDICTIONS, RECORD
from lstm_sentiment.runs.identity import ENSEMBLE
from lstm_sentiment.runs.record import read_record

REMEDY = "make the ensemble again with lstm-sentiment ensemble"


class Member(NamedTuple):
    """A member of an ensemble: the folder of its run, and its share of the mean."""

    folder: Path
    weight: float


def predictions_digest(folder: Path) -> str:
    """Return a digest of the predictions of a run. Raises InputError if they cannot be read."""
    with errors_named(folder / PREDICTIONS):
        return f"sha256-{content_digest(folder / PREDICTIONS)}"


def find_members(folder: Path) -> list[Member] | None:
    """Return the members of the ensemble in a folder; None if there is no ensemble.

    Raises InputError if there are too many members, or if one is missing, is a link or an ensemble,
    or has other predictions than those from which the ensemble was made.
    """
    try:
        home = Path(os.path.realpath(folder))
        record = read_record(home)
    except (OSError, ValueError):  # not a path; reported by the reader of other models
        return None
    if record is None or not _is_ensemble(record):
        return None
    with errors_named(home / RECORD):
        MEMBERS.check(len(record["members"]))
        return [_found(home.parent.parent, member) for member in record["members"]]


def _is_ensemble(record: Mapping[str, Any]) -> bool:
    return ENSEMBLE in record["config"]


def _found(root: Path, member: Mapping[str, Any]) -> Member:
    name = shortened(member["name"])
    if member["folder"] is None:
        raise InputError(
            f"the member {name} was not below the root of the ensemble: {REMEDY} and the --root of "
            "its members."
        )
    folder = root / member["folder"]
    if Path(os.path.realpath(folder)) != folder:
        raise InputError(f"the member {folder} is a link, which is not followed: {REMEDY}.")
    if not folder.is_dir():
        raise InputError(f"the member {folder} is missing: put it there, or {REMEDY}.")
    record = read_record(folder)
    if record is not None and _is_ensemble(record):  # of which it could be a member itself
        raise InputError(f"the member {folder} is an ensemble: {REMEDY} from single runs.")
    if predictions_digest(folder) != member["predictions"]:
        raise InputError(f"the member {folder} has changed since the ensemble was made: {REMEDY}.")
    return Member(folder, member["weight"])
