"""The view of two models, in Chromium: both predictions, their disagreement, both explanations."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from lstm_sentiment.serving.predictor import Predictor
from tests.serving.page.conftest import Models, Open, answered

TEXT = "the film was good"


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page("compare")


def write(page: Page, text: str = TEXT) -> None:
    page.get_by_role("textbox", name="Review").fill(text)


def explains(route: Route) -> bool:
    """Return whether a request asks for an explanation."""
    return bool(route.request.post_data_json["explain"])


def headlines(page: Page) -> list[str]:
    return page.locator("#compare-columns .headline").all_inner_texts()


def test_both_models_classify_the_text(page: Page, models: Models) -> None:
    write(page)
    expect(page.locator("#compare-columns .words")).to_have_count(2)
    predictions = [Predictor.load(run).predict(TEXT) for run in (models.trained, models.other)]
    shares = [max(prediction.probabilities) for prediction in predictions]
    assert headlines(page) == [
        f"{prediction.label}, {100 * share:.1f}\u00a0%"
        for prediction, share in zip(predictions, shares, strict=True)
    ]
    positive = [prediction.probabilities[1] for prediction in predictions]
    points = 100 * abs(positive[0] - positive[1])
    expect(page.get_by_role("status")).to_contain_text(f"differ by {points:.1f} percentage points")

    # A new text is shown without colours until its own are known.
    page.route("**/v1/predict", lambda route: None if explains(route) else route.continue_())
    write(page, "dull")
    expect(page.locator("#compare-columns .uncoloured")).to_have_text(["dull", "dull"])
    expect(page.get_by_text("Computing the colours…")).to_have_count(2)
    expect(page.locator("#compare-columns .words")).to_have_count(0)


def test_an_exported_model_is_compared_but_not_explained(page: Page, models: Models) -> None:
    page.get_by_label("First model").select_option(models.other.name)
    page.get_by_label("Second model").select_option(models.exported.name)
    write(page)
    expect(page.locator("#compare-columns .words")).to_have_count(1)
    expect(
        page.get_by_text("This model cannot show contributions of words: an exported model")
    ).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(re.compile("Both models.* 0.0 percentage"))


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (
            {"negative": 0.2, "positive": 0.8},
            {"negative": 0.7, "positive": 0.3},
            "The models disagree: positive and negative. The probabilities of positive differ by "
            "50.0 percentage points (80.0 % and 30.0 %).",
        ),
        (
            {"1": 0.6, "2": 0.3, "3": 0.1},
            {"3": 0.3, "2": 0.2, "1": 0.5},
            "Both models predict 1. The probabilities of 3 differ by 20.0 percentage points "
            "(10.0 % and 30.0 %).",
        ),
        (
            {"negative": 0.2, "positive": 0.8},
            {"<b>": 0.1, "positive": 0.5, "x": 0.4},
            "Both models predict positive. The models have different classes, so their "
            "probabilities cannot be compared.",
        ),
    ],
    ids=["disagree", "agree", "other classes"],
)
def test_the_disagreement_is_said(
    page: Page, first: dict[str, float], second: dict[str, float], sentence: str
) -> None:
    answers = [first, second]

    def answer(route: Route) -> None:
        model = route.request.post_data_json["model"]
        probabilities = answers[0 if model.startswith("lstm") else 1]
        route.fulfill(json=answered(probabilities))

    page.route("**/v1/predict", answer)
    write(page)
    expect(page.get_by_role("status")).to_have_text(sentence)


def test_a_text_that_is_written_before_the_models_are_known_is_classified(open_page: Open) -> None:
    def early(page: Page) -> None:
        def written_first(route: Route) -> None:
            write(page)
            route.continue_()

        page.route("**/v1/models", written_first)

    page = open_page("compare", before=early)
    expect(page.get_by_role("status")).to_contain_text("percentage points")


def test_with_one_model_the_page_says_how_to_start_two(open_page: Open) -> None:
    def one(page: Page) -> None:
        def first(route: Route) -> None:
            route.fulfill(json={"models": route.fetch().json()["models"][:1]})

        page.route("**/v1/models", first)

    page = open_page("compare", before=one)
    expect(page.get_by_text("lstm-sentiment serve RUN OTHER_RUN")).to_be_visible()
    write(page)
    expect(page.get_by_role("status")).to_contain_text("differ by 0.0")


def test_an_error_is_shown(page: Page) -> None:
    detail = {"detail": "The service is full."}
    page.route("**/v1/predict", lambda route: route.fulfill(status=422, json=detail))
    write(page)
    expect(page.locator("#compare-error")).to_have_text("The service is full.")
    page.unroute("**/v1/predict")
    write(page, "good")
    expect(page.locator("#compare-error")).to_be_hidden()
    write(page, " ")
    expect(page.locator("#compare-columns .headline")).to_have_count(0)
