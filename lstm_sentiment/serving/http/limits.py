"""Limits on requests: their number, their size and speed, and who may send them.

Each layer is an ASGI middleware. A refused request is answered before its body is read; as the rest
of the body is not wanted, the connection is then closed.
"""

import asyncio
import hmac
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lstm_sentiment.serving.http.access_log import ConnectionLostError
from lstm_sentiment.serving.http.answers import CLIENT_GONE, error_answer
from lstm_sentiment.serving.http.settings import Settings

FILE_PATH = "/v1/predict/file"
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/docs"})  # without a token
OPEN_FOLDERS = ("/docs/", "/page/")
TRANSPORT = "lstm_sentiment.transport"  # the extension of a scope with that of its connection

ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})  # answered however many requests are open

# The service waits so many seconds for a body, and one more for each MINIMUM_RATE bytes that have
# arrived, but never longer for the next bytes: who begins fast must not fall silent for hours.
BODY_SECONDS = 15.0
MINIMUM_RATE = 8_192
SEND_SECONDS = 30.0  # without a byte that a client takes of its answer
CLOSE = {"Connection": "close"}


class BearerToken:
    """Refuse requests without the token, except those for pages and for health."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with status 401."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            detail = "A token is needed: send the header Authorization: Bearer TOKEN."
            headers = {"WWW-Authenticate": "Bearer", **CLOSE}
            await error_answer(401, detail, headers)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDERS):
            return True
        given = _header(scope, b"authorization") or b""
        scheme, _, token = given.partition(b" ")
        # Names of schemes have no case. The comparison takes equally long for all wrong tokens.
        return hmac.compare_digest(scheme.capitalize() + b" " + token.strip(), self.expected)


class SameSite:
    """Refuse requests that pages of other sites make the browser of this machine send.

    They could otherwise use a service without a token, even one that only listens on this machine:
    a page may send some requests without asking, or let its own name stand for 127.0.0.1. So Host
    must be a name of this machine, and Origin, which browsers add, the service or an allowed one.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.origins = app, {origin.rstrip("/") for origin in settings.origins}
        self.names = {"localhost", "127.0.0.1", "::1", settings.host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with status 403."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            detail = "Requests of other sites are refused: see the option --origin."
            await error_answer(403, detail, CLOSE)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        host = (_header(scope, b"host") or b"").decode("latin-1")
        origin = (_header(scope, b"origin") or b"").decode("latin-1")
        if origin in self.origins:
            return True
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name in self.names and origin in ("", f"http://{host}")


class Limits:
    """Bound the number of requests, the size of bodies, and the time to send and to receive."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.requests = 0  # that are not yet answered
        self.buffered = 0  # bytes of bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(self, scope, receive)
        answer = _Sender(scope, send, body)
        self.requests += 1
        try:
            if refusal := self._refusal(body):
                await error_answer(*refusal)(scope, receive, answer.send)
            else:
                await self.app(scope, body.receive, answer.send)
        finally:
            self.requests -= 1
            self.buffered -= body.buffered

    def _refusal(self, body: "_Body") -> tuple[int, str, dict[str, str]] | None:
        """Return status, reason and headers if a request is refused before its body is read."""
        if self.requests > self.settings.max_requests and body.path not in ALWAYS:
            retry = {"Retry-After": "1", **CLOSE}
            return 503, f"More than {self.settings.max_requests:,} requests are open.", retry
        if body.declared > body.limit:
            return 413, body.too_large(body.declared), CLOSE
        return None


class _Body:
    """The body of a request as it arrives."""

    def __init__(self, limits: Limits, scope: Scope, receive: Receive) -> None:
        self.limits, self._receive = limits, receive
        self.path: str = scope["path"]
        self.is_file = self.path == FILE_PATH
        settings = limits.settings
        self.limit = settings.max_file if self.is_file else settings.max_body
        length = _header(scope, b"content-length") or b"0"
        self.declared = int(length) if length.isdigit() else 0
        self.complete = not self.declared and _header(scope, b"transfer-encoding") is None
        self.size = 0
        self.buffered = 0  # its part of `limits.buffered`
        self.patience = BODY_SECONDS  # that is left

    async def receive(self) -> Message:
        """Return the next message.

        Raises HTTPException if the body is too large, too slow, or cut off.
        """
        if self.complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self.patience):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, "The body arrived too slowly.", CLOSE) from error
        if message["type"] == "http.disconnect":
            raise HTTPException(CLIENT_GONE, "The body was cut off.")
        size = len(message.get("body", b""))
        left = self.patience - (loop.time() - began) + size / MINIMUM_RATE
        self.patience = max(0.0, min(BODY_SECONDS, left))
        self._count(size)
        self.complete = not message.get("more_body", False)
        return message

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self.limit:
            raise HTTPException(413, self.too_large(self.size), CLOSE)
        if self.is_file:  # which is written to a disk
            return
        self.buffered += size
        self.limits.buffered += size
        if self.limits.buffered > self.limits.settings.max_buffered:
            detail = "The bodies of all requests together are too large: try again later."
            raise HTTPException(503, detail, {"Retry-After": "1", **CLOSE})

    def too_large(self, size: int) -> str:
        """Return the reason why a body of at least this size is refused."""
        return f"The body has at least {size:,} bytes, more than the {self.limit:,} allowed."


class _Sender:
    """The way of an answer to the client, who may take it slowly, but must not stop."""

    def __init__(self, scope: Scope, send: Send, body: _Body) -> None:
        self._send, self.body = send, body
        self.transport: asyncio.Transport | None = scope.get("extensions", {}).get(TRANSPORT)

    async def send(self, message: Message) -> None:
        """Send a message. Raises ConnectionLostError if the client does not take the answer."""
        if message["type"] == "http.response.start" and not self.body.complete:
            headers = [pair for pair in message.get("headers", ()) if pair[0] != b"connection"]
            message = {**message, "headers": [*headers, (b"connection", b"close")]}
        if self.transport is None or _takes_more(self.transport):
            await self._send(message)
        else:
            await self._send_when_taken(message, self.transport)

    async def _send_when_taken(self, message: Message, transport: asyncio.Transport) -> None:
        """Send a message when the client has taken enough of the earlier ones."""
        sending = asyncio.ensure_future(self._send(message))
        try:
            while not sending.done():
                unsent = transport.get_write_buffer_size()
                await asyncio.wait((sending,), timeout=SEND_SECONDS)
                if not sending.done() and transport.get_write_buffer_size() >= unsent:
                    transport.abort()
                    raise ConnectionLostError
            sending.result()
        finally:
            sending.cancel()


def _takes_more(transport: asyncio.Transport) -> bool:
    """Return whether a connection takes a message without waiting for its client."""
    low, _ = transport.get_write_buffer_limits()
    return transport.get_write_buffer_size() <= low


def _header(scope: Scope, name: bytes) -> bytes | None:
    """Return the value of the first header of this name."""
    return next((value for key, value in scope["headers"] if key == name), None)
