"""classifier <-> folder for ONNX Runtime, with weights in 32 or 8 bits.

Folders are untrusted input: reading a folder never executes code and opens no file outside it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import scratch_folder, write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.model_folder import ONNX, checked_file, read_description, save_description
from lstm_sentiment.serving.onnx_graph import onnx_model

QUANTIZED = ["Gather", "LSTM", "MatMul"]  # nodes for which ONNX Runtime has an 8-bit form
# The nodes that `onnx_graph` and the quantization write; all of them are pure arithmetic.
ALLOWED_NODES = frozenset(
    "Add Cast Concat Div Gather GRU Identity Less LSTM MatMul Max Mul Pad Range ReduceL2 ReduceMax "
    "ReduceSum Reshape RNN Shape Softmax Squeeze Sub Tanh Transpose Unsqueeze Where "
    "DequantizeLinear DynamicQuantizeLinear DynamicQuantizeLSTM MatMulInteger".split()
)
# Nodes that take the scale of their 8-bit products from all values of a batch.
SCALED_BY_BATCH = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeLSTM"})


class OnnxNetwork:
    """A network that ONNX Runtime computes: (B, T) ids, (B,) lengths -> (B,) logits.

    In 8 bits, the logit of a review would depend on the other reviews of its batch and on their
    padding, which take part in the scales. Such a network therefore reads one review at a time.
    """

    def __init__(self, content: bytes, one_by_one: bool) -> None:
        self.content, self.one_by_one = content, one_by_one
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # This entry is for the threads of the session. The first session of a process also changes
        # the mode of this thread, which is restored here.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        with subnormals_flushed():
            self.session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])

    def __call__(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the logits."""
        with subnormals_flushed():  # this thread computes, too
            return self._logits(ids, lengths)

    def _logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if not self.one_by_one:
            return self._run(ids, lengths)
        rows = (slice(row, row + 1) for row in range(len(ids)))
        logits = [self._run(ids[row, : lengths[row].item()], lengths[row]) for row in rows]
        return np.concatenate(logits)

    def _run(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return self.session.run(["logits"], {"ids": ids, "lengths": lengths})[0]

    def __reduce__(self) -> tuple[type["OnnxNetwork"], tuple[bytes, bool]]:
        """Pickle and copy the file's content, since a session can be neither pickled nor copied."""
        return OnnxNetwork, (self.content, self.one_by_one)


def save_onnx(
    folder: Path, classifier: Classifier, vocabulary: Vocabulary, config: Config, int8: bool = False
) -> None:
    """Write `model.onnx`, configuration and vocabulary; `int8` stores the weights in 8 bits."""
    model = onnx_model(classifier, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / ONNX, quantized(model) if int8 else model.SerializeToString())
    save_description(folder, vocabulary, config)


def quantized(model: onnx.ModelProto) -> bytes:
    """Return the serialized model with 8-bit weights and, if supported, 8-bit products."""
    with scratch_folder() as scratch, _no_warnings():
        path = scratch / ONNX
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=QUANTIZED,
            weight_type=QuantType.QInt8,
            # With 8 bits, sums of two products overflow on processors without VNNI.
            reduce_range=True,
        )
        return path.read_bytes()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Suppress the advice to preprocess the graph, which has no parts to simplify."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def read_onnx(folder: Path) -> tuple[OnnxNetwork, Vocabulary, Config]:
    """Return the network, the vocabulary and the configuration.

    Raises InputError if the folder is damaged, incomplete or of a newer version, or if its graph
    contains parts that `save_onnx` does not write.
    """
    config, vocabulary = read_description(folder)
    file = checked_file(folder, ONNX)
    try:
        content = file.read_bytes()
        model = onnx.load_model_from_string(content)
        _check(model, len(vocabulary))
        one_by_one = any(node.op_type in SCALED_BY_BATCH for node in model.graph.node)
        return OnnxNetwork(content, one_by_one), vocabulary, config
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}).") from error
    except Exception as error:  # the exceptions of ONNX Runtime have no common class
        if not isinstance(error, DecodeError | onnx.checker.ValidationError) and not type(
            error
        ).__module__.startswith("onnxruntime"):
            raise
        raise InputError(f"{file} is damaged or not an ONNX model.") from error


def _check(model: onnx.ModelProto, vocabulary_size: int) -> None:
    """Raise InputError if `save_onnx` cannot have written the graph for this vocabulary."""
    graph = model.graph
    if [value.name for value in (*graph.input, *graph.output)] != ["ids", "lengths", "logits"]:
        raise InputError("its inputs must be ids and lengths, and its output logits.")
    if model.functions or graph.sparse_initializer:
        raise InputError("functions and sparse weights are not allowed.")
    for node in graph.node:
        if node.op_type not in ALLOWED_NODES:
            raise InputError(f"a node {node.op_type!r:.60} is not allowed.")
        # `onnx_graph` writes numbers, strings and lists of them only.
        if any(a.HasField("g") or a.HasField("t") or a.graphs or a.tensors for a in node.attribute):
            raise InputError(f"its node {node.op_type} contains a graph or a tensor.")
    if any(weight.data_location == TensorProto.EXTERNAL for weight in graph.initializer):
        raise InputError("its weights are in another file, which is not opened.")
    _check_weights(graph.initializer, vocabulary_size)


def _check_weights(weights: Sequence[TensorProto], vocabulary_size: int) -> None:
    largest = max((size for weight in weights for size in weight.dims), default=0)
    for weight in weights:
        if np.prod(weight.dims, dtype=float) > 8 * len(weight.SerializeToString()):
            raise InputError(f"its weights {weight.name!r:.60} have a shape larger than the file.")
        values = numpy_helper.to_array(weight)
        if values.dtype == np.int64 and values.size and abs(values).max() > largest:
            raise InputError(f"{weight.name!r:.60} pads beyond the size of the weights.")
        if np.isnan(values).any():
            raise InputError(f"its weights {weight.name!r:.60} are not all finite.")
    vectors = [weight for weight in weights if weight.name.startswith("w0")]
    if not any(len(weight.dims) == 2 and weight.dims[0] == vocabulary_size for weight in vectors):
        raise InputError(
            f"its embedding must have {vocabulary_size:,} rows, the size of the vocabulary."
        )
