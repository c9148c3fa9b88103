"""Model folders as untrusted input: damaged, changed or malicious ones are refused."""

import json
import os
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.network_folder import read_model
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import TEXTS, drawn, saved

Make = Callable[..., Config]


@pytest.fixture
def model(tiny: Make, tmp_path: Path) -> Path:
    return saved(tmp_path / "run", tiny(head={"kind": "attention"})) / "model"


def refused(model: Path) -> str:
    """Return the message with which loading the model is refused."""
    with pytest.raises(InputError) as refusal:
        Predictor.load(model)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def change(model: Path, name: str, value: Any) -> None:
    """Change a value of the configuration, by its dotted name."""
    file = model / "config.json"
    content = json.loads(file.read_text())
    *groups, field = name.split(".")
    part = content
    for group in groups:
        part = part[group]
    part[field] = value
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_saved_model_is_read_unchanged(tiny: Make, tmp_path: Path, cell: str) -> None:
    config = tiny(encoder={"cell": cell, "bidirectional": True, "num_layers": 2})
    trained = read_model(saved(tmp_path / "run", config) / "model")
    for name, weight in drawn(config).state_dict().items():
        assert torch.equal(trained.classifier.state_dict()[name], weight)
    assert not trained.classifier.training
    assert trained.config.encoder == config.encoder


def test_reading_draws_no_random_number(model: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    read_model(model)
    assert torch.rand(1) == expected


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
def test_a_pickle_is_not_opened(model: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "exploded"
    (model / name).write_bytes(pickle.dumps(Bomb(str(mark))))
    message = refused(model)
    assert name in message
    assert "damaged" in message
    assert not mark.exists()


def test_a_file_of_pytorch_is_not_opened(model: Path) -> None:
    torch.save({"output.weight": torch.zeros(1)}, model / "model.safetensors")
    assert "damaged" in refused(model)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
def test_a_link_to_a_file_outside_is_not_followed(model: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (model / name).rename(outside)
    (model / name).symlink_to(outside)
    assert f"{name}: cannot be read (a link, which is not followed)" in refused(model)
    assert f"{name}: cannot be read (a link, which is not followed)" in refused(model.parent)


def test_a_link_to_a_folder_is_followed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "best").symlink_to(model.parent)
    assert Predictor.load(tmp_path / "best").predict(TEXTS[0])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    assert f"{name}: cannot be read (No such file or directory)" in refused(model.parent)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
def test_a_folder_in_the_place_of_a_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    (model / name).mkdir()
    assert f"{name}: cannot be read (not a regular file)" in refused(model.parent)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
def test_a_fifo_in_the_place_of_a_file_is_not_opened(model: Path, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    assert f"{name}: cannot be read (not a regular file)" in refused(model.parent)


def test_a_link_in_the_place_of_the_model_of_a_run_is_refused(model: Path, tmp_path: Path) -> None:
    """A user may name a link, but a run does not lead to another folder."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model").symlink_to(model)
    assert "model is a link, which is not followed" in refused(tmp_path / "other")
    (model / "model.safetensors").unlink()
    assert "model is a link, which is not followed" in refused(tmp_path / "other")


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json"])
def test_a_file_that_is_cut_short_is_named(model: Path, name: str, length: int) -> None:
    content = (model / name).read_bytes()
    end = len(content) - 3 if length == -1 else length
    (model / name).write_bytes(content[:end])
    assert name in refused(model)


def header(tensors: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_declared_shapes_allocate_no_memory(model: Path) -> None:
    """Gigabytes in the header of a small file, of a sparse file, and in the configuration."""
    size = 10 * 2**30
    big = {"embedding.weight": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    weights = model / "model.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(header(big))
    assert "lacks the weights" in refused(model)
    with weights.open("wb") as stream:
        stream.write(header(big))
        stream.truncate(len(header(big)) + size)  # takes no space on the disk
    assert "MAX_MODEL_BYTES raises this limit" in refused(model)
    os.truncate(weights, len(header(big)) + 2**28)
    assert "lacks the weights" in refused(model)
    weights.write_bytes(original)
    change(model, "config.encoder.hidden_size", 2**24)
    assert "the configured network and its vocabulary need" in refused(model)
    change(model, "config.encoder.hidden_size", 2**62)
    assert "its network is too large" in refused(model)


@pytest.mark.parametrize("padding", ["exact", "keras", "trailing"])
def test_a_huge_maximal_length_is_refused(model: Path, padding: str) -> None:
    change(model, "config.data.padding", padding)
    change(model, "config.data.max_length", 10**9)
    assert "data.max_length must be at most 1,000,000 (got 1000000000)" in refused(model)


@pytest.mark.parametrize("words", [21, 23, 2])
def test_a_vocabulary_of_another_length_is_refused(model: Path, words: int) -> None:
    vocabulary = json.loads((model / "vocab.json").read_text())
    assert len(vocabulary) == 22
    changed = [*vocabulary, "more"][:words]
    (model / "vocab.json").write_text(json.dumps(changed))
    assert f"need {words} x 5 in F32" in refused(model)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"the": 2}, "it is not a list of words"),
        (["<pad>", "<unk>", 3], "it is not a list of words"),
        (["<unk>", "<pad>", "the"], "a vocabulary must start with"),
        (["<pad>", "<unk>", "the", "the"], "list each word once"),
        ([], "a vocabulary must start with"),
    ],
)
def test_a_file_that_is_not_a_vocabulary_is_refused(model: Path, words: Any, reason: str) -> None:
    (model / "vocab.json").write_text(json.dumps(words))
    assert reason in refused(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(model: Path, value: float) -> None:
    weights = safetensors.torch.load_file(model / "model.safetensors")
    weights["head.query.weight"][0, 3] = value
    safetensors.torch.save_file(weights, model / "model.safetensors")
    assert "the weights 'head.query.weight' contain numbers that are not finite" in refused(model)


def test_weights_of_another_network_are_refused(model: Path) -> None:
    weights = safetensors.torch.load_file(model / "model.safetensors")
    file = model / "model.safetensors"
    safetensors.torch.save_file({**weights, "more": torch.zeros(1)}, file)
    assert "it has the weights 'more'" in refused(model)
    safetensors.torch.save_file({n: w for n, w in weights.items() if n != "output.bias"}, file)
    assert "it lacks the weights 'output.bias'" in refused(model)
    safetensors.torch.save_file({n: w.double() for n, w in weights.items()}, file)
    assert re.search(r"are [\dx ]+ in F64, but .* need [\dx ]+ in F32", refused(model))
    transposed = {n: w.T.contiguous() if w.dim() == 2 else w for n, w in weights.items()}
    safetensors.torch.save_file(transposed, file)
    assert "the configured network and its vocabulary need" in refused(model)


@pytest.mark.parametrize("field", ["data.path", "data.test_path", "data.cache", "embedding.path"])
def test_a_path_in_the_configuration_is_refused(model: Path, field: str) -> None:
    change(model, f"config.{field}", "/etc/passwd")
    assert f"{field} is not a field of a model's configuration" in refused(model)
    (model / "config.json").write_text('{"schema": 1, "config": {"root": "/etc"}}')
    assert "root is not a field" in refused(model)


def test_a_newer_schema_is_refused(model: Path) -> None:
    change(model, "schema", 3)
    assert "it has schema 3, and this version reads 1 and 2" in refused(model)
    for wrong in (None, "1", True, [1]):
        change(model, "schema", wrong)
        assert "it is not the configuration of a model" in refused(model)


def names_of(nested: dict[str, Any], prefix: str = "config.") -> Iterator[str]:
    """Yield the dotted name of every value and group."""
    for name, value in nested.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from names_of(value, f"{prefix}{name}.")


def problem(model: Path) -> str:
    """Return the message with which the model is refused, or "" if it is not."""
    try:
        assert np.isfinite(Predictor.load(model).logits(TEXTS[:1])).all()
    except InputError as error:
        return str(error)
    return ""


ODD = [None, True, -1, 0, 10**400, 1e308, float("nan"), "", "x" * 10_000, [], [[]], {}, {"a": 1}]


def test_any_value_of_any_field_is_either_used_or_refused(model: Path) -> None:
    file = model / "config.json"
    original = file.read_text()
    names = list(names_of(json.loads(original)["config"]))
    assert "config.embedding.name" in names
    refusals = 0
    for name in names:
        for value in ODD:
            file.write_text(original)
            change(model, name, value)
            message = problem(model)
            assert "\n" not in message
            assert len(message) < 11_000
            refusals += bool(message)
    assert refusals > len(names) * len(ODD) * 0.6


@pytest.mark.parametrize("content", ["", "[]", "null", "[" * 100_000, '{"schema": 1}', "\xff"])
def test_a_damaged_configuration_is_named(model: Path, content: str) -> None:
    (model / "config.json").write_text(content, encoding="latin-1")
    assert "config.json" in refused(model)


def test_a_huge_configuration_is_not_read(model: Path) -> None:
    with (model / "config.json").open("ab") as stream:
        stream.truncate(2**33)
    assert "it has 8,589,934,592 bytes, more than" in refused(model)


def test_the_number_of_words_is_limited(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_WORDS", "22")
    Predictor.load(model)
    monkeypatch.setenv("LSTM_SENTIMENT_MAX_WORDS", "21")
    assert "vocab.json: it has 22 words, more than the 21 allowed" in refused(model)


def changed_header(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        end = 8 + int.from_bytes(content[:8], "little")
        tensors = json.loads(content[8:end])
        change(tensors)
        return header(tensors, content[end:])

    return apply


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content + b"more", "data follow the last weights"),
        (lambda content: content[:-1], "ends within the weights"),
        (lambda content: struct.pack("<Q", 2**63) + content[8:], "not a safetensors file"),
        (lambda _: header({"a": 1})[:8] + b"[1]     ", "not a safetensors file"),
        (lambda _: header({}), "lacks the weights"),
        (changed_header(lambda t: t["output.bias"].pop("dtype")), "not a safetensors file"),
        (changed_header(lambda t: t["output.bias"].update(shape="1")), "not a safetensors file"),
        (changed_header(lambda t: t.update({"output.bias": 3})), "not a safetensors file"),
        (
            changed_header(lambda t: t.update({"output.bias": t["output.weight"]})),
            "the weights 'output.bias' are",
        ),
        (
            changed_header(lambda t: t["output.bias"].update(data_offsets=[0, 4])),
            "not a safetensors file",
        ),
        (
            changed_header(lambda t: t["output.bias"].update(data_offsets=[0, 10**9])),
            "not a safetensors file",
        ),
    ],
)  # fmt: skip
def test_a_damaged_header_is_refused(
    model: Path, change: Callable[[bytes], bytes], reason: str
) -> None:
    file = model / "model.safetensors"
    file.write_bytes(change(file.read_bytes()))
    assert reason in refused(model)


def test_the_data_may_have_any_order(model: Path) -> None:
    """Another writer of safetensors files may sort the tensors differently."""
    before = Predictor.load(model).logits(TEXTS)
    weights = safetensors.torch.load_file(model / "model.safetensors")
    tensors, data = {}, b""
    for name, weight in reversed(weights.items()):
        start, data = len(data), data + weight.numpy().tobytes()
        offsets = [start, len(data)]
        tensors[name] = {"dtype": "F32", "shape": [*weight.shape], "data_offsets": offsets}
    tensors["__metadata__"] = {"format": "pt"}
    (model / "model.safetensors").write_bytes(header(tensors, data))
    assert Predictor.load(model).logits(TEXTS).tolist() == before.tolist()


def test_a_flipped_bit_is_refused_or_leaves_a_finite_answer(model: Path) -> None:
    random = np.random.default_rng(0)
    intact = {path: path.read_bytes() for path in model.iterdir()}
    refusals = 0
    for _ in range(40):
        path = sorted(intact)[random.integers(3)]
        content = bytearray(intact[path])
        content[random.integers(min(len(content), 2_000))] ^= 1 << random.integers(8)
        path.write_bytes(content)
        message = problem(model)
        assert "\n" not in message
        refusals += bool(message)
        path.write_bytes(intact[path])
    assert 10 < refusals < 40
