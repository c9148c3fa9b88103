"""README says what is true: its commands run, its code works, its tables name what there is."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, Answer, synthetic_imdb
from networks import saved

from lstm_sentiment import cli
from lstm_sentiment.cli import main
from lstm_sentiment.config import Config, flat
from lstm_sentiment.data import embeddings, reviews
from lstm_sentiment.data.synthetic import generate

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(program: str) -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == program]


TRAINED = [arguments[1:] for arguments in commands("python")]


def test_there_are_commands_to_try() -> None:
    assert ["-m", "encoder=lstm,gru", "head=max,avg"] in TRAINED
    assert commands("make") == [["demo"], ["test"]]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands name: IMDB, reviews of one's own, word vectors, in place of hub and web."""
    (tmp_path / "work" / "shards").mkdir(parents=True)
    monkeypatch.setattr(reviews, "_from_hub", stand_in_for_the_hub)
    synthetic_imdb(tmp_path / "imdb")
    texts, labels = generate(60, 5)
    write_table(tmp_path / "reviews.csv", ("text", "label"), texts, labels)
    verdicts = ["happy" if label else "cross" for label in labels]
    write_table(tmp_path / "survey.tsv", ("answer", "verdict"), texts, verdicts)
    lines = [{"review": t, "sentiment": bool(n)} for t, n in zip(texts, labels, strict=True)]
    (tmp_path / "held_out.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        table = pa.table({"text": texts[shard::2], "label": labels[shard::2]})
        pq.write_table(table, tmp_path / "shards" / f"{shard}.parquet")
    numbers = " 0.5" * 100
    (tmp_path / "glove.6B.100d.txt").write_text(f"the{numbers}\nfilm{numbers}\n")
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
        archive.write(tmp_path / "glove.6B.100d.txt", "glove.6B.100d.txt")
    monkeypatch.setattr(embeddings, "fetch_glove", lambda *_: tmp_path / "glove.6B.zip")
    return tmp_path


def write_table(file: Path, header: Sequence[str], *columns: Iterable[Any]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if file.suffix == ".tsv" else ",")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))


def stand_in_for_the_hub(*_: Any) -> datasets.DatasetDict:
    texts, labels = generate(60, 6)
    rows = datasets.Dataset.from_dict({"text": texts, "label": labels.tolist()})
    return datasets.DatasetDict(train=rows, test=rows)


SMALL = ["data.limit_train=40", "data.limit_test=20", "data.batch_size=16"]
SMALL += ["trainer.max_epochs=1", "trainer=cpu"]


@pytest.mark.parametrize("arguments", TRAINED, ids=" ".join)
def test_its_commands_run(
    train: Callable[..., Answer], arguments: list[str], files: Path, cache: str
) -> None:
    """On few reviews and for one epoch, from files in place of the hub."""
    small = [*SMALL, f"data.cache={cache}"]
    imdb = [f"data.path={files / 'imdb'}"] * ("data=reviews" not in arguments)
    if arguments == ["--help"]:
        small, imdb = [], []
    typed = [word for word in arguments if not imdb or not word.startswith("data.path")]
    code, text = train(*typed, *small, *imdb)
    assert code == 0, text
    runs = [*files.glob("runs/*/*/run.json")]
    assert len(runs) == (0 if arguments == ["--help"] else asked_for(arguments))
    commands_on_all = [words for words in commands("lstm-sentiment") if words[-1] == "runs"]
    assert {words[0] for words in commands_on_all} == {"report", "status"}
    for words in commands_on_all if runs else []:
        assert main(words) == 0


def asked_for(arguments: list[str]) -> int:
    """How many runs a command stands for, by its axes and those of its experiment."""
    axes = dict(word.split("=", 1) for word in arguments if "=" in word)
    if "experiment" in axes:
        file = ROOT / "conf" / "experiment" / f"{axes['experiment']}.yaml"
        axes |= yaml.safe_load(file.read_text())["hydra"]["sweeper"]["params"]
    return prod(len(choices.split(",")) for choices in axes.values())


def test_its_comparison_runs(
    train: Callable[..., Answer],
    files: Path,
    cache: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An experiment, its baseline, its report and TensorBoard, as they stand there."""
    [training] = [words for words in TRAINED if words == ["experiment=lstm_vs_gru"]]
    named = [words for words in commands("lstm-sentiment") if "lstm_vs_gru" in words[-1]]
    assert [words[0] for words in named] == ["baseline", "report", "tensorboard"]
    small = [*SMALL, f"data.cache={cache}", f"data.path={files / 'imdb'}"]
    assert train(*training, *small, "encoder.hidden_size=4").code == 0
    baseline, report, tensorboard = named
    assert main([*baseline, *small]) == 0
    assert main(report) == 0
    printed = capsys.readouterr().out
    assert "ngrams-nb_svm" in printed
    assert "gru-max_attention" in printed
    text = (files / "runs/lstm_vs_gru/report.md").read_text()
    assert "| LSTM and GRU: encoder=lstm | accuracy | 87.15 |" in text
    shown = []
    monkeypatch.setattr(cli.subprocess, "run", lambda words: shown.append(words) or Ended())
    assert main(tensorboard) == 0
    assert shown[0][1:4] == ["-m", "tensorboard.main", "--logdir"]


class Ended:
    returncode = 0


def test_it_shows_what_is_in_the_data(
    files: Path, cache: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    [shown] = [words for words in commands("lstm-sentiment") if words[0] == "data"]
    assert main([*shown, f"data.cache={cache}"]) == 0
    assert "reviews.csv" in capsys.readouterr().out
    assert (files / "reviews_csv_lengths.png").exists()


def test_its_python_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # where the cache of reviews goes by default
    [code] = [block for block in blocks("python") if "import Config" in block]
    exec(code, {})
    accuracy, seconds = capsys.readouterr().out.split()[-2:]
    assert 0.4 < float(accuracy) <= 1
    assert float(seconds) > 0
    assert [*tmp_path.glob("runs/python/gru-max-s0-*/run.json")]


[RUN] = re.findall("^RUN=(.*)$", README, re.MULTILINE)


@pytest.fixture
def trained(files: Path, tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where README's run is, a small one; also the folder above imdb/ of its commands."""
    (files / "here").mkdir()
    monkeypatch.chdir(files / "here")
    Path("reviews.csv").write_text("id,text\n1,A gem.\n2,\n")
    config = tiny(encoder={"cell": "gru"}, head={"kind": "max_attention"})
    return saved(Path(RUN), config)


def test_its_run_is_one_of_the_results() -> None:
    assert (ROOT / "results" / Path(RUN).relative_to("runs") / "run.json").exists()


def test_its_uses_of_a_run_work(
    trained: Path, tiny: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order in which they stand there; what it shows of them has their form."""
    pytest.importorskip("onnxruntime")
    saved(Path("OTHER_RUN"), tiny())
    uses = [words for words in commands("lstm-sentiment") if any("$RUN" in w for w in words)]
    assert [words[0] for words in uses] == [
        "predict", "predict", "predict", "evaluate", "explain", "export", "predict"
    ]  # fmt: skip
    [shown] = [text for text in blocks("text") if "$RUN" in text and "A waste" in text]
    for number, words in enumerate(uses):
        assert main([word.replace("$RUN", str(trained)) for word in words]) == 0
        printed = capsys.readouterr().out
        if number == 0:
            given, there = (text.splitlines() for text in (printed, shown))
            assert [line.split("\t")[2] for line in given] == words[2:]
            assert [line.split("\t")[2] for line in there[1:]] == words[2:]
    with Path("labelled.csv").open(newline="") as stream:
        assert next(csv.reader(stream)) == ["id", "text", "label", "probability"]
    assert Path("why.html").exists()


@pytest.mark.usefixtures("trained")
def test_its_python_uses_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = [block for block in blocks("python") if "Predictor" in block]
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_its_walk_through_adds_a_cell_and_a_head(tmp_path: Path) -> None:
    for name in ("lstm_sentiment", "conf", "tests", "train.py", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for block in blocks("python") + blocks("yaml"):
        insert(tmp_path, block)
    (tmp_path / "conf/encoder/relu.yaml").write_text("cell: relu\n")

    def call(*arguments: str) -> None:
        result = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr

    few = ["experiment=smoke", "data.limit_train=40", "data.limit_test=20", "data.cache=cache"]
    few += ["data.batch_size=16"]
    call("train.py", "-m", *few, "encoder=relu,bigru", "head=concat")
    assert len([*tmp_path.glob("runs/smoke/*/run.json")]) == 2
    call("-m", "pytest", "-q", "tests/test_contract.py", "-k", "concat or relu-2-bi")


def insert(root: Path, block: str) -> None:
    """Does what the comment on the block's first line says; a block without one is bigru's file."""
    place, _, code = block.partition("\n")
    if not place.startswith("# "):
        if "from lstm_sentiment" not in block:
            (root / "conf/encoder/bigru.yaml").write_text(block)
        return
    file, _, where = place.removeprefix("# ").partition(", ")
    path = root / file
    text = path.read_text() if path.exists() else ""
    if where.startswith("above "):
        anchor = re.search(rf"^(# .*\n)*{where.removeprefix('above ')}\b", text, re.MULTILINE)
        assert anchor, place
        text = text[: anchor.start()] + code + "\n\n" + text[anchor.start() :]
    elif where.startswith("in "):
        anchor = re.search(rf"^{where.removeprefix('in ')}\b.*[{{:]\n", text, re.MULTILINE)
        assert anchor, place
        text = text[: anchor.end()] + code + text[anchor.end() :]
    else:
        text = block
    if "partial(" in code:
        text = text.replace("from typing", "from functools import partial\nfrom typing", 1)
    path.write_text(text)


def test_its_tables_name_every_choice_and_field() -> None:
    for file in ROOT.glob("conf/*/*.yaml"):
        assert f"`{file.stem}`" in README, file
    for name in flat(Config()):
        group, _, field = name.rpartition(".")
        assert f"`{field}`" in README or re.search(rf"`{group}\.{{[^}}]*\b{field}\b", README), name


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_file_of_conf_is_yaml_with_a_word_on_it() -> None:
    for file in ROOT.glob("conf/experiment/*.yaml"):
        lines = file.read_text().splitlines()
        assert lines[0] == "# @package _global_"
        assert lines[1].startswith("# ")
        assert "?" in lines[1]  # the question it answers
        assert yaml.safe_load(file.read_text())
