"""A run as an ONNX folder that has been seen to answer alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_sentiment.data.tokens import SPECIALS
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import written_atomically
from lstm_sentiment.serving.onnx_model import save_onnx
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training.model_folder import ONNX

ROUNDING = 1e-4  # of a probability: how far a network in 32 bits may be from itself as ONNX
SAME_LABELS = 0.95  # the share of texts on which one in 8 bits has to agree
RANDOM_TEXTS = 200


class Exported(NamedTuple):
    size: int  # bytes of the network
    difference: float  # the largest between two probabilities of a text
    agreement: float  # the share of texts with the same label
    texts: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.size / 2**20:.1f} MiB; on {self.texts:,} texts the same label for "
            f"{self.agreement:.2%}, probabilities within {self.difference:.1e}."
        )


def export(predictor: Predictor, folder: Path, int8: bool, texts: Sequence[str]) -> Exported:
    """Writes the folder if the network in it agrees on the texts. Raises InputError otherwise."""
    if predictor.classifier is None:
        raise InputError("This is exported already: export the run it came from.")
    if not texts:
        raise InputError("There is no text to check the export on: give a file with some.")
    if folder.exists() and not (folder / ONNX).exists():
        raise InputError(f"{folder} exists and holds no exported network: name another with -o.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(folder) as draft:
            save_onnx(draft, predictor.classifier, predictor.vocabulary, predictor.config, int8)
            done = compare(predictor, Predictor.load(draft), (draft / ONNX).stat().st_size, texts)
            if done.agreement < SAME_LABELS or (done.difference > ROUNDING and not int8):
                raise InputError(f"The exported network answers otherwise: {done.sentence}")
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}).") from error
    return done


def compare(predictor: Predictor, other: Predictor, size: int, texts: Sequence[str]) -> Exported:
    mine, theirs = predictor.probabilities(texts), other.probabilities(texts)
    agreement = float(((mine > 0.5) == (theirs > 0.5)).mean())
    return Exported(size, float(abs(mine - theirs).max()), agreement, len(texts))


def random_texts(predictor: Predictor, seed: int = 0) -> list[str]:
    """Of words that the network knows, from one up to as many as it reads and one more."""
    random = np.random.default_rng(seed)
    words = predictor.vocabulary.words[len(SPECIALS) :]
    longest = predictor.config.data.max_length + 1
    lengths = np.unique(np.geomspace(1, longest, RANDOM_TEXTS).astype(int))
    return [" ".join(random.choice(words, length)) for length in lengths]
