"""The settings of Hydra's launchers for runs as jobs: ray, submitit_local and submitit_slurm.

They are typed on the command line as `hydra.launcher.NAME=VALUE`.
"""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from hydra_plugins.lstm_sentiment_launchers import (
    JobLauncher,
    LocalLauncher,
    RayLauncher,
    SlurmLauncher,
)
from lstm_sentiment.errors import InputError

# The package that each launcher needs, which has the name of its extra.
PACKAGES = {
    "joblib": "joblib",
    "ray": "ray",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}
# Launchers whose jobs run on other machines, while the command may wait on a machine for logins.
ELSEWHERE = ("ray", "submitit_slurm")
PLUGIN = JobLauncher.__module__


@dataclass
class JobSettings:
    """What every launcher of jobs needs for one run."""

    cores: int | None = None  # None: trainer.threads or, without it, 1
    gpus: int | None = None  # None: 1 with trainer=gpu, otherwise 0


@dataclass
class RaySettings(JobSettings):
    """The settings of hydra/launcher=ray."""

    _target_: str = f"{PLUGIN}.RayLauncher"
    address: str = "auto"  # of the cluster: that of this machine, HOST:PORT, or ray://HOST:10001
    memory_gb: float | None = None  # reserved for each run
    max_retries: int = 3  # how often a run is continued whose process or machine has died


@dataclass
class LocalSettings(JobSettings):
    """The settings of hydra/launcher=submitit_local."""

    _target_: str = f"{PLUGIN}.LocalLauncher"
    folder: str = "${root}/.submitit/%j"  # of logs and pickled jobs; %j is the number of the job
    timeout_min: int = 60 * 24 * 365


@dataclass
class SlurmSettings(JobSettings):
    """The settings of hydra/launcher=submitit_slurm; most are those of sbatch."""

    _target_: str = f"{PLUGIN}.SlurmLauncher"
    folder: str = "${root}/.submitit/%j"
    name: str = "lstm_sentiment"
    timeout_min: int = 240  # of a job, which then continues as a new one
    max_num_timeout: int = 20  # how often it does
    memory_gb: float | None = 8  # reserved for each run
    array_parallelism: int = 256  # jobs at once
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: list[str] | None = None  # commands before the job, such as [module load cuda]
    additional_parameters: dict[str, Any] = field(default_factory=dict)  # {mail-type: BEGIN}


SETTINGS: dict[type[JobLauncher], type[JobSettings]] = {
    RayLauncher: RaySettings,
    LocalLauncher: LocalSettings,
    SlurmLauncher: SlurmSettings,
}


def register() -> None:
    """Let Hydra know the launchers, in place of others of the same names."""
    plugins = Plugins.instance()  # imports the plugins that are installed
    for launcher, settings in SETTINGS.items():
        plugins.register(launcher)  # not found in a checkout that is installed as editable
        ConfigStore.instance().store(
            group="hydra/launcher", name=launcher.name, node=settings, provider="lstm_sentiment"
        )


def require_package(launcher: str) -> None:
    """Raise InputError if the package of a launcher is not installed."""
    package = PACKAGES.get(launcher)
    if package is not None and find_spec(package) is None:
        raise InputError(
            f"hydra/launcher={launcher} needs the package {package}, which is not installed: "
            f'pip install "lstm_sentiment[{package}]" installs it.'
        )
