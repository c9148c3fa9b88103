"""Add the films of the reviews to the predictions of finished runs on IMDB.

    python -m scripts.maintenance.prediction_groups runs --data FOLDER

Runs of older versions do not say which reviews are about the same film. Afterwards the sweep's file
of reviews has the column `group`, and each record says that these are films. Labels and lengths are
compared with IMDB's files, row by row, and no other value changes: each file is read again and
compared with the old one.
"""

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, HeldError, sole_writer
from lstm_sentiment.files.writing import write_atomically, write_json
from lstm_sentiment.runs.folder import PREDICTIONS, RECORD
from lstm_sentiment.runs.predictions import read_table, reviews_file, write_table
from lstm_sentiment.runs.reader import RunSummary, State, read_runs
from lstm_sentiment.runs.record import restored

COMPARED = ("label", "tokens")  # columns of the predictions that the reviews must have as well


class KnownReviews:
    """The reviews of IMDB's files, prepared as for each run."""

    def __init__(self, path: Path, cache: str) -> None:
        self.path, self.cache = path, cache
        self.prepared: dict[str, ReviewDataModule] = {}

    def of(self, record: dict[str, Any]) -> ReviewDataModule:
        """Return the reviews of a record. Raises InputError if the files have other reviews."""
        config, with_test = self._config(record), record["test"] is not None
        key = json.dumps([str(config), with_test])
        if key not in self.prepared:
            data = ReviewDataModule(config, test=with_test, cache=DataCache())
            data.setup()
            self.prepared[key] = data
        data = self.prepared[key]
        if data.identity != record["data"]["fingerprint"]:
            raise InputError(f"its reviews are not those of {self.path}")
        return data

    def _config(self, record: dict[str, Any]) -> DataConfig:
        config = restored({"data": record["config"]["data"]}).data
        if config.source is not Source.imdb:
            raise InputError(f"it is a run on data={config.source}")
        return replace(config, path=str(self.path), cache=self.cache, batch_size=1)


def add_groups(run: RunSummary, known: KnownReviews) -> bool:
    """Add the groups to the predictions and the record of a run; return False if it has them.

    Raises InputError, and leaves the files as they are, if the predictions cannot be read or are of
    other reviews.
    """
    assert run.record is not None
    path = run.folder / PREDICTIONS
    table = read_table(path)
    if "group" in table.column_names:
        return False
    data, before = known.of(run.record), path.read_bytes()
    write_table(path, table.append_column("group", pa.array(_groups(table, data))))
    if not read_table(path).select(table.column_names).equals(table):
        write_atomically(path, before)
        raise InputError(f"{path.name} cannot be converted without a change")
    run.record["data"]["groups"] = data.groups
    write_json(run.folder / RECORD, run.record)
    return True


def _groups(table: pa.Table, data: ReviewDataModule) -> np.ndarray:
    """Return the group of each row. Raises InputError if a row is not of the same review."""
    groups = np.zeros(len(table), np.int64)
    for stage, split in (("val", data.val_split), ("test", data.test_split)):
        of_stage = pc.equal(table["split"], stage)
        columns = table.filter(of_stage)
        rows = columns["index"].to_numpy()
        if split is None or not len(rows):
            continue
        if not np.isin(rows, split.rows).all():
            raise InputError(f"its {stage} rows are not those of the files")
        reviews = data.review_columns(stage, rows) | {"label": split.tokenized.labels[rows]}
        for name in {*COMPARED} & {*columns.column_names}:
            if not np.array_equal(columns[name].to_numpy(), reviews[name]):
                raise InputError(f"its {stage} rows are not those of the files ({name})")
        if data.groups is None:
            raise InputError("the films of its reviews are not known")
        groups[of_stage.to_numpy()] = reviews["group"]
    return groups


def add_groups_to_runs(roots: list[Path], known: KnownReviews) -> bool:
    """Add groups to all finished runs at or below `roots`; return whether each run has them."""
    runs = [run for root in roots for run in read_runs(root) if run.state is State.done]
    replaced, converted, failures = set[Path](), 0, []
    for run in runs:
        try:
            with sole_writer(run.folder / LOCK):
                old = reviews_file(run.folder / PREDICTIONS)
                if add_groups(run, known):
                    converted += 1
                    replaced |= {*filter(None, [old])}
        except HeldError:
            failures.append(f"{run.name} is being trained")
        except InputError as error:
            failures.append(f"{run.name}: {error}".rstrip("."))
    for file in replaced - _referenced({file.parent for file in replaced}):
        file.unlink(missing_ok=True)
    print(f"{converted} of {len(runs)} runs have got groups.")
    for failure in failures:
        print(f"Not converted: {failure}.", file=sys.stderr)
    return not failures


def _referenced(sweeps: set[Path]) -> set[Path]:
    """Return the files of reviews that runs of these sweeps name."""
    named = set[Path]()
    for path in (path for sweep in sweeps for path in sweep.glob(f"*/{PREDICTIONS}")):
        with suppress(InputError):  # predictions that cannot be read need no reviews
            named |= {*filter(None, [reviews_file(path)])}
    return named


def main() -> None:
    """Convert the runs that the command line names; exit with 1 if any could not be converted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("roots", type=Path, nargs="+", help="folders of runs, such as runs/default")
    parser.add_argument("--data", type=Path, required=True, help="IMDB's files, as in data.path")
    parser.add_argument("--cache", default=DataConfig().cache, help="as data.cache")
    args = parser.parse_args()
    try:
        converted = add_groups_to_runs(args.roots, KnownReviews(args.data, args.cache))
    except InputError as error:
        parser.error(str(error))
    sys.exit(not converted)


if __name__ == "__main__":
    main()
