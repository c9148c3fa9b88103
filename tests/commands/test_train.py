"""`python train.py`: choices, sweeps, refused inputs. Tests of a whole process start one."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from lstm_sentiment.commands.sweep import Sweep
from lstm_sentiment.model.classifier import Classifier
from tests.support.project import ROOT, RunCommand

Break = Callable[[BaseException], None]


@pytest.fixture
def small(cache: str) -> list[str]:
    """Return the arguments of a run on few synthetic reviews."""
    return [
        "experiment=smoke",
        f"data.cache={cache}",
        "trainer=cpu",
        "data.limit_train=60",
        "data.batch_size=16",
        "data.limit_test=20",
    ]


@pytest.fixture
def break_gru(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Return a function that lets the forward pass of every GRU raise an exception."""
    forward = Classifier.forward

    def apply(error: BaseException) -> None:
        def broken(net: Classifier, *batch: Any) -> Any:
            if net.encoder.rnn.mode == "GRU":
                raise error
            return forward(net, *batch)

        monkeypatch.setattr(Classifier, "forward", broken)

    return apply


def records_in(folder: Path, sweep: str = "smoke") -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in folder.glob(f"runs/{sweep}/*/run.json")]


def test_help_lists_every_choice_without_importing_torch() -> None:
    code = (
        "import runpy, sys, atexit; sys.argv = ['train.py', '--help'];"
        "atexit.register(lambda: print('heavy:', {'torch', 'lightning'} & set(sys.modules)));"
        "runpy.run_path('train.py', run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for group in (folder for folder in (ROOT / "conf").iterdir() if folder.is_dir()):
        choices = ", ".join(sorted(file.stem for file in group.glob("*.yaml")))
        assert f"{group.name}: {choices}" in result.stdout
    assert "heavy: set()" in result.stdout


def test_a_sweep_trains_every_combination_and_ranks_them(
    train: RunCommand, small: list[str], tmp_path: Path
) -> None:
    code, text = train("-m", *small, "encoder=lstm,gru", "head=max,avg")
    assert code == 0
    choices = [record["choices"] for record in records_in(tmp_path)]
    assert {(choice["encoder"], choice["head"]) for choice in choices} == {
        ("lstm", "max"),
        ("lstm", "avg"),
        ("gru", "max"),
        ("gru", "avg"),
    }
    for number in range(1, 5):
        assert f"run {number} of 4" in text
    assert "ranked by validation" in text
    assert "lstm-sentiment report runs/smoke" in text
    assert [item.name for item in tmp_path.iterdir()] == ["runs"]  # no folders of Hydra


def test_finished_runs_of_a_sweep_are_skipped(train: RunCommand, small: list[str]) -> None:
    sweep = ["-m", *small, "encoder=lstm,gru"]
    train(*sweep)
    code, text = train(*sweep)
    assert code == 0
    assert text.count("is finished") == 2
    assert "epoch 1" not in text


def test_a_single_run_is_not_numbered(train: RunCommand, small: list[str]) -> None:
    code, text = train(*small)
    assert code == 0
    assert "run 1 of" not in text


def test_a_run_shows_its_scores_and_parameters(
    train: RunCommand, small: list[str], tmp_path: Path
) -> None:
    _, text = train(*small)
    [record] = records_in(tmp_path)
    for stage in ("train", "val"):
        scores = record["epochs"][0][stage]
        assert f"{stage} loss {scores['loss']:.3f}, accuracy {scores['accuracy']:.1%}" in text
    assert f"{record['cost']['parameters']:,} parameters" in text


def test_a_folder_is_named_by_sweep_network_and_seed(
    train: RunCommand, small: list[str], tmp_path: Path
) -> None:
    train(*small, "encoder=bilstm", "sweep=mine", "seed=4")
    [record] = records_in(tmp_path, "mine")
    assert record["sweep"] == "mine"
    assert record["name"].startswith("bilstm-last-s4-")


def test_two_spellings_of_a_network_are_one_run(train: RunCommand, small: list[str]) -> None:
    train(*small, "encoder=stacked_lstm")
    _, text = train(*small, "encoder=lstm", "encoder.num_layers=2")
    assert "is finished" in text


def test_a_failed_run_does_not_stop_the_sweep(
    train: RunCommand, small: list[str], tmp_path: Path, break_gru: Break
) -> None:
    break_gru(MemoryError("no room for the states\nsecond line"))
    code, text = train("-m", *small, "encoder=rnn,gru,lstm")
    assert code == 1
    assert sorted(r["choices"]["encoder"] for r in records_in(tmp_path)) == ["lstm", "rnn"]
    assert "failed in epoch 1: out of memory (no room for the states)" in text
    assert "Traceback" not in text


def test_an_interrupted_sweep_resumes_where_it_stopped(
    train: RunCommand,
    small: list[str],
    tmp_path: Path,
    break_gru: Break,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    break_gru(KeyboardInterrupt())
    sweep = ["-m", *small, "encoder=lstm,gru,rnn"]
    try:
        code, text = train(*sweep)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further signals
    assert code == 130
    assert "Interrupted" in text
    assert [record["choices"]["encoder"] for record in records_in(tmp_path)] == ["lstm"]
    assert not [*tmp_path.glob("runs/smoke/*/failed.json")]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, text = train(*sweep)
    assert code == 0
    assert text.count("is finished") == 1
    assert len(records_in(tmp_path)) == 3


def test_runs_of_a_failed_launcher_are_trained_in_this_process(
    train: RunCommand, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError("no more processes")

    monkeypatch.setattr(Sweep, "train", fail)  # the task of a launcher's process
    code, text = train("-m", *small, "encoder=lstm,gru")
    assert code == 0
    assert "launcher failed" in text
    assert sorted(r["choices"]["encoder"] for r in records_in(tmp_path)) == ["gru", "lstm"]


def test_an_invalid_combination_does_not_stop_the_sweep(
    train: RunCommand, small: list[str], tmp_path: Path
) -> None:
    code, text = train("-m", *small, "encoder.hidden_size=4,-3")
    assert code == 1
    assert [r["config"]["encoder"]["hidden_size"] for r in records_in(tmp_path)] == [4]
    refusals = [line for line in text.splitlines() if line.startswith("refused")]
    assert len(refusals) == 2  # in its turn, and at the end
    assert all("encoder.hidden_size" in line and "-3" in line for line in refusals)


@pytest.mark.parametrize(
    ("arguments", "patterns"),
    [
        (["encoder=foo"], ["encoder/foo", "bilstm", "gru"]),
        (["encoder.hidden_size=-3"], [r"encoder\.hidden_size.*-3"]),
        (["encoder.hidden_size=wide"], ["hidden_size", "wide"]),
        (["data.max_length=0"], [r"data\.max_length.*\b0\b"]),
        (["data.path=/nowhere"], ["data.path=/nowhere", "train.parquet"]),
        (["data=imdb"], ["Hugging Face hub", "data.path=", "data=synthetic"]),
        (["trainer.precision=fp8"], [r"trainer\.precision.*fp8", "32-true"]),
        (["head.kind=mean"], ["mean", "avg"]),
        (["heads=max"], ["heads is not a field: did you mean head?"]),
        (["encoder.hiden=3"], [r"encoder\.hiden is not .* did you mean encoder\.hidden_size\?"]),
        (["data.path=${nothing}"], ["nothing"]),
        (["--config-dir", "nowhere"], ["nowhere"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("mode", [[], ["-m"]], ids=["run", "multirun"])
def test_a_refused_command_names_the_value_and_leaves_no_folder(
    train: RunCommand, tmp_path: Path, mode: list[str], arguments: list[str], patterns: list[str]
) -> None:
    code, text = train(*mode, f"data.cache={tmp_path}/cache", *arguments)
    assert code == 1
    for pattern in patterns:
        assert re.search(pattern, text)
    assert "Traceback" not in text
    assert not [*tmp_path.iterdir()]


def test_a_glob_sweeps_the_matching_choices_of_a_group(train: RunCommand, small: list[str]) -> None:
    code, text = train("-m", *small, "head=glob(max*)")
    assert code == 0
    assert "run 2 of 2" in text


@pytest.mark.slow
def test_the_best_network_of_the_demo_reaches_90_percent(
    train: RunCommand, cache: str, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    code, _ = train(
        "-m", "experiment=demo", "encoder=lstm", "head=max", "trainer=cpu",
        f"trainer.threads={os.cpu_count() or 1}", f"data.cache={cache}",
    )  # fmt: skip
    torch.set_num_threads(threads)
    assert code == 0
    [record] = records_in(tmp_path, "demo")
    assert record["choices"]["head"] == "max"
    assert record["test"]["accuracy"] >= 0.9


def test_a_process_with_an_invalid_input_exits_with_1() -> None:
    result = subprocess.run(
        [sys.executable, "train.py", "data.path=/nowhere"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "data.path=/nowhere" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
