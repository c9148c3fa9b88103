"""Several ranks in one process: a thread for each, which exchange their values in memory."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from lstm_sentiment.data.ranks import Ranks

Result = TypeVar("Result")


class Exchange:
    """A place where each of several threads leaves a value, and takes those of all."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=60)
        self.values: list[Any] = [None] * size

    def all(self, rank: int, value: Any) -> list[Any]:
        self.values[rank] = value
        self.barrier.wait()
        values = [*self.values]
        self.barrier.wait()
        return values


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """Ranks that exchange values with the threads of the others."""

    exchange: Exchange = field(default_factory=lambda: Exchange(1))

    def added(self, values: Tensor) -> Tensor:
        return torch.stack(self.exchange.all(self.rank, values)).sum(0)

    def joined(self, rows: Tensor) -> Tensor:
        return torch.cat(self.exchange.all(self.rank, rows))

    def of_leader(self, value: Any) -> Any:
        return self.exchange.all(self.rank, value)[0]

    def copy_from_leader(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            tensor.detach().copy_(self.exchange.all(self.rank, tensor.detach().clone())[0])


def in_step(size: int, compute: Callable[[Ranks], Result]) -> list[Result]:
    """Return what each of `size` ranks computes, at the same time."""
    exchange = Exchange(size)

    def of(rank: int) -> Result:
        try:
            return compute(ThreadRanks(rank, size, rank, exchange))
        except BaseException:
            exchange.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        return [*threads.map(of, range(size))]
