"""The systems that scripts.benchmarks.peers compares: the same networks on the same reviews.

    python -m scripts.benchmarks.peer_systems SYSTEM REVIEWS.npz

Each system runs in a process of its own. It reads requests to build, train or predict from
standard input, a line of JSON each, and answers each with a line. All systems train in a bare loop
(Keras with `fit` and no metrics), without dropout, gradient clipping or anything else that one of
them lacks.
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
    """A network that all systems can build."""

    title: str
    cell: str
    hidden_size: int = 100
    num_layers: int = 1
    bidirectional: bool = False
    max_pooling: bool = False

    def flop_per_token(self) -> int:
        """Return the operations of a training step: forward, and twice as many backward."""
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
    """Encoded reviews, one after the other."""

    ids: np.ndarray  # (all tokens,) int32
    offsets: np.ndarray  # (N + 1,)
    labels: np.ndarray  # (N,) float32
    words: int  # in the vocabulary

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """(B,) -> (B,): Return the numbers of tokens."""
        return np.diff(self.offsets)[rows]

    def padded(self, rows: np.ndarray, width: int, left: bool) -> np.ndarray:
        """(B,) -> (B, width): Return the ids as int32, padded with 0."""
        lengths = self.lengths(rows)[:, None]
        place = np.arange(width) - (width - lengths if left else 0)
        real = (place >= 0) & (place < lengths)
        return np.where(real, self.ids[np.where(real, self.offsets[rows][:, None] + place, 0)], 0)


class System(Protocol):
    """A system under test. `train` and `predict` take rows of reviews; training is cumulative."""

    def build(self, net: Net, precision: str) -> None: ...
    def train(self, rows: np.ndarray) -> None: ...
    def predict(self, rows: np.ndarray) -> None: ...


class Keras:
    """Keras with reviews padded to 500 on the left, its default; `masked` skips the padding."""

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

        # With arrays, `fit` waits at its end for the thread that tunes the input pipeline. That
        # thread sleeps for 10, 20, 40, ... ms, up to as long as the training itself took.
        options = tf.data.Options()
        options.autotune.enabled = False
        inputs = self.reviews.padded(rows, MAX_LENGTH, left=True)
        data = tf.data.Dataset.from_tensor_slices((inputs, self.reviews.labels[rows]))
        return data.batch(size).with_options(options)


class PyTorch:
    """PyTorch as in a tutorial: reviews padded to 500 on the left, or packed."""

    def __init__(self, reviews: Reviews, packed: bool) -> None:
        import torch

        torch.set_flush_denormal(True)  # as TensorFlow does; threads started later inherit it
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
        ids = self.reviews.padded(rows, width, left=not self.packed)
        return torch.from_numpy(ids), torch.from_numpy(lengths)


class Ours:
    """This project: its classifier, and batches of reviews of similar length."""

    def __init__(self, reviews: Reviews) -> None:
        from lstm_sentiment.model.subnormals import flush_subnormals
        from lstm_sentiment.training import runtime

        runtime.prepare_process(None)
        flush_subnormals()
        self.reviews = reviews

    def build(self, net: Net, precision: str) -> None:
        import torch

        from lstm_sentiment.config import (
            Cell,
            Config,
            EmbeddingConfig,
            EncoderConfig,
            HeadConfig,
            HeadKind,
        )
        from lstm_sentiment.model.classifier import Classifier

        encoder = EncoderConfig(
            Cell(net.cell), net.hidden_size, net.num_layers, net.bidirectional, dropout=0.0
        )
        head = HeadConfig(HeadKind.max if net.max_pooling else HeadKind.last)
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
        ids = self.reviews.padded(rows, lengths.max(), left=False)
        return torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(lengths)

    @staticmethod
    def peak(precision: str) -> float:
        """Return the GFLOP/s of a large matrix product: the best of several."""
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
    """Return consecutive parts of the rows, each of `size` rows but for the last."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def serve(system: Any) -> None:
    """Carry out the requests on standard input; answer each with a line of JSON."""
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        match request["do"]:
            case "build":
                system.build(NETS[request["net"]], request["precision"])
                response: Any = None
            case "train" | "predict" as task:
                getattr(system, task)(np.array(request["rows"]))
                response = time.perf_counter() - start
            case "peak":
                response = system.peak(request["precision"])
        print(json.dumps(response), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with np.load(sys.argv[2]) as file:
        reviews = Reviews(file["ids"], file["offsets"], file["labels"], int(file["words"]))
    serve(SYSTEMS[sys.argv[1]](reviews))
