"""A trained network as a folder; see `model_folder`, which reads its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.runs.model_folder import (
    CONFIG,
    WEIGHTS,
    read_description,
    read_ngram_weights,
    read_weights,
    save_description,
)

Network = TypeVar("Network", bound=nn.Module)


class TrainedModel(NamedTuple):
    """A model that was read from its folder."""

    classifier: Classifier  # in evaluation mode; its parameters need no gradients
    vocabulary: Vocabulary
    config: Config
    classes: Classes
    ngrams: NgramClassifier | None  # its logits are added to those of the classifier


def save_model(
    folder: Path,
    classifier: Classifier,
    vocabulary: Vocabulary,
    config: Config,
    classes: Classes = BINARY,
    ngrams: NgramClassifier | None = None,
) -> None:
    """Write weights, configuration and vocabulary, each file in one step.

    `ngrams` replaces the layer for n-grams of the classifier, if it has one.
    """
    folder.mkdir(exist_ok=True)
    weights = {
        name: value.cpu().contiguous()
        for name, value in classifier.state_dict().items()
        if not name.startswith("wide.")
    }
    write_atomically(folder / WEIGHTS, safetensors.torch.save(weights))
    save_description(folder, vocabulary, config, classes, ngrams)


def read_model(folder: Path) -> TrainedModel:
    """Return the model in a folder.

    Raises InputError with the file if a file is missing, damaged, or does not fit the other files.
    """
    config, vocabulary, classes = read_description(folder)
    classifier, weights = read_network(
        folder, lambda: Classifier(config, len(vocabulary), classes.outputs)
    )
    classifier.load_state_dict(weights, assign=True)
    classifier.eval().requires_grad_(False)
    ngrams = read_ngram_weights(folder, config, classes)
    return TrainedModel(classifier, vocabulary, config, classes, ngrams)


def read_network(folder: Path, build: Callable[[], Network]) -> tuple[Network, dict[str, Tensor]]:
    """Return the network that `build` returns, without memory, and its weights in a folder.

    The network is on the device "meta". Raises InputError with the file if the network is too
    large, or like `read_weights`.
    """
    with errors_named(folder / CONFIG):
        try:
            with torch.device("meta"):
                network = build()
        except (RuntimeError, OverflowError, TypeError, ValueError) as error:
            raise InputError("its network is too large.") from error
    shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    weights = read_weights(folder, shapes)
    return network, {name: torch.from_numpy(values) for name, values in weights.items()}
