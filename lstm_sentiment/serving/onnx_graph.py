"""configuration and weights -> ONNX graph, node by node.

ONNX defines the recurrent cells with a length for each review, so the graph has the same
structure as the network.
PyTorch's exporters are not used: the newer one fixes the number of time steps of recurrent
networks, and the older one is deprecated.

Without weights, the graph has their shapes, which follow from the configuration, but no data. This
is enough to compare it with the graph of a file, and needs no PyTorch.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lstm_sentiment.config import Cell, Config, EncoderConfig, HeadKind
from lstm_sentiment.errors import InputError

OPSET, IR = 17, 8

# The index in PyTorch's order of each gate, in ONNX's order: i f g o -> i o f c, and r z n -> z r
# h.
GATES = {Cell.rnn: (0,), Cell.lstm: (0, 3, 1, 2), Cell.gru: (1, 0, 2)}
CELL_NODES = {
    Cell.rnn: ("RNN", {}),
    Cell.lstm: ("LSTM", {}),
    Cell.gru: ("GRU", {"linear_before_reset": 1}),  # as in PyTorch and cuDNN
}

Weights = Mapping[str, np.ndarray]  # of a network, float32, by PyTorch's names


class Graph:
    """A graph under construction: its nodes in the order of computation, and its tensors.

    `weights` are those of the network; if they are None, the tensors of weights have no data.
    """

    def __init__(self, weights: Weights | None) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[TensorProto] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant tensor; return its name."""
        return self._add(numpy_helper.from_array(np.ascontiguousarray(value, dtype)))

    def weight(self, shape: tuple[int, ...], values: Callable[[Weights], np.ndarray]) -> str:
        """Add a tensor of this shape, with `values` of the network's weights; return its name."""
        if self.weights is None:
            return self._add(TensorProto(dims=shape, data_type=TensorProto.FLOAT))
        array = values(self.weights)
        if array.shape != shape:
            raise ValueError(f"weights have the shape {array.shape}, but the graph needs {shape}")
        return self.constant(array)

    def _add(self, tensor: TensorProto) -> str:
        tensor.name = f"w{len(self.tensors)}"
        self.tensors.append(tensor)
        return tensor.name

    def integers(self, *values: int) -> str:
        """Add a constant vector of int64; return its name."""
        return self.constant(values, np.int64)

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or a list of names if it has several."""
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names


class EncoderOutputs(NamedTuple):
    """The names of the encoder's outputs, as in `model.encoders.contract`."""

    states: str  # (B, T, D)
    final: str  # (B, D)
    mask: str  # (B, T, 1) bool
    lengths: str  # (B,) int64
    size: int  # D


class HeadOutput(NamedTuple):
    """The name of the vectors of reviews, (B, size)."""

    name: str
    size: int


def onnx_model(
    config: Config, words: int, outputs: int, weights: Weights | None = None
) -> onnx.ModelProto:
    """Return the graph: `ids` (B, T) int64 and `lengths` (B,) int64 -> `logits`, (B,) or (B, K).

    The network knows `words` words and has `outputs` output units; its weights are in the graph if
    they are given. Padding is on the right. Raises InputError if the cell, the head or segments
    cannot be exported, and ValueError or OverflowError if sizes do not fit into an ONNX file.
    """
    for field, kind, supported in (
        ("encoder.cell", config.encoder.cell, CELL_NODES),
        ("head.kind", config.head.kind, HEAD_BUILDERS),
    ):
        if kind not in supported:
            allowed = ", ".join(each for each in type(kind) if each in supported)
            raise InputError(f"{field}={kind} cannot be exported to ONNX: allowed are {allowed}.")
    if config.encoder.segment is not None:
        raise InputError(
            f"encoder.segment={config.encoder.segment} cannot be exported to ONNX: only networks "
            "whose states never start anew can."
        )
    g = Graph(weights)
    encoded = _encoder(g, config, words)
    reduced = HEAD_BUILDERS[config.head.kind](g, encoded, config)
    logits = _linear(g, reduced.name, "output", (reduced.size, outputs))
    shape: list[str | int] = ["B", outputs]
    if outputs == 1:
        logits, shape = g.node("Squeeze", logits, g.integers(1)), ["B"]
    g.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    graph = helper.make_graph(
        g.nodes,
        "classifier",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "T"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["B"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        g.tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _encoder(g: Graph, config: Config, words: int) -> EncoderOutputs:
    encoder, width = config.encoder, config.embedding.dim
    node, attributes = CELL_NODES[encoder.cell]
    table = g.weight((words, width), lambda weights: weights["embedding.weight"])
    vectors = g.node("Gather", table, "ids")
    read = g.node("Transpose", vectors, perm=[1, 0, 2])  # (T, B, E)
    lengths = g.node("Cast", "lengths", to=TensorProto.INT32)
    for layer in range(encoder.num_layers):
        states, final, *_ = g.node(
            node,
            *(read, *_layer(g, encoder, layer, width), lengths),
            outputs=2,
            hidden_size=encoder.hidden_size,
            direction=_direction(encoder),
            **attributes,
        )
        # (T, directions, B, H) -> (T, B, D)
        concatenated = g.node("Transpose", states, perm=[0, 2, 1, 3])
        read = g.node("Reshape", concatenated, g.integers(0, 0, -1))
        width = encoder.hidden_size * (2 if encoder.bidirectional else 1)
    final = g.node("Reshape", g.node("Transpose", final, perm=[1, 0, 2]), g.integers(0, -1))
    steps = g.node("Gather", g.node("Shape", "ids"), g.constant(1, np.int64))
    positions = g.node("Range", g.constant(0, np.int64), steps, g.constant(1, np.int64))
    mask = g.node("Less", positions, g.node("Unsqueeze", "lengths", g.integers(1)))
    return EncoderOutputs(
        g.node("Transpose", read, perm=[1, 0, 2]),
        final,
        g.node("Unsqueeze", mask, g.integers(2)),
        "lengths",
        width,
    )


def _direction(config: EncoderConfig) -> str:
    """Return ONNX's name of the directions in which an encoder reads."""
    if config.bidirectional:
        return "bidirectional"
    return "reverse" if config.backward else "forward"


def _layer(g: Graph, config: EncoderConfig, layer: int, width: int) -> list[str]:
    """Add the weights of a layer with its gates in ONNX's order; return their names.

    These are the weights of the input, (directions, G H, width), and of the state, (directions,
    G H, H), and the biases, (directions, 2 G H).
    """
    names = [f"l{layer}", f"l{layer}_reverse"][: 2 if config.bidirectional else 1]
    gates = GATES[config.cell]
    rows = len(gates) * config.hidden_size

    def ordered(weights: Weights, kind: str) -> np.ndarray:
        parts = []
        for name in names:
            pieces = np.split(weights[f"encoder.rnn.{kind}_{name}"], len(gates))
            parts.append(np.concatenate([pieces[gate] for gate in gates]))
        return np.stack(parts)

    def biases(weights: Weights) -> np.ndarray:
        return np.concatenate([ordered(weights, "bias_ih"), ordered(weights, "bias_hh")], 1)

    return [
        g.weight((len(names), rows, width), lambda weights: ordered(weights, "weight_ih")),
        g.weight((len(names), rows, config.hidden_size), lambda w: ordered(w, "weight_hh")),
        g.weight((len(names), 2 * rows), biases),
    ]


def _linear(g: Graph, x: str, name: str, shape: tuple[int, int], bias: bool = True) -> str:
    """Add a linear layer, whose module has this name, of the shape (inputs, outputs)."""
    product = g.node("MatMul", x, g.weight(shape, lambda weights: weights[f"{name}.weight"].T))
    if not bias:
        return product
    return g.node("Add", product, g.weight(shape[1:], lambda weights: weights[f"{name}.bias"]))


def _last(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    return HeadOutput(encoded.final, encoded.size)


def _flatten(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    width = encoded.size * config.data.max_length
    flat = g.node("Reshape", encoded.states, g.integers(0, -1))  # (B, T D)
    size = g.node("Gather", g.node("Shape", flat), g.integers(1))
    missing = g.node("Sub", g.integers(width), size)
    sides = g.node("Concat", g.integers(0, 0, 0), missing, axis=0)
    return HeadOutput(g.node("Pad", flat, sides), width)


def _max(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    real = g.node("Where", encoded.mask, encoded.states, g.constant(-np.inf))
    return HeadOutput(g.node("ReduceMax", real, axes=[1], keepdims=0), encoded.size)


def _average(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    total = g.node("ReduceSum", encoded.states, g.integers(1), keepdims=0)  # zero on padding
    lengths = g.node("Cast", encoded.lengths, to=TensorProto.FLOAT)
    mean = g.node("Div", total, g.node("Unsqueeze", lengths, g.integers(1)))
    return HeadOutput(mean, encoded.size)


def _attention(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    size = encoded.size
    hidden = g.node("Tanh", _linear(g, encoded.states, "head.hidden", (size, size)))
    return _weighted_sum(g, encoded, _linear(g, hidden, "head.query", (size, 1), bias=False))


def _max_attention(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    query = g.node("Unsqueeze", _max(g, encoded, config).name, g.integers(2))
    norm = g.node("ReduceL2", encoded.states, axes=[2], keepdims=1)
    units = g.node("Div", encoded.states, g.node("Max", norm, g.constant(1e-12)))
    return _weighted_sum(g, encoded, g.node("MatMul", units, query))


def _concat(g: Graph, encoded: EncoderOutputs, config: Config) -> HeadOutput:
    parts = [build(g, encoded, config) for build in (_last, _max, _average)]
    vectors = g.node("Concat", *(part.name for part in parts), axis=1)
    return HeadOutput(vectors, sum(part.size for part in parts))


def _weighted_sum(g: Graph, encoded: EncoderOutputs, scores: str) -> HeadOutput:
    """Return the sum of the states weighted by the softmax of `scores`, (B, T, 1)."""
    real = g.node("Where", encoded.mask, scores, g.constant(-np.inf))
    product = g.node("Mul", encoded.states, g.node("Softmax", real, axis=1))
    return HeadOutput(g.node("ReduceSum", product, g.integers(1), keepdims=0), encoded.size)


HEAD_BUILDERS: Mapping[HeadKind, Callable[[Graph, EncoderOutputs, Config], HeadOutput]] = {
    HeadKind.last: _last,
    HeadKind.flatten: _flatten,
    HeadKind.max: _max,
    HeadKind.avg: _average,
    HeadKind.attention: _attention,
    HeadKind.max_attention: _max_attention,
    HeadKind.concat: _concat,
}
