"""Pseudo-labels: mean probabilities of trained models as targets for unlabelled reviews."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from lstm_sentiment import Config, InputError, run
from lstm_sentiment.config import AugmentConfig, DataConfig, ObjectiveConfig
from lstm_sentiment.data.batches import Batch, ResidentReviews
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pseudo_labelled import PseudoLabels
from lstm_sentiment.data.ranks import ALONE
from lstm_sentiment.data.sources import UNSUPERVISED
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.metrics import StageScores
from lstm_sentiment.model.module import SentimentModule, cross_entropy
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.reader import read_runs
from lstm_sentiment.runs.record import defect, restored
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.torch_predictor import TorchPredictor
from lstm_sentiment.training.baseline import baseline
from lstm_sentiment.training.ensemble import ensemble
from lstm_sentiment.training.plan import Plan, Pretrained
from lstm_sentiment.training.train import _build_module
from tests.support.datamodules import values_of
from tests.support.displays import RecordingDisplay
from tests.support.model_hub import ModelHub
from tests.support.project import (
    Killed,
    MakeConfig,
    StepCalls,
    folder_of,
    folder_of_record,
    results,
    tiny_config,
)
from tests.support.tables import write_columns

SMALL = {"limit_train": None, "limit_test": None, "max_length": 40, "batch_size": 8}
UNLABELLED_TEXTS = generate(24, seed=5)[0]


@pytest.fixture(scope="module")
def imdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a corpus whose last two unlabelled reviews are copies of test reviews."""
    folder = tmp_path_factory.mktemp("imdb")
    test_texts, test_labels = generate(40, seed=4)
    write_columns(folder / "train.parquet", *generate(80, seed=3))
    write_columns(folder / "test.parquet", test_texts, test_labels)
    unlabelled = [*UNLABELLED_TEXTS, *test_texts[:2]]
    write_columns(folder / "unsupervised.parquet", unlabelled, [-1] * len(unlabelled))
    return folder


@pytest.fixture
def make(imdb: Path, cache: str, tmp_path: Path) -> MakeConfig:
    def config(**fields: Any) -> Config:
        data = {"source": "imdb", "path": str(imdb), **SMALL, **fields.pop("data", {})}
        return tiny_config(cache, str(tmp_path / "runs"), data=data, **fields)

    return config


def trained_baseline(config: Config) -> Path:
    """Return the folder of a trained baseline, which takes less time than a network."""
    return folder_of_record(config, baseline(NgramModel.nb_svm, config))


@pytest.fixture
def teacher(make: MakeConfig) -> Path:
    return trained_baseline(make())


def trained(config: Config) -> Path:
    run(config)
    return folder_of(config)


def set_up(config: Config) -> ReviewDataModule:
    plan = Plan.of(config)
    plan.prepare()
    return plan.data


def labels_by_row(data: ReviewDataModule) -> np.ndarray:
    assert data.pseudo_labels is not None
    order = np.argsort(data.pseudo_labels.reviews.rows)
    return data.pseudo_labels.probabilities[order]


# Labels


def test_labels_are_the_mean_probabilities_of_the_models(make: MakeConfig, teacher: Path) -> None:
    """They equal those of predictors: two networks in an ensemble, and a baseline."""
    one, other = trained(make(seed=1)), trained(make(seed=2, encoder={"cell": "gru"}))
    both = ensemble([one, other], [1, 3])[0]
    data = set_up(make(data={"pseudo_labels": [str(both), str(teacher)]}))
    assert data.pseudo_labels is not None
    shares = {one: 1 / 8, other: 3 / 8, teacher: 1 / 2}
    mean = np.sum(
        [w * Predictor.load(each).probabilities(UNLABELLED_TEXTS) for each, w in shares.items()], 0
    )
    np.testing.assert_allclose(labels_by_row(data), mean, atol=1e-6)
    summary = data.pseudo_labels.summary
    weights = {each["name"]: each["weight"] for each in summary["members"]}
    assert weights == {folder.name: share for folder, share in shares.items()}
    assert (summary["reviews"], summary["left_out"]) == (24, 2)
    assert summary["mean_confidence"] == pytest.approx(np.maximum(mean, 1 - mean).mean())
    # The ensemble itself is used like a model.
    averaged = 0.25 * Predictor.load(one).probabilities(UNLABELLED_TEXTS)
    averaged += 0.75 * Predictor.load(other).probabilities(UNLABELLED_TEXTS)
    np.testing.assert_allclose(Predictor.load(both).probabilities(UNLABELLED_TEXTS), averaged)


def test_a_model_of_the_hub_gives_the_labels_of_its_run(
    make: MakeConfig, teacher: Path, model_hub: ModelHub
) -> None:
    files = {file.name: file.read_bytes() for file in (teacher / "model").iterdir()}
    files["run.json"] = (teacher / "run.json").read_bytes()
    model_hub.repository("ann/teacher", files)
    both = [set_up(make(data={"pseudo_labels": [m]})) for m in (str(teacher), "hub:ann/teacher")]
    assert labels_by_row(both[0]).tolist() == labels_by_row(both[1]).tolist()
    assert both[0].pseudo_labels.summary == both[1].pseudo_labels.summary  # type: ignore[union-attr]


def test_subwords_have_labels_in_the_tokens_of_the_model(make: MakeConfig) -> None:
    one = trained(make(data={"tokenizer": "bpe", "max_vocab": 90}))
    data = set_up(make(data={"pseudo_labels": str(one)}))
    expected = Predictor.load(one).probabilities(UNLABELLED_TEXTS)
    np.testing.assert_allclose(labels_by_row(data), expected, atol=1e-6)


def test_ngrams_of_a_network_are_a_part_of_its_labels(make: MakeConfig) -> None:
    fast = {"lr": 0.1}
    one = trained(make(head={"ngrams": 2}, optimizer=fast, data={"max_length": 3}))
    data = set_up(make(head={"ngrams": 1}, data={"pseudo_labels": str(one)}))
    predictor = Predictor.load(one)
    assert isinstance(predictor, TorchPredictor)
    expected = predictor.probabilities(UNLABELLED_TEXTS)
    np.testing.assert_allclose(labels_by_row(data), expected, atol=1e-6)
    alone = replace(predictor, ngrams=None).probabilities(UNLABELLED_TEXTS)
    assert np.abs(alone - expected).max() > 0.01


def test_labels_are_computed_once(make: MakeConfig, teacher: Path) -> None:
    config = make(data={"pseudo_labels": [str(teacher)]})
    before = set_up(config)
    display = RecordingDisplay()
    plan = Plan.of(config, DataCache(display))
    plan.prepare()
    assert not any("labelling" in bar.title for bar in display.bars)
    np.testing.assert_array_equal(labels_by_row(plan.data), labels_by_row(before))


# Batches


def test_batches_mix_all_reviews(make: MakeConfig, teacher: Path) -> None:
    data = set_up(make(data={"pseudo_labels": [str(teacher)]}))
    batches = list(data.train_dataloader())
    labelled = [each.numpy() for batch in batches if (each := batch.is_labelled) is not None]
    assert len(labelled) == len(batches)
    assert [sum(map(len, labelled)), sum(map(sum, labelled))] == [64 + 24, 64]
    assert sum(0 < sum(each) < len(each) for each in labelled) > len(batches) / 2
    hard = [batch.labels.numpy()[each] for batch, each in zip(batches, labelled, strict=True)]
    assert sorted(np.concatenate(hard)) == sorted(data.train.labels)
    for loader in (data.val_dataloader(), data.test_dataloader()):
        assert all(batch.is_labelled is None for batch in loader)


def test_the_ids_of_a_review_are_those_of_its_text(make: MakeConfig, teacher: Path) -> None:
    data = set_up(make(data={"pseudo_labels": [str(teacher)]}))
    assert data.pseudo_labels is not None
    position = int(np.flatnonzero(data.pseudo_labels.reviews.rows == 3)[0])
    ids, lengths, *_ = data.training[np.array([0, 64 + position])]
    words = data.split(UNSUPERVISED).tokenized.words_of(3)[:40]
    np.testing.assert_array_equal(ids[1, : lengths[1]], data.vocabulary.encode(words))
    np.testing.assert_array_equal(ids[0, : lengths[0]], data.train[np.array([0])].ids[0])


def test_ngrams_of_augmented_batches_are_those_of_each_review(
    make: MakeConfig, teacher: Path
) -> None:
    augment = AugmentConfig(shuffle_sentences=True, drop=0.5)
    data = set_up(
        make(head={"ngrams": 2}, data={"pseudo_labels": [str(teacher)], "augment": augment})
    )
    assert data.pseudo_labels is not None
    assert data.ngram_vocabulary is not None
    names = data.ngram_vocabulary.ngrams
    words = [
        split.tokenized.words_of(row)
        for split in (data.train_split, data.pseudo_labels.reviews)
        for row in split.rows
    ]
    expected = [ngrams_of(each) & {*names} for each in words]
    seen = 0
    for batch in data.train_dataloader():
        assert batch.ngrams is not None
        for place, number in enumerate(batch.rows.tolist()):
            ids = batch.ngrams.ids[batch.ngrams.rows == place].tolist()
            assert len(ids) == len(set(ids))
            assert {names[id] for id in ids} == expected[number]
            seen += 1
    assert seen == len(expected) == 64 + 24


def ngrams_of(words: list[str]) -> set[str]:
    return {*words, *map(" ".join, pairwise(words))}


@pytest.mark.parametrize("ngrams", [0, 2])
def test_unlabelled_batches_may_come_beside_pseudo_labels(
    make: MakeConfig, teacher: Path, ngrams: int
) -> None:
    """The same reviews are in both, once with pseudo-labels and once without labels."""
    config = make(
        head={"ngrams": ngrams},
        data={"pseudo_labels": [str(teacher)], "pseudo_weight": 0.5},
        objective=ObjectiveConfig(virtual_adversarial=1, entropy=1, unlabelled=2),
    )
    data = set_up(config)
    texts = [data.split(UNSUPERVISED).tokenized.words_of(row)[:40] for row in range(24)]
    batches = [*data.train_dataloader()]
    assert sum(len(batch.rows) for batch in batches) == 64 + 24
    for batch in batches:
        assert batch.is_labelled is not None
        others = batch.unlabelled
        assert others is not None
        assert len(others.rows) in {16, 24 % 16}  # two for each of the eight others
        assert others.is_labelled is None
        assert (batch.ngrams is None, others.ngrams is None) == (not ngrams, not ngrams)
        for ids, length, row in zip(others.ids, others.lengths, others.rows, strict=True):
            assert ids[:length].tolist() == data.vocabulary.encode(texts[row]).tolist()
    record = run(config)
    assert record["pseudo_labels"]["reviews"] == record["data"]["unlabelled"]["reviews"] == 24
    assert sum(map(sum, record["epochs"][-1]["train"]["confusion_matrix"])) == 64


def test_batches_gathered_on_a_device_are_equal(make: MakeConfig, teacher: Path) -> None:
    data = set_up(make(data={"pseudo_labels": [str(teacher)]}))
    chosen = np.array([70, 3, 86, 12])
    resident = ResidentReviews(data.training, torch.device("cpu"))
    assert values_of([resident[chosen]]) == values_of([data.training[chosen]])


# Training


def test_the_loss_of_soft_labels_by_hand() -> None:
    """The gradient of the cross-entropy is the probability minus the target."""
    logits = torch.tensor([0.4, -1.2], requires_grad=True)
    labels = torch.tensor([0.25, 1.0])
    losses = cross_entropy(logits, labels)
    p = expit(np.array([0.4, -1.2]))
    expected = -np.array([0.25 * np.log(p[0]) + 0.75 * np.log(1 - p[0]), np.log(p[1])])
    np.testing.assert_allclose(losses.detach(), expected, rtol=1e-6)
    losses.sum().backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad, p - labels.numpy(), rtol=1e-5)


def test_the_loss_of_soft_labels_of_three_classes_by_hand() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.7], [2.0, 0.0, -1.0]], requires_grad=True)
    targets = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    losses = cross_entropy(logits, targets)
    q = torch.softmax(logits.detach().double(), 1).numpy()
    np.testing.assert_allclose(losses.detach(), -(targets.numpy() * np.log(q)).sum(1), rtol=1e-5)
    losses.sum().backward()
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad, q - targets.numpy(), atol=1e-6)


def batch_of(labels: list[Any], is_labelled: list[bool]) -> Batch:
    count = len(labels)
    ids, lengths = torch.zeros(count, 1, dtype=torch.long), torch.ones(count, dtype=torch.long)
    flags = torch.tensor(is_labelled)
    return Batch(ids, lengths, torch.tensor(labels), torch.arange(count), flags)


def test_weights_of_classes_and_of_pseudo_labels(make: MakeConfig) -> None:
    """Losses times 3 for the second class and 1 for the first, and 0.5 for pseudo-labels."""
    module = SentimentModule(
        torch.nn.Linear(1, 1),  # type: ignore[arg-type]
        make().optimizer,
        class_weights=np.array([1, 3], np.float32),
        pseudo_weight=0.5,
    )
    batch = batch_of([1.0, 0.0, 0.25], [True, True, False])
    loss = module._cross_entropy(torch.zeros(3), batch)  # that of each review is log 2
    assert loss.item() == pytest.approx(np.log(2) * np.mean([3, 1, 0.5 * (0.25 * 3 + 0.75)]))


def test_training_scores_count_labelled_reviews_only() -> None:
    scores = StageScores()
    scores.update(torch.tensor([2.0, -1.0, 5.0]), batch_of([1.0, 0.0, 0.1], [True, True, False]))
    assert scores.compute()["confusion_matrix"] == [[1, 0], [0, 1]]
    scores = StageScores(Classes(("a", "b", "c")))
    soft = [[0.0, 0.0, 1.0], [0.2, 0.5, 0.3]]
    scores.update(torch.tensor([[0.0, 0.0, 4.0], [9.0, 0.0, 0.0]]), batch_of(soft, [True, False]))
    assert scores.compute()["confusion_matrix"] == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_certain_pseudo_labels_train_like_labels(make: MakeConfig) -> None:
    """The last 30 of 80 labelled reviews are given as pseudo-labels of 0 and 1."""
    config = make(data={"val_fraction": 0})
    whole = weights_after_an_epoch(config, lambda _: None)

    def give_some_as_pseudo_labels(data: ReviewDataModule) -> None:
        labels = data.train_split.labels[50:].astype(np.float32)
        others = PseudoLabels(data.train_split.take(np.arange(50, 80)), labels, {})
        data.train = replace(data.train, rows=data.train.rows[:50])
        data.learn_from(others)

    for name, value in weights_after_an_epoch(config, give_some_as_pseudo_labels).items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=0)


def weights_after_an_epoch(
    config: Config, change: Callable[[ReviewDataModule], None]
) -> dict[str, torch.Tensor]:
    data = set_up(config)
    torch.manual_seed(0)
    module = _build_module(config, data, Pretrained(), ALONE)
    change(data)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    for batch in data.train_dataloader():
        optimizer.zero_grad()
        module._cross_entropy(module(batch.ids, batch.lengths), batch).backward()
        optimizer.step()
    return {name: value.detach() for name, value in module.named_parameters()}


def test_a_run_records_its_pseudo_labels_and_can_be_repeated(
    make: MakeConfig, teacher: Path, tmp_path: Path
) -> None:
    config = make(data={"pseudo_labels": [str(teacher)]})
    record = run(config)
    folder = folder_of(config)
    assert defect(record, folder.name) is None
    assert record["pseudo_labels"]["reviews"] == 24
    assert [each["name"] for each in record["pseudo_labels"]["members"]] == [teacher.name]
    assert record["data"]["train"] == 64
    assert sum(map(sum, record["epochs"][0]["train"]["confusion_matrix"])) == 64
    assert str(tmp_path) not in str(record)
    assert restored(record["config"]).data.pseudo_labels is None
    first = results(folder)
    run(replace(config, rerun=True))
    assert results(folder) == first


def test_an_interrupted_run_continues(
    make: MakeConfig, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(data={"pseudo_labels": [str(teacher)]})
    run(config)
    other = replace(config, root=str(tmp_path / "other"))
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", last=16)
        with pytest.raises(Killed):
            run(other)
    run(other)
    assert results(folder_of(other)) == results(folder_of(config))


def test_augmented_and_adversarial_steps_take_pseudo_labels(
    make: MakeConfig, teacher: Path
) -> None:
    data = {
        "pseudo_labels": [str(teacher)],
        "pseudo_weight": 0.5,
        "class_weights": "balanced",
        "augment": AugmentConfig(shuffle_sentences=True, drop=0.2),
    }
    record = run(make(data=data, optimizer={"adversarial": 0.02}))
    assert record["config"]["data"]["pseudo_weight"] == 0.5


def test_probabilities_of_three_classes(tmp_path: Path, cache: str) -> None:
    data = set_up(tiny_config(cache, str(tmp_path), data={"classes": 3, "limit_train": 80}))
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 6).astype(np.float32)
    data.learn_from(PseudoLabels(data.train_split.take(np.arange(6)), soft, {}))
    labels = data.training[np.arange(len(data.training))].labels
    np.testing.assert_array_equal(labels[-6:], soft)
    np.testing.assert_array_equal(labels[:-6].argmax(1), data.train.labels)


# The identity


def test_the_models_are_part_of_the_identity(make: MakeConfig, teacher: Path) -> None:
    before = folder_of(make(data={"pseudo_labels": [str(teacher)]}))
    assert before != folder_of(make())
    moved = teacher.parent.parent / "moved" / teacher.name
    moved.parent.mkdir()
    teacher.rename(moved)
    assert folder_of(make(data={"pseudo_labels": str(moved)})) == before
    file = moved / "model" / "config.json"
    file.write_text(file.read_text() + " ")
    assert folder_of(make(data={"pseudo_labels": str(moved)})) != before


def test_reports_distinguish_runs_with_pseudo_labels(make: MakeConfig, teacher: Path) -> None:
    run(make(sweep="s"))
    run(make(sweep="s", data={"pseudo_labels": [str(teacher)]}))
    [group] = variant_groups(read_runs(Path(make().root) / "s"))
    names = {variant.name for variant in group.variants}
    assert len(names) == 2
    assert any("data.pseudo_labels=sha256-" in name for name in names)


# Refusals


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"val_fraction": 0}, {}, "has data.val_fraction=0.0, and this run 0.2"),
        ({"split_seed": 3}, {}, "has data.split_seed=3, and this run 0"),
        ({"limit_train": 40}, {}, "has data.limit_train=40, and this run None"),
        ({"folds": 4, "fold": 1}, {}, "was trained on other reviews"),
        ({"folds": 4, "fold": 1}, {"folds": 4, "fold": 2}, "was trained on other reviews"),
    ],
)
def test_models_that_know_held_out_reviews_are_refused(
    make: MakeConfig, theirs: dict[str, Any], ours: dict[str, Any], message: str
) -> None:
    teacher = trained_baseline(make(data=theirs))
    with pytest.raises(InputError) as error:
        Plan.of(make(data={**ours, "pseudo_labels": [str(teacher)]}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {"val_fraction": 0}),
        ({"val_fraction": 0}, {"val_fraction": 0}),
        ({"folds": 4, "fold": 1}, {"folds": 4, "fold": 1}),
        ({}, {"max_vocab": 50}),
    ],
)
def test_models_that_know_no_held_out_review_are_used(
    make: MakeConfig, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    teacher = trained_baseline(make(data=theirs))
    Plan.of(make(data={**ours, "pseudo_labels": [str(teacher)]}))


def test_models_of_a_search_may_label_reviews_for_the_final_run(make: MakeConfig) -> None:
    """They do not read the test set, so the identities of their data lack it."""
    teacher = trained_baseline(make(test=False))
    Plan.of(make(data={"pseudo_labels": [str(teacher)]}))


@pytest.mark.parametrize("test", [True, False])
def test_a_model_with_a_given_validation_set_knows_the_one_that_is_drawn(
    make: MakeConfig, imdb: Path, tmp_path: Path, test: bool
) -> None:
    """It was trained on all training reviews, although it has the same data.val_fraction."""
    given = write_columns(tmp_path / "val.csv", *generate(20, seed=6))
    files = {"path": imdb / "train.parquet", "val_path": given, "test_path": imdb / "test.parquet"}
    data = {"source": "reviews", **{name: str(path) for name, path in files.items()}}
    teacher = trained_baseline(make(data=data, test=test))
    with pytest.raises(InputError, match=r"has a validation set of its own \(data.val_path or"):
        Plan.of(make(data={"pseudo_labels": [str(teacher)]}))
    Plan.of(make(data={"pseudo_labels": [str(teacher)], "val_fraction": 0}))


def test_models_of_other_reviews_are_refused(make: MakeConfig, tmp_path: Path) -> None:
    write_columns(tmp_path / "train.parquet", *generate(80, seed=8))
    write_columns(tmp_path / "test.parquet", *generate(40, seed=9))
    teacher = trained_baseline(make(data={"path": str(tmp_path)}))
    with pytest.raises(InputError, match="was trained on other reviews"):
        Plan.of(make(data={"pseudo_labels": [str(teacher)]}))
    with pytest.raises(InputError, match="has no unlabelled reviews"):
        Plan.of(make(data={"path": str(tmp_path), "pseudo_labels": [str(teacher)]}))


def test_other_refusals(make: MakeConfig, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a finished run"):
        Plan.of(make(data={"pseudo_labels": [str(tmp_path / "none")]}))
    with pytest.raises(InputError, match="must name each folder once"):
        Plan.of(make(data={"pseudo_labels": [str(teacher)] * 2}))
    with pytest.raises(InputError, match=r"data.pseudo_weight=0.5 needs data.pseudo_labels"):
        Plan.of(make(data={"pseudo_weight": 0.5}))
    with pytest.raises(InputError, match=r"data.preparation must be 2 with data.pseudo_labels"):
        make(data={"pseudo_labels": [str(teacher)], "preparation": 1})
    (teacher / "model" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        Plan.of(make(data={"pseudo_labels": [str(teacher)]}))


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("long" * 75, "data.pseudo_labels: .*longlong.* .cannot be read .File name too long"),
        ("~nosuchuser/x", "data.pseudo_labels=~nosuchuser/x: cannot be read .Could not determine"),
        ("a\0b", r"data.pseudo_labels.*a\\x00b.* cannot be read .*embedded null"),
        ("none", "data.pseudo_labels: .*none is not a finished run"),
    ],
)
def test_impossible_folders_are_named(make: MakeConfig, folder: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        Plan.of(make(data={"pseudo_labels": [folder]}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [3, [""], [None], {"a": "b"}])
def test_values_that_are_no_folders(value: Any) -> None:
    with pytest.raises(InputError, match=r"data.pseudo_labels must be the folder of a finished"):
        DataConfig(pseudo_labels=value)


def test_one_folder_and_no_folder() -> None:
    assert DataConfig(pseudo_labels="a").pseudo_labels == ["a"]
    assert DataConfig(pseudo_labels=[]).pseudo_labels is None
