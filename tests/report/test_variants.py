"""Which runs make a variant, what it is called, and which variants are in a group."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EmbeddingConfig,
    EmbeddingKind,
    OptimizerConfig,
    Reference,
    TrainerConfig,
)
from lstm_sentiment.report.variants import Variant, order_of, variant_groups
from lstm_sentiment.runs.reader import RunSummary, State, read_runs
from tests.support.records import DATA, amend, answers, network, put_baseline, put_run
from tests.support.reports import only_group

GRU = network("gru")


def names(root: Path) -> list[str]:
    return [variant.name for variant in only_group(root).variants]


def only_variant(root: Path) -> Variant:
    (variant,) = only_group(root).variants
    return variant


def test_a_record_from_before_a_field_is_the_variant_of_that_time(tmp_path: Path) -> None:
    for folder in (
        put_run(tmp_path / "former", GRU, answers(20), answers(10)),
        put_baseline(tmp_path / "former", answers(40), answers(30)),
    ):
        amend(folder, lambda record: record["config"]["data"].pop("preparation"))
    put_run(tmp_path / "now", GRU, answers(22), answers(12))
    for wrong, seed in ((20, 1), (30, 2)):
        data = DataConfig(preparation=1)
        put_run(tmp_path / "again", network("gru", seed=seed, data=data), *[answers(wrong)] * 2)
    variants = only_group(tmp_path).variants
    assert {v.name: len(v.runs) for v in variants} == {
        "gru-last data.preparation=2": 1,
        "gru-last": 3,
        "ngrams-logistic": 1,
    }


def test_runs_that_differ_only_in_their_seed_are_one_variant(tmp_path: Path) -> None:
    for seed, wrong in ((2, 30), (0, 10), (1, 26)):
        put_run(tmp_path / f"of_{seed}", Config(seed=seed), answers(wrong), answers(wrong + 2))
    variant = only_variant(tmp_path)
    assert variant.name == "lstm-last"
    assert [*variant.runs] == [0, 1, 2]
    assert all(run.record and run.record["config"]["seed"] == s for s, run in variant.runs.items())
    assert variant.scores("test", "accuracy") == pytest.approx([0.95, 0.87, 0.85])
    assert variant.val_accuracy == pytest.approx((0.94 + 0.86 + 0.84) / 3)
    assert variant.network == "lstm"
    assert not variant.is_baseline
    assert not {"seed", "test", "sweep"} & variant.settings.keys()
    assert variant.settings["encoder.cell"] == "lstm"


def test_runs_that_a_search_pruned_are_variants_of_their_own_and_last(tmp_path: Path) -> None:
    for wrong, seed in ((30, 0), (32, 1)):
        put_run(tmp_path / "runs", network("gru", seed=seed), None, answers(wrong))
    for cell, wrong, seed in (("gru", 10, 2), ("lstm", 20, 0)):
        folder = put_run(tmp_path / "runs", network(cell, seed=seed), None, answers(wrong))
        amend(folder, lambda record: record.update(pruned=True))
    put_run(tmp_path / "runs", network("rnn"), None, answers(50))
    group = only_group(tmp_path)
    assert {v.name: len(v.runs) for v in group.variants} == {
        "gru-last": 2,
        "rnn-last": 1,
        "gru-last (pruned)": 1,
        "lstm-last (pruned)": 1,
    }
    assert [v.name for v in group.variants][1:] == [
        "rnn-last",
        "gru-last (pruned)",
        "lstm-last (pruned)",
    ]
    assert [note for note in group.notes if "pruned 2 runs" in note]
    assert order_of(group.variants).endswith("those that a search pruned are last.")
    assert "pruned" not in order_of(group.variants[:2])


def test_paths_and_hardware_do_not_make_another_variant(tmp_path: Path) -> None:
    elsewhere = Config(
        seed=1,
        root="elsewhere",
        sweep="other",
        reference=[Reference("encoder=lstm", 0.87)],
        data=DataConfig(cache="there"),
        trainer=TrainerConfig("cpu", threads=7, log_every_n_steps=1, enable_progress_bar=False),  # type: ignore[arg-type]
    )
    put_run(tmp_path, Config(), answers(20), answers(20))
    put_run(tmp_path, elsewhere, answers(20), answers(20))
    assert [*only_variant(tmp_path).runs] == [0, 1]


def test_any_other_setting_makes_another_variant(tmp_path: Path) -> None:
    for batch_size in (32, 64):
        data = DataConfig(batch_size=batch_size)
        put_run(tmp_path, Config(data=data, seed=batch_size), answers(20), answers(batch_size))
    assert names(tmp_path) == ["lstm-last data.batch_size=32", "lstm-last data.batch_size=64"]


def test_only_runs_on_the_same_reviews_are_in_a_group(tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [{}, {"fingerprint": "2"}, {"train": 800}, {"val": 100}]
    for number, other in enumerate([*others, {"test": 100}]):
        put_run(tmp_path / f"{number}", Config(), answers(20), answers(20), data=DATA | other)
    data_groups = variant_groups(read_runs(tmp_path))
    assert sorted(group.title for group in data_groups) == [
        "imdb: 800 train, 200 val, 200 test",
        "imdb: 900 train, 100 val, 200 test",
        "imdb: 900 train, 200 val, 100 test",
        "imdb: 900 train, 200 val, 200 test",
        "imdb: 900 train, 200 val, 200 test",
    ]
    assert not any(group.notes for group in data_groups)


def test_the_same_reviews_from_another_source_are_the_same_data_set(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(20))
    from_files = Config(seed=1, data=DataConfig("reviews", path="a.csv"))  # type: ignore[arg-type]
    put_run(tmp_path, from_files, answers(20), answers(20), data=DATA | {"source": "reviews"})
    assert [*only_variant(tmp_path).runs] == [0, 1]


def test_the_largest_group_comes_first(tmp_path: Path) -> None:
    for fingerprint, count in (("a", 1), ("b", 3), ("c", 2)):
        for seed in range(count):
            data = DATA | {"fingerprint": fingerprint}
            put_run(tmp_path / fingerprint, Config(seed=seed), answers(20), answers(20), data=data)
    data_groups = variant_groups(read_runs(tmp_path))
    assert [len(group.variants[0].runs) for group in data_groups] == [3, 2, 1]


def test_of_groups_of_equal_size_the_one_with_more_reviews_comes_first(tmp_path: Path) -> None:
    for train in (500, 25_000, 900):
        data = DATA | {"train": train}
        put_run(tmp_path / f"{train}", Config(), answers(20), answers(20), data=data)
    sizes = [group.title.split()[1] for group in variant_groups(read_runs(tmp_path))]
    assert sizes == ["25,000", "900", "500"]


def test_a_title_omits_empty_splits(tmp_path: Path) -> None:
    data = DATA | {"train": 25000, "val": 0, "test": None}
    put_run(tmp_path, Config(), None, None, data=data)
    assert only_group(tmp_path).title == "imdb: 25,000 train"


def test_a_title_names_the_groups_of_the_reviews(tmp_path: Path) -> None:
    data = DATA | {"train": 900, "val": 100, "test": 100, "group_column": "film\x1b"}
    put_run(tmp_path, Config(), answers(20), answers(20), data=data)
    assert only_group(tmp_path).title == "imdb: 900 train, 100 val, 100 test, groups by film\\x1b"


def test_runs_without_a_record_are_in_no_group(tmp_path: Path) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(20))
    put_run(tmp_path, GRU, answers(20), answers(20))
    (folder / "run.json").unlink()
    assert names(tmp_path) == ["gru-last"]
    assert variant_groups([RunSummary(folder, State.missing)]) == []


def test_names_contain_the_settings_in_which_variants_differ(tmp_path: Path) -> None:
    slow = OptimizerConfig(lr=1e-3)
    keras = DataConfig(padding="keras")  # type: ignore[arg-type]
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_run(tmp_path, Config(optimizer=slow, seed=4), answers(20), answers(12))
    put_run(tmp_path, network(head="max", data=keras), answers(20), answers(14))
    assert names(tmp_path) == [
        "lstm-last",  # as two of the three in either
        "lstm-last optimizer.lr=0.001",
        "lstm-max data.padding=keras",
    ]


def test_a_name_contains_the_settings_of_the_network_once(tmp_path: Path) -> None:
    networks = [
        network("rnn"),
        network(num_layers=2),
        network(bidirectional=True),
        network(head="max_attention"),
    ]
    for wrong, config in enumerate(networks):
        put_run(tmp_path, config, answers(20), answers(wrong))
    expected = ["rnn-last", "stacked_lstm-last", "bilstm-last", "lstm-max_attention"]
    assert names(tmp_path) == expected
    variants = only_group(tmp_path).variants
    assert [v.network for v in variants] == ["rnn", "stacked_lstm", "bilstm", "lstm"]


def test_other_groups_do_not_lengthen_a_name(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    slow = Config(optimizer=OptimizerConfig(lr=1e-3))
    put_run(tmp_path, slow, answers(20), answers(12), data=DATA | {"fingerprint": "2"})
    data_groups = variant_groups(read_runs(tmp_path))
    assert [v.name for group in data_groups for v in group.variants] == ["lstm-last", "lstm-last"]


def test_a_baseline_leaves_the_names_of_networks_short(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_run(tmp_path, GRU, answers(20), answers(12))
    put_baseline(tmp_path, answers(20), answers(14))
    put_baseline(tmp_path, answers(20), answers(16), kind="nb_svm")
    variants = only_group(tmp_path).variants
    assert [v.name for v in variants] == [
        "lstm-last",
        "gru-last",
        "ngrams-logistic",
        "ngrams-nb_svm",
    ]
    assert [v.is_baseline for v in variants] == [False, False, True, True]


def test_a_name_omits_settings_that_a_baseline_does_not_have(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_run(tmp_path, Config(optimizer=OptimizerConfig(lr=1e-3)), answers(20), answers(12))
    put_baseline(tmp_path, answers(20), answers(14))
    assert names(tmp_path) == [
        "lstm-last optimizer.lr=0.002",
        "lstm-last optimizer.lr=0.001",
        "ngrams-logistic",
    ]


def test_a_baseline_with_a_penalised_intercept_is_another_variant(tmp_path: Path) -> None:
    """Records that lack the setting are of baselines whose intercept was penalised."""

    def as_before(record: dict[str, Any]) -> None:
        record["name"] += "old"
        del record["config"]["ngrams"]["intercept"]

    put_baseline(tmp_path, answers(30), answers(30))
    folder = put_baseline(tmp_path / "old", answers(20), answers(20))
    amend(folder, as_before)
    folder.rename(folder.with_name(f"{folder.name}old"))
    assert names(tmp_path) == [
        "ngrams-logistic ngrams.intercept=penalised",
        "ngrams-logistic ngrams.intercept=unpenalised",
    ]
    assert not only_group(tmp_path).notes


def test_word_vectors_with_another_fingerprint_make_another_variant(tmp_path: Path) -> None:
    config = Config(embedding=EmbeddingConfig("glove", dim=100))  # type: ignore[arg-type]
    for place, vectors in (("a", "old"), ("b", "new"), ("c", "new")):
        probabilities = answers(10 if vectors == "old" else 12)
        seeded = replace(config, seed=1 if place == "c" else 0)
        fingerprint = {"fingerprint": vectors}
        put_run(tmp_path / place, seeded, probabilities, probabilities, vectors=fingerprint)
    group = only_group(tmp_path)
    assert [v.name for v in group.variants] == [
        "lstm-last vectors=old",
        "lstm-last vectors=new",
    ]
    assert [len(v.runs) for v in group.variants] == [1, 2]
    assert not group.notes


def test_variants_are_ranked_by_validation_accuracy(tmp_path: Path) -> None:
    for cell, test, val in (("rnn", 0, 30), ("lstm", 10, 20), ("gru", 20, 10)):
        put_run(tmp_path, network(cell), answers(test), answers(val))
    assert names(tmp_path) == ["gru-last", "lstm-last", "rnn-last"]


def test_variants_are_ranked_by_the_mean_over_seeds(tmp_path: Path) -> None:
    for seed, wrong in ((0, 0), (1, 40)):
        put_run(tmp_path, Config(seed=seed), answers(20), answers(wrong))
    put_run(tmp_path, GRU, answers(20), answers(19))
    assert names(tmp_path) == ["gru-last", "lstm-last"]


def test_equal_variants_are_sorted_by_name(tmp_path: Path) -> None:
    for place, cell in (("a", "rnn"), ("b", "gru"), ("c", "lstm")):
        put_run(tmp_path / place, network(cell), answers(20), answers(10))
    assert names(tmp_path) == ["gru-last", "lstm-last", "rnn-last"]


def test_variants_without_validation_come_last(tmp_path: Path) -> None:
    data = DATA | {"val": 200}
    put_run(tmp_path, GRU, answers(20), None, data=data)
    put_run(tmp_path, Config(), answers(20), answers(150), data=data)
    first, last = only_group(tmp_path).variants
    assert (first.name, last.name) == ("lstm-last", "gru-last")
    assert np.isnan(last.val_accuracy)
    assert last.scores("val", "accuracy").shape == (0,)


def test_a_duplicate_of_a_run_is_left_out_with_a_note(tmp_path: Path) -> None:
    kept = put_run(tmp_path / "first", Config(), answers(20), answers(10))
    duplicate = put_run(tmp_path / "second", Config(), answers(40), answers(30))
    put_run(tmp_path / "second", Config(seed=1), answers(24), answers(12))
    group = only_group(tmp_path)
    (note,) = group.notes
    assert note.startswith(f"second/{duplicate.name} is left out")
    assert f"first/{kept.name}" in note
    (variant,) = group.variants
    assert variant.runs[0].folder == kept
    assert variant.scores("test", "accuracy") == pytest.approx([0.9, 0.88])


def test_scores_and_costs_are_those_of_the_seeds_that_have_them(tmp_path: Path) -> None:
    first, second, third = (
        put_run(tmp_path, Config(seed=seed), answers(10 * seed), answers(20), data=DATA)
        for seed in range(3)
    )
    amend(first, lambda record: record["cost"].update(peak_memory_mib=None, fit_seconds=50))
    amend(second, lambda record: record.update(test=None))
    amend(third, lambda record: record["cost"].pop("peak_memory_mib"))
    variant = only_variant(tmp_path)
    assert variant.scores("test", "accuracy") == pytest.approx([1, 0.9])
    assert variant.scores("val", "accuracy") == pytest.approx([0.9, 0.9, 0.9])
    assert variant.costs("fit_seconds") == pytest.approx([50, 61.26, 61.26])
    assert variant.costs("peak_memory_mib") == pytest.approx([900])
    assert variant.costs("unheard_of").shape == (0,)


def test_a_name_omits_settings_that_most_variants_share(tmp_path: Path) -> None:
    for head in ("max", "avg", "last"):
        put_run(tmp_path, network(head=head), answers(20), answers(10))
    unusual = network(head="max", optimizer=OptimizerConfig(lr=0.1))
    put_run(tmp_path, unusual, answers(20), answers(10))
    expected = ["lstm-avg", "lstm-last", "lstm-max", "lstm-max optimizer.lr=0.1"]
    assert sorted(names(tmp_path)) == expected


def put_with_vectors(root: Path, *digests: str) -> list[str]:
    """Write a run with GloVe vectors of each digest, and return the names of the variants."""
    for number, digest in enumerate(digests):
        vectors = {"fingerprint": f"sha256-{digest}", "source": "vectors.txt"}
        config = network("lstm", embedding=EmbeddingConfig(EmbeddingKind.glove, dim=50))
        name = f"lstm-last-s0-{number}"
        put_run(root, config, answers(20), answers(10), name=name, vectors=vectors)
    return sorted(v.name for v in only_group(root).variants)


def test_names_show_the_beginning_of_fingerprints(tmp_path: Path) -> None:
    names = put_with_vectors(tmp_path, "a" * 64, "b" * 64)
    assert names == [f"lstm-last vectors=sha256-{digit * 8}" for digit in "ab"]


def test_fingerprints_that_begin_alike_are_shown_in_full(tmp_path: Path) -> None:
    names = put_with_vectors(tmp_path, "c" * 63 + "a", "c" * 63 + "b")
    assert names == [f"lstm-last vectors=sha256-{'c' * 63}{digit}" for digit in "ab"]
