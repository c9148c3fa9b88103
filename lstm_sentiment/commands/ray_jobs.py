"""Jobs as tasks of a Ray cluster."""

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lstm_sentiment.commands.jobs import Ended, Job
from lstm_sentiment.commands.terminal import print_error
from lstm_sentiment.errors import InputError
from lstm_sentiment.training.run import describe_error

GIB = 2**30
# Settings of Ray itself, unless the user has chosen others: lines of several workers that are alike
# are all shown, and no statistics are sent to its makers.
ENVIRONMENT = {"RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0"}


def train(_: str, jobs: Sequence[Job], settings: Mapping[str, Any]) -> Iterator[Ended]:
    """Train the jobs on the cluster, and yield each when it has ended.

    Ray starts a job again whose process or machine has died. Raises InputError if the cluster
    cannot be reached.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # before Ray is imported
    import ray
    from ray.exceptions import RayError, RayTaskError

    with _connected(settings["address"]):
        _warn_of_waiting(jobs)
        task = ray.remote(_train)
        pending = {
            task.options(
                name=job.run.name,
                num_cpus=job.cores,
                num_gpus=job.gpus,
                memory=int((settings["memory_gb"] or 0) * GIB) or None,
                max_retries=settings["max_retries"],
            ).remote(job): job
            for job in jobs
        }
        while pending:
            done = ray.wait([*pending], num_returns=1)[0][0]
            job = pending.pop(done)
            try:
                yield Ended(job, ray.get(done))
            except RayTaskError as error:  # such as a package that is missing there
                yield Ended(job, [describe_error(error.cause)["reason"]])
            except RayError as error:
                yield Ended(job, death=str(error).strip().partition("\n")[0])


def _train(job: Job) -> list[str]:
    """Train the run of a job in a process of Ray, which may have trained another one before."""
    return job.train(names_lines=True)


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Be connected to the cluster during the block. At its end, Ray ends all jobs that still run.

    Raises InputError if there is no cluster.
    """
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=True)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"hydra.launcher.address={address}: there is no Ray cluster ({reason}). `ray start "
            "--head` starts one."
        ) from error
    signal.signal(signal.SIGTERM, handler)  # Ray's would exit with another code
    try:
        yield
    finally:
        ray.shutdown()


def _warn_of_waiting(jobs: Sequence[Job]) -> None:
    """Say if no machine of the cluster can train a job, for which Ray then waits without end."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    for cores, gpus in sorted({(job.cores, job.gpus) for job in jobs}):
        if not any(m.get("CPU", 0) >= cores and m.get("GPU", 0) >= gpus for m in machines):
            print_error(
                f"No machine of the cluster has {cores} cores and {gpus} GPUs, which a run needs: "
                "waiting for one."
            )
