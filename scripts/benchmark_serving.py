"""What a trained network costs where it is used: as it is, as ONNX, and as ONNX in 8 bits.

    python scripts/benchmark_serving.py RUN... --file test.parquet [--rows 1000000] [-o FILE]

Of each RUN and form: the size of its file; how long one short review takes, alone and warm; how
many reviews of the labelled FILE are predicted in a second, and how many of them rightly. With
--rows, the first RUN also predicts a CSV of so many synthetic reviews, as a process of its own
whose memory is measured. `make results` makes tables of what -o writes.
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
from lstm_sentiment.data.formats import Columns, read_tables
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically
from lstm_sentiment.serving.export import export
from lstm_sentiment.serving.predictor import model_folder
from lstm_sentiment.serving.rows import ROWS
from lstm_sentiment.training.model_folder import ONNX, WEIGHTS
from lstm_sentiment.training.runtime import environment

SHORT = "A waste of two hours: the plot is dull, and not even the music saves it."
CALLS, WARM_UP = 300, 30  # of one short review
CHECKED = 1_000  # reviews on which an export has to agree
SHARD = 10_000  # synthetic reviews made at once
FORMS = ("eager", "ONNX", "ONNX int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--file", type=Path, required=True, help="labelled reviews")
    parser.add_argument("--rows", type=int, default=0, help="of a CSV to be predicted")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    try:
        reviews = list(read_tables([options.file], Columns()))
        texts = [review.text for review in reviews]
        labels = np.array([review.label for review in reviews])
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


def measure(run: Path, texts: Sequence[str], labels: np.ndarray) -> list[dict[str, Any]]:
    """A network in each of its forms."""
    eager = Predictor.load(run)
    with TemporaryDirectory() as scratch:
        folders = {FORMS[0]: model_folder(run)}
        for form, int8 in zip(FORMS[1:], (False, True), strict=True):
            folders[form] = Path(scratch, form)
            export(eager, folders[form], int8, texts[:CHECKED])
        rows = []
        for form, folder in folders.items():
            network = Predictor.load(folder)
            file = folder / (WEIGHTS if form == FORMS[0] else ONNX)
            waits = latencies(network)
            began = time.perf_counter()
            right = sum(
                int(
                    (
                        (network.probabilities(texts[i : i + ROWS]) > 0.5) == labels[i : i + ROWS]
                    ).sum()
                )
                for i in range(0, len(texts), ROWS)
            )
            seconds = time.perf_counter() - began
            rows.append(
                {
                    "network": f"{eager.config.encoder.network}, {eager.config.head.kind}",
                    "form": form,
                    "mib": file.stat().st_size / 2**20,
                    "p50_ms": float(np.percentile(waits, 50)),
                    "p99_ms": float(np.percentile(waits, 99)),
                    "reviews_per_second": len(texts) / seconds,
                    "accuracy": right / len(texts),
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def latencies(network: Predictor) -> np.ndarray:
    """(CALLS,) milliseconds for a short review, from the text to its label"""
    waits = []
    for _ in range(WARM_UP + CALLS):
        began = time.perf_counter()
        network.predict(SHORT)
        waits.append(time.perf_counter() - began)
    return 1e3 * np.array(waits[WARM_UP:])


def predict_rows(run: Path, rows: int) -> dict[str, float]:
    """`lstm-sentiment predict` on a CSV: seconds, and the most memory of its process."""
    with TemporaryDirectory() as scratch:
        source, output = Path(scratch, "reviews.csv"), Path(scratch, "labelled.csv")
        write_reviews(source, rows)
        command = [sys.executable, "-m", "lstm_sentiment.cli", "predict", str(run)]
        began = time.perf_counter()
        child = subprocess.Popen([*command, "--file", str(source), "-o", str(output)])
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        if os.waitstatus_to_exitcode(status):
            raise InputError("Prediction failed: it says why above.")
        with output.open(newline="") as stream:
            written = sum(1 for _ in csv.reader(stream)) - 1
        if written != rows:
            raise InputError(f"{written:,} of {rows:,} rows were written.")
        return {
            "rows": rows,
            "mib": source.stat().st_size / 2**20,
            "seconds": seconds,
            "peak_mib": mib(used),
        }


def mib(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def write_reviews(file: Path, rows: int) -> None:
    from lstm_sentiment.data.synthetic import generate

    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "text"])
        for start in range(0, rows, SHARD):
            texts, _ = generate(min(SHARD, rows - start), seed=1000 + start // SHARD)
            writer.writerows(enumerate(texts, start))


def markdown(record: dict[str, Any]) -> str:
    """A row for each network and form, and a sentence on the file of rows."""
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
    rule = ["---", "---", *["--:"] * (len(header) - 2)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
    if not (file := record.get("file")):
        return table
    return (
        f"{table}\n\nA CSV of {file['rows']:,} rows ({file['mib']:,.0f} MiB) with the first of "
        f"them: {file['seconds']:,.0f} s, {file['rows'] / file['seconds']:,.0f} rows a second, "
        f"at most {file['peak_mib']:,.0f} MiB of memory."
    )


if __name__ == "__main__":
    main()
