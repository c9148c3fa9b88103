"""Trains what the command line names: one network, or with -m a sweep of them."""

import os
import sys
from math import prod
from tempfile import TemporaryDirectory

import hydra
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lstm_sentiment.config import Config

ConfigStore.instance().store(name="schema", node=Config)
sweeps = []  # one, unless the command only asked for help


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(composed: DictConfig) -> None:
    from lstm_sentiment.training.sweep import Sweep  # takes seconds, for which --help must not wait

    job = HydraConfig.get()
    if not sweeps:
        sweeps.append(Sweep(count_runs(job)))
    sweeps[0].train(lambda: OmegaConf.to_object(composed), job.runtime.choices)


def count_runs(job: HydraConf) -> int | None:
    """How many runs the axes of an experiment and of the command line make together, if known."""
    if job.mode is not RunMode.MULTIRUN:
        return 1
    axes = dict(job.sweeper.get("params") or {})
    axes |= dict(w.split("=", 1) for w in sys.argv[1:] if "=" in w and not w.startswith("-"))
    try:
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        parsed = parser.parse_overrides([f"{key}={value}" for key, value in axes.items()])
        return prod(len(list(a.sweep_iterator())) for a in parsed if a.is_sweep_override())
    except HydraException:
        return None  # a count is no reason to end a sweep


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:  # Hydra insists on a folder for each sweep
        os.environ["LSTM_SENTIMENT_SCRATCH"] = scratch
        try:
            train()
        except KeyboardInterrupt:
            print("Interrupted: the same command trains what is not finished.", file=sys.stderr)
            sys.exit(130)
    sys.exit(sweeps[0].close() if sweeps else 0)
