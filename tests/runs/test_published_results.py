"""Published runs count as finished: the current code gives each of them the name of its folder.

Only records are read. They contain the identities of the reviews and of the word vectors, except
for that of the unlabelled reviews, which is pinned here.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.config import Config, DataConfig
from lstm_sentiment.data import skip_gram
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.runs.identity import BASELINE, run_folder
from lstm_sentiment.runs.record import defect, restored
from lstm_sentiment.training.baseline import baseline_folder, distinct, recorded_baseline
from tests.support.experiments import NAMES, published_lines
from tests.support.project import IMDB, ROOT

RESULTS = ROOT / "results"
FOLDERS = sorted(file.parent for file in RESULTS.glob("*/*/run.json"))
# The identities of IMDB's reviews; no record has that of the unlabelled ones.
TRAIN = "sha256-49e492d8fed0987dce46d62ce01117af269a4a25633a9f11d7cb0ca6e9def148"
TRAIN_BY_FILM = "sha256-8d7e3ec79927d8814fac2242c6d95342b6ff9b6128a475b7c8bf3e025bd3b2f4"
TEST = "sha256-15b34a4698abaef567b3d27ce60fb493d5730f6034d84d687e10e69b52ae6c51"
UNLABELLED = "sha256-96229a9ab8729827c5c70ef573ed8a4ab1caccd9f4ff1ef2c71f7a25579407de"
EXPERIMENTS = [name for name in NAMES if (RESULTS / name).is_dir()]


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def is_baseline(folder: Path) -> bool:
    return BASELINE in record_of(folder)["config"]


def identity(record: dict[str, Any]) -> str:
    """Return the identity of the data of a network's run, as it was when the run was planned."""
    reviews = record["data"]["fingerprint"]
    kind = record["config"]["embedding"]["kind"]
    if kind == "glove":  # from a file: the name of published vectors would be their identity
        return f"{reviews} {record['vectors']['fingerprint']}"
    if kind == "word2vec":
        return f"{reviews} {json.dumps(skip_gram.SETTINGS)} {UNLABELLED}"
    if (model := record.get("language_model")) is not None:
        return f"{reviews} language-model-{model['digest']}"
    return reviews


def test_there_are_published_results() -> None:
    assert len(FOLDERS) > 170
    assert len(EXPERIMENTS) == 10


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}"
)
def test_a_published_record_has_the_fingerprint_of_its_folder(folder: Path) -> None:
    record = record_of(folder)
    assert defect(record, folder.name) is None
    reviews = record["data"]["fingerprint"]
    train = TRAIN_BY_FILM if record["data"].get("group_column") else TRAIN
    assert reviews == (f"{train} {TEST}" if record["config"]["test"] else train)
    if is_baseline(folder):
        kind, data = NgramModel(record["config"][BASELINE]["kind"]), record["config"]["data"]
        config = Config(
            root=str(RESULTS),
            sweep=record["sweep"],
            test=record["config"]["test"],
            data=restored({"data": data}).data,
        )
        assert recorded_baseline(kind, config) == record["config"]
        assert baseline_folder(kind, config, reviews) == folder
    else:
        config = replace(restored(record["config"]), root=str(RESULTS))
        assert run_folder(config, identity(record)) == folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_command_of_an_experiment_finds_its_published_runs_and_no_others(
    name: str,
) -> None:
    folders = [folder for folder in FOLDERS if folder.parent.name == name]
    networks = {folder for folder in folders if not is_baseline(folder)}
    baselines = {*folders} - networks
    identities = {identity(record_of(folder)) for folder in networks}
    found = []
    for line in published_lines(name):
        runs = [replace(config, root=str(RESULTS)) for config in line]
        for data in identities:  # of lines with other word vectors
            planned = {run_folder(config, data) for config in runs}
            assert len(planned) == len(runs)
            assert planned <= networks or planned.isdisjoint(networks)  # not trained yet
            found += planned & networks
    assert sorted(found) == sorted(networks)  # each is of one line
    runs = [replace(config, root=str(RESULTS)) for config in published_lines(name)[0]]
    if baselines:
        assert baselines == {
            baseline_folder(kind, config, f"{TRAIN} {TEST}")
            for config in distinct(runs)
            for kind in NgramModel
        }


@pytest.mark.imdb
@pytest.mark.slow
def test_the_identities_are_those_of_imdb(tmp_path: Path) -> None:
    data = ReviewDataModule(DataConfig(path=str(IMDB), cache=str(tmp_path)), cache=DataCache())
    assert data.identity == f"{TRAIN} {TEST}"
    assert data.split("unsupervised").identity == UNLABELLED
