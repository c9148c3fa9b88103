r"""The markup of paragraphs, lists and cells -> Markdown or HTML.

The parts are `code`, **strong** and [links](page.md) to other pages of the documentation, and a
backslash makes the next character literal. All other text is shown as it is: `plain` puts names and
other text from files into a paragraph.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from markupsafe import Markup, escape

from lstm_sentiment.display import markdown_text, printable

SPECIAL = re.compile(r"[\\`*\[\]]")
PART = re.compile(
    r"\*\*(?P<strong>(?:[^`*\\]|\\.|`(?:[^`*\\]|\\.)+`)+)\*\*"
    r"|`(?P<code>(?:[^`*\\]|\\.)+)`"
    # A target is a file: it has no scheme, so it cannot be javascript: or another site.
    r"|\[(?P<label>(?:[^`*\[\]\\]|\\.)+)\]\((?P<target>(?:\.\./)*(?:[\w-]+/)*[\w-]+(?:\.\w+)?)\)"
    r"|\\(?P<literal>[\\`*\[\]])"
)


class Form(NamedTuple):
    """The functions that write each kind of part; `strong` and `link` get written text."""

    plain: Callable[[str], str]
    code: Callable[[str], str]
    strong: Callable[[str], str]
    link: Callable[[str, str], str]


def plain(text: str) -> str:
    """Return the markup that shows a text literally."""
    return SPECIAL.sub(r"\\\g<0>", text)


def as_markdown(text: str) -> str:
    """Return the markup as Markdown; anything else is literal."""
    return _written(text, MARKDOWN_FORM)


def as_html(text: str) -> Markup:
    """Return the markup as HTML; anything else is literal."""
    return Markup(_written(text, HTML_FORM))


def _written(text: str, form: Form) -> str:
    parts, end = [], 0
    for match in PART.finditer(text):
        parts.append(form.plain(text[end : match.start()]))
        parts.append(_written_part(match, form))
        end = match.end()
    return "".join([*parts, form.plain(text[end:])])


def _written_part(match: re.Match[str], form: Form) -> str:
    content = match[match.lastgroup or 0]
    if match["strong"]:
        return form.strong(_written(content, form))
    if match["code"]:
        return form.code(re.sub(r"\\([\\`*\[\]])", r"\1", content))
    if match["target"]:
        return form.link(_written(match["label"], form), match["target"])
    return form.plain(content)


def _markdown_code(text: str) -> str:
    if re.search(r"[\\`|]|^\s|\s$", text):  # would end the code, or a table's cell
        return f"<code>{markdown_text(text).replace('|', '&#124;')}</code>"
    return f"`{printable(text)}`"


MARKDOWN_FORM = Form(markdown_text, _markdown_code, "**{}**".format, "[{}]({})".format)
HTML_FORM = Form(
    escape,
    Markup("<code>{}</code>").format,
    "<strong>{}</strong>".format,
    '<a href="{1}">{0}</a>'.format,
)
