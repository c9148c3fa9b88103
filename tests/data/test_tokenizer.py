"""The tokenizers: basic_english is compared with that of torchtext."""

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchtext.data.utils import get_tokenizer

from lstm_sentiment.config import Tokenizer
from lstm_sentiment.data.normalization import normalize
from lstm_sentiment.data.tokenizer import (
    MAX_RUN,
    UNK,
    _basic_english,
    fold,
    is_unspaced,
    tokenize,
)

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


PIECES = st.sampled_from(
    [*"\"'.,()!?;:<>/b \t", "br", "<br />", "<br", " />", "İ", "\x1c", "\u2028"]
)


@settings(CHECKED, max_examples=500)
@given(st.lists(PIECES | st.text(st.characters(exclude_categories=[]), max_size=2)).map("".join))
@example('<br "/>')
@example("<br;/>")
@example("<BR /> <br / >")
def test_the_tokens_of_basic_english_are_those_of_torchtext(text: str) -> None:
    assert _basic_english(text) == get_tokenizer("basic_english")(text)


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


# Other languages

TOKENIZERS = pytest.mark.parametrize("tokenizer", [Tokenizer.unicode, Tokenizer.bpe])
CLUSTERS = ["\u0301", "a\u0301", "🇩", "🇩\u0301", "'\u0301", "1,", "a.", "_\u0301", " \u0301",
            "👨\U0001f3fd", 'א"', "\r\n", "カ\u3099", "好", "ß", "<br", "&amp;"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words", "runs"),
    [
        ("Die STRASSE, die Straße!", "die strasse , die strasse !", None),
        ("Nicht schlecht: 3,5/10", "nicht schlecht : 3,5 / 10", "nicht schlecht : 3 , 5 / 10"),
        ("Ёлка — НЕ фильм…", "ёлка - - не фильм . . .", None),
        ("这部电影不好看。", "这 部 电 影 不 好 看 。", "这部电影不好看 。"),
        ("好看！very好？", "好 看 ! very 好 ?", "好看 ! very好 ?"),
        ("カタカナのひらがな", "カタカナ の ひ ら が な", "カタカナのひらがな"),
        ("좋은 영화", "좋은 영화", None),
        ("فِيلْمٌ رائِعٌ؟", "فِيلْمٌ رائِعٌ ؟", None),
        ("ดีมาก", "ดี ม า ก", "ดีมาก"),
        ("अच्छी फ़िल्म।", "अच्छी फ़िल्म ।", None),
        ("ΟΔΟΣ οδός", "οδοσ οδόσ", None),
        ("Isn’t l'homme", "isn't l'homme", "isn ' t l ' homme"),
        ("wow👍🏽❤️🎬🎬", "wow 👍🏽 ❤ 🎬 🎬", "wow 👍 🏽 ❤ 🎬 🎬"),
        ("🇩🇪🇫🇷", "🇩🇪 🇫🇷", "🇩 🇪 🇫 🇷"),
        ("<b>So</b>&nbsp;<spoiler>", "so < spoiler >", None),
        ("half \ud83d pair", "half \ufffd pair", None),
        (" \n", UNK, None),
    ],
)
def test_worked_examples_of_other_languages(text: str, words: str, runs: str | None) -> None:
    def joined(tokenizer: Tokenizer) -> str:
        return unicodedata.normalize("NFC", " ".join(tokenize(text, 2, tokenizer)))

    assert joined(Tokenizer.unicode) == unicodedata.normalize("NFC", words)
    assert joined(Tokenizer.bpe) == unicodedata.normalize("NFC", words if runs is None else runs)


@CHECKED
@given(TEXT | st.lists(st.sampled_from(CLUSTERS)).map("".join), st.sampled_from(Tokenizer))
def test_any_text_has_tokens_without_spaces(text: str, tokenizer: Tokenizer) -> None:
    tokens = tokenize(text, 2, tokenizer)
    assert tokens
    assert all(token.split() == [token] for token in tokens)
    assert tokenize(normalize(text), 2, tokenizer) == tokens
    if tokenizer is not Tokenizer.basic_english:
        assert "".join(tokens) in ("".join(fold(text).split()), UNK)
        " ".join(tokens).encode()


@CHECKED
@given(TEXT)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("cluster", CLUSTERS)
@TOKENIZERS
def test_long_texts_take_linear_time(cluster: str, tokenizer: Tokenizer) -> None:
    begin = time.process_time()
    tokenize("a." + cluster * (50_000 // len(cluster)), 2, tokenizer)
    assert time.process_time() - begin < 2  # in quadratic time, half a minute


def test_runs_are_cut_at_their_longest_length() -> None:
    lengths = [len(token) for token in tokenize("好" * (2 * MAX_RUN + 1), 2, Tokenizer.bpe)]
    assert lengths == [MAX_RUN, MAX_RUN, 1]


def test_scripts_without_spaces() -> None:
    assert all(map(is_unspaced, ["电影", "very好", "か", "カ", "ดี", "ດີ", "ល្អ", "ကောင်း"]))
    assert not any(map(is_unspaced, ["film", "größe", "фильм", "영화", "فيلم", "🎬", "。"]))
