"""Reviews in other tokenizers: vocabulary, batches, word vectors, augmentation and notes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.config import AugmentConfig, DataConfig, EmbeddingConfig, Tokenizer
from lstm_sentiment.data import word_vectors
from lstm_sentiment.data.batches import AugmentedReviews
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokenizer import tokenize
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from tests.support.datamodules import Make, Table, data_of_file
from tests.support.languages import chinese, german
from tests.support.tables import write_columns
from tests.support.vectors import write_vectors

REVIEWS = [*german(60, 0), *chinese(60, 0)]
TABLE = ([review.text for review in REVIEWS], [review.label for review in REVIEWS])


def words_of(data: ReviewDataModule, row: int) -> list[str]:
    return tokenize(TABLE[0][row], 2, data.config.tokenizer)


def bpe_of(make: Make, **fields: Any) -> ReviewDataModule:
    return make(TABLE, TABLE, tokenizer="bpe", **{"max_vocab": 150, "test": True, **fields})


def test_subwords_are_learned_from_the_training_set_alone(make: Make) -> None:
    data = bpe_of(make, val_fraction=0.5, limit_train=80)
    words = [word for row in data.train.rows.tolist() for word in words_of(data, row)]
    distinct, counts = np.unique(words, return_counts=True)
    expected = Vocabulary.of_subwords(distinct.tolist(), counts, 150)
    assert data.vocabulary.words == expected.words
    assert data.vocabulary.merges == expected.merges
    assert len(data.vocabulary) <= 150


def test_everything_behind_the_vocabulary_counts_subwords(make: Make) -> None:
    data = bpe_of(make)
    assert data.test is not None
    for stage, reviews in (("train", data.train), ("val", data.val), ("test", data.test)):
        for position, row in enumerate(reviews.rows.tolist()):
            tokens = data.vocabulary.tokens_of(words_of(data, row))
            batch = reviews[np.array([position])]
            assert batch.ids[0].tolist() == data.vocabulary.encode(tokens).tolist()
            assert data.review_columns(stage, np.array([row]))["tokens"].tolist() == [len(tokens)]
            assert data.text(stage, row) == " ".join(words_of(data, row))
    assert data.word_counts.sum() == data.train.token_counts.sum()
    assert data.train.tokenized is data.val.tokenized  # split once
    assert data.summary()["vocabulary"] == len(data.vocabulary)


def test_the_order_of_the_rows_changes_no_subword(tmp_path: Path, cache: str) -> None:
    vocabularies = []
    for name, order in (("a", slice(None)), ("b", slice(None, None, -1))):
        file = write_columns(tmp_path / f"{name}.parquet", TABLE[0][order], TABLE[1][order])
        data = data_of_file(file, cache, tokenizer="bpe", max_vocab=150)
        vocabularies.append((data.vocabulary.words, data.vocabulary.merges))
    assert vocabularies[0] == vocabularies[1]


def test_all_tokenizers_have_the_same_sets(make: Make) -> None:
    sets = [
        (data.train.rows.tolist(), data.val.rows.tolist(), data.identity)
        for data in (make(TABLE, TABLE, tokenizer=tokenizer) for tokenizer in Tokenizer)
    ]
    assert sets[0] == sets[1] == sets[2]


def test_the_first_preparation_has_only_the_default_tokenizer() -> None:
    message = "data.preparation must be 2 with data.tokenizer=bpe .got 1.."
    with pytest.raises(InputError, match=message):
        DataConfig(preparation=1, tokenizer=Tokenizer.bpe)


def test_pretrained_vectors_are_those_of_whole_words(make: Make, tmp_path: Path) -> None:
    path = write_vectors(tmp_path, "film 1 2\nil 3 4\n▁film 5 6\n电影 7 8\n")
    config = EmbeddingConfig(kind="glove", dim=2, path=str(path))
    table = (["film film 电影", "il film 电影", "x 电影 film"] * 2, [0, 1] * 3)
    for tokenizer, expected in (("bpe", {"▁film", "▁电影"}), ("unicode", {"film", "il"})):
        data = make(table, tokenizer=tokenizer, max_vocab=60, val_fraction=0.0)
        loaded = word_vectors.load(config, data)
        assert loaded is not None
        words = {data.vocabulary.words[id] for id in np.flatnonzero(loaded.has_vector)}
        assert words - {"▁il"} == expected
        id = data.vocabulary.words.index("▁film" if tokenizer == "bpe" else "film")
        assert loaded.matrix[id].tolist() == [1, 2]


def test_skip_gram_learns_vectors_of_subwords(make: Make) -> None:
    pytest.importorskip("gensim")
    config = EmbeddingConfig(kind="word2vec", dim=4)
    fingerprints = set()
    for size in (100, 150):  # the subwords depend on the size, the reviews do not
        data = bpe_of(make, max_vocab=size)
        loaded = word_vectors.load(config, data)
        assert loaded is not None
        fingerprints.add(loaded.fingerprint)
        learned = {data.vocabulary.words[id] for id in np.flatnonzero(loaded.has_vector)}
        counts = dict(zip(data.train.tokenized.words, data.word_counts.tolist(), strict=True))
        assert learned == {w for w in data.vocabulary.words if counts.get(w, 0) >= 3}
    assert len(fingerprints) == 2


@pytest.mark.parametrize("tokenizer", ["unicode", "bpe"])
def test_sentences_of_other_scripts_are_shuffled(make: Make, tokenizer: str) -> None:
    table = (["好看。不好！ 好？ хорошо. 坏؟", "坏 坏。", "好。", "坏"], [1, 0, 1, 0])
    config = AugmentConfig(shuffle_sentences=True)
    data = make(table, tokenizer=tokenizer, val_fraction=0.0, augment=config)
    augmented = data.train_dataloader().dataset
    assert isinstance(augmented, AugmentedReviews)
    ends = {augmented.reviews.tokenized.words[number] for number in augmented.ends}
    assert {end.removeprefix("▁") for end in ends} == {"。", "!", "?", ".", "؟"}


def test_a_note_says_that_the_default_does_not_split_chinese(make: Make) -> None:
    in_german, in_chinese = (TABLE[0][:60], TABLE[1][:60]), (TABLE[0][60:], TABLE[1][60:])

    def is_noted(table: Table, **fields: Any) -> bool:
        return any("use data.tokenizer=unicode" in note for note in make(table, **fields).notes)

    assert is_noted(in_chinese)
    assert not is_noted(in_chinese, tokenizer="unicode")
    assert not is_noted(in_german)
