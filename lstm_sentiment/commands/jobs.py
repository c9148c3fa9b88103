"""Runs of a sweep as jobs: on Ray, or with submitit on Slurm or in processes of this machine.

The command plans all runs. Those that are not finished become jobs: values that are pickled, sent
to a process elsewhere, and trained there without Hydra. The results are in the folders of the runs.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.text import Text

from lstm_sentiment.commands import terminal
from lstm_sentiment.commands.terminal import console
from lstm_sentiment.config import Accelerator, Config
from lstm_sentiment.display import on_one_line
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import reason_of
from lstm_sentiment.runs.reader import State, read_run

VARIABLES = "LSTM_SENTIMENT_"  # the prefix of the environment variables that jobs get
SCRATCH = "LSTM_SENTIMENT_SCRATCH"  # the temporary folder of one process


@dataclass(frozen=True)
class Job:
    """A run that a process on some machine is to train."""

    run: Path  # the folder of the run
    config: Config
    choices: Mapping[str, str]  # by group
    cores: int
    gpus: int
    folder: Path  # in which the command was typed: paths may be relative to it
    variables: Mapping[str, str]  # of the environment

    def train(self, names_lines: bool = False) -> list[str]:
        """Train the run in this process; return the reasons if it could not be started.

        A failure of the run is recorded in its folder, like any other. With `names_lines`, each
        line of the output begins with the name of the run.
        """
        import torch

        from lstm_sentiment.commands.sweep import Sweep

        try:
            os.chdir(self.folder)
        except OSError as error:
            machine = socket.gethostname()
            return [f"{machine} does not share the folder {self.folder} ({reason_of(error)})"]
        os.environ.update(self.variables)
        terminal.IN_LAUNCHER = names_lines
        if self.config.trainer.threads is None:
            torch.set_num_threads(self.cores)
        sweep = Sweep(1)
        sweep.train(lambda: self.config, self.choices)
        return sweep.refusals


@dataclass(frozen=True)
class Ended:
    """A job that has ended: why its run could not be started, or why its process died, if so."""

    job: Job
    refusals: Sequence[str] = ()
    death: str = ""


def launch(launcher: str, settings: Mapping[str, Any], overrides: Sequence[Sequence[str]]) -> None:
    """Train the planned runs with these overrides as jobs, and print what became of each.

    Raises InputError if the jobs cannot be started.
    """
    from lstm_sentiment.commands.train import TrainCommand

    command = TrainCommand.current.get()
    assert command is not None
    sweep = command.sweep
    assert sweep is not None
    folders = dict.fromkeys(command.folder_of(run) for run in overrides)
    jobs = [
        _job(folder, *sweep.configs[folder], settings)
        for folder in folders
        if folder in sweep.unfinished
    ]
    if finished := sum(folder is not None for folder in folders) - len(jobs):
        console.print(f"{finished} of {len(folders)} runs are finished.")
    starter = import_module(f"{__package__}.{launcher.partition('_')[0]}_jobs")
    ended: Iterator[Ended] = starter.train(launcher, jobs, settings) if jobs else iter(())
    for number, end in enumerate(ended, 1):
        sweep.refusals += [refusal for refusal in end.refusals if refusal not in sweep.refusals]
        text = f"  {number} of {len(jobs)}: {_outcome(end)}"
        console.print(Text.assemble((end.job.run.name, "bold"), text))


def _job(
    folder: Path, config: Config, choices: Mapping[str, str], settings: Mapping[str, Any]
) -> Job:
    devices, cores = config.trainer.devices, settings["cores"]
    threads = devices * (config.trainer.threads or 1)
    if cores is not None and cores < threads:
        raise InputError(
            f"hydra.launcher.cores must be at least {threads}, the trainer.threads of all "
            f"trainer.devices of {folder.name} (got {cores})."
        )
    wants_gpu = config.trainer.accelerator is Accelerator.gpu
    gpus = devices * wants_gpu if settings["gpus"] is None else settings["gpus"]
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(VARIABLES) and name != SCRATCH
    }
    return Job(folder, config, choices, cores or threads, gpus, Path.cwd(), variables)


def _outcome(end: Ended) -> str:
    if end.refusals:
        return f"refused: {end.refusals[0]}"
    run = read_run(end.job.run)
    if end.death and run.state is not State.done:
        return f"its process died: {on_one_line(end.death)}"
    return run.trouble or str(run.state)
