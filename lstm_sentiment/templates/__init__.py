"""The Jinja2 templates of HTML pages."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


def inline(text: str) -> Markup:
    """Return the text as escaped HTML, in which `code` and **strong** become elements."""
    html = re.sub(r"`([^`*]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^`*]+)\*\*", r"<strong>\1</strong>", html))


_environment = Environment(
    loader=PackageLoader("lstm_sentiment"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_environment.filters["inline"] = inline


def render(name: str, **values: Any) -> str:
    """Return the HTML page of a template with these values.

    Values are escaped unless they are `Markup`. Raises UndefinedError if a value is missing.
    """
    return _environment.get_template(name).render(**values)
