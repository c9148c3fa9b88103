"""Training on texts in memory: the function `fit`, and an estimator for scikit-learn."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from lstm_sentiment.config import (
    DEPTHS,
    FIELDS_OF_REVIEWS,
    Cell,
    Config,
    DataConfig,
    EncoderConfig,
    Source,
    updated,
)
from lstm_sentiment.config_fields import own_fields
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.columns import Columns, LabelParser, Review, join_names
from lstm_sentiment.data.in_memory import (
    NAME,
    checked_reviews,
    checked_texts,
    corpus_in_memory,
    is_missing,
)
from lstm_sentiment.display import SILENT, Display, Printed
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import scratch_folder, write_json
from lstm_sentiment.labels import BINARY, MAX_CLASSES, POSITIVE, Classes
from lstm_sentiment.runs.hub_models import local_folder
from lstm_sentiment.runs.model_folder import CLASSES_FILE, model_draft, read_estimator_classes
from lstm_sentiment.runs.model_location import find_model
from lstm_sentiment.serving.predictor import NetworkPredictor, Predictor
from lstm_sentiment.serving.torch_predictor import TorchPredictor
from lstm_sentiment.training import runtime
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.run import execute

# The parameters of the estimator that are fields of the configuration.
FIELDS = {
    "head": "head.kind",
    "hidden_size": "encoder.hidden_size",
    "dropout": "encoder.dropout",
    "embedding_dim": "embedding.dim",
    "max_vocab": "data.max_vocab",
    "max_length": "data.max_length",
    "val_fraction": "data.val_fraction",
    "batch_size": "data.batch_size",
    "class_weights": "data.class_weights",
    "learning_rate": "optimizer.lr",
    "max_epochs": "trainer.max_epochs",
}
# Every network's name, such as bigru or stacked_lstm, with its fields.
NETWORKS = {
    EncoderConfig(cell, num_layers=depth, bidirectional=both).network: {
        "encoder.cell": cell,
        "encoder.num_layers": depth,
        "encoder.bidirectional": both,
    }
    for cell, depth, both in product(Cell, DEPTHS, (False, True))
}


def fit(
    texts: Any,
    labels: Any,
    *,
    config: Config | None = None,
    positive_label: str | None = None,
    classes: Sequence[Any] | int | None = None,
    display: Display = SILENT,
) -> TorchPredictor:
    """Train a network on texts in memory; return its predictor, with the record of the training.

    `texts` are N strings, and `labels` are N labels as in a file. 0 and 1, False and True, "neg"
    and "pos" are the classes negative and positive. Other labels, of up to 100 classes, keep their
    names; their order is that of numbers or of the spelling, unless `classes` lists them in another
    order. Of two labels, `positive_label` names the positive one. `config.data.val_fraction` of the
    reviews are the validation set; all others are the training set. The fields of `config` that
    name reviews, their classes, groups or folds, or a run's folder are not used. Nothing is left
    behind except pretrained word vectors, in `config.data.cache`. Without a `config`, batches are
    smaller if there are few reviews.

    Raises InputError if the texts, the labels or the configuration cannot be used, and RunError if
    training fails.

    >>> predictor = fit(["A gem.", "A bore."] * 20, ["pos", "neg"] * 20)  # doctest: +SKIP
    >>> predictor.predict("A gem.").label  # doctest: +SKIP
    'positive'
    """
    classes = replace(own_fields(DataConfig)["classes"], name="classes").stored(classes)
    named = classes if isinstance(classes, list) else None
    reviews = checked_reviews(texts, labels, positive_label, named)
    if config is None:
        config = _with_small_batches(Config(), reviews)
    return _trained(reviews, config, positive_label, classes, display)


def _trained(
    reviews: Sequence[Review],
    config: Config,
    positive_label: str | None,
    classes: Sequence[str] | int | None,
    display: Display,
) -> TorchPredictor:
    """Train as `fit` does; `positive_label` is recorded, for files that are read later."""
    with (
        scratch_folder() as scratch,
        DataCache(display) as cache,
        runtime.process_state_restored(),
    ):
        folder = str(scratch)
        corpus = corpus_in_memory(reviews, cache=folder)
        plan = Plan.of(_in_memory(config, folder, positive_label, classes), cache, corpus=corpus)
        record = execute(plan, display)
        predictor = Predictor.load(plan.folder)
        assert isinstance(predictor, TorchPredictor)
        return replace(predictor, record=record)


def _in_memory(
    config: Config, folder: str, positive_label: str | None, classes: Sequence[str] | int | None
) -> Config:
    """Return the configuration of a run in `folder`, on reviews in memory, without a test set."""
    usual = own_fields(DataConfig)
    reviews = {
        **{name: usual[name].default for name in FIELDS_OF_REVIEWS},
        "source": Source.reviews,
        "path": NAME,
        "test_fraction": 0.0,
        **dict.fromkeys(("group_column", "folds", "fold")),
        "positive_label": positive_label,
        "classes": classes,
    }
    run = {"root": folder, "sweep": None, "test": False, "rerun": False, "keep_checkpoints": False}
    return updated(config, {f"data.{name}": value for name, value in reviews.items()} | run)


def _with_small_batches(config: Config, reviews: Sequence[Review]) -> Config:
    """Return the configuration with batches that are not larger than the training set."""
    kept = min(len(reviews), config.data.limit_train or len(reviews))
    # The validation set is rounded for each class, so it may have half a review more of each.
    more = (len({review.label for review in reviews}) + 1) // 2
    in_training = max(1, int(kept * (1 - config.data.val_fraction)) - more)
    return updated(config, {"data.batch_size": min(config.data.batch_size, in_training)})


class Coding(NamedTuple):
    """The classes of a network that is trained on the K sorted classes of `y`."""

    network: Classes
    order: list[int]  # the index in the sorted classes of each class of the network
    positive_label: str | None  # as `data.positive_label`; None if files need none

    @classmethod
    def chosen(cls, classes: list[Any], positive_label: Any) -> Self:
        """Return the coding of these classes. Raises InputError if the positive one is unknown.

        With a positive label, or with labels such as neg and pos, the network has the classes
        negative and positive. Other classes keep their names, as they are in a file.
        """
        if positive_label is not None:
            if len(classes) > 2 or positive_label not in classes:
                either = join_names(map(repr, classes), " or ")
                allowed = either if len(classes) == 2 else f"None for {len(classes)} classes"
                raise InputError(f"positive_label must be {allowed} (got {positive_label!r}).")
            positive = classes.index(positive_label)
            order = [1 - positive, positive]
            if (coding := cls(BINARY, order, None)).is_read(classes):
                return coding
            return cls(BINARY, order, str(positive_label))
        for order in ([0, 1], [1, 0]) if len(classes) == 2 else ():
            if (coding := cls(BINARY, order, None)).is_read(classes):
                return coding
        order, parser = [*range(len(classes))], LabelParser(Columns())
        with suppress(ValueError):
            coding = cls(Classes(tuple(map(parser.parse, classes))), order, None)
            if coding.is_read(classes):
                return coding
        # Classes that are the same in a file, such as "Good" and "good", get other names.
        names = tuple(f"{index}: {name!r}" for index, name in enumerate(classes))
        return cls(Classes(names), order, None)

    def is_read(self, classes: list[Any]) -> bool:
        """Return whether these labels in a file are the network's classes in their order."""
        names = self.network.names if self.positive_label is None else None
        parser = LabelParser(Columns(positive=self.positive_label, classes=names))
        try:
            labels = [self.network.label(parser.parse(label)) for label in classes]
        except ValueError:
            return False
        return [labels[index] for index in self.order] == [*range(len(self.network))]


class SentimentClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent network as a scikit-learn classifier of texts.

    `X` is a list or one-dimensional array of N strings, and `y` has N labels of 2 to 100 classes. A
    parameter that is None takes its value from `config`, or from `Config()` if that is None, too.
    Parameters are checked by `fit`, which raises InputError, a ValueError.

    Parameters
    ----------
    encoder : name of the network, such as "lstm", "bigru" or "stacked_lstm"
    head : "last", "flatten", "max", "avg", "attention", "max_attention" or "concat"
    hidden_size : units of each layer in each direction
    dropout : dropout between the layers, and between the head and the output
    embedding_dim : numbers in a word vector
    max_vocab : size of the vocabulary
    max_length : tokens to which a longer text is truncated
    val_fraction : share of the texts that choose the best epoch
    batch_size : texts in a batch; if it is None, at most as many as there are training texts
    class_weights : "none", or "balanced" for weights of the classes in the training loss that are
        inversely proportional to their numbers of texts
    learning_rate : learning rate
    max_epochs : largest number of epochs
    positive_label : of two classes, the one to treat as positive. If it is None, labels such as
        "neg" and "pos" are understood, and other classes keep their names
    random_state : seed of the weights, of dropout and of the order of the batches
    config : all other settings
    verbose : whether to print the scores of each epoch

    Attributes
    ----------
    classes_ : the K classes, sorted
    predictor_ : the trained `Predictor`; `predictor_.record` has the scores of every epoch

    >>> classifier = SentimentClassifier(encoder="gru", head="max")
    >>> classifier.fit(texts, labels).predict(["A gem."])  # doctest: +SKIP
    array(['positive'], dtype='<U8')
    """

    def __init__(
        self,
        *,
        encoder: str | None = None,
        head: str | None = None,
        hidden_size: int | None = None,
        dropout: float | None = None,
        embedding_dim: int | None = None,
        max_vocab: int | None = None,
        max_length: int | None = None,
        val_fraction: float | None = None,
        batch_size: int | None = None,
        class_weights: str | None = None,
        learning_rate: float | None = None,
        max_epochs: int | None = None,
        positive_label: Any = None,
        random_state: int | np.random.RandomState | None = None,
        config: Config | None = None,
        verbose: bool = False,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.embedding_dim = embedding_dim
        self.max_vocab = max_vocab
        self.max_length = max_length
        self.val_fraction = val_fraction
        self.batch_size = batch_size
        self.class_weights = class_weights
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.positive_label = positive_label
        self.random_state = random_state
        self.config = config
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train on N texts and their labels. Raises InputError if they cannot be used."""
        classes, indices = np.unique(_checked_labels(y), return_inverse=True)
        if not 2 <= len(classes) <= MAX_CLASSES:
            raise InputError(
                f"y must have at least two classes and at most {MAX_CLASSES} "
                f"(got {len(classes)} class{'es' * (len(classes) != 1)})."
            )
        coding = Coding.chosen(classes.tolist(), self.positive_label)
        names = dict(zip(coding.order, coding.network.names, strict=True))
        reviews = checked_reviews(X, [names[index] for index in indices.tolist()])
        self.predictor_: NetworkPredictor = _trained(
            reviews,
            self._chosen_config(reviews),
            coding.positive_label,
            None if coding.network.are_usual else coding.network.names,
            Printed() if self.verbose else SILENT,
        )
        self.classes_, self._order = classes, coding.order
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of each text, float32.

        They are (N,) for two classes, the log-odds of `classes_[1]`, and (N, K) for more, in the
        order of `classes_`.
        """
        check_is_fitted(self)
        logits = self.predictor_.logits(checked_texts(X))
        if logits.ndim > 1:
            return self._sorted(logits)
        return logits if self._order[POSITIVE] == 1 else -logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (N, K) float64, in the order of `classes_`."""
        check_is_fitted(self)
        probabilities = self.predictor_.probabilities(checked_texts(X))
        if probabilities.ndim == 1:
            probabilities = np.stack([1 - probabilities, probabilities], axis=1)
        return self._sorted(probabilities)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted class of each text, (N,).

        With `decision.threshold` in `config`, the threshold decides between two classes, and not
        the sign of `decision_function`.
        """
        check_is_fitted(self)
        probabilities = self.predictor_.probabilities(checked_texts(X))
        return self.classes_[self._order][self.predictor_.classes.predicted(probabilities)]

    def _sorted(self, columns: np.ndarray) -> np.ndarray:
        """Return columns in the order of `classes_`, from those of the network's classes."""
        return columns[:, np.argsort(self._order)]

    def save(self, folder: str | Path) -> None:
        """Write the model to a folder, which `load`, `Predictor.load` and the commands take.

        The commands read labels of a file as `y`. Raises InputError if the folder cannot be
        written, if the classes are not strings, numbers or bool, or if they are the same in a file.
        """
        check_is_fitted(self)
        classes, config = self.classes_.tolist(), self.predictor_.config
        if not _can_be_saved(classes):
            raise InputError(
                f"Classes must be strings, numbers or bool to be saved (got {classes[0]!r:.40})."
            )
        coding = Coding(self.predictor_.classes, self._order, config.data.positive_label)
        are_those_of_the_network = classes == sorted(self.predictor_.classes.names)
        if not are_those_of_the_network and not coding.is_read(classes):
            names = join_names(map(repr, classes), " and ")
            raise InputError(
                f"Classes that are empty or differ only in case or blanks cannot be saved (got "
                f"{names}), since they are the same in a file."
            )
        with model_draft(Path(folder)) as draft:
            self.predictor_.write_into(draft)
            write_json(draft / CLASSES_FILE, {"classes": classes, "order": self._order})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a saved estimator; from any other model, one with the classes of `Predictor`.

        Raises InputError if the folder is not that of a network or is damaged.
        """
        folder = local_folder(folder)
        predictor = Predictor.load(folder)
        if not isinstance(predictor, NetworkPredictor):
            raise InputError(f"{folder} is a baseline or an ensemble: load it with Predictor.load.")
        names = predictor.classes.names
        classes: list[Any] = sorted(names)
        order = [classes.index(name) for name in names]
        model = find_model(folder)
        if (content := read_estimator_classes(model)) is not None:
            classes, order = _checked_classes(content, len(names), model / CLASSES_FILE)
        positive = classes[order[POSITIVE]] if predictor.classes.are_usual else None
        estimator = cls(config=predictor.config, positive_label=positive)
        estimator.predictor_, estimator.classes_ = predictor, np.array(classes)
        estimator._order = order
        return estimator

    def _chosen_config(self, reviews: Sequence[Review]) -> Config:
        """Return the configuration for these reviews. Raises InputError for a bad parameter."""
        values = {
            field: _plain(value)
            for name, field in FIELDS.items()
            if (value := getattr(self, name)) is not None
        }
        if self.encoder is not None:
            if self.encoder not in NETWORKS:
                names = ", ".join(NETWORKS)
                raise InputError(f"encoder must be one of {names} (got {self.encoder!r}).")
            values |= NETWORKS[self.encoder]
        if self.random_state is not None:
            values["seed"] = _seed(self.random_state)
        config = updated(Config() if self.config is None else self.config, values)
        return config if self.batch_size is not None else _with_small_batches(config, reviews)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _plain(value: Any) -> Any:
    """Return a number of NumPy, such as those of a grid of parameters, as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _seed(random_state: Any) -> Any:
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**32, dtype=np.uint32))
    return _plain(random_state)


def _checked_labels(y: Any) -> np.ndarray:
    """Return the labels, (N,). Raises InputError if one is missing or they are not classes."""
    try:
        if isinstance(y, list | tuple):
            is_string = {isinstance(label, str) for label in y if not is_missing(label)}
            if len(is_string) > 1:
                raise ValueError("some labels are strings and others are not.")
        labels = column_or_1d(y, warn=True)
        for index, label in enumerate(labels):
            if is_missing(label):
                raise ValueError(f"y[{index}] is missing: every text needs a label.")
        check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise InputError(f"y cannot be used: {error}") from error
    return labels


def _can_be_saved(classes: list[Any]) -> bool:
    kinds = set(map(type, classes))
    return len(kinds) == 1 and kinds <= {str, int, float, bool}


def _checked_classes(content: Any, count: int, file: Path) -> tuple[list[Any], list[int]]:
    """Return the classes of a saved estimator, and the index of each class of the network."""
    match content:
        case {"classes": [*classes], "order": [*order]}:
            pass
        # Of earlier versions, which had two classes.
        case {"classes": [first, second], "positive": int(positive)} if type(positive) is int:
            classes, order = [first, second], [1 - positive, positive]
        case _:
            classes, order = [], []
    if (
        len(classes) == count
        and _can_be_saved(classes)
        and all(one < other for one, other in pairwise(classes))
        and {*map(type, order)} == {int}
        and sorted(order) == [*range(count)]
    ):
        return classes, order
    raise InputError(
        f"{file} does not hold the {count} classes of the model in sorted order: it is damaged."
    )
