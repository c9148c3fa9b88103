"""trained network -> ONNX folder, with a comparison of the predictions of both."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_sentiment.data.subwords import MARK
from lstm_sentiment.data.vocabulary import SPECIALS
from lstm_sentiment.display import counted
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import LOCK, HeldError, sole_writer
from lstm_sentiment.files.outputs import errors_of_writing, folder_output
from lstm_sentiment.runs.folder import RECORD
from lstm_sentiment.runs.model_folder import (
    CONFIG,
    MERGES,
    NGRAM_WEIGHTS,
    NGRAMS,
    ONNX,
    VOCABULARY,
    is_description,
)
from lstm_sentiment.serving.ensemble_predictor import EnsemblePredictor
from lstm_sentiment.serving.onnx_model import save_onnx
from lstm_sentiment.serving.onnx_predictor import OnnxPredictor
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.torch_predictor import TorchPredictor

# The files of an exported model.
EXPORTED = frozenset({ONNX, CONFIG, VOCABULARY, MERGES, NGRAMS, NGRAM_WEIGHTS})
TOLERANCE = 1e-4  # largest difference of probabilities allowed in 32 bits
MIN_AGREEMENT = 0.95  # smallest allowed share of texts with the same class, also in 8 bits
RANDOM_TEXTS = 200  # at most


class Comparison(NamedTuple):
    """The differences between the predictions of an exported network and of the original."""

    size: int  # of the exported weights, in bytes
    difference: float  # the largest between the two probabilities of a class of a text
    agreement: float  # share of texts with the same class
    texts: int  # number of texts compared
    speeds: tuple[float, float]  # texts per second, of the original and of the exported network

    @property
    def summary(self) -> str:
        """The comparison in one sentence."""
        return (
            f"{self.size / 2**20:.1f} MiB; on {counted(self.texts, 'text')}, "
            f"{self.agreement:.2%} of the labels are the same, and probabilities differ by at most "
            f"{self.difference:.1e}; {self.speeds[1]:,.0f} texts per second (before the export: "
            f"{self.speeds[0]:,.0f})."
        )


def export(predictor: Predictor, folder: Path, int8: bool, texts: Sequence[str]) -> Comparison:
    """Export the network to `folder`, with weights in 8 bits if `int8`; replace an older export.

    Raises InputError if the predictions for the texts differ, there are no texts, the model was
    exported before or is no network, or the folder cannot be written, contains other files, or is
    being written by another command. No file is written in these cases.
    """
    network = require_network(predictor)
    if not texts:
        raise InputError("The file has no texts: the export is checked on at least one.")
    with folder_output(folder, EXPORTED, _is_older_export) as draft:
        save_onnx(
            draft,
            network.classifier,
            network.vocabulary,
            network.config,
            int8,
            network.classes,
            network.ngrams,
        )
        weights = [draft / name for name in (ONNX, NGRAM_WEIGHTS)]
        size = sum(file.stat().st_size for file in weights if file.exists())
        comparison = compare(predictor, Predictor.load(draft), size, texts)
        too_different = comparison.difference > TOLERANCE and not int8
        if comparison.agreement < MIN_AGREEMENT or too_different:
            raise InputError(f"The exported network predicts differently: {comparison.summary}")
    return comparison


def _is_older_export(folder: Path) -> bool:
    """Return whether a version that wrote no manifest exported a model to the folder."""
    return (folder / ONNX).exists() and is_description(folder)


@contextmanager
def run_kept(folder: Path) -> Iterator[None]:
    """Let no command train the run that `folder` is a part of, if it is a part of a run.

    Otherwise the run could get another network while its old one is exported. Raises InputError if
    another command is training the run, or exporting its network.
    """
    run = Path(os.path.realpath(folder)).parent  # Path.resolve raises RuntimeError for some links
    with ExitStack() as lock:
        try:
            with errors_of_writing(folder):
                if (run / RECORD).exists() or (run / LOCK).exists():
                    lock.enter_context(sole_writer(run / LOCK))
        except HeldError as error:
            raise InputError(
                f"Another command is training {run.name} or exporting its network: wait for its "
                "end, or name another folder with -o."
            ) from error
        yield


def compare(
    original: Predictor, exported: Predictor, size: int, texts: Sequence[str]
) -> Comparison:
    """Compare the predictions of both networks for at least one text; `size` is in bytes."""
    (before, speed_before), (after, speed_after) = _timed(original, texts), _timed(exported, texts)
    same = original.classes.predicted(before) == exported.classes.predicted(after)
    agreement = float(same.mean())
    difference = float(abs(before - after).max())
    return Comparison(size, difference, agreement, len(texts), (speed_before, speed_after))


def _timed(predictor: Predictor, texts: Sequence[str]) -> tuple[np.ndarray, float]:
    """Return the probabilities of the texts, and the number of texts per second."""
    predictor.probabilities(texts[:1])  # the first call compiles or loads the kernels
    started = time.perf_counter()
    probabilities = predictor.probabilities(texts)
    return probabilities, len(texts) / (time.perf_counter() - started)


def random_texts(predictor: Predictor, seed: int = 0) -> list[str]:
    """Return texts of known words, with lengths from one token to one more than `max_length`.

    The same `seed` gives the same texts. Raises InputError if the model is no network.
    """
    random = np.random.default_rng(seed)
    vocabulary = require_network(predictor).vocabulary
    words = [token.removeprefix(MARK) for token in vocabulary.words[len(SPECIALS) :]]
    longest = predictor.config.data.max_length + 1
    lengths = np.unique(np.geomspace(1, longest, RANDOM_TEXTS).astype(int))
    return [" ".join(random.choice(words, length)) for length in lengths]


def require_network(predictor: Predictor) -> TorchPredictor:
    """Return the predictor of a network. Raises InputError for a model of another kind."""
    if isinstance(predictor, OnnxPredictor):
        raise InputError("An exported model cannot be exported again: export the original run.")
    if isinstance(predictor, EnsemblePredictor):
        raise InputError("An ensemble cannot be exported: export its networks one by one.")
    if not isinstance(predictor, TorchPredictor):
        raise InputError("An n-gram baseline cannot be exported: only networks have an ONNX form.")
    return predictor
