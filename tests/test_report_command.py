"""`lstm-sentiment report`: what it writes and prints, and that what is damaged stops nothing."""

import contextlib
import csv
import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from records import answers, put, put_run

from lstm_sentiment.cli import main
from lstm_sentiment.config import Cell, Config, EncoderConfig, HeadConfig
from lstm_sentiment.report.document import MARK, markdown
from lstm_sentiment.report.report import report
from lstm_sentiment.report.runs import read_runs
from lstm_sentiment.report.tables import comparison_table

BEGUN = {"schema": 1, "choices": {}, "config": {}}
HOSTILE = "<b>it</b> [bold]rained & poured"
KEPT = ("notes.txt", "mine.svg", "mine.png")  # beside the pictures of a report
PNG = b"\x89PNG\r\n\x1a\n"


def chosen(cell: str, head: str = "last") -> Config:
    return Config(encoder=EncoderConfig(cell=cell), head=HeadConfig(kind=head))


def content_of(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """When each file below was written, and what stands in it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return [*csv.DictReader(lines)]


class Made(NamedTuple):
    """A report of two runs, one of them without predictions, a damaged and a failed one."""

    runs: Path
    out: Path
    code: int
    printed: str
    touched: bool  # whether any run was

    def names(self, suffix: str) -> set[str]:
        """Of the pictures with this ending, but for those that no report made."""
        found = (self.out / "figures").glob(f"*{suffix}")
        return {path.stem for path in found if path.name not in KEPT}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("made")
    runs, out = root / "sweep", root / "deep" / "out"
    put_run(runs, chosen("gru"), answers(10), answers(20))
    (put_run(runs, chosen("lstm"), answers(30), answers(40)) / "predictions.parquet").unlink()
    put_run(runs, chosen("rnn"), answers(0), answers(0), best_epoch=7)
    put(runs / "rnn-max-s0-1", config=BEGUN, failed={"epoch": 2, "reason": HOSTILE})
    (out / "figures").mkdir(parents=True)
    (out / "report.md").write_text(f"![What was.](figures/earlier.svg)\n{MARK}\n")
    for name in ("earlier.svg", "earlier.png", *KEPT):
        (out / "figures" / name).write_text("kept?")
    before = content_of(runs)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(["report", str(runs), "-o", str(out)])
    return Made(runs, out, code, printed.getvalue(), content_of(runs) != before)


def test_it_writes_a_page_markdown_tables_and_pictures(made: Made) -> None:
    assert made.code == 0
    written = {path.name for path in made.out.iterdir()}
    assert written == {"report.md", "report.html", "comparison.csv", "runs.csv", "figures"}
    assert made.names(".svg") == made.names(".png") >= {"accuracy", "gap", "model_1_curves"}
    for name in made.names(".png"):
        drawing = made.out / "figures" / name
        assert drawing.with_suffix(".png").read_bytes().startswith(PNG)
        root = ElementTree.parse(drawing.with_suffix(".svg")).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_every_picture_of_the_text_is_there_and_no_other(made: Made) -> None:
    linked = re.findall(r"\]\(figures/(\w+)\.svg\)", (made.out / "report.md").read_text())
    assert len(linked) == len(set(linked))
    assert set(linked) == made.names(".svg")
    assert (made.out / "report.html").read_text().count("<figure>") == len(linked)


def test_no_run_is_touched(made: Made) -> None:
    assert not made.touched


def test_pictures_of_an_earlier_report_go_and_other_files_stay(made: Made) -> None:
    figures = made.out / "figures"
    assert not [*figures.glob("earlier*")]
    assert {(figures / name).read_text() for name in KEPT} == {"kept?"}


def test_the_terminal_has_the_ranking_and_says_where_the_report_is(made: Made) -> None:
    lines = made.printed.splitlines()
    shown = [line.split()[0] for line in lines if "-last " in line and "1,412,225" in line]
    assert shown == ["gru-last", "lstm-last"]
    assert lines[-1] == f"report {made.out / 'report.html'}"


def test_the_page_is_called_after_the_folder(made: Made) -> None:
    assert "<title>Comparison of sweep</title>" in (made.out / "report.html").read_text()


def test_a_damaged_record_is_named_everywhere_and_the_others_are_compared(made: Made) -> None:
    said = "run.json is damaged: best_epoch is 7"
    (name,) = (path.name for path in made.runs.glob("rnn-last*"))
    assert f"{name} {said}" in made.printed
    for file in ("report.md", "report.html"):
        text = (made.out / file).read_text()
        assert f"{name}: {said}" in text
        assert "gru-last" in text
        assert "rnn-last-s0" in text.replace("rnn-last ", "")
    assert "**gru-last** is best on validation (90.00 %)" in (made.out / "report.md").read_text()


def test_a_reason_for_failure_is_text_and_no_markup(made: Made) -> None:
    assert f"rnn-max-s0-1 failed in epoch 2: {HOSTILE}" in made.printed
    for file in ("report.md", "report.html"):
        text = (made.out / file).read_text()
        assert "rnn-max-s0-1: failed in epoch 2: &lt;b&gt;it&lt;/b&gt; [bold]rained &amp;" in text
        assert "<b>it" not in text


def test_the_tables_have_what_was_compared_and_every_run(made: Made) -> None:
    rows = table(made.out / "comparison.csv")
    assert [(row["configuration"], row["rank"], row["val/accuracy"]) for row in rows] == [
        ("gru-last", "1", "0.9"),
        ("lstm-last", "2", "0.8"),
    ]
    runs = {row["run"].rpartition("-s0-")[0]: row for row in table(made.out / "runs.csv")}
    assert {name: row["state"] for name, row in runs.items()} == {
        "gru-last": "done",
        "lstm-last": "done",
        "rnn-last": "failed",
        "rnn-max": "failed",
    }
    assert runs["gru-last"]["test/accuracy"] == "0.95"
    assert runs["rnn-last"]["trouble"] == "run.json is damaged: best_epoch is 7"
    assert runs["rnn-last"]["test/accuracy"] == ""


def test_without_o_the_report_lies_beside_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    run = content_of(tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    written = {path.name for path in tmp_path.iterdir()} - {"rnn-max-s0-1"}
    assert written == {"report.md", "report.html", "comparison.csv", "runs.csv", "figures"}
    assert run.items() <= content_of(tmp_path).items()
    assert f"report {tmp_path / 'report.html'}" in capsys.readouterr().out.splitlines()


def test_a_second_report_takes_the_place_of_the_first_and_is_no_run(tmp_path: Path) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    main(["report", str(tmp_path)])
    first = {path: text for path, (_, text) in content_of(tmp_path).items()}
    main(["report", str(tmp_path)])
    assert {path: text for path, (_, text) in content_of(tmp_path).items()} == first
    put(tmp_path / "rnn-max-s1-2", config=BEGUN)
    main(["report", str(tmp_path)])
    assert [row["run"] for row in table(tmp_path / "runs.csv")] == ["rnn-max-s0-1", "rnn-max-s1-2"]


def test_runs_none_of_which_has_a_record_are_reported_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "runs" / "rnn-max-s0-1", config=BEGUN)
    put_run(tmp_path / "runs", chosen("gru"), None, answers(20), cost=[])
    figures = tmp_path / "out" / "figures"
    figures.mkdir(parents=True)
    (figures / "accuracy.svg").touch()
    (figures.parent / "report.md").write_text(f"![Accuracy.](figures/accuracy.svg)\n{MARK}\n")
    assert main(["report", str(tmp_path / "runs"), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == ""
    text = (tmp_path / "out" / "report.md").read_text()
    assert "- rnn-max-s0-1: interrupted" in text
    assert [*figures.iterdir()] == []
    assert table(tmp_path / "out" / "comparison.csv") == []
    assert len(table(tmp_path / "out" / "runs.csv")) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [("empty", "holds no run: "), ("nowhere", "is no folder: "), ("file", "is no folder: ")],
)
def test_where_there_is_no_run_it_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for more in ([], ["-o", str(tmp_path / "out")]):
        before = {*tmp_path.rglob("*")}
        assert main(["report", str(tmp_path / name), *more]) == 1
        out, error = capsys.readouterr()
        assert out == ""
        assert error.startswith(f"{tmp_path / name} {said}")
        assert len(error.splitlines()) == 1
        assert {*tmp_path.rglob("*")} == before


@pytest.mark.parametrize("in_the_way", ["out", "out/figures", "out/deep"])
def test_a_file_in_the_way_of_the_report_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_the_way: str
) -> None:
    put(tmp_path / "runs" / "rnn-max-s0-1", config=BEGUN)
    file = tmp_path / in_the_way
    file.parent.mkdir(exist_ok=True)
    file.touch()
    out = tmp_path / ("out/deep" if in_the_way == "out/deep" else "out")
    assert main(["report", str(tmp_path / "runs"), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(
        rf"The report cannot be written to {re.escape(str(out))} \(.+\): name another with -o\.\n",
        error,
    )
    assert file.read_bytes() == b""


@pytest.mark.parametrize("name", ["report.md", "report.html", "comparison.csv", "runs.csv"])
def test_a_folder_in_the_way_of_a_file_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    (tmp_path / name).mkdir()
    assert main(["report", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"The report cannot be written to {tmp_path} (")
    assert len(error.splitlines()) == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_place_that_takes_nothing_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    assert main(["report", str(tmp_path), "-o", "/dev/null/reports"]) == 1
    assert "cannot be written to /dev/null/reports" in capsys.readouterr().err


def columns_of(path: Path, **changes: object) -> None:
    """The predictions with other columns; without those that are None."""
    columns = pq.read_table(path).to_pydict() | changes
    kept = {name: values for name, values in columns.items() if values is not None}
    pq.write_table(pa.table(kept), path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def repeat_a_row(path: Path) -> None:
    rows = np.arange(200)
    columns_of(path, index=np.tile(np.where(rows == 3, 2, rows), 2))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_run(path: Path) -> None:
    (other,) = path.parent.parent.glob("gru-last*")
    shutil.copy(other / path.name, path)


DAMAGES: dict[tuple[str, str], Callable[[Path], object]] = {
    ("lstm", "last"): truncate,
    ("lstm", "flatten"): Path.unlink,
    ("lstm", "max"): of_another_run,
    ("lstm", "avg"): lambda path: columns_of(path, probability=None),
    ("lstm", "attention"): lambda path: path.write_text("index,label\n0,1\n"),
    ("lstm", "max_attention"): lambda path: path.write_bytes(b""),
    ("rnn", "last"): lambda path: columns_of(path, split=None),
    ("rnn", "max"): lambda path: columns_of(path, probability=["?"] * 400),
    ("rnn", "avg"): lambda path: columns_of(path, probability=[float("nan")] * 400),
    ("rnn", "attention"): repeat_a_row,
    ("rnn", "flatten"): a_folder,
    ("rnn", "max_attention"): lambda path: columns_of(path, split=["val"] * 400),
}


class Told(NamedTuple):
    text: str
    rows: dict[str, dict[str, str]]  # of comparison.csv, by configuration


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A report of a whole run and of runs whose predictions are all damaged otherwise."""
    root = tmp_path_factory.mktemp("told")
    put_run(root, chosen(Cell.gru), answers(10), answers(20))
    for (cell, head), damage in DAMAGES.items():
        damage(put_run(root, chosen(cell, head), answers(30), answers(40)) / "predictions.parquet")
    blocks, comparisons = report(read_runs(root))
    rows = csv.DictReader(io.StringIO(comparison_table(comparisons)))
    return Told(markdown(blocks), {row["configuration"]: row for row in rows})


@pytest.mark.parametrize(("cell", "head"), DAMAGES)
def test_damaged_predictions_are_named_and_the_scores_stay_without_an_interval(
    told: Told, cell: str, head: str
) -> None:
    named = re.findall(rf"^- {cell}-{head}-s0-\w+/predictions\.parquet (.+)$", told.text, re.M)
    assert len(named) == 1
    assert re.fullmatch(
        r"(is missing|is not of its record|cannot be read[^:]*): "
        r"\S+ takes no part in intervals and tests\.",
        named[0],
    )
    row = told.rows[f"{cell}-{head}"]
    assert (row["test/accuracy"], row["val/accuracy"]) == ("0.85", "0.8")
    assert row["test/accuracy/low"] == row["test/accuracy/high"] == ""
    assert f"| {cell}-{head} | 1 | 80.00 | 85.00 | – | 85.00" in told.text


def test_the_reason_is_the_one_that_is_true(told: Told) -> None:
    for name, said in (
        ("lstm-flatten", "is missing"),
        ("lstm-max", "is not of its record"),
        ("lstm-avg", "cannot be read"),
        ("lstm-attention", "cannot be read"),
        ("rnn-avg", "is not of its record"),
        ("rnn-attention", "is not of its record"),
    ):
        assert re.search(rf"^- {name}-s0-\w+/predictions\.parquet {said}", told.text, re.M)


def test_a_whole_run_beside_damaged_predictions_keeps_its_interval(told: Told) -> None:
    row = told.rows["gru-last"]
    assert float(row["test/accuracy/low"]) < 0.95 < float(row["test/accuracy/high"])
    assert "gru-last-s0-" not in told.text


def test_predictions_of_before_lengths_were_kept_are_whole(tmp_path: Path) -> None:
    path = put_run(tmp_path, chosen("gru"), answers(10), answers(20)) / "predictions.parquet"
    columns_of(path, tokens=None)
    _, (comparison,) = report(read_runs(tmp_path))
    assert comparison.remarks == []
    assert [*comparison.intervals] == ["gru-last"]


def test_a_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["praise"], ["report"], []):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("usage: lstm-sentiment")


def test_a_report_of_others_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_run(tmp_path / "runs", chosen("gru"), answers(10), answers(20))
    (tmp_path / "out" / "figures").mkdir(parents=True)
    files = [tmp_path / "out" / "report.md", tmp_path / "out" / "figures" / "mine.svg"]
    for file in files:
        file.write_text("![Mine.](figures/mine.svg)\n")
    assert main(["report", str(tmp_path / "runs"), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error == f"{files[0]} is no report of lstm-sentiment: name another folder with -o.\n"
    assert {file.read_text() for file in files} == {"![Mine.](figures/mine.svg)\n"}
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(files)


def test_two_sets_of_reviews_make_one_page(tmp_path: Path) -> None:
    for fingerprint in ("1", "2"):
        data = {"source": "imdb", "fingerprint": fingerprint, "train": 9, "val": 200, "test": 200}
        put_run(tmp_path / fingerprint, chosen("gru"), answers(10), answers(20), data=data)
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "2 different sets of reviews" in page
    assert (tmp_path / "figures" / "2_accuracy.svg").exists()
