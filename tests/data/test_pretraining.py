"""The reviews to learn from before training: never the texts of a held-out set."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from lstm_sentiment.config import (
    AugmentConfig,
    Config,
    DataConfig,
    EmbeddingConfig,
    ObjectiveConfig,
    Source,
    Tokenizer,
)
from lstm_sentiment.data import skip_gram, word_vectors
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pretraining import (
    pretraining_identity,
    pretraining_reviews,
    train_on_unlabelled,
    unlabelled_identity,
)
from lstm_sentiment.data.splits import Split
from lstm_sentiment.data.vocabulary import UNK_ID
from lstm_sentiment.errors import InputError
from lstm_sentiment.training.plan import Plan
from tests.support.displays import RecordingDisplay
from tests.support.tables import write_columns

WORD2VEC = EmbeddingConfig(kind="word2vec", dim=4)  # type: ignore[arg-type]
TRAIN = [f"Film number {row} was fine" for row in range(40)]
TEST = [f"Play number {row} was fine" for row in range(12)]
OTHERS = [f"Book number {row} was fine" for row in range(5)]
# Copies differ in case, in spaces and in punctuation that is no token.
UNLABELLED = [*OTHERS, TEST[3], TEST[7].upper(), f"  {TEST[7]}", *TRAIN]


def write_imdb(folder: Path, test: list[str] | None = TEST) -> Path:
    write_columns(folder / "train.parquet", TRAIN, [0, 1] * 20)
    if test is not None:
        write_columns(folder / "test.parquet", test, [0, 1] * 6)
    write_columns(folder / "unsupervised.parquet", UNLABELLED, [-1] * len(UNLABELLED))
    return folder


def module(folder: Path, cache: str, test: bool = True, **fields: Any) -> ReviewDataModule:
    chosen: dict[str, Any] = {"path": str(folder), "cache": cache, "batch_size": 2, **fields}
    display = DataCache(RecordingDisplay())
    data = ReviewDataModule(DataConfig(**chosen), test=test, cache=display)
    data.setup()
    return data


def texts_of(split: Split) -> list[str]:
    return sorted("".join(split.tokenized.words_of(row)) for row in split.rows.tolist())


def in_tokens(texts: list[str]) -> list[str]:
    return sorted(text.lower().replace(" ", "") for text in texts)


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("tokenizer", Tokenizer)
def test_copies_of_held_out_reviews_are_left_out(
    tmp_path: Path, cache: str, test: bool, tokenizer: Tokenizer
) -> None:
    """Test reviews beyond the limit are held out as well, training reviews are not."""
    folder = write_imdb(tmp_path)
    fields = {"limit_test": 4, "tokenizer": tokenizer, "max_vocab": 40}
    data = module(folder, cache, test, **fields)
    train, unlabelled = pretraining_reviews(data).splits
    assert train is data.train_split
    trained = [TRAIN[row] for row in data.train.rows]
    assert len(trained) == 32
    marked = [text.replace("▁", "") for text in texts_of(unlabelled)]
    assert sorted(marked) == in_tokens(OTHERS + trained)
    assert pretraining_reviews(data).left_out == 8 + 3
    assert unlabelled.tokenized.vocabulary == train.tokenized.vocabulary


def test_the_held_out_fold_is_left_out(tmp_path: Path, cache: str) -> None:
    folder = write_imdb(tmp_path)
    identities = set()
    for fold in range(4):
        data = module(folder, cache, folds=4, fold=fold, val_fraction=0.2)
        assert data.test is not None
        held_out = {*data.test.rows.tolist(), *data.val.rows.tolist()}
        trained = [text for row, text in enumerate(TRAIN) if row not in held_out]
        _, unlabelled = pretraining_reviews(data).splits
        # The test set of the corpus is not that of a fold.
        assert texts_of(unlabelled) == in_tokens([*OTHERS, TEST[3], TEST[7], TEST[7], *trained])
        identities.add(" ".join(pretraining_identity(data)))
    assert len(identities) == 4


def test_a_drawn_test_set_is_left_out(tmp_path: Path, cache: str) -> None:
    """Without unlabelled reviews, there is only the training set, which has no copies."""
    file = write_columns(tmp_path / "a.csv", TRAIN, [0, 1] * 20)
    fields = {"source": Source.reviews, "path": str(file), "cache": cache, "batch_size": 2}
    data = ReviewDataModule(DataConfig(**fields))  # type: ignore[arg-type]
    data.setup()
    assert pretraining_reviews(data) == ([data.train_split], None)
    assert pretraining_identity(data) == []
    assert data.whole_test is data.split("test")


def test_version_1_of_the_preparation_learns_from_all_reviews(tmp_path: Path, cache: str) -> None:
    data = module(write_imdb(tmp_path), cache, preparation=1)
    reviews = pretraining_reviews(data)
    assert len(reviews.splits[1].rows) == len(UNLABELLED)
    assert (reviews.left_out, reviews.note) == (None, None)
    unlabelled = data.split("unsupervised").identity
    identity = word_vectors.identify(WORD2VEC, data)
    assert identity == f"{json.dumps(skip_gram.SETTINGS)} {unlabelled}"


def test_the_identity_depends_on_the_test_set(tmp_path: Path, cache: str) -> None:
    """Also without evaluation on it, since the vectors depend on it."""
    folders = [write_imdb(tmp_path / "a"), write_imdb(tmp_path / "b", [*TEST[:11], "Another"])]
    identities = [
        word_vectors.identify(WORD2VEC, module(folder, cache, test))
        for folder in folders
        for test in (True, False)
    ]
    assert identities[0] == identities[1]
    assert identities[2] == identities[3]
    assert identities[0] != identities[2]
    test_identity = module(folders[0], cache).split("test").identity
    assert identities[0].endswith(f" without {test_identity}")


def test_a_record_and_a_note_say_how_many_are_left_out(tmp_path: Path, cache: str) -> None:
    data = module(write_imdb(tmp_path), cache)
    vectors = word_vectors.load(WORD2VEC, data)
    assert vectors is not None
    assert vectors.source == "word2vec of 32 + 37 reviews"
    assert vectors.summary(data)["left_out"] == 11
    display = data.cache.display
    assert isinstance(display, RecordingDisplay)
    assert [text for text in display.messages if "left out" in text] == [
        "11 unlabelled reviews are left out of the corpus: validation or test reviews have the "
        "same words."
    ]


def test_without_a_test_set_validation_reviews_are_left_out(tmp_path: Path, cache: str) -> None:
    data = module(write_imdb(tmp_path, test=None), cache, test=False)
    assert data.whole_test is None
    assert pretraining_reviews(data).left_out == 8
    assert pretraining_identity(data)[1:] == ["without", "no test set"]
    display = data.cache.display
    assert isinstance(display, RecordingDisplay)
    [note] = [text for text in display.messages if "test" in text]
    assert note.startswith("The texts of the test set are not known: data.path=")


# Unlabelled batches beside those of the training set


def with_unlabelled(data: ReviewDataModule, per_labelled: int = 1) -> ReviewDataModule:
    train_on_unlabelled(data, per_labelled)
    return data


def loaded(data: ReviewDataModule, epochs: Iterable[int]) -> list[list[Batch]]:
    """Return the training batches of these epochs."""
    loader = data.train_dataloader()
    batches = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        batches.append(list(loader))
    return batches


def unlabelled_rows(batches: Iterable[Batch]) -> list[list[int]]:
    return [batch.unlabelled.rows.tolist() for batch in batches if batch.unlabelled is not None]


@pytest.mark.parametrize("test", [True, False])
def test_unlabelled_batches_have_no_held_out_and_all_other_reviews(
    tmp_path: Path, cache: str, test: bool
) -> None:
    data = with_unlabelled(module(write_imdb(tmp_path), cache, test, batch_size=8, limit_test=4), 2)
    held_out = {text.lower().replace(" ", "") for text in TEST}
    held_out |= {TRAIN[row].lower().replace(" ", "") for row in data.val.rows}
    [batches] = loaded(data, [0])
    assert [len(batch.rows) for batch in batches] == [8] * 4
    rows = [row for batch in unlabelled_rows(batches) for row in batch]
    reviews = data.split("unsupervised").tokenized
    texts = {"".join(reviews.words_of(row)) for row in rows}
    assert texts
    assert not texts & held_out
    # A pass reads each of the 37 other reviews once: 16 + 16 + 5, and 16 of the next pass.
    assert sorted(len(batch) for batch in unlabelled_rows(batches[:3])) == [5, 16, 16]
    first_pass = [row for batch in unlabelled_rows(batches[:3]) for row in batch]
    assert len({*first_pass}) == len(first_pass) == 37
    summary = data.summary()
    assert summary["unlabelled"] == {"reviews": 37, "left_out": 11}


def test_the_order_of_unlabelled_batches_depends_on_seed_and_epoch_only(
    tmp_path: Path, cache: str
) -> None:
    folder = write_imdb(tmp_path)
    epochs = loaded(with_unlabelled(module(folder, cache, batch_size=8)), range(4))
    assert len({str(unlabelled_rows(batches)) for batches in epochs}) == 4
    [resumed] = loaded(with_unlabelled(module(folder, cache, batch_size=8)), [2])
    assert unlabelled_rows(resumed) == unlabelled_rows(epochs[2])
    other = with_unlabelled(module(folder, cache, batch_size=8))
    other.seed = 1
    assert unlabelled_rows(loaded(other, [0])[0]) != unlabelled_rows(epochs[0])
    # The labelled batches are those of training without unlabelled reviews.
    [plain] = loaded(module(folder, cache, batch_size=8), [0])
    assert [batch.rows.tolist() for batch in plain] == [b.rows.tolist() for b in epochs[0]]
    assert all(batch.unlabelled is None for batch in plain)


def test_unlabelled_reviews_are_augmented_as_the_training_set_is(
    tmp_path: Path, cache: str
) -> None:
    augment = AugmentConfig(replace=0.9)
    fields = {"batch_size": 8, "augment": augment}
    data = with_unlabelled(module(write_imdb(tmp_path), cache, **fields))
    for batch in loaded(data, [0])[0]:
        assert batch.unlabelled is not None
        for part in (batch, batch.unlabelled):
            assert (part.ids == UNK_ID).sum() > 0.7 * part.lengths.sum()


def test_unlabelled_reviews_travel_with_their_batch(tmp_path: Path, cache: str) -> None:
    data = with_unlabelled(module(write_imdb(tmp_path), cache))
    [[batch, *_]] = loaded(data, [0])
    moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved.unlabelled is not None
    assert moved.ids.is_meta
    assert moved.unlabelled.ids.is_meta
    assert not moved.unlabelled.lengths.is_meta


def test_runs_depend_on_the_unlabelled_reviews_only_if_they_read_them(
    tmp_path: Path, cache: str
) -> None:
    folders = [write_imdb(tmp_path / "a"), write_imdb(tmp_path / "b")]
    write_columns(folders[1] / "unsupervised.parquet", OTHERS, [-1] * len(OTHERS))
    names = {}
    for per_labelled in (0, 1, 2):
        objective = ObjectiveConfig(virtual_adversarial=1, unlabelled=per_labelled)
        configs = [
            Config(data=DataConfig(path=str(folder), cache=cache), objective=objective)
            for folder in folders
        ]
        names[per_labelled] = [Plan.of(config).folder.name for config in configs]
    assert names[0][0] == names[0][1]
    assert names[1][0] != names[1][1]
    assert len({names[n][0] for n in names}) == 3


def test_unlabelled_reviews_that_do_not_exist_are_refused(tmp_path: Path, cache: str) -> None:
    folder = write_imdb(tmp_path)
    write_columns(folder / "unsupervised.parquet", TEST, [-1] * len(TEST))
    data = module(folder, cache)
    with pytest.raises(InputError) as refusal:
        train_on_unlabelled(data, 1)
    assert "must be 0 (got 1): all unlabelled reviews of Parquet folder" in str(refusal.value)
    (folder / "unsupervised.parquet").unlink()
    data = module(folder, cache)
    with pytest.raises(InputError) as refusal:
        unlabelled_identity(data, 3)
    assert str(refusal.value) == (
        f"objective.unlabelled must be 0 (got 3): {data.corpus.name} has no unlabelled reviews."
    )
    assert unlabelled_identity(data, 0) == ""


def test_unlabelled_reviews_are_looked_for_once(
    tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is prepared by its sweep, before its folder is opened, and when it is trained."""
    data = module(write_imdb(tmp_path), cache)
    train_on_unlabelled(data, 1)
    first = data.unlabelled
    monkeypatch.setattr("lstm_sentiment.data.pretraining.are_copies", None)
    train_on_unlabelled(data, 1)
    assert data.unlabelled is first
