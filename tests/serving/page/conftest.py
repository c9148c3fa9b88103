"""A service with small models, a browser for the session, and a new page for each test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Config, EmbeddingConfig, EncoderConfig
from lstm_sentiment.serving.export import export
from lstm_sentiment.serving.predictor import Predictor
from tests.serving.page.services import serving
from tests.support.networks import TEXTS, saved
from tests.support.project import tiny_config

TIMEOUT = int(os.environ.get("PTIMEOUT", 10_000))


class Models(NamedTuple):
    """The folders of the models, in the order in which the service has them."""

    trained: Path  # with a record
    other: Path  # the same vocabulary as `exported`
    exported: Path  # cannot explain


@pytest.fixture(scope="session")
def models(cache: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Return a trained network, one with random weights, and the same one in ONNX."""
    root = tmp_path_factory.mktemp("models")
    config = tiny_config(cache, str(root / "runs"), trainer={"max_epochs": 3})
    run(config)
    (trained,) = (root / "runs").glob("*/*/run.json")
    small = Config(encoder=EncoderConfig(hidden_size=5), embedding=EmbeddingConfig(dim=5))
    other = saved(root / "other", small)
    export(Predictor.load(other), root / "exported", int8=False, texts=TEXTS)
    return Models(trained.parent, other, root / "exported")


@pytest.fixture(scope="session")
def address(models: Models) -> Iterator[str]:
    """Run the service; yield its address, which ends in "/"."""
    with serving(models) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium, the one of the system."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium: install it with the packages of the system")
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

    After the test, the page must have shown no error in the console, and loaded nothing from
    another place.
    """
    problems: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: requested(request.url))

    def requested(url: str) -> None:
        if not url.removeprefix("blob:").startswith(address):
            problems.append(f"loaded {url}")

    def opened(view: str = "review", before: Callable[[Page], None] = watch, **options) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        if before is not watch:
            before(page)
        page.goto(f"{address}#{view}")
        return page

    yield opened
    for context in contexts:
        context.close()
    # Chromium reports answers with an error status, which tests provoke.
    assert [text for text in problems if "Failed to load resource" not in text] == []
