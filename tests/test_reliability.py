"""Faults made on purpose: whatever happens, the same command typed again gives the same records."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import (
    TRAIN,
    Command,
    bound_by_permissions,
    context,
    disk_full_at,
    fill_cache,
    kill_after_first_removal,
)

RUNS = 4
Sweep = Callable[..., Command]


def small(cache: str, encoders: str = "lstm,gru") -> list[str]:
    """A sweep of seconds; with LSTMs alone, of one second."""
    return [
        "-m",
        "experiment=smoke",
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.max_epochs=4",
        "data.limit_train=400",
        "data.batch_size=16",
        "encoder.dropout=0.3",
        f"data.cache={cache}",
        f"encoder={encoders}",
        "head=max,avg",
    ]


def outcome(folder: Path) -> dict[str, Any]:
    """What each run of a sweep came to, by its name: all but times and memory."""
    runs = {}
    for file in folder.glob("runs/smoke/*/run.json"):
        record = json.loads(file.read_text())
        del record["cost"], record["environment"]
        for epoch in record["epochs"]:
            del epoch["seconds"]
        kept = ("model/model.safetensors", "model/vocab.json", "predictions.parquet")
        runs[record["name"]] = record, [(file.parent / name).read_bytes() for name in kept]
    return runs


def leftovers(folder: Path) -> list[str]:
    """What no finished run has."""
    known = {"checkpoints", "progress.json", "failed.json", ".lock"}
    return [p.name for p in folder.rglob("*") if p.name in known or p.name.startswith(".draft")]


def trained(*commands: Command) -> list[str]:
    """The names of the runs that the commands trained from the beginning."""
    text = "".join(command.text for command in commands)
    return sorted(
        re.findall(r"^(?:run \d of \d  )?(\S+)  .*\n.* parameters: .*\n  epoch 1 ", text, re.M)
    )


@pytest.fixture(scope="module")
def undisturbed(cache: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert Command(folder, *small(cache)).end() == 0
    found = outcome(folder)
    assert len(found) == RUNS
    return found


def assert_whole(folder: Path, undisturbed: dict[str, Any]) -> None:
    assert outcome(folder) == undisturbed
    assert not leftovers(folder)


@pytest.mark.slow
def test_kills_at_any_moment_change_nothing(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path, kills: int
) -> None:
    moments = random.Random(0)
    left, number = kills, 0
    while left:
        number += 1
        folder = tmp_path / str(number)
        while left and len(outcome(folder)) < RUNS:
            command = Command(folder, *small(cache))
            time.sleep(moments.uniform(0, 2.5))
            left -= command.end(signal.SIGKILL) == -signal.SIGKILL
        assert Command(folder, *small(cache)).end() == 0
        assert_whole(folder, undisturbed)


@pytest.mark.slow
def test_a_cache_whose_writer_is_killed_is_filled_by_the_next(cache: str, tmp_path: Path) -> None:
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
    contents = [
        {str(f.relative_to(root)): f.read_bytes() for f in Path(root).glob("*/*")}
        for root in (cache, tmp_path)
    ]
    assert {k: v for k, v in contents[0].items() if k in contents[1]} == contents[1]
    assert len(contents[1]) == 2 * 6


@pytest.mark.slow
def test_two_processes_share_a_sweep(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    pair = [Command(tmp_path, *small(cache)) for _ in range(2)]
    assert [command.end() for command in pair] == [0, 0]
    assert_whole(tmp_path, undisturbed)
    assert trained(*pair) == sorted(undisturbed)
    for command in pair:
        assert "ranked by validation" in command.text


def long(cache: str, epochs: int) -> list[str]:
    """One run of twentieths of a second an epoch, long enough to meet it while it trains."""
    return [*small(cache)[1:-2], f"trainer.max_epochs={epochs}", "early_stopping.patience=null"]


@pytest.mark.slow
def test_a_process_takes_over_from_one_that_died(cache: str, tmp_path: Path) -> None:
    holder = Command(tmp_path, *long(cache, 60))
    holder.wait_for("epoch 2 of")
    os.kill(holder.pid, signal.SIGSTOP)
    heir = Command(tmp_path, *long(cache, 60))
    heir.wait_for("Waiting for what other processes train")
    assert holder.end(signal.SIGKILL) == -signal.SIGKILL
    assert heir.end() == 0
    assert "taken over" in heir.text
    assert "goes on after epoch" in heir.text
    [(record, _)] = outcome(tmp_path).values()
    assert len(record["epochs"]) == 60


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_leaves_the_checkpoint_and_the_shells_exit_code(
    cache: str, tmp_path: Path, number: int, code: int
) -> None:
    command = Command(tmp_path, *long(cache, 400))
    command.wait_for("epoch 2 of")
    assert command.end(number) == code
    assert "Interrupted: the same command goes on where this one stopped." in command.text
    assert "Traceback" not in command.text
    assert [*tmp_path.glob("runs/smoke/*/checkpoints/epoch-*.*.ckpt")]
    assert set(leftovers(tmp_path)) == {"checkpoints", "progress.json"}
    again = Command(tmp_path, *long(cache, 400))
    again.wait_for("goes on after epoch")
    again.end(signal.SIGKILL)


def test_a_rerun_that_is_killed_while_it_clears_leaves_no_record_of_what_is_gone(
    cache: str, tmp_path: Path
) -> None:
    one = long(cache, 2)
    assert Command(tmp_path, *one).end() == 0
    killed = Command(tmp_path, *one, "rerun=true", before=(kill_after_first_removal,))
    assert killed.end() == -signal.SIGKILL
    assert not outcome(tmp_path)
    assert Command(tmp_path, *one).end() == 0
    assert len(outcome(tmp_path)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("file", ["epoch-3", "model.safetensors", "run.json"])
def test_a_full_disk_costs_no_more_than_the_run(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path, file: str, lasting: bool
) -> None:
    sweep = small(cache, "lstm")
    command = Command(tmp_path, *sweep, before=(disk_full_at, file, lasting))
    assert command.end() == 1
    assert "nothing more can be written (File too large): free some space" in command.text
    assert "Traceback" not in command.text
    assert not [name for name in leftovers(tmp_path) if name.startswith(".draft")]
    finished = outcome(tmp_path)
    assert len(finished) == (0 if lasting else 1)  # of two
    assert finished.items() <= undisturbed.items()
    if not lasting:
        assert "free some space" in command.text.partition("ranked by validation")[2]
        [failed] = tmp_path.glob("runs/smoke/*/failed.json")
        assert "Traceback" not in failed.read_text()
    assert Command(tmp_path, *sweep).end() == 0
    assert_whole(tmp_path, {n: run for n, run in undisturbed.items() if n.startswith("lstm")})


def test_a_cache_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    full = (disk_full_at, "offsets.npy", False)
    command = Command(tmp_path, *small(str(tmp_path / "cache")), before=full)
    assert command.end() == 1
    assert f"data.cache={tmp_path}/cache cannot be written" in command.text
    assert "Traceback" not in command.text
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "runs").exists()


def test_a_root_that_may_not_be_written_is_one_sentence(cache: str, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    command = Command(
        tmp_path, *small(cache), f"root={tmp_path}/locked", before=(bound_by_permissions,)
    )
    assert command.end() == 1
    sentence = f"root={tmp_path}/locked cannot be written (Permission denied): give a folder"
    assert command.text.count(sentence) == 1
    assert len(command.text.splitlines()) == 1
    assert not [*(tmp_path / "locked").iterdir()]


def test_more_memory_than_there_is_fails_the_run_alone(cache: str, tmp_path: Path) -> None:
    too_large = "10_000_000"  # weights of 1.6 PB, beyond any address space
    sizes = f"encoder.hidden_size=4,{too_large}"
    command = Command(tmp_path, *small(cache)[:-2], "encoder=lstm", "head=max", sizes)
    assert command.end() == 1
    assert "failed out of memory (" in command.text
    assert "a smaller data.batch_size may help" in command.text
    assert "Traceback" not in command.text
    assert len(outcome(tmp_path)) == 1


@pytest.mark.slow
def test_a_launcher_of_processes_gives_the_same_records(
    cache: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    command = [sys.executable, str(TRAIN), *small(cache), "hydra/launcher=joblib"]
    command += ["hydra.launcher.n_jobs=2", "encoder.hidden_size=8,-3"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert "encoder.hidden_size=-3 is not allowed" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "ranked by validation" in result.stdout
    for name in undisturbed:
        assert f"{name}  epoch 4 of 4" in result.stdout  # lines of two runs at once name theirs
    assert_whole(tmp_path, undisturbed)
