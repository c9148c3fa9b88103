"""Subnormal numbers are treated as zero in every thread that computes, and only while it does."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor

from lstm_sentiment.commands.train import run
from lstm_sentiment.config import Cell, Config, EncoderConfig
from lstm_sentiment.model import recurrence
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.model.encoders import build_encoder
from lstm_sentiment.model.subnormals import (
    are_subnormals_flushed,
    flush_subnormals,
    subnormals_flushed,
)
from lstm_sentiment.serving.onnx_model import save_onnx
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.serving.torch_predictor import TorchPredictor
from tests.support.networks import drawn, saved
from tests.support.project import ROOT

TINY = torch.finfo(torch.float32).tiny


@pytest.fixture(autouse=True)
def two_threads_that_compute_exactly() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    flush_subnormals(False)
    yield
    flush_subnormals(False)
    torch.set_num_threads(before)


def subnormals(tensor: Tensor) -> int:
    return int(((tensor != 0) & (tensor.abs() < TINY)).sum())


def faint_products() -> Tensor:
    """Return a million subnormal products; PyTorch's OpenMP threads compute half of them each."""
    return torch.full((1_000_000,), 1e-20) * 1e-20


def faded_gradients(cell: Cell) -> Tensor:
    """Return the gradients of 400 inputs, (8, 400, 6), of which only the last state is used."""
    torch.manual_seed(0)
    encoder = build_encoder(EncoderConfig(cell, hidden_size=8, dropout=0.0), 6)
    vectors = (torch.randn(8, 400, 6) * 0.1).requires_grad_()
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(0.5)
    encoder(Embedded(vectors), torch.full((8,), 400)).final.sum().backward()
    assert vectors.grad is not None
    return vectors.grad


def test_openmp_threads_that_run_already_follow_and_are_restored() -> None:
    assert subnormals(faint_products()) == 1_000_000
    with subnormals_flushed(openmp=True):
        assert subnormals(faint_products()) == 0
        assert are_subnormals_flushed()
    assert subnormals(faint_products()) == 1_000_000
    assert not are_subnormals_flushed()


def test_a_mode_that_was_set_before_remains() -> None:
    flush_subnormals()
    with subnormals_flushed():
        pass
    assert are_subnormals_flushed()


def test_the_mode_is_restored_after_an_error() -> None:
    with pytest.raises(KeyError), subnormals_flushed():
        raise KeyError
    assert not are_subnormals_flushed()


def test_all_threads_of_the_recurrences_flush() -> None:
    recurrence._workers.cache_clear()
    pool = recurrence._workers(3)
    assert all(f.result() for f in [pool.submit(are_subnormals_flushed) for _ in range(20)])


@pytest.mark.parametrize("cell", Cell)
def test_fading_gradients_have_no_subnormal_numbers(cell: Cell) -> None:
    assert subnormals(faded_gradients(cell)) > 0  # in the rows that this thread computes
    with subnormals_flushed(openmp=True):
        gradients = faded_gradients(cell)
    assert subnormals(gradients) == 0
    assert gradients[:, -1].abs().min() > 0


def modes_of_classifiers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list to which every forward step adds the mode of its thread."""
    modes: list[bool] = []
    classify = Classifier.forward
    monkeypatch.setattr(
        Classifier,
        "forward",
        lambda *arguments: (modes.append(are_subnormals_flushed()), classify(*arguments))[1],
    )
    return modes


def test_training_flushes_and_restores(
    tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = modes_of_classifiers(monkeypatch)
    run(tiny())
    assert modes
    assert all(modes)
    assert not are_subnormals_flushed()


def test_predicting_and_explaining_flush_and_restore(
    tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.load(saved(tmp_path / "run", tiny()))
    modes = modes_of_classifiers(monkeypatch)
    predictor.predict("Not bad at all.")
    assert isinstance(predictor, TorchPredictor)
    classify = predictor.classifier.classify
    monkeypatch.setattr(
        predictor.classifier,
        "classify",
        lambda *arguments: (modes.append(are_subnormals_flushed()), classify(*arguments))[1],
    )
    predictor.explain("Not bad at all.")
    assert len(modes) > 2
    assert all(modes)
    assert not are_subnormals_flushed()


def test_onnx_runtime_flushes_and_restores(
    tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[bool] = []
    sessions: list[Any] = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            sessions.append(self)

        def run(self, *arguments: Any) -> Any:
            modes.append(are_subnormals_flushed())
            return super().run(*arguments)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    config = tiny()
    vocabulary = Predictor.load(saved(tmp_path / "run", config)).vocabulary
    save_onnx(tmp_path / "onnx", drawn(config), vocabulary, config)
    predictor = Predictor.load(tmp_path / "onnx")
    assert not are_subnormals_flushed()  # the first session of a process changes it
    predictor.predict("Not bad at all.")
    assert modes == [True]
    assert not are_subnormals_flushed()
    [made] = sessions  # its own threads
    options = made.get_session_options()
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"


def test_the_first_onnx_session_of_a_process_leaves_its_mode(
    tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny()
    vocabulary = Predictor.load(saved(tmp_path / "run", config)).vocabulary
    save_onnx(tmp_path / "onnx", drawn(config), vocabulary, config)
    program = """
import sys
from lstm_sentiment import Predictor
from lstm_sentiment.model.subnormals import are_subnormals_flushed
Predictor.load(sys.argv[1]).predict("Not bad at all.")
sys.exit(are_subnormals_flushed())
"""
    command = [sys.executable, "-c", program, str(tmp_path / "onnx")]
    assert subprocess.run(command, cwd=ROOT).returncode == 0


def test_the_pytorch_networks_of_the_benchmark_flush() -> None:
    from scripts.benchmarks import peer_systems

    reviews: Any = None  # not read before a network is built
    for packed in (True, False):
        flush_subnormals(False)
        peer_systems.PyTorch(reviews, packed=packed)
        assert are_subnormals_flushed()
    flush_subnormals(False)
    peer_systems.Ours(reviews)
    assert are_subnormals_flushed()
