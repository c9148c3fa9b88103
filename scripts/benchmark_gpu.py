"""How fast does every network train on one GPU, against plain torch.nn, and can several share it?

    python scripts/benchmark_gpu.py --data imdb
    python scripts/benchmark_gpu.py --data imdb --precision bf16-mixed -o bf16.json
    python scripts/benchmark_gpu.py --device cpu --quick -o quick.json

Trains cell x direction x depth x head for some steps on batches that lie on the device already;
what one would write with torch.nn alone, on packed batches of randomly mixed reviews; and two of
the networks in several processes at once. Prints tables and writes all it measured as JSON.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

# Before torch, whose threads it tells how long to spin.
from lstm_sentiment import Config, DataConfig, EncoderConfig, HeadConfig, TrainerConfig  # isort: skip
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from lstm_sentiment.config import PRECISIONS, Accelerator, Cell
from lstm_sentiment.data.batches import Batch, TrainingOrder
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training import runtime
from lstm_sentiment.training.record import recorded

HEADS = ("last", "flatten", "max", "avg")
ENCODERS = [
    EncoderConfig(cell, num_layers=depth, bidirectional=both)
    for cell, both, depth in product(Cell, (False, True), (1, 2, 3))
]
SHARED = ("lstm", "deep_bilstm")  # the one leaves a GPU idle, the other perhaps not
WARM_UP = 10  # steps before the clock runs: libraries are loaded, memory is asked for
QUICK = {"max_length": 30, "limit_train": 400}


class Plain(nn.Module):
    """The same parameters as one would use them: packed, with the final state, and no more."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.embedding, self.rnn, self.output = net.embedding, net.encoder.rnn, net.output
        self.embedding_dropout, self.dropout = nn.Dropout(net.embedding_dropout), net.dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        vectors = self.embedding_dropout(self.embedding(ids))
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        final = self.rnn(packed)[1]
        final = final[0] if isinstance(final, tuple) else final  # (layers * directions, B, H)
        last = torch.cat([*final[-2:]], -1) if self.rnn.bidirectional else final[-1]
        return self.output(self.dropout(last)).squeeze(-1)


class Bench:
    """Batches that lie on the device, and what all networks have in common."""

    def __init__(self, options: argparse.Namespace) -> None:
        source, tiny = "imdb" if options.data else "synthetic", QUICK if options.quick else {}
        size, self.device, self.steps = options.batch_size, options.device, options.steps
        self.data = DataConfig(source, options.data, cache=options.cache, batch_size=size, **tiny)
        self.trainer = TrainerConfig(precision=options.precision)
        torch.use_deterministic_algorithms(self.trainer.deterministic)
        self.module = ReviewDataModule(self.data, test=False)
        self.module.prepare_data()
        self.module.setup()
        lengths = self.module.train.lengths
        mixed = np.random.default_rng(0).permutation(len(lengths))
        self.ours = self._chosen(list(TrainingOrder(lengths, size, seed=0)))
        self.plain = self._chosen(np.split(mixed, range(size, len(mixed), size)))

    def _chosen(self, batches: list[np.ndarray]) -> list[Batch]:
        """`steps` whole ones, evenly from the longest to the shortest: few are like an epoch."""
        train = self.module.train
        whole = [batch for batch in batches if len(batch) == self.data.batch_size]
        whole.sort(key=lambda batch: -train.lengths[batch].max())
        places = ((np.arange(self.steps) + 0.5) * len(whole) / self.steps).astype(int)
        # As Lightning would have it done: lengths stay on the CPU, where packing reads them.
        move, device = self.module.transfer_batch_to_device, torch.device(self.device)
        return [move(train[whole[place]], device, 0) for place in places]

    def config(self, encoder: EncoderConfig, head: str) -> Config:
        return Config(encoder, HeadConfig(head), data=self.data, trainer=self.trainer)

    def speed(self, seconds: float, processes: int = 1) -> dict[str, float]:
        reviews = processes * self.steps * self.data.batch_size
        return {"reviews": reviews, "seconds": seconds, "reviews_per_second": reviews / seconds}


class Training:
    """A network and its optimizer, as SentimentModule and Lightning have them; warmed up."""

    def __init__(self, bench: Bench, config: Config, plain: bool = False) -> None:
        runtime.reset_peak_memory(bench.device)
        if bench.device == "cuda":
            torch.cuda.empty_cache()  # the last network's blocks may not fit this one
        torch.manual_seed(0)
        net = Classifier(config, len(bench.module.vocabulary))
        self.net = (Plain(net) if plain else net).to(bench.device).train()
        self.device, self.config = bench.device, config
        self.batches = bench.plain if plain else bench.ours
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.optimizer.lr, fused=True)
        # The longest first, so that there is memory for all.
        for place in np.linspace(0, bench.steps - 1, min(WARM_UP, bench.steps)).astype(int):
            self._step(self.batches[place])
        self._wait()

    def seconds(self) -> float:
        """For all batches, mixed as in an epoch; nothing waits for the device but the network."""
        order = np.random.default_rng(0).permutation(len(self.batches))
        start = time.perf_counter()
        for place in order:
            self._step(self.batches[place])
        self._wait()
        return time.perf_counter() - start

    def _step(self, batch: Batch) -> None:
        mixed = self.config.trainer.precision == "bf16-mixed"
        # Recurrences of Plain are float16 then, which is what PyTorch's autocast makes of cuDNN's;
        # those of Classifier stay float32: compare the two in bf16-mixed with that in mind.
        with torch.autocast(self.device, torch.bfloat16, enabled=mixed):
            logits = self.net(batch.ids, batch.lengths)
            loss = F.binary_cross_entropy_with_logits(logits, batch.labels)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.config.optimizer.clip)
        self.optimizer.step()
        self.loss = loss.detach()

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def measure(bench: Bench, encoder: EncoderConfig, head: str, plain: bool = False) -> dict[str, Any]:
    training = Training(bench, bench.config(encoder, head), plain)
    speed = bench.speed(training.seconds())
    return {
        "network": encoder.network,
        "head": head,
        "parameters": sum(p.numel() for p in training.net.parameters()),
        "tokens": sum(int(batch.lengths.sum()) for batch in training.batches),
        "positions": sum(batch.ids.numel() for batch in training.batches),
        **speed,
        "epoch_seconds": len(bench.module.train) / speed["reviews_per_second"],
        "peak_memory_mib": runtime.peak_memory_mib(bench.device),
        "loss": float(training.loss),  # whether what was timed could have learned
    }


def grid(bench: Bench, console: Console) -> dict[str, Any]:
    """Every cell, with its speed over that of plain PyTorch, and the time of all together."""
    cells, plain = [], []
    for encoder in track(ENCODERS, "networks", console=console):
        plain.append(measure(bench, encoder, "last", plain=True))
        for head in HEADS:
            cell = measure(bench, encoder, head)
            ratio = cell["reviews_per_second"] / plain[-1]["reviews_per_second"]
            cells.append(cell | {"times_plain": ratio})
    return {
        "grid_seconds": sum(cell["seconds"] for cell in cells),
        "grid_epoch_seconds": sum(cell["epoch_seconds"] for cell in cells),
        # With the other heads plain PyTorch would take at least as long.
        "plain_grid_epoch_seconds": len(HEADS) * sum(entry["epoch_seconds"] for entry in plain),
        "cells": cells,
        "plain": plain,
    }


def share(bench: Bench, processes: int) -> list[dict[str, Any]]:
    """The same training in so many processes, from their common start until the last has ended."""
    entries, workers, pipe = [], [], subprocess.PIPE
    command = [sys.executable, __file__, *sys.argv[1:], "--worker"]
    with ExitStack() as stack:
        for _ in range(processes):
            worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            workers.append(stack.enter_context(worker))
            stack.callback(worker.kill)  # where one has failed, the others would wait for ever
        for network in SHARED:
            answers(workers)  # all are warm
            start = time.perf_counter()
            for worker in workers:
                print(file=worker.stdin, flush=True)
            each = [float(answer) for answer in answers(workers)]
            speed = bench.speed(time.perf_counter() - start, processes)
            entry = {"network": network, "head": "max", "processes": processes}
            entries.append(entry | speed | {"seconds_of_each": each})
    return entries


def answers(workers: list[Any]) -> list[str]:
    lines = [worker.stdout.readline().strip() for worker in workers]
    if not all(lines):
        raise RunError("One of several processes has failed: what it said stands above.")
    return lines


def work(bench: Bench) -> None:
    """One of several processes."""
    encoders = {encoder.network: encoder for encoder in ENCODERS}
    for network in SHARED:
        training = Training(bench, bench.config(encoders[network], "max"))
        print("ready", flush=True)
        sys.stdin.readline()
        print(training.seconds(), flush=True)


def show(results: dict[str, Any], console: Console) -> None:
    cells = {(cell["network"], cell["head"]): cell for cell in results["cells"]}
    table = Table("network", "plain", *HEADS, title="reviews/s, ×: over plain", box=None)
    for plain in results["plain"]:
        row = [cells[plain["network"], head] for head in HEADS]
        ours = [f"{cell['reviews_per_second']:,.0f} ×{cell['times_plain']:.2f}" for cell in row]
        table.add_row(plain["network"], f"{plain['reviews_per_second']:,.0f}", *ours)
    console.print(table)
    ours, plain = results["grid_epoch_seconds"], results["plain_grid_epoch_seconds"]
    took = results["grid_seconds"]
    console.print(
        f"An epoch of all {len(cells)}: {ours:,.0f} s (from {took:.1f} s), plain {plain:,.0f} s"
    )
    for entry in results["shared"]:
        name, speed = f"{entry['network']}-{entry['head']}", entry["reviews_per_second"]
        console.print(f"{name} in {entry['processes']} at once: {speed:,.0f} reviews/s together")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny: to see that it works")
    parser.add_argument("--data", metavar="PATH", help="a folder with IMDB (default: synthetic)")
    parser.add_argument("--cache", default=DataConfig().cache, help="for tokenized reviews")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--steps", type=int, help="timed, of each network (default: 50)")
    parser.add_argument("--batch-size", type=int, help="(default: 64)")
    parser.add_argument(
        "--processes", type=numbers, default="1,2,4", help="at once (default: 1,2,4)"
    )
    parser.add_argument("-o", "--output", type=Path, default="results/benchmarks/gpu.json")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    steps, size = (2, 4) if options.quick else (50, 64)
    options.steps = steps if options.steps is None else options.steps
    options.batch_size = size if options.batch_size is None else options.batch_size
    if min(options.steps, *options.processes) < 1:
        parser.error("--steps and --processes begin at 1")
    return options


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    options, console = arguments(), Console()
    if options.device == "cuda" and runtime.choose_device(Accelerator.auto) != "cuda":
        raise InputError("No CUDA device works here: give --device cpu, or go where there is one.")
    runtime.prepare_process(None)
    bench = Bench(options)
    gc.freeze()  # looking through all that is loaded takes a third of a second, also within a step
    if options.worker:
        work(bench)
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)  # refused before minutes are spent
    # TensorFloat-32 is what cuDNN's networks multiply with in "32-true", where it is allowed.
    library = {"cudnn": torch.backends.cudnn.version(), "tf32": torch.backends.cudnn.allow_tf32}
    results = {
        "environment": runtime.environment(options.device) | library,
        "settings": {name: getattr(options, name) for name in ("device", "quick", "steps")},
        "config": recorded(bench.config(EncoderConfig(), "last")),
        "data": bench.module.summary(),
        **grid(bench, console),
        "shared": [],
    }
    for processes in options.processes:
        options.output.write_text(json.dumps(results, indent=1))  # what there is is not lost
        results["shared"] += share(bench, processes)
    options.output.write_text(json.dumps(results, indent=1))
    show(results, console)


if __name__ == "__main__":
    try:
        main()
    except (InputError, RunError, OSError) as error:
        sys.exit(str(error))
