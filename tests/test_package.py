"""What an installation needs: declared and pinned dependencies, and no module of one system."""

import ast
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lstm_sentiment import __version__
from lstm_sentiment.commands import choices
from tests.support.project import ROOT
from tests.support.requirements import EXTRAS, GROUPS, PROJECT, installed, requirements

PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
}


def imported(folder: Path) -> set[str]:
    """Return the packages that the modules in a folder import, anywhere in their code."""
    names: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    top = {name.partition(".")[0] for name in names}
    return top - set(sys.stdlib_module_names) - {"lstm_sentiment"}


def everything_needed() -> dict[str, str]:
    """Return the version of every installed package that the project needs, with all its extras."""
    build = [Requirement(line) for line in PROJECT["build-system"]["requires"]]
    return installed(requirements(*EXTRAS) + build)


def test_every_imported_package_is_a_declared_dependency() -> None:
    """A package that only comes along with another may vanish with its next version."""
    declared = {canonicalize_name(each.name) for each in requirements(*EXTRAS)}
    sources = metadata.packages_distributions()
    for name in imported(ROOT / "lstm_sentiment"):
        if name not in sources:
            pytest.skip(f"{name} is not installed: make test installs it")
        owners = set(map(canonicalize_name, sources[name]))
        assert owners & declared, f"{name} belongs to {owners}: add it to pyproject.toml"


def test_every_installed_package_has_its_pin() -> None:
    versions = everything_needed()
    assert len(versions) > 50
    wrong = {name: (got, PINS.get(name)) for name, got in versions.items() if PINS.get(name) != got}
    assert not wrong, "installed and pinned versions differ: run make lock"


def test_every_pin_of_an_installed_package_is_needed() -> None:
    everything = {canonicalize_name(each.name) for each in metadata.distributions()}
    assert not (PINS.keys() & everything) - everything_needed().keys() - {"wheel"}


def test_pins_satisfy_the_requirements() -> None:
    for needed in requirements(*EXTRAS):
        name = canonicalize_name(needed.name)
        if name != "lstm-sentiment":
            assert needed.specifier.contains(PINS[name]), needed


def test_the_packages_of_the_image_are_required_with_the_same_versions() -> None:
    """The group is installed without the dependencies of the project, which include PyTorch."""
    group = GROUPS["onnx-serving"]
    assert set(group) <= {*PROJECT["project"]["dependencies"], *EXTRAS["onnx"], *EXTRAS["serve"]}
    assert set(group) >= {*EXTRAS["onnx"], *EXTRAS["serve"]}


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_withdrawn_versions_of_lightning_are_excluded(version: str) -> None:
    [lightning] = [each for each in requirements() if each.name == "lightning"]
    assert version not in lightning.specifier
    assert "2.6.1" in lightning.specifier


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall("^version: (.*)$", citation, re.MULTILINE) == [__version__]
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_choices_are_those_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder conf/ where a command is run is not taken for the package's."""
    (tmp_path / "conf" / "encoder").mkdir(parents=True)
    (tmp_path / "conf" / "encoder" / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert choices._conf() == ROOT / "conf"
    assert "encoder=bilstm" in choices.choices()
    assert "encoder=mine" not in choices.choices()


def test_the_choices_of_an_installed_package_are_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "lstm_sentiment"
    (package / "conf").mkdir(parents=True)
    (tmp_path / "site-packages" / "conf").mkdir()  # of another package
    monkeypatch.setattr(choices, "PACKAGE", package)
    assert choices._conf() == package / "conf"


@pytest.mark.slow
def test_modules_that_windows_lacks_are_not_needed(tmp_path: Path, cache: str) -> None:
    """Import every module, train and predict without them."""
    code = f"""
import importlib, pkgutil, sys, warnings
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
warnings.filterwarnings("ignore", "only soft file lock", UserWarning)
import lstm_sentiment
for module in pkgutil.walk_packages(lstm_sentiment.__path__, "lstm_sentiment."):
    importlib.import_module(module.name)
from lstm_sentiment.commands.main import main
few = ["data.limit_train=60", "data.limit_test=20", "data.batch_size=16", "data.cache={cache}"]
assert main(["train", "experiment=smoke", "trainer=cpu", "encoder=gru", *few]) == 0
from pathlib import Path
[run] = Path("runs/smoke").glob("gru-*")
assert main(["status", "runs"]) == main(["predict", str(run), "A gem."]) == 0
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "1 done" in result.stdout
    assert re.search(r"^(positive|negative)\t0\.\d{4}\tA gem\.$", result.stdout, re.MULTILINE)
