"""Predictions and explanations -> their answers."""

from typing import TYPE_CHECKING

from lstm_sentiment.labels import Classes
from lstm_sentiment.serving.http.schemas import ExplanationAnswer, PredictionAnswer, Token

if TYPE_CHECKING:
    from lstm_sentiment.serving.predictor import Explanation, Prediction


def prediction_answer(prediction: "Prediction", classes: Classes) -> PredictionAnswer:
    """Return the answer for a text."""
    probabilities = zip(classes.names, prediction.probabilities, strict=True)
    return PredictionAnswer(label=prediction.label, probabilities=dict(probabilities))


def explanation_answer(explanation: "Explanation") -> PredictionAnswer:
    """Return the answer for a text whose prediction is explained."""
    answer = prediction_answer(explanation.prediction, explanation.classes)
    contributions = explanation.attribution.contributions
    tokens = zip(explanation.tokens, contributions, explanation.known, strict=True)
    explained = ExplanationAnswer(
        **{"class": explanation.classes.names[explanation.label]},
        method=explanation.attribution.method.sentence,
        unread=explanation.unread,
        tokens=[Token(text=text, contribution=c, known=known) for text, c, known in tokens],
    )
    return answer.model_copy(update={"explanation": explained})
