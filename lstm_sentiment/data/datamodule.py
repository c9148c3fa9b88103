"""The LightningDataModule, which splits reviews, builds the vocabulary and creates data loaders."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lstm_sentiment.config import (
    FILM,
    AugmentConfig,
    ClassWeights,
    DataConfig,
    Source,
    Tokenizer,
)
from lstm_sentiment.data.batches import (
    AugmentedReviews,
    Batch,
    EncodedReviews,
    PairedOrder,
    PairedReviews,
    ResidentReviews,
    Reviews,
    SharedReviews,
    TrainingOrder,
    sorted_batches,
)
from lstm_sentiment.data.cache import DataCache, cache_key
from lstm_sentiment.data.ngram_vocabulary import MIN_REVIEWS, NgramVocabulary
from lstm_sentiment.data.pseudo_labelled import PseudoLabels, joined
from lstm_sentiment.data.ranks import ALONE, Ranks
from lstm_sentiment.data.requirements import (
    require_classes,
    require_enough_reviews,
    require_groups,
    required_classes,
)
from lstm_sentiment.data.sources import ALL, TEST, TRAIN, VAL, Corpus, Part, open_corpus
from lstm_sentiment.data.splits import (
    Split,
    absent_note,
    copies_note,
    count_copies,
    groups_note,
    proportions_note,
    stratified_sample,
)
from lstm_sentiment.data.tokenized import TokenizedReviews, tokenized_reviews
from lstm_sentiment.data.tokenizer import is_unspaced
from lstm_sentiment.data.vocabulary import UNK_ID, Vocabulary
from lstm_sentiment.display import printable
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import MODEL_BYTES, WORDS
from lstm_sentiment.files.reading import errors_named
from lstm_sentiment.labels import Classes

# Size of batches in evaluation, in training batches: without gradients, larger ones fit into
# memory.
EVALUATION_FACTOR = 4
# The share of tokens in scripts without spaces from which on a note mentions them.
NOTED_UNSPACED = 0.1
# The share of a GPU's free memory that the ids of a split may occupy.
RESIDENT_SHARE, ID_BYTES = 0.2, 4
WEIGHT_BYTES = 4  # of an n-gram for an output of the network
UNLABELLED_DRAW = 2  # distinguishes the seed of unlabelled batches from that of training batches


@dataclass(frozen=True)
class UnlabelledReviews:
    """Unlabelled reviews to train on beside the training set."""

    reviews: EncodedReviews
    per_labelled: int  # reviews beside each labelled one in a batch
    left_out: int | None  # copies of validation and test reviews, which are not among `reviews`


class ReviewDataModule(L.LightningDataModule):
    """The training, validation and test set of the reviews of a configuration.

    `seed` determines the order of the training batches, and `config.split_seed` alone determines
    limits and validation set. If `test` is false, only `whole_test` opens the test set. A given
    `corpus` takes the place of the one that the configuration names. With `ngrams`, batches have
    the n-grams of up to so many tokens, too. `setup` sets the attributes below, except
    `unlabelled`. The batches of the loaders are the shares of one of the `ranks`.
    """

    ranks: Ranks = ALONE  # set by the process that trains with others
    unlabelled: UnlabelledReviews | None = None  # set by `train_beside`

    train_split: Split
    val_split: Split
    test_split: Split | None
    train: EncodedReviews
    val: EncodedReviews
    test: EncodedReviews | None
    classes: Classes
    word_counts: np.ndarray  # (W,) occurrences of each token in the training set
    vocabulary: Vocabulary
    ngram_vocabulary: NgramVocabulary | None  # of the training set, with `ngrams`
    training: EncodedReviews  # of the training batches: `train`, and pseudo-labelled reviews
    pseudo_labels: PseudoLabels | None = None  # set by `learn_from`

    def __init__(
        self,
        config: DataConfig,
        seed: int = 0,
        test: bool = True,
        cache: DataCache | None = None,
        corpus: Corpus | None = None,
        ngrams: int = 0,
    ) -> None:
        super().__init__()
        self.config, self.seed, self.with_test, self.longest = config, seed, test, ngrams
        self.cache = DataCache() if cache is None else cache
        corpus = open_corpus(config, self.cache) if corpus is None else corpus
        self.corpus = corpus if config.folds is None else corpus.for_folds()
        self.splits: dict[str, Split] = {}  # by name, once they have been read
        self._in_subwords: dict[int, TokenizedReviews] = {}  # by the ids of those in words

    @property
    def identity(self) -> str:
        """The identities of the splits, which depend on texts, labels and groups; fills the cache.

        All folds of a cross-validation have the same identity. Raises InputError if the reviews
        cannot be read or cached.
        """
        self.prepare_data()
        if self.config.folds is not None:
            identities = [f"{self.config.folds} folds of {self.split(ALL).identity}"]
        else:
            identities = [self.split(name).identity for name in self._split_names]
        if not self.classes.are_usual:
            identities.append(f"classes-{cache_key(*self.classes.names)}")
        return " ".join(identities)

    def prepare_data(self) -> None:
        """Fill the cache of tokenized reviews.

        Raises InputError if the reviews cannot be read or cached.
        """
        if self.splits.keys() >= set(self._split_names):
            return  # the files are no longer needed
        for name in self._split_names:
            self._part(name)  # report a missing file before reading any file
        for name in self._split_names:
            self.split(name)

    def setup(self, stage: str = "") -> None:
        """Draw limits and validation set and build the vocabulary.

        Raises InputError if the training set lacks a class, if another set has only one, if a set
        is smaller than a batch, or if there are no n-grams or more than a model may have.
        """
        if hasattr(self, "vocabulary"):
            return  # Lightning calls this method once for fitting, validation and testing
        config, whole = self.config, self.split(TRAIN)
        if config.folds is not None and config.group_column is not None:
            # A fold has taken some groups.
            require_groups(whole, config.group_column, len(self._drawn_sets))
        random = np.random.default_rng(config.split_seed)
        chosen = stratified_sample(whole.labels, config.limit_train, random)
        if VAL in self.corpus.parts:
            train, val = whole.take(chosen), self.split(VAL)
            cause, val_cause = self._cause(limit_train=config.limit_train), self._part(VAL).name
        else:
            train, val = whole.split_off(chosen, config.val_fraction, random)
            cause = self._cause(limit_train=config.limit_train, val_fraction=config.val_fraction)
            val_cause = cause
        require_classes(train, self.classes, "training", cause)
        if config.val_fraction:
            require_classes(val, self.classes, "validation", val_cause)
        if len(train.rows) < config.batch_size:
            raise InputError(
                f"data.batch_size must be at most {len(train.rows)}, the number of training "
                f"reviews (got {config.batch_size})."
            )
        test = self._limited_test() if self.with_test else None
        is_bpe = config.tokenizer is Tokenizer.bpe
        learn = Vocabulary.of_subwords if is_bpe else Vocabulary.most_frequent
        counts = whole.tokenized.word_counts(train.rows)
        self.vocabulary = learn(whole.tokenized.words, counts, config.max_vocab)
        self.train_split, self.val_split = self.in_tokens(train), self.in_tokens(val)
        self.test_split = None if test is None else self.in_tokens(test)
        self.word_counts = self.train_split.tokenized.word_counts(train.rows) if is_bpe else counts
        self.ngram_vocabulary = self._count_ngrams(train) if self.longest else None
        self.train, self.val = self._encoded(train), self._encoded(val)
        self.test = self._encoded(test) if test is not None else None
        self.training = self.train

    def _count_ngrams(self, train: Split) -> NgramVocabulary:
        with self.cache.display.progress("counting n-grams"):
            vocabulary = NgramVocabulary.frequent(train.tokenized, train.rows, self.longest)
        if not len(vocabulary):
            raise InputError(
                f"{self.corpus.name}: no word occurs in {MIN_REVIEWS} of the {len(train.rows)} "
                f"training reviews, which head.ngrams={self.longest} requires: use more reviews."
            )
        with errors_named(self.corpus.name):
            # Otherwise, the model could not be read.
            WORDS.check(len(vocabulary))
            MODEL_BYTES.check(len(vocabulary) * self.classes.outputs * WEIGHT_BYTES)
        return vocabulary

    def learn_from(self, pseudo_labels: PseudoLabels) -> None:
        """Add pseudo-labelled reviews to the training batches; the module must be set up."""
        unlabelled = self._encoded(pseudo_labels.reviews)
        self.training = joined(self.train, unlabelled, pseudo_labels.probabilities, self.vocabulary)
        self.pseudo_labels = pseudo_labels

    def in_tokens(self, split: Split) -> Split:
        """Return the split in the tokens of the vocabulary, which are subwords with `bpe`."""
        if self.vocabulary.merges is None:
            return split
        key = id(split.tokenized)  # several splits may be of the same reviews
        if key not in self._in_subwords:
            self._in_subwords[key] = split.tokenized.in_subwords(self.vocabulary)
        return replace(split, tokenized=self._in_subwords[key])

    def _limited_test(self) -> Split:
        config, whole = self.config, self.split(TEST)
        random = np.random.default_rng(config.split_seed)
        test = whole.take(stratified_sample(whole.labels, config.limit_test, random))
        require_classes(test, self.classes, "test", self._cause(limit_test=config.limit_test))
        return test

    def _cause(self, **fields: float | None) -> str:
        """Return the fields that determine the size of a set, or the name of the corpus."""
        if self.config.source is Source.reviews:
            fields["test_fraction"] = self.corpus.test_fraction
        fields |= {"folds": self.config.folds, "fold": self.config.fold}
        named = [f"data.{name}={value}" for name, value in fields.items() if value is not None]
        return " with ".join(named) or self.corpus.name

    def train_beside(self, split: Split, per_labelled: int, left_out: int | None) -> None:
        """Put unlabelled reviews, in words, beside the training set; see `UnlabelledReviews`."""
        self.unlabelled = UnlabelledReviews(self._encoded(split), per_labelled, left_out)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the training set, shuffled and augmented anew in every epoch.

        Pseudo-labelled reviews are shuffled among the others, in proportion to their number.
        """
        order = TrainingOrder(self.training.lengths, self.config.batch_size, self.seed)
        train = self._training_reviews(self.training, order)
        if self.unlabelled is None:
            return _loader(train, order)
        others = self.unlabelled.reviews
        size = self.config.batch_size * self.unlabelled.per_labelled
        seed = np.random.SeedSequence([self.seed, UNLABELLED_DRAW]).generate_state(1)[0]
        others_order = TrainingOrder(others.lengths, size, int(seed))
        pairs = PairedReviews(train, self._training_reviews(others, others_order))
        return _loader(pairs, PairedOrder(order, others_order))

    def _training_reviews(self, reviews: EncodedReviews, order: TrainingOrder) -> Dataset[Batch]:
        """Return the reviews, augmented if the configuration says so."""
        if self.config.augment == AugmentConfig():
            return self._shared(self._resident(reviews))
        return self._shared(AugmentedReviews(reviews, self.config.augment, order))

    def _shared(self, reviews: Reviews) -> Dataset[Batch]:
        return reviews if self.ranks.size == 1 else SharedReviews(reviews, self.ranks)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the validation set, longest reviews first."""
        return self._evaluation_loader(self.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of the test set, longest reviews first."""
        assert self.test is not None, "the module was created without the test set"
        return self._evaluation_loader(self.test)

    def text(self, stage: str, row: int) -> str:
        """Return the words of the review in `row`; `stage` is "train", "val" or "test"."""
        return printable(" ".join(self._split_of(stage).tokenized.words_of(row)))

    def review_columns(self, stage: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns that describe the reviews in `rows`, (N,), beside their predictions.

        `tokens` are the numbers of tokens before truncation. `group` has the numbers of the groups,
        as in `TokenizedReviews.group_numbers`, if groups are known. `construct` is what decides the
        labels of synthetic reviews.
        """
        reviews = self.in_tokens(self._split_of(stage)).tokenized
        columns = {"tokens": reviews.offsets[rows + 1] - reviews.offsets[rows]}
        if self.groups is not None:
            columns["group"] = reviews.group_numbers(rows)
        if reviews.constructs is not None and reviews.constructs.any():
            columns["construct"] = reviews.constructs[rows]
        return columns

    @cached_property
    def groups(self) -> str | None:
        """What the known groups of the reviews are: the name of their column, "film" for IMDB."""
        known = [self.split(name).tokenized.group_ids for name in self._split_names]
        if not any(ids is not None and ids.any() for ids in known):
            return None
        return self.config.group_column or FILM

    def _split_of(self, stage: str) -> Split:
        return self.split(stage if stage in self._split_names else TRAIN)

    def summary(self) -> dict[str, Any]:
        """Return the entry `data` of a record; its shares refer to the training set."""
        lengths, counts = self.train.token_counts, self.word_counts
        return {
            "source": self.corpus.name,
            "fingerprint": self.identity,
            "classes": [*self.classes.names],
            "held_out": self.corpus.test_fraction,
            "group_column": self.config.group_column,
            "groups": self.groups,
            "folds": self.config.folds,
            "fold": self.config.fold,
            "train": len(self.train),
            "val": len(self.val),
            "test": len(self.test) if self.test is not None else None,
            "test_copies": self.test_copies,
            "unlabelled": self._unlabelled_summary(),
            "vocabulary": len(self.vocabulary),
            "unknown_share": float(counts[self.train.word_ids == UNK_ID].sum() / counts.sum()),
            "truncated_share": float((lengths > self.config.max_length).mean()),
        }

    def _unlabelled_summary(self) -> dict[str, Any] | None:
        """Return how many unlabelled reviews are trained on, and how many are left out."""
        if self.unlabelled is None:
            return None
        return {"reviews": len(self.unlabelled.reviews), "left_out": self.unlabelled.left_out}

    @cached_property
    def test_copies(self) -> int | None:
        """The number of test reviews that are copies of training or validation reviews."""
        if self.test_split is None:
            return None
        return count_copies(self.test_split, self.train_split, self.val_split)

    @property
    def notes(self) -> list[str]:
        """Warnings about the sets: their script, absent classes, copies, groups, proportions."""
        train, val, test = self.train_split, self.val_split, self.test_split
        notes = [self._unspaced_note(), absent_note("validation", val.labels, self.classes)]
        if VAL in self.corpus.parts:
            copies = count_copies(val, train)
            notes.append(copies_note(copies, len(val.rows), "validation", "training"))
            notes.append(groups_note("validation", val, train))
        else:
            known = np.concatenate([train.labels, val.labels])
            notes.append(proportions_note("validation", val.labels, known, self.classes))
        if test is not None:
            notes.append(absent_note("test", test.labels, self.classes))
            notes.append(copies_note(self.test_copies, len(test.rows)))
            notes.append(groups_note("test", test, train, val))
            if ALL in self.corpus.parts:
                whole = np.concatenate([self.split(TRAIN).labels, self.split(TEST).labels])
                notes.append(proportions_note("test", test.labels, whole, self.classes))
        return [note for note in notes if note]

    def _unspaced_note(self) -> str | None:
        """Return a warning if many tokens are phrases of a language without spaces."""
        if self.config.tokenizer is not Tokenizer.basic_english:
            return None
        are_unspaced = np.fromiter(map(is_unspaced, self.train.tokenized.words), bool)
        share = self.word_counts[are_unspaced].sum() / self.word_counts.sum()
        if share < NOTED_UNSPACED:
            return None
        return (
            f"{share:.0%} of the tokens of the training set are in a script without spaces, which "
            "data.tokenizer=basic_english does not split into words: use data.tokenizer=unicode or "
            "data.tokenizer=bpe."
        )

    @property
    def _split_names(self) -> tuple[str, ...]:
        names = [TRAIN, *([VAL] if VAL in self.corpus.parts else []), *([TEST] * self.with_test)]
        return tuple(names)

    def split(self, name: str) -> Split:
        """Return the split "train", "val", "test" or "unsupervised" of the corpus, before limits.

        The split "all" has the training and the test set, if both are drawn from the same reviews.
        Raises InputError if the reviews cannot be read or cached, or cannot be divided into folds.
        """
        if name not in self.splits:
            if name != TRAIN:
                self.split(TRAIN)  # which has the classes
            part, config = self._part(name), self.config
            reviews = self.tokenized(name, config.preparation, config.tokenizer)
            if config.group_column is None:  # known films must not change the splits
                reviews = reviews.ungrouped()
            with errors_named(part.name):
                if name == TRAIN:
                    self.classes = required_classes(config, reviews)
                whole = Split.whole(reviews.labelled(self.classes))
            if name == TRAIN:
                self._require_parts(part.name, whole)
            for note in reviews.notes:
                self.cache.note(f"{Path(part.name).name}: {note}")
            if name in self.corpus.parts:
                self.splits[name] = whole
            else:
                train, test = self._divided(whole)
                self.splits |= {ALL: whole, TRAIN: train, TEST: test}
        return self.splits[name]

    def tokenized(self, name: str, preparation: int, tokenizer: Tokenizer) -> TokenizedReviews:
        """Return the reviews of a split in other tokens; their rows are those of `split`.

        Raises InputError if the reviews cannot be read or cached.
        """
        return tokenized_reviews(
            self._part(name), self.cache_folder, self.cache, preparation, tokenizer
        )

    @property
    def cache_folder(self) -> Path:
        """The folder of everything that is cached for the reviews."""
        return Path(self.corpus.cache or self.config.cache).expanduser()

    @property
    def whole_test(self) -> Split | None:
        """The test set before limits, also if `test` is false, or None if there is none.

        Models that learn from unlabelled reviews need it, to keep its texts out of them. Raises
        InputError if its reviews cannot be read or cached.
        """
        if not {TEST, ALL} & self.corpus.parts.keys():
            return None
        if not self.with_test:
            try:
                self._part(TEST)
            except InputError as error:
                self.cache.note(f"The texts of the test set are not known: {error}")
                return None
        return self.split(TEST)

    @property
    def class_weights(self) -> np.ndarray | None:
        """The weight of each class in the training loss, (K,) float32; None for equal weights.

        Balanced weights are inversely proportional to the numbers of training reviews, and their
        mean over these reviews is 1.
        """
        if self.config.class_weights is ClassWeights.none:
            return None
        counts = np.bincount(self.train.labels, minlength=len(self.classes))
        return (len(self.train) / (len(counts) * counts)).astype(np.float32)

    def _require_parts(self, name: str, whole: Split) -> None:
        """Raise InputError if the reviews cannot be divided into the sets drawn from them."""
        column, sets = self.config.group_column, self._drawn_sets
        if column is not None and self.config.folds is None:
            require_groups(whole, column, len(sets))
        with errors_named(name):
            require_enough_reviews(whole, self.classes, sets)

    @property
    def _drawn_sets(self) -> list[str]:
        """The names of the sets that are drawn from the labelled reviews, except a fold."""
        sets = ["training"]
        if VAL not in self.corpus.parts and self.config.val_fraction:
            sets.append("validation")
        if self.corpus.test_fraction is not None:
            sets.append("test")
        return sets

    def _divided(self, whole: Split) -> tuple[Split, Split]:
        """Return the training and the test set of reviews without a test set."""
        if self.config.folds is not None:
            assert self.config.fold is not None
            return whole.fold(self.config.folds, self.config.fold)
        assert self.corpus.test_fraction is not None
        return whole.train_test_split(self.corpus.test_fraction)

    def _part(self, split: str) -> Part:
        parts = self.corpus.parts
        return parts[ALL if ALL in parts and split not in parts else split]()

    def _encoded(self, split: Split) -> EncodedReviews:
        """Return the reviews of a split, which is given in words, as a network reads them."""
        reviews, ngrams = self.in_tokens(split).tokenized, None
        if self.ngram_vocabulary is not None:
            with self.cache.display.progress("finding n-grams"):
                ngrams = self.ngram_vocabulary.find(split.tokenized, split.rows)
        return EncodedReviews(
            reviews,
            split.rows,
            reviews.word_ids(self.vocabulary),
            self.config.max_length,
            self.config.padding,
            self.config.truncation_side,
            ngrams,
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)

    def _evaluation_loader(self, reviews: EncodedReviews) -> DataLoader[Batch]:
        size = self.config.batch_size * EVALUATION_FACTOR
        return _loader(self._shared(self._resident(reviews)), sorted_batches(reviews.lengths, size))

    def _resident(self, reviews: EncodedReviews) -> Reviews:
        """Return the reviews, on the GPU if they fit into `RESIDENT_SHARE` of its free memory."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type != "cuda":
            return reviews
        free, _ = torch.cuda.mem_get_info(device)
        fits = reviews.lengths.sum() * ID_BYTES < free * RESIDENT_SHARE
        return ResidentReviews(reviews, device) if fits else reviews


def _loader(reviews: Dataset[Batch], order: Any) -> DataLoader[Batch]:
    # The sampler yields whole batches, so the loader must not batch again.
    return DataLoader(reviews, sampler=order, batch_size=None)
