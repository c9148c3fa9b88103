"""What a user chooses: names, defaults and bounds. `conf/` holds the named choices over it.

Every dataclass checks itself when it is made, so a `Config` that exists is a valid one.
The defaults here are the baseline: `python train.py` without arguments trains exactly `Config()`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum, auto
from math import isfinite
from os import PathLike
from typing import Any, TypeVar

from lstm_sentiment.errors import InputError


class Cell(StrEnum):
    rnn = auto()
    lstm = auto()
    gru = auto()


class HeadKind(StrEnum):
    last = auto()
    flatten = auto()
    max = auto()
    avg = auto()
    attention = auto()
    max_attention = auto()


class EmbeddingKind(StrEnum):
    random = auto()
    glove = auto()
    word2vec = auto()


class Source(StrEnum):
    imdb = auto()
    reviews = auto()
    synthetic = auto()


class Padding(StrEnum):
    exact = auto()
    keras = auto()
    trailing = auto()

    @property
    def masked(self) -> bool:
        """Whether padding is told apart from tokens; if not, the network reads it as text."""
        return self is Padding.exact


class Side(StrEnum):
    left = auto()
    right = auto()


class OptimizerName(StrEnum):
    adam = auto()
    adamw = auto()


class Schedule(StrEnum):
    constant = auto()
    linear = auto()


class Accelerator(StrEnum):
    auto = "auto"  # the member hides the function
    cpu = "cpu"
    gpu = "gpu"


# What is published as GloVe, under torchtext's names.
GLOVE_DIMS = {
    "6B": (50, 100, 200, 300),
    "42B": (300,),
    "840B": (300,),
    "twitter.27B": (25, 50, 100, 200),
}
PRECISIONS = ("32-true", "bf16-mixed")
DEPTHS = {1: "", 2: "stacked_", 3: "deep_"}
SWEEP_NAME = re.compile(r"[^./\\\s\0][^/\\\0\n]{0,99}")
SCORES = ("accuracy", "precision", "recall", "f1", "auroc", "loss")
MONITORS = tuple(f"val/{score}" for score in SCORES)

Choice = TypeVar("Choice", bound=StrEnum)


def _choice(name: str, kind: type[Choice], value: str) -> Choice:
    if value not in list(kind):
        raise InputError(f"{name}={value} is not known: choose one of {', '.join(kind)}.")
    return kind(value)


def _whole(name: str, value: int, low: int, high: int | None = None) -> None:
    allowed = f"a whole number from {low} to {high}" if high else f"a whole number from {low} up"
    if type(value) is not int or value < low or (high is not None and value > high):
        raise InputError(f"{name}={value} is not allowed: give {allowed}.")


def _real(name: str, value: float, allowed: str, valid: Callable[[float], bool]) -> float:
    # Always a float: 0 and 0.0 are one configuration and must have one fingerprint.
    if type(value) not in (int, float) or not isfinite(value) or not valid(value):
        raise InputError(f"{name}={value} is not allowed: give {allowed}.")
    return float(value)


def _share(name: str, value: float) -> float:
    return _real(name, value, "a number from 0 to below 1", lambda v: 0 <= v < 1)


def _group(name: str, kind: type, value: Any) -> None:
    if not isinstance(value, kind):
        raise InputError(f"{name}={value!r} is not allowed: give {kind.__name__}(...).")


def _flag(name: str, value: bool) -> None:
    if type(value) is not bool:
        raise InputError(f"{name}={value} is not allowed: give true or false.")


def _folder(name: str, value: str) -> str:
    return _path(name, value, "a folder")


def _path(name: str, value: str, what: str) -> str:
    if not isinstance(value, str | PathLike) or not str(value).strip():
        raise InputError(f"{name}={value!r} is not allowed: give {what}.")
    return str(value)


def _text(name: str, value: str | None) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise InputError(f"{name}={value!r} is not allowed: give a name, or null.")


@dataclass
class EncoderConfig:
    """The recurrent stack. `dropout` stands between layers and before the output."""

    cell: Cell = Cell.lstm
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.2
    recurrent_dropout: float = 0.0

    def __post_init__(self) -> None:
        self.cell = _choice("encoder.cell", Cell, self.cell)
        _whole("encoder.hidden_size", self.hidden_size, 1)
        _whole("encoder.num_layers", self.num_layers, 1, 3)
        _flag("encoder.bidirectional", self.bidirectional)
        self.dropout = _share("encoder.dropout", self.dropout)
        self.recurrent_dropout = _share("encoder.recurrent_dropout", self.recurrent_dropout)

    @property
    def network(self) -> str:
        """What the net is, however it was asked for: lstm, bigru, stacked_lstm, deep_birnn, ..."""
        return DEPTHS[self.num_layers] + ("bi" if self.bidirectional else "") + self.cell


@dataclass
class HeadConfig:
    """The reduction over time."""

    kind: HeadKind = HeadKind.last

    def __post_init__(self) -> None:
        self.kind = _choice("head.kind", HeadKind, self.kind)


@dataclass
class EmbeddingConfig:
    """The vectors of the words; `dropout` zeroes components, the same in all words of a review.

    `kind=glove` fetches GloVe's `name` (as torchtext names it; 6B) with vectors of `dim` numbers;
    `word2vec` learns such vectors from the training part and the unlabelled reviews. Either reads a
    text file instead where `path` names one. They are trained on after `freeze_epochs` epochs.
    """

    kind: EmbeddingKind = EmbeddingKind.random
    name: str | None = None
    dim: int = 128
    path: str | None = None
    dropout: float = 0.3
    freeze_epochs: int = 0

    def __post_init__(self) -> None:
        self.kind = _choice("embedding.kind", EmbeddingKind, self.kind)
        _whole("embedding.dim", self.dim, 1)
        _whole("embedding.freeze_epochs", self.freeze_epochs, 0)
        self.dropout = _share("embedding.dropout", self.dropout)
        fetched = self.kind is EmbeddingKind.glove and self.path is None
        if self.name is not None and not fetched:
            raise InputError(
                f"embedding.name={self.name} goes with embedding=glove and no embedding.path: "
                "it names what is fetched."
            )
        if fetched:
            self._require_published()
        if self.path is not None:
            self.path = _path("embedding.path", self.path, "a text file of word vectors")
            if self.kind is EmbeddingKind.random:
                raise InputError(
                    f"embedding.path={self.path} goes with embedding=glove or embedding=word2vec: "
                    "embedding=random reads no file."
                )

    def _require_published(self) -> None:
        self.name = self.name or "6B"
        if self.name not in GLOVE_DIMS:
            raise InputError(
                f"embedding.name={self.name} is not known: choose one of {', '.join(GLOVE_DIMS)}."
            )
        if self.dim not in GLOVE_DIMS[self.name]:
            raise InputError(
                f"embedding.dim={self.dim} is not published for embedding.name={self.name}: "
                f"choose one of {', '.join(map(str, GLOVE_DIMS[self.name]))}."
            )


@dataclass
class AugmentConfig:
    """Changes of the training reviews, drawn anew in every epoch; the defaults change nothing.

    In this order: with `shuffle_sentences` a review's sentences change places; a span of at least
    the share `crop` of its tokens is kept (1: all); of these, `drop` is the share that is left out,
    and `replace` the share of the rest that becomes `<unk>`.
    """

    shuffle_sentences: bool = False
    crop: float = 1.0
    drop: float = 0.0
    replace: float = 0.0

    def __post_init__(self) -> None:
        _flag("data.augment.shuffle_sentences", self.shuffle_sentences)
        self.crop = _real(
            "data.augment.crop", self.crop, "a number above 0 up to 1", lambda v: 0 < v <= 1
        )
        self.drop = _share("data.augment.drop", self.drop)
        self.replace = _share("data.augment.replace", self.replace)


@dataclass
class DataConfig:
    """The reviews and how they become batches.

    `source=imdb` takes IMDB from the hub, or in any of its forms from `path`. `source=reviews`
    takes `path` (a file, a glob of shards, or a data set of the hub) and for testing `test_path`,
    or without it the share `test_fraction` (0.2) of the reviews, drawn once and for all. Columns
    that are not named are looked for; `positive_label` is needed where the labels are none of the
    usual.

    `limit_train` and `limit_test` keep that many reviews, the labels in proportion, and are
    counted before the validation split. `split_seed` alone draws limits and split, so runs with
    different seeds share them. `cache` keeps the tokenized reviews between runs.
    """

    source: Source = Source.imdb
    path: str | None = None
    test_path: str | None = None
    test_fraction: float | None = None
    text_column: str | None = None
    label_column: str | None = None
    positive_label: str | None = None
    cache: str = "~/.cache/lstm_sentiment"
    max_vocab: int = 10_000
    max_length: int = 500
    truncation_side: Side = Side.right
    padding: Padding = Padding.exact
    val_fraction: float = 0.2
    split_seed: int = 0
    limit_train: int | None = None
    limit_test: int | None = None
    batch_size: int = 64
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        self.source = _choice("data.source", Source, self.source)
        self.truncation_side = _choice("data.truncation_side", Side, self.truncation_side)
        self.padding = _choice("data.padding", Padding, self.padding)
        _whole("data.max_vocab", self.max_vocab, 3)  # <pad>, <unk> and a word
        _whole("data.max_length", self.max_length, 1)
        _whole("data.split_seed", self.split_seed, 0)
        _whole("data.batch_size", self.batch_size, 1)
        self.val_fraction = _share("data.val_fraction", self.val_fraction)
        if self.test_fraction is not None:
            self.test_fraction = _share("data.test_fraction", self.test_fraction)
        self.cache = _folder("data.cache", self.cache)
        for name in ("limit_train", "limit_test"):
            if getattr(self, name) is not None:
                _whole(f"data.{name}", getattr(self, name), 2)
        if isinstance(self.positive_label, int):  # Python's 1 is the command line's "1"
            self.positive_label = str(self.positive_label)
        for name in ("text_column", "label_column", "positive_label"):
            _text(f"data.{name}", getattr(self, name))
        for name in ("path", "test_path"):
            if getattr(self, name) is not None:
                setattr(self, name, _path(f"data.{name}", getattr(self, name), "a file or folder"))
        _group("data.augment", AugmentConfig, self.augment)
        self._refuse_what_the_source_has_not()

    def _refuse_what_the_source_has_not(self) -> None:
        if self.source is Source.reviews and self.path is None:
            raise InputError(
                "data=reviews needs data.path=FILE: CSV, TSV, JSON Lines or Parquet, "
                "a glob of such files, or the name of a data set of the Hugging Face hub."
            )
        if self.source is Source.synthetic and self.path is not None:
            raise InputError(
                f"data.path={self.path} goes with data=imdb or data=reviews: "
                "data=synthetic has no file."
            )
        for name in ("test_path", "test_fraction", "text_column", "label_column", "positive_label"):
            if (value := getattr(self, name)) is not None and self.source is not Source.reviews:
                raise InputError(f"data.{name}={value} goes with data=reviews.")
        if self.test_path is not None and self.test_fraction is not None:
            raise InputError(
                f"data.test_fraction={self.test_fraction} goes without data.test_path="
                f"{self.test_path}: give one of them."
            )
        if self.source is Source.reviews and self.test_path is None and self.test_fraction is None:
            self.test_fraction = 0.2


@dataclass
class OptimizerConfig:
    """`clip` bounds the norm of the gradient; null leaves it as it is.

    `schedule=linear` lets the learning rate fall from `lr` to 0 over `trainer.max_epochs`.
    `adversarial` adds the loss of reviews whose vectors are moved against the network, by this
    share of their norm (0: none are; 0.02 is a good first try), for twice to thrice the time.
    """

    name: OptimizerName = OptimizerName.adam
    lr: float = 2e-3
    weight_decay: float = 0.0
    clip: float | None = 1.0
    schedule: Schedule = Schedule.linear
    adversarial: float = 0.0

    def __post_init__(self) -> None:
        self.name = _choice("optimizer.name", OptimizerName, self.name)
        self.schedule = _choice("optimizer.schedule", Schedule, self.schedule)
        self.lr = _real("optimizer.lr", self.lr, "a number above 0", lambda v: v > 0)
        decay, clip = self.weight_decay, self.clip
        self.weight_decay = _real(
            "optimizer.weight_decay", decay, "a number from 0 up", lambda v: v >= 0
        )
        self.adversarial = _real(
            "optimizer.adversarial", self.adversarial, "a number from 0 to 1", lambda v: 0 <= v <= 1
        )
        if clip is not None:
            self.clip = _real("optimizer.clip", clip, "a number above 0, or null", lambda v: v > 0)


@dataclass
class EarlyStoppingConfig:
    """`monitor` chooses the best epoch; training ends `patience` epochs after it (null: never)."""

    monitor: str = "val/loss"
    patience: int | None = 3

    def __post_init__(self) -> None:
        if self.monitor not in MONITORS:
            raise InputError(
                f"early_stopping.monitor={self.monitor} is not known: "
                f"choose one of {', '.join(MONITORS)}."
            )
        if self.patience is not None:
            _whole("early_stopping.patience", self.patience, 1)

    @property
    def mode(self) -> str:
        """Whether less ("min") or more ("max") of the monitored score is better."""
        return "min" if self.monitor == "val/loss" else "max"


@dataclass
class TrainerConfig:
    """Lightning's Trainer, under its own names; `threads` is PyTorch's number of CPU threads."""

    accelerator: Accelerator = Accelerator.auto
    precision: str = "32-true"
    max_epochs: int = 10
    limit_train_batches: int | None = None
    deterministic: bool = True
    log_every_n_steps: int = 50
    enable_progress_bar: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        self.accelerator = _choice("trainer.accelerator", Accelerator, self.accelerator)
        if self.precision not in PRECISIONS:
            raise InputError(
                f"trainer.precision={self.precision} is not known: "
                f"choose one of {', '.join(PRECISIONS)}."
            )
        _whole("trainer.max_epochs", self.max_epochs, 1)
        if self.limit_train_batches is not None:
            _whole("trainer.limit_train_batches", self.limit_train_batches, 1)
        _flag("trainer.deterministic", self.deterministic)
        _flag("trainer.enable_progress_bar", self.enable_progress_bar)
        _whole("trainer.log_every_n_steps", self.log_every_n_steps, 1)
        if self.threads is not None:
            _whole("trainer.threads", self.threads, 1)


@dataclass
class Reference:
    """A published figure, printed beside ours: test scores of the runs whose choices are `run`.

    `run` is written as on the command line: `encoder=lstm head=max`.
    """

    run: str = ""
    accuracy: float | None = None
    loss: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("run", "source"):
            _text(f"reference.{name}", getattr(self, name) or None)
        for word in self.run.split():
            if not all(word.partition("=")):
                raise InputError(f"reference.run={self.run} is not allowed: give NAME=VALUE ...")
        if self.accuracy is not None:
            allowed = "a share from 0 to 1"
            self.accuracy = _real(
                "reference.accuracy", self.accuracy, allowed, lambda v: 0 <= v <= 1
            )
        if self.loss is not None:
            allowed = "a number from 0 up"
            self.loss = _real("reference.loss", self.loss, allowed, lambda v: v >= 0)


@dataclass
class Config:
    """One run: what it computes, where its folder goes, and how often it was asked for."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    seed: int = 0
    test: bool = True
    reference: list[Reference] = field(default_factory=list)
    root: str = "runs"
    sweep: str | None = None
    rerun: bool = False
    keep_checkpoints: bool = False

    def __post_init__(self) -> None:
        for group in fields(self):
            kind, value = group.type, getattr(self, group.name)
            if isinstance(kind, type) and is_dataclass(kind):
                _group(group.name, kind, value)
        for figure in self.reference:
            _group("reference", Reference, figure)
        _whole("seed", self.seed, 0, 2**32 - 1)
        _flag("test", self.test)
        _flag("rerun", self.rerun)
        _flag("keep_checkpoints", self.keep_checkpoints)
        self.root = _folder("root", self.root)
        named = isinstance(self.sweep, str) and SWEEP_NAME.fullmatch(self.sweep)
        if self.sweep is not None and not named:
            raise InputError(
                f"sweep={self.sweep!r} is not allowed: give a folder's name of at most 100 "
                "characters, without a slash and not beginning with a dot."
            )


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every field under its dotted name, as on the command line: {"encoder.cell": "lstm", ...}."""
    values: dict[str, Any] = {}
    for item in fields(config):
        value, name = getattr(config, item.name), prefix + item.name
        if is_dataclass(value):
            values |= flat(value, name + ".")
        else:
            values[name] = str(value) if isinstance(value, StrEnum) else value
    return values
