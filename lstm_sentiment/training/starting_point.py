"""A language model -> the embedding and the encoder from which a classifier starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_sentiment.config import Config, EncoderConfig
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.language_batches import text_values
from lstm_sentiment.data.sources import TRAIN
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.vocabulary import SPECIALS
from lstm_sentiment.display import counted, typed_value
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.runs.hub_models import PREFIX
from lstm_sentiment.runs.language_model_folder import (
    SavedLanguageModel,
    digest_of,
    model_folder_of,
    read_language_model,
    read_pretraining_config,
)

# What a network must share with the language model. `data.preparation` and `data.tokenizer` say how
# texts become words.
SHARED = (
    "encoder.cell",
    "encoder.hidden_size",
    "encoder.num_layers",
    "encoder.bidirectional",
    "encoder.backward",
    "embedding.dim",
    "data.preparation",
    "data.tokenizer",
)


@dataclass(frozen=True)
class StartingPoint:
    """A language model, and its words among the V words of a network's vocabulary."""

    model: SavedLanguageModel
    rows: np.ndarray  # (V,) int64, the id of each word in the language model; -1 if it has none
    read_validation: int  # validation reviews whose texts, not labels, the language model has read

    @property
    def has_vector(self) -> np.ndarray:
        """Which words of the network's vocabulary the language model has, (V,) bool."""
        return self.rows >= 0

    @property
    def vectors(self) -> np.ndarray:
        """The vectors of the network's vocabulary, (V, E) float32, zero for other words."""
        table = self.model.weights["embedding.weight"].numpy()
        return np.where(self.has_vector[:, None], table[self.rows], np.float32(0))

    def summary(self, data: ReviewDataModule) -> dict[str, Any]:
        """Return the entry `language_model` of a record.

        `words` is the share of the vocabulary's words that have a vector of the language model, and
        `tokens` the share of the training set's tokens.
        """
        counts, has_vector = data.word_counts, self.has_vector[data.train.word_ids]
        return {
            "digest": self.model.digest,
            "words": float(self.has_vector[len(SPECIALS) :].mean()),
            "tokens": float(counts[has_vector].sum() / counts.sum()),
            "texts": len(self.model.copies),
            "read_validation": self.read_validation,
        }

    @property
    def note(self) -> str | None:
        """A sentence on the validation reviews that the language model has read; None if none."""
        if not self.read_validation:
            return None
        read = counted(self.read_validation, "validation review")
        return (
            f"the language model has read the texts of {read}, without labels: the scores on the "
            "validation set may be a little too high."
        )


def identify(config: Config) -> str:
    """Return a digest of the language model that a network starts from; "" without one.

    Raises InputError if it cannot be read, or if the network has another form.
    """
    if config.encoder.start_from is None:
        return ""
    folder = _folder(config.encoder)
    _require_same_form(config, read_pretraining_config(folder), folder)
    return f"language-model-{digest_of(folder)}"


def load(config: Config, data: ReviewDataModule) -> StartingPoint | None:
    """Return the language model that a network starts from, or None; `data` must be set up.

    Raises InputError if it cannot be read, if the network has another form, or if the language
    model has read test reviews other than those that are also among the labelled reviews.
    """
    if config.encoder.start_from is None:
        return None
    folder = _folder(config.encoder)
    model = read_language_model(folder)
    _require_same_form(config, model.config, folder)
    # Also with test=false, and beyond data.limit_test: a search must not choose such a model.
    if read := _count_read_test(data, model.copies):
        raise InputError(
            f"encoder.start_from={config.encoder.start_from} has read the texts of "
            f"{counted(read, 'test review')}: train a language model on the same reviews, which "
            "leaves the test set out."
        )
    if model.vocabulary.merges != data.vocabulary.merges:
        raise InputError(
            f"encoder.start_from={config.encoder.start_from} reads other subwords: with "
            "data.tokenizer=bpe, a network needs data.max_vocab and the training reviews of the "
            "language model, for example data.val_fraction=0 in both."
        )
    ids = {word: number for number, word in enumerate(model.vocabulary.words)}
    rows = np.array([ids.get(word, -1) for word in data.vocabulary.words])
    return StartingPoint(model, rows, _count_read(data.val_split, model.copies))


def _folder(config: EncoderConfig) -> Path:
    assert config.start_from is not None
    with errors_named("encoder.start_from"):
        if config.start_from.startswith(PREFIX):
            raise InputError(
                f"{config.start_from} is a model of the Hugging Face hub, where "
                "there are no language models: give a folder that lstm-sentiment pretrain has made."
            )
        return model_folder_of(Path(config.start_from).expanduser())


def _count_read(split: Split, copies: np.ndarray) -> int:
    """Return the number of reviews whose texts the language model has read."""
    return int(np.isin(text_values(split), copies).sum())


def _count_read_test(data: ReviewDataModule, copies: np.ndarray) -> int:
    """Return the number of test reviews whose texts only a model with their set could have read.

    Test reviews that repeat a training or validation review, as 123 of IMDB do, do not count:
    everyone who trains on the labelled reviews reads their texts.
    """
    test = data.whole_test
    if test is None:
        return 0
    own = np.concatenate([text_values(data.split(TRAIN)), text_values(data.val_split)])
    return _count_read(test, np.setdiff1d(copies, own))


def _require_same_form(config: Config, other: PretrainingConfig, folder: Path) -> None:
    for name in SHARED:
        group, field = name.split(".")
        ours, theirs = (getattr(getattr(each, group), field) for each in (config, other))
        if ours != theirs:
            raise InputError(
                f"encoder.start_from={folder} needs {name}={typed_value(theirs)}, like the "
                f"language model (got {typed_value(ours)})."
            )
