"""The study of a search: its trials in Optuna's storage, shared by all workers.

The storage keeps the values and the results of the trials, from which Optuna's samplers and pruners
choose. Which worker trains a trial, and that there are not too many trials, is decided by locks in
the folder that holds the runs. A running trial whose lock no process holds is left over from a
worker that was killed: any worker continues it. Since its run has the same folder, it resumes from
its checkpoint.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from lstm_sentiment.commands.search_space import Numbers, Space
from lstm_sentiment.config import values_if_missing
from lstm_sentiment.display import Display, shortened, typed_value
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files.heartbeats import require_held
from lstm_sentiment.files.locks import LOCK, HeldError, is_held, sole_writer
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.runs.record import is_pruned

FOLDER = "study"  # in the folder of the sweep
DATABASE, TOKEN = "study.db", "study.json"  # in this folder
JOURNAL = ".journal"  # the ending of a storage that is a file of Optuna's journal
SCHEMES = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
ESCAPES = str.maketrans({"%": "%25", "?": "%3F", "{": "{{", "}": "}}"})  # of a path in a URL
IDENTITY = "lstm_sentiment"  # the attribute of a study that says what it computes
POLL = 1.0  # seconds between two checks whether a trial of another worker has ended
PATIENCE = 60  # seconds to wait for a database that another worker is writing
FEWEST_FOR_IMPORTANCES = 10  # finished trials

Sampler = Literal["tpe", "random"]
Pruner = Literal["median", "hyperband", "none"]


class State(StrEnum):
    """The states of a trial that has ended."""

    finished = auto()
    pruned = auto()
    failed = auto()


STATES = {
    TrialState.COMPLETE: State.finished,
    TrialState.PRUNED: State.pruned,
    TrialState.FAIL: State.failed,
}


ENDED = (TrialState.COMPLETE, TrialState.PRUNED)  # with a result


@dataclass(frozen=True)
class Identity:
    """What a study computes: workers may join only with the same."""

    spaces: Mapping[str, str]  # by name, as they are typed
    settings: Mapping[str, Any]  # that differ from the defaults, with first values of the spaces
    reviews: str  # the identities of all reviews and of the validation set
    run: str  # the name of the run with these settings: also depends on vectors and other models
    sampler: Sampler
    pruner: Pruner

    @property
    def recorded(self) -> dict[str, Any]:
        """The identity as plain values, as they are read from JSON."""
        content: dict[str, Any] = json.loads(json.dumps(vars(self)))
        return content

    def difference(self, recorded: Mapping[str, Any]) -> str | None:
        """Return with what a study of another identity was begun; None if it is the same."""
        implied = json.loads(json.dumps(values_if_missing()))
        for kind, usual in (("spaces", {}), ("settings", implied)):
            ours, theirs = usual | self.recorded[kind], usual | recorded[kind]
            for name in [*theirs, *ours]:
                if ours.get(name) != theirs.get(name):
                    return f"{_stated(name, theirs)}, and not {_stated(name, ours)}"
        for name in ("sampler", "pruner"):
            if (here := getattr(self, name)) != (there := recorded[name]):
                return f"with --{name} {there}, and not with --{name} {here}"
        if self.reviews != recorded["reviews"]:
            return "with other reviews"
        if self.run != recorded["run"]:
            return "with other word vectors, pseudo-labels or language models, or another version"
        return None


def _stated(name: str, values: Mapping[str, Any]) -> str:
    return f"with {name}={typed_value(values[name])}" if name in values else f"without {name}"


@dataclass(frozen=True)
class Result:
    """A trial that has ended."""

    number: int
    state: State
    values: Mapping[str, str]  # as they are typed, by the names of the spaces
    accuracy: float | None = None  # on the validation set, of the best epoch; None if it failed
    epochs: int = 0
    run: str = ""
    reason: str = ""  # of a failure


ATTRIBUTES = ("accuracy", "epochs", "run", "reason")  # of a trial in the storage


class Study:
    """A search that several workers share, for one worker."""

    def __init__(
        self,
        study: optuna.Study,
        folder: Path,
        spaces: Mapping[str, Space],
        identity: Identity,
        *,
        storage: str,
        seed: int,
        total: int,
        display: Display,
    ) -> None:
        self.study, self.folder, self.spaces, self.identity = study, folder, spaces, identity
        self.name, self.storage = study.study_name, storage  # for messages
        self.seed, self.total, self.display = seed, total, display

    @contextmanager
    def next_trial(self, waiting: Callable[[], object]) -> Iterator["Trial | None"]:
        """Hold and yield a trial that no other process holds; None if all trials have ended.

        While other workers train the last trials, call `waiting` and wait: one may be killed.
        """
        with ExitStack() as lock:
            yield self._hold_next(lock, waiting)

    def _hold_next(self, lock: ExitStack, waiting: Callable[[], object]) -> "Trial | None":
        while True:
            states = self.states()
            if sum(state in ENDED for state in states) >= self.total:
                return None
            for number, state in enumerate(states):
                if state is TrialState.RUNNING and self._hold(lock, number):
                    return Trial(self, number)
            if not self._add():
                waiting()
                time.sleep(POLL)

    def _hold(self, lock: ExitStack, number: int) -> bool:
        """Hold a running trial, unless another process holds it or it has ended."""
        file = self.folder / f"{LOCK}-{number}"
        if is_held(file):
            return False
        with suppress(HeldError):
            lock.enter_context(sole_writer(file))
            if self.states()[number] is TrialState.RUNNING:
                return True
            lock.close()
        return False

    def _add(self) -> bool:
        """Add a trial for any worker, unless there are as many as there may be."""
        with _sole_planner(self.folder):
            if sum(state in (*ENDED, TrialState.RUNNING) for state in self.states()) >= self.total:
                return False
            self.study.ask()
            return True

    def states(self) -> list[TrialState]:
        """Return the states of all trials, in their order."""
        return [trial.state for trial in self.trials()]

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, in their order."""
        return self.study.get_trials(deepcopy=False)

    def results(self) -> list[Result]:
        """Return the trials that have ended, in their order."""
        return [self._result(trial) for trial in self.trials() if trial.state in STATES]

    def _result(self, trial: FrozenTrial) -> Result:
        values = {
            name: _typed(self.spaces[name], value)
            for name, value in trial.params.items()
            if name in self.spaces
        }
        result = Result(trial.number, STATES[trial.state], values)
        known = {name: trial.user_attrs[name] for name in ATTRIBUTES if name in trial.user_attrs}
        return replace(result, **known)

    def importances(self) -> dict[str, float] | None:
        """Return the shares of the variance of the accuracy that the fields explain (fANOVA).

        None if there are too few finished trials, or if all have the same accuracy.
        """
        values = [trial.value for trial in self.trials() if trial.state is TrialState.COMPLETE]
        if len(values) < FEWEST_FOR_IMPORTANCES or len({*values}) == 1:
            return None
        return get_param_importances(self.study, evaluator=FanovaImportanceEvaluator(seed=0))


class Trial:
    """A trial that this process holds, with the values that it draws."""

    def __init__(self, study: Study, number: int) -> None:
        """Draw the values that the trial does not have yet.

        The seed depends on the number of the trial, so that workers draw different values, and a
        search with one worker always draws the same, whether it was interrupted or not.
        """
        self.study, self.number = study, number
        seed = np.random.SeedSequence([study.seed, number]).generate_state(1)[0]
        study.study.sampler = _sampler(study.identity.sampler, int(seed))
        frozen = study.trials()[number]
        self.trial = optuna.Trial(study.study, frozen._trial_id)
        self.reported = {*frozen.intermediate_values}
        self.values = {
            name: _typed(space, _suggest(self.trial, name, space))
            for name, space in study.spaces.items()
        }

    def may_continue(self, epoch: int, scores: Mapping[str, Any]) -> bool:
        """Report the scores of an epoch; return false if the pruner ends the trial.

        A storage that cannot be reached ends no training.
        """
        try:
            self._report(epoch, scores)
            return not self.trial.should_prune()
        except (OptunaError, OSError) as error:
            reason = _first_line(error)
            self.study.display.message(f"epoch {epoch} is not reported ({reason})", "warning")
            return True

    def finish(self, record: Mapping[str, Any]) -> None:
        """Store the result of the trial, which is in the record of its run.

        Raises LostError if another process has taken over the trial.
        """
        self._require_held()
        if not self._is_running:
            return
        for epoch in record["epochs"]:
            self._report(epoch["epoch"], epoch["val"])
        accuracy = record["val"]["accuracy"]
        self._attribute(accuracy=accuracy, epochs=len(record["epochs"]), run=record["name"])
        if is_pruned(record):
            self.study.study.tell(self.number, state=TrialState.PRUNED)
        else:
            self.study.study.tell(self.number, accuracy)

    def fail(self, reason: str) -> None:
        """Store that the trial has failed; another one replaces it.

        Raises LostError if another process has taken over the trial.
        """
        self._require_held()
        if not self._is_running:
            return
        self._attribute(reason=reason)
        self.study.study.tell(self.number, state=TrialState.FAIL)

    def _require_held(self) -> None:
        require_held(self.study.folder / DATABASE)

    @property
    def _is_running(self) -> bool:
        """Whether no other worker has ended the trial, to which this one seemed to be dead."""
        return self.study.states()[self.number] is TrialState.RUNNING

    def _report(self, epoch: int, scores: Mapping[str, Any]) -> None:
        if epoch not in self.reported:
            self.trial.report(scores["accuracy"], epoch)
            self.reported.add(epoch)

    def _attribute(self, **values: Any) -> None:
        for name, value in values.items():
            self.trial.set_user_attr(name, value)


def open_study(
    storage: str | None,
    sweep: Path,
    spaces: Mapping[str, Space],
    identity: Identity,
    *,
    seed: int,
    total: int,
    max_epochs: int,
    display: Display,
) -> Study:
    """Open the study of a sweep, or begin it.

    `storage` is a URL or a file of Optuna's journal; None is a database in the folder of the sweep.
    Raises InputError if the storage cannot be opened, or if its study of this name computes
    something else or has its runs in another folder. Raises OSError if the folder of the sweep
    cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = sweep / FOLDER
    shown = shown_storage(storage, folder)
    # Two processes must not create the same tables.
    with _removed_if_refused(folder), _sole_planner(folder):
        try:
            study = optuna.create_study(
                storage=_storage(storage, folder),
                study_name=sweep.name,
                direction="maximize",
                pruner=_pruner(identity.pruner, max_epochs),
                load_if_exists=True,
            )
            recorded, is_new = study.user_attrs.get(IDENTITY), not study.get_trials(deepcopy=False)
            if recorded is None and is_new:
                recorded = identity.recorded | {"folder": _new_token(folder)}
                study.set_user_attr(IDENTITY, recorded)
        except InputError:
            raise
        except Exception as error:  # of Optuna, SQLAlchemy, a driver, or the file system
            reason = _first_line(error).replace(*_credentials(storage))
            raise InputError(f"{shown} cannot be opened ({reason}).") from error
        _require_same(recorded, identity, sweep, shown)
    return Study(
        study, folder, spaces, identity, storage=shown, seed=seed, total=total, display=display
    )


@contextmanager
def _removed_if_refused(folder: Path) -> Iterator[None]:
    """Make a folder, and remove it and its parents if they are new and the study is refused."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except InputError:
        for each in new:
            with suppress(OSError):  # another worker may have begun
                each.rmdir()
        raise


def _require_same(
    recorded: Mapping[str, Any] | None, identity: Identity, sweep: Path, shown: str
) -> None:
    """Raise InputError if a study computes something else, or has its runs elsewhere."""
    another = "sweep=NAME gives another study"
    if recorded is None:
        raise InputError(
            f"The study {sweep.name} in {shown} was not begun by lstm-sentiment: {another}."
        )
    if difference := identity.difference(recorded):
        raise InputError(f"The study {sweep.name} in {shown} was begun {difference}: {another}.")
    if recorded["folder"] != _token(sweep / FOLDER):
        raise InputError(
            f"The study {sweep.name} in {shown} has its runs in another folder than {sweep}: give "
            f"the root that all workers share; {another}."
        )


def _token(folder: Path) -> str | None:
    """Return the token of a folder, by which workers on other machines recognise it, if any."""
    content = read_json(folder / TOKEN)
    token = content.get("folder") if isinstance(content, dict) else None
    return token if isinstance(token, str) else None


def _new_token(folder: Path) -> str:
    """Return the token of a folder, after writing one if there is none."""
    if (token := _token(folder)) is None:
        token = secrets.token_hex(8)
        write_json(folder / TOKEN, {"folder": token})
    return token


@contextmanager
def _sole_planner(folder: Path) -> Iterator[None]:
    """Hold the lock under which a study is opened, and trials are added."""
    with sole_writer(folder / LOCK, lambda: None):
        yield


def shown_storage(storage: str | None, folder: Path) -> str:
    """Return the storage for messages, without a password."""
    if storage is None:
        return str(folder / DATABASE)
    if "://" not in storage:
        return storage
    scheme, _, rest = storage.partition("://")
    # As SQLAlchemy reads it: a password ends at the first @, and may contain / and ?.
    place = re.sub(r"^[^:/?]*(:[^@]*)?@", "", rest)
    return f"{scheme}://{place.partition('?')[0]}"


def _credentials(storage: str | None) -> tuple[str, str]:
    """Return the user and the password of a URL, and what replaces them in messages."""
    credentials, at, _ = (storage or "").partition("://")[2].rpartition("@")
    return (credentials + at, "") if at else ("\0", "")


def _storage(storage: str | None, folder: Path) -> BaseStorage:
    """Open a storage. Raises InputError if it is of no known kind, or any error of its packages."""
    if storage is None:
        storage = f"sqlite:///{str(folder / DATABASE).translate(ESCAPES)}"
    if storage.endswith(JOURNAL) and "://" not in storage:
        return JournalStorage(JournalFileBackend(str(Path(storage).expanduser())))
    scheme, separator, rest = storage.partition("://")
    if not separator or scheme not in SCHEMES:
        raise InputError(
            f"--storage must be a URL postgresql://USER@HOST/DATABASE or sqlite:///FILE, or a "
            f"FILE{JOURNAL} (got {shortened(shown_storage(storage, folder))})."
        )
    options: dict[str, Any] = {"pool_pre_ping": True}  # a server may have been started again
    if scheme == "sqlite":
        options["connect_args"] = {"timeout": PATIENCE}
    try:
        return RDBStorage(f"{SCHEMES[scheme]}://{rest}", engine_kwargs=options)
    except ImportError as error:
        raise InputError(
            f"PostgreSQL needs the package psycopg, which cannot be imported ({error}): "
            'pip install "lstm_sentiment[postgresql]"'
        ) from error


def _sampler(name: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(name: Pruner, max_epochs: int) -> optuna.pruners.BasePruner:
    if name == "median":
        return optuna.pruners.MedianPruner()
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max_epochs)
    return optuna.pruners.NopPruner()


def _suggest(trial: optuna.Trial, name: str, space: Space) -> Any:
    if not isinstance(space, Numbers):
        return trial.suggest_categorical(name, space.values)
    if space.is_whole:
        low, high, step = int(space.low), int(space.high), int(space.step or 1)
        return trial.suggest_int(name, low, high, step=step, log=space.is_log)
    return trial.suggest_float(name, space.low, space.high, step=space.step, log=space.is_log)


def _typed(space: Space, value: Any) -> str:
    """Return a drawn value as it is typed."""
    return space.typed(value) if isinstance(space, Numbers) else str(value)


@contextmanager
def storage_errors_named(storage: str) -> Iterator[None]:
    """Raise the errors of a storage that was opened as RunError."""
    try:
        yield
    except (StorageInternalError, OSError) as error:
        raise RunError(
            f"{storage} cannot be used ({_first_line(error)}): the same command continues."
        ) from error


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message or, if it has none, of that of its cause."""
    causes: Sequence[BaseException] = [each for each in (error.__cause__, error) if each]
    lines = [line for each in causes for line in str(each).strip().splitlines()[:1]]
    return shortened(lines[0] if lines else type(error).__name__, 200)
