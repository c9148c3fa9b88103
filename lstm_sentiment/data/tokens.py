"""review -> tokens -> ids. The only module that knows torchtext."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from torchtext.data.utils import get_tokenizer

PAD, UNK = "<pad>", "<unk>"
PAD_ID, UNK_ID = 0, 1
SPECIALS = (PAD, UNK)

# Raised when `tokenize` changes: it is part of the key under which tokenized reviews are kept.
TOKENIZER = "basic_english-1"

# No two neighbours that could share a space: a run of them must not be tried in every division.
_HTML_BREAK = re.compile(r"<\s*(?:/\s*)?br\s*(?:/\s*)?>", re.IGNORECASE)
_basic_english = get_tokenizer("basic_english")


def tokenize(text: str) -> list[str]:
    """Lower-case words and punctuation: torchtext's `basic_english`, HTML breaks taken out before.

    >>> tokenize("Not bad.<BR/>Isn't it?")
    ['not', 'bad', '.', 'isn', "'", 't', 'it', '?']

    A text without any token becomes one unknown word, so that every review has a length.
    """
    return _basic_english(_HTML_BREAK.sub(" ", text)) or [UNK]


def printable(text: str) -> str:
    """The text as it can be written anywhere: a lone surrogate becomes a question mark."""
    return text.encode(errors="replace").decode()


class Vocabulary:
    """The words a network knows, by id: `<pad>` is 0, `<unk>` is 1, then the most frequent first.

    A literal `<pad>` or `<unk>` in a review is an unknown word like any other.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if tuple(words[:2]) != SPECIALS or len(set(words)) != len(words):
            raise ValueError(f"a vocabulary starts with {SPECIALS} and names each word once")
        self.words = list(words)
        self._ids = {word: id for id, word in enumerate(words) if word not in SPECIALS}

    @classmethod
    def most_frequent(cls, words: Sequence[str], counts: np.ndarray, size: int) -> "Vocabulary":
        """The `size` most frequent words, specials included; ties are broken by spelling.

        `words` are sorted by spelling; `counts` (W,) says how often each of them occurs.
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
        return self._ids.get(word, UNK_ID)

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """(T,) int32"""
        return np.fromiter((self.id(token) for token in tokens), np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        return [self.words[id] for id in ids]
