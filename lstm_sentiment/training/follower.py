"""A follower: a process that computes its share of a run, and writes nothing.

`python -m lstm_sentiment.training.follower SCRATCH RANK` is started by the leader of the run; see
`processes`.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lstm_sentiment.data.ranks import Ranks
from lstm_sentiment.display import SILENT
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.training import processes, runtime, torchrun
from lstm_sentiment.training.costs import Costs
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.processes import FAILURE, JOB, READY, job_config
from lstm_sentiment.training.run import describe_error
from lstm_sentiment.training.train import fit_network


class Follower:
    """The part of one rank in a job of the leader."""

    def __init__(self, job: dict[str, Any], ranks: Ranks) -> None:
        """Read the reviews. Raises InputError if they are not those of the leader."""
        self.ranks, self.device = ranks, job["device"]
        if self.device == "cuda":
            torch.cuda.set_device(ranks.local_rank)
        config = job_config(job)
        runtime.prepare_process(config.trainer.threads, config.trainer.devices)
        self.plan = Plan.of(config)
        if (self.plan.folder.name, self.plan.device) != (job["name"], self.device):
            raise InputError(
                f"it would train {self.plan.folder.name} on {self.plan.device}, and the leader "
                f"trains {job['name']} on {self.device}: the reviews, models or packages of the "
                "two differ."
            )
        self.pretrained = self.plan.prepare()
        self.checkpoint = None if job["checkpoint"] is None else Path(job["checkpoint"])
        if self.checkpoint is not None and not self.checkpoint.is_file():
            raise InputError(
                f"{self.checkpoint} cannot be read: all nodes need the same folder root="
                f"{config.root}."
            )

    def compute(self, store: processes.Store, wait: Callable[[], object]) -> None:
        """Train and evaluate with the others; then wait, since the leader may still receive."""
        with (
            runtime.known_warnings_silenced(),
            subnormals_flushed(openmp=True),
            processes.group(self.ranks, self.device, store),
        ):
            costs = Costs(self.device, self.ranks)
            fit_network(self.plan, self.pretrained, self.checkpoint, costs, SILENT)
            wait()


def follow_torchrun() -> int:
    """Follow the leader in a process that torchrun has started; return the exit code."""
    job = torchrun.wait_for_job()
    if job is None:
        torchrun.leave()
        return 0
    ranks = Ranks(torchrun.rank(), torchrun.world_size(), torchrun.local_rank())
    try:
        Follower(job, ranks).compute(torchrun.store(), torchrun.leave)
    except Exception as error:
        reason = f"process {ranks.rank} of {ranks.size} failed: {describe_error(error)['reason']}"
        torchrun.report_failure(reason)
        print(reason, file=sys.stderr)
        return 1
    return 0


def main(scratch: Path, rank: int) -> int:
    """Follow the leader that has prepared a scratch folder; return the exit code."""
    threading.Thread(target=_end_with_leader, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to the leader, too
    job: Any = read_json(scratch / JOB)
    try:
        size = job["config"]["trainer.devices"]
        follower = Follower(job, Ranks(rank, size, rank))
        write_json(scratch / READY.format(rank), True, durable=False)
        # The end of the leader ends this process.
        follower.compute(processes.file_store(scratch, size), threading.Event().wait)
    except Exception as error:
        write_json(scratch / FAILURE.format(rank), describe_error(error), durable=False)
        return 1
    return 0


def _end_with_leader() -> None:
    """End this process when the leader ends, which closes the pipe."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
