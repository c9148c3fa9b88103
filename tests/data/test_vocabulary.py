"""The vocabulary, compared with that of torchtext."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchtext.vocab import Vocab

from lstm_sentiment.data.tokenizer import UNK
from lstm_sentiment.data.vocabulary import PAD, UNK_ID, Vocabulary

CHECKED = settings(deadline=None, max_examples=50, derandomize=True)
WORD = st.sampled_from(["good", "bad", "a", "b", "é", "映画", "🎬", "'", PAD, UNK])


def vocabulary(tokens: list[str], size: int) -> Vocabulary:
    counts = Counter(tokens)
    words = sorted(counts)
    return Vocabulary.most_frequent(words, np.array([counts[word] for word in words]), size)


def test_the_size_includes_the_special_tokens_and_excludes_rare_words() -> None:
    tokens = list("cbbaaad")
    assert vocabulary(tokens, 4).words == [PAD, UNK, "a", "b"]
    assert vocabulary(tokens, 6).words == [PAD, UNK, "a", "b", "c", "d"]
    assert len(vocabulary(tokens, 4)) == 4
    assert len(vocabulary(tokens, 100)) == 6


def test_words_of_equal_frequency_are_sorted_by_spelling() -> None:
    assert vocabulary(list("bzabzaéZ"), 9).words[2:] == ["a", "b", "z", "Z", "é"]


def test_words_that_do_not_occur_are_excluded() -> None:
    counts = np.array([0, 2, 0, 1])
    assert Vocabulary.most_frequent(["a", "b", "c", "d"], counts, 10).words == [PAD, UNK, "b", "d"]


@CHECKED
@given(st.lists(WORD | st.text("abc", min_size=1)), st.integers(3, 12))
def test_the_vocabulary_equals_that_of_torchtext(tokens: list[str], size: int) -> None:
    theirs = Vocab(Counter(tokens), max_size=size - 2, specials=[PAD, UNK])
    assert vocabulary(tokens, size).words == theirs.itos


def test_ids_are_positions_and_unknown_words_have_the_same_id() -> None:
    ids = vocabulary(["a", "a", "b"], 10).encode(["b", "a", "never", "b"])
    assert ids.tolist() == [3, 2, 1, 3]
    assert ids.dtype == np.int32


def test_decode_includes_the_special_tokens() -> None:
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


def test_unknown_words_are_not_stored() -> None:
    known = vocabulary(["a", "b"], 10)
    before = pickle.dumps(known)
    known.encode(f"word{number}" for number in range(100))
    assert known.id("another") == UNK_ID
    assert pickle.dumps(known) == before


@pytest.mark.parametrize(
    "words",
    [[], [PAD], ["a", "b"], [UNK, PAD, "a"], [PAD, UNK, "a", "b", "a"], [PAD, UNK, "a", PAD]],
)
def test_an_invalid_list_of_words_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="list each word once"):
        Vocabulary(words)
