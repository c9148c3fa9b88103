"""texts -> predictions, with the tokenization, truncation and padding of training."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch

from lstm_sentiment.config import Config
from lstm_sentiment.data.batches import Layout, lay_out
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.subwords import MARK
from lstm_sentiment.data.tokenizer import is_unspaced, tokenize
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import EXPLAINED_STATES, STATES, Limit
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.labels import BINARY, POSITIVE, Classes
from lstm_sentiment.model import metrics
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.ngrams import NgramClassifier
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.ensemble_folder import find_members
from lstm_sentiment.runs.model_folder import ONNX, model_draft, read_model, save_model
from lstm_sentiment.runs.model_location import find_model
from lstm_sentiment.runs.ngram_folder import holds_ngrams, read_ngrams
from lstm_sentiment.serving.attribution import Attribution, attribute

BATCH_SIZE = 64  # reviews; larger batches are hardly faster
BATCH_POSITIONS = BATCH_SIZE * 1_000  # tokens and padding; bounds the memory for long reviews
BATCH_NUMBERS = 2**25  # in the states of a batch; bounds the memory of wide networks

Kind = Literal["network", "exported", "n-grams", "ensemble"]

# (B, T) ids, (B,) lengths -> logits, (B,) for two classes, (B, K) for more
Network = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A network that PyTorch computes. A class, since a predictor can then be pickled."""

    classifier: Classifier

    def __call__(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the logits."""
        with torch.inference_mode(), subnormals_flushed():
            return self.classifier(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()


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
    def load(folder: str | Path) -> "Predictor":
        """Load a finished run, baseline or ensemble, a run's `model/`, or an exported model.

        Model folders are untrusted input: loading one never executes code. Raises InputError if the
        folder is damaged, incomplete, of a newer version, or refers to files outside itself. An
        ensemble refers to the runs that are its members, see `find_members`.
        """
        if (members := find_members(Path(folder))) is not None:
            from lstm_sentiment.serving.ensemble_predictor import EnsemblePredictor

            predictors = [Predictor.load(member.folder) for member in members]
            return EnsemblePredictor.of(predictors, [member.weight for member in members])
        model = find_model(Path(folder))
        if (model / ONNX).exists():
            from lstm_sentiment.serving.onnx_model import read_onnx

            exported, vocabulary, config, classes, ngrams = read_onnx(model)
            return NetworkPredictor(exported, vocabulary, config, None, classes, ngrams=ngrams)
        if holds_ngrams(model):
            from lstm_sentiment.serving.ngram_predictor import NgramPredictor

            return NgramPredictor(*read_ngrams(model))
        classifier, vocabulary, config, classes, ngrams = read_model(model)
        network = TorchNetwork(classifier)
        return NetworkPredictor(network, vocabulary, config, classifier, classes, ngrams=ngrams)

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
        return metrics.probabilities(self.logits(texts))

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


@dataclass(frozen=True, eq=False)
class NetworkPredictor(Predictor):
    """A trained network with the vocabulary, truncation and padding of its training.

    The logits of a text are those of `network`, plus those of `ngrams`, if it is given, which reads
    whole texts: truncation applies to `network` only.
    """

    network: Network
    vocabulary: Vocabulary
    config: Config
    classifier: Classifier | None  # None if ONNX Runtime computes the logits
    classes: Classes = BINARY
    record: Mapping[str, Any] | None = None  # of the training, as in `run.json`; set by `fit`
    ngrams: NgramClassifier | None = None  # with `head.ngrams`

    @property
    def kind(self) -> Kind:
        """ "exported" if ONNX Runtime computes the logits."""
        return "exported" if self.classifier is None else "network"

    def save(self, folder: str | Path) -> None:
        """Write the model to a new folder, which `load` and the commands take.

        A model that was saved there before is replaced. Raises InputError if the folder contains
        other files or cannot be written, or if the model was exported.
        """
        with model_draft(Path(folder)) as draft:
            self.write_into(draft)

    def write_into(self, folder: Path) -> None:
        """Write the files of the model into a folder. Raises InputError if it was exported."""
        if self.classifier is None:
            raise InputError("An exported model cannot be saved: copy its folder.")
        save_model(folder, self.classifier, self.vocabulary, self.config, self.classes, self.ngrams)

    def _logits(self, texts: Sequence[str]) -> np.ndarray:
        count, outputs = len(texts), self.classes.outputs
        logits = np.empty((count,) if outputs == 1 else (count, outputs), np.float32)
        words = [*map(self._tokenize, texts)]
        for indices, layout, tokens in self._encoded_batches(texts, words):
            logits[indices] = self.network(layout.fill(tokens), layout.lengths)
        if self.ngrams is not None:
            logits += self.ngrams.logits(words).astype(np.float32)
        return logits

    def _explanation(self, text: str, label: int | None) -> Explanation:
        if self.classifier is None:
            raise InputError(
                "An exported model has no gradients: explain the run that it was exported from."
            )
        words = self._tokenize(text)
        (_, layout, tokens), *_ = self._encoded_batches([text], [words], EXPLAINED_STATES)
        prediction = self.predict(text)
        label = self._explained(prediction) if label is None else label
        attribution = attribute(
            self.classifier,
            torch.from_numpy(layout.fill(tokens)),
            torch.from_numpy(layout.lengths),
            torch.from_numpy(layout.mask),
            label,
        )
        spellings, groups = self._grouped_tokens(words)
        read = layout.positions[layout.mask]
        if self.ngrams is not None:
            of_network = attribution.spread(read, len(spellings))
            attribution = of_network.with_ngrams(self._contributions_of_ngrams(words, label))
            read = np.arange(len(spellings))
        numbers, groups_read = np.unique(groups[read], return_inverse=True)
        shown: list[list[str]] = [[] for _ in numbers]
        for position, number in zip(read.tolist(), groups_read.tolist(), strict=True):
            shown[number].append(spellings[position])
        return Explanation(
            tokens=tuple(map(self.vocabulary.spelling, shown)),
            known=tuple(map(self._is_known, shown)),
            unread=len(spellings) - len(read),
            attribution=attribution.summed(groups_read),
            prediction=prediction,
            classes=self.classes,
            label=label,
        )

    def _contributions_of_ngrams(self, words: list[str], label: int) -> np.ndarray:
        """Return what the n-grams add to the logit of a class, for each token of a text, (T,).

        The contribution of a word is divided equally among its subwords.
        """
        assert self.ngrams is not None
        contributions = self.ngrams.contributions(words, label)
        counts = [len(self.vocabulary.subwords(word)) for word in words]
        # The logit of the first of two classes is the negative of that of the second one.
        sign = -1 if len(self.classes) == 2 and label != POSITIVE else 1
        return sign * np.repeat(contributions / counts, counts)

    def _is_known(self, tokens: list[str]) -> bool:
        """Return whether the network knows all these tokens of a word, or the n-grams the word."""
        if all(token in self.vocabulary for token in tokens):
            return True
        return self.ngrams is not None and self.vocabulary.spelling(tokens) in self.ngrams

    def _grouped_tokens(self, words: list[str]) -> tuple[list[str], np.ndarray]:
        """Return the tokens of a text, (T,), and the number of the word of each, (T,).

        In scripts without spaces, which mark no words, each subword counts as a word.
        """
        tokens: list[str] = []
        starts: list[bool] = []  # whether a word starts at the token
        for word in words:
            subwords = self.vocabulary.subwords(word)
            each = is_unspaced(word)
            tokens += subwords
            starts += [True, *(each and before != MARK for before in subwords[:-1])]
        return tokens, np.cumsum(starts) - 1

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
