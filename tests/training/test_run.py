"""One run, from its configuration to its record."""

import json
import math
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy.special import expit
from sklearn import metrics as reference

from lstm_sentiment import Config, run
from lstm_sentiment.config import Cell, HeadKind
from lstm_sentiment.data.sources import SYNTHETIC_SEED, SYNTHETIC_SIZE
from lstm_sentiment.data.synthetic import generate_reviews
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.runs.folder import own_files
from tests.support.project import (
    IMDB,
    MakeConfig,
    folder_of,
    folder_of_record,
    learning_config,
    prediction_table,
    read_events,
    reviews_of,
    scalars,
    without_times,
)

FinishedRun = tuple[Config, dict[str, Any]]


@pytest.fixture(scope="module")
def finished(cache: str, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return the configuration and the record of a run that tests read but do not change."""
    config = learning_config(cache, str(tmp_path_factory.mktemp("finished")))
    return config, run(config)


# The folder and the record of a finished run


def test_a_folder_holds_record_model_predictions_plots_and_events(finished: FinishedRun) -> None:
    config, record = finished
    folder = folder_of(config)
    names = {item.name for item in folder.iterdir()}
    assert {"config.json", "run.json", "predictions.parquet", "model"} <= names
    assert {"learning_curves.png", "confusion_matrix.png"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not {"failed.json", "checkpoints"} & names
    model_files = {item.name for item in (folder / "model").iterdir()}
    assert model_files == {"model.safetensors", "config.json", "vocab.json"}
    assert json.loads((folder / "run.json").read_text()) == record


def test_every_file_of_a_run_is_known_as_its_own(finished: FinishedRun) -> None:
    folder = folder_of(finished[0])
    assert {*own_files(folder)} == {path for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_named_by_sweep_network_and_seed(finished: FinishedRun) -> None:
    config, record = finished
    folder = folder_of(config)
    assert folder == folder_of_record(config, record)
    assert folder.parent == Path(config.root) / "default"
    assert folder.name.startswith("lstm-max-s3-")


def test_a_record_holds_schema_choices_and_configuration(finished: FinishedRun) -> None:
    _, record = finished
    assert record["schema"] == 2
    assert record["sweep"] == "default"
    assert record["choices"] == {
        "encoder": "lstm",
        "head": "max",
        "embedding": "random",
        "data": "synthetic",
    }
    assert record["config"]["encoder"]["hidden_size"] == 6
    assert record["environment"]["threads"] == 1


def test_a_record_holds_epochs_and_sizes_of_the_splits(finished: FinishedRun) -> None:
    _, record = finished
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3, 4]
    assert [record["data"][split] for split in ("train", "val", "test")] == [320, 80, 100]


def test_parameters_are_those_of_all_parts(finished: FinishedRun) -> None:
    _, record = finished
    embedding, lstm, output = record["data"]["vocabulary"] * 5, 4 * 6 * (5 + 6 + 2), 6 + 1
    assert record["cost"]["parameters"] == embedding + lstm + output


def test_costs_are_those_of_the_epochs(finished: FinishedRun) -> None:
    config, record = finished
    cost, seconds = record["cost"], [epoch["seconds"] for epoch in record["epochs"]]
    assert cost["fit_seconds"] > sum(seconds) > 0
    assert cost["seconds_per_epoch"] == pytest.approx(np.mean(seconds))
    tokens = 4 * reviews_of(config).train.lengths.sum()
    assert cost["tokens_per_second"] * sum(seconds) == pytest.approx(tokens)
    assert cost["test_reviews_per_second"] > 0
    assert cost["peak_memory_mib"] > 0


def test_the_training_loss_decreases(finished: FinishedRun) -> None:
    _, record = finished
    losses = [epoch["train"]["loss"] for epoch in record["epochs"]]
    assert losses[-1] < losses[0] - 0.02


def test_the_recorded_scores_are_those_of_the_best_epoch(finished: FinishedRun) -> None:
    _, record = finished
    losses = [epoch["val"]["loss"] for epoch in record["epochs"]]
    assert record["best_epoch"] == 1 + int(np.argmin(losses))
    best = record["epochs"][record["best_epoch"] - 1]["val"]
    assert record["val"]["confusion_matrix"] == best["confusion_matrix"]
    assert record["val"]["loss"] == pytest.approx(best["loss"])


def test_predictions_have_row_label_and_length_of_each_review(finished: FinishedRun) -> None:
    config, _ = finished
    table = prediction_table(folder_of(config))
    assert set(table.columns) == {"split", "index", "label", "logit", "tokens", "construct"}
    data = reviews_of(config)
    assert data.test is not None
    constructs = {
        split: [each.construct for each in generate_reviews(SYNTHETIC_SIZE[split], seed)]
        for split, seed in SYNTHETIC_SEED.items()
    }
    for split, reviews in (("val", data.val), ("test", data.test)):
        part = table[table["split"] == split]
        assert part["index"].tolist() == sorted(reviews.rows.tolist())
        assert (part["label"] == reviews.tokenized.labels[part["index"]]).all()
        lengths = [len(reviews.tokenized.tokens_of(row)) for row in part["index"]]
        assert part["tokens"].tolist() == lengths
        of_part = constructs["train" if split == "val" else split]
        assert part["construct"].tolist() == [of_part[row] for row in part["index"]]
        assert max(lengths) > config.data.max_length  # lengths before truncation


@pytest.mark.parametrize("split", ["val", "test"])
def test_predictions_give_the_scores_of_the_record(finished: FinishedRun, split: str) -> None:
    config, record = finished
    table, scores = prediction_table(folder_of(config), split), record[split]
    label, logit = table["label"], table["logit"].astype(float)
    positive = logit > 0
    assert scores["accuracy"] == pytest.approx((positive == label).mean(), abs=1e-12)
    assert scores["f1"] == pytest.approx(reference.f1_score(label, positive), abs=1e-12)
    assert scores["auroc"] == pytest.approx(reference.roc_auc_score(label, logit), abs=1e-12)
    assert scores["loss"] == pytest.approx(reference.log_loss(label, expit(logit)), abs=1e-12)
    matrix = reference.confusion_matrix(label, positive).tolist()
    assert scores["confusion_matrix"] == matrix


def test_the_saved_model_gives_the_recorded_logits(finished: FinishedRun) -> None:
    config, _ = finished
    folder = folder_of(config)
    words = json.loads((folder / "model" / "vocab.json").read_text())
    net = Classifier(config, len(words))
    net.load_state_dict(safetensors.torch.load_file(folder / "model" / "model.safetensors"))
    data = reviews_of(config)
    assert words == data.vocabulary.words
    expected = prediction_table(folder, "test").set_index("index")["logit"]
    with torch.inference_mode():
        for batch in data.test_dataloader():
            logits = net.eval()(batch.ids, batch.lengths)
            np.testing.assert_allclose(logits, expected[batch.rows.numpy()], atol=1e-5)


def test_tensorboard_shows_the_scores_of_the_record(finished: FinishedRun) -> None:
    config, record = finished
    events = read_events(folder_of(config))
    losses = [epoch["val"]["loss"] for epoch in record["epochs"]]
    assert [*scalars(events, "val/loss").values()] == pytest.approx(losses)
    [accuracy] = scalars(events, "test/accuracy").values()
    assert accuracy == pytest.approx(record["test"]["accuracy"])


# Repeated runs


def test_the_same_seed_gives_the_same_numbers(tiny: MakeConfig) -> None:
    config = tiny(encoder={"num_layers": 2, "recurrent_dropout": 0.3}, embedding={"dropout": 0.2})
    first, second = run(replace(config, sweep="a")), run(replace(config, sweep="b"))
    models = [folder_of_record(config, r) / "model/model.safetensors" for r in (first, second)]
    assert models[0].read_bytes() == models[1].read_bytes()
    for record in (first, second):
        del record["sweep"], record["config"]["sweep"]
    assert without_times(first) == without_times(second)
    assert run(replace(config, seed=1))["val"]["loss"] != first["val"]["loss"]


def test_a_finished_run_is_trained_again_only_with_rerun(tiny: MakeConfig) -> None:
    config = tiny()
    first = run(config)
    file = folder_of(config) / "run.json"
    time = file.stat().st_mtime_ns
    assert run(config) == first
    assert file.stat().st_mtime_ns == time
    again = run(replace(config, rerun=True))
    assert file.stat().st_mtime_ns > time
    assert without_times(again)["val"] == without_times(first)["val"]


# Splits, epochs and options


def test_without_test_the_test_set_is_not_read(tiny: MakeConfig) -> None:
    config = tiny(test=False)
    record = run(config)
    assert record["test"] is None
    assert record["data"]["test"] is None
    assert record["cost"]["test_reviews_per_second"] is None
    folder = folder_of(config)
    assert set(prediction_table(folder)["split"]) == {"val"}
    assert not (folder / "confusion_matrix.png").exists()


def test_without_validation_set_the_last_epoch_is_the_best(tiny: MakeConfig) -> None:
    record = run(tiny(data={"val_fraction": 0.0}))
    assert record["val"] is None
    assert record["best_epoch"] == 2
    assert [epoch["val"] for epoch in record["epochs"]] == [None, None]
    assert record["data"]["train"] == 120
    assert record["test"]["accuracy"] > 0


def test_training_stops_after_patience_epochs_without_improvement(tiny: MakeConfig) -> None:
    config = tiny(
        optimizer={"lr": 1e-12},  # too low to learn anything
        early_stopping={"monitor": "val/accuracy", "patience": 2},
        trainer={"max_epochs": 30},
    )
    record = run(config)
    assert record["best_epoch"] == 1
    assert len(record["epochs"]) == 3


def test_a_job_of_slurm_with_several_tasks_trains_alone(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = {"JOB_ID": "1", "NTASKS": "4", "NTASKS_PER_NODE": "4", "NNODES": "1", "PROCID": "1"}
    for name, value in tasks.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert run(tiny(trainer={"max_epochs": 1}, seed=7))["epochs"]


def test_limit_train_batches_shortens_an_epoch(tiny: MakeConfig) -> None:
    record = run(tiny(trainer={"limit_train_batches": 1, "max_epochs": 1}))
    assert np.sum(record["epochs"][0]["train"]["confusion_matrix"]) <= 64  # a batch


@pytest.mark.parametrize("padding", ["keras", "trailing"])
@pytest.mark.parametrize("head", ["last", "flatten"])
def test_unmasked_padding_trains(tiny: MakeConfig, padding: str, head: str) -> None:
    record = run(tiny(data={"padding": padding}, head={"kind": head}))
    assert math.isfinite(record["test"]["loss"])


@pytest.mark.parametrize(
    ("unfreeze_every", "freeze_epochs", "first_epochs"),
    [(0, 0, [1, 1, 1]), (1, 0, [1, 2, 3]), (2, 0, [1, 3, 5]), (1, 3, [1, 2, 4])],
)
def test_layers_are_trained_from_their_epoch_on(
    tiny: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    unfreeze_every: int,
    freeze_epochs: int,
    first_epochs: list[int],
) -> None:
    """A layer has its initial weights, bit for bit, until its first epoch ends."""
    parts = ("output.weight", "encoder.rnn.weight_hh_l0", "embedding.weight")
    weights: list[list[torch.Tensor]] = []  # initially, and after each epoch
    original = SentimentModule.on_train_epoch_end

    def remember(module: SentimentModule) -> None:
        weights.append([module.classifier.get_parameter(part).detach().clone() for part in parts])

    def remember_and_end(module: SentimentModule) -> None:
        remember(module)
        original(module)

    monkeypatch.setattr(SentimentModule, "on_train_start", remember)
    monkeypatch.setattr(SentimentModule, "on_train_epoch_end", remember_and_end)
    run(
        tiny(
            optimizer={"name": "adamw", "weight_decay": 0.1, "unfreeze_every": unfreeze_every},
            embedding={"freeze_epochs": freeze_epochs},
            trainer={"max_epochs": 5},
            early_stopping={"patience": None},
        )
    )
    initial = weights[0]
    changed = [
        [epoch for epoch in range(6) if not torch.equal(weights[epoch][part], initial[part])]
        for part in range(3)
    ]
    assert changed == [[*range(first, 6)] for first in first_epochs]


def test_bf16_trains(tiny: MakeConfig) -> None:
    record = run(tiny(trainer={"precision": "bf16-mixed"}))
    assert record["config"]["trainer"]["precision"] == "bf16-mixed"
    assert math.isfinite(record["test"]["loss"])


@pytest.mark.parametrize("cell", Cell)
def test_every_encoder_and_every_head_train_a_step(tiny: MakeConfig, cell: Cell) -> None:
    """Each cell meets each head; tests/model/test_contract.py computes all their combinations."""
    heads = cycle(HeadKind)
    for layers, bidirectional in product((1, 2, 3), (False, True)):
        encoder = {"cell": cell, "num_layers": layers, "bidirectional": bidirectional}
        trainer = {"max_epochs": 1, "limit_train_batches": 1}
        record = run(tiny(encoder=encoder, head={"kind": next(heads)}, trainer=trainer))
        assert math.isfinite(record["test"]["loss"])
        assert record["best_epoch"] == 1


def test_reviews_with_lone_surrogates_train(tiny: MakeConfig, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"lone \ud83d film {n}", "label": n % 2}) for n in range(60)]
    file = tmp_path / "films.jsonl"
    file.write_text("\n".join(lines))
    data = {"source": "reviews", "path": str(file), "limit_train": None, "batch_size": 8}
    assert run(tiny(data=data))["test"] is not None


# IMDB


@pytest.mark.imdb
@pytest.mark.slow  # 50,000 reviews are tokenized, once for both halves of the test
def test_imdb_has_its_published_counts_and_trains_a_deep_network(tiny: MakeConfig) -> None:
    data = {"source": "imdb", "path": str(IMDB), "max_length": 500}
    whole = reviews_of(tiny(data=data | {"limit_train": None, "limit_test": None}))
    assert (len(whole.train), len(whole.val), len(whole.test or [])) == (20_000, 5_000, 25_000)
    assert len(np.unique(whole.split("train").components)) == 24_901
    assert whole.summary()["test_copies"] == 123
    assert not whole.notes
    assert whole.vocabulary.words[2:5] == ["the", ".", ","]
    train, val = (
        {*part.tokenized.copies_of(part.rows).tolist()} for part in (whole.train, whole.val)
    )
    assert not train & val
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
