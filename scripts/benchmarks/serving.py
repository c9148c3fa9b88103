"""Measure size, speed and accuracy of trained networks: as they are, as ONNX, and as 8-bit ONNX.

    python -m scripts.benchmarks.serving RUN... --file test.parquet [--rows 1000000] [-o FILE]

For each RUN and form: the size of the file, the time to predict one short review, the number of
reviews of the labelled FILE that are predicted per second, and the accuracy on them. With --rows,
the first RUN also predicts a CSV of that many synthetic reviews, in a process of its own whose
memory is measured. `make results` makes tables of the file that -o writes.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lstm_sentiment import Predictor
from lstm_sentiment.data.columns import Columns
from lstm_sentiment.data.formats import read_tables
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.runs.model_folder import ONNX, WEIGHTS
from lstm_sentiment.runs.model_location import find_model
from lstm_sentiment.serving.export import export
from lstm_sentiment.serving.file_prediction import ROWS
from lstm_sentiment.training.runtime import environment
from scripts.markdown import table

SHORT = "A waste of two hours: the plot is dull, and not even the music saves it."
CALLS, WARM_UP = 300, 30  # predictions of a short review, timed and before that
CHECKED = 1_000  # reviews on which an export is compared with the network
SHARD = 10_000  # synthetic reviews that are generated at once
FORMS = ("eager", "ONNX", "ONNX int8")


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--file", type=Path, required=True, help="file of labelled reviews")
    parser.add_argument("--rows", type=int, default=0, help="number of rows of a CSV to predict")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="record to write")
    options = parser.parse_args()
    try:
        reviews = list(read_tables([options.file], Columns()))
        texts = [review.text for review in reviews]
        labels = [review.label or "" for review in reviews]
        record = {
            "environment": environment("cpu"),
            "reviews": len(texts),
            "networks": [row for run in options.runs for row in measure(run, texts, labels)],
        }
        if options.rows:
            record["file"] = predict_rows(options.runs[0], options.rows)
    except InputError as error:
        sys.exit(str(error))
    print(markdown(record))
    if options.output:
        write_atomically(options.output, (json.dumps(record, indent=1) + "\n").encode())


def measure(run: Path, texts: Sequence[str], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the measurements of a network in each of its forms."""
    eager = Predictor.load(run)
    actual = np.array([eager.classes.label(label) for label in labels])
    with TemporaryDirectory() as scratch:
        folders = {FORMS[0]: find_model(run)}
        for form, int8 in zip(FORMS[1:], (False, True), strict=True):
            folders[form] = Path(scratch, form)
            export(eager, folders[form], int8, texts[:CHECKED])
        rows = []
        for form, folder in folders.items():
            network = Predictor.load(folder)
            file = folder / (WEIGHTS if form == FORMS[0] else ONNX)
            milliseconds = latencies(network)
            started = time.perf_counter()
            probabilities = [
                network.probabilities(texts[row : row + ROWS]) for row in range(0, len(texts), ROWS)
            ]
            seconds = time.perf_counter() - started
            correct = eager.classes.predicted(np.concatenate(probabilities)) == actual
            rows.append(
                {
                    "network": f"{eager.config.encoder.network}, {eager.config.head.kind}",
                    "form": form,
                    "mib": file.stat().st_size / 2**20,
                    "p50_ms": float(np.percentile(milliseconds, 50)),
                    "p99_ms": float(np.percentile(milliseconds, 99)),
                    "reviews_per_second": len(texts) / seconds,
                    "accuracy": float(correct.mean()),
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def latencies(network: Predictor) -> np.ndarray:
    """Return the time from a short review to its class in ms, (CALLS,)."""
    seconds = []
    for _ in range(WARM_UP + CALLS):
        started = time.perf_counter()
        network.predict(SHORT)
        seconds.append(time.perf_counter() - started)
    return 1e3 * np.array(seconds[WARM_UP:])


def predict_rows(run: Path, rows: int) -> dict[str, float]:
    """Return the time and peak memory of `lstm-sentiment predict` on a CSV of synthetic reviews."""
    with TemporaryDirectory() as scratch:
        source, output = Path(scratch, "reviews.csv"), Path(scratch, "labelled.csv")
        write_reviews(source, rows)
        command = [sys.executable, "-m", "lstm_sentiment.commands.main", "predict", str(run)]
        started = time.perf_counter()
        child = subprocess.Popen([*command, "--file", str(source), "-o", str(output)])
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)  # or Popen believes that it runs
        if child.returncode:
            raise InputError("Prediction failed: see its message above.")
        with output.open(newline="") as stream:
            written = sum(1 for _ in csv.reader(stream)) - 1
        if written != rows:
            raise InputError(f"{output.name} must have {rows:,} rows (got {written:,}).")
        return {
            "rows": rows,
            "mib": source.stat().st_size / 2**20,
            "seconds": seconds,
            "peak_mib": peak_mib(usage),
        }


def peak_mib(usage: resource.struct_rusage) -> float:
    """Return the peak memory of a process in MiB; macOS counts it in bytes, Linux in KiB."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def write_reviews(file: Path, rows: int) -> None:
    """Write a CSV of synthetic reviews with the columns id and text."""
    from lstm_sentiment.data.synthetic import generate

    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "text"])
        for start in range(0, rows, SHARD):
            texts, _ = generate(min(SHARD, rows - start), seed=1000 + start // SHARD)
            writer.writerows(enumerate(texts, start))


def markdown(record: dict[str, Any]) -> str:
    """Return a table with a row for each network and form, and a sentence about the CSV, if any."""
    header = ["network", "form", "MiB", "p50 ms", "p99 ms", "reviews/s", "test %"]
    rows = [
        [
            row["network"] if row["form"] == FORMS[0] else "",
            row["form"],
            f"{row['mib']:.1f}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['reviews_per_second']:,.0f}",
            f"{100 * row['accuracy']:.2f}",
        ]
        for row in record["networks"]
    ]
    networks = table(header, rows, left=2)
    if not (file := record.get("file")):
        return networks
    return (
        f"{networks}\n\nThe first network predicts a CSV of {file['rows']:,} rows "
        f"({file['mib']:,.0f} MiB) in {file['seconds']:,.0f} s, which is "
        f"{file['rows'] / file['seconds']:,.0f} rows per second, with at most "
        f"{file['peak_mib']:,.0f} MiB of memory."
    )


if __name__ == "__main__":
    main()
