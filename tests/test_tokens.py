import pickle
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab

from lstm_sentiment.data.tokens import PAD, UNK, UNK_ID, Vocabulary, tokenize

CHECKED = settings(deadline=None, max_examples=50, derandomize=True)
TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates, too
WORD = st.sampled_from(["good", "bad", "a", "b", "é", "映画", "🎬", "'", PAD, UNK])


def vocabulary(tokens: list[str], size: int) -> Vocabulary:
    counts = Counter(tokens)
    words = sorted(counts)
    return Vocabulary.most_frequent(words, np.array([counts[word] for word in words]), size)


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
def test_a_break_of_any_spelling_parts_words_and_goes(markup: str) -> None:
    assert tokenize(f"dull{markup}Grand{markup}{markup}.") == ["dull", "grand", "."]


@pytest.mark.parametrize("text", ["", " \n\t\u2003", '"', ';:";', "<br />", "<br>" * 25_000])
def test_a_text_without_tokens_is_one_unknown_word(text: str) -> None:
    assert tokenize(text) == [UNK]


@CHECKED
@given(TEXT)
@example("<br" * 33_000)
@example("🎬 " * 50_000)
def test_tokens_are_never_empty_and_hold_no_space(text: str) -> None:
    tokens = tokenize(text)
    assert tokens
    assert all(token.split() == [token] for token in tokens)


@CHECKED
@given(TEXT)
def test_without_markup_tokens_are_those_of_torchtext(text: str) -> None:
    assume("<" not in text)
    assert tokenize(text) == (get_tokenizer("basic_english")(text) or [UNK])


@CHECKED
@given(TEXT, st.sampled_from(["<br>", "</BR >", "<br />"]), TEXT)
def test_a_break_is_a_boundary(before: str, markup: str, after: str) -> None:
    joined = tokenize(f"a {before}{markup}{after} a")
    assert joined == tokenize(f"a {before}") + tokenize(f"{after} a")


def test_a_long_text_keeps_every_token() -> None:
    assert tokenize("Good, bad!" * 10_000) == ["good", ",", "bad", "!"] * 10_000


@pytest.mark.parametrize("start", ["<", "<br"])
def test_spaces_after_an_unclosed_bracket_cost_no_time(start: str) -> None:
    begin = time.process_time()
    tokenize(start + " " * 20_000)
    assert time.process_time() - begin < 0.1


def test_size_counts_the_specials_and_rare_words_fall_out() -> None:
    tokens = list("cbbaaad")
    assert vocabulary(tokens, 4).words == [PAD, UNK, "a", "b"]
    assert vocabulary(tokens, 6).words == [PAD, UNK, "a", "b", "c", "d"]
    assert len(vocabulary(tokens, 4)) == 4
    assert len(vocabulary(tokens, 100)) == 6


def test_words_of_equal_frequency_stand_by_spelling() -> None:
    assert vocabulary(list("bzabzaéZ"), 9).words[2:] == ["a", "b", "z", "Z", "é"]


def test_words_that_never_occur_are_left_out() -> None:
    counts = np.array([0, 2, 0, 1])
    assert Vocabulary.most_frequent(["a", "b", "c", "d"], counts, 10).words == [PAD, UNK, "b", "d"]


@CHECKED
@given(st.lists(WORD | st.text("abc", min_size=1)), st.integers(3, 12))
def test_the_vocabulary_is_torchtexts(tokens: list[str], size: int) -> None:
    theirs = Vocab(Counter(tokens), max_size=size - 2, specials=[PAD, UNK])
    assert vocabulary(tokens, size).words == theirs.itos


def test_ids_are_places_and_unknown_words_are_one() -> None:
    ids = vocabulary(["a", "a", "b"], 10).encode(["b", "a", "never", "b"])
    assert ids.tolist() == [3, 2, 1, 3]
    assert ids.dtype == np.int32


def test_decode_names_the_specials_too() -> None:
    assert Vocabulary([PAD, UNK, "Ah", "b"]).decode([3, 0, 2, 1]) == ["b", PAD, "Ah", UNK]


def test_literal_specials_are_unknown_words() -> None:
    known = vocabulary([PAD, PAD, UNK, UNK, "a"], 10)
    assert known.words == [PAD, UNK, "a"]
    assert known.encode([PAD, UNK]).tolist() == [UNK_ID, UNK_ID]


@CHECKED
@given(st.lists(WORD, min_size=1), st.text())
def test_decode_undoes_encode_of_known_words(words: list[str], other: str) -> None:
    tokens = [word for word in words if word not in (PAD, UNK)]
    known = vocabulary(words, 100)
    assert known.decode(known.encode(tokens)) == tokens
    assert known.decode(known.encode([other + "?"])) == [UNK]


def test_unknown_words_leave_no_trace() -> None:
    known = vocabulary(["a", "b"], 10)
    before = pickle.dumps(known)
    known.encode(f"word{number}" for number in range(100))
    assert known.id("another") == UNK_ID
    assert pickle.dumps(known) == before


@pytest.mark.parametrize(
    "words",
    [[], [PAD], ["a", "b"], [UNK, PAD, "a"], [PAD, UNK, "a", "b", "a"], [PAD, UNK, "a", PAD]],
)
def test_a_bad_list_of_words_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="names each word once"):
        Vocabulary(words)
