"""Normalization: worked examples, and spellings of one text that give the same tokens."""

import time
import unicodedata
from collections.abc import Callable
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.data.normalization import normalize
from lstm_sentiment.data.tokenizer import tokenize

CHECKED = settings(deadline=None, max_examples=100, derandomize=True)
ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates, too


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, 100% & more: <3", "plain text, 100% & more: <3"),
        ("don’t don‘t don´t don`t donʼt don′t don＇t", " ".join(["don't"] * 7)),
        ("“fine” „fine‟ «fine» ″fine″ ＂fine＂", " ".join(['"fine"'] * 5)),
        ("well‐made well‑made 1990–1995 −1", "well-made well-made 1990-1995 -1"),
        ("slow—very", "slow--very"),
        ("Well…", "Well..."),
        ("ﬁne ＦＩＮＥ！ １０", "fine FINE! 10"),
        ("nai\u0308ve", "na\u00efve"),
        ("so\u00adso s\u200bo\u200c\u200ds\ufeffo", "soso soso"),
        ("\u2764\ufe0f", "\u2764"),
        ("a\u00a0b\u3000c", "a b c"),
        ("it\x92s \x93fun\x94 \x96 \x85 \x81", 'it\'s "fun" - ... '),
        ("it&#39;s &quot;fun&quot; &amp; more&nbsp;&hellip;", 'it\'s "fun" & more ...'),
        ("it&amp;#39;s", "it's"),
        ("&amp;amp;amp;lt;br&amp;gt;", " "),
        ("AT&T ?a=1&copy=2 &unknown;", "AT&T ?a=1&copy=2 &unknown;"),
        ("<p>Fun</P><br/>< br /><a href='x'>here</a>", " Fun    here "),
        ("<spoiler> <PAD> <b-movie> 5 < 6 > 4", "<spoiler> <PAD> <b-movie> 5 < 6 > 4"),
        ("half \ud83d a pair", "half \ud83d a pair"),
    ],
)
def test_worked_examples(text: str, expected: str) -> None:
    assert normalize(text) == expected


@CHECKED
@given(ANY_TEXT | st.text("&#39;amplt<>br/ ’…\u00ad\x96", max_size=30))
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@CHECKED
@given(st.text(st.characters(codec="ascii", exclude_characters="&<`")))
def test_plain_text_is_not_changed(text: str) -> None:
    assert normalize(text) == text


def fullwidth(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "typographic": lambda text: text.replace("'", "’").replace("...", "…").replace("-", "–"),
    "acute": lambda text: text.replace("'", "´"),
    "escaped": lambda text: escape(text, quote=True),
    "escaped twice": lambda text: escape(escape(text, quote=True), quote=True),
    "decimal": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "full width": fullwidth,
    "invisible": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "upper case": str.upper,
    "blanks": lambda text: text.replace(" ", " \u00a0\n"),
    "breaks": lambda text: text.replace(" ", "<br /><br />"),
    "paragraphs": lambda text: f"<p>{text.replace(' ', '</p> <p>')}</p>",
    "left by cp1252": lambda text: text.replace("'", "\x92").replace("-", "\x96"),
}
WORDS = st.sampled_from("it's don't fun - well-made café naïve good, bad! ... why? (9/10)".split())


@pytest.mark.parametrize("spelling", SPELLINGS)
@CHECKED
@given(words=st.lists(WORDS, min_size=1, max_size=12))
def test_spellings_of_a_text_give_the_same_tokens(spelling: str, words: list[str]) -> None:
    text = " ".join(words)
    assert tokenize(SPELLINGS[spelling](text), 2) == tokenize(text, 2)


@pytest.mark.parametrize(
    "part", ["&amp;", "&", "<br ", "< ", "&#65286;", "\ufdfa", "’", "&#38;#38;"]
)
def test_any_text_takes_linear_time(part: str) -> None:
    begin = time.process_time()
    normalize(part * 20_000)
    assert time.process_time() - begin < 1
