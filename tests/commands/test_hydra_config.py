"""Overrides of a command line and the configuration that they give."""

import re

import pytest

from lstm_sentiment import Config, InputError
from lstm_sentiment.commands.hydra_config import compose


def test_overrides_give_the_configuration_of_a_training_command() -> None:
    config = compose(["encoder=gru", "head=max", "data=synthetic", "data.limit_train=7"])
    assert (config.encoder.network, config.head.kind, config.data.limit_train) == ("gru", "max", 7)
    assert config.sweep is None


def test_no_overrides_give_the_defaults() -> None:
    assert compose([]) == Config()


def test_an_experiment_names_the_sweep() -> None:
    assert compose(["experiment=lstm_vs_gru"]).sweep == "lstm_vs_gru"
    assert compose(["experiment=lstm_vs_gru", "sweep=mine"]).sweep == "mine"


def test_axes_of_an_experiment_are_ignored() -> None:
    config = compose(["experiment=lstm_vs_gru"])
    assert (config.encoder.network, config.seed) == ("lstm", 0)


def test_a_path_is_used_literally() -> None:
    config = compose(["data=reviews"], path="a ${seed}/[b],{c}=d.csv")
    assert config.data.path == "a ${seed}/[b],{c}=d.csv"


@pytest.mark.parametrize("override", ["encoder=none", "seed", "data.path=${nothing}"])
def test_an_invalid_override_is_named(override: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(override)}: "):
        compose([override])
