"""`lstm-sentiment report`: its files, its output, and reports on damaged runs."""

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
from matplotlib.figure import Figure

from lstm_sentiment.commands.main import main
from lstm_sentiment.files.locks import output_lock
from lstm_sentiment.files.manifest import MANIFEST
from lstm_sentiment.report.csv_files import comparison_table
from lstm_sentiment.report.page import MARK, Plot, markdown
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.runs.predictions import read_table
from lstm_sentiment.runs.reader import read_runs
from tests.support.records import DATA, answers, network, put, put_run

BEGUN = {"schema": 1, "choices": {}, "config": {}}
HOSTILE = "<b>no</b> [bold]memory & no disk"
OF_A_USER = ("notes.txt", "photo.svg", "photo.png")  # files in the folder of the plots
REPORT = {MANIFEST, "report.md", "report.html", "comparison.csv", "runs.csv", "figures"}
PNG = b"\x89PNG\r\n\x1a\n"


def content_of(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return the time and the content of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return [*csv.DictReader(lines)]


class Output(NamedTuple):
    """The output of a report on four runs.

    One is complete, one has no predictions, one a damaged record, and one has failed.
    """

    runs: Path
    folder: Path
    code: int
    printed: str
    changed: bool  # whether any file of a run was

    def plots(self, suffix: str) -> set[str]:
        """Return the names of the plots with this ending."""
        paths = (self.folder / "figures").glob(f"*{suffix}")
        return {path.stem for path in paths if path.name not in OF_A_USER}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    root = tmp_path_factory.mktemp("output")
    runs, folder = root / "sweep", root / "deep" / "out"
    put_run(runs, network("gru"), answers(10), answers(20))
    (put_run(runs, network("lstm"), answers(30), answers(40)) / "predictions.parquet").unlink()
    put_run(runs, network("rnn"), answers(0), answers(0), best_epoch=7)
    put(runs / "rnn-max-s0-1", config=BEGUN, failed={"epoch": 2, "reason": HOSTILE})
    (folder / "figures").mkdir(parents=True)
    (folder / "report.md").write_text(f"![Old.](figures/earlier.svg)\n{MARK}\n")
    for name in ("earlier.svg", "earlier.png", *OF_A_USER):
        (folder / "figures" / name).write_text("content")
    before = content_of(runs)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(["report", str(runs), "-o", str(folder)])
    return Output(runs, folder, code, printed.getvalue(), content_of(runs) != before)


def test_a_report_is_a_page_markdown_tables_and_plots(output: Output) -> None:
    assert output.code == 0
    written = {path.name for path in output.folder.iterdir()}
    assert written == REPORT
    assert output.plots(".svg") == output.plots(".png") >= {"accuracy", "gap", "model_1_curves"}
    for name in output.plots(".png"):
        plot = output.folder / "figures" / name
        assert plot.with_suffix(".png").read_bytes().startswith(PNG)
        root = ElementTree.parse(plot.with_suffix(".svg")).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_every_plot_of_the_text_is_there_and_no_other(output: Output) -> None:
    linked = re.findall(r"\]\(figures/(\w+)\.svg\)", (output.folder / "report.md").read_text())
    assert len(linked) == len(set(linked))
    assert set(linked) == output.plots(".svg")
    assert (output.folder / "report.html").read_text().count("<figure>") == len(linked)


def test_no_file_of_a_run_is_changed(output: Output) -> None:
    assert not output.changed


def test_plots_of_an_earlier_report_are_removed_and_no_other_files(output: Output) -> None:
    figures = output.folder / "figures"
    assert not [*figures.glob("earlier*")]
    assert {(figures / name).read_text() for name in OF_A_USER} == {"content"}


def test_the_ranking_and_the_path_of_the_report_are_printed(output: Output) -> None:
    lines = output.printed.splitlines()
    shown = [line.split()[0] for line in lines if "-last " in line and "1,412,225" in line]
    assert shown == ["gru-last", "lstm-last"]
    assert lines[-1] == f"report {output.folder / 'report.html'}"


def test_the_title_of_the_page_has_the_name_of_the_folder(output: Output) -> None:
    assert "<title>Comparison of sweep</title>" in (output.folder / "report.html").read_text()


def test_a_damaged_record_is_listed_and_the_other_runs_are_compared(output: Output) -> None:
    (name,) = (path.name for path in output.runs.glob("rnn-last*"))
    assert f"{name} run.json is damaged: " in output.printed
    for file in ("report.md", "report.html"):
        text = (output.folder / file).read_text()
        assert f"{name}: run.json is damaged: " in text
        assert "gru-last" in text
        assert "rnn-last-s0" in text.replace("rnn-last ", "")
    assert "**gru-last** has the highest validation" in (output.folder / "report.md").read_text()


def test_the_reason_of_a_failure_is_escaped(output: Output) -> None:
    assert f"rnn-max-s0-1 failed in epoch 2: {HOSTILE}" in output.printed
    for file, bold in (("report.md", "&#91;bold&#93;"), ("report.html", "[bold]")):
        text = (output.folder / file).read_text()
        reason = f"&lt;b&gt;no&lt;/b&gt; {bold}memory &amp;"
        assert f"rnn-max-s0-1: failed in epoch 2: {reason}" in text
        assert "<b>no" not in text


def test_the_csv_files_have_every_variant_and_every_run(output: Output) -> None:
    rows = table(output.folder / "comparison.csv")
    assert [(row["configuration"], row["rank"], row["val/accuracy"]) for row in rows] == [
        ("gru-last", "1", "0.9"),
        ("lstm-last", "2", "0.8"),
    ]
    runs = {row["run"].rpartition("-s0-")[0]: row for row in table(output.folder / "runs.csv")}
    assert {name: row["state"] for name, row in runs.items()} == {
        "gru-last": "done",
        "lstm-last": "done",
        "rnn-last": "failed",
        "rnn-max": "failed",
    }
    assert runs["gru-last"]["test/accuracy"] == "0.95"
    assert runs["rnn-last"]["trouble"].startswith("run.json is damaged: best_epoch")
    assert runs["rnn-last"]["test/accuracy"] == ""


def test_without_an_output_folder_the_report_is_beside_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    run = content_of(tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    written = {path.name for path in tmp_path.iterdir()} - {"rnn-max-s0-1"}
    assert written == REPORT
    assert run.items() <= content_of(tmp_path).items()
    assert f"report {tmp_path / 'report.html'}" in capsys.readouterr().out.splitlines()


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    main(["report", str(tmp_path)])
    first = {path: text for path, (_, text) in content_of(tmp_path).items()}
    main(["report", str(tmp_path)])
    assert {path: text for path, (_, text) in content_of(tmp_path).items()} == first
    put(tmp_path / "rnn-max-s1-2", config=BEGUN)
    main(["report", str(tmp_path)])
    assert [row["run"] for row in table(tmp_path / "runs.csv")] == ["rnn-max-s0-1", "rnn-max-s1-2"]


def test_runs_without_records_have_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "runs" / "rnn-max-s0-1", config=BEGUN)
    put_run(tmp_path / "runs", network("gru"), None, answers(20), cost=[])
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
    ("name", "reason"),
    [("empty", "contains no runs"), ("nowhere", "is not a folder"), ("file", "is not a folder")],
)
def test_without_runs_the_error_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for more in ([], ["-o", str(tmp_path / "out")]):
        before = {*tmp_path.rglob("*")}
        assert main(["report", str(tmp_path / name), *more]) == 1
        out, error = capsys.readouterr()
        assert out == ""
        assert error.startswith(f"{tmp_path / name} {reason}")
        assert len(error.splitlines()) == 1
        assert {*tmp_path.rglob("*")} == before


@pytest.mark.parametrize("in_the_way", ["out", "out/figures", "out/deep"])
def test_a_file_in_place_of_a_folder_is_an_error_of_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_the_way: str
) -> None:
    put(tmp_path / "runs" / "rnn-max-s0-1", config=BEGUN)
    file = tmp_path / in_the_way
    file.parent.mkdir(exist_ok=True)
    file.touch()
    out = tmp_path / ("out/deep" if in_the_way == "out/deep" else "out")
    assert main(["report", str(tmp_path / "runs"), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(rf"{out} cannot be written \(.*\): name another folder with -o\.\n", error)
    assert len(error.splitlines()) == 1
    assert file.read_bytes() == b""


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
@pytest.mark.parametrize("name", ["report.md", "report.html", "comparison.csv", "runs.csv"])
def test_a_file_of_a_user_is_refused_before_the_report_is_built(
    name: str,
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lstm_sentiment.report.sections.build_report", None)
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    (tmp_path / "victim").write_text("mine")
    path = tmp_path / name
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir() if kind == "folder" else path.symlink_to("victim")
    before = content_of(tmp_path)
    assert main(["report", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{path} was not written by lstm-sentiment, or was changed since: ")
    assert "another folder with -o" in error
    assert error.count("\n") == 1
    assert content_of(tmp_path) == before
    assert path.is_symlink() == (kind == "link")
    assert {item.name for item in tmp_path.iterdir()} == {"rnn-max-s0-1", "victim", name}


@pytest.mark.usefixtures("few_plots")
def test_a_figure_of_a_user_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    assert main(["report", str(tmp_path)]) == 0
    (tmp_path / "figures" / "one.png").write_text("mine")
    before = content_of(tmp_path)
    assert main(["report", str(tmp_path)]) == 1
    assert f"{tmp_path}/figures/one.png was not written by" in capsys.readouterr().err
    assert content_of(tmp_path) == before


@pytest.mark.usefixtures("few_plots")
def test_a_link_in_place_of_the_figures_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "runs" / "rnn-max-s0-1", config=BEGUN)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "figures").symlink_to(tmp_path / "elsewhere")
    assert main(["report", str(tmp_path / "runs")]) == 1
    assert "figures/one.svg was not written by" in capsys.readouterr().err
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_of_two_reports_at_once_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "runs" / "rnn-max-s0-1", config=BEGUN)
    (tmp_path / "link").symlink_to("runs")
    with output_lock(tmp_path / "runs" / "report.html"):
        for folder in ("runs", "link"):
            output = tmp_path / folder
            assert main(["report", str(tmp_path / "runs"), "-o", str(output)]) == 1
            error = capsys.readouterr().err
            assert error.startswith(f"Another command is writing {output}/report.html: wait")
            assert error.count("\n") == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["rnn-max-s0-1"]


@pytest.fixture
def few_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reports consist of one plot."""
    blocks = [Plot("one", "A plot.", Figure(figsize=(1, 1)))]
    monkeypatch.setattr("lstm_sentiment.report.sections.build_report", lambda *_: (blocks, []))


def test_a_path_that_cannot_exist_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "rnn-max-s0-1", config=BEGUN)
    assert main(["report", str(tmp_path), "-o", "/dev/null/reports"]) == 1
    assert "/dev/null/reports cannot be written (" in capsys.readouterr().err


def columns_of(path: Path, **changes: object) -> None:
    """Change columns of the predictions, and remove those that are None."""
    columns = read_table(path).to_pydict() | changes
    rest = {name: values for name, values in columns.items() if values is not None}
    pq.write_table(pa.table(rest), path)


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
    ("lstm", "avg"): lambda path: columns_of(path, logit=None),
    ("lstm", "attention"): lambda path: path.write_text("index,label\n0,1\n"),
    ("lstm", "max_attention"): lambda path: path.write_bytes(b""),
    ("rnn", "last"): lambda path: columns_of(path, split=None),
    ("rnn", "max"): lambda path: columns_of(path, logit=["?"] * 400),
    ("rnn", "avg"): lambda path: columns_of(path, logit=[float("nan")] * 400),
    ("rnn", "attention"): repeat_a_row,
    ("rnn", "flatten"): a_folder,
    ("rnn", "max_attention"): lambda path: columns_of(path, split=["val"] * 400),
}


class Report(NamedTuple):
    text: str
    rows: dict[str, dict[str, str]]  # of comparison.csv, by variant


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return the report on a complete run and on runs with differently damaged predictions."""
    root = tmp_path_factory.mktemp("report")
    put_run(root, network("gru"), answers(10), answers(20))
    for (cell, head), damage in DAMAGES.items():
        damage(put_run(root, network(cell, head), answers(30), answers(40)) / "predictions.parquet")
    blocks, comparisons = build_report(read_runs(root))
    rows = csv.DictReader(io.StringIO(comparison_table(comparisons)))
    return Report(markdown(blocks), {row["configuration"]: row for row in rows})


@pytest.mark.parametrize(("cell", "head"), DAMAGES)
def test_variants_with_damaged_predictions_have_scores_and_no_interval(
    report: Report, cell: str, head: str
) -> None:
    notes = re.findall(rf"^- {cell}-{head}-s0-\w+/predictions\.parquet (.+)$", report.text, re.M)
    assert len(notes) == 1
    assert re.fullmatch(
        r"(is missing|does not match the run's record|cannot be read[^:]*): "
        rf"{cell}-{head} is left out of intervals and tests\.",
        notes[0],
    )
    row = report.rows[f"{cell}-{head}"]
    assert (row["test/accuracy"], row["val/accuracy"]) == ("0.85", "0.8")
    assert row["test/accuracy/low"] == row["test/accuracy/high"] == ""
    assert f"| {cell}-{head} | 1 | 80.00 | 85.00 | – | 85.00" in report.text


def test_notes_give_the_reason(report: Report) -> None:
    for name, reason in (
        ("lstm-flatten", "is missing"),
        ("lstm-max", "does not match the run's record"),
        ("lstm-avg", "cannot be read"),
        ("lstm-attention", "cannot be read"),
        ("rnn-avg", "does not match the run's record"),
        ("rnn-attention", "does not match the run's record"),
    ):
        assert re.search(rf"^- {name}-s0-\w+/predictions\.parquet {reason}", report.text, re.M)


def test_a_complete_run_beside_damaged_ones_has_an_interval(report: Report) -> None:
    row = report.rows["gru-last"]
    assert float(row["test/accuracy/low"]) < 0.95 < float(row["test/accuracy/high"])
    assert "gru-last-s0-" not in report.text


def test_predictions_without_lengths_are_complete(tmp_path: Path) -> None:
    path = put_run(tmp_path, network("gru"), answers(10), answers(20)) / "predictions.parquet"
    columns_of(path, tokens=None)
    _, (comparison,) = build_report(read_runs(tmp_path))
    assert comparison.notes == []
    assert [*comparison.intervals] == ["gru-last"]


def test_wrong_arguments_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["praise"], ["report"], []):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("usage: lstm-sentiment")


def test_a_report_of_another_program_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_run(tmp_path / "runs", network("gru"), answers(10), answers(20))
    (tmp_path / "out" / "figures").mkdir(parents=True)
    files = [tmp_path / "out" / "report.md", tmp_path / "out" / "figures" / "other.svg"]
    for file in files:
        file.write_text("![Other.](figures/other.svg)\n")
    assert main(["report", str(tmp_path / "runs"), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{files[0]} was not written by lstm-sentiment")
    assert len(error.splitlines()) == 1
    assert {file.read_text() for file in files} == {"![Other.](figures/other.svg)\n"}
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(files)


def test_two_sets_of_reviews_make_one_page(tmp_path: Path) -> None:
    for fingerprint in ("1", "2"):
        data = DATA | {"fingerprint": fingerprint}
        put_run(tmp_path / fingerprint, network("gru"), answers(10), answers(20), data=data)
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "2 different data sets" in page
    assert (tmp_path / "figures" / "2_accuracy.svg").exists()


@pytest.mark.usefixtures("few_plots")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("encoder=gru", "must be two sets of choices with a colon between blanks"),
        ("encoder=gru:encoder=lstm", "must be two sets of choices"),
        ("encoder=gru : encoder=lstm : head=max", "must be two sets of choices"),
        ("Better? encoder=gru : encoder=lstm", "compare.run must be choices as on the command"),
        ("encoder=gru : encodr=lstm", "compare.other must name choices of encoder"),
    ],
)
def test_an_impossible_comparison_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    put_run(tmp_path, network("gru"), answers(10), answers(20))
    before = content_of(tmp_path)
    assert main(["report", str(tmp_path), "--compare", text]) == 1
    error = capsys.readouterr().err
    assert error.startswith("--compare ")
    assert problem in error
    assert repr(text) in error
    assert error.count("\n") == 1
    assert content_of(tmp_path) == before


def test_comparisons_of_the_command_line_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for cell, wrong in (("gru", 10), ("lstm", 60)):
        put_run(tmp_path, network(cell), answers(wrong), answers(wrong))
    compare = ["--compare", "encoder=gru : encoder=lstm", "--compare", "head=max : head=last"]
    assert main(["report", str(tmp_path), *compare]) == 0
    text = (tmp_path / "report.md").read_text()
    assert "### encoder=gru compared with encoder=lstm" in text
    assert re.search(r"^\| gru-last \| lstm-last \| \+25\.00 \| .* \| better \|$", text, re.M)
    note = "“head=max compared with head=last” has no answer: no run has head=max."
    assert f"- {note}" in text
    assert note in " ".join(capsys.readouterr().out.split())
