"""Files of word vectors: GloVe's and word2vec's text formats, and where GloVe's are fetched.

A line is a word and its numbers; word2vec's first line tells the sizes. A file is read as a stream,
and only what a vocabulary knows is kept.
"""

import errno
import gzip
import socket
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

import numpy as np
from torch.hub import download_url_to_file

from lstm_sentiment.data.tokens import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import LOCK, sole_writer

# Stanford's archives by their names in torchtext: name in the address, SHA-256.
GLOVE_URL = "https://nlp.stanford.edu/data/{}.zip"
GLOVE_ARCHIVES = {
    "6B": ("glove.6B", "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb"),
    "42B": ("glove.42B.300d", "03d5d7fa28e58762ace4b85fb71fe86a345ef0b5ff39f5390c14869da0fc1970"),
    "840B": ("glove.840B.300d", "c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f"),
    "twitter.27B": (
        "glove.twitter.27B",
        "792af52f795d1a32c9842a3240f5f3fe5e941a8ff6df5eb0f9d668092ebc019c",
    ),
}
NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}
TIMEOUT = 30  # seconds without a byte
LONGEST_LINE = 2**20  # bytes; what has longer ones is no text
GZIP, ZIP, BOM = b"\x1f\x8b", b"PK\3\4", b"\xef\xbb\xbf"


def fetch_glove(name: str, cache: Path, progress: bool) -> Path:
    """GloVe's archive in the cache; fetched, it is compared with its published checksum."""
    stem, checksum = GLOVE_ARCHIVES[name]
    path, url = cache.expanduser() / f"{stem}.zip", GLOVE_URL.format(stem)
    with sole_writer(path.with_name(path.name + LOCK), lambda: None), _timeout(TIMEOUT):
        if path.exists():
            return path
        for draft in path.parent.glob(f"{path.name}.*.partial"):  # of a process that was killed
            draft.unlink()
        try:
            download_url_to_file(url, str(path), hash_prefix=checksum, progress=progress)
        except RuntimeError as error:
            raise _not_fetched(url, "what came is not what is published, or cut short") from error
        except HTTPError as error:
            error.close()
            raise _not_fetched(url, str(error)) from error
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in NO_PLACE:
                raise  # the cache's misfortune
            raise _not_fetched(url, str(getattr(error, "reason", error))) from error
    return path


def _not_fetched(url: str, reason: str) -> InputError:
    return InputError(
        f"{url} cannot be fetched ({reason}): fetch it yourself, and give the unpacked file with "
        "embedding.path=FILE."
    )


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_vectors(
    lines: Iterable[bytes], path: Path, dim: int, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """Lines of bytes -> (V, dim) float32, (V,) bool: the vectors, and which words have one.

    Raises InputError with the line that is no vector of `dim` numbers.
    """
    remaining = iter(lines)
    first = next(remaining, b"").removeprefix(BOM)
    announced = require_vectors(first, path, dim)
    if announced is None:
        remaining = chain([first], remaining)
    ids = {
        word.encode(errors="surrogatepass"): number
        for number, word in enumerate(vocabulary.words)
        if word not in SPECIALS
    }
    matrix = np.zeros((len(vocabulary), dim), np.float32)
    found = np.zeros(len(vocabulary), bool)
    count, line = 0, b""
    for count, line in enumerate(remaining, 1):
        # Most lines are of words that nobody asks for: their numbers are not even taken apart.
        if line.partition(b" ")[0].partition(b"\t")[0].rstrip() not in ids:
            continue
        word, *fields = line.rsplit(maxsplit=dim)  # from the right: a few words hold spaces
        if (id := ids.get(word)) is None or found[id]:
            continue
        if (vector := _vector(fields, dim)) is None:
            number = count + (announced is not None)
            raise InputError(
                f"{path}: line {number} is no word with {dim} numbers: give a text file of word "
                "vectors, as GloVe or word2vec write it."
            )
        matrix[id], found[id] = vector, True
    if announced is not None and count < announced:
        raise unreadable(path, f"it is cut short: {count:,} of {announced:,} vectors are there")
    if line.strip() and _width(line, dim) != dim:
        raise unreadable(path, "it is cut short in its last line")
    return matrix, found


def require_vectors(first: bytes, path: Path, dim: int) -> int | None:
    """How many vectors the first line announces, if it does; raises InputError if not of `dim`."""
    sizes = _sizes(first.removeprefix(BOM))
    _require_dim(path, _width(first, dim) if sizes is None else sizes[1], dim)
    return None if sizes is None else sizes[0]


def _vector(fields: list[bytes], dim: int) -> np.ndarray | None:
    try:
        with np.errstate(over="ignore"):
            vector = np.array(fields, np.float32)
    except ValueError:
        return None
    return vector if len(vector) == dim and np.isfinite(vector).all() else None


def _sizes(line: bytes) -> tuple[int, int] | None:
    """How many vectors of how many numbers, if it is word2vec's first line: "400000 100"."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        return None
    return int(fields[0]), int(fields[1])


def _width(line: bytes, wanted: int) -> int:
    """How many numbers stand behind the word, which may hold spaces; 0 if something else does."""
    fields = line.split()[1:]
    numbers = [field for field in fields if _is_number(field)]
    if len(numbers) == len(fields) or len(numbers) == wanted:
        return len(numbers)
    return 0


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _require_dim(path: Path, present: int, wanted: int) -> None:
    if present < 1:
        raise InputError(
            f"{path} is no file of word vectors: its first line is no word with its numbers."
        )
    if present != wanted:
        raise InputError(
            f"embedding.dim={wanted} does not fit {path}, whose vectors have {present} numbers: "
            f"give embedding.dim={present}."
        )


@contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[Iterator[bytes]]:
    """The lines of a text file, plain or gzipped, or of a member of GloVe's archive."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if member is not None:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                yield _lines(stream, path)
        elif magic == ZIP:
            raise unreadable(path, "it is an archive, which has to be unpacked")
        elif magic.startswith(GZIP):
            with gzip.open(path) as stream:
                yield _lines(stream, path)
        else:
            with path.open("rb") as stream:
                yield _lines(stream, path)
    # The last: an archive that is encrypted, or packed in an unknown way.
    except (OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise unreadable(path, reason.rstrip(".")) from error


def _lines(stream: IO[bytes] | gzip.GzipFile, path: Path) -> Iterator[bytes]:
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise unreadable(path, "it has lines without end")
        yield line


def unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"embedding.path={path} cannot be read ({reason}): give a text file of word vectors, "
        "as GloVe or word2vec write it, also gzipped."
    )
