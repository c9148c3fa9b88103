"""Subwords, compared with byte-pair encoding by hand and in plain Python."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.data.subwords import MARK, Merge, SubwordEncoder, Subwords, learn_subwords
from lstm_sentiment.data.tokenizer import SPECIALS, UNK
from lstm_sentiment.data.vocabulary import Vocabulary
from tests.support.languages import chinese, german
from tests.support.project import ROOT

CHECKED = settings(deadline=None, max_examples=25, derandomize=True)
# The corpus of Sennrich et al. (2016).
CORPUS = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
WORDS = st.dictionaries(
    st.text("abc好▁", min_size=1, max_size=6), st.integers(0, 5), min_size=1, max_size=8
)


def learned(corpus: dict[str, int], size: int) -> Subwords:
    return learn_subwords(list(corpus), np.array([*corpus.values()]), size)


def applied(merges: list[Merge], word: str) -> list[str]:
    """Apply the merges one after the other, each from left to right."""
    parts = [MARK, *word]
    for left, right in merges:
        merged: list[str] = []
        for part in parts:
            if merged and (merged[-1], part) == (left, right):
                merged[-1] = left + right
            else:
                merged.append(part)
        parts = merged
    return parts


def learned_in_python(corpus: dict[str, int], alphabet: list[str], size: int) -> list[Merge]:
    """Merge the most frequent pair, then the one of the earliest subwords, until all are rare."""
    subwords, merges = list(alphabet), list[Merge]()
    while len(subwords) < size:
        pairs: Counter[Merge] = Counter()
        for word, count in corpus.items():
            parts = applied(merges, word)
            for left, right in itertools.pairwise(parts):
                if left in subwords and right in subwords:
                    pairs[left, right] += count
        frequent = {pair: count for pair, count in pairs.items() if count >= 2}
        if not frequent:
            break
        best = min(frequent, key=lambda pair: (-frequent[pair], *map(subwords.index, pair)))
        merges.append(best)
        if "".join(best) not in subwords:
            subwords.append("".join(best))
    return merges


def test_worked_example() -> None:
    words, merges = learned(CORPUS, 27)
    assert words[:11] == ["d", "e", "i", "l", "n", "o", "r", "s", "t", "w", MARK]
    # es and st occur 9 times, and e comes before s; est 9 times; lo and ▁lo 7 times; ...
    assert merges[:5] == [("e", "s"), ("es", "t"), ("l", "o"), (MARK, "lo"), ("▁lo", "w")]
    assert words[11:16] == ["es", "est", "lo", "▁lo", "▁low"]
    encoder = SubwordEncoder([*SPECIALS, *words], merges)
    assert encoder.split("lowest") == ["▁low", "est"]
    assert encoder.split("low") == ["▁low"]
    assert encoder.split("slow") == [MARK, "s", "lo", "w"]
    assert encoder.split("loß映") == ["▁lo", "ß", "映"]  # unknown characters


@CHECKED
@given(WORDS, st.integers(1, 40))
def test_merges_are_those_of_plain_python(corpus: dict[str, int], size: int) -> None:
    words, merges = learned(corpus, size)
    assert len(words) <= size
    assert len(set(words)) == len(words)
    alphabet = [word for word in words if len(word) == 1]
    assert len(alphabet) <= max(1, size // 2)
    real = {word: count for word, count in corpus.items() if count}
    assert merges == learned_in_python(real, alphabet, size)
    encoder = SubwordEncoder([*SPECIALS, *words], merges)
    for word in corpus:
        assert encoder.split(word) == applied(merges, word)
        assert "".join(encoder.split(word)) == MARK + word


def test_the_most_frequent_characters_are_kept_and_spelling_breaks_ties() -> None:
    assert learned({"ab": 1, "c": 2, "d": 1, "e": 1}, 8).words == ["a", "b", "c", MARK, "▁c"]


def test_neighbours_of_a_rare_character_are_not_merged() -> None:
    _, merges = learned({"axb": 5, "a": 9, "b": 9}, 6)  # half of 6: the mark, a and b
    assert merges == [(MARK, "a"), (MARK, "b")]


@pytest.mark.parametrize("size", [3, 4, 50, 1_000])
def test_the_vocabulary_has_at_most_the_allowed_size(size: int) -> None:
    counts = Counter(word for review in german(200, 0) for word in review.text.split())
    words = [*counts, *(review.text for review in chinese(200, 0))]
    numbers = np.array([*counts.values(), *[1] * 200])
    vocabulary = Vocabulary.of_subwords(words, numbers, size)
    assert tuple(vocabulary.words[:2]) == SPECIALS
    assert len(vocabulary) <= size
    assert len(vocabulary) == size or size == 1_000 or size < 5


@pytest.mark.slow  # each process imports torch
def test_the_same_words_give_the_same_bytes_in_every_process() -> None:
    """The order of the words, the seed of hashes and the number of threads change nothing."""
    program = (
        "import json, sys, numpy as np\n"
        "from lstm_sentiment.data.subwords import learn_subwords\n"
        "corpus = json.load(sys.stdin)\n"
        "counts = np.array([*corpus.values()])\n"
        "print(json.dumps(learn_subwords([*corpus], counts, 300)))\n"
    )
    counts = Counter(word for review in german(500, 0) for word in review.text.split())
    counts |= Counter(review.text[:12] for review in chinese(500, 0))
    counts |= Counter({chr(0x4E00 + number): 1 for number in range(500)})  # equally frequent
    results = set()
    for number, threads in enumerate("14"):
        words = sorted(counts, key=lambda word: hash((number, word)))
        environment = {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": str(number)}
        process = subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps({word: counts[word] for word in words}).encode(),
            env=os.environ | environment,
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        results.add(process.stdout)
    assert len(results) == 1
    words, merges = json.loads(results.pop())
    assert len(words) == 300
    assert len(merges) > 100


@pytest.mark.parametrize(
    ("merges", "reason"),
    [
        ([("a", "z")], "subword 'z' of the merge 'a' + 'z' is not in the vocabulary"),
        ([("b", "a")], "subword 'ba' of the merge 'b' + 'a' is not in the vocabulary"),
        ([("a", "b"), ("a", "b")], "the merge 'a' + 'b' occurs twice"),
        ([(UNK, "a")], f"subword '{UNK}' of the merge '{UNK}' + 'a' is not in the vocabulary"),
        ([("<un", "k>")], f"subword '{UNK}' of the merge '<un' + 'k>' is not in the vocabulary"),
    ],
)
def test_merges_that_do_not_fit_the_vocabulary_are_refused(
    merges: list[Merge], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason.replace("+", r"\+")):
        Vocabulary([*SPECIALS, "a", "b", "ab", "<un", "k>", "<unk>a"], merges)


def test_a_vocabulary_of_words_splits_nothing() -> None:
    vocabulary = Vocabulary([*SPECIALS, "film"])
    assert vocabulary.tokens_of(["film", "▁film", UNK]) == ["film", "▁film", UNK]
    assert vocabulary.spelling(["▁film"]) == "▁film"
    assert vocabulary.whole_words == vocabulary.words


def test_whole_words_and_spellings() -> None:
    vocabulary = Vocabulary([*SPECIALS, MARK, "a", "b", "▁a"], [(MARK, "a")])
    assert vocabulary.tokens_of(["ab", UNK, "b"]) == ["▁a", "b", UNK, MARK, "b"]
    assert vocabulary.encode(vocabulary.tokens_of(["ab", "az"])).tolist() == [5, 4, 5, 1]
    assert vocabulary.whole_words == ["", "", "", "", "", "a"]
    assert vocabulary.spelling(["▁a", "b"]) == "ab"
    assert vocabulary.spelling(["b"]) == "b"
