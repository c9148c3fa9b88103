"""A service for tests, which listens on a free port in a thread of this process."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lstm_sentiment.serving.http import server as server_module
from lstm_sentiment.serving.http.loaded_models import LoadedModels
from lstm_sentiment.serving.http.server import Server
from lstm_sentiment.serving.http.service import Service, State
from lstm_sentiment.serving.http.settings import Settings

SECONDS = 30  # until a test fails


@dataclass
class RunningService:
    """A service that answers requests, and a client for it."""

    service: Service
    server: Server
    address: tuple[str, int]
    client: httpx.Client

    @property
    def url(self) -> str:
        """The address for a browser."""
        return "http://{}:{}".format(*self.address)

    def predict(self, texts: Any, **fields: Any) -> httpx.Response:
        """Send texts to `/v1/predict`."""
        return self.client.post("/v1/predict", json={"texts": texts, **fields})

    def metric(self, name: str) -> float:
        """Return the value of a metric, 0 if it does not exist."""
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0)

    def raw(self, content: bytes, seconds: float = SECONDS) -> bytes:
        """Send bytes, and return everything that the service sends until it closes."""
        with socket.create_connection(self.address, seconds) as connection:
            connection.sendall(content)
            return received(connection)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function in the thread of the service."""
        self.loop.call_soon_threadsafe(function, *arguments)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the service."""
        loop: asyncio.AbstractEventLoop = self.server.servers[0].get_loop()
        return loop


def received(connection: socket.socket) -> bytes:
    """Return everything that arrives until the other side closes, or aborts, the connection."""
    content = b""
    try:
        while part := connection.recv(65536):
            content += part
    except ConnectionResetError:
        pass
    return content


@contextmanager
def serving(*folders: Path, ready: bool = True, **settings: Any) -> Iterator[RunningService]:
    """Serve models until the block ends, with these settings."""
    service = Service(LoadedModels(folders), Settings(port=0, **settings))
    server = Server(service)
    with server_module._listening(service.settings) as listener:
        address = listener.getsockname()[:2]
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        with httpx.Client(base_url="http://{}:{}".format(*address), timeout=SECONDS) as client:
            running = RunningService(service, server, address, client)
            if ready:
                wait_until(lambda: service.state is State.ready)
            yield running
        if service.state is not State.stopping:
            with suppress(RuntimeError):  # the loop is closed: the service has ended by itself
                running.call(server.stop)
        thread.join(SECONDS)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition does not hold"
        time.sleep(0.005)
