"""The view of a file, in Chromium: upload, distribution, least certain rows and download."""

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from lstm_sentiment.config_fields import AUTO
from lstm_sentiment.data.delimited import TextFormat
from lstm_sentiment.serving.file_prediction import predict_file
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Predictor
from tests.serving.page.conftest import TIMEOUT, Models, Open
from tests.support.networks import WORDS

FILE = "**/v1/predict/file*"
NAN = float("nan")
TEXTS = ["good film", "a dull plot, very bad", 'the "great" actors', "it is\nthis", "of no plot"]


@pytest.fixture
def page(open_page: Open, models: Models) -> Page:
    page = open_page("file")
    page.get_by_role("combobox", name="Model").select_option(models.other.name)
    return page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def upload(page: Page, file: Path) -> None:
    page.locator("#file-input").set_input_files(file)
    page.get_by_role("button", name="Classify").click()


def classified(page: Page, rows: str, timeout: int = TIMEOUT) -> None:
    expect(page.locator("#file-status")).to_have_text(f"{rows} classified.", timeout=timeout)


def download(page: Page, file: Path) -> bytes:
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == f"{file.stem}.predictions{file.suffix}"
    return Path(started.value.path()).read_bytes()


def expected(models: Models, file: Path, encoding: str = AUTO) -> bytes:
    """Return what `lstm-sentiment predict --file` writes."""
    output = file.with_stem("expected")
    reading = FileReading(text_format=TextFormat(encoding=encoding))
    predict_file(Predictor.load(models.other), file, output, reading)
    return output.read_bytes()


def distribution(page: Page) -> dict[str, str]:
    rows = page.locator("#file-result .bars tbody tr").all()
    return {r.locator("th").inner_text(): r.locator(".value").inner_text() for r in rows}


def least_certain(page: Page) -> list[list[str]]:
    """Return the number, the class, the probability and the text of each row that is shown."""
    rows = page.locator("#file-result .textual tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def test_ten_thousand_rows_are_uploaded_and_downloaded(
    page: Page, models: Models, tmp_path: Path
) -> None:
    file = tmp_path / "reviews.csv"
    words = [word for word in WORDS if word.isalpha()]
    texts = [" ".join(words[n * k % len(words)] for k in range(1, 9)) for n in range(10_000)]
    file.write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
    upload(page, file)
    classified(page, "10,000 rows", timeout=60_000)
    content = download(page, file)
    assert content == expected(models, file)

    rows = [*csv.DictReader(content.decode().splitlines())]
    counts = Counter(row["label"] for row in rows)
    shares = {name: f"{n:,} ({n / 100:.1f}\u00a0%)" for name, n in counts.items()}
    assert len(shares) == 2
    assert distribution(page) == shares

    positive = [float(row["probability"]) for row in rows]
    certainty = [max(share, 1 - share) for share in positive]
    least = sorted(range(len(rows)), key=lambda n: certainty[n])[:10]
    assert least_certain(page) == [
        [f"{n + 1:,}", rows[n]["label"], f"{100 * certainty[n]:.1f}\u00a0%", texts[n]]
        for n in least
    ]


def quoted(rows: list[list[Any]], delimiter: str) -> str:
    cells = ([f'"{str(cell).replace(chr(34), 2 * chr(34))}"' for cell in row] for row in rows)
    return "\r\n".join(delimiter.join(row) for row in cells)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", quoted([["text", "label"], *([text, "x"] for text in TEXTS)], ",").encode()),
        ("b.csv", quoted([["n", "review"], *enumerate(TEXTS)], ";").encode("utf-8-sig")),
        ("c.csv", quoted([["text"], *([f"{text} é"] for text in TEXTS)], ",").encode("utf-16")),
        ("d.csv", quoted([["text", "n"], *([f"{t} é", 0] for t in TEXTS)], ",").encode("cp1252")),
        ("e.tsv", "\n".join(["text\tn", '"good\t1', "dull\t2", 'very "bad"\t3']).encode()),
        (
            "f.jsonl",
            "\n".join(json.dumps({"text": t, "label": 1, "7": NAN}) for t in TEXTS).encode(),
        ),
        ("g.ndjson", "\n".join(json.dumps({"review": t}) for t in TEXTS).encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_of_every_format_are_understood(
    page: Page, models: Models, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    encoding = "cp1252" if name == "d.csv" else AUTO
    if encoding != AUTO:
        page.get_by_text("Options").click()
        page.get_by_label("Encoding").fill(encoding)
    upload(page, file)
    count = 3 if name.endswith(".tsv") else len(TEXTS)
    classified(page, f"{count} rows")
    if name != "g.ndjson":  # which is no output of the command
        assert download(page, file) == expected(models, file, encoding)
    predictor = Predictor.load(models.other)
    for number, label, share, text in least_certain(page):
        prediction = predictor.predict(text)
        probability = prediction.probabilities[predictor.classes.names.index(prediction.label)]
        assert (label, share) == (prediction.label, f"{100 * probability:.1f}\u00a0%")
        if count == len(TEXTS):
            assert text.removesuffix(" é").split() == TEXTS[int(number) - 1].split()


def test_objects_of_json_lines_have_names_and_numbers_of_their_own(page: Page) -> None:
    first = '"title": "longer than all texts"'
    second = '"text": "a NaN", "n": NaN, "label": 5'
    third = '"n": -Infinity, "text": "\\"Infinity\\\\"'
    rows = [
        f'{{{own}, "predicted_label": {label}, "predicted_probability": {probability}}}'
        for own, label, probability in (
            (first, "null", "null"),
            (second, '"x"', 1),
            (third, '"y"', 0.5),
        )
    ]
    read = """async (content) => {
        const { readPredictions } = await import("./page/result_file.js");
        const rows = await readPredictions(new Blob([content]), "jsonl", "", "");
        return rows.map(({ text, label, probability }) => [text, label, probability]);
    }"""
    assert page.evaluate(read, "\n".join(rows)) == [
        ["", "", 0],
        ["a NaN", "x", 1],
        ['"Infinity\\', "y", 0.5],
    ]


def test_rows_without_a_text_are_counted(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text,n\ngood,1\n,2\ndull,3\n")
    upload(page, file)
    classified(page, "3 rows")
    expect(page.get_by_text("1 row without a text and without a prediction.")).to_be_visible()
    assert sum(int(value.split()[0]) for value in distribution(page).values()) == 2


def test_another_text_column_is_given_by_its_name(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("title,<b>body</b>\ngood,dull\n")
    upload(page, file)
    expect(page.locator("#file-error")).to_contain_text("<b>body</b>")
    page.get_by_text("Options").click()
    page.get_by_label("Text column").fill("<b>body</b>")
    page.get_by_role("button", name="Classify").click()
    classified(page, "1 row")
    expect(page.locator("#file-error")).to_be_hidden()
    assert least_certain(page)[0][3] == "dull"


def test_markup_in_rows_is_text(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "<img src=x>.csv"
    text = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    file.write_text(f"text,label\n{text},<b>\n")
    upload(page, file)
    classified(page, "1 row")
    assert least_certain(page)[0][3] == text
    assert page.locator("main img, main script").count() == 0


def test_a_file_is_needed(page: Page) -> None:
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#file-error")).to_have_text("Choose a file first.")


def test_a_file_of_another_format_is_refused(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "reviews.xlsx"
    file.write_text("")
    upload(page, file)
    expect(page.locator("#file-error")).to_have_text(
        "The name of the file must end in .csv, .tsv, .jsonl or .ndjson (got reviews.xlsx)."
    )


def test_an_answer_that_ends_early_gives_no_file(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text\n" + "good film good film\n" * 3_000 + "too,many\n")
    upload(page, file)
    expect(page.locator("#file-error")).to_contain_text("The answer ended early")
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    expect(page.locator("#file-progress")).to_be_hidden()


def test_an_upload_can_be_cancelled(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text\ngood\n")
    page.route(FILE, lambda _: None)  # never answered
    upload(page, file)
    expect(page.get_by_role("progressbar")).to_be_visible()
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#file-status")).to_have_text("Cancelled.")
    expect(page.locator("#file-progress")).to_be_hidden()
    page.unroute(FILE)
    page.get_by_role("button", name="Classify").click()
    classified(page, "1 row")


def test_a_file_can_be_dropped(page: Page) -> None:
    page.locator("#file-drop").evaluate(
        """zone => {
            const data = new DataTransfer();
            data.items.add(new File(["text\\ngood\\ndull\\n"], "dropped.csv"));
            zone.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )
    page.get_by_role("button", name="Classify").click()
    classified(page, "2 rows")
    expect(page.get_by_role("link", name=re.compile("dropped.predictions.csv"))).to_be_visible()


def test_of_more_than_two_classes_the_probability_is_that_of_the_predicted_one(
    page: Page, tmp_path: Path
) -> None:
    """The service is replaced by an answer for a model of three classes."""
    model = {"name": "stars", "kind": "network", "digest": "d", "classes": ["1", "2", "3"],
             "explains": True, "max_length": 9, "recipe": {}, "scores": None}  # fmt: skip
    was_enabled: list[bool] = []

    def list_models(route: Route) -> None:
        was_enabled.append(page.get_by_role("button", name="Classify").is_enabled())
        route.fulfill(json={"models": [model]})

    page.route("**/v1/models", list_models)
    page.route("**/v1/models/*", lambda route: route.fulfill(json={**model, "record": None}))
    rows = "good,2,0.5,.2,.5,.3\ndull,1,0.4,.4,.3,.3\n"
    head = "text,label,probability,probability_1,probability_2,probability_3\n"
    page.route(FILE, lambda route: route.fulfill(body=head + rows, content_type="text/csv"))
    page.reload()
    file = tmp_path / "reviews.csv"
    file.write_text("text\ngood\ndull\n")
    upload(page, file)
    classified(page, "2 rows")
    assert was_enabled == [False]  # before the models were known
    assert least_certain(page) == [
        ["2", "1", "40.0\u00a0%", "dull"],
        ["1", "2", "50.0\u00a0%", "good"],
    ]
    assert distribution(page) == {
        "1": "1 (50.0\u00a0%)",
        "2": "1 (50.0\u00a0%)",
        "3": "0 (0.0\u00a0%)",
    }
