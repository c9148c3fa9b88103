"""The runs of the experiments in conf/experiment."""

from functools import cache

from lstm_sentiment.commands.hydra_config import CONF, compose_all
from lstm_sentiment.config import Config

NAMES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


@cache
def configs(*words: str) -> tuple[Config, ...]:
    """Return the configuration of every run for which these words train; not to be changed."""
    return tuple(compose_all([*words]))
