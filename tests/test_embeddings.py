"""Vectors of the vocabulary's words: taken from where they are, kept, counted, trained on."""

import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from lstm_sentiment import Config, run
from lstm_sentiment.config import DataConfig, EmbeddingConfig
from lstm_sentiment.data import embeddings
from lstm_sentiment.data.cache import begin_command
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.embeddings import WordVectors, identify
from lstm_sentiment.errors import InputError
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.module import SentimentModule
from lstm_sentiment.training import run as running
from lstm_sentiment.training.board import Board
from lstm_sentiment.training.run import Plan

Make = Callable[..., Config]

# bad 3, film 3, good 2, end 1, plot 1: with six places, "plot" is no word of the vocabulary.
TEXTS = ["good film film", "bad film", "good plot", "bad bad end"]
WORDS = ["<pad>", "<unk>", "bad", "film", "good", "end"]
VECTORS = "film 1 2\nplot 3 4\nbad 5 6\nunheard 7 8\n"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for part in ("train", "test"):
        table = pa.table({"text": TEXTS, "label": [1, 0, 1, 0]})
        pq.write_table(table, folder / f"{part}.parquet")
    return folder


@pytest.fixture
def data(films: Path, tmp_path: Path) -> ReviewDataModule:
    return of_films(films, tmp_path / "cache")


def of_films(films: Path, cache: Path, **fields: Any) -> ReviewDataModule:
    chosen = {"max_vocab": 6, "batch_size": 2, "val_fraction": 0.0, **fields}
    data = ReviewDataModule(DataConfig(path=str(films), cache=str(cache), **chosen))
    data.setup()
    return data


def file(folder: Path, content: str = VECTORS, name: str = "vectors.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder / name


def from_file(path: Path, dim: int = 2) -> EmbeddingConfig:
    return EmbeddingConfig(kind="glove", dim=dim, path=str(path))


def load(config: EmbeddingConfig, data: ReviewDataModule) -> WordVectors:
    vectors = embeddings.load(config, data)
    assert vectors is not None
    return vectors


class ReadAgainError(Exception):
    pass


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise ReadAgainError

    monkeypatch.setattr(embeddings, "read_vectors", read)


# What may be asked for


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "fasttext"}, "embedding.kind=fasttext is not known: choose one of random, glove"),
        (
            {"kind": "glove", "name": "7B"},
            "embedding.name=7B is not known: choose one of 6B, 42B, 840B, twitter",
        ),
        ({"name": "6B"}, "embedding.name=6B goes with embedding=glove and no embedding.path"),
        ({"kind": "glove"}, "embedding.dim=128 is not published for embedding.name=6B: .* 50, 100"),
        ({"kind": "glove", "name": "840B", "dim": 100}, "embedding.dim=100 .*: choose one of 300."),
        ({"path": "a.txt"}, "embedding.path=a.txt goes with embedding=glove or embedding=word2vec"),
        ({"kind": "glove", "path": " "}, "embedding.path=' ' is not allowed: give a text file"),
        ({"kind": "glove", "path": 3}, "embedding.path=3 is not allowed: give a text file"),
        ({"freeze_epochs": -1}, "embedding.freeze_epochs=-1 is not allowed: give a whole number"),
        ({"freeze_epochs": 0.5}, "embedding.freeze_epochs=0.5 is not allowed"),
    ],
)
def test_what_cannot_be_asked_for(fields: dict[str, Any], reason: str) -> None:
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
def test_what_can_be_asked_for(fields: dict[str, Any]) -> None:
    config = EmbeddingConfig(**fields)
    assert config.path in (None, "vectors.txt")


# What the words get


def test_every_word_gets_its_own_vector(data: ReviewDataModule, tmp_path: Path) -> None:
    vectors = load(from_file(file(tmp_path)), data)
    assert data.vocabulary.words == WORDS
    assert vectors.found.tolist() == [False, False, True, True, False, False]
    assert vectors.matrix.tolist() == [[0, 0], [0, 0], [5, 6], [1, 2], [0, 0], [0, 0]]
    assert vectors.source == "vectors.txt"
    assert embeddings.load(EmbeddingConfig(dim=2), data) is None


@pytest.mark.parametrize(
    ("content", "words", "tokens"),
    [
        (VECTORS, 2 / 4, 6 / 10),
        ("good 1 2\n", 1 / 4, 2 / 10),
        ("end 1 2\nbad 1 2\ngood 0 0\nfilm 1 2\n", 1, 9 / 10),  # "plot" is read as <unk>
        ("end 1 2\n<unk> 1 2\nplot 1 2\n", 1 / 4, 1 / 10),
    ],
)
def test_the_summary_says_how_much_is_covered(
    data: ReviewDataModule, tmp_path: Path, content: str, words: float, tokens: float
) -> None:
    vectors = load(from_file(file(tmp_path, content)), data)
    assert vectors.summary(data) == {
        "source": "vectors.txt",
        "fingerprint": identify(from_file(tmp_path / "vectors.txt"), data),
        "dim": 2,
        "words": words,
        "tokens": tokens,
    }


def test_only_the_training_part_is_counted(films: Path, tmp_path: Path) -> None:
    """Two reviews of four train; which, the split says."""
    data = of_films(films, tmp_path / "cache", val_fraction=0.5)
    vectors = load(from_file(file(tmp_path)), data)
    tokens = " ".join(data.text("train", row) for row in data.training.rows.tolist()).split()
    covered = [token for token in tokens if token in ("film", "bad", "plot")]
    assert 0 < len(covered) < len(tokens) < 10
    assert vectors.summary(data)["tokens"] == len(covered) / len(tokens)


@pytest.mark.parametrize("padding", ["exact", "keras"])
def test_words_without_vector_start_as_drawn(padding: str) -> None:
    config = Config(embedding=EmbeddingConfig(dim=2), data=DataConfig(padding=padding))
    classifier = Classifier(config, 5)
    drawn = classifier.embedding.weight.detach().clone()
    matrix = np.float32([[0, 0], [0, 0], [5, 6], [9, 9], [0, 0]])
    classifier.start_from(matrix, np.array([False, False, True, False, True]))
    weight = classifier.embedding.weight
    assert weight[[2, 4]].tolist() == [[5, 6], [0, 0]]
    assert torch.equal(weight[[0, 1, 3]], drawn[[0, 1, 3]])
    assert drawn[[1, 3]].all()
    assert drawn[0].any() == (padding == "keras")  # where padding is a word, it has a vector
    assert weight.requires_grad
    assert weight.is_leaf


# What is kept


def test_a_file_is_read_once_for_a_vocabulary(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cache = from_file(file(tmp_path)), tmp_path / "cache"
    first = load(config, of_films(films, cache))
    forbid_reading(monkeypatch)
    second = load(config, of_films(films, cache, batch_size=4))
    elsewhere = load(from_file(file(tmp_path / "b", VECTORS, "copy")), of_films(films, cache))
    for again in (second, elsewhere):
        np.testing.assert_array_equal(again.matrix, first.matrix)
        np.testing.assert_array_equal(again.found, first.found)
        assert again.fingerprint == first.fingerprint
    for other, fields in (
        (config, {"max_vocab": 5}),
        (from_file(file(tmp_path, VECTORS + "end 1 2\n", "other")), {}),
        (from_file(tmp_path / "vectors.txt", dim=3), {}),
    ):
        with pytest.raises(ReadAgainError):
            load(other, of_films(films, cache, **fields))


def test_what_was_refused_may_be_mended(data: ReviewDataModule, tmp_path: Path) -> None:
    config, before = from_file(file(tmp_path, "film 1 x\n")), set((tmp_path / "cache").iterdir())
    for _ in range(2):
        with pytest.raises(InputError, match="no file of word vectors"):
            load(config, data)
        assert set((tmp_path / "cache").iterdir()) == before
    file(tmp_path, "film 1 2\n")
    assert load(config, data).matrix[3].tolist() == [1, 2]


@pytest.mark.parametrize("content", ["unheard 1 2\nFilm 3 4\n", "1 2\nunheard 1 2\n", "0 2\n"])
def test_vectors_of_another_language_are_refused(
    data: ReviewDataModule, tmp_path: Path, content: str
) -> None:
    path, before = file(tmp_path, content), set((tmp_path / "cache").iterdir())
    with pytest.raises(InputError) as raised:
        load(from_file(path), data)
    assert str(raised.value) == (
        f"{path} has no word in common with the reviews: give vectors of their language, "
        "in lower case."
    )
    assert set((tmp_path / "cache").iterdir()) == before


@pytest.mark.parametrize("ask", [identify, embeddings.load])
def test_what_is_no_file_is_refused(
    data: ReviewDataModule, tmp_path: Path, ask: Callable[..., object]
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")  # nobody writes into it: who opened it would wait
    for path, reason in {
        tmp_path / "absent.txt": "No such file or directory",
        tmp_path: "it is no regular file",
        tmp_path / "pipe": "it is no regular file",
        Path("/dev/null"): "it is no regular file",
        tmp_path / "loop": "Too many levels of symbolic links",
    }.items():
        with pytest.raises(InputError) as raised:
            ask(from_file(path), data)
        assert str(raised.value) == (
            f"embedding.path={path} cannot be read ({reason}): give a text file of word vectors, "
            "as GloVe or word2vec write it, also gzipped."
        )


def test_a_file_that_may_not_be_read_is_refused(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = file(tmp_path), Path.open

    def forbidden(self: Path, *arguments: Any, **more: Any) -> Any:  # root may read everything
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(self, *arguments, **more)

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(
        InputError, match=r"vectors\.txt cannot be read \(Permission denied\): give"
    ):
        identify(from_file(path), data)


def test_a_tilde_is_the_home_folder(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(file(tmp_path / "home").parent))
    config = from_file(Path("~/vectors.txt"))
    assert load(config, data).matrix[3].tolist() == [1, 2]
    assert identify(config, data) == identify(from_file(tmp_path / "home/vectors.txt"), data)


# What vectors are called


def test_a_file_is_what_it_holds(data: ReviewDataModule, tmp_path: Path) -> None:
    here, there = file(tmp_path / "a"), file(tmp_path / "b", name="renamed")
    other = file(tmp_path / "c", VECTORS.replace("8", "9"))
    assert identify(from_file(here), data) == identify(from_file(there), data)
    assert identify(from_file(here), data) != identify(from_file(other), data)
    assert load(from_file(here), data).fingerprint == identify(from_file(here), data)
    before = identify(from_file(here), data)
    file(tmp_path / "a", VECTORS + "more 1 2\n")
    assert identify(from_file(here), data) != before


def test_what_is_fetched_is_called_by_its_name(data: ReviewDataModule) -> None:
    names = [
        identify(EmbeddingConfig(kind="glove", name=name, dim=dim), data)
        for name, dim in (("6B", 50), ("6B", 100), ("840B", 300), ("twitter.27B", 25))
    ]
    assert names == ["glove.6B.50d", "glove.6B.100d", "glove.840B.300d", "glove.twitter.27B.25d"]
    assert identify(EmbeddingConfig(dim=50), data) == ""


def test_glove_is_taken_from_its_archive(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(name: str, cache: Path, _: bool) -> Path:
        asked.append((name, cache))
        with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
            for dim, first in ((50, 0), (100, 1)):
                numbers = " ".join(str(first + place / 4) for place in range(dim))
                archive.writestr(f"glove.6B.{dim}d.txt", f"the {numbers}\nfilm {numbers}\n")
        return tmp_path / "glove.6B.zip"

    monkeypatch.setattr(embeddings, "fetch_glove", fetch)
    for _ in range(2):
        vectors = load(EmbeddingConfig(kind="glove", dim=50), data)
        assert vectors.matrix[3].tolist() == [place / 4 for place in range(50)]
        assert vectors.found.tolist() == [word == "film" for word in WORDS]
        assert (vectors.source, vectors.fingerprint) == ("glove.6B.50d", "glove.6B.50d")
    assert asked == [("6B", tmp_path / "cache")]
    larger = load(EmbeddingConfig(kind="glove", dim=100), data)
    assert larger.matrix[3, :2].tolist() == [1, 1.25]


def archive(folder: Path, vectors: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "glove.6B.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("glove.6B.50d.txt", vectors)
    return path


FIFTY = " ".join("1" for _ in range(50))


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:60] + b"?" * 20 + content[80:],
        lambda _: b"",
        lambda content: content.replace(b"50d", b"51d"),
        lambda content: in_directory(content, 6, 255),
        lambda content: in_directory(content, 8, 1),
        lambda content: in_directory(content, 10, 1),
    ],
    ids=["half", "noise", "nothing", "another", "version", "encrypted", "method"],
)
def test_a_damaged_archive_is_removed_and_fetched_again(
    data: ReviewDataModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[bytes], bytes],
) -> None:
    path, config = tmp_path / "cache/glove.6B.zip", EmbeddingConfig(kind="glove", dim=50)

    def fetch(*_: object) -> Path:  # what is there is taken
        vectors = "".join(f"{word} {FIFTY}\n" for word in ("film", *map(str, range(999))))
        return path if path.exists() else archive(tmp_path / "cache", vectors)

    monkeypatch.setattr(embeddings, "fetch_glove", fetch)
    fetch().write_bytes(harm(fetch().read_bytes()))
    with pytest.raises(InputError) as raised:
        load(config, data)
    assert str(raised.value) == (
        f"{path} was damaged since it was fetched, and is removed: the same command fetches it "
        "again."
    )
    assert not path.exists()
    begin_command()
    assert load(config, data).matrix[3].tolist() == [1] * 50
    assert path.exists()


def in_directory(content: bytes, place: int, value: int) -> bytes:
    """One byte of the last entry in the list at the end of a .zip is another."""
    place += content.rindex(b"PK\x01\x02")
    return content[:place] + bytes([value]) + content[place + 1 :]


def test_an_archive_of_another_language_stays(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path, f"le {FIFTY}\n")
    monkeypatch.setattr(embeddings, "fetch_glove", lambda *_: path)
    with pytest.raises(InputError, match=r"^glove\.6B\.50d has no word in common with the reviews"):
        load(EmbeddingConfig(kind="glove", dim=50), data)
    assert path.exists()


def test_an_archive_that_may_not_be_read_is_not_called_damaged(
    data: ReviewDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = archive(tmp_path, f"film {FIFTY}\n"), Path.open

    def forbidden(self: Path, *arguments: Any, **more: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(self, *arguments, **more)

    monkeypatch.setattr(embeddings, "fetch_glove", lambda *_: path)
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(InputError, match="Permission denied"):
        load(EmbeddingConfig(kind="glove", dim=50), data)
    assert path.exists()


# Whole runs


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "save_figures", lambda *_: None)
    monkeypatch.setattr(Board, "finish", lambda *_: None)


KNOWN = ("the", "was", "and", ".", "friend")
FIVE = {
    word: row.tolist()
    for word, row in zip(
        KNOWN, np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32), strict=True
    )
}


def lines(vectors: dict[str, list[float]]) -> str:
    return "".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in vectors.items())


def given(path: Path, **fields: Any) -> dict[str, Any]:
    return {"kind": "glove", "dim": 5, "path": str(path), **fields}


def trained(config: Config) -> dict[str, list[float]]:
    """The vectors that a run has kept, by word."""
    folder = Plan.of(config).folder / "model"
    words = json.loads((folder / "vocab.json").read_text())
    weights = safetensors.torch.load_file(folder / "model.safetensors")["embedding.weight"]
    return dict(zip(words, weights.tolist(), strict=True))


def test_a_record_says_where_its_vectors_come_from(tiny: Make, tmp_path: Path) -> None:
    path = file(tmp_path / "secret" / "place", lines(FIVE))
    config = tiny(embedding=given(path))
    record = run(config)
    vectors, folder = record["vectors"], Plan.of(config).folder
    assert (vectors["source"], vectors["dim"]) == ("vectors.txt", 5)
    assert vectors["fingerprint"] == identify(config.embedding, Plan.of(config).data)
    assert vectors["words"] == pytest.approx(5 / (record["data"]["vocabulary"] - 2))
    assert vectors["words"] < vectors["tokens"] < 0.5
    assert json.loads((folder / "run.json").read_text()) == record
    for name in ("run.json", "config.json", "model/config.json"):
        text = (folder / name).read_text()
        assert "secret" not in text
        assert str(tmp_path) not in text
        assert config.data.cache not in text


def test_a_record_without_vectors_says_so(tiny: Make) -> None:
    assert run(tiny(trainer={"max_epochs": 1}))["vectors"] is None


def test_a_run_is_called_by_its_vectors_and_not_by_their_place(tiny: Make, tmp_path: Path) -> None:
    here, there = file(tmp_path / "a", lines(FIVE)), file(tmp_path / "b", lines(FIVE), "renamed")
    other = file(tmp_path / "c", lines(FIVE | {"was": [1.0, 2.0, 3.0, 4.0, 5.0]}))
    first, moved, changed, frozen, unset = (
        Plan.of(tiny(embedding=fields)).folder
        for fields in (
            given(here),
            given(there),
            given(other),
            given(here, freeze_epochs=1),
            {"dim": 5},
        )
    )
    assert first == moved
    assert len({first, changed, frozen, unset}) == 4
    record = run(tiny(embedding=given(here), trainer={"max_epochs": 1}))
    again = run(tiny(embedding=given(there), trainer={"max_epochs": 1}))
    assert again == record


@pytest.mark.parametrize("optimizer", [{}, {"name": "adamw", "weight_decay": 0.1, "lr": 0.1}])
def test_frozen_vectors_stay_and_thawed_ones_are_trained(
    tiny: Make, tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    path = file(tmp_path, lines(FIVE))
    # Without validation, the last epoch is kept.
    frozen, thawed, never = (
        tiny(
            embedding=given(path, freeze_epochs=freeze),
            trainer={"max_epochs": epochs},
            optimizer=optimizer,
            data={"val_fraction": 0.0},
        )
        for freeze, epochs in ((1, 1), (1, 2), (0, 1))
    )
    for config in (frozen, thawed, never):
        run(config)
    assert {word: trained(frozen)[word] for word in KNOWN} == FIVE
    for config in (thawed, never):
        assert trained(config)["<pad>"] == [0] * 5
        for word in KNOWN:
            assert trained(config)[word] != FIVE[word]
    for word, vector in trained(frozen).items():  # the others start from somewhere, too
        assert any(vector) == (word != "<pad>")


class KilledError(BaseException):
    """Ends a run as abruptly as can be done from within."""


@pytest.mark.parametrize("last", [2, 8, 14])  # the call within epoch 1, 2, 3 of six batches
def test_a_run_broken_off_before_or_after_the_thaw_ends_the_same(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    config = tiny(
        embedding=given(file(tmp_path, lines(FIVE)), freeze_epochs=1),
        optimizer={"name": "adamw", "lr": 0.03, "weight_decay": 0.1},
        data={"batch_size": 16, "val_fraction": 0.2},
        trainer={"max_epochs": 3},
    )
    whole, calls = replace(config, sweep="whole"), 0
    run(whole)
    step = SentimentModule.training_step

    @wraps(step)  # Lightning looks at the arguments
    def counted(self: SentimentModule, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KilledError
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SentimentModule, "training_step", counted)
        with pytest.raises(KilledError):
            run(config)
    run(config)
    outcomes = []
    for done in (config, whole):
        record = json.loads((Plan.of(done).folder / "run.json").read_text())
        del record["cost"], record["environment"], record["sweep"], record["config"]["sweep"]
        for epoch in record["epochs"]:
            del epoch["seconds"]
        outcomes.append((record, (Plan.of(done).folder / "model/model.safetensors").read_bytes()))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("the 1 2\n", "give embedding.dim=2."),
        ("text,label\n", "no file of word vectors"),
        ("the 1 2 3 4 5\nwas 1 2 3 4", "line 2 is no word with 5 numbers"),
        ("", "no file of word vectors"),
        ("9 5\n", "it is cut short: 0 of 9 vectors are there"),
        ("PK\x03\x04", "it is an archive, which has to be unpacked"),
        ("le 1 2 3 4 5\n", "no word in common with the reviews"),
    ],
)
def test_bad_vectors_are_refused_before_anything_is_written(
    tiny: Make, tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "vectors.txt"
    if content is not None:
        path.write_text(content)
    config = tiny(embedding=given(path))
    with pytest.raises(InputError, match=re.escape(reason)) as raised:
        run(config)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not Path(config.root).exists()
