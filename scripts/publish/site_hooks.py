"""mkdocs hooks: a page on the site has no links to files of the repository outside docs/."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each link out of docs/ by its text, because the site contains only docs/."""
    return OUTSIDE.sub(_text, markdown)


def _text(link: re.Match[str]) -> str:
    text, target = link.groups()
    if not (ROOT / "docs" / target).exists():
        raise ValueError(f"{target} does not exist, but a page links to it.")
    return text
