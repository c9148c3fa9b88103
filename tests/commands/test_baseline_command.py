"""`lstm-sentiment baseline`: its output, its folders, and refused inputs."""

import json
import random
import re
from pathlib import Path
from typing import NoReturn

import pytest
from sklearn.pipeline import Pipeline

from lstm_sentiment.commands.main import main
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.reader import State, read_runs
from tests.support.project import CommandResult, RunCommand

LONG = "very " * 15 + "own"  # longer than a line


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: str
) -> RunCommand:
    """Return a function that runs `lstm-sentiment baseline ...` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    few = ["data=synthetic", "data.limit_train=120", "data.limit_test=40", f"data.cache={cache}"]
    few.append("trainer.enable_progress_bar=false")

    def run(*arguments: str) -> CommandResult:
        code = main(["baseline", *few, *arguments])
        captured = capsys.readouterr()
        return CommandResult(code, captured.out + captured.err)

    return run


def test_reviews_without_a_repeated_word_are_refused(command: RunCommand, tmp_path: Path) -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklm", k=9)) for _ in range(40)]
    rows = [f"{word},{number % 2}" for number, word in enumerate(words)]
    (tmp_path / "d.csv").write_text("\n".join(["text,label", *rows]))
    code, text = command("data=reviews", "data.path=d.csv", "data.limit_train=null")
    assert code == 1
    assert text.startswith("d.csv: ")
    assert "26" in text  # training reviews
    assert not [*tmp_path.glob("runs/*/*")]


def test_every_baseline_has_a_line_with_its_scores(command: RunCommand, tmp_path: Path) -> None:
    code, text = command()
    assert code == 0
    records = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("runs/*/*/run.json"))]
    assert [record["choices"]["head"] for record in records] == [*NgramModel]
    *lines, _ = text.splitlines()
    for line, record in zip(lines, records, strict=True):
        assert record["name"] in line
        for stage in ("val", "test"):
            assert f"{stage} {record[stage]['accuracy']:.2%}" in line
        assert f"{record['cost']['fit_seconds']:.1f} s" in line
    assert [item.name for item in tmp_path.iterdir()] == ["runs"]  # no folders of Hydra
    assert all(run.state is State.done for run in read_runs(tmp_path / "runs"))


def test_uneven_classes_have_further_scores(command: RunCommand, tmp_path: Path) -> None:
    stars = [number % 10 // 8 + number % 10 // 9 for number in range(400)]  # 8 : 1 : 1
    rows = [f"a film of {'poor fair great'.split()[n]} taste,{n + 1}" for n in stars]
    (tmp_path / "d.csv").write_text("\n".join(["text,label", *dict.fromkeys(
        f"{number} {row}" for number, row in enumerate(rows))]))  # fmt: skip
    few = ("data.limit_train=null", "data.limit_test=null")
    code, text = command("data=reviews", "data.path=d.csv", *few)
    assert code == 0
    first, second, _ = text.splitlines()
    for line in (first, second):
        assert line.count("(balanced ") == line.count("majority class 80.") == 2


def test_the_last_line_is_the_next_command(command: RunCommand) -> None:
    last = command().text.splitlines()[-1]
    assert last.startswith("next ")
    assert last.endswith("lstm-sentiment report runs/default")


def test_a_second_command_trains_again_only_with_rerun(command: RunCommand, tmp_path: Path) -> None:
    first = command()
    files = sorted(tmp_path.glob("runs/*/*/*"))
    times = [file.stat().st_mtime_ns for file in files]
    assert command() == first
    assert [file.stat().st_mtime_ns for file in files] == times
    assert command("rerun=true").code == 0
    for file, time in zip(files, times, strict=True):
        assert file.stat().st_mtime_ns > time


@pytest.mark.parametrize(
    ("arguments", "sweep"),
    [
        (["experiment=smoke", "sweep=mine"], "runs/mine"),
        ([f"sweep='my {LONG}'", "root=else where"], f"else where/my {LONG}"),
        (["experiment=lstm_vs_gru", "data=synthetic"], "runs/lstm_vs_gru"),  # without its axes
    ],
)
def test_baselines_are_written_into_the_sweep_of_the_training_command(
    command: RunCommand, tmp_path: Path, arguments: list[str], sweep: str
) -> None:
    code, text = command(*arguments)
    assert code == 0
    assert {folder.parent for folder in tmp_path.glob("*/*/ngrams-*")} == {tmp_path / sweep}
    assert text.splitlines()[-1].endswith(f"report '{sweep}'" if " " in sweep else sweep)


def test_axes_give_one_baseline_for_each_set_of_reviews(
    command: RunCommand, tmp_path: Path
) -> None:
    code, _ = command("encoder=lstm,gru", "head=max,avg", "data.limit_train=60,90")
    assert code == 0
    files = tmp_path.glob("runs/*/*/run.json")
    configs = [json.loads(file.read_text())["config"] for file in files]
    baselines = sorted((c["data"]["limit_train"], c["ngrams"]["kind"]) for c in configs)
    assert baselines == [(60, "logistic"), (60, "nb_svm"), (90, "logistic"), (90, "nb_svm")]


def test_the_batch_size_is_ignored(command: RunCommand) -> None:
    assert command("data.limit_train=20", "data.batch_size=64").code == 0


def test_an_unwritable_root_leaves_no_cache_entry(command: RunCommand, tmp_path: Path) -> None:
    assert command("data.cache=own", "root=/dev/null/runs").code == 1
    assert not [*tmp_path.iterdir()]


def test_only_the_splits_of_the_run_are_printed(command: RunCommand) -> None:
    lines = command("test=false").text.splitlines()[:2]
    assert ["val " in line and "test" not in line for line in lines] == [True, True]
    lines = command("data.val_fraction=0").text.splitlines()[:2]
    assert ["test " in line and "val" not in line for line in lines] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "patterns"),
    [
        (["data=imdb", "data.path=nowhere"], ["data.path=nowhere"]),
        (["data=reviews", "data.path=nothing.csv"], ["data.path=nothing.csv"]),
        (["data=books"], ["data/books"]),
        (["data.length=3"], ["data.length"]),
        (["data.val_fraction=2"], [r"data\.val_fraction.*\b2\b"]),
        (["data.limit_train=many"], ["data.limit_train", "many"]),
        (["nonsense"], ["nonsense"]),
        (["data.limit_train=[3"], [r"data\.limit_train=\[3"]),
        (["experiment=none_such"], ["experiment/none_such"]),
        (["data.limit_train=2"], ["data.limit_train=2"]),
        (["root=/dev/null/runs"], ["root=/dev/null/runs", "Not a directory"]),
        (["data.cache=/dev/null/cache"], ["data.cache=/dev/null/cache", "Not a directory"]),
    ],
    ids=str,
)
def test_a_refused_command_names_the_value_on_one_line(
    command: RunCommand, tmp_path: Path, arguments: list[str], patterns: list[str]
) -> None:
    code, text = command(*arguments)
    assert code == 1
    for pattern in patterns:
        assert re.search(pattern, text)
    assert text.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_a_refused_command_deletes_its_cache_entries(command: RunCommand, tmp_path: Path) -> None:
    assert command("data.cache=own/cache", "data.limit_train=2").code == 1
    assert not [*tmp_path.iterdir()]


def test_a_refused_command_keeps_cache_entries_of_earlier_commands(
    command: RunCommand, tmp_path: Path
) -> None:
    assert command("data.cache=own").code == 0
    entries = sorted((tmp_path / "own").rglob("*"))
    assert command("data.cache=own", "data.limit_train=2").code == 1
    assert sorted((tmp_path / "own").rglob("*")) == entries


def test_an_interrupted_command_exits_with_130(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "fit", interrupted)
    assert command() == CommandResult(130, "Interrupted.\n")
