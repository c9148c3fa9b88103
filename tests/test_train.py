"""The command line: choices, sweeps, refusals. In this process, but for what needs a fresh one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Answer

from lstm_sentiment.model.classifier import Classifier

Train = Callable[..., Answer]


@pytest.fixture
def small(cache: str) -> list[str]:
    return [
        "experiment=smoke",
        f"data.cache={cache}",
        "trainer=cpu",
        "data.limit_train=60",
        "data.batch_size=16",
        "data.limit_test=20",
    ]


def test_help_lists_every_choice_and_imports_nothing_heavy() -> None:
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


def test_a_sweep_trains_every_combination_and_compares_them(
    train: Train, small: list[str], tmp_path: Path
) -> None:
    code, text = train("-m", *small, "encoder=lstm,gru", "head=max,avg")
    assert code == 0
    records = [json.loads(file.read_text()) for file in tmp_path.glob("runs/smoke/*/run.json")]
    assert {(r["choices"]["encoder"], r["choices"]["head"]) for r in records} == {
        ("lstm", "max"),
        ("lstm", "avg"),
        ("gru", "max"),
        ("gru", "avg"),
    }
    for number in range(1, 5):
        assert f"run {number} of 4" in text
    assert "ranked by validation" in text
    assert "lstm-sentiment report runs/smoke" in text
    assert [item.name for item in tmp_path.iterdir()] == ["runs"]  # nothing of Hydra's

    code, text = train("-m", *small, "encoder=lstm,gru", "head=max,avg")
    assert code == 0
    assert text.count("is finished; rerun=true trains it again") == 4
    assert "epoch 1" not in text


def test_one_run_is_no_sweep(train: Train, small: list[str], tmp_path: Path) -> None:
    code, text = train(*small, "encoder=bilstm", "sweep=mine", "seed=4")
    assert code == 0
    assert "run 1 of" not in text
    [file] = tmp_path.glob("runs/mine/bilstm-last-s4-*/run.json")
    record = json.loads(file.read_text())
    assert record["sweep"] == "mine"
    scores = record["epochs"][0]
    for stage in ("train", "val"):
        loss, accuracy = scores[stage]["loss"], scores[stage]["accuracy"]
        assert f"{stage} loss {loss:.3f}, accuracy {accuracy:.1%}" in text
    assert f"{record['cost']['parameters']:,} parameters: embedding" in text


def test_two_spellings_of_a_net_are_one_run(train: Train, small: list[str]) -> None:
    train(*small, "encoder=stacked_lstm")
    _, text = train(*small, "encoder=lstm", "encoder.num_layers=2")
    assert "is finished" in text


def test_a_run_that_fails_leaves_the_others_alone(
    train: Train, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Classifier.forward

    def broken(self: Classifier, *batch: object) -> object:
        if self.encoder.rnn.mode == "GRU":
            raise MemoryError("no room for the states\nsecond line")
        return whole(self, *batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "forward", broken)
    code, text = train("-m", *small, "encoder=rnn,gru,lstm")
    assert code == 1
    assert len([*tmp_path.glob("runs/smoke/*/run.json")]) == 2
    assert "failed in epoch 1: out of memory (no room for the states): a smaller" in text
    assert "Traceback" not in text
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    train: Train, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, handler = Classifier.forward, signal.getsignal(signal.SIGINT)

    def interrupted(self: Classifier, *batch: object) -> object:
        if self.encoder.rnn.mode == "GRU":
            raise KeyboardInterrupt
        return whole(self, *batch)  # type: ignore[arg-type]

    sweep = ["-m", *small, "encoder=lstm,gru,rnn"]
    try:
        with monkeypatch.context() as at_gru:
            at_gru.setattr(Classifier, "forward", interrupted)
            code, text = train(*sweep)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning turns it off
    assert code == 130
    assert "Interrupted: the same command goes on where this one stopped." in text
    assert [file.parent.name[:4] for file in tmp_path.glob("runs/smoke/*/run.json")] == ["lstm"]
    assert not [*tmp_path.glob("runs/smoke/*/failed.json")]
    code, text = train(*sweep)
    assert code == 0
    assert text.count("is finished") == 1
    assert len([*tmp_path.glob("runs/smoke/*/run.json")]) == 3


def test_a_combination_that_cannot_be_leaves_the_others_alone(
    train: Train, small: list[str], tmp_path: Path
) -> None:
    code, text = train("-m", *small, "encoder.hidden_size=4,-3")
    assert code == 1
    assert len([*tmp_path.glob("runs/smoke/*/run.json")]) == 1
    assert text.count("encoder.hidden_size=-3 is not allowed") == 2  # at once, and at the end


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encoder=foo"], ["encoder/foo", "bilstm", "gru"]),
        (["encoder.hidden_size=-3"], ["encoder.hidden_size=-3", "a whole number from 1 up"]),
        (["encoder.hidden_size=wide"], ["hidden_size", "wide"]),
        (["data.max_length=0"], ["data.max_length=0", "a whole number from 1 up"]),
        (["data.path=/nowhere"], ["data.path=/nowhere", "train.parquet"]),
        (["data=imdb"], ["Hugging Face hub", "data.path=", "data=synthetic"]),
        (["trainer.precision=fp8"], ["trainer.precision=fp8", "32-true"]),
        (["head.kind=mean"], ["mean", "avg"]),
        (["heads=max"], ["heads"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("mode", [[], ["-m"]], ids=["run", "multirun"])
def test_bad_input_gets_a_sentence_and_no_folder(
    train: Train, tmp_path: Path, mode: list[str], arguments: list[str], said: list[str]
) -> None:
    code, text = train(*mode, f"data.cache={tmp_path}/cache", *arguments)
    assert code == 1
    for words in said:
        assert words in text
    assert "Traceback" not in text
    assert not [*tmp_path.iterdir()]


def test_all_choices_of_a_group_can_be_swept_at_once(train: Train, small: list[str]) -> None:
    code, text = train("-m", *small, "head=glob(max*)")
    assert code == 0
    assert "run 2 of 2" in text


@pytest.mark.slow
def test_the_best_network_of_the_demo_reaches_90_percent(
    train: Train, cache: str, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    code, _ = train(
        "-m", "experiment=demo", "encoder=lstm", "head=max", "trainer=cpu",
        f"trainer.threads={os.cpu_count() or 1}", f"data.cache={cache}",
    )  # fmt: skip
    torch.set_num_threads(threads)
    assert code == 0
    [file] = tmp_path.glob("runs/demo/lstm-max-*/run.json")
    assert json.loads(file.read_text())["test"]["accuracy"] >= 0.9


def test_a_bad_input_ends_the_process_with_1() -> None:
    result = subprocess.run(
        [sys.executable, "train.py", "data.path=/nowhere"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "data.path=/nowhere" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
