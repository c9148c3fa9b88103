"""Files of word vectors: how they are read, and which are refused."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from lstm_sentiment.data.vector_files import open_lines, read_vectors
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from tests.support.vectors import GLOVE, MEMBER, WORDS, zipped

VECTORS = {
    "good": [0.5, -2],
    "bad": [0.001, 4.25],
    "straße": [1, 2],
    "映画": [3, 4],
    ".": [5, 6],
    "7": [7, 7],
}


def read(path: Path, dim: int = 2, member: str | None = None) -> dict[str, list[float]]:
    """Return the vectors by word; words without a vector must have zeros."""
    vocabulary = Vocabulary([*SPECIALS, *WORDS])
    with open_lines(path, member) as lines:
        matrix, has_vector = read_vectors(lines, path, dim, vocabulary.words)
    assert matrix.shape == (len(vocabulary), dim)
    assert matrix.dtype == np.float32
    assert not matrix[~has_vector].any()
    return {vocabulary.words[id]: matrix[id].tolist() for id in np.flatnonzero(has_vector)}


def read_text(folder: Path, text: str | bytes, dim: int = 2) -> dict[str, list[float]]:
    path = folder / "vectors.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, dim)


def refusal(path: Path, dim: int = 2, member: str | None = None) -> str:
    """Return the message, one sentence that names the file."""
    with pytest.raises(InputError) as raised:
        read(path, dim, member)
    message = str(raised.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert str(path) in message
    return message


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
def test_every_format_gives_the_same_vectors(
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
def test_vectors_equal_those_that_gensim_reads(tmp_path: Path, with_header: bool) -> None:
    numbers = np.random.default_rng(0).normal(size=(7, 12)) * 10.0 ** np.arange(-6, 6)
    lines = [
        f"{word} {' '.join(map(str, row))}" for word, row in zip("abcdefg", numbers, strict=True)
    ]
    lines += [
        f"{word} {' '.join(map(str, -row))}" for word, row in zip(WORDS, numbers, strict=False)
    ]
    headed, path = tmp_path / "headed.txt", tmp_path / "vectors.txt"
    headed.write_text("\n".join([f"{len(lines)} 12", *lines]) + "\n")
    path.write_text("\n".join([f"{len(lines)} 12"] * with_header + lines) + "\n")
    # Without a header, gensim leaves the file open.
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
        "words are compared as a whole and with case",
        "a word with spaces is not a shorter word",
        "a first word of dots and spaces",
        "a first word with a space",
        "a BOM at the beginning only",
        "more vectors than announced",
        "a first word like the beginning of an archive",
        "tabs",
        "a word that is a number",
        "a word that is a number, after a header",
        "line ends of Windows",
        "spaces at the end and in a row, an empty line",
        "the special words",
        "tiny numbers",
        "bytes that are not UTF-8",
        "invalid vectors of other words",
    ],
)
def test_lines_are_matched_to_words(
    tmp_path: Path, text: str | bytes, expected: dict[str, list[float]]
) -> None:
    assert read_text(tmp_path, text) == expected


def test_a_vector_may_have_one_number(tmp_path: Path) -> None:
    assert read_text(tmp_path, "good 5\nbad 6\n", dim=1) == {"good": [5], "bad": [6]}


# Refusals


@pytest.mark.parametrize("text", ["good 1 2 3\n", "1 3\ngood 1 2 3\n", "unheard 1 2 3\ngood 1 2\n"])
@pytest.mark.parametrize("dim", [2, 4, 300])
def test_another_size_of_the_vectors_is_reported(tmp_path: Path, text: str, dim: int) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(text)
    assert refusal(path, dim) == (
        f"embedding.dim must be 3, the size of the vectors in {path} (got {dim})."
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
def test_an_invalid_line_is_named(tmp_path: Path, before: str, line: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(before + line)
    number = before.count("\n") + 1
    assert refusal(path).startswith(f"{path}: line {number} must be a word and 2 numbers: ")


@pytest.mark.parametrize("line", ["good nan 2", "good 1 inf", "good 1e50 2"])
def test_an_invalid_first_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(line)
    assert refusal(path).startswith(f"{path}: line 1 must be a word and 2 numbers: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text,label\ngood,1\n", "its first line is not a word with numbers"),
        (b'"A good film.",1\n', "not a file of word vectors"),
        (b'{"good": [1, 2]}\n', "not a file of word vectors"),
        (b"[[1, 2],\n[3, 4]]\n", "not a file of word vectors"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "not a file of word vectors"),
        (random.Random(0).randbytes(9_999), "not a file of word vectors"),
        (b"", "its first line is not a word with numbers"),
        (b"\xef\xbb\xbf", "not a file of word vectors"),
        (b"\n\n\n", "not a file of word vectors"),
        (". . . 1\n".encode("utf-16"), "not a file of word vectors"),
        (b"good\nbad\n", "not a file of word vectors"),
        (bytes(3 * 2**20), "too many bytes in one line: more than the 1,048,576 allowed"),
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
def test_a_file_without_vectors_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
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
        f"embedding.path={path}: cannot be read (only {count} vectors are present): give a text "
        "file of word vectors in the format of GloVe or word2vec, plain or gzipped."
    )


def test_an_incomplete_last_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("good 1 2\nunheard 3")
    assert "cannot be read (the last line is incomplete)" in refusal(path)


def test_a_header_may_announce_no_vectors(tmp_path: Path) -> None:
    assert read_text(tmp_path, "0 2\n") == {}


def test_an_archive_as_a_path_is_refused(tmp_path: Path) -> None:
    for name, content in (("glove.zip", zipped(GLOVE.encode())), ("vectors.txt", zipped(b""))):
        path = tmp_path / name
        path.write_bytes(content)
        assert "cannot be read (an archive must be unpacked first)" in refusal(path)


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
    message = refusal(path, member=member)
    assert message.startswith(f"embedding.path={path}: cannot be read (")
    assert "): give a text file of word vectors" in message


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder.zip").mkdir()
    for path, reason in {
        tmp_path / "absent.txt": "No such file or directory",
        tmp_path / "absent.zip": "No such file or directory",
        tmp_path: "not a regular file",
        tmp_path / "folder.zip": "not a regular file",
        tmp_path / "loop": "Too many levels of symbolic links",
    }.items():
        assert f"embedding.path={path}: cannot be read ({reason}): give a text" in refusal(path)
