"""The view of one review, in Chromium: predictions, colours, and what happens in between."""

import json
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from lstm_sentiment.serving.predictor import Explanation, Predictor
from tests.serving.page.conftest import Models, Open, answered

PREDICT = "**/v1/predict"
GOOD, BAD = "the film was good and the actors great", "a very dull film of no plot, not good"


@pytest.fixture(scope="module")
def predictor(models: Models) -> Predictor:
    return Predictor.load(models.other)


@pytest.fixture
def page(open_page: Open, models: Models) -> Page:
    page = open_page("review")
    page.get_by_role("combobox", name="Model", exact=True).select_option(models.other.name)
    return page


def text_area(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Review")


def words(page: Page) -> Locator:
    return page.locator("#review-words .words")


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def looks(page: Page) -> list[tuple[str, str]]:
    """Return each word of the explanation with its classes."""
    spans = words(page).locator("span").all()
    return [(span.inner_text(), span.get_attribute("class") or "") for span in spans]


def expected_looks(explanation: Explanation) -> list[tuple[str, str]]:
    def look(contribution: float, known: bool) -> str:
        return f"word {'against' if contribution < 0 else 'for'}{'' if known else ' unknown'}"

    contributions = explanation.attribution.contributions
    triples = zip(explanation.tokens, contributions, explanation.known, strict=True)
    return [(token, look(contribution, known)) for token, contribution, known in triples]


def explained(page: Page, text: str) -> None:
    """Wait until the words of this text, without punctuation, are coloured."""
    expect(words(page)).to_have_text(text)
    expect(page.locator("#review-words")).to_have_attribute("aria-busy", "false")


def test_prediction_and_colours_follow_the_typing(page: Page, predictor: Predictor) -> None:
    seen = []
    for text in (GOOD, BAD.replace(",", "")):
        text_area(page).fill(text)
        prediction = predictor.predict(text)
        explained(page, text)
        shares = dict(zip(predictor.classes.names, prediction.probabilities, strict=True))
        expect(page.get_by_role("status")).to_have_text(
            f"{prediction.label}, {percent(shares[prediction.label])}"
        )
        for name, share in shares.items():
            row = page.locator("#review-probabilities tr", has_text=name)
            expect(row.locator(".value")).to_have_text(percent(share))
        assert looks(page) == expected_looks(predictor.explain(text))
        seen.append(looks(page))
    assert {look for _, look in seen[1]} >= {"word for", "word against"}


def test_the_strongest_word_has_the_strongest_colour(page: Page, predictor: Predictor) -> None:
    text_area(page).fill(GOOD)
    explained(page, GOOD)
    sizes = [abs(weight.weight) for weight in predictor.explain(GOOD).weights]
    spans = words(page).locator("span").all()
    strengths = [
        float(s.evaluate("node => node.style.getPropertyValue('--strength')")) for s in spans
    ]
    assert strengths == pytest.approx([size / max(sizes) for size in sizes], abs=0.001)
    colours = [s.evaluate("node => getComputedStyle(node).backgroundColor") for s in spans]
    assert len({*colours}) > 3


def test_another_class_can_be_explained(page: Page, predictor: Predictor) -> None:
    text_area(page).fill(GOOD)
    explained(page, GOOD)
    legend = page.get_by_role("list", name="Legend")
    expect(legend.locator("li").first).to_contain_text("for positive")
    page.get_by_role("combobox", name="Colours show").select_option("negative")
    expect(legend.locator("li").first).to_contain_text("for negative")
    assert looks(page) == expected_looks(predictor.explain(GOOD, "negative"))


def test_the_strongest_words_are_listed_with_their_contributions(
    page: Page, predictor: Predictor
) -> None:
    text_area(page).fill(BAD)
    page.get_by_text("Strongest words").click()
    rows = page.locator("#review-words details tbody tr")
    strongest = max(predictor.explain(BAD).weights, key=lambda weight: abs(weight.weight))
    sign = "−" if strongest.weight < 0 else "+"
    expect(rows.first).to_have_text(f"{strongest.token}{sign}{abs(strongest.weight):.3f}")


def test_older_answers_are_dropped(page: Page) -> None:
    """The answer for the first text comes after that for the second one."""
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if json.loads(route.request.post_data or "")["texts"] == [GOOD]:
            held.append(route)
        else:
            route.continue_()

    page.route(PREDICT, hold_first)
    with page.expect_request(PREDICT):
        text_area(page).fill(GOOD)
    with page.expect_event("requestfailed"):  # it is aborted
        text_area(page).fill("dull")
    explained(page, "dull")
    assert len(held) == 1
    held[0].fulfill(json=answered({"negative": 0.25, "positive": 0.75}))
    text_area(page).fill("very dull")
    explained(page, "very dull")
    expect(page.get_by_role("status")).not_to_contain_text("75.0 %")


def test_a_burst_of_typing_makes_one_request(page: Page) -> None:
    requests: list[str] = []
    page.route(PREDICT, lambda route: (requests.append(route.request.url), route.continue_()))
    page.clock.install()
    page.clock.pause_at(time.time() + 60)  # so that no pause of the machine is one of the typing
    text_area(page).press_sequentially("good actors")
    page.clock.run_for(150)
    expect(page.get_by_role("status")).to_contain_text("%")
    assert len(requests) == 1
    page.clock.run_for(500)
    explained(page, "good actors")
    assert len(requests) == 2


def test_an_example_is_classified_at_once(page: Page) -> None:
    for name in ("Praise", "Irony"):
        page.locator("#review-examples").get_by_role("button", name=name).click()
        expect(words(page)).to_be_visible()
    expect(text_area(page)).to_have_value(re.compile("Brilliant, another film"))


def test_without_a_text_there_is_no_prediction(page: Page) -> None:
    text_area(page).fill(GOOD)
    explained(page, GOOD)
    text_area(page).fill("  \n ")
    expect(page.locator("#review-result")).to_be_hidden()


def test_markup_is_text(page: Page) -> None:
    text_area(page).fill("<img src=x onerror=alert(1)> <script>alert(2)</script> good")
    expect(words(page)).to_contain_text("<script>alert")
    assert page.locator("main img, main script").count() == 0


def test_texts_from_right_to_left_are_shown_so(page: Page) -> None:
    text = "فيلم رائع جدا"
    text_area(page).fill(text)
    explained(page, text)
    for place in (text_area(page), words(page)):
        assert place.evaluate("node => getComputedStyle(node).direction") == "rtl"
    assert {look for _, look in looks(page)} <= {"word for unknown", "word against unknown"}


def test_a_long_text_is_cut_off_and_this_is_said(page: Page) -> None:
    text_area(page).fill("good film " * 10_000)
    expect(page.get_by_text("more tokens were cut off and not read")).to_be_visible()


def test_a_text_without_blanks_does_not_widen_the_page(open_page: Open) -> None:
    page = open_page("review", viewport={"width": 360, "height": 640})
    text_area(page).fill("good" * 5_000)
    expect(words(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_an_exported_model_predicts_and_says_that_it_cannot_explain(
    page: Page, models: Models
) -> None:
    text_area(page).fill(GOOD)
    explained(page, GOOD)
    page.get_by_role("combobox", name="Model", exact=True).select_option(models.exported.name)
    expect(page.get_by_text("cannot show contributions of words")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"e, [0-9.]+\s%"))
    expect(words(page)).to_have_count(0)
    expect(page.get_by_role("combobox", name="Colours show")).to_be_hidden()


def test_an_error_is_shown_until_the_next_answer(page: Page) -> None:
    detail = "texts[0] has 11 characters, more than the 10 allowed. <b>"
    text_area(page).fill("good")
    explained(page, "good")
    page.route(PREDICT, lambda route: route.fulfill(status=422, json={"detail": detail}))
    text_area(page).fill(GOOD)
    expect(page.locator("#review-error")).to_have_text(detail)
    expect(page.locator("#review-result")).to_be_hidden()  # it is that of an older text
    page.unroute(PREDICT)
    text_area(page).fill(BAD)
    expect(page.locator("#review-error")).to_be_hidden()


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (
            {"status": 502, "body": "<h1>Bad Gateway</h1>"},
            "The service answers with the error 502.",
        ),
        ({"status": 500, "json": {"detail": [1]}}, "The service answers with the error 500."),
        (None, "The service does not answer. Check that it is running."),
    ],
    ids=["proxy", "other detail", "gone"],
)
def test_a_service_without_a_reason_is_reported(
    page: Page, refusal: dict[str, Any] | None, sentence: str
) -> None:
    page.route(PREDICT, lambda route: route.fulfill(**refusal) if refusal else route.abort())
    text_area(page).fill(GOOD)
    expect(page.locator("#review-error")).to_have_text(sentence)


def test_a_refused_explanation_leaves_the_prediction(page: Page) -> None:
    def refuse(route: Route) -> None:
        if json.loads(route.request.post_data or "")["explain"]:
            route.fulfill(status=422, json={"detail": "The text is too long to be explained."})
        else:
            route.continue_()

    page.route(PREDICT, refuse)
    text_area(page).fill(GOOD)
    expect(page.locator("#review-error")).to_have_text("The text is too long to be explained.")
    expect(page.get_by_role("status")).to_contain_text("%")
    expect(page.locator("#review-hint")).to_be_hidden()


def test_a_busy_service_is_asked_again(page: Page) -> None:
    statuses = [503, 503]

    def busy(route: Route) -> None:
        if statuses:
            route.fulfill(
                status=statuses.pop(), headers={"Retry-After": "0"}, json={"detail": "full"}
            )
        else:
            route.continue_()

    page.route(PREDICT, busy)
    text_area(page).fill(GOOD)
    explained(page, GOOD)
    expect(page.locator("#review-error")).to_be_hidden()


def test_a_service_that_stays_busy_is_reported(page: Page) -> None:
    page.route(
        PREDICT,
        lambda route: route.fulfill(
            status=503, headers={"Retry-After": "0"}, json={"detail": "The queue is full."}
        ),
    )
    text_area(page).fill(GOOD)
    expect(page.locator("#review-error")).to_have_text("The queue is full.")
