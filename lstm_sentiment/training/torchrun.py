"""The processes that torchrun has started, as its environment variables describe them.

They exchange jobs and failures through its store; see `processes`. PyTorch is imported only where
torchrun was used: commands look here before they know whether they need it.
"""

import json
import os
import time
from datetime import timedelta
from functools import cache
from typing import Any

IDENTITY = "TORCHELASTIC_RUN_ID"  # set by torchrun
# Keys in the store: what to train, whether it is done, a failure, and how many followers have left.
JOB, DONE, FAILURE, LEFT = (f"lstm_sentiment/{key}" for key in ("job", "done", "failure", "left"))
PATIENCE = 5.0  # seconds in which followers leave
POLL = 0.05  # seconds between two looks at the store
LONGEST_WAIT = timedelta(days=7)  # for the reviews to be prepared, or a run to be trained


def world_size() -> int:
    """Return the number of processes; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if IDENTITY in os.environ else 1


def local_size() -> int:
    """Return the number of processes of this node."""
    return int(os.environ["LOCAL_WORLD_SIZE"])


def rank() -> int:
    """Return the number of this process among all; that of rank 0 leads."""
    return int(os.environ["RANK"]) if IDENTITY in os.environ else 0


def local_rank() -> int:
    """Return the number of this process among those of its node."""
    return int(os.environ["LOCAL_RANK"])


@cache
def store() -> Any:
    """Return the store of all processes, a torch.distributed.Store."""
    from torch.distributed.rendezvous import rendezvous

    found, _, _ = next(iter(rendezvous("env://", timeout=LONGEST_WAIT)))
    return found


def give_job(job: dict[str, Any] | None) -> None:
    """Tell the followers what to train; None if there is nothing."""
    store().set(JOB, json.dumps(job))


def wait_for_job() -> dict[str, Any] | None:
    """Return what the leader trains; None if there is nothing."""
    store().wait([JOB], LONGEST_WAIT)
    job: dict[str, Any] | None = json.loads(store().get(JOB))
    return job


def dismiss_followers() -> None:
    """Tell the followers, unless they had a job, that there is nothing to train."""
    if world_size() > 1 and not store().check([JOB]):
        give_job(None)
        finish()


def finish() -> None:
    """Let the followers leave; the store may end with this process, so wait until they have."""
    store().set(DONE, "")
    deadline = time.monotonic() + PATIENCE
    while store().add(LEFT, 0) < world_size() - 1 and time.monotonic() < deadline:
        time.sleep(POLL)


def leave() -> None:
    """Wait until the leader needs nothing more from this follower."""
    store().wait([DONE], LONGEST_WAIT)
    store().add(LEFT, 1)


def report_failure(reason: str) -> None:
    """Tell the leader why this process has failed."""
    store().set(FAILURE, reason)


def failure(patience: float = 0) -> str:
    """Return the reason that a follower gives within these seconds, or ""."""
    deadline = time.monotonic() + patience
    while not store().check([FAILURE]):
        if time.monotonic() >= deadline:
            return ""
        time.sleep(POLL)
    return bytes(store().get(FAILURE)).decode()
