"""The answers of the API: predictions, explanations, models, and errors in one sentence."""

import json
import math
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.http import server
from lstm_sentiment.serving.http.loaded_models import LoadedModels
from lstm_sentiment.serving.http.service import State
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import TEXTS
from tests.support.service import RunningService, serving, wait_until

Folders = list[Path]


def detail(answer: httpx.Response, status: int = 422) -> str:
    """Return the sentence of an error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert [*content] == ["detail"]
    return str(content["detail"])


def test_predictions_are_those_of_the_model(service: RunningService, folders: Folders) -> None:
    answer = service.predict(TEXTS)
    assert answer.status_code == 200
    content = answer.json()
    assert content["model"] == "binary"
    assert content["digest"].startswith("sha256-")
    for got, expected in zip(
        content["predictions"], Predictor.load(folders[0]).predict(TEXTS), strict=True
    ):
        assert [*got] == ["label", "probabilities", "explanation"]
        assert got["label"] == expected.label
        assert got["explanation"] is None
        assert [*got["probabilities"]] == ["negative", "positive"]
        # The rest of a batch changes the last digits only.
        assert [*got["probabilities"].values()] == pytest.approx(expected.probabilities, abs=1e-6)


def test_one_text_gives_a_list_of_one(service: RunningService) -> None:
    [single] = service.predict("A film.").json()["predictions"]
    [of_list] = service.predict(["A film."]).json()["predictions"]
    assert single == of_list
    assert service.predict([]).json()["predictions"] == []


def test_a_model_is_named_by_its_folder(service: RunningService) -> None:
    content = service.predict("A film.", model="stars").json()
    assert content["model"] == "stars"
    [prediction] = content["predictions"]
    assert [*prediction["probabilities"]] == ["1", "2", "3"]
    assert math.isclose(sum(prediction["probabilities"].values()), 1)


def test_contributions_are_those_of_explain(service: RunningService, folders: Folders) -> None:
    text = "The film was not good, zyzzyva."
    [got] = service.predict(text, explain=True).json()["predictions"]
    expected = Predictor.load(folders[0]).explain(text)
    assert got["label"] == expected.prediction.label
    explanation = got["explanation"]
    assert [*explanation] == ["class", "method", "unread", "tokens"]
    assert explanation["class"] == "positive"
    assert explanation["unread"] == 0
    assert [token["text"] for token in explanation["tokens"]] == [*expected.tokens]
    assert [token["known"] for token in explanation["tokens"]] == [*expected.known]
    assert [token["contribution"] for token in explanation["tokens"]] == pytest.approx(
        expected.attribution.contributions, abs=1e-5
    )


def test_a_class_may_be_chosen(service: RunningService) -> None:
    fields = {"model": "stars", "explain": True, "class": "2"}
    [got] = service.predict("good", **fields).json()["predictions"]
    assert got["explanation"]["class"] == "2"
    for explain in (True, False):
        refused = service.predict("good", **{**fields, "class": "ugly", "explain": explain})
        assert "'ugly' is not a class of the model: allowed are 1, 2, 3." in detail(refused)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"texts": 3}, "texts must be a string or a list of strings (got int: 3)."),
        ({"texts": ["a", None]}, "texts[1] must be a string (got NoneType: None)."),
        ({}, "texts is required."),
        ({"texts": "a", "modle": "x"}, "modle is not a field of this request."),
        ({"texts": "a", "explain": 7}, "explain must be a valid boolean"),
        ([], "The body must be an object of JSON, sent with Content-Type: application/json."),
        ({"texts": "\ud800"}, "texts must be valid Unicode (the character at position 0 is half"),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(
    service: RunningService, body: Any, sentence: str
) -> None:
    content, headers = json.dumps(body), {"Content-Type": "application/json"}
    refused = service.client.post("/v1/predict", content=content, headers=headers)
    assert sentence in detail(refused)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"\x00", b'{"texts": "a"', b"[" * 100_000, b'{"texts": 1' + b"0" * 9_999],
)
def test_a_body_that_is_not_json_is_refused(service: RunningService, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    refused = service.client.post("/v1/predict", content=content, headers=headers)
    assert refused.status_code in (400, 422)
    assert detail(refused, refused.status_code)


def test_a_body_of_another_type_is_refused(service: RunningService) -> None:
    refused = service.client.post("/v1/predict", content=b'{"texts": "a"}')
    assert "Content-Type: application/json" in detail(refused)


def test_models_and_addresses_that_do_not_exist(service: RunningService) -> None:
    sentence = "There is no model 'x': allowed are binary, stars."
    assert detail(service.predict("a", model="x"), 404) == sentence
    assert detail(service.client.get("/v1/models/x"), 404) == sentence
    for path in ("/nothing", "/v1/models/%2e%2e/x", "/v1/models/..%2f..", "/docs/..%2fserver.py"):
        assert detail(service.client.get(path), 404)
    refused = service.client.put("/v1/predict")
    assert "not allowed" in detail(refused, 405)
    assert refused.headers["allow"] == "POST"


@pytest.mark.parametrize("text", ["a\x00b", "\x00" * 1_000, "🎬" * 5_000, "\u202e" * 999, "<b>&'"])
def test_any_text_has_a_prediction(service: RunningService, text: str) -> None:
    answer = service.predict([text], explain=True)
    assert answer.status_code == 200
    shown = answer.json()["predictions"][0]["explanation"]["tokens"]
    assert all(isinstance(token["text"], str) for token in shown)


def test_the_models_are_listed(service: RunningService, folders: Folders) -> None:
    content = service.client.get("/v1/models").json()
    binary, stars = content["models"]
    assert binary == {
        "name": "binary",
        "kind": "network",
        "digest": binary["digest"],
        "classes": ["negative", "positive"],
        "explains": True,
        "max_length": Predictor.load(folders[0]).config.data.max_length,
        "recipe": binary["recipe"],
        "scores": None,  # there is no record
    }
    assert binary["recipe"]["encoder"] == "lstm"
    assert stars["classes"] == ["1", "2", "3"]
    details = service.client.get("/v1/models/stars").json()
    assert details == {**stars, "record": None}


def test_health(service: RunningService) -> None:
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/readyz").json() == {"status": "ok"}


def test_metrics_count_requests_batches_and_texts(service: RunningService) -> None:
    before = service.metric('lstm_sentiment_texts_total{model="binary"}')
    service.predict(["a", "b", "c"])
    after = service.client.get("/metrics")
    assert after.headers["content-type"].startswith("text/plain; version=")
    assert service.metric('lstm_sentiment_texts_total{model="binary"}') == before + 3
    for name in (
        'lstm_sentiment_requests_total{method="POST",route="/v1/predict",status="200"}',
        'lstm_sentiment_request_seconds_bucket{le="+Inf",route="/v1/predict"}',
        'lstm_sentiment_batch_size_count{queue="predictions"}',
        'lstm_sentiment_queue_texts{queue="predictions"}',
        "process_resident_memory_bytes",
    ):
        assert f"{name} " in after.text
    service.client.get("/a-path-that-no-label-may-contain")
    assert "a-path" not in service.client.get("/metrics").text


def test_the_page_of_the_api_needs_no_network(service: RunningService) -> None:
    page = service.client.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("<!DOCTYPE", "")
    for name in ("setup.js", "swagger-ui.css", "swagger-ui-bundle.js"):
        assert f"docs/{name}" in page.text
        assert service.client.get(f"/docs/{name}").status_code == 200
    schema = service.client.get("/openapi.json").json()
    assert schema["openapi"] == "3.0.3"
    assert '"null"' not in json.dumps(schema)
    request = schema["components"]["schemas"]["PredictRequest"]
    assert request["example"]["texts"]
    assert request["properties"]["model"]["nullable"]


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run" / "model"]
    with pytest.raises(InputError, match="have the same name, run, by which requests would choose"):
        LoadedModels(folders)


def test_too_many_and_too_long_texts_are_refused(folders: Folders) -> None:
    with serving(folders[0], max_texts=3, max_explained=2, max_characters=5) as service:
        assert service.predict(["a"] * 3).status_code == 200
        sentence = "texts has 4 texts, more than the 3 allowed."
        assert detail(service.predict(["a"] * 4)) == sentence
        sentence = "texts has 3 texts with explain=true, more than the 2 allowed."
        assert detail(service.predict(["a"] * 3, explain=True)) == sentence
        sentence = "texts[1] has 6 characters, more than the 5 allowed."
        assert detail(service.predict(["a", "abcdef"])) == sentence


def test_until_the_models_are_loaded_requests_are_refused(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = threading.Event()
    load = Predictor.load
    monkeypatch.setattr(Predictor, "load", lambda folder: allowed.wait(30) and load(folder))
    with serving(folders[0], ready=False) as service:
        assert service.client.get("/healthz").status_code == 200
        for answer in (
            service.client.get("/readyz"),
            service.predict("a"),
            service.client.get("/v1/models"),
        ):
            assert "load" in detail(answer, 503)
            assert answer.headers["retry-after"] == "1"
        allowed.set()
        wait_until(lambda: service.service.state is State.ready)
        assert service.client.get("/readyz").status_code == 200
        assert service.predict("a").status_code == 200


def test_a_model_that_cannot_be_loaded_ends_the_service(folders: Folders, tmp_path: Path) -> None:
    shutil.copytree(folders[0], tmp_path / "damaged")
    (tmp_path / "damaged" / "model" / "vocab.json").write_text("{")
    with serving(tmp_path / "damaged", ready=False) as service:
        wait_until(lambda: service.server.failure is not None)
        assert "vocab.json" in str(service.server.failure)


def test_a_full_queue_answers_with_the_time_to_try_again(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, entered = threading.Event(), threading.Semaphore(0)
    with serving(folders[0], queue_size=3) as service:
        compute = service.service.predictions.compute

        def held(model: Any, texts: Any) -> Any:
            entered.release()
            assert allowed.wait(30)
            return compute(model, texts)

        monkeypatch.setattr(service.service.predictions, "compute", held)
        answers: list[httpx.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(service.predict(["a"] * 2)))
            for _ in range(2)
        ]
        threads[0].start()
        assert entered.acquire(timeout=30)
        threads[1].start()
        wait_until(lambda: service.service.predictions.waiting == 2)
        refused = service.predict(["a"] * 2)
        assert "2 texts wait, and at most 3 may: try again later." in detail(refused, 503)
        assert int(refused.headers["retry-after"]) >= 1
        assert service.client.get("/healthz").status_code == 200
        allowed.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200, 200]


def test_a_second_signal_drops_the_requests_that_wait(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LAST_ANSWERS", 0.1)
    monkeypatch.setattr(server, "LAST_BATCH", 0.1)
    entered, allowed, ended = (threading.Event() for _ in range(3))

    def held(_: Any, texts: Any) -> Any:
        entered.set()
        allowed.wait(30)
        ended.set()
        return [*texts]

    with serving(folders[0], threads=1) as service:
        monkeypatch.setattr(service.service.predictions, "compute", held)
        with ThreadPoolExecutor() as clients:
            computed = clients.submit(service.predict, "a")
            assert entered.wait(30)
            waiting = clients.submit(service.predict, "b")
            wait_until(lambda: service.service.predictions.waiting == 1)
            service.call(service.server.stop)
            service.call(service.server.stop)
            assert "shutting down" in detail(waiting.result(), 503)
            assert waiting.result().headers["retry-after"] == "1"
            with pytest.raises(httpx.TransportError):
                computed.result()
    assert not ended.is_set()  # the service did not wait for the batch
    allowed.set()


def test_an_answer_that_takes_too_long(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = threading.Event()
    with serving(folders[0], timeout=0.1) as service:
        monkeypatch.setattr(
            service.service.predictions, "compute", lambda _, texts: allowed.wait(30) and [*texts]
        )
        assert "longer than the 0.1 s allowed" in detail(service.predict("a"), 504)
        allowed.set()


def test_the_texts_of_a_client_that_has_gone_leave_the_queue(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, computed = threading.Event(), []
    with serving(folders[0], threads=1) as service:
        compute = service.service.predictions.compute

        def held(model: Any, texts: Any) -> Any:
            computed.extend(texts)
            assert allowed.wait(30)
            return compute(model, texts)

        monkeypatch.setattr(service.service.predictions, "compute", held)
        first = threading.Thread(target=lambda: service.predict("first"))
        first.start()
        wait_until(lambda: computed == ["first"])
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{service.url}/v1/predict", json={"texts": "gone"}, timeout=0.2)
        requests = 'lstm_sentiment_requests_total{method="POST",route="/v1/predict",status="499"}'
        wait_until(lambda: service.metric(requests) == 1)
        allowed.set()
        first.join()
        assert service.predict("last").status_code == 200
        assert computed == ["first", "last"]


def test_models_of_the_hub_have_the_names_of_their_repositories() -> None:
    names = ["hub:ann/films", "hub:bob/films", "hub:ann/model@v1", "hub:ann/model@refs/pr/1"]
    models = LoadedModels([Path(name) for name in names])
    assert [*models.folders] == [
        "ann--films", "bob--films", "ann--model@v1", "ann--model@refs--pr--1"
    ]  # fmt: skip


def test_unknown_fields_and_nested_values_are_refused_at_once(service: RunningService) -> None:
    fields = {str(number): 0 for number in range(80_000)}
    answer = service.client.post("/v1/predict", json={"texts": "a", **fields})
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "0 is not a field of this request."
    )  # fmt: skip
    for depth in (10, 500, 900, 950, 960, 965, 970, 1_000, 100_000):
        body = '{"texts": ' + "[" * depth + "]" * depth + "}"
        headers = {"Content-Type": "application/json"}
        answer = service.client.post("/v1/predict", content=body, headers=headers)
        assert answer.status_code == 422, depth
