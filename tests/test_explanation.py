"""How an explanation looks: nothing of the text acts on a terminal or a page."""

import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from lstm_sentiment.serving.attribution import Attribution
from lstm_sentiment.serving.explanation import coloured, page, strengths, strongest
from lstm_sentiment.serving.predictor import Explanation

TOKENS = ("a", "<b>dull", "[red]plot", "great")


def explanation(attention: bool = False, unread: int = 0, known: bool = True) -> Explanation:
    weights = (0.0, -1.0, 0.25, 0.5)
    shares = (0.1, 0.2, 0.3, 0.4) if attention else None
    found = Attribution(-0.15, 0.1, weights, shares, gap=0.0)
    return Explanation(TOKENS, (True, True, True, known), unread, found)


def printed(found: Explanation, colours: bool = False) -> str:
    stream = io.StringIO()
    system = "truecolor" if colours else None
    Console(file=stream, color_system=system, width=120).print(coloured(found))
    return stream.getvalue()


class Spans(HTMLParser):
    """The tokens of a page, each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.spans: list[tuple[str, dict[str, str]]] = []
        self.open: dict[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open = {name: value or "" for name, value in attrs} if tag == "span" else None

    def handle_data(self, data: str) -> None:
        if self.open is not None:
            self.spans.append((data, self.open))
            self.open = None


def test_strength_is_relative_to_the_largest() -> None:
    assert strengths(explanation()) == [0, -1, 0.25, 0.5]
    nothing = Attribution(0.1, 0.1, (0.0,), None, 0.0)
    assert strengths(Explanation(("a",), (True,), 0, nothing)) == [0]


def test_the_strongest_come_first() -> None:
    assert [token for token, *_ in strongest(explanation())] == [
        "<b>dull",
        "great",
        "[red]plot",
        "a",
    ]


def test_a_terminal_shows_all_tokens_in_colours() -> None:
    text = printed(explanation(), colours=True)
    red, green = "48;2;178;34;34m<b>dull", "48;2;0;61;30mgreat"
    assert red in text
    assert green in text
    assert "48;2;0;0;0ma" in text


def test_without_colours_the_figures_tell() -> None:
    text = printed(explanation(attention=True))
    assert "negative: probability of positive 0.4626" in text
    assert "\x1b" not in text
    assert "a <b>dull [red]plot great" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["token", "adds", "attention"] in lines
    assert ["<b>dull", "-1.000", "20.0%"] in lines
    assert "The tokens add -0.250 to the +0.100 of a review that says nothing" in text
    assert "a logit of -0.150." in text


@pytest.mark.parametrize(
    ("unread", "known", "remark"),
    [
        (0, True, None),
        (0, False, "1 of 4 tokens are unknown (underlined)."),
        (1200, True, "1,200 more are cut off and not read."),
    ],
)
def test_what_a_network_does_not_see_is_said(unread: int, known: bool, remark: str | None) -> None:
    found = explanation(unread=unread, known=known)
    for text in (printed(found), page(found)):
        assert ("unknown (" in text, "cut off" in text) == (not known, unread > 0)
        assert remark is None or remark in text


def test_a_page_shows_tokens_and_runs_none() -> None:
    found = Spans(page(explanation(attention=True, known=False)))
    assert [text for text, _ in found.spans] == list(TOKENS)
    assert "b" not in found.tags
    assert "script" not in found.tags
    dull, great = found.spans[1][1], found.spans[3][1]
    assert dull["style"] == "background:rgba(178,34,34,0.75)"
    assert dull["title"] == "adds -1.000, attention 20.0%"
    assert great["style"] == "background:rgba(0,122,61,0.38)"
    assert great["class"] == "token unknown"


def test_a_lone_surrogate_is_shown() -> None:
    found = Attribution(0.1, 0.1, (0.5,), None, 0.0)
    odd = Explanation(("\ud800",), (True,), 0, found)
    assert printed(odd).encode()
    assert page(odd).encode()
