"""The type of the file system of a folder, from the list of mounts."""

import os
from pathlib import Path

import pytest

from lstm_sentiment.files import mounts
from lstm_sentiment.files.mounts import is_on_network, kinds_of_devices

# Lines of /proc/self/mountinfo; the number of optional fields before " - " varies.
MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:51 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw,vers=4.2
41 27 0:52 /a\\040b /scratch rw - lustre 10.0.0.1@tcp:/scratch rw
42 27 0:53 / /mnt/ssh rw,nosuid - fuse.sshfs user@host:/ rw
43 27 0:54 / /mnt/own rw,nosuid - fuse program rw
43 27 0:54 / /run rw shared:5 - tmpfs - rw
44 27 8:1 / /windows rw - fuseblk /dev/sda1 rw
"""


def test_the_types_of_file_systems_are_read_from_the_list_of_mounts() -> None:
    assert kinds_of_devices(MOUNTS) == {
        os.makedev(254, 0): "ext4",
        os.makedev(0, 51): "nfs4",
        os.makedev(0, 52): "lustre",
        os.makedev(0, 53): "fuse.sshfs",
        os.makedev(0, 54): "fuse",
        os.makedev(0, 54): "tmpfs",
        os.makedev(8, 1): "fuseblk",
    }


@pytest.mark.parametrize(
    ("device", "shared"),
    [((254, 0), False), ((0, 51), True), ((0, 52), True), ((0, 53), True), ((8, 1), False)],
)
def test_a_folder_that_does_not_exist_yet_will_be_on_the_file_system_above(
    device: tuple[int, int], shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
    mounts._kind.cache_clear()
    stat = os.stat

    def of_device(path: Path) -> os.stat_result:
        fields = [*stat(path)]
        fields[2] = os.makedev(*device)
        return os.stat_result(fields)

    monkeypatch.setattr(mounts.os, "stat", of_device)  # type: ignore[attr-defined]
    assert is_on_network(tmp_path / "not" / "there") is shared
    monkeypatch.undo()
    mounts._kind.cache_clear()
    assert not is_on_network(Path("/proc/self"))


def test_without_a_list_of_mounts_no_folder_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "missing")
    mounts._kind.cache_clear()
    assert not is_on_network(tmp_path)
    mounts._kind.cache_clear()
