"""Upload a model to the Hugging Face hub: its files, its record and its card, in one commit."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.hub import LOG_IN, errors_of_hub, is_online
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import errors_named, read_bytes
from lstm_sentiment.runs.folder import MODEL
from lstm_sentiment.runs.hub_models import LIMITS, MODEL_FILE_LIMITS, is_repository
from lstm_sentiment.runs.record import read_record

CARD = "README.md"


def model_files(model: Path) -> dict[str, bytes]:
    """Return the content of the files of a model by name, and of no other file of its folder.

    Raises InputError if one is a link, not a regular file, or too large.
    """
    files = {}
    for name, limit in MODEL_FILE_LIMITS.items():
        if os.path.lexists(model / name):
            with errors_named(model / name):
                files[name] = read_bytes(model / name, limit)
    return files


def record_of(folder: Path) -> dict[str, Any] | None:
    """Return the record of the model in a folder: that of the run, or that beside its `model/`."""
    home = Path(os.path.realpath(folder))
    return read_record(home.parent if home.name == MODEL else home)


def record_file(record: Mapping[str, Any]) -> bytes:
    """Return the content of the file of a record. Records contain no paths."""
    return f"{json.dumps(record, indent=1)}\n".encode()


def require_repository(name: str) -> None:
    """Raise InputError unless this can be the name of a repository of the hub."""
    if not is_repository(name):
        raise InputError(
            f"{name:.100} cannot be the name of a repository of the Hugging Face hub: allowed is "
            "OWNER/NAME, where each consists of letters, digits and single -, _ and ."
        )


@dataclass(frozen=True)
class Target:
    """A repository of the hub, as it was before the upload."""

    name: str  # OWNER/NAME
    commit: str | None  # of its main branch; None if there is no such repository
    is_private: bool
    files: frozenset[str]

    @property
    def url(self) -> str:
        """The address of its page."""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/{self.name}"


def find_target(name: str, private: bool) -> Target:
    """Look up a repository. It need not exist; `private` is then whether it will be private.

    Raises InputError if the hub cannot be reached, if there is no access token, or if the
    repository is public although it should be private.
    """
    from huggingface_hub import HfApi, errors, get_token

    if not is_online():
        raise InputError(
            "The Hugging Face hub cannot be reached: connect to a network, or unset HF_HUB_OFFLINE."
        )
    if get_token() is None:
        raise InputError(f"There is no access token of the Hugging Face hub: {LOG_IN}.")
    with errors_named(name), errors_of_hub():
        try:
            info = HfApi().model_info(name)
        except errors.RepositoryNotFoundError:
            return Target(name, None, private, frozenset())
        if private and not info.private:
            raise InputError(
                "the repository exists and is public: make it private on its page, or leave out "
                "--private."
            )
        files = frozenset(file.rfilename for file in info.siblings or ())
        return Target(name, info.sha, bool(info.private), files)


@dataclass(frozen=True)
class Upload:
    """The files of a commit, and the repository to which it is added."""

    files: Mapping[str, bytes]
    target: Target
    message: str

    @property
    def replaced(self) -> list[str]:
        """The names of the files of the repository that the upload replaces."""
        return sorted(self.files.keys() & self.target.files)

    @cached_property
    def removed(self) -> list[str]:
        """The names of the files of an earlier model that the new one does not have.

        They would be read as parts of the new model.
        """
        return sorted((LIMITS.keys() & self.target.files) - self.files.keys())

    def require_new(self) -> None:
        """Raise InputError if the upload replaces or removes a file of the repository."""
        if changed := [*self.replaced, *self.removed]:
            raise InputError(
                f"{self.target.name} already has {join_names(changed)}: name another repository, "
                "or replace the model with --overwrite."
            )

    def send(self) -> str:
        """Create the repository, if there is none, and add the commit; return the commit's address.

        Raises InputError if the hub refuses this, or if the repository has changed since it was
        looked up.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        name = self.target.name
        added = [CommitOperationAdd(path, content) for path, content in self.files.items()]
        with errors_named(name), errors_of_hub():
            if self.target.commit is None:
                HfApi().create_repo(name, private=self.target.is_private)
            commit = HfApi().create_commit(
                name,
                [*added, *map(CommitOperationDelete, self.removed)],
                commit_message=self.message,
                parent_commit=self.target.commit,
            )
        return commit.commit_url
