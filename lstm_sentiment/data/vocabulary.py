"""The vocabulary, which maps tokens to ids."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from lstm_sentiment.data.subwords import MARK, Merge, SubwordEncoder, learn_subwords
from lstm_sentiment.data.tokenizer import PAD, SPECIALS, UNK

__all__ = ["PAD", "PAD_ID", "SPECIALS", "UNK_ID", "Vocabulary"]

PAD_ID, UNK_ID = 0, 1


class Vocabulary:
    """The tokens that a network knows, by id: `<pad>` is 0, `<unk>` is 1, then the others.

    Tokens are words by frequency or, with `merges`, subwords in the order in which they were
    learned. A literal `<pad>` or `<unk>` in a review is treated as an unknown word. Raises
    ValueError if the words are no vocabulary, or the merges do not fit them.
    """

    def __init__(self, words: Sequence[str], merges: Sequence[Merge] | None = None) -> None:
        if tuple(words[:2]) != SPECIALS or len(set(words)) != len(words):
            raise ValueError(f"a vocabulary must start with {SPECIALS} and list each word once")
        self.words = list(words)
        self.merges = None if merges is None else list(merges)
        self._ids = {word: id for id, word in enumerate(words) if word not in SPECIALS}
        self._encoder = None if merges is None else SubwordEncoder(words, merges)

    def __reduce__(self) -> tuple[type["Vocabulary"], tuple[list[str], list[Merge] | None]]:
        """Pickle and copy the words and merges, since pickles of the encoder depend on versions."""
        return Vocabulary, (self.words, self.merges)

    @classmethod
    def most_frequent(cls, words: Sequence[str], counts: np.ndarray, size: int) -> "Vocabulary":
        """Return a vocabulary of the `size` most frequent words, special tokens included.

        `words` must be sorted by spelling, which breaks ties; `counts` (W,) are their frequencies.
        """
        by_count = np.argsort(-counts, kind="stable")
        ranked = (words[number] for number in by_count if counts[number] > 0)
        real = (word for word in ranked if word not in SPECIALS)
        return cls([*SPECIALS, *islice(real, size - len(SPECIALS))])

    @classmethod
    def of_subwords(cls, words: Sequence[str], counts: np.ndarray, size: int) -> "Vocabulary":
        """Return a vocabulary of at most `size` subwords of these words, special tokens included.

        `counts` (W,) are the frequencies of the words.
        """
        learned = learn_subwords(words, counts, size - len(SPECIALS))
        return cls([*SPECIALS, *learned.words], learned.merges)

    @property
    def whole_words(self) -> list[str]:
        """The word of each id, (V,): "" for subwords that are no whole word."""
        if self.merges is None:
            return self.words
        return [word[len(MARK) :] if word.startswith(MARK) else "" for word in self.words]

    def subwords(self, word: str) -> list[str]:
        """Return the tokens of a word: its subwords or, without merges, the word itself."""
        return [word] if self._encoder is None or word == UNK else self._encoder.split(word)

    def spelling(self, subwords: Iterable[str]) -> str:
        """Return the word, or the part of a word, that consists of these tokens."""
        joined = "".join(subwords)
        return joined if self.merges is None else joined.removeprefix(MARK)

    def tokens_of(self, words: Iterable[str]) -> list[str]:
        """Return the tokens of these words."""
        if self._encoder is None:
            return [*words]
        return [token for word in words for token in self.subwords(word)]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def id(self, word: str) -> int:
        """Return the word's id, or that of `<unk>`."""
        return self._ids.get(word, UNK_ID)

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """Return the tokens' ids, (T,) int32."""
        find = self._ids.get
        return np.array([find(token, UNK_ID) for token in tokens], np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of these ids."""
        return [self.words[id] for id in ids]
