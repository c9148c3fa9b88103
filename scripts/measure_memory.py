"""How far back trained networks remember: what words do to the answer by where they stand.

    python scripts/measure_memory.py runs/architectures --path IMDB

On long test reviews, as a mean over all runs of a network below the folder: the median norm of the
logit's gradient with respect to a word's vector, so many words before the end; and the accuracy
where nothing but the last words is read. Leaves results/memory.json, of which `make results` makes
tables and a picture.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lstm_sentiment.config import DataConfig
from lstm_sentiment.data.batches import Batch
from lstm_sentiment.data.datamodule import ReviewDataModule
from lstm_sentiment.data.tokens import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.report.runs import read_runs
from lstm_sentiment.training.model_folder import MODEL, read_model

OUTPUT = Path(__file__).parent.parent / "results" / "memory.json"
DISTANCES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 400)  # words before the last one
LAST = (5, 10, 25, 50, 100, 200, 400)  # words that alone are read
REVIEWS = 512  # whose gradients are taken
AT_ONCE = 256


def influence(
    classifier: Classifier, ids: Tensor, lengths: Tensor, distances: Sequence[int]
) -> Tensor:
    """(B, T), (B,) -> (D,): the norm of d logit / d vector at these distances from the end.

    The median over reviews, since in single ones an RNN's explodes. None may be shorter than the
    largest distance.
    """
    vectors = classifier.embedding(ids).detach().requires_grad_()
    encoded = classifier.encoder(vectors, lengths)
    logits = classifier.output(classifier.head(encoded)).squeeze(-1)
    (gradient,) = torch.autograd.grad(logits.sum(), vectors)
    places = lengths.unsqueeze(1) - 1 - torch.tensor(distances)
    rows = torch.arange(len(ids)).unsqueeze(1)
    return gradient[rows, places].norm(dim=-1).median(0).values


@torch.no_grad()
def accuracy(classifier: Classifier, reviews: Batch, last: int) -> float:
    """Where nothing but so many words before the end of what is read reaches the network.

    No review may be shorter.
    """
    right = 0
    for part in torch.arange(len(reviews.ids)).split(AT_ONCE):
        places = reviews.lengths[part].unsqueeze(1) - last + torch.arange(last)
        ids = reviews.ids[part].gather(1, places)
        logits = classifier(ids, torch.full((len(part),), last))
        right += int(((logits > 0) == (reviews.labels[part] == 1)).sum())
    return right / len(reviews.ids)


def long_reviews(config: DataConfig, vocabulary: Vocabulary) -> Batch:
    """The test reviews that are longer than all distances, in the network's words."""
    data = ReviewDataModule(config)
    data.setup()
    if data.vocabulary.words != vocabulary.words:
        raise InputError("The network has other words than the reviews: give what it learned from.")
    assert data.test is not None
    long = np.flatnonzero(data.test.lengths > max(DISTANCES))
    if not len(long):
        raise InputError(f"No test review is longer than {max(DISTANCES)} tokens.")
    return data.test[long]


def networks(runs: Path) -> Iterator[tuple[str, Path]]:
    """Every run that has its model: the network's name, and the folder."""
    for run in read_runs(runs):
        if run.record and (run.folder / MODEL).is_dir():
            yield run.name.split("-")[0], run.folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, help="a sweep of one head, with its models")
    parser.add_argument("--path", help="IMDB in any of its forms; without it, from the hub")
    options = parser.parse_args()
    influences, accuracies = defaultdict(list), defaultdict(list)
    try:
        for name, folder in networks(options.runs):
            classifier, vocabulary, config = read_model(folder / MODEL)
            reviews = long_reviews(replace(config.data, path=options.path), vocabulary)
            ids, lengths = reviews.ids[:REVIEWS], reviews.lengths[:REVIEWS]
            influences[name].append(influence(classifier, ids, lengths, DISTANCES).tolist())
            accuracies[name].append([accuracy(classifier, reviews, last) for last in LAST])
            print(folder.name, *(f"{value:.1%}" for value in accuracies[name][-1]), flush=True)
        if not influences:
            raise InputError(f"{options.runs} has no run with its model: train it here first.")
    except InputError as error:
        sys.exit(str(error))
    record = {
        "reviews": len(reviews.ids),
        "distances": DISTANCES,
        "influence": {name: np.mean(runs, 0).tolist() for name, runs in influences.items()},
        "last": LAST,
        "accuracy": {name: np.mean(runs, 0).tolist() for name, runs in accuracies.items()},
    }
    write_atomically(OUTPUT, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
