"""Plan a run: choose its device, identify its reviews, and derive its folder."""

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
from lstm_sentiment.display import on_one_line
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.runs.folder import CONFIG, FAILED
from lstm_sentiment.runs.identity import new_command, run_folder
from lstm_sentiment.runs.record import read_record
from lstm_sentiment.training import pseudo_labels, runtime
from lstm_sentiment.training.decision import require_possible


@dataclass(frozen=True)
class Plan:
    """A run that can be started: its device works and its reviews can be read."""

    config: Config
    choices: Mapping[str, str]
    data: ReviewDataModule
    device: str
    folder: Path
    command: str  # the token of the command, see `new_command`

    @classmethod
    def of(
        cls,
        config: Config,
        cache: DataCache | None = None,
        choices: Mapping[str, str] | None = None,
        command: str | None = None,
        corpus: Corpus | None = None,
    ) -> "Plan":
        """Plan the run of a configuration.

        `choices` are the names chosen for the groups encoder, head, embedding and data. `command`
        is the token of the command, a new one by default. `corpus` takes the place of the reviews
        that the configuration names. Raises InputError if the device is not available, if the
        reviews cannot be read, or if the decision does not suit the number of classes.
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
        pseudo = pseudo_labels.identify(data)
        identity = " ".join(filter(None, [data.identity, vectors, pseudo]))
        require_possible(config.decision, data.classes)
        folder = run_folder(config, identity)
        choices = names | dict(choices or {})
        return cls(config, choices, data, device, folder, command or new_command())

    def prepare(self) -> WordVectors | None:
        """Read the reviews into `data` and return their pretrained word vectors, if any.

        Reviews, vectors and pseudo-labels are cached. Raises InputError if any cannot be used, if
        the machine has fewer cores than the threads of the configuration, or if the score that is
        monitored is undefined.
        """
        runtime.require_cores(self.config.trainer.threads)
        self.data.prepare_data()
        self.data.setup()
        self._require_monitor()
        pseudo_labels.prepare(self.data, self.device)
        return word_vectors.load(self.config.embedding, self.data)

    def _require_monitor(self) -> None:
        """Raise InputError if the validation set lacks a class that its AUROC needs."""
        monitor, classes = self.config.early_stopping.monitor, self.data.classes
        missing = {*range(len(classes))} - {*self.data.val.labels.tolist()}
        if len(self.data.val) and missing and monitor == "val/auroc":
            raise InputError(
                f"early_stopping.monitor={monitor} needs reviews of all classes in the validation "
                f"set, which has none of {classes.names[min(missing)]}: monitor another score."
            )

    @property
    def finished_record(self) -> dict[str, Any] | None:
        """The record of the run; None if the run must be trained, also again with rerun=true."""
        return None if self.config.rerun and not self.is_begun else read_record(self.folder)

    @property
    def is_begun(self) -> bool:
        """Whether this command has begun to train the run, perhaps in another process."""
        return self._content_of_command(CONFIG) is not None

    @property
    def failure_reason(self) -> str | None:
        """The reason of a failure in another process of this command, or None."""
        failure = self._content_of_command(FAILED)
        return None if failure is None else on_one_line(failure.get("reason"))

    def _content_of_command(self, name: str) -> dict[str, Any] | None:
        """Return the content of a file in the run's folder, or None if another command wrote it."""
        content = read_json(self.folder / name)
        is_own = isinstance(content, dict) and content.get("command") == self.command
        return content if is_own else None
