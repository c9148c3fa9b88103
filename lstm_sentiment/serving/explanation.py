"""explanation -> sentences, colours and the HTML page; the terminal shows the same sentences."""

from lstm_sentiment.display import counted, shortened
from lstm_sentiment.labels import NEGATIVE, POSITIVE
from lstm_sentiment.serving.predictor import Explanation
from lstm_sentiment.templates import render

# Background of the token with the largest contribution, (red, green, blue) from 0 to 255.
TOWARDS_COLOUR, AWAY_COLOUR = (0, 122, 61), (178, 34, 34)
TOKENS_LISTED = 16  # in the table


def headline(explanation: Explanation) -> str:
    """Return the predicted class and its probability; of two classes, that of the second one.

    If another one of more than two classes is explained, its probability follows.
    """
    prediction, names = explanation.prediction, _names(explanation)
    predicted = shortened(prediction.label)
    if len(names) == 2:
        return f"{predicted}: probability of {names[POSITIVE]} {prediction.probability:.4f}"
    text = f"{predicted}: probability {prediction.probability:.4f}"
    if explanation.classes.names[explanation.label] != prediction.label:
        probability = prediction.probabilities[explanation.label]
        text += f", of {names[explanation.label]} {probability:.4f}"
    return text


def legend(explanation: Explanation) -> str:
    """Return what green and red tokens mean."""
    names, label = _names(explanation), explanation.label
    if len(names) > 2:
        return f"Green tokens favour {names[label]}, red ones the other classes."
    other = names[NEGATIVE if label == POSITIVE else POSITIVE]
    return f"Green tokens favour {names[label]}, red ones {other}."


def decomposition(explanation: Explanation) -> str:
    """Return the equation of the logit as the sum of the baseline and all contributions."""
    attribution, names = explanation.attribution, _names(explanation)
    # The logit of two classes is that of the second one.
    is_usual = len(names) == 2 and explanation.label == POSITIVE
    logit = "Logit" if is_usual else f"Logit of {names[explanation.label]}"
    equation = (
        f"{logit} {attribution.logit:+.3f} = baseline {attribution.baseline:+.3f} "
        f"({attribution.method.baseline}) + contributions {sum(attribution.contributions):+.3f}"
    )
    if abs(attribution.gap) >= 0.0005:
        equation += f" + integration error {attribution.gap:+.3f}"
    return f"{equation}."


def _names(explanation: Explanation) -> list[str]:
    """Return the names of the classes as they are shown."""
    return [*map(shortened, explanation.classes.names)]


def token_notes(explanation: Explanation) -> str:
    """Return sentences on unknown and truncated tokens; "" if there are none."""
    notes = []
    if unknown := explanation.known.count(False):
        verb = "is" if unknown == 1 else "are"
        of_all = f"{unknown} of {counted(len(explanation.tokens), 'token')}"
        notes.append(f"{of_all} {verb} unknown (underlined).")
    if explanation.unread:
        tokens = counted(explanation.unread, "more token", "was", "were")
        notes.append(f"{tokens} cut off and not read.")
    return " ".join(notes)


def relative_contributions(explanation: Explanation) -> list[float]:
    """Return the contributions divided by the largest absolute contribution."""
    contributions = explanation.attribution.contributions
    largest = max(map(abs, contributions), default=0) or 1
    return [contribution / largest for contribution in contributions]


def strongest_tokens(explanation: Explanation) -> list[tuple[str, float, float | None]]:
    """Return the tokens with the largest contributions: token, contribution and attention.

    The attention is None if the head has none.
    """
    attention = explanation.attribution.attention or [None] * len(explanation.tokens)
    rows = list(zip(explanation.tokens, explanation.attribution.contributions, attention,
                    strict=True))  # fmt: skip
    return sorted(rows, key=lambda row: -abs(row[1]))[:TOKENS_LISTED]


def colour(contribution: float) -> tuple[int, int, int]:
    """Return the colour for the sign of a contribution, (red, green, blue)."""
    return TOWARDS_COLOUR if contribution > 0 else AWAY_COLOUR


def page(explanation: Explanation) -> str:
    """Return the explanation as an HTML page that needs no other file."""
    attribution = explanation.attribution
    attention = attribution.attention or [None] * len(explanation.tokens)
    tokens = [
        {
            "text": token,
            "known": known,
            "contribution": contribution,
            "attention": share,
            "colour": colour(relative),
            "opacity": 0.75 * abs(relative),
        }
        for token, known, contribution, share, relative in zip(
            explanation.tokens, explanation.known, attribution.contributions, attention,
            relative_contributions(explanation), strict=True,
        )
    ]  # fmt: skip
    return render(
        "explanation.html",
        title=headline(explanation),
        legend=legend(explanation),
        tokens=tokens,
        attention=attribution.attention is not None,
        strongest=strongest_tokens(explanation),
        method=attribution.method.sentence,
        notes=f"{decomposition(explanation)} {token_notes(explanation)}",
    )
