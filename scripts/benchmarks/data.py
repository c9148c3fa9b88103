"""Measure whether the time for a review or a training step grows with the size of the corpus.

    python -m scripts.benchmarks.data FOLDER

Writes synthetic reviews into FOLDER: 100 Parquet files of 10,000 reviews (some minutes, once). For
1, 10 and 100 of these files, a process of its own tokenizes the reviews, splits them, gathers 100
batches and trains 100 steps. Prints a table, and writes it to FOLDER/data.json.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[2]
ROWS, STEPS = 10_000, 100  # reviews in a file, steps of training
PATTERNS = {1: "reviews-00.parquet", 10: "reviews-0?.parquet", 100: "reviews-??.parquet"}


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the synthetic reviews")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the pattern that a process measures
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.only:
        print(json.dumps(measure(folder / options.only)))
        return
    write_reviews(folder)
    results = []
    for pattern in PATTERNS.values():
        command = [sys.executable, "-m", "scripts.benchmarks.data", str(folder), "--only", pattern]
        process = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(process.stdout.splitlines()[-1]))
    (folder / "data.json").write_text(json.dumps(results, indent=1))
    Console().print(as_table(results))


def write_reviews(folder: Path) -> None:
    """Write the files of synthetic reviews that are not there yet."""
    from lstm_sentiment.data.synthetic import generate

    folder.mkdir(parents=True, exist_ok=True)
    for number in track(range(max(PATTERNS)), "writing reviews"):
        file = folder / f"reviews-{number:02}.parquet"
        if not file.exists():
            texts, labels = generate(ROWS, seed=1000 + number)
            draft = file.with_suffix(".draft")
            pq.write_table(pa.table({"text": texts, "label": labels}), draft)
            draft.rename(file)


def measure(pattern: Path) -> dict[str, float]:
    """Return the times and the peak memory for the reviews in the files of a pattern."""
    from lstm_sentiment import Config, DataConfig, TrainerConfig, run
    from lstm_sentiment.config import Accelerator, Source
    from lstm_sentiment.data.datamodule import ReviewDataModule

    with TemporaryDirectory() as scratch:
        data = DataConfig(
            Source.reviews, path=str(pattern), cache=f"{scratch}/cache", max_length=200
        )
        seconds = [time.perf_counter()]
        module = ReviewDataModule(data)
        module.prepare_data()
        seconds.append(time.perf_counter())
        module.setup()
        seconds.append(time.perf_counter())
        for number, _ in enumerate(module.train_dataloader(), 1):
            if number == STEPS:
                break
        seconds.append(time.perf_counter())
        prepared = peak_mib()  # before training, which resets the peak
        trainer = TrainerConfig(
            Accelerator.cpu, max_epochs=1, limit_train_batches=STEPS, enable_progress_bar=False
        )
        record = run(Config(data=data, trainer=trainer, root=f"{scratch}/runs"))
        reviews = len(module.split("train").tokenized.labels)
        return {
            "reviews": reviews,
            "tokenize_us_per_review": (seconds[1] - seconds[0]) / reviews * 1e6,
            "set_up_us_per_review": (seconds[2] - seconds[1]) / reviews * 1e6,
            "gather_ms_per_batch": (seconds[3] - seconds[2]) / STEPS * 1e3,
            "train_ms_per_step": record["cost"]["seconds_per_epoch"] / STEPS * 1e3,
            "prepared_peak_mib": prepared,
            "trained_peak_mib": peak_mib(),
        }


def peak_mib() -> float:
    """Return the peak memory of this process in MiB, memory-mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def as_table(results: list[dict[str, float]]) -> Table:
    """Return a table with a row for each size of the corpus."""
    table = Table(box=None, header_style="bold")
    for name in results[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for result in results:
        table.add_row(
            *(f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in result.values())
        )
    return table


if __name__ == "__main__":
    main()
