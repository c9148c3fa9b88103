"""The download of GloVe, from a server on this machine."""

import errno
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPResponse, IncompleteRead, RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from lstm_sentiment.config import GLOVE_DIMS
from lstm_sentiment.data import vector_files
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.vector_files import fetch_glove, open_lines
from lstm_sentiment.display import SILENT
from lstm_sentiment.errors import InputError
from tests.support.displays import RecordingDisplay
from tests.support.processes import disk_full
from tests.support.vectors import GLOVE, MEMBER, zipped


class Stanford:
    """A server on this machine that answers with a status, a length and a content."""

    def __init__(self, content: bytes) -> None:
        self.status, self.length, self.content = 200, len(content), content
        self.requests: list[str] = []
        stanford = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stanford.requests.append(self.path)
                self.send_response(stanford.status)
                self.send_header("Content-Length", str(stanford.length))
                self.end_headers()
                self.wfile.write(stanford.content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/data/{{}}.zip"

    def refuse(self, status: int) -> None:
        self.status, self.length, self.content = status, 0, b""

    def close(self) -> None:  # may be called twice
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def stanford(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stanford]:
    archive = zipped(GLOVE.encode())
    server = Stanford(archive)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(vector_files, "GLOVE_URL", server.url)
    checksum = hashlib.sha256(archive).hexdigest()
    monkeypatch.setitem(vector_files.GLOVE_ARCHIVES, "6B", ("glove.6B", checksum))
    socket.setdefaulttimeout(55)
    yield server
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(None)
    server.close()
    assert timeout == 55  # the default of the process is not changed


def test_glove_is_downloaded_once(stanford: Stanford, tmp_path: Path) -> None:
    path = fetch_glove("6B", tmp_path, SILENT)
    assert path.read_bytes() == stanford.content
    assert list(tmp_path.iterdir()) == [path]
    with open_lines(path, MEMBER) as lines:
        assert b"".join(lines) == GLOVE.encode()
    stanford.refuse(404)
    assert fetch_glove("6B", tmp_path, SILENT) == path
    assert stanford.requests == ["/data/glove.6B.zip"]


def test_the_progress_of_a_download_is_shown(stanford: Stanford, tmp_path: Path) -> None:
    display = RecordingDisplay()
    for _ in range(2):  # the second time, nothing is downloaded
        fetch_glove("6B", tmp_path, display)
    (bar,) = display.bars
    assert "glove.6B.zip" in bar.title
    assert bar.total == bar.steps[-1] == len(stanford.content)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda server: setattr(server, "content", server.content[:-100]),
            "the download is incomplete or does not match its checksum",
        ),
        (
            lambda server: setattr(server, "content", server.content[:-1] + b"!"),
            "the download is incomplete or does not match its checksum",
        ),
        (lambda server: server.refuse(404), "HTTP Error 404: Not Found"),
        (lambda server: server.refuse(503), "HTTP Error 503: Service Unavailable"),
        (lambda server: server.close(), f"[Errno {errno.ECONNREFUSED}] Connection refused"),
    ],
    ids=["cut", "changed", "absent", "busy", "off"],
)
def test_a_failed_download_leaves_nothing(
    stanford: Stanford, tmp_path: Path, spoil: Callable[[Stanford], None], reason: str
) -> None:
    spoil(stanford)
    with pytest.raises(InputError) as raised:
        fetch_glove("6B", tmp_path, SILENT)
    assert str(raised.value) == (
        f"{stanford.url.format('glove.6B')} cannot be fetched ({reason}): download it yourself "
        "and give the unpacked file with embedding.path=FILE."
    )
    response = raised.value.__cause__
    assert not isinstance(response, HTTPError) or response.closed  # releases the connection
    assert list(tmp_path.iterdir()) == []


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (URLError(socket.gaierror(-2, "Name or service not known")), "[Errno -2] Name or service"),
        (URLError("no host given"), "no host given"),
        (ConnectionResetError(104, "Connection reset by peer"), "[Errno 104] Connection reset"),
        (TimeoutError("The read operation timed out"), "The read operation timed out"),
        (RemoteDisconnected("Remote end closed connection"), "Remote end closed connection"),
        (IncompleteRead(b"", 7), "IncompleteRead(0 bytes read, 7 more expected)"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host"),
        (ssl.SSLError(ssl.SSL_ERROR_SSL, "[SSL] bad record mac"), "bad record mac"),
        (ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "EOF occurred"), "EOF occurred"),
    ],
    ids=["name", "host", "reset", "time", "closed", "incomplete", "route", "record", "end"],
)
def test_every_failure_of_the_network_is_reported_as_one(
    stanford: Stanford,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    """The error may come while connecting, and unwrapped by urllib while reading."""
    for owner, method in ((vector_files, "urlopen"), (HTTPResponse, "read")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, method, failing(error))
            with pytest.raises(InputError) as raised:
                fetch_glove("6B", tmp_path, SILENT)
        message = str(raised.value)
        assert message.startswith(f"{stanford.url.format('glove.6B')} cannot be fetched (")
        assert reason in message
        assert "<urlopen error" not in message
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_full_disk_is_not_reported_as_a_failure_of_the_network(
    stanford: Stanford, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    full = OSError(number, os.strerror(number))
    monkeypatch.setattr(Path, "replace", failing(full))

    def make(_: Path) -> None:
        fetch_glove("6B", tmp_path, SILENT)

    with pytest.raises(InputError) as raised:
        DataCache().entry(tmp_path, "vectors", [], "vectors", make)
    facts = f"data.cache={tmp_path} cannot be written ({full.strerror})"
    assert str(raised.value).startswith(facts)
    assert stanford.requests == ["/data/glove.6B.zip"]
    assert list(tmp_path.iterdir()) == []


def test_after_a_full_disk_the_download_is_repeated(stanford: Stanford, tmp_path: Path) -> None:
    with disk_full(), pytest.raises(OSError, match="File too large"):
        fetch_glove("6B", tmp_path, SILENT)
    path = fetch_glove("6B", tmp_path, SILENT)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == stanford.content


def test_drafts_of_killed_processes_are_removed(stanford: Stanford, tmp_path: Path) -> None:
    for name in ("glove.6B.zip.0a1b.partial", "glove.6B.zip.2c3d.partial"):
        (tmp_path / name).write_bytes(b"half")
    others = [tmp_path / name for name in ("glove.42B.300d.zip.4e5f.partial", "notes.partial")]
    for other in others:
        other.write_bytes(b"of others")
    path = fetch_glove("6B", tmp_path, SILENT)
    assert set(tmp_path.iterdir()) == {path, *others}
    assert path.read_bytes() == stanford.content


def test_a_silent_server_causes_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= vector_files.TIMEOUT <= 120
    monkeypatch.setattr(vector_files, "TIMEOUT", 0.2)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and does not answer
        end = threading.Timer(5, silent.close)
        end.start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{{}}.zip"
        monkeypatch.setattr(vector_files, "GLOVE_URL", url)
        with pytest.raises(InputError, match="timed out.*: download it yourself"):
            fetch_glove("6B", tmp_path, SILENT)
        end.cancel()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(
    stanford: Stanford, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_glove("6B", tmp_path, SILENT)
    assert list(tmp_path.iterdir()) == []
    assert fetch_glove("6B", tmp_path, SILENT).read_bytes() == stanford.content


def test_a_server_without_a_valid_certificate_is_refused(
    stanford: Stanford, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content is right, but its certificate is signed by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is needed to make a certificate")
    key, certificate, cache = (tmp_path / name for name in ("key.pem", "cert.pem", "cache"))
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stanford.server.socket = context.wrap_socket(stanford.server.socket, server_side=True)
    stanford.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    monkeypatch.setattr(vector_files, "GLOVE_URL", stanford.url.replace("http:", "https:"))
    cache.mkdir()
    with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_glove("6B", cache, SILENT)
    assert stanford.requests == []
    assert list(cache.iterdir()) == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # now it is trusted
    assert fetch_glove("6B", cache, SILENT).read_bytes() == stanford.content


def test_published_archives_are_fetched_over_https_with_checksums() -> None:
    assert vector_files.GLOVE_URL.startswith("https://nlp.stanford.edu/")
    assert ssl._create_default_https_context is ssl.create_default_context
    assert vector_files.GLOVE_ARCHIVES.keys() == GLOVE_DIMS.keys()
    for stem, checksum in vector_files.GLOVE_ARCHIVES.values():
        assert stem.startswith("glove.")
        assert len(bytes.fromhex(checksum)) == 32
