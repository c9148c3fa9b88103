"""Pins of all packages: `make lock`, with a stand-in for pip."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.maintenance import lock

RESOLVED = {
    "3.11": {"torch": "2.13.0+cpu", "Sub_Package": "1.0"},
    "3.12": {"torch": "2.13.0", "only-on.312": "2.0"},
}


@pytest.mark.parametrize("keep", [True, False])
def test_pins_are_what_some_system_needs(
    keep: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pin that no system and Python needs is removed, even if pins are kept."""
    known: list[str] = []

    def pip(command: list[str], **_: Any) -> None:
        if "--report" not in command:
            return  # builds the packages that are published as source only
        known.append(Path(command[command.index("--constraint") + 1]).read_text())
        packages = RESOLVED[command[command.index("--python-version") + 1]]
        install = [{"metadata": {"name": n, "version": v}} for n, v in packages.items()]
        Path(command[command.index("--report") + 1]).write_text(json.dumps({"install": install}))

    (tmp_path / "constraints.txt").write_text("# pins\nforgotten==3.0\nsub-package==1.0\n")
    (tmp_path / "pyproject.toml").write_text((lock.ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    monkeypatch.setattr(lock, "PYTHONS", [*RESOLVED])
    monkeypatch.setattr(lock, "SYSTEMS", lock.SYSTEMS[:1])
    monkeypatch.setattr(lock.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr("sys.argv", ["lock", *(["--keep"] if keep else [])])
    lock.main()
    pins = "only-on-312==2.0\nsub-package==1.0\ntorch==2.13.0\n"
    assert (tmp_path / "constraints.txt").read_text() == lock.HEADER + pins
    assert ("forgotten==3.0" in known[0]) is keep
    assert "sub-package==1.0" in known[1]  # constrains the next resolution
