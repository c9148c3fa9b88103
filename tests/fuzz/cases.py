"""Cases: the files that one reader reads together, as bytes by their names in a folder."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

Case = Mapping[str, bytes]
SHARED_MEMORY = Path("/dev/shm")
# A place where nothing waits for a disk; None is the usual place.
PLACE = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
REGRESSIONS = Path(__file__).with_name("regressions")


def write(case: Case, folder: Path) -> None:
    """Replace the content of a folder by the files of a case."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in case.items():
        file = folder / name
        if len(file.relative_to(folder).parts) > 1:
            file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def read(folder: Path) -> Case:
    """Return the files in a folder and below as a case."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def regressions(reader: str) -> dict[str, Case]:
    """Return the cases that a reader has failed on, by name."""
    folder = REGRESSIONS / reader
    return {each.name: read(each) for each in sorted(folder.iterdir())} if folder.exists() else {}


def digest(case: Case) -> str:
    """Return eight hexadecimal digits that identify a case."""
    return hashlib.sha256(packed(case)).hexdigest()[:8]


def packed(case: Case) -> bytes:
    """Return a case as one string of bytes."""
    parts = (
        len(part).to_bytes(4, "little") + part
        for name, content in case.items()
        for part in (name.encode(), content)
    )
    return b"".join(parts)


def unpacked(content: bytes, names: Case) -> Case:
    """Return the case of a string of bytes, of any bytes; only `names` are names of files."""
    parts, start = [], 0
    while start < len(content):
        size, start = int.from_bytes(content[start : start + 4], "little"), start + 4
        parts.append(content[start : start + size])
        start += size
    pairs = zip(parts[::2], parts[1::2], strict=False)
    known = {name.encode(): name for name in names}
    return {known[name]: file for name, file in pairs if name in known}
