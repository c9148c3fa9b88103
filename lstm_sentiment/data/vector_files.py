"""Files of word vectors: the text formats of GloVe and word2vec, and the download of GloVe.

Each line is a word and its numbers; in word2vec's format, the first line has the number of vectors
and their size. Files are read as streams, and only the vectors of a vocabulary are stored.
"""

import errno
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

from lstm_sentiment.data.tokenizer import SPECIALS
from lstm_sentiment.display import Display
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import VECTOR_BYTES
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.files.streams import lines_of, open_gzip, open_member, open_plain
from lstm_sentiment.files.writing import file_draft

# Stanford's archives by their names in torchtext: name in the URL, SHA-256.
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
NOT_WRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}
TIMEOUT = 30  # seconds without receiving a byte
DOWNLOAD_BLOCK = 2**17  # bytes
FILE_ADVICE = (
    "give a text file of word vectors in the format of GloVe or word2vec, plain or gzipped"
)
GZIP, ZIP, BOM = b"\x1f\x8b", b"PK\3\4", b"\xef\xbb\xbf"


def fetch_glove(name: str, cache: Path, display: Display) -> Path:
    """Return the GloVe archive in the cache, after downloading it if needed.

    `name` is a key of GLOVE_ARCHIVES. A download must match the published checksum. Raises
    InputError if the archive cannot be fetched, OSError if the cache cannot be written.
    """
    stem, checksum = GLOVE_ARCHIVES[name]
    path, url = cache.expanduser() / f"{stem}.zip", GLOVE_URL.format(stem)
    with sole_writer(path.with_name(path.name + LOCK), lambda: None):
        if path.exists():
            return path
        # Left by killed processes of older versions.
        for partial in path.parent.glob(f"{path.name}.*.partial"):
            partial.unlink()
        try:
            _download(url, path, checksum, display)
        except HTTPError as error:
            error.close()
            raise _not_fetched(url, str(error)) from error
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
                raise  # the cache cannot be written
            raise _not_fetched(url, str(getattr(error, "reason", error))) from error
    return path


def _download(url: str, path: Path, checksum: str, display: Display) -> None:
    digest, size = hashlib.sha256(), 0
    request = Request(url, headers={"User-Agent": "lstm_sentiment"})
    with urlopen(request, timeout=TIMEOUT) as response, file_draft(path) as draft:
        title = f"downloading {path.name}, bytes"
        with draft.open("wb") as file, display.progress(title, response.length) as advance:
            while block := response.read(DOWNLOAD_BLOCK):
                file.write(block)
                digest.update(block)
                size += len(block)
                advance(size)
        if digest.hexdigest() != checksum:
            raise _not_fetched(url, "the download is incomplete or does not match its checksum")


def _not_fetched(url: str, reason: str) -> InputError:
    return InputError(
        f"{url} cannot be fetched ({reason}): download it yourself and give the unpacked file "
        "with embedding.path=FILE."
    )


def read_vectors(
    lines: Iterable[bytes], path: Path, dim: int, words: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of words, (V, dim) float32, and which words have one, (V,) bool.

    The words are those of a vocabulary; special tokens and "" have no vector. `lines` are the lines
    of the file `path`. If a word occurs twice, its first vector is used. Raises InputError if the
    vectors do not have `dim` numbers, a needed line is invalid, or lines are missing.
    """
    remaining = iter(lines)
    first = next(remaining, b"").removeprefix(BOM)
    announced = check_first_line(first, path, dim)
    if announced is None:
        remaining = chain([first], remaining)
    ids = {
        word.encode(errors="surrogatepass"): number
        for number, word in enumerate(words)
        if word and word not in SPECIALS
    }
    matrix = np.zeros((len(words), dim), np.float32)
    has_vector = np.zeros(len(words), bool)
    count, line = 0, b""
    for count, line in enumerate(remaining, 1):
        # Most words are not in the vocabulary: their numbers need not be parsed.
        if line.partition(b" ")[0].partition(b"\t")[0].rstrip() not in ids:
            continue
        word, *fields = line.rsplit(maxsplit=dim)  # from the right: a few words have spaces
        if (id := ids.get(word)) is None or has_vector[id]:
            continue
        if (vector := _vector(fields, dim)) is None:
            number = count + (announced is not None)
            raise InputError(
                f"{path}: line {number} must be a word and {dim} numbers: {FILE_ADVICE}."
            )
        matrix[id], has_vector[id] = vector, True
    if announced is not None and count < announced:
        raise _damaged(path, f"only {count:,} of {announced:,} vectors are present")
    if line.strip() and _width(line, dim) != dim:
        raise _damaged(path, "the last line is incomplete")
    return matrix, has_vector


def check_first_line(first: bytes, path: Path, dim: int) -> int | None:
    """Return the number of vectors that word2vec's first line gives; None for GloVe's first line.

    Raises InputError if `first`, the first line of `path`, does not fit vectors with `dim` numbers.
    """
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
    """Return the number and the size of the vectors from a line such as "400000 100", else None."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return int(fields[0]), int(fields[1])


def _width(line: bytes, wanted: int) -> int:
    """Return the count of numbers after the word of a line; 0 if other text follows the word.

    A word may contain spaces; then the line must have `wanted` numbers.
    """
    fields = line.split()[1:]
    count = sum(map(_is_number, fields))
    return count if count in (len(fields), wanted) else 0


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"embedding.path={path}: cannot be read ({reason}): {FILE_ADVICE}.")


def _require_dim(path: Path, present: int, wanted: int) -> None:
    if present < 1:
        raise InputError(
            f"{path} is not a file of word vectors, since its first line is not a word with "
            f"numbers: {FILE_ADVICE}."
        )
    if present != wanted:
        raise InputError(
            f"embedding.dim must be {present}, the size of the vectors in {path} (got {wanted})."
        )


@contextmanager
def open_lines(path: Path, member: str | None = None) -> Iterator[Iterator[bytes]]:
    """Provide the lines of a text file, plain or gzipped, or of a member of a ZIP archive.

    Raises InputError if the file cannot be read, even when the lines are consumed later.
    """
    with errors_of(path):
        stream = _open(path, member)
    with stream:
        yield _lines(stream, path)


def _open(path: Path, member: str | None) -> IO[bytes]:
    if member is not None:
        return open_member(path, member)
    stream = open_plain(path)
    magic = stream.peek(4)[:4]
    if magic == ZIP:
        stream.close()
        raise ValueError("an archive must be unpacked first")
    if magic.startswith(GZIP):
        stream.close()
        return open_gzip(path)
    return stream


def _lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    with errors_of(path):
        yield from lines_of(stream, VECTOR_BYTES)


def errors_of(path: Path) -> AbstractContextManager[None]:
    """Return the context that turns the errors of reading vectors into InputError."""
    return errors_named(f"embedding.path={path}", FILE_ADVICE)
