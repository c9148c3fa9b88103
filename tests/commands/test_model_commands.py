"""`lstm-sentiment predict`, `evaluate`, `explain` and `export`."""

import builtins
import csv
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from rich.console import Console, RenderableType

from lstm_sentiment.commands.evaluate import scores_table
from lstm_sentiment.commands.explain import explanation_view
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import Config
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.files.manifest import MANIFEST
from lstm_sentiment.serving.attribution import Attribution
from lstm_sentiment.serving.evaluation import scores
from lstm_sentiment.serving.predictor import Explanation, Predictor
from tests.support.explanations import PREDICTION, explanation
from tests.support.networks import TEXTS, saved
from tests.support.tables import write_bytes, write_columns, write_rows

Make = Callable[..., Config]
Capture = pytest.CaptureFixture[str]

LABELS = np.array([1, 1, 1, 0, 0])
SCORES = scores(labels=LABELS, logits=np.array([2.0, 1.5, -1, 0.5, -2]))


@pytest.fixture
def run(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the folder of a run with a network that was not trained."""
    monkeypatch.setenv("COLUMNS", "200")
    return str(saved(tmp_path / "run", tiny(head={"kind": "attention"})))


def print_to_string(view: RenderableType, width: int, colours: bool = False) -> str:
    stream = io.StringIO()
    system: Any = "truecolor" if colours else None
    Console(file=stream, color_system=system, width=width).print(view)
    return stream.getvalue()


def words_of_lines(view: RenderableType) -> list[list[str]]:
    return [line.split() for line in print_to_string(view, width=80).splitlines()]


def test_predict_prints_class_probability_and_text(run: str, capsys: Capture) -> None:
    assert main(["predict", run, "a good\tfilm", "", "\x1b[2Jdull\nplot"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[2] for line in lines] == ["a good film", "", "\\x1b[2Jdull plot"]
    predictions = Predictor.load(run).predict(["a good film", ""])
    for line, prediction in zip(lines, predictions, strict=False):
        assert line[:2] == [prediction.label, f"{prediction.probability:.4f}"]


def test_predict_reads_standard_input(
    run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"a good film\r\n\nnot \xff good"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["predict", run, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["a good film", "", "not \ufffd good"]
    prediction = Predictor.load(run).predict("a good film")
    assert rows[0]["label"] == prediction.label
    assert rows[0]["probability"] == pytest.approx(prediction.probability, abs=1e-6)
    assert "weights" not in rows[0]


def test_predict_refuses_a_line_of_standard_input_that_is_too_long(
    run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_LINE_BYTES", "10")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a film\na good film\n")))
    assert main(["predict", run]) == 1
    error = capsys.readouterr().err
    assert error.startswith("standard input: too many bytes in one line, field or text: more than")
    assert len(error.splitlines()) == 1


def test_predict_prints_contributions_as_json(run: str, capsys: Capture) -> None:
    assert main(["predict", run, "--json", "--weights", "a good film"]) == 0
    row = json.loads(capsys.readouterr().out)
    weights = Predictor.load(run).predict("a good film", weights=True).weights
    assert [token for token, _ in row["weights"]] == ["a", "good", "film"]
    assert row["weights"] == [[*weight] for weight in weights or ()]


def test_an_answer_that_is_not_finite_is_refused_by_every_command(
    tiny: Make, tmp_path: Path, capsys: Capture
) -> None:
    run = saved(tmp_path / "run", tiny(head={"kind": "attention"}))
    weights = safetensors.torch.load_file(run / "model" / "model.safetensors")
    weights["head.hidden.weight"].fill_(3e38)
    weights["head.query.weight"].fill_(-3e38)
    safetensors.torch.save_file(weights, run / "model" / "model.safetensors")
    reviews = write_rows(tmp_path / "reviews.csv", [("a good film", 1), ("dull", 0)])
    output = tmp_path / "out"
    for command in (
        ["predict", str(run), "a film"],
        ["predict", str(run), "--file", str(reviews), "-o", f"{output}.csv"],
        ["evaluate", str(run), "--file", str(reviews)],
        ["explain", str(run), "a film", "-o", f"{output}.html"],
        ["export", str(run), "--onnx", "-o", str(output)],
    ):
        assert main(command) == 1
        printed = capsys.readouterr()
        assert "is not finite: the weights of the model are damaged" in printed.err
        assert "nan" not in printed.out
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out", ".draft"))]


def test_texts_may_follow_options(run: str, capsys: Capture) -> None:
    assert main(["predict", run, "good", "--json", "--", "-5 stars"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["good", "-5 stars"]


def test_predict_writes_a_file(run: str, tmp_path: Path, capsys: Capture) -> None:
    ids = ["x"] * len(TEXTS)
    file = str(write_columns(tmp_path / "in.csv", TEXTS, ids, names="said id"))
    output = tmp_path / "out.csv"
    assert main(["predict", run, "--file", file, "--column", "said", "-o", str(output)]) == 0
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["said"] for row in rows] == TEXTS
    messages = [
        "in.csv: text column said (--column).",
        f"8 rows: {output}",
        "warning 1 row has no text and therefore no prediction.",
    ]
    assert capsys.readouterr() == ("", "".join(f"{message}\n" for message in messages))
    assert main(["predict", run, "--file", file, "--column", "said"]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [messages[0], messages[2]]
    classes = [line.split("\t")[0] for line in printed.out.splitlines()]
    assert classes == [row["label"] for row in rows]


def test_evaluate_scores_runs_and_their_ensemble(
    tiny: Make, run: str, tmp_path: Path, capsys: Capture
) -> None:
    other = str(saved(tmp_path / "other", tiny(encoder={"cell": "gru"})))
    rows = [(text, str(number % 2)) for number, text in enumerate(TEXTS) if text]
    file = str(write_rows(tmp_path / "in.csv", rows))
    output = tmp_path / "scores.json"
    assert main(["evaluate", run, other, "--file", file, "-o", str(output)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split() for line in table[:3]] == [
        ["1:", "run"],
        ["2:", "other"],
        ["1", "2", "ensemble"],
    ]
    content = json.loads(output.read_text())
    assert content["file"] == "in.csv"
    assert list(content["networks"]) == ["run", "other", "ensemble"]
    assert main(["evaluate", run, "--file", file, "--json", other]) == 0
    assert json.loads(capsys.readouterr().out) == content
    [row] = [line for line in table if line.startswith(" accuracy")]
    assert row.endswith(f"{100 * content['networks']['ensemble']['accuracy']:.2f} ")


def test_evaluate_accepts_other_columns_and_labels(
    run: str, tmp_path: Path, capsys: Capture
) -> None:
    rows = [("good", "happy"), ("bad", "cross")]
    file = str(write_rows(tmp_path / "in.csv", rows, names="said mood"))
    columns = ["--column", "said", "--label-column", "mood", "--positive-label", "happy"]
    assert main(["evaluate", run, "--file", file, *columns, "--json"]) == 0
    matrix = json.loads(capsys.readouterr().out)["networks"]["run"]["confusion_matrix"]
    assert [sum(row) for row in matrix] == [1, 1]


# Columns `text` and `label` that mean something else than those that the run was trained on.
OTHER_COLUMNS = [
    (f"order {n}", "a wonderful film" if n % 2 else "a dull plot", "happy" if n % 2 else "sad", "1")
    for n in range(8)
]
CHOSEN = {
    "text_column": "answer",
    "label_column": "verdict",
    "positive_label": "happy",
    "delimiter": "semicolon",
}
SAID = (
    "in.csv: text column answer (as in training), label column verdict (as in training), positive "
    "label happy (as in training), delimiter semicolon (as in training)."
)


@pytest.fixture
def other_columns(tiny: Make, tmp_path: Path) -> tuple[str, str]:
    """Return a run that records its columns, labels and delimiter, and such a file."""
    data = {"source": "reviews", "path": "in.csv", **CHOSEN}
    run = saved(tmp_path / "chosen", tiny(data={**data, "limit_train": None}))
    lines = [";".join(row) for row in [("text", "answer", "verdict", "label"), *OTHER_COLUMNS]]
    file = write_bytes(tmp_path / "in.csv", "\n".join(lines))
    return str(run), str(file)


def test_evaluate_reads_a_file_as_in_training(
    other_columns: tuple[str, str], capsys: Capture
) -> None:
    """The columns and labels of the run are the default, and the output says so."""
    run, file = other_columns
    assert main(["evaluate", run, "--file", file, "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == f"{SAID}\n"
    content = json.loads(output.out)
    assert content["read"] == CHOSEN
    texts, names = zip(*((row[1], row[2] == "happy") for row in OTHER_COLUMNS), strict=True)
    expected = scores(labels=np.array(names, int), logits=Predictor.load(run).logits(texts))
    assert content["networks"]["chosen"] == json.loads(json.dumps(expected))


def test_options_override_the_choices_of_training(
    other_columns: tuple[str, str], capsys: Capture
) -> None:
    run, file = other_columns
    options = ["--column", "text", "--label-column", "label", "--positive-label", "1"]
    assert main(["evaluate", run, "--file", file, *options, "--json"]) == 0
    output = capsys.readouterr()
    assert "text column text (--column), label column label (--label-column)" in output.err
    content = json.loads(output.out)
    assert content["read"] == {**CHOSEN, **dict(zip(CHOSEN, ["text", "label", "1"], strict=False))}
    assert sum(content["networks"]["chosen"]["confusion_matrix"][1]) == 8


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encoding_of_training_does_not_garble_other_files(
    tiny: Make, tmp_path: Path, capsys: Capture, encoding: str
) -> None:
    """A file in UTF-8 is also valid cp1252, in which its letters would be others."""
    data = {"source": "reviews", "path": "in.csv", "encoding": "cp1252", "limit_train": None}
    run = str(saved(tmp_path / "chosen", tiny(data=data)))
    file = write_bytes(tmp_path / "in.csv", "text,label\nSchön,1\nÖde,0\n".encode(encoding))
    assert main(["predict", run, "--file", str(file)]) == 0
    output = capsys.readouterr()
    assert [line.split("\t")[2] for line in output.out.splitlines()] == ["Schön", "Öde"]
    assert ("encoding cp1252 (as in training)" in output.err) == (encoding == "cp1252")
    assert main(["evaluate", run, "--file", str(file), "--json"]) == 0
    read = json.loads(capsys.readouterr().out)["read"]
    assert read.get("encoding") == ("cp1252" if encoding == "cp1252" else None)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_pipe_is_refused(command: str, run: str, tmp_path: Path, capsys: Capture) -> None:
    """Opening it would wait for another program."""
    os.mkfifo(tmp_path / "in.jsonl")
    assert main([command, run, "--file", str(tmp_path / "in.jsonl")]) == 1
    assert "in.jsonl: cannot be read (not a regular file)." in capsys.readouterr().err


def test_predict_reads_a_file_as_in_training(
    other_columns: tuple[str, str], tmp_path: Path, capsys: Capture
) -> None:
    run, file = other_columns
    output = tmp_path / "out.csv"
    assert main(["predict", run, "--file", file, "-o", str(output)]) == 0
    assert "text column answer (as in training), delim" in capsys.readouterr().err
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=";"))
    predictions = Predictor.load(run).predict([row[1] for row in OTHER_COLUMNS])
    assert [row["predicted_label"] for row in rows] == [each.label for each in predictions]
    assert [row["label"] for row in rows] == ["1"] * 8


def test_an_export_reads_a_file_as_in_training(
    other_columns: tuple[str, str], capsys: Capture
) -> None:
    pytest.importorskip("onnxruntime")
    run, file = other_columns
    assert main(["export", run, "--onnx", "--file", file]) == 0
    assert main(["evaluate", f"{run}/onnx", "--file", file]) == 0
    assert SAID in capsys.readouterr().err


def test_runs_with_different_columns_need_options(
    run: str, other_columns: tuple[str, str], capsys: Capture
) -> None:
    other, file = other_columns
    assert main(["evaluate", run, other, "--file", file]) == 1
    error = capsys.readouterr().err
    assert "data.text_column: null (run), answer (chosen). Choose one with --column." in error


def test_a_positive_label_that_never_occurs_is_reported(
    other_columns: tuple[str, str], capsys: Capture
) -> None:
    run, file = other_columns
    assert main(["evaluate", run, "--file", file, "--label-column", "label"]) == 0
    assert "warning No row of in.csv has the label happy" in capsys.readouterr().err


def test_the_scores_of_one_network_have_its_name() -> None:
    lines = words_of_lines(scores_table({"[red]mine": SCORES}))
    assert lines[:4] == [
        ["[red]mine"],
        ["reviews", "5"],
        ["accuracy", "%", "60.00"],
        ["95", "%", "interval", "23.07"],
    ]
    assert ["recall", "of", "positive", "%", "66.67"] in lines
    assert ["negative", "1", "1"] in lines
    assert ["positive", "1", "2"] in lines


def test_the_larger_class_is_shown_if_the_classes_are_uneven() -> None:
    lines = words_of_lines(scores_table({"mine": SCORES}))  # three of five are positive
    assert ["larger", "class", "%", "60.00"] in lines
    assert ["balanced", "accuracy", "%", "58.33"] in lines
    even = scores(labels=np.array([1, 0]), logits=np.array([1.0, 1.0]))
    assert not any("balanced" in line for line in words_of_lines(scores_table({"mine": even})))


def test_the_scores_of_several_networks_are_numbered() -> None:
    names = [f"bilstm-max_attention-s{seed}-0123abcd" for seed in range(5)]
    perfect = scores(labels=LABELS, logits=2.0 * LABELS - 1)
    lines = words_of_lines(scores_table(dict.fromkeys(names, SCORES) | {"ensemble": perfect}))
    assert [line[1] for line in lines[:5]] == names
    assert lines[5] == ["1", "2", "3", "4", "5", "ensemble"]
    assert ["accuracy", "%", *["60.00"] * 5, "100.00"] in lines
    assert ["positive", "0", "3"] in lines


def test_explain_prints_and_writes_the_explanation(
    run: str, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "why.html"
    assert main(["explain", run, "a very dull plot", "-o", str(page)]) == 0
    output = capsys.readouterr().out
    prediction = Predictor.load(run).predict("a very dull plot")
    assert f"{prediction.label}: probability of positive {prediction.probability:.4f}" in output
    assert "a very dull plot" in output
    assert "attention" in output
    assert "dull</span>" in page.read_text()


def test_tokens_are_coloured_by_their_contribution() -> None:
    output = print_to_string(explanation_view(explanation()), 120, colours=True)
    assert "48;2;178;34;34m<b>dull" in output  # red
    assert "48;2;0;61;30mgreat" in output  # green, half as bright
    assert "48;2;0;0;0ma" in output


def test_without_colours_the_table_shows_the_contributions() -> None:
    output = print_to_string(explanation_view(explanation(attention=True)), 120)
    assert "\x1b" not in output
    assert "a <b>dull [red]plot great" in output
    lines = [line.split() for line in output.splitlines()]
    assert ["token", "contribution", "attention"] in lines
    assert ["<b>dull", "-1.000", "20.0%"] in lines
    assert "contributions -0.250" in output


def test_unknown_and_truncated_tokens_are_noted() -> None:
    output = print_to_string(explanation_view(explanation(unread=1200, known=False)), 120)
    assert "1 of 4 tokens is unknown" in output
    assert "1,200 more tokens" in output
    assert "unknown" not in print_to_string(explanation_view(explanation()), 120)


def test_a_lone_surrogate_can_be_printed() -> None:
    attribution = Attribution(0.1, 0.1, (0.5,), None, 0.0)
    view = explanation_view(Explanation(("\ud800",), (True,), 0, attribution, PREDICTION))
    assert print_to_string(view, 120).encode()


@pytest.mark.parametrize("int8", [False, True])
def test_an_exported_network_predicts(
    run: str, tmp_path: Path, capsys: Capture, int8: bool
) -> None:
    pytest.importorskip("onnxruntime")
    options = ["--int8"] if int8 else []
    certain = [each for each in TEXTS if abs(Predictor.load(run).logits([each]).item()) > 0.1]
    file = str(write_columns(tmp_path / "in.csv", certain, names="text"))
    assert main(["export", run, "--onnx", *options, "--file", file]) == 0
    folder = Path(run, "onnx-int8" if int8 else "onnx")
    output = capsys.readouterr().out
    assert f"on {len(certain)} texts, 100.00%" in output
    assert str(folder) in output
    files = {"model.onnx", "config.json", "vocab.json", MANIFEST}
    assert {path.name for path in folder.iterdir()} == files
    assert main(["predict", str(folder), "a good film"]) == 0
    exported = float(capsys.readouterr().out.split("\t")[1])
    original = Predictor.load(run).predict("a good film").probability
    assert exported == pytest.approx(original, abs=0.05 if int8 else 1e-4)


def test_a_run_that_is_being_trained_is_not_exported_into(run: str, capsys: Capture) -> None:
    pytest.importorskip("onnxruntime")
    before = sorted(Path(run).rglob("*"))
    with sole_writer(Path(run, LOCK)):
        assert main(["export", run]) == 1
    check_message(capsys.readouterr().err, ["Another command is training", Path(run).name, "-o"])
    assert sorted(Path(run).rglob("*")) == before


def test_without_a_file_an_export_is_checked_on_random_texts(run: str, capsys: Capture) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["export", run, "--onnx"]) == 0
    assert "100.00% of the labels" in capsys.readouterr().out


def test_without_onnx_the_error_names_the_extra(
    run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module = builtins.__import__

    def import_without_onnx(name: str, *args: Any) -> Any:
        if name.startswith("lstm_sentiment.serving.export"):
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return import_module(name, *args)

    monkeypatch.setattr(builtins, "__import__", import_without_onnx)
    assert main(["export", run, "--onnx"]) == 1
    error = capsys.readouterr().err
    assert 'onnx is missing): pip install "lstm_sentiment[onnx]"' in error


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["predict", "RUN", "--file", "none.csv"], ["none.csv: ", "No such file"]),
        (["predict", "RUN", "--file", "none.xlsx"], ["none.xlsx: ", "must end in"]),
        (["predict", "RUN", "--file", "none.csv", "--encoding", "x"], ["--encoding", "'x'"]),
        (["predict", "RUN", "--file", "none.csv", "-o", "b.doc"], ["b.doc", ".csv, .tsv"]),
        (["predict", "nowhere", "--file", "a.csv", "-o", "mine.csv"], ["mine.csv exists: name"]),
        (["evaluate", "nowhere", "--file", "a.csv", "-o", "mine.csv"], ["mine.csv exists: name"]),
        (["explain", "nowhere", "a", "-o", "mine.csv"], ["mine.csv exists: name", "--overwrite"]),
        (["explain", "nowhere", "a", "--overwrite", "-o", "."], [". is not a regular file"]),
        (["predict", "nowhere", "a"], ["nowhere does not exist"]),
        (["evaluate", "RUN", "--file", "none.csv"], ["none.csv: ", "cannot be read"]),
        (["explain", "nowhere", "a"], ["nowhere does not exist"]),
        (["explain", "RUN", "a", "-o", "no/page.html"], ["no/page.html cannot be written"]),
        (["export", "nowhere", "--onnx"], ["nowhere does not exist"]),
        (["export", "RUN", "--onnx", "--file", "none.csv"], ["none.csv: ", "cannot be read"]),
        (["export", "RUN", "--onnx", "-o", "."], [", which was not written by lstm-sentiment"]),
    ],
)
def test_unusable_input_is_refused_in_one_line(
    run: str,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    facts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("mine")
    files = sorted(tmp_path.rglob("*"))
    assert main([run if word == "RUN" else word for word in words]) == 1
    check_message(capsys.readouterr().err, facts)
    assert sorted(tmp_path.rglob("*")) == files
    assert (tmp_path / "mine.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["predict", "RUN", "a", "--file", "b.csv"], ["either TEXT or --file"]),
        (["predict", "RUN", "a", "-o", "b.csv"], ["-o b.csv", "--file"]),
        (["predict", "RUN", "a", "--weights"], ["--weights", "--json"]),
        (["evaluate", "RUN", "RUN", "--file", "none.csv"], ["RUN", "once"]),
    ],
)
def test_options_that_do_not_fit_together_are_wrong_usage(
    capsys: Capture, words: list[str], facts: list[str]
) -> None:
    """They are refused with the exit code of argparse, before any file is read."""
    assert main(words) == 2
    check_message(capsys.readouterr().err, facts)


def check_message(error: str, facts: list[str]) -> None:
    assert all(fact in error for fact in facts), error
    assert error.count("\n") == 1
