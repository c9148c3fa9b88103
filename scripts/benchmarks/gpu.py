"""Measure how fast every network trains on one GPU, alone and with others on the same GPU.

    python -m scripts.benchmarks.gpu --data imdb
    python -m scripts.benchmarks.gpu --data imdb --precision bf16-mixed -o bf16.json
    python -m scripts.benchmarks.gpu --device cpu --quick -o quick.json

For every cell, direction, depth and head, some training steps are timed on batches that are on the
device already. Each network is compared with the same network in torch.nn alone, on packed batches
of randomly mixed reviews. Two of the networks are also trained in several processes at once. The
script prints tables and writes all measurements as JSON.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

# Imported before torch: it sets how long torch's threads spin.
from lstm_sentiment import Config, DataConfig, EncoderConfig, HeadConfig, TrainerConfig  # isort: skip
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from lstm_sentiment.config import PRECISIONS, Accelerator, Cell, HeadKind, Source
from lstm_sentiment.data.batches import Batch, TrainingOrder
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.subnormals import flush_subnormals
from lstm_sentiment.runs.record import recorded
from lstm_sentiment.training import runtime

ROOT = Path(__file__).parents[2]
HEADS = ("last", "flatten", "max", "avg")
ENCODERS = [
    EncoderConfig(cell, num_layers=depth, bidirectional=bidirectional)
    for cell, bidirectional, depth in product(Cell, (False, True), (1, 2, 3))
    if not cell.is_elementwise  # PyTorch has no such cells
]
SHARED = ("lstm", "deep_bilstm")  # trained in several processes: a small and a large network
WARM_UP = 10  # steps that are not timed: libraries are loaded and memory is allocated


class Plain(nn.Module):
    """The same network in torch.nn alone: a packed sequence, its final state, a linear layer."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.embedding, self.rnn, self.output = net.embedding, net.encoder.rnn, net.output
        self.embedding_dropout, self.dropout = nn.Dropout(net.embedding.dropout), net.dropout

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        vectors = self.embedding_dropout(self.embedding.lookup(ids))
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        final = self.rnn(packed)[1]
        final = final[0] if isinstance(final, tuple) else final  # (layers * directions, B, H)
        last = torch.cat([*final[-2:]], -1) if self.rnn.bidirectional else final[-1]
        return self.output(self.dropout(last)).squeeze(-1)


class Bench:
    """The batches on the device, and the settings that all networks share."""

    def __init__(self, options: argparse.Namespace) -> None:
        source = Source.imdb if options.data else Source.synthetic
        size, self.device, self.steps = options.batch_size, options.device, options.steps
        self.data = DataConfig(source, options.data, cache=options.cache, batch_size=size)
        if options.quick:
            self.data = replace(self.data, max_length=30, limit_train=400)
        self.trainer = TrainerConfig(precision=options.precision)
        torch.use_deterministic_algorithms(self.trainer.deterministic)
        self.module = ReviewDataModule(self.data, test=False)
        self.module.prepare_data()
        self.module.setup()
        lengths = self.module.train.lengths
        mixed = np.random.default_rng(0).permutation(len(lengths))
        self.ours = self._spread(list(TrainingOrder(lengths, size, seed=0)))
        self.plain = self._spread(np.split(mixed, range(size, len(mixed), size)))

    def _spread(self, batches: list[np.ndarray]) -> list[Batch]:
        """Return `steps` full batches of evenly spread lengths, so that they stand for an epoch."""
        train = self.module.train
        full = [batch for batch in batches if len(batch) == self.data.batch_size]
        full.sort(key=lambda batch: -train.lengths[batch].max())
        places = ((np.arange(self.steps) + 0.5) * len(full) / self.steps).astype(int)
        # As in training with Lightning: lengths stay on the CPU, where packing needs them.
        move, device = self.module.transfer_batch_to_device, torch.device(self.device)
        return [move(train[full[place]], device, 0) for place in places]

    def config(self, encoder: EncoderConfig, head: str) -> Config:
        """Return the configuration of a network."""
        return Config(encoder, HeadConfig(HeadKind(head)), data=self.data, trainer=self.trainer)

    def speed(self, seconds: float, processes: int = 1) -> dict[str, float]:
        """Return the speed of processes that have trained on all batches."""
        reviews = processes * self.steps * self.data.batch_size
        return {"reviews": reviews, "seconds": seconds, "reviews_per_second": reviews / seconds}


class Training:
    """A network and its optimizer, set up as for training and warmed up."""

    def __init__(self, bench: Bench, config: Config, plain: bool = False) -> None:
        runtime.reset_peak_memory(bench.device)
        if bench.device == "cuda":
            torch.cuda.empty_cache()  # blocks of the previous network may not fit
        torch.manual_seed(0)
        net = Classifier(config, len(bench.module.vocabulary))
        self.net = (Plain(net) if plain else net).to(bench.device).train()
        self.device, self.config = bench.device, config
        self.batches = bench.plain if plain else bench.ours
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.optimizer.lr, fused=True)
        # The longest batch first, which allocates enough memory for all others.
        for place in np.linspace(0, bench.steps - 1, min(WARM_UP, bench.steps)).astype(int):
            self._step(self.batches[place])
        self._wait()

    def seconds(self) -> float:
        """Return the time for one step on each batch, in random order as in an epoch."""
        order = np.random.default_rng(0).permutation(len(self.batches))
        start = time.perf_counter()
        for place in order:
            self._step(self.batches[place])
        self._wait()
        return time.perf_counter() - start

    def _step(self, batch: Batch) -> None:
        mixed = self.config.trainer.precision == "bf16-mixed"
        # Under autocast cuDNN's recurrences, which Plain uses, run in float16, while those of
        # Classifier stay in float32: in bf16-mixed the two do not compute the same.
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
    """Return the speed, memory and loss of a network; with `plain`, in torch.nn alone."""
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
        "loss": float(training.loss),  # finite if the network could be trained
    }


def grid(bench: Bench, console: Console) -> dict[str, Any]:
    """Return measurements of all networks, and their speed relative to plain PyTorch."""
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
        # Plain PyTorch is measured with the last state only; other heads take at least as long.
        "plain_grid_epoch_seconds": len(HEADS) * sum(entry["epoch_seconds"] for entry in plain),
        "cells": cells,
        "plain": plain,
    }


def share(bench: Bench, processes: int) -> list[dict[str, Any]]:
    """Return the joint speed of several processes that train the same network at the same time."""
    entries, workers, pipe = [], [], subprocess.PIPE
    command = [sys.executable, "-m", "scripts.benchmarks.gpu", *sys.argv[1:], "--worker"]
    # Not by the working folder, to which paths among the arguments are relative.
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        for _ in range(processes):
            worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=paths)
            workers.append(stack.enter_context(worker))
            stack.callback(worker.kill)  # if one fails, the others would wait forever
        for network in SHARED:
            read_lines(workers)  # all are warmed up
            start = time.perf_counter()
            for worker in workers:
                print(file=worker.stdin, flush=True)
            each = [float(line) for line in read_lines(workers)]
            speed = bench.speed(time.perf_counter() - start, processes)
            entry = {"network": network, "head": "max", "processes": processes}
            entries.append(entry | speed | {"seconds_of_each": each})
    return entries


def read_lines(workers: list[Any]) -> list[str]:
    """Return a line of output of each process. Raises RunError if one of them has ended."""
    lines = [worker.stdout.readline().strip() for worker in workers]
    if not all(lines):
        raise RunError("One of the processes has failed: see its message above.")
    return lines


def work(bench: Bench) -> None:
    """Train the shared networks as one of several processes; each line of input starts one."""
    encoders = {encoder.network: encoder for encoder in ENCODERS}
    for network in SHARED:
        training = Training(bench, bench.config(encoders[network], "max"))
        print("ready", flush=True)
        sys.stdin.readline()
        print(training.seconds(), flush=True)


def show(results: dict[str, Any], console: Console) -> None:
    """Print the results as tables."""
    cells = {(cell["network"], cell["head"]): cell for cell in results["cells"]}
    table = Table("network", "plain", *HEADS, title="reviews/s, and × plain PyTorch", box=None)
    for plain in results["plain"]:
        row = [cells[plain["network"], head] for head in HEADS]
        ours = [f"{cell['reviews_per_second']:,.0f} ×{cell['times_plain']:.2f}" for cell in row]
        table.add_row(plain["network"], f"{plain['reviews_per_second']:,.0f}", *ours)
    console.print(table)
    ours, plain = results["grid_epoch_seconds"], results["plain_grid_epoch_seconds"]
    took = results["grid_seconds"]
    console.print(
        f"One epoch of all {len(cells)} networks: {ours:,.0f} s (estimated from {took:.1f} s); "
        f"plain PyTorch: {plain:,.0f} s"
    )
    for entry in results["shared"]:
        name, speed = f"{entry['network']}-{entry['head']}", entry["reviews_per_second"]
        console.print(f"{name} in {entry['processes']} processes: {speed:,.0f} reviews/s in all")


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="few short reviews, as a check")
    parser.add_argument("--data", metavar="PATH", help="folder with IMDB (default: synthetic)")
    parser.add_argument("--cache", default=DataConfig().cache, help="folder for tokenized reviews")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--steps", type=int, help="timed steps for each network (default: 50)")
    parser.add_argument("--batch-size", type=int, help="reviews in a batch (default: 64)")
    parser.add_argument(
        "--processes",
        type=numbers,
        default="1,2,4",
        help="numbers of processes that share the device (default: 1,2,4)",
    )
    parser.add_argument("-o", "--output", type=Path, default="results/benchmarks/gpu.json")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    steps, size = (2, 4) if options.quick else (50, 64)
    options.steps = steps if options.steps is None else options.steps
    options.batch_size = size if options.batch_size is None else options.batch_size
    if min(options.steps, *options.processes) < 1:
        parser.error("--steps and --processes must be at least 1")
    return options


def numbers(text: str) -> list[int]:
    """Return the whole numbers in a text such as 1,2,4."""
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Run the benchmark that the command line describes."""
    try:
        run(arguments(), Console())
    except (InputError, RunError, OSError) as error:
        sys.exit(str(error))


def run(options: argparse.Namespace, console: Console) -> None:
    """Measure all networks, write the results and print them.

    Raises InputError without a working device, RunError if one of several processes fails.
    """
    if options.device == "cuda" and runtime.choose_device(Accelerator.auto) != "cuda":
        raise InputError("No CUDA device works on this machine: use --device cpu.")
    runtime.prepare_process(None)
    flush_subnormals()  # with --device cpu, as in a run
    bench = Bench(options)
    gc.freeze()  # collecting the loaded modules takes a third of a second, also within a step
    if options.worker:
        work(bench)
        return
    options.output.parent.mkdir(parents=True, exist_ok=True)  # fails at once if it cannot be made
    # In "32-true", cuDNN multiplies in TensorFloat-32 if that is allowed.
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
        options.output.write_text(json.dumps(results, indent=1))  # in case of a failure below
        results["shared"] += share(bench, processes)
    options.output.write_text(json.dumps(results, indent=1))
    show(results, console)


if __name__ == "__main__":
    main()
