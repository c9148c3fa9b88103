"""A trained network as a folder without code: what is written, and what is believed of it.

Nothing that stands in such a folder is executed, and no file outside of it is opened. A network is
as large as its weights' file says only if that file is as large.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lstm_sentiment.config import Config
from lstm_sentiment.data.tokens import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training.record import SCHEMA, recorded, restored, write_json

MODEL = "model"  # the folder within a run's
WEIGHTS, CONFIG, WORDS = "model.safetensors", "config.json", "vocab.json"
ONNX = "model.onnx"  # in the place of the weights, where ONNX Runtime computes
LONGEST = 1_000_000  # tokens that a model may read of a review
LARGEST = {CONFIG: 2**20, WORDS: 2**28}  # bytes; a million words take about 2**24


class Trained(NamedTuple):
    classifier: Classifier  # in evaluation mode, without gradients of its own
    vocabulary: Vocabulary
    config: Config


def save_model(
    folder: Path, classifier: Classifier, vocabulary: Vocabulary, config: Config
) -> None:
    """Weights, configuration and words, each whole or not there."""
    folder.mkdir(exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in classifier.state_dict().items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights))
    save_description(folder, vocabulary, config)


def save_description(folder: Path, vocabulary: Vocabulary, config: Config) -> None:
    """What tells how a text becomes ids, whatever computes with them."""
    write_json(folder / CONFIG, {"schema": SCHEMA, "config": recorded(config)})
    write_json(folder / WORDS, vocabulary.words)


def read_model(folder: Path) -> Trained:
    """Raises InputError, with the file and what is wrong with it, where there is no whole model."""
    config, vocabulary = read_description(folder)
    weights = checked_file(folder, WEIGHTS)
    with _said_of(folder / CONFIG):
        try:
            with torch.device("meta"):  # shapes alone: nothing is allocated before it is compared
                classifier = Classifier(config, len(vocabulary))
        except (RuntimeError, OverflowError, TypeError, ValueError) as error:
            raise InputError("its network is larger than any can be.") from error
    with _said_of(weights):
        try:
            classifier.load_state_dict(_read_weights(weights, classifier.state_dict()), assign=True)
        except (SafetensorError, OSError) as error:
            raise InputError("it holds no weights as safetensors: it is damaged, or "
                             "something else.") from error  # fmt: skip
    return Trained(classifier.eval().requires_grad_(False), vocabulary, config)


def _read_weights(file: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    with safe_open(file, framework="pt") as stored:
        names = set(stored.keys())
        if names != expected.keys():
            name = min(names ^ expected.keys())
            which = "lacks" if name in expected else "has"
            raise InputError(
                f"it {which} the weights {name[:80]!r}, unlike the configured network."
            )
        for name, tensor in expected.items():
            found = stored.get_slice(name)
            shape, dtype = tuple(found.get_shape()), found.get_dtype()
            if shape != tuple(tensor.shape) or dtype != "F32":
                raise InputError(
                    f"the weights {name!r} are {_form(shape, dtype)}, where the configured network "
                    f"and its words have {_form(tuple(tensor.shape), 'F32')}."
                )
        weights = {name: stored.get_tensor(name) for name in expected}
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(f"the weights {name!r} hold numbers that are not finite.")
    return weights


def _form(shape: tuple[int, ...], dtype: str) -> str:
    return f"{' x '.join(map(str, shape)) or 'one number'} in {dtype}"


def read_description(folder: Path) -> tuple[Config, Vocabulary]:
    """Raises InputError where configuration or words are missing, damaged or newer."""
    content = _read_json(folder, CONFIG)
    with _said_of(folder / CONFIG):
        if not isinstance(content, dict) or type(content.get("schema")) is not int:
            raise InputError("it is no configuration of a model.")
        if content["schema"] != SCHEMA:
            raise InputError(
                f"it has schema {content['schema']}, and this version reads {SCHEMA}: "
                "use the version that wrote it, or a newer one."
            )
        config = restored(content.get("config"))
        if config.data.max_length > LONGEST:
            raise InputError(
                f"data.max_length={config.data.max_length} is more than the {LONGEST:,} allowed."
            )
    words = _read_json(folder, WORDS)
    with _said_of(folder / WORDS):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError("it is no list of words.")
        try:
            return config, Vocabulary(words)
        except ValueError as error:
            raise InputError(f"{error}.") from error


def _read_json(folder: Path, name: str) -> Any:
    file = checked_file(folder, name)
    with _said_of(file):
        if (size := file.stat().st_size) > LARGEST[name]:
            raise InputError(f"it has {size:,} bytes, more than the {LARGEST[name]:,} allowed.")
        try:
            return json.loads(file.read_bytes())
        except OSError as error:
            raise InputError(f"it cannot be read ({error.strerror}).") from error
        except (ValueError, RecursionError) as error:
            raise InputError("it is no JSON: it is damaged, or something else.") from error


def checked_file(folder: Path, name: str) -> Path:
    """The file, if it is one and lies in the folder itself. Raises InputError."""
    file = folder / name
    try:
        if not file.is_file():
            raise InputError(
                f"{folder} is no whole model: it has no file {name}; "
                f"a finished run has {WEIGHTS}, {CONFIG} and {WORDS} in its {MODEL}/."
            )
        if not file.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{file} is a link that leads out of its folder: give a model whole.")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}).") from error
    return file


@contextmanager
def _said_of(file: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
