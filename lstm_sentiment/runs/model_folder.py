"""A trained model as a folder: its weights, its configuration and its vocabulary.

`network_folder` and `ngram_folder` write and read the weights of each kind of model.

Model folders are untrusted input: loading a folder never executes code and opens no file outside
it. Memory for the weights is allocated only after their shapes have been checked.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from lstm_sentiment.config import Config, Tokenizer
from lstm_sentiment.data.subwords import Merge
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import JSON_BYTES, MODEL_BYTES, VOCABULARY_BYTES, WORDS
from lstm_sentiment.files.outputs import errors_of_writing, folder_output
from lstm_sentiment.files.reading import (
    errors_named,
    open_regular,
    parse_json,
    read_json,
    require_json,
)
from lstm_sentiment.files.writing import write_atomically, write_json
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.runs.folder import RECORD
from lstm_sentiment.runs.identity import LANGUAGE_MODEL
from lstm_sentiment.runs.record import READ, READABLE, SCHEMA, checked_classes, recorded, restored

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocab.json"
MERGES = "merges.json"  # of the subwords, if data.tokenizer is bpe
NGRAMS, NGRAM_WEIGHTS = "ngrams.json", "ngrams.safetensors"  # with `head.ngrams` only
ONNX = "model.onnx"  # instead of the weights, in a folder for ONNX Runtime
CLASSES_FILE = "classes.json"  # the classes of a scikit-learn estimator
MODEL_FILES = frozenset({WEIGHTS, CONFIG, VOCABULARY, MERGES, NGRAMS, NGRAM_WEIGHTS, CLASSES_FILE})
MAX_LENGTH = 1_000_000  # tokens; the largest allowed data.max_length of a model
NO_WEIGHTS = "it is damaged or not a safetensors file."

Shapes = Mapping[str, tuple[int, ...]]  # of weights, by their names


@contextmanager
def model_draft(folder: Path) -> Iterator[Path]:
    """Yield a draft of the folder to write a model into, which replaces a saved model there.

    Raises InputError if the folder contains other files, cannot be written, is being written by
    another process, or is a part of a finished run, whose record describes its own model.
    """
    with errors_of_writing(folder):
        if (Path(os.path.realpath(folder)).parent / RECORD).exists():
            raise InputError(
                f"{folder} belongs to a finished run, whose {RECORD} describes its model: give a "
                "new folder."
            )
    with folder_output(folder, MODEL_FILES, is_description) as draft:
        yield draft


def is_description(folder: Path) -> bool:
    """Return whether the folder has a configuration as `save_description` writes it."""
    content = read_json(folder / CONFIG)
    return isinstance(content, dict) and type(content.get("schema")) is int


def save_description(
    folder: Path,
    vocabulary: Vocabulary,
    config: Config,
    classes: Classes = BINARY,
    ngrams: NgramClassifier | None = None,
) -> None:
    """Write the configuration with the classes, the vocabulary with its merges, and the n-grams.

    They determine the ids of a text, and the meaning of the logits. `ngrams` is what `head.ngrams`
    requires.
    """
    if (ngrams is None) != (config.head.ngrams == 0):
        raise ValueError(f"head.ngrams={config.head.ngrams} does not fit the n-grams of the model")
    content = {"schema": SCHEMA, **described(classes), "config": recorded(config)}
    write_json(folder / CONFIG, content)
    write_json(folder / VOCABULARY, vocabulary.words)
    if vocabulary.merges is not None:
        write_json(folder / MERGES, vocabulary.merges)
    if ngrams is not None:
        write_json(folder / NGRAMS, ngrams.ngrams)
        weights = safetensors.numpy.save({"weights": ngrams.weights})
        write_atomically(folder / NGRAM_WEIGHTS, weights)


def described(classes: Classes) -> dict[str, Any]:
    """Return the entries of `config.json` for the classes and their threshold."""
    return {"classes": [*classes.names], "threshold": classes.threshold}


def read_ngram_weights(folder: Path, config: Config, classes: Classes) -> NgramClassifier | None:
    """Return what the n-grams of a review add to the logits of a network; None if it reads none.

    Raises InputError with the file if a file is missing, damaged, or does not fit the other files.
    """
    if config.head.ngrams == 0:
        return None
    ngrams = read_ngram_list(folder, NGRAMS)
    outputs = () if classes.outputs == 1 else (classes.outputs,)
    shapes = {"weights": (*outputs, len(ngrams))}
    weights = read_weights(folder, shapes, NGRAM_WEIGHTS)["weights"]
    intercept = np.zeros(outputs, np.float32)  # the output units of the network have one
    return NgramClassifier(ngrams, weights, intercept, None, config.head.ngrams)


def read_weights(folder: Path, shapes: Shapes, name: str = WEIGHTS) -> dict[str, np.ndarray]:
    """Return the weights in the file `name`, which must have these names and shapes, in float32.

    Raises InputError with the file if it is missing, damaged, or has other weights or numbers that
    are not finite.
    """
    with errors_named(folder / name), open_regular(folder / name) as stream:
        MODEL_BYTES.check(os.fstat(stream.fileno()).st_size)
        weights = _read_tensors(stream, _tensor_order(_read_header(stream), shapes), shapes)
        for part, values in weights.items():
            if not np.isfinite([values.min(), values.max()]).all():
                raise InputError(f"the weights {part!r} contain numbers that are not finite.")
        return weights


def _read_header(stream: BufferedReader) -> dict[str, Any]:
    """Return the descriptions of the tensors in a safetensors file, by name."""
    length = int.from_bytes(stream.read(8), "little")
    header = parse_json(stream.read(length)) if 0 < length <= JSON_BYTES.value else None
    if not isinstance(header, dict):
        raise InputError(NO_WEIGHTS)
    return {name: header[name] for name in header if name != "__metadata__"}


def _tensor_order(header: Mapping[str, Any], shapes: Shapes) -> list[str]:
    """Return the names of the tensors in the order of their data, which must have no gaps."""
    if header.keys() != shapes.keys():
        name = min(header.keys() ^ shapes.keys())
        verb = "lacks" if name in shapes else "has"
        raise InputError(f"it {verb} the weights {name[:80]!r}, unlike the configured network.")
    starts = {name: _check_form(name, header[name], shapes[name]) for name in shapes}
    names, end = sorted(starts, key=starts.__getitem__), 0
    for name in names:
        if starts[name] != end:
            raise InputError(NO_WEIGHTS)
        end += 4 * prod(shapes[name])
    return names


def _check_form(name: str, description: Any, expected: tuple[int, ...]) -> int:
    """Check type, shape and size of a tensor in a file; return the position of its data."""
    match description:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]}:
            if shape != [*expected] or dtype != "F32":
                raise InputError(
                    f"the weights {name!r} are {_form(shape, dtype)}, but the configured network "
                    f"and its vocabulary need {_form(expected, 'F32')}."
                )
            if end - start == 4 * prod(expected):
                return start
    raise InputError(NO_WEIGHTS)


def _form(shape: Sequence[object], dtype: str) -> str:
    return f"{' x '.join(map(str, shape[:8])) or 'one number'} in {dtype}"[:120]


def _read_tensors(
    stream: BufferedReader, names: Sequence[str], shapes: Shapes
) -> dict[str, np.ndarray]:
    """Read the data of tensors in this order, which must end with the file."""
    tensors = {}
    for name in names:
        tensors[name] = np.empty(shapes[name], np.dtype("<f4"))
        data = tensors[name].reshape(-1).view(np.uint8).data
        if stream.readinto(data) != len(data):
            raise InputError(f"it is damaged: it ends within the weights {name!r}.")
    if stream.read(1):
        raise InputError("it is damaged: data follow the last weights.")
    return tensors


def read_description(folder: Path) -> tuple[Config, Vocabulary, Classes]:
    """Return configuration, vocabulary and classes of a model.

    Raises InputError with the file if a file is missing, damaged or of another version.
    """
    config = read_config(folder)
    return config, read_vocabulary(folder, config.data.tokenizer), read_classes(folder)


def read_vocabulary(folder: Path, tokenizer: Tokenizer) -> Vocabulary:
    """Return the vocabulary of a model with this tokenizer.

    Raises InputError with the file if a file is missing or damaged.
    """
    words = read_words(folder)
    with _refusals_named(folder / VOCABULARY):
        vocabulary = Vocabulary(words)
    if tokenizer is not Tokenizer.bpe:
        return vocabulary
    merges = read_merges(folder)
    with _refusals_named(folder / MERGES):
        return Vocabulary(words, merges)


@contextmanager
def _refusals_named(file: Path) -> Iterator[None]:
    """Turn a ValueError of `Vocabulary` into InputError with the name of the file."""
    with errors_named(file):
        try:
            yield
        except ValueError as error:
            raise InputError(f"{error}.") from error


def read_content(folder: Path) -> dict[str, Any]:
    """Return what `config.json` contains: the schema, the configuration and, perhaps, more.

    Raises InputError with the file if it is missing, damaged or of another version.
    """
    content = require_json(folder / CONFIG)
    with errors_named(folder / CONFIG):
        if not isinstance(content, dict) or type(content.get("schema")) is not int:
            raise InputError("it is not the configuration of a model.")
        if content["schema"] not in READABLE:
            raise InputError(
                f"it has schema {content['schema']}, and this version reads {READ}: "
                "use the version that wrote it, or a newer one."
            )
    return content


def read_config(folder: Path) -> Config:
    """Return the configuration of a model. Raises InputError with the file if it is not valid."""
    content = read_content(folder)
    with errors_named(folder / CONFIG):
        if LANGUAGE_MODEL in content:
            raise InputError(
                "it is that of a language model, which knows no classes: give a network that was "
                "trained with encoder.start_from."
            )
        config = restored(content.get("config"))
        if config.data.max_length > MAX_LENGTH:
            raise InputError(
                f"data.max_length must be at most {MAX_LENGTH:,} (got {config.data.max_length})."
            )
    return config


def read_classes(folder: Path) -> Classes:
    """Return the classes of a model, with its threshold; those of schema 1 are usual.

    Raises InputError with the file if they are damaged.
    """
    content = read_content(folder)
    if content["schema"] == 1:
        return BINARY
    with errors_named(folder / CONFIG):
        try:
            return checked_classes(content.get("classes"), content.get("threshold"))
        except ValueError as error:
            raise InputError(f"it is damaged: {error}.") from error


def read_words(folder: Path, name: str = VOCABULARY) -> list[str]:
    """Return the vocabulary of a model. Raises InputError with the file if it is not a list."""
    words = require_json(folder / name, VOCABULARY_BYTES)
    with errors_named(folder / name):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError("it is not a list of words.")
        WORDS.check(len(words))
    return words


def read_ngram_list(folder: Path, name: str) -> list[str]:
    """Return the n-grams of a model. Raises InputError with the file if they are not distinct."""
    ngrams = read_words(folder, name)
    with errors_named(folder / name):
        if not ngrams or len(set(ngrams)) != len(ngrams):
            raise InputError("it must list at least one n-gram, and each n-gram once.")
    return ngrams


def read_merges(folder: Path) -> list[Merge]:
    """Return the merges of a vocabulary of subwords.

    Raises InputError with the file if it is missing or not a list of pairs.
    """
    content = require_json(folder / MERGES, VOCABULARY_BYTES)
    with errors_named(folder / MERGES):
        if not isinstance(content, list):
            raise InputError("it is not a list of merges.")
        WORDS.check(len(content))
        return [*map(_merge, content)]


def _merge(pair: object) -> Merge:
    match pair:
        case [str(left), str(right)]:
            return left, right
    raise InputError(f"a merge must be two subwords (got {pair!r:.60}).")


def read_estimator_classes(folder: Path) -> Any:
    """Return what `classes.json` contains, or None if the folder of a model has no such file.

    Raises InputError with the file if it cannot be read.
    """
    return require_json(folder / CLASSES_FILE) if (folder / CLASSES_FILE).exists() else None
