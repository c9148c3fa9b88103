"""Which runs make a configuration, what it is called, and which answers are believed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from records import LABELS, answers, put_run
from torchmetrics.functional.classification import binary_stat_scores

from lstm_sentiment.config import (
    Config,
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    HeadConfig,
    OptimizerConfig,
    Reference,
    TrainerConfig,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.model import ngrams
from lstm_sentiment.report.configurations import Configuration, Group, groups, read_answers
from lstm_sentiment.report.runs import RunSummary, State, read_run, read_runs
from lstm_sentiment.training import baseline
from lstm_sentiment.training.record import PREDICTIONS

DATA = {"source": "imdb", "fingerprint": "1", "train": 900, "val": 200, "test": 200}
GRU = Config(encoder=EncoderConfig("gru"))  # type: ignore[arg-type]


def put_baseline(
    sweep: Path,
    test: np.ndarray | None,
    val: np.ndarray | None,
    kind: str = "logistic",
    **more: Any,
) -> Path:
    """A run without recurrence, as `lstm-sentiment baseline` leaves it."""
    name, choices = f"ngrams-{kind}-s0-0", {"encoder": "ngrams", "head": kind}
    folder = put_run(sweep, Config(), test, val, name=name, choices=choices, **more)
    recorded = baseline.recorded(ngrams.Classifier(kind), Config())
    amend(folder, lambda record: record.update(config=recorded))
    return folder


def amend(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes a run's record."""
    record = json.loads((folder / "run.json").read_text())
    change(record)
    (folder / "run.json").write_text(json.dumps(record))


def only_group(root: Path) -> Group:
    """All of the runs below `root`, which are on the same reviews."""
    (group,) = groups(read_runs(root))
    return group


def names(root: Path) -> list[str]:
    return [c.name for c in only_group(root).configurations]


def only_configuration(root: Path) -> Configuration:
    (configuration,) = only_group(root).configurations
    return configuration


def test_runs_that_differ_in_their_seed_only_are_one_configuration(tmp_path: Path) -> None:
    for seed, wrong in ((2, 30), (0, 10), (1, 26)):
        put_run(tmp_path / f"of_{seed}", Config(seed=seed), answers(wrong), answers(wrong + 2))
    found = only_configuration(tmp_path)
    assert found.name == "lstm-last"
    assert [*found.runs] == [0, 1, 2]
    assert all(run.record and run.record["config"]["seed"] == s for s, run in found.runs.items())
    assert found.scores("test", "accuracy") == pytest.approx([0.95, 0.87, 0.85])
    assert found.val == pytest.approx((0.94 + 0.86 + 0.84) / 3)
    assert found.network == "lstm"
    assert not found.is_baseline
    assert not {"seed", "test", "sweep"} & found.settings.keys()
    assert found.settings["encoder.cell"] == "lstm"


def test_where_runs_were_made_makes_no_other_configuration(tmp_path: Path) -> None:
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
    assert [*only_configuration(tmp_path).runs] == [0, 1]


def test_any_other_setting_makes_another_configuration(tmp_path: Path) -> None:
    for batch_size in (32, 64):
        data = DataConfig(batch_size=batch_size)
        put_run(tmp_path, Config(data=data, seed=batch_size), answers(20), answers(batch_size))
    assert names(tmp_path) == ["lstm-last data.batch_size=32", "lstm-last data.batch_size=64"]


def test_only_runs_on_the_same_reviews_are_in_a_group(tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [{}, {"fingerprint": "2"}, {"train": 800}, {"val": 100}]
    for number, other in enumerate([*others, {"test": 100}]):
        put_run(tmp_path / f"{number}", Config(), answers(20), answers(20), data=DATA | other)
    found = groups(read_runs(tmp_path))
    assert sorted(group.title for group in found) == [
        "imdb: 800 train, 200 val, 200 test",
        "imdb: 900 train, 100 val, 200 test",
        "imdb: 900 train, 200 val, 100 test",
        "imdb: 900 train, 200 val, 200 test",
        "imdb: 900 train, 200 val, 200 test",
    ]
    assert not any(group.remarks for group in found)


def test_the_source_is_no_part_of_what_the_reviews_are(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(20))
    from_files = Config(seed=1, data=DataConfig("reviews", path="a.csv"))  # type: ignore[arg-type]
    put_run(tmp_path, from_files, answers(20), answers(20), data=DATA | {"source": "reviews"})
    assert [*only_configuration(tmp_path).runs] == [0, 1]


def test_the_largest_group_comes_first(tmp_path: Path) -> None:
    for fingerprint, count in (("a", 1), ("b", 3), ("c", 2)):
        for seed in range(count):
            data = DATA | {"fingerprint": fingerprint}
            put_run(tmp_path / fingerprint, Config(seed=seed), answers(20), answers(20), data=data)
    found = groups(read_runs(tmp_path))
    assert [len(group.configurations[0].runs) for group in found] == [3, 2, 1]


def test_of_groups_with_as_many_runs_that_of_more_reviews_comes_first(tmp_path: Path) -> None:
    for train in (500, 25_000, 900):
        data = DATA | {"train": train}
        put_run(tmp_path / f"{train}", Config(), answers(20), answers(20), data=data)
    found = [group.title.split()[1] for group in groups(read_runs(tmp_path))]
    assert found == ["25,000", "900", "500"]


def test_a_title_tells_no_size_of_what_there_is_not(tmp_path: Path) -> None:
    data = DATA | {"train": 25000, "val": 0, "test": None}
    put_run(tmp_path, Config(), None, None, data=data)
    assert only_group(tmp_path).title == "imdb: 25,000 train"


def test_runs_without_a_record_are_in_no_group(tmp_path: Path) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(20))
    put_run(tmp_path, GRU, answers(20), answers(20))
    (folder / "run.json").unlink()
    assert names(tmp_path) == ["gru-last"]
    assert groups([RunSummary(folder, State.missing)]) == []


def test_names_tell_exactly_what_the_configurations_of_a_group_differ_in(tmp_path: Path) -> None:
    slow = OptimizerConfig(lr=1e-3)
    keras = DataConfig(padding="keras")  # type: ignore[arg-type]
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_run(tmp_path, Config(optimizer=slow, seed=4), answers(20), answers(12))
    put_run(tmp_path, Config(head=HeadConfig("max"), data=keras), answers(20), answers(14))  # type: ignore[arg-type]
    assert names(tmp_path) == [
        "lstm-last",  # as two of the three in either
        "lstm-last optimizer.lr=0.001",
        "lstm-max data.padding=keras",
    ]


def test_what_the_network_is_stands_in_its_name_once(tmp_path: Path) -> None:
    encoders = [
        EncoderConfig("rnn"),
        EncoderConfig(num_layers=2),
        EncoderConfig(bidirectional=True),
    ]  # type: ignore[arg-type]
    for wrong, encoder in enumerate(encoders):
        put_run(tmp_path, Config(encoder=encoder), answers(20), answers(wrong))
    attention = Config(head=HeadConfig("max_attention"))  # type: ignore[arg-type]
    put_run(tmp_path, attention, answers(20), answers(3))
    expected = ["rnn-last", "stacked_lstm-last", "bilstm-last", "lstm-max_attention"]
    assert names(tmp_path) == expected
    found = only_group(tmp_path).configurations
    assert [c.network for c in found] == ["rnn", "stacked_lstm", "bilstm", "lstm"]


def test_other_groups_do_not_lengthen_a_name(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    slow = Config(optimizer=OptimizerConfig(lr=1e-3))
    put_run(tmp_path, slow, answers(20), answers(12), data=DATA | {"fingerprint": "2"})
    found = groups(read_runs(tmp_path))
    assert [c.name for group in found for c in group.configurations] == ["lstm-last", "lstm-last"]


def test_a_baseline_leaves_the_names_of_networks_short(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_run(tmp_path, GRU, answers(20), answers(12))
    put_baseline(tmp_path, answers(20), answers(14))
    put_baseline(tmp_path, answers(20), answers(16), kind="nb_svm")
    found = only_group(tmp_path).configurations
    assert [c.name for c in found] == [
        "lstm-last",
        "gru-last",
        "ngrams-logistic",
        "ngrams-nb_svm",
    ]
    assert [c.is_baseline for c in found] == [False, False, True, True]


def test_a_baseline_is_not_told_what_it_does_not_have(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_run(tmp_path, Config(optimizer=OptimizerConfig(lr=1e-3)), answers(20), answers(12))
    put_baseline(tmp_path, answers(20), answers(14))
    assert names(tmp_path) == [
        "lstm-last optimizer.lr=0.002",
        "lstm-last optimizer.lr=0.001",
        "ngrams-logistic",
    ]


def test_vectors_of_another_fingerprint_make_another_configuration(tmp_path: Path) -> None:
    config = Config(embedding=EmbeddingConfig("glove", dim=100))  # type: ignore[arg-type]
    for place, vectors in (("a", "old"), ("b", "new"), ("c", "new")):
        given = answers(10 if vectors == "old" else 12)
        seeded = replace(config, seed=1 if place == "c" else 0)
        put_run(tmp_path / place, seeded, given, given, vectors={"fingerprint": vectors})
    group = only_group(tmp_path)
    assert [c.name for c in group.configurations] == [
        "lstm-last vectors=old",
        "lstm-last vectors=new",
    ]
    assert [len(c.runs) for c in group.configurations] == [1, 2]
    assert not group.remarks


def test_ranked_by_validation_and_never_by_test(tmp_path: Path) -> None:
    for cell, test, val in (("rnn", 0, 30), ("lstm", 10, 20), ("gru", 20, 10)):
        put_run(tmp_path, Config(encoder=EncoderConfig(cell)), answers(test), answers(val))  # type: ignore[arg-type]
    assert names(tmp_path) == ["gru-last", "lstm-last", "rnn-last"]


def test_ranked_by_the_mean_over_seeds(tmp_path: Path) -> None:
    for seed, wrong in ((0, 0), (1, 40)):
        put_run(tmp_path, Config(seed=seed), answers(20), answers(wrong))
    put_run(tmp_path, GRU, answers(20), answers(19))
    assert names(tmp_path) == ["gru-last", "lstm-last"]


def test_equals_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    for place, cell in (("a", "rnn"), ("b", "gru"), ("c", "lstm")):
        put_run(tmp_path / place, Config(encoder=EncoderConfig(cell)), answers(20), answers(10))  # type: ignore[arg-type]
    assert names(tmp_path) == ["gru-last", "lstm-last", "rnn-last"]


def test_what_was_not_validated_comes_last(tmp_path: Path) -> None:
    data = DATA | {"val": 200}
    put_run(tmp_path, GRU, answers(20), None, data=data)
    put_run(tmp_path, Config(), answers(20), answers(150), data=data)
    first, last = only_group(tmp_path).configurations
    assert (first.name, last.name) == ("lstm-last", "gru-last")
    assert np.isnan(last.val)
    assert last.scores("val", "accuracy").shape == (0,)


def test_the_same_run_twice_is_kept_once_and_the_other_is_named(tmp_path: Path) -> None:
    kept = put_run(tmp_path / "first", Config(), answers(20), answers(10))
    left = put_run(tmp_path / "second", Config(), answers(40), answers(30))
    put_run(tmp_path / "second", Config(seed=1), answers(24), answers(12))
    group = only_group(tmp_path)
    assert group.remarks == [
        f"second/{left.name} is the same run as first/{kept.name}, and left out."
    ]
    (configuration,) = group.configurations
    assert configuration.runs[0].folder == kept
    assert configuration.scores("test", "accuracy") == pytest.approx([0.9, 0.88])


def test_scores_and_costs_are_of_the_seeds_that_have_them(tmp_path: Path) -> None:
    first, second, third = (
        put_run(tmp_path, Config(seed=seed), answers(10 * seed), answers(20), data=DATA)
        for seed in range(3)
    )
    amend(first, lambda record: record["cost"].update(peak_memory_mib=None, fit_seconds=50))
    amend(second, lambda record: record.update(test=None))
    amend(third, lambda record: record["cost"].pop("peak_memory_mib"))
    found = only_configuration(tmp_path)
    assert found.scores("test", "accuracy") == pytest.approx([1, 0.9])
    assert found.scores("val", "accuracy") == pytest.approx([0.9, 0.9, 0.9])
    assert found.costs("fit_seconds") == pytest.approx([50, 61.26, 61.26])
    assert found.costs("peak_memory_mib") == pytest.approx([900])
    assert found.costs("unheard_of").shape == (0,)


def probabilities(seed: int = 0) -> np.ndarray:
    """Between 0 and 1, with many that are 0, 0.5 or 1 exactly."""
    random = np.random.default_rng(seed)
    return np.where(
        random.random(200) < 0.5, random.choice([0, 0.5, 1], 200), random.random(200).round(3)
    )


@pytest.mark.parametrize("seed", range(5))
def test_answers_are_right_where_torchmetrics_says_so(tmp_path: Path, seed: int) -> None:
    run = read_run(put_run(tmp_path, Config(), probabilities(seed), answers(20)))
    found = read_answers(run, "test")
    given, labels = torch.from_numpy(probabilities(seed)), torch.from_numpy(LABELS)
    counts = binary_stat_scores(given[:, None], labels[:, None], multidim_average="samplewise")
    true_positive, false_positive, true_negative = counts[:, :3].numpy().T.astype(bool)
    assert np.array_equal(found.right, true_positive | true_negative)
    assert np.array_equal(found.positive, true_positive | false_positive)
    assert run.record is not None
    assert found.right.mean() == pytest.approx(run.record["test"]["accuracy"])
    assert not found.positive[probabilities(seed) == 0.5].any()


def test_answers_are_of_the_split_that_was_asked_for(tmp_path: Path) -> None:
    rows, tokens = np.arange(200) * 3, np.arange(200) + 7
    folder = put_run(
        tmp_path, Config(), probabilities(1), probabilities(2), rows=rows, tokens=tokens
    )
    for split, given in (("test", probabilities(1)), ("val", probabilities(2))):
        found = read_answers(read_run(folder), split)
        assert np.array_equal(found.probability, given.astype(np.float32))
        assert np.array_equal(found.label, LABELS == 1)
        assert found.label.dtype == bool
        assert np.array_equal(found.row, rows)
        assert found.tokens is not None
        assert np.array_equal(found.tokens, tokens)


def test_predictions_of_before_there_were_tokens_are_read(tmp_path: Path) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    path = folder / PREDICTIONS
    pq.write_table(pq.read_table(path).drop_columns("tokens"), path)
    found = read_answers(read_run(folder), "test")
    assert found.tokens is None
    assert found.right.sum() == 180


def rewrite(path: Path, **columns: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes columns of the predictions, which hold val's 200 rows and then test's."""
    table = pq.read_table(path).to_pandas()
    for name, change in columns.items():
        table[name] = change(table[name].to_numpy().copy())
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)


def at(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Puts a value into the answers to test."""

    def change(column: np.ndarray) -> np.ndarray:
        column[200 + place] = value
        return column

    return change


def of_another_run(path: Path) -> None:
    other = put_run(path.parent.parent / "other", GRU, answers(21), answers(10))
    path.write_bytes((other / PREDICTIONS).read_bytes())


def as_accurate(path: Path) -> None:
    """Another run's predictions: as many mistakes, but other ones, all on negative reviews."""
    wrong = np.where(LABELS == 1, 0.9, 0.1)
    wrong[:40:2] = 0.9
    other = put_run(path.parent.parent / "other", GRU, wrong, answers(10))
    path.write_bytes((other / PREDICTIONS).read_bytes())


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def without_test(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 200), path)


def an_answer_less(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 399), path)


def without_labels(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns("label"), path)


def without_splits(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns("split"), path)


NOT_OF_ITS_RECORD: dict[str, Callable[[Path], None]] = {
    "another run": of_another_run,
    "another run, as accurate": as_accurate,
    "no answers to test": without_test,
    "NaN for a review answered no": lambda path: rewrite(path, probability=at(100, np.nan)),
    "NaN for a review answered yes": lambda path: rewrite(path, probability=at(101, np.nan)),
    "a probability above 1": lambda path: rewrite(path, probability=at(101, 1.5)),
    "a probability below 0": lambda path: rewrite(path, probability=at(100, -0.5)),
    "a row twice": lambda path: rewrite(path, index=at(100, 99)),
    "another label": lambda path: rewrite(path, label=at(100, 1)),
    "all labels exchanged": lambda path: rewrite(path, label=lambda label: 1 - label),
    "an answer less": an_answer_less,
}
CANNOT_BE_READ: dict[str, Callable[[Path], object]] = {
    "cut short": cut_short,
    "empty": lambda path: path.write_bytes(b""),
    "no Parquet": lambda path: path.write_text("split,index,label,probability\n"),
    "no column of labels": without_labels,
    "no column of splits": without_splits,
    "words for numbers": lambda path: rewrite(
        path, probability=lambda given: np.array(["often"] * len(given), object)
    ),
}


@pytest.mark.parametrize("what", NOT_OF_ITS_RECORD)
def test_predictions_that_are_not_of_their_record_are_refused(tmp_path: Path, what: str) -> None:
    folder = put_run(tmp_path / "a", Config(), answers(20), answers(10))
    NOT_OF_ITS_RECORD[what](folder / PREDICTIONS)
    with pytest.raises(InputError) as refused:
        read_answers(read_run(folder), "test")
    assert str(refused.value) == f"{folder.name}/{PREDICTIONS} is not of its record"


@pytest.mark.parametrize("what", CANNOT_BE_READ)
def test_predictions_that_cannot_be_read_are_refused(tmp_path: Path, what: str) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    CANNOT_BE_READ[what](folder / PREDICTIONS)
    with pytest.raises(InputError) as refused:
        read_answers(read_run(folder), "test")
    said = str(refused.value)
    assert said.startswith(f"{folder.name}/{PREDICTIONS} cannot be read")
    assert "\n" not in said


def test_predictions_that_are_missing_are_refused(tmp_path: Path) -> None:
    folder = put_run(tmp_path, Config(), answers(20), answers(10))
    (folder / PREDICTIONS).unlink()
    with pytest.raises(InputError, match=f"^{folder.name}/{PREDICTIONS} is missing$"):
        read_answers(read_run(folder), "test")


def test_a_name_does_not_say_what_most_have(tmp_path: Path) -> None:
    for head in ("max", "avg", "last"):
        put_run(tmp_path, Config(head=HeadConfig(head)), answers(20), answers(10))
    odd = Config(head=HeadConfig("max"), optimizer=OptimizerConfig(lr=0.1))
    put_run(tmp_path, odd, answers(20), answers(10))
    found = {c.name for c in only_group(tmp_path).configurations}
    assert found == {"lstm-max", "lstm-avg", "lstm-last", "lstm-max optimizer.lr=0.1"}
