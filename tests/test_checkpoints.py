"""What one epoch leaves for the next, and runs that go on from it."""

import json
import pickle
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lstm_sentiment import Config, run
from lstm_sentiment.config import Cell, EarlyStoppingConfig
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import run as running
from lstm_sentiment.training.board import Board
from lstm_sentiment.training.checkpoints import (
    BestEpoch,
    EpochCheckpoints,
    VerifiedCheckpointIO,
    latest,
)
from lstm_sentiment.training.run import Plan

Make = Callable[..., Config]
BATCHES = 6  # of an epoch: 96 of the 120 reviews, 16 at a time
KEPT = ("model/model.safetensors", "model/vocab.json", "predictions.parquet")


class Killed(BaseException):
    """Ends a run as abruptly as can be done from within: nobody handles it."""


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing them takes a good part of so small a run."""
    monkeypatch.setattr(running, "save_figures", lambda *_: None)
    monkeypatch.setattr(Board, "finish", lambda *_: None)


def folder_of(config: Config) -> Path:
    return Plan.of(config).folder


def outcome(config: Config) -> dict[str, Any]:
    """What a run came to: all but its place, times and memory."""
    folder = folder_of(config)
    record = json.loads((folder / "run.json").read_text())
    del record["cost"], record["environment"], record["sweep"], record["config"]["sweep"]
    for epoch in record["epochs"]:
        del epoch["seconds"]
    return record | {name: (folder / name).read_bytes() for name in KEPT}


def attempt(
    monkeypatch: pytest.MonkeyPatch,
    config: Config,
    step: str = "training_step",
    last: int | None = None,
) -> int:
    """Trains the run, up to this call of the module's step if given; how many calls that took."""
    whole, calls = getattr(SentimentModule, step), 0

    @wraps(whole)  # Lightning looks at the arguments
    def counted(self: SentimentModule, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == last:
            raise Killed
        return whole(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SentimentModule, step, counted)
        with pytest.raises(Killed) if last else nullcontext():
            run(config)
    return calls


def checkpoints_of(config: Config) -> list[str]:
    return sorted(path.name.split(".")[0] for path in folder_of(config).glob("checkpoints/*"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# The best epoch


@pytest.fixture
def module(tiny: Make) -> SentimentModule:
    config = tiny()
    return SentimentModule(Classifier(config, 10), config.optimizer)


def watched(
    best: BestEpoch, module: SentimentModule, scores: Sequence[float | None], score: str = "loss"
) -> SimpleNamespace:
    """Epochs with these scores on validation, until it stops; weights tell which epoch it was."""
    trainer = SimpleNamespace(should_stop=False, current_epoch=len(module.history))
    for value in scores:
        if trainer.should_stop:
            break
        module.history.append({"train": {}, "val": None if value is None else {score: value}})
        module.classifier.output.bias.data.fill_(len(module.history))
        best.on_train_epoch_end(trainer, module)
        trainer.current_epoch += 1
    return trainer


def kept(best: BestEpoch) -> tuple[int, float]:
    return best.epoch, best.weights["classifier.output.bias"].item()


@pytest.mark.parametrize(
    ("score", "values", "epoch"),
    [
        ("loss", [0.5, 0.3, 0.4], 2),
        ("accuracy", [0.5, 0.3, 0.4], 1),
        ("loss", [0.5, 0.4, 0.3], 3),
        ("f1", [0.5, 0.3, 0.6], 3),
        ("loss", [0.5, 0.3, 0.3], 2),
        ("accuracy", [0.3, 0.5, 0.5], 2),
        ("auroc", [0.0, 0.0, 0.0], 1),
        ("loss", [None, None, None], 3),
    ],
)
def test_the_best_epoch_is_kept_and_of_equals_the_first(
    module: SentimentModule, score: str, values: list[float | None], epoch: int
) -> None:
    best = BestEpoch(EarlyStoppingConfig(f"val/{score}", None))
    watched(best, module, values, score)
    assert kept(best) == (epoch, epoch)
    assert best.weights.keys() == module.state_dict().keys()


@pytest.mark.parametrize(
    ("score", "patience", "values", "stops"),
    [
        ("loss", 1, [0.5, 0.6, 0.1], 2),
        ("loss", 1, [0.5, 0.5, 0.1], 2),
        ("accuracy", 1, [0.5, 0.6, 0.1, 0.7], 3),
        ("loss", 2, [0.5, 0.6, 0.4, 0.45, 0.6, 0.1], 5),
        ("loss", 3, [0.5, 0.6, 0.6, 0.6], 4),
        ("loss", 4, [0.5, 0.6, 0.6, 0.6], None),
        ("loss", None, [0.5, *[0.6] * 20], None),
        ("loss", 1, [None] * 20, None),
    ],
)
def test_training_stops_when_its_patience_is_spent(
    module: SentimentModule,
    score: str,
    patience: int | None,
    values: list[float | None],
    stops: int | None,
) -> None:
    best = BestEpoch(EarlyStoppingConfig(f"val/{score}", patience))
    trainer = watched(best, module, values, score)
    assert trainer.should_stop == (stops is not None)
    assert len(module.history) == (stops or len(values))


@pytest.mark.parametrize(("values", "epoch", "stops"), [([0.3], 4, False), ([0.5], 2, True)])
def test_the_best_epoch_outlives_the_process(
    module: SentimentModule, values: list[float | None], epoch: int, stops: bool
) -> None:
    config = EarlyStoppingConfig("val/loss", patience=2)
    before, after = BestEpoch(config), BestEpoch(config)
    watched(before, module, [0.5, 0.4, 0.6])
    after.load_state_dict(before.state_dict())
    assert kept(after) == (2, 2)
    assert watched(after, module, values).should_stop == stops
    assert kept(after) == (epoch, epoch)


@pytest.mark.parametrize(
    ("values", "stops"), [([0.5, 0.4, 0.5], False), ([0.5, 0.6, 0.6], True), ([], False)]
)
def test_where_the_patience_was_spent_there_is_no_further_epoch(
    module: SentimentModule, values: list[float | None], stops: bool
) -> None:
    config = EarlyStoppingConfig("val/loss", patience=2)
    before, after = BestEpoch(config), BestEpoch(config)
    watched(before, module, values)
    after.load_state_dict(before.state_dict())
    trainer: Any = SimpleNamespace(should_stop=False, current_epoch=len(values))
    after.on_train_start(trainer, module)
    assert trainer.should_stop == stops


# The files


def save(folder: Path, *epochs: int) -> None:
    for epoch in epochs:
        content = {"epoch": epoch, "weights": {"bias": torch.full((3,), float(epoch))}}
        VerifiedCheckpointIO().save_checkpoint(content, folder / f"epoch-{epoch}.ckpt")


def load(path: Path | None) -> int:
    assert path is not None
    content = VerifiedCheckpointIO().load_checkpoint(path)
    assert content["weights"]["bias"].tolist() == [content["epoch"]] * 3
    return int(content["epoch"])


def of(folder: Path, epoch: int) -> Path:
    [path] = folder.glob(f"epoch-{epoch}.*")
    return path


def test_two_checkpoints_are_kept_and_the_newest_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    keeper = EpochCheckpoints(folder)
    for number in range(12):
        trainer: Any = SimpleNamespace(
            current_epoch=number,
            save_checkpoint=lambda path: save(path.parent, int(path.stem.removeprefix("epoch-"))),
        )
        keeper.on_train_epoch_end(trainer, trainer)
        found, damaged = latest(folder)
        assert load(found) == number + 1
        assert damaged == []
        assert {load(path) for path in folder.iterdir()} == {max(1, number), number + 1}


def test_a_checkpoint_holds_plain_values_only(tmp_path: Path) -> None:
    VerifiedCheckpointIO().save_checkpoint({"a": Fraction(1, 2)}, tmp_path / "epoch-1.ckpt")
    with pytest.raises(pickle.UnpicklingError, match="Fraction"):
        VerifiedCheckpointIO().load_checkpoint(of(tmp_path, 1))


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_passed_over_and_named(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    save(tmp_path, 8, 9, 10)
    eight, nine, ten = (of(tmp_path, epoch) for epoch in (8, 9, 10))
    assert latest(tmp_path) == (ten, [])
    damage(nine)
    assert latest(tmp_path) == (ten, [])
    damage(ten)
    assert latest(tmp_path) == (eight, [ten, nine])
    damage(eight)
    assert latest(tmp_path) == (None, [ten, nine, eight])


def test_what_is_no_checkpoint_is_no_damaged_one(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") == (None, [])
    for name in ("notes.txt", "last.ckpt", "epoch-7.ckpt", ".draft-epoch-7.00.ckpt-1"):
        (tmp_path / name).touch()
    assert latest(tmp_path) == (None, [])
    save(tmp_path, 2)
    assert latest(tmp_path) == (of(tmp_path, 2), [])


# Whole runs


@pytest.mark.parametrize("cell", Cell)
def test_a_run_broken_off_within_an_epoch_ends_as_if_it_had_not_been(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, cell: Cell
) -> None:
    config = tiny(
        encoder={
            "cell": cell,
            "num_layers": 2,
            "bidirectional": True,
            "dropout": 0.3,
            "recurrent_dropout": 0.2,
        },
        embedding={"dropout": 0.25},
        optimizer={"name": "adamw", "lr": 0.03, "weight_decay": 0.1},
        data={"batch_size": 16},
        trainer={"max_epochs": 3},
        seed=5,
    )
    whole = replace(config, sweep="whole")
    run(whole)
    attempt(monkeypatch, config, last=BATCHES + 3)
    assert checkpoints_of(config) == ["epoch-1"]
    assert not (folder_of(config) / "run.json").exists()
    assert attempt(monkeypatch, config) == 2 * BATCHES
    assert outcome(config) == outcome(whole)


@pytest.fixture(scope="module")
def undisturbed(cache: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Any]:
    """A run of four epochs, and what it came to."""
    from conftest import tiny_config

    config = tiny_config(
        cache,
        str(tmp_path_factory.mktemp("undisturbed")),
        data={"batch_size": 16},
        optimizer={"lr": 0.03},
        trainer={"max_epochs": 4, "enable_progress_bar": True},
    )
    run(config)
    return config, outcome(config)


@pytest.mark.parametrize(
    ("step", "last", "left"),
    [
        ("training_step", 2 * BATCHES + 1, 2),  # between two epochs
        ("validation_step", 2, 3),  # in the second epoch, all of which was trained
        ("validation_step", 5, 0),  # of the kept weights, after the last epoch
    ],
)
def test_wherever_a_run_is_broken_off_it_ends_the_same(
    undisturbed: tuple[Config, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    last: int,
    left: int,
) -> None:
    config, expected = replace(undisturbed[0], root=str(tmp_path)), undisturbed[1]
    attempt(monkeypatch, config, step, last)
    assert attempt(monkeypatch, config) == left * BATCHES
    assert outcome(config) == expected


def test_a_run_without_validation_goes_on_as_well(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(
        data={"batch_size": 16, "val_fraction": 0.0},
        optimizer={"lr": 0.03, "schedule": "constant"},
    )
    whole = replace(config, sweep="whole")
    run(whole)
    assert attempt(monkeypatch, config, last=10) == 10
    assert attempt(monkeypatch, config) == 8  # batches of an epoch
    assert outcome(config) == outcome(whole)


def test_a_run_that_had_stopped_early_goes_on_without_another_epoch(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(
        optimizer={"lr": 0.1},
        data={"batch_size": 16},
        early_stopping={"patience": 1},
        trainer={"max_epochs": 30},
    )
    whole = replace(config, sweep="whole")
    record = run(whole)
    assert record["best_epoch"] < len(record["epochs"]) < 30
    best = record["epochs"][record["best_epoch"] - 1]["val"]
    assert record["val"]["loss"] == pytest.approx(best["loss"])
    attempt(monkeypatch, config, "test_step", 1)
    assert attempt(monkeypatch, config) == 0
    assert outcome(config) == outcome(whole)


@pytest.mark.parametrize(
    ("damage", "warning", "left"),
    [
        ({2: truncate}, "the one before it is used", ["epoch-1"]),
        ({1: flip, 2: truncate}, "the run starts afresh", []),
        ({1: flip}, "", ["epoch-1", "epoch-2"]),
    ],
)
def test_a_damaged_checkpoint_costs_an_epoch_and_a_warning(
    undisturbed: tuple[Config, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: dict[int, Callable[[Path], None]],
    warning: str,
    left: list[str],
) -> None:
    config, expected = replace(undisturbed[0], root=str(tmp_path)), undisturbed[1]
    attempt(monkeypatch, config, last=2 * BATCHES + 2)
    assert checkpoints_of(config) == ["epoch-1", "epoch-2"]
    for epoch, harm in damage.items():
        harm(of(folder_of(config) / "checkpoints", epoch))
    capsys.readouterr()
    attempt(monkeypatch, config, last=1)
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert len(warnings) == (len(damage) if warning else 0)
    for line, epoch in zip(warnings, sorted(damage, reverse=True), strict=False):
        assert f"warning epoch-{epoch}." in line
        assert f"is damaged: {warning}" in line
    assert checkpoints_of(config) == left
    assert attempt(monkeypatch, config) == (4 - len(left)) * BATCHES
    text = capsys.readouterr().out
    assert "warning" not in text
    assert ("goes on after epoch" in text) == bool(left)
    assert outcome(config) == expected


@pytest.mark.parametrize("keep", [True, False])
def test_a_finished_run_keeps_its_checkpoints_only_where_asked(tiny: Make, keep: bool) -> None:
    config = tiny(keep_checkpoints=keep, trainer={"max_epochs": 3})
    run(config)
    folder = folder_of(config)
    assert (folder / "checkpoints").exists() == keep
    assert not (folder / "progress.json").exists()
    assert not (folder / ".lock").exists()
    if keep:
        assert checkpoints_of(config) == ["epoch-2", "epoch-3"]


def test_a_rerun_begins_afresh_although_there_are_checkpoints(
    tiny: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(keep_checkpoints=True, trainer={"enable_progress_bar": True})
    run(config)
    before = outcome(config)
    capsys.readouterr()
    run(replace(config, rerun=True))
    text = capsys.readouterr().out
    assert "epoch 1 of 2" in text
    assert "goes on after" not in text
    assert outcome(config)["epochs"] == before["epochs"]


def test_kept_checkpoints_stay_whoever_asks_for_the_record(tiny: Make) -> None:
    config = tiny(keep_checkpoints=True, trainer={"max_epochs": 2})
    record = run(config)
    assert run(replace(config, keep_checkpoints=False)) == record
    assert checkpoints_of(config) == ["epoch-1", "epoch-2"]
