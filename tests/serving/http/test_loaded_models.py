"""What is known of a model when it has been loaded: its digest."""

import json
from pathlib import Path

import pytest

from lstm_sentiment.runs.folder import RECORD
from lstm_sentiment.serving.http.loaded_models import model_digest
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
