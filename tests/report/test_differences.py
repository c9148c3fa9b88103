"""What differs between two variants, and the commands of the runs that are missing."""

import shlex
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.commands.hydra_config import compose_all, seed_experiments
from lstm_sentiment.config import (
    AugmentConfig,
    CompareConfig,
    Config,
    DataConfig,
    EmbeddingConfig,
    OptimizerConfig,
    TrainerConfig,
    flat,
    updated,
)
from lstm_sentiment.report.differences import (
    Difference,
    confounded_sentence,
    confounders,
    differing,
    missing_cells,
)
from lstm_sentiment.report.overrides import MODEL, is_in_question, settings_in_question
from lstm_sentiment.report.questions import Pair, questions
from lstm_sentiment.runs.identity import NOT_FINGERPRINTED
from tests.support.experiments import experiment
from tests.support.records import answers, network, put_baseline, put_run
from tests.support.reports import only_group

VECTORS = settings_in_question("embedding=word2vec", "embedding=random")
LEARNED = {"fingerprint": "sha256-1", "source": "word2vec of 900 + 100 reviews"}


def put_variant(root: Path, config: Config, seeds: tuple[int, ...] = (0,), **more: Any) -> None:
    """Write a run for each seed and, if there are any, each fold."""
    for seed, fold in product(seeds, folds_of(config)):
        run = updated(config, {"seed": seed, "data.fold": fold})
        rows = np.arange(200) + 200 * (fold or 0)
        put_run(root, run, answers(20), answers(20), rows=rows, **more)


def folds_of(config: Config) -> list[int] | list[None]:
    return [None] if config.data.folds is None else [*range(config.data.folds)]


def pair(root: Path, run: str, other: str) -> Pair:
    """Return the only pair of a question on the runs below `root`."""
    [question], _ = questions(only_group(root).variants, [CompareConfig(run=run, other=other)])
    [only] = question.pairs
    return only


def best(embedding: str, replaced: float) -> Config:
    """Return a configuration like those of the experiments best_scratch and best_vectors."""
    return network(
        "gru",
        "max_attention",
        sweep=f"best with {embedding}",
        embedding=EmbeddingConfig(embedding, dropout=0.5),  # type: ignore[arg-type]
        data=DataConfig(max_vocab=30_000, augment=AugmentConfig(replace=replaced), preparation=1),
        optimizer=OptimizerConfig(adversarial=0.02),
        trainer=TrainerConfig(max_epochs=6),
    )


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Runs with and without word vectors, which also differ in data.augment.replace."""
    put_variant(tmp_path, best("random", 0.3), (0, 1, 2))
    put_variant(tmp_path, best("word2vec", 0.15), (0, 1, 2), vectors=LEARNED)
    return tmp_path


def cells(root: Path) -> list[str]:
    both = pair(root, "embedding=word2vec", "embedding=random")
    return missing_cells(both.variant, both.other, VECTORS, only_group(root).variants)


def composed(command: str) -> list[Config]:
    """Return the configurations of the runs that a command trains."""
    program, script, *words = shlex.split(command)
    assert (program, script) == ("python", "train.py")
    return compose_all([word for word in words if word != "-m"])


def results(config: Config) -> dict[str, Any]:
    """Return all values that affect the results."""
    return {name: v for name, v in flat(config).items() if name not in NOT_FINGERPRINTED}


def test_another_difference_confounds_a_comparison(vectors: Path) -> None:
    both = pair(vectors, "embedding=word2vec", "embedding=random")
    kinds = Difference("embedding.kind", "word2vec", "random")
    replaced = Difference("data.augment.replace", 0.15, 0.3)
    assert differing(both.variant, both.other) == [kinds, replaced]
    assert confounders(both.variant, both.other, VECTORS) == [replaced]
    assert confounded_sentence(both.variant, both.other, VECTORS) == (
        "They also differ in data.augment.replace (0.15 and 0.3), so the difference may come from "
        "it."
    )
    assert confounded_sentence(both.variant, both.other, frozenset()) == (
        "They differ in embedding.kind (word2vec and random) and data.augment.replace (0.15 and "
        "0.3), so the difference may come from any of them."
    )


def test_the_commands_train_the_missing_cells(vectors: Path) -> None:
    commands = cells(vectors)
    expected = [best("word2vec", 0.3), best("random", 0.15)]
    for command, config in zip(commands, expected, strict=True):
        runs = composed(command)
        assert [results(run) for run in runs] == [
            results(replace(config, seed=seed)) for seed in (0, 1, 2)
        ]
    assert {run.sweep for run in composed(commands[0])} == {"best with random"}


def test_a_command_starts_from_the_experiment_of_its_sweep(tmp_path: Path) -> None:
    for config in (*experiment("best_scratch"), *experiment("best_vectors")):
        learned = LEARNED if config.embedding.kind == "word2vec" else None
        put_run(tmp_path, config, answers(20), answers(20), vectors=learned)
    asked = [CompareConfig(run="embedding=word2vec", other="embedding=random")]
    known = seed_experiments(["best_scratch"])
    variants = only_group(tmp_path).variants
    [*_, question], _ = questions(variants, asked, known)
    first, second = question.commands
    assert first == "python train.py experiment=best_scratch embedding.kind=word2vec seed=0,1,2"
    assert second.startswith("python train.py -m encoder.cell=gru")
    assert second.endswith("sweep=best_vectors seed=0,1,2")
    for command, name, changed in (
        (first, "best_scratch", {"embedding.kind": "word2vec"}),
        (second, "best_vectors", {"embedding.kind": "random"}),
    ):
        expected = [updated(config, changed) for config in experiment(name)]
        assert [*map(results, composed(command))] == [*map(results, expected)]


def test_a_cell_that_was_trained_is_not_missing(vectors: Path) -> None:
    # The vectors of other reviews; learned vectors follow from the settings.
    put_variant(vectors, best("word2vec", 0.3), vectors=LEARNED | {"fingerprint": "sha256-2"})
    variants = only_group(vectors).variants
    ours = next(v for v in variants if v.settings["data.augment.replace"] == 0.15)
    other = next(v for v in variants if v.settings["embedding.kind"] == "random")
    [command] = missing_cells(ours, other, VECTORS, variants)
    assert [run.embedding.kind for run in composed(command)] == ["random"] * 3
    put_variant(vectors, best("random", 0.15))
    assert missing_cells(ours, other, VECTORS, only_group(vectors).variants) == []


def test_a_fair_comparison_has_no_missing_cells(tmp_path: Path) -> None:
    put_variant(tmp_path, best("random", 0.3))
    put_variant(tmp_path, best("word2vec", 0.3), vectors=LEARNED)
    both = pair(tmp_path, "embedding=word2vec", "embedding=random")
    assert confounded_sentence(both.variant, both.other, VECTORS) == ""
    assert cells(tmp_path) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"data.source": "synthetic", "data.classes": 5, "data.tokenizer": "unicode"},
        {"data.folds": 3, "data.fold": 0, "early_stopping.patience": None},
        {"data.source": "reviews", "data.path": "FILE", "data.text_column": "the 'text', here"},
        {"data.source": "reviews", "data.path": "FILE", "data.classes": ["bad", "so so", "good"]},
        {"optimizer.lr": 1e-05, "optimizer.clip": None, "early_stopping.monitor": "val/f1"},
        {"decision.threshold": "f1", "decision.calibration": "temperature", "test": False},
    ],
)
def test_a_command_reproduces_every_kind_of_value(tmp_path: Path, changes: dict[str, Any]) -> None:
    base = updated(Config(), changes)
    put_variant(tmp_path, replace(base, encoder=network("gru").encoder))
    narrow = network("lstm").encoder
    narrow.hidden_size = 64
    put_variant(tmp_path, replace(base, encoder=narrow), (0, 5))
    ours, other = sorted(only_group(tmp_path).variants, key=lambda v: v.network)
    named = settings_in_question("encoder=gru", "encoder=lstm")
    command, _ = missing_cells(ours, other, named, [ours, other])
    runs = composed(command)
    expected = updated(base, {"encoder.cell": "gru", "encoder.hidden_size": 64})
    assert [asdict(run) for run in runs] == [
        asdict(replace(updated(expected, {"data.fold": fold}), seed=seed))
        for seed in (0, 5)
        for fold in folds_of(base)
    ]


def test_vectors_count_once_and_are_read_from_the_recorded_file(tmp_path: Path) -> None:
    first = EmbeddingConfig("glove", dim=50)  # type: ignore[arg-type]
    file = EmbeddingConfig("glove", dim=50, path="elsewhere/own.txt")  # type: ignore[arg-type]
    narrow = replace(network("lstm"), embedding=file)
    narrow.encoder.hidden_size = 64
    put_variant(tmp_path, replace(network("lstm"), embedding=first), vectors=LEARNED)
    own = {"fingerprint": "sha256-3456789abcdef", "source": "own.txt"}
    put_variant(tmp_path, narrow, vectors=own)
    ours, other = sorted(only_group(tmp_path).variants, key=lambda v: v.settings["vectors"])
    assert [each.setting for each in differing(ours, other)] == [
        "encoder.hidden_size",
        "embedding.name",
    ]
    commands = missing_cells(ours, other, VECTORS, [ours, other])
    by_path = {run.embedding.path: run for command in commands for run in composed(command)}
    assert {path: run.encoder.hidden_size for path, run in by_path.items()} == {
        None: 64,
        "own.txt": 128,
    }


def test_vectors_that_follow_from_other_settings_do_not_count(tmp_path: Path) -> None:
    for dim in (50, 100):
        for kind in ("glove", "word2vec"):
            embedding = EmbeddingConfig(kind, dim=dim)  # type: ignore[arg-type]
            vectors = LEARNED | {"fingerprint": f"sha256-{kind}{dim}"}
            put_variant(tmp_path, replace(network("lstm"), embedding=embedding), vectors=vectors)
    for kind in ("glove", "word2vec"):
        of_kind = f"embedding={kind} embedding.dim"
        both = pair(tmp_path, f"{of_kind}=50", f"{of_kind}=100")
        assert differing(both.variant, both.other) == [Difference("embedding.dim", 50, 100)]
        assert both.confounded == ""


def test_files_of_vectors_are_told_apart_by_their_content(tmp_path: Path) -> None:
    file = EmbeddingConfig("glove", path="vectors.txt")  # type: ignore[arg-type]
    for digit in "12":
        vectors = {"fingerprint": f"sha256-{digit}", "source": "vectors.txt"}
        put_variant(tmp_path / digit, replace(network("lstm"), embedding=file), vectors=vectors)
    ours, other = only_group(tmp_path).variants
    [difference] = differing(ours, other)
    assert str(difference).startswith("vectors (vectors.txt, sha256-")


def test_language_models_are_told_apart_by_their_content(tmp_path: Path) -> None:
    for digit in (None, "1", "2"):
        model = digit and {"digest": digit * 64, "read_validation": 0}
        put_variant(tmp_path / str(digit), network("lstm"), language_model=model)
    without, ours, theirs = sorted(only_group(tmp_path).variants, key=lambda v: v.name)
    assert [ours.name, theirs.name, without.name] == [
        "lstm-last encoder.start_from=sha256-11111111",
        "lstm-last encoder.start_from=sha256-22222222",
        "lstm-last encoder.start_from=None",
    ]
    for other in (theirs, without):
        assert [each.setting for each in differing(ours, other)] == ["encoder.start_from"]


def test_the_folder_of_a_language_model_is_to_be_filled_in(tmp_path: Path) -> None:
    put_variant(tmp_path, network("lstm", "max"), language_model={"digest": "1" * 64})
    put_variant(tmp_path, network("gru", "last"))
    question = pair(tmp_path, "head=max", "head=last")
    named = settings_in_question("head=max", "head=last")
    both = [question.variant, question.other]
    starts = {
        (run.encoder.cell, run.encoder.start_from)
        for command in missing_cells(*both, named, both)
        for run in composed(command)
    }
    assert starts == {("lstm", "LANGUAGE_MODEL"), ("gru", None)}


def test_a_baseline_is_another_kind_of_model(tmp_path: Path) -> None:
    put_variant(tmp_path, network("gru"))
    put_baseline(tmp_path, answers(10), answers(10))
    both = pair(tmp_path, "encoder=gru", "ngrams.kind=logistic")
    variant, other = both.variant, both.other
    [difference] = differing(variant, other)
    assert str(difference) == f"the {MODEL} (network and n-gram baseline)"
    named = settings_in_question("encoder=gru", "ngrams.kind=logistic")
    assert confounders(variant, other, named) == []
    width = settings_in_question("encoder.hidden_size=1", "encoder.hidden_size=2")
    assert confounders(variant, other, width) == [difference]
    assert missing_cells(variant, other, width, [variant, other]) == []


def test_values_that_exclude_each_other_have_no_command(tmp_path: Path) -> None:
    glove = EmbeddingConfig("glove", dim=50)  # type: ignore[arg-type]
    put_variant(tmp_path, replace(network("lstm"), embedding=glove), vectors=LEARNED)
    put_variant(tmp_path, network("lstm"))
    both = pair(tmp_path, "embedding=glove", "embedding=random")
    named = settings_in_question("embedding=glove", "embedding=random")
    [command] = missing_cells(both.variant, both.other, named, only_group(tmp_path).variants)
    assert [(run.embedding.kind, run.embedding.dim) for run in composed(command)] == [
        ("random", 50)
    ]


@pytest.mark.parametrize(
    ("run", "other", "named", "not_named"),
    [
        ("head=max data.padding=exact", "head=last", ["head.kind"], ["data.padding"]),
        ("encoder=bilstm", "encoder=lstm", ["encoder.num_layers"], ["encoder.hidden_size"]),
        ("encoder=mine", "encoder=lstm", [], ["head.kind"]),
        ("encoder=mine", "encoder=other", ["encoder.hidden_size"], ["head.kind"]),
        ("encoder=gru", "head=max", ["encoder.cell", "head.kind"], ["data.padding"]),
        ("embedding.kind=glove", "embedding=random", ["vectors", "embedding.name"], []),
    ],
)
def test_the_settings_in_question_are_those_of_both_sides(
    run: str, other: str, named: list[str], not_named: list[str]
) -> None:
    asked = settings_in_question(run, other)
    assert all(is_in_question(name, asked) for name in named)
    assert not any(is_in_question(name, asked) for name in not_named)
