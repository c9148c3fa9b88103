"""The repository stays small enough to be cloned in seconds."""

import subprocess
from pathlib import Path

import pytest

from tests.support.project import ROOT

MOST = 25_000_000  # bytes of all tracked files
MOST_OF_A_FILE = 2_000_000
LARGER: set[str] = set()  # files that may be larger, each with the reason


@pytest.fixture(scope="module")
def sizes() -> dict[str, int]:
    """Bytes of each tracked file, by its path from the root."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    files = [Path(ROOT, name) for name in listed.stdout.split("\0") if name]
    if not files:  # an archive that was unpacked inside another checkout
        pytest.skip("not a git checkout")
    return {str(file.relative_to(ROOT)): file.stat().st_size for file in files if file.is_file()}


def test_tracked_files_are_small_together(sizes: dict[str, int]) -> None:
    assert sum(sizes.values()) < MOST


def test_no_tracked_file_is_large(sizes: dict[str, int]) -> None:
    assert {name for name, size in sizes.items() if size > MOST_OF_A_FILE} <= LARGER


def test_what_make_results_makes_below_results_is_not_tracked(sizes: dict[str, int]) -> None:
    kinds = {Path(name).name for name in sizes if name.startswith("results/")}
    assert kinds.isdisjoint({"report.html", "report.md", "comparison.csv", "runs.csv"})
    assert not [name for name in sizes if name.startswith("results/") and name.endswith(".svg")]
