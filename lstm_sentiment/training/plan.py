"""Plan a run: choose its device, identify its reviews, and derive its folder."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lstm_sentiment.config import Accelerator, Config
from lstm_sentiment.data import word_vectors
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pretraining import train_on_unlabelled, unlabelled_identity
from lstm_sentiment.data.sources import Corpus
from lstm_sentiment.data.word_vectors import WordVectors
from lstm_sentiment.display import on_one_line
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.runs.folder import CONFIG, FAILED
from lstm_sentiment.runs.identity import new_command, run_folder
from lstm_sentiment.runs.record import examine_record, is_pruned, recorded
from lstm_sentiment.training import processes, pseudo_labels, runtime, starting_point
from lstm_sentiment.training.decision import require_possible
from lstm_sentiment.training.starting_point import StartingPoint


@dataclass(frozen=True)
class Planned(ABC):
    """What can be trained in a folder of its own: a run, or a language model."""

    config: Any
    device: str
    folder: Path
    command: str  # the token of the command, see `new_command`

    @property
    @abstractmethod
    def description(self) -> Mapping[str, Any]:
        """What `config.json` says of it."""

    @abstractmethod
    def prepare(self) -> object:
        """Read and cache the data. Raises InputError if they cannot be used."""

    @abstractmethod
    def examine_record(self) -> tuple[dict[str, Any] | None, str]:
        """Return the record if training is finished, or None and the problem with it, if any."""

    @property
    def finished_record(self) -> dict[str, Any] | None:
        """The record of the run; None if the run must be trained, also again with rerun=true."""
        return None if self.config.rerun and not self.is_begun else self.examine_record()[0]

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


class Pretrained(NamedTuple):
    """What a network starts from instead of random weights, if anything."""

    vectors: WordVectors | None = None
    language_model: StartingPoint | None = None


@dataclass(frozen=True)
class Plan(Planned):
    """A run that can be started: its device works and its reviews can be read.

    A run that a search has pruned counts as finished only if it `may_be_pruned`.
    """

    config: Config
    choices: Mapping[str, str]
    data: ReviewDataModule
    may_be_pruned: bool = False
    elsewhere: bool = False  # trained by another machine, which may have other devices

    @classmethod
    def of(
        cls,
        config: Config,
        cache: DataCache | None = None,
        choices: Mapping[str, str] | None = None,
        command: str | None = None,
        corpus: Corpus | None = None,
        elsewhere: bool = False,
    ) -> "Plan":
        """Plan the run of a configuration.

        `choices` are the names chosen for the groups encoder, head, embedding and data. `command`
        is the token of the command, a new one by default. `corpus` takes the place of the reviews
        that the configuration names. `elsewhere` says that another machine trains the run, so
        that devices and cores of this one do not matter. Raises InputError if a device is not
        available, if the reviews cannot be read, or if the decision does not suit the number of
        classes.
        """
        accelerator = Accelerator.auto if elsewhere else config.trainer.accelerator
        device = runtime.choose_device(accelerator)
        if not elsewhere:
            processes.require_possible(config.trainer, device)
        if corpus is not None and config.trainer.processes > 1:
            raise InputError(
                f"trainer.devices={config.trainer.devices} is not allowed with reviews in memory, "
                "which other processes cannot read: write them to a file."
            )
        data = ReviewDataModule(
            config.data, config.seed, config.test, cache, corpus, config.head.ngrams
        )
        names = {
            "encoder": config.encoder.network,
            "head": str(config.head.kind),
            "embedding": str(config.embedding.kind),
            "data": str(config.data.source),
        }
        # The vectors come first, so that a missing file is reported before the reviews are read.
        vectors = word_vectors.identify(config.embedding, data)
        parts = [
            data.identity,
            vectors,
            starting_point.identify(config),
            unlabelled_identity(data, config.objective.unlabelled),
            pseudo_labels.identify(data),
        ]
        identity = " ".join(filter(None, parts))
        require_possible(config.decision, data.classes)
        folder = run_folder(config, identity)
        choices = names | dict(choices or {})
        return cls(
            config, device, folder, command or new_command(), choices, data, elsewhere=elsewhere
        )

    @property
    def description(self) -> Mapping[str, Any]:
        """What `config.json` says of the run: the choices and the configuration."""
        return {"choices": self.choices, "config": recorded(self.config)}

    def examine_record(self) -> tuple[dict[str, Any] | None, str]:
        """Return the record of the run if it is finished; see `runs.record.examine_record`."""
        record, problem = examine_record(self.folder)
        if record is not None and is_pruned(record) and not self.may_be_pruned:
            return None, "a search has pruned this run"
        return record, problem

    def prepare(self) -> Pretrained:
        """Read the reviews into `data` and return what the network starts from.

        Reviews, vectors and pseudo-labels are cached. Raises InputError if any cannot be used, if
        the machine has fewer cores than the threads of the configuration, or if the score that is
        monitored is undefined.
        """
        if not self.elsewhere:
            runtime.require_cores(self.config.trainer.threads)
        self.data.prepare_data()
        self.data.setup()
        train_on_unlabelled(self.data, self.config.objective.unlabelled)
        self._require_monitor()
        pseudo_labels.prepare(self.data, self.device)
        vectors = word_vectors.load(self.config.embedding, self.data)
        return Pretrained(vectors, starting_point.load(self.config, self.data))

    def _require_monitor(self) -> None:
        """Raise InputError if the validation set lacks a class that its AUROC needs."""
        monitor, classes = self.config.early_stopping.monitor, self.data.classes
        missing = {*range(len(classes))} - {*self.data.val.labels.tolist()}
        if len(self.data.val) and missing and monitor == "val/auroc":
            raise InputError(
                f"early_stopping.monitor={monitor} needs reviews of all classes in the validation "
                f"set, which has none of {classes.names[min(missing)]}: monitor another score."
            )
