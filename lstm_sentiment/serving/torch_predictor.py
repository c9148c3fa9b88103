"""texts -> predictions and explanations of a network that PyTorch computes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lstm_sentiment.config import Config
from lstm_sentiment.data.subwords import MARK
from lstm_sentiment.data.tokenizer import is_unspaced
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.files.limits import EXPLAINED_STATES
from lstm_sentiment.labels import BINARY, POSITIVE, Classes
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.network_folder import save_model
from lstm_sentiment.serving.integrated_gradients import attribute
from lstm_sentiment.serving.predictor import Explanation, Kind, NetworkPredictor


@dataclass(frozen=True, eq=False)
class TorchPredictor(NetworkPredictor):
    """A trained network that PyTorch computes."""

    classifier: Classifier
    vocabulary: Vocabulary
    config: Config
    classes: Classes = BINARY
    ngrams: NgramClassifier | None = None
    record: Mapping[str, Any] | None = None  # of the training, as in `run.json`; set by `fit`

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        return "network"

    def write_into(self, folder: Path) -> None:
        """Write the files of the model into a folder."""
        save_model(folder, self.classifier, self.vocabulary, self.config, self.classes, self.ngrams)

    def _network_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), subnormals_flushed():
            return self.classifier(torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()

    def _explanation(self, text: str, label: int | None) -> Explanation:
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
