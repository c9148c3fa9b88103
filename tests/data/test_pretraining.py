"""The reviews to learn from before training: never the texts of a held-out set."""

import json
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.config import DataConfig, EmbeddingConfig, Source, Tokenizer
from lstm_sentiment.data import skip_gram, word_vectors
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.pretraining import pretraining_identity, pretraining_reviews
from lstm_sentiment.data.splits import Split
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
