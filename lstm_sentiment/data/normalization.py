"""text -> the same text in one spelling, so that its spelling does not change a prediction.

The rules are those of ftfy (Speer 2019) that matter for reviews: Unicode's compatibility form,
plain quotation marks, characters instead of HTML's references, no invisible characters, and no
control characters left by the encoding cp1252. In addition, tags become spaces and dashes hyphens.
"""

import re
import unicodedata
from html import unescape

# A pass may reveal work for the next: `&amp;lt;br&amp;gt;` is a tag that was escaped twice. The
# number of passes is bounded, so that the time is linear in the length of any text.
MAX_PASSES = 8

# Other words in angle brackets, such as <spoiler>, were written by the author.
_ELEMENTS = (
    "a abbr b big blockquote body br center cite code dd del div dl dt em font h1 h2 h3 h4 h5 h6 "
    "hr html i img ins li ol p pre q s small span strike strong sub sup table tbody td th thead tr "
    "tt u ul"
)
# Adjacent parts of the pattern cannot match the same spaces, so matching takes linear time.
_TAG = re.compile(rf"<\s*(?:/\s*)?(?i:{_ELEMENTS.replace(' ', '|')})(?=[\s/>])[^<>]*>")
# With its semicolon, since `&copy` may be a part of an address.
_REFERENCE = re.compile(r"&#?[0-9A-Za-z]{1,31};")
_PLAIN = {
    "'": "\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u02bc\u00b4",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "-": "\u2010\u2011\u2012\u2013\u2212",
    "--": "\u2014\u2015",
}
_SPELLINGS = {typed: plain for plain, others in _PLAIN.items() for typed in others}
_CP1252 = {chr(code): bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
_REPLACED = _SPELLINGS | {left: _SPELLINGS.get(meant, meant) for left, meant in _CP1252.items()}
# Soft hyphens, zero-width and directional marks, and variation selectors.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufe00-\ufe0f\ufeff"
)
_CHARACTERS = re.compile(f"[{''.join(_REPLACED)}{_INVISIBLE}]")


def normalize(text: str) -> str:
    """Return the text in its normal spelling; normalizing it again does not change it.

    >>> normalize("Don’t … <i>miss</i>&#160;it&amp;#33;")
    "Don't ...  miss  it!"
    """
    for _ in range(MAX_PASSES):
        before, text = text, _normalize_once(text)
        if text == before:
            break
    return text


def _normalize_once(text: str) -> str:
    if not text.isascii():  # most reviews are, and this takes ten times as long as the rest
        text = _CHARACTERS.sub(lambda character: _REPLACED.get(character[0], ""), text)
        text = unicodedata.normalize("NFKC", text)
    text = _REFERENCE.sub(lambda reference: unescape(reference[0]), text.replace("`", "'"))
    return _TAG.sub(" ", text)
