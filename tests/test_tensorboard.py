"""Runs side by side in TensorBoard, under the names that a report gives them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from records import answers, put, put_run

from lstm_sentiment.cli import main
from lstm_sentiment.config import Config, DataConfig
from lstm_sentiment.report.runs import read_runs
from lstm_sentiment.report.tensorboard import link, readable_names


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for padding, wrong in (("exact", 10), ("keras", 30)):
        for seed in (0, 1):
            config = Config(data=DataConfig(padding=padding), seed=seed)
            put_run(tmp_path / "sweep", config, answers(wrong), answers(wrong))
    begun: dict[str, Any] = {"schema": 1, "choices": {}, "config": {}}
    put(tmp_path / "sweep" / "gru-max-s0-12345678", config=begun)
    return tmp_path / "sweep"


def test_a_name_is_that_of_the_report_and_the_seed(sweep: Path) -> None:
    found = readable_names(read_runs(sweep))
    assert [*found] == [
        "lstm-last data.padding=exact s0",
        "lstm-last data.padding=exact s1",
        "lstm-last data.padding=keras s0",
        "lstm-last data.padding=keras s1",
        "gru-max-s0-12345678",  # without a record nothing more is known
    ]
    for name, folder in found.items():
        assert folder.name == name if name.startswith("gru") else f"-s{name[-1]}-" in folder.name


def test_the_same_net_on_other_reviews_has_another_name(tmp_path: Path) -> None:
    for fingerprint, wrong in (("1", 10), ("2", 20)):
        data = {"source": "imdb", "fingerprint": fingerprint, "train": 900, "val": 200, "test": 200}
        put_run(tmp_path / fingerprint, Config(), answers(wrong), answers(wrong), data=data)
    assert [*readable_names(read_runs(tmp_path))] == ["1 lstm-last s0", "2 lstm-last s0"]


def test_links_lead_to_the_runs(sweep: Path, tmp_path: Path) -> None:
    runs = read_runs(sweep)
    link(runs, tmp_path / "tree")
    linked = {path.name: path.resolve() for path in (tmp_path / "tree").iterdir()}
    assert linked == {name: folder.resolve() for name, folder in readable_names(runs).items()}


def test_a_slash_in_a_name_makes_no_folder(tmp_path: Path) -> None:
    for text in ("a/b", "c"):
        config = Config()
        config.embedding.name = text
        put_run(tmp_path / "sweep", config, answers(10), answers(10))
    link(read_runs(tmp_path / "sweep"), tmp_path / "tree")
    names = {path.name for path in (tmp_path / "tree").iterdir()}
    assert names == {f"lstm-last embedding.name={text} s0" for text in ("a_b", "c")}


def test_tensorboard_is_given_the_links_and_what_else_was_typed(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []

    def tensorboard(command: list[str]) -> subprocess.CompletedProcess[str]:
        shown.append((command, sorted(path.name for path in Path(command[4]).iterdir())))
        return subprocess.CompletedProcess(command, 0 if len(shown) == 1 else 3)

    monkeypatch.setattr(subprocess, "run", tensorboard)
    assert main(["tensorboard", str(sweep), "--port", "6007"]) == 0
    [(command, names)] = shown
    tree = Path(command[4])
    assert command == [
        *(sys.executable, "-m", "tensorboard.main", "--logdir", str(tree)),
        *("--port", "6007"),
    ]
    assert len(names) == 5
    assert not tree.exists()
    assert main(["tensorboard", str(sweep)]) == 1
    assert "TensorBoard ended with exit code 3" in capsys.readouterr().err


def test_to_end_tensorboard_is_no_failure(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert main(["tensorboard", str(sweep)]) == 0
