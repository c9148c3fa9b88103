"""The tokenizer. This is the only module that imports torchtext."""

import re

from torchtext.data.utils import get_tokenizer

from lstm_sentiment.data.normalization import normalize

UNK = "<unk>"

# Adjacent parts of the pattern cannot match the same spaces, so matching takes linear time.
_HTML_BREAK = re.compile(r"<\s*(?:/\s*)?br\s*(?:/\s*)?>", re.IGNORECASE)
_basic_english = get_tokenizer("basic_english")


def tokenizer_key(preparation: int) -> str:
    """Return the part of a cache's key that stands for `tokenize`."""
    return f"basic_english-{preparation}"


def tokenize(text: str, preparation: int) -> list[str]:
    """Split a text into lower-case words and punctuation.

    Uses torchtext's `basic_english` tokenizer. `preparation` is `data.preparation` of the run:
    version 2 normalizes the text before, version 1 only replaces HTML line breaks by spaces.

    >>> tokenize("Not bad.<BR/>Isn’t it?", preparation=2)
    ['not', 'bad', '.', 'isn', "'", 't', 'it', '?']

    A text without tokens becomes a single `<unk>`, so that every review has at least one token.
    """
    plain = _HTML_BREAK.sub(" ", text) if preparation == 1 else normalize(text)
    return _basic_english(plain) or [UNK]
