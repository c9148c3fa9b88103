"""The vocabulary, which maps tokens to ids."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from lstm_sentiment.data.tokenizer import UNK

PAD = "<pad>"
PAD_ID, UNK_ID = 0, 1
SPECIALS = (PAD, UNK)


class Vocabulary:
    """The words that a network knows, by id: `<pad>` is 0, `<unk>` is 1, then by frequency.

    A literal `<pad>` or `<unk>` in a review is treated as an unknown word.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if tuple(words[:2]) != SPECIALS or len(set(words)) != len(words):
            raise ValueError(f"a vocabulary must start with {SPECIALS} and list each word once")
        self.words = list(words)
        self._ids = {word: id for id, word in enumerate(words) if word not in SPECIALS}

    @classmethod
    def most_frequent(cls, words: Sequence[str], counts: np.ndarray, size: int) -> "Vocabulary":
        """Return a vocabulary of the `size` most frequent words, special tokens included.

        `words` must be sorted by spelling, which breaks ties; `counts` (W,) are their frequencies.
        """
        by_count = np.argsort(-counts, kind="stable")
        ranked = (words[number] for number in by_count if counts[number] > 0)
        real = (word for word in ranked if word not in SPECIALS)
        return cls([*SPECIALS, *islice(real, size - len(SPECIALS))])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def id(self, word: str) -> int:
        """Return the word's id, or that of `<unk>`."""
        return self._ids.get(word, UNK_ID)

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """Return the tokens' ids, (T,) int32."""
        return np.fromiter((self.id(token) for token in tokens), np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of these ids."""
        return [self.words[id] for id in ids]
