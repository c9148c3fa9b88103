"""The outermost layer: a structured log of requests, their metrics, and errors of the program.

No line contains a text of a request: neither bodies, queries nor the messages of unexpected errors,
which may repeat a value, are logged.
"""

import json
import logging
import time
import traceback
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lstm_sentiment.serving.http.answers import CLIENT_GONE
from lstm_sentiment.serving.http.service import Service, State

LONGEST_PATH = 200  # characters
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Browsers show the text of an answer, or of a file, as what it is called, and never as a page.
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
UNKNOWN = "unknown"  # the route of an address that does not exist

access = logging.getLogger(f"{__package__}.access")
logger = logging.getLogger(__name__)


class ConnectionLostError(Exception):
    """The client closed the connection, or did not read its answer."""


class AccessLog:
    """Write one line of JSON for each request, and count it."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write its line when it has been answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, self.service)
        metrics, started = self.service.metrics, time.perf_counter()
        metrics.open_requests.inc()
        try:
            await self.app(scope, receive, answer.send)
        except ConnectionLostError:
            answer.status = CLIENT_GONE
        except Exception as error:
            logger.error("%s", without_values(error))
        finally:
            metrics.open_requests.dec()
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", UNKNOWN)
            method = scope["method"] if scope["method"] in METHODS else UNKNOWN
            metrics.record(route, method, answer.status or CLIENT_GONE, seconds)
            if access.isEnabledFor(logging.INFO):
                access.info("%s", _line(scope, answer, seconds))


class _Answer:
    """The answer of one request as it is sent."""

    def __init__(self, send: Send, service: Service) -> None:
        self._send, self.service = send, service
        self.status = 0  # until it begins
        self.bytes = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), NO_SNIFFING]
            if self.service.state is State.stopping:  # so that the client opens no new request here
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self.bytes += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        await self._send(message)


def _line(scope: Scope, answer: _Answer, seconds: float) -> str:
    """Return the line of a request; JSON escapes all characters that could end it."""
    client = scope.get("client")
    values = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": scope["path"][:LONGEST_PATH],
        "status": answer.status or CLIENT_GONE,
        "complete": answer.complete,
        "bytes": answer.bytes,
        "ms": round(1e3 * seconds, 2),
        **scope.get("state", {}).get("log", {}),
    }
    return json.dumps(values)


def without_values(error: BaseException) -> str:
    """Return the type of an error and the lines of code, without its message."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}\n{frames}".rstrip()
