"""Vectors learned from the reviews: from which, how often, and what stands in their file."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gensim.models import KeyedVectors, Word2Vec

from lstm_sentiment import run
from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig
from lstm_sentiment.data import embeddings, skip_gram
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.splits import Split
from lstm_sentiment.errors import InputError

WORD2VEC = EmbeddingConfig(kind="word2vec", dim=8)
COUNTS = {"train": 24, "test": 8, "unsupervised": 10}


def write(folder: Path, part: str, texts: Sequence[str], labels: Sequence[int]) -> None:
    folder.mkdir(exist_ok=True)
    table = pa.table({"text": list(texts), "label": list(labels)})
    pq.write_table(table, folder / f"{part}.parquet")


def write_marked(folder: Path, *parts: str, step: int = 1) -> Path:
    """Every review says "film" and, three times, a word of its own; train7, test3, ..."""
    for part in parts:
        texts = [f"Film {part}{i} {part}{i} {part}{i}" for i in range(COUNTS[part])]
        labels = [-1 if part == "unsupervised" else i % 2 for i in range(COUNTS[part])]
        write(folder, part, texts[::step], labels[::step])
    return folder


def loaded(folder: Path, cache: Path, test: bool = True, **fields: Any) -> ReviewDataModule:
    chosen = {"batch_size": 2, "val_fraction": 0.25, **fields}
    data = ReviewDataModule(DataConfig(path=str(folder), cache=str(cache), **chosen), test=test)
    data.setup()
    return data


def vectors(path: Path) -> Path:
    """The one file of vectors in a cache."""
    [file] = path.glob("word2vec-*/vectors.txt")
    return file


def words_of(file: Path) -> set[str]:
    return {line.split(" ")[0] for line in file.read_text().splitlines()[1:]}


def own_words(split: Split) -> set[str]:
    return {split.reviews.spelled(row)[1] for row in split.rows.tolist()}


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(
    ("parts", "source"),
    [
        (("train", "test", "unsupervised"), "word2vec of 18 + 10 reviews"),
        (("train", "test"), "word2vec of 18 reviews"),
    ],
)
def test_what_is_held_back_teaches_nothing(
    tmp_path: Path, test: bool, parts: tuple[str, ...], source: str
) -> None:
    data = loaded(write_marked(tmp_path / "films", *parts), tmp_path / "cache", test)
    found = embeddings.load(WORD2VEC, data)
    training = own_words(data.training)
    assert len(training) == 18
    learned = words_of(vectors(tmp_path / "cache"))
    unlabelled = {f"unsupervised{i}" for i in range(10)} if "unsupervised" in parts else set()
    assert learned == training | unlabelled | {"film"}
    assert found is not None
    assert found.source == source
    known = np.array(data.vocabulary.words)[found.found]
    assert set(known) == training | {"film"}


def test_the_limit_leaves_reviews_out(tmp_path: Path) -> None:
    folder = write_marked(tmp_path / "films", "train", "test")
    data = loaded(folder, tmp_path / "cache", limit_train=8)
    embeddings.load(WORD2VEC, data)
    training = own_words(data.training)
    assert len(training) == 6
    assert words_of(vectors(tmp_path / "cache")) == training | {"film"}


def test_the_same_reviews_give_the_same_bytes(tmp_path: Path) -> None:
    """In whatever order they lie, so that two machines have the same vectors."""
    contents = []
    for name, step in (("one", 1), ("two", 1), ("backwards", -1)):
        folder = write_marked(tmp_path / name, "train", "test", "unsupervised", step=step)
        embeddings.load(WORD2VEC, loaded(folder, tmp_path / f"{name} cache"))
        contents.append(vectors(tmp_path / f"{name} cache").read_bytes())
    assert contents[0] == contents[1] == contents[2]


def test_the_vectors_are_those_of_gensim(tmp_path: Path) -> None:
    folder = write_marked(tmp_path / "films", "train", "test", "unsupervised")
    data = loaded(folder, tmp_path / "cache")
    ours = embeddings.load(WORD2VEC, data)
    assert ours is not None
    sentences = [
        split.reviews.spelled(row)
        for split in (data.training, data.split("unsupervised"))
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
    for id in np.flatnonzero(ours.found):
        np.testing.assert_array_equal(ours.matrix[id], reference[data.vocabulary.words[id]])


def test_a_word_is_learned_from_its_third_time_on(tmp_path: Path) -> None:
    texts = ["thrice twice", "thrice twice", "thrice once", "often often often often"]
    for part in ("train", "test"):
        write(tmp_path / "films", part, texts, [0, 1, 0, 1])
    data = loaded(tmp_path / "films", tmp_path / "cache", val_fraction=0.0)
    embeddings.load(WORD2VEC, data)
    assert words_of(vectors(tmp_path / "cache")) == {"thrice", "often"}


def test_vectors_are_learned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = write_marked(tmp_path / "films", "train", "test", "unsupervised"), tmp_path
    splits = [(data := loaded(folder, cache)).training, data.split("unsupervised")]
    source, file = skip_gram.trained(splits, 8, cache)
    assert file.read_text().splitlines()[0] == "29 8"

    class LearnedAgainError(Exception):
        pass

    def learn(*_: object) -> None:
        raise LearnedAgainError

    monkeypatch.setattr(skip_gram, "_train", learn)
    again = loaded(write_marked(tmp_path / "copy", "train", "test", step=-1), cache)
    assert skip_gram.trained([again.training, splits[1]], 8, cache) == (source, file)
    for others, dim in (
        (splits, 9),
        (splits[:1], 8),
        ([splits[0].take(np.arange(17)), splits[1]], 8),
    ):
        with pytest.raises(LearnedAgainError):
            skip_gram.trained(others, dim, cache)


def test_it_says_how_far_it_is(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    data = loaded(write_marked(tmp_path / "films", "train", "test"), tmp_path / "cache")
    capsys.readouterr()
    with caplog.at_level(logging.INFO):  # as Hydra has it
        skip_gram.trained([data.training], 8, tmp_path / "silent")
    assert not caplog.records
    assert capsys.readouterr() == ("", "")
    skip_gram.trained([data.training], 8, tmp_path / "cache", progress=True)
    lines = [line.split("  ")[0].split(" ━")[0] for line in capsys.readouterr().out.splitlines()]
    epochs = [f"word2vec, epoch {number} of 5" for number in range(1, 6)]
    assert lines == ["word2vec, counts", *epochs]


def test_without_gensim_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, root = write_marked(tmp_path / "films", "train", "test"), tmp_path / "runs"
    data = loaded(folder, tmp_path / "cache")
    config = Config(embedding=WORD2VEC, data=data.config, root=str(root))
    monkeypatch.setitem(sys.modules, "gensim", None)
    asked = (lambda: embeddings.load(WORD2VEC, data), lambda: run(config))
    for ask in asked:
        with pytest.raises(InputError) as raised:
            ask()
        assert str(raised.value) == (
            "embedding=word2vec learns vectors with gensim, which is not installed: "
            "pip install -c constraints.txt -e '.[vectors]' (up to Python 3.13), "
            "or give vectors with embedding.path=FILE."
        )
    assert not root.exists()
    (tmp_path / "vectors.txt").write_text("film 1 2\n")
    given = EmbeddingConfig(kind="word2vec", dim=2, path=str(tmp_path / "vectors.txt"))
    vectors_of_a_file = embeddings.load(given, data)
    assert vectors_of_a_file is not None
    assert vectors_of_a_file.matrix[data.vocabulary.id("film")].tolist() == [1, 2]


def test_gensim_is_asked_for_only_where_vectors_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = loaded(write_marked(tmp_path / "films", "train", "test"), tmp_path / "cache")
    name = embeddings.identify(WORD2VEC, data)
    learned = embeddings.load(WORD2VEC, data)
    assert learned is not None
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    assert embeddings.identify(WORD2VEC, data) == name
    again = embeddings.load(WORD2VEC, data)
    assert again is not None
    np.testing.assert_array_equal(again.matrix, learned.matrix)
    with pytest.raises(InputError, match=r"^embedding=word2vec .* gensim, which is not installed"):
        embeddings.load(EmbeddingConfig(kind="word2vec", dim=9), data)


def test_a_lone_surrogate_is_an_unknown_word(tmp_path: Path) -> None:
    texts = ["\ud83d film", "\ud83d film \udc4e", "film \udc4e", "film \ud83d bad\ud83d"]
    folder = tmp_path / "films"
    folder.mkdir()
    reviews = [json.dumps({"text": text, "label": i % 2}) for i, text in enumerate(texts)]
    for part in ("train", "test"):  # in JSON, half a character can be written
        (folder / f"{part}.jsonl").write_text("\n".join(reviews))
    fields = {"source": "reviews", "test_path": str(folder / "test.jsonl"), "val_fraction": 0.0}
    data = loaded(folder / "train.jsonl", tmp_path / "cache", **fields)
    assert "\ud83d" in data.vocabulary.words
    _, learned = skip_gram.trained([data.training], 8, tmp_path / "cache")
    assert words_of(learned) == {"film", "<unk>"}
    found = embeddings.load(WORD2VEC, data)
    assert found is not None
    known = np.array(data.vocabulary.words)[found.found]
    assert known.tolist() == ["film"]


def test_too_few_words_are_refused(tmp_path: Path) -> None:
    texts = ["one two", "three four", "five six", "seven one"]
    for part in ("train", "test"):
        write(tmp_path / "films", part, texts, [0, 1, 0, 1])
    cache = tmp_path / "cache"
    data = loaded(tmp_path / "films", cache, val_fraction=0.0)
    before = set(cache.iterdir())
    with pytest.raises(InputError) as raised:
        embeddings.load(WORD2VEC, data)
    assert str(raised.value) == (
        "embedding=word2vec finds no word 3 times in 4 reviews: give more reviews, "
        "or vectors with embedding.path=FILE."
    )
    assert set(cache.iterdir()) == before
