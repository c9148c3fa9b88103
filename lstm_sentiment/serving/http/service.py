"""The state of a service: its models, its queues and its metrics."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.http.batching import Batcher, QueueFullError
from lstm_sentiment.serving.http.loaded_models import LoadedModel, LoadedModels
from lstm_sentiment.serving.http.metrics import Metrics
from lstm_sentiment.serving.http.settings import Settings

if TYPE_CHECKING:
    from lstm_sentiment.serving.predictor import Explanation, Prediction

FILE_DELAY = 10  # seconds after which a client may try again to send a file

logger = logging.getLogger(__name__)


class State(StrEnum):
    """The states of a service."""

    loading = "loading"
    ready = "ok"
    stopping = "shutting down"


class Explained(NamedTuple):
    """A model and the name of the class whose logit is explained, None for the default."""

    model: LoadedModel
    label: str | None


class Service:
    """Loaded models, and the threads that compute predictions and explanations.

    Explanations have a thread of their own: one takes as long as a hundred predictions, which would
    all wait for it.
    """

    def __init__(self, models: LoadedModels, settings: Settings) -> None:
        self.models, self.settings = models, settings
        self.state = State.loading
        self.metrics = Metrics(settings)
        self.files = 0  # that are predicted now
        self.predictions: Batcher[LoadedModel, Prediction] = Batcher(
            _predict,
            settings.batch_size,
            settings.queue_size,
            settings.batch_wait,
            self.metrics.observer("predictions"),
            "predictions",
            settings.threads,
        )
        self.explanations: Batcher[Explained, Explanation] = Batcher(
            _explain,
            1,
            settings.explanation_queue_size,
            observe=self.metrics.observer("explanations"),
            name="explanations",
        )
        self.metrics.watch_queue("predictions", lambda: self.predictions.waiting)
        self.metrics.watch_queue("explanations", lambda: self.explanations.waiting)

    def load(self) -> None:
        """Load the models. Raises InputError if one of them cannot be loaded."""
        self.models.load()
        if self.state is State.loading:
            self.state = State.ready
        logger.info("loaded %s", ", ".join(f"{m.name} ({m.digest})" for m in self.models.all()))

    def reload(self) -> None:
        """Load the models again; keep those that are loaded if one of them is damaged."""
        try:
            self.load()
        except InputError as error:
            logger.error("The models stay as they are: %s", error)
        except Exception as error:  # a reload must not end, or change, what works
            logger.error("The models stay as they are: %s", type(error).__name__)

    @contextmanager
    def file_slot(self) -> Iterator[None]:
        """Occupy one of the places for files. Raises QueueFullError if there is none."""
        most = self.settings.max_files
        if self.files >= most:
            raise QueueFullError(f"{most} files are being predicted, and no more may", FILE_DELAY)
        self.files += 1
        try:
            yield
        finally:
            self.files -= 1

    def drop(self) -> None:
        """Refuse what still waits."""
        self.predictions.drop()
        self.explanations.drop()

    def close(self, seconds: float | None = None) -> None:
        """Compute what still waits, and end the threads; wait for each only so many seconds."""
        self.predictions.close(seconds)
        self.explanations.close(seconds)


def _predict(model: LoadedModel, texts: Sequence[str]) -> "list[Prediction]":
    return model.predictor.predict(texts)


def _explain(explained: Explained, texts: Sequence[str]) -> "list[Explanation]":
    return [explained.model.predictor.explain(text, explained.label) for text in texts]
