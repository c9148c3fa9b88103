"""A search for the best settings: the trials that one worker trains, one after another."""

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from rich.text import Text

from lstm_sentiment.commands.hydra_config import Composed
from lstm_sentiment.commands.search_results import ranked, show_results
from lstm_sentiment.commands.search_space import Numbers, SearchSpace, overrides_of
from lstm_sentiment.commands.study import (
    Identity,
    Pruner,
    Result,
    Sampler,
    State,
    Study,
    Trial,
    open_study,
    storage_errors_named,
)
from lstm_sentiment.commands.terminal import (
    Terminal,
    console,
    display_of_run,
    print_error,
    print_labelled,
    print_next,
    typed_path,
    typed_program,
)
from lstm_sentiment.config import CHOICE_GROUPS
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.display import counted, duration
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files.heartbeats import LostError
from lstm_sentiment.runs.folder import unwritable
from lstm_sentiment.runs.identity import chosen_values
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.run import execute, remove_leftovers
from lstm_sentiment.training.train import train

MOST_FAILED, MOST_REFUSED = 3, 100  # trials in a row after which a command ends


class Search:
    """A search, for one worker: it trains trials, and shows them."""

    def __init__(self, space: SearchSpace, study: Study, first: Plan, cache: DataCache) -> None:
        """Begin with the plan of the first values, which is not trained."""
        self.space, self.study, self.first, self.cache = space, study, first, cache
        self.failed = self.refused = 0  # trials in a row
        self.durations: list[float] = []  # seconds of each trained trial
        self.is_waiting = False

    @classmethod
    def begin(
        cls, space: SearchSpace, storage: str | None, sampler: Sampler, pruner: Pruner, trials: int
    ) -> "Search":
        """Check the space, read the reviews, and open the study.

        Raises InputError if one of them cannot be used.
        """
        composed, ends = space.check()
        config = composed.config
        if config.data.val_fraction == 0:
            raise InputError(
                "data.val_fraction must be above 0 (got 0.0): trials are compared by their "
                "accuracy on the validation set."
            )
        if config.trainer.processes > 1:
            raise InputError(
                "A trial is trained by one process, which may be pruned (got "
                f"{config.trainer.processes} processes by trainer.devices and trainer.num_nodes): "
                "use several devices by several workers."
            )
        with DataCache(Terminal()) as cache:
            first = _plan(composed, cache)
            first.prepare()
            of_data = [each for each in ends if each[0].startswith("data.")]
            others = ((f"{name}={value}", _plan(end, cache)) for name, value, end in of_data)
            _require_same_reviews(first, others)
            identity = Identity(
                spaces={name: each.override for name, each in space.spaces.items()},
                settings=chosen_values(config),
                reviews=_reviews(first),
                run=first.folder.name,
                sampler=sampler,
                pruner=pruner,
            )
            try:
                study = open_study(
                    storage,
                    first.folder.parent,
                    space.spaces,
                    identity,
                    seed=config.seed,
                    total=trials,
                    max_epochs=max(end.config.trainer.max_epochs for _, _, end in ends),
                    display=display_of_run("", True),
                )
            except OSError as error:
                raise unwritable(config.root, error) from error
        _show_spaces(space, study)
        return cls(space, study, first, cache)

    def train(self) -> None:
        """Train trials until as many as asked for have ended.

        Raises RunError if several trials in a row fail, or if the storage cannot be used any more.
        """
        with storage_errors_named(self.study.storage):
            while True:
                with self.study.next_trial(self._wait) as trial:
                    if trial is None:
                        return
                    try:
                        self._train(trial)
                    except LostError as error:  # another worker continues the trial
                        print_error(f"Trial {trial.number}: {error}.")

    def show(self) -> None:
        """Show the best trials, and print the command that trains the best one.

        Raises RunError if the storage or the folder of the plots cannot be used.
        """
        with storage_errors_named(self.study.storage):
            results = self.study.results()
            show_results(self.study, results)
        program, best = typed_program("lstm-sentiment"), ranked(results)[:1]
        print_next(
            *(f"{program} train -m {self.space.training(each.values)}" for each in best),
            f"{program} report {typed_path(self.first.folder.parent)}",
        )

    def _train(self, trial: Trial) -> None:
        """Train a trial, and store its result. Raises LostError if another worker takes over."""
        self.is_waiting = False
        try:
            plan = _plan(self.space.compose(trial.values), self.cache, self.first.command)
            _require_same_reviews(self.first, [(_typed(trial), plan)])
        except InputError as error:
            self.refused += 1
            self._fail(trial, str(error), self.refused, MOST_REFUSED)
            return
        is_finished = plan.finished_record is not None
        self._announce(trial, plan, is_finished)
        started = time.monotonic()
        display = display_of_run(plan.folder.name, plan.config.trainer.enable_progress_bar)
        prunable = partial(train, may_continue=trial.may_continue)
        try:
            record = execute(plan, display, wait=True, train=prunable)
        except LostError:
            raise
        except (InputError, RunError) as error:
            self.failed += 1
            self._fail(trial, str(error), self.failed, MOST_FAILED)
            return
        self.refused = self.failed = 0
        if is_finished:
            remove_leftovers(plan)
        else:
            self.durations.append(time.monotonic() - started)
        trial.finish(record)
        self._show_result(trial.number)

    def _fail(self, trial: Trial, reason: str, times: int, most: int) -> None:
        """Store that a trial has failed. Raises RunError if as many as `most` did in a row."""
        trial.fail(reason)
        print_labelled("failed", f"trial {trial.number}  {_typed(trial)}: {reason}", "red")
        if times >= most:
            raise RunError(
                f"{times} trials in a row, the last of them because of this: {reason.rstrip('.')}. "
                "The same command continues with other values."
            )

    def _wait(self) -> None:
        if not self.is_waiting:
            console.print("Waiting for trials that other workers are training.")
        self.is_waiting = True

    def _announce(self, trial: Trial, plan: Plan, is_finished: bool) -> None:
        """Print the line of a trial: its number, its run, its values and the progress."""
        left = self.study.total - sum(each.state is not State.failed for each in self._results())
        remarks = ["its run is finished"] if is_finished else []
        remarks.append(f"{left} of {self.study.total} trials left")
        if self.durations:
            seconds = sum(self.durations) / len(self.durations) * left
            remarks.append(f"about {duration(seconds)} for one worker")
        head = f"trial {trial.number}  {plan.folder.name}"
        text = f"  {_typed(trial)}  {', '.join(remarks)}"
        console.print(Text.assemble((head, "bold"), text))

    def _show_result(self, number: int) -> None:
        """Print the result of a trial, and the best one so far."""
        [result] = [each for each in self._results() if each.number == number]
        epochs = counted(result.epochs, "epoch")
        line = f"  validation accuracy {result.accuracy:.2%}, {result.state} after {epochs}"
        if best := ranked(self._results())[:1]:
            line += f"; best: trial {best[0].number} with {best[0].accuracy:.2%}"
        console.print(line)

    def _results(self) -> list[Result]:
        return self.study.results()


def _typed(trial: Trial) -> str:
    return " ".join(overrides_of(trial.values))


def _plan(composed: Composed, cache: DataCache, command: str | None = None) -> Plan:
    """Plan the run of a trial. Raises InputError if it cannot be started."""
    recorded = {group: composed.choices[group] for group in CHOICE_GROUPS}
    return replace(Plan.of(composed.config, cache, recorded, command), may_be_pruned=True)


def _reviews(plan: Plan) -> str:
    """Return the identities of the reviews and of the validation set."""
    plan.data.setup()
    return f"{plan.data.identity} {plan.data.val_split.identity}"


def _require_same_reviews(plan: Plan, others: Iterable[tuple[str, Plan]]) -> None:
    """Raise InputError if another plan, given with its overrides, validates on other reviews."""
    for overrides, other in others:
        if _reviews(other) != _reviews(plan):
            raise InputError(
                f"{overrides} cannot be tried: it changes the validation set, and all trials must "
                "validate on the same reviews."
            )


def _show_spaces(space: SearchSpace, study: Study) -> None:
    """Print the study, its spaces, and a warning on small numbers on a linear scale."""
    console.print(Text.assemble("study ", (study.name, "bold"), f"  in {study.storage}"))
    for name, each in space.spaces.items():
        console.print(f"  {name}  {each}")
        if isinstance(each, Numbers) and each.is_wide_and_linear:
            Terminal(prefix="  ").message(
                f"{name} is searched on a linear scale, so small values are hardly tried: "
                f"{name}=tag(log,{each.override}) tries all magnitudes alike",
                "warning",
            )
