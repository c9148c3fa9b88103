"""A service that needs a token, in Chromium: the page asks for it and does not store it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from lstm_sentiment.serving.http.settings import Settings
from tests.serving.page.conftest import TIMEOUT, Models
from tests.serving.page.services import serving

TOKEN = "correct-horse"


@pytest.fixture(scope="module")
def guarded(models: Models) -> Iterator[str]:
    with serving([models.exported], Settings(token=TOKEN)) as address:
        yield address


@pytest.fixture
def page(browser: Browser, guarded: str) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    page.goto(guarded)
    yield page
    context.close()


def give(page: Page, token: str) -> None:
    page.locator("#token-input").fill(token)
    page.get_by_role("button", name="Continue").click()


def test_the_page_asks_until_the_token_is_right(page: Page) -> None:
    expect(page.get_by_role("dialog", name="The service needs a token")).to_be_visible()
    expect(page.locator("#token-input")).to_be_focused()
    give(page, "wrong")
    expect(page.get_by_text("The service refuses this token.")).to_be_visible()
    expect(page.locator("#token-input")).to_have_value("")
    give(page, TOKEN)
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("textbox", name="Review").fill("good film")
    expect(page.get_by_role("status")).to_contain_text("%")


def test_the_token_is_kept_in_memory_only(page: Page) -> None:
    give(page, TOKEN)
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("exported")
    stored = "[localStorage.length, sessionStorage.length, document.cookie, location.href]"
    local, session, cookie, address = page.evaluate(stored)
    assert (local, session, cookie) == (0, 0, "")
    assert TOKEN not in address
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_without_a_token_the_page_says_why_it_is_empty(page: Page) -> None:
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#startup")).to_have_text("The service answers only with a token.")
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#startup")).to_have_text("The service answers only with a token.")
