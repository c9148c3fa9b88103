"""The tokenizer. This is the only module that imports torchtext."""

import re

from torchtext.data.utils import get_tokenizer

# Part of the key of cached reviews: raise the number if `tokenize` changes.
TOKENIZER = "basic_english-1"
UNK = "<unk>"

# Adjacent parts of the pattern cannot match the same spaces, so matching takes linear time.
_HTML_BREAK = re.compile(r"<\s*(?:/\s*)?br\s*(?:/\s*)?>", re.IGNORECASE)
_basic_english = get_tokenizer("basic_english")


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words and punctuation.

    Uses torchtext's `basic_english` tokenizer after replacing HTML line breaks by spaces.

    >>> tokenize("Not bad.<BR/>Isn't it?")
    ['not', 'bad', '.', 'isn', "'", 't', 'it', '?']

    A text without tokens becomes a single `<unk>`, so that every review has at least one token.
    """
    return _basic_english(_HTML_BREAK.sub(" ", text)) or [UNK]
