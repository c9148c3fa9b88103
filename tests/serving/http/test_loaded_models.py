"""What is known of a model when it has been loaded: its digest and its calibration."""

import json
from pathlib import Path

import pytest

from lstm_sentiment.runs.folder import PREDICTIONS, RECORD
from lstm_sentiment.serving.http.descriptions import model_details
from lstm_sentiment.serving.http.loaded_models import load_model, model_digest
from lstm_sentiment.training.ensemble import ensemble
from tests.support.networks import saved
from tests.support.records import answers, network, put_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run with a random network, a record and predictions."""
    config = network(seed=1)
    folder = put_run(tmp_path / "runs" / "s", config, test=answers(30))
    saved(tmp_path / "unrecorded", config).joinpath("model").rename(folder / "model")
    return folder


def test_the_digest_of_an_ensemble_depends_on_the_shares_of_its_members(
    run: Path, tmp_path: Path
) -> None:
    config = network(cell="gru", seed=1)
    other = put_run(tmp_path / "runs" / "s", config, test=answers(20))
    saved(tmp_path / "other", config).joinpath("model").rename(other / "model")
    folder, _ = ensemble([run, other], [1, 3])
    before = model_digest(folder)
    record = json.loads((folder / RECORD).read_text())
    record["members"][0]["weight"], record["members"][1]["weight"] = 0.75, 0.25
    (folder / RECORD).write_text(json.dumps(record))
    assert model_digest(folder) != before


def test_the_calibration_is_computed_when_the_model_is_loaded(run: Path) -> None:
    model = load_model("run", run)
    before = model_details(model)
    (run / PREDICTIONS).unlink()
    assert model_details(model) == before
    assert before.record is not None
    # 30 of 200 answers with a confidence of 0.9 are wrong: 15 of each class.
    assert [(bin.count, bin.accuracy) for bin in before.record.calibration] == [
        (100, 0.15),
        (100, 0.85),
    ]
    assert load_model("run", run).calibration == []
