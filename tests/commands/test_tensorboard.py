"""`lstm-sentiment tensorboard`: runs under readable names."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.commands.main import main
from lstm_sentiment.commands.tensorboard import link, readable_names
from lstm_sentiment.config import Config, DataConfig
from lstm_sentiment.runs.reader import read_runs
from tests.support.project import ROOT
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

    def tensorboard(command: list[str]) -> subprocess.CompletedProcess[str]:
        calls.append((command, sorted(path.name for path in Path(command[4]).iterdir())))
        return subprocess.CompletedProcess(command, 0 if len(calls) == 1 else 3)

    monkeypatch.setattr(subprocess, "run", tensorboard)
    assert main(["tensorboard", str(sweep), "--port", "6007"]) == 0
    [(command, names)] = calls
    tree = Path(command[4])
    assert command == [
        *(sys.executable, "-m", "tensorboard.main", "--logdir", str(tree)),
        *("--port", "6007"),
    ]
    assert len(names) == 5
    assert not tree.exists()
    assert main(["tensorboard", str(sweep)]) == 1
    assert "TensorBoard ended with exit code 3" in capsys.readouterr().err


def test_kill_ends_tensorboard_and_removes_the_links(sweep: Path, tmp_path: Path) -> None:
    """A stand-in for TensorBoard: a module that writes its process id and its folder, and waits."""
    package = tmp_path / "stand_in" / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    started = tmp_path / "started"
    (package / "main.py").write_text(
        "import os, sys, time; from pathlib import Path\n"
        f"draft = Path({str(tmp_path / 'draft')!r})\n"
        "draft.write_text(f'{os.getpid()} {sys.argv[2]}')\n"
        f"draft.rename({str(started)!r}); time.sleep(600)\n"
    )
    path = os.pathsep.join([str(package.parent), str(ROOT)])
    command = [sys.executable, "-m", "lstm_sentiment", "tensorboard", str(sweep)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) as process:
        deadline = time.monotonic() + 60
        while not started.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pid, tree = started.read_text().split(" ", 1)
        assert Path(tree).is_dir()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert not Path(tree).exists()


def test_ending_tensorboard_by_ctrl_c_is_no_failure(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert main(["tensorboard", str(sweep)]) == 0


def test_any_name_has_a_link(tmp_path: Path) -> None:
    for number, text in enumerate(("映" * 300, "映" * 300 + "b", "a\0/../b", "\x1b")):
        run = put_run(tmp_path / "sweep", Config(seed=number), answers(10), answers(10))
        amend(run, lambda record, text=text: record["config"]["data"].update(note=text))
    link(read_runs(tmp_path), tmp_path / "tree")
    names = [path.name for path in (tmp_path / "tree").iterdir()]
    assert len(names) == 4
    assert all(len(name.encode()) <= 200 for name in names)
    assert not any("\x1b" in name for name in names)
