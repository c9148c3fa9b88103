"""A trained n-gram baseline as a folder, with the same files as a network.

Such folders are untrusted input, too: reading one never executes code.

| file | content |
| --- | --- |
| `config.json` | the baseline's settings under `ngrams`, and the choices of its reviews |
| `vocab.json` | the n-grams |
| `model.safetensors` | `weights` and, for TF-IDF, `idf` of each n-gram, and `intercept` |

`weights` is (W,) and `intercept` is (1,) for two classes; they are (K, W) and (K,) for more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from lstm_sentiment.config import LONGEST_NGRAM, Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.files.writing import write_atomically, write_json
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel
from lstm_sentiment.runs.identity import BASELINE
from lstm_sentiment.runs.model_folder import (
    CONFIG,
    VOCABULARY,
    WEIGHTS,
    described,
    read_classes,
    read_config,
    read_content,
    read_ngram_list,
    read_weights,
)
from lstm_sentiment.runs.record import SCHEMA, recorded


def save_ngrams(
    folder: Path,
    classifier: NgramClassifier,
    settings: Mapping[str, Any],
    config: Config,
    classes: Classes = BINARY,
) -> None:
    """Write a baseline with its settings, as in its record, each file in one step."""
    folder.mkdir(exist_ok=True)
    intercept = np.atleast_1d(classifier.intercept)
    weights = {"weights": classifier.weights, "intercept": intercept}
    if classifier.idf is not None:
        weights["idf"] = classifier.idf
    write_atomically(folder / WEIGHTS, safetensors.numpy.save(weights))
    content = {
        "schema": SCHEMA,
        **described(classes),
        BASELINE: settings,
        "config": {"data": recorded(config)["data"]},
    }
    write_json(folder / CONFIG, content)
    write_json(folder / VOCABULARY, classifier.ngrams)


def holds_ngrams(folder: Path) -> bool:
    """Return whether the model in a folder is a baseline. Raises InputError like `read_content`."""
    return BASELINE in read_content(folder)


def read_ngrams(folder: Path) -> tuple[NgramClassifier, Config, Classes]:
    """Return the baseline in a folder, a configuration with the choices of its reviews, and the
    classes.

    Raises InputError with the file if a file is missing, damaged, or does not fit the other files.
    """
    settings = read_content(folder).get(BASELINE)
    with errors_named(folder / CONFIG):
        kind, longest = _checked_settings(settings)
    config, ngrams = read_config(folder), read_ngram_list(folder, VOCABULARY)
    classes = read_classes(folder)
    outputs = () if classes.outputs == 1 else (classes.outputs,)
    shapes = {"weights": (*outputs, len(ngrams)), "intercept": outputs or (1,)}
    if kind is NgramModel.logistic:
        shapes["idf"] = (len(ngrams),)
    values = read_weights(folder, shapes)
    intercept = values["intercept"] if outputs else values["intercept"][0]
    classifier = NgramClassifier(ngrams, values["weights"], intercept, values.get("idf"), longest)
    return classifier, config, classes


def _checked_settings(settings: object) -> tuple[NgramModel, int]:
    """Return the kind of a baseline, and the tokens of its longest n-grams."""
    if not isinstance(settings, dict):
        raise InputError(f"{BASELINE} must be a group of fields (got {settings!r:.60}).")
    name, longest = settings.get("kind"), settings.get("longest")
    kind = next((kind for kind in NgramModel if kind == name), None)
    if kind is None:
        raise InputError(
            f"{BASELINE}.kind must be one of {', '.join(NgramModel)} (got {name!r:.60})."
        )
    if type(longest) is not int or not 1 <= longest <= LONGEST_NGRAM:
        raise InputError(
            f"{BASELINE}.longest must be from 1 to {LONGEST_NGRAM} (got {longest!r:.60})."
        )
    return kind, longest
