"""A Ray cluster of processes on this machine, for tests.

`python -m tests.support.ray_cluster WORKERS` prints its address, and ends the cluster when its
standard input is closed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.project import ROOT


@contextmanager
def ray_cluster(workers: int) -> Iterator[str]:
    """Run a head without cores, and workers with one core each, during the block.

    Yields the address of the cluster.
    """
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
        yield process.stdout.readline().strip()
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
    for _ in range(workers):
        cluster.add_node(num_cpus=1, wait=False)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    sys.stdin.read()
    with suppress(Exception):  # a test may have killed some of the processes
        cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
