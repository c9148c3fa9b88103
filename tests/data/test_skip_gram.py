"""Vectors learned from the reviews: from which reviews, how often, and their file."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors, Word2Vec

from lstm_sentiment import run
from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig
from lstm_sentiment.data import skip_gram, word_vectors
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.splits import Split
from lstm_sentiment.errors import InputError
from tests.support.displays import RecordingDisplay
from tests.support.tables import write_columns

WORD2VEC = EmbeddingConfig(kind="word2vec", dim=8)
COUNTS = {"train": 24, "test": 8, "unsupervised": 10}


def write_train_and_test(folder: Path, texts: Sequence[str]) -> Path:
    """Write the same four reviews as training and test set."""
    for part in ("train", "test"):
        write_columns(folder / f"{part}.parquet", texts, [0, 1, 0, 1])
    return folder


def write_marked(folder: Path, *parts: str, step: int = 1) -> Path:
    """Write reviews that contain "film" and, three times, a word of their own, such as train7."""
    for part in parts:
        texts = [f"Film {part}{i} {part}{i} {part}{i}" for i in range(COUNTS[part])]
        labels = [-1 if part == "unsupervised" else i % 2 for i in range(COUNTS[part])]
        write_columns(folder / f"{part}.parquet", texts[::step], labels[::step])
    return folder


def loaded(folder: Path, cache: Path, test: bool = True, **fields: Any) -> ReviewDataModule:
    chosen = {"batch_size": 2, "val_fraction": 0.25, **fields}
    data = ReviewDataModule(DataConfig(path=str(folder), cache=str(cache), **chosen), test=test)
    data.setup()
    return data


def vectors(path: Path) -> Path:
    """Return the only file of learned vectors in a cache."""
    [file] = path.glob("word2vec-*/vectors.txt")
    return file


def words_of(file: Path) -> set[str]:
    return {line.split(" ")[0] for line in file.read_text().splitlines()[1:]}


def own_words(split: Split) -> set[str]:
    return {split.tokenized.words_of(row)[1] for row in split.rows.tolist()}


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(
    ("parts", "source"),
    [
        (("train", "test", "unsupervised"), "word2vec of 18 + 10 reviews"),
        (("train", "test"), "word2vec of 18 reviews"),
    ],
)
def test_vectors_are_learned_from_training_and_unlabelled_reviews_only(
    tmp_path: Path, test: bool, parts: tuple[str, ...], source: str
) -> None:
    data = loaded(write_marked(tmp_path / "films", *parts), tmp_path / "cache", test)
    loaded_vectors = word_vectors.load(WORD2VEC, data)
    training = own_words(data.train_split)
    assert len(training) == 18
    learned = words_of(vectors(tmp_path / "cache"))
    unlabelled = {f"unsupervised{i}" for i in range(10)} if "unsupervised" in parts else set()
    assert learned == training | unlabelled | {"film"}
    assert loaded_vectors is not None
    assert loaded_vectors.source == source
    known = np.array(data.vocabulary.words)[loaded_vectors.has_vector]
    assert set(known) == training | {"film"}


def test_vectors_are_learned_within_the_limit(tmp_path: Path) -> None:
    folder = write_marked(tmp_path / "films", "train", "test")
    data = loaded(folder, tmp_path / "cache", limit_train=8)
    word_vectors.load(WORD2VEC, data)
    training = own_words(data.train_split)
    assert len(training) == 6
    assert words_of(vectors(tmp_path / "cache")) == training | {"film"}


def test_the_same_reviews_give_the_same_bytes(tmp_path: Path) -> None:
    """The order of the rows does not matter, so that two machines learn the same vectors."""
    contents = []
    for name, step in (("one", 1), ("two", 1), ("backwards", -1)):
        folder = write_marked(tmp_path / name, "train", "test", "unsupervised", step=step)
        word_vectors.load(WORD2VEC, loaded(folder, tmp_path / f"{name} cache"))
        contents.append(vectors(tmp_path / f"{name} cache").read_bytes())
    assert contents[0] == contents[1] == contents[2]


def test_vectors_equal_those_of_gensim(tmp_path: Path) -> None:
    folder = write_marked(tmp_path / "films", "train", "test", "unsupervised")
    data = loaded(folder, tmp_path / "cache")
    ours = word_vectors.load(WORD2VEC, data)
    assert ours is not None
    sentences = [
        split.tokenized.words_of(row)
        for split in (data.train_split, data.split("unsupervised"))
        for row in split.rows.tolist()
    ]
    reference = Word2Vec(
        sentences,
        sg=1,
        vector_size=8,
        window=5,
        negative=5,
        min_count=3,
        epochs=5,
        workers=1,
        seed=1,
    ).wv
    saved = KeyedVectors.load_word2vec_format(str(vectors(tmp_path / "cache")))
    assert saved.index_to_key == reference.index_to_key
    np.testing.assert_array_equal(saved.vectors, reference.vectors)
    for id in np.flatnonzero(ours.has_vector):
        np.testing.assert_array_equal(ours.matrix[id], reference[data.vocabulary.words[id]])


def test_a_word_needs_three_occurrences(tmp_path: Path) -> None:
    texts = ["thrice twice", "thrice twice", "thrice once", "often often often often"]
    folder = write_train_and_test(tmp_path / "films", texts)
    data = loaded(folder, tmp_path / "cache", val_fraction=0.0)
    word_vectors.load(WORD2VEC, data)
    assert words_of(vectors(tmp_path / "cache")) == {"thrice", "often"}


def test_vectors_are_learned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = write_marked(tmp_path / "films", "train", "test", "unsupervised"), tmp_path
    data = loaded(folder, cache)
    splits = [data.train_split, data.split("unsupervised")]
    source, file = skip_gram.learn_vectors(splits, 8, cache, DataCache())
    assert file.read_text().splitlines()[0] == "29 8"

    class LearnedAgainError(Exception):
        pass

    def learn(*_: object) -> None:
        raise LearnedAgainError

    monkeypatch.setattr(skip_gram, "_train", learn)
    again = loaded(write_marked(tmp_path / "copy", "train", "test", step=-1), cache)
    assert skip_gram.learn_vectors([again.train_split, splits[1]], 8, cache, DataCache()) == (
        source,
        file,
    )
    for others, dim in (
        (splits, 9),
        (splits[:1], 8),
        ([splits[0].take(np.arange(17)), splits[1]], 8),
    ):
        with pytest.raises(LearnedAgainError):
            skip_gram.learn_vectors(others, dim, cache, DataCache())


def test_progress_is_shown_and_gensim_logs_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = loaded(write_marked(tmp_path / "films", "train", "test"), tmp_path / "cache")
    display = RecordingDisplay()
    with caplog.at_level(logging.INFO):  # as set by Hydra
        skip_gram.learn_vectors([data.train_split], 8, tmp_path / "cache", DataCache(display))
    assert not caplog.records
    assert capsys.readouterr() == ("", "")
    epochs = [f"word2vec, epoch {number} of 5" for number in range(1, 6)]
    assert [bar.title for bar in display.bars] == ["word2vec, counting", *epochs]
    assert {(bar.total, bar.steps[-1]) for bar in display.bars} == {(18, 18)}


def test_missing_gensim_is_reported_with_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, root = write_marked(tmp_path / "films", "train", "test"), tmp_path / "runs"
    data = loaded(folder, tmp_path / "cache")
    config = Config(embedding=WORD2VEC, data=data.config, root=str(root))
    monkeypatch.setitem(sys.modules, "gensim", None)
    calls = (lambda: word_vectors.load(WORD2VEC, data), lambda: run(config))
    for call in calls:
        with pytest.raises(InputError) as raised:
            call()
        assert "gensim, which is not installed" in str(raised.value)
        assert 'pip install "lstm_sentiment[vectors]"' in str(raised.value)
        assert "embedding.path=FILE" in str(raised.value)
    assert not root.exists()
    (tmp_path / "vectors.txt").write_text("film 1 2\n")
    from_file = EmbeddingConfig(kind="word2vec", dim=2, path=str(tmp_path / "vectors.txt"))
    vectors_of_a_file = word_vectors.load(from_file, data)
    assert vectors_of_a_file is not None
    assert vectors_of_a_file.matrix[data.vocabulary.id("film")].tolist() == [1, 2]


def test_gensim_is_needed_only_for_learning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = loaded(write_marked(tmp_path / "films", "train", "test"), tmp_path / "cache")
    name = word_vectors.identify(WORD2VEC, data)
    learned = word_vectors.load(WORD2VEC, data)
    assert learned is not None
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    assert word_vectors.identify(WORD2VEC, data) == name
    again = word_vectors.load(WORD2VEC, data)
    assert again is not None
    np.testing.assert_array_equal(again.matrix, learned.matrix)
    with pytest.raises(InputError, match=r"^embedding=word2vec .* gensim, which is not installed"):
        word_vectors.load(EmbeddingConfig(kind="word2vec", dim=9), data)


def test_a_lone_surrogate_is_an_unknown_word(tmp_path: Path) -> None:
    texts = ["\ud83d film", "\ud83d film \udc4e", "film \udc4e", "film \ud83d bad\ud83d"]
    folder = tmp_path / "films"
    folder.mkdir()
    reviews = [json.dumps({"text": text, "label": i % 2}) for i, text in enumerate(texts)]
    for part in ("train", "test"):  # JSON can represent a lone surrogate
        (folder / f"{part}.jsonl").write_text("\n".join(reviews))
    fields = {"source": "reviews", "test_path": str(folder / "test.jsonl"), "val_fraction": 0.0}
    data = loaded(folder / "train.jsonl", tmp_path / "cache", **fields)
    assert "\ud83d" in data.vocabulary.words
    _, learned = skip_gram.learn_vectors([data.train_split], 8, tmp_path / "cache", DataCache())
    assert words_of(learned) == {"film", "<unk>"}
    loaded_vectors = word_vectors.load(WORD2VEC, data)
    assert loaded_vectors is not None
    known = np.array(data.vocabulary.words)[loaded_vectors.has_vector]
    assert known.tolist() == ["film"]


def test_too_few_words_are_refused(tmp_path: Path) -> None:
    texts = ["one two", "three four", "five six", "seven one"]
    cache = tmp_path / "cache"
    data = loaded(write_train_and_test(tmp_path / "films", texts), cache, val_fraction=0.0)
    before = set(cache.iterdir())
    with pytest.raises(InputError) as raised:
        word_vectors.load(WORD2VEC, data)
    facts = "embedding=word2vec needs a word that occurs 3 times, but there is none in 4 reviews"
    assert str(raised.value).startswith(facts)
    assert set(cache.iterdir()) == before
