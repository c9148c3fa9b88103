"""The file system that a folder is on: of this machine, or one that several machines may share."""

import os
from functools import lru_cache
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # of Linux, see proc_pid_mountinfo(5)
NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs"),
        *(
            "fuse",
            "glusterfs",
            "orangefs",
            "pvfs2",
            "panfs",
            "wekafs",
            "gfs2",
            "ocfs2",
            "9p",
            "virtiofs",
        ),
    }
)


def is_on_network(folder: Path) -> bool:
    """Return whether other machines may write to the folder, or to the place where it will be.

    File systems in user space count as shared, since their type does not tell. Only Linux is known
    to list the types; elsewhere, the answer is no.
    """
    kind = _kind(_device(folder.absolute()))
    return kind in NETWORK or kind.startswith("fuse.")


def _device(folder: Path) -> int:
    """Return the number of the device of a folder, or of the nearest one above it that exists."""
    for place in (folder, *folder.parents):
        try:
            return os.stat(place).st_dev  # noqa: PTH116 - Path.stat raises for some names
        except (OSError, ValueError):
            continue
    return 0


@lru_cache(maxsize=64)
def _kind(device: int) -> str:
    try:
        return kinds_of_devices(MOUNTS.read_text(errors="replace")).get(device, "")
    except OSError:
        return ""


def kinds_of_devices(mounts: str) -> dict[int, str]:
    """Return the type of the file system on each device, given the lines of `MOUNTS`."""
    kinds = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        major, _, minor = before.split()[2].partition(":")
        kinds[os.makedev(int(major), int(minor))] = after.split()[0]
    return kinds
