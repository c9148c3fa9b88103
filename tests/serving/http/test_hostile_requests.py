"""Requests that no client of good will sends: made from the schema, damaged, or of any bytes.

No request may be answered with status 500, stop the service, or leave memory occupied.
"""

import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.service import RunningService, received, serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MARKUP = "<script>alert(1)</script>"
FUZZED = 10_000
MIB = 2**20
GROWTH = 50 * MIB  # of the memory, allowed during FUZZED requests


@pytest.fixture(scope="module")
def hostile(folders: list[Path]) -> Iterator[RunningService]:
    with serving(*folders, max_body=MIB, max_file=MIB, max_texts=20) as running:
        yield running


def check_operations(service: RunningService, number: int) -> None:
    """Send requests that are made from the schema, some of them wrong, to each address."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 7
    for operation in operations:
        # An address without a body or parameters has no wrong requests.
        modes = [*GenerationMode] if operation.method == "post" else [GenerationMode.POSITIVE]
        for mode in modes:

            @settings(
                max_examples=number,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=[*HealthCheck],
            )
            @given(operation.as_strategy(generation_mode=mode))
            def check(case: Case) -> None:
                case.call_and_validate(checks=CHECKS)

            check()


def test_requests_of_the_schema(hostile: RunningService) -> None:
    check_operations(hostile, 4)


@pytest.mark.slow
def test_many_requests_of_the_schema(hostile: RunningService) -> None:
    check_operations(hostile, 100)


def bodies(number: int) -> Iterator[bytes]:
    """Yield bodies: damaged requests, requests with damaged values, and random bytes."""
    draw = random.Random(1)
    values: list[Any] = [
        *(None, True, -1, 1e308, "", "a" * 2_000, "\x00", "\ud800", "🎬" * 99, MARKUP, "../" * 9),
        *([], {}, [[]], ["a"] * 30, {"a": {}}),
    ]
    names = ["texts", "model", "explain", "class", "modle", "", MARKUP]
    for _ in range(number):
        request: Any = {"texts": "The film was good."}
        for _ in range(draw.randrange(3)):
            request[draw.choice(names)] = draw.choice(values)
        body = bytearray(json.dumps(request).encode())
        kind = draw.randrange(4)
        if kind == 1:
            for _ in range(draw.randrange(1, 6)):
                body[draw.randrange(len(body))] = draw.randrange(256)
        elif kind == 2:
            del body[draw.randrange(len(body)) :]
        elif kind == 3:
            body = bytearray(draw.randbytes(draw.randrange(200)))
        yield bytes(body)


def send_bodies(service: RunningService, number: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    paths = [
        "/v1/predict",
        "/v1/predict",
        *(f"/v1/predict/file?format={f}" for f in ("csv", "jsonl")),
    ]
    headers = {"Content-Type": "application/json"}
    for count, body in enumerate(bodies(number)):
        answer = service.client.post(paths[count % len(paths)], content=body, headers=headers)
        statuses[answer.status_code] += 1
    return statuses


def test_damaged_bodies(hostile: RunningService) -> None:
    statuses = send_bodies(hostile, 300)
    assert statuses.keys() <= {200, 400, 404, 422}, statuses
    assert statuses[200] > 10
    assert statuses[422] > 50


@pytest.mark.slow
def test_memory_after_many_damaged_bodies(hostile: RunningService) -> None:
    send_bodies(hostile, 1_000)
    before = hostile.metric("process_resident_memory_bytes")
    statuses = send_bodies(hostile, FUZZED)
    assert statuses.keys() <= {200, 400, 404, 422}, statuses
    assert hostile.metric("process_resident_memory_bytes") - before < GROWTH
    assert hostile.predict("a").status_code == 200


def raw_requests(number: int) -> Iterator[bytes]:
    """Yield damaged bytes of whole requests."""
    draw = random.Random(2)
    body = json.dumps({"texts": "The film was good."}).encode()
    whole = (
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    for _ in range(number):
        content = bytearray(whole)
        for _ in range(draw.randrange(1, 8)):
            start = draw.randrange(len(content))
            content[start : start + draw.randrange(4)] = draw.randbytes(draw.randrange(4))
        yield bytes(content)


def test_damaged_requests(hostile: RunningService) -> None:
    for content in raw_requests(200):
        with socket.create_connection(hostile.address, 10) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            answer = received(connection)
        assert not answer or answer.startswith(b"HTTP/1.1 "), content
        assert not answer.startswith(b"HTTP/1.1 5"), content
    assert hostile.predict("a").status_code == 200


@pytest.mark.parametrize(
    "text", ["a" * 900_000, "\x00" * 900_000, "🎬" * 200_000, "\u200f" * 300_000, "a " * 450_000]
)
def test_long_texts(hostile: RunningService, text: str) -> None:
    answer = hostile.client.post(
        "/v1/predict",
        content=json.dumps({"texts": text}, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (200, 413, 422)


def test_a_text_of_ten_megabytes_is_refused(folders: list[Path]) -> None:
    with serving(folders[0]) as service:
        answer = service.predict("a " * 5_000_000)
        assert answer.status_code == 422
        assert "10,000,000 characters, more than the 1,000,000 allowed" in answer.json()["detail"]
        assert service.predict("a " * 9_000_000).status_code == 413


def test_markup_is_answered_as_text(hostile: RunningService) -> None:
    content = f'id,text,"{MARKUP}"\n1,{MARKUP},{MARKUP}\n'.encode()
    answer = hostile.client.post("/v1/predict/file?format=csv", content=content)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.startswith(f'id,text,"{MARKUP}",label')
    refused = hostile.predict("a", model=MARKUP)
    assert refused.headers["content-type"] == "application/json"
    assert MARKUP in refused.json()["detail"]
    for response in (answer, refused):
        assert response.headers["x-content-type-options"] == "nosniff"
