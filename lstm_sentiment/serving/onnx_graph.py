"""classifier -> ONNX graph, node by node.

ONNX defines the recurrent cells with a length for each review, so the graph has the same
structure as the network.
PyTorch's exporters are not used: the newer one fixes the number of time steps of recurrent
networks, and the older one is deprecated.

The weights may be on the device "meta". The graph then has their shapes but no data, which is
enough to compare it with the graph of a file.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from lstm_sentiment.config import Cell, Config, EncoderConfig, HeadKind
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.encoders.recurrent import RecurrentEncoder

OPSET, IR = 17, 8

# The index in PyTorch's order of each gate, in ONNX's order: i f g o -> i o f c, and r z n -> z r
# h.
GATES = {Cell.rnn: (0,), Cell.lstm: (0, 3, 1, 2), Cell.gru: (1, 0, 2)}
CELL_NODES = {
    Cell.rnn: ("RNN", {}),
    Cell.lstm: ("LSTM", {}),
    Cell.gru: ("GRU", {"linear_before_reset": 1}),  # as in PyTorch and cuDNN
}


class Graph:
    """A graph under construction: its nodes in the order of computation, and its weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant tensor; return its name."""
        return self._add(numpy_helper.from_array(np.ascontiguousarray(value, dtype)))

    def weight(self, value: Tensor) -> str:
        """Add a tensor of weights, without data if it is on the device "meta"; return its name."""
        if value.is_meta:
            return self._add(TensorProto(dims=value.shape, data_type=TensorProto.FLOAT))
        return self.constant(value.detach().numpy())

    def _add(self, tensor: TensorProto) -> str:
        tensor.name = f"w{len(self.weights)}"
        self.weights.append(tensor)
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


def onnx_model(classifier: Classifier, config: Config) -> onnx.ModelProto:
    """Return the graph: `ids` (B, T) int64 and `lengths` (B,) int64 -> `logits`, (B,) or (B, K).

    Padding is on the right. Raises InputError if the cell, the head or segments cannot be exported.
    """
    for field, kind, supported in (
        ("encoder.cell", config.encoder.cell, CELL_NODES),
        ("head.kind", config.head.kind, HEAD_BUILDERS),
    ):
        if kind not in supported:
            allowed = ", ".join(supported)
            raise InputError(f"{field}={kind} cannot be exported to ONNX: allowed are {allowed}.")
    if config.encoder.segment is not None:
        raise InputError(
            f"encoder.segment={config.encoder.segment} cannot be exported to ONNX: only networks "
            "whose states never start anew can."
        )
    g = Graph()
    encoded = _encoder(g, classifier, config)
    reduced = HEAD_BUILDERS[config.head.kind](g, encoded, classifier.head)
    logits = _linear(g, reduced, classifier.output)
    shape: list[str | int] = ["B", classifier.output.out_features]
    if classifier.output.out_features == 1:
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
        g.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _encoder(g: Graph, classifier: Classifier, config: Config) -> EncoderOutputs:
    assert isinstance(classifier.encoder, RecurrentEncoder)  # true for all cells of CELL_NODES
    rnn, kind = classifier.encoder.rnn, config.encoder.cell
    vectors = g.node("Gather", g.weight(classifier.embedding.weight), "ids")
    read = g.node("Transpose", vectors, perm=[1, 0, 2])  # (T, B, E)
    lengths = g.node("Cast", "lengths", to=TensorProto.INT32)
    for layer in range(rnn.num_layers):
        node, attributes = CELL_NODES[kind]
        weights = [g.weight(w) for w in _layer(rnn, layer, GATES[kind])]
        states, final, *_ = g.node(
            node,
            *(read, *weights, lengths),
            outputs=2,
            hidden_size=rnn.hidden_size,
            direction=_direction(config.encoder),
            **attributes,
        )
        # (T, directions, B, H) -> (T, B, D)
        concatenated = g.node("Transpose", states, perm=[0, 2, 1, 3])
        read = g.node("Reshape", concatenated, g.integers(0, 0, -1))
    final = g.node("Reshape", g.node("Transpose", final, perm=[1, 0, 2]), g.integers(0, -1))
    steps = g.node("Gather", g.node("Shape", "ids"), g.constant(1, np.int64))
    positions = g.node("Range", g.constant(0, np.int64), steps, g.constant(1, np.int64))
    mask = g.node("Less", positions, g.node("Unsqueeze", "lengths", g.integers(1)))
    return EncoderOutputs(
        g.node("Transpose", read, perm=[1, 0, 2]),
        final,
        g.node("Unsqueeze", mask, g.integers(2)),
        "lengths",
    )


def _direction(config: EncoderConfig) -> str:
    """Return ONNX's name of the directions in which an encoder reads."""
    if config.bidirectional:
        return "bidirectional"
    return "reverse" if config.backward else "forward"


def _layer(rnn: nn.RNNBase, layer: int, gates: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield the weights of a layer with its gates in ONNX's order.

    These are the weights of the input, (directions, G, input), and of the state, (directions, G,
    H), and the biases, (directions, 2 G).
    """
    names = [f"l{layer}", f"l{layer}_reverse"][: 2 if rnn.bidirectional else 1]

    def ordered(kind: str) -> Tensor:
        parts = []
        for name in names:
            pieces = getattr(rnn, f"{kind}_{name}").chunk(len(gates))
            parts.append(torch.cat([pieces[gate] for gate in gates]))
        return torch.stack(parts)

    yield ordered("weight_ih")
    yield ordered("weight_hh")
    yield torch.cat([ordered("bias_ih"), ordered("bias_hh")], 1)


def _linear(g: Graph, x: str, layer: nn.Linear) -> str:
    product = g.node("MatMul", x, g.weight(layer.weight.T))
    return product if layer.bias is None else g.node("Add", product, g.weight(layer.bias))


def _last(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    return encoded.final


def _flatten(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    flat = g.node("Reshape", encoded.states, g.integers(0, -1))  # (B, T D)
    size = g.node("Gather", g.node("Shape", flat), g.integers(1))
    missing = g.node("Sub", g.integers(head.output_size), size)
    sides = g.node("Concat", g.integers(0, 0, 0), missing, axis=0)
    return g.node("Pad", flat, sides)


def _max(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    real = g.node("Where", encoded.mask, encoded.states, g.constant(-np.inf))
    return g.node("ReduceMax", real, axes=[1], keepdims=0)


def _average(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    total = g.node("ReduceSum", encoded.states, g.integers(1), keepdims=0)  # zero on padding
    lengths = g.node("Cast", encoded.lengths, to=TensorProto.FLOAT)
    return g.node("Div", total, g.node("Unsqueeze", lengths, g.integers(1)))


def _attention(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    hidden = g.node("Tanh", _linear(g, encoded.states, head.hidden))
    return _weighted_sum(g, encoded, _linear(g, hidden, head.query))


def _max_attention(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    query = g.node("Unsqueeze", _max(g, encoded, head), g.integers(2))
    norm = g.node("ReduceL2", encoded.states, axes=[2], keepdims=1)
    units = g.node("Div", encoded.states, g.node("Max", norm, g.constant(1e-12)))
    return _weighted_sum(g, encoded, g.node("MatMul", units, query))


def _concat(g: Graph, encoded: EncoderOutputs, head: Any) -> str:
    parts = [build(g, encoded, head) for build in (_last, _max, _average)]
    return g.node("Concat", *parts, axis=1)


def _weighted_sum(g: Graph, encoded: EncoderOutputs, scores: str) -> str:
    """Return the sum of the states weighted by the softmax of `scores`, (B, T, 1)."""
    real = g.node("Where", encoded.mask, scores, g.constant(-np.inf))
    product = g.node("Mul", encoded.states, g.node("Softmax", real, axis=1))
    return g.node("ReduceSum", product, g.integers(1), keepdims=0)


HEAD_BUILDERS: Mapping[HeadKind, Callable[[Graph, EncoderOutputs, Any], str]] = {
    HeadKind.last: _last,
    HeadKind.flatten: _flatten,
    HeadKind.max: _max,
    HeadKind.avg: _average,
    HeadKind.attention: _attention,
    HeadKind.max_attention: _max_attention,
    HeadKind.concat: _concat,
}
