"""Folders of runs: what each is found to be, and that no record, however damaged, stops a reader.

A record is changed in one place, by hand or by hypothesis, beside one that is whole.
"""

import copy
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import answers, put, put_run
from rich.console import Console

from lstm_sentiment.config import Config, EncoderConfig, HeadConfig, Reference
from lstm_sentiment.errors import InputError
from lstm_sentiment.report import document
from lstm_sentiment.report.comparison import published
from lstm_sentiment.report.configurations import groups
from lstm_sentiment.report.ranking import markdown, ranking
from lstm_sentiment.report.report import report
from lstm_sentiment.report.runs import RunSummary, State, flaw, read_run, read_runs
from lstm_sentiment.report.status import status
from lstm_sentiment.report.tables import run_table

BEGUN: dict[str, Any] = {"schema": 1, "choices": {}, "config": {}}
DELETED = object()
Path_ = tuple[str | int, ...]  # to a part of a record


def good_run(root: Path) -> Path:
    """A run whose record holds something of everything that reports read."""
    figure = Reference(run="encoder=lstm", accuracy=0.9, loss=0.3, source="a paper")
    config = Config(head=HeadConfig(kind="max"), reference=[figure])
    vectors = {"fingerprint": "abc"}
    return put_run(root, config, answers(30), answers(20), vectors=vectors)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return good_run(tmp_path / "default")


def record_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def changed(record: Any, path: Path_, value: Any) -> Any:
    """The record with another value there, or without what is there."""
    record = copy.deepcopy(record)
    part = record
    for key in path[:-1]:
        part = part[key]
    if value is DELETED:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return record


def parts(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The way to everything in a record."""
    if path:
        yield path
    keys = value if isinstance(value, dict) else range(len(value) if type(value) is list else 0)
    for key in keys:
        yield from parts(value[key], (*path, key))


def put_record(folder: Path, record: Any) -> RunSummary:
    (folder / "run.json").write_text(json.dumps(record))
    return read_run(folder)


def read_by_all(runs: list[RunSummary]) -> None:
    """All that reads records, but for the drawing of intervals and pictures."""
    console = Console(file=io.StringIO(), width=80)
    console.print(ranking(runs), status(runs))
    markdown(runs).encode()
    run_table(runs).encode()
    for group in groups(runs):
        published(group.configurations)


def test_a_whole_record_is_done(run: Path) -> None:
    assert flaw(record_of(run), run.name) is None
    assert read_run(run) == RunSummary(run, State.done, record_of(run))


def test_without_validation_or_test_it_is_whole_as_well(tmp_path: Path) -> None:
    for val, test in ((answers(20), None), (None, answers(20)), (None, None)):
        assert read_run(put_run(tmp_path, Config(), test, val)).state is State.done


def test_a_baseline_has_no_network_and_is_whole(run: Path) -> None:
    config = {"seed": 0, "test": True, "ngrams": {"kind": "logistic", "c": 1.0}, "data": {}}
    content = record_of(run) | {"name": "ngrams-logistic-s0-1", "config": config}
    assert flaw(content, "ngrams-logistic-s0-1") is None
    del content["config"]["seed"]
    assert flaw(content, "ngrams-logistic-s0-1") == "is damaged: seed is missing"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("config",), [], "config is []"),
        (("choices",), "lstm", "choices is lstm"),
        (("config", "seed"), DELETED, "seed is missing"),
        (("config", "seed"), "0", "seed is 0"),
        (("config", "seed"), True, "seed is True"),
        (("config", "seed"), -1, "seed is -1"),
        (("config", "encoder"), DELETED, "encoder is missing"),
        (("config", "encoder", "cell"), "transformer", "encoder.cell is transformer"),
        (("config", "encoder", "num_layers"), 4, "encoder.num_layers is 4"),
        (("config", "encoder", "num_layers"), [1], "not of its kind"),
        (("config", "encoder", "bidirectional"), 0, "encoder.bidirectional is no flag"),
        (("config", "head", "kind"), None, "head.kind is None"),
        (("config", "reference", 0, "run"), DELETED, "run is missing"),
        (("config", "reference", 0, "run"), 1, "reference.run is 1"),
        (("config", "reference", 0, "accuracy"), "0.9", "reference.accuracy is 0.9"),
        (("config", "reference", 0, "loss"), math.nan, "reference.loss is nan"),
        (("epochs",), None, ""),
        (("epochs",), [], "best_epoch is 1"),
        (("epochs", 0), [], ""),
        (("epochs", 0, "epoch"), "1", "epoch is 1"),
        (("epochs", 0, "train"), DELETED, "train is missing"),
        (("epochs", 0, "train", "accuracy"), math.nan, "train accuracy is nan"),
        (("epochs", 0, "val", "loss"), None, "val loss is None"),
        (("best_epoch",), DELETED, "best_epoch is missing"),
        (("best_epoch",), 0, "best_epoch is 0"),
        (("best_epoch",), 2, "best_epoch is 2"),
        (("best_epoch",), None, "best_epoch is None"),
        (("val",), [], ""),
        (("val", "accuracy"), DELETED, "accuracy is missing"),
        (("val", "accuracy"), 0.8, "val accuracy is 0.8 beside 0.9000 counted"),
        (("test", "accuracy"), 0.8501, None),  # as rounded; 0.85 was counted
        (("test", "accuracy"), 0.8502, "test accuracy is 0.8502 beside 0.8500 counted"),
        (("test", "accuracy"), 85, "test accuracy is 85"),
        (("test", "accuracy"), 1.01, "test accuracy is 1.01"),
        (("test", "precision"), 1.01, "test precision is 1.01"),
        (("test", "recall"), -0.01, "test recall is -0.01"),
        (("test", "f1"), "0.85", "test f1 is 0.85"),
        (("test", "auroc"), math.inf, "test auroc is inf"),
        (("test", "loss"), 2.5, None),  # which has no upper bound
        (("test", "loss"), math.inf, "test loss is inf"),
        (("test", "confusion_matrix"), DELETED, "confusion_matrix is missing"),
        (("test", "confusion_matrix"), [[85, 15]], ""),
        (("test", "confusion_matrix"), [85, 15, 15, 85], ""),
        (("test", "confusion_matrix", 0), [85, 15, 0], ""),
        (("test", "confusion_matrix", 0, 1), "15", "test confusion_matrix is 15"),
        (("test", "confusion_matrix", 1, 0), -15, "test confusion_matrix is -15"),
        (("cost",), [], ""),
        (("cost", "parameters"), DELETED, "parameters is missing"),
        (("cost", "fit_seconds"), "61", "fit_seconds is 61"),
        (("cost", "tokens_per_second"), None, "tokens_per_second is None"),
        (("data",), "imdb", ""),
        (("data", "source"), None, "source is None"),
        (("data", "fingerprint"), 1, "fingerprint is 1"),
        (("data", "train"), "900", "data.train is 900"),
        (("data", "val"), DELETED, "val is missing"),
        (("data", "test"), [], "data.test is []"),
        (("environment",), DELETED, "environment is missing"),
        (("environment", "device"), 0, "environment is without a device"),
        (("environment", "threads"), "2", "threads is 2"),
    ],
)
def test_a_damaged_record_says_in_a_sentence_what_is_wrong(
    run: Path, path: Path_, value: Any, said: str | None
) -> None:
    found = put_record(run, changed(record_of(run), path, value))
    if said is None:
        assert found.state is State.done
        return
    assert (found.state, found.record) == (State.failed, None)
    assert found.trouble.startswith("run.json is damaged: ")
    assert said in found.trouble
    assert re.fullmatch(r".{1,120}", found.trouble)


def test_what_is_damaged_is_shown_in_short(run: Path) -> None:
    found = put_record(run, changed(record_of(run), ("best_epoch",), "x" * 10_000))
    assert found.trouble == f"run.json is damaged: best_epoch is {'x' * 40} …"


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        ('{"schema": 1, "name": "a', "run.json is damaged"),
        ("", "run.json is damaged"),
        ("\0" * 99, "run.json is damaged"),
        ("[1, 2]", "run.json is damaged"),
        ("null", "run.json is damaged"),
        ('"text"', "run.json is damaged"),
        ("{}", "run.json is damaged"),
        ('{"schema": 1, "name": "a"}', "run.json is damaged"),
        ('{"schema": 2}', "run.json has schema 2, this reads 1"),
        ('{"schema": "1"}', "run.json has schema 1, this reads 1"),
    ],
)
def test_what_is_no_record_of_this_version_is_named(
    tmp_path: Path, content: str, trouble: str
) -> None:
    found = read_run(put(tmp_path / "gru", config=BEGUN, run=content))
    assert (found.state, found.record, found.trouble) == (State.failed, None, trouble)


def test_the_record_of_a_newer_version_is_not_read_as_one_of_this(run: Path) -> None:
    found = put_record(run, record_of(run) | {"schema": 2})
    assert found.trouble == "run.json has schema 2, this reads 1"


@pytest.mark.parametrize(
    "field", ["name", "choices", "config", "epochs", "val", "test", "cost", "data"]
)
def test_a_field_that_every_record_has_is_missed(run: Path, field: str) -> None:
    content = record_of(run)
    del content[field]
    assert put_record(run, content).trouble == "run.json is damaged"


def test_the_record_of_another_run_is_found_out(run: Path, tmp_path: Path) -> None:
    other = put_run(tmp_path / "default", Config(), answers(0), answers(0))
    found = put_record(other, record_of(run))
    assert (found.state, found.trouble) == (
        State.failed,
        f"run.json is of another run, {run.name}",
    )
    assert read_run(run).state is State.done


def test_bytes_that_are_no_text_are_damage(run: Path) -> None:
    (run / "run.json").write_bytes(b"\xff\xfe\x00{")
    assert read_run(run).trouble == "run.json is damaged"


def test_a_folder_in_place_of_the_record_is_damage(tmp_path: Path) -> None:
    folder = put(tmp_path / "gru", config=BEGUN)
    (folder / "run.json").mkdir()
    assert read_run(folder).trouble == "run.json is damaged"


SCALARS = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3),
    st.integers(-2, 3), st.floats(), st.sampled_from([1.0, 1e308, 10**400]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs, of which a test may damage that of an LSTM."""
    root = tmp_path_factory.mktemp("pair")
    put_run(root, Config(encoder=EncoderConfig(cell="gru")), answers(30), answers(20))
    return good_run(root)


@pytest.fixture(scope="module")
def whole(pair: Path) -> dict[str, Any]:
    return record_of(pair)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_anywhere_in_a_record_is_read_or_named(
    pair: Path, whole: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from([*parts(whole)]))
    value = data.draw(st.just(DELETED) | VALUES)
    found = put_record(pair, changed(whole, path, value))
    assert (found.record is None) == bool(found.trouble)
    if found.record is None:
        assert found.trouble.startswith("run.json ")
    read_by_all(read_runs(pair.parent))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("test", "confusion_matrix", 0, 0), 10**400),
        (("cost", "parameters"), 10**400),
        (("best_epoch",), 1.0),
        (("best_epoch",), True),
        (("vectors",), "abc"),
        (("vectors",), {"name": "6B"}),
        (("cost", "peak_memory_mib"), "much"),
        (("cost", "peak_memory_mib"), [1.0]),
        (("config", "reference", 0, "source"), DELETED),
        (("config", "encoder", "num_layers"), 1.0),
        (("config",), {"seed": 0, "ngrams": {"kind": "nb_svm"}}),  # with the name of a network
        (("environment", "device"), "\ud800"),
        (("epochs", 0, "train"), None),
        (("data", "train"), None),
        (("val",), None),
        (("test",), None),
    ],
)
def test_no_record_stops_the_report(run: Path, path: Path_, value: Any) -> None:
    put_run(run.parent, Config(encoder=EncoderConfig(cell="gru")), answers(30), answers(20))
    if path == ("epochs", 0, "train"):  # then no score is left to be told
        put_record(run, record_of(run) | {"val": None, "test": None})
    found = put_record(run, changed(record_of(run), path, value))
    runs = read_runs(run.parent)
    read_by_all(runs)
    if found.record:  # else there is one run less to draw
        blocks, _ = report(runs)
        assert "gru-last" in document.markdown(blocks)


def test_every_run_below_a_folder_is_found_and_nothing_else(tmp_path: Path, run: Path) -> None:
    put(tmp_path / "b" / "rnn-max-s7-4", config=BEGUN, failed={"epoch": 2, "reason": "it rained"})
    put(tmp_path / "b" / "gru-max-s7-5", config=BEGUN)
    put(tmp_path / "c" / "deep" / "gru-avg-s7-6", config=BEGUN, run='{"schema": 1, "na')
    put(tmp_path / "b", sweep=["gru-max-s7-5", "lstm-avg-s7-9", 7])
    put(run / "model", config={"schema": 1, "config": {}})
    put(tmp_path / "elsewhere", config={"editor": "vi"})
    put(tmp_path / "a list", config=[1], sweep='["x", ')
    (tmp_path / "b" / "rnn-of-nobody").mkdir()
    (tmp_path / "run.json.txt").touch()
    found = {str(r.folder.relative_to(tmp_path)): r.trouble for r in read_runs(tmp_path)}
    assert found == {
        f"default/{run.name}": "",
        "b/rnn-max-s7-4": "failed in epoch 2: it rained",
        "b/gru-max-s7-5": "interrupted",
        "b/lstm-avg-s7-9": "missing: not begun",
        "c/deep/gru-avg-s7-6": "run.json is damaged",
    }
    assert [*found] == sorted(found)


def test_a_single_run_can_be_read_as_well(run: Path) -> None:
    assert read_runs(run) == [RunSummary(run, State.done, record_of(run))]


@pytest.mark.parametrize(
    ("name", "said"), [("empty", "holds no run"), ("nowhere", "is no folder"), ("file", "is no fo")]
)
def test_no_run_is_one_sentence(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))} {said}.*\\.?$") as e:
        read_runs(tmp_path / name)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("failed", "trouble"),
    [
        ({"epoch": 3, "reason": "no space"}, "failed in epoch 3: no space"),
        ({"epoch": None, "reason": "no space"}, "failed: no space"),
        ([1], "interrupted"),
        ("{", "interrupted"),
    ],
)
def test_a_run_that_came_to_grief_says_why_if_it_can(
    tmp_path: Path, failed: Any, trouble: str
) -> None:
    assert read_run(put(tmp_path / "gru", config=BEGUN, failed=failed)).trouble == trouble


def test_a_record_counts_whatever_was_left_by_an_attempt_before(run: Path) -> None:
    put(run, failed={"epoch": 1, "reason": "it rained"}, progress={"epoch": 1})
    assert read_run(run).state is State.done


def test_progress_without_all_its_fields_is_none(tmp_path: Path) -> None:
    whole = {"epoch": 2, "max_epochs": 4, "share": 0.5, "seconds": 10.0}
    folder = put(tmp_path / "gru", config=BEGUN, progress=whole)
    assert read_run(folder).progress == whole
    assert read_run(folder).trouble == "interrupted in epoch 2"
    for name in whole:
        put(folder, progress={key: value for key, value in whole.items() if key != name})
        assert read_run(folder).progress is None
