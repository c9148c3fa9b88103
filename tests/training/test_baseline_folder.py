"""The folder of an n-gram baseline: its name, its files, reruns, and other processes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lstm_sentiment import InputError
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.display import Printed
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.folder import own_files
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import State, read_run, read_runs
from lstm_sentiment.training import baseline as module
from lstm_sentiment.training.baseline import baseline, baseline_folder
from tests.support.processes import context
from tests.support.project import MakeConfig, folder_of_record, without_times
from tests.support.records import amend

KIND = NgramModel.nb_svm
FILES = {"config.json", "run.json", "predictions.parquet", "model"}


def refuse_to_fit(*_: object) -> NoReturn:
    raise AssertionError("the baseline is fitted")


def times_of(folder: Path) -> list[int]:
    return [file.stat().st_mtime_ns for file in sorted(folder.iterdir())]


@contextmanager
def locked_during_start(folder: Path, target: Callable[[], object]) -> Iterator[threading.Thread]:
    """Start a thread and hold the lock of the folder for the block; then wait for the thread."""
    thread = threading.Thread(target=target)
    with sole_writer(folder / LOCK):
        thread.start()
        thread.join(0.5)
        yield thread
    thread.join(30)


# Names


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
def test_settings_of_networks_do_not_change_the_name(
    tiny: MakeConfig, fields: dict[str, Any]
) -> None:
    assert baseline_folder(KIND, tiny(**fields), "id") == baseline_folder(KIND, tiny(), "id")


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"limit_train": 100}},
        {"data": {"limit_test": 30}},
        {"data": {"val_fraction": 0.1}},
        {"data": {"split_seed": 7}},
        {"data": {"folds": 3, "fold": 0}},
        {"test": False},
    ],
    ids=str,
)
def test_the_choice_of_reviews_changes_the_name(tiny: MakeConfig, fields: dict[str, Any]) -> None:
    assert baseline_folder(KIND, tiny(**fields), "id") != baseline_folder(KIND, tiny(), "id")


def test_reviews_model_and_recipe_change_the_name(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    names = [baseline_folder(kind, config, reviews).name for kind in NgramModel for reviews in "ab"]
    for owner, constant, value in (
        (module, "LONGEST_NGRAM", 2),
        (module, "MIN_REVIEWS", 1),
        (ngrams, "GRID", {KIND: (7.0,)}),
        (module, "CHOSEN_BY", "val/accuracy"),
        (ngrams, "INTERCEPT", "penalised"),
        (module, "NGRAM_RECIPE", 3),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, constant, value)
            names.append(baseline_folder(KIND, config, "a").name)
    assert len({name.split("-")[-1] for name in names}) == 10


def test_the_same_reviews_from_another_source_have_the_same_name(tiny: MakeConfig) -> None:
    imdb = tiny(data={"source": "imdb", "path": "somewhere"})
    assert baseline_folder(KIND, imdb, "id") == baseline_folder(KIND, tiny(), "id")


def test_the_folder_lies_in_the_sweep(tiny: MakeConfig) -> None:
    config = replace(tiny(), root="~/somewhere", sweep="mine")
    folder = baseline_folder(KIND, config, "id")
    assert folder.parent == Path.home() / "somewhere" / "mine"
    assert baseline_folder(KIND, replace(config, sweep=None), "id").parent.name == "default"


# Reruns


@pytest.mark.parametrize("kind", NgramModel)
def test_a_finished_baseline_is_not_trained_again(
    tiny: MakeConfig, kind: NgramModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    record = baseline(kind, config)
    times = times_of(folder_of_record(config, record))
    monkeypatch.setattr(ngrams, "bag_of_ngrams", refuse_to_fit)
    assert baseline(kind, config) == record
    assert times_of(folder_of_record(config, record)) == times


@pytest.mark.parametrize("kind", NgramModel)
def test_rerun_trains_again_with_the_same_results(tiny: MakeConfig, kind: NgramModel) -> None:
    config = tiny()
    first = baseline(kind, config)
    times = times_of(folder_of_record(config, first))
    again = baseline(kind, replace(config, rerun=True))
    assert without_times(again) == without_times(first)
    for time, before in zip(times_of(folder_of_record(config, first)), times, strict=True):
        assert time > before


@pytest.mark.parametrize("kind", NgramModel)
def test_an_interrupted_rerun_is_completed_by_the_next_command(
    tiny: MakeConfig, kind: NgramModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    first = baseline(kind, config)
    folder = folder_of_record(config, first)
    with monkeypatch.context() as patch:
        patch.setattr(ngrams, "bag_of_ngrams", refuse_to_fit)
        with pytest.raises(AssertionError, match="the baseline is fitted"):
            baseline(kind, replace(config, rerun=True))
    assert read_run(folder).state is State.interrupted
    again = baseline(kind, config)
    assert read_run(folder).record == again
    assert without_times(again) == without_times(first)


def test_a_damaged_record_is_replaced_and_files_of_others_stay(
    tiny: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny()
    record = baseline(KIND, config)
    folder = folder_of_record(config, record)
    assert {*own_files(folder)} == {path for path in folder.rglob("*") if path.is_file()}
    amend(folder, lambda content: content["val"].update(accuracy=0.01))
    (folder / "notes.txt").write_text("mine")
    cache = DataCache(Printed())
    again = baseline(KIND, config, cache)
    assert "run.json is damaged: val accuracy is 0.010000" in (text := capsys.readouterr().out)
    assert "the baseline is trained again" in text
    assert without_times(again) == without_times(record)
    assert read_run(folder).state is State.done
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_baseline_that_could_not_be_read_again_is_refused(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_WORDS", "100")
    config = tiny()
    with pytest.raises(InputError, match=r"synthetic: it has [0-9,]+ words, more than the 100"):
        baseline(KIND, config)
    assert not [*Path(config.root).rglob("run.json")]


def test_leftovers_of_a_killed_process_are_removed(tiny: MakeConfig) -> None:
    config = tiny()
    folder = folder_of_record(config, baseline(KIND, config))
    (folder / "run.json").write_text("{")
    (folder / ".draft-run.json-1").write_text("{")
    baseline(KIND, config)
    assert read_run(folder).state is State.done
    assert {item.name for item in folder.iterdir()} == FILES


def test_a_record_of_a_newer_schema_is_kept_without_rerun(tiny: MakeConfig) -> None:
    config = tiny()
    file = folder_of_record(config, baseline(KIND, config)) / "run.json"
    newer = file.read_text().replace('"schema": 2', '"schema": 3')
    file.write_text(newer)
    with pytest.raises(InputError, match=r"run\.json.* schema 3"):
        baseline(KIND, config)
    assert file.read_text() == newer
    assert baseline(KIND, replace(config, rerun=True))["schema"] == 2


# Other processes


def test_a_baseline_waits_for_the_lock_of_its_folder(tiny: MakeConfig) -> None:
    config = tiny()
    folder = folder_of_record(config, baseline(KIND, config))
    (folder / "run.json").unlink()
    with locked_during_start(folder, lambda: baseline(KIND, config)) as thread:
        assert thread.is_alive()
        assert not (folder / "run.json").exists()
    assert read_run(folder).state is State.done


def test_a_waiting_baseline_returns_the_record_of_the_other_process(
    tiny: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny()
    record = baseline(KIND, config)
    folder = folder_of_record(config, record)
    (folder / "run.json").rename(folder / "away.json")
    monkeypatch.setattr(module, "_fit", refuse_to_fit)
    returned: list[dict[str, Any]] = []
    with locked_during_start(folder, lambda: returned.append(baseline(KIND, config))):
        (folder / "away.json").rename(folder / "run.json")
    assert returned == [record]


def test_two_processes_leave_one_complete_record(tiny: MakeConfig) -> None:
    config = tiny()
    processes = [context.Process(target=baseline, args=(KIND, config)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
    assert [process.exitcode for process in processes] == [0, 0]
    [summary] = read_runs(Path(config.root))
    assert summary.state is State.done
    assert len(read_predictions(summary, "test").row) == 40
    assert {item.name for item in summary.folder.iterdir()} == FILES
