"""texts -> labels and probabilities, exactly as in training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import torch

from lstm_sentiment.config import Config
from lstm_sentiment.data.batches import Layout, lay_out
from lstm_sentiment.data.tokens import Vocabulary, tokenize
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.serving.attribution import Attribution, attribute
from lstm_sentiment.training.model_folder import CONFIG, MODEL, ONNX, WEIGHTS, read_model

BATCH = 64  # reviews at once; more are hardly faster
POSITIONS = BATCH * 1_000  # at most, so that long reviews take no more memory
LABELS = ("negative", "positive")

# (B, T) ids, (B,) lengths -> (B,) logits
Network = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Weight(NamedTuple):
    token: str
    weight: float  # what it adds to the logit: above 0 it speaks for positive


@dataclass(frozen=True)
class Prediction:
    label: str  # "positive" or "negative"
    probability: float  # that the review is positive
    weights: tuple[Weight, ...] | None = None  # of the tokens that were read, where asked for


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained network with all that stands before it: tokens, cut and padding of its training.

    >>> predictor = Predictor.load("runs/default/lstm-last-s0-1b1e4a9c")  # doctest: +SKIP
    >>> predictor.predict("A waste of two hours.").label  # doctest: +SKIP
    'negative'
    """

    network: Network
    vocabulary: Vocabulary
    config: Config
    classifier: Classifier | None  # None where ONNX Runtime computes

    @classmethod
    def load(cls, folder: str | Path) -> "Predictor":
        """From the folder of a finished run, its `model/`, or one that `export` has made.

        Raises InputError where that is damaged, incomplete, of a newer version, or asks for
        anything outside of itself. Nothing in it is executed.
        """
        model = model_folder(Path(folder))
        if (model / ONNX).exists():
            from lstm_sentiment.serving.onnx_model import read_onnx

            return cls(*read_onnx(model), None)
        classifier, vocabulary, config = read_model(model)
        return cls(_eager(classifier), vocabulary, config, classifier)

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, text: str, weights: bool = False
    ) -> Prediction: ...

    @overload
    def predict(self, text: Sequence[str], weights: bool = False) -> list[Prediction]: ...

    def predict(
        self, text: str | Sequence[str], weights: bool = False
    ) -> Prediction | list[Prediction]:
        """One prediction for a text, or a list for a list.

        With `weights`, how much each token adds to the logit (`explain`), which takes a hundred
        times as long. Raises InputError where a text is no string.
        """
        if isinstance(text, str):
            return self.predict([text], weights)[0]
        found = (prediction(p) for p in self.probabilities(text))
        if not weights:
            return list(found)
        return [
            Prediction(p.label, p.probability, self.explain(each).weights)
            for p, each in zip(found, text, strict=True)
        ]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) float64 of being positive, in the order of the texts"""
        return sigmoid(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """(N,) float32, in the order of the texts"""
        logits = np.empty(len(texts), np.float32)
        for chosen, layout, tokens in self._batches(texts):
            logits[chosen] = self.network(layout.fill(tokens), layout.lengths)
        return logits

    def explain(self, text: str) -> "Explanation":
        """Why: what each token adds to the logit (integrated gradients), and attention if any.

        Raises InputError where the text is no string, or ONNX Runtime computes, which has no
        gradients.
        """
        if self.classifier is None:
            raise InputError("An exported network has no gradients: explain the run it came from.")
        (_, layout, tokens), *_ = self._batches([text])
        found = attribute(
            self.classifier,
            torch.from_numpy(layout.fill(tokens)),
            torch.from_numpy(layout.lengths),
            torch.from_numpy(layout.real),
        )
        read = layout.places[layout.real]
        words = tokenize(text)
        return Explanation(
            tokens=tuple(words[place] for place in read),
            known=tuple(words[place] in self.vocabulary for place in read),
            unread=len(words) - len(read),
            attribution=found,
        )

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, Layout, np.ndarray]]:
        """(B,) positions among the texts, how they are laid out, and (all,) ids."""
        ids = [self.vocabulary.encode(tokenize(_string(text))) for text in texts]
        ends = np.cumsum([len(each) for each in ids], dtype=np.int64)
        starts = ends - [len(each) for each in ids]
        data, tokens = self.config.data, np.concatenate(ids) if ids else np.empty(0, np.int32)
        lengths = np.minimum(ends - starts, data.max_length)
        if not data.padding.masked:
            lengths[:] = data.max_length
        for chosen in _batches(lengths):
            layout = lay_out(
                starts[chosen], ends[chosen], data.max_length, data.padding, data.truncation_side
            )
            yield chosen, layout, tokens


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """(N,) -> positions among them, reviews of like length together"""
    order, start = np.argsort(-lengths, kind="stable"), 0
    while start < len(order):
        size = min(BATCH, max(1, POSITIONS // lengths[order[start]]))
        yield order[start : start + size]
        start += size


@dataclass(frozen=True)
class Explanation:
    """What a network makes of a text; the tokens are those that it reads."""

    tokens: tuple[str, ...]
    known: tuple[bool, ...]  # whether the vocabulary has them
    unread: int  # how many more the text has
    attribution: Attribution

    @property
    def prediction(self) -> Prediction:
        return prediction(float(sigmoid(np.array(self.attribution.logit))))

    @property
    def weights(self) -> tuple[Weight, ...]:
        return tuple(map(Weight, self.tokens, self.attribution.contributions))


def prediction(probability: float) -> Prediction:
    # As in training, where 0.5 is no yes.
    return Prediction(LABELS[int(probability > 0.5)], float(probability))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """In float64, in which also a very certain answer is none of 0 and 1."""
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def model_folder(folder: Path) -> Path:
    """Where the model lies in what a user names. Raises InputError where there is none."""
    try:
        for model in (folder, folder / MODEL):
            if any((model / name).exists() for name in (WEIGHTS, ONNX)):
                return model
        if (folder / MODEL).is_dir():
            return folder / MODEL  # incomplete, which is said when it is read
        found = "holds no model" if folder.is_dir() else "is no folder"
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read ({error}).") from error
    raise InputError(
        f"{folder} {found}: give the folder of a finished run, which has {MODEL}/ in it "
        f"({WEIGHTS}, {CONFIG}, ...), or one that lstm-sentiment export has made."
    )


def _eager(classifier: Classifier) -> Network:
    def logits(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return classifier(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()

    return logits


def _string(text: object) -> str:
    if not isinstance(text, str):
        raise InputError(f"A text is a string, and not {type(text).__name__}: {text!r:.60}")
    return text
