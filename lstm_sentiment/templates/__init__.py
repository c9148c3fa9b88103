"""The Jinja2 templates of HTML pages."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lstm_sentiment.display import printable


def _finalized(value: Any) -> Any:
    """Return a value of a page without control characters; `Markup` stays markup."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return Markup(text) if isinstance(value, Markup) else text


_environment = Environment(
    loader=PackageLoader("lstm_sentiment"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_finalized,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(name: str, **values: Any) -> str:
    """Return the HTML page of a template with these values.

    Values are escaped unless they are `Markup`. Raises UndefinedError if a value is missing.
    """
    return _environment.get_template(name).render(**values)
