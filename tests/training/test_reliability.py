"""Kills, full disks and other faults: the same command, repeated, gives the same results."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.data.tokenized import FILES
from tests.support.processes import (
    TRAIN,
    Command,
    bound_by_permissions,
    context,
    disk_full_at,
    fill_cache,
    kill_after_first_removal,
)
from tests.support.project import results

RUNS = 4  # of `small_sweep`
TRAINING_STATE = {"checkpoints", "progress.json", "failed.json", ".lock"}  # of unfinished runs


def small(cache: str) -> list[str]:
    """Return the arguments of a run of less than a second."""
    return [
        "experiment=smoke",
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.max_epochs=4",
        "data.limit_train=400",
        "data.batch_size=16",
        "encoder.dropout=0.3",
        f"data.cache={cache}",
    ]


def small_sweep(cache: str, encoders: str = "lstm,gru") -> list[str]:
    """Return the arguments of a sweep of each encoder with two heads."""
    return ["-m", *small(cache), f"encoder={encoders}", "head=max,avg"]


def single_run(cache: str, epochs: int) -> list[str]:
    """Return the arguments of a run that trains all its epochs, each in a twentieth of a second."""
    return [*small(cache), f"trainer.max_epochs={epochs}", "early_stopping.patience=null"]


def results_in(folder: Path) -> dict[str, Any]:
    """Return the results of each finished run of the sweep, by the name of the run."""
    files = folder.glob("runs/smoke/*/run.json")
    return {file.parent.name: results(file.parent) for file in files}


def leftovers(folder: Path) -> list[str]:
    """Return the names of files that a folder with finished runs does not contain."""
    names = [path.name for path in folder.rglob("*")]
    return [name for name in names if name in TRAINING_STATE or name.startswith(".draft")]


def trained(*commands: Command) -> list[str]:
    """Return the names of the runs that the commands trained from the start."""
    text = "".join(command.text for command in commands)
    return sorted(
        re.findall(r"^(?:run \d of \d  )?(\S+)  .*\n.* parameters: .*\n  epoch 1 ", text, re.M)
    )


@pytest.fixture(scope="module")
def undisturbed(cache: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of the sweep without a fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert Command(folder, *small_sweep(cache)).end() == 0
    runs = results_in(folder)
    assert len(runs) == RUNS
    return runs


def assert_complete(folder: Path, undisturbed: dict[str, Any]) -> None:
    assert results_in(folder) == undisturbed
    assert not leftovers(folder)


# Killed and concurrent processes


@pytest.mark.slow
def test_a_sweep_killed_at_any_moment_gives_the_same_results(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path, kills: int
) -> None:
    moments = random.Random(0)
    left, number = kills, 0
    while left:
        number += 1
        folder = tmp_path / str(number)
        while left and len(results_in(folder)) < RUNS:
            command = Command(folder, *small_sweep(cache))
            time.sleep(moments.uniform(0, 1.5))
            left -= command.end(signal.SIGKILL) == -signal.SIGKILL
        assert Command(folder, *small_sweep(cache)).end() == 0
        assert_complete(folder, undisturbed)


@pytest.mark.slow
def test_a_cache_with_killed_writers_is_filled_by_the_next_writers(
    cache: str, tmp_path: Path
) -> None:
    fill_cache(cache)
    moments = random.Random(1)
    for _ in range(5):
        process = context.Process(target=fill_cache, args=(str(tmp_path),))
        process.start()
        time.sleep(moments.uniform(0, 2))
        process.kill()
        process.join()
    writers = [context.Process(target=fill_cache, args=(str(tmp_path),)) for _ in range(2)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    shared, own = (
        {str(file.relative_to(root)): file.read_bytes() for file in Path(root).glob("*/*")}
        for root in (cache, tmp_path)
    )
    assert {name: content for name, content in shared.items() if name in own} == own
    assert len(own) == 2 * (len(FILES) + 1)  # and the digests of the files


@pytest.mark.slow
def test_two_processes_share_a_sweep(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    pair = [Command(tmp_path, *small_sweep(cache)) for _ in range(2)]
    assert [command.end() for command in pair] == [0, 0]
    assert_complete(tmp_path, undisturbed)
    assert trained(*pair) == sorted(undisturbed)
    for command in pair:
        assert "ranked by validation" in command.text


@pytest.mark.slow
def test_a_waiting_process_resumes_the_run_of_a_killed_one(cache: str, tmp_path: Path) -> None:
    first = Command(tmp_path, *single_run(cache, 60))
    first.wait_for("epoch 2 of")
    os.kill(first.pid, signal.SIGSTOP)
    second = Command(tmp_path, *single_run(cache, 60))
    second.wait_for("Waiting for runs")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert second.end() == 0
    assert "taken over" in second.text
    assert "resumes after epoch" in second.text
    [run] = results_in(tmp_path).values()
    assert len(run["epochs"]) == 60


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_exits_with_the_code_of_shells_and_the_run_resumes(
    cache: str, tmp_path: Path, number: int, code: int
) -> None:
    command = Command(tmp_path, *single_run(cache, 400))
    command.wait_for("epoch 2 of")
    assert command.end(number) == code
    assert "Interrupted" in command.text
    assert "Traceback" not in command.text
    assert [*tmp_path.glob("runs/smoke/*/checkpoints/epoch-*.*.ckpt")]
    assert set(leftovers(tmp_path)) == {"checkpoints", "progress.json"}
    again = Command(tmp_path, *single_run(cache, 400))
    again.wait_for("resumes after epoch")
    again.end(signal.SIGKILL)


def test_a_rerun_killed_while_it_removes_files_leaves_no_record(cache: str, tmp_path: Path) -> None:
    run = single_run(cache, 2)
    assert Command(tmp_path, *run).end() == 0
    killed = Command(tmp_path, *run, "rerun=true", before=(kill_after_first_removal,))
    assert killed.end() == -signal.SIGKILL
    assert not results_in(tmp_path)
    assert Command(tmp_path, *run).end() == 0
    assert len(results_in(tmp_path)) == 1


# Disk, permissions and memory


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("file", ["epoch-3", "model.safetensors", "reviews-", "run.json"])
def test_a_full_disk_fails_the_run_that_needs_it(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path, file: str, lasting: bool
) -> None:
    sweep = small_sweep(cache, "lstm")
    command = Command(tmp_path, *sweep, before=(disk_full_at, file, lasting))
    assert command.end() == 1
    assert "(File too large): free some space" in command.text
    assert "Traceback" not in command.text
    assert not [name for name in leftovers(tmp_path) if name.startswith(".draft")]
    finished = results_in(tmp_path)
    assert len(finished) == (0 if lasting else 1)  # of two
    assert finished.items() <= undisturbed.items()
    if not lasting:
        assert "free some space" in command.text.partition("ranked by validation")[2]
        [failed] = tmp_path.glob("runs/smoke/*/failed.json")
        assert "Traceback" not in failed.read_text()
    assert Command(tmp_path, *sweep).end() == 0
    lstms = {name: run for name, run in undisturbed.items() if name.startswith("lstm")}
    assert_complete(tmp_path, lstms)


def test_a_full_disk_under_the_cache_refuses_the_command(tmp_path: Path) -> None:
    full = (disk_full_at, "offsets.npy", False)
    command = Command(tmp_path, *small_sweep(str(tmp_path / "cache")), before=full)
    assert command.end() == 1
    assert f"data.cache={tmp_path}/cache cannot be written" in command.text
    assert "Traceback" not in command.text
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "runs").exists()


def test_an_unwritable_root_refuses_the_command_on_one_line(cache: str, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    command = Command(
        tmp_path, *small_sweep(cache), f"root={tmp_path}/locked", before=(bound_by_permissions,)
    )
    assert command.end() == 1
    [line] = command.text.splitlines()
    assert f"root={tmp_path}/locked cannot be written (Permission denied)" in line
    assert not [*(tmp_path / "locked").iterdir()]


def test_a_run_out_of_memory_does_not_stop_the_sweep(cache: str, tmp_path: Path) -> None:
    too_large = "10_000_000"  # weights of 1.6 PB, beyond any address space
    sizes = f"encoder.hidden_size=4,{too_large}"
    command = Command(tmp_path, "-m", *small(cache), sizes)
    assert command.end() == 1
    assert "failed out of memory (" in command.text
    assert "data.batch_size" in command.text
    assert "Traceback" not in command.text
    assert len(results_in(tmp_path)) == 1


@pytest.mark.slow
def test_a_launcher_of_processes_gives_the_same_results(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    command = [sys.executable, str(TRAIN), *small_sweep(cache), "hydra/launcher=joblib"]
    command += ["hydra.launcher.n_jobs=2", "encoder.hidden_size=8,-3"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert "encoder.hidden_size must be" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "ranked by validation" in result.stdout
    for name in undisturbed:
        assert f"{name}  epoch 4 of 4" in result.stdout  # lines of concurrent runs begin with names
    assert_complete(tmp_path, undisturbed)
