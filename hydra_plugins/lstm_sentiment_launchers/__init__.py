"""Launchers that train the runs of `lstm-sentiment train -m` as jobs: on Ray, or with submitit.

Hydra takes launchers from the namespace package `hydra_plugins` only. It imports this module
whenever it starts, also for other programs, so `lstm_sentiment.commands.jobs` does the work.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class JobLauncher(Launcher):
    """A launcher that trains the runs that the command has planned as jobs."""

    name = ""  # of hydra/launcher

    def __init__(self, **settings: Any) -> None:
        self.settings = {
            name: OmegaConf.to_container(value, resolve=True)
            if OmegaConf.is_config(value)
            else value
            for name, value in settings.items()
        }

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Do nothing: jobs do not call Hydra's task."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Train the runs with these overrides; their results are in their folders."""
        from lstm_sentiment.commands.jobs import launch

        launch(self.name, self.settings, job_overrides)
        return []


class RayLauncher(JobLauncher):
    """Each run is a task of a Ray cluster."""

    name = "ray"


class LocalLauncher(JobLauncher):
    """Each run is a process of this machine; all run at once."""

    name = "submitit_local"


class SlurmLauncher(JobLauncher):
    """Each run is a job of Slurm; together, they are one job array."""

    name = "submitit_slurm"
