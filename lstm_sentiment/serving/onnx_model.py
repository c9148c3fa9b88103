"""network <-> folder for ONNX Runtime, with weights in 32 or 8 bits.

Folders are untrusted input. Only the numbers of the weights are taken from a file: its graph must
be the one that this module writes for the configuration, and that one is computed.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.display import printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import MODEL_BYTES
from lstm_sentiment.files.reading import errors_named, read_bytes
from lstm_sentiment.files.varint import read_varint
from lstm_sentiment.files.writing import scratch_folder, write_atomically
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.model_folder import (
    CONFIG,
    ONNX,
    read_description,
    read_ngram_weights,
    save_description,
)
from lstm_sentiment.serving.onnx_graph import onnx_model

if TYPE_CHECKING:  # exported networks are read without PyTorch
    from lstm_sentiment.model.classifier import Classifier

QUANTIZED = ["Gather", "LSTM", "MatMul"]  # nodes for which ONNX Runtime has an 8-bit form
# Nodes that take the scale of their 8-bit products from all values of a batch.
SCALED_BY_BATCH = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeLSTM"})
QUANTIZED_NAME = re.compile(r"(.*)_(quantized|scale|zero_point)")  # of a weight, from its own name
WEIGHT_DATA = (7, 5, 9)  # the fields ModelProto.graph, GraphProto.initializer, TensorProto.raw_data
MAX_OTHER_BYTES = 2**17  # of all else in a file; protobuf may need a hundred times as much memory


class OnnxNetwork:
    """A network that ONNX Runtime computes: (B, T) ids, (B,) lengths -> (B,) or (B, K) logits.

    In 8 bits, the logit of a review would depend on the other reviews of its batch and on their
    padding, which take part in the scales. Such a network therefore reads one review at a time.
    """

    def __init__(self, content: bytes, one_by_one: bool) -> None:
        self.content, self.one_by_one = content, one_by_one
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # ONNX Runtime itself does not read the variable; 0 stands for all cores.
        threads = os.environ.get("OMP_NUM_THREADS", "")
        options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
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
    folder: Path,
    classifier: "Classifier",
    vocabulary: Vocabulary,
    config: Config,
    int8: bool = False,
    classes: Classes = BINARY,
    ngrams: NgramClassifier | None = None,
) -> None:
    """Write `model.onnx`, configuration and vocabulary; `int8` stores the weights in 8 bits.

    The graph is that of the network. The weights of `ngrams` are beside it, in 32 bits, since a
    graph cannot read words.
    """
    weights = {name: value.numpy() for name, value in classifier.state_dict().items()}
    model = onnx_model(config, len(vocabulary), classes.outputs, weights)
    onnx.checker.check_model(model, full_check=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / ONNX, quantized(model) if int8 else model.SerializeToString())
    save_description(folder, vocabulary, config, classes, ngrams)


def quantized(model: onnx.ModelProto) -> bytes:
    """Return the serialized model with 8-bit weights and, if supported, 8-bit products."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # slow to import

    with scratch_folder() as scratch, _no_warnings():
        path = scratch / ONNX
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=QUANTIZED,
            weight_type=QuantType.QInt8,
            # With 8 bits, sums of two products overflow on processors without VNNI.
            reduce_range=True,
            # of results whose type is not found, because the weights have no sizes that fit
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
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


class OnnxModel(NamedTuple):
    """An exported model that was read from its folder."""

    network: OnnxNetwork
    vocabulary: Vocabulary
    config: Config
    classes: Classes
    ngrams: NgramClassifier | None  # its logits are added to those of the network


def read_onnx(folder: Path) -> OnnxModel:
    """Return the exported model in a folder.

    Raises InputError with the file if a file is missing or damaged, or if the graph is not the one
    that `save_onnx` writes for the configuration and the vocabulary.
    """
    config, vocabulary, classes = read_description(folder)
    expected = _expected_model(folder, config, len(vocabulary), classes)
    with errors_named(folder / ONNX):
        model = _parsed(read_bytes(folder / ONNX, MODEL_BYTES))
        if any(
            w.data_type in (TensorProto.INT8, TensorProto.UINT8) for w in model.graph.initializer
        ):
            expected = quantized_shape(expected)
        _check_graph(model, expected)
        for tensor, given in zip(expected.graph.initializer, model.graph.initializer, strict=True):
            _fill(tensor, given)
        one_by_one = any(node.op_type in SCALED_BY_BATCH for node in expected.graph.node)
        network = OnnxNetwork(expected.SerializeToString(), one_by_one)
    ngrams = read_ngram_weights(folder, config, classes)
    return OnnxModel(network, vocabulary, config, classes, ngrams)


def _expected_model(folder: Path, config: Config, words: int, classes: Classes) -> onnx.ModelProto:
    """Return the model that the folder describes, without weights."""
    try:
        return onnx_model(config, words, classes.outputs)
    except InputError:  # which is a ValueError
        raise
    except (OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{folder / CONFIG}: its network is too large.") from error


def _parsed(content: bytes) -> onnx.ModelProto:
    """Return the model in a file. Raises InputError if it has much more than weights."""
    damaged = InputError("it is damaged or not an ONNX model.")
    try:
        if _other_bytes(memoryview(content), WEIGHT_DATA, MAX_OTHER_BYTES) > MAX_OTHER_BYTES:
            raise damaged
        return onnx.load_model_from_string(content)
    except (DecodeError, IndexError) as error:
        raise damaged from error


def _other_bytes(message: memoryview, path: tuple[int, ...], enough: int) -> int:
    """Count the bytes of a protobuf message except the fields at the end of the path.

    The path has the numbers of nested fields. Counting stops when there are more than `enough`.
    Raises IndexError or DecodeError if the message is damaged.
    """
    if not path:
        return 0
    other = position = 0
    while position < len(message) and other <= enough:
        start = position
        key, position = read_varint(message, position)
        size, position = _field_size(message, position, key & 7)
        other += position - start
        content = message[position : position + size]
        is_on_path = key == path[0] << 3 | 2
        other += _other_bytes(content, path[1:], enough - other) if is_on_path else size
        position += size
    return other


def _field_size(message: memoryview, position: int, wire_type: int) -> tuple[int, int]:
    """Return the size of the content of a field, and the position at which it begins."""
    match wire_type:
        case 0:
            return 0, read_varint(message, position)[1]
        case 1 | 5:
            return (8 if wire_type == 1 else 4), position
        case 2:
            return read_varint(message, position)
    raise DecodeError(f"unknown type {wire_type} of a field")


def quantized_shape(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the 8-bit form of a model whose weights have no data, also without data.

    The quantization never looks at sizes. It is therefore applied to weights of the shape 1, 1 x 2
    or 1 x 2 x 3. In the shapes of its result, each size then tells a dimension of the weight.
    """
    small = onnx.ModelProto()
    small.CopyFrom(model)
    shapes = {}
    for weight in small.graph.initializer:
        if not weight.raw_data:
            shapes[weight.name] = tuple(weight.dims)
            zeros = np.zeros(range(1, len(weight.dims) + 1), np.float32)
            weight.CopyFrom(numpy_helper.from_array(zeros, weight.name))
    result = onnx.load_model_from_string(quantized(small))
    del result.graph.value_info[:]  # shapes that follow from those of the small weights
    for weight in result.graph.initializer:
        match = QUANTIZED_NAME.fullmatch(weight.name)
        if (shape := shapes.get(match[1] if match else weight.name)) is not None:
            weight.CopyFrom(_shape_only(weight, [shape[size - 1] for size in weight.dims]))
    return result


def _check_graph(model: onnx.ModelProto, expected: onnx.ModelProto) -> None:
    """Raise InputError if the graphs differ, apart from the data of their tensors.

    The names of producers and the shapes of intermediate results do not matter.
    """
    given, wanted = model.graph, expected.graph
    for part, of_file, of_network in (
        ("set of operators", model.opset_import, expected.opset_import),
        ("function", model.functions, expected.functions),
        ("sparse tensor", given.sparse_initializer, wanted.sparse_initializer),
        ("input", given.input, wanted.input),
        ("output", given.output, wanted.output),
        ("node", given.node, wanted.node),
        ("tensor", map(_form, given.initializer), map(_form, wanted.initializer)),
    ):
        for number, (one, other) in enumerate(zip_longest(of_file, of_network), 1):
            if one != other:
                raise InputError(
                    f"its {part} {number} is {_described(one)}, but the configured network and its "
                    f"vocabulary need {_described(other)} (if another version wrote the file, "
                    "export the run again)."
                )


def _form(tensor: TensorProto) -> str:
    kind = TensorProto.DataType.Name(tensor.data_type)
    return f"{tensor.name!r}: {' x '.join(map(str, tensor.dims)) or 'one number'} in {kind}"


def _described(part: object) -> str:
    return "missing" if part is None else printable(" ".join(str(part).split()))[:120]


def _fill(tensor: TensorProto, given: TensorProto) -> None:
    """Copy the data of a weight of a file; data of constants must be equal to those of `tensor`."""
    if given.data_location == TensorProto.EXTERNAL:
        raise InputError("its weights are in another file, which is not opened.")
    values = numpy_helper.to_array(given)
    if tensor.ByteSize() > _shape_only(tensor).ByteSize():
        if not np.array_equal(values, numpy_helper.to_array(tensor)):
            raise InputError(f"its constant {tensor.name!r} is not that of the configured network.")
    elif not np.isfinite(values).all():
        raise InputError(f"its weights {tensor.name!r} are not all finite.")
    else:
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _shape_only(tensor: TensorProto, dims: Iterable[int] | None = None) -> TensorProto:
    """Return the tensor without its data, and with other dimensions if they are given."""
    shape = tensor.dims if dims is None else dims
    return TensorProto(name=tensor.name, dims=shape, data_type=tensor.data_type)
