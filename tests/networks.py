"""Networks without training: model folders whose weights are drawn, so that answers differ."""

from pathlib import Path

import torch
from torch import nn

from lstm_sentiment.config import Config
from lstm_sentiment.data.tokens import SPECIALS, Vocabulary
from lstm_sentiment.model.classifier import Classifier
from lstm_sentiment.serving.predictor import Predictor
from lstm_sentiment.training.model_folder import save_model

WORDS = "the a film was good bad not very dull and , . great plot actors it is this of to".split()
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


def drawn(config: Config) -> Classifier:
    torch.manual_seed(5)
    net = Classifier(config, len(WORDS) + len(SPECIALS))
    nn.init.normal_(net.embedding.weight[1:])  # as large as after training
    if not config.data.padding.masked:
        nn.init.normal_(net.embedding.weight)
    nn.init.normal_(net.output.weight)
    return net.eval()


def saved(folder: Path, config: Config) -> Path:
    """A model's folder within one that stands for a run's."""
    folder.mkdir(parents=True)
    save_model(folder / "model", drawn(config), Vocabulary([*SPECIALS, *WORDS]), config)
    return folder


def predictor(folder: Path, config: Config) -> Predictor:
    return Predictor.load(saved(folder, config))
