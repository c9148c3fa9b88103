"""The log: a line of JSON for each request, and never a text of one."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lstm_sentiment.serving.http import uploads
from tests.support.service import RunningService, serving, wait_until

SECRET = "zyzzyva-secret"
NAME = "lstm_sentiment.serving.http"


@pytest.fixture
def service(folders: list[Path], caplog: pytest.LogCaptureFixture) -> Iterator[RunningService]:
    caplog.set_level(logging.INFO, NAME)
    with serving(folders[0]) as running:
        yield running


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(r.getMessage()) for r in caplog.records if r.name == f"{NAME}.access"]


def test_each_request_has_a_line(service: RunningService, caplog: pytest.LogCaptureFixture) -> None:
    service.predict(["a", "b"])
    service.client.get("/nothing%22%0A{}?text=secret")
    wait_until(lambda: len(lines(caplog)) == 2)
    first, second = lines(caplog)
    assert [*first] == [
        *("time", "client", "method", "path", "status", "complete", "bytes", "ms"),
        *("model", "texts", "explain"),
    ]
    assert first["client"] == "127.0.0.1"
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/predict", 200)
    assert (first["model"], first["texts"], first["explain"]) == ("binary", 2, False)
    assert first["complete"]
    assert first["bytes"] > 100
    assert second["status"] == 404
    assert second["path"] == '/nothing"\n{}'
    assert "\n" not in caplog.records[-1].getMessage()


def test_no_text_is_logged(
    service: RunningService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    monkeypatch.setattr(uploads, "CHUNK_ROWS", 8)
    for explain in (False, True):
        assert service.predict(SECRET, explain=explain).status_code == 200
    assert service.predict({"text": SECRET}).status_code == 422
    assert service.predict("a", model=SECRET).status_code == 404
    assert service.predict("a", **{SECRET: 1}).status_code == 422
    assert service.client.get(f"/healthz?text={SECRET}").status_code == 200
    headers = {"Authorization": f"Bearer {SECRET}", "X-Text": SECRET}
    assert service.client.get("/healthz", headers=headers).status_code == 200
    assert service.raw(SECRET.encode() + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    row = f"1,{SECRET}\n".encode()
    with pytest.raises(httpx.RemoteProtocolError):
        service.client.post(
            "/v1/predict/file?format=csv", content=b"id,text\n" + row * 800 + b"1,2,3\n"
        )

    def broken(_: Any, texts: Any) -> Any:
        raise RuntimeError(f"bad text: {texts[0]}")

    monkeypatch.setattr(service.service.predictions, "compute", broken)
    failed = service.predict(SECRET)
    assert failed.status_code == 500
    assert failed.json()["detail"] == "The service failed: its log gives the reason."
    wait_until(lambda: 500 in [line["status"] for line in lines(caplog)])
    assert SECRET not in caplog.text
    assert "RuntimeError" in caplog.text  # with the lines of code
    assert "raise RuntimeError" in caplog.text
