"""How far back a trained network remembers: the influence of a word by its distance from the end.

    python scripts/measure_memory.py runs/architectures --path IMDB

For one run of each network below the folder, the norm of the logit's gradient with respect to a
word's vector, so many words before the end of a review, as a mean over long test reviews. Leaves
results/memory.json, of which `make results` makes a picture.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.report.runs import read_runs
from lstm_sentiment.training.record import RECORD

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


def load(folder: Path, path: str | None = None) -> tuple[Classifier, DataConfig]:
    """A run's network, and the reviews it was trained for."""
    record = json.loads((folder / RECORD).read_text())
    chosen, words = record["config"], json.loads((folder / "model" / "vocab.json").read_text())
    config = Config(
        encoder=EncoderConfig(**chosen["encoder"]),
        head=HeadConfig(**chosen["head"]),
        embedding=EmbeddingConfig(dim=chosen["embedding"]["dim"]),
        data=DataConfig(**{k: v for k, v in chosen["data"].items() if k != "augment"}, path=path),
    )
    classifier = Classifier(config, len(words))
    classifier.load_state_dict(safetensors.torch.load_file(folder / "model" / "model.safetensors"))
    return classifier.eval(), config.data


def long_reviews(config: DataConfig, words: Path) -> Batch:
    """The first test reviews that are longer than all distances, in the network's words."""
    data = ReviewDataModule(config)
    data.setup()
    if data.vocabulary.words != json.loads(words.read_text()):
        raise InputError(f"{words} has other words than the reviews: give what it was trained on.")
    assert data.test is not None
    long = np.flatnonzero(data.test.lengths > max(DISTANCES))[:REVIEWS]
    if not len(long):
        raise InputError(f"No test review is longer than {max(DISTANCES)} tokens.")
    return data.test[long]


def networks(runs: Path) -> Iterator[tuple[str, Path]]:
    """The first run of each that has its model: the network's name, and the folder."""
    seen = set()
    for run in read_runs(runs):
        name = run.name.split("-")[0]
        if run.record and name not in seen and (run.folder / "model" / "vocab.json").exists():
            seen.add(name)
            yield name, run.folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, help="a sweep of one head, with its models")
    parser.add_argument("--path", help="IMDB in any of its forms; without it, from the hub")
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    try:
        for name, folder in networks(options.runs):
            classifier, config = load(folder, options.path)
            batch = long_reviews(config, folder / "model" / "vocab.json")
            found[name] = influence(classifier, batch.ids, batch.lengths, DISTANCES).tolist()
            print(name, *(f"{value:.2e}" for value in found[name]))
        if not found:
            raise InputError(f"{options.runs} has no run with its model: train it here first.")
    except InputError as error:
        sys.exit(str(error))
    record = {"distances": DISTANCES, "reviews": len(batch.ids), "networks": found}
    write_atomically(OUTPUT, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
