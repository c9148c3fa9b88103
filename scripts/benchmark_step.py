"""Where the time of a training step goes: data, network, and what Lightning adds.

    python scripts/benchmark_step.py [NAME=VALUE ...]

Takes the words of a training command (`encoder=gru data.path=imdb`) and trains the same first
batches of an epoch in turns: in a bare loop, and as a run does, with Lightning, metrics,
TensorBoard and all. Gathering the batches is timed alone. Of several turns the fastest counts.
"""

import argparse
import time
from dataclasses import replace
from tempfile import TemporaryDirectory

# Before torch, whose threads it tells how long to spin.
from lstm_sentiment import Config, run  # isort: skip
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.launch import compose
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import OPTIMIZERS
from lstm_sentiment.training import runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3, choices=range(1, 100), metavar="N")
    options = parser.parse_args()
    try:
        seconds, steps = measure(compose(options.words), options.steps, options.turns)
    except (InputError, RunError) as error:
        raise SystemExit(str(error)) from None
    bare = min(seconds["bare loop"])
    table = Table("", "ms a step", "of the bare loop's", box=None)
    for way, spent in seconds.items():
        table.add_row(way, f"{min(spent) / steps * 1e3:.2f}", f"{min(spent) / bare:.1%}")
    Console().print(table)


def measure(config: Config, steps: int, turns: int) -> tuple[dict[str, list[float]], int]:
    """Seconds of each way in each turn; how many steps that were, at most those of an epoch."""
    config = replace(
        config,
        test=False,
        data=replace(config.data, val_fraction=0.0),
        trainer=replace(
            config.trainer,
            accelerator="cpu",
            max_epochs=1,
            limit_train_batches=steps,
            enable_progress_bar=False,
        ),
    )
    runtime.prepare_process(config.trainer.threads)
    data = ReviewDataModule(config.data, config.seed, test=False)
    data.setup()
    ways = {"data": gather, "bare loop": train_bare, "whole run": train_by_lightning}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, train in ways.items():
            seconds[way].append(train(config, data))
    return seconds, len(first_batches(config, data))


def gather(config: Config, data: ReviewDataModule) -> float:
    start = time.perf_counter()
    first_batches(config, data)
    return time.perf_counter() - start


def first_batches(config: Config, data: ReviewDataModule) -> list[Batch]:
    steps = config.trainer.limit_train_batches
    return [batch for _, batch in zip(range(steps or 0), data.train_dataloader(), strict=False)]


def train_bare(config: Config, data: ReviewDataModule) -> float:
    torch.manual_seed(config.seed)
    net, how = Classifier(config, len(data.vocabulary)), config.optimizer
    optimizer = OPTIMIZERS[how.name](
        net.parameters(), lr=how.lr, weight_decay=how.weight_decay, fused=True
    )
    mixed = config.trainer.precision == "bf16-mixed"
    batches = first_batches(config, data)
    start = time.perf_counter()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = net(batch.ids, batch.lengths)
        loss = F.binary_cross_entropy_with_logits(logits.float(), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        if how.clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), how.clip)
        optimizer.step()
    return time.perf_counter() - start


def train_by_lightning(config: Config, _: ReviewDataModule) -> float:
    with TemporaryDirectory() as root:
        return run(replace(config, root=root))["cost"]["seconds_per_epoch"]


if __name__ == "__main__":
    main()
