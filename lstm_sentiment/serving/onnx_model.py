"""A classifier as a folder for ONNX Runtime: written, in 32 or 8 bits, and read as untrusted."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from lstm_sentiment.config import Config
from lstm_sentiment.data.tokens import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.serving.onnx_graph import onnx_model
from lstm_sentiment.training.model_folder import (
    ONNX,
    checked_file,
    read_description,
    save_description,
)

QUANTIZED = ["Gather", "LSTM", "MatMul"]  # the nodes that have a form in 8 bits
# All that a graph of ours is made of, and what quantization makes of it: pure arithmetic.
NODES = frozenset(
    "Add Cast Concat Div Gather GRU Identity Less LSTM MatMul Max Mul Pad Range ReduceL2 ReduceMax "
    "ReduceSum Reshape RNN Shape Softmax Squeeze Sub Tanh Transpose Unsqueeze Where "
    "DequantizeLinear DynamicQuantizeLinear DynamicQuantizeLSTM MatMulInteger".split()
)


def save_onnx(
    folder: Path, classifier: Classifier, vocabulary: Vocabulary, config: Config, int8: bool = False
) -> None:
    """`model.onnx` with what tells how a text becomes ids; `int8` keeps weights in 8 bits."""
    model = onnx_model(classifier, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / ONNX, quantized(model) if int8 else model.SerializeToString())
    save_description(folder, vocabulary, config)


def quantized(model: onnx.ModelProto) -> bytes:
    """With weights in 8 bits and their products computed in them, as far as ONNX Runtime can."""
    with TemporaryDirectory() as scratch, _quiet():
        path = Path(scratch, ONNX)
        quantize_dynamic(model, path, op_types_to_quantize=QUANTIZED, weight_type=QuantType.QInt8)
        return path.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without advice that does not concern graphs like ours."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def read_onnx(
    folder: Path,
) -> tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], Vocabulary, Config]:
    """(B, T) ids, (B,) lengths -> (B,) logits, with words and configuration.

    Raises InputError where the folder is damaged, incomplete, of a newer version, or its graph
    anything that `save_onnx` does not write.
    """
    config, vocabulary = read_description(folder)
    file = checked_file(folder, ONNX)
    try:
        content = file.read_bytes()
        _check(onnx.load_model_from_string(content), len(vocabulary))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}).") from error
    except Exception as error:  # ONNX Runtime's have no common class
        if not isinstance(error, DecodeError | onnx.checker.ValidationError) and not type(
            error
        ).__module__.startswith("onnxruntime"):
            raise
        raise InputError(f"{file}: it is no network: it is damaged, or something else.") from error

    def logits(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return session.run(["logits"], {"ids": ids, "lengths": lengths})[0]

    return logits, vocabulary, config


def _check(model: onnx.ModelProto, words: int) -> None:
    """Raises InputError where a graph is none of ours, or not for so many words."""
    graph = model.graph
    if [value.name for value in (*graph.input, *graph.output)] != ["ids", "lengths", "logits"]:
        raise InputError("its network does not read ids and lengths and give logits.")
    if model.functions or graph.sparse_initializer:
        raise InputError("its graph holds what no network of ours has.")
    for node in graph.node:
        if node.op_type not in NODES:
            raise InputError(f"its graph has a node {node.op_type!r:.60}, which is not allowed.")
        # Every attribute of ours is a number, a name or a list of them.
        if any(a.HasField("g") or a.HasField("t") or a.graphs or a.tensors for a in node.attribute):
            raise InputError(f"its node {node.op_type} holds a graph or numbers of its own.")
    if any(weight.data_location == TensorProto.EXTERNAL for weight in graph.initializer):
        raise InputError("its weights lie in another file, which is not opened.")
    _check_weights({weight.name: weight for weight in graph.initializer}, words)


def _check_weights(weights: dict[str, TensorProto], words: int) -> None:
    largest = max((size for weight in weights.values() for size in weight.dims), default=0)
    for weight in weights.values():
        if np.prod(weight.dims, dtype=float) > 8 * len(weight.SerializeToString()):
            raise InputError(f"its weights {weight.name!r:.60} are larger than its file.")
        values = numpy_helper.to_array(weight)
        if values.dtype == np.int64 and values.size and abs(values).max() > largest:
            raise InputError("its graph pads beyond its own weights.")
        if np.isnan(values).any():
            raise InputError(f"its weights {weight.name!r:.60} hold numbers that are not finite.")
    vectors = [weight for weight in weights.values() if weight.name.startswith("w0")]
    if not any(len(weight.dims) == 2 and weight.dims[0] == words for weight in vectors):
        raise InputError(f"its network has not the {words:,} words of its vocabulary.")
