"""The documentation is true: its commands run, its code works, its links lead somewhere."""

import csv
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lstm_sentiment.commands import main as program
from lstm_sentiment.commands.hydra_config import compose
from lstm_sentiment.config import Config, flat
from lstm_sentiment.data import sources, word_vectors
from lstm_sentiment.data.synthetic import generate
from lstm_sentiment.labels import Classes
from tests.support.model_hub import ModelHub
from tests.support.networks import saved
from tests.support.project import ROOT, CommandResult, folder_of, synthetic_imdb
from tests.support.records import answers, network, put_run

GENERATED = ("results.md", "model_card.md")  # by scripts/publish: tests/scripts/test_publish.py
PAGES = {
    file.name: file.read_text()
    for file in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
WRITTEN = {name: text for name, text in PAGES.items() if name not in GENERATED}
README = PAGES["README.md"]
# The run that the commands of a page use; pages without one use that of README.md.
RUNS = {name: run for name, text in WRITTEN.items() for run in re.findall("^RUN=(.*)$", text, re.M)}
RUN = RUNS["README.md"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Return the words of each command in the shell blocks of a page."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line]


EVERY_COMMAND = {name: commands(text) for name, text in WRITTEN.items()}


def first_shown() -> dict[str, list[list[str]]]:
    """Return the commands to run by the page that shows them first; README.md comes first."""
    shown: list[list[str]] = []
    pages: dict[str, list[list[str]]] = {}
    for name, lines in EVERY_COMMAND.items():
        for line in lines:
            runs = line[0] == "lstm-sentiment" or line[:2] == ["python", "train.py"]
            if runs and line not in shown and name != "extending.md":
                shown.append(line)
                pages.setdefault(name, []).append(line)
    return pages


# Those of extending.md need what the page adds: test_the_walk_through_adds_a_cell_and_a_head.
FIRST_SHOWN = first_shown()


def test_the_readme_is_short_and_shows_what_matters() -> None:
    assert len(README.splitlines()) < 250
    assert EVERY_COMMAND["README.md"][:2] == [["make", "demo"], ["make", "test"]]
    subcommands = {line[1] for line in EVERY_COMMAND["README.md"] if line[0] == "lstm-sentiment"}
    assert {"baseline", "report", "status", "data", "predict", "explain"} <= subcommands
    assert ["python", "train.py", "-m", "encoder=lstm,gru", "head=max,avg"] in EVERY_COMMAND[
        "README.md"
    ]


def test_every_subcommand_is_shown_and_run() -> None:
    shown = {line[1] for lines in EVERY_COMMAND.values() for line in lines if len(line) > 1}
    assert {
        "baseline", "data", "ensemble", "evaluate", "explain", "export", "power", "predict",
        "pretrain", "push", "report", "serve", "status", "tensorboard", "train", "tune",
    } <= shown  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_other_commands_name_what_there_is(name: str) -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for program_name, *words in EVERY_COMMAND[name]:
        if program_name == "make":
            assert [word for word in words if "=" not in word and word not in targets] == []
        elif program_name == "python" and words[:2] == ["-m", "pytest"]:
            assert_tests_exist(words[2:])
        elif program_name == "python" and words[0] != "train.py":
            script = (ROOT / words[0]).read_text()
            assert [word for word in words if word[:2] == "--" and word not in script] == []
        else:
            known = ("python", "lstm-sentiment", "pip")  # tests/test_wheel.py installs
            assert program_name in known or program_name[:4] == "RUN="


def assert_tests_exist(words: list[str]) -> None:
    for word in words:
        if word.startswith("tests"):
            assert (ROOT / word).exists(), word
    if "-k" in words:
        assert_selects(words[words.index("-k") + 1])


TESTS = {file.stem: file.read_text() for file in (ROOT / "tests").rglob("test_*.py")}


def assert_selects(expression: str) -> None:
    """Check that there is a test for an expression of `pytest -k`, by its file's and own name."""
    names = {
        f"{stem}.py::{test}"
        for stem, text in TESTS.items()
        for test in re.findall(r"def (test_\w+)", text)
    }
    python = re.sub(r"\w+", lambda m: m[0] if m[0] in ("and", "or") else repr(m[0]), expression)
    python = re.sub(r"('\w+')", r"(\1 in name)", python)
    assert any(eval(python, {"name": name}) for name in names), expression


def test_each_fault_names_its_test() -> None:
    table = PAGES["reliability.md"].split("| fault |")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines()[2:] if row]
    assert len(rows) > 10
    for row in rows:
        [expression, *_] = re.findall("`([^`]+)`", row.split("|")[-2])
        assert_selects(expression)


@pytest.fixture
def here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny: Callable[..., Config],
    model_hub: ModelHub,
) -> Path:
    """Return a working folder with all files, runs and the hub that the commands name."""
    monkeypatch.setenv("HF_TOKEN", model_hub.token)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sources, "_from_hub", stand_in_for_the_hub)
    synthetic_imdb(tmp_path / "imdb")
    unlabelled, _ = generate(30, 9)
    table = pa.table({"text": unlabelled, "label": [-1] * len(unlabelled)})
    pq.write_table(table, tmp_path / "imdb" / "unsupervised.parquet")
    texts, labels = generate(60, 5)
    products = [f"product {row // 3}" for row in range(60)]
    write_table(folder / "reviews.csv", ("text", "label", "product"), texts, labels, products)
    chinese = [
        f"这部电影{'很好' if label else '很差'}，{text}"
        for text, label in zip(texts, labels, strict=True)
    ]
    write_table(folder / "reviews_zh.csv", ("text", "label"), chinese, labels)
    verdicts = ["happy" if label else "cross" for label in labels]
    write_table(folder / "survey.tsv", ("answer", "verdict"), texts, verdicts)
    lines = [{"review": t, "sentiment": bool(n)} for t, n in zip(texts, labels, strict=True)]
    (folder / "held_out.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "my_conf" / "experiment").mkdir(parents=True)
    [mine] = blocks(PAGES["configuration.md"], "yaml")
    (folder / "my_conf" / "experiment" / "mine.yaml").write_text(mine)
    (folder / "shards").mkdir()
    for shard in range(2):
        table = pa.table({"text": texts[shard::2], "label": labels[shard::2]})
        pq.write_table(table, folder / "shards" / f"{shard}.parquet")
    numbers = " 0.5" * 100
    (folder / "glove.6B.100d.txt").write_text(f"the{numbers}\nfilm{numbers}\n")
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
        archive.write(folder / "glove.6B.100d.txt", "glove.6B.100d.txt")
        archive.writestr("glove.6B.50d.txt", f"the{' 0.5' * 50}\nfilm{' 0.5' * 50}\n")
    monkeypatch.setattr(word_vectors, "fetch_glove", lambda *_: tmp_path / "glove.6B.zip")
    for run in {*RUNS.values()}:
        saved(folder / run, tiny(encoder={"cell": "gru"}, head={"kind": "max_attention"}))
    saved(folder / "OTHER_RUN", tiny())
    for seed in range(3):
        put_run(folder, network(seed=seed), test=answers(seed), name=f"SEED_{seed}")
    stars = Classes(("1", "2", "3", "4", "5"))
    saved(folder / "STARS_RUN", tiny(data={"classes": 5}), stars)
    texts, labels = generate(60, 5, classes=5)
    write_table(folder / "stars.csv", ("text", "label"), texts, (labels + 1).tolist())
    return folder


def write_table(file: Path, header: Sequence[str], *columns: Iterable[Any]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if file.suffix == ".tsv" else ",")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))


def stand_in_for_the_hub(*_: Any) -> datasets.DatasetDict:
    texts, labels = generate(60, 6)
    columns = {"text": texts, "sentence": texts, "label": labels.tolist()}  # some name it sentence
    rows = datasets.Dataset.from_dict(columns)
    return datasets.DatasetDict(train=rows, validation=rows, test=rows)


SMALL = ["data.limit_train=40", "data.limit_test=20", "data.batch_size=16"]
SMALL += ["encoder.hidden_size=4", "trainer.max_epochs=1", "trainer=cpu"]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of huggingface_hub
@pytest.mark.parametrize("name", FIRST_SHOWN)
def test_the_commands_of_a_page_run(
    name: str,
    here: Path,
    train: Callable[..., CommandResult],
    cache: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run them in the order of the page, on few reviews and for one epoch."""
    monkeypatch.chdir(here)
    small = [*SMALL, f"data.cache={cache}"]
    for words in FIRST_SHOWN[name]:
        if words[:2] == ["lstm-sentiment", "train"]:
            words = ["python", "train.py", *words[2:]]
        if words == ["lstm-sentiment", "--version"]:
            continue
        if words[0] == "python":
            words = [w.replace("…", language_model_digits()) if "…" in w else w for w in words]
            code, text = train(*on_few_reviews(words[2:], small))
            assert code == 0, text
            assert len([*here.glob("runs/*/*/run.json")]) >= asked_for(words[2:])
            continue
        run = RUNS.get(name, RUN)
        subcommand, *rest = (word.replace("$RUN", run) for word in words[1:])
        if "onnx" in " ".join(words):
            pytest.importorskip("onnxruntime")
        if subcommand in ("baseline", "pretrain", "tune"):
            rest = on_few_reviews(rest, small)
        if subcommand == "tune":
            pytest.importorskip("optuna")
            rest += ["--trials", "2"]
        if subcommand == "data":
            rest.append(f"data.cache={cache}")
        reads_runs = subcommand in ("power", "report", "status", "tensorboard")
        if reads_runs and not [*Path(rest[0]).rglob("run.json")]:
            root, sweep = rest[0].split("/")
            assert train("experiment=smoke", f"root={root}", f"sweep={sweep}", *small).code == 0
        if subcommand == "tensorboard":
            assert shown_by_tensorboard(rest)[3] == "--logdir"
        elif subcommand == "serve":  # tests/serving/http/test_documentation.py sends requests
            Path("token").write_text("0123456789abcdef")
            assert served(rest) == [Path(run)]
        else:
            code = program.main([subcommand, *rest])
            printed = capsys.readouterr()
            assert code == 0, (words, printed.err)
            assert printed.out or "-o" in rest
    if name == "README.md":
        report = (here / "runs/lstm_vs_gru/report.md").read_text()
        assert "ngrams-nb_svm" in report
        assert "gru-max_attention" in report
        assert "87.15" in report  # published


def language_model_digits() -> str:
    """Return the digits that a page leaves out of the name of the language model that it trains."""
    [folder] = Path("runs/pretrained").iterdir()
    return folder.name.rpartition("-")[2]


def shown_by_tensorboard(words: list[str]) -> list[str]:
    """Return the command that would start TensorBoard."""
    started: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", lambda command, **_: started.append(command) or Ended())
        assert program.main(["tensorboard", *words]) == 0
    return started[0]


def served(words: list[str]) -> list[Path]:
    """Return the models that the command would serve."""
    pytest.importorskip("fastapi")
    from lstm_sentiment.serving.http import server

    started: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "serve", lambda runs, *_, **__: started.extend(runs))
        assert program.main(["serve", *words]) == 0
    return started


class Ended:
    returncode = 0


def on_few_reviews(words: list[str], small: list[str]) -> list[str]:
    """Return a training command on little data: reviews from ../imdb in place of the hub's."""
    if words == ["--help"]:
        return words
    if "data=reviews" in words or "data=synthetic" in words or "experiment=demo" in words:
        return [*words, *small]
    return [*(w for w in words if not w.startswith("data.path")), "data.path=../imdb", *small]


def asked_for(words: list[str]) -> int:
    """Return the number of runs of a command, by its axes and those of its experiment."""
    if words == ["--help"]:
        return 0
    typed = dict(word.split("=", 1) for word in words if "=" in word)
    axes = typed
    if "experiment" in typed:
        folder = Path("my_conf") if "--config-dir" in words else ROOT / "conf"
        file = folder / "experiment" / f"{typed['experiment']}.yaml"
        axes = yaml.safe_load(file.read_text())["hydra"]["sweeper"]["params"] | typed
    return prod(len(choices.split(",")) for choices in axes.values())


@pytest.mark.parametrize(
    "name", [n for n, text in WRITTEN.items() if '$ lstm-sentiment predict $RUN "' in text]
)
def test_shown_predictions_have_the_form_of_real_ones(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    [block] = [
        b for b in blocks(WRITTEN[name], "text") if b.startswith('$ lstm-sentiment predict $RUN "')
    ]
    command, *shown = block.splitlines()
    texts = shlex.split(command)[4:]
    assert program.main(["predict", RUN, *texts]) == 0
    for lines in (shown, capsys.readouterr().out.splitlines()):
        labels, probabilities, those = zip(*(line.split("\t") for line in lines), strict=True)
        assert list(those) == texts
        assert [float(p) > 0.5 for p in probabilities] == [label == "positive" for label in labels]


def test_a_labelled_file_has_the_columns_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    Path("reviews.csv").write_text("id,text\n1,A gem.\n2,\n")
    [block] = [b for b in blocks(PAGES["use-a-model.md"], "text") if "cat labelled.csv" in b]
    assert program.main(["predict", RUN, "--file", "reviews.csv", "-o", "labelled.csv"]) == 0
    assert Path("labelled.csv").read_text().splitlines()[0] in block.splitlines()


def test_the_run_of_the_readme_is_one_that_the_demo_trains(cache: str) -> None:
    demo = compose(["experiment=demo", "encoder=lstm", "head=max", f"data.cache={cache}"])
    assert str(folder_of(demo)) == RUN
    assert EVERY_COMMAND["README.md"][0] == ["make", "demo"]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "README.md"])
def test_the_run_of_another_page_is_trained_by_its_first_command(name: str) -> None:
    [python, script, experiment, seed], [set_run], *_ = EVERY_COMMAND[name]
    assert [python, script, set_run] == ["python", "train.py", f"RUN={RUNS[name]}"]
    folder = ROOT / "results" / Path(RUNS[name]).relative_to("runs")
    assert folder.parent.name == experiment.removeprefix("experiment=")
    assert json.loads((folder / "run.json").read_text())["config"]["seed"] == int(seed[5:])


CODE = [
    (name, code)
    for name, text in WRITTEN.items()
    for code in blocks(text, "python")
    if not code.startswith("# ")
]


@pytest.mark.parametrize("code", [code for _, code in CODE], ids=[name for name, _ in CODE])
def test_its_python_runs(
    code: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))  # the cache of reviews is there by default
    exec(code, {})
    printed = capsys.readouterr().out
    if "record = run(" in code:
        accuracy, seconds = printed.split()[-2:]
        assert 0.4 < float(accuracy) <= 1
        assert float(seconds) > 0
        assert [*here.glob("runs/python/gru-max-s0-*/run.json")]
    elif "print" in code:
        assert len(printed.splitlines()) == 2


@pytest.mark.slow  # processes of their own train four networks
def test_the_walk_through_adds_a_cell_and_a_head(tmp_path: Path) -> None:
    page = PAGES["extending.md"]
    folders = ("lstm_sentiment", "hydra_plugins", "conf", "tests", "scripts")
    for name in (*folders, "train.py", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for block in blocks(page, "python") + blocks(page, "yaml"):
        insert(tmp_path, block)

    def call(*arguments: str) -> None:
        result = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr

    [training, contract] = EVERY_COMMAND["extending.md"]
    few = ["data.limit_train=40", "data.limit_test=20", "data.cache=cache", "data.batch_size=16"]
    call(*training[1:], *few, "encoder.hidden_size=4", "trainer=cpu")
    assert len([*tmp_path.glob("runs/*/*/run.json")]) == asked_for(training[2:]) == 4
    # Tests that list cells or heads list those that there are.
    names = "stacked_birelu or stacked_gru-min_max or message_names or override_that"
    call(*contract[1:], "tests/test_config.py", "-q", "-k", names)
    changed = sorted({block.split(",")[0].removeprefix("# ") for block in blocks(page, "python")})
    call("-m", "ruff", "check", *changed)
    call("-m", "ruff", "format", "--check", *changed)


def insert(root: Path, block: str) -> None:
    """Do what the comment on the block's first line says: FILE, or FILE, above LINE or in LINE."""
    place, _, code = block.partition("\n")
    file, _, where = place.removeprefix("# ").partition(", ")
    path = root / file
    text = path.read_text() if path.exists() else ""
    if where.startswith("above "):
        anchor = re.search(rf"^(# .*\n)*{where.removeprefix('above ')}\b", text, re.MULTILINE)
        assert anchor, place
        gap = "\n\n" if code.startswith("class") else ""
        text = text[: anchor.start()] + code + gap + text[anchor.start() :]
    elif where.startswith("in "):
        anchor = re.search(rf"^{where.removeprefix('in ')}\b.*[{{:]\n", text, re.MULTILINE)
        assert anchor, place
        text = text[: anchor.end()] + code + text[anchor.end() :]
    else:
        assert not text, f"{file} exists already"
        text = code
    path.write_text(text)


def test_the_configuration_page_names_every_choice_and_field() -> None:
    page = PAGES["configuration.md"]
    for file in ROOT.glob("conf/*/*.yaml"):
        assert f"`{file.stem}`" in page, file
    for name in flat(Config()):
        group, _, field = name.rpartition(".")
        known = f"`{name}`" in page or f"`{field}`" in page
        assert known or re.search(rf"`{group}\.{{[^}}]*\b{field}\b", page), name


def links() -> Iterator[tuple[str, str, str]]:
    for name, text in PAGES.items():
        folder = "" if (ROOT / name).exists() else "docs"
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text):
            yield name, str((ROOT / folder / (target or name)).resolve()), anchor


def test_links_lead_somewhere() -> None:
    for page, target, anchor in links():
        assert Path(target).exists(), (page, target)
        if anchor:
            assert anchor in anchors(Path(target).read_text()), (page, target, anchor)


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, which GitHub and the site make alike."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index_and_in_the_readme() -> None:
    for file in (ROOT / "docs").glob("*.md"):
        if file.name != "index.md":
            assert f"({file.name})" in PAGES["index.md"], file
            assert f"(docs/{file.name})" in README, file


MADE_BY_THE_WALK_THROUGH = {
    "conf/encoder/bigru.yaml",
    "conf/encoder/relu.yaml",
    "conf/head/min_max.yaml",
}
IN_THE_FOLDER_OF_A_RUN = {"model/config.json", "model/vocab.json"}


def test_files_of_the_repository_that_a_page_names_exist() -> None:
    folders = ROOT, ROOT / "lstm_sentiment"
    for page, text in WRITTEN.items():
        named = re.findall(r"`([\w/]+/[\w.]+\.(?:py|yaml|json|txt|md|sh))[`:]", text)
        named += re.findall(r"(?:scripts|tests|lstm_sentiment|conf)/[\w/]+\.(?:py|yaml|sh)", text)
        for file in {*named} - MADE_BY_THE_WALK_THROUGH - IN_THE_FOLDER_OF_A_RUN:
            assert any((folder / file).exists() for folder in folders), (page, file)


def test_links_out_of_docs_are_text_on_the_site() -> None:
    hook = runpy.run_path(str(ROOT / "scripts/publish/site_hooks.py"))["on_page_markdown"]
    assert (
        hook("See [results/](../results) and [a page](index.md).")
        == "See results/ and [a page](index.md)."
    )
    with pytest.raises(ValueError, match="nowhere"):
        hook("[it](../nowhere)")


def test_every_experiment_begins_with_its_question() -> None:
    for file in ROOT.glob("conf/experiment/*.yaml"):
        lines = file.read_text().splitlines()
        assert lines[0] == "# @package _global_"
        assert lines[1].startswith("# ")
        assert "?" in lines[1]
        assert yaml.safe_load(file.read_text())
