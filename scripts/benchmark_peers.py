"""This project beside Keras on TensorFlow and plain PyTorch: the same nets on the same reviews.

    make bench                                                # IMDB from the hub, two minutes
    python scripts/benchmark_peers.py --path IMDB --full      # from a folder, whole epochs

The 25,000 training reviews of IMDB are dealt into slices. Each slice goes through all systems, one
after the other, before the next, so that what else the machine does meets all alike. --full takes
whole epochs of this project and of Keras, and of what is compared with the plain LSTM; of the
rest a slice, as the short form does of all. Each system is a process of its own (scripts/peers.py).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from peers import BATCH, EMBEDDING, MAX_LENGTH, NETS, PREDICTION_BATCH
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.files import write_atomically
from lstm_sentiment.training.runtime import environment

ROOT = Path(__file__).parent.parent
SLICES = 10  # of a whole epoch
SHORT_SLICES, SHORT_NETS = 40, ["lstm", "gru", "rnn"]
PRECISIONS = ("32-true", "bf16-mixed")
# What is measured, in the order in which each slice goes through it.
CONTESTANTS = [
    ("ours", "32-true"),
    ("ours", "bf16-mixed"),
    ("keras", "32-true"),
    ("keras_masked", "32-true"),
    ("pytorch_padded", "32-true"),
    ("pytorch_packed", "32-true"),
]
OTHERS = ("keras", "keras_masked", "pytorch_padded", "pytorch_packed")
WHOLE = ("ours", "keras")  # with --full, whole epochs of every net; of the first net of all systems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", help="a folder with IMDB; by default it comes from the hub")
    parser.add_argument(
        "--cache", default=DataConfig.cache, help="where tokenized reviews are kept"
    )
    parser.add_argument("--full", action="store_true", help="all nets, whole epochs")
    parser.add_argument("--nets", nargs="+", choices=NETS, help="only these")
    parser.add_argument("-o", "--output", type=Path, help="default: results/benchmarks/peers.json")
    options = parser.parse_args()
    nets = options.nets or (list(NETS) if options.full else SHORT_NETS)
    data = DataConfig(path=options.path, cache=options.cache, val_fraction=0.0)
    name = "peers.json" if options.full else "peers_short.json"
    output = options.output or ROOT / "results" / "benchmarks" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    for result in measure(data, nets, options.full):
        write_atomically(output, json.dumps(result, indent=1).encode() + b"\n")
    Console().print(Markdown(as_markdown(result)))
    print(f"written to {output}")


def measure(data: DataConfig, nets: list[str], full: bool) -> Iterator[dict[str, Any]]:
    """All results so far, after every net."""
    with TemporaryDirectory() as scratch, Progress() as progress:
        file = Path(scratch) / "reviews.npz"
        lengths = save_reviews(data, file)
        order = np.random.default_rng(0).permutation(len(lengths))
        slices = np.array_split(order, SLICES if full else SHORT_SLICES)
        systems = {contestant: System(contestant[0], file) for contestant in CONTESTANTS}
        result: dict[str, Any] = {
            "environment": environment("cpu") | {"processor": processor(), "peers": versions()},
            "settings": {
                "reviews": len(lengths),
                "tokens": int(lengths.sum()),
                "batch": BATCH,
                "prediction_batch": PREDICTION_BATCH,
                "embedding": EMBEDDING,
                "max_length": MAX_LENGTH,
                "vocabulary": data.max_vocab,
            },
            "nets": [],
        }
        for name in nets:
            result["nets"].append(compare(name, systems, lengths, slices, full, progress))
            yield result


def save_reviews(data: DataConfig, file: Path) -> np.ndarray:
    """The training reviews of IMDB as ids, cut to the first 500; (N,) their lengths."""
    module = ReviewDataModule(data, test=False, progress=True)
    module.setup()
    batch = module.train[np.arange(len(module.train))]
    ids, lengths = batch.ids.numpy(), batch.lengths.numpy()
    np.savez(
        file,
        ids=ids[np.arange(ids.shape[1]) < lengths[:, None]].astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        labels=batch.labels.numpy(),
        words=len(module.vocabulary),
    )
    return lengths


class System:
    """A process of peers.py, and how to ask it."""

    def __init__(self, name: str, reviews: Path) -> None:
        self.name = name
        command = [sys.executable, str(Path(__file__).with_name("peers.py")), name, str(reviews)]
        # Others do not get what only this project sets.
        without = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
        self.log = reviews.with_name(f"{name}.log")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=without,
            )

    def ask(self, **order: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        if not (answer := self.process.stdout.readline()):
            raise SystemExit(f"{self.log.read_text()}\n{self.name} came to grief: see above.")
        return json.loads(answer)


def compare(
    name: str,
    systems: dict[tuple[str, str], System],
    lengths: np.ndarray,
    slices: list[np.ndarray],
    full: bool,
    progress: Progress,
) -> dict[str, Any]:
    net, first = NETS[name], name == next(iter(NETS))
    # Keras's global maximum reads what is masked: that would be another net.
    taking_part = {c: s for c, s in systems.items() if not (net.max_pooling and "masked" in c[0])}
    sums = {c: dict.fromkeys(("reviews", "tokens", "train_s", "predict_s"), 0) for c in taking_part}
    peaks: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for (_, precision), system in progress.track(taking_part.items(), description=net.title):
        system.ask(do="build", net=name, precision=precision)
        system.ask(do="train", rows=slices[-1][: 2 * BATCH].tolist())  # compiles, traces, warms up
        system.ask(do="predict", rows=slices[-1][: 2 * BATCH].tolist())
    for rows in progress.track(slices if full else slices[:1], description=net.title):
        for precision in PRECISIONS:
            peak = systems["ours", precision].ask(do="peak", precision=precision)
            peaks[precision].append(peak)
        for contestant, system in taking_part.items():
            sampled = not (first or contestant[0] in WHOLE)
            if sampled and rows is not slices[0]:
                continue
            total = sums[contestant]
            total["train_s"] += system.ask(do="train", rows=rows.tolist())
            total["predict_s"] += system.ask(do="predict", rows=rows.tolist())
            total["reviews"] += len(rows)
            total["tokens"] += int(lengths[rows].sum())
    return {
        "net": name,
        "title": net.title,
        "flop_per_token": net.flop_per_token(),
        "gflops_peak": {precision: max(values) for precision, values in peaks.items()},
        "systems": [
            {"system": system, "precision": precision, **sums[system, precision]}
            for system, precision in taking_part
        ],
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions() -> dict[str, str]:
    return {package: version(package) for package in ("tensorflow_cpu", "keras")}


def as_markdown(result: dict[str, Any]) -> str:
    """How many times as long the others take as this project, in fp32 and in bf16."""
    rows = [
        "| net | epoch s, ours | Keras 500 | Keras masked | PyTorch 500 | PyTorch packed "
        "| predict s, ours | Keras 500 | of the GEMM peak |",
        "| --- " + "| --: " * 8 + "|",
    ]
    reviews = result["settings"]["reviews"]
    for net in result["nets"]:
        by = {(s["system"], s["precision"]): s for s in net["systems"]}
        for precision in PRECISIONS:
            ours = by["ours", precision]

            def ratio(system: str, what: str, ours: Any = ours, by: Any = by) -> str:
                other = by.get((system, "32-true"))
                if other is None:
                    return ""
                per_review = other[what] / other["reviews"]
                return f"{per_review / (ours[what] / ours['reviews']):.1f}×"

            def seconds(what: str, ours: Any = ours) -> str:
                return f"{ours[what] / ours['reviews'] * reviews:.1f}"

            kind = "" if precision == "32-true" else ", bf16"
            done = net["flop_per_token"] * ours["tokens"] / ours["train_s"] / 1e9
            cells = [
                net["title"] + kind,
                seconds("train_s"),
                *(ratio(name, "train_s") for name in OTHERS),
                seconds("predict_s"),
                ratio("keras", "predict_s"),
                f"{100 * done / net['gflops_peak'][precision]:.0f} %",
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
