"""python train.py: train one run or, with -m, a sweep.

Hydra composes the configurations and calls `_task` for each of them, in this process or in the
processes of a launcher such as joblib. Before the first one, the callback `Planning` lets
`TrainCommand` plan all runs. At the end, the results are read from the folders of the runs.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lstm_sentiment.commands.hydra_config import CONF, combinations, one_line, to_config
from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError

if TYPE_CHECKING:
    from lstm_sentiment.commands.sweep import Sweep

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


def main() -> int:
    """Train the run or the sweep of the command line; return the exit code."""
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

    def run(self) -> int:
        """Train the runs, then close the sweep; return the exit code."""
        threading.excepthook = _hide_write_errors
        with TemporaryDirectory() as scratch, _exit_on_signals():
            os.environ["LSTM_SENTIMENT_SCRATCH"] = scratch  # Hydra requires a folder for a sweep
            try:
                self._run_tasks()
                return self.sweep.close() if self.sweep else 0
            except KeyboardInterrupt:
                code = INTERRUPTED
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
        if code in (INTERRUPTED, TERMINATED):
            print("Interrupted: the same command resumes where this one stopped.", file=sys.stderr)
        return code

    def _run_tasks(self) -> None:
        """Let Hydra call the tasks; if its launcher fails, `close` trains the planned runs."""
        try:
            _task()
        except SystemExit as stop:
            runs_left = self.sweep is not None and self.sweep.configs and not self.sweep.begun
            if stop.code != 1 or not runs_left:
                raise
            print("The launcher failed: this process trains its runs.", file=sys.stderr)

    def plan(self, runs: list[list[str]]) -> None:
        """Plan the runs with these overrides; exit if none of them can be started."""
        from lstm_sentiment.commands.sweep import Sweep

        try:
            composed = [hydra.compose("config", run, return_hydra_config=True) for run in runs]
            self.sweep = Sweep(len(runs))
            self.sweep.plan(
                (partial(to_config, config), config.hydra.runtime.choices) for config in composed
            )
        except HydraException as error:
            print(one_line(error), file=sys.stderr)
            sys.exit(1)
        except InputError as error:
            self.sweep = None
            print(error, file=sys.stderr)
            sys.exit(1)
        if not self.sweep.configs:
            sys.exit(self.sweep.close())


class Planning(Callback):
    """Hydra's callback that plans the runs of a command before the first is trained."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Plan the only run."""
        self._plan([list(config.hydra.overrides.task)])

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Plan the runs of a sweep."""
        self._plan(list(combinations(config)))

    def _plan(self, runs: list[list[str]]) -> None:
        if command := TrainCommand.current.get():
            command.plan(runs)


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
    from lstm_sentiment.commands.terminal import display_of_run
    from lstm_sentiment.data.cache import DataCache
    from lstm_sentiment.training.plan import Plan
    from lstm_sentiment.training.run import execute, remove_leftovers

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


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into SystemExit with the exit codes that shells use."""

    def handle(number: int, _: Any) -> None:
        # The timer ends the process if a library catches SystemExit.
        last_resort = threading.Timer(10, os._exit, [128 + number])
        last_resort.daemon = True
        last_resort.start()
        sys.exit(128 + number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
