"""Names of files that are made from any text."""

import pytest

from lstm_sentiment.files.names import LONGEST, file_name, is_plain_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lstm-last data.padding=exact s0", "lstm-last data.padding=exact s0"),
        ("映画 [red] $x$", "映画 [red] $x$"),
        ("a/b\\c:d", "a_b_c_d"),
        ("..", "_"),
        (".hidden", "_hidden"),
        ("--logdir", "_logdir"),
        ("", "_"),
        ("a\n b\0", "a b_x00"),
        ("\x1b\udcff", "_x1b_udcff"),
    ],
)
def test_a_name_resembles_the_text(text: str, name: str) -> None:
    assert file_name(text) == name


def test_long_texts_get_different_short_names() -> None:
    names = [file_name("🎬" * 100 + end) for end in "ab"]
    assert all(len(name.encode()) <= LONGEST for name in names)
    assert len({*names}) == 2
    assert all(name.startswith("🎬" * 47 + "-") for name in names)


@pytest.mark.parametrize("name", ["report.md", ".hidden", "...", "a b", "映" * 85, "$x$"])
def test_a_name_in_a_folder_is_plain(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "..\\b", "C:b", "a\0", "\ud800", "映" * 86, None, 1, ["a"]]
)
def test_a_name_that_leads_elsewhere_or_nowhere_is_not_plain(name: object) -> None:
    assert not is_plain_name(name)
