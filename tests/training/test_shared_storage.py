"""Commands on several machines that share the folder of the runs, but no locks of the kernel.

The machines are namespaces of Linux: each has a host name and numbers of processes of its own.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.processes import (
    Command,
    another_machine,
    in_machine,
    other_machines_are_permitted,
    without_sync,
)
from tests.training.test_reliability import results_in, single_run

EPOCHS = 12  # of about a twentieth of a second
LOST = "has lost its lock"


@pytest.fixture(autouse=True, scope="module")
def _permitted() -> None:
    if not other_machines_are_permitted():
        pytest.skip("this system permits no namespaces")


def on_machine(name: str, folder: Path, cache: str) -> Command:
    return Command(folder, *single_run(cache, EPOCHS), before=(another_machine, name))


def the_one(commands: list[Command], words: str) -> Command:
    """Wait until one of the commands has printed the words, and return it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := [command for command in commands if words in command.text]:
            [one] = found
            return one
        time.sleep(0.02)
    raise AssertionError([command.text for command in commands])


@pytest.fixture(scope="module")
def undisturbed(cache: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert Command(folder, *single_run(cache, EPOCHS), before=(without_sync,)).end() == 0
    return results_in(folder)


@pytest.mark.slow
def test_one_of_the_waiting_machines_resumes_the_run_of_a_killed_one(
    cache: str, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    machines = [on_machine(name, tmp_path, cache) for name in ("a", "b", "c")]
    first = the_one(machines, "epoch 2 of")
    others = [machine for machine in machines if machine is not first]
    for other in others:
        other.wait_for("Waiting for runs")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = the_one(others, "resumes after epoch")
    assert [other.end() for other in others] == [0, 0]
    [idle] = [other for other in others if other is not second]
    assert "  epoch " not in idle.text
    assert "ranked by validation" in idle.text
    assert results_in(tmp_path) == undisturbed
    assert not [*tmp_path.rglob(".lock*")]


@pytest.mark.slow
def test_a_machine_that_wakes_after_another_has_taken_over_leaves_the_run_to_it(
    cache: str, tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    first = on_machine("a", tmp_path, cache)
    first.wait_for("epoch 2 of")
    paused = in_machine(first)
    os.kill(paused, signal.SIGSTOP)
    second = on_machine("b", tmp_path, cache)
    second.wait_for("resumes after epoch")
    os.kill(paused, signal.SIGCONT)
    first.wait_for(LOST)
    assert first.end() == second.end() == 0
    assert "failed" not in first.text + second.text
    assert results_in(tmp_path) == undisturbed
    assert not [*tmp_path.rglob(".lock*")]
    assert not [*tmp_path.rglob("failed.json")]
