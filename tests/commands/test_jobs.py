"""Runs as jobs of Ray and submitit: which runs become jobs, and what becomes of each."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from omegaconf import OmegaConf

from hydra_plugins.lstm_sentiment_launchers import JobLauncher
from lstm_sentiment.commands import launchers, ray_jobs, terminal
from lstm_sentiment.commands.jobs import Ended, Job
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.model.classifier import Classifier
from tests.support.project import ROOT, MakeConfig, RunCommand, folder_of

Starter = Callable[[str, Sequence[Job], Mapping[str, Any]], Iterator[Ended]]


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what the process of a job changes of itself."""
    monkeypatch.setattr(terminal, "IN_LAUNCHER", False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    torch.set_num_threads(1)


@pytest.fixture
def small(cache: str) -> list[str]:
    """Return the arguments of a sweep on few synthetic reviews, without its axes."""
    few = ["data.limit_train=60", "data.batch_size=16", "data.limit_test=20"]
    threads = ["trainer=cpu", "trainer.threads=1", "trainer.max_epochs=1"]
    return ["-m", "experiment=smoke", f"data.cache={cache}", *few, *threads]


class Cluster:
    """A stand-in for Ray: trains jobs in this process, except those of encoders that die."""

    def __init__(self, *dying: str) -> None:
        self.dying = dying
        self.jobs: list[Job] = []

    def __call__(self, _: str, jobs: Sequence[Job], settings: Mapping[str, Any]) -> Iterator[Ended]:
        self.jobs = [*jobs]
        for job in jobs:
            if job.choices["encoder"] in self.dying:
                yield Ended(job, death="the machine\nhas died")
            else:
                yield Ended(job, job.train())


@pytest.fixture
def on_cluster(
    train: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, list[Job]]]:
    """Return a function that runs a command on a stand-in for Ray, and returns its jobs, too."""
    monkeypatch.setattr("lstm_sentiment.commands.train.require_package", lambda _: None)

    def run(cluster: Cluster, *arguments: str) -> tuple[int, str, list[Job]]:
        monkeypatch.setattr(ray_jobs, "train", cluster)
        code, text = train(*arguments, "hydra/launcher=ray")
        return code, text, cluster.jobs

    return run


def encoders(folder: Path, name: str = "run.json") -> list[str]:
    """Return the encoders of the runs that have a file of this name."""
    return sorted(
        file.parent.name.partition("-")[0] for file in folder.glob(f"runs/smoke/*/{name}")
    )


OnCluster = Callable[..., tuple[int, str, list[Job]]]


def test_a_dead_worker_ends_neither_the_sweep_nor_its_run(
    on_cluster: OnCluster, small: list[str], tmp_path: Path
) -> None:
    sweep = [*small, "encoder=lstm,gru,rnn"]
    code, text, _ = on_cluster(Cluster("gru"), *sweep)
    assert code == 1
    assert encoders(tmp_path) == ["lstm", "rnn"]
    gru = next(line for line in text.splitlines() if "its process died" in line)
    assert gru.startswith("gru-last-s0-")
    assert gru.endswith("2 of 3: its process died: the machine has died")
    table = text.partition("ranked by validation")[2]
    assert f"{gru.split()[0]} missing: not begun" in table
    assert "1 run of 3 not finished: the same command continues." in table
    assert "taken over" not in text  # the command may run on a machine for logins

    code, text, jobs = on_cluster(Cluster(), *sweep)
    assert code == 0
    assert "2 of 3 runs are finished." in text
    assert [job.run.name for job in jobs] == [gru.split()[0]]
    assert encoders(tmp_path) == ["gru", "lstm", "rnn"]
    assert "not finished" not in text
    code, _, jobs = on_cluster(Cluster(), *sweep)
    assert (code, jobs) == (0, [])


def test_results_of_before_are_not_taken_for_those_of_a_rerun(
    on_cluster: OnCluster, small: list[str]
) -> None:
    assert on_cluster(Cluster(), *small)[0] == 0
    code, text, _ = on_cluster(Cluster("lstm"), *small, "rerun=true")
    assert code == 1
    assert "1 run of 1 not finished: the same command continues." in text
    assert on_cluster(Cluster(), *small, "rerun=true")[0] == 0


def test_runs_that_fail_or_are_refused_are_no_failures_of_the_launcher(
    on_cluster: OnCluster, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Classifier.forward

    def broken(net: Classifier, *batch: Any) -> Any:
        if net.encoder.rnn.mode == "GRU":
            raise ZeroDivisionError("a defect")
        return forward(net, *batch)

    monkeypatch.setattr(Classifier, "forward", broken)
    sweep = [*small, "encoder=lstm,gru", "encoder.hidden_size=8,-3"]
    code, text, jobs = on_cluster(Cluster(), *sweep)
    assert code == 1
    assert [job.choices["encoder"] for job in jobs] == ["lstm", "gru"]
    assert encoders(tmp_path) == ["lstm"]
    assert encoders(tmp_path, "failed.json") == ["gru"]
    assert "failed in epoch 1: ZeroDivisionError: a defect" in text
    assert "encoder.hidden_size must be" in text
    assert "not finished" not in text
    assert "launcher failed" not in text


def test_what_this_machine_lacks_is_no_reason_to_refuse_runs_for_others(
    on_cluster: OnCluster, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstm_sentiment.training.runtime._cuda_problem", lambda: "no driver")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    more = ["trainer=gpu", "trainer.threads=3", "seed=0,1"]
    code, text, jobs = on_cluster(Cluster("lstm"), *small, *more)
    assert code == 1
    assert [(job.cores, job.gpus) for job in jobs] == [(3, 1), (3, 1)]
    assert "2 runs of 2 not finished" in text
    # The machines of the jobs must have them; the reasons come back.
    code, text, jobs = on_cluster(Cluster(), *small, *more)
    assert code == 1
    assert text.count("trainer=gpu needs a working CUDA device (no driver)") >= 3
    assert "1 of 2: refused: trainer=gpu" in text


def test_two_names_of_one_run_are_one_job(on_cluster: OnCluster, small: list[str]) -> None:
    axes = ["encoder=lstm,stacked_lstm", "encoder.num_layers=2"]
    _, _, jobs = on_cluster(Cluster("lstm", "stacked_lstm"), *small, *axes)
    assert len(jobs) == 1


def test_a_job_has_the_command_of_its_parent(
    on_cluster: OnCluster, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_LOCKS", "heartbeat")
    code, _, jobs = on_cluster(Cluster(), *small, "seed=0,1")
    assert code == 0
    [token] = {job.variables["LSTM_SENTIMENT_COMMAND"] for job in jobs}
    assert {job.variables["LSTM_SENTIMENT_LOCKS"] for job in jobs} == {"heartbeat"}
    assert "LSTM_SENTIMENT_SCRATCH" not in jobs[0].variables
    for file in tmp_path.glob("runs/smoke/*/config.json"):
        assert json.loads(file.read_text())["command"] == token


def test_a_job_trains_in_the_folder_and_with_the_cores_of_the_command(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tiny(trainer={"threads": None, "max_epochs": 1}, seed=1)
    choices = {"encoder": "lstm", "head": "last", "embedding": "random", "data": "synthetic"}
    job = Job(tmp_path, config, choices, 2, 0, tmp_path, {"LSTM_SENTIMENT_COMMAND": "a"})
    os.chdir("/")
    assert job.train() == []
    assert Path.cwd() == tmp_path
    record = json.loads((folder_of(config) / "run.json").read_text())
    assert record["environment"]["threads"] == 2
    assert record["choices"] == choices


def test_a_job_on_a_machine_without_the_folder_is_refused(tiny: MakeConfig) -> None:
    job = Job(Path("a"), tiny(), {}, 1, 0, Path("/not/there"), {})
    [refusal] = job.train()
    assert refusal.endswith("does not share the folder /not/there (No such file or directory)")


def test_a_job_that_is_started_again_waits_for_the_process_that_is_about_to_die(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(trainer={"max_epochs": 1}, seed=2)
    choices = dict.fromkeys(("encoder", "head", "embedding", "data"), "a")
    job = Job(folder_of(config), config, choices, 1, 0, Path.cwd(), {"LSTM_SENTIMENT_COMMAND": "a"})
    folder = folder_of(config)
    folder.mkdir(parents=True)
    with sole_writer(folder / LOCK):
        job.train()  # another command holds the run
        assert "another process is training it" in capsys.readouterr().out
        (folder / "config.json").write_text(json.dumps({"command": "a"}))
        waits = []
        monkeypatch.setattr(
            "lstm_sentiment.commands.sweep.execute", lambda *_, wait: waits.append(wait)
        )
        job.train()
        assert waits == [True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra/launcher=ray"], "hydra/launcher=ray starts the runs of a sweep: add -m."),
        (
            ["-m", "hydra/launcher=ray", "trainer.threads=2", "hydra.launcher.cores=1"],
            "hydra.launcher.cores must be at least 2, the trainer.threads of all trainer.devices",
        ),
        (
            ["-m", "hydra/launcher=submitit_local", "trainer.threads=2", "hydra.launcher.cores=1"],
            "hydra.launcher.cores must be at least 2, the trainer.threads of all trainer.devices",
        ),
        (["-m", "hydra/launcher=ray", "hydra.launcher.core=1"], "hydra.launcher.core"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(
    arguments: list[str],
    message: str,
    train: RunCommand,
    small: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lstm_sentiment.commands.train.require_package", lambda _: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    code, text = train(*small[1:], *arguments)
    assert code == 1
    assert message in text
    assert "Traceback" not in text
    assert "epoch" not in text  # nothing is trained


def test_a_launcher_without_its_package_names_the_extra(
    train: RunCommand, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        launchers, "find_spec", lambda name: None if name == "submitit" else find_spec(name)
    )
    code, text = train(*small, "seed=0,1", "hydra/launcher=submitit_slurm")
    assert code == 1
    assert text.splitlines() == [
        "hydra/launcher=submitit_slurm needs the package submitit, which is not installed: "
        'pip install "lstm_sentiment[submitit]" installs it.'
    ]


@pytest.mark.parametrize("launcher", launchers.SETTINGS)
def test_settings_are_those_of_this_project(launcher: type[JobLauncher]) -> None:
    """Another plugin, which may be installed, has launchers of the same names."""
    launchers.register()
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = [f"hydra/launcher={launcher.name}", "root=elsewhere"]
        config = hydra.compose("config", overrides, return_hydra_config=True)
    settings = config.hydra.launcher
    assert settings._target_ == f"{launcher.__module__}.{launcher.__name__}"
    assert settings.get("folder", "elsewhere/.submitit/%j") == "elsewhere/.submitit/%j"
    assert OmegaConf.get_type(settings) is launchers.SETTINGS[launcher]
