"""The manifest of a folder: the files in it that this program wrote, and may therefore replace.

The folder of an output may be any folder, and may contain files of others, perhaps with the same
names. The manifest gives the digest of each file as it was written, so that a file that was
replaced or changed since is recognised as a file of the user.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.names import is_plain_name
from lstm_sentiment.files.reading import open_regular, read_json
from lstm_sentiment.files.writing import remove, write_atomically, write_json

MANIFEST = ".lstm-sentiment.json"
ADVICE = "name another folder with -o"


class Manifest:
    """The files that this program wrote into a folder, by their paths relative to it.

    The caller must hold the lock of the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        content = read_json(folder / MANIFEST)
        files = content.get("files") if isinstance(content, dict) else None
        self.digests: dict[str, list[str]] = {
            name: [text for text in digests if isinstance(text, str)]
            for name, digests in (files.items() if isinstance(files, dict) else ())
            if isinstance(digests, list) and all(map(is_plain_name, name.split("/")))
        }

    def owns(self, name: str) -> bool:
        """Return whether the file is absent, or still as this program wrote it.

        A file that is reached through a link inside the folder is of somebody else.
        """
        path = self.folder / name
        if any((self.folder / parent).is_symlink() for parent in [*Path(name).parents][:-1]):
            return False
        return not _exists(path) or _digest(path) in self.digests.get(name, [])

    def require_own(self, names: Iterable[str]) -> None:
        """Raise InputError if one of the files exists, but was not written by this program."""
        for name in names:
            if not self.owns(name):
                raise InputError(
                    f"{self.folder / name} was not written by lstm-sentiment, or was changed "
                    f"since: {ADVICE}."
                )

    def adopt(self, names: Iterable[str]) -> None:
        """Treat these files as written by this program, which wrote no manifest earlier."""
        for name in names:
            if (digest := _digest(self.folder / name)) is not None:
                self.digests.setdefault(name, []).append(digest)

    def record(self, names: Iterable[str]) -> None:
        """Write the manifest of a folder whose files, with these names, this program just wrote."""
        self.adopt(names)
        self._write(self.digests)

    def replace_all(self, contents: Mapping[str, bytes]) -> None:
        """Write files into the folder, and remove all other files of the manifest.

        Raises InputError, before anything is changed, if a file of somebody else has the name of
        one of them. A foreign file with another name is kept. Raises OSError if a file cannot be
        written.
        """
        self.require_own(contents)
        new = {name: _digest_of(content) for name, content in contents.items()}
        # Both digests, so that a process that is killed in between leaves files that it owns.
        both = {name: [*self.digests.get(name, []), digest] for name, digest in new.items()}
        self._write(self.digests | both)
        for name, content in contents.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / name, content, durable=False)
        for name in self.digests.keys() - contents.keys():
            if self.owns(name):
                remove(self.folder / name)
        self._write({name: [digest] for name, digest in new.items()})

    def _write(self, digests: Mapping[str, list[str]]) -> None:
        content: dict[str, Any] = {"program": "lstm-sentiment", "files": dict(digests)}
        write_json(self.folder / MANIFEST, content, durable=False)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _digest(path: Path) -> str | None:
    """Return the digest of a regular file, or None for anything else."""
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
