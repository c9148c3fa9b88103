"""A trained language model as a folder, from which a classifier can start.

Such folders are untrusted input, too: reading one never executes code.

| file | content |
| --- | --- |
| `config.json` | the configuration under `pretraining` |
| `vocab.json` | the words by frequency; with subwords, also `merges.json` |
| `model.safetensors` | the weights of the embedding, the encoder, the projections and the softmax |
| `copies.bin` | a value of each text that was read, as 64-bit little-endian numbers, sorted |

With the values of the texts, a run can tell whether the language model has read its test reviews.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
from torch import Tensor

from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import TEXTS
from lstm_sentiment.files.reading import content_digest, errors_named, read_bytes, require_json
from lstm_sentiment.files.writing import write_atomically, write_json
from lstm_sentiment.model.language_model import LanguageModel
from lstm_sentiment.runs.folder import COPIES, MODEL
from lstm_sentiment.runs.identity import LANGUAGE_MODEL
from lstm_sentiment.runs.model_folder import (
    CONFIG,
    MAX_LENGTH,
    MERGES,
    VOCABULARY,
    WEIGHTS,
    read_vocabulary,
)
from lstm_sentiment.runs.network_folder import read_network
from lstm_sentiment.runs.record import SCHEMA, recorded, restored_as

VALUE_BYTES = 8


class SavedLanguageModel(NamedTuple):
    """A language model that was read from its folder."""

    weights: dict[str, Tensor]  # of the whole model, by PyTorch's names
    vocabulary: Vocabulary
    config: PretrainingConfig
    copies: np.ndarray  # (N,) uint64, sorted, see `text_values`
    digest: str  # of its weights and its vocabulary


def save_language_model(
    folder: Path,
    model: LanguageModel,
    vocabulary: Vocabulary,
    config: PretrainingConfig,
    copies: np.ndarray,
) -> None:
    """Write a language model, each file in one step."""
    folder.mkdir(exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights))
    write_json(folder / CONFIG, {"schema": SCHEMA, LANGUAGE_MODEL: recorded(config)})
    write_json(folder / VOCABULARY, vocabulary.words)
    if vocabulary.merges is not None:
        write_json(folder / MERGES, vocabulary.merges)
    write_atomically(folder / COPIES, copies.astype("<u8").tobytes())


def model_folder_of(folder: Path) -> Path:
    """Return the folder of a language model's files, given it or the folder that contains it.

    Raises InputError if there is none. An unfinished language model has no such files.
    """
    for candidate in (folder / MODEL, folder):
        if (candidate / CONFIG).is_file() and (candidate / COPIES).is_file():
            return candidate
    raise InputError(
        f"{folder} is not the folder of a language model: give one that lstm-sentiment pretrain "
        "has made."
    )


def digest_of(folder: Path) -> str:
    """Return a digest of the weights and the words in the folder of a language model's files."""
    with errors_named(folder):
        return content_digest(folder / WEIGHTS, folder / VOCABULARY)


def read_pretraining_config(folder: Path) -> PretrainingConfig:
    """Return the configuration of a language model. Raises InputError if it is not valid."""
    content = require_json(folder / CONFIG)
    with errors_named(folder / CONFIG):
        if not isinstance(content, dict) or LANGUAGE_MODEL not in content:
            raise InputError("it is not the configuration of a language model.")
        config = restored_as(PretrainingConfig, content[LANGUAGE_MODEL])
        if config.data.max_length > MAX_LENGTH:
            raise InputError(
                f"data.max_length must be at most {MAX_LENGTH:,} (got {config.data.max_length})."
            )
        return config


def read_language_model(folder: Path) -> SavedLanguageModel:
    """Return the language model in a folder of files.

    Raises InputError with the file if a file is missing, damaged, or does not fit the others.
    """
    config = read_pretraining_config(folder)
    vocabulary = read_vocabulary(folder, config.data.tokenizer)
    _, weights = read_network(folder, lambda: LanguageModel(config, len(vocabulary)))
    return SavedLanguageModel(weights, vocabulary, config, _copies(folder), digest_of(folder))


def _copies(folder: Path) -> np.ndarray:
    content = read_bytes(folder / COPIES, TEXTS)
    if len(content) % VALUE_BYTES:
        raise InputError(f"{folder / COPIES}: it is damaged.")
    return np.frombuffer(content, "<u8")
