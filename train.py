"""Trains what the command line names: one network, or with -m a sweep of them."""

import sys

import hydra
from omegaconf import DictConfig

from lstm_sentiment import launch


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(composed: DictConfig) -> None:
    launch.carry_out(composed)


if __name__ == "__main__":
    sys.exit(launch.main(train))
