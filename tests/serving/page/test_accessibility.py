"""The page for everyone: axe-core, the keyboard alone, a phone, dark colours, less motion."""

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.serving.page.conftest import Open

VIEWS = ["review", "compare", "file", "model"]
TEXT = "the film was good and the zyzzyva dull, not good"
PHONE = {"width": 360, "height": 740}


def fill_review(page: Page) -> None:
    page.get_by_role("textbox", name="Review").fill(TEXT)
    page.get_by_text("Strongest words").click()


def fill_compare(page: Page) -> None:
    page.get_by_role("textbox", name="Review").fill(TEXT)
    expect(page.locator("#compare-columns .words")).to_have_count(2)


def fill_file(page: Page) -> None:
    rows = b"text\n" + b"the film was good and very long\n" * 12
    page.locator("#file-input").set_input_files(
        {"name": "reviews.csv", "mimeType": "text/csv", "buffer": rows}
    )
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("table", name="Least certain rows")).to_be_visible()


def fill_model(page: Page) -> None:
    expect(page.get_by_role("table", name="Recipe")).to_be_visible()
    for details in page.locator("#model-result summary").all():
        details.click()


FILL: dict[str, Callable[[Page], None]] = {
    "review": fill_review,
    "compare": fill_compare,
    "file": fill_file,
    "model": fill_model,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(
    open_page: Open, view: str, scheme: str
) -> None:
    page = open_page(view, color_scheme=scheme, viewport=PHONE)
    FILL[view](page)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_axe_finds_nothing_in_errors_and_the_dialog(open_page: Open) -> None:
    page = open_page("review")
    page.route("**/v1/predict", lambda route: route.fulfill(status=422, json={"detail": "No."}))
    page.get_by_role("textbox", name="Review").fill(TEXT)
    expect(page.get_by_role("alert").filter(has_text="No.")).to_be_visible()
    assert Axe().run(page).violations_count == 0
    page.route("**/v1/predict", lambda route: route.fulfill(status=401, json={"detail": "No."}))
    page.get_by_role("textbox", name="Review").fill("good")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert Axe().run(page).violations_count == 0


def test_dark_colours_are_dark(open_page: Open) -> None:
    def brightness(scheme: str) -> int:
        page = open_page("review", color_scheme=scheme)
        colour = page.locator("body").evaluate("node => getComputedStyle(node).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(",")))

    assert brightness("dark") < 100 < 700 < brightness("light")


def test_with_reduced_motion_nothing_moves(open_page: Open) -> None:
    page = open_page("review", reduced_motion="reduce")
    fill_review(page)
    bar = page.locator(".bar").first
    assert bar.evaluate("node => getComputedStyle(node).transitionProperty") == "none"


def test_a_review_can_be_classified_with_the_keyboard(open_page: Open) -> None:
    page = open_page("review")
    press = page.keyboard.press
    focus_on(page, page.get_by_role("link", name="Skip to the content"))
    press("Enter")
    focus_on(page, page.get_by_role("combobox", name="Model"))
    press("ArrowDown")
    focus_on(page, page.get_by_role("textbox", name="Review"))
    page.keyboard.type(TEXT)
    expect(page.locator("#review-words .words")).to_contain_text("zyzzyva")
    focus_on(page, page.get_by_role("button", name="Irony"))
    press("Space")
    expect(page.locator("#review-words .words")).to_contain_text("detective")
    focus_on(page, page.get_by_role("combobox", name="Colours show"))
    press("ArrowDown")
    expect(page.locator(".legend li").first).to_contain_text("for negative")
    focus_on(page, page.locator("summary", has_text="Strongest words"))
    press("Enter")
    expect(page.get_by_role("table", name="Contribution to the logit")).to_be_visible()


def test_every_view_can_be_reached_with_the_keyboard(open_page: Open) -> None:
    page = open_page("review")
    for name, title in (
        ("Compare", "Compare two models"),
        ("File", "Classify a file"),
        ("Model", "About a model"),
        ("Review", "Classify a review"),
    ):
        link = page.get_by_role("link", name=name, exact=True)
        page.locator("body").evaluate("() => document.activeElement.blur()")
        focus_on(page, link)
        page.keyboard.press("Enter")
        heading = page.get_by_role("heading", name=title)
        expect(heading).to_be_focused()  # so that a screen reader reads it
        expect(page).to_have_title(f"{title} · lstm_sentiment")
        expect(link).to_have_attribute("aria-current", "page")


def test_a_file_can_be_classified_with_the_keyboard(open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text\ngood\n")
    page = open_page("file")
    # The browser has to know early that the dialog is awaited: it is told without an answer.
    page.on("filechooser", lambda _: None)
    focus_on(page, page.locator("#file-input"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(file)
    focus_on(page, page.get_by_role("button", name="Classify"))
    page.keyboard.press("Enter")
    focus_on(page, page.get_by_role("link", name="Download"))
    with page.expect_download():
        page.keyboard.press("Enter")


def focus_on(page: Page, target: Locator) -> None:
    """Press Tab until an element has the focus, and check that this is visible."""
    expect(target).to_be_enabled()
    for _ in range(30):
        page.keyboard.press("Tab")
        if target.evaluate("node => node === document.activeElement"):
            assert target.evaluate("node => getComputedStyle(node).outlineStyle") != "none"
            return
    raise AssertionError(f"Tab does not reach {target}.")
