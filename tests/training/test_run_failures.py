"""Runs that are refused, that fail, or whose records are newer than this version."""

import json
import math
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lstm_sentiment import InputError, RunError, run
from lstm_sentiment.files import locks
from lstm_sentiment.model.classifier import Classifier
from tests.support.project import MakeConfig, folder_of


def make_losses_nan(patch: pytest.MonkeyPatch) -> None:
    forward = Classifier.forward
    patch.setattr(Classifier, "forward", lambda *arguments: forward(*arguments) * math.nan)


def failure_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "failed.json").read_text())


# Refused runs


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {"source": "imdb", "path": "/nowhere"}}, "data.path=/nowhere"),
        ({"data": {"limit_train": 2}}, "data.limit_train=2"),
        ({"data": {"cache": "/dev/null/cache"}}, "data.cache=/dev/null/cache"),
        (
            {"trainer": {"threads": 100_000}},
            r"trainer\.threads must be at most \d+, .* \(got 100000",
        ),
    ],
)
def test_a_refused_run_leaves_no_folder(
    tiny: MakeConfig, fields: dict[str, Any], message: str
) -> None:
    config = tiny(**fields)
    with pytest.raises(InputError, match=message):
        run(config)
    assert not Path(config.root).exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"batch_size": 100_000}},
        {"embedding": {"kind": "glove", "path": "/nowhere/vectors.txt"}},
    ],
    ids=str,
)
def test_a_refused_run_leaves_no_cache_entry(
    tiny: MakeConfig, tmp_path: Path, fields: dict[str, Any]
) -> None:
    fields["data"] = {"cache": str(tmp_path / "cache"), **fields.get("data", {})}
    with pytest.raises(InputError):
        run(tiny(**fields))
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_root_is_refused(tiny: MakeConfig) -> None:
    with pytest.raises(InputError, match="root=/dev/null/runs"):
        run(replace(tiny(), root="/dev/null/runs"))


def test_a_root_whose_locks_have_no_effect_is_refused(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    monkeypatch.setattr(locks, "is_held", lambda lock: not lock.is_relative_to(config.root))
    with pytest.raises(InputError) as error:
        run(config)
    assert str(error.value).startswith(
        f"root={config.root} is on a file system whose locks have no effect"
    )


def test_a_missing_gpu_is_refused(tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_sentiment.training.runtime._cuda_problem", lambda: "no driver")
    with pytest.raises(InputError, match="trainer=gpu .*no driver"):
        run(tiny(trainer={"accelerator": "gpu"}))


def test_a_record_of_a_newer_schema_is_kept_without_rerun(tiny: MakeConfig) -> None:
    config = tiny(trainer={"max_epochs": 1})
    run(config)
    path = folder_of(config) / "run.json"
    newer = json.dumps(json.loads(path.read_text()) | {"schema": 3})
    path.write_text(newer)
    with pytest.raises(InputError, match=r"run\.json.* schema 3"):
        run(config)
    assert path.read_text() == newer
    assert run(replace(config, rerun=True))["schema"] == 2


# Failed runs


def test_a_nan_loss_fails_the_run_and_its_epoch_is_recorded(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_losses_nan(monkeypatch)
    with pytest.raises(RunError, match="loss is nan in epoch 1: a lower optimizer.lr") as error:
        run(tiny())
    folder = folder_of(tiny())
    failure = failure_of(folder)
    assert re.fullmatch("[0-9a-f]{16}", failure.pop("command"))
    assert failure == {"schema": 2, "epoch": 1, "reason": str(error.value)}
    assert (folder / "config.json").exists()
    assert not (folder / "run.json").exists()


def test_a_defect_is_recorded_with_its_traceback(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong_size = torch.zeros(1, requires_grad=True)
    monkeypatch.setattr(Classifier, "forward", lambda *_: wrong_size)
    with pytest.raises(RunError, match="ValueError: Target size"):
        run(tiny())
    failure = failure_of(folder_of(tiny()))
    assert failure["epoch"] == 1
    assert "Traceback" in failure["traceback"]


def test_the_next_attempt_removes_the_failure(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        make_losses_nan(patch)
        with pytest.raises(RunError):
            run(tiny())
    run(tiny())
    folder = folder_of(tiny())
    assert not (folder / "failed.json").exists()
    assert (folder / "run.json").exists()


def test_a_failure_after_fitting_has_no_epoch(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lstm_sentiment.training.train.save_model", disk_full)
    with pytest.raises(RunError, match="No space left"):
        run(tiny())
    assert failure_of(folder_of(tiny()))["epoch"] is None


def test_sigterm_exits_with_143_and_is_no_failure(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Classifier.forward

    def terminated(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return forward(*arguments)

    monkeypatch.setattr(Classifier, "forward", terminated)
    with pytest.raises(SystemExit) as stop:
        run(tiny())
    assert stop.value.code == 143
    assert not (folder_of(tiny()) / "failed.json").exists()
