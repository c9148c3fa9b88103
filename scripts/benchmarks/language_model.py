"""Measure the training of a language model: tokens a second, and the share of the machine's peak.

    python -m scripts.benchmarks.language_model [NAME=VALUE ...]

Takes the words of `lstm-sentiment pretrain`. The step is timed on full batches of random words,
whose frequencies fall with their rank as in real texts, and by turns with a large matrix product,
whose speed is the peak. The fastest of several turns counts.
"""

import argparse
import time

# Imported before torch: it sets how long torch's threads spin.
from lstm_sentiment import Config  # isort: skip  # noqa: F401
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from lstm_sentiment.commands.hydra_config import compose_pretraining
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.language_model import LanguageModel
from lstm_sentiment.model.optimization import OPTIMIZERS
from lstm_sentiment.model.subnormals import flush_subnormals
from lstm_sentiment.training import runtime

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
SIZE = 2048  # rows and columns of the matrix product


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE", help="as for `pretrain`")
    parser.add_argument("--turns", type=int, default=5, help="repetitions (default: 5)")
    options = parser.parse_args()
    try:
        config, _ = compose_pretraining(options.words)
        runtime.prepare_process(config.trainer.threads)
    except InputError as error:
        raise SystemExit(str(error)) from None
    flush_subnormals()  # as in training
    measured = measure(config, options.turns)
    table = Table("tokens/s", "ms/step", "GFLOP/s of the encoder", "of the peak", "MiB", box=None)
    table.add_row(*measured)
    Console().print(table)


def measure(config: PretrainingConfig, turns: int) -> list[str]:
    """Return the cells of the table."""
    torch.manual_seed(config.seed)
    model = LanguageModel(config, config.data.max_vocab).train()
    optimizer = OPTIMIZERS[config.optimizer.name](model.parameters(), fused=True)
    ids, lengths = _batch(config)
    runtime.reset_peak_memory("cpu")
    steps, products = [], []
    left, right = torch.randn(2, SIZE, SIZE)
    for _ in range(turns + 1):  # the first compiles the kernels
        start = time.perf_counter()
        _step(model, optimizer, ids, lengths, config)
        steps.append(time.perf_counter() - start)
        start = time.perf_counter()
        torch.mm(left, right)
        products.append(time.perf_counter() - start)
    seconds, peak = min(steps[1:]), 2 * SIZE**3 / min(products[1:])
    speed = lengths.sum().item() * _encoder_flops(config) / seconds
    memory = runtime.peak_memory_mib("cpu")
    return [
        f"{lengths.sum().item() / seconds:,.0f}",
        f"{seconds * 1e3:,.0f}",
        f"{speed / 1e9:.0f}",
        f"{speed / peak:.0%}",
        "–" if memory is None else f"{memory:,.0f}",
    ]


def _batch(config: PretrainingConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch of reviews of the greatest length: ids and lengths, or a row's next steps."""
    random = np.random.default_rng(config.seed)
    length = config.language_model.truncation or config.data.max_length
    size, words = config.data.batch_size, config.data.max_vocab
    ids = np.minimum(random.zipf(1.25, (size, length + 1)) + 1, words - 1)
    return torch.from_numpy(ids), torch.full((size,), length)


def _step(
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    ids: torch.Tensor,
    lengths: torch.Tensor,
    config: PretrainingConfig,
) -> None:
    if config.language_model.truncation is None:
        predicted = model(ids[:, :-1], lengths)
    else:
        predicted = model.stream(ids, None)
    optimizer.zero_grad()
    (predicted.losses.mean() + predicted.penalty).backward()
    if config.optimizer.clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip)
    optimizer.step()


def _encoder_flops(config: PretrainingConfig) -> float:
    """Return the operations of the encoder's matrix products for a token, gradients included.

    The gradient takes twice as many as the states. The softmax, whose size depends on the words, is
    left out.
    """
    size, width, total = config.encoder.hidden_size, config.embedding.dim, 0
    directions = 2 if config.encoder.bidirectional else 1
    for _ in range(config.encoder.num_layers):
        total += directions * 2 * GATES[config.encoder.cell] * size * (width + size)
        width = directions * size
    return 3.0 * total


if __name__ == "__main__":
    main()
