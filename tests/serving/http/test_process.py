"""The service as a process: signals under load, and the restart after it was killed."""

import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Program
from tests.support.service import wait_until

CLIENTS = 12
TEXT = "The film was good, and the actors great."


class Process(Program):
    """`lstm-sentiment serve` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        super().__init__(folder, "serve", *arguments, "--port", str(port))
        self.wait_for("loaded ")
        match = re.search(r"http://127\.0\.0\.1:(\d+)", self.text)
        assert match is not None
        self.port = int(match[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def logged(self) -> list[dict[str, object]]:
        """Return the lines of the access log."""
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]


@pytest.fixture
def process(folders: list[Path], tmp_path: Path) -> Iterator[Process]:
    running = Process(tmp_path / "place", *map(str, folders))
    yield running
    running.process.kill()


def send(process: Process, results: Counter[str], ended: threading.Event) -> None:
    """Send requests until the service does not listen any more; count what comes back."""
    with httpx.Client(base_url=process.url, timeout=60) as client:
        while not ended.is_set():
            try:
                answer = client.post("/v1/predict", json={"texts": [TEXT] * 20})
                results[str(answer.status_code)] += 1
            except httpx.ConnectError:
                results["refused"] += 1
                return
            except (httpx.ReadError, httpx.RemoteProtocolError):
                # The connection was established, but not yet accepted.
                results["reset"] += 1
            except httpx.HTTPError as error:
                results[f"{type(error).__name__}: {error}"] += 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_accepted_request_is_answered(process: Process, number: signal.Signals) -> None:
    results: Counter[str] = Counter()
    ended = threading.Event()
    threads = [
        threading.Thread(target=send, args=(process, results, ended)) for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: results["200"] > 5 * CLIENTS)
    assert process.end(number) == 0
    ended.set()
    for thread in threads:
        thread.join()
    assert results.keys() <= {"200", "refused", "reset"}, results
    answered = Counter(line["status"] for line in process.logged())
    assert answered == {200: results["200"]}
    assert all(line["complete"] for line in process.logged())
    assert "Traceback" not in process.text


def test_the_end_waits_for_a_long_answer_but_not_for_idle_connections(process: Process) -> None:
    idle = socket.create_connection(("127.0.0.1", process.port))
    content = b"text\n" + f"{TEXT.replace(',', '')}\n".encode() * 3_000
    with httpx.stream(
        "POST", f"{process.url}/v1/predict/file?format=csv", content=content, timeout=60
    ) as answer:
        parts = answer.iter_raw()
        received = next(parts)
        started = time.monotonic()
        ending = threading.Thread(target=process.end, args=(signal.SIGTERM,))
        ending.start()
        for part in parts:
            received += part
    ending.join()
    assert time.monotonic() - started < 20
    assert process.process.exitcode == 0
    assert received.count(b"\n") == 3_001
    idle.close()


def test_a_killed_service_starts_again_at_its_address(
    process: Process, folders: list[Path], tmp_path: Path
) -> None:
    with socket.create_connection(("127.0.0.1", process.port)) as waiting:
        waiting.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        )
        httpx.post(f"{process.url}/v1/predict", json={"texts": TEXT})
        process.end(signal.SIGKILL)
        again = Process(tmp_path / "place", *map(str, folders), port=process.port)
    assert httpx.post(f"{again.url}/v1/predict", json={"texts": TEXT}).status_code == 200
    assert again.end(signal.SIGTERM) == 0


def test_sighup_loads_the_models_again(process: Process) -> None:
    os.kill(process.pid, signal.SIGHUP)
    wait_until(lambda: process.text.count("loaded ") == 2)
    assert httpx.post(f"{process.url}/v1/predict", json={"texts": TEXT}).status_code == 200
    assert process.end(signal.SIGTERM) == 0


def test_an_address_in_use_is_refused(process: Process, folders: list[Path]) -> None:
    with suppress(AssertionError):
        Process(folders[0].parent, str(folders[0]), port=process.port)
    other = Program(folders[0].parent, "serve", str(folders[0]), "--port", str(process.port))
    assert other.end() == 1
    assert f"127.0.0.1:{process.port} cannot be used (Address already in use)" in other.text
    assert "Traceback" not in other.text
