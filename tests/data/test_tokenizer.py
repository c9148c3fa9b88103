"""The tokenizer, compared with that of torchtext."""

import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torchtext.data.utils import get_tokenizer

from lstm_sentiment.data.tokenizer import UNK, tokenize

CHECKED = settings(deadline=None, max_examples=50, derandomize=True)


VERSIONS = pytest.mark.parametrize("preparation", [1, 2])
TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates, too


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Warm, FUNNY and short.", ["warm", ",", "funny", "and", "short", "."]),
        ('It\'s "fine"; really: fine!', ["it", "'", "s", "fine", "really", "fine", "!"]),
        ("(Why?) Why...", ["(", "why", "?", ")", "why", ".", ".", "."]),
        ("9/10 -- well-made", ["9/10", "--", "well-made"]),
        ("Ünü\u00a0映画\u2003🎬", ["ünü", "映画", "🎬"]),
        ("<brave> br <br4>", ["<brave>", "br", "<br4>"]),
        ("see <PAD> and <unk>", ["see", "<pad>", "and", "<unk>"]),
        ("lone \ud83d surrogate", ["lone", "\ud83d", "surrogate"]),
    ],
)
@VERSIONS
def test_worked_examples(text: str, tokens: list[str], preparation: int) -> None:
    assert tokenize(text, preparation) == tokens


@pytest.mark.parametrize(
    ("text", "former", "present"),
    [
        ("Don’t", ["don’t"], ["don", "'", "t"]),
        ("Hm…", ["hm…"], ["hm", ".", ".", "."]),
        ("<b>bold</b>", ["<b>bold</b>"], ["bold"]),
        ("it&#39;s", ["it&#39", "s"], ["it", "'", "s"]),
        ("fun \x96 really", ["fun", "\x96", "really"], ["fun", "-", "really"]),
    ],
)
def test_networks_of_the_first_preparation_keep_its_tokens(
    text: str, former: list[str], present: list[str]
) -> None:
    assert tokenize(text, 1) == former
    assert tokenize(text, 2) == present


@pytest.mark.parametrize(
    "markup", ["<br>", "<br/>", "<br />", "<BR />", "</br>", "< br / >", "</ Br>", "<\tbr\n/ >"]
)
@VERSIONS
def test_line_breaks_of_any_spelling_separate_words(markup: str, preparation: int) -> None:
    assert tokenize(f"dull{markup}Grand{markup}{markup}.", preparation) == ["dull", "grand", "."]


@pytest.mark.parametrize("text", ["", " \n\t\u2003", '"', ';:";', "<br />", "<br>" * 25_000])
@VERSIONS
def test_a_text_without_tokens_is_one_unknown_word(text: str, preparation: int) -> None:
    assert tokenize(text, preparation) == [UNK]


@CHECKED
@given(TEXT, st.sampled_from([1, 2]))
@example("<br" * 33_000, 1)
@example("<br" * 33_000, 2)
@example("🎬 " * 50_000, 2)
def test_tokens_are_not_empty_and_contain_no_space(text: str, preparation: int) -> None:
    tokens = tokenize(text, preparation)
    assert tokens
    assert all(token.split() == [token] for token in tokens)


@CHECKED
@given(TEXT)
def test_without_markup_tokens_equal_those_of_torchtext(text: str) -> None:
    assume("<" not in text)
    assert tokenize(text, 1) == (get_tokenizer("basic_english")(text) or [UNK])


@CHECKED
@given(TEXT, st.sampled_from(["<br>", "</BR >", "<br />"]), TEXT)
def test_a_line_break_is_a_boundary(before: str, markup: str, after: str) -> None:
    joined = tokenize(f"a {before}{markup}{after} a", 1)
    assert joined == tokenize(f"a {before}", 1) + tokenize(f"{after} a", 1)


def test_a_long_text_keeps_every_token() -> None:
    assert tokenize("Good, bad!" * 10_000, 2) == ["good", ",", "bad", "!"] * 10_000


@pytest.mark.parametrize("start", ["<", "<br"])
@VERSIONS
def test_spaces_after_an_unclosed_bracket_take_linear_time(start: str, preparation: int) -> None:
    begin = time.process_time()
    tokenize(start + " " * 20_000, preparation)
    assert time.process_time() - begin < 0.1
