"""Progress of iterations, the silent display, and texts that a terminal can print."""

import time

import pytest

from lstm_sentiment.display import SILENT, Printed, counted, printable, track
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
    ("text", "shown"), [("plain", "plain"), ("映画 🎬", "映画 🎬"), ("a \ud83d b", "a ? b")]
)
def test_lone_surrogates_are_printed_as_question_marks(text: str, shown: str) -> None:
    assert printable(text) == shown


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
