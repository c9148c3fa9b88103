"""A Ray cluster of processes on this machine, for tests.

`python -m tests.support.ray_cluster WORKERS` prints its address and the process numbers of the
workers' raylets as JSON, and ends the cluster when its standard input is closed.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from tests.support.project import ROOT


class RayCluster(NamedTuple):
    """A cluster that is running."""

    address: str
    raylets: list[int]


@contextmanager
def ray_cluster(workers: int) -> Iterator[RayCluster]:
    """Run a head without cores, and workers with one core each, during the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_cluster", str(workers)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield RayCluster(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def main(workers: int) -> None:
    """Run a cluster until standard input ends."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1, wait=False) for _ in range(workers)]
    cluster.wait_for_nodes()
    raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
    print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
    sys.stdin.read()
    with suppress(Exception):  # a test may have killed some of the processes
        cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
