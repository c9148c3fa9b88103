"""loaded model -> its entry in the list of models, and what the record of its training says."""

from collections.abc import Mapping
from typing import Any

from lstm_sentiment.config import Config, flat
from lstm_sentiment.display import on_one_line
from lstm_sentiment.runs.identity import BASELINE, ENSEMBLE, NOT_FINGERPRINTED
from lstm_sentiment.serving.http.loaded_models import LoadedModel
from lstm_sentiment.serving.http.schemas import (
    Confusion,
    Epoch,
    ModelDetails,
    ModelEntry,
    Scores,
    SplitScores,
    TrainingRecord,
)

# Fields that the names of encoder and head say.
NAMED = frozenset(
    {"encoder.cell", "encoder.num_layers", "encoder.bidirectional", "encoder.backward", "head.kind"}
)


def model_entry(model: LoadedModel) -> ModelEntry:
    """Return the entry of a model in the list of models."""
    return ModelEntry(**_entry(model))


def model_details(model: LoadedModel) -> ModelDetails:
    """Return the entry of a model with the record of its training."""
    record = None if model.record is None else _training_record(model, model.record)
    return ModelDetails(**_entry(model), record=record)


def _entry(model: LoadedModel) -> dict[str, Any]:
    predictor, record = model.predictor, model.record
    reads_all = predictor.kind == "n-grams"
    return {
        "name": model.name,
        "kind": predictor.kind,
        "digest": model.digest,
        "classes": [*predictor.classes.names],
        "explains": predictor.explains,
        "max_length": None if reads_all else predictor.config.data.max_length,
        "recipe": _recipe(model),
        "scores": None if record is None else _split_scores(record),
    }


def _recipe(model: LoadedModel) -> dict[str, Any]:
    """Return the network and the settings that differ from the defaults, by their names.

    Of a baseline, the settings of its own; of an ensemble, the names of its members.
    """
    config = model.record["config"] if model.record is not None else {}
    if model.predictor.kind == "ensemble":
        members = model.record["members"] if model.record is not None else []
        return {ENSEMBLE: [on_one_line(member["name"]) for member in members]}
    if model.predictor.kind == "n-grams":
        return {BASELINE: config.get(BASELINE, {})}
    own, usual = flat(model.predictor.config), flat(Config())
    chosen = {
        name: value
        for name, value in own.items()
        if value != usual[name] and name not in (*NOT_FINGERPRINTED, *NAMED)
    }
    encoder, head = model.predictor.config.encoder, model.predictor.config.head
    return {"encoder": encoder.network, "head": str(head.kind), **chosen}


def _scores(scores: Mapping[str, Any]) -> Scores:
    return Scores(**{name: scores[name] for name in Scores.model_fields})


def _scores_if_any(scores: Mapping[str, Any] | None) -> Scores | None:
    return None if scores is None else _scores(scores)


def _split_scores(record: Mapping[str, Any]) -> SplitScores:
    return SplitScores(val=_scores_if_any(record["val"]), test=_scores_if_any(record["test"]))


def _training_record(model: LoadedModel, record: Mapping[str, Any]) -> TrainingRecord:
    def matrix(split: str) -> list[list[int]] | None:
        return None if record[split] is None else record[split]["confusion_matrix"]

    epochs = [
        Epoch(epoch=each["epoch"], train=_scores(each["train"]), val=_scores_if_any(each["val"]))
        for each in record["epochs"]
    ]
    is_trained = ENSEMBLE not in record["config"]
    return TrainingRecord(
        epochs=epochs,
        best_epoch=record["best_epoch"] if is_trained else None,
        confusion=Confusion(val=matrix("val"), test=matrix("test")),
        calibration=model.calibration,
        parameters=record["cost"]["parameters"],
        tokens_per_s=record["cost"]["tokens_per_second"] if is_trained else None,
    )
