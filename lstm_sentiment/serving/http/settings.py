"""The settings of the service: its address, its limits and its batches."""

import ipaddress
import os
from dataclasses import dataclass, field

MIB = 2**20


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """The settings of a service; sizes are in bytes, durations in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    origins: tuple[str, ...] = ()  # whose pages may read answers (CORS)

    threads: int = field(default_factory=usable_cores)  # that compute predictions
    # Batches. Larger ones are hardly faster, and a request waits for the batch before its own.
    batch_size: int = 64  # texts
    batch_wait: float = 0.0  # an idle worker waits so long for more texts
    queue_size: int = 4_000  # texts that wait for a prediction
    explanation_queue_size: int = 64  # texts that wait for an explanation

    # Of one request.
    max_texts: int = 1_000
    max_characters: int = 1_000_000  # of a text
    max_explained: int = 16  # texts with explain=true, which take about a hundred times as long
    max_body: int = 16 * MIB
    max_file: int = 256 * MIB  # of POST /v1/predict/file
    timeout: float = 60.0  # until the answer, from the last byte of the request

    # Of all requests together.
    max_requests: int = 1_000
    max_buffered: int = 256 * MIB  # bodies in memory
    max_files: int = 8  # files that are predicted at the same time
    shutdown_seconds: float = 30.0  # accepted requests are answered for so long after SIGTERM

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
