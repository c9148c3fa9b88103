"""Training on texts in memory: the function `fit`, and an estimator for scikit-learn."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
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
from lstm_sentiment.data.columns import Columns, LabelParser, Review
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
from lstm_sentiment.labels import BINARY, NEGATIVE, POSITIVE, Classes
from lstm_sentiment.runs.model_folder import CLASSES_FILE, model_draft, read_estimator_classes
from lstm_sentiment.serving.predictor import NetworkPredictor, Predictor, find_model
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
    display: Display = SILENT,
) -> NetworkPredictor:
    """Train a network on texts in memory; return its predictor, with the record of the training.

    `texts` are N strings, and `labels` are N labels as in a file: 0 and 1, False and True, "neg"
    and "pos", "negative" and "positive". For two other labels, `positive_label` names the positive
    one. `config.data.val_fraction` of the reviews are the validation set; all others are the
    training set. The fields of `config` that name reviews or a run's folder are not used. Nothing
    is left behind except pretrained word vectors, in `config.data.cache`. Without a `config`,
    batches are smaller if there are few reviews.

    Raises InputError if the texts, the labels or the configuration cannot be used, and RunError if
    training fails.

    >>> predictor = fit(["A gem.", "A bore."] * 20, ["pos", "neg"] * 20)  # doctest: +SKIP
    >>> predictor.predict("A gem.").label  # doctest: +SKIP
    'positive'
    """
    reviews = checked_reviews(texts, labels, positive_label)
    if config is None:
        config = _with_small_batches(Config(), len(reviews))
    return _trained(reviews, config, positive_label, display)


def _trained(
    reviews: Sequence[Review], config: Config, positive_label: str | None, display: Display
) -> NetworkPredictor:
    """Train as `fit` does; `positive_label` is recorded, for files that are read later."""
    with (
        scratch_folder() as scratch,
        DataCache(display) as cache,
        runtime.process_state_restored(),
    ):
        folder = str(scratch)
        corpus = corpus_in_memory(reviews, cache=folder)
        plan = Plan.of(_in_memory(config, folder, positive_label), cache, corpus=corpus)
        record = execute(plan, display)
        predictor = NetworkPredictor.load(plan.folder)
        assert isinstance(predictor, NetworkPredictor)
        return replace(predictor, record=record)


def _in_memory(config: Config, folder: str, positive_label: str | None) -> Config:
    """Return the configuration of a run in `folder`, on reviews in memory, without a test set."""
    usual = own_fields(DataConfig)
    reviews = {
        **{name: usual[name].default for name in FIELDS_OF_REVIEWS},
        "source": Source.reviews,
        "path": NAME,
        "test_fraction": 0.0,
        "positive_label": positive_label,
    }
    run = {"root": folder, "sweep": None, "test": False, "rerun": False, "keep_checkpoints": False}
    return updated(config, {f"data.{name}": value for name, value in reviews.items()} | run)


def _with_small_batches(config: Config, reviews: int) -> Config:
    """Return the configuration with batches that are not larger than the training set."""
    kept = min(reviews, config.data.limit_train or reviews)
    # The validation set is rounded up for each class, so it may have one review more.
    in_training = max(1, int(kept * (1 - config.data.val_fraction)) - 1)
    return updated(config, {"data.batch_size": min(config.data.batch_size, in_training)})


class SentimentClassifier(ClassifierMixin, BaseEstimator):
    """A recurrent network as a scikit-learn classifier of texts.

    `X` is a list or one-dimensional array of N strings, and `y` has N labels of any two classes. A
    parameter that is None takes its value from `config`, or from `Config()` if that is None, too.
    Parameters are checked by `fit`, which raises InputError, a ValueError.

    Parameters
    ----------
    encoder : name of the network, such as "lstm", "bigru" or "stacked_lstm"
    head : "last", "flatten", "max", "avg", "attention" or "max_attention"
    hidden_size : units of each layer in each direction
    dropout : dropout between the layers, and between the head and the output
    embedding_dim : numbers in a word vector
    max_vocab : size of the vocabulary
    max_length : tokens to which a longer text is truncated
    val_fraction : share of the texts that choose the best epoch
    batch_size : texts in a batch; if it is None, at most as many as there are training texts
    learning_rate : learning rate
    max_epochs : largest number of epochs
    positive_label : the class to treat as positive. If it is None, labels such as "neg" and "pos"
        are understood, and of other classes the last one in sorted order is positive
    random_state : seed of the weights, of dropout and of the order of the batches
    config : all other settings
    verbose : whether to print the scores of each epoch

    Attributes
    ----------
    classes_ : the two classes, sorted
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
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.positive_label = positive_label
        self.random_state = random_state
        self.config = config
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train on N texts and their labels. Raises InputError if they cannot be used."""
        labels = _checked_labels(y)
        classes, indices = np.unique(labels, return_inverse=True)
        if len(classes) != 2:
            raise InputError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(labels)}, and y must have two classes "
                f"(got {len(classes)} class{'es' * (len(classes) != 1)})."
            )
        positive = _positive_index(classes.tolist(), self.positive_label)
        reviews = checked_reviews(X, (indices == positive).astype(int))
        self.predictor_ = _trained(
            reviews,
            self._chosen_config(len(reviews)),
            _recorded_label(classes.tolist(), positive),
            Printed() if self.verbose else SILENT,
        )
        self.classes_, self._positive = classes, positive
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the log-odds of `classes_[1]` for each text, (N,) float32."""
        check_is_fitted(self)
        logits = self.predictor_.logits(checked_texts(X))
        return logits if self._positive == 1 else -logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (N, 2) float64, in the order of `classes_`."""
        check_is_fitted(self)
        positive = self.predictor_.probabilities(checked_texts(X))
        columns = [1 - positive, positive]
        return np.stack(columns if self._positive == 1 else columns[::-1], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted class of each text, (N,)."""
        check_is_fitted(self)
        probabilities = self.predictor_.probabilities(checked_texts(X))
        positive = self.predictor_.classes.predicted(probabilities) == POSITIVE
        return self.classes_[np.where(positive, self._positive, 1 - self._positive)]

    def save(self, folder: str | Path) -> None:
        """Write the model to a folder, which `load`, `Predictor.load` and the commands take.

        The commands read labels of a file as `y`. Raises InputError if the folder cannot be
        written, if the classes are not strings, numbers or bool, or if they are the same in a file.
        """
        check_is_fitted(self)
        classes = self.classes_.tolist()
        if not _can_be_saved(classes):
            raise InputError(
                f"Classes must be strings, numbers or bool to be saved (got {classes[0]!r:.40})."
            )
        label = _recorded_label(classes, self._positive)
        if not _are_read(classes, self._positive, label):
            names = " and ".join(f"{name!r:.40}" for name in classes)
            raise InputError(
                f"Classes that are empty or differ only in case or blanks cannot be saved (got "
                f"{names}), since they are the same in a file."
            )
        with model_draft(Path(folder)) as draft:
            self.predictor_.write_into(draft)
            content = {"classes": classes, "positive": self._positive}
            write_json(draft / CLASSES_FILE, content)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a saved estimator; from any other model, one with the classes of `Predictor`.

        Raises InputError if the folder is not that of a network or is damaged.
        """
        predictor = Predictor.load(folder)
        if not isinstance(predictor, NetworkPredictor):
            raise InputError(f"{folder} holds a baseline: load it with Predictor.load.")
        classes, positive = list[Any](BINARY.names), POSITIVE
        model = find_model(Path(folder))
        if (content := read_estimator_classes(model)) is not None:
            classes, positive = _checked_classes(content, model / CLASSES_FILE)
        estimator = cls(config=predictor.config, positive_label=classes[positive])
        estimator.predictor_, estimator.classes_ = predictor, np.array(classes)
        estimator._positive = positive
        return estimator

    def _chosen_config(self, texts: int) -> Config:
        """Return the configuration for a number of texts. Raises InputError for a bad parameter."""
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
        return config if self.batch_size is not None else _with_small_batches(config, texts)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
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


def _positive_index(classes: list[Any], positive_label: Any) -> int:
    """Return the index of the positive one of two sorted classes.

    Raises InputError if `positive_label` is not one of them.
    """
    if positive_label is not None:
        if positive_label not in classes:
            names = " or ".join(map(repr, classes))
            raise InputError(f"positive_label must be {names} (got {positive_label!r}).")
        return classes.index(positive_label)
    return next((index for index in (0, 1) if _are_read(classes, index, None)), 1)


def _recorded_label(classes: list[Any], positive: int) -> str | None:
    """Return the positive class as `data.positive_label`; None if files need no positive label."""
    return None if _are_read(classes, positive, None) else str(classes[positive])


def _are_read(classes: list[Any], positive: int, positive_label: str | None) -> bool:
    """Return whether labels in a file are read as these classes, with this positive label."""
    parser = LabelParser(Columns(positive=positive_label))
    try:
        labels = [parser.parse(label) for label in classes]
    except ValueError:
        return False
    found = Classes.found(labels)
    numbers = [found.label(labels[index]) for index in (positive, 1 - positive)]
    return found.are_usual and numbers == [POSITIVE, NEGATIVE]


def _can_be_saved(classes: list[Any]) -> bool:
    kinds = set(map(type, classes))
    return len(kinds) == 1 and kinds <= {str, int, float, bool}


def _checked_classes(content: Any, file: Path) -> tuple[list[Any], int]:
    """Return the classes of a saved estimator and the index of the positive one."""
    match content:
        case {"classes": [first, second], "positive": int(positive)} if (
            _can_be_saved([first, second])
            and first < second
            and type(positive) is int
            and positive in (0, 1)
        ):
            return [first, second], positive
    raise InputError(f"{file} does not hold two classes in sorted order: it is damaged.")
