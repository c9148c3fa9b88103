"""Hydra's side of a command: the runs it stands for, where they are carried out, how it ends.

A command is planned in the process that was started, and its runs are carried out there, too, or
in the processes of a launcher such as joblib. These leave nothing but folders, from which the
first process tells at the end what became of them.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError

if TYPE_CHECKING:
    from lstm_sentiment.training.sweep import Sweep

CONF = Path(__file__).parents[1] / "conf"

ConfigStore.instance().store(name="schema", node=Config)

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

sweep: "Sweep | None" = None  # the runs of this process's command, once it has begun


def main(train: Callable[[], Any]) -> int:
    """Runs `train`, a function under `hydra.main`, and ends its command; the exit code."""
    global sweep
    sweep = None
    threading.excepthook = _say_of_a_thread
    with TemporaryDirectory() as scratch, _signals_end_the_process():
        os.environ["LSTM_SENTIMENT_SCRATCH"] = scratch  # Hydra insists on a folder for each sweep
        try:
            train()
            return sweep.close() if sweep else 0
        except KeyboardInterrupt:
            code = INTERRUPTED
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            if code == 1 and sweep and sweep.plans and not sweep.begun:
                print("The launcher failed: its runs are completed here.", file=sys.stderr)
                return sweep.close()
    if code in (INTERRUPTED, TERMINATED):
        print("Interrupted: the same command goes on where this one stopped.", file=sys.stderr)
    return code


def _say_of_a_thread(failure: threading.ExceptHookArgs) -> None:
    # TensorBoard's thread cannot write: the run fails by the same error, and says so in a sentence.
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


@contextmanager
def _signals_end_the_process() -> Iterator[None]:
    """By the exit codes that shells give, and with everything on the way cleaned up."""

    def end(number: int, _: Any) -> None:
        # Now and then a library catches what it should let pass: the process ends all the same.
        last_resort = threading.Timer(10, os._exit, [128 + number])
        last_resort.daemon = True
        last_resort.start()
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def carry_out(composed: DictConfig) -> None:
    """What a command does for each of its runs."""
    global sweep
    from lstm_sentiment.training.sweep import Sweep  # takes seconds, for which --help must not wait

    sweep = sweep or Sweep(1)  # where a launcher brought the run to a process of its own
    sweep.train(partial(_config, composed), HydraConfig.get().runtime.choices)


class Planning(Callback):
    """Hydra calls it once for a command, before the first of its runs."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        _begin([list(config.hydra.overrides.task)])

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        _begin(list(combinations(config)))


def combinations(config: DictConfig) -> Iterator[list[str]]:
    """The overrides of each run that the axes of an experiment and of the command line make."""
    axes = config.hydra.sweeper.get("params") or {}
    typed = [*(f"{name}={values}" for name, values in axes.items()), *config.hydra.overrides.task]
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    choices: dict[str, list[str]] = {}  # a later word on the same key replaces an earlier one
    for override in parser.parse_overrides(typed):
        key = override.get_key_element()
        if override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return (list(combination) for combination in product(*choices.values()))


def _begin(runs: list[list[str]]) -> None:
    """Ends the process where none of the command's runs can begin."""
    global sweep
    from lstm_sentiment.data.cache import leave_nothing
    from lstm_sentiment.training.sweep import Sweep

    try:
        composed = [hydra.compose("config", run, return_hydra_config=True) for run in runs]
        sweep = Sweep(len(runs))
        sweep.plan((partial(_config, each), each.hydra.runtime.choices) for each in composed)
        if not sweep.plans:
            leave_nothing()
            sys.exit(sweep.close())
    except HydraException as error:
        print(_sentence(error), file=sys.stderr)
        sys.exit(1)
    except InputError as error:
        sweep = None
        print(error, file=sys.stderr)
        sys.exit(1)


def _sentence(error: Exception) -> str:
    said = f"{error} {error.__cause__ or ''}".partition("Config search path")[0]
    said = said.partition("See https://hydra.cc")[0]
    return " ".join(said.split())


def compose(words: list[str], path: str | None = None) -> Config:
    """The configuration that these words make for training, with `data.path` as it is.

    The axes of an experiment are left out. Raises InputError where they make none.
    """
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            composed = hydra.compose("config", words, return_hydra_config=True)
        if path is not None:
            composed.data.path = path.replace("${", "\\${")  # no interpolation is meant
        config = _config(composed)
        return replace(config, sweep=config.sweep or composed.hydra.runtime.choices["experiment"])
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"{' '.join(words)}: {_sentence(error)}") from error


def compose_all(words: list[str]) -> list[Config]:
    """The configuration of every run that these words stand for, axes among them.

    Raises InputError where they stand for none.
    """
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            parser = OverridesParser.create(GlobalHydra.instance().config_loader())
            whole = [
                word
                for word, override in zip(words, parser.parse_overrides(words), strict=True)
                if not override.is_sweep_override()
            ]
            composed = hydra.compose("config", whole, return_hydra_config=True)
            composed.hydra.overrides.task = words
            runs = list(combinations(composed))
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"{' '.join(words)}: {_sentence(error)}") from error
    return [compose(run) for run in runs]


def _config(composed: DictConfig) -> Config:
    """Raises InputError where a value is out of bounds."""
    ours = composed.copy()
    with flag_override(ours, ["readonly", "struct"], False):
        ours.pop("hydra", None)
    config = OmegaConf.to_object(ours)
    assert isinstance(config, Config)
    return config
