"""Label the unlabelled reviews of a run with the mean probabilities of trained models.

The models must not know the labels of this run's validation or test reviews, or the labels that
they give would carry them into training. So they must have been trained on the same reviews and,
if this run draws a validation set, with the same one. Unlabelled reviews that are copies of
validation or test reviews are left out.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lstm_sentiment.data.batches import EncodedReviews, sorted_batches
from lstm_sentiment.data.cache import cache_key
from lstm_sentiment.data.columns import join_names
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pretraining import pretraining_identity, unlabelled_reviews
from lstm_sentiment.data.pseudo_labelled import PseudoLabels
from lstm_sentiment.data.sources import UNSUPERVISED, VAL
from lstm_sentiment.data.tokenized import TokenizedReviews
from lstm_sentiment.display import Advance, printable, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import content_digest, errors_named
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.model.probabilities import logit_of_mean, probabilities
from lstm_sentiment.model.subnormals import subnormals_flushed
from lstm_sentiment.runs.ensemble_folder import Member, find_members
from lstm_sentiment.runs.hub_models import local_folder
from lstm_sentiment.runs.model_folder import (
    CONFIG,
    MERGES,
    ONNX,
    VOCABULARY,
    WEIGHTS,
)
from lstm_sentiment.runs.model_location import find_model
from lstm_sentiment.runs.network_folder import read_model
from lstm_sentiment.runs.ngram_folder import holds_ngrams, read_ngrams
from lstm_sentiment.runs.reader import read_run
from lstm_sentiment.runs.record import IF_MISSING, record_classes

LABELLING = "1"  # part of the cache's key: raise it if the computation changes
PROBABILITIES = "probabilities.npy"
BATCH_SIZE, REVIEWS_AT_ONCE = 256, 5_000  # of a network, and of a baseline
# The fields of `data` that determine which training reviews become the validation set.
DRAWING = ("val_fraction", "split_seed", "limit_train", "preparation")


@dataclass(frozen=True)
class Teacher:
    """A trained model that labels reviews, and its share of the mean."""

    name: str
    model: Path
    weight: float
    digest: str  # of the files of the model

    @property
    def recorded(self) -> dict[str, Any]:
        """The entry of a record."""
        return {"name": self.name, "weight": self.weight, "model": self.digest}


def identify(data: ReviewDataModule) -> str:
    """Return a string that identifies the pseudo-labels of a run; "" if there are none.

    Raises InputError if there are no unlabelled reviews, or if a model is missing, has other
    classes, or may have been trained on validation or test reviews of this run.
    """
    if data.config.pseudo_labels is None:
        if data.config.pseudo_weight != 1:
            raise InputError(
                f"data.pseudo_weight={data.config.pseudo_weight} needs data.pseudo_labels: give "
                "the runs that label the unlabelled reviews."
            )
        return ""
    if UNSUPERVISED not in data.corpus.parts:
        raise InputError(
            f"{data.corpus.name} has no unlabelled reviews, which data.pseudo_labels needs."
        )
    data.prepare_data()  # which finds the classes
    return " ".join(["pseudo-labels", _fingerprint(_teachers(data)), *pretraining_identity(data)])


def prepare(data: ReviewDataModule, device: str) -> None:
    """Label the unlabelled reviews, if the configuration names models, and add them to training.

    The labels are computed once and cached. `data` must be set up. Raises InputError like
    `identify`, or if a model cannot be read.
    """
    if data.config.pseudo_labels is None or data.pseudo_labels is not None:
        return
    teachers, unlabelled = _teachers(data), data.split(UNSUPERVISED)
    fingerprint = _fingerprint(teachers)
    folder = data.cache.entry(
        data.cache_folder,
        f"pseudo-labels-{cache_key(LABELLING, fingerprint, unlabelled.identity)}",
        (PROBABILITIES,),
        "pseudo-labels",
        partial(_label, teachers, data, device),
    )
    labels = np.load(folder / PROBABILITIES)
    kept, left_out = unlabelled_reviews(data)
    is_kept = np.isin(unlabelled.rows, kept.rows)
    labels = labels[is_kept]
    confidence = np.maximum(labels, 1 - labels) if labels.ndim == 1 else labels.max(1)
    if not len(labels):
        raise InputError(
            f"All unlabelled reviews of {data.corpus.name} are copies of validation or test "
            "reviews: there are none for data.pseudo_labels."
        )
    summary = {
        "fingerprint": fingerprint,
        "members": [teacher.recorded for teacher in teachers],
        "reviews": len(labels),
        "left_out": left_out,
        "mean_confidence": float(confidence.mean(dtype=np.float64)),
    }
    data.learn_from(PseudoLabels(kept, labels, summary))


def _fingerprint(teachers: Sequence[Teacher]) -> str:
    models = [[teacher.digest, teacher.weight] for teacher in teachers]
    return f"sha256-{hashlib.sha256(json.dumps(models).encode()).hexdigest()}"


def _teachers(data: ReviewDataModule) -> list[Teacher]:
    """Return the models that label the reviews, those of ensembles in place of the ensembles.

    Their order does not depend on that of the folders, so that sums are the same to the last digit.
    Raises InputError if one cannot be used.
    """
    folders = [*map(_resolved, data.config.pseudo_labels)]
    if len(set(folders)) < len(folders):
        raise InputError("data.pseudo_labels must name each folder once.")
    teachers = []
    for folder in folders:
        with errors_named("data.pseudo_labels"):
            members = find_members(folder) or [Member(folder, 1.0)]
            teachers += [_teacher(each, share / len(folders), data) for each, share in members]
    return sorted(teachers, key=lambda teacher: (teacher.digest, teacher.weight))


def _resolved(folder: str) -> Path:
    """Return the path of a folder without links; that of a model of the hub is in the cache.

    Raises InputError if it is not a path, or if the model cannot be downloaded.
    """
    with errors_named(f"data.pseudo_labels={shortened(folder)}"):
        return Path(os.path.realpath(local_folder(folder).expanduser()))


def _teacher(folder: Path, weight: float, data: ReviewDataModule) -> Teacher:
    run = read_run(folder)
    if run.record is None:
        raise InputError(f"{printable(str(folder))} is not a finished run ({run.trouble}).")
    names = record_classes(run.record).names
    if names != data.classes.names:
        raise InputError(
            f"{run.name} has other classes than this run: {join_names(names)}; "
            f"{join_names(data.classes.names)}."
        )
    _require_unseen(run.name, run.record, data)
    model = find_model(folder)
    if (model / ONNX).exists():
        raise InputError(f"{model} is an exported model: give the run that it was exported from.")
    files = [model / name for name in (WEIGHTS, CONFIG, VOCABULARY, MERGES)]
    with errors_named(model):
        digest = content_digest(*(file for file in files if file.exists() or file.name != MERGES))
    return Teacher(run.name, model, weight, f"sha256-{digest}")


def _require_unseen(name: str, record: Mapping[str, Any], data: ReviewDataModule) -> None:
    """Raise InputError if a model may have been trained on held-out reviews of this run.

    The training set of both must be drawn from the same reviews: test reviews are then in neither.
    Validation reviews are in neither if both draw the same ones.
    """
    config, theirs = data.config, record["config"]["data"]
    if _source(record["data"]["fingerprint"], theirs) != _source(data.identity, vars(config)):
        raise InputError(
            f"{name} was trained on other reviews, among which held-out reviews of this run may "
            "be: give runs on the same training reviews."
        )
    if VAL in data.corpus.parts or not config.val_fraction:
        return  # no validation set is drawn from the training reviews
    if _has_given_validation_set(record):
        raise InputError(
            f"{name} has a validation set of its own (data.val_path or data.val_split), so it was "
            "trained on validation reviews of this run. Give runs with the same validation set."
        )
    for field in DRAWING:
        ours = getattr(config, field)
        if (value := theirs.get(field, IF_MISSING.get(f"data.{field}"))) != ours:
            raise InputError(
                f"{name} has data.{field}={value}, and this run {ours}: it was trained on "
                "validation reviews of this run. Give runs with the same validation set."
            )


def _has_given_validation_set(record: Mapping[str, Any]) -> bool:
    """Return whether the validation set of a run was not drawn from its training reviews.

    The identity of its data then has a hash of this set, beside those of the training reviews and
    of the test set, if there is one. With folds, there is no such set, and one hash for all.
    """
    data = record["data"]
    drawn_from = 1 if data["test"] is None or data.get("folds") is not None else 2
    return len(_hashes(data["fingerprint"])) > drawn_from


def _hashes(fingerprint: str) -> list[str]:
    return [word for word in fingerprint.split() if word.startswith("sha256-")]


def _source(fingerprint: str, config: Mapping[str, Any]) -> tuple[str, Any]:
    """Return what identifies the reviews that a training set is drawn from.

    This is the first hash of the identity of the data, which is that of the training reviews or,
    with folds, of all reviews, of which the fold is then left out.
    """
    return "".join(_hashes(fingerprint)[:1]), (config.get("folds"), config.get("fold"))


def _label(teachers: Sequence[Teacher], data: ReviewDataModule, device: str, folder: Path) -> None:
    """Write the probabilities of the unlabelled reviews, in the order of their split."""
    logits = []
    count = len(data.split(UNSUPERVISED).rows)
    for number, teacher in enumerate(teachers, 1):
        title = f"labelling reviews, model {number} of {len(teachers)}"
        with data.cache.display.progress(title, count) as advance:
            logits.append(_logits(teacher, data, device, advance))
    mean = logit_of_mean(logits, [teacher.weight for teacher in teachers])
    np.save(folder / PROBABILITIES, probabilities(mean).astype(np.float32))


def _logits(teacher: Teacher, data: ReviewDataModule, device: str, advance: Advance) -> np.ndarray:
    """Return the logits of all unlabelled reviews, in the tokens of the model's training."""
    if holds_ngrams(teacher.model):
        return _logits_of_ngrams(teacher.model, data, advance)
    return _logits_of_network(teacher.model, data, device, advance)


def _logits_of_network(
    model: Path, data: ReviewDataModule, device: str, advance: Advance
) -> np.ndarray:
    classifier, vocabulary, config, classes, ngrams = read_model(model)
    in_words = data.tokenized(UNSUPERVISED, config.data.preparation, config.data.tokenizer)
    has_words = vocabulary.merges is None
    tokenized = in_words if has_words else in_words.in_subwords(vocabulary)
    rows = data.split(UNSUPERVISED).rows
    reviews = EncodedReviews(
        tokenized,
        rows,
        tokenized.word_ids(vocabulary),
        config.data.max_length,
        config.data.padding,
        config.data.truncation_side,
    )
    classifier.to(device)
    logits = np.empty((len(rows), *[classes.outputs] * (classes.outputs > 1)), np.float32)
    done = 0
    with torch.inference_mode(), subnormals_flushed():
        for chosen in sorted_batches(reviews.lengths, BATCH_SIZE):
            batch = reviews[chosen]
            logits[chosen] = classifier(batch.ids.to(device), batch.lengths).cpu().numpy()
            done += len(chosen)
            advance(done)
    return logits if ngrams is None else logits + _linear_logits(ngrams, in_words, rows, advance)


def _logits_of_ngrams(model: Path, data: ReviewDataModule, advance: Advance) -> np.ndarray:
    classifier, config, _ = read_ngrams(model)
    tokenized = data.tokenized(UNSUPERVISED, config.data.preparation, config.data.tokenizer)
    return _linear_logits(classifier, tokenized, data.split(UNSUPERVISED).rows, advance)


def _linear_logits(
    classifier: NgramClassifier, reviews: TokenizedReviews, rows: np.ndarray, advance: Advance
) -> np.ndarray:
    """Return the logits of a linear model of the n-grams of the reviews in `rows`, in words."""
    logits = []
    for start in range(0, len(rows), REVIEWS_AT_ONCE):
        words = [reviews.words_of(row) for row in rows[start : start + REVIEWS_AT_ONCE]]
        logits.append(classifier.logits(words))
        advance(start + len(words))
    return np.concatenate(logits)
