"""Measure the HTTP service under load: latency, reviews per second, and memory.

    python -m scripts.benchmarks.service RUN [--clients 200] [--seconds 60] [--file FILE] [-o FILE]

A client sends one review after the other on one connection. Measured are one client, which sends a
short review, and many clients at the same time, who send reviews of --file (default: synthetic
ones); the latter also with batches of one text (one request, one forward pass) and, if LitServe is
installed, with its server (`litserve_server.py`). The service runs in a process of its own, on the
same machine as the clients.
"""

import argparse
import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

from lstm_sentiment.data.columns import Columns
from lstm_sentiment.data.formats import read_tables
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.training.runtime import environment
from scripts.benchmarks.serving import SHORT
from scripts.markdown import table

REVIEWS = 2_000  # different ones that clients send
WARM_UP = 3.0  # seconds before the measurement
START = 60  # seconds until a service must answer
MIB = 2**20


@dataclass
class Load:
    """The answers that clients received."""

    seconds: list[float] = field(default_factory=list)  # of each answer with status 200
    statuses: Counter[int] = field(default_factory=Counter)


def main() -> None:
    """Run the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a model")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    parser.add_argument("--file", type=Path, help="file of reviews that clients send")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="record to write")
    options = parser.parse_args()
    texts = reviews(options.file)
    cases = [
        ("one client, a short review", 1, [SHORT], ()),
        (f"{options.clients} clients", options.clients, texts, ()),
        (f"{options.clients} clients, no batches", options.clients, texts, ("--batch-size", "1")),
    ]
    rows = [
        {"case": name, **measure(options.run, clients, options.seconds, sent, words)}
        for name, clients, sent, words in cases
    ]
    if find_spec("litserve"):
        with litserve(options.run) as port:
            asyncio.run(send(port, options.clients, WARM_UP, texts))
            load = asyncio.run(send(port, options.clients, options.seconds, texts))
        figures = speeds(load, options.clients, options.seconds)
        rows.append({"case": f"{options.clients} clients, LitServe", **figures})
    record = {"environment": environment("cpu"), "model": options.run.name, "rows": rows}
    print(markdown(rows))
    if options.output:
        write_atomically(options.output, (json.dumps(record, indent=1) + "\n").encode())


def reviews(file: Path | None) -> list[str]:
    """Return the reviews that clients send."""
    if file is None:
        return generate(REVIEWS, seed=1)[0]
    texts = [review.text for review in read_tables([file], Columns(), labelled=False)]
    return texts[:REVIEWS]


def measure(
    run: Path, clients: int, seconds: float, texts: Sequence[str], words: Sequence[str]
) -> dict[str, Any]:
    """Return latencies in ms, reviews per second and memory of a service with these options."""
    with served(run, words) as port:
        asyncio.run(send(port, clients, WARM_UP, texts))
        before = metric(port, "process_resident_memory_bytes")
        load = asyncio.run(send(port, clients, seconds, texts))
        batches = metric(port, 'lstm_sentiment_batch_size_count{queue="predictions"}')
        size = metric(port, 'lstm_sentiment_batch_size_sum{queue="predictions"}') / batches
        after = metric(port, "process_resident_memory_bytes")
    return {
        **speeds(load, clients, seconds),
        "batch_size": size,
        "memory_mib": after / MIB,
        "growth_mib": (after - before) / MIB,
    }


def speeds(load: Load, clients: int, seconds: float) -> dict[str, Any]:
    """Return latencies in ms, and reviews per second."""
    milliseconds = 1e3 * np.array(load.seconds)
    return {
        "clients": clients,
        "seconds": seconds,
        "reviews_per_second": len(milliseconds) / seconds,
        **{f"p{share}_ms": float(np.percentile(milliseconds, share)) for share in (50, 95, 99)},
        "statuses": dict(load.statuses),
    }


@contextmanager
def served(run: Path, words: Sequence[str]) -> Iterator[int]:
    """Serve a model in a process of its own, and yield the port."""
    command = [sys.executable, "-m", "lstm_sentiment.commands.main", "serve", str(run)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--no-access-log", *words], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            found = found or re.search(r"http://.*:(\d+)", line)
            if found and line.startswith("loaded"):
                break
        if found is None:
            sys.exit("The service has not started: see its message above.")
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START)


@contextmanager
def litserve(run: Path) -> Iterator[int]:
    """Serve a model with LitServe, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    module = "scripts.benchmarks.litserve_server"
    process = subprocess.Popen([sys.executable, "-m", module, str(run), str(port)])
    try:
        end = time.perf_counter() + START
        while time.perf_counter() < end and process.poll() is None:
            with suppress(URLError), urlopen(f"http://127.0.0.1:{port}/health"):
                break
            time.sleep(0.5)
        else:
            sys.exit("LitServe has not started: see its message above.")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START)


def metric(port: int, name: str) -> float:
    """Return the value of a metric of the service."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


async def send(port: int, clients: int, seconds: float, texts: Sequence[str]) -> Load:
    """Let clients send texts for some seconds, and return what they received."""
    load, end = Load(), time.perf_counter() + seconds
    requests = [request(text) for text in texts]
    each = [
        client(port, requests[number::clients] or requests, end, load) for number in range(clients)
    ]
    await asyncio.gather(*each)
    return load


def request(text: str) -> bytes:
    """Return the bytes of a request. A client in Python would be slower than the service."""
    body = json.dumps({"texts": text}).encode()
    head = (
        "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def client(port: int, requests: Sequence[bytes], end: float, load: Load) -> None:
    """Send requests in turn until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while (started := time.perf_counter()) < end:
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        status = int(head.split(maxsplit=2)[1])
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.perf_counter() - started)
        else:  # as a client would that is told to try again
            await asyncio.sleep(0.1)
        number += 1
    writer.close()


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return a table with a row for each case, and a sentence on the gain of batches."""
    header = ["", "p50 ms", "p95 ms", "p99 ms", "reviews/s", "batch", "503", "MiB", "growth MiB"]
    cells = [
        [
            row["case"],
            *(f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")),
            f"{row['reviews_per_second']:,.0f}",
            f"{row['batch_size']:.1f}" if "batch_size" in row else "",
            f"{row['statuses'].get(503, 0):,}",
            *(f"{row[name]:,.0f}" if name in row else "" for name in ("memory_mib", "growth_mib")),
        ]
        for row in rows
    ]
    batched, single = (row["reviews_per_second"] for row in rows[1:3])
    return f"{table(header, cells, left=1)}\n\nBatches answer {batched / single:.1f} times as many."


if __name__ == "__main__":
    main()
