"""Does the time of a review or of a step grow with the corpus, and what does a million take?

    python scripts/benchmark_data.py FOLDER

Writes synthetic reviews into FOLDER, 10,000 to a Parquet file, 100 files (some minutes, once), and
for 1, 10 and 100 of them tokenizes all, splits them, gathers batches and trains 100 steps, each
size in a process of its own. Prints a table and writes it to FOLDER/data.json.
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

ROWS, STEPS = 10_000, 100  # reviews in a file, steps of training
FILES = {1: "reviews-00.parquet", 10: "reviews-0?.parquet", 100: "reviews-??.parquet"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files are, or are to be")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # the pattern that a process measures
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.folder / options.only)))
        return
    write_reviews(options.folder)
    results = []
    for pattern in FILES.values():
        command = [sys.executable, __file__, str(options.folder), "--only", pattern]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    (options.folder / "data.json").write_text(json.dumps(results, indent=1))
    Console().print(as_table(results))


def write_reviews(folder: Path) -> None:
    from lstm_sentiment.data.synthetic import generate

    folder.mkdir(parents=True, exist_ok=True)
    for number in track(range(max(FILES)), "writing reviews"):
        file = folder / f"reviews-{number:02}.parquet"
        if not file.exists():
            texts, labels = generate(ROWS, seed=1000 + number)
            draft = file.with_suffix(".draft")
            pq.write_table(pa.table({"text": texts, "label": labels}), draft)
            draft.rename(file)


def measure(pattern: Path) -> dict[str, float]:
    from lstm_sentiment import Config, DataConfig, TrainerConfig, run
    from lstm_sentiment.data.datamodule import ReviewDataModule

    with TemporaryDirectory() as scratch:
        data = DataConfig("reviews", path=str(pattern), cache=f"{scratch}/cache", max_length=200)
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
        prepared = peak_mib()  # before the run, which counts anew
        trainer = TrainerConfig(
            "cpu", max_epochs=1, limit_train_batches=STEPS, enable_progress_bar=False
        )
        record = run(Config(data=data, trainer=trainer, root=f"{scratch}/runs"))
        reviews = len(module.split("train").reviews.labels)
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
    """Most memory of this process so far, files mapped into it included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def as_table(results: list[dict[str, float]]) -> Table:
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
