"""Progress of iterations, the silent display, and texts that a terminal can print."""

import json
import time

import pytest

from lstm_sentiment.display import (
    SILENT,
    Printed,
    counted,
    json_text,
    markdown_text,
    on_one_line,
    printable,
    shortened,
    track,
)
from tests.support.displays import RecordingDisplay


def test_track_yields_the_items_and_reports_each_after_it_was_consumed() -> None:
    display = RecordingDisplay()
    for step, item in enumerate(track("abc", "letters", display, total=3)):
        assert item == "abc"[step]
        assert display.bars[0].steps == list(range(1, step + 1))
    assert display.bars[0].steps == [1, 2, 3]
    assert (display.bars[0].title, display.bars[0].total) == ("letters", 3)


def test_track_passes_on_an_error_of_the_items() -> None:
    def failing() -> object:
        yield 1
        raise ValueError("a defect")

    tracked = track(failing(), "numbers", SILENT)
    assert next(tracked) == 1
    with pytest.raises(ValueError, match="a defect"):
        next(tracked)


def test_tracking_a_review_costs_microseconds() -> None:
    begin = time.process_time()
    assert sum(1 for _ in track(range(100_000), "numbers", SILENT)) == 100_000
    assert time.process_time() - begin < 0.5  # 5 µs each; tokenizing a review takes 100 µs


def test_the_silent_display_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    SILENT.message("a warning", "warning")
    with SILENT.progress("work", 3) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("映画 🎬", "映画 🎬"),
        ("a \ud83d b", "a \\ud83d b"),
        ("\x1b[31m\x07\x9b\r", "\\x1b[31m\\x07\\x9b\\r"),
        ("\u202eabc\u2069\u2028", "\\u202eabc\\u2069\\u2028"),
    ],
)
def test_characters_that_are_no_text_are_printed_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_json_for_terminals_contains_the_value_unchanged() -> None:
    value = {"映\x1b": ["\x9b\u202e\u2028\ud83d\x7f", 1.5, None]}
    text = json_text(value)
    assert printable(text) == text
    assert "映" in text
    assert json.loads(text) == value


def test_a_value_in_a_message_is_short_and_on_one_line() -> None:
    assert on_one_line("a \n b\x1b") == "a b\\x1b"
    assert shortened("a\nb") == "a b"
    assert shortened("x" * 41) == "x" * 40 + " …"


@pytest.mark.parametrize(
    "text",
    [
        "deep_bilstm-max_attention data.padding=keras s0 (±0.12, -1.25 to +0.5 points)",
        "reviews.csv: 1,200 train, 3.5 % of 7. That is all! ~10 s, #1, 50/50; a:b",
    ],
)
def test_ordinary_text_is_the_same_in_markdown(text: str) -> None:
    assert markdown_text(text) == text


def test_markdown_shows_text_literally() -> None:
    assert markdown_text("[a](b)\n`c` <d> & *e*") == (
        "&#91;a&#93;(b) &#96;c&#96; &lt;d&gt; &amp; &#42;e&#42;"
    )
    assert markdown_text("http://a.example www.b") == "http&#58;//a.example www&#46;b"
    assert markdown_text("- \x1b") == "&#45; &#92;x1b"


def test_a_printed_display_shows_messages_and_no_progress(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = Printed()
    display.message("epoch 1")
    display.message("epoch-2.ckpt is damaged", "warning")
    assert list(track("abc", "letters", display)) == [*"abc"]
    assert capsys.readouterr().out == "epoch 1\nwarning epoch-2.ckpt is damaged\n"


def test_a_noun_and_its_verb_agree_with_their_number() -> None:
    assert counted(1, "row") == "1 row"
    assert counted(1_200, "row") == "1,200 rows"
    assert counted(1, "row", "has", "have") == "1 row has"
    assert counted(0, "row", "has", "have") == "0 rows have"
