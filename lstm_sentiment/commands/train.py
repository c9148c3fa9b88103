"""lstm-sentiment train: train one run or, with -m, a sweep. `python train.py` is the same command.

Hydra composes the configurations and calls `_task` for each of them, in this process or in the
processes of a launcher such as joblib. Before the first one, the callback `Planning` lets
`TrainCommand` plan all runs. At the end, the results are read from the folders of the runs.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from lstm_sentiment.commands.choices import CONF
from lstm_sentiment.commands.hydra_config import (
    combinations,
    one_line,
    refuse_code,
    task_overrides,
    to_config,
)
from lstm_sentiment.commands.launchers import ELSEWHERE, register, require_package
from lstm_sentiment.commands.signals import TERMINATING, exit_on_signals
from lstm_sentiment.commands.terminal import display_of_run, print_error
from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import scratch_folder
from lstm_sentiment.runs.identity import COMMAND, new_command
from lstm_sentiment.training import torchrun

if TYPE_CHECKING:
    from lstm_sentiment.commands.sweep import Sweep

ENDING = (signal.SIGINT, *TERMINATING)
INTERRUPTED = 128 + signal.SIGINT


def main(words: Sequence[str]) -> int:
    """Train the run or the sweep that the command line `words` describes; return the exit code.

    Of the processes that torchrun starts, the first one does so, and the others follow it.
    """
    if torchrun.rank() > 0:
        from lstm_sentiment.training.follower import follow_torchrun  # imports PyTorch

        return follow_torchrun()
    try:
        return _main(words)
    finally:
        torchrun.dismiss_followers()


def _main(words: Sequence[str]) -> int:
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    options = [word for word in words if word not in overrides]
    try:
        refuse_code([word for word in words if not word.startswith("-")])
    except InputError as error:
        print_error(error)
        return 1
    sys.argv = ["lstm-sentiment train", *options, *overrides]  # Hydra's order
    command = TrainCommand()
    token = TrainCommand.current.set(command)
    try:
        return command.run()
    finally:
        TrainCommand.current.reset(token)


class TrainCommand:
    """One command, from its command line to its exit code.

    Hydra creates the callback and calls the task; both get the command from a context variable.
    """

    current: ContextVar["TrainCommand | None"] = ContextVar("train_command", default=None)

    def __init__(self) -> None:
        self.sweep: Sweep | None = None  # created by `plan`
        self.planned: dict[tuple[str, ...], Path | None] = {}  # folders by overrides; see `plan`

    def run(self) -> int:
        """Train the runs, then close the sweep; return the exit code."""
        threading.excepthook = _hide_write_errors
        with exit_on_signals(*ENDING), scratch_folder() as scratch:
            # Hydra requires a folder for a sweep.
            os.environ["LSTM_SENTIMENT_SCRATCH"] = str(scratch)
            os.environ[COMMAND] = new_command()  # inherited by the processes of a launcher
            try:
                self._run_tasks()
                return self.sweep.close() if self.sweep else 0
            except KeyboardInterrupt:
                code = INTERRUPTED
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
        if code in [128 + number for number in ENDING]:
            print_error("Interrupted: the same command resumes where this one stopped.")
        return code

    def _run_tasks(self) -> None:
        """Let Hydra call the tasks; if its launcher fails, `close` trains the planned runs."""
        os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors; otherwise Hydra prints many lines
        register()
        try:
            _task()
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if self.sweep is None:  # the command line is not valid
                print_error(one_line(error))
                sys.exit(1)
            self._launcher_failed(error)
        except Exception as error:
            self._launcher_failed(error)

    def _launcher_failed(self, error: Exception) -> None:
        """Report the error of a launcher; raise it again if no planned run is left."""
        if self.sweep is None or not self.sweep.configs or self.sweep.begun:
            raise error
        if isinstance(error, InputError):  # its settings are not allowed
            print_error(error)
            sys.exit(1)
        print_error(f"The launcher failed ({type(error).__name__}: {one_line(error)}).")
        if not self.sweep.elsewhere:
            print_error("This process trains the runs of the launcher.")

    def folder_of(self, overrides: Sequence[str]) -> Path | None:
        """Return the folder of a planned run, or None if it could not be planned.

        Raises InputError if another sweeper than Hydra's own has made the overrides.
        """
        try:
            return self.planned[tuple(overrides)]
        except KeyError as error:
            raise InputError(
                f"The run with {' '.join(overrides)} was not planned: this launcher works with "
                "hydra/sweeper=basic only."
            ) from error

    def plan(self, runs: list[list[str]], launcher: str = "") -> None:
        """Plan the runs with these overrides; exit if none of them can be started."""
        from lstm_sentiment.commands.sweep import Sweep

        try:
            composed = [hydra.compose("config", run, return_hydra_config=True) for run in runs]
            self.sweep = Sweep(len(runs), elsewhere=launcher in ELSEWHERE)
            folders = self.sweep.plan(
                (partial(to_config, config), config.hydra.runtime.choices) for config in composed
            )
            self.planned = dict(zip(map(tuple, runs), folders, strict=True))
        except (HydraException, OmegaConfBaseException) as error:
            _refuse(one_line(error))
        except InputError as error:
            self.sweep = None
            _refuse(error)
        if not self.sweep.configs:
            sys.exit(self.sweep.close())


class Planning(Callback):
    """Hydra's callback that plans the runs of a command before the first is trained."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Plan the only run; exit if a launcher is chosen, which Hydra would ignore."""
        launcher = _launcher(config)
        if launcher != "basic":
            _refuse(f"hydra/launcher={launcher} starts the runs of a sweep: add -m.")
        if command := TrainCommand.current.get():
            command.plan([task_overrides(config)])

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Plan the runs of a sweep; exit if torchrun or a missing package prevents its launcher."""
        if torchrun.world_size() > 1:
            _refuse("torchrun starts the processes of a single run: train it without -m.")
        launcher = _launcher(config)
        try:
            require_package(launcher)
        except InputError as error:
            _refuse(error)
        if command := TrainCommand.current.get():
            command.plan(list(combinations(config)), launcher)


def _refuse(reason: object) -> NoReturn:
    """Print the reason and exit; Hydra would turn an exception of a callback into a warning."""
    print_error(reason)
    sys.exit(1)


def _launcher(config: DictConfig) -> str:
    return str(config.hydra.runtime.choices["hydra/launcher"])


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _task(composed: DictConfig) -> None:
    """Train one run of the command."""
    from lstm_sentiment.commands.sweep import Sweep  # slow to import, and not needed for --help

    command = TrainCommand.current.get()  # None in a launcher's process
    sweep = command.sweep if command and command.sweep else Sweep(1)
    sweep.train(partial(to_config, composed), HydraConfig.get().runtime.choices)


def run(config: Config) -> dict[str, Any]:
    """Train, evaluate and record one configuration; return its record, as in `run.json`.

    A finished run is not trained again unless `config.rerun` is set. An interrupted run resumes
    after its last complete epoch. If another process is training the run, wait for it.

    Raises InputError if the run cannot be started; then no file was written. Raises RunError if
    training fails; then `failed.json` in the run's folder gives the reason.
    """
    from lstm_sentiment.data.cache import DataCache
    from lstm_sentiment.training.plan import Plan
    from lstm_sentiment.training.run import execute, remove_leftovers

    if torchrun.rank() > 0:
        raise InputError("With torchrun, train with the command lstm-sentiment train.")
    shown = config.trainer.enable_progress_bar
    with DataCache(display_of_run("", shown)) as cache:
        plan = Plan.of(config, cache)
        if (record := plan.finished_record) is not None:
            remove_leftovers(plan)
            return record
        return execute(plan, display_of_run(plan.folder.name, shown), wait=True)


def _hide_write_errors(failure: threading.ExceptHookArgs) -> None:
    # If the disk is full, the run reports the error that TensorBoard's thread raises, too.
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)
