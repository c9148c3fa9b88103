"""`lstm-sentiment predict`, `evaluate`, `explain` and `export`, as a user types them."""

import builtins
import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from networks import TEXTS, saved

from lstm_sentiment.cli import main
from lstm_sentiment.config import Config
from lstm_sentiment.serving.predictor import Predictor

Make = Callable[..., Config]
Capture = pytest.CaptureFixture[str]
COMMANDS = ("report", "status", "tensorboard", "data", "baseline")
USES = ("predict", "evaluate", "explain", "export")


@pytest.fixture
def run(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    return str(saved(tmp_path / "run", tiny(head={"kind": "attention"})))


def table(path: Path, rows: list[tuple[str, str]], header: tuple[str, str]) -> str:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return str(path)


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_texts_are_labelled(run: str, capsys: Capture) -> None:
    assert main(["predict", run, "a good\tfilm", "", "\x1b[2Jdull\nplot"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[2] for line in lines] == ["a good film", "", "[2Jdull plot"]
    for line, said in zip(lines, Predictor.load(run).predict(["a good film", ""]), strict=False):
        assert line[:2] == [said.label, f"{said.probability:.4f}"]


def test_lines_of_standard_input_are_labelled(
    run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, b"a good film\r\n\nnot \xff good")
    assert main(["predict", run, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in found] == ["a good film", "", "not \ufffd good"]
    said = Predictor.load(run).predict("a good film")
    assert found[0]["label"] == said.label
    assert found[0]["probability"] == pytest.approx(said.probability, abs=1e-6)
    assert "weights" not in found[0]


def test_weights_come_as_json(run: str, capsys: Capture) -> None:
    assert main(["predict", run, "--json", "--weights", "a good film"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [token for token, _ in found["weights"]] == ["a", "good", "film"]
    said = Predictor.load(run).predict("a good film", weights=True)
    assert [weight for _, weight in found["weights"]] == [w.weight for w in said.weights or ()]


def test_texts_may_stand_behind_options(run: str, capsys: Capture) -> None:
    assert main(["predict", run, "good", "--json", "--", "-5 stars"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in found] == ["good", "-5 stars"]


def test_a_file_is_labelled(run: str, tmp_path: Path, capsys: Capture) -> None:
    file = table(tmp_path / "in.csv", [(text, "x") for text in TEXTS], ("said", "id"))
    out = tmp_path / "out.csv"
    assert main(["predict", run, "--file", file, "--column", "said", "-o", str(out)]) == 0
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["said"] for row in rows] == TEXTS
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"8 rows: {out}" in printed.err
    assert main(["predict", run, "--file", file, "--column", "said"]) == 0
    labels = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert labels == [row["label"] for row in rows]


def test_runs_are_scored_and_averaged(
    tiny: Make, run: str, tmp_path: Path, capsys: Capture
) -> None:
    other = str(saved(tmp_path / "other", tiny(encoder={"cell": "gru"})))
    rows = [(text, str(number % 2)) for number, text in enumerate(TEXTS) if text]
    file = table(tmp_path / "in.csv", rows, ("text", "label"))
    out = tmp_path / "scores.json"
    assert main(["evaluate", run, other, "--file", file, "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines()[:3]] == [
        ["1:", "run"],
        ["2:", "other"],
        ["1", "2", "ensemble"],
    ]
    found = json.loads(out.read_text())
    assert found["file"] == "in.csv"
    assert list(found["networks"]) == ["run", "other", "ensemble"]
    assert main(["evaluate", run, "--file", file, "--json", other]) == 0
    assert json.loads(capsys.readouterr().out) == found
    accuracy = found["networks"]["ensemble"]["accuracy"]
    [row] = [line for line in printed.splitlines() if "accuracy" in line]
    assert row.endswith(f"{100 * accuracy:.2f} ")


def test_labels_of_ones_own_are_scored(run: str, tmp_path: Path, capsys: Capture) -> None:
    rows = [("good", "happy"), ("bad", "cross")]
    file = table(tmp_path / "in.csv", rows, ("said", "mood"))
    named = ["--column", "said", "--label-column", "mood", "--positive-label", "happy"]
    assert main(["evaluate", run, "--file", file, *named, "--json"]) == 0
    matrix = json.loads(capsys.readouterr().out)["networks"]["run"]["confusion_matrix"]
    assert [sum(row) for row in matrix] == [1, 1]


def test_an_answer_is_explained(run: str, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "why.html"
    assert main(["explain", run, "a very dull plot", "-o", str(page)]) == 0
    printed = capsys.readouterr().out
    said = Predictor.load(run).predict("a very dull plot")
    assert f"{said.label}: probability of positive {said.probability:.4f}" in printed
    assert "a very dull plot" in printed
    assert "attention" in printed
    assert "dull</span>" in page.read_text()


@pytest.mark.parametrize("int8", [False, True])
def test_a_network_is_exported_and_used(
    run: str, tmp_path: Path, capsys: Capture, int8: bool
) -> None:
    pytest.importorskip("onnxruntime")
    more = ["--int8"] if int8 else []
    file = table(tmp_path / "in.csv", [(text, "1") for text in TEXTS], ("text", "label"))
    assert main(["export", run, "--onnx", *more, "--file", file]) == 0
    folder = Path(run, "onnx-int8" if int8 else "onnx")
    printed = capsys.readouterr().out
    assert "on 8 texts the same label for 100.00%" in printed
    assert str(folder) in printed
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "config.json", "vocab.json"}
    assert main(["predict", str(folder), "a good film"]) == 0
    theirs = float(capsys.readouterr().out.split("\t")[1])
    ours = Predictor.load(run).predict("a good film").probability
    assert theirs == pytest.approx(ours, abs=0.05 if int8 else 1e-4)


def test_without_texts_an_export_is_checked_on_random_ones(run: str, capsys: Capture) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["export", run, "--onnx"]) == 0
    assert "the same label for 100.00%" in capsys.readouterr().out


def test_without_onnx_it_is_said_how_to_get_it(
    run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("lstm_sentiment.serving.export"):
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return whole(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["export", run, "--onnx"]) == 1
    assert (
        'onnx is missing): pip install -c constraints.txt -e ".[onnx]"' in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["predict", "RUN", "a", "--file", "b.csv"], "Texts and --file were given"),
        (["predict", "RUN", "a", "-o", "b.csv"], "goes with --file"),
        (["predict", "RUN", "a", "--weights"], "--weights goes with --json"),
        (["predict", "RUN", "--file", "none.csv"], "none.csv: it cannot be read (No such file"),
        (["predict", "RUN", "--file", "none.csv", "-o", "b.doc"], "ends in none of .csv"),
        (["predict", "nowhere", "a"], "nowhere is no folder"),
        (["evaluate", "RUN", "RUN", "--file", "none.csv"], "A RUN was given twice"),
        (["evaluate", "RUN", "--file", "none.csv"], "none.csv: it cannot be read"),
        (["explain", "nowhere", "a"], "nowhere is no folder"),
        (["explain", "RUN", "a", "-o", "no/page.html"], "no/page.html cannot be written"),
        (["export", "nowhere", "--onnx"], "nowhere is no folder"),
        (["export", "RUN", "--onnx", "--file", "none.csv"], "none.csv: it cannot be read"),
        (["export", "RUN", "--onnx", "-o", "."], "exists and holds no exported network"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    run: str,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([run if word == "RUN" else word for word in words]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["predict"],
        ["predict", "RUN", "a", "--loud"],
        ["evaluate", "RUN"],
        ["explain", "RUN", "a", "b"],
        ["export", "RUN"],
    ],
)
def test_wrong_usage_has_a_code_of_its_own(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage: lstm-sentiment" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", *COMMANDS, *USES])
def test_every_help_has_an_example(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"] if command else ["--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"example: lstm-sentiment {command}" in text.replace("examples:", "example:")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_shells_can_complete_commands(shell: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", shell])
    assert end.value.code == 0
    script = capsys.readouterr().out
    assert all(command in script for command in (*COMMANDS, *USES))


def test_a_reader_that_has_enough_is_no_failure(
    run: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(builtins, "print", closed)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert main(["predict", run, "a"]) == 141
    assert "Traceback" not in capfd.readouterr().err
