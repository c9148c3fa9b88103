"""The runs without recurrence: records like a network's, of the same reviews, and their command."""

import json
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Answer, tiny_config
from matplotlib.figure import Figure
from processes import context
from sklearn import metrics as reference
from sklearn.pipeline import Pipeline

from lstm_sentiment import Config, InputError, run
from lstm_sentiment.cli import main
from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.batches import EncodedReviews
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.files import LOCK, sole_writer
from lstm_sentiment.launch import compose
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.ngrams import Classifier, bag_of_ngrams
from lstm_sentiment.report.configurations import groups, read_answers
from lstm_sentiment.report.runs import State, read_run, read_runs
from lstm_sentiment.training import baseline as module
from lstm_sentiment.training.baseline import baseline, baseline_folder

Make = Callable[..., Config]
Command = Callable[..., Answer]
KIND = Classifier.nb_svm
LONG = "very " * 15 + "own"  # longer than a line
SCORES = ("accuracy", "precision", "recall", "f1", "auroc", "loss")


def folder_of(config: Config, record: dict[str, Any]) -> Path:
    return Path(config.root) / record["sweep"] / record["name"]


def reviews_of(config: Config) -> ReviewDataModule:
    """What a network gets."""
    data = ReviewDataModule(config.data, config.seed, config.test)
    data.setup()
    return data


def texts_and_labels(part: EncodedReviews) -> tuple[list[list[str]], np.ndarray]:
    whole = part.reviews
    texts = [[whole.words[number] for number in whole.of(row)] for row in part.rows]
    return texts, np.asarray(whole.labels)[part.rows]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    record = json.loads(json.dumps(record))
    del record["cost"], record["environment"]
    for epoch in record["epochs"]:
        del epoch["seconds"]
    return record


def never(*_: object) -> NoReturn:
    raise AssertionError("it is trained")


@pytest.fixture(autouse=True)
def _garbage_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """To collect it takes longer than all the rest of a small baseline."""
    monkeypatch.setattr(module.runtime, "reset_peak_memory", lambda _: None)


@pytest.fixture(scope="module", params=Classifier)
def made(
    request: pytest.FixtureRequest, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, dict[str, Any]]:
    """A baseline that others look at and do not change."""
    root = str(tmp_path_factory.mktemp("made"))
    data = {"limit_train": 400, "limit_test": 100, "val_fraction": 0.25, "split_seed": 1}
    config = tiny_config(cache, root, data=data, seed=3)
    return config, baseline(request.param, config)


@pytest.fixture
def films(tmp_path: Path) -> Callable[..., DataConfig]:
    """Reviews in files that a bag of words can tell apart, as IMDB's folder."""

    def write(name: str = "films", flipped: int = -1) -> DataConfig:
        folder = tmp_path / name
        folder.mkdir()
        for seed, (split, count) in enumerate({"train": 120, "test": 60}.items()):
            draw = random.Random(seed)
            rows = []
            for number in range(count):
                words = [*draw.choices("a the film plot cast with of".split(), k=9)]
                words.append(draw.choice([["bad", "dull"], ["good", "fine"]][number % 2]))
                label = number % 2 ^ (split == "test" and number == flipped)
                rows.append({"text": " ".join(draw.sample(words, 10)), "label": label})
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
        return DataConfig("imdb", str(folder), cache=str(tmp_path / "cache"), batch_size=16)

    return write


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: str
) -> Command:
    """Runs `lstm-sentiment baseline ...` in an empty folder, on few reviews."""
    monkeypatch.chdir(tmp_path)
    few = ["data=synthetic", "data.limit_train=120", "data.limit_test=40", f"data.cache={cache}"]
    few.append("trainer.enable_progress_bar=false")

    def typed(*words: str) -> Answer:
        code = main(["baseline", *few, *words])
        captured = capsys.readouterr()
        return Answer(code, captured.out + captured.err)

    return typed


def test_a_record_is_one_like_a_networks(made: tuple[Config, dict[str, Any]]) -> None:
    config, record = made
    folder = folder_of(config, record)
    found = read_run(folder)
    assert (found.state, found.record) == (State.done, record)
    assert folder.parent == Path(config.root) / "default"
    kind = record["choices"]["head"]
    assert folder.name.startswith(f"ngrams-{kind}-s0-")
    assert record["choices"] == {"encoder": "ngrams", "head": kind}
    assert record["best_epoch"] == 1
    (epoch,) = record["epochs"]
    assert (epoch["epoch"], epoch["val"]) == (1, record["val"])
    assert record["vectors"] is None
    assert record["environment"]["device"] == "cpu"


def test_a_folder_holds_what_is_promised(made: tuple[Config, dict[str, Any]]) -> None:
    config, record = made
    folder = folder_of(config, record)
    names = {item.name for item in folder.iterdir()}
    assert names == {"config.json", "run.json", "predictions.parquet"}
    asked = json.loads((folder / "config.json").read_text())
    assert asked == {name: record[name] for name in ("schema", "choices", "config")}


def test_a_record_says_what_was_asked_for(made: tuple[Config, dict[str, Any]]) -> None:
    _, record = made
    kind = record["choices"]["head"]
    assert record["config"] == {
        "seed": 0,
        "test": True,
        "ngrams": {"kind": kind, "longest": 2, "least": 2, "c": ngrams.C[Classifier(kind)]},
        "data": {
            "source": "synthetic",
            "val_fraction": 0.25,
            "split_seed": 1,
            "limit_train": 400,
            "limit_test": 100,
        },
    }


def test_its_reviews_are_those_that_a_network_gets(made: tuple[Config, dict[str, Any]]) -> None:
    config, record = made
    data = reviews_of(config)
    assert record["data"] == data.summary()
    assert [record["data"][part] for part in ("train", "val", "test")] == [300, 100, 100]
    for split, part in (("val", data.val), ("test", data.test)):
        assert part is not None
        answers = read_answers(read_run(folder_of(config, record)), split)
        assert answers.row.tolist() == sorted(part.rows.tolist())
        assert (answers.label == part.reviews.labels[answers.row]).all()
        lengths = [len(part.reviews.of(row)) for row in answers.row]
        assert answers.tokens is not None
        assert answers.tokens.tolist() == lengths
        assert max(lengths) > config.data.max_length  # they are not cut


def test_it_learns_from_the_training_part_alone(made: tuple[Config, dict[str, Any]]) -> None:
    """The answers are those of a classifier that has seen no other review."""
    config, record = made
    data = reviews_of(config)
    model = bag_of_ngrams(Classifier(record["choices"]["head"])).fit(*texts_and_labels(data.train))
    for split, part in (("val", data.val), ("test", data.test)):
        assert part is not None
        expected = model.predict_proba(texts_and_labels(part)[0])[np.argsort(part.rows), 1]
        answers = read_answers(read_run(folder_of(config, record)), split)
        np.testing.assert_allclose(answers.probability, expected, atol=1e-6)
    texts, labels = texts_and_labels(data.train)
    trained = record["epochs"][0]["train"]
    assert trained["accuracy"] == pytest.approx(model.score(texts, labels))
    assert trained["loss"] == pytest.approx(reference.log_loss(labels, model.predict_proba(texts)))
    assert record["cost"]["parameters"] == len(model[0].vocabulary_) + 1


def test_predictions_give_the_scores_of_the_record(made: tuple[Config, dict[str, Any]]) -> None:
    config, record = made
    table = pq.read_table(folder_of(config, record) / "predictions.parquet").to_pandas()
    assert list(table.columns) == ["split", "index", "label", "probability", "tokens"]
    assert set(table["split"]) == {"val", "test"}
    for split in ("val", "test"):
        part = table[table["split"] == split]
        label, probability = part["label"], part["probability"].astype(float)
        answer = probability > 0.5
        expected = {
            "accuracy": reference.accuracy_score(label, answer),
            "precision": reference.precision_score(label, answer),
            "recall": reference.recall_score(label, answer),
            "f1": reference.f1_score(label, answer),
            "auroc": reference.roc_auc_score(label, probability),
            "loss": reference.log_loss(label, probability),
        }
        assert {name: record[split][name] for name in SCORES} == pytest.approx(expected, rel=1e-5)
        matrix = reference.confusion_matrix(label, answer).tolist()
        assert record[split]["confusion_matrix"] == matrix


def test_the_costs_are_of_one_pass_over_the_training_part(
    made: tuple[Config, dict[str, Any]],
) -> None:
    config, record = made
    cost = record["cost"]
    assert cost["fit_seconds"] == cost["seconds_per_epoch"] == record["epochs"][0]["seconds"] > 0
    tokens = sum(map(len, texts_and_labels(reviews_of(config).train)[0]))
    assert cost["tokens_per_second"] * cost["fit_seconds"] == pytest.approx(tokens)
    assert cost["test_reviews_per_second"] > 0
    assert cost["peak_memory_mib"] > 0


def test_memory_is_measured_anew_for_each(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[str] = []
    monkeypatch.setattr(module.runtime, "reset_peak_memory", reset.append)
    baseline(KIND, tiny())
    assert reset == ["cpu"]


def test_it_tells_what_words_tell(tiny: Make, films: Callable[..., DataConfig]) -> None:
    for kind in Classifier:
        record = baseline(kind, replace(tiny(), data=films(kind)))
        assert record["val"]["accuracy"] == record["test"]["accuracy"] == 1


@pytest.mark.parametrize("kind", Classifier)
def test_a_label_of_the_test_part_changes_nothing_but_the_test_score(
    tiny: Make, films: Callable[..., DataConfig], kind: Classifier
) -> None:
    configs = [replace(tiny(), data=films(f"films{n}", flipped=n)) for n in (-1, 7)]
    whole, flipped = (baseline(kind, config) for config in configs)
    assert whole["name"] != flipped["name"]
    assert without_times(whole)["epochs"] == without_times(flipped)["epochs"]
    assert (whole["test"]["accuracy"], flipped["test"]["accuracy"]) == (1, pytest.approx(59 / 60))
    answers = [
        read_answers(read_run(folder_of(config, record)), "test")
        for config, record in zip(configs, (whole, flipped), strict=True)
    ]
    np.testing.assert_array_equal(answers[0].probability, answers[1].probability)
    assert np.flatnonzero(answers[0].label != answers[1].label).tolist() == [7]


def test_neither_the_cut_nor_the_vocabulary_of_networks_concerns_it(tiny: Make) -> None:
    first = baseline(KIND, tiny())
    other = tiny(data={"max_length": 1, "max_vocab": 3, "truncation_side": "left"}, sweep="other")
    second = baseline(KIND, other)
    for part in ("epochs", "val", "test", "name"):
        assert without_times(first)[part] == without_times(second)[part]


@pytest.mark.parametrize("kind", Classifier)
def test_one_that_is_there_is_not_made_again_unless_asked_for(
    tiny: Make, kind: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    first = baseline(kind, config)
    files = sorted(folder_of(config, first).iterdir())
    written = [file.stat().st_mtime_ns for file in files]
    with monkeypatch.context() as untrained:
        untrained.setattr(ngrams, "bag_of_ngrams", never)
        assert baseline(kind, config) == first
        assert [file.stat().st_mtime_ns for file in files] == written
        with pytest.raises(AssertionError, match="it is trained"):
            baseline(kind, replace(config, rerun=True))
    assert read_run(folder_of(config, first)).state is State.interrupted
    again = baseline(kind, config)
    assert read_run(folder_of(config, first)).record == again
    assert without_times(again) == without_times(first)
    again = baseline(kind, replace(config, rerun=True))
    assert without_times(again) == without_times(first)
    assert all(file.stat().st_mtime_ns > was for file, was in zip(files, written, strict=True))


def test_what_a_killed_process_left_is_cleared_away(tiny: Make) -> None:
    config = tiny()
    record = baseline(KIND, config)
    folder = folder_of(config, record)
    (folder / "run.json").write_text("{")
    (folder / ".draft-run.json-1").write_text("{")
    baseline(KIND, config)
    assert read_run(folder).state is State.done
    assert {item.name for item in folder.iterdir()} == {
        "config.json",
        "run.json",
        "predictions.parquet",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"max_length": 7}},
        {"data": {"max_vocab": 70}},
        {"data": {"batch_size": 7}},
        {"data": {"padding": "keras"}},
        {"data": {"truncation_side": "left"}},
        {"data": {"cache": "elsewhere"}},
        {"seed": 7},
        {"encoder": {"cell": "gru"}},
        {"head": {"kind": "max"}},
        {"optimizer": {"lr": 7.0}},
        {"trainer": {"max_epochs": 7}},
        {"rerun": True},
    ],
    ids=str,
)
def test_what_concerns_networks_alone_is_no_part_of_its_name(
    tiny: Make, fields: dict[str, Any]
) -> None:
    assert baseline_folder(KIND, tiny(**fields), "it") == baseline_folder(KIND, tiny(), "it")


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"limit_train": 100}},
        {"data": {"limit_test": 30}},
        {"data": {"val_fraction": 0.1}},
        {"data": {"split_seed": 7}},
        {"test": False},
    ],
    ids=str,
)
def test_which_reviews_it_gets_is_part_of_its_name(tiny: Make, fields: dict[str, Any]) -> None:
    assert baseline_folder(KIND, tiny(**fields), "it") != baseline_folder(KIND, tiny(), "it")


def test_its_name_tells_data_and_classifiers_apart(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    names = [baseline_folder(kind, config, which).name for kind in Classifier for which in "ab"]
    changes = [(ngrams, "LONGEST", 3), (ngrams, "LEAST", 1), (ngrams, "C", {KIND: 7.0})]
    for where, what, value in [*changes, (module, "RECIPE", 2)]:
        with monkeypatch.context() as changed:
            changed.setattr(where, what, value)
            names.append(baseline_folder(KIND, config, "a").name)
    assert len({name.split("-")[-1] for name in names}) == 8


def test_the_same_reviews_from_another_source_have_the_same_name(tiny: Make) -> None:
    imdb = tiny(data={"source": "imdb", "path": "somewhere"})
    assert baseline_folder(KIND, imdb, "it") == baseline_folder(KIND, tiny(), "it")


def test_it_stands_where_a_network_would(tiny: Make) -> None:
    config = replace(tiny(), root="~/somewhere", sweep="mine")
    folder = baseline_folder(KIND, config, "it")
    assert folder.parent == Path.home() / "somewhere" / "mine"
    assert baseline_folder(KIND, replace(config, sweep=None), "it").parent.name == "default"


def test_without_the_test_split_nothing_of_it_is_read(
    tiny: Make, films: Callable[..., DataConfig]
) -> None:
    data = films()
    (Path(data.path or "") / "test.parquet").write_text("nobody reads this")
    config = replace(tiny(test=False), data=data)
    record = baseline(KIND, config)
    assert record["test"] is record["data"]["test"] is None
    assert record["cost"]["test_reviews_per_second"] is None
    assert record["val"]["accuracy"] == 1
    folder = folder_of(config, record)
    assert read_run(folder).state is State.done
    table = pq.read_table(folder / "predictions.parquet")
    assert set(table["split"].to_pylist()) == {"val"}
    with pytest.raises(InputError, match="test.parquet"):
        baseline(KIND, replace(config, test=True))


def test_without_validation_there_are_no_answers_to_it(tiny: Make) -> None:
    config = tiny(data={"val_fraction": 0.0})
    record = baseline(KIND, config)
    assert record["val"] is record["epochs"][0]["val"] is None
    assert (record["data"]["train"], record["data"]["val"]) == (120, 0)
    found = read_run(folder_of(config, record))
    assert found.state is State.done
    assert len(read_answers(found, "test").row) == 40
    table = pq.read_table(found.folder / "predictions.parquet")
    assert set(table["split"].to_pylist()) == {"test"}


def test_it_waits_for_another_writer(tiny: Make) -> None:
    config = tiny()
    folder = folder_of(config, baseline(KIND, config))
    (folder / "run.json").unlink()
    other = threading.Thread(target=baseline, args=(KIND, config))
    with sole_writer(folder / LOCK):
        other.start()
        other.join(0.5)
        assert other.is_alive()
        assert not (folder / "run.json").exists()
    other.join(30)
    assert read_run(folder).state is State.done


def test_who_has_waited_takes_what_is_there(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny()
    record = baseline(KIND, config)
    folder = folder_of(config, record)
    found: list[dict[str, Any]] = []
    (folder / "run.json").rename(folder / "away.json")
    monkeypatch.setattr(module, "_trained", never)
    other = threading.Thread(target=lambda: found.append(baseline(KIND, config)))
    with sole_writer(folder / LOCK):
        other.start()
        other.join(0.5)
        (folder / "away.json").rename(folder / "run.json")
    other.join(30)
    assert found == [record]


def test_a_newer_record_is_not_thrown_away(tiny: Make) -> None:
    config = tiny()
    folder = folder_of(config, baseline(KIND, config))
    newer = (folder / "run.json").read_text().replace('"schema": 1', '"schema": 2')
    (folder / "run.json").write_text(newer)
    with pytest.raises(InputError, match="has schema 2, this version reads 1"):
        baseline(KIND, config)
    assert (folder / "run.json").read_text() == newer
    assert baseline(KIND, replace(config, rerun=True))["schema"] == 1


def test_reviews_without_a_word_in_common_are_refused(command: Command, tmp_path: Path) -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklm", k=9)) for _ in range(40)]
    rows = [f"{word},{number % 2}" for number, word in enumerate(words)]
    (tmp_path / "d.csv").write_text("\n".join(["text,label", *rows]))
    code, text = command("data=reviews", "data.path=d.csv", "data.limit_train=null")
    assert code == 1
    assert text.startswith("d.csv: no word is in two of the 26 reviews")
    assert not [*tmp_path.glob("runs/*/*")]


def test_two_at_once_do_no_harm(tiny: Make) -> None:
    config = tiny()
    both = [context.Process(target=baseline, args=(KIND, config)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(180)
    assert [process.exitcode for process in both] == [0, 0]
    (found,) = read_runs(Path(config.root))
    assert found.state is State.done
    assert len(read_answers(found, "test").row) == 40
    names = {item.name for item in found.folder.iterdir()}
    assert names == {"config.json", "run.json", "predictions.parquet"}


def test_the_command_prints_a_line_for_each_and_what_to_do_next(
    command: Command, tmp_path: Path
) -> None:
    code, text = command()
    assert code == 0
    *lines, last = text.splitlines()
    records = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("runs/*/*/run.json"))]
    assert [record["choices"]["head"] for record in records] == [*Classifier]
    for line, record in zip(lines, records, strict=True):
        val, test = record["val"]["accuracy"], record["test"]["accuracy"]
        spent = record["cost"]["fit_seconds"]
        assert line == (
            f"{record['name']}  val {val:.2%}, test {test:.2%}, trained in {spent:.1f} s"
        )
    assert last.startswith("next ")
    assert last.endswith("lstm-sentiment report runs/default")
    assert [item.name for item in tmp_path.iterdir()] == ["runs"]  # nothing of Hydra's
    assert all(run.state is State.done for run in read_runs(tmp_path / "runs"))


def test_the_command_again_changes_nothing_unless_asked_to(
    command: Command, tmp_path: Path
) -> None:
    first = command()
    files = sorted(tmp_path.glob("runs/*/*/*"))
    written = [file.stat().st_mtime_ns for file in files]
    assert command() == first
    assert [file.stat().st_mtime_ns for file in files] == written
    assert command("rerun=true").code == 0
    assert all(file.stat().st_mtime_ns > was for file, was in zip(files, written, strict=True))


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["experiment=smoke", "sweep=mine"], "runs/mine"),
        ([f"sweep='my {LONG}'", "root=else where"], f"else where/my {LONG}"),
        (["experiment=lstm_vs_gru", "data=synthetic"], "runs/lstm_vs_gru"),  # without its axes
    ],
)
def test_it_goes_where_a_training_command_would_put_it(
    command: Command, tmp_path: Path, words: list[str], where: str
) -> None:
    code, text = command(*words)
    assert code == 0
    assert {folder.parent for folder in tmp_path.glob("*/*/ngrams-*")} == {tmp_path / where}
    assert text.splitlines()[-1].endswith(f"report '{where}'" if " " in where else where)


def test_axes_make_one_for_each_set_of_reviews(command: Command, tmp_path: Path) -> None:
    code, _ = command("encoder=lstm,gru", "head=max,avg", "data.limit_train=60,90")
    assert code == 0
    found = [json.loads(file.read_text())["config"] for file in tmp_path.glob("runs/*/*/run.json")]
    asked = sorted((each["data"]["limit_train"], each["ngrams"]["kind"]) for each in found)
    assert asked == [(60, "logistic"), (60, "nb_svm"), (90, "logistic"), (90, "nb_svm")]


def test_a_batch_is_no_concern_of_it(command: Command) -> None:
    assert command("data.limit_train=20", "data.batch_size=64").code == 0


def test_a_place_that_cannot_be_written_leaves_no_cache(command: Command, tmp_path: Path) -> None:
    assert command("data.cache=own", "root=/dev/null/runs").code == 1
    assert not [*tmp_path.iterdir()]


def test_what_was_not_asked_for_is_not_in_the_line(command: Command) -> None:
    lines = command("test=false").text.splitlines()[:2]
    assert ["val " in line and "test" not in line for line in lines] == [True, True]
    lines = command("data.val_fraction=0").text.splitlines()[:2]
    assert ["test " in line and "val" not in line for line in lines] == [True, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=imdb", "data.path=nowhere"], "data.path=nowhere is no file or folder"),
        (["data=reviews", "data.path=nothing.csv"], "data.path=nothing.csv is no file"),
        (["data=books"], "data/books"),
        (["data.length=3"], "Could not override 'data.length'"),
        (["data.val_fraction=2"], "data.val_fraction=2"),
        (["data.limit_train=many"], "Value 'many' of type 'str'"),
        (["nonsense"], "nonsense"),
        (["data.limit_train=[3"], "data.limit_train=[3"),
        (["experiment=none_such"], "experiment/none_such"),
        (["data.limit_train=2"], "data.limit_train=2"),
        (["root=/dev/null/runs"], "root=/dev/null/runs cannot be written (Not a directory)"),
        (["data.cache=/dev/null/cache"], "data.cache=/dev/null/cache cannot be written"),
    ],
    ids=str,
)
def test_what_cannot_be_made_is_refused_in_a_sentence(
    command: Command, tmp_path: Path, words: list[str], said: str
) -> None:
    code, text = command(*words)
    assert code == 1
    assert said in text
    assert text.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_a_refusal_takes_back_what_it_put_into_the_cache(command: Command, tmp_path: Path) -> None:
    assert command("data.cache=own/cache", "data.limit_train=2").code == 1
    assert not [*tmp_path.iterdir()]


def test_a_refusal_leaves_what_an_earlier_command_put_into_the_cache(
    command: Command, tmp_path: Path
) -> None:
    assert command("data.cache=own").code == 0
    kept = sorted((tmp_path / "own").rglob("*"))
    assert command("data.cache=own", "data.limit_train=2").code == 1
    assert sorted((tmp_path / "own").rglob("*")) == kept


def test_an_interruption_is_said_in_a_word(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "fit", interrupted)
    assert command() == Answer(130, "Interrupted.\n")


def test_a_report_ranks_it_with_the_networks_and_says_how_many_lose(
    tiny: Make,
    films: Callable[..., DataConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def undrawn(_: Figure, file: IO[Any], format: str, **__: object) -> None:
        file.write("<svg></svg>" if format == "svg" else b"")

    monkeypatch.setattr(Figure, "savefig", undrawn)  # half of the time
    config = replace(tiny(optimizer={"lr": 1e-12}, trainer={"max_epochs": 1}), data=films())
    names = [run(config)["name"], *(baseline(kind, config)["name"] for kind in Classifier)]
    (group,) = groups(read_runs(Path(config.root)))
    assert not group.remarks
    assert {run.name for c in group.configurations for run in c.runs.values()} == set(names)
    found = [configuration.name for configuration in group.configurations]
    assert found == ["ngrams-nb_svm", "ngrams-logistic", "lstm-last"]  # level, by loss
    assert main(["report", config.root, "-o", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    places = [printed.index(name) for name in found]
    assert places == sorted(places)
    page = (tmp_path / "report" / "report.md").read_text()
    assert "Beside **ngrams-nb_svm**" in page
    assert "of 1 network 1 is worse." in page


def test_words_make_the_configuration_of_training() -> None:
    config = compose(["encoder=gru", "head=max", "data=synthetic", "data.limit_train=7"])
    assert (config.encoder.network, config.head.kind, config.data.limit_train) == ("gru", "max", 7)
    assert config.sweep is None
    assert compose([]) == Config()


def test_an_experiment_names_the_sweep_and_its_axes_are_left_out() -> None:
    config = compose(["experiment=lstm_vs_gru"])
    assert (config.sweep, config.encoder.network, config.seed) == ("lstm_vs_gru", "lstm", 0)
    assert compose(["experiment=lstm_vs_gru", "sweep=mine"]).sweep == "mine"


def test_a_path_is_taken_as_it_is() -> None:
    config = compose(["data=reviews"], path="a ${seed}/[b],{c}=d.csv")
    assert config.data.path == "a ${seed}/[b],{c}=d.csv"


@pytest.mark.parametrize("words", [["encoder=none"], ["seed"], ["data.path=${nothing}"]], ids=str)
def test_words_that_make_no_configuration_are_named(words: list[str]) -> None:
    with pytest.raises(InputError, match=rf"^{words[0]}: ".replace("$", r"\$").replace("{", r"\{")):
        compose(words)
