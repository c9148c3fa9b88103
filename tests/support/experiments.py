"""The runs of the experiments in conf/experiment."""

from functools import cache

from lstm_sentiment.commands.hydra_config import CONF, compose_all
from lstm_sentiment.config import Config

NAMES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
# What was typed beside the name of the experiment for each line of its published results.
TYPED: dict[str, tuple[tuple[str, ...], ...]] = {
    "best_cpu": (("encoder.start_from=FOLDER", "seed=0,1"),),
    "best_scratch": ((), ("data.augment.replace=0.15", "seed=0,1")),  # as in best_vectors
    "glove_bilstm": (
        ("embedding.path=vectors.txt", "embedding.dim=128"),  # skip-gram vectors of IMDB itself
        ("embedding.path=glove.6B.50d.imdb.txt.gz",),
    ),
}


@cache
def experiment(name: str, *more: str) -> tuple[Config, ...]:
    """Return the configurations of an experiment's runs; not to be changed."""
    return tuple(compose_all([f"experiment={name}", *more]))


def typed(name: str) -> tuple[tuple[str, ...], ...]:
    """Return the further overrides of each line of an experiment's published results."""
    return TYPED.get(name, ((),))


def published_lines(name: str) -> list[tuple[Config, ...]]:
    """Return the configurations of each line of an experiment's published results."""
    return [experiment(name, *more) for more in typed(name)]
