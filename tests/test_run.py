"""One run, from configuration to record."""

import json
import math
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from sklearn import metrics as reference
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lstm_sentiment import Config, InputError, RunError, run
from lstm_sentiment.config import Cell, HeadKind
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training import figures
from lstm_sentiment.training.run import Plan

Make = Callable[..., Config]


def folder_of(config: Config) -> Path:
    return Plan.of(config).folder


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    record = json.loads(json.dumps(record))
    del record["cost"], record["environment"]
    for epoch in record["epochs"]:
        del epoch["seconds"]
    return record


@pytest.fixture(scope="module")
def finished(cache: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, Any]]:
    """A small run that others look at and do not change."""
    from conftest import tiny_config

    config = tiny_config(
        cache,
        str(tmp_path_factory.mktemp("finished")),
        head={"kind": "max"},
        data={"limit_train": 400, "limit_test": 100, "batch_size": 16},
        encoder={"hidden_size": 6, "dropout": 0.0},
        embedding={"dropout": 0.0},
        optimizer={"lr": 0.03},
        trainer={"max_epochs": 4},
        seed=3,
    )
    return config, run(config)


def test_a_folder_holds_what_is_promised(finished: tuple[Config, dict[str, Any]]) -> None:
    config, record = finished
    folder = folder_of(config)
    assert folder.parent == Path(config.root) / "default"
    assert folder.name.startswith("lstm-max-s3-")
    names = {item.name for item in folder.iterdir()}
    assert {"config.json", "run.json", "predictions.parquet", "model"} <= names
    assert {"learning_curves.png", "confusion_matrix.png"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not {"failed.json", "checkpoints"} & names
    assert {item.name for item in (folder / "model").iterdir()} == {
        "model.safetensors",
        "config.json",
        "vocab.json",
    }
    assert json.loads((folder / "run.json").read_text()) == record


def test_a_record_says_what_was_computed(finished: tuple[Config, dict[str, Any]]) -> None:
    config, record = finished
    assert record["schema"] == 1
    assert record["name"] == folder_of(config).name
    assert record["sweep"] == "default"
    assert record["choices"] == {
        "encoder": "lstm",
        "head": "max",
        "embedding": "random",
        "data": "synthetic",
    }
    assert record["config"]["encoder"]["hidden_size"] == 6
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3, 4]
    assert record["data"]["train"] == 320
    assert record["data"]["val"] == 80
    assert record["data"]["test"] == 100
    assert record["environment"]["threads"] == 1
    cost = record["cost"]
    words = record["data"]["vocabulary"]
    assert cost["parameters"] == words * 5 + 4 * 6 * (5 + 6 + 2) + 6 + 1
    assert cost["fit_seconds"] > sum(epoch["seconds"] for epoch in record["epochs"]) > 0
    assert cost["seconds_per_epoch"] == pytest.approx(
        np.mean([epoch["seconds"] for epoch in record["epochs"]])
    )
    data = ReviewDataModule(config.data, config.seed)
    data.setup()
    tokens = 4 * data.train.lengths.sum()
    assert cost["tokens_per_second"] * 4 * cost["seconds_per_epoch"] == pytest.approx(tokens)
    assert cost["test_reviews_per_second"] > 0
    assert cost["peak_memory_mib"] > 0


def test_it_learns(finished: tuple[Config, dict[str, Any]]) -> None:
    _, record = finished
    losses = [epoch["train"]["loss"] for epoch in record["epochs"]]
    assert losses[-1] < losses[0] - 0.02


def test_the_best_epoch_is_the_one_that_is_scored(
    finished: tuple[Config, dict[str, Any]],
) -> None:
    _, record = finished
    losses = [epoch["val"]["loss"] for epoch in record["epochs"]]
    assert record["best_epoch"] == 1 + int(np.argmin(losses))
    then = record["epochs"][record["best_epoch"] - 1]["val"]
    assert record["val"]["confusion_matrix"] == then["confusion_matrix"]
    assert record["val"]["loss"] == pytest.approx(then["loss"])


def test_predictions_give_the_scores_of_the_record(
    finished: tuple[Config, dict[str, Any]],
) -> None:
    config, record = finished
    table = pq.read_table(folder_of(config) / "predictions.parquet").to_pandas()
    assert list(table.columns) == ["split", "index", "label", "probability", "tokens"]
    data = ReviewDataModule(config.data, config.seed)
    data.setup()
    assert data.test is not None
    for split, reviews in (("val", data.val), ("test", data.test)):
        part = table[table["split"] == split]
        assert part["index"].tolist() == sorted(reviews.rows.tolist())
        assert (part["label"] == reviews.reviews.labels[part["index"]]).all()
        lengths = [len(reviews.reviews.of(row)) for row in part["index"]]
        assert part["tokens"].tolist() == lengths
        assert max(lengths) > config.data.max_length  # they are not cut
        answer = part["probability"] > 0.5
        scores = record[split]
        assert scores["accuracy"] == pytest.approx((answer == part["label"]).mean())
        assert scores["f1"] == pytest.approx(reference.f1_score(part["label"], answer))
        assert scores["auroc"] == pytest.approx(
            reference.roc_auc_score(part["label"], part["probability"])
        )
        assert scores["loss"] == pytest.approx(
            reference.log_loss(part["label"], part["probability"].astype(float)), rel=1e-4
        )
        matrix = reference.confusion_matrix(part["label"], answer).tolist()
        assert scores["confusion_matrix"] == matrix


def test_the_saved_model_gives_the_recorded_probabilities(
    finished: tuple[Config, dict[str, Any]],
) -> None:
    config, _ = finished
    folder = folder_of(config)
    words = json.loads((folder / "model" / "vocab.json").read_text())
    net = Classifier(config, len(words))
    net.load_state_dict(safetensors.torch.load_file(folder / "model" / "model.safetensors"))
    data = ReviewDataModule(config.data, config.seed)
    data.setup()
    assert words == data.vocabulary.words
    table = pq.read_table(folder / "predictions.parquet").to_pandas()
    expected = table[table["split"] == "test"].set_index("index")["probability"]
    with torch.inference_mode():
        for batch in data.test_dataloader():
            found = net.eval()(batch.ids, batch.lengths).sigmoid()
            np.testing.assert_allclose(found, expected[batch.rows.numpy()], atol=1e-6)


def test_tensorboard_has_the_curves(finished: tuple[Config, dict[str, Any]]) -> None:
    config, record = finished
    events = EventAccumulator(str(folder_of(config)))
    events.Reload()
    points = [event.value for event in events.Scalars("val/loss")]
    assert points == pytest.approx([epoch["val"]["loss"] for epoch in record["epochs"]])
    assert [event.value for event in events.Scalars("test/accuracy")] == pytest.approx(
        [record["test"]["accuracy"]]
    )


def test_the_same_seed_gives_the_same_numbers_to_the_last_digit(tiny: Make) -> None:
    config = tiny(encoder={"num_layers": 2, "recurrent_dropout": 0.3}, embedding={"dropout": 0.2})
    first, second = run(replace(config, sweep="a")), run(replace(config, sweep="b"))
    for record in (first, second):
        del record["sweep"], record["config"]["sweep"]
    assert without_times(first) == without_times(second)
    models = [
        Path(config.root, sweep, first["name"], "model", "model.safetensors") for sweep in "ab"
    ]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert run(replace(config, seed=1))["val"]["loss"] != first["val"]["loss"]


def test_a_finished_run_is_not_trained_again_unless_asked_for(tiny: Make) -> None:
    config = tiny()
    first = run(config)
    written = (folder_of(config) / "run.json").stat().st_mtime_ns
    assert run(config) == first
    assert (folder_of(config) / "run.json").stat().st_mtime_ns == written
    again = run(replace(config, rerun=True))
    assert (folder_of(config) / "run.json").stat().st_mtime_ns > written
    assert without_times(again)["val"] == without_times(first)["val"]


def test_without_the_test_split_nothing_of_it_is_read(tiny: Make) -> None:
    record = run(tiny(test=False))
    assert record["test"] is None
    assert record["data"]["test"] is None
    assert record["cost"]["test_reviews_per_second"] is None
    folder = folder_of(tiny(test=False))
    assert set(pq.read_table(folder / "predictions.parquet")["split"].to_pylist()) == {"val"}
    assert not (folder / "confusion_matrix.png").exists()


def test_without_validation_the_last_epoch_is_kept(tiny: Make) -> None:
    record = run(tiny(data={"val_fraction": 0.0}))
    assert record["val"] is None
    assert record["best_epoch"] == 2
    assert [epoch["val"] for epoch in record["epochs"]] == [None, None]
    assert record["data"]["train"] == 120
    assert record["test"]["accuracy"] > 0


def test_early_stopping_ends_after_patience(tiny: Make) -> None:
    config = tiny(
        optimizer={"lr": 1e-12},
        early_stopping={"monitor": "val/accuracy", "patience": 2},
        trainer={"max_epochs": 30},
    )
    record = run(config)  # nothing is learned, so the first epoch stays the best
    assert record["best_epoch"] == 1
    assert len(record["epochs"]) == 3


def test_a_limit_on_batches_shortens_an_epoch(tiny: Make) -> None:
    record = run(tiny(trainer={"limit_train_batches": 1, "max_epochs": 1}))
    assert sum(map(sum, record["epochs"][0]["train"]["confusion_matrix"])) <= 64


def test_a_run_that_fails_says_why_and_the_next_attempt_forgets_it(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    with monkeypatch.context() as broken:
        broken.setattr(
            Classifier, "forward", lambda *_: torch.full((64,), math.nan).requires_grad_()
        )
        with pytest.raises(RunError):
            run(config)
    folder = folder_of(config)
    failed = json.loads((folder / "failed.json").read_text())
    assert failed["reason"]
    assert failed["epoch"] == 1
    assert (folder / "config.json").exists()
    assert not (folder / "run.json").exists()
    run(config)
    assert not (folder / "failed.json").exists()
    assert (folder / "run.json").exists()


def test_a_run_that_fails_after_its_training_blames_no_epoch(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    config = tiny()
    monkeypatch.setattr("lstm_sentiment.training.run.save_model", full)
    with pytest.raises(RunError, match="No space left"):
        run(config)
    assert json.loads((folder_of(config) / "failed.json").read_text())["epoch"] is None


def test_a_loss_that_is_no_number_fails_the_run(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Classifier.forward
    monkeypatch.setattr(Classifier, "forward", lambda *args: whole(*args) * math.nan)
    with pytest.raises(RunError, match="loss is nan in epoch 1: a lower optimizer.lr"):
        run(tiny())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"data": {"source": "imdb", "path": "/nowhere"}},
            "data.path=/nowhere is no file or folder",
        ),
        ({"data": {"limit_train": 2}}, "data.limit_train=2"),
        ({"data": {"cache": "/dev/null/cache"}}, "data.cache=/dev/null/cache cannot be written"),
    ],
)
def test_what_cannot_begin_leaves_no_folder(
    tiny: Make, fields: dict[str, Any], message: str
) -> None:
    config = tiny(**fields)
    with pytest.raises(InputError, match=message):
        run(config)
    assert not Path(config.root).exists()


def test_a_root_that_cannot_be_written_is_named(tiny: Make) -> None:
    with pytest.raises(InputError, match="root=/dev/null/runs cannot be written"):
        run(replace(tiny(), root="/dev/null/runs"))


def test_a_gpu_that_is_not_there_is_named(tiny: Make) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="trainer=gpu needs a working CUDA device"):
        run(tiny(trainer={"accelerator": "gpu"}))


@pytest.mark.parametrize("padding", ["keras", "trailing"])
@pytest.mark.parametrize("head", ["last", "flatten"])
def test_unmasked_padding_trains(tiny: Make, padding: str, head: str) -> None:
    record = run(tiny(data={"padding": padding}, head={"kind": head}))
    assert math.isfinite(record["test"]["loss"])


def test_bf16_trains(tiny: Make) -> None:
    record = run(tiny(trainer={"precision": "bf16-mixed"}))
    assert record["config"]["trainer"]["precision"] == "bf16-mixed"
    assert math.isfinite(record["test"]["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", Cell)
def test_every_combination_trains_a_step(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, cell: str, layers: int
) -> None:
    monkeypatch.setattr(figures.Figure, "savefig", lambda *_, **__: None)  # half of the time
    for bidirectional, head in product((False, True), HeadKind):
        encoder = {"cell": cell, "num_layers": layers, "bidirectional": bidirectional}
        trainer = {"max_epochs": 1, "limit_train_batches": 1}
        record = run(tiny(encoder=encoder, head={"kind": head}, trainer=trainer))
        assert math.isfinite(record["test"]["loss"])
        assert record["best_epoch"] == 1


@pytest.mark.imdb
def test_real_reviews_give_their_published_counts(tiny: Make) -> None:
    from conftest import IMDB

    data = {"source": "imdb", "path": str(IMDB), "max_length": 500}
    whole = ReviewDataModule(
        tiny(data=data | {"limit_train": None, "limit_test": None}).data, seed=0
    )
    whole.setup()
    assert (len(whole.train), len(whole.val), len(whole.test or [])) == (20_000, 5_000, 25_000)
    assert len(np.unique(whole.split("train").copies)) == 24_904
    assert whole.vocabulary.words[2:5] == ["the", ".", ","]
    train, val = (
        {digest.tobytes() for digest in part.reviews.digests[part.rows]}
        for part in (whole.train, whole.val)
    )
    assert not train & val


@pytest.mark.imdb
@pytest.mark.slow
def test_a_deep_flattened_net_trains_on_real_reviews(tiny: Make) -> None:
    from conftest import IMDB

    record = run(
        tiny(
            encoder={"num_layers": 3, "bidirectional": True},
            head={"kind": "flatten"},
            data={"source": "imdb", "path": str(IMDB), "limit_train": 300, "limit_test": 100},
            trainer={"max_epochs": 1},
        )
    )
    assert record["data"]["train"] == 240
    assert math.isfinite(record["test"]["loss"])


def test_a_record_of_a_newer_version_is_not_thrown_away(tiny: Make) -> None:
    config = tiny(trainer={"max_epochs": 1})
    run(config)
    path = folder_of(config) / "run.json"
    newer = json.dumps(json.loads(path.read_text()) | {"schema": 2})
    path.write_text(newer)
    with pytest.raises(InputError, match=r"run.json has schema 2, this version reads 1: use"):
        run(config)
    assert path.read_text() == newer
    assert run(replace(config, rerun=True))["schema"] == 1


def test_a_termination_that_nobody_handles_ends_with_the_shells_exit_code(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Classifier.forward

    def terminated(*args: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return whole(*args)

    monkeypatch.setattr(Classifier, "forward", terminated)
    with pytest.raises(SystemExit) as stop:
        run(tiny())
    assert stop.value.code == 143
    assert not (folder_of(tiny()) / "failed.json").exists()


def test_a_lone_surrogate_comes_through_a_whole_run(tiny: Make, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"lone \ud83d film {n}", "label": n % 2}) for n in range(60)]
    file = tmp_path / "films.jsonl"
    file.write_text("\n".join(lines))
    data = {"source": "reviews", "path": str(file), "limit_train": None, "batch_size": 8}
    assert run(tiny(data=data))["test"] is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"batch_size": 100_000}},
        {"embedding": {"kind": "glove", "path": "/nowhere/vectors.txt"}},
    ],
    ids=str,
)
def test_what_is_refused_leaves_nothing_at_all(
    tiny: Make, tmp_path: Path, fields: dict[str, Any]
) -> None:
    fields["data"] = {"cache": str(tmp_path / "cache"), **fields.get("data", {})}
    with pytest.raises(InputError):
        run(tiny(**fields))
    assert list(tmp_path.iterdir()) == []
