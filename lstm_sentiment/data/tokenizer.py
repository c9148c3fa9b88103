"""The tokenizers."""

import re
import unicodedata

import regex

from lstm_sentiment.config import Tokenizer
from lstm_sentiment.data.normalization import normalize

PAD, UNK = "<pad>", "<unk>"
SPECIALS = (PAD, UNK)
MAX_RUN = 100  # characters; bounds the time to learn and to apply subwords

# Adjacent parts of the pattern cannot match the same spaces, so matching takes linear time.
_HTML_BREAK = re.compile(r"<\s*(?:/\s*)?br\s*(?:/\s*)?>", re.IGNORECASE)
# The characters that basic_english splits off, with spaces around them, or replaces by a space.
_BASIC_MARKS = {mark: f" {mark} " for mark in "'.,()!?"} | dict.fromkeys(";:", " ")

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_WORD_BOUNDARY = regex.compile(r"\b", regex.WORD | regex.VERSION1)
# To find a boundary, `regex` counts the regional indicators before it, which takes quadratic time
# in a long row of flags. Spaces between the flags, each a pair of indicators, prevent this.
_FLAG = regex.compile(r"\p{Regional_Indicator}{1,2}")
# Python's spaces: with four separators that are not white space in Unicode.
_RUN = regex.compile(rf"[\p{{L}}\p{{M}}\p{{N}}]{{1,{MAX_RUN}}}+|[^\s\x1c-\x1f]")
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]", regex.VERSION1
)


def tokenizer_key(tokenizer: Tokenizer, preparation: int) -> str:
    """Return the part of a cache's key that stands for `tokenize`."""
    return f"{tokenizer}-{preparation}"


def tokenize(
    text: str, preparation: int, tokenizer: Tokenizer = Tokenizer.basic_english
) -> list[str]:
    """Split a text into lower-case words and punctuation.

    `preparation` and `tokenizer` are fields of `data` in the configuration of a run. Version 2 of
    the preparation normalizes the text before; version 1, which only `basic_english` has, replaces
    HTML line breaks by spaces.

    - `basic_english` splits like the tokenizer of this name in torchtext.
    - `unicode` returns words of any script, with the word boundaries of Unicode (UAX #29).
      Punctuation marks, emoji, Han characters and the characters of other scripts without spaces
      are tokens of their own.
    - `bpe` returns the words that `Vocabulary.subwords` splits: runs of letters, marks and digits
      up to `MAX_RUN` characters, and other single characters.

    >>> tokenize("Not bad.<BR/>Isn’t it?", preparation=2)
    ['not', 'bad', '.', 'isn', "'", 't', 'it', '?']
    >>> tokenize("Isn’t „Groß“ 好看？", 2, Tokenizer.unicode)
    ["isn't", '"', 'gross', '"', '好', '看', '?']
    >>> tokenize("Isn’t „Groß“ 好看？", 2, Tokenizer.bpe)
    ['isn', "'", 't', '"', 'gross', '"', '好看', '?']

    A text without tokens becomes a single `<unk>`, so that every review has at least one token.
    """
    match tokenizer:
        case Tokenizer.basic_english:
            plain = _HTML_BREAK.sub(" ", text) if preparation == 1 else normalize(text)
            tokens = _basic_english(plain)
        case Tokenizer.unicode:
            segments = _WORD_BOUNDARY.split(_FLAG.sub(r" \g<0> ", fold(text)))
            tokens = [token for segment in segments if (token := segment.strip())]
        case Tokenizer.bpe:
            tokens = _RUN.findall(fold(text))
    return tokens or [UNK]


def _basic_english(text: str) -> list[str]:
    """Return the tokens of torchtext's tokenizer basic_english.

    torchtext also replaces `<br />`, after it has removed quotation marks and before semicolons.
    """
    plain = text.lower().replace('"', "").replace("<br />", " ")
    for mark, replacement in _BASIC_MARKS.items():  # four times as fast as str.translate
        plain = plain.replace(mark, replacement)
    return plain.split()


def fold(text: str) -> str:
    """Return the normalized text without differences of case; folding it again changes nothing.

    Half a surrogate pair becomes the replacement character U+FFFD.
    """
    folded = unicodedata.normalize("NFKC", normalize(text).casefold())
    return folded if folded.isascii() else LONE_SURROGATE.sub(_REPLACEMENT, folded)


def is_unspaced(word: str) -> bool:
    """Return whether a word has characters of a script without spaces, such as Han or Thai."""
    return not word.isascii() and _UNSPACED.search(word) is not None
