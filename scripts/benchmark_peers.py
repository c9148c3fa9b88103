"""This project beside Keras on TensorFlow and plain PyTorch: the same nets on the same reviews.

    make bench                       # IMDB from the hub, or IMDB=folder; two minutes
    .venv-peers/bin/python scripts/benchmark_peers.py --path IMDB --full     # whole epochs, 40 min

The 25,000 training reviews of IMDB are dealt into slices. Each slice goes through all systems, one
after the other, before the next, so that what else the machine does meets all alike; ratios are of
the slices that both took. --full takes whole epochs of this project and of Keras, and one of ten
slices of the rest; the short form takes one of forty of all. Each system is a process of its own
(scripts/peers.py). TensorFlow has wheels for Linux on x86-64 and Python up to 3.13.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from peers import BATCH, EMBEDDING, MAX_LENGTH, NETS, PREDICTION_BATCH
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from lstm_sentiment.config import PRECISIONS, DataConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically
from lstm_sentiment.report.speed import markdown
from lstm_sentiment.training.record import read_json
from lstm_sentiment.training.runtime import environment

ROOT = Path(__file__).parent.parent
SLICES = 10  # of a whole epoch
SHORT_SLICES, SHORT_NETS = 40, ["lstm", "gru", "rnn"]
# What is measured, in the order in which each slice goes through it.
CONTESTANTS = [
    ("ours", "32-true"),
    ("ours", "bf16-mixed"),
    ("keras", "32-true"),
    ("keras_masked", "32-true"),
    ("pytorch_padded", "32-true"),
    ("pytorch_packed", "32-true"),
]
# With --full, whole epochs of these, for the plain LSTM also of the second; of others one slice.
WHOLE, WHOLE_OF_FIRST = ("ours", "keras"), ("ours", "keras", "keras_masked")
SAMPLED = 10  # one slice out of so many
DOES = ("train", "predict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", help="a folder with IMDB; by default it comes from the hub")
    parser.add_argument(
        "--cache", default=DataConfig.cache, help="where tokenized reviews are kept"
    )
    parser.add_argument("--full", action="store_true", help="all nets, whole epochs")
    parser.add_argument(
        "--slices", type=int, default=SLICES, choices=range(1, SLICES + 1), metavar="N",
        help="with --full: how many of the ten slices",
    )  # fmt: skip
    parser.add_argument(
        "--nets", nargs="+", choices=NETS, help="only these; what OUTPUT has of others stays"
    )
    parser.add_argument("-o", "--output", type=Path, help="default: results/benchmarks/peers.json")
    options = parser.parse_args()
    nets = options.nets or (list(NETS) if options.full else SHORT_NETS)
    data = DataConfig(path=options.path, cache=options.cache, val_fraction=0.0)
    versions()  # before anything is begun
    name = "peers.json" if options.full else "peers_short.json"
    output = options.output or ROOT / "results" / "benchmarks" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    count = options.slices if options.full else 1
    before = read_json(output)
    try:
        for measured in measure(data, nets, SLICES if options.full else SHORT_SLICES, count):
            result = with_others(measured, before)
            write_atomically(output, json.dumps(result, indent=1).encode() + b"\n")
    except InputError as error:
        raise SystemExit(str(error)) from None
    Console().print(Markdown(markdown(result)))
    print(f"written to {output}")


def with_others(result: dict[str, Any], before: Any) -> dict[str, Any]:
    """Adds the nets that were measured before, if it was in the same way on the same machine.

    Every ratio is of one net, whose systems took turns: nets need not be of one hour.
    """
    same = ("environment", "settings")
    if not isinstance(before, dict) or any(before.get(part) != result[part] for part in same):
        return result
    nets = {net["net"]: net for net in before["nets"] + result["nets"]}
    return result | {"nets": [nets[name] for name in NETS if name in nets]}


def measure(data: DataConfig, nets: list[str], cut: int, count: int) -> Iterator[dict[str, Any]]:
    """All results so far, after every net: over the first `count` of the reviews cut in `cut`."""
    with TemporaryDirectory() as scratch, Progress() as progress:
        file = Path(scratch) / "reviews.npz"
        lengths = save_reviews(data, file)
        order = np.random.default_rng(0).permutation(len(lengths))
        slices = np.array_split(order, cut)
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
            result["nets"].append(compare(name, systems, lengths, slices, count, progress))
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
        with suppress(BrokenPipeError):  # it has died before it was asked
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
    count: int,
    progress: Progress,
) -> dict[str, Any]:
    net = NETS[name]
    whole = WHOLE_OF_FIRST if name == next(iter(NETS)) else WHOLE
    # Keras's global maximum reads what is masked: that would be another net.
    taking_part = {c: s for c, s in systems.items() if not (net.max_pooling and "masked" in c[0])}
    rest, last = slices[-1], len(slices[0])
    taken: dict[Any, list[dict[str, Any]]] = {contestant: [] for contestant in taking_part}
    peaks: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for (_, precision), system in progress.track(taking_part.items(), description=net.title):
        system.ask(do="build", net=name, precision=precision)
        # Every shape of a slice's batches once, so that nothing is compiled or traced later on.
        system.ask(do="train", rows=rest[: BATCH + last % BATCH].tolist())
        system.ask(do="predict", rows=rest[: PREDICTION_BATCH + last % PREDICTION_BATCH].tolist())
    for number, rows in enumerate(progress.track(slices[:count], description=net.title)):
        for precision in PRECISIONS:
            peak = systems["ours", precision].ask(do="peak", precision=precision)
            peaks[precision].append(peak)
        for contestant, system in taking_part.items():
            if contestant[0] in whole or number % SAMPLED == 0:
                spent = {f"{do}_s": system.ask(do=do, rows=rows.tolist()) for do in DOES}
                tokens = int(lengths[rows].sum())
                taken[contestant].append(
                    {"slice": number, "reviews": len(rows), "tokens": tokens, **spent}
                )
    return {
        "net": name,
        "title": net.title,
        "flop_per_token": net.flop_per_token(),
        "gflops_peak": {precision: max(values) for precision, values in peaks.items()},
        "systems": [
            {"system": system, "precision": precision, "slices": taken[system, precision]}
            for system, precision in taking_part
        ],
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions() -> dict[str, str]:
    try:
        return {package: version(package) for package in ("tensorflow_cpu", "keras")}
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed: make bench installs it, on Linux on x86-64, "
            "with a Python from 3.11 to 3.13."
        ) from None


if __name__ == "__main__":
    main()
