"""Jobs with submitit: of Slurm, or in processes of this machine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lstm_sentiment.commands.jobs import Ended, Job
from lstm_sentiment.commands.terminal import console
from lstm_sentiment.display import on_one_line
from lstm_sentiment.errors import InputError

POLL = 0.5  # seconds between two looks for jobs that have ended

# Our names of parameters that submitit knows for every scheduler.
NAMES = {"cores": "cpus_per_task", "gpus": "gpus_per_node", "memory_gb": "mem_gb"}
COMMON = {"name", "timeout_min", *NAMES.values()}


class TrainJob:
    """The function that submitit calls in the process of a job."""

    def __call__(self, job: Job) -> list[str]:
        """Train the run; return the reasons if it could not be started."""
        return job.train()

    def checkpoint(self, job: Job) -> Any:
        """Return what continues the job after its time limit: the same again, which resumes."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def train(launcher: str, jobs: Sequence[Job], settings: Mapping[str, Any]) -> Iterator[Ended]:
    """Submit the jobs, and yield each when it has ended. Raises InputError if none can be.

    If the command ends before, the processes of this machine end, too; the jobs of Slurm continue.
    """
    from submitit.helpers import as_completed

    cluster = launcher.removeprefix("submitit_")
    try:
        handles = _submit(cluster, jobs, settings)
    except (OSError, RuntimeError, ValueError) as error:
        reason = on_one_line(error).rstrip(".")
        raise InputError(f"hydra/launcher={launcher} cannot submit jobs: {reason}.") from error
    if cluster == "slurm":
        number = handles[0].job_id.partition("_")[0]
        console.print(f"Submitted as job {number} of Slurm, which `scancel {number}` ends.")
    by_handle = dict(zip(map(id, handles), jobs, strict=True))
    try:
        for handle in as_completed(handles, poll_frequency=POLL):
            yield _ended(by_handle[id(handle)], handle)
    finally:
        if cluster == "local":
            for handle in handles:
                handle.cancel(check=False)


def _submit(cluster: str, jobs: Sequence[Job], settings: Mapping[str, Any]) -> Sequence[Any]:
    """Submit one job for each run, and return submitit's jobs."""
    from submitit import AutoExecutor

    asked = dict(settings)
    folder, timeouts = asked.pop("folder"), asked.pop("max_num_timeout", None)
    first = {} if timeouts is None else {f"{cluster}_max_num_timeout": timeouts}
    executor = AutoExecutor(folder=folder, cluster=cluster, **first)
    # Jobs of one array get the same.
    asked |= {"cores": max(job.cores for job in jobs), "gpus": max(job.gpus for job in jobs)}
    named = {NAMES.get(name, name): value for name, value in asked.items() if value}
    executor.update_parameters(
        **{name if name in COMMON else f"{cluster}_{name}": value for name, value in named.items()}
    )
    return executor.map_array(TrainJob(), jobs)


def _ended(job: Job, handle: Any) -> Ended:
    try:
        return Ended(job, handle.result())
    except Exception as error:  # of the job, or since its process has left no result
        return Ended(job, death=str(error).partition("\n")[0])
