"""`lstm-sentiment tune`: trials, workers that share them, and what they leave."""

import json
import re
import shlex
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="the extra tune is not installed")

from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from lstm_sentiment.commands import main as program
from lstm_sentiment.commands import search, study
from lstm_sentiment.commands.hydra_config import compose_all
from lstm_sentiment.commands.search_results import ranked
from lstm_sentiment.commands.study import FOLDER, Identity, Result, State, Study, shown_storage
from lstm_sentiment.files.heartbeats import LostError
from lstm_sentiment.files.locks import LOCK, is_held
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.runs.identity import chosen_values
from lstm_sentiment.runs.record import restored
from tests.support.postgresql import postgresql_server, programs
from tests.support.processes import Program, fill_cache, held_elsewhere
from tests.support.project import CommandResult, Killed, RunCommand, StepCalls

RATE = "optimizer.lr=tag(log,interval(1e-3,1e-1))"
SIZE = "encoder.hidden_size=range(2,9)"
JOURNAL = ("--storage", "study.journal")  # opens faster than a database
SWEEP = Path("runs/smoke-tune")


@pytest.fixture
def small(cache: str) -> list[str]:
    """Return the settings of a run on few synthetic reviews."""
    return [
        "experiment=smoke", f"data.cache={cache}", "trainer=cpu", "data.limit_train=60",
        "data.batch_size=16", "trainer.enable_progress_bar=false", "trainer.threads=1",
    ]  # fmt: skip


@pytest.fixture
def tune(
    small: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> RunCommand:
    """Return a function that runs `lstm-sentiment tune` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: str) -> CommandResult:
        capsys.readouterr()  # of a command that was killed
        try:
            code: Any = program.main(["tune", *small, *words])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return CommandResult(code, captured.out + captured.err)

    return command


def records(sweep: Path = SWEEP) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(sweep.glob("*/run.json"))]


def table(text: str) -> list[str]:
    """Return the rows of the table of the best trials."""
    [rows] = re.findall(r"─ *\n(.*?)\n *\n", text, re.DOTALL)
    return rows.splitlines()


def trial_lines(text: str) -> list[str]:
    """Return the values of the trials that a command has trained, in their order."""
    return re.findall(r"^trial \d+  \S+  (.*?)  ", text, re.MULTILINE)


def last_results(monkeypatch: pytest.MonkeyPatch) -> list[list[Result]]:
    """Return a list that gets the results that each command shows."""
    shown: list[list[Result]] = []
    monkeypatch.setattr(search, "show_results", lambda _, results: shown.append(results))
    return shown


def test_every_trial_leaves_a_run_and_the_best_one_can_be_trained(
    tune: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = tune(RATE, SIZE, "head=max,avg", "--trials", "3", "--pruner", "none")
    assert code == 0, text
    found = records()
    assert len(found) == len(trial_lines(text)) == 3
    assert all(record["test"] is None for record in found)
    for record in found:
        assert 1e-3 <= record["config"]["optimizer"]["lr"] <= 1e-1
        assert 2 <= record["config"]["encoder"]["hidden_size"] <= 9
    best = max(found, key=lambda record: record["val"]["accuracy"])
    assert f"{best['val']['accuracy']:.2%}" in table(text)[0]
    assert "3 trials: 3 finished, 0 pruned" in text
    # The command that trains it with several seeds and the test set.
    [command] = re.findall(r"^next .*?lstm-sentiment train -m (.*)$", text, re.MULTILINE)
    runs = compose_all(shlex.split(command))
    assert [run.seed for run in runs] == [0, 1, 2]
    accuracies = {r["val"]["accuracy"] for r in found if chosen(r) == chosen_values(runs[0])}
    assert accuracies == {best["val"]["accuracy"]}
    assert all(run.test for run in runs)
    # They are shown as any runs are.
    assert program.main(["status", str(SWEEP)]) == 0
    assert "3 runs: 3 done" in capsys.readouterr().out
    assert not [*SWEEP.glob(f"{FOLDER}/{LOCK}*")]
    # The same command trains nothing.
    code, again = tune(RATE, SIZE, "head=max,avg", "--trials", "3", "--pruner", "none")
    assert code == 0
    assert trial_lines(again) == []
    assert table(again) == table(text)


def chosen(record: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a record, without that the test set was not used."""
    values = chosen_values(restored(record["config"]))
    assert values.pop("test") is False
    return values


def test_the_best_finished_trial_is_first() -> None:
    results = [
        Result(0, State.finished, {}, 0.7),
        Result(1, State.finished, {}, 0.8),
        Result(2, State.pruned, {}, 0.9),
        Result(3, State.failed, {}),
        Result(4, State.finished, {}, 0.8),
    ]
    assert [result.number for result in ranked(results)] == [1, 4, 0]


def test_equal_configurations_are_trained_once(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the search is extended later."""
    results = last_results(monkeypatch)
    texts = [tune("head=max,avg", "--trials", trials, *JOURNAL).text for trials in ("2", "5")]
    assert [len(trial_lines(text)) for text in texts] == [2, 3]
    accuracies = {record["name"]: record["val"]["accuracy"] for record in records()}
    assert len(accuracies) == 2
    assert "".join(texts).count("its run is finished") == 3
    shown = results[-1]
    assert [result.accuracy for result in shown] == [accuracies[result.run] for result in shown]


def test_an_interrupted_search_continues_as_if_it_was_not(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same values are drawn, and the interrupted trial resumes from its checkpoint."""
    results = last_results(monkeypatch)
    words = [RATE, SIZE, "trainer.max_epochs=2", "--trials", "3", *JOURNAL]
    tune(*words)
    batches = 3  # of an epoch: 48 of the 60 reviews, 16 at a time
    root = ["root=others", "--storage", "others.journal"]
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", last=3 * batches + 1)  # in the second epoch of a trial
        with pytest.raises(Killed):
            tune(*words, *root)
    calls = StepCalls(monkeypatch, "training_step")
    code, text = tune(*words, *root)
    assert code == 0
    assert calls.count == 3 * batches
    assert trial_lines(text) == [
        " ".join(f"{name}={value}" for name, value in result.values.items())
        for result in results[0][1:]
    ]
    assert results[1] == results[0]
    assert len({result.values["optimizer.lr"] for result in results[0]}) == 3


def test_ctrl_c_is_one_sentence(tune: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Classifier, "forward", interrupt)
            code, text = tune(RATE, "--trials", "1", *JOURNAL)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further signals
    assert code == 130
    assert text.endswith("Interrupted: the same command resumes where this one stopped.\n")
    code, text = tune(RATE, "--trials", "1", *JOURNAL)
    assert code == 0
    assert [record["pruned"] for record in records() if "pruned" in record] == []
    assert len(records()) == 1


def test_trials_that_fail_are_replaced(tune: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one head fail here."""
    forward = Classifier.forward

    def broken(net: Classifier, *batch: Any) -> Any:
        if type(net.head).__name__ == "Average":
            raise MemoryError("no room")
        return forward(net, *batch)

    monkeypatch.setattr(Classifier, "forward", broken)
    monkeypatch.setattr(search, "MOST_FAILED", 50)
    results = last_results(monkeypatch)
    code, text = tune("head=max,avg", RATE, "--trials", "2", "--sampler", "random", *JOURNAL)
    assert code == 0
    counts = Counter(result.state for result in results[0])
    assert counts[State.finished] == 2
    assert counts[State.failed] == text.count("out of memory (no room)") > 0
    assert {record["choices"]["head"] for record in records()} == {"max"}


def test_a_search_ends_if_all_trials_fail(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Classifier, "forward", broken)
    code, text = tune(RATE, "--trials", "9", *JOURNAL)
    assert code == 1
    assert len(trial_lines(text)) == search.MOST_FAILED == 3
    last = text.splitlines()[-1]
    assert re.match(r"failed: 3 trials in a row.*out of memory \(no room\).*continues", last)


def test_values_that_exclude_each_other_fail_and_are_replaced(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = last_results(monkeypatch)
    code, text = tune(
        "encoder.backward=true,false", "encoder.bidirectional=true,false", "--trials", "2",
        "--sampler", "random", *JOURNAL,
    )  # fmt: skip
    assert code == 0
    counts = Counter(result.state for result in results[0])
    assert counts[State.finished] == 2
    assert counts[State.failed] == text.count("encoder.backward=true is not allowed") > 0


def test_pruned_trials_are_marked(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study.optuna.Trial, "should_prune", lambda trial: trial.number % 2 == 1)
    code, text = tune(RATE, "--trials", "2", "trainer.max_epochs=2", *JOURNAL)
    assert code == 0
    epochs = {record.get("pruned", False): len(record["epochs"]) for record in records()}
    assert epochs == {True: 1, False: 2}
    assert "2 trials: 1 finished, 1 pruned" in text
    assert len(table(text)) == 1
    program.main(["status", str(SWEEP)])
    assert capsys.readouterr().out.count("pruned after 1 epoch") == 1
    program.main(["report", str(SWEEP)])
    ranking = capsys.readouterr().out
    assert ranking.count("(pruned)") == 1
    assert "those that a search pruned are last" in ranking
    report = (SWEEP / "report.md").read_text()
    assert "A search pruned 1 run: it ended their training early" in report


@pytest.mark.parametrize(
    ("pruner", "expected"),
    [
        # Of trials that are ever worse, the median pruner ends those after the fifth.
        ("median", [4, 4, 4, 4, 4, 1, 1, 1]),
        ("none", [4] * 8),
    ],
)
def test_the_pruner_ends_bad_trials(
    pruner: str, expected: list[int], tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shared] = begin(tune, monkeypatch, RATE, "--trials", "8", "--pruner", pruner)
    assert epochs_of_worse_and_worse_trials(shared) == expected


def test_hyperband_ends_some_trials_after_each_rung(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first trial of a bracket is trained to its end; rungs are after 1, 3 and 9 epochs."""
    words = ["--trials", "12", "--pruner", "hyperband", "trainer.max_epochs=9"]
    [shared] = begin(tune, monkeypatch, RATE, *words)
    epochs = epochs_of_worse_and_worse_trials(shared, 9)
    assert {*epochs} == {1, 3, 9}
    assert epochs[0] == 9


def epochs_of_worse_and_worse_trials(shared: Study, most: int = 4) -> list[int]:
    """Return the numbers of epochs of trials whose accuracies fall from trial to trial."""
    epochs = []
    for number in range(shared.total):
        with shared.next_trial(lambda: None) as trial:
            assert trial is not None
            accuracy = 1 / (1 + number)
            done = [{"epoch": 1, "val": {"accuracy": accuracy}}]
            while trial.may_continue(len(done), done[-1]["val"]) and len(done) < most:
                done.append({"epoch": len(done) + 1, "val": {"accuracy": accuracy}})
            record = {"name": f"run-{number}", "epochs": done, "val": {"accuracy": accuracy}}
            trial.finish(record | ({"pruned": True} if len(done) < most else {}))
            epochs.append(len(done))
    assert [result.epochs for result in shared.results()] == epochs
    return epochs


@pytest.mark.parametrize("is_journal", [False, True])
def test_a_storage_that_cannot_be_reached_ends_no_training(
    is_journal: bool, tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is stored by the same command, later."""
    report = study.optuna.Trial.report

    def unreachable(*_: Any) -> None:
        cause = OSError("the server is gone\nsecond line")
        if is_journal:
            raise cause
        raise StorageInternalError("not reached") from cause

    monkeypatch.setattr(study.optuna.Trial, "report", unreachable)
    words = [RATE, "--trials", "1", *JOURNAL]
    code, text = tune(*words)
    assert code == 1
    assert "warning epoch 1 is not reported (the server is gone)" in text
    assert text.splitlines()[-1] == (
        "failed: study.journal cannot be used (the server is gone): the same command continues."
    )
    assert len(records()) == 1
    monkeypatch.setattr(study.optuna.Trial, "report", report)
    code, text = tune(*words)
    assert code == 0
    assert "its run is finished" in text


def test_a_trial_that_another_worker_has_taken_over_is_left_to_it(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = search.execute
    lost = iter([True])

    def taken_over(*arguments: Any, **options: Any) -> Any:
        if next(lost, False):
            raise LostError("this process has lost its lock")
        return execute(*arguments, **options)

    monkeypatch.setattr(search, "execute", taken_over)
    code, text = tune(RATE, "--trials", "1", *JOURNAL)
    assert code == 0
    assert "Trial 0: this process has lost its lock." in text
    assert "failed" not in text
    assert "1 trial: 1 finished" in text
    assert len(records()) == 1


USUAL = Identity(
    spaces={"optimizer.lr": "interval(0.001,0.1)"},
    settings={"optimizer.lr": 0.001, "data.max_length": 60},
    reviews="sha256-1 sha256-2",
    run="lstm-last-s0-12345678",
    sampler="tpe",
    pruner="median",
)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"spaces": {"optimizer.lr": "interval(0.001,0.2)"}},
         "with optimizer.lr=interval(0.001,0.1), and not with optimizer.lr=interval(0.001,0.2)"),
        ({"spaces": {}}, "with optimizer.lr=interval(0.001,0.1), and not without optimizer.lr"),
        ({"spaces": USUAL.spaces | {"head": "max,avg"}}, "without head, and not with head=max,avg"),
        # The value of a setting that is not stated is the default.
        ({"settings": {"optimizer.lr": 0.001}},
         "with data.max_length=60, and not with data.max_length=500"),
        ({"settings": USUAL.settings | {"seed": 3}}, "with seed=0, and not with seed=3"),
        ({"settings": USUAL.settings | {"optimizer.clip": None}},
         "with optimizer.clip=1.0, and not with optimizer.clip=null"),
        ({"sampler": "random"}, "with --sampler tpe, and not with --sampler random"),
        ({"pruner": "none"}, "with --pruner median, and not with --pruner none"),
        ({"reviews": "sha256-1 sha256-3"}, "with other reviews"),
        ({"run": "lstm-last-s0-87654321"}, "with other word vectors, pseudo-labels or language"),
    ],
)  # fmt: skip
def test_the_first_difference_of_another_search_is_named(
    change: dict[str, Any], difference: str
) -> None:
    assert USUAL.difference(USUAL.recorded) is None
    other = replace(USUAL, **change)
    assert (other.difference(USUAL.recorded) or "").startswith(difference)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([RATE, SIZE], r"begun without encoder.hidden_size, and not with .*=range\(2,9\): "),
        ([RATE, "root=elsewhere"], "has its runs in another folder than elsewhere/smoke-tune: "),
    ],
)
def test_only_workers_of_the_same_search_join(
    other: list[str],
    message: str,
    tune: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    begin(tune, monkeypatch, RATE)
    code, text = tune("--trials", "1", *JOURNAL, *other)
    assert code == 1
    assert text.count("\n") == 1
    assert re.match(f"The study smoke-tune in study.journal .*{message}", text)
    assert "sweep=NAME gives another study" in text
    assert not [*tmp_path.glob("elsewhere/*/*")]


def begin(tune: RunCommand, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[Study]:
    """Begin a search without training, and return its study."""
    begun: list[Study] = []
    with monkeypatch.context() as patch:
        patch.setattr(search.Search, "train", lambda worker: begun.append(worker.study))
        assert tune("--trials", "1", *JOURNAL, *words).code == 0
    return begun


def test_other_reviews_do_not_join(tune: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, word in (("one", "gem"), ("two", "gemstone")):
        rows = [f"a {word if n % 2 else 'bore'} number {n},{n % 2}" for n in range(60)]
        Path(f"{name}.csv").write_text("text,label\n" + "\n".join(rows))
    reviews = ["data=reviews", "data.limit_train=40"]
    begin(tune, monkeypatch, RATE, *reviews, "data.path=one.csv")
    Path("one.csv").replace("moved.csv")
    begin(tune, monkeypatch, RATE, *reviews, "data.path=moved.csv")
    code, text = tune(RATE, *reviews, "data.path=two.csv", "--trials", "1", *JOURNAL)
    assert code == 1
    assert "was begun with other reviews: sweep=NAME gives another study" in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["head=max", "--trials", "1"], 1, "nothing to search"),
        ([RATE, "--trials", "0"], 2, r"--trials must be at least 1 \(got 0\)"),
        (["data.val_fraction=0.1,0.2", "--trials", "1"], 1,
         "data.val_fraction=0.2 cannot be tried: it changes the validation set"),
        (["data.val_fraction=0", RATE, "--trials", "1"], 1, "data.val_fraction must be above 0"),
        (["trainer.devices=2", RATE, "--trials", "1"], 1, "by one process"),
        ([RATE, "--trials", "1", "--storage", "mysql://me:secret@host/db"], 1,
         r"--storage must be a URL .* \(got mysql://host/db\)"),
        ([RATE, "--trials", "1", "--storage", "nowhere/study.journal"], 1,
         "nowhere/study.journal cannot be opened .*No such file"),
        ([RATE, "--trials", "1", "--storage", "postgresql://me:secret@127.0.0.1:1/db"], 1,
         "postgresql://127.0.0.1:1/db cannot be opened .*onnection"),
    ],
)  # fmt: skip
def test_a_refused_search_leaves_no_folder(
    words: list[str], code: int, message: str, tune: RunCommand, tmp_path: Path
) -> None:
    if "postgresql" in words[-1]:
        pytest.importorskip("psycopg")
    result = tune(*words)
    assert result.code == code
    assert re.search(message, result.text)
    assert "secret" not in result.text
    assert "Traceback" not in result.text
    assert not [*tmp_path.iterdir()]


def test_a_field_of_the_data_that_keeps_the_validation_set_can_be_searched(
    tune: RunCommand,
) -> None:
    code, text = tune("data.max_length=20,200", "--trials", "2", *JOURNAL)
    assert code == 0, text


def test_the_database_is_in_the_folder_of_the_sweep_whatever_its_name(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(search.Search, "train", lambda _: None)
    code, _ = tune(RATE, "--trials", "1", r"sweep='50%3F of {x}? #1'")
    assert code == 0
    assert [*tmp_path.rglob("study.db")] == [
        tmp_path / "runs" / "50%3F of {x}? #1" / FOLDER / "study.db"
    ]


def test_a_small_rate_on_a_linear_scale_is_pointed_out(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search.Search, "train", lambda _: None)
    _, text = tune("optimizer.lr=interval(1e-4,1e-1)", "--trials", "1", *JOURNAL)
    assert "optimizer.lr=tag(log,interval(0.0001,0.1)) tries all magnitudes alike" in text


def test_a_missing_extra_is_one_sentence(tune: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("search", "search_results", "study"):
        monkeypatch.delitem(sys.modules, f"lstm_sentiment.commands.{name}")
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, text = tune(RATE, "--trials", "1")
    assert code == 1
    assert 'pip install "lstm_sentiment[tune]"' in text
    assert text.count("\n") == 1


def test_the_driver_of_postgresql_is_an_extra(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    code, text = tune(RATE, "--trials", "1", "--storage", "postgresql://127.0.0.1:1/db")
    assert code == 1
    assert 'pip install "lstm_sentiment[postgresql]"' in text


@pytest.mark.parametrize("query", ["", "?sslmode=require&password=secret@2"])
@pytest.mark.parametrize("password", ["secret", "se/cret", "se#cret", "[", "se?cret"])
def test_a_password_is_not_shown(password: str, query: str) -> None:
    shown = shown_storage(f"postgresql://me:{password}@host:5432/db{query}", Path())
    assert shown == "postgresql://host:5432/db"


def test_a_study_of_another_program_is_not_joined(tune: RunCommand) -> None:
    storage = JournalStorage(JournalFileBackend("study.journal"))
    other = study.optuna.create_study(storage=storage, study_name="smoke-tune")
    other.ask()
    code, text = tune(RATE, "--trials", "1", *JOURNAL)
    assert code == 1
    assert "smoke-tune in study.journal was not begun by lstm-sentiment: sweep=NAME" in text


def test_a_trial_that_another_worker_has_ended_keeps_its_result(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may seem to be dead for a while, where locks depend on the time."""
    [shared] = begin(tune, monkeypatch, RATE)
    record = {"name": "run", "epochs": [{"epoch": 1, "val": {"accuracy": 0.5}}]}
    with shared.next_trial(lambda: None) as trial:
        assert trial is not None
        study.Trial(shared, trial.number).finish(record | {"val": {"accuracy": 0.7}})
        assert trial.may_continue(2, {"accuracy": 0.1})
        trial.finish(record | {"val": {"accuracy": 0.6}})
        trial.fail("too late")
    assert [result.accuracy for result in shared.results()] == [0.7]


# Workers


def waits(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> list[float]:
    """Call a function when a worker waits; return a list that gets the times it waited."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        meanwhile()

    monkeypatch.setattr(study.time, "sleep", sleep)
    return waited


def test_a_trial_that_another_worker_trains_is_waited_for_and_taken_over(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", last=1)
        with pytest.raises(Killed):
            tune(RATE, "--trials", "1", *JOURNAL)
    lock = (SWEEP / FOLDER / f"{LOCK}-0").absolute()
    assert not is_held(lock)
    finish, held = study.Trial.finish, []

    def note_lock(trial: study.Trial, record: dict[str, Any]) -> None:
        held.append(is_held(lock))
        finish(trial, record)

    monkeypatch.setattr(study.Trial, "finish", note_lock)
    with held_elsewhere(lock) as (worker, _):
        waited = waits(monkeypatch, lambda: (worker.kill(), worker.join()))
        code, text = tune(RATE, "--trials", "1", *JOURNAL)
    assert code == 0
    assert len(waited) == 1
    assert text.count("Waiting for trials that other workers are training.") == 1
    assert held == [True]  # by this worker
    assert not lock.exists()
    assert len(records()) == 1


def test_racing_workers_add_no_trial_too_many(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shared] = begin(tune, monkeypatch, RATE, "--trials", "5")
    states = Study.states

    def counted_slowly(worker: Study) -> Any:
        counted = states(worker)
        time.sleep(0.01)
        return counted

    def add_all() -> None:
        while shared._add():
            pass

    monkeypatch.setattr(Study, "states", counted_slowly)
    workers = [threading.Thread(target=add_all) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(states(shared)) == 5


@pytest.fixture
def server() -> Iterator[str]:
    """Start a PostgreSQL server, and return the URL of its database."""
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed (Debian's package postgresql)")
    with postgresql_server() as url:
        yield url


@pytest.mark.slow
def test_three_workers_of_which_one_is_killed_train_each_trial_once(
    server: str, small: list[str], cache: str, tmp_path: Path
) -> None:
    fill_cache(cache)
    small.remove("trainer.enable_progress_bar=false")
    words = [
        "tune", *small, RATE, SIZE, "trainer.max_epochs=2", "--trials", "6", "--storage", server,
    ]  # fmt: skip
    workers = [Program(tmp_path, *words) for _ in range(3)]
    workers[0].wait_for("epoch 1 of 2")  # in its first trial
    assert workers[0].end(signal.SIGKILL) == -signal.SIGKILL
    for worker in workers[1:]:
        assert worker.end() == 0, worker.text
        assert "6 trials: " in worker.text
    found = records(tmp_path / SWEEP)
    assert len(found) == 6
    trained = [name for worker in workers for name in re.findall(r"trial \d+  (\S+)", worker.text)]
    assert Counter(Counter(trained).values()) == {1: 5, 2: 1}  # twice: that of the killed worker
    assert {*trained} == {record["name"] for record in found}
    assert any("resumes after epoch 1" in worker.text for worker in workers[1:])
