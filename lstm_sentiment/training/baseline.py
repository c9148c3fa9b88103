"""Train n-gram baselines on the reviews of a configuration, with records like a network's."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lstm_sentiment.config import LONGEST_NGRAM, ClassWeights, Config, DataConfig, Tokenizer
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.ngram_vocabulary import MIN_REVIEWS
from lstm_sentiment.data.splits import Split
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import MODEL_BYTES, WORDS
from lstm_sentiment.files.locks import LOCK, sole_writer
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.labels import Classes
from lstm_sentiment.model import ngrams
from lstm_sentiment.model.metrics import StageScores
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel
from lstm_sentiment.runs.folder import (
    CONFIG,
    MODEL,
    PREDICTIONS,
    RECORD,
    own_files,
    remove_own_files,
    start_over,
)
from lstm_sentiment.runs.identity import BASELINE, digest, sweep_folder
from lstm_sentiment.runs.ngram_folder import save_ngrams
from lstm_sentiment.runs.predictions import save_predictions
from lstm_sentiment.runs.record import (
    IF_MISSING,
    SCHEMA,
    examine_record,
    read_record,
    refuse_newer_record,
)
from lstm_sentiment.training import runtime
from lstm_sentiment.training.decision import Decision, decide, require_possible
from lstm_sentiment.training.penalty import CHOSEN_BY, Penalty, fit_baseline, tokens

NGRAM_RECIPE = 2  # raise it when the computation changes
# The fields of `data` that determine a baseline, and the fields that only networks use.
DATA_FIELDS = (
    "source",
    "preparation",
    "tokenizer",
    "val_fraction",
    "split_seed",
    "limit_train",
    "limit_test",
    "class_weights",
    "folds",
    "fold",
)
# Values that are not recorded: the fields did not exist when older baselines were written.
UNCHANGED = {
    **IF_MISSING,
    "data.class_weights": ClassWeights.none,
    "data.folds": None,
    "data.fold": None,
}
NETWORK_FIELDS = (
    "max_vocab",
    "max_length",
    "truncation_side",
    "padding",
    "batch_size",
    "pseudo_labels",
    "pseudo_weight",
    "augment",
)


def baseline(kind: NgramModel, config: Config, cache: DataCache | None = None) -> dict[str, Any]:
    """Train an n-gram model on the training set of `config`, and return its record.

    A finished baseline is not trained again unless `config.rerun` is set. Raises InputError if the
    reviews or the decision cannot be used, OSError if the folder cannot be written.
    """
    config = replace(config, data=_of_words(config.data))
    data_config = replace(config.data, batch_size=1)  # checked, but otherwise unused
    data = ReviewDataModule(data_config, config.seed, config.test, cache)
    folder = baseline_folder(kind, config, data.identity)
    require_possible(config.decision, data.classes)
    if (record := _finished_record(folder, config)) is not None:
        return record
    data.setup()
    for note in data.notes:
        data.cache.display.message(note, "warning")
    runtime.reset_peak_memory("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    own_files(folder)  # raises InputError if a link stands there
    try:
        with sole_writer(folder / LOCK, lambda: None):
            record = _finished_record(folder, config)  # of another process
            return record or _train(kind, config, data, folder)
    except InputError:
        with suppress(OSError):  # it contains files of others
            folder.rmdir()
        raise


def _train(
    kind: NgramModel, config: Config, data: ReviewDataModule, folder: Path
) -> dict[str, Any]:
    """Train a baseline in its folder, which is locked; without results, its files are removed."""
    display = data.cache.display
    _, problem = examine_record(folder)
    if problem and not config.rerun:
        display.message(f"{problem}: the baseline is trained again", "warning")
    start_over(folder, display)
    request: dict[str, dict[str, Any]] = {
        "choices": {"encoder": BASELINE, "head": str(kind)},
        "config": recorded_baseline(kind, config),
    }
    write_json(folder / CONFIG, {"schema": SCHEMA, **request})
    try:
        classifier, penalty, seconds = _fit(kind, data)
    except InputError:
        remove_own_files(folder)
        raise
    decision = _decide(classifier, config, data)
    decision.show(display)
    classifier = classifier.divided_by(decision.temperature)
    settings = request["config"][BASELINE] | {"c": penalty.c}
    save_ngrams(folder / MODEL, classifier, settings, config, decision.classes)
    with display.progress(f"evaluating {kind}"):
        outcome = _evaluate_stages(classifier, decision.classes, seconds, data, folder)
    record = {
        "schema": SCHEMA,
        "name": folder.name,
        "sweep": folder.parent.name,
        **request,
        **outcome,
        "penalty": penalty.recorded,
        "decision": decision.recorded,
        "data": data.summary(),
        "vectors": None,
        "environment": runtime.environment("cpu"),
    }
    write_json(folder / RECORD, record)
    return record


def _finished_record(folder: Path, config: Config) -> dict[str, Any] | None:
    if config.rerun:
        return None
    refuse_newer_record(folder)
    return read_record(folder)


def distinct(configs: Iterable[Config]) -> list[Config]:
    """Return the first configuration for each combination of reviews, decision and sweep."""
    first: dict[str, Config] = {}
    for config in configs:
        data = asdict(_of_words(config.data)) | dict.fromkeys(NETWORK_FIELDS)
        key = (data, config.decision, config.test, config.root, config.sweep)
        first.setdefault(repr(key), config)
    return [*first.values()]


def _of_words(data: DataConfig) -> DataConfig:
    """Return the fields with a tokenizer of words, since n-grams do not consist of subwords."""
    return replace(data, tokenizer=Tokenizer.unicode) if data.tokenizer is Tokenizer.bpe else data


def recorded_baseline(kind: NgramModel, config: Config) -> dict[str, Any]:
    """Return the entry `config` of a baseline's record: the model and the fields of its reviews.

    The seed is always 0, since a baseline uses no random numbers. A field with the value that its
    absence implies is left out, so that it does not change the fingerprints of older baselines.
    The penalty is part of the result: the settings hold the grid from which it is chosen.
    """
    data = {
        name: value
        for name, value in asdict(config.data).items()
        if name in DATA_FIELDS and (f"data.{name}", value) not in UNCHANGED.items()
    }
    model = {
        "kind": str(kind),
        "longest": LONGEST_NGRAM,
        "least": MIN_REVIEWS,
        "grid": [*ngrams.GRID[kind]],
        "chosen_by": CHOSEN_BY,
        "intercept": ngrams.INTERCEPT,
    }
    decision = {} if config.decision.is_usual else {"decision": asdict(config.decision)}
    return {
        "seed": 0,
        "test": config.test,
        BASELINE: model,
        "data": data,
        **decision,
    }


def baseline_folder(kind: NgramModel, config: Config, identity: str) -> Path:
    """Return the folder of a baseline, `ngrams-<kind>-s0-<fingerprint>` in its sweep.

    `identity` identifies the reviews, as in `ReviewDataModule.identity`.
    """
    settings = recorded_baseline(kind, config)
    del settings["data"]["source"]  # part of `identity`
    return sweep_folder(config) / f"{BASELINE}-{kind}-s0-{digest(NGRAM_RECIPE, identity, settings)}"


def _decide(classifier: NgramClassifier, config: Config, data: ReviewDataModule) -> Decision:
    """Choose the decision of the configuration on the validation set, as for a network."""
    if config.decision.is_usual:
        return Decision(data.classes)
    logits = classifier.logits(tokens(data.val_split))
    return decide(config.decision, data.classes, data.val.labels, logits)


def _evaluate_stages(
    classifier: NgramClassifier,
    classes: Classes,
    fit_seconds: float,
    data: ReviewDataModule,
    folder: Path,
) -> dict[str, Any]:
    """Write the predictions of a baseline, and return its scores and costs for the record."""
    val = data.val_split if len(data.val) else None
    stages = {"train": data.train_split, "val": val, "test": data.test_split}
    scores: dict[str, dict[str, Any] | None] = dict.fromkeys(stages)
    predictions, reviews_per_second = {}, None
    for stage, reviews in stages.items():
        if reviews is not None:
            started = time.perf_counter()
            evaluated = _evaluate(classifier, classes, reviews)
            reviews_per_second = len(reviews.rows) / (time.perf_counter() - started)
            scores[stage] = evaluated.compute()
            predictions[stage] = evaluated.predictions()
    del predictions["train"]
    save_predictions(folder / PREDICTIONS, predictions, data.review_columns)
    return {
        "epochs": [
            {"epoch": 1, "seconds": fit_seconds, "train": scores["train"], "val": scores["val"]}
        ],
        "best_epoch": 1,
        "val": scores["val"],
        "test": scores["test"],
        "cost": {
            "parameters": classifier.weights.size + classifier.intercept.size,
            "fit_seconds": fit_seconds,
            "seconds_per_epoch": fit_seconds,
            "tokens_per_second": int(data.train.token_counts.sum()) / fit_seconds,
            "peak_memory_mib": runtime.peak_memory_mib("cpu"),
            "test_reviews_per_second": reviews_per_second if scores["test"] else None,
        },
    }


def _fit(kind: NgramModel, data: ReviewDataModule) -> tuple[NgramClassifier, Penalty, float]:
    """Return a trained baseline, its penalty and the seconds of its training.

    Raises InputError if no n-gram is frequent enough, or if there are more than a model may have.
    """
    started = time.perf_counter()
    try:
        classifier, penalty = fit_baseline(kind, data)
    except ValueError as error:  # scikit-learn raises it for an empty vocabulary
        raise InputError(
            f"{data.corpus.name}: no word occurs in {MIN_REVIEWS} of the {len(data.train)} "
            "training reviews, which an n-gram baseline requires: use more reviews."
        ) from error
    with errors_named(data.corpus.name):
        # Otherwise, its model could not be read.
        WORDS.check(len(classifier.ngrams))
        MODEL_BYTES.check(classifier.weights.nbytes)
    return classifier, penalty, time.perf_counter() - started


def _evaluate(classifier: NgramClassifier, classes: Classes, reviews: Split) -> StageScores:
    """Return the scores of a baseline, with the code that computes the scores of a network."""
    logits = torch.from_numpy(classifier.logits(tokens(reviews)))
    labels = torch.from_numpy(reviews.labels.astype(np.float32))
    empty = Tensor()
    scores = StageScores(classes)
    scores.update(logits, Batch(empty, empty, labels, torch.from_numpy(reviews.rows)))
    return scores
