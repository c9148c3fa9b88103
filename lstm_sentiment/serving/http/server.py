"""Start the service: its socket, its signals, its log and its shutdown.

| signal | effect |
| --- | --- |
| SIGTERM, SIGINT | answer all accepted requests, then end |
| a second SIGTERM or SIGINT | answer what still waits with status 503, and end at once |
| SIGHUP | load the models again, without a lost request |
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.http import access_log
from lstm_sentiment.serving.http.access_log import AccessLog
from lstm_sentiment.serving.http.app import create_app
from lstm_sentiment.serving.http.connection import Connection
from lstm_sentiment.serving.http.limits import BearerToken, Limits, SameSite
from lstm_sentiment.serving.http.loaded_models import LoadedModels
from lstm_sentiment.serving.http.service import Service, State
from lstm_sentiment.serving.http.settings import Settings

ENDING = (signal.SIGTERM, signal.SIGINT)
BACKLOG = 2_048  # connections that wait to be accepted
KEEP_ALIVE = 15  # seconds that an idle connection stays open
# Between the signal and the end of listening. Answers close their connections meanwhile, so that no
# client sends its next request on a connection that is about to be closed.
LAST_CALL = 0.5
# Seconds for which a thread keeps the interpreter while another one waits for it. With Python's
# 5 ms, the event loop and the threads that tokenize let each other wait too long.
SWITCH_INTERVAL = 0.0005
# After the second signal: until connections are cut off, and then for the batch that is computed.
LAST_ANSWERS, LAST_BATCH = 0.5, 1.0
TURNS = 3  # of the event loop: to accept a connection, to read from it, and to start its request

logger = logging.getLogger(__name__)


def serve(folders: Sequence[Path], settings: Settings, log_requests: bool = True) -> None:
    """Answer requests until a signal ends the process.

    Raises InputError if a model cannot be loaded or the address cannot be used.
    """
    # Each batch is computed by one thread: batches at the same time need no synchronization.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.setswitchinterval(SWITCH_INTERVAL)
    service = Service(LoadedModels(folders), settings)
    with _listening(settings) as listener:
        _set_up_logs(log_requests)
        _raise_open_files()
        server = Server(service)
        server.run([listener])
    if server.failure is not None:
        raise server.failure


def application(service: Service) -> ASGIApp:
    """Return the application of a service with all layers, the outermost one last."""
    app: ASGIApp = Limits(create_app(service), service.settings)
    if service.settings.is_local and service.settings.token is None:
        app = SameSite(app, service.settings)
    if service.settings.token is not None:
        app = BearerToken(app, service.settings.token)
    if service.settings.origins:
        app = CORSMiddleware(
            app,
            allow_origins=service.settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return AccessLog(app, service)


class Server(uvicorn.Server):
    """A server that loads its models after it has begun to listen."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                application(service),
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=int(settings.shutdown_seconds),
                backlog=BACKLOG,
            )
        )
        self.service = service
        self.failure: Exception | None = None  # why the models could not be loaded
        self._is_dropping = False  # the requests that are not yet answered
        self._loading = threading.Lock()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and then to load the models."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            logger.info("listening on http://%s:%d", host, port)
        _in_thread(self._load, asyncio.get_running_loop())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer all accepted requests and end the threads of the service."""
        for _ in range(TURNS):  # accept, and read, what has arrived by now
            await asyncio.sleep(0)
        await super().shutdown(sockets)
        if self._is_dropping and self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_BATCH)
        await asyncio.to_thread(self.service.close, LAST_BATCH if self._is_dropping else None)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the server runs; uvicorn would raise them again at its end."""
        if threading.current_thread() is not threading.main_thread():  # which receives them
            yield
            return
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            yield
        finally:
            for number in (*ENDING, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Begin to shut down; the second time, drop the requests that are not yet answered."""
        loop = asyncio.get_running_loop()
        if self.service.state is not State.stopping:
            self.service.state = State.stopping
            logger.info("shutting down")
            loop.call_later(LAST_CALL, self._exit)
            return
        logger.info("dropping the requests that wait")
        self._is_dropping = True
        self.service.drop()
        self._exit()
        loop.call_later(LAST_ANSWERS, self._cut_off)

    def _cut_off(self) -> None:
        """Close all connections, whether or not their requests are answered."""
        self.force_exit = True
        for connection in [*self.server_state.connections]:
            connection.transport.abort()

    def reload(self) -> None:
        """Load the models again, after the loading that goes on, if any."""

        def load() -> None:
            with self._loading:
                if self.service.state is State.ready:
                    self.service.reload()

        if self.service.state is not State.stopping:
            _in_thread(load)

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with self._loading:
                self.service.load()
        except Exception as error:  # raised again by `serve`
            self.failure = error
            loop.call_soon_threadsafe(self._exit)
        else:
            gc.collect()
            gc.freeze()  # collections need not traverse the objects of PyTorch and the models

    def _exit(self) -> None:
        self.should_exit = True


def _in_thread(function: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Yield a socket that listens. Raises InputError if the address cannot be used."""
    address = f"{settings.host}:{settings.port}"
    try:
        [(family, _, _, _, place), *_] = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.create_server(place[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        # socket.create_server repeats the address behind the reason.
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise InputError(f"{address} cannot be used ({reason}): give another --host or --port.") \
            from error  # fmt: skip
    with listener:
        yield listener


def _set_up_logs(log_requests: bool) -> None:
    """Write requests to standard output, and messages to standard error."""
    messages = logging.StreamHandler(sys.stderr)
    messages.setFormatter(logging.Formatter("%(message)s"))
    for name, level in (("lstm_sentiment.serving.http", logging.INFO), ("uvicorn", logging.ERROR)):
        logging.getLogger(name).handlers = [messages]
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = False
    requests = logging.StreamHandler(sys.stdout)
    requests.setFormatter(logging.Formatter("%(message)s"))
    access_log.access.handlers = [requests]
    access_log.access.propagate = False
    access_log.access.setLevel(logging.INFO if log_requests else logging.CRITICAL)


def _raise_open_files() -> None:
    """Allow as many open files as the system does; each connection is one."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
