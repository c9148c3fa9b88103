"""`lstm-sentiment tensorboard`: runs under readable names."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.commands.main import main
from lstm_sentiment.commands.tensorboard import TENSORBOARD, link, readable_names
from lstm_sentiment.config import Config, DataConfig
from lstm_sentiment.files.writing import remove_drafts
from lstm_sentiment.runs.reader import read_runs
from tests.support.processes import Program, alone, tensorboard_stand_in
from tests.support.records import DATA, amend, answers, put, put_run


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for padding, wrong in (("exact", 10), ("keras", 30)):
        for seed in (0, 1):
            config = Config(data=DataConfig(padding=padding), seed=seed)
            put_run(tmp_path / "sweep", config, answers(wrong), answers(wrong))
    begun: dict[str, Any] = {"schema": 1, "choices": {}, "config": {}}
    put(tmp_path / "sweep" / "gru-max-s0-12345678", config=begun)
    return tmp_path / "sweep"


def test_a_name_is_the_variant_and_the_seed(sweep: Path) -> None:
    folders = readable_names(read_runs(sweep))
    assert [*folders] == [
        "lstm-last data.padding=exact s0",
        "lstm-last data.padding=exact s1",
        "lstm-last data.padding=keras s0",
        "lstm-last data.padding=keras s1",
        "gru-max-s0-12345678",  # it has no record
    ]
    for name, folder in folders.items():
        assert folder.name == name if name.startswith("gru") else f"-s{name[-1]}-" in folder.name


def test_the_same_variant_on_another_data_set_has_another_name(tmp_path: Path) -> None:
    for fingerprint, wrong in (("1", 10), ("2", 20)):
        data = DATA | {"fingerprint": fingerprint}
        put_run(tmp_path / fingerprint, Config(), answers(wrong), answers(wrong), data=data)
    assert [*readable_names(read_runs(tmp_path))] == ["1 lstm-last s0", "2 lstm-last s0"]


def test_a_language_model_is_named_like_its_folder(sweep: Path) -> None:
    begun: dict[str, Any] = {"schema": 2, "pretraining": {}, "attempts": []}
    folder = put(sweep / "lstm-lm-s0-1", config=begun, pretraining={"perplexity": 60.0})
    folders = readable_names(read_runs(sweep, language_models=True))
    assert len(folders) == 6
    assert folders["lstm-lm-s0-1"] == folder


def test_links_lead_to_the_runs(sweep: Path, tmp_path: Path) -> None:
    runs = read_runs(sweep)
    link(runs, tmp_path / "tree")
    linked = {path.name: path.resolve() for path in (tmp_path / "tree").iterdir()}
    assert linked == {name: folder.resolve() for name, folder in readable_names(runs).items()}


def test_a_slash_in_a_name_is_replaced(tmp_path: Path) -> None:
    for text in ("a/b", "c"):
        config = Config()
        config.embedding.name = text
        put_run(tmp_path / "sweep", config, answers(10), answers(10))
    link(read_runs(tmp_path / "sweep"), tmp_path / "tree")
    names = {path.name for path in (tmp_path / "tree").iterdir()}
    assert names == {f"lstm-last embedding.name={text} s0" for text in ("a_b", "c")}


def test_tensorboard_gets_the_links_and_further_arguments(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def tensorboard(command: list[str], stdin: int) -> subprocess.CompletedProcess[str]:
        assert stdin > 2  # a pipe, not the terminal
        calls.append((command, sorted(path.name for path in Path(command[4]).iterdir())))
        return subprocess.CompletedProcess(command, 0 if len(calls) == 1 else 3)

    monkeypatch.setattr(subprocess, "run", tensorboard)
    assert main(["tensorboard", str(sweep), "--port", "6007"]) == 0
    [(command, names)] = calls
    tree = Path(command[4])
    assert command == [
        *(sys.executable, "-c", TENSORBOARD, "--logdir", str(tree)),
        *("--port", "6007"),
    ]
    assert len(names) == 5
    assert not tree.exists()
    assert main(["tensorboard", str(sweep)]) == 1
    assert "TensorBoard ended with exit code 3" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_end_of_the_command_ends_tensorboard(
    sweep: Path, tmp_path: Path, number: signal.Signals
) -> None:
    stand_in, scratch = tensorboard_stand_in(tmp_path / "stand_in"), tmp_path / "scratch"
    scratch.mkdir()
    command = Program(tmp_path, "tensorboard", str(sweep), before=(alone, scratch, stand_in))
    command.wait_for("TensorBoard ")
    tree = re.findall(r"TensorBoard (.+)$", command.text, re.M)[0]
    assert len([*Path(tree).iterdir()]) == 5
    code = command.end(number)  # waits for the end of TensorBoard, which holds the output
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in command.text
    assert "left alone" not in command.text
    assert Path(tree).parent == scratch
    if number == signal.SIGKILL:  # the next command removes what is left
        remove_drafts(scratch)
    assert not [*scratch.iterdir()]


def test_any_name_has_a_link(tmp_path: Path) -> None:
    texts = ("映" * 300, "映" * 300 + "b", "a\0/../b", "\x1b", "a:b", "a?b", "a|b")
    for number, text in enumerate(texts):
        run = put_run(tmp_path / "sweep", Config(seed=number), answers(10), answers(10))
        amend(run, lambda record, text=text: record["config"]["data"].update(note=text))
    link(read_runs(tmp_path), tmp_path / "tree")
    names = [path.name for path in (tmp_path / "tree").iterdir()]
    assert len(names) == len(texts)
    assert all(len(name.encode()) <= 200 for name in names)
    assert not any("\x1b" in name for name in names)
