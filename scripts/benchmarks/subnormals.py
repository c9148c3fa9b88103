"""Measure what subnormal numbers cost in the first steps of a training.

    python -m scripts.benchmarks.subnormals [NAME=VALUE ...]

Takes the words of a training command, such as `encoder=lstm data.path=imdb`. At some of the first
steps, the backward step of the batch at hand is timed by turns with and without treating subnormal
numbers as zero. Prints the medians, and how many of the gradients with respect to the word vectors
are subnormal.
"""

import argparse
import time
from statistics import median

# Imported before torch: it sets how long torch's threads spin.
import lstm_sentiment  # isort: skip  # noqa: F401
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from lstm_sentiment.commands.hydra_config import compose
from lstm_sentiment.config import Config
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.optimization import OPTIMIZERS
from lstm_sentiment.model.subnormals import flush_subnormals
from lstm_sentiment.training import runtime

STEPS = (0, 1, 2, 4, 8, 16, 32, 64)  # at which a backward step is timed
TURNS = 5


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE", help="as for `python train.py`")
    try:
        config = compose(["encoder=gru", "head=last", *parser.parse_args().words])
        runtime.prepare_process(config.trainer.threads)
        data = ReviewDataModule(config.data, config.seed, test=False)
        data.setup()
    except InputError as error:
        raise SystemExit(str(error)) from None
    table = Table("after steps", "ms flushed", "ms", "ratio", "subnormal gradients", box=None)
    for step, (flushed, plain), share in measure(config, data):
        row = (f"{flushed * 1e3:.1f}", f"{plain * 1e3:.1f}", f"{plain / flushed:.2f}×")
        table.add_row(str(step), *row, f"{share:.2%}")
    Console().print(table)


def measure(config: Config, data: ReviewDataModule) -> list[tuple[int, tuple[float, float], float]]:
    """Return steps trained, seconds of a backward step flushed and not, and the subnormal share."""
    torch.manual_seed(config.seed)
    classifier = Classifier(config, len(data.vocabulary)).train()
    optimizer = OPTIMIZERS[config.optimizer.name](classifier.parameters(), config.optimizer.lr)
    measurements = []
    batches = (batch for _ in range(max(STEPS)) for batch in data.train_dataloader())
    for step, batch in zip(range(max(STEPS) + 1), batches, strict=False):
        if step in STEPS:
            times: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(TURNS):
                for flush in times:
                    flush_subnormals(flush)
                    seconds, gradient = backward(classifier, batch)
                    times[flush].append(seconds)
            tiny = torch.finfo(torch.float32).tiny
            share = ((gradient != 0) & (gradient.abs() < tiny)).float().mean().item()
            medians = median(times[True]), median(times[False])
            measurements.append((step, medians, share))
        flush_subnormals()
        optimizer.zero_grad()
        loss(classifier, classifier.embedding.vectors(batch.ids), batch).backward()
        optimizer.step()
    return measurements


def backward(classifier: Classifier, batch: Batch) -> tuple[float, Tensor]:
    """Return the seconds of a backward step, and its gradient of the word vectors, (B, T, E)."""
    vectors = classifier.embedding.vectors(batch.ids).detach().requires_grad_()
    result = loss(classifier, vectors, batch)
    start = time.perf_counter()
    result.backward()
    seconds = time.perf_counter() - start
    assert vectors.grad is not None
    return seconds, vectors.grad


def loss(classifier: Classifier, vectors: Tensor, batch: Batch) -> Tensor:
    """Return the loss of a batch with these word vectors, (B, T, E)."""
    logits = classifier.classify(vectors, batch.lengths)
    return F.binary_cross_entropy_with_logits(logits, batch.labels)


if __name__ == "__main__":
    main()
