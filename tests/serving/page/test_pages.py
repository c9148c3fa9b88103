"""The files of the page: their headers and addresses, what they refer to, and the wheel."""

import re
import tomllib

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lstm_sentiment.serving.http.pages import FOLDER, MEDIA_TYPES, page_routes
from tests.support.project import ROOT

FILES = sorted(file.name for file in FOLDER.iterdir() if file.is_file())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
ADDRESSES = ["/", *(f"/page/{name}" for name in FILES if name != "index.html")]


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=page_routes()))


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_file_has_headers_that_restrict_it(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    suffix = f".{address.rpartition('.')[2]}" if address != "/" else ".html"
    assert answer.headers["content-type"].split(";")[0] == MEDIA_TYPES[suffix]


def test_browsers_ask_whether_their_copy_is_the_newest(client: TestClient) -> None:
    first = client.get("/page/app.js")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    again = client.get("/page/app.js", headers={"If-None-Match": f'W/"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/page/api.js").headers["etag"] != tag
    assert client.get("/page/app.js", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_head_request_gets_no_content(client: TestClient) -> None:
    answer = client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/index.html",
        "/page/missing.js",
        "/page/APP.JS",
        "/page/app.js%00",
        "/page/../http/pages.py",
        "/page/..%2fhttp%2fpages.py",
        "/page/%2e%2e/http/pages.py",
        "/page/..%5chttp%5cpages.py",
        "/page//etc/passwd",
    ],
)
def test_no_other_path_is_answered(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_every_file_is_served_and_used() -> None:
    assert {file.suffix for file in FOLDER.iterdir()} == {*MEDIA_TYPES}
    used = {"index.html"}
    for name in FILES:
        text = (FOLDER / name).read_text()
        used |= {*re.findall(r'from "\./([\w.]+)"', text), *re.findall(r'="page/([\w.]+)"', text)}
    assert used == {*FILES}


def test_nothing_is_loaded_from_elsewhere() -> None:
    for name in FILES:
        addresses = re.findall(r"https?://[^\"'\s)]+", (FOLDER / name).read_text())
        assert {*addresses} <= {"http://www.w3.org/2000/svg"}, name  # the name of a namespace


@pytest.mark.parametrize("name", SCRIPTS)
def test_values_never_become_markup_or_code(name: str) -> None:
    text = (FOLDER / name).read_text()
    unsafe = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|DOMParser|srcdoc"
    )
    assert not re.search(unsafe, text)
    assert not re.search(r"localStorage|sessionStorage|indexedDB|cookie", text)


def test_the_index_has_no_inline_code_or_style() -> None:
    text = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", text)


def test_every_file_is_in_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["lstm_sentiment.serving"]
    assert {path for pattern in patterns for path in FOLDER.parent.glob(pattern)} == {
        *FOLDER.iterdir()
    }
