"""The configuration of a run: every field with its default, its bounds and its meaning.

`python train.py` without arguments trains `Config()`; the files in `conf/` name sets of
fields with other values. Each dataclass checks its fields when it is created, so every `Config` is
valid.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum, auto
from typing import Any, TypeVar

from lstm_sentiment.config_fields import (
    AUTO,
    Checked,
    choice,
    class_names,
    encoding,
    fields_of,
    flag,
    fraction,
    group,
    list_of,
    location,
    locations,
    number,
    own_fields,
    text,
    whole,
)
from lstm_sentiment.display import NO_TEXT, shortened
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import MAX_CLASSES, MAX_SYNTHETIC_CLASSES, THRESHOLD

Group = TypeVar("Group", bound=Checked)


class Cell(StrEnum):
    """The recurrent cells."""

    rnn = auto()
    lstm = auto()
    gru = auto()
    mingru = auto()
    minlstm = auto()
    sru = auto()

    @property
    def is_elementwise(self) -> bool:
        """Whether each unit depends on its own previous value only, without a matrix product."""
        return self in (Cell.mingru, Cell.minlstm, Cell.sru)


class HeadKind(StrEnum):
    """The heads, which reduce the states of a review to one vector."""

    last = auto()
    flatten = auto()
    max = auto()
    avg = auto()
    attention = auto()
    max_attention = auto()
    concat = auto()


class EmbeddingKind(StrEnum):
    """The sources of the initial word vectors."""

    random = auto()
    glove = auto()
    word2vec = auto()


class Source(StrEnum):
    """The sources of reviews."""

    imdb = auto()
    reviews = auto()
    synthetic = auto()


class Delimiter(StrEnum):
    """The characters between the fields of a text file; see `data.delimiter`."""

    auto = AUTO  # the name hides the function `auto`
    comma = "comma"
    semicolon = "semicolon"
    tab = "tab"
    pipe = "pipe"


class Quoting(StrEnum):
    """The meanings of quotes in a text file; see `data.quoting`."""

    auto = AUTO
    csv = "csv"
    none = "none"


class ClassWeights(StrEnum):
    """The weights of the classes in the training loss; see `data.class_weights`."""

    none = auto()
    balanced = auto()


class Calibration(StrEnum):
    """The calibrations of the probabilities; see `decision.calibration`."""

    none = auto()
    temperature = auto()


class MissingValues(StrEnum):
    """The treatments of rows without a text or a label; see `data.missing`."""

    refuse = auto()
    skip = auto()


class Tokenizer(StrEnum):
    """The tokenizers; see `data.tokenizer`."""

    basic_english = auto()
    unicode = auto()
    bpe = auto()


class Padding(StrEnum):
    """The treatments of padding; see `data.padding`."""

    exact = auto()
    keras = auto()
    trailing = auto()

    @property
    def masked(self) -> bool:
        """Whether the network ignores padding; otherwise it reads padding as text."""
        return self is Padding.exact


class Side(StrEnum):
    """The ends of a review."""

    left = auto()
    right = auto()


class OptimizerName(StrEnum):
    """The optimizers."""

    adam = auto()
    adamw = auto()


class Schedule(StrEnum):
    """The schedules of the learning rate."""

    constant = auto()
    linear = auto()
    one_cycle = auto()


class Accelerator(StrEnum):
    """The devices."""

    auto = "auto"  # a string, since the name hides the function `auto`
    cpu = "cpu"
    gpu = "gpu"


class Strategy(StrEnum):
    """The ways in which several devices train one network; see `trainer.strategy`."""

    auto = "auto"  # a string, since the name hides the function `auto`
    ddp = "ddp"


# The published sets of GloVe vectors and their dimensions, under torchtext's names.
GLOVE_DIMS = {
    "6B": (50, 100, 200, 300),
    "42B": (300,),
    "840B": (300,),
    "twitter.27B": (25, 50, 100, 200),
}
DEFAULT_WARMUP = 0.3
LONGEST_NGRAM = 3  # tokens; of networks and of the n-gram baselines
PRECISIONS = ("32-true", "bf16-mixed")
DEPTHS = {1: "", 2: "stacked_", 3: "deep_"}  # number of layers -> prefix of a network's name
SWEEP_NAME = re.compile(rf"(?![.\s])[^/\\\t\n{NO_TEXT.pattern[1:-1]}]{{1,100}}")
CHOICE = r"[^\s=]+=[^\s,]+(,[^\s,]+)*"  # NAME=VALUE, of which commas separate alternatives
CHOICES = re.compile(rf"\s*{CHOICE}(\s+{CHOICE})*\s*")
CHOICE_GROUPS = ("encoder", "head", "embedding", "data")  # whose choices are recorded
SCORES = ("accuracy", "precision", "recall", "f1", "auroc", "loss")
# The fields of `data` that only data=reviews reads.
FIELDS_OF_REVIEWS = (
    "test_path test_fraction test_split val_path val_split text_column label_column "
    "positive_label delimiter encoding quoting missing"
).split()
FILM = "film"  # the only column of groups of IMDB
MONITORS = tuple(f"val/{score}" for score in SCORES)


@dataclass
class EncoderConfig(Checked, prefix="encoder."):
    """The recurrent stack."""

    cell: Cell = choice(Cell.lstm, factor="cell", help="the recurrent cell")
    hidden_size: int = whole(128, low=1, help="units of each layer in each direction")
    num_layers: int = whole(1, low=1, high=3, factor="depth", help="recurrent layers")
    bidirectional: bool = flag(
        False, factor="direction", help="whether each layer also reads the review backwards"
    )
    dropout: float = fraction(
        0.2,
        help="dropout between the layers and, even with a single layer, between the head and the "
        "output",
    )
    recurrent_dropout: float = fraction(
        0.0,
        help="dropout of the hidden-to-hidden weights, with one mask for each batch "
        "(Merity et al. 2018); mingru, minlstm and sru have no such weights",
    )
    backward: bool = flag(
        False,
        help="whether a network in one direction reads the review from its end to its beginning",
    )
    start_from: str | None = location(
        None,
        allowed="the folder of a language model",
        fingerprinted=False,
        recorded=False,
        help="a language model, trained by lstm-sentiment pretrain, from which the word vectors "
        "and the encoder start",
    )
    segment: int | None = whole(
        None,
        low=1,
        help="tokens after which the states start anew (Johnson and Zhang 2016); the head still "
        "reduces all states of the review; null never starts anew",
    )

    @property
    def network(self) -> str:
        """The name of the network, such as bigru or stacked_lstm, from its fields."""
        direction = "bi" if self.bidirectional else "backward_" if self.backward else ""
        return DEPTHS[self.num_layers] + direction + self.cell

    def check_combination(self) -> None:
        """Check that the cell has what is dropped, and that `backward` means one direction."""
        if self.cell.is_elementwise and self.recurrent_dropout > 0:
            raise InputError(
                f"encoder.recurrent_dropout={self.recurrent_dropout} is not allowed with "
                f"encoder.cell={self.cell}, which has no hidden-to-hidden weights: give 0."
            )
        if self.backward and self.bidirectional:
            raise InputError(
                "encoder.backward=true is not allowed with encoder.bidirectional=true, which reads "
                "in both directions."
            )


@dataclass
class HeadConfig(Checked, prefix="head."):
    """The reduction over time."""

    kind: HeadKind = choice(
        HeadKind.last, factor="head", help="how the states of all tokens become one vector"
    )
    ngrams: int = whole(
        0,
        low=0,
        high=LONGEST_NGRAM,
        help="tokens of the longest n-grams that the output units read beside this vector, each "
        "scaled by its log-count ratio, as in the NB-SVM baseline (Wang and Manning 2012); 0 reads "
        "none",
    )


@dataclass
class EmbeddingConfig(Checked, prefix="embedding."):
    """The word vectors."""

    kind: EmbeddingKind = choice(
        EmbeddingKind.random,
        describes="vectors",
        help="the initial vectors: random; glove, published vectors that are downloaded; or "
        "word2vec, vectors that are learned from the training and the unlabelled reviews",
    )
    name: str | None = choice(
        None,
        options=GLOVE_DIMS,
        describes="vectors",
        help="the set of GloVe vectors to download, as torchtext names it; 6B if it is null",
    )
    dim: int = whole(128, low=1, help="numbers in a vector")
    path: str | None = location(
        None,
        allowed="a text file of word vectors",
        fingerprinted=False,
        recorded=False,
        help="a text file to read the vectors from, with embedding=glove or embedding=word2vec",
    )
    dropout: float = fraction(
        0.3, help="dropout of the vectors' components, with one mask for all words of a review"
    )
    freeze_epochs: int = whole(
        0, low=0, help="epochs at the start of training in which the vectors are not trained"
    )

    def check_combination(self) -> None:
        """Check that `kind`, `name`, `path` and `dim` are compatible; set the default of `name`."""
        downloads = self.kind is EmbeddingKind.glove and self.path is None
        if self.name is not None and not downloads:
            raise InputError(
                f"embedding.name={self.name} is allowed only with embedding=glove and without "
                "embedding.path."
            )
        if self.path is not None and self.kind is EmbeddingKind.random:
            raise InputError(
                f"embedding.path={self.path} is allowed only with embedding=glove or "
                "embedding=word2vec."
            )
        if downloads:
            self.name = self.name or "6B"
            if self.dim not in (published := GLOVE_DIMS[self.name]):
                raise InputError(
                    f"embedding.dim must be one of {', '.join(map(str, published))} with "
                    f"embedding.name={self.name} (got {self.dim})."
                )


@dataclass
class AugmentConfig(Checked, prefix="data.augment."):
    """Random changes of the training reviews, in this order, drawn anew in every epoch."""

    shuffle_sentences: bool = flag(False, help="whether to shuffle the sentences of a review")
    crop: float = number(
        1.0,
        above=0,
        high=1,
        help="smallest share of a review's tokens to keep, as one span; 1 keeps the whole review",
    )
    drop: float = fraction(0.0, help="share of the remaining tokens to leave out")
    replace: float = fraction(0.0, help="share of the remaining tokens to replace by <unk>")


@dataclass
class DataConfig(Checked, prefix="data."):
    """The reviews, and their preparation for the network."""

    source: Source = choice(
        Source.imdb,
        fingerprinted=False,
        help="IMDB, reviews of your own, or the built-in synthetic corpus",
    )
    path: str | None = location(
        None,
        fingerprinted=False,
        recorded=False,
        help="the reviews: a file, a glob of files, or a data set of the Hugging Face hub; for "
        "data=imdb a folder or file of IMDB, which is downloaded if this is null",
    )
    test_path: str | None = location(
        None, fingerprinted=False, recorded=False, help="the test reviews, with data=reviews"
    )
    test_fraction: float | None = fraction(
        None,
        fingerprinted=False,
        help="share of the reviews to hold out as the test set, with data=reviews and without a "
        "given test set; 0.2 if it is null; the same reviews for every seed",
    )
    test_split: str | None = text(
        None,
        allowed="the name of a split",
        fingerprinted=False,
        help="the split to test on, with a data set of the hub; test if it is null",
    )
    val_path: str | None = location(
        None,
        fingerprinted=False,
        recorded=False,
        help="the validation reviews, with data=reviews; drawn from the training reviews if it is "
        "null",
    )
    val_split: str | None = text(
        None,
        allowed="the name of a split",
        fingerprinted=False,
        help="the split to validate on, with a data set of the hub; drawn from the training "
        "reviews if it is null",
    )
    text_column: str | None = text(
        None,
        allowed="a name",
        fingerprinted=False,
        help="the column of the texts, with data=reviews; text or review if it is null",
    )
    label_column: str | None = text(
        None,
        allowed="a name",
        fingerprinted=False,
        help="the column of the labels, with data=reviews; label or sentiment if it is null",
    )
    group_column: str | None = text(
        None,
        allowed="a name",
        fingerprinted=False,
        help="the column of the groups, such as products or authors, with data=reviews; film with "
        "data=imdb; no group has reviews in two sets of a split",
    )
    positive_label: str | None = text(
        None,
        allowed="a label",
        fingerprinted=False,
        help="the label of positive reviews, with data=reviews; without it, the second class is "
        "positive",
    )
    classes: Any = class_names(  # int | list[str] | None, which OmegaConf does not support
        most=MAX_CLASSES,
        fingerprinted=False,
        help="the labels of the classes in their order, such as [negative,neutral,positive], or "
        "their number; found in the reviews if it is null: negative and positive for usual labels, "
        "others sorted as numbers or by spelling",
    )
    delimiter: Delimiter = choice(
        Delimiter.auto,
        fingerprinted=False,
        help="the character between the fields of a CSV or TSV file, with data=reviews; auto finds "
        "it in the header",
    )
    encoding: str = encoding(
        AUTO,
        fingerprinted=False,
        help="the encoding of a CSV or TSV file, with data=reviews; auto is UTF-8 or, if the file "
        "begins like it, UTF-16 or UTF-32",
    )
    quoting: Quoting = choice(
        Quoting.auto,
        fingerprinted=False,
        help="csv: a text may be in quotes; none: quotes are part of the texts; auto: csv, but "
        "none for a TSV file in which each line is a row only without quoting",
    )
    missing: MissingValues = choice(
        MissingValues.refuse,
        fingerprinted=False,
        help="rows without a text or a label, with data=reviews: refuse stops at the first, skip "
        "leaves them out",
    )
    cache: str = location(
        "~/.cache/lstm_sentiment",
        allowed="a folder",
        fingerprinted=False,
        recorded=False,
        help="the folder that keeps tokenized reviews and word vectors between runs",
    )
    preparation: int = whole(
        2,
        low=1,
        high=2,
        if_missing=1,
        help="version of the preparation of texts and splits; 1 is that of runs from before this "
        "field existed: texts are not normalized, only equal texts count as copies, sets drawn "
        "from many copies may lose the proportions of the classes, and word2vec also learns from "
        "unlabelled reviews that are copies of held-out ones",
    )
    tokenizer: Tokenizer = choice(
        Tokenizer.basic_english,
        if_missing=Tokenizer.basic_english,
        help="basic_english: words between spaces and ASCII punctuation; unicode: words of any "
        "script; bpe: subwords of any script, learned from the training set",
    )
    max_vocab: int = whole(10_000, low=3, help="size of the vocabulary, including <pad> and <unk>")
    max_length: int = whole(500, low=1, help="tokens to which a longer review is truncated")
    truncation_side: Side = choice(Side.right, help="the end at which reviews are truncated")
    padding: Padding = choice(
        Padding.exact,
        help="exact: padding never changes a prediction; keras, trailing: the network reads "
        "padding as text, before or after the review",
    )
    val_fraction: float = fraction(
        0.2,
        help="share of the training reviews in the validation set, without data.val_path and "
        "data.val_split; 0 trains on all of them",
    )
    split_seed: int = whole(
        0,
        low=0,
        help="seed of the draw of the validation set and of the two limits; independent of seed",
    )
    limit_train: int | None = whole(
        None,
        low=2,
        help="training reviews to keep, labels in proportion, before the validation set is split "
        "off; null keeps all",
    )
    limit_test: int | None = whole(
        None, low=2, help="test reviews to keep, labels in proportion; null keeps all"
    )
    folds: int | None = whole(
        None,
        low=2,
        high=20,
        help="folds of a cross-validation: equal parts of the training reviews, which depend on "
        "the reviews only; null uses the test set of the reviews",
    )
    fold: int | None = whole(
        None,
        low=0,
        help="the fold that takes the place of the test set, from 0 to data.folds - 1",
    )
    batch_size: int = whole(64, low=1, help="reviews in a batch of training")
    class_weights: ClassWeights = choice(
        ClassWeights.none,
        help="weights of the classes in the training loss: none, or balanced, inversely "
        "proportional to their numbers of training reviews",
    )
    pseudo_labels: Any = locations(  # list[str] | None, which OmegaConf does not take as one path
        allowed="the folder of a finished run, baseline or ensemble, or a list of such folders",
        fingerprinted=False,
        recorded=False,
        help="runs, baselines or ensembles whose mean probabilities label the unlabelled reviews, "
        "which are then trained on beside the labelled ones",
    )
    pseudo_weight: float = number(
        1.0,
        above=0,
        help="weight of pseudo-labelled reviews in the training loss; that of labelled ones is 1",
    )
    augment: AugmentConfig = group(AugmentConfig)

    def __post_init__(self) -> None:
        if isinstance(self.positive_label, int):  # Python's 1 is the command line's "1"
            self.positive_label = str(self.positive_label)
        super().__post_init__()

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, if they are configured."""
        return tuple(self.classes) if isinstance(self.classes, list) else None

    @property
    def class_count(self) -> int | None:
        """The number of the classes, if it is configured."""
        return len(self.classes) if isinstance(self.classes, list) else self.classes

    def check_combination(self) -> None:
        """Check which fields `source` allows or requires, and which exclude each other."""
        if self.preparation == 1 and self.tokenizer is not Tokenizer.basic_english:
            raise InputError(
                f"data.preparation must be 2 with data.tokenizer={self.tokenizer} (got 1)."
            )
        if self.preparation == 1 and self.pseudo_labels is not None:  # held-out texts would stay
            raise InputError("data.preparation must be 2 with data.pseudo_labels (got 1).")
        if self.source is Source.synthetic and self.path is not None:
            raise InputError(
                f"data.path={self.path} is allowed only with data=imdb or data=reviews."
            )
        self._check_groups()
        self._check_folds()
        if self.source is not Source.reviews:
            self._refuse_fields_of_reviews()
            self._check_built_in_classes()
            return
        if self.path is None:
            raise InputError(
                "data=reviews requires data.path: a CSV, TSV, JSON Lines or Parquet file, a glob "
                "of such files, or the name of a data set of the Hugging Face hub."
            )
        self._refuse_several("test_path", "test_fraction", "test_split")
        self._refuse_several("val_path", "val_split", "val_fraction")
        self._refuse_several("positive_label", "classes")

    def _check_built_in_classes(self) -> None:
        """Raise InputError if the classes are not those of IMDB or of the synthetic corpus."""
        if self.classes is None:
            return
        given = f"data.classes={self.classes}"
        if self.source is Source.imdb:
            raise InputError(f"{given} is allowed only with data=reviews or data=synthetic.")
        if isinstance(self.classes, list):
            raise InputError(f"{given} must be a number with data=synthetic.")
        if self.classes > MAX_SYNTHETIC_CLASSES:
            raise InputError(
                f"{given} must be at most {MAX_SYNTHETIC_CLASSES} with data=synthetic."
            )

    def _check_groups(self) -> None:
        if self.group_column is None:
            return
        given = f"data.group_column={self.group_column}"
        if self.source is Source.synthetic:
            raise InputError(f"{given} is allowed only with data=imdb or data=reviews.")
        if self.source is Source.imdb and self.group_column != FILM:
            raise InputError(f"{given} is not allowed with data=imdb: give {FILM}.")
        if self.preparation == 1:
            raise InputError(f"{given} is allowed only with data.preparation=2.")

    def _check_folds(self) -> None:
        """Check `folds` and `fold`, and that no other field says what the test set is."""
        if self.folds is None:
            if self.fold is not None:
                raise InputError(
                    f"data.fold={self.fold} needs data.folds: give the number of folds, such as "
                    f"data.folds={max(5, self.fold + 1)}."
                )
            return
        if self.fold is None:
            every = ",".join(map(str, range(self.folds)))
            raise InputError(
                f"data.folds={self.folds} needs data.fold: give data.fold={every} with -m."
            )
        if self.fold >= self.folds:
            raise InputError(
                f"data.fold must be from 0 to {self.folds - 1} with data.folds={self.folds} (got "
                f"{self.fold})."
            )
        if self.preparation == 1:
            raise InputError(f"data.folds={self.folds} is allowed only with data.preparation=2.")
        for other in ("val_path", "val_split", "test_path", "test_split", "test_fraction"):
            self._refuse_several("folds", other)

    def _refuse_several(self, *names: str) -> None:
        """Raise InputError if more than one of these fields has another value than its default."""
        known = own_fields(DataConfig)
        values = {name: getattr(self, name) for name in names}
        given = [f"data.{n}={value}" for n, value in values.items() if value != known[n].default]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other: give one of them.")

    def _refuse_fields_of_reviews(self) -> None:
        known = own_fields(DataConfig)
        for name in FIELDS_OF_REVIEWS:
            if (value := getattr(self, name)) != known[name].default:
                raise InputError(f"data.{name}={value} is allowed only with data=reviews.")


@dataclass
class OptimizerConfig(Checked, prefix="optimizer."):
    """The optimizer, and the older form of adversarial training."""

    name: OptimizerName = choice(OptimizerName.adam, help="the optimizer")
    lr: float = number(2e-3, above=0, help="learning rate")
    weight_decay: float = number(0.0, low=0, help="weight decay")
    clip: float | None = number(
        1.0, above=0, help="largest norm of the gradient; null does not clip it"
    )
    schedule: Schedule = choice(
        Schedule.linear,
        help="linear: the learning rate falls from lr to 0 over trainer.max_epochs; "
        "constant: it does not change; one_cycle: it rises from lr / 10 to lr, then falls to "
        "nearly 0, along half a cosine each, and Adam's beta1 falls from 0.95 to 0.85 and rises "
        "again (Smith and Topin 2017)",
    )
    warmup: float = number(
        DEFAULT_WARMUP,
        above=0,
        below=1,
        help="share of the steps of training in which the learning rate rises, with "
        "optimizer.schedule=one_cycle",
    )
    layer_decay: float = number(
        1.0,
        above=0,
        high=1,
        help="factor of the learning rate from each layer to the next lower one; the layers are "
        "head and output, each layer of the encoder from the last to the first, and the word "
        "vectors (Howard and Ruder 2018, who divide by 2.6: 0.385)",
    )
    unfreeze_every: int = whole(
        0,
        low=0,
        help="epochs after which the training of the next lower layer begins; at first, only head "
        "and output are trained (gradual unfreezing, Howard and Ruder 2018); 0 trains all layers "
        "from the start",
    )
    average: float = fraction(
        0.0,
        help="decay of an exponential moving average of the weights, which is validated, tested "
        "and saved in their place, such as 0.999; 0 uses the weights themselves",
    )
    adversarial: float = number(
        0.0,
        low=0,
        high=1,
        help="the older form of objective.adversarial: size of the adversarial perturbation of the "
        "word vectors, as a share of their norm (Miyato et al. 2017); 0 turns it off; 0.02 is a "
        "good first value, with which training takes two to three times as long",
    )

    def check_combination(self) -> None:
        """Check that `warmup` has an effect."""
        if self.warmup != DEFAULT_WARMUP and self.schedule is not Schedule.one_cycle:
            raise InputError(
                f"optimizer.warmup={self.warmup:g} is allowed only with "
                "optimizer.schedule=one_cycle."
            )


@dataclass
class ObjectiveConfig(Checked, prefix="objective."):
    """The terms of the training loss beside cross-entropy."""

    adversarial: float = number(
        0.0,
        low=0,
        help="weight of the adversarial loss: the cross-entropy on perturbed word vectors (Miyato "
        "et al. 2017); 0 leaves it out",
    )
    virtual_adversarial: float = number(
        0.0,
        low=0,
        help="weight of the virtual adversarial loss: the change of the prediction on perturbed "
        "word vectors, which needs no labels (Miyato et al. 2017); 0 leaves it out",
    )
    entropy: float = number(
        0.0,
        low=0,
        help="weight of the entropy of the predictions, which needs no labels (Sachan et al. "
        "2019); 0 leaves it out",
    )
    epsilon: float = number(
        5.0,
        above=0,
        help="norm of the perturbation of a whole review, if the components of its word vectors "
        "have a root mean square of 1; others are perturbed in proportion",
    )
    xi: float = number(
        0.1,
        above=0,
        help="norm of the small perturbation that finds the direction of the virtual adversarial "
        "one, in the units of objective.epsilon",
    )
    power_iterations: int = whole(
        1,
        low=1,
        high=20,
        help="steps that find the direction of the virtual adversarial perturbation; each takes as "
        "long as a step of training",
    )
    unlabelled: int = whole(
        0,
        low=0,
        high=64,
        help="unlabelled reviews beside each labelled one in a batch, for the terms that need no "
        "labels; 0 computes these terms on the labelled reviews alone",
    )

    @property
    def is_supervised(self) -> bool:
        """Whether the loss is cross-entropy alone."""
        return self.adversarial == self.virtual_adversarial == self.entropy == 0

    def check_combination(self) -> None:
        """Check that a term reads the unlabelled reviews."""
        if self.unlabelled and self.virtual_adversarial == self.entropy == 0:
            raise InputError(
                f"objective.unlabelled={self.unlabelled} needs a term without labels: set "
                "objective.virtual_adversarial or objective.entropy above 0."
            )


@dataclass
class DecisionConfig(Checked, prefix="decision."):
    """The decision for a class, given the logits; chosen on the validation set after training."""

    threshold: str = choice(
        str(THRESHOLD),
        options=(str(THRESHOLD), "f1", "balanced"),
        help="the probability above which the second of two classes is predicted: 0.5, or the one "
        "with the largest F1 (f1) or balanced accuracy (balanced) on the validation set",
    )
    calibration: Calibration = choice(
        Calibration.none,
        help="none, or temperature: divide the logits by the number that minimizes the loss on the "
        "validation set (Guo et al. 2017)",
    )

    def __post_init__(self) -> None:
        if isinstance(self.threshold, float):  # Python's 0.5 is the command line's "0.5"
            self.threshold = str(self.threshold)
        super().__post_init__()

    @property
    def is_usual(self) -> bool:
        """Whether nothing is chosen on the validation set."""
        return self == DecisionConfig()


@dataclass
class EarlyStoppingConfig(Checked, prefix="early_stopping."):
    """The selection of the best epoch, and the end of training."""

    monitor: str = choice(
        "val/loss",
        options=MONITORS,
        help="the score that determines the best epoch, whose weights are saved",
    )
    patience: int | None = whole(
        3, low=1, help="epochs after the best one until training ends; null trains for all epochs"
    )

    @property
    def mode(self) -> str:
        """Whether less ("min") or more ("max") of the monitored score is better."""
        return "min" if self.monitor == "val/loss" else "max"


@dataclass
class TrainerConfig(Checked, prefix="trainer."):
    """The fields of Lightning's Trainer, and the number of threads."""

    accelerator: Accelerator = choice(
        Accelerator.auto,
        fingerprinted=False,
        help="the device; auto is the GPU if there is a working one, else the CPU",
    )
    devices: int = whole(
        1,
        low=1,
        high=1024,
        fingerprinted=False,
        help="processes on each node that train the network together, each with a GPU of its own "
        "or on the CPU; they divide each batch of data.batch_size reviews among themselves",
    )
    num_nodes: int = whole(
        1,
        low=1,
        high=1024,
        fingerprinted=False,
        help="nodes that train the network together; torchrun starts the processes of several",
    )
    strategy: Strategy = choice(
        Strategy.auto,
        fingerprinted=False,
        help="ddp: each process has the whole network, and their gradients are added (distributed "
        "data parallel); auto: ddp for several processes",
    )
    precision: str = choice("32-true", options=PRECISIONS, help="the precision of the computation")
    max_epochs: int = whole(10, low=1, help="largest number of epochs")
    limit_train_batches: int | None = whole(
        None, low=1, help="batches of an epoch of training; null takes all"
    )
    deterministic: bool = flag(
        True, help="whether to use only deterministic algorithms, so that a run can be reproduced"
    )
    log_every_n_steps: int = whole(
        50,
        low=1,
        fingerprinted=False,
        help="steps between two points of the training curves in TensorBoard",
    )
    enable_progress_bar: bool = flag(
        True, fingerprinted=False, help="whether to show the progress of training"
    )
    threads: int | None = whole(
        None,
        low=1,
        fingerprinted=False,
        help="threads of each process on the CPU, at most its cores; null leaves the number to "
        "PyTorch, and divides the cores among the processes of trainer.devices",
    )

    @property
    def processes(self) -> int:
        """The number of processes that train the network together."""
        return self.devices * self.num_nodes


@dataclass
class Reference(Checked, prefix="reference."):
    """A published result, which reports compare with the runs that have the same choices."""

    run: str = text(
        "",
        pattern=CHOICES,
        allowed="choices as on the command line, NAME=VALUE ...",
        fingerprinted=False,
        help="the choices of the runs to compare, such as encoder=lstm head=max",
    )
    accuracy: float | None = number(
        None, low=0, high=1, fingerprinted=False, help="published accuracy on the test set"
    )
    loss: float | None = number(
        None, low=0, fingerprinted=False, help="published loss on the test set"
    )
    source: str = text("", fingerprinted=False, help="where the result was published")
    reviews: int | None = whole(
        None,
        low=2,
        fingerprinted=False,
        help="labelled reviews of the published result, for training and test together",
    )
    labels: int | None = whole(
        None,
        low=2,
        fingerprinted=False,
        help="labelled reviews that the published system was trained on",
    )
    otherwise: str = text(
        "",
        fingerprinted=False,
        help="what was done otherwise there, such as: padding not described",
    )


@dataclass
class CompareConfig(Checked, prefix="compare."):
    """A question, which reports answer by comparing runs with others in pairs."""

    question: str = text(
        "", fingerprinted=False, help="the question; made from run and other if it is empty"
    )
    run: str = text(
        "",
        pattern=CHOICES,
        allowed="choices as on the command line, NAME=VALUE ...",
        fingerprinted=False,
        help="the choices of the runs in question, such as head=max,avg data.padding=exact; a "
        "comma separates alternatives",
    )
    other: str = text(
        "",
        pattern=CHOICES,
        allowed="choices as on the command line, NAME=VALUE ...",
        fingerprinted=False,
        help="the choices of the runs that they are compared with, such as head=last; of several, "
        "those that differ in the fewest settings",
    )

    def check_combination(self) -> None:
        """Check that both sides name choices or fields by which runs differ in their results."""
        for side in ("run", "other"):
            overrides = getattr(self, side).split()
            if not overrides:
                raise InputError(f"compare.{side} must be choices, NAME=VALUE ... (got '').")
            for name in (override.partition("=")[0] for override in overrides):
                if not is_compared(name):
                    raise InputError(
                        f"compare.{side} must name choices of {', '.join(CHOICE_GROUPS)} or fields "
                        "that are part of the fingerprint, but not seed or test (got "
                        f"{shortened(repr(name))})."
                    )


def is_compared(name: str) -> bool:
    """Return whether runs can be compared by this name: a group of choices, or a setting."""
    settings = {known.name for known in fields_of(Config) if known.fingerprinted}
    is_setting = name in settings - {"seed", "test"} or name.startswith("ngrams.")
    return is_setting or name in CHOICE_GROUPS


def any_seed() -> int:
    """Declare the seed of a training."""
    help = "seed of the weights, of dropout and of the batches' order"
    return whole(0, low=0, high=2**32 - 1, help=help)


def root_folder() -> str:
    """Declare the folder of all sweeps."""
    help = "the folder of all sweeps"
    return location("runs", allowed="a folder", fingerprinted=False, recorded=False, help=help)


def sweep_name(default: str | None, help: str) -> str | None:
    """Declare the name of a folder below the root."""
    return text(
        default,
        pattern=SWEEP_NAME,
        longest=255,
        allowed="a folder's name of at most 100 characters and 255 bytes, without slashes and "
        "control characters and not beginning with a dot",
        fingerprinted=False,
        help=help,
    )


def instruction(help: str) -> bool:
    """Declare a flag that says what a command does, and is no part of what it computes."""
    return flag(False, fingerprinted=False, recorded=False, help=help)


@dataclass
class Config(Checked):
    """The configuration of a run."""

    encoder: EncoderConfig = group(EncoderConfig)
    head: HeadConfig = group(HeadConfig)
    embedding: EmbeddingConfig = group(EmbeddingConfig)
    data: DataConfig = group(DataConfig)
    optimizer: OptimizerConfig = group(OptimizerConfig)
    objective: ObjectiveConfig = group(ObjectiveConfig)
    early_stopping: EarlyStoppingConfig = group(EarlyStoppingConfig)
    decision: DecisionConfig = group(DecisionConfig)
    trainer: TrainerConfig = group(TrainerConfig)
    seed: int = any_seed()
    test: bool = flag(
        True,
        help="whether to evaluate on the test set; false leaves it unread, for searches",
    )
    reference: list[Reference] = list_of(
        Reference, fingerprinted=False, help="published results that reports compare with this run"
    )
    compare: list[CompareConfig] = list_of(
        CompareConfig, fingerprinted=False, help="questions that reports answer with these runs"
    )
    root: str = root_folder()
    sweep: str | None = sweep_name(
        None,
        "the folder below root for this run; the experiment's name, or default, if it is null",
    )
    rerun: bool = instruction("whether to delete an existing run and train it from the start")
    keep_checkpoints: bool = instruction("whether a finished run keeps its checkpoints")

    def check_combination(self) -> None:
        """Check choices that exclude each other: the decision, folds, devices, the objective."""
        if self.encoder.start_from is not None and self.embedding.kind is not EmbeddingKind.random:
            raise InputError(
                f"encoder.start_from={self.encoder.start_from} is not allowed with "
                f"embedding={self.embedding.kind}: the word vectors are those of the language "
                "model. Give embedding=random."
            )
        if self.data.val_fraction == 0 and not self.decision.is_usual:
            raise InputError(
                f"decision.threshold={self.decision.threshold} and decision.calibration="
                f"{self.decision.calibration} are chosen on the validation set: "
                "data.val_fraction must be above 0."
            )
        if self.data.folds is not None and not self.test:
            raise InputError(
                f"test=false is not allowed with data.folds={self.data.folds}: each fold is the "
                "test set of a run."
            )
        if self.trainer.processes > self.data.batch_size:
            raise InputError(
                f"data.batch_size={self.data.batch_size} is too small for "
                f"{self.trainer.processes} processes (trainer.devices times trainer.num_nodes), "
                "each of which needs a review."
            )
        if self.optimizer.adversarial > 0 and not self.objective.is_supervised:
            raise InputError(
                f"optimizer.adversarial={self.optimizer.adversarial} is allowed only with "
                "objective=supervised: use objective.adversarial, whose size is objective.epsilon."
            )
        if self.objective.unlabelled and self.data.preparation == 1:
            raise InputError(
                f"objective.unlabelled={self.objective.unlabelled} is allowed only with "
                "data.preparation=2, which leaves out copies of validation and test reviews."
            )


def updated(config: Group, values: Mapping[str, Any]) -> Group:
    """Return a copy with new values by their names, such as {"encoder.cell": "gru"}.

    Raises InputError if a value is not allowed.
    """
    own: dict[str, Any] = {}
    inner: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in values.items():
        first, dot, rest = name.partition(".")
        if dot:
            inner[first][rest] = value
        else:
            own[first] = value
    groups = {name: updated(getattr(config, name), chosen) for name, chosen in inner.items()}
    return replace(config, **own, **groups)  # type: ignore[type-var]  # each group is a dataclass


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values by their names on the command line, such as {"encoder.cell": "lstm"}."""
    values: dict[str, Any] = {}
    for item in fields(config):
        value, name = getattr(config, item.name), prefix + item.name
        if is_dataclass(value):
            values |= flat(value, name + ".")
        else:
            values[name] = str(value) if isinstance(value, StrEnum) else value
    return values


def values_if_missing() -> dict[str, Any]:
    """Return the values that a written configuration implies for fields it lacks, by their names.

    They are the defaults, except for fields that were added with a default that changes results.
    """
    former = {known.name: known.if_missing for known in fields_of(Config)}
    return flat(Config()) | {name: value for name, value in former.items() if value is not None}
