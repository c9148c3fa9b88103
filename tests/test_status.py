"""What became of each run, told from the folders alone."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from records import LABELS, answers, put, record, scores
from rich.console import Console
from test_files import held_elsewhere

from lstm_sentiment.cli import main
from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.runs import RunSummary, State, read_run, read_runs
from lstm_sentiment.report.status import status
from lstm_sentiment.training.record import write_json

BEGUN = {"schema": 1, "choices": {}, "config": {"seed": 0}}
DONE = record(Config(), answers(37), answers(25))
DONE["epochs"] += [DONE["epochs"][0] | {"epoch": 2, "train": scores(LABELS, answers(50))}]
PROGRESS = {"epoch": 2, "max_epochs": 4, "share": 0.25, "seconds": 100.0}


def done(folder: Path, **changes: Any) -> Path:
    """A run's folder with a record that tells of it."""
    return put(folder, config=BEGUN, run=DONE | {"name": folder.name} | changes)


def lines(*runs: RunSummary) -> list[str]:
    """What `status` prints, with single spaces."""
    console = Console(file=io.StringIO(), width=200)
    console.print(status(runs))
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [" ".join(line.split()) for line in printed if line.strip(" ─")]


def line(run: RunSummary) -> str:
    _, found, _ = lines(run)
    return found


def running(folder: Path, progress: dict[str, Any] | None = None) -> RunSummary:
    return RunSummary(folder, State.running, None, "running", progress)


def test_a_run_with_a_record_is_done(tmp_path: Path) -> None:
    folder = done(tmp_path / "default" / "a")
    assert read_run(folder) == RunSummary(folder, State.done, DONE | {"name": "a"})
    assert line(read_run(folder)) == "done default/a test 81.50%, 2 epochs"


@pytest.mark.parametrize(
    ("without", "said"),
    [({"test": None}, "val 87.50%"), ({"test": None, "val": None}, "train 75.00%")],
)
def test_without_a_test_the_next_best_score_is_told(
    tmp_path: Path, without: dict[str, None], said: str
) -> None:
    run = read_run(done(tmp_path / "default" / "a", **without))
    assert line(run) == f"done default/a {said}, 2 epochs"


def test_a_run_is_running_while_another_process_holds_its_lock(tmp_path: Path) -> None:
    folder = put(tmp_path / "default" / "a", config=BEGUN, progress=PROGRESS)
    with held_elsewhere(folder / ".lock") as (process, _):
        run = read_run(folder)
        assert run == RunSummary(folder, State.running, None, "running in epoch 2", PROGRESS)
        assert line(run) == "running default/a epoch 2 of 4, about 5 min left"
        write_json(folder / "failed.json", {"epoch": 1, "reason": "of an attempt before"})
        assert read_run(folder).state is State.running
        write_json(folder / "run.json", DONE | {"name": "a"})
        assert read_run(folder).state is State.done
        (folder / "run.json").write_text('{"schema": 1, "of an attempt befo')
        assert read_run(folder).state is State.running
        (folder / "run.json").unlink()
        (folder / "failed.json").unlink()
        process.kill()
        process.join(60)
        assert (folder / ".lock").exists()
        run = read_run(folder)
        assert run.state is State.interrupted
        assert line(run) == "interrupted default/a in epoch 2"


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    failed = {"schema": 1, "epoch": 3, "reason": "a [bold]word[/] too many", "traceback": "..."}
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, failed=failed, progress=PROGRESS))
    assert (run.state, run.record) == (State.failed, None)
    assert run.trouble == "failed in epoch 3: a [bold]word[/] too many"
    assert line(run) == "failed default/a in epoch 3: a [bold]word[/] too many"


def test_a_run_that_failed_outside_an_epoch_blames_none(tmp_path: Path) -> None:
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
def test_what_was_begun_and_is_not_held_was_interrupted(
    tmp_path: Path, files: dict[str, Any], trouble: str
) -> None:
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, **files))
    assert (run.state, run.trouble) == (State.interrupted, trouble)
    assert line(run) == f"interrupted default/a{trouble.removeprefix('interrupted')}"


@pytest.mark.parametrize(
    ("record", "trouble"),
    [
        ('{"schema": 1, "name": "a', "run.json is damaged"),
        ("", "run.json is damaged"),
        ([1, 2], "run.json is damaged"),
        ({"schema": 1, "name": "a"}, "run.json is damaged"),
        (DONE | {"schema": 2}, "run.json has schema 2, this reads 1"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_failure(
    tmp_path: Path, record: Any, trouble: str
) -> None:
    run = read_run(put(tmp_path / "default" / "a", config=BEGUN, run=record))
    assert (run.state, run.record, run.trouble) == (State.failed, None, trouble)
    assert line(run).endswith(trouble.removeprefix("run.json "))


def test_a_run_that_was_asked_for_and_not_begun_is_missing(tmp_path: Path) -> None:
    done(tmp_path / "b" / "gru")
    write_json(tmp_path / "b" / "sweep.json", ["gru", "lstm"])
    (tmp_path / "b" / "rnn").mkdir()  # which nobody has asked for
    finished, missing = read_runs(tmp_path)
    assert finished.state is State.done
    assert missing == RunSummary(tmp_path / "b" / "lstm", State.missing, None, "missing: not begun")
    assert line(missing) == "missing b/lstm not begun"


def test_every_run_below_a_folder_is_found_once_and_nothing_else(tmp_path: Path) -> None:
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
    ("progress", "said"),
    [
        ({}, "epoch 2 of 4, about 5 min left"),
        ({"share": 0.5}, "epoch 2 of 4, about 2 min left"),
        ({"share": 0.53}, "epoch 2 of 4, about 89 s left"),
        ({"seconds": 1830}, "epoch 2 of 4, about 1.5 h left"),
        ({"seconds": 1780}, "epoch 2 of 4, about 89 min left"),
        ({"epoch": 1, "share": 0.0}, "epoch 1 of 4"),
        ({"epoch": None, "share": 1.0}, "trained, being tested"),
        (None, ""),
    ],
)
def test_time_left_is_what_the_rest_will_take_at_most(
    tmp_path: Path, progress: dict[str, Any] | None, said: str
) -> None:
    run = running(tmp_path / "b" / "a", None if progress is None else PROGRESS | progress)
    assert line(run) == f"running b/a {said}".strip()


def test_what_needs_attention_stands_first(tmp_path: Path) -> None:
    states = [State.done, State.missing, State.interrupted, State.failed, State.running, State.done]
    runs = [
        RunSummary(tmp_path / "b" / name, state, DONE if state is State.done else None)
        for name, state in zip("fedcba", states, strict=True)
    ]
    title, *found, counts = lines(*runs)
    assert title == "state run"
    assert [" ".join(line.split()[:2]) for line in found] == [
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


def test_the_command_tells_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done(tmp_path / "b" / "gru")
    put(tmp_path / "b" / "lstm", config=BEGUN, failed={"epoch": 1, "reason": "it rained"})
    (put(tmp_path / "b" / "rnn", config=BEGUN) / ".lock").touch()  # of a killed process
    write_json(tmp_path / "b" / "sweep.json", ["gru", "lstm", "birnn"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["status", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for words in ("test 81.50%", "in epoch 1: it rained", "b/rnn", "not begun"):
        assert words in text
    assert text.splitlines()[-1] == "4 runs: 1 done, 1 failed, 1 interrupted, 1 missing"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    shutil.rmtree(tmp_path / "b" / "lstm")
    assert main(["status", str(tmp_path / "b")]) == 0
    assert "4 runs: 1 done, 1 interrupted, 2 missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"), [("empty", "holds no run"), ("nowhere", "is no folder"), ("file", "is no")]
)
def test_where_there_is_no_run_it_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert main(["status", str(tmp_path / name)]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1
    assert error.startswith(f"{tmp_path / name} {said}")
    with pytest.raises(InputError):
        read_runs(tmp_path / name)
