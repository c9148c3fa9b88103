"""Models of the Hugging Face hub: `hub:OWNER/NAME` in the place of the folder of a run.

Repositories are untrusted input: only the files of a model and its record are downloaded, within
the limits on their sizes, and they are read like those of any model folder. The copy of a commit is
kept in the cache, as the folder of a run:

| path in the cache | content |
| --- | --- |
| `OWNER--NAME/COMMIT/RUN/` | the files; RUN is the name in the record, or NAME without a record |
| `OWNER--NAME/revisions/KEY` | the commit of a branch or a tag, when it was last looked up |
| `endpoints/KEY/` | the same for another hub, which `HF_ENDPOINT` names |
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lstm_sentiment.data.cache import DataCache, cache_key, is_intact_entry
from lstm_sentiment.data.hub import TIMEOUT, HubUnavailableError, errors_of_hub, is_online
from lstm_sentiment.display import SILENT, Display, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import JSON_BYTES, MODEL_BYTES, VOCABULARY_BYTES
from lstm_sentiment.files.names import file_name, is_plain_name
from lstm_sentiment.files.outputs import errors_of_writing
from lstm_sentiment.files.reading import errors_named, parse_json, read_bytes
from lstm_sentiment.files.writing import DRAFT, write_atomically
from lstm_sentiment.runs.folder import RECORD
from lstm_sentiment.runs.model_folder import (
    CLASSES_FILE,
    CONFIG,
    MERGES,
    NGRAM_WEIGHTS,
    NGRAMS,
    ONNX,
    VOCABULARY,
    WEIGHTS,
)

PREFIX = "hub:"
HUB = "https://huggingface.co"
MAIN = "main"  # the branch that is taken without a revision
CACHE, CACHE_SETTING = "~/.cache/lstm_sentiment/hub", "LSTM_SENTIMENT_HUB_CACHE"
REVISIONS, ENDPOINTS = "revisions", "endpoints"
# The files of a model and its record, and the limit on the size of each.
MODEL_FILE_LIMITS = {
    **dict.fromkeys((WEIGHTS, NGRAM_WEIGHTS, ONNX), MODEL_BYTES),
    **dict.fromkeys((VOCABULARY, MERGES, NGRAMS), VOCABULARY_BYTES),
    **dict.fromkeys((CONFIG, CLASSES_FILE), JSON_BYTES),
}
LIMITS = {**MODEL_FILE_LIMITS, RECORD: JSON_BYTES}
NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
REPOSITORY = re.compile(rf"(?!.*(?:--|\.\.)){NAME}/{NAME}(?<!\.git)")
REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
STALL_TIMEOUT = 30.0  # seconds for the next bytes of a file
CHUNK = 2**20  # bytes
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubModel:
    """A repository of the hub, and a branch, a tag or the hash of a commit in it."""

    repository: str  # OWNER/NAME
    revision: str = MAIN

    @property
    def place(self) -> Path:
        """The folder of the repository in the part of the cache for the hub in use."""
        from huggingface_hub import constants

        cache = Path(os.environ.get(CACHE_SETTING) or CACHE).expanduser()
        if constants.ENDPOINT != HUB:  # where the same name may be another model
            cache = cache / ENDPOINTS / cache_key(constants.ENDPOINT)
        return cache / self.repository.replace("/", "--")

    @property
    def noted_commit(self) -> Path:
        """The file in the cache that contains the commit of the revision."""
        return self.place / REVISIONS / cache_key(self.revision)


def is_repository(text: str) -> bool:
    """Return whether a text is OWNER/NAME, the name of a repository of the hub."""
    return REPOSITORY.fullmatch(text) is not None


def hub_model(run: str | Path) -> HubModel | None:
    """Return the model that `hub:OWNER/NAME@REVISION` names; None for the path of a folder.

    Raises InputError if a name or a revision is malformed.
    """
    text = run if isinstance(run, str) else run.as_posix()
    if not text.startswith(PREFIX):
        return None
    repository, at, revision = text.removeprefix(PREFIX).partition("@")
    if is_repository(repository) and (not at or REVISION.fullmatch(revision)):
        return HubModel(repository, revision or MAIN)
    raise InputError(
        f"{shortened(text, 100)} is not a model of the Hugging Face hub: allowed are "
        f"{PREFIX}OWNER/NAME and {PREFIX}OWNER/NAME@REVISION, where a name consists of letters, "
        "digits and single -, _ and ., and REVISION is a branch, a tag or the hash of a commit."
    )


def local_folder(run: str | Path, display: Display = SILENT) -> Path:
    """Return the folder of a run: `run` itself or, of a model of the hub, its copy in the cache.

    A copy that is there is taken if the revision has not changed, is the hash of a commit, or the
    hub cannot be reached. Raises InputError if the name is malformed, if the repository cannot be
    read or has no model, or if a file is damaged or too large.
    """
    if (model := hub_model(run)) is None:
        return Path(run)
    with errors_named(str(run)):
        if COMMIT.fullmatch(model.revision) and (copy := _copy(model, model.revision)):
            return copy
        if not is_online():
            if (copy := _copy(model, _noted(model))) is None:
                raise InputError(
                    "the Hugging Face hub cannot be reached, and this revision is not in the "
                    "cache: connect to a network, unset HF_HUB_OFFLINE, or give the folder of a "
                    "run."
                )
            return copy
        try:
            return _current(model, display)
        except HubUnavailableError:
            if (copy := _copy(model, _noted(model))) is None:
                raise
            display.message(f"{run}: the hub fails; the copy in the cache is used.", "warning")
            return copy


def _noted(model: HubModel) -> str:
    """Return the commit of the revision when it was last looked up, or ""."""
    with suppress(OSError, InputError):
        return read_bytes(model.noted_commit, JSON_BYTES).decode(errors="replace")
    return ""


def _copy(model: HubModel, commit: str) -> Path | None:
    """Return the undamaged copy of a commit in the cache, if there is one."""
    if not COMMIT.fullmatch(commit):
        return None
    with suppress(OSError):
        entries = (model.place / commit).iterdir()
        finished = (entry for entry in entries if not entry.name.startswith(DRAFT))
        return next(filter(is_intact_entry, finished), None)
    return None


class HubFile(NamedTuple):
    """A file of a repository, as the hub describes it."""

    name: str
    size: int | None  # in bytes
    sha256: str | None  # of large files
    blob: str | None  # of other files: the hash by which git knows the content


def _current(model: HubModel, display: Display) -> Path:
    """Return the copy of the commit that the revision has now, which is downloaded if needed."""
    from huggingface_hub import HfApi

    with errors_of_hub():
        info = HfApi().model_info(
            model.repository, revision=model.revision, files_metadata=True, timeout=TIMEOUT
        )
        commit = info.sha or ""
        files = [
            HubFile(file.rfilename, file.size, file.lfs.sha256 if file.lfs else None, file.blob_id)
            for file in info.siblings or ()
            if file.rfilename in LIMITS
        ]
    if not COMMIT.fullmatch(commit):
        raise InputError("the hub does not tell the hash of the commit: try again later.")
    if COMMIT.fullmatch(model.revision) and commit != model.revision:
        raise InputError(f"the hub answered with another commit, {commit}: try again later.")
    copy = _copy(model, commit) or _download(model, commit, files, display)
    if _noted(model) == commit:  # a cache that cannot be written is of use, too
        return copy
    with errors_of_writing(model.place, f"{CACHE_SETTING} names another folder"):
        model.noted_commit.parent.mkdir(exist_ok=True)
        write_atomically(model.noted_commit, commit.encode(), durable=False)
    return copy


def _download(model: HubModel, commit: str, files: list[HubFile], display: Display) -> Path:
    """Download the files of a commit into the cache, and return their folder."""
    names = {file.name for file in files}
    if CONFIG not in names or not names & {WEIGHTS, ONNX}:
        raise InputError(
            f"the repository holds no model of lstm-sentiment: {CONFIG} and {WEIGHTS} or {ONNX} "
            "must be among its files; lstm-sentiment push uploads them."
        )
    for file in files:
        with errors_named(file.name):
            LIMITS[file.name].check(file.size or 0)
    contents: dict[str, Iterable[bytes]] = {
        file.name: _content(model, commit, file) for file in files
    }
    record = b"".join(contents.get(RECORD, ()))
    if record:
        contents[RECORD] = [record]
    title = f"{PREFIX}{model.repository}"

    def download(draft: Path) -> None:
        total = sum(file.size or 0 for file in files)
        with display.progress(f"downloading {title}, bytes", total or None) as advance:
            done = 0
            for name, content in contents.items():
                with (draft / name).open("wb") as stream:
                    for chunk in content:
                        stream.write(chunk)
                        done += len(chunk)
                        advance(done)

    cache = DataCache(display, CACHE_SETTING)
    return cache.entry(model.place / commit, _run_name(model, record), [*names], title, download)


def _run_name(model: HubModel, record: bytes) -> str:
    """Return the name of the run in a record or, without a valid one, that of the repository."""
    with suppress(InputError):
        content = parse_json(record)
        name = content.get("name") if isinstance(content, dict) else None
        if isinstance(name, str) and is_plain_name(name) and name == file_name(name):
            return name
    return model.repository.partition("/")[2]


def _content(model: HubModel, commit: str, file: HubFile) -> Iterator[bytes]:
    """Yield the content of a file in a commit, chunk by chunk.

    Raises InputError if it exceeds the limit, or at the end if it is not the described content.
    """
    limit, size = LIMITS[file.name], 0
    digest = hashlib.sha256()
    if file.sha256 is None:
        digest = hashlib.sha1(b"blob %d\0" % (file.size or 0), usedforsecurity=False)
    with errors_named(file.name):
        for chunk in _chunks(model, commit, file.name):
            size += len(chunk)
            limit.check(size)
            digest.update(chunk)
            yield chunk
        expected = file.sha256 or file.blob
        if file.size not in (None, size) or expected not in (None, digest.hexdigest()):
            raise InputError("it is damaged: its content is not what the hub lists. Try again.")


def _chunks(model: HubModel, commit: str, name: str) -> Iterator[bytes]:
    """Yield the chunks that the hub sends for a file."""
    from huggingface_hub import constants, get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(model.repository, name, revision=commit, endpoint=constants.ENDPOINT)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    with (
        errors_of_hub(),
        get_session().stream("GET", url, headers=headers, timeout=STALL_TIMEOUT) as response,
    ):
        hf_raise_for_status(response)
        yield from response.iter_raw(CHUNK)
