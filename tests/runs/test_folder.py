"""The files of a run: which of them may be removed, and what may not stand in their place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lstm_sentiment.display import Silent
from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.folder import MODEL, OWN_FILES, own_files, remove_own_files, start_over
from lstm_sentiment.runs.model_folder import CLASSES_FILE, MODEL_FILES

OWN = (
    *("config.json", "run.json", "failed.json", "progress.json", "predictions.parquet"),
    *("learning_curves.png", "confusion_matrix.png", "events.out.tfevents.1.host.2.0"),
    *("model/model.safetensors", "model/config.json", "model/vocab.json"),
    "checkpoints/epoch-2.0123456789abcdef.ckpt",
)
FOREIGN = (
    *("notes.txt", "run.json.bak", "onnx/model.onnx", "onnx/config.json", "onnx-int8/model.onnx"),
    *("model/notes.txt", "checkpoints/epoch-best.ckpt", "plots/learning_curves.png"),
)


class Messages(Silent):
    """A display that keeps its messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str, style: str = "") -> None:
        self.lines.append(f"{style} {text}")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return put_files(tmp_path / "gru-max-s0-1", OWN)


def put_files(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_files_of_others_stay_and_are_named(run: Path) -> None:
    put_files(run, FOREIGN)
    messages = Messages()
    start_over(run, messages)
    assert files_in(run) == {*FOREIGN}
    [line] = messages.lines
    assert "warning files of others stay" in line
    assert "(checkpoints, model, notes.txt …)" in line


def test_all_files_of_a_model_are_those_of_its_run() -> None:
    """The classes of a scikit-learn estimator are not written into a run."""
    assert {*OWN_FILES[MODEL]} >= MODEL_FILES - {CLASSES_FILE}


def test_only_files_of_the_run_leave_nothing_and_no_message(run: Path) -> None:
    locks = {".lock", ".lock-0123456789abcdef"}  # the second of an export that was killed
    put_files(run, (".draft-run.json-17", "model/.draft-0123456789abcdef", *locks))
    messages = Messages()
    start_over(run, messages)
    assert {path.name for path in run.iterdir()} == locks
    assert not messages.lines


def replace_by_link(path: Path) -> None:
    target = path.parents[1] / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("", replace_by_link, "gru-max-s0-1 is a link, but a run needs a folder there"),
        ("model", replace_by_link, "model is a link, but a run needs a folder there"),
        ("checkpoints", replace_by_link, "checkpoints is a link"),
        ("run.json", replace_by_link, "run.json is a link, but a run needs a file there"),
        ("model/config.json", replace_by_link, "model/config.json is a link"),
        ("learning_curves.png", replace_by_folder, "learning_curves.png is not a file"),
        ("config.json", replace_by_fifo, "config.json is not a file"),
    ],
)
def test_anything_else_in_their_place_is_refused_before_a_removal(
    run: Path, name: str, change: Callable[[Path], None], problem: str
) -> None:
    path = run / name
    change(path)
    before = files_in(run.parent)
    for function in (own_files, remove_own_files, lambda run: start_over(run, Silent())):
        with pytest.raises(InputError, match=problem):
            function(run)
    assert files_in(run.parent) == before


def test_a_broken_link_is_refused(run: Path) -> None:
    (run / "hparams.yaml").symlink_to(run / "nowhere")
    with pytest.raises(InputError, match=r"hparams\.yaml is a link"):
        own_files(run)
