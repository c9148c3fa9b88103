"""How far back a trained network remembers: the influence of a word by its distance from the end.

    python scripts/measure_memory.py runs/architectures --path IMDB

For one run of each network below the folder, the norm of the logit's gradient with respect to a
word's vector, so many words before the end of a review, as a mean over long test reviews. Leaves
results/memory.json, of which `make results` makes a picture.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.files import write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.report.runs import read_runs

OUTPUT = Path(__file__).parent.parent / "results" / "memory.json"
DISTANCES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 400)  # words before the last one
REVIEWS = 512


def influence(
    classifier: Classifier, ids: Tensor, lengths: Tensor, distances: Sequence[int]
) -> Tensor:
    """(B, T), (B,) -> (D,): the mean norm of d logit / d vector at these distances from the end.

    Every review must be longer than the largest distance.
    """
    vectors = classifier.embedding(ids).detach().requires_grad_()
    encoded = classifier.encoder(vectors, lengths)
    logits = classifier.output(classifier.head(encoded)).squeeze(-1)
    (gradient,) = torch.autograd.grad(logits.sum(), vectors)
    places = lengths.unsqueeze(1) - 1 - torch.tensor(distances)
    rows = torch.arange(len(ids)).unsqueeze(1)
    return gradient[rows, places].norm(dim=-1).mean(0)


def load(folder: Path, cfg: dict[str, Any], words: int) -> Classifier:
    config = Config(
        encoder=EncoderConfig(**cfg["encoder"]),
        head=HeadConfig(**cfg["head"]),
        embedding=EmbeddingConfig(dim=cfg["embedding"]["dim"]),
        data=DataConfig(max_length=cfg["data"]["max_length"], padding=cfg["data"]["padding"]),
    )
    classifier = Classifier(config, words)
    classifier.load_state_dict(safetensors.torch.load_file(folder / "model" / "model.safetensors"))
    return classifier.eval()


def long_reviews(cfg: dict[str, Any], path: str | None) -> Batch:
    """The first test reviews that are longer than all distances."""
    names = ("max_vocab", "max_length", "truncation_side", "val_fraction", "split_seed")
    data = ReviewDataModule(DataConfig(path=path, **{name: cfg["data"][name] for name in names}))
    data.setup()
    assert data.test is not None
    long = np.flatnonzero(data.test.lengths > max(DISTANCES))[:REVIEWS]
    return data.test[long]


def networks(runs: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """The first run of each: its network's name, folder and configuration."""
    seen = set()
    for run in read_runs(runs):
        name = run.name.split("-")[0]
        if run.record and name not in seen and (run.folder / "model").exists():
            seen.add(name)
            yield name, run.folder, run.record["config"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="a sweep of one head, with its models")
    parser.add_argument("--path", help="IMDB in any of its forms; without it, from the hub")
    options = parser.parse_args()
    found = {}
    for name, folder, cfg in networks(options.runs):
        batch = long_reviews(cfg, options.path)
        classifier = load(folder, cfg, cfg["data"]["max_vocab"])
        found[name] = influence(classifier, batch.ids, batch.lengths, DISTANCES).tolist()
        print(name, *(f"{value:.2e}" for value in found[name]))
    record = {"distances": DISTANCES, "reviews": len(batch.ids), "networks": found}
    write_atomically(OUTPUT, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
