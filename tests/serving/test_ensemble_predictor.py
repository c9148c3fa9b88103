"""Ensembles as models: predict and evaluate average the members; their record is untrusted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment import InputError
from lstm_sentiment.commands.main import main
from lstm_sentiment.estimator import SentimentClassifier
from lstm_sentiment.runs.ensemble_folder import predictions_digest
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training.ensemble import ensemble
from tests.support.networks import TEXTS, saved
from tests.support.records import amend, answers, network, put_run
from tests.support.tables import write_rows

Capture = pytest.CaptureFixture[str]


def member(sweep: Path, seed: int, **fields: Any) -> Path:
    """Write a finished run with a random network."""
    config = network(seed=seed, **fields)
    folder = put_run(sweep, config, test=answers(10 + seed))
    shutil.copytree(saved(sweep.parent / f"model{seed}", config) / "model", folder / "model")
    return folder


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    sweep = tmp_path / "runs" / "s"
    return [member(sweep, 0), member(sweep, 1, cell="gru", head="max")]


@pytest.fixture
def folder(members: list[Path]) -> Path:
    return ensemble(members, [1, 3])[0]


def mean_probabilities(members: list[Path], texts: list[str]) -> np.ndarray:
    one, other = (Predictor.load(each).probabilities(texts) for each in members)
    return np.asarray(0.25 * one + 0.75 * other)


def test_probabilities_are_the_mean_of_the_members(members: list[Path], folder: Path) -> None:
    predictor = Predictor.load(folder)
    expected = mean_probabilities(members, TEXTS)
    np.testing.assert_allclose(predictor.probabilities(TEXTS), expected, rtol=1e-6)
    assert predictor.classes.threshold == 0.5
    assert predictor.predict(TEXTS[0]).probability == pytest.approx(expected[0])


def test_an_ensemble_and_its_members_can_be_moved(members: list[Path], folder: Path) -> None:
    expected = mean_probabilities(members, TEXTS)
    root = folder.parent.parent
    moved = root.rename(root.with_name("moved"))
    probabilities = Predictor.load(moved / "s" / folder.name).probabilities(TEXTS)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


def test_commands(members: list[Path], folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["predict", str(folder), TEXTS[0]]) == 0
    shown = f"{mean_probabilities(members, TEXTS)[0]:.4f}"
    assert capsys.readouterr().out.split("\t")[1] == shown
    file = write_rows(tmp_path / "labelled.csv", [(TEXTS[0], 1), (TEXTS[2], 0)])
    assert main(["evaluate", str(folder), "--file", str(file), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["networks"][folder.name]
    assert scores["reviews"] == 2
    for options in (["explain"], ["predict", "--json", "--weights"]):
        assert main([*options, str(folder), TEXTS[0]]) == 1
        error = capsys.readouterr().err
        assert "An ensemble has no explanation of its own: explain one of its members." in error
    assert main(["export", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "An ensemble cannot be exported: export its networks one by one." in error


def test_an_ensemble_is_no_estimator(folder: Path) -> None:
    with pytest.raises(InputError, match="is a baseline or an ensemble"):
        SentimentClassifier.load(folder)


def remove(run: Path) -> None:
    shutil.rmtree(run)


def link(run: Path) -> None:
    run.symlink_to(run.rename(run.parent.parent.parent / run.name))


def change(run: Path) -> None:
    put_run(run.parent, network(seed=0), test=answers(50))


def drop_model(run: Path) -> None:
    shutil.rmtree(run / "model")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove, "is missing: put it there, or make the ensemble again"),
        (link, "is a link, which is not followed"),
        (change, "has changed since the ensemble was made"),
        (drop_model, "is a finished run whose model was not kept"),
    ],
)
def test_damaged_members(
    members: list[Path], folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(members[0])
    with pytest.raises(InputError) as error:
        Predictor.load(folder)
    assert message in str(error.value)


def test_members_outside_the_root_are_not_looked_for(members: list[Path], tmp_path: Path) -> None:
    folder, record = ensemble(members, root=str(tmp_path / "other"))
    assert {each["folder"] for each in record["members"]} == {None}
    with pytest.raises(InputError, match="was not below the root of the ensemble"):
        Predictor.load(folder)


@pytest.mark.parametrize("place", ["../s", "..", "/etc", "s/../..", "s//x", "C:\\x"])
def test_a_record_leads_to_no_other_folder(folder: Path, place: str) -> None:
    amend(folder, lambda record: record["members"][0].update(folder=place))
    with pytest.raises(InputError, match="holds no model"):
        Predictor.load(folder)


def test_no_member_is_an_ensemble(members: list[Path], folder: Path) -> None:
    """A record that names itself, or another ensemble that names it, would be read for ever."""
    other = ensemble(members)[0]
    for target in (folder, other):
        place = {"folder": f"s/{target.name}", "predictions": predictions_digest(target)}
        for ensembles in (folder, other):
            amend(ensembles, lambda record, place=place: record["members"][0].update(place))
        with pytest.raises(InputError, match=f"the member .*{target.name} is an ensemble: make"):
            Predictor.load(folder)


def test_the_number_of_members_is_limited(
    members: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repeat(record: dict[str, Any]) -> None:
        first = record["members"][0]
        record["members"] = [first | {"weight": 1 / 200}] * 200

    Predictor.load(folder)
    amend(folder, repeat)
    message = "it has 200 members, more than the 100 allowed; .* LSTM_SENTIMENT_MAX_MEMBERS raises"
    with pytest.raises(InputError, match=message):
        Predictor.load(folder)
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_MEMBERS", "1")
    with pytest.raises(InputError, match="the ensemble: it has 2 members, more than the 1 allowed"):
        ensemble(members)
