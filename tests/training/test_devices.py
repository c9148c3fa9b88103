"""Runs of several processes: the results of one process, one writer, and failures that end all."""

import errno
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lstm_sentiment import Config, InputError, RunError, fit, run
from lstm_sentiment.config import updated
from lstm_sentiment.config_pretraining import PretrainingConfig
from lstm_sentiment.data.ranks import Ranks
from lstm_sentiment.runs.identity import fingerprint
from lstm_sentiment.training import processes, runtime, torchrun
from lstm_sentiment.training.follower import Follower
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.processes import Followers, job_config
from tests.support.followers import ForkedFollower, fork_followers, out_of_memory
from tests.support.processes import Command, torchrun_variables
from tests.support.project import (
    MakeConfig,
    RunCommand,
    folder_of,
    prediction_table,
    read_events,
    results,
    scalars,
    without_times,
)

WITHOUT_DROPOUT = {"encoder.dropout": 0.0, "embedding.dropout": 0.0}
# Nine reviews are seven for training, in batches of four and three, and two for validation.
UNEVEN = {"data.limit_train": 9, "data.limit_test": 7, "data.batch_size": 4}
NETWORKS: dict[str, dict[str, Any]] = {
    "lstm_max": {"head.kind": "max", **UNEVEN},
    # Everything that depends on all steps or on all predictions.
    "everything": {
        "encoder.cell": "gru",
        "encoder.num_layers": 2,
        "head.kind": "concat",
        "head.ngrams": 2,
        "data.limit_train": 121,
        "data.batch_size": 16,
        "data.class_weights": "balanced",
        "data.augment.drop": 0.2,
        "optimizer.average": 0.9,
        "optimizer.layer_decay": 0.5,
        "optimizer.unfreeze_every": 1,
        "optimizer.schedule": "one_cycle",
        "optimizer.weight_decay": 0.01,
        "objective.adversarial": 0.5,
        "early_stopping.patience": 1,
        "decision.calibration": "temperature",
        "decision.threshold": "f1",
        "trainer.max_epochs": 12,
    },
    # The last of three processes has no review in the last batch.
    "validation_free": {"data.val_fraction": 0.0, **UNEVEN, "data.limit_train": 13},
}
PROCESSES = {"lstm_max": 2, "everything": 2, "validation_free": 3}


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[ForkedFollower]:
    monkeypatch.setattr(runtime, "require_cores", lambda _: None)
    return fork_followers(monkeypatch)


@pytest.fixture
def make(tiny: MakeConfig) -> Any:
    """Return a function that makes a configuration without dropout."""

    def config(processes: int, values: dict[str, Any], **fields: Any) -> Config:
        small = tiny(optimizer={"lr": 0.03}, sweep=f"of{processes}", **fields)
        return updated(small, WITHOUT_DROPOUT | values | {"trainer.devices": processes})

    return config


def nearly(value: Any, tolerance: float = 2e-6) -> Any:
    """Return a value that equals others with nearly the same numbers."""
    if isinstance(value, dict):
        return {name: nearly(inner, tolerance) for name, inner in value.items()}
    if isinstance(value, list):
        return [nearly(inner, tolerance) for inner in value]
    return pytest.approx(value, abs=tolerance) if isinstance(value, float) else value


def tokens_of(record: dict[str, Any]) -> float:
    seconds = sum(epoch["seconds"] for epoch in record["epochs"])
    return record["cost"]["tokens_per_second"] * seconds


def files_in(folder: Path) -> list[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted("events" if "tfevents" in name else name for name in names)


# The results of one process


@pytest.mark.parametrize("name", NETWORKS)
def test_processes_give_the_results_of_one(
    make: Any, forked: list[ForkedFollower], name: str
) -> None:
    count = PROCESSES[name]
    alone, together = make(1, NETWORKS[name]), make(count, NETWORKS[name])
    expected, record = run(alone), run(together)
    assert len(forked) == count - 1
    assert record["name"] == expected["name"]
    assert record["environment"]["processes"] == count
    comparable = without_times(record)
    assert comparable["config"]["trainer"]["devices"] == count
    for each in (comparable, once := without_times(expected)):
        del each["sweep"], each["config"]["sweep"], each["config"]["trainer"]["devices"]
    assert comparable == nearly(once)
    assert tokens_of(record) == pytest.approx(tokens_of(expected))
    folder, other = folder_of(together), folder_of(alone)
    assert files_in(folder) == files_in(other)
    table, usual = prediction_table(folder), prediction_table(other)
    assert table.drop(columns="logit").equals(usual.drop(columns="logit"))  # each review once
    assert table["logit"].to_numpy() == pytest.approx(usual["logit"].to_numpy(), abs=2e-5)
    if name == "everything":
        assert record["best_epoch"] < len(record["epochs"]) < 12  # stopped early


@pytest.mark.usefixtures("forked")
def test_steps_are_logged_for_the_whole_batch(make: Any) -> None:
    losses = []
    for count in (1, 2):
        config = make(count, {**UNEVEN, "trainer.log_every_n_steps": 1})
        run(config)
        losses.append(scalars(read_events(folder_of(config)), "train/step_loss"))
    assert len(losses[0]) == 4
    assert losses[1] == nearly(losses[0])


def test_devices_do_not_change_the_fingerprint() -> None:
    devices = {"trainer.devices": 4, "trainer.num_nodes": 2, "trainer.strategy": "ddp"}
    assert fingerprint(updated(Config(), devices), "x") == fingerprint(Config(), "x")


def test_a_follower_has_the_configuration_of_the_leader(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"data.source": "reviews", "data.path": "x", "data.classes": ["a", "b"]}
    values |= {"embedding.kind": "glove", "embedding.dim": 100, "data.pseudo_labels": ["one"]}
    config = make(2, values)
    jobs = []

    def keep(followers: Followers, rank: int) -> Any:
        jobs.append(json.loads((followers.scratch / processes.JOB).read_text()))
        raise InterruptedError(rank)

    monkeypatch.setattr(Followers, "_started", keep)
    with (
        pytest.raises(InterruptedError),
        processes.trained_together(config, "a", "cpu", Path("epoch-1")),
    ):
        pass
    [job] = jobs
    assert job_config(job) == config
    assert (job["name"], job["device"], job["checkpoint"]) == ("a", "cpu", "epoch-1")


# Failures


def test_the_death_of_a_process_ends_the_run_and_the_same_command_resumes_it(
    make: Any, forked: list[ForkedFollower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, whose masks in a resumed epoch are those of an undisturbed one."""
    values = {
        "encoder.dropout": 0.3,
        "embedding.dropout": 0.2,
        "data.batch_size": 16,
        "trainer.max_epochs": 3,
        "optimizer.average": 0.9,
    }
    config = make(2, values)
    whole = replace(config, sweep="whole")
    run(whole)
    original, steps = processes.Ranks.added, []

    def added(ranks: Ranks, tensor: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 6 + 3:  # in the second epoch
            os.kill(forked[-1].pid or 0, signal.SIGKILL)
            started.append(time.monotonic())
        return original(ranks, tensor)

    started: list[float] = []
    with monkeypatch.context() as patch:
        patch.setattr(processes.Ranks, "added", added)
        with pytest.raises(RunError, match="process 1 of 2 was killed by SIGKILL"):
            run(config)
    assert time.monotonic() - started[0] < processes.PATIENCE
    folder = folder_of(config)
    failure = json.loads((folder / "failed.json").read_text())
    assert (failure["reason"], failure["epoch"]) == ("process 1 of 2 was killed by SIGKILL", 2)
    assert not (folder / "run.json").exists()
    record = run(config)
    assert [attempt["epoch"] for attempt in record["attempts"]] == [1, 2]
    found, expected = results(folder), results(folder_of(whole))
    for each in (found, expected):
        del each["sweep"], each["config"]["sweep"]
    assert found == expected


def test_the_reason_of_a_process_that_fails_is_that_of_the_run(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_followers(monkeypatch, out_of_memory)
    with pytest.raises(RunError, match=r"^process 1 of 2 failed: out of memory \(can't allocate"):
        run(make(2, UNEVEN))


@pytest.mark.usefixtures("forked")
def test_the_reason_of_the_leader_is_not_that_of_the_processes_that_lose_it(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        "lstm_sentiment.training.checkpoints.EpochCheckpoints.on_train_epoch_end", full
    )
    with pytest.raises(RunError, match="No space left on device"):
        run(make(2, UNEVEN))


@pytest.mark.usefixtures("forked")
def test_a_failure_of_all_is_told_once(make: Any) -> None:
    config = make(2, {**UNEVEN, "optimizer.lr": 1e30, "optimizer.clip": None})
    with pytest.raises(RunError, match=r"^the (train|val) loss is (nan|inf) in epoch 1"):
        run(config)
    assert json.loads((folder_of(config) / "failed.json").read_text())["epoch"] == 1


def test_a_process_that_does_not_start_is_reported(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "FOLLOWER", "no_such_module")
    expected = r"process 1 of 2 ended with exit code 1 \(.*No module named no_such_module\)"
    with pytest.raises(RunError, match=expected):
        run(make(2, UNEVEN))


def test_a_run_that_waits_in_vain_for_a_process_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(processes.os, "_exit", codes.append)
    monkeypatch.setattr(processes, "GRACE", 0.01)
    monkeypatch.setattr(processes, "POLL", 0.001)
    monkeypatch.setattr(processes, "FOLLOWER", "no_such_module")
    followers = Followers(tmp_path, {}, 2)
    while not codes:
        time.sleep(0.01)
    followers.end()
    assert codes[0] == 1
    assert "The run was ended: process 1 of 2 ended with exit code 1" in capsys.readouterr().err


def test_a_follower_refuses_another_run_and_a_checkpoint_that_it_cannot_read(
    make: Any, tmp_path: Path
) -> None:
    config = make(2, UNEVEN)
    plan = Plan.of(config)
    values = {name: value for name, value in processes.flat(config).items() if name != "compare"}
    del values["reference"]
    job = {"config": values, "name": "lstm-max-s0-0", "device": "cpu", "checkpoint": None}
    with pytest.raises(InputError, match="and the leader trains lstm-max-s0-0 on cpu: the reviews"):
        Follower(job, Ranks(1, 2, 1))
    job |= {"name": plan.folder.name, "checkpoint": str(tmp_path / "epoch-1.a.ckpt")}
    with pytest.raises(InputError, match="all nodes need the same folder root="):
        Follower(job, Ranks(1, 2, 1))


# Refusals


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"data.batch_size": 2, "trainer.devices": 3},
            "data.batch_size=2 is too small for 3 processes",
        ),
        ({"trainer.num_nodes": 2}, "trainer.num_nodes=2 needs torchrun"),
        ({"trainer.devices": 0}, "trainer.devices must be a whole number from 1 to 1024"),
        ({"trainer.strategy": "fsdp"}, "trainer.strategy must be one of auto, ddp"),
    ],
)
def test_devices_that_are_not_possible_are_refused(
    tiny: MakeConfig, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Plan.of(updated(tiny(), values))


def test_more_devices_than_gpus_are_refused(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "choose_device", lambda _: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="devices=3 needs as many GPUs, and 2 can be used here"):
        Plan.of(updated(tiny(), {"trainer.devices": 3}))


def test_reviews_in_memory_and_language_models_have_one_device(tiny: MakeConfig) -> None:
    config = updated(tiny(), {"trainer.devices": 2})
    with pytest.raises(InputError, match="devices=2 is not allowed with reviews in memory"):
        fit(["A gem.", "A bore."] * 20, ["pos", "neg"] * 20, config=config)
    with pytest.raises(InputError, match="devices=2 is not allowed for a language model"):
        updated(PretrainingConfig(), {"trainer.devices": 2})


@pytest.fixture
def by_torchrun(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process be the first of four that torchrun has started on two nodes."""
    variables = {"WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2, "RANK": 0, "LOCAL_RANK": 0}
    for name, value in {torchrun.IDENTITY: "a", **variables}.items():
        monkeypatch.setenv(name, str(value))
    return


@pytest.mark.usefixtures("by_torchrun")
def test_torchrun_and_the_configuration_agree(tiny: MakeConfig) -> None:
    with pytest.raises(InputError, match=r"give trainer.devices=2 trainer.num_nodes=2\.$"):
        Plan.of(updated(tiny(), {"trainer.devices": 4}))
    Plan.of(updated(tiny(), {"trainer.devices": 2, "trainer.num_nodes": 2}))


# Threads


def test_processes_share_the_threads_of_pytorch() -> None:
    threads = runtime._Threads()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        chosen = []
        for given, count in ((None, 1), (None, 2), (None, 8), (3, 2), (None, 1)):
            threads.choose(given, count)
            chosen.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert chosen == [4, 2, 1, 3, 4]


# Commands


def small(cache: str, *more: str) -> list[str]:
    return [
        "experiment=smoke", "trainer=cpu", "trainer.threads=1", "data.limit_train=60",
        "data.limit_test=20", "data.batch_size=16", f"data.cache={cache}", *more,
    ]  # fmt: skip


def followers_of(pid: int) -> list[int]:
    """Return the processes that a process has started, which stay the same until they end."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [*map(int, children.split())]


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_a_killed_command_leaves_no_process_and_the_same_sweep_resumes(
    cache: str, tmp_path: Path, train: RunCommand
) -> None:
    """The killed command starts its process as users' commands do."""
    sweep = ["-m", *small(cache, "trainer.devices=2", "head=max", "trainer.max_epochs=4")]
    command = Command(tmp_path, *sweep)
    command.wait_for("epoch 1 of 4")
    [follower] = followers_of(command.pid)
    command.end(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{follower}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{follower}").exists()
    code, text = train(*sweep)
    assert code == 0, text
    assert "resumes after epoch" in text
    assert len([*tmp_path.glob("runs/smoke/*/run.json")]) == 1


def commands_by_torchrun(folder: Path, *arguments: str) -> list[tuple[int, str]]:
    """Return exit code and output of both commands that torchrun would start on a machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = [
        Command(folder, *arguments, before=(torchrun_variables, rank, port)) for rank in (0, 1)
    ]
    return [(command.end(), command.text) for command in started]


@pytest.mark.slow
def test_commands_that_torchrun_starts_train_a_single_run(cache: str, tmp_path: Path) -> None:
    arguments = small(cache, "trainer.devices=2")
    (code, text), (other, nothing) = commands_by_torchrun(tmp_path, *arguments)
    assert (code, other, nothing) == (0, 0, ""), text + nothing
    assert "2 processes, each with a share of every batch" in text
    [record] = map(json.loads, (f.read_text() for f in tmp_path.glob("runs/smoke/*/run.json")))
    assert record["environment"]["processes"] == 2
    (code, text), (other, nothing) = commands_by_torchrun(tmp_path, *arguments)
    assert (code, other, nothing) == (0, 0, "")
    assert "is finished" in text
    (code, text), (other, nothing) = commands_by_torchrun(tmp_path, "-m", *arguments)
    assert (code, other, nothing) == (1, 0, "")
    assert "torchrun starts the processes of a single run: train it without -m." in text
