"""Kills of commands that write for users: the same command, repeated, leaves the same files."""

import random
import signal
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.support.networks import saved
from tests.support.processes import Program, alone, tensorboard_stand_in
from tests.support.project import MakeConfig, results
from tests.support.records import answers, network, put_run

ROWS = 4_000  # of the file that is predicted
COMMANDS = 20  # one more repetition for so many kills, since there are five commands


@pytest.fixture
def kills_of_one(kills: int) -> int:
    return max(1, kills // COMMANDS)


@pytest.fixture
def inputs(tmp_path: Path, tiny: MakeConfig) -> Path:
    """Return a folder with a model, runs and reviews."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    saved(folder / "model", tiny())
    put_run(folder / "sweep", network("gru"), None, answers(20))  # few plots
    (folder / "reviews.csv").write_text("text\n" + "not a very good film\n" * ROWS)
    return folder


def commands(inputs: Path, cache: str) -> dict[str, list[str]]:
    """Return each command, which writes into the folder in which it is started."""
    model, reviews = str(inputs / "model"), str(inputs / "reviews.csv")
    return {
        "export": ["export", model, "--int8", "-o", "exported"],
        "report": ["report", str(inputs / "sweep"), "-o", "report"],
        "predict": ["predict", model, "--file", reviews, "-o", "out.csv", "--overwrite"],
        "baseline": ["baseline", "data=synthetic", "data.limit_train=400", f"data.cache={cache}"],
    }


def content(folder: Path) -> dict[str, Any]:
    """Return the content of all files; of baselines, what does not depend on the time."""
    runs = {file.parent for file in folder.rglob("run.json")}
    files = {
        str(path.relative_to(folder)): path.read_bytes() if path.name != "run.json" else None
        for path in folder.rglob("*")
        if path.is_file()
    }
    return {**files, **{run.name: results(run) for run in runs}}


def moments(seconds: float) -> Iterator[tuple[float, signal.Signals]]:
    """Yield random moments within a time, and signals."""
    generator = random.Random(0)
    for number in cycle((signal.SIGKILL, signal.SIGTERM)):
        yield generator.uniform(0, seconds), number


@pytest.mark.slow
@pytest.mark.parametrize("name", ["export", "report", "predict", "baseline"])
def test_a_command_killed_at_any_moment_leaves_what_an_undisturbed_one_does(
    name: str, inputs: Path, cache: str, tmp_path: Path, kills_of_one: int
) -> None:
    if name == "export":
        pytest.importorskip("onnxruntime")
    words = commands(inputs, cache)[name]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = (alone, scratch)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    first = Program(undisturbed, *words, before=before)
    started = time.monotonic()
    assert first.end() == 0, first.text
    kill = moments(time.monotonic() - started)
    for _ in range(kills_of_one):
        for _ in range(2):
            command = Program(disturbed, *words, before=before)
            moment, number = next(kill)
            time.sleep(moment)
            code = command.end(number)
            assert code in (0, -number, 128 + number), command.text
            assert "Traceback" not in command.text
        last = Program(disturbed, *words, before=before)
        assert last.end() == 0, last.text
        assert content(disturbed) == content(undisturbed)
        assert not [*scratch.iterdir()]


@pytest.mark.slow
def test_tensorboard_killed_at_any_moment_leaves_no_process_and_no_links(
    inputs: Path, tmp_path: Path, kills_of_one: int
) -> None:
    before = (alone, tmp_path / "scratch", tensorboard_stand_in(tmp_path / "stand_in"))
    (tmp_path / "scratch").mkdir()
    kill = moments(0.6)
    for _ in range(2 * kills_of_one):
        moment, number = next(kill)
        command = Program(tmp_path, "tensorboard", str(inputs / "sweep"), before=before)
        time.sleep(moment)
        # `end` waits until all processes with this output have ended.
        assert command.end(number) in (-number, 128 + number), command.text
        assert "left alone" not in command.text
    last = Program(tmp_path, "tensorboard", str(inputs / "sweep"), before=before)
    last.wait_for("TensorBoard ")
    assert last.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert "Traceback" not in last.text
    assert not [*(tmp_path / "scratch").iterdir()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_predict_removes_the_draft(
    number: signal.Signals, inputs: Path, tmp_path: Path
) -> None:
    words = ["predict", str(inputs / "model"), "--file", str(inputs / "many.csv"), "-o", "out.csv"]
    (inputs / "many.csv").write_text("text\n" + "not a very good film\n" * 100 * ROWS)
    command = Program(tmp_path / "out", *words)
    while not [*(tmp_path / "out").glob(".draft-*")]:
        assert command.process.is_alive(), command.text
        time.sleep(0.01)
    assert command.end(number) == 128 + number
    assert "Traceback" not in command.text
    assert not [*(tmp_path / "out").iterdir()]
