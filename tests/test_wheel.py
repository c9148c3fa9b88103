"""A wheel in an environment of its own, used in an empty folder and without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.project import ROOT

SOURCES = (
    "lstm_sentiment",
    "conf",
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)
SMALL = ["data.limit_train=60", "data.limit_test=20", "data.batch_size=16", "data.cache=cache"]
SMALL += ["encoder.hidden_size=4", "trainer.max_epochs=1", "trainer=cpu"]

pytestmark = pytest.mark.slow


class Installation(NamedTuple):
    """The program of an installed wheel, and the folder in which it is called."""

    program: Path
    folder: Path

    def call(self, *words: str, code: int = 0) -> str:
        """Run `lstm-sentiment WORDS`; return its output."""
        result = subprocess.run(
            [self.program, *words],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout + result.stderr

    def runs(self, sweep: str) -> list[Path]:
        return sorted(self.folder.glob(f"runs/{sweep}/*/run.json"))


def build(source: Path, kind: str) -> Path:
    """Build a "wheel" or "sdist" of a folder; return its file."""
    target = source.parent / kind
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    [file] = target.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("build") / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    return build(source, "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install the wheel; its dependencies are those of the running environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    # Python does not process the .pth files of this folder: the checkout is not found through it.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "empty").mkdir()
    return Installation(python.with_name("lstm-sentiment"), folder / "empty")


@pytest.fixture(scope="module")
def run(installed: Installation) -> str:
    """Return the folder of a run that the installed program has trained."""
    installed.call("train", "data=synthetic", "sweep=one", *SMALL)
    [record] = installed.runs("one")
    return str(record.parent.relative_to(installed.folder))


def test_a_source_distribution_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build(wheel.parents[1] / "source", "sdist")
    shutil.unpack_archive(sdist, tmp_path)
    [source] = tmp_path.iterdir()
    again = build(source, "wheel")
    names = [sorted(zipfile.ZipFile(file).namelist()) for file in (wheel, again)]
    assert names[0] == names[1]
    assert {"lstm_sentiment/conf/config.yaml", "lstm_sentiment/py.typed"} <= set(names[0])
    assert {name.partition("/")[0].partition("-")[0] for name in names[0]} == {"lstm_sentiment"}


def test_the_package_is_not_the_checkout(installed: Installation) -> None:
    python = installed.program.with_name("python")
    code = "import lstm_sentiment; print(lstm_sentiment.__file__)"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    file = subprocess.run(
        [python, "-c", code], cwd=installed.folder, env=environment, capture_output=True, text=True
    ).stdout
    assert Path(file).is_relative_to(installed.program.parents[1])
    assert installed.call("--version").startswith("lstm-sentiment ")
    assert "experiment: architectures" in installed.call("train", "--help")


def test_it_trains_a_sweep_and_compares_it(installed: Installation) -> None:
    sweep = ["data=synthetic", "sweep=two", *SMALL]
    installed.call("train", "-m", "encoder=lstm,gru", *sweep)
    assert len(installed.runs("two")) == 2
    installed.call("baseline", *sweep)
    assert len(installed.runs("two")) == 4
    assert "4 done" in installed.call("status", "runs/two")
    installed.call("report", "runs/two")
    assert (installed.folder / "runs" / "two" / "report.html").exists()


def test_it_trains_an_experiment(installed: Installation) -> None:
    installed.call("train", "experiment=demo", *SMALL)
    assert len(installed.runs("demo")) == 4


def test_it_trains_experiments_of_the_user(installed: Installation) -> None:
    """They are in a folder laid out like conf/, which only --config-dir reads."""
    experiments = installed.folder / "conf" / "experiment"
    experiments.mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /data: synthetic\nencoder:\n  cell: gru\n"
    (experiments / "mine.yaml").write_text(text)
    assert "experiment/mine" in installed.call("train", "experiment=mine", code=1)
    installed.call("train", "experiment=mine", "--config-dir", "conf", *SMALL)
    installed.call("baseline", "--config-dir", "conf", "experiment=mine", *SMALL)
    names = [record.parent.name.partition("-s")[0] for record in installed.runs("mine")]
    assert names == ["gru-last", "ngrams-logistic", "ngrams-nb_svm"]


def test_it_inspects_data(installed: Installation) -> None:
    text = "text,label\n" + "".join(f"good film {n},1\nbad film {n},0\n" for n in range(20))
    (installed.folder / "reviews.csv").write_text(text)
    output = installed.call("data", "reviews.csv", "-o", "plots", "data.cache=cache")
    assert "reviews" in output
    assert (installed.folder / "plots" / "reviews_csv_lengths.png").exists()


def test_it_predicts_and_evaluates(installed: Installation, run: str) -> None:
    (installed.folder / "held_out.csv").write_text("text,label\nGood.,1\nBad.,0\n")
    assert "\tA gem." in installed.call("predict", run, "A gem.")
    installed.call("evaluate", run, "--file", "held_out.csv", "-o", "scores.json")
    assert len(json.loads((installed.folder / "scores.json").read_text())["networks"]) == 1


def test_it_explains_and_exports(installed: Installation, run: str) -> None:
    installed.call("explain", run, "A gem.", "-o", "why.html")
    assert "<td>gem</td>" in (installed.folder / "why.html").read_text()
    pytest.importorskip("onnxruntime")
    assert "exported" in installed.call("export", run)
    assert "\tA gem." in installed.call("predict", f"{run}/onnx", "A gem.")
