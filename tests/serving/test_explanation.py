"""The sentences and the page of an explanation; the text is never interpreted as HTML."""

from html.parser import HTMLParser

import pytest

from lstm_sentiment.serving.attribution import Attribution
from lstm_sentiment.serving.explanation import (
    decomposition,
    headline,
    page,
    relative_contributions,
    strongest_tokens,
    token_notes,
)
from lstm_sentiment.serving.predictor import Explanation
from tests.support.explanations import PREDICTION, TOKENS, explanation


class Page(HTMLParser):
    """The tags of a page, and its tokens with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.tokens: list[tuple[str, dict[str, str]]] = []
        self.token: dict[str, str] | None = None  # attributes of the token that is open
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.token = {name: value or "" for name, value in attrs} if tag == "span" else None

    def handle_data(self, data: str) -> None:
        if self.token is not None:
            self.tokens.append((data, self.token))
            self.token = None


def test_contributions_are_scaled_by_the_largest() -> None:
    assert relative_contributions(explanation()) == [0, -1, 0.25, 0.5]
    zero = Attribution(0.1, 0.1, (0.0,), None, 0.0)
    assert relative_contributions(Explanation(("a",), (True,), 0, zero, PREDICTION)) == [0]


def test_the_strongest_tokens_come_first() -> None:
    tokens = [token for token, *_ in strongest_tokens(explanation())]
    assert tokens == ["<b>dull", "great", "[red]plot", "a"]


def test_the_headline_names_class_and_probability() -> None:
    assert headline(explanation()) == "negative: probability of positive 0.4626"


@pytest.mark.parametrize("gap", [0.0, -0.003])
def test_the_logit_is_decomposed(gap: float) -> None:
    equation = decomposition(explanation(gap=gap))
    parts = ["-0.150 = ", "baseline +0.100", "contributions -0.250", "error -0.003"]
    assert [part in equation for part in parts] == [True, True, True, gap != 0]


@pytest.mark.parametrize(
    ("unread", "known", "numbers"), [(0, True, []), (0, False, ["1 of 4"]), (1200, True, ["1,200"])]
)
def test_unknown_and_truncated_tokens_are_counted(
    unread: int, known: bool, numbers: list[str]
) -> None:
    notes = token_notes(explanation(unread=unread, known=known))
    assert ("unknown" in notes, "cut off" in notes) == (not known, unread > 0)
    assert all(number in notes for number in numbers)
    assert notes in page(explanation(unread=unread, known=known))


def test_the_page_escapes_the_tokens() -> None:
    html = Page(page(explanation(attention=True, known=False)))
    assert [text for text, _ in html.tokens] == list(TOKENS)
    assert "b" not in html.tags
    assert "script" not in html.tags
    dull, great = html.tokens[1][1], html.tokens[3][1]
    assert dull["style"] == "background:rgba(178,34,34,0.75)"
    assert "-1.000" in dull["title"]
    assert "attention 20.0%" in dull["title"]
    assert great["style"] == "background:rgba(0,122,61,0.38)"
    assert great["class"] == "token unknown"


def test_a_lone_surrogate_can_be_written() -> None:
    attribution = Attribution(0.1, 0.1, (0.5,), None, 0.0)
    assert page(Explanation(("\ud800",), (True,), 0, attribution, PREDICTION)).encode()
