"""A small file of word vectors in GloVe's format, and an archive such as GloVe's."""

import io
import zipfile
from pathlib import Path

MEMBER = "glove.6B.2d.txt"
WORDS = ["good", "bad", ".", "7", "straße", "映画"]
GLOVE = "good 0.5 -2\nunheard 9 9\nbad 1e-3 +4.25\nstraße 1 2\n映画 3 4\n. 5 6\n7 7 7\n"
FILM_VECTORS = "film 1 2\nplot 3 4\nbad 5 6\nunheard 7 8\n"


def zipped(content: bytes, member: str = MEMBER) -> bytes:
    """Return a ZIP archive with this member and another one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.6B.3d.txt", b"good 1 1 1\n")
        archive.writestr(member, content)
    return buffer.getvalue()


def write_vectors(folder: Path, content: str = FILM_VECTORS, name: str = "vectors.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder / name


def write_archive(folder: Path, vectors: str) -> Path:
    """Write a GloVe archive with vectors of 50 numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "glove.6B.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("glove.6B.50d.txt", vectors)
    return path


def archive_byte_changed(content: bytes, offset: int, value: int) -> bytes:
    """Change a byte of the last entry in the directory at the end of a ZIP archive."""
    offset += content.rindex(b"PK\x01\x02")
    return content[:offset] + bytes([value]) + content[offset + 1 :]
