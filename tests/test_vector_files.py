"""Files of word vectors: what is read of them, what is refused, and how GloVe is fetched."""

import errno
import gzip
import hashlib
import io
import os
import random
import shutil
import socket
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.client import IncompleteRead, RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
from gensim.models import KeyedVectors
from processes import disk_full

from lstm_sentiment.config import GLOVE_DIMS
from lstm_sentiment.data import vector_files
from lstm_sentiment.data.cache import cached
from lstm_sentiment.data.tokens import SPECIALS, Vocabulary
from lstm_sentiment.data.vector_files import fetch_glove, opened, read_vectors
from lstm_sentiment.errors import InputError

MEMBER = "glove.6B.2d.txt"
WORDS = ["good", "bad", ".", "7", "straße", "映画"]
GLOVE = "good 0.5 -2\nunheard 9 9\nbad 1e-3 +4.25\nstraße 1 2\n映画 3 4\n. 5 6\n7 7 7\n"
VECTORS = {
    "good": [0.5, -2],
    "bad": [0.001, 4.25],
    "straße": [1, 2],
    "映画": [3, 4],
    ".": [5, 6],
    "7": [7, 7],
}


def zipped(content: bytes, member: str = MEMBER) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.6B.3d.txt", b"good 1 1 1\n")
        archive.writestr(member, content)
    return buffer.getvalue()


def read(path: Path, dim: int = 2, member: str | None = None) -> dict[str, list[float]]:
    """The words that have a vector, and their numbers; what has none is left at zero."""
    vocabulary = Vocabulary([*SPECIALS, *WORDS])
    with opened(path, member) as stream:
        matrix, found = read_vectors(stream, path, dim, vocabulary)
    assert matrix.shape == (len(vocabulary), dim)
    assert matrix.dtype == np.float32
    assert not matrix[~found].any()
    return {vocabulary.words[id]: matrix[id].tolist() for id in np.flatnonzero(found)}


def read_text(folder: Path, text: str | bytes, dim: int = 2) -> dict[str, list[float]]:
    path = folder / "vectors.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, dim)


def refusal(path: Path, dim: int = 2, member: str | None = None) -> str:
    """The one sentence that says why, and of which file."""
    with pytest.raises(InputError) as raised:
        read(path, dim, member)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert str(path) in sentence
    return sentence


# Reading


@pytest.mark.parametrize("header", ["", "7 2\n"])
@pytest.mark.parametrize(
    ("name", "packed", "member"),
    [
        ("vectors.txt", bytes, None),
        ("vectors.gz", gzip.compress, None),
        ("vectors", gzip.compress, None),
        ("vectors.zip", zipped, MEMBER),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "BOM"])
def test_every_form_gives_the_same_numbers(
    tmp_path: Path,
    mark: str,
    header: str,
    name: str,
    packed: Callable[[bytes], bytes],
    member: str | None,
) -> None:
    (tmp_path / name).write_bytes(packed((mark + header + GLOVE).encode()))
    assert read(tmp_path / name, member=member) == {
        word: np.float32(vector).tolist() for word, vector in VECTORS.items()
    }


@pytest.mark.parametrize("with_header", [True, False])
def test_gensim_reads_the_same(tmp_path: Path, with_header: bool) -> None:
    numbers = np.random.default_rng(0).normal(size=(7, 12)) * 10.0 ** np.arange(-6, 6)
    lines = [
        f"{word} {' '.join(map(str, row))}" for word, row in zip("abcdefg", numbers, strict=True)
    ]
    lines += [
        f"{word} {' '.join(map(str, -row))}" for word, row in zip(WORDS, numbers, strict=False)
    ]
    path = tmp_path / "vectors.txt"
    headed, path = tmp_path / "headed.txt", tmp_path / "vectors.txt"
    headed.write_text("\n".join([f"{len(lines)} 12", *lines]) + "\n")
    path.write_text("\n".join([f"{len(lines)} 12"] * with_header + lines) + "\n")
    # gensim can do without a header, too, but leaves the file open then.
    reference = KeyedVectors.load_word2vec_format(str(headed))
    ours = read(path, 12)
    assert ours.keys() == set(WORDS)
    for word in WORDS:
        assert ours[word] == reference[word].tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good 1 2\ngood 3 4\nbad 0 0\ngood 5 6", {"good": [1, 2], "bad": [0, 0]}),
        ("bad 0 0\nGood 1 2\ngoods 3 4\ngoo 5 6", {"bad": [0, 0]}),
        ("bad 0 0\n. . . 1 2\ngood . 3 4\n. 5 6\n", {"bad": [0, 0], ".": [5, 6]}),
        (". . . 1 2\ngood 3 4\n", {"good": [3, 4]}),
        ("at name@domain.com 1 2\ngood 3 4\n", {"good": [3, 4]}),
        ("good 1 2\n\ufeffbad 3 4\n", {"good": [1, 2]}),
        ("1 2\ngood 1 2\nbad 3 4", {"good": [1, 2], "bad": [3, 4]}),
        ("PK 1 2\ngood 3 4\n", {"good": [3, 4]}),
        ("good\t1\t2\nbad\t3 4", {"good": [1, 2], "bad": [3, 4]}),
        ("7 1 2\n8 3 4", {"7": [1, 2]}),
        ("2 2\n7 1 2\n8 3 4", {"7": [1, 2]}),
        ("2 2\r\ngood 1 2\r\nbad\t3\t4\r\n", {"good": [1, 2], "bad": [3, 4]}),
        ("good 1 2 \n\nbad  3  4", {"good": [1, 2], "bad": [3, 4]}),
        ("<pad> 1 2\n<unk> 3 4\ngood 5 6", {"good": [5, 6]}),
        ("good -0 1e-40", {"good": [0, float(np.float32(1e-40))]}),
        (b"\xff\xfe 1 2\n\xc3\xa9 x y\ngood 3 4\nna\xc3 5 6\n\n", {"good": [3, 4]}),
        ("good 1 2\nunheard nan inf\nunheard too short\nbad 3 4", {"good": [1, 2], "bad": [3, 4]}),
    ],
    ids=[
        "the first of several counts",
        "words are whole and as they are written",
        "a word with spaces is no shorter word",
        "a first word of dots and spaces",
        "a first word with a space",
        "a BOM is one at the beginning only",
        "more vectors than announced",
        "a first word as an archive begins",
        "tabs",
        "a word that is a number",
        "a word that is a number, after a header",
        "lines of Windows",
        "spaces at the end and in a row, an empty line",
        "the special words",
        "tiny numbers",
        "bytes that are no UTF-8",
        "nobody asks for the vectors of other words",
    ],
)
def test_what_stands_for_a_word(
    tmp_path: Path, text: str | bytes, expected: dict[str, list[float]]
) -> None:
    assert read_text(tmp_path, text) == expected


def test_one_number_is_a_vector_too(tmp_path: Path) -> None:
    assert read_text(tmp_path, "good 5\nbad 6\n", dim=1) == {"good": [5], "bad": [6]}


# What is refused


@pytest.mark.parametrize("text", ["good 1 2 3\n", "1 3\ngood 1 2 3\n", "unheard 1 2 3\ngood 1 2\n"])
@pytest.mark.parametrize("dim", [2, 4, 300])
def test_another_dimension_is_named(tmp_path: Path, text: str, dim: int) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(text)
    assert refusal(path, dim) == (
        f"embedding.dim={dim} does not fit {path}, whose vectors have 3 numbers: "
        "give embedding.dim=3."
    )


@pytest.mark.parametrize(
    "line",
    [
        "good 1",
        "good 1 ",
        "good",
        "good 1 2x",
        "good 1 nan",
        "good -inf 1",
        "good 1 ,",
        "good 1 1e50",
    ],
)
@pytest.mark.parametrize("before", ["bad 1 2\n", "3 2\nunheard 1 2\n. . . 3 4\n"])
def test_a_line_that_is_cut_or_wrong_is_named(tmp_path: Path, before: str, line: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(before + line)
    number = before.count("\n") + 1
    assert refusal(path) == (
        f"{path}: line {number} is no word with 2 numbers: give a text file of word vectors, "
        "as GloVe or word2vec write it."
    )


@pytest.mark.parametrize("line", ["good nan 2", "good 1 inf", "good 1e50 2"])
def test_a_first_line_may_be_wrong_as_well(tmp_path: Path, line: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(line)
    assert "line 1 is no word with 2 numbers: give a text file" in refusal(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text,label\ngood,1\n", "no file of word vectors: its first line is no word"),
        (b'"A good film.",1\n', "no file of word vectors"),
        (b'{"good": [1, 2]}\n', "no file of word vectors"),
        (b"[[1, 2],\n[3, 4]]\n", "no file of word vectors"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "no file of word vectors"),
        (random.Random(0).randbytes(9_999), "no file of word vectors"),
        (b"", "no file of word vectors: its first line is no word with its numbers"),
        (b"\xef\xbb\xbf", "no file of word vectors"),
        (b"\n\n\n", "no file of word vectors"),
        (". . . 1\n".encode("utf-16"), "no file of word vectors"),
        (b"good\nbad\n", "no file of word vectors"),
        (bytes(3 * 2**20), "it has lines without end"),
    ],
    ids=[
        "CSV",
        "CSV without header",
        "JSON",
        "JSON list",
        "PNG",
        "noise",
        "nothing",
        "a BOM alone",
        "lines",
        "UTF-16",
        "words",
        "0s",
    ],
)
def test_what_holds_no_vectors_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    assert reason in refusal(path)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("7 2\n", "0 of 7"),
        ("7 2", "0 of 7"),
        ("3 2\ngood 1 2\nbad 3 4\n", "2 of 3"),
        ("2 2\nunheard 1 2\n", "1 of 2"),
        ("400000 2\n" + "unheard 1 2\n" * 1_234, "1,234 of 400,000"),
    ],
    ids=["a header alone", "half a line", "one less", "of other words", "thousands"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_fewer_vectors_than_announced_are_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes], text: str, count: str
) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(pack(text.encode()))
    assert refusal(path) == (
        f"embedding.path={path} cannot be read (it is cut short: {count} vectors are there): "
        "give a text file of word vectors, as GloVe or word2vec write it, also gzipped."
    )


def test_a_header_that_announces_nothing_finds_nothing(tmp_path: Path) -> None:
    assert read_text(tmp_path, "0 2\n") == {}


def test_an_archive_of_the_users_is_refused(tmp_path: Path) -> None:
    for name, content in (("glove.zip", zipped(GLOVE.encode())), ("vectors.txt", zipped(b""))):
        path = tmp_path / name
        path.write_bytes(content)
        assert refusal(path) == (
            f"embedding.path={path} cannot be read (it is an archive, which has to be unpacked): "
            "give a text file of word vectors, as GloVe or word2vec write it, also gzipped."
        )


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def changed(content: bytes) -> bytes:
    middle = len(content) // 2
    noise = random.Random(0).randbytes(999)
    return content[:middle] + noise + content[middle + len(noise) :]


@pytest.mark.parametrize(
    ("member", "pack", "harm"),
    [
        (None, gzip.compress, halved),
        (None, gzip.compress, changed),
        (None, gzip.compress, lambda content: content[:-6]),
        (None, gzip.compress, lambda content: content[:2]),
        (None, gzip.compress, lambda content: content[:10] + b"\xff" * 99),
        (MEMBER, zipped, halved),
        (MEMBER, zipped, changed),
        (MEMBER, zipped, lambda content: content[:-6]),
        (MEMBER, zipped, lambda _: b""),
        (MEMBER, lambda content: zipped(content, "glove.6B.50d.txt"), bytes),
    ],
    ids=[
        "half of gzip",
        "noise in gzip",
        "the end of gzip",
        "two bytes of gzip",
        "noise from the beginning of gzip",
        "half",
        "noise",
        "the end",
        "nothing",
        "without the member",
    ],
)
def test_a_damaged_archive_is_refused(
    tmp_path: Path,
    member: str | None,
    pack: Callable[[bytes], bytes],
    harm: Callable[[bytes], bytes],
) -> None:
    rows = np.random.default_rng(0).normal(size=(2_000, 2))
    content = GLOVE + "".join(f"w{number} {x} {y}\n" for number, (x, y) in enumerate(rows))
    path = tmp_path / "vectors"
    path.write_bytes(harm(pack(content.encode())))
    sentence = refusal(path, member=member)
    assert sentence.startswith(f"embedding.path={path} cannot be read (")
    assert sentence.endswith(
        "): give a text file of word vectors, as GloVe or word2vec write it, also gzipped."
    )


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder.zip").mkdir()
    for path, reason in {
        tmp_path / "absent.txt": "No such file or directory",
        tmp_path / "absent.zip": "No such file or directory",
        tmp_path: "Is a directory",
        tmp_path / "folder.zip": "Is a directory",
        tmp_path / "loop": "Too many levels of symbolic links",
    }.items():
        assert f"embedding.path={path} cannot be read ({reason}): give a text" in refusal(path)


# Fetching GloVe


class Stanford:
    """A server on this machine, which answers with a status, a length and a content."""

    def __init__(self, content: bytes) -> None:
        self.status, self.length, self.content = 200, len(content), content
        self.asked: list[str] = []
        stanford = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stanford.asked.append(self.path)
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

    def close(self) -> None:  # again does nothing
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
    assert timeout == 55  # what others have set stays


def test_glove_is_fetched_once(stanford: Stanford, tmp_path: Path) -> None:
    path = fetch_glove("6B", tmp_path, progress=False)
    assert path.read_bytes() == stanford.content
    assert list(tmp_path.iterdir()) == [path]
    assert read(path, member=MEMBER)["bad"] == np.float32([0.001, 4.25]).tolist()
    stanford.refuse(404)
    assert fetch_glove("6B", tmp_path, progress=False) == path
    assert stanford.asked == ["/data/glove.6B.zip"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda server: setattr(server, "content", server.content[:-100]),
            "what came is not what is published, or cut short",
        ),
        (
            lambda server: setattr(server, "content", server.content[:-1] + b"!"),
            "what came is not what is published, or cut short",
        ),
        (lambda server: server.refuse(404), "HTTP Error 404: Not Found"),
        (lambda server: server.refuse(503), "HTTP Error 503: Service Unavailable"),
        (lambda server: server.close(), f"[Errno {errno.ECONNREFUSED}] Connection refused"),
    ],
    ids=["cut", "changed", "absent", "busy", "off"],
)
def test_where_glove_cannot_be_fetched_nothing_is_left(
    stanford: Stanford, tmp_path: Path, spoil: Callable[[Stanford], None], reason: str
) -> None:
    spoil(stanford)
    with pytest.raises(InputError) as raised:
        fetch_glove("6B", tmp_path, progress=False)
    assert str(raised.value) == not_fetched(stanford, reason)
    answer = raised.value.__cause__
    assert not isinstance(answer, HTTPError) or answer.closed  # it would hold the connection
    assert list(tmp_path.iterdir()) == []


def not_fetched(server: Stanford, reason: str) -> str:
    return (
        f"{server.url.format('glove.6B')} cannot be fetched ({reason}): "
        "fetch it yourself, and give the unpacked file with embedding.path=FILE."
    )


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
def test_every_failure_of_the_network_is_said_as_one(
    stanford: Stanford,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    """While it connects, and while it reads, where urllib hands on whatever comes."""
    monkeypatch.setattr(vector_files, "download_url_to_file", failing(error))
    with pytest.raises(InputError) as raised:
        fetch_glove("6B", tmp_path, progress=False)
    sentence = str(raised.value)
    assert reason in sentence
    assert "<urlopen error" not in sentence
    start, end = not_fetched(stanford, "|").split("|")
    assert sentence.startswith(start)
    assert sentence.endswith(end)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_full_disk_is_no_fault_of_the_network(
    stanford: Stanford, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    full = OSError(number, os.strerror(number))
    monkeypatch.setattr("torch.hub.shutil.move", failing(full))

    def make(_: Path) -> None:
        fetch_glove("6B", tmp_path, progress=False)

    with pytest.raises(InputError) as said:
        cached(tmp_path, "vectors", [], "vectors", make)
    assert str(said.value) == (
        f"data.cache={tmp_path} cannot be written ({full.strerror}): give a folder that can."
    )
    assert stanford.asked == ["/data/glove.6B.zip"]
    assert list(tmp_path.iterdir()) == []


def test_after_a_disk_was_full_it_is_fetched_again(stanford: Stanford, tmp_path: Path) -> None:
    with disk_full(), pytest.raises(OSError, match="File too large"):
        fetch_glove("6B", tmp_path, progress=False)
    path = fetch_glove("6B", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == stanford.content


def test_what_a_killed_process_has_left_is_removed(stanford: Stanford, tmp_path: Path) -> None:
    for name in ("glove.6B.zip.0a1b.partial", "glove.6B.zip.2c3d.partial"):
        (tmp_path / name).write_bytes(b"half")
    others = [tmp_path / name for name in ("glove.42B.300d.zip.4e5f.partial", "notes.partial")]
    for other in others:
        other.write_bytes(b"of others")
    path = fetch_glove("6B", tmp_path, progress=False)
    assert set(tmp_path.iterdir()) == {path, *others}
    assert path.read_bytes() == stanford.content


def test_a_server_that_falls_silent_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1 <= vector_files.TIMEOUT <= 120
    monkeypatch.setattr(vector_files, "TIMEOUT", 0.2)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and does not answer
        end = threading.Timer(5, silent.close)
        end.start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{{}}.zip"
        monkeypatch.setattr(vector_files, "GLOVE_URL", url)
        with pytest.raises(InputError, match="timed out.*: fetch it yourself"):
            fetch_glove("6B", tmp_path, progress=False)
        end.cancel()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_fetch_leaves_nothing(
    stanford: Stanford, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("torch.hub.shutil.move", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_glove("6B", tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
    assert fetch_glove("6B", tmp_path, progress=False).read_bytes() == stanford.content


def test_a_stranger_is_not_taken_for_stanford(
    stanford: Stanford, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate nobody vouches for has the right bytes, and gets no thanks."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes a certificate with openssl")
    key, certificate, cache = (tmp_path / name for name in ("key.pem", "cert.pem", "cache"))
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    where = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run([*command.split(), *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stanford.server.socket = context.wrap_socket(stanford.server.socket, server_side=True)
    stanford.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    monkeypatch.setattr(vector_files, "GLOVE_URL", stanford.url.replace("http:", "https:"))
    cache.mkdir()
    with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_glove("6B", cache, progress=False)
    assert stanford.asked == []
    assert list(cache.iterdir()) == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # now somebody does
    assert fetch_glove("6B", cache, progress=False).read_bytes() == stanford.content


def test_what_is_published_is_fetched_safely() -> None:
    assert vector_files.GLOVE_URL.startswith("https://nlp.stanford.edu/")
    assert ssl._create_default_https_context is ssl.create_default_context
    assert vector_files.GLOVE_ARCHIVES.keys() == GLOVE_DIMS.keys()
    for stem, checksum in vector_files.GLOVE_ARCHIVES.values():
        assert stem.startswith("glove.")
        assert len(bytes.fromhex(checksum)) == 32


def test_a_file_that_ends_within_a_line_is_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("good 1 2\nunheard 3")
    with pytest.raises(InputError, match=r"vectors\.txt cannot be read \(it is cut short in its"):
        read(file)
