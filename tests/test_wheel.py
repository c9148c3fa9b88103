"""A wheel in an environment of its own, used in an empty folder and without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

SOURCES = (
    "lstm_sentiment",
    "hydra_plugins",
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


# Runs one command after another, since each process would import PyTorch anew.
COMMANDS = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from hydra.core.global_hydra import GlobalHydra
from lstm_sentiment.commands.main import main
for line in sys.stdin:
    GlobalHydra.instance().clear()
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = main(json.loads(line))
    print(json.dumps([code, output.getvalue()]), flush=True)
"""


class Installation:
    """An installed wheel: its program, its interpreter, and the folder in which both are called."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.python, self.folder = program, program.with_name("python"), folder
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        self.process: subprocess.Popen[str] | None = None

    def run(self, *command: str | Path) -> str:
        """Run a command in a process of its own; return its output."""
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def call(self, *words: str, code: int = 0) -> str:
        """Run `lstm-sentiment WORDS` in the process that runs all commands; return its output."""
        if self.process is None:
            self.process = subprocess.Popen(
                [self.python, "-c", COMMANDS],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(words), file=self.process.stdin, flush=True)
        got, output = json.loads(self.process.stdout.readline())
        assert got == code, output
        assert "Traceback" not in output
        return output

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
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Install the wheel; its dependencies are those of the running environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    # Python does not process the .pth files of this folder: the checkout is not found through it.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    take_compiled_kernels(packages / "lstm_sentiment" / "model")
    (folder / "empty").mkdir()
    installation = Installation(python.with_name("lstm-sentiment"), folder / "empty")
    yield installation
    if (process := installation.process) is not None:
        process.communicate()


def take_compiled_kernels(installed: Path) -> None:
    """Copy what Numba has compiled for the checkout, which would take half a minute again."""
    model = ROOT / "lstm_sentiment" / "model"
    times = (model / "kernels.py").stat()  # Numba compares them
    os.utime(installed / "kernels.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    for file in model.glob("__pycache__/*.nb?"):
        shutil.copy(file, installed / "__pycache__" / file.name)


@pytest.fixture(scope="module")
def run(installed: Installation) -> str:
    """Return the folder of a run of the experiment that the installed program has trained."""
    installed.run(installed.program, "train", "experiment=demo", *SMALL)
    record, *_ = installed.runs("demo")
    return str(record.parent.relative_to(installed.folder))


def test_a_source_distribution_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build(wheel.parents[1] / "source", "sdist")
    shutil.unpack_archive(sdist, tmp_path)
    [source] = tmp_path.iterdir()
    again = build(source, "wheel")
    names = [sorted(zipfile.ZipFile(file).namelist()) for file in (wheel, again)]
    assert names[0] == names[1]
    assert {"lstm_sentiment/conf/config.yaml", "lstm_sentiment/py.typed"} <= set(names[0])
    top = {name.partition("/")[0].partition("-")[0] for name in names[0]}
    assert top == {"lstm_sentiment", "hydra_plugins"}
    # Other distributions have parts of this namespace, too.
    assert "hydra_plugins/__init__.py" not in names[0]


def test_the_package_is_not_the_checkout(installed: Installation) -> None:
    code = "import lstm_sentiment; print(lstm_sentiment.__file__)"
    file = installed.run(installed.python, "-c", code)
    assert Path(file).is_relative_to(installed.program.parents[1])
    assert installed.run(installed.program, "--version").startswith("lstm-sentiment ")
    assert "experiment: architectures" in installed.run(installed.program, "train", "--help")


@pytest.mark.usefixtures("run")
def test_it_trains_an_experiment_and_compares_its_runs(installed: Installation) -> None:
    assert len(installed.runs("demo")) == 4
    installed.call("baseline", "experiment=demo", *SMALL)
    assert len(installed.runs("demo")) == 6
    assert "6 done" in installed.call("status", "runs/demo")
    installed.call("report", "runs/demo")
    assert (installed.folder / "runs" / "demo" / "report.html").exists()


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
