"""texts -> predictions, with the tokenization, truncation and padding of training.

Each kind of model has a module of its own, which is imported when such a model is loaded: only
networks that PyTorch computes need PyTorch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, overload

import numpy as np

from lstm_sentiment.config import Config
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.layout import Layout, lay_out
from lstm_sentiment.data.tokenizer import tokenize
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.display import SILENT, Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import STATES, Limit
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.labels import BINARY, POSITIVE, Classes
from lstm_sentiment.model import probabilities
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.runs.ensemble_folder import find_members
from lstm_sentiment.runs.hub_models import local_folder
from lstm_sentiment.runs.model_folder import ONNX, model_draft
from lstm_sentiment.runs.model_location import find_model
from lstm_sentiment.runs.ngram_folder import holds_ngrams, read_ngrams
from lstm_sentiment.serving.attribution import Attribution

BATCH_SIZE = 64  # reviews; larger batches are hardly faster
BATCH_POSITIONS = BATCH_SIZE * 1_000  # tokens and padding; bounds the memory for long reviews
BATCH_NUMBERS = 2**25  # in the states of a batch; bounds the memory of wide networks

Kind = Literal["network", "exported", "n-grams", "ensemble"]


class Weight(NamedTuple):
    """A token and its contribution to the logit of a class, as in `Predictor.explain`."""

    token: str
    weight: float


@dataclass(frozen=True)
class Prediction:
    """The predicted class of a text, and the probabilities of all classes."""

    label: str  # the name of the predicted class
    # Of the second of two classes, such as positive; of more, that of the predicted class.
    probability: float
    # Of the tokens that the network reads; None unless requested.
    weights: tuple[Weight, ...] | None = None
    probabilities: tuple[float, ...] = ()  # of each class, in the order of the model's classes

    @classmethod
    def all_from(cls, probabilities: np.ndarray, classes: Classes) -> list["Prediction"]:
        """Return the prediction for each row of probabilities, as `Predictor.probabilities`."""
        predicted = classes.predicted(probabilities)
        if probabilities.ndim == 1:
            rows = np.stack([1 - probabilities, probabilities], axis=1)
            shown = probabilities
        else:
            rows, shown = probabilities, probabilities.max(1)
        return [
            cls(classes.names[label], float(probability), probabilities=tuple(row))
            for label, probability, row in zip(predicted, shown, rows.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Explanation:
    """A prediction, and the contribution of every token that the model reads to a class's logit.

    With `data.tokenizer=bpe`, the subwords of a word count as one token here, except in scripts
    without spaces. `unread` is then a number of subwords. With `head.ngrams`, a model reads all
    tokens, and those behind the truncation contribute only by their n-grams.
    """

    tokens: tuple[str, ...]
    known: tuple[bool, ...]  # whether the vocabulary contains each token, or all its subwords
    unread: int  # number of tokens of the text that truncation removed
    attribution: Attribution
    prediction: Prediction  # for the text
    classes: Classes = BINARY
    label: int = POSITIVE  # of the class whose logit is explained

    @property
    def weights(self) -> tuple[Weight, ...]:
        """The tokens with their contributions, in the order of the text."""
        return tuple(map(Weight, self.tokens, self.attribution.contributions))


class Predictor(ABC):
    """A trained model, which classifies texts.

    >>> predictor = Predictor.load("runs/default/lstm-last-s0-1b1e4a9c")  # doctest: +SKIP
    >>> predictor.predict("A waste of two hours.").label  # doctest: +SKIP
    'negative'
    """

    config: Config  # of a baseline: only the group `data` applies
    classes: Classes

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """The kind of the model."""

    @property
    def explains(self) -> bool:
        """Whether `explain` is possible."""
        return self.kind in ("network", "n-grams")

    @staticmethod
    def load(folder: str | Path, display: Display = SILENT) -> "Predictor":
        """Load a finished run, baseline or ensemble, a run's `model/`, or an exported model.

        `hub:OWNER/NAME@REVISION` is a model of the Hugging Face hub, see `local_folder`; `display`
        shows its download. Model folders are untrusted input: loading one never executes code.
        Raises InputError if the folder is damaged, incomplete, of a newer version, or refers to
        files outside itself. An ensemble refers to the runs that are its members, see
        `find_members`.
        """
        folder = local_folder(folder, display)
        if (members := find_members(folder)) is not None:
            from lstm_sentiment.serving.ensemble_predictor import EnsemblePredictor

            predictors = [Predictor.load(member.folder) for member in members]
            return EnsemblePredictor.of(predictors, [member.weight for member in members])
        model = find_model(folder)
        if (model / ONNX).exists():
            from lstm_sentiment.serving.onnx_model import read_onnx
            from lstm_sentiment.serving.onnx_predictor import OnnxPredictor

            return OnnxPredictor(*read_onnx(model))
        if holds_ngrams(model):
            from lstm_sentiment.serving.ngram_predictor import NgramPredictor

            return NgramPredictor(*read_ngrams(model))
        try:
            from lstm_sentiment.runs.network_folder import read_model
            from lstm_sentiment.serving.torch_predictor import TorchPredictor
        except ModuleNotFoundError as error:
            raise InputError(
                f"{model} needs PyTorch, which is not installed ({error.name} is missing): give "
                "the folder of a network that lstm-sentiment export has converted."
            ) from error

        return TorchPredictor(*read_model(model))

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, text: str, weights: bool = False
    ) -> Prediction: ...

    @overload
    def predict(self, text: Sequence[str], weights: bool = False) -> list[Prediction]: ...

    def predict(
        self, text: str | Sequence[str], weights: bool = False
    ) -> Prediction | list[Prediction]:
        """Return the prediction for a text, or a list of predictions for a list of texts.

        With `weights`, predictions include the contribution of each token (see `explain`), which
        takes about a hundred times as long. Raises InputError if a text is not a string.
        """
        if isinstance(text, str):
            return self.predict([text], weights)[0]
        predictions = Prediction.all_from(self.probabilities(text), self.classes)
        if not weights:
            return predictions
        return [
            replace(prediction, weights=self.explain(each).weights)
            for prediction, each in zip(predictions, text, strict=True)
        ]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probabilities for each text, in float64.

        They are (N,) for two classes, those of the second one, and (N, K) for more.
        """
        return probabilities.probabilities(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits of each text; float32 of a network, float64 of a baseline.

        They are (N,) for two classes and (N, K) for more. Raises InputError if a text is not a
        string, or if its logit is not a finite number.
        """
        logits = self._logits(texts)
        if len(wrong := np.argwhere(~np.isfinite(logits))):
            raise _not_finite("logit", texts[wrong[0][0]])
        return logits

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """Return the contribution of each token to the logit of the class with the name `label`.

        By default, this is the second of two classes, such as positive, and the predicted one of
        more. For a network, contributions are integrated gradients. Raises InputError if there is
        no such class, if the text is not a string or too long, if its contributions are not finite
        numbers, or if the model was exported: ONNX Runtime computes no gradients.
        """
        explanation = self._explanation(text, self.label_of(label))
        if not explanation.attribution.is_finite:
            raise _not_finite("explanation", text)
        return explanation

    @abstractmethod
    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits of each text, finite or not."""

    @abstractmethod
    def _explanation(self, text: str, label: int | None) -> Explanation:
        """Return the contribution of each token to the logit of a class, finite or not.

        If `label` is None, the class is the one of `_explained`.
        """

    def label_of(self, name: str | None) -> int | None:
        """Return the label of a class. Raises InputError if there is no class with this name."""
        if name is None:
            return None
        if (label := self.classes.label(name)) is None:
            raise InputError(
                f"{name!r:.60} is not a class of the model: allowed are "
                f"{join_names(self.classes.names)}."
            )
        return label

    def _explained(self, prediction: Prediction) -> int:
        """Return the label of the class that is explained by default."""
        return POSITIVE if len(self.classes) == 2 else self.classes.names.index(prediction.label)

    def _tokenize(self, text: object) -> list[str]:
        """Return the tokens of a text. Raises InputError if it is not a string."""
        if not isinstance(text, str):
            raise InputError(f"A text must be a string (got {type(text).__name__}: {text!r:.60}).")
        data = self.config.data
        return tokenize(text, data.preparation, data.tokenizer)


class NetworkPredictor(Predictor):
    """A trained network with the vocabulary, truncation and padding of its training.

    The logits of a text are those of the network, plus those of `ngrams`, if it is given, which
    reads whole texts: truncation applies to the network only.
    """

    vocabulary: Vocabulary
    ngrams: NgramClassifier | None  # with `head.ngrams`

    def save(self, folder: str | Path) -> None:
        """Write the model to a new folder, which `load` and the commands take.

        A model that was saved there before is replaced. Raises InputError if the folder contains
        other files or cannot be written, or if the model was exported.
        """
        with model_draft(Path(folder)) as draft:
            self.write_into(draft)

    @abstractmethod
    def write_into(self, folder: Path) -> None:
        """Write the files of the model into a folder. Raises InputError if it was exported."""

    @abstractmethod
    def _network_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the logits of the network: (B, T) ids, (B,) lengths -> (B,) or (B, K) logits."""

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        count, outputs = len(texts), self.classes.outputs
        logits = np.empty((count,) if outputs == 1 else (count, outputs), np.float32)
        words = [*map(self._tokenize, texts)]
        for indices, layout, tokens in self._encoded_batches(texts, words):
            logits[indices] = self._network_logits(layout.fill(tokens), layout.lengths)
        if self.ngrams is not None:
            logits += self.ngrams.logits(words).astype(np.float32)
        return logits

    @property
    def _width(self) -> int:
        """The largest number of numbers that the network computes at a position."""
        directions = 2 if self.config.encoder.bidirectional else 1
        return max(self.config.embedding.dim, directions * self.config.encoder.hidden_size)

    def _encoded_batches(
        self, texts: Sequence[str], words: Sequence[list[str]], limit: Limit = STATES
    ) -> Iterator[tuple[np.ndarray, Layout, np.ndarray]]:
        """Yield the indices (B,) of each batch's texts, their layout, and the ids of all texts.

        `words` are the words of each text. Raises InputError if the states of a text exceed the
        limit.
        """
        ids = [self.vocabulary.encode(self.vocabulary.tokens_of(each)) for each in words]
        ends = np.cumsum([len(each) for each in ids], dtype=np.int64)
        starts = ends - [len(each) for each in ids]
        data, tokens = self.config.data, np.concatenate(ids) if ids else np.empty(0, np.int32)
        lengths = np.minimum(ends - starts, data.max_length)
        if not data.padding.masked:
            lengths[:] = data.max_length
        for indices in batches_of_similar_length(lengths, BATCH_NUMBERS // self._width):
            with errors_named(f"The text {texts[indices[0]][:60]!r}"):  # the longest of the batch
                limit.check(lengths[indices[0]].item() * self._width)
            layout = lay_out(
                starts[indices], ends[indices], data.max_length, data.padding, data.truncation_side
            )
            yield indices, layout, tokens


def batches_of_similar_length(
    lengths: np.ndarray, positions: int = BATCH_POSITIONS
) -> Iterator[np.ndarray]:
    """Yield the indices of the reviews of each batch, longest reviews first; (N,) -> (B,) each.

    A batch of several reviews has at most `positions`, and at most `BATCH_POSITIONS`.
    """
    positions = min(positions, BATCH_POSITIONS)
    order, start = np.argsort(-lengths, kind="stable"), 0
    while start < len(order):
        size = min(BATCH_SIZE, max(1, positions // lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _not_finite(result: str, text: str) -> InputError:
    return InputError(
        f"The {result} of the text {text[:60]!r} is not finite: the weights of the model are "
        "damaged or too large."
    )
