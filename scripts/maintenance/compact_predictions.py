"""Convert the predictions of finished runs to the form that shares the reviews of a sweep.

    python -m scripts.maintenance.compact_predictions runs

Runs of older versions have the rows, labels and token counts of all reviews in their own
`predictions.parquet`. Afterwards one file in each sweep's folder has these, and every run's file
its probabilities. No value changes: each file is read again and compared with the old one.
"""

import argparse
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, HeldError, sole_writer
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.runs.folder import PREDICTIONS
from lstm_sentiment.runs.predictions import read_table, write_table
from lstm_sentiment.runs.reader import State, read_runs


def compact(folder: Path) -> bool:
    """Convert the predictions of a run; return False if its file has the new form already.

    Raises InputError if they are missing or damaged; the file then stays as it is.
    """
    path = folder / PREDICTIONS
    table = read_table(path)
    if pq.read_schema(path).names in (["logit"], ["probability"]):
        return False
    if missing := {"split", "index", "label", "probability"} - {*table.column_names}:
        raise InputError(f"{folder.name}/{path.name} has no column {min(missing)}")
    before = path.read_bytes()
    write_table(path, table)
    if not _has(path, table):
        write_atomically(path, before)
        raise InputError(f"{folder.name}/{path.name} cannot be converted without a change")
    return True


def _has(path: Path, table: pa.Table) -> bool:
    try:
        return bool(read_table(path).select(table.column_names).equals(table))
    except InputError:
        return False


def compact_runs(root: Path) -> bool:
    """Convert all finished runs at or below `root`; return whether every file could be read."""
    runs = [run for run in read_runs(root) if run.state is State.done]
    before, converted, failures = _size(root), 0, []
    for run in runs:
        try:
            with sole_writer(run.folder / LOCK):
                converted += compact(run.folder)
        except HeldError:
            failures.append(f"{run.name} is being trained")
        except InputError as error:
            failures.append(str(error))
    megabytes = f"{before / 1e6:.1f} MB before, {_size(root) / 1e6:.1f} MB after"
    print(f"{converted} of {len(runs)} runs converted: {megabytes}.")
    for failure in failures:
        print(f"Not converted: {failure}.", file=sys.stderr)
    return not failures


def _size(root: Path) -> int:
    return sum(file.stat().st_size for file in root.rglob("*.parquet"))


def main() -> None:
    """Convert the runs that the command line names; exit with 1 if any could not be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("root", type=Path, help="folder of runs, such as runs/default or runs")
    try:
        converted = compact_runs(parser.parse_args().root)
    except InputError as error:
        parser.error(str(error))
    sys.exit(not converted)


if __name__ == "__main__":
    main()
