"""A trained model as a folder: its weights, its configuration and its vocabulary.

Model folders are untrusted input: loading a folder never executes code and opens no file outside
it. Memory for the weights is allocated only after their shapes have been checked.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.outputs import folder_output
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import write_atomically, write_json
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.runs.folder import MODEL, RECORD
from lstm_sentiment.runs.record import SCHEMA, recorded, restored

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocab.json"
ONNX = "model.onnx"  # instead of the weights, in a folder for ONNX Runtime
CLASSES_FILE = "classes.json"  # the classes of a scikit-learn estimator
MODEL_FILES = frozenset({WEIGHTS, CONFIG, VOCABULARY, CLASSES_FILE})
MAX_LENGTH = 1_000_000  # tokens; the largest allowed data.max_length of a model
# A million words take about 2**24 bytes.
MAX_BYTES = {CONFIG: 2**20, VOCABULARY: 2**28, CLASSES_FILE: 2**20}
OTHER_FORMAT = "the file is damaged or has another format"


class TrainedModel(NamedTuple):
    """A model that was read from its folder."""

    classifier: Classifier  # in evaluation mode; its parameters need no gradients
    vocabulary: Vocabulary
    config: Config


def save_model(
    folder: Path, classifier: Classifier, vocabulary: Vocabulary, config: Config
) -> None:
    """Write weights, configuration and vocabulary, each file in one step."""
    folder.mkdir(exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in classifier.state_dict().items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights))
    save_description(folder, vocabulary, config)


@contextmanager
def model_draft(folder: Path) -> Iterator[Path]:
    """Yield a draft of the folder to write a model into, which replaces a saved model there.

    Raises InputError if the folder contains other files, cannot be written, is being written by
    another process, or is a part of a finished run, whose record describes its own model.
    """
    if (folder.resolve().parent / RECORD).exists():
        raise InputError(
            f"{folder} belongs to a finished run, whose {RECORD} describes its model: give a new "
            "folder."
        )
    with folder_output(folder, MODEL_FILES, is_description) as draft:
        yield draft


def is_description(folder: Path) -> bool:
    """Return whether the folder has a configuration as `save_description` writes it."""
    content = read_json(folder / CONFIG)
    return isinstance(content, dict) and type(content.get("schema")) is int


def save_description(folder: Path, vocabulary: Vocabulary, config: Config) -> None:
    """Write the configuration and the vocabulary, which determine the ids of a text."""
    write_json(folder / CONFIG, {"schema": SCHEMA, "config": recorded(config)})
    write_json(folder / VOCABULARY, vocabulary.words)


def read_model(folder: Path) -> TrainedModel:
    """Return the model in a folder.

    Raises InputError with the file if a file is missing, damaged, or does not fit the other files.
    """
    config, vocabulary = read_description(folder)
    checked_file(folder, WEIGHTS)
    with errors_name(folder / CONFIG):
        try:
            with torch.device("meta"):  # shapes only, nothing is allocated
                classifier = Classifier(config, len(vocabulary))
        except (RuntimeError, OverflowError, TypeError, ValueError) as error:
            raise InputError("its network is too large.") from error
    classifier.load_state_dict(read_weights(folder, classifier.state_dict()), assign=True)
    return TrainedModel(classifier.eval().requires_grad_(False), vocabulary, config)


def read_weights(folder: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a model, which must have the names and shapes of the expected ones.

    The expected ones may be on the device "meta". Raises InputError with the file if it is missing,
    damaged, or has other weights or numbers that are not finite.
    """
    file = checked_file(folder, WEIGHTS)
    with errors_name(file):
        try:
            return _checked_weights(file, expected)
        except (SafetensorError, OSError) as error:
            raise InputError(f"it is not a safetensors file; {OTHER_FORMAT}.") from error


def _checked_weights(file: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    with safe_open(file, framework="pt") as stored:
        names = set(stored.keys())
        if names != expected.keys():
            name = min(names ^ expected.keys())
            verb = "lacks" if name in expected else "has"
            raise InputError(f"it {verb} the weights {name[:80]!r}, unlike the configured network.")
        for name, tensor in expected.items():
            header = stored.get_slice(name)
            shape, dtype = tuple(header.get_shape()), header.get_dtype()
            if shape != tuple(tensor.shape) or dtype != "F32":
                raise InputError(
                    f"the weights {name!r} are {_form(shape, dtype)}, but the configured network "
                    f"and its vocabulary need {_form(tuple(tensor.shape), 'F32')}."
                )
        weights = {name: stored.get_tensor(name) for name in expected}
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(f"the weights {name!r} contain numbers that are not finite.")
    return weights


def _form(shape: tuple[int, ...], dtype: str) -> str:
    return f"{' x '.join(map(str, shape)) or 'one number'} in {dtype}"


def read_description(folder: Path) -> tuple[Config, Vocabulary]:
    """Return configuration and vocabulary of a model.

    Raises InputError with the file if a file is missing, damaged or of another version.
    """
    config, words = read_config(folder), read_words(folder)
    with errors_name(folder / VOCABULARY):
        try:
            return config, Vocabulary(words)
        except ValueError as error:
            raise InputError(f"{error}.") from error


def read_content(folder: Path) -> dict[str, Any]:
    """Return what `config.json` contains: the schema, the configuration and, perhaps, more.

    Raises InputError with the file if it is missing, damaged or of another version.
    """
    content = _read_json(folder, CONFIG)
    with errors_name(folder / CONFIG):
        if not isinstance(content, dict) or type(content.get("schema")) is not int:
            raise InputError("it is not the configuration of a model.")
        if content["schema"] != SCHEMA:
            raise InputError(
                f"it has schema {content['schema']}, and this version reads {SCHEMA}: "
                "use the version that wrote it, or a newer one."
            )
    return content


def read_config(folder: Path) -> Config:
    """Return the configuration of a model. Raises InputError with the file if it is not valid."""
    content = read_content(folder)
    with errors_name(folder / CONFIG):
        config = restored(content.get("config"))
        if config.data.max_length > MAX_LENGTH:
            raise InputError(
                f"data.max_length must be at most {MAX_LENGTH:,} (got {config.data.max_length})."
            )
    return config


def read_words(folder: Path) -> list[str]:
    """Return the vocabulary of a model. Raises InputError with the file if it is not a list."""
    words = _read_json(folder, VOCABULARY)
    with errors_name(folder / VOCABULARY):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError("it is not a list of words.")
    return words


def read_classes(folder: Path) -> Any:
    """Return what `classes.json` contains, or None if the folder of a model has no such file.

    Raises InputError with the file if it cannot be read.
    """
    return _read_json(folder, CLASSES_FILE) if (folder / CLASSES_FILE).exists() else None


def _read_json(folder: Path, name: str) -> Any:
    file = checked_file(folder, name)
    with errors_name(file):
        if (size := file.stat().st_size) > MAX_BYTES[name]:
            raise InputError(f"it has {size:,} bytes, more than the {MAX_BYTES[name]:,} allowed.")
        try:
            return json.loads(file.read_bytes())
        except OSError as error:
            raise InputError(f"it cannot be read ({error.strerror}).") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"it is not JSON; {OTHER_FORMAT}.") from error


def checked_file(folder: Path, name: str) -> Path:
    """Return the path of a file. Raises InputError unless it is a file in the folder itself."""
    file = folder / name
    try:
        if not file.is_file():
            raise InputError(
                f"{folder} is not a complete model: it has no file {name}; a finished run has "
                f"{WEIGHTS}, {CONFIG} and {VOCABULARY} in its {MODEL}/."
            )
        if not file.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{file} is a link to a file outside of its folder: give the file itself."
            )
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}).") from error
    return file


@contextmanager
def errors_name(file: Path) -> Iterator[None]:
    """Begin the message of an InputError with the name of the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
