"""The runs of the experiments in conf/experiment."""

from functools import cache

from lstm_sentiment.commands.hydra_config import CONF, compose_all
from lstm_sentiment.config import Config

NAMES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
# What was typed beside the name of the experiment for the published results.
TYPED = {
    "grid": ("data.limit_train=10000", "trainer.max_epochs=4", "trainer.precision=bf16-mixed"),
    "glove_bilstm": ("embedding.path=vectors.txt", "embedding.dim=128"),
}


@cache
def experiment(name: str) -> tuple[Config, ...]:
    """Return the configurations of an experiment's runs, as published; not to be changed."""
    return tuple(compose_all([f"experiment={name}", *TYPED.get(name, ())]))
