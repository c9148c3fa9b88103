"""Subwords: byte-pair encoding (Sennrich et al. 2016), learned and applied with `tokenizers`.

The start of a word is marked by `▁` as in SentencePiece, so the subwords of a text still tell where
its words begin.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import BpeTrainer

from lstm_sentiment.data.tokenizer import LONE_SURROGATE, SPECIALS, UNK

MARK = "▁"
MIN_COUNT = 2  # occurrences of a pair that is merged
REPEATED = 10_000  # occurrences of a word that are given to the trainer at once

Merge = tuple[str, str]  # two subwords that become one


class Subwords(NamedTuple):
    """The subwords of a corpus: single characters by spelling, then the results of the merges."""

    words: list[str]
    merges: list[Merge]  # in the order in which they are applied


def learn_subwords(words: Sequence[str], counts: np.ndarray, size: int) -> Subwords:
    """Learn at most `size` subwords from words with their frequencies, `counts` (W,).

    At most half of the subwords are single characters, the most frequent ones. The result depends
    on the words and their frequencies only, and not on their order.
    """
    alphabet = _alphabet(words, counts, max(1, size // 2))
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = WhitespaceSplit()
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=MIN_COUNT,
        # The trainer's own choice between equally frequent characters is random.
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(words, counts, alphabet), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    learned = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return Subwords(learned, [(left, right) for left, right in model["merges"]])


def _alphabet(words: Sequence[str], counts: np.ndarray, size: int) -> list[str]:
    """Return the mark and the most frequent characters, sorted; spelling breaks ties."""
    occurrences: Counter[str] = Counter()
    for word, count in zip(words, counts.tolist(), strict=True):
        if count and word != UNK:
            for character in word:
                occurrences[character] += count
    del occurrences[MARK]
    ranked = sorted(occurrences, key=lambda character: (-occurrences[character], character))
    return sorted([MARK, *ranked[: size - 1]])


def _texts(words: Sequence[str], counts: np.ndarray, alphabet: Sequence[str]) -> Iterator[str]:
    """Yield each word as often as it occurs, as texts of words between spaces.

    The trainer would join the neighbours of a character that is not in the alphabet. Words are
    therefore divided at such characters.
    """
    unknown = re.compile(f"[^{re.escape(''.join(alphabet))}]+")
    for word, count in zip(words, counts.tolist(), strict=True):
        if count and word != UNK:
            text = unknown.sub(" ", MARK + word) + " "
            for start in range(0, count, REPEATED):
                yield text * min(REPEATED, count - start)


class SubwordEncoder:
    """Splits words into the subwords of a vocabulary, by the merges in their order.

    Raises ValueError if the merges do not fit the vocabulary, which must contain `<unk>`.
    """

    def __init__(self, words: Sequence[str], merges: Sequence[Merge]) -> None:
        ids = {word: id for id, word in enumerate(words)}
        _check(ids, merges)
        self._model = BPE(ids, list(merges), unk_token=UNK)

    def split(self, word: str) -> list[str]:
        """Return the subwords, which joined are the mark and the word.

        Each unknown character is a subword of its own.
        """
        marked = (MARK + word).encode()
        spans = (token.offsets for token in self._model.tokenize(MARK + word))  # in bytes
        return [marked[start:end].decode() for start, end in spans]


def _check(words: Collection[str], merges: Sequence[Merge]) -> None:
    """Raise ValueError unless all subwords of the merges are words, and no merge occurs twice.

    The words must be valid Unicode.
    """
    if (lone := next(filter(LONE_SURROGATE.search, words), None)) is not None:
        raise ValueError(f"the vocabulary has half a surrogate pair ({lone[:60]!r})")
    known = set[Merge]()
    for left, right in merges:
        for subword in (left, right, left + right):
            if subword not in words or subword in SPECIALS:
                raise ValueError(
                    f"the subword {subword[:60]!r} of the merge {left[:60]!r} + {right[:60]!r} is "
                    "not in the vocabulary"
                )
        if (left, right) in known:
            raise ValueError(f"the merge {left[:60]!r} + {right[:60]!r} occurs twice")
        known.add((left, right))
