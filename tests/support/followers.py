"""Followers of a run that start at once: forked from a server that has imported PyTorch."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from lstm_sentiment.training.processes import Followers
from tests.support.processes import context

Before = Callable[[], None]  # called by a follower first


class ForkedFollower:
    """Stands for `subprocess.Popen` of a follower."""

    def __init__(self, scratch: Path, rank: int, before: Before | None) -> None:
        end, self.stdin = context.Pipe(duplex=False)
        self.process = context.Process(target=_follow, args=(scratch, rank, end, before))
        self.process.start()
        end.close()
        self.pid = self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, seconds: float | None = None) -> None:
        self.process.join(seconds)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("follower", seconds or 0)

    def kill(self) -> None:
        self.process.kill()


def _follow(scratch: Path, rank: int, end: Connection, before: Before | None) -> None:
    from lstm_sentiment.training import follower

    os.dup2(end.fileno(), 0)
    sys.stdin = open(0)  # noqa: SIM115 - closed with the process
    end.close()
    if before is not None:
        before()
    sys.exit(follower.main(scratch, rank))


def fork_followers(patch: pytest.MonkeyPatch, before: Before | None = None) -> list[ForkedFollower]:
    """Let runs fork their followers; return the list of all that are started."""
    started: list[ForkedFollower] = []

    def start(followers: Followers, rank: int) -> ForkedFollower:
        started.append(ForkedFollower(followers.scratch, rank, before))
        return started[-1]

    patch.setattr(Followers, "_started", start)
    return started


def out_of_memory() -> None:
    """Let a step of training fail in this process."""
    from lstm_sentiment.model.module import SentimentModule

    def fail(*_: object) -> None:
        raise MemoryError("can't allocate memory: 12 bytes")

    SentimentModule.training_step = fail  # type: ignore[assignment]


def killed_in_first_step() -> None:
    """Let this process be killed in its first step of training."""
    from lstm_sentiment.model.module import SentimentModule

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    SentimentModule.training_step = die  # type: ignore[assignment]
