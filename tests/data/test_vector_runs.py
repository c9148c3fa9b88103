"""Whole runs with pretrained word vectors: records, identities, freezing and resuming."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from lstm_sentiment import Config, run
from lstm_sentiment.data.word_vectors import identify
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.training.plan import Plan
from tests.support.project import Killed, MakeConfig, StepCalls, folder_of, without_times
from tests.support.vectors import write_vectors

KNOWN = ("the", "was", "and", ".", "friend")


FIVE = {
    word: row.tolist()
    for word, row in zip(
        KNOWN, np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32), strict=True
    )
}


def lines(vectors: dict[str, list[float]]) -> str:
    return "".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in vectors.items())


def embedding(path: Path, **fields: Any) -> dict[str, Any]:
    """Return the fields of an embedding from a file."""
    return {"kind": "glove", "dim": 5, "path": str(path), **fields}


def learned(config: Config) -> dict[str, list[float]]:
    """Return the vectors in the model of a run, by word."""
    folder = folder_of(config) / "model"
    words = json.loads((folder / "vocab.json").read_text())
    weights = safetensors.torch.load_file(folder / "model.safetensors")["embedding.weight"]
    return dict(zip(words, weights.tolist(), strict=True))


def test_a_record_names_its_vectors_and_no_path(tiny: MakeConfig, tmp_path: Path) -> None:
    path = write_vectors(tmp_path / "secret" / "place", lines(FIVE))
    config = tiny(embedding=embedding(path))
    record = run(config)
    vectors, folder = record["vectors"], folder_of(config)
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


def test_a_record_without_vectors(tiny: MakeConfig) -> None:
    assert run(tiny(trainer={"max_epochs": 1}))["vectors"] is None


def test_a_run_is_identified_by_its_vectors_and_not_by_their_path(
    tiny: MakeConfig, tmp_path: Path
) -> None:
    here, there = (
        write_vectors(tmp_path / "a", lines(FIVE)),
        write_vectors(tmp_path / "b", lines(FIVE), "renamed"),
    )
    other = write_vectors(tmp_path / "c", lines(FIVE | {"was": [1.0, 2.0, 3.0, 4.0, 5.0]}))
    first, moved, changed, frozen, unset = (
        folder_of(tiny(embedding=fields))
        for fields in (
            embedding(here),
            embedding(there),
            embedding(other),
            embedding(here, freeze_epochs=1),
            {"dim": 5},
        )
    )
    assert first == moved
    assert len({first, changed, frozen, unset}) == 4
    record = run(tiny(embedding=embedding(here), trainer={"max_epochs": 1}))
    again = run(tiny(embedding=embedding(there), trainer={"max_epochs": 1}))
    assert again == record


@pytest.mark.parametrize("optimizer", [{}, {"name": "adamw", "weight_decay": 0.1, "lr": 0.1}])
def test_frozen_vectors_stay_and_others_are_trained(
    tiny: MakeConfig, tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    path = write_vectors(tmp_path, lines(FIVE))
    # Without a validation set, the weights are those of the last epoch.
    frozen, unfrozen, never = (
        tiny(
            embedding=embedding(path, freeze_epochs=freeze),
            trainer={"max_epochs": epochs},
            optimizer=optimizer,
            data={"val_fraction": 0.0},
        )
        for freeze, epochs in ((1, 1), (1, 2), (0, 1))
    )
    for config in (frozen, unfrozen, never):
        run(config)
    assert {word: learned(frozen)[word] for word in KNOWN} == FIVE
    for config in (unfrozen, never):
        assert learned(config)["<pad>"] == [0] * 5
        for word in KNOWN:
            assert learned(config)[word] != FIVE[word]
    for word, vector in learned(frozen).items():  # the others start from random vectors
        assert any(vector) == (word != "<pad>")


@pytest.mark.parametrize("last", [2, 8, 14])  # the call within epoch 1, 2, 3 of six batches
def test_a_run_interrupted_before_or_after_unfreezing_ends_the_same(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    config = tiny(
        embedding=embedding(write_vectors(tmp_path, lines(FIVE)), freeze_epochs=1),
        optimizer={"name": "adamw", "lr": 0.03, "weight_decay": 0.1},
        data={"batch_size": 16, "val_fraction": 0.2},
        trainer={"max_epochs": 3},
    )
    whole = replace(config, sweep="whole")
    run(whole)
    with monkeypatch.context() as patch:
        StepCalls(patch, "training_step", last)
        with pytest.raises(Killed):
            run(config)
    run(config)
    records = [without_times(read_json(folder_of(each) / "run.json")) for each in (config, whole)]
    for record in records:
        del record["sweep"], record["config"]["sweep"]
    assert records[0] == records[1]
    weights = [folder_of(each) / "model/model.safetensors" for each in (config, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("the 1 2\n", "embedding.dim must be 2"),
        ("text,label\n", "not a file of word vectors"),
        ("the 1 2 3 4 5\nwas 1 2 3 4", "line 2 must be a word and 5 numbers"),
        ("", "not a file of word vectors"),
        ("9 5\n", "only 0 of 9 vectors are present"),
        ("PK\x03\x04", "an archive must be unpacked first"),
        ("le 1 2 3 4 5\n", "no word in common with the reviews"),
    ],
)
def test_invalid_vectors_are_refused_before_anything_is_written(
    tiny: MakeConfig, tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "vectors.txt"
    if content is not None:
        path.write_text(content)
    config = tiny(embedding=embedding(path))
    with pytest.raises(InputError, match=re.escape(reason)) as raised:
        run(config)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not Path(config.root).exists()
