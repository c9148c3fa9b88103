"""Folders of runs: the state of each, and records that are damaged in any place.

Tests change a complete record in one place, which they choose or Hypothesis draws.
"""

import copy
import io
import json
import math
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from lstm_sentiment.commands.status import status_table
from lstm_sentiment.config import CompareConfig, Config, EncoderConfig, HeadConfig, Reference
from lstm_sentiment.errors import InputError
from lstm_sentiment.report import page
from lstm_sentiment.report.csv_files import run_table
from lstm_sentiment.report.published import published
from lstm_sentiment.report.ranking import markdown, ranking
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.runs.reader import RunSummary, State, read_run, read_runs
from lstm_sentiment.runs.record import defect
from tests.support.records import answers, put, put_run

BEGUN: dict[str, Any] = {"schema": 1, "choices": {}, "config": {}}
DELETED = object()
Location = tuple[str | int, ...]  # the keys that lead to a part of a record


def good_run(root: Path) -> Path:
    """Write a run whose record has every part that reports read; return its folder."""
    figure = Reference(run="encoder=lstm", accuracy=0.9, loss=0.3, source="a paper")
    asked = CompareConfig("Better?", "encoder=gru", "encoder=lstm")
    config = Config(head=HeadConfig(kind="max"), reference=[figure], compare=[asked])
    vectors = {"fingerprint": "abc"}
    return put_run(root, config, answers(30), answers(20), vectors=vectors)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return good_run(tmp_path / "default")


def record_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def changed(record: Any, location: Location, value: Any) -> Any:
    """Return a copy of the record with another value there, or without it if that is DELETED."""
    record = copy.deepcopy(record)
    part = record
    for key in location[:-1]:
        part = part[key]
    if value is DELETED:
        del part[location[-1]]
    else:
        part[location[-1]] = value
    return record


def locations(value: Any, start: Location = ()) -> Iterator[Location]:
    """Yield the location of every part of a record."""
    if start:
        yield start
    keys = value if isinstance(value, dict) else range(len(value) if type(value) is list else 0)
    for key in keys:
        yield from locations(value[key], (*start, key))


def put_record(folder: Path, record: Any) -> RunSummary:
    """Replace the record of a run; return what is read from its folder."""
    (folder / "run.json").write_text(json.dumps(record))
    return read_run(folder)


def read_by_all(runs: list[RunSummary]) -> None:
    """Make all that is made of records, except for intervals and plots."""
    console = Console(file=io.StringIO(), width=80)
    console.print(ranking(runs), status_table(runs))
    markdown(runs).encode()
    run_table(runs).encode()
    for group in variant_groups(runs):
        published(group.variants)


def test_a_complete_record_is_done(run: Path) -> None:
    assert defect(record_of(run), run.name) is None
    assert read_run(run) == RunSummary(run, State.done, record_of(run))


def test_a_record_without_validation_or_test_set_is_done(tmp_path: Path) -> None:
    for val, test in ((answers(20), None), (None, answers(20)), (None, None)):
        assert read_run(put_run(tmp_path, Config(), test, val)).state is State.done


def test_a_record_of_a_baseline_has_no_network(run: Path) -> None:
    config = {"seed": 0, "test": True, "ngrams": {"kind": "logistic", "c": 1.0}, "data": {}}
    content = record_of(run) | {"name": "ngrams-logistic-s0-1", "config": config}
    assert defect(content, "ngrams-logistic-s0-1") is None
    del content["config"]["seed"]
    assert defect(content, "ngrams-logistic-s0-1") == "is damaged: seed is missing"


@pytest.mark.parametrize(
    ("location", "value", "problem"),
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
        (("config", "encoder", "num_layers"), [1], "encoder.num_layers is [1]"),
        (("config", "encoder", "bidirectional"), 0, "encoder.bidirectional is 0"),
        (("config", "head", "kind"), None, "head.kind is None"),
        (("config", "reference", 0, "run"), DELETED, "run is missing"),
        (("config", "reference", 0, "run"), 1, "reference.run is 1"),
        (("config", "reference", 0, "accuracy"), "0.9", "reference.accuracy is 0.9"),
        (("config", "reference", 0, "loss"), math.nan, "(NaN is not a number of JSON)"),
        (("config", "reference", 0, "labels"), "many", "reference.labels is many"),
        (("config", "reference", 0, "otherwise"), None, "reference.otherwise is None"),
        (("config", "compare", 0, "run"), DELETED, "run is missing"),
        (("config", "compare", 0, "other"), 1, "compare.other is 1"),
        (("config", "compare", 0, "run"), "nonsense", "compare.run is nonsense"),
        (("epochs",), None, ""),
        (("epochs",), [], "best_epoch is 1"),
        (("epochs", 0), [], ""),
        (("epochs", 0, "epoch"), "1", "epoch is 1"),
        (("epochs", 0, "train"), DELETED, "train is missing"),
        (("epochs", 0, "train", "accuracy"), math.nan, "(NaN is not a number of JSON)"),
        (("epochs", 0, "val", "loss"), None, "val loss is None"),
        (("best_epoch",), DELETED, "best_epoch is missing"),
        (("best_epoch",), 0, "best_epoch is 0"),
        (("best_epoch",), 2, "best_epoch is 2"),
        (("best_epoch",), None, "best_epoch is None"),
        (("val",), [], ""),
        (("val", "accuracy"), DELETED, "accuracy is missing"),
        (
            ("val", "accuracy"),
            0.8,
            "val accuracy is 0.800000, but the confusion matrix gives 0.900000",
        ),
        (
            ("test", "accuracy"),
            0.85001,
            "test accuracy is 0.850010, but the confusion matrix gives 0.850000",
        ),
        (("test", "precision"), 0.8501, "test precision is 0.850100"),
        (("test", "balanced_accuracy"), 0.8501, "test balanced_accuracy is 0.850100"),
        (("test", "majority_share"), "0.5", "test majority_share is 0.5"),
        # Older versions computed scores in float32.
        (("test", "accuracy"), 0.8500000238418579, None),
        (("test", "auroc"), 1.0000001192092896, None),
        (("test", "auroc"), 1.00001, "test auroc is 1.00001"),
        (("test", "auroc"), None, None),  # only one class occurs
        (("test", "balanced_accuracy"), DELETED, None),
        (("test", "majority_share"), DELETED, None),
        (("test", "accuracy"), 85, "test accuracy is 85"),
        (("test", "accuracy"), 1.01, "test accuracy is 1.01"),
        (("test", "precision"), 1.01, "test precision is 1.01"),
        (("test", "recall"), -0.01, "test recall is -0.01"),
        (("test", "f1"), "0.85", "test f1 is 0.85"),
        (("test", "auroc"), math.inf, "(Infinity is not a number of JSON)"),
        (("test", "loss"), 2.5, None),  # a loss has no upper bound
        (("test", "loss"), math.inf, "(Infinity is not a number of JSON)"),
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
        (("data", "source"), None, "data.source is None"),
        (("data", "fingerprint"), 1, "data.fingerprint is 1"),
        (("data", "train"), "900", "data.train is 900"),
        (("data", "val"), DELETED, "val is missing"),
        (("data", "test"), [], "data.test is []"),
        (("data", "groups"), "film", None),
        (("data", "groups"), None, None),
        (("data", "groups"), 1, "data.groups is 1"),
        (("data", "unlabelled"), None, None),
        (("data", "unlabelled"), {"reviews": 49_730, "left_out": 270}, None),
        (("data", "unlabelled"), {"reviews": 5, "left_out": -1}, "data.unlabelled.left_out is -1"),
        (("data", "unlabelled"), {"reviews": 5}, "left_out is missing"),
        (("vectors",), {"fingerprint": "sha256-0"}, None),  # older versions left out no reviews
        (("vectors",), {"fingerprint": "sha256-0", "left_out": 270}, None),
        (("vectors",), {"fingerprint": "sha256-0", "left_out": -1}, "vectors.left_out is -1"),
        (("language_model",), {"digest": "0"}, None),
        (("language_model",), {"digest": "0", "read_validation": 3}, None),
        (("language_model",), {"digest": 0}, "language_model.digest is 0"),
        (
            ("language_model",),
            {"digest": "0", "read_validation": "3"},
            "language_model.read_validation is 3",
        ),
        (("environment",), DELETED, "environment is missing"),
        (("environment", "device"), 0, "environment.device is 0"),
        (("environment", "threads"), "2", "environment.threads is 2"),
        (("environment", "threads"), 1e300, "environment.threads is 1e+300"),
        (("data", "train"), 10**17, "data.train is 100000000000000000"),
        (("test", "confusion_matrix", 0, 0), 85.0, "test confusion_matrix is 85.0"),
        (("test", "loss"), 1e38, None),
        (("attempts",), [{"epoch": 1, "environment": {"device": "cpu", "threads": 1}}], None),
        (("attempts",), None, None),  # older versions did not record them
        (("attempts",), 7, "attempts is 7"),
        (("attempts",), [{"epoch": 0}], "epoch of an attempt is 0"),
        (("attempts",), [{"epoch": 1}], "environment is missing"),
    ],
)
def test_a_damaged_record_is_named_with_the_problem(
    run: Path, location: Location, value: Any, problem: str | None
) -> None:
    summary = put_record(run, changed(record_of(run), location, value))
    if problem is None:
        assert summary.state is State.done
        return
    assert (summary.state, summary.record) == (State.failed, None)
    assert re.match(r"run\.json.* damaged", summary.trouble)
    assert problem in summary.trouble
    assert re.fullmatch(r".{1,120}", summary.trouble)


def test_a_wrong_value_is_shortened(run: Path) -> None:
    summary = put_record(run, changed(record_of(run), ("best_epoch",), "x" * 10_000))
    assert summary.trouble == f"run.json is damaged: best_epoch is {'x' * 40} …"


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        ('{"schema": 1, "name": "a', "run.json: it is damaged or not JSON (Unterminated string"),
        ("", "run.json: it is damaged or not JSON (Expecting value"),
        ("\0" * 99, "run.json: it is damaged or not JSON ("),
        ("[1, 2]", "run.json is damaged: it is not a record"),
        ("null", "run.json is damaged: it is not a record"),
        ('"text"', "run.json is damaged: it is not a record"),
        ("{}", "run.json is damaged: it is not a record"),
        ('{"schema": 1, "name": "gru"}', "run.json is damaged: choices is missing"),
        ('{"schema": 3}', "run.json has schema 3, this version reads 1 and 2"),
        ('{"schema": "1"}', "run.json has schema '1', this version reads 1 and 2"),
    ],
)
def test_a_file_that_is_not_a_record_of_this_version_is_a_failure(
    tmp_path: Path, content: str, trouble: str
) -> None:
    summary = read_run(put(tmp_path / "gru", config=BEGUN, run=content))
    assert (summary.state, summary.record) == (State.failed, None)
    assert summary.trouble.startswith(trouble)


def test_a_complete_record_of_a_newer_version_is_not_read(run: Path) -> None:
    summary = put_record(run, record_of(run) | {"schema": 3})
    assert summary.trouble == "run.json has schema 3, this version reads 1 and 2"


@pytest.mark.parametrize(
    "field", ["name", "choices", "config", "epochs", "val", "test", "cost", "data"]
)
def test_a_record_without_a_required_field_is_damaged(run: Path, field: str) -> None:
    content = record_of(run)
    del content[field]
    assert put_record(run, content).trouble == f"run.json is damaged: {field} is missing"


def test_the_record_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    other = put_run(tmp_path / "default", Config(), answers(0), answers(0))
    summary = put_record(other, record_of(run))
    assert summary.state is State.failed
    assert summary.trouble == f"run.json is the record of another run, {run.name}"
    assert read_run(run).state is State.done


def test_a_record_that_is_not_text_is_damaged(run: Path) -> None:
    (run / "run.json").write_bytes(b"\xff\xfe\x00{")
    assert read_run(run).trouble.startswith("run.json: it is damaged or not JSON (")


def test_a_folder_in_place_of_the_record_is_damaged(tmp_path: Path) -> None:
    folder = put(tmp_path / "gru", config=BEGUN)
    (folder / "run.json").mkdir()
    assert read_run(folder).trouble == "run.json: cannot be read (not a regular file)"


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
    """Two complete runs; tests damage the record of the second one, whose folder is returned."""
    root = tmp_path_factory.mktemp("pair")
    put_run(root, Config(encoder=EncoderConfig(cell="gru")), answers(30), answers(20))
    return good_run(root)


@pytest.fixture(scope="module")
def complete(pair: Path) -> dict[str, Any]:
    return record_of(pair)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_anywhere_in_a_record_is_either_read_or_refused(
    pair: Path, complete: dict[str, Any], data: st.DataObject
) -> None:
    location = data.draw(st.sampled_from([*locations(complete)]))
    value = data.draw(st.just(DELETED) | VALUES)
    summary = put_record(pair, changed(complete, location, value))
    assert (summary.record is None) == bool(summary.trouble)
    if summary.record is None:
        assert summary.trouble.startswith("run.json")
    read_by_all(read_runs(pair.parent))


@pytest.mark.parametrize(
    ("location", "value"),
    [
        pytest.param(("test", "confusion_matrix", 0, 0), 10**400, id="huge count"),
        (("test", "confusion_matrix", 0, 0), 10**17),
        (("test", "confusion_matrix"), [[1e300, 0.0], [0.0, 1e300]]),
        (("cost", "fit_seconds"), 1e300),
        pytest.param(("cost", "parameters"), 10**400, id="huge parameters"),
        (("best_epoch",), 1.0),
        (("best_epoch",), True),
        (("vectors",), "abc"),
        (("vectors",), {"name": "6B"}),
        (("cost", "peak_memory_mib"), "much"),
        (("cost", "peak_memory_mib"), [1.0]),
        (("config", "reference", 0, "source"), DELETED),
        (("config", "compare"), 1),
        (("config", "compare", 0, "question"), DELETED),
        (("config", "encoder", "num_layers"), 1.0),
        (("config",), {"seed": 0, "ngrams": {"kind": "nb_svm"}}),  # the name is that of a network
        (("environment", "device"), "\ud800"),
        (("epochs", 0, "train"), None),
        (("data", "train"), None),
        (("val",), None),
        (("test",), None),
    ],
)
def test_no_record_stops_the_report(run: Path, location: Location, value: Any) -> None:
    put_run(run.parent, Config(encoder=EncoderConfig(cell="gru")), answers(30), answers(20))
    if location == ("epochs", 0, "train"):  # then the record has no scores at all
        put_record(run, record_of(run) | {"val": None, "test": None})
    summary = put_record(run, changed(record_of(run), location, value))
    runs = read_runs(run.parent)
    read_by_all(runs)
    if summary.record:  # else there is one run less to draw
        blocks, _ = build_report(runs)
        assert "gru-last" in page.markdown(blocks)


def test_all_runs_below_a_folder_are_read_and_nothing_else(tmp_path: Path, run: Path) -> None:
    put(tmp_path / "b" / "rnn-max-s7-4", config=BEGUN, failed={"epoch": 2, "reason": "it rained"})
    put(tmp_path / "b" / "gru-max-s7-5", config=BEGUN)
    put(tmp_path / "c" / "deep" / "gru-avg-s7-6", config=BEGUN, run='{"schema": 1, "na')
    put(tmp_path / "b", sweep=["gru-max-s7-5", "lstm-avg-s7-9", 7])
    put(run / "model", config={"schema": 1, "config": {}})
    put(tmp_path / "elsewhere", config={"editor": "vi"})
    put(tmp_path / "a list", config=[1], sweep='["x", ')
    (tmp_path / "b" / "rnn-without-files").mkdir()
    (tmp_path / "run.json.txt").touch()
    runs = read_runs(tmp_path)
    troubles = {str(r.folder.relative_to(tmp_path)): r.trouble.partition(" (")[0] for r in runs}
    assert troubles == {
        f"default/{run.name}": "",
        "b/rnn-max-s7-4": "failed in epoch 2: it rained",
        "b/gru-max-s7-5": "interrupted",
        "b/lstm-avg-s7-9": "missing: not begun",
        "c/deep/gru-avg-s7-6": "run.json: it is damaged or not JSON",
    }
    assert [*troubles] == sorted(troubles)


def test_a_plan_leads_to_runs_in_its_folder_only(tmp_path: Path) -> None:
    outside = put_run(tmp_path / "outside", Config(), answers(30), answers(20))
    sweep = put(tmp_path / "runs" / "sweep")
    (sweep / "link").symlink_to(outside)
    names: list[Any] = [
        "gru-max-s0-1",
        "../../outside/" + outside.name,
        str(outside),
        "..",
        ".",
        "",
    ]
    names += [
        "a\0b",
        "a\ud800",
        "a\\b",
        "n" * 256,
        "\N{GRINNING FACE}" * 64,
        "link",
        7,
        None,
        ["x"],
    ]
    put(sweep, sweep=names)
    assert [run.folder.name for run in read_runs(tmp_path / "runs")] == ["gru-max-s0-1"]


def test_a_plan_of_too_many_runs_is_ignored(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(run.parent, sweep=["gru-max-s0-1", "gru-max-s0-2", "gru-max-s0-3"])
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_PLANNED_RUNS", "2")
    assert [each.name for each in read_runs(tmp_path)] == [run.name]
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_PLANNED_RUNS", "3")
    assert len(read_runs(tmp_path)) == 4


def put_hostile_tree(root: Path) -> None:
    """Write runs in which FIFOs, devices, links, folders and huge files take the place of files."""
    os.mkfifo(put(root / "fifo-record", config=BEGUN) / "run.json")
    os.mkfifo(put(root / "fifo-config") / "config.json")
    for name in ("failed.json", "progress.json", ".lock"):
        os.mkfifo(put(root / f"fifo-{name}", config=BEGUN) / name)
    (put(root / "zeros", config=BEGUN) / "run.json").symlink_to("/dev/zero")
    (put(root / "zeros-config") / "config.json").symlink_to("/dev/zero")
    for name in ("run.json", "config.json", "failed.json"):
        with (put(root / f"huge-{name}", config=BEGUN) / name).open("wb") as file:
            file.truncate(10**12)
    (put(root / "folder", config=BEGUN) / "run.json").mkdir()
    (root / "loop").symlink_to(root)
    put(Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")), config=BEGUN)
    os.mkfifo(put(root / "plan-fifo") / "sweep.json")
    (put(root / "plan-zeros") / "sweep.json").symlink_to("/dev/zero")
    put(root / "plan-deep", sweep="[" * 100_000)


def troubles_in(root: Path) -> dict[str, str]:
    runs = read_runs(root)
    read_by_all(runs)
    return {os.fsencode(run.folder.name).decode(errors="replace"): run.trouble for run in runs}


def test_a_hostile_tree_is_read_without_hanging(tmp_path: Path) -> None:
    put_hostile_tree(tmp_path)
    run = good_run(tmp_path)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(20)  # reading a FIFO would wait for ever
    try:
        troubles = troubles_in(tmp_path)
    finally:
        signal.alarm(0)
    assert troubles.pop("huge-run.json").startswith("run.json: it has 1,000,000,000,000 bytes")
    assert troubles.pop("zeros") == "run.json: cannot be read (a link, which is not followed)"
    for name in ("fifo-record", "folder"):
        assert troubles.pop(name) == "run.json: cannot be read (not a regular file)"
    interrupted = ["fifo-failed.json", "fifo-progress.json", "fifo-.lock", "huge-failed.json"]
    interrupted.append("\N{REPLACEMENT CHARACTER}" * 2)
    assert troubles == {run.name: ""} | dict.fromkeys(interrupted, "interrupted")


def test_a_single_run_can_be_read(run: Path) -> None:
    assert read_runs(run) == [RunSummary(run, State.done, record_of(run))]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("empty", "contains no runs"), ("nowhere", "is not a folder"), ("file", "is not a folder")],
)
def test_a_folder_without_runs_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))} {problem}") as error:
        read_runs(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_run_can_be_read_through_a_link_and_from_its_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(run, target_is_directory=True)
    assert [each.state for each in read_runs(tmp_path / "link")] == [State.done]
    monkeypatch.chdir(run)
    assert [each.state for each in read_runs(Path())] == [State.done]


def test_a_path_that_no_system_allows_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be read") as error:
        read_runs(Path("a" * 5_000))
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("failed", "trouble"),
    [
        ({"epoch": 3, "reason": "no space"}, "failed in epoch 3: no space"),
        ({"epoch": None, "reason": "no space"}, "failed: no space"),
        ([1], "interrupted"),
        ("{", "interrupted"),
    ],
)
def test_a_failed_run_has_a_reason_if_its_file_can_be_read(
    tmp_path: Path, failed: Any, trouble: str
) -> None:
    assert read_run(put(tmp_path / "gru", config=BEGUN, failed=failed)).trouble == trouble


def test_a_record_takes_precedence_over_leftovers_of_an_earlier_attempt(run: Path) -> None:
    put(run, failed={"epoch": 1, "reason": "it rained"}, progress={"epoch": 1})
    assert read_run(run).state is State.done


def test_progress_with_a_missing_field_is_ignored(tmp_path: Path) -> None:
    progress = {"epoch": 2, "max_epochs": 4, "share": 0.5, "seconds": 10.0}
    folder = put(tmp_path / "gru", config=BEGUN, progress=progress)
    assert read_run(folder).progress == progress
    assert read_run(folder).trouble == "interrupted in epoch 2"
    for name in progress:
        put(folder, progress={key: value for key, value in progress.items() if key != name})
        assert read_run(folder).progress is None
