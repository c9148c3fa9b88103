"""Models of the Hugging Face hub in the place of runs, from a stand-in for the hub."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from lstm_sentiment import Predictor, SentimentClassifier
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Config, Tokenizer
from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.hub_models import hub_model, local_folder
from lstm_sentiment.runs.reader import State, read_run
from tests.support.model_hub import TOKEN, ModelHub
from tests.support.networks import TEXTS, saved
from tests.support.records import answers, put_run
from tests.support.tables import write_columns

Make = Callable[..., Config]
NAME = "ann/films"
MODEL = f"hub:{NAME}"


@pytest.fixture
def files(tiny: Make, tmp_path: Path) -> dict[str, bytes]:
    """Return the files of a model, and others that are no part of it."""
    model = saved(tmp_path / "local", tiny()) / "model"
    others = {"README.md": b"# films", "pytorch_model.bin": b"\x80", "model.py": b"exit()"}
    return {file.name: file.read_bytes() for file in model.iterdir()} | others


def refusal(name: str = MODEL) -> str:
    with pytest.raises(InputError) as error:
        Predictor.load(name)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_model_of_the_hub_predicts_like_its_folder(
    model_hub: ModelHub, files: dict[str, bytes], tmp_path: Path
) -> None:
    model_hub.repository(NAME, files)
    expected = Predictor.load(tmp_path / "local").probabilities(TEXTS).tolist()
    for name in (MODEL, Path(MODEL), f"{MODEL}@main"):
        assert Predictor.load(name).probabilities(TEXTS).tolist() == expected
    # Nothing but the files of the model is requested, and nothing twice.
    names = ["config.json", "model.safetensors", "vocab.json"]
    assert sorted(model_hub.downloads()) == names
    [commit] = model_hub.repositories[NAME].commits
    folder = local_folder(MODEL)
    assert folder.relative_to(model_hub.cache).parts[-3:] == ("ann--films", commit, "films")
    assert sorted(file.name for file in folder.iterdir()) == sorted([*names, "checksums.json"])


def test_a_record_makes_the_copy_the_folder_of_its_run(
    model_hub: ModelHub, files: dict[str, bytes], tiny: Make, tmp_path: Path
) -> None:
    run = put_run(tmp_path / "runs", tiny(), answers(20), answers(30))
    model_hub.repository(NAME, files | {"run.json": (run / "run.json").read_bytes()})
    found = read_run(local_folder(MODEL))
    assert (found.state, found.name) == (State.done, run.name)
    assert len(model_hub.downloads()) == 4


@pytest.mark.parametrize("name", ["../../evil", "..", "", ".lock", "a/b", 7])
def test_the_name_in_a_record_leads_nowhere_else(
    model_hub: ModelHub, files: dict[str, bytes], name: object
) -> None:
    model_hub.repository(NAME, files | {"run.json": json.dumps({"name": name}).encode()})
    assert local_folder(MODEL).name == "films"


def test_every_command_takes_a_model_of_the_hub(
    model_hub: ModelHub,
    files: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model_hub.repository(NAME, files)
    write_columns(tmp_path / "reviews.parquet", ["good", "bad"], [1, 0])
    assert main(["predict", MODEL, "a good film"]) == 0
    assert capsys.readouterr().out.endswith("a good film\n")
    assert main(["explain", MODEL, "a good film"]) == 0
    assert main(["evaluate", MODEL, str(tmp_path / "local"), "--file", "reviews.parquet"]) == 0
    assert "films" in capsys.readouterr().out
    assert main(["export", MODEL]) == 2
    assert capsys.readouterr().err == (
        "hub:ann/films is no folder to write the export into: give one with -o DIR.\n"
    )
    assert main(["export", MODEL, "-o", "onnx"]) == 0
    assert (tmp_path / "onnx/model.onnx").exists()
    assert main(["ensemble", MODEL, str(tmp_path / "local")]) == 1
    assert "hub:ann/films has no predictions" in capsys.readouterr().err
    estimator = SentimentClassifier.load(MODEL)
    assert estimator.predict(["a good film"]) in (["negative"], ["positive"])


def test_subwords_are_downloaded(model_hub: ModelHub, files: dict[str, bytes]) -> None:
    config = json.loads(files["config.json"])
    config["config"]["data"]["tokenizer"] = Tokenizer.bpe
    files["config.json"], files["merges.json"] = json.dumps(config).encode(), b"[["
    model_hub.repository(NAME, files)
    assert "merges.json: it is damaged or not JSON" in refusal()


def test_a_new_commit_of_a_branch_is_downloaded(
    model_hub: ModelHub, files: dict[str, bytes]
) -> None:
    repository = model_hub.repository(NAME, files)
    [first] = repository.commits
    before = local_folder(MODEL)
    second = repository.commit(files | {"vocab.json": files["vocab.json"] + b"\n"})
    assert local_folder(MODEL).parent.name == second
    assert local_folder(f"{MODEL}@{first}") == before
    repository.commit(files, branch="refs/pr/1")
    assert local_folder(f"{MODEL}@refs/pr/1").parent.name == repository.revisions["refs/pr/1"]


def test_the_cache_is_used_without_a_network(
    model_hub: ModelHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = model_hub.repository(NAME, files)
    [commit] = repository.commits
    folder = local_folder(MODEL)
    model_hub.requests.clear()
    assert local_folder(f"{MODEL}@{commit}") == folder  # a commit does not change
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert local_folder(MODEL) == folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("lstm_sentiment.data.hub.is_reachable", lambda _: False)
    assert local_folder(MODEL) == folder
    assert model_hub.requests == []
    assert refusal("hub:ann/other") == (
        "hub:ann/other: the Hugging Face hub cannot be reached, and this revision is not in the "
        "cache: connect to a network, unset HF_HUB_OFFLINE, or give the folder of a run."
    )


def test_each_hub_has_its_own_part_of_the_cache(
    model_hub: ModelHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    [commit] = model_hub.repository(NAME, files).commits
    own, folder = model_hub.url, local_folder(MODEL)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    for name in (MODEL, f"{MODEL}@{commit}"):
        assert "is not in the cache" in refusal(name)
    # The copies of the public hub have the place that they always had.
    public = model_hub.cache / folder.relative_to(folder.parents[2])
    folder.parents[1].rename(public.parents[1])
    monkeypatch.setattr(constants, "ENDPOINT", own)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "is not in the cache" in refusal()
    monkeypatch.setattr(constants, "ENDPOINT", "https://huggingface.co")
    assert local_folder(MODEL) == public


def test_a_damaged_copy_is_downloaded_again(
    model_hub: ModelHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model_hub.repository(NAME, files)
    weights = local_folder(MODEL) / "model.safetensors"
    content = bytearray(files["model.safetensors"])
    content[-1] ^= 1
    weights.write_bytes(content)
    with monkeypatch.context() as offline:
        offline.setattr(constants, "HF_HUB_OFFLINE", True)
        assert "is not in the cache" in refusal()
    assert local_folder(MODEL) == weights.parent
    assert weights.read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize(
    "name",
    [
        "films", "ann/", "/films", "ann/films/x", "ann/..", "../films", "ann/films@", "ann/fi lms",
        "ann/films@../x", "ann/films@a b", "ann--b/films", "-ann/films", "ann/films.git", "",
        "ann/films@-x", "ann/\x1b[2J", "ann/films\n", "a" * 97 + "/films",
    ],
)  # fmt: skip
def test_malformed_names_are_refused(name: str) -> None:
    message = refusal(f"hub:{name}")
    assert "is not a model of the Hugging Face hub: allowed are hub:OWNER/NAME and" in message
    assert "\x1b" not in message


def test_a_path_is_no_name_of_the_hub() -> None:
    assert hub_model("runs/hub:x") is None
    assert local_folder("runs/a") == Path("runs/a")


def test_repositories_that_cannot_be_read(
    model_hub: ModelHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in = "log in with hf auth login, or put an access token into HF_TOKEN."
    absent = f"the hub has no such repository, or it is private: check its name, or {log_in}"
    assert refusal() == f"{MODEL}: {absent}"
    repository = model_hub.repository(NAME, files, private=True)
    assert refusal() == f"{MODEL}: {absent}"
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    assert refusal() == f"{MODEL}: the hub does not accept the access token: {log_in}"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert refusal(f"{MODEL}@other") == (
        f"{MODEL}@other: the repository has no such revision: give a branch, a tag or the hash of "
        "a commit."
    )
    repository.gated = True
    assert refusal().endswith(
        ": its owner grants access on request: ask for it on the page of the repository, and "
        + log_in
    )
    repository.gated = False
    assert Predictor.load(MODEL)
    assert refusal("hub:ann/other").startswith("hub:ann/other: the hub has no such repository")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "the hub does not accept the access token"),
        (403, "the access token does not permit this"),
        (429, "the hub answered with the status 429: try again later."),
        (500, "the hub answered with the status 500: try again later."),
    ],
)
@pytest.mark.parametrize("part", ["/api/models/", "/resolve/"])
def test_errors_of_the_hub(
    model_hub: ModelHub, files: dict[str, bytes], status: int, reason: str, part: str
) -> None:
    model_hub.repository(NAME, files)
    model_hub.failing[part] = status
    assert reason in refusal()
    assert not [*model_hub.cache.rglob("*.safetensors")]


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_repository_without_a_model(
    model_hub: ModelHub, files: dict[str, bytes], missing: str
) -> None:
    del files[missing]
    model_hub.repository(NAME, files)
    assert "the repository holds no model of lstm-sentiment: config.json and" in refusal()
    assert model_hub.downloads() == []


def test_a_model_of_another_program_is_refused(
    model_hub: ModelHub, files: dict[str, bytes]
) -> None:
    model_hub.repository(NAME, files | {"config.json": b'{"architectures": ["Bert"]}'})
    assert "config.json: it is not the configuration of a model." in refusal()


DAMAGED = "it is damaged: its content is not what the hub lists. Try again."


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json"])
def test_damaged_downloads(model_hub: ModelHub, files: dict[str, bytes], name: str) -> None:
    model_hub.repository(NAME, files)
    content = files[name]
    for sent in (content[:-1], content + b" ", content[:-1] + b" ", b""):
        model_hub.sent[name] = sent
        assert refusal() == f"{MODEL}: {name}: {DAMAGED}"
    assert not model_hub.cache.exists()  # nothing is left of a failed download
    del model_hub.sent[name]
    assert Predictor.load(MODEL)


@pytest.mark.parametrize("is_listed", [True, False])
def test_files_beyond_the_limits(
    model_hub: ModelHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, is_listed: bool
) -> None:
    size = len(files["vocab.json"])
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_VOCABULARY_BYTES", str(size))
    model_hub.repository(NAME, files)
    if is_listed:
        model_hub.listed["vocab.json"] = {"size": size + 1}
    else:  # the file is longer than the hub says: the download ends at the limit
        model_hub.sent["vocab.json"] = [b"x" * 2**20] * 64
    assert refusal().endswith(
        f"bytes, more than the {size:,} allowed; the environment variable "
        "LSTM_SENTIMENT_MAX_VOCABULARY_BYTES raises this limit."
    )
    assert f"{MODEL}: vocab.json: it has " in refusal()
    if is_listed:
        assert model_hub.downloads() == []


@pytest.mark.parametrize("commit", ["../../x", "", "main"])
def test_a_commit_is_a_hash(model_hub: ModelHub, files: dict[str, bytes], commit: str) -> None:
    repository = model_hub.repository(NAME, files)
    repository.commits = {commit: files}
    repository.revisions["main"] = commit
    assert "the hub does not tell the hash of the commit" in refusal()


def test_a_cache_that_cannot_be_written(model_hub: ModelHub, files: dict[str, bytes]) -> None:
    model_hub.repository(NAME, files)
    model_hub.cache.write_text("a file")
    assert f"LSTM_SENTIMENT_HUB_CACHE={model_hub.cache}" in refusal()
    assert refusal().endswith("give a writable folder.")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_copy_is_used_while_the_hub_fails(
    model_hub: ModelHub, files: dict[str, bytes], status: int
) -> None:
    model_hub.repository(NAME, files)
    folder = local_folder(MODEL)
    model_hub.failing["/api/models"] = status
    assert local_folder(MODEL) == folder
    assert str(status) in refusal(f"{MODEL}@other")  # is not in the cache
    model_hub.failing["/api/models"] = 404  # what is gone is gone
    assert "404" in refusal() or "no repository" in refusal()


def test_a_draft_that_a_killed_download_left_is_no_copy(
    model_hub: ModelHub, files: dict[str, bytes]
) -> None:
    [commit] = model_hub.repository(NAME, files).commits
    folder = local_folder(MODEL)
    draft = folder.rename(folder.with_name(".draft-12-0123456789abcdef"))
    again = local_folder(f"{MODEL}@{commit}")
    assert again == folder
    assert again != draft


def test_a_cache_that_cannot_be_written_is_of_use(
    model_hub: ModelHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model_hub.repository(NAME, files)
    folder = local_folder(MODEL)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("lstm_sentiment.runs.hub_models.write_atomically", refuse)
    assert local_folder(MODEL) == folder
