"""`lstm-sentiment status`: the state of each run, read from its folder."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lstm_sentiment.commands.main import main
from lstm_sentiment.commands.status import status_table
from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.runs.reader import RunSummary, State, read_run, read_runs
from tests.support.processes import held_elsewhere
from tests.support.records import (
    LABELS,
    answers,
    put,
    put_baseline,
    record,
    scores_of_probabilities,
)

BEGUN = {"schema": 1, "choices": {}, "config": {"seed": 0}}
DONE = record(Config(), answers(37), answers(25))
DONE["epochs"] += [
    DONE["epochs"][0] | {"epoch": 2, "train": scores_of_probabilities(LABELS, answers(50))}
]
PROGRESS = {"epoch": 2, "max_epochs": 4, "share": 0.25, "seconds": 100.0}


def done(folder: Path, **changes: Any) -> Path:
    """Write a finished run into the folder, and return the folder."""
    return put(folder, config=BEGUN, run=DONE | {"name": folder.name} | changes)


def lines(*runs: RunSummary) -> list[str]:
    """Return the printed lines, with single spaces."""
    stream = io.StringIO()
    Console(file=stream, width=200).print(status_table(runs))
    printed = stream.getvalue().splitlines()
    return [" ".join(line.split()) for line in printed if line.strip(" ─")]


def line(run: RunSummary) -> str:
    _, only, _ = lines(run)
    return only


def running(folder: Path, progress: dict[str, Any] | None = None) -> RunSummary:
    return RunSummary(folder, State.running, None, "running", progress)


def test_a_run_that_was_resumed_on_other_threads_says_so(tmp_path: Path) -> None:
    environments = [{"device": "cpu", "threads": threads} for threads in (1, 4, 1)]
    attempts = [{"epoch": n, "environment": each} for n, each in enumerate(environments, 1)]
    run = read_run(done(tmp_path / "default" / "a", attempts=attempts))
    assert line(run) == "done default/a test 81.50%, 2 epochs, threads 1 then 4"
    run = read_run(done(tmp_path / "default" / "a", attempts=attempts[::2]))
    assert line(run) == "done default/a test 81.50%, 2 epochs"


def test_a_run_with_a_record_is_done(tmp_path: Path) -> None:
    folder = done(tmp_path / "default" / "a")
    assert read_run(folder) == RunSummary(folder, State.done, DONE | {"name": "a"})
    assert line(read_run(folder)) == "done default/a test 81.50%, 2 epochs"


@pytest.mark.parametrize(
    ("without", "accuracy"),
    [({"test": None}, "val 87.50%"), ({"test": None, "val": None}, "train 75.00%")],
)
def test_without_test_scores_another_split_is_shown(
    tmp_path: Path, without: dict[str, None], accuracy: str
) -> None:
    run = read_run(done(tmp_path / "default" / "a", **without))
    assert line(run) == f"done default/a {accuracy}, 2 epochs"


def test_a_run_of_one_epoch_is_in_the_singular(tmp_path: Path) -> None:
    run = read_run(done(tmp_path / "default" / "a", epochs=DONE["epochs"][:1], best_epoch=1))
    assert line(run).endswith(", 1 epoch")


def test_a_baseline_has_no_epochs(tmp_path: Path) -> None:
    folder = put_baseline(tmp_path / "default", answers(37), None)
    assert line(read_run(folder)) == "done default/ngrams-logistic-s0-0 test 81.50%"


def test_a_run_is_running_while_another_process_holds_its_lock(tmp_path: Path) -> None:
    folder = put(tmp_path / "default" / "a", config=BEGUN, progress=PROGRESS)
    with held_elsewhere(folder / ".lock") as (process, _):
        run = read_run(folder)
        assert run == RunSummary(folder, State.running, None, "running in epoch 2", PROGRESS)
        assert line(run) == "running default/a epoch 2 of 4, about 5 min left"
        write_json(folder / "failed.json", {"epoch": 1, "reason": "of an earlier attempt"})
        assert read_run(folder).state is State.running
        write_json(folder / "run.json", DONE | {"name": "a"})
        assert read_run(folder).state is State.done
        (folder / "run.json").write_text('{"schema": 1, "of an earlier atte')
        assert read_run(folder).state is State.running
        (folder / "run.json").unlink()
        (folder / "failed.json").unlink()
        process.kill()
        process.join(60)
        assert (folder / ".lock").exists()
        run = read_run(folder)
        assert run.state is State.interrupted
        assert line(run) == "interrupted default/a in epoch 2"


def test_a_failed_run_has_its_reason(tmp_path: Path) -> None:
    failed = {"schema": 1, "epoch": 3, "reason": "a [bold]word[/] too many", "traceback": "..."}
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, failed=failed, progress=PROGRESS))
    assert (run.state, run.record) == (State.failed, None)
    assert run.trouble == "failed in epoch 3: a [bold]word[/] too many"
    assert line(run) == "failed default/a in epoch 3: a [bold]word[/] too many"


def test_a_run_that_failed_outside_of_an_epoch_names_none(tmp_path: Path) -> None:
    failed = {"schema": 1, "epoch": None, "reason": "no space"}
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, failed=failed))
    assert run.trouble == "failed: no space"
    assert line(run) == "failed default/a no space"


@pytest.mark.parametrize(
    ("files", "trouble"),
    [
        ({"progress": PROGRESS}, "interrupted in epoch 2"),
        ({"progress": PROGRESS | {"epoch": None, "share": 1.0}}, "interrupted"),
        ({"progress": '{"epoch": 2, "max_ep'}, "interrupted"),
        ({}, "interrupted"),
        ({"failed": '{"reason": '}, "interrupted"),
    ],
)
def test_a_run_that_no_process_holds_was_interrupted(
    tmp_path: Path, files: dict[str, Any], trouble: str
) -> None:
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, **files))
    assert (run.state, run.trouble) == (State.interrupted, trouble)
    assert line(run) == f"interrupted default/a{trouble.removeprefix('interrupted')}"


@pytest.mark.parametrize(
    ("record", "trouble"),
    [
        ('{"schema": 1, "name": "a', "run.json: it is damaged or not JSON (Unterminated string"),
        ("", "run.json: it is damaged or not JSON (Expecting value"),
        ([1, 2], "run.json is damaged: it is not a record"),
        ({"schema": 1, "name": "a"}, "run.json is damaged: choices is missing"),
        (DONE | {"schema": 3}, "run.json has schema 3, this version reads 1 and 2"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_failure(
    tmp_path: Path, record: Any, trouble: str
) -> None:
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, run=record))
    assert (run.state, run.record) == (State.failed, None)
    assert trouble in run.trouble
    assert trouble in line(run)


def test_the_states_of_a_language_model(tmp_path: Path) -> None:
    begun = {"schema": 2, "pretraining": {}, "attempts": []}
    folder = put(tmp_path / "pretrained" / "a", config=begun, progress=PROGRESS)
    put(folder / "model", config={"schema": 2, "pretraining": {}})
    with pytest.raises(InputError, match="contains no runs"):
        read_runs(tmp_path)

    def listed() -> str:
        [summary] = read_runs(tmp_path, language_models=True)
        assert (summary.folder, summary.record) == (folder, None)
        return line(summary)

    assert listed() == "interrupted pretrained/a in part 2"
    with held_elsewhere(folder / ".lock"):
        assert listed() == "running pretrained/a part 2 of 4, about 5 min left"
    put(folder, failed={"epoch": 3, "reason": "no memory"})
    assert listed() == "failed pretrained/a in part 3: no memory"
    cost = {"fit_seconds": 9.0, "tokens_per_second": 7.0}
    finished = {"schema": 2, "name": "a", "perplexity": 61.237, "cost": cost}
    finished["data"] = {"held_out": 3}
    put(folder, pretraining=finished | {"perplexity": "low"})
    assert listed() == "failed pretrained/a pretraining.json is damaged: perplexity is low"
    put(folder, pretraining={**finished, "data": {}})
    assert listed() == "failed pretrained/a pretraining.json is damaged: held_out is missing"
    put(folder, pretraining=finished)
    assert listed() == "done pretrained/a perplexity 61.24"


def test_a_planned_run_that_was_not_begun_is_missing(tmp_path: Path) -> None:
    done(tmp_path / "b" / "gru")
    write_json(tmp_path / "b" / "sweep.json", ["gru", "lstm"])
    (tmp_path / "b" / "rnn").mkdir()  # which no command has planned
    finished, missing = read_runs(tmp_path)
    assert finished.state is State.done
    assert missing == RunSummary(tmp_path / "b" / "lstm", State.missing, None, "missing: not begun")
    assert line(missing) == "missing b/lstm not begun"


def test_every_run_below_a_folder_is_listed_once_and_nothing_else(tmp_path: Path) -> None:
    done(tmp_path / "b" / "a")
    put(tmp_path / "b" / "a" / "model", config={"schema": 1, "config": {}})
    put(tmp_path / "deep" / "er" / "c", config=BEGUN)
    put(tmp_path / "d", run=DONE)
    put(tmp_path / "editor", config={"font": "large"})
    put(tmp_path / "list", config=[1])
    write_json(tmp_path / "b" / "sweep.json", ["a"])
    put(tmp_path / "e", sweep='["x", ')
    names = [str(run.folder.relative_to(tmp_path)) for run in read_runs(tmp_path)]
    assert names == ["b/a", "d", "deep/er/c"]
    assert [run.name for run in read_runs(tmp_path / "b" / "a")] == ["a"]


@pytest.mark.parametrize(
    ("progress", "details"),
    [
        ({}, "epoch 2 of 4, about 5 min left"),
        ({"share": 0.5}, "epoch 2 of 4, about 2 min left"),
        ({"share": 0.53}, "epoch 2 of 4, about 89 s left"),
        ({"seconds": 1830}, "epoch 2 of 4, about 1.5 h left"),
        ({"seconds": 1780}, "epoch 2 of 4, about 89 min left"),
        ({"epoch": 1, "share": 0.0}, "epoch 1 of 4"),
        ({"epoch": None, "share": 1.0}, "trained, evaluating"),
        (None, ""),
    ],
)
def test_the_time_left_is_estimated_from_the_share_that_is_done(
    tmp_path: Path, progress: dict[str, Any] | None, details: str
) -> None:
    run = running(tmp_path / "b" / "a", None if progress is None else PROGRESS | progress)
    assert line(run) == f"running b/a {details}".strip()


def test_runs_that_need_attention_come_first(tmp_path: Path) -> None:
    states = [State.done, State.missing, State.interrupted, State.failed, State.running, State.done]
    runs = [
        RunSummary(tmp_path / "b" / name, state, DONE if state is State.done else None)
        for name, state in zip("fedcba", states, strict=True)
    ]
    title, *rows, counts = lines(*runs)
    assert title == "state run"
    assert [" ".join(row.split()[:2]) for row in rows] == [
        "running b/b",
        "failed b/c",
        "interrupted b/d",
        "missing b/e",
        "done b/a",
        "done b/f",
    ]
    assert counts == "6 runs: 2 done, 1 running, 1 failed, 1 interrupted, 1 missing"


def test_states_without_runs_are_not_counted(tmp_path: Path) -> None:
    runs = [running(tmp_path / "b" / name) for name in "ab"]
    assert lines(*runs)[-1] == "2 runs: 2 running"
    assert lines(runs[0])[-1] == "1 running"


def test_the_command_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done(tmp_path / "b" / "gru")
    put(tmp_path / "b" / "lstm", config=BEGUN, failed={"epoch": 1, "reason": "no memory"})
    (put(tmp_path / "b" / "rnn", config=BEGUN) / ".lock").touch()  # of a killed process
    write_json(tmp_path / "b" / "sweep.json", ["gru", "lstm", "birnn"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["status", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for words in ("test 81.50%", "in epoch 1: no memory", "b/rnn", "not begun"):
        assert words in text
    assert text.splitlines()[-1] == "4 runs: 1 done, 1 failed, 1 interrupted, 1 missing"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    shutil.rmtree(tmp_path / "b" / "lstm")
    assert main(["status", str(tmp_path / "b")]) == 0
    assert "4 runs: 1 done, 1 interrupted, 2 missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "problem"),
    [("empty", "contains no runs"), ("nowhere", "is not a folder"), ("file", "is not")],
)
def test_without_runs_the_error_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, problem: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert main(["status", str(tmp_path / name)]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1
    assert error.startswith(f"{tmp_path / name} {problem}")
    with pytest.raises(InputError):
        read_runs(tmp_path / name)
