"""Plan a run: choose its device, identify its reviews, and derive its folder."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_sentiment.config import Config
from lstm_sentiment.data import word_vectors
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.sources import Corpus
from lstm_sentiment.data.word_vectors import WordVectors
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.runs.folder import FAILED, RECORD
from lstm_sentiment.runs.identity import run_folder
from lstm_sentiment.runs.record import read_record
from lstm_sentiment.training import runtime


@dataclass(frozen=True)
class Plan:
    """A run that can be started: its device works and its reviews can be read."""

    config: Config
    choices: Mapping[str, str]
    data: ReviewDataModule
    device: str
    folder: Path
    since: float  # start of the command, in seconds since 1970

    @classmethod
    def of(
        cls,
        config: Config,
        cache: DataCache | None = None,
        choices: Mapping[str, str] | None = None,
        since: float | None = None,
        corpus: Corpus | None = None,
    ) -> "Plan":
        """Plan the run of a configuration.

        `choices` are the names chosen for the groups encoder, head, embedding and data. `since` is
        the start of the command, now by default. `corpus` takes the place of the reviews that the
        configuration names. Raises InputError if the device is not available or if the reviews
        cannot be read.
        """
        device = runtime.choose_device(config.trainer.accelerator)
        data = ReviewDataModule(config.data, config.seed, config.test, cache, corpus)
        names = {
            "encoder": config.encoder.network,
            "head": str(config.head.kind),
            "embedding": str(config.embedding.kind),
            "data": str(config.data.source),
        }
        # The vectors come first, so that a missing file is reported before the reviews are read.
        vectors = word_vectors.identify(config.embedding, data)
        identity = " ".join(filter(None, [data.identity, vectors]))
        folder = run_folder(config, identity)
        since = time.time() if since is None else since
        return cls(config, names | dict(choices or {}), data, device, folder, since)

    def prepare(self) -> WordVectors | None:
        """Read the reviews into `data` and return their pretrained word vectors, if any.

        Reviews and vectors are cached. Raises InputError if either cannot be used.
        """
        self.data.prepare_data()
        self.data.setup()
        return word_vectors.load(self.config.embedding, self.data)

    @property
    def finished_record(self) -> dict[str, Any] | None:
        """The record of the run; None if the run must be trained, also again with rerun=true."""
        record = read_record(self.folder)
        return None if self.config.rerun and not self.is_new(RECORD) else record

    @property
    def failure_reason(self) -> str | None:
        """The reason of a failure in another process since the start of the command, or None."""
        failure = read_json(self.folder / FAILED) if self.is_new(FAILED) else None
        return None if failure is None else str(failure["reason"])

    def is_new(self, name: str) -> bool:
        """Return whether a file in the run's folder was written since the start of the command."""
        try:
            return (self.folder / name).stat().st_mtime >= self.since
        except OSError:
            return False
