"""A connection of uvicorn, with limits on what happens before and after a request.

Uvicorn itself waits without end for the first line of a request, accepts headers of any size, and
keeps a connection whose client does not read the end of its answer.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lstm_sentiment.serving.http.answers import error_answer
from lstm_sentiment.serving.http.limits import TRANSPORT

HEADER_SECONDS = 10.0  # until all headers of a request have arrived
HEADER_BYTES = 65_536  # of a request line and its headers, and of trailers
MOST_PIPELINED = 64  # requests of a connection that wait for the answers of earlier ones
FIRST_SECONDS = 0.5  # during shutdown, until the first request of a connection has arrived
LINGER_SECONDS = 10.0  # without a byte that a client takes of the end of the last answer


class Connection(HttpToolsProtocol):
    """A connection whose client must send headers, and read answers, in time."""

    _is_waiting = True  # for headers
    _header_bytes = 0  # since the last request or part of a body
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.access_log = False  # it would contain queries, whatever the handlers of logs are

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEADER_SECONDS, self._close_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes of the client."""
        self._header_bytes += len(data)
        if self._is_waiting and self._timer is None:  # the first bytes after an answer
            self._timer = self.loop.call_later(HEADER_SECONDS, self._close_late)
        super().data_received(data)
        if self._header_bytes <= HEADER_BYTES:
            return
        if self._is_waiting:
            self._refuse(431, f"The headers have more than the {HEADER_BYTES:,} bytes allowed.")
        else:  # trailers without end, while an answer may be on its way
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        """Pass a part of a body on."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Let the layers above see what the client has taken, and close the connection at once."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {TRANSPORT: self.transport}

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        if len(self.pipeline) >= MOST_PIPELINED:
            self.transport.abort()
            raise ValueError("too many requests wait")  # which ends the parser
        self._is_waiting, self._header_bytes = False, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the client to take the last answer."""
        self._is_waiting = not self.pipeline  # the headers of the next request are there already
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def shutdown(self) -> None:
        """Close the connection when its request is answered, or when none arrives."""
        if self.cycle is None:  # it has just been accepted, and its first request is on the way
            self.loop.call_later(FIRST_SECONDS, self._close_unused)
        else:
            super().shutdown()

    def _close_unused(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, "The request is not valid HTTP/1.1.")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer outside the application, and close the connection."""
        if self.transport.is_closing():
            return
        body = bytes(error_answer(status, detail).body)
        head = (
            f"HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        self._abort_later()

    def _close_late(self) -> None:
        self._timer = None
        if self._header_bytes:
            self._refuse(408, f"The headers did not arrive within {HEADER_SECONDS:g} s.")
        else:  # a client that connected in advance
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _abort_later(self) -> None:
        """Close the connection, which waits for its client, at once if that takes nothing more."""
        unsent = self.transport.get_write_buffer_size()
        self.loop.call_later(LINGER_SECONDS, self._abort_unless_taken, unsent)

    def _abort_unless_taken(self, unsent: int) -> None:
        if 0 < self.transport.get_write_buffer_size() < unsent:
            self._abort_later()
        else:
            self.transport.abort()
