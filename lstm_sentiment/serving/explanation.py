"""Why a network says what it says: the text in colours, for a terminal and as a page."""

from html import escape

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lstm_sentiment.data.tokens import printable
from lstm_sentiment.serving.predictor import Explanation

POSITIVE, NEGATIVE = (0, 122, 61), (178, 34, 34)  # of the ground at the largest contribution
NAMED = 8  # tokens listed for each side

STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.9 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
.token { padding: .1em .15em; border-radius: .2em; }
.unknown { text-decoration: underline dotted; }
.note { opacity: .75; font-size: .9rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0 .8rem 0 0; line-height: 1.5; text-align: right; }
th:first-child, td:first-child { text-align: left; }
"""


def said(explanation: Explanation) -> str:
    found = explanation.prediction
    return f"{found.label}: probability of positive {found.probability:.4f}"


def sums(explanation: Explanation) -> str:
    """What contributions add up to, in a sentence."""
    a = explanation.attribution
    total = sum(a.contributions)
    sentence = (
        f"The tokens add {total:+.3f} to the {a.baseline:+.3f} of a review that says nothing: "
        f"a logit of {a.logit:+.3f}"
    )
    return sentence + (f", but for {a.gap:+.3f} of integration." if abs(a.gap) >= 0.0005 else ".")


def remarks(explanation: Explanation) -> str:
    """On tokens that the network does not see as they are."""
    parts = []
    if unknown := explanation.known.count(False):
        parts.append(f"{unknown} of {len(explanation.tokens)} tokens are unknown (underlined).")
    if explanation.unread:
        parts.append(f"{explanation.unread:,} more are cut off and not read.")
    return " ".join(parts)


def strengths(explanation: Explanation) -> list[float]:
    """From -1 to 1, relative to the token that contributes most."""
    weights = explanation.attribution.contributions
    largest = max(map(abs, weights), default=0) or 1
    return [weight / largest for weight in weights]


def strongest(explanation: Explanation) -> list[tuple[str, float, float | None]]:
    """Tokens, what they contribute and their attention: those that matter most, the first first."""
    attention = explanation.attribution.attention or [None] * len(explanation.tokens)
    rows = list(zip(explanation.tokens, explanation.attribution.contributions, attention,
                    strict=True))  # fmt: skip
    return sorted(rows, key=lambda row: -abs(row[1]))[: 2 * NAMED]


def coloured(explanation: Explanation) -> RenderableType:
    """For a terminal: green speaks for positive, and red against it."""
    text = Text()
    for token, known, strength in zip(
        explanation.tokens, explanation.known, strengths(explanation), strict=True
    ):
        # On black: the stronger, the lighter.
        ground = tuple(int(abs(strength) * part) for part in _colour(strength))
        style = f"white on rgb({','.join(map(str, ground))})" + ("" if known else " underline")
        text.append(printable(token), style).append(" ")
    grid = Table("token", box=None, header_style="bold")
    grid.add_column("adds", justify="right")
    attended = explanation.attribution.attention is not None
    if attended:
        grid.add_column("attention", justify="right")
    for token, weight, attention in strongest(explanation):
        cells = [f"{attention:.1%}"] if attention is not None else []
        grid.add_row(Text(printable(token)), f"{weight:+.3f}", *cells)
    notes = "\n".join(note for note in (sums(explanation), remarks(explanation)) if note)
    return Group(Text(said(explanation), "bold"), text, Text(), grid, Text(), Text(notes))


def page(explanation: Explanation) -> str:
    """A page that needs nothing else."""
    spans = []
    attention = explanation.attribution.attention or [None] * len(explanation.tokens)
    for token, known, weight, strength, attended in zip(
        explanation.tokens,
        explanation.known,
        explanation.attribution.contributions,
        strengths(explanation),
        attention,
        strict=True,
    ):
        r, g, b = _colour(strength)
        title = f"adds {weight:+.3f}" + (f", attention {attended:.1%}" if attended else "")
        spans.append(
            f'<span class="token{"" if known else " unknown"}" title="{title}" '
            f'style="background:rgba({r},{g},{b},{0.75 * abs(strength):.2f})">'
            f"{_html(token)}</span>"
        )
    rows = "".join(
        f"<tr><td>{_html(token)}</td><td>{weight:+.3f}</td>"
        + (f"<td>{attended:.1%}</td>" if attended is not None else "")
        + "</tr>\n"
        for token, weight, attended in strongest(explanation)
    )
    head = "<th>token</th><th>adds</th>"
    head += "<th>attention</th>" if explanation.attribution.attention else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{said(explanation)}</title><style>{STYLE}</style></head>\n"
        f"<body>\n<h1>{said(explanation)}</h1>\n<p>{' '.join(spans)}</p>\n"
        '<p class="note">Green speaks for positive, red against it: what each token adds to the '
        "logit (integrated gradients). "
        f"{escape(sums(explanation))} {escape(remarks(explanation))}</p>\n"
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>\n</body></html>\n"
    )


def _html(token: str) -> str:
    return escape(printable(token))


def _colour(strength: float) -> tuple[int, int, int]:
    return POSITIVE if strength > 0 else NEGATIVE
