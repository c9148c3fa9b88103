"""The systems that benchmark_peers.py compares: the same nets on the same reviews.

    python scripts/peers.py SYSTEM REVIEWS.npz

A process for each, which builds, trains and predicts as lines of JSON on its standard input say,
and answers each with a line. All are trained in a bare loop (Keras: `fit`, without metrics),
without dropout, clipping or anything else that not all of them have.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

BATCH, PREDICTION_BATCH = 64, 256
EMBEDDING, MAX_LENGTH, LEARNING_RATE = 128, 500, 1e-3


@dataclass(frozen=True)
class Net:
    title: str
    cell: str
    hidden_size: int = 100
    num_layers: int = 1
    bidirectional: bool = False
    max_pooling: bool = False

    def flop_per_token(self) -> int:
        """Of a training step: forward, and twice as much backward."""
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[self.cell]
        directions, total, width = 1 + self.bidirectional, 0, EMBEDDING
        for _ in range(self.num_layers):
            total += directions * gates * self.hidden_size * (width + self.hidden_size)
            width = directions * self.hidden_size
        return 3 * 2 * total


NETS = {
    "lstm": Net("LSTM 100", "lstm"),
    "gru": Net("GRU 100", "gru"),
    "rnn": Net("RNN 100", "rnn"),
    "bilstm": Net("BiLSTM 100", "lstm", bidirectional=True),
    "lstm_max": Net("LSTM 128 + max", "lstm", hidden_size=128, max_pooling=True),
    "deep_lstm": Net("3 x LSTM 100", "lstm", num_layers=3),
}


@dataclass(frozen=True)
class Reviews:
    ids: np.ndarray  # (all tokens,) int32
    offsets: np.ndarray  # (N + 1,)
    labels: np.ndarray  # (N,) float32
    words: int

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        return np.diff(self.offsets)[rows]

    def padded(self, rows: np.ndarray, width: int, in_front: bool) -> np.ndarray:
        """(B,) -> (B, width) int32"""
        lengths = self.lengths(rows)[:, None]
        place = np.arange(width) - (width - lengths if in_front else 0)
        real = (place >= 0) & (place < lengths)
        return np.where(real, self.ids[np.where(real, self.offsets[rows][:, None] + place, 0)], 0)


class System(Protocol):
    """`train` and `predict` take rows of reviews; training goes on where it stopped."""

    def build(self, net: Net, precision: str) -> None: ...
    def train(self, rows: np.ndarray) -> None: ...
    def predict(self, rows: np.ndarray) -> None: ...


class Keras:
    """Padded in front to 500, as its users do; with `mask_zero` it skips what is padding."""

    def __init__(self, reviews: Reviews, masked: bool) -> None:
        self.reviews, self.masked = reviews, masked

    def build(self, net: Net, precision: str) -> None:
        import keras
        from keras import layers

        cell = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}[net.cell]
        words = layers.Embedding(self.reviews.words, EMBEDDING, mask_zero=self.masked)
        model = keras.Sequential([keras.Input((MAX_LENGTH,), dtype="int32"), words])
        for layer in range(1, net.num_layers + 1):
            every = net.max_pooling or layer < net.num_layers
            recurrent = cell(net.hidden_size, return_sequences=every)
            model.add(layers.Bidirectional(recurrent) if net.bidirectional else recurrent)
        if net.max_pooling:
            model.add(layers.GlobalMaxPooling1D())
        model.add(layers.Dense(1, activation="sigmoid"))
        model.compile(keras.optimizers.Adam(LEARNING_RATE), "binary_crossentropy")
        self.model = model

    def train(self, rows: np.ndarray) -> None:
        self.model.fit(self._batches(rows, BATCH), verbose=0)

    def predict(self, rows: np.ndarray) -> None:
        self.model.predict(self._batches(rows, PREDICTION_BATCH), verbose=0)

    def _batches(self, rows: np.ndarray, size: int) -> Any:
        import tensorflow as tf

        # Given arrays, `fit` at its end waits for the thread that tunes the input, which sleeps
        # for 10 ms, 20, 40, ...: by chance up to as long again as it has trained.
        options = tf.data.Options()
        options.autotune.enabled = False
        inputs = self.reviews.padded(rows, MAX_LENGTH, in_front=True)
        data = tf.data.Dataset.from_tensor_slices((inputs, self.reviews.labels[rows]))
        return data.batch(size).with_options(options)


class PyTorch:
    """What a PyTorch tutorial does: padded to 500 in front, or packed."""

    def __init__(self, reviews: Reviews, packed: bool) -> None:
        self.reviews, self.packed = reviews, packed

    def build(self, net: Net, precision: str) -> None:
        import torch
        from torch import nn
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        packed = self.packed

        class Plain(nn.Module):
            def __init__(self, words: int) -> None:
                super().__init__()
                self.embedding = nn.Embedding(words, EMBEDDING)
                cell = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[net.cell]
                both = net.bidirectional
                self.rnn = cell(
                    EMBEDDING, net.hidden_size, net.num_layers, batch_first=True, bidirectional=both
                )
                self.output = nn.Linear(net.hidden_size * (1 + both), 1)

            def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
                vectors = self.embedding(ids)
                if packed:
                    vectors = pack_padded_sequence(vectors, lengths, True, enforce_sorted=False)
                states, last = self.rnn(vectors)
                if net.max_pooling:
                    if packed:
                        states, _ = pad_packed_sequence(states, True, padding_value=-torch.inf)
                    return self.output(states.amax(1)).squeeze(1)
                last = last[0] if net.cell == "lstm" else last
                ends = torch.cat([last[-2], last[-1]], 1) if net.bidirectional else last[-1]
                return self.output(ends).squeeze(1)

        self.model = Plain(self.reviews.words)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)

    def train(self, rows: np.ndarray) -> None:
        import torch
        from torch.nn import functional as F

        self.model.train()
        for batch in chunks(rows, BATCH):
            logits = self.model(*self._inputs(batch))
            labels = torch.from_numpy(self.reviews.labels[batch])
            self.optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(logits, labels).backward()
            self.optimizer.step()

    def predict(self, rows: np.ndarray) -> None:
        import torch

        self.model.eval()
        with torch.inference_mode():
            for batch in chunks(rows, PREDICTION_BATCH):
                self.model(*self._inputs(batch)).sigmoid()

    def _inputs(self, rows: np.ndarray) -> Any:
        import torch

        lengths = self.reviews.lengths(rows)
        width = lengths.max() if self.packed else MAX_LENGTH
        ids = self.reviews.padded(rows, width, in_front=not self.packed)
        return torch.from_numpy(ids), torch.from_numpy(lengths)


class Ours:
    """This project's classifier and batches of like length."""

    def __init__(self, reviews: Reviews) -> None:
        from lstm_sentiment.training import runtime

        runtime.prepare_process(None)
        self.reviews = reviews

    def build(self, net: Net, precision: str) -> None:
        import torch

        from lstm_sentiment.config import Config, EmbeddingConfig, EncoderConfig, HeadConfig
        from lstm_sentiment.model.classifier import Classifier

        encoder = EncoderConfig(
            net.cell, net.hidden_size, net.num_layers, net.bidirectional, dropout=0.0
        )
        head = HeadConfig("max" if net.max_pooling else "last")
        config = Config(encoder, head, EmbeddingConfig(dim=EMBEDDING, dropout=0.0))
        self.model = Classifier(config, self.reviews.words)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, fused=True)
        self.bfloat16 = precision == "bf16-mixed"

    def train(self, rows: np.ndarray) -> None:
        import torch
        from torch.nn import functional as F

        from lstm_sentiment.data.batches import shuffled_batches

        self.model.train()
        for chosen in shuffled_batches(self.reviews.lengths(rows), BATCH, seed=0, epoch=0):
            batch = rows[chosen]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                logits = self.model(*self._inputs(batch))
            labels = torch.from_numpy(self.reviews.labels[batch])
            self.optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(logits.float(), labels).backward()
            self.optimizer.step()

    def predict(self, rows: np.ndarray) -> None:
        import torch

        from lstm_sentiment.data.batches import sorted_batches

        self.model.eval()
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16),
        ):
            for chosen in sorted_batches(self.reviews.lengths(rows), PREDICTION_BATCH):
                self.model(*self._inputs(rows[chosen])).sigmoid()

    def _inputs(self, rows: np.ndarray) -> Any:
        import torch

        lengths = self.reviews.lengths(rows)
        ids = self.reviews.padded(rows, lengths.max(), in_front=False)
        return torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(lengths)

    @staticmethod
    def peak(precision: str) -> float:
        """GFLOP/s of a large matrix product: the best of several."""
        import torch

        size, kind = 2048, torch.bfloat16 if precision == "bf16-mixed" else torch.float32
        left, right = torch.randn(size, size).to(kind), torch.randn(size, size).to(kind)
        seconds = []
        for _ in range(12):
            start = time.perf_counter()
            left @ right
            seconds.append(time.perf_counter() - start)
        return 2 * size**3 / min(seconds) / 1e9


SYSTEMS = {
    "ours": Ours,
    "keras": lambda reviews: Keras(reviews, masked=False),
    "keras_masked": lambda reviews: Keras(reviews, masked=True),
    "pytorch_padded": lambda reviews: PyTorch(reviews, packed=False),
    "pytorch_packed": lambda reviews: PyTorch(reviews, packed=True),
}


def chunks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def serve(system: Any) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        start = time.perf_counter()
        match order["do"]:
            case "build":
                system.build(NETS[order["net"]], order["precision"])
                answer: Any = None
            case "train" | "predict" as verb:
                getattr(system, verb)(np.array(order["rows"]))
                answer = time.perf_counter() - start
            case "peak":
                answer = system.peak(order["precision"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with np.load(sys.argv[2]) as file:
        reviews = Reviews(file["ids"], file["offsets"], file["labels"], int(file["words"]))
    serve(SYSTEMS[sys.argv[1]](reviews))
