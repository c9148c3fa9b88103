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
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="the extra tune is not installed")

from lstm_sentiment.commands import main as program
from lstm_sentiment.commands import search, study
from lstm_sentiment.commands.hydra_config import compose_all
from lstm_sentiment.commands.study import FOLDER, Result, State, Study, shown_storage
from lstm_sentiment.files.locks import LOCK
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
    tune: RunCommand, small: list[str], capsys: pytest.CaptureFixture[str]
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


def chosen(record: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a record, without that the test set was not used."""
    values = chosen_values(restored(record["config"]))
    assert values.pop("test") is False
    return values


def test_a_finished_search_trains_nothing_and_may_be_extended(tune: RunCommand) -> None:
    tune(RATE, "--trials", "2", *JOURNAL)
    code, text = tune(RATE, "--trials", "2", *JOURNAL)
    assert code == 0
    assert "2 trials: 2 finished" in text
    assert trial_lines(text) == []
    _, text = tune(RATE, "--trials", "3", *JOURNAL)
    assert len(trial_lines(text)) == 1
    assert len(records()) == 3


def test_equal_configurations_are_trained_once(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = last_results(monkeypatch)
    _, text = tune("head=max,avg", "--trials", "5", "--sampler", "random", *JOURNAL)
    assert text.count("its run is finished") == 3
    accuracies = {record["name"]: record["val"]["accuracy"] for record in records()}
    assert len(accuracies) == 2
    assert [result.accuracy for result in results[0]] == [
        accuracies[result.run] for result in results[0]
    ]


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
    words = ["head=max,avg", RATE, "--trials", "3", "--sampler", "random", *JOURNAL]
    code, text = tune(*words)
    assert code == 0
    counts = Counter(result.state for result in results[0])
    assert counts[State.finished] == 3
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
        "encoder.backward=true,false", "encoder.bidirectional=true,false", "--trials", "4",
        "--sampler", "random", "seed=1", *JOURNAL,
    )  # fmt: skip
    assert code == 0
    counts = Counter(result.state for result in results[0])
    assert counts[State.finished] == 4
    assert counts[State.failed] == text.count("encoder.backward=true is not allowed") > 0


def test_pruned_trials_are_marked(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study.optuna.Trial, "should_prune", lambda trial: trial.number % 2 == 1)
    code, text = tune(RATE, "--trials", "4", "trainer.max_epochs=3", *JOURNAL)
    assert code == 0
    found = records()
    assert sorted(len(record["epochs"]) for record in found if "pruned" in record) == [1, 1]
    assert sorted(len(record["epochs"]) for record in found if "pruned" not in record) == [3, 3]
    assert "4 trials: 2 finished, 2 pruned" in text
    assert len(table(text)) == 2
    program.main(["status", str(SWEEP)])
    assert capsys.readouterr().out.count("pruned after 1 epoch") == 2
    program.main(["report", str(SWEEP)])
    ranking = capsys.readouterr().out
    assert ranking.count("(pruned)") == 2
    assert "those that a search pruned are last" in ranking
    report = (SWEEP / "report.md").read_text()
    assert "A search pruned 2 runs: it ended their training early" in report


def test_the_median_pruner_ends_bad_trials(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores are replaced, since few reviews have the same accuracies in many trials."""
    report = study.Trial._report

    def by_number(trial: study.Trial, epoch: int, scores: dict[str, Any]) -> None:
        report(trial, epoch, {"accuracy": 1 / (1 + trial.number)})

    monkeypatch.setattr(study.Trial, "_report", by_number)
    results = last_results(monkeypatch)
    tune(RATE, "--trials", "7", "trainer.max_epochs=2", *JOURNAL)
    states = [result.state for result in results[0]]
    assert states == [State.finished] * 5 + [State.pruned] * 2  # it waits for five finished ones


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([SIZE], "was begun with optimizer.lr=.*, and not without optimizer.lr"),
        ([RATE, SIZE], "without encoder.hidden_size, and not with encoder.hidden_size=range"),
        ([RATE.replace("e-1", "e-2")], r"interval\(0.001,0.1\)\), and not .*0.001,0.01"),
        ([RATE, "head=max"], "with head.kind=last, and not with head.kind=max"),
        ([RATE, "seed=3"], "with seed=0, and not with seed=3"),
        ([RATE, "--sampler", "random"], "with --sampler tpe, and not with --sampler random"),
        ([RATE, "--pruner", "none"], "with --pruner median, and not with --pruner none"),
        ([RATE, "root=elsewhere"], "has its runs in another folder than elsewhere/smoke-tune"),
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


def test_other_reviews_do_not_join(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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


def test_a_password_is_not_shown() -> None:
    shown = shown_storage("postgresql://me:secret@host:5432/db?sslmode=require", Path())
    assert shown == "postgresql://host:5432/db"


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
    with monkeypatch.context() as patch, pytest.raises(Killed):
        StepCalls(patch, "training_step", last=1)
        tune(RATE, "--trials", "1", *JOURNAL)
    lock = (SWEEP / FOLDER / f"{LOCK}-0").absolute()
    with held_elsewhere(lock) as (worker, _):
        waited = waits(monkeypatch, lambda: (worker.kill(), worker.join()))
        code, text = tune(RATE, "--trials", "1", *JOURNAL)
    assert code == 0
    assert len(waited) == 1
    assert text.count("Waiting for trials that other workers are training.") == 1
    assert len(records()) == 1


def test_racing_workers_add_no_trial_too_many(
    tune: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    [shared] = begin(tune, monkeypatch, RATE, "--trials", "5")
    trials = Study._trials

    def counted_slowly(worker: Study) -> Any:
        counted = trials(worker)
        time.sleep(0.01)
        return counted

    def add_all() -> None:
        while shared._add():
            pass

    monkeypatch.setattr(Study, "_trials", counted_slowly)
    workers = [threading.Thread(target=add_all) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(trials(shared)) == 5


@pytest.fixture
def server() -> Iterator[str]:
    """Start a PostgreSQL server, and return the URL of its database."""
    pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed (Debian's package postgresql)")
    with postgresql_server() as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql", "journal"])
def test_three_workers_of_which_one_is_killed_train_each_trial_once(
    kind: str, small: list[str], cache: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage = request.getfixturevalue("server") if kind == "postgresql" else "study.journal"
    fill_cache(cache)
    words = [
        "tune", *small, RATE, SIZE, "trainer.max_epochs=3", "--trials", "9", "--storage", storage,
    ]  # fmt: skip
    words[words.index("trainer.enable_progress_bar=false")] = "trainer.enable_progress_bar=true"
    workers = [Program(tmp_path, *words) for _ in range(3)]
    workers[0].wait_for("epoch 1 of 3")  # in its first trial
    assert workers[0].end(signal.SIGKILL) == -signal.SIGKILL
    for worker in workers[1:]:
        assert worker.end() == 0, worker.text
        assert "9 trials: " in worker.text
    found = records(tmp_path / SWEEP)
    assert len(found) == 9
    trained = [name for worker in workers for name in re.findall(r"trial \d+  (\S+)", worker.text)]
    assert {*trained} == {record["name"] for record in found}
    assert len(trained) == 10  # that of the killed worker was announced twice
    assert any("resumes after epoch 1" in worker.text for worker in workers[1:])
