"""Hostile model folders and predictions cost little memory and time before they are refused."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.predictions import read_table
from lstm_sentiment.serving.onnx_model import save_onnx
from lstm_sentiment.serving.predictor import Predictor
from tests.support.bounded import MIB, bounded
from tests.support.networks import WORDS, drawn, saved

Make = Callable[..., Config]


def many_lists(folder: Path) -> Path:
    """Make a vocabulary of 64 MiB of empty lists."""
    (folder / "model" / "vocab.json").write_bytes(b"[" + b"[]," * (64 * MIB // 3) + b"[]]")
    return folder


def sparse_weights(folder: Path) -> Path:
    """Make weights of 1.3 GB that take no space on the disk."""
    os.truncate(folder / "model" / "model.safetensors", 1_300_000_000)
    return folder


def sparse_header(folder: Path) -> Path:
    """Make weights within the limit, whose header promises a large embedding."""
    size = 2**28
    tensors = {"embedding.weight": {"dtype": "F32", "shape": [size], "data_offsets": [0, size]}}
    header = json.dumps(tensors).encode()
    file = folder / "model" / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(file, 2**29)
    return folder


def huge_network(folder: Path) -> Path:
    file = folder / "model" / "config.json"
    content = json.loads(file.read_text())
    content["config"]["encoder"]["hidden_size"] = 10**6
    content["config"]["data"]["max_length"] = 10**6
    content["config"]["head"]["kind"] = "flatten"
    file.write_text(json.dumps(content))
    return folder


def many_rows(folder: Path) -> Path:
    """Make predictions of 10^8 rows, which compress to a few KB."""
    rows = 10**8
    file = folder / "predictions.parquet"
    schema = pa.schema({"logit": pa.float32()})
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        group = pa.table({"logit": pa.nulls(10**6, pa.float32())}, schema)
        for _ in range(rows // 10**6):
            writer.write_table(group)
    return file


def exported(folder: Path, config: Config, *nodes: onnx.NodeProto, **weights: np.ndarray) -> Path:
    """Export a network, and replace its graph by nodes that end with `logits`."""
    save_onnx(folder / "onnx", drawn(config), Vocabulary([*SPECIALS, *WORDS]), config)
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(file)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    named = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model.graph.initializer.extend(named)
    file.write_bytes(model.SerializeToString())
    return folder / "onnx"


def doubling(folder: Path, config: Config) -> Path:
    nodes = [helper.make_node("Cast", ["lengths"], ["x0"], to=TensorProto.FLOAT)]
    nodes += [helper.make_node("Concat", [f"x{n}"] * 2, [f"x{n + 1}"], axis=0) for n in range(31)]
    return exported(folder, config, *nodes, helper.make_node("Identity", ["x31"], ["logits"]))


def long_range(folder: Path, config: Config) -> Path:
    nodes = [helper.make_node("Range", ["a", "b", "c"], ["r"]),
             helper.make_node("Cast", ["r"], ["logits"], to=TensorProto.FLOAT)]  # fmt: skip
    limits = {name: np.array(n, np.int32) for name, n in zip("abc", (0, 2**31 - 1, 1), strict=True)}
    return exported(folder, config, *nodes, **limits)


def wide_pad(folder: Path, config: Config) -> Path:
    nodes = [helper.make_node("Gather", ["w0", "ids"], ["v"]),
             helper.make_node("Pad", ["v", "sides"], ["logits"])]  # fmt: skip
    return exported(folder, config, *nodes, sides=np.array([0, 0, 0, 0, 50_000, 50_000]))


def explain(folder: Path) -> None:
    Predictor.load(folder).explain("film")


def refusals(*calls: tuple[Callable[[Path], object], Path]) -> list[str]:
    """Return the messages with which all calls are refused."""
    messages = []
    for call, path in calls:
        with pytest.raises(InputError) as refusal:
            call(path)
        messages.append(str(refusal.value))
    return messages


def test_hostile_models_take_little_memory_and_time(tiny: Make, tmp_path: Path) -> None:
    config = tiny()
    on_disk = (many_lists, sparse_weights, sparse_header, huge_network)
    folders = [make(saved(tmp_path / make.__name__, config)) for make in on_disk]
    folders += [make(tmp_path / make.__name__, config) for make in (doubling, long_range, wide_pad)]
    long = saved(tmp_path / "long", tiny(data={"padding": "keras", "max_length": 1_000_000}))
    calls = [(Predictor.load, folder) for folder in folders]
    calls += [(read_table, many_rows(tmp_path)), (explain, long)]
    outcome = bounded(refusals, *calls)
    reasons = (
        "more than the 10,000,000 allowed; the environment variable LSTM_SENTIMENT_MAX_ELEMENTS",
        "it has 1,300,000,000 bytes, more than the 536,870,912 allowed",
        "it lacks the weights",
        "the configured network and its vocabulary need",
        *["its node 1 is"] * 3,
        "it has 100,000,000 rows, more than the",
        "LSTM_SENTIMENT_MAX_EXPLAINED_STATES raises this limit",
    )
    for message, reason in zip(outcome.value, reasons, strict=True):
        assert reason in message
        assert "\n" not in message
