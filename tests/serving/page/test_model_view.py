"""The view of a model, in Chromium: what its record says, as tables and charts."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.serving.page.conftest import Models, Open


@pytest.fixture
def record(models: Models) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((models.trained / "run.json").read_text())
    return record


@pytest.fixture
def page(open_page: Open) -> Page:
    page = open_page("model")
    expect(page.get_by_role("table", name="Recipe")).to_be_visible()
    return page


def cells(page: Page, caption: str) -> list[list[str]]:
    rows = page.locator("table", has=page.locator("caption", has_text=caption)).last
    return [row.locator("th, td").all_text_contents() for row in rows.locator("tbody tr").all()]


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def test_recipe_and_scores_are_those_of_the_record(
    page: Page, record: dict[str, Any], models: Models
) -> None:
    facts = dict(cells(page, "Recipe"))
    assert facts["Kind"] == "network"
    assert facts["Classes"] == "negative, positive"
    assert facts["Parameters"] == f"{record['cost']['parameters']:,}"
    assert facts["encoder"] == "lstm"
    assert facts["encoder.hidden_size"] == str(record["config"]["encoder"]["hidden_size"])
    assert facts["Digest"].startswith("sha256-")
    page.get_by_role("combobox", name="Model").select_option(models.other.name)
    expect(page.get_by_text("There is no record of the training")).to_be_visible()


def test_curves_have_a_point_for_each_epoch(page: Page, record: dict[str, Any]) -> None:
    epochs = len(record["epochs"])
    for title in ("Loss", "Accuracy"):
        chart = page.get_by_role("img", name=title)
        expect(chart).to_be_visible()
        assert chart.locator("circle").count() == epochs  # of the training set
        assert chart.locator("rect").count() == epochs  # of the validation set
        heights = [float(node.get_attribute("cy") or "") for node in chart.locator("circle").all()]
        values = [each["train"][title.lower()] for each in record["epochs"]]
        order = sorted(range(epochs), key=lambda n: values[n])
        assert sorted(range(epochs), key=lambda n: -heights[n]) == order
    rows = cells(page, "Scores by epoch")
    assert [row[2] for row in rows] == [percent(e["train"]["accuracy"]) for e in record["epochs"]]


def test_confusion_matrices_are_those_of_the_record(page: Page, record: dict[str, Any]) -> None:
    for split, title in (("val", "validation set"), ("test", "test set")):
        rows = cells(page, f"Confusion matrix, {title}")
        shown = [[int(cell.split()[0].replace(",", "")) for cell in row[1:]] for row in rows]
        assert shown == record[split]["confusion_matrix"]
        assert [row[0] for row in rows] == ["true negative", "true positive"]


def test_the_reliability_diagram_has_a_point_for_each_bin(page: Page) -> None:
    chart = page.get_by_role("img", name="Reliability: share that is positive")
    expect(chart).to_be_visible()
    rows = cells(page, "Calibration")
    assert chart.locator("circle").count() == len(rows) > 0
    assert sum(int(row[2]) for row in rows) == 200  # reviews of the test set


def test_a_hostile_description_is_text(open_page: Open) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    scores = {"accuracy": 0.5, "f1": None, "auroc": None, "loss": 0.7}
    epoch = {"epoch": 1, "train": scores, "val": None}
    model = {
        "name": hostile,
        "kind": hostile,
        "digest": hostile,
        "classes": [hostile, "<b>", "c"],
        "explains": True,
        "max_length": None,
        "recipe": {hostile: {hostile: [hostile, None]}},
        "scores": {"val": None, "test": scores},
    }
    details = {
        "epochs": [epoch],
        "confusion": {"val": None, "test": [[1, 0, 0], [0, 0, 0], [0, 2, 3]]},
        "calibration": [{"probability": 0.9, "accuracy": 0.8, "count": 5}],
        "parameters": None,
    }
    asked: list[str] = []

    def before(page: Page) -> None:
        def describe(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(json={**model, "record": details})

        page.route("**/v1/models", lambda route: route.fulfill(json={"models": [model]}))
        page.route("**/v1/models/*", describe)

    page = open_page("model", before=before)
    expect(page.get_by_role("combobox", name="Model")).to_have_value(hostile)
    expect(page.get_by_role("table", name="Recipe")).to_be_visible()
    assert asked[0].endswith("/v1/models/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    facts = dict(cells(page, "Recipe"))
    assert facts["Classes"] == f"{hostile}, <b>, c"
    assert facts[f"{hostile}.{hostile}"] == f"{hostile}, none"
    assert cells(page, "Confusion matrix, test set")[1] == ["true <b>", "0", "0", "0"]
    expect(page.get_by_role("img", name="Reliability: share that is right")).to_be_visible()
    assert page.locator("main img, main b").count() == 0


def test_an_error_is_shown(open_page: Open) -> None:
    def before(page: Page) -> None:
        refusal = {"status": 404, "json": {"detail": "There is no model 'x'."}}
        page.route("**/v1/models/*", lambda route: route.fulfill(**refusal))

    page = open_page("model", before=before)
    expect(page.locator("#model-error")).to_have_text("There is no model 'x'.")
