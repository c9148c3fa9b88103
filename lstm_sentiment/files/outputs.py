"""Outputs of commands: files and folders that the user names, among files of others.

An output is written by one command at a time, as a draft that takes its place at the end. A folder
is replaced only if this program wrote all of it, and a file only if the user says so.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm_sentiment.errors import InputError
from lstm_sentiment.files.locks import output_lock
from lstm_sentiment.files.manifest import MANIFEST, Manifest
from lstm_sentiment.files.reading import reason_of
from lstm_sentiment.files.writing import file_draft, folder_draft


@contextmanager
def file_output(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a draft of a file, which takes the file's place if the block succeeds.

    Raises InputError if the file cannot be written, is a link or no regular file, is being written
    by another command, or exists and `overwrite` is false; also if it appears during the block.
    """
    check_file_output(path, overwrite)
    with errors_of_writing(path), output_lock(path), file_draft(path) as draft:
        yield draft
        check_file_output(path, overwrite)


def check_file_output(path: Path, overwrite: bool = False) -> None:
    """Raise InputError if `file_output` would refuse the file that is there."""
    with errors_of_writing(path):
        _refuse_link(path)
        if not path.parent.is_dir():  # the lock would create it
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if path.exists():
            if not path.is_file():
                raise InputError(f"{path} is not a regular file: name another one with -o.")
            if not overwrite:
                raise InputError(
                    f"{path} exists: name another file with -o, or replace it with --overwrite."
                )


@contextmanager
def folder_output(
    folder: Path, names: frozenset[str], is_older: Callable[[Path], bool]
) -> Iterator[Path]:
    """Yield a draft of a folder, which takes the folder's place if the block succeeds.

    A folder that is there must be empty, or contain only files that this program wrote and that
    have these `names`. If it has no manifest, `is_older` says whether an older version of the
    program, which wrote none, wrote the folder.

    Raises InputError in all other cases, and if the folder cannot be written, is a link, or is
    being written by another command.
    """
    with errors_of_writing(folder):
        _refuse_link(folder)
        place = Path(os.path.realpath(folder))  # so that every path of the folder has one lock
        place.parent.mkdir(parents=True, exist_ok=True)
        with output_lock(place):
            _refuse_foreign(place, names, is_older)
            with folder_draft(place) as draft:
                yield draft
                Manifest(draft).record(item.name for item in draft.iterdir())
                _refuse_foreign(place, names, is_older)


def _refuse_foreign(folder: Path, names: frozenset[str], is_older: Callable[[Path], bool]) -> None:
    """Raise InputError if the folder contains anything that this program did not write."""
    if not folder.exists():
        return
    found = {item.name for item in folder.iterdir()} - {MANIFEST}
    manifest = Manifest(folder)
    if not (folder / MANIFEST).exists() and is_older(folder):
        manifest.adopt(names)
    foreign = {name for name in found if name not in names or not manifest.owns(name)}
    if foreign:
        raise InputError(
            f"{folder} contains {min(foreign)}, which was not written by lstm-sentiment, or was "
            "changed since, or is of another command: name another folder."
        )


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise InputError(f"{path} is a link, which is not followed: name another output with -o.")


@contextmanager
def errors_of_writing(output: Path, advice: str = "") -> Iterator[None]:
    """Turn OSError into InputError that says which output cannot be written, and why."""
    try:
        yield
    except OSError as error:
        ending = f": {advice}." if advice else "."
        raise InputError(f"{output} cannot be written ({reason_of(error)}){ending}") from error
