"""Models are loaded again while requests are answered, and none of these is lost."""

import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lstm_sentiment.config import Config
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import saved
from tests.support.project import tiny_config
from tests.support.service import RunningService, serving, wait_until

CLIENTS = 4
TEXT = "The film was good, and the actors great."


@pytest.fixture
def run(tmp_path: Path, folders: list[Path]) -> Path:
    return Path(shutil.copytree(folders[0], tmp_path / "run"))


@pytest.fixture
def other(tmp_path: Path, cache: str) -> Path:
    """Return the folder of another model."""
    config: Config = tiny_config(cache, str(tmp_path), encoder={"hidden_size": 7})
    return saved(tmp_path / "other", config)


class Load:
    """Clients that send requests all the time."""

    def __init__(self, service: RunningService) -> None:
        self.answers: list[httpx.Response] = []
        self.ended = False
        self.threads = [
            threading.Thread(target=self._send, args=(service,)) for _ in range(CLIENTS)
        ]
        for thread in self.threads:
            thread.start()

    def _send(self, service: RunningService) -> None:
        with httpx.Client(base_url=service.url) as client:
            while not self.ended:
                self.answers.append(client.post("/v1/predict", json={"texts": TEXT}))

    def end(self) -> list[httpx.Response]:
        self.ended = True
        for thread in self.threads:
            thread.join()
        return self.answers


@pytest.fixture
def service(run: Path) -> Iterator[RunningService]:
    with serving(run) as running:
        yield running


def digest(service: RunningService) -> str:
    return str(service.client.get("/v1/models").json()["models"][0]["digest"])


def test_a_model_is_replaced_without_a_lost_request(
    service: RunningService, run: Path, other: Path
) -> None:
    old, old_digest = Predictor.load(run).predict(TEXT), digest(service)
    load = Load(service)
    wait_until(lambda: len(load.answers) > 20)
    shutil.rmtree(run / "model")
    shutil.copytree(other / "model", run / "model")
    service.call(service.server.reload)
    wait_until(lambda: digest(service) != old_digest)
    before = len(load.answers)
    wait_until(lambda: len(load.answers) > before + 20)
    answers = load.end()
    assert {answer.status_code for answer in answers} == {200}
    new = Predictor.load(run).predict(TEXT)
    assert abs(new.probability - old.probability) > 0.001
    expected = {old_digest: old.probability, digest(service): new.probability}
    seen = set()
    for answer in answers:
        content = answer.json()
        seen.add(content["digest"])
        [prediction] = content["predictions"]
        wanted = expected[content["digest"]]
        assert prediction["probabilities"]["positive"] == pytest.approx(wanted, abs=1e-5)
    assert seen == {*expected}


@pytest.mark.parametrize("stopping", [False, True])
def test_a_reload_during_the_first_loading_follows_it(
    run: Path, monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    loads: list[Path] = []
    called, allowed = threading.Event(), threading.Event()
    load = Predictor.load

    def held(folder: Path) -> Predictor:
        loads.append(folder)
        assert allowed.wait(30)
        return load(folder)

    monkeypatch.setattr(Predictor, "load", held)
    with serving(run, ready=False) as service:
        wait_until(lambda: len(loads) == 1)
        service.call(service.server.reload)
        if stopping:
            service.call(service.server.stop)
        service.call(called.set)
        assert called.wait(30)
        allowed.set()
        if not stopping:
            wait_until(lambda: len(loads) == 2)
    assert len(loads) == (1 if stopping else 2)


def test_a_damaged_model_is_not_loaded(
    service: RunningService, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = digest(service)
    (run / "model" / "model.safetensors").write_bytes(b"damaged")
    with caplog.at_level(logging.ERROR):
        service.call(service.server.reload)
        wait_until(lambda: "The models stay as they are" in caplog.text)
    assert service.predict(TEXT).json()["digest"] == before
    assert service.client.get("/readyz").status_code == 200
