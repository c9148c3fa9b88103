"""Measure how much of a training step's time data, network and Lightning take.

    python -m scripts.benchmarks.step [NAME=VALUE ...]

Takes the words of a training command, such as `encoder=gru data.path=imdb`. The first batches of an
epoch are trained by turns in a bare loop and in a whole run, with Lightning, metrics and
TensorBoard. Gathering the batches is timed separately. The fastest of several turns counts.
"""

import argparse
import time
from dataclasses import replace
from tempfile import TemporaryDirectory

# Imported before torch: it sets how long torch's threads spin.
from lstm_sentiment import Config, run  # isort: skip
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from lstm_sentiment.commands.hydra_config import compose
from lstm_sentiment.config import Accelerator
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.optimization import OPTIMIZERS
from lstm_sentiment.model.subnormals import flush_subnormals
from lstm_sentiment.training import runtime


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE", help="as for `python train.py`")
    parser.add_argument("--steps", type=int, default=100, help="training steps (default: 100)")
    parser.add_argument(
        "--turns", type=int, default=3, choices=range(1, 100), metavar="N",
        help="repetitions, of which the fastest counts (default: 3)",
    )  # fmt: skip
    options = parser.parse_args()
    try:
        seconds, steps = measure(compose(options.words), options.steps, options.turns)
    except (InputError, RunError) as error:
        raise SystemExit(str(error)) from None
    bare = min(seconds["bare loop"])
    table = Table("", "ms/step", "relative to the bare loop", box=None)
    for part, times in seconds.items():
        table.add_row(part, f"{min(times) / steps * 1e3:.2f}", f"{min(times) / bare:.1%}")
    Console().print(table)


def measure(config: Config, steps: int, turns: int) -> tuple[dict[str, list[float]], int]:
    """Return the seconds of each part in each turn, and the number of steps, at most an epoch's."""
    config = replace(
        config,
        test=False,
        data=replace(config.data, val_fraction=0.0),
        trainer=replace(
            config.trainer,
            accelerator=Accelerator.cpu,
            max_epochs=1,
            limit_train_batches=steps,
            enable_progress_bar=False,
        ),
    )
    runtime.prepare_process(config.trainer.threads)
    flush_subnormals()  # as in a run
    data = ReviewDataModule(config.data, config.seed, test=False)
    data.setup()
    parts = {"data": gather, "bare loop": train_bare, "whole run": train_by_lightning}
    seconds: dict[str, list[float]] = {part: [] for part in parts}
    for _ in range(turns):
        for part, time_of in parts.items():
            seconds[part].append(time_of(config, data))
    return seconds, len(first_batches(config, data))


def gather(config: Config, data: ReviewDataModule) -> float:
    """Return the seconds to gather the batches."""
    start = time.perf_counter()
    first_batches(config, data)
    return time.perf_counter() - start


def first_batches(config: Config, data: ReviewDataModule) -> list[Batch]:
    """Return the batches of the first steps of an epoch."""
    steps = config.trainer.limit_train_batches
    return [batch for _, batch in zip(range(steps or 0), data.train_dataloader(), strict=False)]


def train_bare(config: Config, data: ReviewDataModule) -> float:
    """Return the seconds of a bare training loop, without gathering the batches."""
    torch.manual_seed(config.seed)
    net, settings = Classifier(config, len(data.vocabulary)), config.optimizer
    optimizer = OPTIMIZERS[settings.name](
        net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True
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
        if settings.clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        optimizer.step()
    return time.perf_counter() - start


def train_by_lightning(config: Config, _: ReviewDataModule) -> float:
    """Return the seconds of the epoch of a whole run."""
    with TemporaryDirectory() as root:
        return run(replace(config, root=root))["cost"]["seconds_per_epoch"]


if __name__ == "__main__":
    main()
