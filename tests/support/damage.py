"""Ways in which a file is damaged, for tests that a damaged file is noticed."""

import os
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], object]


def _flip_bit(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])


DAMAGES: dict[str, Damage] = {
    "absent": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b" more"),
    "garbage": lambda file: file.write_bytes(b"no such format"),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "bit": _flip_bit,
    "folder": lambda file: (file.unlink(), file.mkdir()),
}


def damage(file: Path, kind: str) -> None:
    """Damage a file and change its time, however coarse the clock of the file system is."""
    DAMAGES[kind](file)
    if file.exists():
        os.utime(file, (1, 1))
