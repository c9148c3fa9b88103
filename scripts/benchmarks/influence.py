"""Measure how much the words of a review influence the prediction, by their distance from the end.

    python -m scripts.benchmarks.influence runs/architectures --path IMDB

On long test reviews, as a mean over all runs of a network in the folder: the median norm of the
logit's gradient with respect to a word's vector at a distance from the end, and the accuracy if the
network reads only the last words. Writes results/memory.json, from which `make results` makes
tables and a plot.
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
from lstm_sentiment.data.vocabulary import Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.embedding import Embedded
from lstm_sentiment.runs.folder import MODEL
from lstm_sentiment.runs.network_folder import read_model
from lstm_sentiment.runs.reader import read_runs

OUTPUT = Path(__file__).parents[2] / "results" / "memory.json"
DISTANCES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 400)  # of a word from the last one
LAST = (5, 10, 25, 50, 100, 200, 400)  # numbers of last words that the network reads
REVIEWS = 512  # for the gradients
BATCH_SIZE = 256


def influence(
    classifier: Classifier, ids: Tensor, lengths: Tensor, distances: Sequence[int]
) -> Tensor:
    """(B, T), (B,) -> (D,): Return the norm of d logit / d vector at these distances from the end.

    It is the median over reviews, since the gradients of an RNN explode in some of them. Every
    review must be longer than the largest distance.
    """
    vectors = classifier.embedding.lookup(ids).detach().requires_grad_()
    encoded = classifier.encoder(Embedded(vectors), lengths)
    logits = classifier.output(classifier.head(encoded)).squeeze(-1)
    (gradient,) = torch.autograd.grad(logits.sum(), vectors)
    places = lengths.unsqueeze(1) - 1 - torch.tensor(distances)
    rows = torch.arange(len(ids)).unsqueeze(1)
    return gradient[rows, places].norm(dim=-1).median(0).values


@torch.no_grad()
def accuracy(classifier: Classifier, reviews: Batch, last: int) -> float:
    """Return the accuracy of the network if it reads only the `last` words of each review.

    Every review must have at least as many.
    """
    correct = 0
    for part in torch.arange(len(reviews.ids)).split(BATCH_SIZE):
        places = reviews.lengths[part].unsqueeze(1) - last + torch.arange(last)
        ids = reviews.ids[part].gather(1, places)
        logits = classifier(ids, torch.full((len(part),), last))
        correct += int(((logits > 0) == (reviews.labels[part] == 1)).sum())
    return correct / len(reviews.ids)


def long_reviews(config: DataConfig, vocabulary: Vocabulary) -> Batch:
    """Return the test reviews that are longer than all distances.

    Raises InputError if there are none, or if the network has another vocabulary than the reviews.
    """
    data = ReviewDataModule(config)
    data.setup()
    if data.vocabulary.words != vocabulary.words:
        raise InputError(
            "The network's vocabulary is not that of the reviews: use those it was trained on."
        )
    assert data.test is not None
    long = np.flatnonzero(data.test.lengths > max(DISTANCES))
    if not len(long):
        raise InputError(f"No test review is longer than {max(DISTANCES)} tokens.")
    return data.test[long]


def networks(runs: Path) -> Iterator[tuple[str, Path]]:
    """Yield the network's name and the folder of every finished run that has a model."""
    for run in read_runs(runs):
        if run.record and (run.folder / MODEL).is_dir():
            yield run.name.split("-")[0], run.folder


def main() -> None:
    """Measure the networks that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "runs",
        type=Path,
        help="folder of a sweep with its models; all runs must have the same head",
    )
    parser.add_argument("--path", help="folder with IMDB (default: download it from the hub)")
    options = parser.parse_args()
    influences, accuracies = defaultdict(list), defaultdict(list)
    try:
        for name, folder in networks(options.runs):
            classifier, vocabulary, config, _, ngrams = read_model(folder / MODEL)
            if ngrams is not None:
                raise InputError(f"{folder} reads n-grams, too: only head.ngrams=0 is measured.")
            reviews = long_reviews(replace(config.data, path=options.path), vocabulary)
            ids, lengths = reviews.ids[:REVIEWS], reviews.lengths[:REVIEWS]
            influences[name].append(influence(classifier, ids, lengths, DISTANCES).tolist())
            accuracies[name].append([accuracy(classifier, reviews, last) for last in LAST])
            print(folder.name, *(f"{value:.1%}" for value in accuracies[name][-1]), flush=True)
        if not influences:
            raise InputError(f"{options.runs} has no run with a model: train the networks first.")
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
