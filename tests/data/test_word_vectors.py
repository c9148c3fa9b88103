"""Pretrained word vectors: which word gets which, what is cached, and what is refused."""

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig
from lstm_sentiment.data import word_vectors
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.word_vectors import WordVectors, identify
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from tests.support.tables import write_columns
from tests.support.vectors import FILM_VECTORS, archive_byte_changed, write_archive, write_vectors

# bad 3, film 3, good 2, end 1, plot 1: a vocabulary of 6 does not include "plot".
TEXTS = ["good film film", "bad film", "good plot", "bad bad end"]


WORDS = ["<pad>", "<unk>", "bad", "film", "good", "end"]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for part in ("train", "test"):
        write_columns(tmp_path / "films" / f"{part}.parquet", TEXTS, [1, 0, 1, 0])
    return tmp_path / "films"


@pytest.fixture
def data(films: Path, tmp_path: Path) -> ReviewDataModule:
    return data_of(films, tmp_path / "cache")


def data_of(films: Path, cache: Path, **fields: Any) -> ReviewDataModule:
    chosen = {"max_vocab": 6, "batch_size": 2, "val_fraction": 0.0, **fields}
    data = ReviewDataModule(DataConfig(path=str(films), cache=str(cache), **chosen))
    data.setup()
    return data


def from_file(path: Path, dim: int = 2) -> EmbeddingConfig:
    return EmbeddingConfig(kind="glove", dim=dim, path=str(path))


def load(config: EmbeddingConfig, data: ReviewDataModule) -> WordVectors:
    vectors = word_vectors.load(config, data)
    assert vectors is not None
    return vectors


class ReadAgainError(Exception):
    pass


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise ReadAgainError

    monkeypatch.setattr(word_vectors, "read_vectors", read)


# Configuration


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "fasttext"}, "embedding.kind must be one of random, glove, .*'fasttext'"),
        (
            {"kind": "glove", "name": "7B"},
            "embedding.name must be one of 6B, 42B, 840B, twitter.*'7B'",
        ),
        ({"name": "6B"}, "embedding.name=6B .* embedding=glove and without embedding.path"),
        ({"kind": "glove"}, "embedding.dim must be one of 50, 100, .*embedding.name=6B .*128"),
        (
            {"kind": "glove", "name": "840B", "dim": 100},
            "embedding.dim must be one of 300 with .*840B",
        ),
        ({"path": "a.txt"}, "embedding.path=a.txt .* embedding=glove or embedding=word2vec"),
        ({"kind": "glove", "path": " "}, "embedding.path must be a text file .*' '"),
        ({"kind": "glove", "path": 3}, "embedding.path must be a text file .*got 3"),
        ({"freeze_epochs": -1}, "embedding.freeze_epochs must be a whole number .*got -1"),
        ({"freeze_epochs": 0.5}, "embedding.freeze_epochs must be .*0.5"),
    ],
)
def test_invalid_configurations_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=f"^{reason}") as raised:
        EmbeddingConfig(**fields)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "glove", "dim": 300, "name": "42B"},
        {"kind": "glove", "dim": 25, "name": "twitter.27B"},
        {"kind": "glove", "dim": 7, "path": "vectors.txt"},
        {"kind": "word2vec", "dim": 7},
        {"kind": "word2vec", "dim": 7, "path": Path("vectors.txt")},
        {"kind": "random", "dim": 7, "freeze_epochs": 2},
    ],
)
def test_valid_configurations(fields: dict[str, Any]) -> None:
    config = EmbeddingConfig(**fields)
    assert config.path in (None, "vectors.txt")


# Vectors of words


def test_every_word_gets_its_vector(data: ReviewDataModule, tmp_path: Path) -> None:
    vectors = load(from_file(write_vectors(tmp_path)), data)
    assert data.vocabulary.words == WORDS
    assert vectors.has_vector.tolist() == [False, False, True, True, False, False]
    assert vectors.matrix.tolist() == [[0, 0], [0, 0], [5, 6], [1, 2], [0, 0], [0, 0]]
    assert vectors.source == "vectors.txt"
    assert word_vectors.load(EmbeddingConfig(dim=2), data) is None


@pytest.mark.parametrize(
    ("content", "words", "tokens"),
    [
        (FILM_VECTORS, 2 / 4, 6 / 10),
        ("good 1 2\n", 1 / 4, 2 / 10),
        ("end 1 2\nbad 1 2\ngood 0 0\nfilm 1 2\n", 1, 9 / 10),  # "plot" is read as <unk>
        ("end 1 2\n<unk> 1 2\nplot 1 2\n", 1 / 4, 1 / 10),
    ],
)
def test_the_summary_contains_the_shares_with_a_vector(
    data: ReviewDataModule, tmp_path: Path, content: str, words: float, tokens: float
) -> None:
    vectors = load(from_file(write_vectors(tmp_path, content)), data)
    assert vectors.summary(data) == {
        "source": "vectors.txt",
        "fingerprint": identify(from_file(tmp_path / "vectors.txt"), data),
        "dim": 2,
        "words": words,
        "tokens": tokens,
        "left_out": None,
    }


def test_shares_are_those_of_the_training_set(films: Path, tmp_path: Path) -> None:
    """Two of the four reviews are in the training set."""
    data = data_of(films, tmp_path / "cache", val_fraction=0.5)
    vectors = load(from_file(write_vectors(tmp_path)), data)
    tokens = " ".join(data.text("train", row) for row in data.train_split.rows.tolist()).split()
    covered = [token for token in tokens if token in ("film", "bad", "plot")]
    assert 0 < len(covered) < len(tokens) < 10
    assert vectors.summary(data)["tokens"] == len(covered) / len(tokens)


@pytest.mark.parametrize("padding", ["exact", "keras"])
def test_words_without_a_vector_keep_their_random_one(padding: str) -> None:
    config = Config(embedding=EmbeddingConfig(dim=2), data=DataConfig(padding=padding))
    classifier = Classifier(config, 5)
    drawn = classifier.embedding.weight.detach().clone()
    matrix = np.float32([[0, 0], [0, 0], [5, 6], [9, 9], [0, 0]])
    classifier.start_from(matrix, np.array([False, False, True, False, True]))
    weight = classifier.embedding.weight
    assert weight[[2, 4]].tolist() == [[5, 6], [0, 0]]
    assert torch.equal(weight[[0, 1, 3]], drawn[[0, 1, 3]])
    assert drawn[[1, 3]].all()
    assert drawn[0].any() == (padding == "keras")  # unmasked padding has a vector
    assert weight.requires_grad
    assert weight.is_leaf


# The cache


def test_a_file_is_read_once_for_a_vocabulary(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cache = from_file(write_vectors(tmp_path)), tmp_path / "cache"
    first = load(config, data_of(films, cache))
    forbid_reading(monkeypatch)
    second = load(config, data_of(films, cache, batch_size=4))
    elsewhere = load(
        from_file(write_vectors(tmp_path / "b", FILM_VECTORS, "copy")), data_of(films, cache)
    )
    for again in (second, elsewhere):
        np.testing.assert_array_equal(again.matrix, first.matrix)
        np.testing.assert_array_equal(again.has_vector, first.has_vector)
        assert again.fingerprint == first.fingerprint
    for other, fields in (
        (config, {"max_vocab": 5}),
        (from_file(write_vectors(tmp_path, FILM_VECTORS + "end 1 2\n", "other")), {}),
        (from_file(tmp_path / "vectors.txt", dim=3), {}),
    ):
        with pytest.raises(ReadAgainError):
            load(other, data_of(films, cache, **fields))


def test_a_refused_file_may_be_corrected(films: Path, tmp_path: Path) -> None:
    config = from_file(write_vectors(tmp_path, "film 1 x\n"))
    data, cache = data_of(films, tmp_path / "cache"), tmp_path / "cache"
    before = set(cache.iterdir())
    for _ in range(2):
        with pytest.raises(InputError, match="not a file of word vectors"):
            load(config, data)
        assert set(cache.iterdir()) == before
    write_vectors(tmp_path, "film 1 2\n")
    assert load(config, data).matrix[3].tolist() == [1, 2]


@pytest.mark.parametrize("content", ["unheard 1 2\nFilm 3 4\n", "1 2\nunheard 1 2\n", "0 2\n"])
def test_vectors_of_another_language_are_refused(
    data: ReviewDataModule, tmp_path: Path, content: str
) -> None:
    path, before = write_vectors(tmp_path, content), set((tmp_path / "cache").iterdir())
    with pytest.raises(InputError) as raised:
        load(from_file(path), data)
    assert str(raised.value).startswith(f"{path} has no word in common with the reviews")
    assert set((tmp_path / "cache").iterdir()) == before


@pytest.mark.parametrize("ask", [identify, word_vectors.load])
def test_a_path_without_a_file_is_refused(
    data: ReviewDataModule, tmp_path: Path, ask: Callable[..., object]
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    for path, reason in {
        tmp_path / "absent.txt": "No such file or directory",
        tmp_path: "not a regular file",
        tmp_path / "pipe": "not a regular file",
        Path("/dev/null"): "not a regular file",
        tmp_path / "loop": "Too many levels of symbolic links",
    }.items():
        with pytest.raises(InputError) as raised:
            ask(from_file(path), data)
        assert str(raised.value).startswith(f"embedding.path={path}: cannot be read ({reason}): ")


def forbid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody open a file; root may read every file."""
    original = os.open

    def forbidden(name: Any, *arguments: Any, **more: Any) -> int:
        if name == path:
            raise PermissionError(13, "Permission denied", str(path))
        return original(name, *arguments, **more)

    monkeypatch.setattr(os, "open", forbidden)


def test_a_file_without_permission_is_refused(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_vectors(tmp_path)
    forbid(path, monkeypatch)
    with pytest.raises(
        InputError, match=r"vectors\.txt: cannot be read \(Permission denied\): give"
    ):
        identify(from_file(path), data)


def test_a_tilde_is_the_home_folder(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(write_vectors(tmp_path / "home").parent))
    config = from_file(Path("~/vectors.txt"))
    assert load(config, data).matrix[3].tolist() == [1, 2]
    assert identify(config, data) == identify(from_file(tmp_path / "home/vectors.txt"), data)


# Identities


def test_a_file_is_identified_by_its_content(data: ReviewDataModule, tmp_path: Path) -> None:
    here, there = write_vectors(tmp_path / "a"), write_vectors(tmp_path / "b", name="renamed")
    other = write_vectors(tmp_path / "c", FILM_VECTORS.replace("8", "9"))
    assert identify(from_file(here), data) == identify(from_file(there), data)
    assert identify(from_file(here), data) != identify(from_file(other), data)
    assert load(from_file(here), data).fingerprint == identify(from_file(here), data)
    before = identify(from_file(here), data)
    write_vectors(tmp_path / "a", FILM_VECTORS + "more 1 2\n")
    assert identify(from_file(here), data) != before


def test_published_vectors_are_identified_by_their_name(data: ReviewDataModule) -> None:
    names = [
        identify(EmbeddingConfig(kind="glove", name=name, dim=dim), data)
        for name, dim in (("6B", 50), ("6B", 100), ("840B", 300), ("twitter.27B", 25))
    ]
    assert names == ["glove.6B.50d", "glove.6B.100d", "glove.840B.300d", "glove.twitter.27B.25d"]
    assert identify(EmbeddingConfig(dim=50), data) == ""


# GloVe


def test_glove_is_read_from_its_archive(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def fetch(name: str, cache: Path, _: object) -> Path:
        requests.append((name, cache))
        with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
            for dim, first in ((50, 0), (100, 1)):
                numbers = " ".join(str(first + place / 4) for place in range(dim))
                archive.writestr(f"glove.6B.{dim}d.txt", f"the {numbers}\nfilm {numbers}\n")
        return tmp_path / "glove.6B.zip"

    monkeypatch.setattr(word_vectors, "fetch_glove", fetch)
    for _ in range(2):
        vectors = load(EmbeddingConfig(kind="glove", dim=50), data)
        assert vectors.matrix[3].tolist() == [place / 4 for place in range(50)]
        assert vectors.has_vector.tolist() == [word == "film" for word in WORDS]
        assert (vectors.source, vectors.fingerprint) == ("glove.6B.50d", "glove.6B.50d")
    assert requests == [("6B", tmp_path / "cache")]
    larger = load(EmbeddingConfig(kind="glove", dim=100), data)
    assert larger.matrix[3, :2].tolist() == [1, 1.25]


FIFTY = " ".join("1" for _ in range(50))


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:60] + b"?" * 20 + content[80:],
        lambda _: b"",
        lambda content: content.replace(b"50d", b"51d"),
        lambda content: archive_byte_changed(content, 6, 255),
        lambda content: archive_byte_changed(content, 8, 1),
        lambda content: archive_byte_changed(content, 10, 1),
    ],
    ids=["half", "noise", "nothing", "another", "version", "encrypted", "method"],
)
def test_a_damaged_archive_is_removed_and_fetched_again(
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[bytes], bytes],
) -> None:
    path, config = tmp_path / "cache/glove.6B.zip", EmbeddingConfig(kind="glove", dim=50)

    def fetch(*_: object) -> Path:  # an existing file is used
        vectors = "".join(f"{word} {FIFTY}\n" for word in ("film", *map(str, range(999))))
        return path if path.exists() else write_archive(tmp_path / "cache", vectors)

    monkeypatch.setattr(word_vectors, "fetch_glove", fetch)
    fetch().write_bytes(harm(fetch().read_bytes()))
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} has been damaged .* removed"):
        load(config, data_of(films, tmp_path / "cache"))
    assert not path.exists()
    next_command = data_of(films, tmp_path / "cache")
    assert load(config, next_command).matrix[3].tolist() == [1] * 50
    assert path.exists()


def test_an_archive_of_another_language_stays(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path, f"le {FIFTY}\n")
    monkeypatch.setattr(word_vectors, "fetch_glove", lambda *_: path)
    with pytest.raises(InputError, match=r"^glove\.6B\.50d has no word in common with the reviews"):
        load(EmbeddingConfig(kind="glove", dim=50), data)
    assert path.exists()


def test_an_archive_without_permission_is_not_called_damaged(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path, f"film {FIFTY}\n")
    monkeypatch.setattr(word_vectors, "fetch_glove", lambda *_: path)
    forbid(path, monkeypatch)
    with pytest.raises(InputError, match="Permission denied"):
        load(EmbeddingConfig(kind="glove", dim=50), data)
    assert path.exists()
