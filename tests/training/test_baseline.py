"""N-gram baselines: their records are like a network's, of the same reviews."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from scipy.special import expit
from sklearn import metrics as reference

from lstm_sentiment import Config, InputError, run
from lstm_sentiment.commands.main import main
from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.splits import Split
from lstm_sentiment.display import Printed
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel
from lstm_sentiment.model.ngrams import bag_of_ngrams
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import State, read_run, read_runs
from lstm_sentiment.runs.record import defect
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training import penalty, runtime
from lstm_sentiment.training.baseline import baseline, distinct
from lstm_sentiment.training.penalty import fit_baseline, tokens
from tests.support.project import (
    MakeConfig,
    folder_of_record,
    prediction_table,
    reviews_of,
    tiny_config,
    without_times,
)
from tests.support.records import amend
from tests.support.tables import write_rows

KIND = NgramModel.nb_svm
SCORES = ("accuracy", "precision", "recall", "f1", "auroc", "loss")
Baseline = tuple[Config, dict[str, Any]]
WriteFilms = Callable[..., DataConfig]


def texts_and_labels(part: EncodedReviews) -> tuple[list[list[str]], np.ndarray]:
    whole = part.tokenized
    texts = [[whole.words[number] for number in whole.tokens_of(row)] for row in part.rows]
    return texts, np.asarray(whole.labels)[part.rows]


@pytest.fixture(scope="module", params=NgramModel)
def finished(
    request: pytest.FixtureRequest, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Baseline:
    """Return the configuration and the record of a baseline that tests read but do not change."""
    root = str(tmp_path_factory.mktemp("finished"))
    data = {"limit_train": 400, "limit_test": 100, "val_fraction": 0.25, "split_seed": 1}
    config = tiny_config(cache, root, data=data, seed=3)
    return config, baseline(request.param, config)


@pytest.fixture
def films(tmp_path: Path) -> WriteFilms:
    """Return a function that writes reviews of which one word gives the class.

    `flipped` is the row of a test review with the wrong label.
    """

    def write(name: str = "films", flipped: int = -1) -> DataConfig:
        folder = tmp_path / name
        folder.mkdir()
        for seed, (split, count) in enumerate({"train": 240, "test": 60}.items()):
            draw = random.Random(seed)
            rows = []
            for number in range(count):
                words = [*draw.choices("a the film plot cast with of".split(), k=9)]
                words.append(draw.choice([["bad", "dull"], ["good", "fine"]][number % 2]))
                label = number % 2 ^ (split == "test" and number == flipped)
                rows.append({"text": " ".join(draw.sample(words, 10)), "label": label})
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
        return DataConfig("imdb", str(folder), cache=str(tmp_path / "cache"), batch_size=16)

    return write


# The record


def test_a_record_has_the_form_of_a_networks_record(finished: Baseline) -> None:
    config, record = finished
    summary = read_run(folder_of_record(config, record))
    assert (summary.state, summary.record) == (State.done, record)
    kind = record["choices"]["head"]
    assert record["choices"] == {"encoder": "ngrams", "head": kind}
    assert record["best_epoch"] == 1
    [epoch] = record["epochs"]
    assert (epoch["epoch"], epoch["val"]) == (1, record["val"])
    assert record["vectors"] is None
    assert record["environment"]["device"] == "cpu"


def test_a_folder_holds_configuration_record_predictions_and_model(finished: Baseline) -> None:
    config, record = finished
    folder = folder_of_record(config, record)
    assert folder.parent == Path(config.root) / "default"
    assert folder.name.startswith(f"ngrams-{record['choices']['head']}-s0-")
    names = {item.name for item in folder.iterdir()}
    assert names == {"config.json", "run.json", "predictions.parquet", "model"}
    content = json.loads((folder / "config.json").read_text())
    assert content == {name: record[name] for name in ("schema", "choices", "config")}


def test_a_record_holds_the_settings_of_model_and_reviews(finished: Baseline) -> None:
    _, record = finished
    kind = record["choices"]["head"]
    assert record["config"] == {
        "seed": 0,
        "test": True,
        "ngrams": {
            "kind": kind,
            "longest": 3,
            "least": 2,
            "grid": [*ngrams.GRID[NgramModel(kind)]],
            "chosen_by": "val/loss",
            "intercept": "unpenalised",
        },
        "data": {
            "source": "synthetic",
            "preparation": 2,
            "val_fraction": 0.25,
            "split_seed": 1,
            "limit_train": 400,
            "limit_test": 100,
        },
    }


def test_each_preparation_of_the_reviews_has_its_own_baseline(tiny: MakeConfig) -> None:
    """The settings of a baseline from before the field are recorded as they were then."""
    records = {version: baseline(KIND, tiny(data={"preparation": version})) for version in (1, 2)}
    assert "preparation" not in records[1]["config"]["data"]
    assert records[2]["config"]["data"]["preparation"] == 2
    assert records[1]["name"] != records[2]["name"]
    assert len(distinct(tiny(data={"preparation": version}) for version in (1, 2))) == 2


def test_costs_are_those_of_one_pass_over_the_training_set(finished: Baseline) -> None:
    config, record = finished
    cost = record["cost"]
    assert cost["fit_seconds"] == cost["seconds_per_epoch"] == record["epochs"][0]["seconds"] > 0
    tokens = sum(map(len, texts_and_labels(reviews_of(config).train)[0]))
    assert cost["tokens_per_second"] * cost["fit_seconds"] == pytest.approx(tokens)
    assert cost["test_reviews_per_second"] > 0
    assert cost["peak_memory_mib"] > 0


def test_peak_memory_is_reset_for_each_baseline(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []
    monkeypatch.setattr(runtime, "reset_peak_memory", devices.append)
    baseline(KIND, tiny())
    assert devices == ["cpu"]


# Reviews and predictions


def test_a_baseline_gets_the_same_reviews_as_a_network(finished: Baseline) -> None:
    config, record = finished
    data = reviews_of(config)
    assert record["data"] == data.summary()
    assert [record["data"][part] for part in ("train", "val", "test")] == [300, 100, 100]
    for split, part in (("val", data.val), ("test", data.test)):
        assert part is not None
        predictions = read_predictions(read_run(folder_of_record(config, record)), split)
        assert predictions.row.tolist() == sorted(part.rows.tolist())
        assert (predictions.label == part.tokenized.labels[predictions.row]).all()
        lengths = [len(part.tokenized.tokens_of(row)) for row in predictions.row]
        assert predictions.tokens is not None
        assert predictions.tokens.tolist() == lengths
        assert max(lengths) > config.data.max_length  # reviews are not truncated


def test_a_baseline_is_fitted_to_the_training_set_only(finished: Baseline) -> None:
    """Compare with a classifier that gets no other reviews."""
    config, record = finished
    data = reviews_of(config)
    texts, labels = texts_and_labels(data.train)
    kind, c = NgramModel(record["choices"]["head"]), record["penalty"]["c"]
    model = bag_of_ngrams(kind, c=c).fit(texts, labels)
    for split, part in (("val", data.val), ("test", data.test)):
        assert part is not None
        expected = model.predict_proba(texts_and_labels(part)[0])[np.argsort(part.rows), 1]
        predictions = read_predictions(read_run(folder_of_record(config, record)), split)
        np.testing.assert_allclose(predictions.probability, expected, atol=1e-6)
    scores = record["epochs"][0]["train"]
    assert scores["accuracy"] == pytest.approx(model.score(texts, labels))
    assert scores["loss"] == pytest.approx(
        reference.log_loss(labels, model.predict_proba(texts)), abs=1e-6
    )
    assert record["cost"]["parameters"] == len(model[0].vocabulary_) + 1


def test_predictions_give_the_scores_of_the_record(finished: Baseline) -> None:
    config, record = finished
    table = prediction_table(folder_of_record(config, record))
    assert set(table.columns) == {"split", "index", "label", "logit", "tokens", "construct"}
    assert set(table["split"]) == {"val", "test"}
    for split in ("val", "test"):
        part = table[table["split"] == split]
        label, logit = part["label"], part["logit"].astype(float)
        positive = logit > 0
        expected = {
            "accuracy": reference.accuracy_score(label, positive),
            "precision": reference.precision_score(label, positive),
            "recall": reference.recall_score(label, positive),
            "f1": reference.f1_score(label, positive),
            "auroc": reference.roc_auc_score(label, logit),
            "loss": reference.log_loss(label, expit(logit)),
        }
        assert {name: record[split][name] for name in SCORES} == pytest.approx(expected, abs=1e-12)
        matrix = reference.confusion_matrix(label, positive).tolist()
        assert record[split]["confusion_matrix"] == matrix


@pytest.mark.parametrize("kind", NgramModel)
def test_reviews_that_differ_in_a_word_are_classified_perfectly(
    tiny: MakeConfig, films: WriteFilms, kind: NgramModel
) -> None:
    record = baseline(kind, replace(tiny(), data=films()))
    assert record["val"]["accuracy"] == record["test"]["accuracy"] == 1


@pytest.mark.parametrize("kind", NgramModel)
def test_a_test_label_changes_nothing_but_the_test_scores(
    tiny: MakeConfig, films: WriteFilms, kind: NgramModel
) -> None:
    configs = [replace(tiny(), data=films(f"films{n}", flipped=n)) for n in (-1, 7)]
    whole, flipped = (baseline(kind, config) for config in configs)
    assert whole["name"] != flipped["name"]
    assert without_times(whole)["epochs"] == without_times(flipped)["epochs"]
    assert (whole["test"]["accuracy"], flipped["test"]["accuracy"]) == (1, pytest.approx(59 / 60))
    predictions = [
        read_predictions(read_run(folder_of_record(config, record)), "test")
        for config, record in zip(configs, (whole, flipped), strict=True)
    ]
    np.testing.assert_array_equal(predictions[0].logit, predictions[1].logit)
    assert np.flatnonzero(predictions[0].label != predictions[1].label).tolist() == [7]


def test_truncation_and_vocabulary_of_networks_are_ignored(tiny: MakeConfig) -> None:
    first = baseline(KIND, tiny())
    other = tiny(data={"max_length": 1, "max_vocab": 3, "truncation_side": "left"}, sweep="other")
    second = baseline(KIND, other)
    for part in ("epochs", "val", "test", "name"):
        assert without_times(first)[part] == without_times(second)[part]


def test_without_test_the_test_file_is_not_read(tiny: MakeConfig, films: WriteFilms) -> None:
    data = films()
    assert data.path is not None
    (Path(data.path) / "test.parquet").write_text("not a Parquet file")
    config = replace(tiny(test=False), data=data)
    record = baseline(KIND, config)
    assert record["test"] is record["data"]["test"] is None
    assert record["cost"]["test_reviews_per_second"] is None
    assert record["val"]["accuracy"] == 1
    folder = folder_of_record(config, record)
    assert read_run(folder).state is State.done
    assert set(prediction_table(folder)["split"]) == {"val"}
    with pytest.raises(InputError, match="test.parquet"):
        baseline(KIND, replace(config, test=True))


def test_without_validation_set_there_are_no_validation_predictions(tiny: MakeConfig) -> None:
    config = tiny(data={"val_fraction": 0.0})
    record = baseline(KIND, config)
    assert record["val"] is record["epochs"][0]["val"] is None
    assert (record["data"]["train"], record["data"]["val"]) == (120, 0)
    summary = read_run(folder_of_record(config, record))
    assert summary.state is State.done
    assert len(read_predictions(summary, "test").row) == 40
    assert set(prediction_table(summary.folder)["split"]) == {"test"}


# The penalty


def test_the_penalty_has_the_least_validation_loss_of_its_grid(finished: Baseline) -> None:
    config, record = finished
    chosen, kind = record["penalty"], NgramModel(record["choices"]["head"])
    assert chosen["chosen_on"] == "validation set"
    assert [each["c"] for each in chosen["tried"]] == [*ngrams.GRID[kind]]
    data = reviews_of(config)
    texts, labels = texts_and_labels(data.val)
    for each in chosen["tried"]:
        model = bag_of_ngrams(kind, c=each["c"]).fit(*texts_and_labels(data.train))
        loss = reference.log_loss(labels, model.predict_proba(texts))
        assert each["accuracy"] == pytest.approx(model.score(texts, labels))
        assert each["loss"] == pytest.approx(loss, abs=5e-5)
    best = min(chosen["tried"], key=lambda each: float(each["loss"]))
    assert best["c"] == chosen["c"]
    assert best["loss"] == pytest.approx(record["val"]["loss"], abs=1e-6)
    model_content = json.loads((folder_of_record(config, record) / "model/config.json").read_text())
    assert model_content["ngrams"]["c"] == chosen["c"]


@pytest.mark.parametrize("kind", NgramModel)
def test_equal_losses_choose_the_stronger_penalty(
    tiny: MakeConfig, kind: NgramModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        NgramClassifier, "logits_of_values", lambda _, values: np.ones(values.shape[0])
    )
    _, chosen = fit_baseline(kind, reviews_of(tiny()))
    assert chosen.c == min(ngrams.GRID[kind])


@pytest.mark.parametrize("damage", [None, {}, {"c": "1"}, {"c": -1.0}])
def test_a_record_without_its_penalty_is_damaged(finished: Baseline, damage: Any) -> None:
    _, record = finished
    assert defect(record, record["name"]) is None
    assert "is damaged" in str(defect(record | {"penalty": damage}, record["name"]))


def test_without_validation_set_the_penalty_is_chosen_on_a_fifth_of_the_training_set(
    tiny: MakeConfig,
) -> None:
    """The model with this penalty is then fitted to all training reviews."""
    record = baseline(KIND, tiny(data={"val_fraction": 0.0}))
    chosen = record["penalty"]
    assert chosen["chosen_on"] == "20% of the training set"
    whole = reviews_of(tiny(data={"val_fraction": 0.0})).train_split
    parts = whole.split_off(np.arange(120), 0.2, np.random.default_rng(0))
    (texts, labels), held_out = ((tokens(part), part.labels) for part in parts)
    assert (len(labels), len(held_out[1])) == (96, 24)
    for each in chosen["tried"]:
        model = bag_of_ngrams(KIND, c=each["c"]).fit(texts, labels)
        loss = reference.log_loss(held_out[1], model.predict_proba(held_out[0]))
        assert each["loss"] == pytest.approx(loss, abs=5e-5)
    model = bag_of_ngrams(KIND, c=chosen["c"]).fit(tokens(whole), whole.labels)
    loss = reference.log_loss(whole.labels, model.predict_proba(tokens(whole)))
    assert record["epochs"][0]["train"]["loss"] == pytest.approx(loss, abs=1e-6)


def test_copies_and_groups_are_not_divided_to_choose_a_penalty(
    tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"{'good' if row % 2 else 'bad'} thing {row // 3}", row % 2, row // 6)
            for row in range(120)]  # fmt: skip
    file = write_rows(tmp_path / "a.csv", rows, "text label product")
    data = DataConfig("reviews", str(file), cache=cache, group_column="product", val_fraction=0.0)
    parts: list[Split] = []
    monkeypatch.setattr(penalty, "tokens", lambda part: parts.append(part) or tokens(part))
    module = ReviewDataModule(replace(data, batch_size=1))
    module.setup()
    fit_baseline(KIND, module)
    train, held_out, whole = parts
    products = [{*part.tokenized.groups_of(part.rows).tolist()} for part in (train, held_out)]
    assert not products[0] & products[1]
    assert sorted([*train.rows, *held_out.rows]) == sorted(whole.rows)


@pytest.mark.parametrize("rows", [
    [("good", 1)] * 9 + [("bad", 0)] * 9,  # all reviews of a class are copies
    [(f"good w{row}", 1) for row in range(2)] + [(f"bad v{row}", 0) for row in range(2)],
])  # fmt: skip
def test_too_few_reviews_to_choose_a_penalty_get_the_default_and_a_note(
    tmp_path: Path, cache: str, rows: list[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "a.csv", rows)
    test = write_rows(tmp_path / "t.csv", [("good x", 1), ("bad y", 0)])
    data = DataConfig("reviews", str(file), test_path=str(test), cache=cache, val_fraction=0.0)
    config = replace(Config(), root=str(tmp_path), data=data)
    record = baseline(KIND, config, DataCache(Printed()))
    assert record["penalty"] == {"c": ngrams.DEFAULT_C[KIND], "chosen_on": None, "tried": []}
    assert "too few to choose the penalty" in capsys.readouterr().out


@pytest.mark.parametrize("kind", NgramModel)
def test_three_classes_with_weights_choose_a_penalty(
    tmp_path: Path, cache: str, kind: NgramModel
) -> None:
    draw = random.Random(0)
    words = "poor fair great".split()
    rows = [
        (" ".join(draw.sample([words[row % 3], *draw.choices("a film of taste".split(), k=9)], 10)),
         row % 3 + 1)
        for row in range(150)
    ]  # fmt: skip
    data = DataConfig("reviews", str(write_rows(tmp_path / "a.csv", rows)), cache=cache,
                      class_weights="balanced")  # type: ignore[arg-type]  # fmt: skip
    record = baseline(kind, replace(Config(), root=str(tmp_path), data=data))
    losses = [each["loss"] for each in record["penalty"]["tried"]]
    assert len(losses) == len(ngrams.GRID[kind])
    assert min(losses) == pytest.approx(record["val"]["loss"], abs=1e-6)


def test_a_report_tells_older_baselines_apart(tiny: MakeConfig) -> None:
    """Earlier versions counted bigrams, with a fixed C and a penalised intercept."""
    config = tiny()
    record = baseline(KIND, config)
    folder = folder_of_record(config, record)
    older = folder.with_name(f"{folder.name[:-8]}01234567")
    shutil.copytree(folder, older)
    older_ngrams = {"kind": str(KIND), "longest": 2, "least": 2, "c": 0.3}
    amend(older, lambda content: content.update(
        name=older.name, config=content["config"] | {"ngrams": older_ngrams}))  # fmt: skip
    amend(older, lambda content: content.pop("penalty"))
    [group] = variant_groups(read_runs(Path(config.root)))
    assert not group.notes
    names = sorted(variant.name for variant in group.variants)
    assert names == [
        "ngrams-nb_svm ngrams.intercept=penalised ngrams.longest=2",
        "ngrams-nb_svm ngrams.intercept=unpenalised ngrams.longest=3",
    ]


# The report


def test_a_report_ranks_baselines_with_the_networks(
    tiny: MakeConfig,
    films: WriteFilms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write_empty_plot(_: Figure, file: IO[Any], format: str, **__: object) -> None:
        file.write("<svg></svg>" if format == "svg" else b"")

    monkeypatch.setattr(Figure, "savefig", write_empty_plot)  # drawing takes half of the time
    config = replace(tiny(optimizer={"lr": 1e-12}, trainer={"max_epochs": 1}), data=films())
    names = [run(config)["name"], *(baseline(kind, config)["name"] for kind in NgramModel)]
    [group] = variant_groups(read_runs(Path(config.root)))
    assert not group.notes
    assert {run.name for variant in group.variants for run in variant.runs.values()} == set(names)
    variants = [variant.name for variant in group.variants]
    assert variants == ["ngrams-nb_svm", "ngrams-logistic", "lstm-last"]  # equal accuracy: by loss
    assert main(["report", config.root, "-o", str(tmp_path / "report")]) == 0
    output = capsys.readouterr().out
    positions = [output.index(name) for name in variants]
    assert positions == sorted(positions)
    page = (tmp_path / "report" / "report.md").read_text()
    [sentence] = [line for line in page.splitlines() if "**ngrams-nb_svm** (test accuracy" in line]
    assert "worse" in sentence


def test_baselines_count_words_where_a_network_reads_subwords(tiny: MakeConfig) -> None:
    records = {name: baseline(KIND, tiny(data={"tokenizer": name})) for name in ("unicode", "bpe")}
    assert records["bpe"] == records["unicode"]
    assert records["bpe"]["config"]["data"]["tokenizer"] == "unicode"
    default = baseline(KIND, tiny())
    assert "tokenizer" not in default["config"]["data"]
    assert default["name"] != records["bpe"]["name"]
    assert len(distinct(tiny(data={"tokenizer": name}) for name in ("unicode", "bpe"))) == 1
    predictor = Predictor.load(folder_of_record(tiny(), records["bpe"]))
    assert predictor.config.data.tokenizer == "unicode"


def test_the_folds_of_a_baseline_predict_every_review_once(tmp_path: Path, cache: str) -> None:
    """By groups: no product is in a fold and in the reviews of its training."""
    rows = [(f"{'good' if row % 2 else 'bad'} thing {row}", row % 2, row // 4) for row in range(96)]
    file = write_rows(tmp_path / "a.csv", rows, "text label product")
    fields = [f"data.path={file}", f"data.cache={cache}", f"root={tmp_path / 'runs'}"]
    fields += ["data=reviews", "data.group_column=product", "data.folds=3", "data.fold=0,1,2"]
    assert main(["baseline", *fields]) == 0
    runs = read_runs(tmp_path / "runs")
    assert len(runs) == 6
    assert sorted(run.record["data"]["fold"] for run in runs if run.record) == [0, 0, 1, 1, 2, 2]
    (group,) = variant_groups(runs)
    assert len(group.variants) == 2
    for variant in group.variants:
        predictions = read_predictions(variant.runs[0], "test")
        assert predictions.row.tolist() == list(range(96))
        assert predictions.label.tolist() == [row % 2 == 1 for row in range(96)]
        assert predictions.group is not None
        assert len(set(zip(predictions.group, predictions.row // 4, strict=True))) == 24
        assert variant.scores("test", "accuracy").tolist() == [predictions.correct.mean()]
        products = [
            {row // 4 for row in read_predictions(fold, "test").row}
            for fold in variant.runs[0].folds
        ]
        assert sum(map(len, products)) == 24
