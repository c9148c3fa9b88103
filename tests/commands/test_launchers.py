"""Sweeps on a real Ray cluster, in processes of submitit, and with a stand-in for Slurm."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Command, with_programs
from tests.support.ray_cluster import ray_cluster
from tests.support.slurm import stand_in_for_slurm
from tests.training.test_reliability import leftovers, results_in, small

TWICE = ["encoder=lstm,gru"]
EIGHT = [*TWICE, "head=max,avg", "seed=0,1", "trainer.max_epochs=12"]


def sweep(cache: str, *arguments: str) -> list[str]:
    return ["-m", *small(cache), "early_stopping.patience=null", *arguments]


def one_by_one(cache: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Return the results of a sweep without a launcher."""
    assert Command(folder, *sweep(cache, *arguments)).end() == 0
    return results_in(folder)


def busy_worker(command: Command) -> int:
    """Wait until a process of Ray trains a run, and return its number."""
    command.wait_for("epoch 3 of", 120)
    [number, *_] = re.findall(r"pid=(\d+).* epoch 3 of", command.text)
    return int(number)


def raylet_of(worker: int) -> int:
    """Return the number of the process that stands for the machine of a process of Ray."""
    return int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_runs_of_a_cluster_survive_its_dying_machines(
    cache: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    with ray_cluster(2) as address:
        ray = ["hydra/launcher=ray", f"hydra.launcher.address='{address}'"]
        first = Command(tmp_path, *sweep(cache, *EIGHT), *ray, "hydra.launcher.max_retries=0")
        worker = busy_worker(first)
        for process in (raylet_of(worker), worker):  # as if their machine had died
            os.kill(process, signal.SIGKILL)
        expected = one_by_one(cache, tmp_path_factory.mktemp("alone"), *EIGHT)
        assert len(expected) == 8
        assert first.end() == 1
        finished = results_in(tmp_path)
        assert finished.items() < expected.items()
        missing = len(expected) - len(finished)
        assert f"{missing} run" in first.text
        assert "of 8 not finished: the same command continues" in first.text
        assert first.text.count("its process died") == missing

        second = Command(tmp_path, *sweep(cache, *EIGHT), *ray)
        assert second.end() == 0
        assert f"{len(finished)} of 8 runs are finished." in second.text
        assert f"{missing} of {missing}: done" in second.text
        assert results_in(tmp_path) == expected

        third = Command(tmp_path, *sweep(cache, "encoder=rnn", "trainer.max_epochs=80"), *ray)
        os.kill(busy_worker(third), signal.SIGKILL)  # Ray starts the job again
        assert third.end() == 0
        assert "resumes after epoch" in third.text
    assert not leftovers(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["submitit_local", "submitit_slurm"])
def test_runs_of_submitit_are_those_of_this_process(
    launcher: str, cache: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    script = stand_in_for_slurm(tmp_path / "bin")
    arguments = [*sweep(cache, *TWICE), f"hydra/launcher={launcher}"]
    if launcher == "submitit_slurm":
        arguments += ["hydra.launcher.partition=long", "hydra.launcher.timeout_min=90"]
        arguments += ["+hydra.launcher.additional_parameters={mail-type: BEGIN}"]
        arguments += ["hydra.launcher.setup=[module load python]", "hydra.launcher.cores=2"]
    command = Command(tmp_path, *arguments, before=(with_programs, tmp_path / "bin"))
    expected = one_by_one(cache, tmp_path_factory.mktemp("alone"), *TWICE)
    assert command.end() == 0, command.text
    assert results_in(tmp_path) == expected
    assert len(expected) == 2
    if launcher == "submitit_local":
        logs = [*tmp_path.glob("runs/.submitit/*/*_log.out")]
        assert ["parameters" in log.read_text() for log in logs] == [True] * 2
    else:
        lines = script.read_text().splitlines()
        assert {
            "#SBATCH --array=0-1%2",
            "#SBATCH --cpus-per-task=2",
            "#SBATCH --job-name=lstm_sentiment",
            "#SBATCH --mail-type=BEGIN",
            "#SBATCH --mem=8GB",
            "#SBATCH --partition=long",
            "#SBATCH --time=90",
            "module load python",
        } <= {*lines}
        assert not [line for line in lines if "gpus" in line]
        assert "Submitted as job 42 of Slurm, which `scancel 42` ends." in command.text
