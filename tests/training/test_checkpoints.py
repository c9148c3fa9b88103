"""The best epoch, early stopping, and the files of checkpoints."""

import pickle
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lstm_sentiment.config import EarlyStoppingConfig
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training.checkpoints import (
    BestEpoch,
    EpochCheckpoints,
    VerifiedCheckpointIO,
    latest,
)
from tests.support.damage import damage
from tests.support.project import MakeConfig

Scores = Sequence[float | None]  # by epoch; None without a validation set


# The best epoch


@pytest.fixture
def module(tiny: MakeConfig) -> SentimentModule:
    config = tiny()
    return SentimentModule(Classifier(config, 10), config.optimizer)


def train_epochs(
    best: BestEpoch, module: SentimentModule, scores: Scores, name: str = "loss"
) -> SimpleNamespace:
    """Report epochs with these validation scores until `best` stops training; return the trainer.

    The bias of the network is the number of the epoch.
    """
    trainer = SimpleNamespace(should_stop=False, current_epoch=len(module.history))
    for score in scores:
        if trainer.should_stop:
            break
        module.history.append({"train": {}, "val": None if score is None else {name: score}})
        module.classifier.output.bias.data.fill_(len(module.history))
        best.on_train_epoch_end(trainer, module)
        trainer.current_epoch += 1
    return trainer


def resumed(best: BestEpoch, config: EarlyStoppingConfig) -> BestEpoch:
    """Return the callback of another process, with the state of this one."""
    copy = BestEpoch(config)
    copy.load_state_dict(best.state_dict())
    return copy


def assert_best(best: BestEpoch, epoch: int) -> None:
    assert best.epoch == epoch
    assert best.weights["classifier.output.bias"].item() == epoch


@pytest.mark.parametrize(
    ("name", "scores", "epoch"),
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
def test_the_first_epoch_with_the_best_score_is_the_best(
    module: SentimentModule, name: str, scores: Scores, epoch: int
) -> None:
    best = BestEpoch(EarlyStoppingConfig(f"val/{name}", None))
    train_epochs(best, module, scores, name)
    assert_best(best, epoch)
    assert best.weights.keys() == module.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "patience", "scores", "last"),
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
def test_training_stops_after_patience_epochs_without_improvement(
    module: SentimentModule, name: str, patience: int | None, scores: Scores, last: int | None
) -> None:
    best = BestEpoch(EarlyStoppingConfig(f"val/{name}", patience))
    trainer = train_epochs(best, module, scores, name)
    assert trainer.should_stop == (last is not None)
    assert len(module.history) == (last or len(scores))


@pytest.mark.parametrize(("scores", "epoch", "stops"), [([0.3], 4, False), ([0.5], 2, True)])
def test_a_resumed_run_knows_the_best_epoch(
    module: SentimentModule, scores: Scores, epoch: int, stops: bool
) -> None:
    config = EarlyStoppingConfig("val/loss", patience=2)
    interrupted = BestEpoch(config)
    train_epochs(interrupted, module, [0.5, 0.4, 0.6])
    best = resumed(interrupted, config)
    assert_best(best, 2)
    assert train_epochs(best, module, scores).should_stop == stops
    assert_best(best, epoch)


@pytest.mark.parametrize(
    ("scores", "stops"), [([0.5, 0.4, 0.5], False), ([0.5, 0.6, 0.6], True), ([], False)]
)
def test_a_run_resumed_after_its_last_epoch_trains_no_further_epoch(
    module: SentimentModule, scores: Scores, stops: bool
) -> None:
    config = EarlyStoppingConfig("val/loss", patience=2)
    interrupted = BestEpoch(config)
    train_epochs(interrupted, module, scores)
    trainer: Any = SimpleNamespace(should_stop=False, current_epoch=len(scores))
    resumed(interrupted, config).on_train_start(trainer, module)
    assert trainer.should_stop == stops


# The files


def save(folder: Path, *epochs: int) -> None:
    for epoch in epochs:
        content = {"epoch": epoch, "weights": {"bias": torch.full((3,), float(epoch))}}
        VerifiedCheckpointIO().save_checkpoint(content, folder / f"epoch-{epoch}.ckpt")


def load(path: Path | None) -> int:
    """Return the epoch of a checkpoint that `save` has written."""
    assert path is not None
    content = VerifiedCheckpointIO().load_checkpoint(path)
    assert content["weights"]["bias"].tolist() == [content["epoch"]] * 3
    return int(content["epoch"])


def file_of(folder: Path, epoch: int) -> Path:
    [path] = folder.glob(f"epoch-{epoch}.*")
    return path


def test_the_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    callback = EpochCheckpoints(folder)
    for number in range(12):
        trainer: Any = SimpleNamespace(
            current_epoch=number,
            save_checkpoint=lambda path: save(path.parent, int(path.stem.removeprefix("epoch-"))),
        )
        callback.on_train_epoch_end(trainer, trainer)
        newest, damaged = latest(folder)
        assert load(newest) == number + 1
        assert damaged == []
        assert {load(path) for path in folder.iterdir()} == {max(1, number), number + 1}


def test_loading_refuses_objects_other_than_plain_values(tmp_path: Path) -> None:
    VerifiedCheckpointIO().save_checkpoint({"a": Fraction(1, 2)}, tmp_path / "epoch-1.ckpt")
    with pytest.raises(pickle.UnpicklingError, match="Fraction"):
        VerifiedCheckpointIO().load_checkpoint(file_of(tmp_path, 1))


@pytest.mark.parametrize("kind", ["cut", "bit", "empty"])
def test_damaged_checkpoints_are_skipped_and_named(tmp_path: Path, kind: str) -> None:
    save(tmp_path, 8, 9, 10)
    eight, nine, ten = (file_of(tmp_path, epoch) for epoch in (8, 9, 10))
    assert latest(tmp_path) == (ten, [])
    damage(nine, kind)
    assert latest(tmp_path) == (ten, [])
    damage(ten, kind)
    assert latest(tmp_path) == (eight, [ten, nine])
    damage(eight, kind)
    assert latest(tmp_path) == (None, [ten, nine, eight])


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("notes.txt", "last.ckpt", "epoch-7.ckpt", ".draft-epoch-7.00.ckpt-1"):
        (tmp_path / name).touch()
    assert latest(tmp_path) == (None, [])
    save(tmp_path, 2)
    assert latest(tmp_path) == (file_of(tmp_path, 2), [])


def test_a_missing_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") == (None, [])
