"""The requests and answers of the API, as pydantic models; they make the OpenAPI schema."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lstm_sentiment.display import shortened

EXAMPLE = "What a triumph this was!"
EXAMPLE_DIGEST = "sha256-5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
Score = Annotated[float | None, Field(description="null if it is not defined")]


class PredictRequest(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"texts": [EXAMPLE, "I expected a masterpiece and got a disaster."]}]
        },
    )

    texts: str | list[str] = Field(description="one text or a list of texts")
    model: str | None = Field(
        None, description="name of a model; by default, the first one of the command line"
    )
    explain: bool = Field(
        False, description="add the contribution of each token, which takes much longer"
    )
    label: str | None = Field(
        None,
        alias="class",
        description="class that is explained; by default, the second of two classes, or the "
        "predicted one of more",
    )

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, value: Any) -> Any:
        """Raise ValueError at the first unknown field; pydantic would list all of them."""
        names = {field.alias or name for name, field in cls.model_fields.items()}
        for name in value if isinstance(value, dict) else ():
            if name not in names:
                raise ValueError(f"{shortened(name)} is not a field of this request")
        return value

    @field_validator("texts", mode="before")
    @classmethod
    def _check_texts(cls, value: Any) -> Any:
        """Raise ValueError with one sentence, in place of one for each allowed type."""
        for name, text in _named(value):
            if not isinstance(text, str):
                kind = type(text).__name__
                raise ValueError(f"{name} must be a string (got {kind}: {shown(text)})")
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"{name} must be valid Unicode (the character at position {error.start} is "
                    "half of a surrogate pair)"
                ) from error
        return value


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each text with its name in messages."""
    if isinstance(value, list):
        for number, text in enumerate(value):
            yield f"texts[{number}]", text
    elif isinstance(value, str):
        yield "texts", value
    else:
        kind = type(value).__name__
        raise ValueError(
            f"texts must be a string or a list of strings (got {kind}: {shown(value)})"
        )


def shown(value: Any) -> str:
    """Return a value of a request for a message."""
    try:
        return shortened(repr(value))
    except RecursionError:
        return "a value that is nested too deeply"


class Token(BaseModel):
    """A token of a text."""

    text: str
    contribution: float = Field(description="to the logit of the class")
    known: bool = Field(description="whether the vocabulary contains the token")


class ExplanationAnswer(BaseModel):
    """The contribution of each token to the logit of a class."""

    label: str = Field(alias="class", description="the class whose logit is explained")
    method: str = Field(description="how the contributions are computed")
    unread: int = Field(description="number of tokens that truncation removed")
    tokens: list[Token]


class PredictionAnswer(BaseModel):
    """The predicted class of a text."""

    label: str = Field(description="the predicted class")
    probabilities: dict[str, float] = Field(description="of each class, by its name")
    explanation: ExplanationAnswer | None = None


class PredictAnswer(BaseModel):
    """The predictions for the texts, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "lstm-max-s0-ee992522",
                    "digest": EXAMPLE_DIGEST,
                    "predictions": [
                        {
                            "label": "positive",
                            "probabilities": {"negative": 0.0009, "positive": 0.9991},
                            "explanation": None,
                        }
                    ],
                }
            ]
        }
    )

    model: str = Field(description="name of the model")
    digest: str = Field(description="of the files of the model")
    predictions: list[PredictionAnswer]


class Scores(BaseModel):
    """The scores of a model on one split."""

    accuracy: Score
    precision: Score
    recall: Score
    f1: Score
    auroc: Score
    loss: Score


class SplitScores(BaseModel):
    """The scores of a model; null for a split without labels."""

    val: Scores | None
    test: Scores | None


class ModelEntry(BaseModel):
    """A model of the service."""

    name: str
    kind: Literal["network", "exported", "n-grams", "ensemble"]
    digest: str = Field(description="of the files of the model")
    classes: list[str]
    explains: bool = Field(description="whether explain=true is possible")
    max_length: int | None = Field(description="tokens that are read of a text; null for all")
    recipe: dict[str, Any] = Field(description="settings that differ from the defaults")
    scores: SplitScores | None = Field(description="null without a record of the training")


class ModelsAnswer(BaseModel):
    """The models of the service, in the order of the command line."""

    models: list[ModelEntry]


class Epoch(BaseModel):
    """The scores of one epoch."""

    epoch: int
    train: Scores
    val: Scores | None


class ReliabilityBin(BaseModel):
    """Predictions whose probability is in an interval, and how many of them are correct."""

    low: float = Field(description="lower bound of the probability")
    high: float = Field(description="upper bound of the probability")
    count: int
    probability: float = Field(description="mean of the predictions")
    accuracy: float = Field(description="share of the class whose probability is meant")


class Confusion(BaseModel):
    """Numbers of reviews by actual class (rows) and predicted class (columns)."""

    val: list[list[int]] | None
    test: list[list[int]] | None


class TrainingRecord(BaseModel):
    """What the record of a training says about the model."""

    epochs: list[Epoch]
    best_epoch: int | None
    confusion: Confusion
    calibration: list[ReliabilityBin] = Field(
        description="on the test set or, without one, on the validation set; of the second of two "
        "classes, or of the predicted class of more"
    )
    parameters: int | None
    tokens_per_s: float | None = Field(description="in training")


class ModelDetails(ModelEntry):
    """A model of the service, with the record of its training."""

    record: TrainingRecord | None


class Status(BaseModel):
    """The state of the service."""

    status: str = Field(examples=["ok"])


class ErrorAnswer(BaseModel):
    """The reason why a request was refused."""

    detail: str = Field(examples=["texts must be a string or a list of strings (got int: 3)."])
