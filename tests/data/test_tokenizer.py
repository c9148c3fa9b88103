"""The tokenizer, compared with that of torchtext."""

import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torchtext.data.utils import get_tokenizer

from lstm_sentiment.data.tokenizer import UNK, tokenize

CHECKED = settings(deadline=None, max_examples=50, derandomize=True)


TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates, too


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Warm, FUNNY and short.", ["warm", ",", "funny", "and", "short", "."]),
        ('It\'s "fine"; really: fine!', ["it", "'", "s", "fine", "really", "fine", "!"]),
        ("(Why?) Why...", ["(", "why", "?", ")", "why", ".", ".", "."]),
        ("9/10 -- well-made", ["9/10", "--", "well-made"]),
        ("Ünü\u00a0映画\u2003🎬", ["ünü", "映画", "🎬"]),
        ("<b>bold</b> <brave> br <br4>", ["<b>bold</b>", "<brave>", "br", "<br4>"]),
        ("see <PAD> and <unk>", ["see", "<pad>", "and", "<unk>"]),
        ("lone \ud83d surrogate", ["lone", "\ud83d", "surrogate"]),
    ],
)
def test_worked_examples(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@pytest.mark.parametrize(
    "markup", ["<br>", "<br/>", "<br />", "<BR />", "</br>", "< br / >", "</ Br>", "<\tbr\n/ >"]
)
def test_line_breaks_of_any_spelling_separate_words(markup: str) -> None:
    assert tokenize(f"dull{markup}Grand{markup}{markup}.") == ["dull", "grand", "."]


@pytest.mark.parametrize("text", ["", " \n\t\u2003", '"', ';:";', "<br />", "<br>" * 25_000])
def test_a_text_without_tokens_is_one_unknown_word(text: str) -> None:
    assert tokenize(text) == [UNK]


@CHECKED
@given(TEXT)
@example("<br" * 33_000)
@example("🎬 " * 50_000)
def test_tokens_are_not_empty_and_contain_no_space(text: str) -> None:
    tokens = tokenize(text)
    assert tokens
    assert all(token.split() == [token] for token in tokens)


@CHECKED
@given(TEXT)
def test_without_markup_tokens_equal_those_of_torchtext(text: str) -> None:
    assume("<" not in text)
    assert tokenize(text) == (get_tokenizer("basic_english")(text) or [UNK])


@CHECKED
@given(TEXT, st.sampled_from(["<br>", "</BR >", "<br />"]), TEXT)
def test_a_line_break_is_a_boundary(before: str, markup: str, after: str) -> None:
    joined = tokenize(f"a {before}{markup}{after} a")
    assert joined == tokenize(f"a {before}") + tokenize(f"{after} a")


def test_a_long_text_keeps_every_token() -> None:
    assert tokenize("Good, bad!" * 10_000) == ["good", ",", "bad", "!"] * 10_000


@pytest.mark.parametrize("start", ["<", "<br"])
def test_spaces_after_an_unclosed_bracket_take_linear_time(start: str) -> None:
    begin = time.process_time()
    tokenize(start + " " * 20_000)
    assert time.process_time() - begin < 0.1
