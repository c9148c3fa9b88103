"""The markup of paragraphs and cells as Markdown and HTML, and names that must not form any."""

import pytest
from markdown_it import MarkdownIt

from lstm_sentiment.report.markup import as_html, as_markdown, plain

PARTS = "Use `a_b`, **the `c` one** or [how](../docs/statistics.md) \\`d\\` 2 * 3."


def test_the_parts_of_a_text() -> None:
    assert as_markdown(PARTS) == (
        "Use `a_b`, **the `c` one** or [how](../docs/statistics.md) &#96;d&#96; 2 &#42; 3."
    )
    assert as_html(PARTS) == (
        "Use <code>a_b</code>, <strong>the <code>c</code> one</strong> or "
        '<a href="../docs/statistics.md">how</a> `d` 2 * 3.'
    )


def test_text_is_escaped_before_it_is_formatted() -> None:
    assert as_html("**<b>** `&`") == "<strong>&lt;b&gt;</strong> <code>&amp;</code>"


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "http://a.example", "//a.example", "a b"]
)
def test_a_link_leads_to_a_page_only(target: str) -> None:
    text = f"[x]({target})"
    assert as_html(text) == text
    assert as_markdown(text).startswith("&#91;x&#93;(")


def test_code_keeps_any_name() -> None:
    text = f"`{plain('a`b|c')}`"
    assert as_html(text) == "<code>a`b|c</code>"
    assert as_markdown(text) == "<code>a&#96;b&#124;c</code>"


@pytest.mark.parametrize(
    "text",
    [
        "# a", "- a", "+ a", "1. a", "2) a", "---", "===", "~~~ a", "> a", "***", "_a_",
        "a\\", "`", "| a |", "    a", "![a](b.png)", "[a]: http://b.example", "<!-- a", "&#106;",
        "a\n\n# b", "**a", "[a][b]", "__a__", "*",
    ],
)  # fmt: skip
def test_plain_text_forms_no_markup(text: str) -> None:
    shown = " ".join(text.split())
    for before in ("", "With ", "- "):
        tokens = MarkdownIt("commonmark").enable("table").parse(before + as_markdown(plain(text)))
        leaves = [leaf for token in tokens for leaf in token.children or []]
        assert {token.type for token in tokens} <= {
            "paragraph_open", "inline", "paragraph_close", "bullet_list_open", "list_item_open",
            "list_item_close", "bullet_list_close",
        }  # fmt: skip
        assert {leaf.type for leaf in leaves} <= {"text", "html_inline"}
        written = "".join(leaf.content for leaf in leaves if leaf.type == "text")
        assert " ".join(written.split()) == f"{before.removeprefix('- ')}{shown}"
    assert as_html(plain(text)).unescape() == text
