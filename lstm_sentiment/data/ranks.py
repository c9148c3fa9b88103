"""The processes that train one network together: each computes a share of every batch.

They are numbered by their rank; the process of rank 0 leads. Every process calls the methods of its
`Ranks` in the same order.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """One of `size` processes. With a size of 1, every method returns what it is given."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among the processes of its node, which is the number of its GPU

    def added(self, values: Tensor) -> Tensor:
        """Return the sum of the values of all processes, of the same shape."""
        if self.size == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total

    def joined(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, (sum of N, ...), from N of each, (N, ...), on the CPU.

        The rows of the first process come first.
        """
        if self.size == 1:
            return rows
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(rows)]))
        longest = max(int(count) for count in counts)
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def of_leader(self, value: Any) -> Any:
        """Return the value of the process of rank 0, which consists of types that JSON has."""
        if self.size == 1:
            return value
        content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        first = self.joined(content if self.rank == 0 else content[:0])
        return json.loads(bytes(first.tolist()))

    def copy_from_leader(self, tensors: Iterable[Tensor]) -> None:
        """Replace the values of tensors by those of the process of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)


ALONE = Ranks()
