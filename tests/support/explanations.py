"""An explanation with chosen contributions, whose tokens look like HTML and Rich markup."""

from lstm_sentiment.serving.attribution import Attribution
from lstm_sentiment.serving.predictor import Explanation, Prediction

TOKENS = ("a", "<b>dull", "[red]plot", "great")
PREDICTION = Prediction("negative", 0.4626, None, (0.5374, 0.4626))


def explanation(
    attention: bool = False, unread: int = 0, known: bool = True, gap: float = 0.0
) -> Explanation:
    """Return an explanation of `TOKENS`; `known` is whether the vocabulary has the last one."""
    weights = (0.1, 0.2, 0.3, 0.4) if attention else None
    attribution = Attribution(-0.15, 0.1, (0.0, -1.0, 0.25, 0.5), weights, gap)
    return Explanation(TOKENS, (True, True, True, known), unread, attribution, PREDICTION)
