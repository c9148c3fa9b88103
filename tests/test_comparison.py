import json
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.cli import main
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.comparison import markdown, ranked
from lstm_sentiment.report.runs import read_runs

BEGUN = {"schema": 1, "choices": {}, "config": {}}


def record(name: str, val: float | None, test: float | None, data: Any = None) -> dict[str, Any]:
    def scores(accuracy: float | None) -> dict[str, float] | None:
        return None if accuracy is None else {"accuracy": accuracy, "f1": 0.8125, "auroc": 0.9375}

    return {
        "schema": 1,
        "name": name,
        "choices": {},
        "config": {"seed": 7},
        "epochs": [],
        "data": data
        or {"source": "imdb", "fingerprint": "1", "train": 900, "val": 100, "test": 50},
        "val": scores(val),
        "test": scores(test),
        "cost": {"parameters": 1412225, "fit_seconds": 61.26},
    }


def put(folder: Path, **files: Any) -> None:
    folder.mkdir(parents=True)
    for stem, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{stem}.json").write_text(text)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    long = record("stacked_bilstm-max_attention-s7-8", 0.85, 0.85)
    put(tmp_path / "a" / "lstm-max-s7-1", config=BEGUN, run=record("lstm-max-s7-1", 0.86, 0.89))
    put(tmp_path / "a" / "bigru-avg-s7-2", config=BEGUN, run=record("bigru-avg-s7-2", 0.875, 0.85))
    put(tmp_path / "c" / "stacked_bilstm-max_attention-s7-8", config=BEGUN, run=long)
    put(tmp_path / "b" / "rnn-last-s7-3", config=BEGUN, run=record("rnn-last-s7-3", None, 0.99))
    put(tmp_path / "b" / "rnn-max-s7-4", config=BEGUN, failed={"epoch": 2, "reason": "it rained"})
    put(tmp_path / "b" / "gru-max-s7-5", config=BEGUN)
    put(tmp_path / "b" / "gru-avg-s7-6", config=BEGUN, run='{"schema": 1, "na')
    put(tmp_path / "b" / "gru-last-s7-7", config=BEGUN, run={"schema": 2})
    put(tmp_path / "b" / "gru-last-s7-9", config=BEGUN, run={"schema": 1})
    put(tmp_path / "a" / "lstm-max-s7-1" / "model", config={"schema": 1, "config": {}})
    put(tmp_path / "elsewhere", config={"editor": "vi"})
    return tmp_path


def test_ranked_by_validation_and_never_by_test(runs: Path) -> None:
    names = [run.name for run in ranked(read_runs(runs)) if run.record]
    assert names == [
        "bigru-avg-s7-2",
        "lstm-max-s7-1",
        "stacked_bilstm-max_attention-s7-8",
        "rnn-last-s7-3",
    ]


def test_every_folder_is_accounted_for(runs: Path) -> None:
    trouble = {run.name: run.trouble for run in read_runs(runs) if not run.record}
    assert trouble == {
        "rnn-max-s7-4": "failed in epoch 2: it rained",
        "gru-max-s7-5": "interrupted",
        "gru-avg-s7-6": "run.json is damaged",
        "gru-last-s7-7": "run.json has schema 2, this reads 1",
        "gru-last-s7-9": "run.json is damaged",
    }


def test_the_command_prints_the_table(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["report", str(runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [line.split() for line in lines if line.strip().startswith(("bigru", "lstm"))]
    assert cells[0] == [
        "bigru",
        "avg",
        "7",
        *"1,412,225 87.50 85.00 81.25 93.75 61.3".split(),
    ]
    assert cells[1][:3] == ["lstm", "max", "7"]
    assert any("stacked_bilstm max_attention" in line for line in lines)
    assert any("rnn-max-s7-4 failed in epoch 2: it rained" in line for line in lines)
    assert max(len(line) for line in lines) <= 80


def test_runs_on_other_reviews_stand_in_another_table(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"source": "synthetic", "fingerprint": "2", "train": 80, "val": 20, "test": None}
    put(runs / "d" / "rnn-avg-s7-1", config=BEGUN, run=record("rnn-avg-s7-1", 0.99, None, other))
    main(["report", str(runs)])
    text = capsys.readouterr().out
    assert text.index("synthetic: 80 train, 20 val") < text.index("rnn     avg")
    assert text.index("rnn     avg") < text.index("imdb: 900 train, 100 val, 50 test")
    assert text.index("imdb: 900") < text.index("bigru")


def test_runs_that_differ_in_a_setting_say_which(tmp_path: Path) -> None:
    for number, lr in enumerate((0.001, 0.1)):
        name = f"gru-max-s7-{number}"
        content = record(name, 0.5 + number / 10, None)
        content["config"] = {"seed": 7, "optimizer": {"lr": lr, "name": "adam"}}
        put(tmp_path / name, config=BEGUN, run=content)
    table = markdown(read_runs(tmp_path)).splitlines()[2:6]
    assert table[0].endswith("| fit s | set to |")
    assert table[2].endswith("| optimizer.lr=0.1 |")
    assert table[3].endswith("| optimizer.lr=0.001 |")


def test_the_report_is_written_and_no_run_is_touched(runs: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    main(["report", str(runs), "-o", str(tmp_path / "out" / "deep")])
    assert {p: p.stat().st_mtime_ns for p in runs.rglob("*") if p in before} == before
    assert not (runs / "report.md").exists()
    written = (tmp_path / "out" / "deep" / "report.md").read_text()
    assert written == markdown(read_runs(runs)) + "\n"
    main(["report", str(runs)])
    assert (runs / "report.md").read_text() == written


def test_a_report_that_cannot_be_written_is_one_sentence(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(runs), "-o", "/dev/null/reports"]) == 1
    assert "cannot be written to /dev/null/reports" in capsys.readouterr().err


def test_a_single_run_is_read_as_well(runs: Path) -> None:
    assert [run.name for run in read_runs(runs / "a" / "lstm-max-s7-1")] == ["lstm-max-s7-1"]


def test_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="holds no run"):
        read_runs(tmp_path)
    assert main(["report", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is no folder" in capsys.readouterr().err


def test_a_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["praise"])
    assert end.value.code == 2
    assert "report" in capsys.readouterr().err


def test_the_same_table_for_a_page(runs: Path) -> None:
    title, empty, *lines = markdown(read_runs(runs)).splitlines()
    assert (title, empty) == ("imdb: 900 train, 100 val, 50 test", "")
    assert (
        lines[0] == "| network | head | seed | params | val % | test % | F1 % | AUROC % | fit s |"
    )
    assert lines[1] == "| --- | --- | --: | --: | --: | --: | --: | --: | --: |"
    assert lines[2] == "| bigru | avg | 7 | 1,412,225 | 87.50 | 85.00 | 81.25 | 93.75 | 61.3 |"
    assert lines[5].startswith("| rnn | last | 7 | 1,412,225 | - | 99.00 |")
    assert "- rnn-max-s7-4: failed in epoch 2: it rained" in lines
