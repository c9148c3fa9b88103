"""A stand-in for the Hugging Face hub: its HTTP interface for repositories of models, in memory."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import close_session, constants

TOKEN = "hf_of_the_owner"
LARGE = (".safetensors", ".onnx")  # the files that are not stored in git


@dataclass
class Repository:
    """The commits of a repository: their files, and the branches that name them."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the main branch."""
        return self.commits[self.revisions["main"]]

    def commit(self, files: Mapping[str, bytes], message: str = "", branch: str = "main") -> str:
        """Add a commit with exactly these files to a branch, and return its hash."""
        content = repr((sorted(files.items()), len(self.commits)))
        name = hashlib.sha1(content.encode()).hexdigest()
        self.commits[name], self.revisions[branch] = dict(files), name
        self.messages.append(message)
        return name


class HubError(Exception):
    """An answer with an error: its status and the hub's code."""

    def __init__(self, status: int, code: str = "") -> None:
        self.status, self.code = status, code


@dataclass
class ModelHub:
    """The repositories of a hub, the requests that it got, and faults to make."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)  # large files, by their SHA-256
    sent: dict[str, Any] = field(default_factory=dict)  # other content of a file: bytes or chunks
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)  # other entries of a listing
    failing: dict[str, int] = field(default_factory=dict)  # statuses, by a part of the path
    cache: Path = Path()
    token: str = TOKEN  # with which everything is allowed

    def repository(self, name: str, files: Mapping[str, bytes], **fields: Any) -> Repository:
        """Create a repository with one commit."""
        repository = self.repositories[name] = Repository(**fields)
        repository.commit(files)
        return repository

    def downloads(self) -> list[str]:
        """Return the names of the files that were requested."""
        return [line.rpartition("/")[2] for line in self.requests if "/resolve/" in line]


def listing(name: str, repository: Repository, commit: str, hub: ModelHub) -> dict[str, Any]:
    siblings = []
    for path, content in repository.commits[commit].items():
        entry: dict[str, Any] = {
            "rfilename": path,
            "size": len(content),
            "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
        }
        if path.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
        siblings.append(entry | hub.listed.get(path, {}))
    return {"id": name, "sha": commit, "private": repository.private, "siblings": siblings}


class Handler(BaseHTTPRequestHandler):
    hub: ModelHub

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.respond("")

    def do_POST(self) -> None:
        self.respond(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            content = self.rfile.read(int(self.headers["Content-Length"]))
        self.respond(content)

    def respond(self, body: Any) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append(f"{self.command} {path}")
        try:
            for part, status in self.hub.failing.items():
                if part in path:
                    raise HubError(status)
            answer = self.answer([*map(unquote, path.strip("/").split("/"))], body)
        except HubError as error:
            self.send_response(error.status)
            if error.code:
                self.send_header("X-Error-Code", error.code)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        for chunk in answer if isinstance(answer, list) else [answer]:
            self.wfile.write(chunk)

    @property
    def is_owner(self) -> bool:
        authorization = self.headers.get("Authorization")
        if authorization not in (None, f"Bearer {TOKEN}"):
            raise HubError(401, "InvalidToken")
        return authorization is not None

    def found(self, name: str) -> Repository:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.is_owner):
            raise HubError(404 if self.is_owner else 401, "RepoNotFound")
        return repository

    def commit_of(self, repository: Repository, revision: str) -> str:
        commit = repository.revisions.get(revision, revision)
        if commit not in repository.commits:
            raise HubError(404, "RevisionNotFound")
        return commit

    def answer(self, parts: list[str], body: Any) -> Any:
        match self.command, parts:
            case "GET", ["api", "models", owner, name, *rest]:
                repository = self.found(f"{owner}/{name}")
                commit = self.commit_of(repository, rest[1] if rest else "main")
                return encoded(listing(f"{owner}/{name}", repository, commit, self.hub))
            case "GET", [owner, name, "resolve", commit, file]:
                repository = self.found(f"{owner}/{name}")
                if repository.gated:
                    raise HubError(403, "GatedRepo")
                return self.hub.sent.get(file, repository.commits[commit][file])
            case "PUT", ["uploads", digest]:
                self.hub.uploads[digest] = body
                return b""
            case "POST", ["api", "validate-yaml"]:
                assert json.loads(body)["content"].startswith("---\n")
                return encoded({"warnings": [], "errors": []})
        if not self.is_owner:
            raise HubError(401)
        match parts:
            case ["api", "repos", "create"]:
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                repository = Repository(asked.get("visibility") == "private")
                repository.commit({".gitattributes": b""})
                self.hub.repositories[name] = repository
                return encoded({"url": f"{self.hub.url}/{name}"})
            case ["api", "models", owner, name, "preupload", "main"]:
                files = self.found(f"{owner}/{name}").files
                modes = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for file in json.loads(body)["files"]
                ]
                assert files is not None
                return encoded({"files": modes})
            case [_, _, "info", "lfs", "objects", "batch"]:
                objects = [
                    each
                    | {"actions": {"upload": {"href": f"{self.hub.url}/uploads/{each['oid']}"}}}
                    for each in json.loads(body)["objects"]
                ]
                return encoded({"transfer": "basic", "objects": objects})
            case ["api", "models", owner, name, "commit", "main"]:
                return self.committed(f"{owner}/{name}", [*map(json.loads, body.splitlines())])
        raise HubError(404)

    def committed(self, name: str, lines: list[dict[str, Any]]) -> bytes:
        repository = self.found(name)
        header, files = lines[0]["value"], dict(repository.files)
        if header.get("parentCommit", repository.revisions["main"]) != repository.revisions["main"]:
            raise HubError(412)
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.uploads[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        commit = repository.commit(files, header["summary"])
        url = f"{self.hub.url}/{name}/commit/{commit}"
        return encoded({"commitUrl": url, "commitOid": commit, "success": True})


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@contextmanager
def model_hub(patch: pytest.MonkeyPatch, folder: Path) -> Iterator[ModelHub]:
    """Serve a hub of models, and let `huggingface_hub` use it, as somebody without a token."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        hub = ModelHub(f"http://127.0.0.1:{http.server_port}", cache=folder / "hub_cache")
        Handler.hub = hub
        patch.setattr(constants, "ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no_token"))
        patch.delenv("HF_TOKEN", raising=False)
        patch.setenv("LSTM_SENTIMENT_HUB_CACHE", str(hub.cache))
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            close_session()
            http.shutdown()
            thread.join()
