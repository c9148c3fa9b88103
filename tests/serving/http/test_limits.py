"""Limits on requests: their size, their speed, their number, and the token."""

import asyncio
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lstm_sentiment.serving.http import connection, limits
from lstm_sentiment.serving.http.access_log import ConnectionLostError
from lstm_sentiment.serving.http.loaded_models import LoadedModels
from lstm_sentiment.serving.http.server import application
from lstm_sentiment.serving.http.service import Service
from lstm_sentiment.serving.http.settings import Settings
from tests.support.service import RunningService, received, serving, wait_until

TOKEN = "a-token-of-some-length"
BODY = json.dumps({"texts": "A film."}).encode()
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def status(answer: bytes) -> int:
    return int(answer.split()[1])


@pytest.fixture(scope="module")
def small(folders: list[Path]) -> Iterator[RunningService]:
    """Return a service with small limits, and little time to send and to receive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "BODY_SECONDS", 0.3)
        patch.setattr(limits, "SEND_SECONDS", 0.3)
        patch.setattr(connection, "HEADER_SECONDS", 0.3)
        patch.setattr(connection, "HEADER_BYTES", 5_000)
        patch.setattr(connection, "LINGER_SECONDS", 0.3)
        with serving(folders[0], max_body=10_000, max_file=20_000) as running:
            yield running


def test_a_declared_body_that_is_too_large_is_refused_before_it_is_sent(
    small: RunningService,
) -> None:
    answer = small.raw(HEAD + b"Content-Length: 10001\r\n\r\n")
    assert status(answer) == 413
    assert b"The body has at least 10,001 bytes, more than the 10,000 allowed." in answer
    assert b"connection: close" in answer


def test_a_chunked_body_is_cut_off_at_the_limit(small: RunningService) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(small.address, 10) as sender:
        sender.sendall(head)
        sent = 0
        with suppress(ConnectionError):
            for _ in range(100_000):
                sender.sendall(chunk(b" " * 8_000))
                sent += 8_000
        assert sent < 10_000_000  # what fits into the buffers of the sockets
    answer = small.raw(head + chunk(b" " * 9_000) + chunk(b" " * 2_000))
    assert status(answer) == 413


def test_a_body_up_to_the_limit_is_accepted(small: RunningService) -> None:
    body = BODY + b" " * (10_000 - len(BODY))
    answer = small.raw(HEAD + b"Connection: close\r\nContent-Length: 10000\r\n\r\n" + body)
    assert status(answer) == 200


def test_a_slow_body_is_cut_off(small: RunningService) -> None:
    with socket.create_connection(small.address, 10) as sender:
        sender.sendall(HEAD + b"Content-Length: 5000\r\n\r\n")
        started = time.monotonic()
        for _ in range(40):  # slowly, but never at a stop
            time.sleep(0.05)
            try:
                sender.sendall(b" ")
            except OSError:
                break
        assert time.monotonic() - started < 1.5
        answer = received(sender)
    assert not answer or status(answer) == 408


def test_a_body_that_stops_is_answered(small: RunningService) -> None:
    answer = small.raw(HEAD + b"Content-Length: 5000\r\n\r\n" + b" " * 100)
    assert status(answer) == 408
    assert b"The body arrived too slowly." in answer


@pytest.mark.parametrize("route", ["/v1/predict", "/v1/predict/file"])
def test_a_body_that_is_cut_off_is_counted_as_that_of_a_client_that_has_gone(
    small: RunningService, route: str
) -> None:
    def counted() -> dict[str, float]:
        requests = f'lstm_sentiment_requests_total{{method="POST",route="{route}",status='
        return {status: small.metric(f'{requests}"{status}"}}') for status in ("422", "499", "500")}

    before = counted()
    with socket.create_connection(small.address, 10) as sender:
        head = HEAD.replace(b"/v1/predict", f"{route}?format=csv".encode())
        sender.sendall(head + b"Content-Length: 5000\r\n\r\n" + BODY)
    wait_until(lambda: counted() == {**before, "499": before["499"] + 1})


@pytest.mark.parametrize("start", [b"GET /healthz HTTP/1.1\r\nHost", b"\r\n", b"G"])
def test_slow_headers_are_cut_off(small: RunningService, start: bytes) -> None:
    assert status(small.raw(start, 5)) == 408


def test_a_connection_without_a_request_is_closed(small: RunningService) -> None:
    assert small.raw(b"", 5) == b""


def test_slow_headers_on_a_used_connection_are_cut_off(small: RunningService) -> None:
    with socket.create_connection(small.address, 5) as sender:
        sender.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(sender.recv(65536)) == 200
        sender.sendall(b"GET /")
        assert status(received(sender)) == 408


def test_headers_without_end_are_refused(small: RunningService) -> None:
    start = b"GET /healthz HTTP/1.1\r\n"
    for headers in (b"a: " + b"b" * 6_000, b"a: b\r\n" * 1_000):
        answer = small.raw(start + headers)
        assert status(answer) == 431
        assert b"5,000 bytes allowed" in answer


@pytest.mark.parametrize(
    "content", [b"HELLO\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / FTP/1\r\n\r\n"]
)
def test_what_is_not_http_is_refused_in_json(small: RunningService, content: bytes) -> None:
    answer = small.raw(content)
    assert status(answer) == 400
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"].startswith("The request is not")


def test_a_client_that_does_not_read_is_cut_off(small: RunningService) -> None:
    open_connections = small.server.server_state.connections
    others = {*open_connections}
    with socket.create_connection(small.address, 10) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        reader.sendall(request * 20)
        wait_until(lambda: bool(open_connections - others))
        wait_until(lambda: not open_connections - others, 10)


class Transport:
    """A stand-in for a connection: `unsent` are the bytes that its client has not yet taken."""

    def __init__(self, unsent: Iterable[int]) -> None:
        self.unsent, self.is_aborted = iter(unsent), False

    def get_write_buffer_size(self) -> int:
        return next(self.unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 0

    def abort(self) -> None:
        self.is_aborted = True


@pytest.mark.parametrize(
    ("unsent", "stops"),
    [(count(1_000, -1), False), ([9, 9, 8, 8, 8], True)],
    ids=["reads", "stops"],
)
def test_an_answer_is_cut_off_when_its_client_stops_to_read(
    monkeypatch: pytest.MonkeyPatch, unsent: Iterable[int], stops: bool
) -> None:
    monkeypatch.setattr(limits, "SEND_SECONDS", 0.01)
    transport = Transport(unsent)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.body"})

    async def send(_: Any) -> None:
        await asyncio.sleep(30 if stops else 0.1)

    limited = limits.Limits(app, Settings())
    scope = {
        "type": "http",
        "path": "/",
        "headers": [],
        "extensions": {limits.TRANSPORT: transport},
    }
    sending = limited(scope, asyncio.Event().wait, send)
    # In a thread of its own, since the tests of the page occupy the loop of this one.
    ended = ThreadPoolExecutor().submit(asyncio.run, sending)
    with pytest.raises(ConnectionLostError) if stops else nullcontext():
        ended.result()
    assert transport.is_aborted is stops


def test_the_end_of_an_answer_is_cut_off_when_its_client_stops_to_read() -> None:
    timers: list[Callable[[], None]] = []
    transport = Transport([9, 6, 6, 1, 1, 1])
    reader: Any = connection.Connection.__new__(connection.Connection)
    reader.loop = SimpleNamespace(call_later=lambda _, *call: timers.append(partial(*call)))
    reader.transport = transport
    reader._abort_later()
    while timers:
        assert not transport.is_aborted
        timers.pop()()
    assert transport.is_aborted
    assert not [*transport.unsent]


def test_the_rest_of_a_body_that_nobody_reads_closes_the_connection(small: RunningService) -> None:
    for path in (b"/healthz", b"/nothing"):
        answer = small.raw(
            b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk(b"x")
        )  # fmt: skip
        assert b"connection: close" in answer


def test_too_many_open_requests_are_refused(folders: list[Path]) -> None:
    with serving(folders[0], max_requests=2) as service:
        waiting = [socket.create_connection(service.address, 10) for _ in range(2)]
        for each in waiting:
            each.sendall(HEAD + b"Content-Length: 50\r\n\r\n")
        requests = service.service.metrics.open_requests
        wait_until(lambda: requests._value.get() == 2)
        refused = service.predict("a")
        assert refused.status_code == 503
        assert refused.json()["detail"] == "More than 2 requests are open."
        assert refused.headers["retry-after"] == "1"
        for each in waiting:
            each.close()
        wait_until(lambda: requests._value.get() == 0)
        assert service.predict("a").status_code == 200


def test_bodies_together_are_bounded(folders: list[Path]) -> None:
    with serving(folders[0], max_buffered=1_000) as service:
        with socket.create_connection(service.address, 10) as waiting:
            waiting.sendall(HEAD + b"Content-Length: 950\r\n\r\n" + b" " * 900)
            requests = service.service.metrics.open_requests
            wait_until(lambda: requests._value.get() == 1)
            wait_until(lambda: service.predict("a" * 100).status_code == 503)
            refused = service.predict("a" * 100)
            assert "together are too large" in refused.json()["detail"]
        wait_until(lambda: service.predict("a" * 100).status_code == 200)


def test_the_token(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(
        limits.hmac, "compare_digest", lambda *pair: compared.append(pair) or compare(*pair)
    )
    with serving(folders[0], token=TOKEN) as service:
        for path in ("/healthz", "/readyz", "/docs", "/docs/setup.js", "/openapi.json"):
            assert service.client.get(path).status_code == 200
        wrong = [
            "",
            "Bearer",
            "Bearer x",
            f"Basic {TOKEN}",
            f"Bearer {TOKEN}x",
            f"Bearer  x{TOKEN}",
        ]
        for header in wrong:
            for path in ("/v1/models", "/metrics", "/v1/models/binary", "/nothing"):
                refused = service.client.get(path, headers={"Authorization": header})
                assert refused.status_code == 401
                assert refused.headers["www-authenticate"] == "Bearer"
                assert "Authorization: Bearer" in refused.json()["detail"]
        refused = service.client.post("/v1/predict", json={"texts": "a"})
        assert refused.status_code == 401
        assert len(compared) == 4 * len(wrong) + 1
        for scheme in ("Bearer", "bearer"):
            allowed = {"Authorization": f"{scheme} {TOKEN}"}
            assert service.client.get("/v1/models", headers=allowed).status_code == 200
        schema = service.client.get("/openapi.json").json()
        assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


@pytest.mark.parametrize("path", ["/page/../v1/models", "/docs/../metrics", "/page/%2e%2e/metrics"])
def test_no_path_avoids_the_token(folders: list[Path], path: str) -> None:
    with serving(folders[0], token=TOKEN) as service:
        answer = service.raw(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert status(answer) in (401, 404)


def test_other_origins_may_read_answers_only_if_they_are_named(folders: list[Path]) -> None:
    origin = {"Origin": "https://example.org"}
    with serving(folders[0]) as service:
        answer = service.client.get("/v1/models", headers=origin)
        assert "access-control-allow-origin" not in answer.headers
    with serving(folders[0], origins=("https://example.org",), token=TOKEN) as service:
        asking = {
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        preflight = service.client.options("/v1/predict", headers=asking)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://example.org"
        other = {**asking, "Origin": "https://example.com"}
        assert service.client.options("/v1/predict", headers=other).status_code == 400


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_addresses_of_this_machine(host: str, is_local: bool) -> None:
    assert Settings(host=host).is_local is is_local


def test_a_fast_start_buys_no_silence(
    small: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MINIMUM_RATE", 100)  # 9,000 bytes at once would buy 90 seconds
    started = time.monotonic()
    answer = small.raw(HEAD + b"Content-Length: 9900\r\n\r\n" + b" " * 9_000)
    assert status(answer) == 408
    assert time.monotonic() - started < 5


def test_trailers_without_end_are_cut_off(small: RunningService) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(small.address, 10) as sender:
        sender.sendall(head + chunk(BODY) + b"0\r\n")
        sent = 0
        with suppress(ConnectionError):
            for _ in range(100_000):
                sender.sendall(b"a: b\r\n" * 1_000)
                sent += 6_000
        assert sent < 10_000_000
    assert small.client.get("/healthz").status_code == 200


def test_requests_that_wait_for_their_turn_are_bounded(small: RunningService) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answers = small.raw(request * 30 + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answers.count(b"HTTP/1.1 200") == 30
    assert small.raw(request * 20_000).count(b"HTTP/1.1 200") < 1_000
    assert small.client.get("/healthz").status_code == 200


def test_the_body_of_a_request_that_waited_is_no_header(small: RunningService) -> None:
    """The body is larger than headers may be, and arrives after an answer to another request."""
    body = BODY + b" " * (9_000 - len(BODY))
    with socket.create_connection(small.address, 10) as sender:
        sender.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            + HEAD
            + b"Connection: close\r\nContent-Length: 9000\r\n\r\n"
        )
        first = sender.recv(65536)
        assert status(first) == 200
        sender.sendall(body)
        assert status(received(sender)) == 200


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("localhost", "", 200),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", 200),
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("localhost", "https://known.example", 200),
        ("localhost", "https://evil.example", 403),
        ("localhost", "null", 403),
        ("evil.example", "", 403),
        ("evil.example", "http://evil.example", 403),
        ("127.0.0.1.evil.example", "", 403),
        ("[", "", 403),
        ("", "", 403),
    ],
)
def test_requests_of_other_sites_are_refused(
    folders: list[Path], host: str, origin: str, expected: int
) -> None:
    service = Service(LoadedModels(folders[:1]), Settings(origins=("https://known.example",)))
    scope = {
        "type": "http",
        "headers": [(b"host", host.encode()), *([(b"origin", origin.encode())] if origin else [])],
    }
    answered = limits.SameSite(application(service), service.settings)._is_allowed(scope)
    service.close()
    assert (200 if answered else 403) == expected


def test_a_page_of_another_site_gets_nothing(small: RunningService) -> None:
    answer = small.client.get("/v1/models", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "--origin" in answer.json()["detail"]
    assert small.client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models"])
def test_health_is_told_however_many_requests_are_open(folders: list[Path], path: str) -> None:
    with serving(folders[0], max_requests=0) as service:
        assert service.client.get(path).status_code == (503 if path == "/v1/models" else 200)
