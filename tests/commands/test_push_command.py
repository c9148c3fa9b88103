"""`lstm-sentiment push`, which uploads models to a stand-in for the Hugging Face hub."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Config
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.ngrams import NgramModel
from lstm_sentiment.runs.folder import MODEL
from lstm_sentiment.runs.hub_models import local_folder
from lstm_sentiment.serving.ensemble_predictor import EnsemblePredictor
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training.baseline import baseline
from tests.support.model_hub import TOKEN, ModelHub
from tests.support.networks import TEXTS, saved
from tests.support.project import folder_of_record
from tests.support.records import answers, put_run

# huggingface_hub itself calls its HTTP client in an older way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Make = Callable[..., Config]
Capture = pytest.CaptureFixture[str]
NAME = "ann/films"
FILES = ["README.md", "config.json", "model.safetensors", "run.json", "vocab.json"]


@pytest.fixture
def run(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a finished run, and log in."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    config = tiny(head={"kind": "max"}, data={"limit_test": None})
    data = {
        "source": "CSV file films.csv",
        "fingerprint": "sha256-0",
        "train": 1_000,
        "val": 200,
        "test": 200,
        "vocabulary": 22,
        "unknown_share": 0.05,
        "truncated_share": 0.125,
    }
    folder = put_run(tmp_path / "runs", config, answers(20), answers(30), data=data)
    saved(tmp_path / "saved", config)
    (tmp_path / "saved" / MODEL).rename(folder / MODEL)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "epoch-1.ckpt").write_bytes(b"0")
    (folder / MODEL / "notes.txt").write_text("private")
    return folder


class Typed(io.StringIO):
    """Standard input of a terminal, at which somebody types."""

    def isatty(self) -> bool:
        return True


def push(run: Path, *options: str) -> int:
    return main(["push", str(run), NAME, *options])


def test_a_pushed_model_is_that_of_the_run(model_hub: ModelHub, run: Path, capsys: Capture) -> None:
    assert push(run, "--yes") == 0
    repository = model_hub.repositories[NAME]
    assert sorted(repository.files) == [".gitattributes", *FILES]
    assert not repository.private
    assert repository.messages[-1] == f"Upload {run.name}"
    out = capsys.readouterr().out
    assert f"uploaded {model_hub.url}/{NAME}/commit/" in out
    assert 'predict hub:ann/films "Not bad at all."' in out
    for name in ("config.json", "model.safetensors", "vocab.json"):
        assert repository.files[name] == (run / MODEL / name).read_bytes()
    assert json.loads(repository.files["run.json"]) == json.loads((run / "run.json").read_text())
    expected = Predictor.load(run).probabilities(TEXTS).tolist()
    assert Predictor.load(f"hub:{NAME}").probabilities(TEXTS).tolist() == expected


def test_options_of_the_upload(model_hub: ModelHub, run: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("---\nlicense: mit\n---\n# Mine\n")
    assert push(run, "-y", "--private", "-m", "First", "--card", str(card)) == 0
    repository = model_hub.repositories[NAME]
    assert repository.private
    assert repository.messages[-1] == "First"
    assert repository.files["README.md"] == card.read_bytes()


def test_the_card_tells_what_the_record_says(
    model_hub: ModelHub, run: Path, capsys: Capture
) -> None:
    assert push(run, "--dry-run") == 0
    out = capsys.readouterr().out
    listed = [line.split()[-1] for line in out.splitlines() if " bytes  " in line]
    assert sorted(listed) == FILES
    assert out.endswith("Dry run: nothing was uploaded.\n")
    assert model_hub.requests == []
    _, metadata, card = out.split("---\n", 2)
    values = yaml.safe_load(metadata)
    assert values["library_name"] == "lstm_sentiment"
    assert values["pipeline_tag"] == "text-classification"
    [result] = values["model-index"][0]["results"]
    assert [(each["type"], each["value"]) for each in result["metrics"]] == [
        ("accuracy", 0.9),
        ("f1", 0.9),
    ]
    assert "\n# films\n" in card
    assert "A `lstm` network with 6 units, the head `max` and embeddings with 5 dimensions" in card
    assert "It classifies texts as negative and positive." in card
    assert "on 1,000 labelled reviews (CSV file films.csv); epoch 1 of 1 was the best." in card
    assert "5.0 % of the tokens are out of vocabulary, and 12.5 % of the reviews" in card
    assert "- `encoder.hidden_size=6`\n" in card
    assert "|  | validation | test |" in card
    assert "| reviews | 200 | 200 |" in card
    assert "| accuracy % | 85.00 | 90.00 |" in card
    assert "| negative | 90 | 10 |\n| positive | 10 | 90 |" in card
    assert "`lstm-sentiment predict hub:ann/films" in card


def test_names_of_classes_are_no_markup(tiny: Make, tmp_path: Path, capsys: Capture) -> None:
    classes = Classes(("[x](y)", "<script>", "**b**"))
    folder = saved(tmp_path / "stars", tiny(), classes)
    assert push(folder, "--dry-run") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("warning the model has no record of its training")
    assert "&lt;script&gt;" in captured.out
    assert not {"<script>", "[x](y)", "**b**"} & {*captured.out.split()}
    assert "The repository has no record of the training." in captured.out


def test_every_kind_of_model_is_pushed(model_hub: ModelHub, run: Path, tmp_path: Path) -> None:
    assert main(["export", str(run), "-o", str(tmp_path / "onnx")]) == 0
    for number, folder in enumerate((run / MODEL, tmp_path / "onnx")):
        assert main(["push", str(folder), f"ann/films{number}", "-y"]) == 0
        before, after = Predictor.load(folder), Predictor.load(f"hub:ann/films{number}")
        assert before.predict(TEXTS) == after.predict(TEXTS)
    assert "run.json" in model_hub.repositories["ann/films0"].files  # beside model/
    assert "run.json" not in model_hub.repositories["ann/films1"].files
    assert (
        "exported for ONNX Runtime"
        in model_hub.repositories["ann/films1"].files["README.md"].decode()
    )
    assert main(["push", "hub:ann/films0", "ann/copy", "-y"]) == 0
    copy, original = (model_hub.repositories[name].files for name in ("ann/copy", "ann/films0"))
    assert copy["run.json"] == original["run.json"]


def test_a_baseline_is_pushed(
    model_hub: ModelHub, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", model_hub.token)
    folder = folder_of_record(tiny(), baseline(NgramModel.nb_svm, tiny()))
    assert push(folder, "-y") == 0
    card = model_hub.repositories[NAME].files["README.md"].decode()
    assert "An n-gram baseline: a linear model of" in card
    assert "(synthetic). The baseline is `nb_svm`." in card
    expected = Predictor.load(folder).predict(TEXTS)
    assert Predictor.load(f"hub:{NAME}").predict(TEXTS) == expected
    assert local_folder(f"hub:{NAME}").name == folder.name


def test_a_model_that_is_there_is_replaced_only_on_demand(
    model_hub: ModelHub, run: Path, capsys: Capture
) -> None:
    others = {"LICENSE": b"MIT", "merges.json": b"[]", "model.safetensors": b"old"}
    repository = model_hub.repository(NAME, others)
    assert push(run, "--yes") == 1
    assert capsys.readouterr().err.startswith(
        "ann/films already has model.safetensors, merges.json: name another repository, or replace "
        "the model with --overwrite."
    )
    assert repository.files == others
    assert push(run, "--yes", "--overwrite") == 0
    assert sorted(repository.files) == sorted(["LICENSE", *FILES])  # no merges of an older model
    out = capsys.readouterr().out
    assert "model.safetensors  replaces the file there" in out
    assert "merges.json  of the earlier model, is removed" in out
    assert Predictor.load(f"hub:{NAME}")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("Yes\n", 0), ("n\n", 1), ("", 1)])
def test_the_user_confirms_the_upload(
    model_hub: ModelHub,
    run: Path,
    answer: str,
    code: int,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))
    assert push(run, "--private") == code
    captured = capsys.readouterr()
    question = f"Upload to {model_hub.url}/{NAME}, a new private repository? [y/N]"
    assert question in captured.out
    assert (NAME in model_hub.repositories) == (code == 0)
    assert captured.err == ("" if code == 0 else "Nothing was uploaded.\n")


def test_without_a_terminal_the_upload_needs_an_option(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert push(run) == 2
    assert capsys.readouterr().err == (
        "Nobody can confirm the upload: give --yes, or --dry-run to look at it.\n"
    )


@pytest.mark.parametrize("name", ["films", "hub:ann/films", "ann/films@main", "../x", "a/b/c", ""])
def test_malformed_names(run: Path, name: str, capsys: Capture) -> None:
    assert main(["push", str(run), name, "-n"]) == 1
    assert "cannot be the name of a repository of the Hugging Face hub" in capsys.readouterr().err


def test_a_link_in_a_model_folder_is_not_uploaded(
    model_hub: ModelHub, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "secret").write_text("{}")
    (run / MODEL / "classes.json").symlink_to(tmp_path / "secret")
    assert push(run, "--yes") == 1
    assert "classes.json: cannot be read (a link, which is not followed)" in capsys.readouterr().err
    assert model_hub.requests == []


def test_what_cannot_be_pushed(
    model_hub: ModelHub, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    weights = run / MODEL / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert push(run, "-y") == 1
    assert "model.safetensors: it is damaged" in capsys.readouterr().err
    assert push(tmp_path / "none", "-y") == 1
    assert "does not exist: give the folder of a finished run" in capsys.readouterr().err
    assert model_hub.requests == []


def test_an_ensemble_has_no_model(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    member = Predictor.load(run)
    ensemble = EnsemblePredictor.of([member, member], [0.5, 0.5])
    monkeypatch.setattr(Predictor, "load", lambda *_: ensemble)
    assert push(tmp_path, "-n") == 1
    assert capsys.readouterr().err == ("An ensemble has no model of its own: upload its members.\n")


def refusal(run: Path, capsys: Capture, *options: str) -> str:
    capsys.readouterr()
    assert push(run, "-y", *options) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_errors_of_the_hub(
    model_hub: ModelHub, run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    assert "ann/films: the hub does not accept the access token: log" in refusal(run, capsys)
    monkeypatch.delenv("HF_TOKEN")
    assert "There is no access token of the Hugging Face hub: log in" in refusal(run, capsys)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for part in ("/repos/create", "/preupload/", "/batch", "/uploads/", "/commit/"):
        model_hub.failing = {part: 403}
        assert "the access token does not permit this" in refusal(run, capsys, "--overwrite"), part
        model_hub.failing = {}
    model_hub.failing = {"/commit/": 412}
    assert "the repository has changed meanwhile: try again." in refusal(run, capsys)
    model_hub.failing = {}
    repository = model_hub.repositories[NAME]
    assert [*repository.files] == [".gitattributes"]
    assert "exists and is public: make it private on its page" in refusal(run, capsys, "--private")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refusal(run, capsys).startswith("The Hugging Face hub cannot be reached: connect to")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert push(run, "-y") == 0


def test_a_repository_that_changes_meanwhile(
    model_hub: ModelHub, run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = model_hub.repository(NAME, {"LICENSE": b"MIT"})
    typed = Typed("y\n")
    typed.readline = lambda: repository.commit({"LICENSE": b"GPL"}) and "y"
    monkeypatch.setattr(sys, "stdin", typed)
    assert push(run) == 1
    assert "the repository has changed meanwhile: try again." in capsys.readouterr().err
    assert repository.files == {"LICENSE": b"GPL"}
