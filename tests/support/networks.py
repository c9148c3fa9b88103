"""Untrained networks: small ones of every kind, and model folders with random weights."""

from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lstm_sentiment.config import Cell, Config, EncoderConfig
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.labels import BINARY, Classes
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.model.ngram_classifier import NgramClassifier
from lstm_sentiment.runs.network_folder import save_model
from lstm_sentiment.serving.predictor import Predictor

WORDS = "the a film was good bad not very dull and , . great plot actors it is this of to".split()
NGRAMS = ["good", "bad", "zyzzyva", "plot not", "not good", "a dull plot"]
TEXTS = [
    "The film was good, and the actors great.",
    "",
    "a dull, dull plot<br />not good",
    "it is",
    "Zyzzyva! " * 3,
    "this film is very bad and very dull. " * 4,
    "🎬",
    "great " * 200,
]


def encoders() -> list[EncoderConfig]:
    """Return a small encoder of every kind: each cell at each depth, in one direction and both.

    Those that read backwards have two layers.
    """
    every = product(Cell, (1, 2, 3), (False, True))
    kinds = [EncoderConfig(cell, 5, layers, both, dropout=0.3) for cell, layers, both in every]
    return kinds + [EncoderConfig(cell, 5, 2, dropout=0.3, backward=True) for cell in Cell]


def drawn(config: Config, classes: Classes = BINARY) -> Classifier:
    """Return a network with random weights that are large enough for predictions to differ."""
    torch.manual_seed(5)
    net = Classifier(config, len(WORDS) + len(SPECIALS), classes.outputs)
    nn.init.normal_(net.embedding.weight[1:])  # as large as after training
    if not config.data.padding.masked:
        nn.init.normal_(net.embedding.weight)
    nn.init.normal_(net.output.weight)
    return net.eval()


def drawn_ngrams(config: Config, classes: Classes = BINARY) -> NgramClassifier | None:
    """Return random weights of `NGRAMS` for a network with `head.ngrams`."""
    if config.head.ngrams == 0:
        return None
    outputs = () if classes.outputs == 1 else (classes.outputs,)
    weights = np.random.default_rng(5).normal(size=(*outputs, len(NGRAMS))).astype(np.float32)
    intercept = np.zeros(outputs, np.float32)
    return NgramClassifier(NGRAMS, weights, intercept, None, config.head.ngrams)


def saved(folder: Path, config: Config, classes: Classes = BINARY) -> Path:
    """Write a random network to `folder`/model, as a run does, and return `folder`."""
    folder.mkdir(parents=True)
    vocabulary = Vocabulary([*SPECIALS, *WORDS])
    ngrams = drawn_ngrams(config, classes)
    save_model(folder / "model", drawn(config, classes), vocabulary, config, classes, ngrams)
    return folder


def predictor(folder: Path, config: Config, classes: Classes = BINARY) -> Predictor:
    """Return a predictor with a random network, which is written to `folder`/model."""
    return Predictor.load(saved(folder, config, classes))
