"""Compare the speed of this project with Keras on TensorFlow and with plain PyTorch.

    make bench                       # IMDB from the hub, or IMDB=folder; four minutes
    .venv-peers/bin/python -m scripts.benchmarks.peers --path IMDB --full  # whole epochs, 40 min

All systems train and predict with the same networks on the same 25,000 training reviews of IMDB.
The reviews are split into slices. Each slice goes through all systems, one after the other, so
that other load on the machine affects all of them alike; ratios are over the slices that both
systems took. With --full, this project and Keras take whole epochs and the other systems one slice
of ten; without it, all take one slice of forty. Each system runs in a process of its own
(scripts.benchmarks.peer_systems). TensorFlow has wheels for Linux on x86-64 and Python up to 3.13.
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
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from lstm_sentiment.commands.terminal import Terminal
from lstm_sentiment.config import PRECISIONS, DataConfig
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.training.runtime import environment
from scripts.benchmarks.peer_systems import BATCH, EMBEDDING, MAX_LENGTH, NETS, PREDICTION_BATCH
from scripts.benchmarks.peer_tables import markdown

ROOT = Path(__file__).parents[2]
SLICES = 10  # of a whole epoch
SHORT_SLICES, SHORT_NETS = 40, ["lstm", "gru", "rnn"]
# Systems and precisions, in the order in which each slice goes through them.
SYSTEMS = [
    ("ours", "32-true"),
    ("ours", "bf16-mixed"),
    ("keras", "32-true"),
    ("keras_masked", "32-true"),
    ("pytorch_padded", "32-true"),
    ("pytorch_packed", "32-true"),
]
# With --full these take whole epochs (the second tuple for the LSTM); others take one slice.
WHOLE, WHOLE_OF_FIRST = ("ours", "keras"), ("ours", "keras", "keras_masked")
SAMPLED = 10  # other systems take every tenth slice
TASKS = ("train", "predict")
WARM_UP = 16  # steps before the clock runs


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--path", help="folder with IMDB (default: download it from the hub)")
    parser.add_argument("--cache", default=DataConfig.cache, help="folder for tokenized reviews")
    parser.add_argument("--full", action="store_true", help="all networks and whole epochs")
    parser.add_argument(
        "--slices", type=int, default=SLICES, choices=range(1, SLICES + 1), metavar="N",
        help="with --full: the number of slices, of ten",
    )  # fmt: skip
    parser.add_argument(
        "--nets", nargs="+", choices=NETS, help="only these; OUTPUT keeps its other networks"
    )
    parser.add_argument("-o", "--output", type=Path, help="default: results/benchmarks/peers.json")
    options = parser.parse_args()
    nets = options.nets or (list(NETS) if options.full else SHORT_NETS)
    data = DataConfig(path=options.path, cache=options.cache, val_fraction=0.0)
    versions()  # fails at once if Keras is not installed
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
    """Return the result with the other networks of an earlier one.

    These are kept only if environment and settings are the same. The networks need not be measured
    at the same time, since each ratio compares systems on one network.
    """
    same = ("environment", "settings")
    if not isinstance(before, dict) or any(before.get(part) != result[part] for part in same):
        return result
    nets = {net["net"]: net for net in before["nets"] + result["nets"]}
    return result | {"nets": [nets[name] for name in NETS if name in nets]}


def measure(data: DataConfig, nets: list[str], cut: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield the results so far after each network.

    The reviews are cut into `cut` slices, of which the first `count` are used.
    """
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "reviews.npz"
        lengths = save_reviews(data, file)
        order = np.random.default_rng(0).permutation(len(lengths))
        slices = np.array_split(order, cut)
        systems = {key: System(key[0], file) for key in SYSTEMS}
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
        with Progress() as progress:
            for name in nets:
                result["nets"].append(compare(name, systems, lengths, slices, count, progress))
                yield result


def save_reviews(data: DataConfig, file: Path) -> np.ndarray:
    """Write the training reviews of IMDB as ids, truncated to 500; return their lengths, (N,)."""
    module = ReviewDataModule(data, test=False, cache=DataCache(Terminal()))
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
    """A process of scripts.benchmarks.peer_systems, which trains and predicts on request."""

    def __init__(self, name: str, reviews: Path) -> None:
        self.name = name
        command = [sys.executable, "-m", "scripts.benchmarks.peer_systems", name, str(reviews)]
        # The package sets this variable on import; the other systems run without it.
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
                cwd=ROOT,
            )

    def ask(self, **request: Any) -> Any:
        """Send a request and return the response. Raises SystemExit if the process has failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # the process has ended
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        if not (response := self.process.stdout.readline()):
            raise SystemExit(f"{self.log.read_text()}\n{self.name} failed: see its output above.")
        return json.loads(response)


def compare(
    name: str,
    systems: dict[tuple[str, str], System],
    lengths: np.ndarray,
    slices: list[np.ndarray],
    count: int,
    progress: Progress,
) -> dict[str, Any]:
    """Return the times of all systems for a network, slice by slice."""
    net = NETS[name]
    whole = WHOLE_OF_FIRST if name == next(iter(NETS)) else WHOLE
    # Keras's global maximum ignores the mask, so its network would be a different one.
    taking_part = {k: s for k, s in systems.items() if not (net.max_pooling and "masked" in k[0])}
    rest, last = slices[-1], len(slices[0])
    times: dict[Any, list[dict[str, Any]]] = {key: [] for key in taking_part}
    peaks: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for (_, precision), system in progress.track(taking_part.items(), description=net.title):
        system.ask(do="build", net=name, precision=precision)
        # Each shape of batch first, so that nothing is compiled while the clock runs, and enough
        # steps for the gradients of the untrained network, many of which fade to nothing.
        system.ask(do="train", rows=np.resize(rest, WARM_UP * BATCH + last % BATCH).tolist())
        system.ask(do="predict", rows=rest[: PREDICTION_BATCH + last % PREDICTION_BATCH].tolist())
    for number, rows in enumerate(progress.track(slices[:count], description=net.title)):
        for precision in PRECISIONS:
            peak = systems["ours", precision].ask(do="peak", precision=precision)
            peaks[precision].append(peak)
        for key, system in taking_part.items():
            if key[0] in whole or number % SAMPLED == 0:
                seconds = {f"{do}_s": system.ask(do=do, rows=rows.tolist()) for do in TASKS}
                tokens = int(lengths[rows].sum())
                times[key].append(
                    {"slice": number, "reviews": len(rows), "tokens": tokens, **seconds}
                )
    return {
        "net": name,
        "title": net.title,
        "flop_per_token": net.flop_per_token(),
        "gflops_peak": {precision: max(values) for precision, values in peaks.items()},
        "systems": [
            {"system": system, "precision": precision, "slices": times[system, precision]}
            for system, precision in taking_part
        ],
    }


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions() -> dict[str, str]:
    """Return the versions of TensorFlow and Keras. Raises SystemExit if they are missing."""
    try:
        return {package: version(package) for package in ("tensorflow_cpu", "keras")}
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed: `make bench` installs it on Linux (x86-64) "
            "with Python 3.11 to 3.13."
        ) from None


if __name__ == "__main__":
    main()
