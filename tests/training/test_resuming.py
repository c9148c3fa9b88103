"""Runs that are interrupted and resumed give the results of an undisturbed run."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment import Config, run
from lstm_sentiment.config import Cell, ObjectiveConfig
from lstm_sentiment.data.synthetic import generate
from tests.support.damage import damage
from tests.support.project import (
    Killed,
    MakeConfig,
    StepCalls,
    folder_of,
    results,
    synthetic_imdb,
    tiny_config,
)
from tests.support.tables import write_columns

BATCHES = 6  # of an epoch: 96 of the 120 reviews, 16 at a time
Undisturbed = tuple[Config, dict[str, Any]]


@pytest.fixture(scope="module")
def undisturbed(cache: str, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Return the configuration and the results of a run of four epochs."""
    config = tiny_config(
        cache,
        str(tmp_path_factory.mktemp("undisturbed")),
        data={"batch_size": 16},
        optimizer={"lr": 0.03},
        trainer={"max_epochs": 4, "enable_progress_bar": True},
    )
    run(config)
    return config, results_of(config)


def results_of(config: Config) -> dict[str, Any]:
    """Return the results of a run without the name of its sweep."""
    content = results(folder_of(config))
    del content["sweep"], content["config"]["sweep"]
    return content


def attempt(
    monkeypatch: pytest.MonkeyPatch,
    config: Config,
    step: str = "training_step",
    last: int | None = None,
) -> int:
    """Train until the call `last` of the step, or to the end; return the number of calls."""
    with monkeypatch.context() as patch:
        calls = StepCalls(patch, step, last)
        with pytest.raises(Killed) if last else nullcontext():
            run(config)
    return calls.count


def checkpoints_of(config: Config) -> list[str]:
    return sorted(path.name.split(".")[0] for path in folder_of(config).glob("checkpoints/*"))


def damage_checkpoint(config: Config, epoch: int, kind: str) -> None:
    [file] = folder_of(config).glob(f"checkpoints/epoch-{epoch}.*")
    damage(file, kind)


# Interruptions


@pytest.mark.parametrize("cell", Cell)
def test_a_run_interrupted_in_an_epoch_gives_the_same_results(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch, cell: Cell
) -> None:
    config = tiny(
        encoder={
            "cell": cell,
            "num_layers": 2,
            "bidirectional": True,
            "dropout": 0.3,
            "recurrent_dropout": 0.0 if cell.is_elementwise else 0.2,
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
    assert results_of(config) == results_of(whole)


def test_an_interrupted_run_with_unlabelled_reviews_gives_the_same_results(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "imdb"
    synthetic_imdb(folder)
    texts, _ = generate(70, seed=7)
    write_columns(folder / "unsupervised.parquet", texts, [-1] * len(texts))
    config = tiny(
        data={"source": "imdb", "path": str(folder), "limit_train": None, "batch_size": 8},
        encoder={"dropout": 0.3, "recurrent_dropout": 0.2},
        objective=ObjectiveConfig(
            adversarial=1, virtual_adversarial=1, entropy=0.5, unlabelled=1, power_iterations=2
        ),
        trainer={"max_epochs": 3},
    )
    whole = replace(config, sweep="whole")
    record = run(whole)
    assert record["data"]["unlabelled"] == {"reviews": 70, "left_out": 0}
    attempt(monkeypatch, config, last=6 + 3)
    assert checkpoints_of(config) == ["epoch-1"]
    assert attempt(monkeypatch, config) == 2 * 6
    assert results_of(config) == results_of(whole)


@pytest.mark.parametrize(
    ("step", "last", "epochs_left"),
    [
        ("training_step", 2 * BATCHES + 1, 2),  # between two epochs
        ("validation_step", 2, 3),  # after the training batches of the second epoch
        ("validation_step", 5, 0),  # in the evaluation of the best weights
    ],
)
def test_a_run_interrupted_at_any_step_gives_the_same_results(
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    last: int,
    epochs_left: int,
) -> None:
    config, expected = replace(undisturbed[0], root=str(tmp_path)), undisturbed[1]
    attempt(monkeypatch, config, step, last)
    assert attempt(monkeypatch, config) == epochs_left * BATCHES
    assert results_of(config) == expected


@pytest.mark.parametrize(
    ("options", "step", "last"),
    [
        # Interrupted while the rate rises; while a layer is frozen; after the average was validated
        # in the second epoch; and with all of these together.
        ({"schedule": "one_cycle", "warmup": 0.6}, "training_step", 2 * BATCHES),
        ({"layer_decay": 0.5, "unfreeze_every": 1}, "training_step", 2 * BATCHES),
        ({"average": 0.9}, "validation_step", 2),
        (
            {
                "name": "adamw",
                "weight_decay": 0.1,
                "schedule": "one_cycle",
                "layer_decay": 0.5,
                "unfreeze_every": 1,
                "average": 0.9,
                "adversarial": 0.02,
            },
            "training_step",
            2 * BATCHES,
        ),
    ],
    ids=["one_cycle", "layers", "average", "all"],
)
def test_an_interrupted_run_with_options_of_the_optimizer_gives_the_same_results(
    tiny: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    step: str,
    last: int,
) -> None:
    config = tiny(
        encoder={"num_layers": 2, "dropout": 0.3},
        head={"kind": "concat"},
        optimizer={"lr": 0.03, **options},
        data={"batch_size": 16},
        trainer={"max_epochs": 3},
    )
    whole = replace(config, sweep="whole")
    run(whole)
    attempt(monkeypatch, config, step, last)
    assert checkpoints_of(config) == ["epoch-1"]
    assert attempt(monkeypatch, config) == 2 * BATCHES
    assert results_of(config) == results_of(whole)


def test_an_interrupted_run_without_validation_set_gives_the_same_results(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(
        data={"batch_size": 16, "val_fraction": 0.0},
        optimizer={"lr": 0.03, "schedule": "constant"},
    )
    whole = replace(config, sweep="whole")
    run(whole)
    assert attempt(monkeypatch, config, last=10) == 10
    assert attempt(monkeypatch, config) == 8  # the batches of the second epoch
    assert results_of(config) == results_of(whole)


def test_a_run_interrupted_after_early_stopping_trains_no_further_epoch(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
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
    assert results_of(config) == results_of(whole)


# Damaged checkpoints


@pytest.mark.parametrize(
    ("damages", "remedy", "checkpoints_left"),
    [
        ({2: "cut"}, "epoch-1.", ["epoch-1"]),
        ({1: "bit", 2: "cut"}, "starts over", []),
    ],
)
def test_a_damaged_checkpoint_is_reported_and_not_used(
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damages: dict[int, str],
    remedy: str,
    checkpoints_left: list[str],
) -> None:
    config, expected = replace(undisturbed[0], root=str(tmp_path)), undisturbed[1]
    attempt(monkeypatch, config, last=2 * BATCHES + 2)
    assert checkpoints_of(config) == ["epoch-1", "epoch-2"]
    for epoch, kind in damages.items():
        damage_checkpoint(config, epoch, kind)
    capsys.readouterr()
    attempt(monkeypatch, config, last=1)
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    for line, epoch in zip(warnings, sorted(damages, reverse=True), strict=True):
        assert f"warning epoch-{epoch}." in line
        assert remedy in line
    assert checkpoints_of(config) == checkpoints_left
    assert attempt(monkeypatch, config) == (4 - len(checkpoints_left)) * BATCHES
    text = capsys.readouterr().out
    assert "warning" not in text
    assert ("resumes after epoch" in text) == bool(checkpoints_left)
    assert results_of(config) == expected


def test_a_damaged_older_checkpoint_is_not_reported(
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, expected = replace(undisturbed[0], root=str(tmp_path)), undisturbed[1]
    attempt(monkeypatch, config, last=2 * BATCHES + 2)
    damage_checkpoint(config, 1, "bit")
    capsys.readouterr()
    attempt(monkeypatch, config, last=1)
    assert checkpoints_of(config) == ["epoch-1", "epoch-2"]
    assert attempt(monkeypatch, config) == 2 * BATCHES
    text = capsys.readouterr().out
    assert "warning" not in text
    assert "resumes after epoch 2" in text
    assert results_of(config) == expected


# Finished runs


@pytest.mark.parametrize("keep", [True, False])
def test_a_finished_run_has_checkpoints_only_with_keep_checkpoints(
    tiny: MakeConfig, keep: bool
) -> None:
    config = tiny(keep_checkpoints=keep, trainer={"max_epochs": 3})
    run(config)
    folder = folder_of(config)
    assert (folder / "checkpoints").exists() == keep
    assert not (folder / "progress.json").exists()
    assert not (folder / ".lock").exists()
    assert checkpoints_of(config) == (["epoch-2", "epoch-3"] if keep else [])


def test_rerun_starts_over_although_there_are_checkpoints(
    tiny: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(keep_checkpoints=True, trainer={"enable_progress_bar": True})
    run(config)
    epochs = results_of(config)["epochs"]
    capsys.readouterr()
    run(replace(config, rerun=True))
    text = capsys.readouterr().out
    assert "epoch 1 of 2" in text
    assert "resumes after" not in text
    assert results_of(config)["epochs"] == epochs


def test_checkpoints_of_a_finished_run_are_not_removed_later(tiny: MakeConfig) -> None:
    config = tiny(keep_checkpoints=True, trainer={"max_epochs": 2})
    record = run(config)
    assert run(replace(config, keep_checkpoints=False)) == record
    assert checkpoints_of(config) == ["epoch-1", "epoch-2"]
