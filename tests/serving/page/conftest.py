"""A service with small models, a browser for the session, and a new page for each test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from lstm_sentiment.config import Config, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.serving.export import export
from lstm_sentiment.serving.http.settings import Settings
from lstm_sentiment.serving.predictor import Predictor
from tests.serving.page.services import serving
from tests.support.networks import TEXTS, saved
from tests.support.records import LABELS, answers, put_run, scores_of_probabilities

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT = 15_000  # milliseconds in which an expectation must come true, on a busy machine, too


class Models(NamedTuple):
    """The folders of the models, in the order in which the service has them."""

    trained: Path  # with a record
    other: Path
    exported: Path  # of the other one; it cannot explain


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Return two networks with random weights, the first with a record, and the other in ONNX."""
    root = tmp_path_factory.mktemp("models")
    size: dict[str, Any] = {
        "encoder": EncoderConfig(hidden_size=5),
        "embedding": EmbeddingConfig(dim=5),
    }
    other = saved(root / "other", Config(**size))
    export(Predictor.load(other), root / "exported", int8=False, texts=TEXTS)

    config = Config(head=HeadConfig("max"), **size)
    epochs = [
        {"epoch": number, "seconds": 1.0, "train": scores(60 // number), "val": scores(wrong)}
        for number, wrong in enumerate((50, 30, 35), 1)
    ]
    trained = put_run(root, config, answers(40), answers(30), epochs=epochs, best_epoch=2)
    saved(root / "unrecorded", config).joinpath("model").rename(trained / "model")
    return Models(trained, other, root / "exported")


def scores(wrong: int) -> dict[str, Any]:
    """Return the scores of predictions with so many mistakes."""
    return scores_of_probabilities(LABELS, answers(wrong))


@pytest.fixture(scope="session")
def address(models: Models) -> Iterator[str]:
    """Run the service; yield its address, which ends in "/"."""
    # In one thread, batches and thus the last digits are those of `lstm-sentiment predict`.
    with serving(models, Settings(threads=1)) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium, the one of the system."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("no Chromium: install the system's package chromium")
    # Chromium's sandbox does not work for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Return a function that opens a view of the page: `open_page("review", color_scheme="dark")`.

    `before` is called with the page before it is loaded. At the end, the page must have shown no
    error in the console, and loaded nothing from elsewhere.
    """
    problems: list[str] = []
    contexts: list[BrowserContext] = []

    def requested(request: Request) -> None:
        if not request.url.removeprefix("blob:").startswith(address):
            problems.append(f"loaded {request.url}")

    def opened(
        view: str = "review", before: Callable[[Page], None] = lambda _: None, **options: Any
    ) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", requested)
        before(page)
        page.goto(f"{address}#{view}")
        return page

    yield opened
    for context in contexts:
        context.close()
    # Chromium reports answers with an error status, which tests provoke.
    assert [text for text in problems if "Failed to load resource" not in text] == []


def answered(probabilities: dict[str, float]) -> dict[str, Any]:
    """Return an answer of `POST /v1/predict` with these probabilities, without explanation."""
    label = max(probabilities, key=lambda name: probabilities[name])
    prediction = {"label": label, "probabilities": probabilities, "explanation": None}
    return {"model": "model", "digest": "digest", "predictions": [prediction]}
