"""The benchmark of a GPU measures every network; here it runs on the CPU."""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from lstm_sentiment.config import Cell, Config, EncoderConfig, HeadConfig
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.training import runtime
from scripts.benchmarks import gpu

CELLS = [cell for cell in Cell if not cell.is_elementwise]  # those of PyTorch
NETWORKS = [
    depth + direction + cell
    for depth, direction, cell in product(("", "stacked_", "deep_"), ("", "bi"), CELLS)
]


def benchmark(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", *map(str, arguments)])
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        gpu.main()
    finally:
        torch.use_deterministic_algorithms(deterministic)


@pytest.mark.slow
def test_every_network_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In bfloat16, which has all the steps of float32 and more."""
    precision = "bf16-mixed"
    monkeypatch.chdir(tmp_path)
    file = Path("new", "gpu.json")
    options = ("--device", "cpu", "--quick", "--cache", "cache", "-o", file)
    benchmark(monkeypatch, *options, "--precision", precision, "--processes", "2")
    results = json.loads(file.read_text())
    cells, plain = results["cells"], results["plain"]
    assert {(c["network"], c["head"]) for c in cells} == set(
        product(NETWORKS, ("last", "flatten", "max", "avg"))
    )
    assert len(cells) == 72
    assert {p["network"] for p in plain} == set(NETWORKS)
    assert len(plain) == 18
    for entry in cells + plain + results["shared"]:
        assert entry["reviews"] == entry.get("processes", 1) * 2 * 4
        speed = entry["reviews"] / entry["seconds"]
        assert entry["reviews_per_second"] == pytest.approx(speed)
    speeds = {p["network"]: p["reviews_per_second"] for p in plain}
    for cell in cells:
        ratio = cell["reviews_per_second"] / speeds[cell["network"]]
        assert cell["times_plain"] == pytest.approx(ratio)
        train = results["data"]["train"]
        assert cell["epoch_seconds"] == pytest.approx(train / cell["reviews_per_second"])
        assert np.isfinite(cell["loss"])
    assert results["grid_seconds"] == pytest.approx(sum(c["seconds"] for c in cells))
    assert [(s["network"], s["processes"]) for s in results["shared"]] == [
        ("lstm", 2),
        ("deep_bilstm", 2),
    ]
    assert all(max(s["seconds_of_each"]) <= s["seconds"] for s in results["shared"])
    assert results["config"]["trainer"]["precision"] == precision
    assert results["environment"]["device"] == "cpu"
    assert str(tmp_path) not in file.read_text()
    assert "deep_bilstm-max in 2 processes" in capsys.readouterr().out


def test_a_machine_without_cuda_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "_cuda_problem", lambda: "PyTorch finds none")
    with pytest.raises(SystemExit, match="CUDA.* --device cpu"):
        benchmark(monkeypatch, "--cache", tmp_path / "cache")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("cell", "depth", "both"), list(product(CELLS, (1, 3), (False, True))))
def test_plain_pytorch_is_the_same_network(cell: Cell, depth: int, both: bool) -> None:
    encoder = EncoderConfig(cell, hidden_size=8, num_layers=depth, bidirectional=both)
    net = Classifier(Config(encoder, HeadConfig("last")), vocabulary_size=20).eval()
    plain = gpu.Plain(net).eval()
    lengths = torch.tensor([3, 7, 1])
    ids = torch.randint(2, 20, (3, 7)) * (torch.arange(7) < lengths.unsqueeze(1))
    torch.testing.assert_close(plain(ids, lengths), net(ids, lengths), atol=1e-5, rtol=0)
    assert sum(p.numel() for p in plain.parameters()) == sum(net.parameter_counts().values())
