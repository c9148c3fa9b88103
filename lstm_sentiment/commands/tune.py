"""lstm-sentiment tune: search settings for the highest validation accuracy, with Optuna."""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from lstm_sentiment.commands.choices import choices
from lstm_sentiment.commands.options import Commands, add_config_dir
from lstm_sentiment.commands.signals import resumable
from lstm_sentiment.commands.tables import FittedTable
from lstm_sentiment.commands.terminal import (
    Terminal,
    console,
    display_of_run,
    print_labelled,
    print_next,
    typed_path,
    typed_program,
)
from lstm_sentiment.display import counted, duration
from lstm_sentiment.errors import InputError, RunError, UsageError

if TYPE_CHECKING:
    from lstm_sentiment.commands.hydra_config import Composed
    from lstm_sentiment.commands.search_space import SearchSpace
    from lstm_sentiment.commands.study import Identity, Result, Study, Trial
    from lstm_sentiment.data.cache import DataCache
    from lstm_sentiment.training.plan import Plan

SAMPLERS, PRUNERS = ("tpe", "random"), ("median", "hyperband", "none")
MOST_FAILED, MOST_REFUSED = 3, 100  # trials in a row after which a command ends
BEST = 10  # trials in the table


class Suggested(list[str]):
    """Choices that a shell completes, beside which all other words are allowed."""

    def __contains__(self, word: object) -> bool:
        return True


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "tune",
        help="search settings for the highest validation accuracy",
        description="Search settings for the highest validation accuracy of the best epoch. Spaces "
        "are written as in Hydra's sweeps: range(LOW,HIGH[,STEP]) with both ends included, "
        "interval(LOW,HIGH), choice(A,B) or A,B. All of them are searched on a linear scale; write "
        "tag(log,interval(1e-4,1e-2)) for rates, which are searched on a logarithmic scale. The "
        "test set is not used. Each trial is an ordinary run. The same command on several terminals "
        "or machines adds workers, and continues a search that was interrupted. Requires the extra "
        "tune.",
        epilog="example: lstm-sentiment tune data.path=../imdb head=max,avg "
        "'encoder.hidden_size=range(64,512)' 'optimizer.lr=tag(log,interval(1e-4,1e-2))' "
        "--trials 50",
    )
    settings = parser.add_argument(
        "overrides", nargs="*", metavar="FIELD=VALUE",
        help="settings of all trials, and the spaces of those that are searched",
    )  # fmt: skip
    settings.choices = Suggested(choices())
    parser.add_argument(
        "--trials", type=int, required=True, metavar="N",
        help="finished and pruned trials of all workers together",
    )  # fmt: skip
    parser.add_argument(
        "--sampler", choices=SAMPLERS, default=SAMPLERS[0],
        help="tpe draws values from what earlier trials have shown (tree-structured Parzen "
        "estimator), random does not (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--pruner", choices=PRUNERS, default=PRUNERS[0],
        help="ends trials that are worse than others after the same epoch (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--storage", metavar="STORAGE",
        help="what the workers share: a URL postgresql://USER@HOST/DATABASE (requires the extra "
        "postgresql) or, for a network disk, a FILE.journal (default: an SQLite database in the "
        "folder of the sweep)",
    )  # fmt: skip
    add_config_dir(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Train trials until all have ended, and show the best ones."""
    if options.trials < 1:
        raise UsageError(f"--trials must be at least 1 (got {options.trials}).")
    from lstm_sentiment.commands.search_space import SearchSpace

    try:
        import optuna as optuna
    except ImportError as error:
        raise InputError(
            f'Optuna is not installed ({error.name} is missing): pip install "lstm_sentiment[tune]"'
        ) from error

    space = SearchSpace.parse(options.overrides, options.config_dir)
    with resumable():
        from lstm_sentiment.data.cache import DataCache

        with DataCache(Terminal()) as cache:
            search = Search.begin(space, options, cache)
            search.train()
        search.close()


class Search:
    """A search, for one worker: it trains trials, and shows them."""

    def __init__(
        self, space: "SearchSpace", study: "Study", first: "Plan", cache: "DataCache"
    ) -> None:
        self.space, self.study, self.first, self.cache = space, study, first, cache
        self.failed = self.refused = 0  # trials in a row
        self.durations: list[float] = []  # seconds of each trained trial
        self.is_waiting = False

    @classmethod
    def begin(
        cls, space: "SearchSpace", options: argparse.Namespace, cache: "DataCache"
    ) -> "Search":
        """Check the space, read the reviews, and open the study.

        Raises InputError if one of them cannot be used.
        """
        from lstm_sentiment.commands.study import open_study
        from lstm_sentiment.runs.folder import unwritable

        composed, ends = space.check()
        config = composed.config
        if config.data.val_fraction == 0:
            raise InputError(
                "data.val_fraction must be above 0 (got 0.0): trials are compared by their accuracy "
                "on the validation set."
            )
        plan = _plan(composed, cache)
        plan.prepare()
        _require_same_reviews(
            plan,
            (
                (f"{name}={value}", _plan(end, cache))
                for name, value, end in ends
                if name.startswith("data.")
            ),
        )
        try:
            study = open_study(
                options.storage,
                plan.folder.parent,
                space.spaces,
                _identity(space, plan, options),
                seed=config.seed,
                total=options.trials,
                max_epochs=max(end.config.trainer.max_epochs for _, _, end in ends),
                display=display_of_run("", True),
            )
        except OSError as error:
            raise unwritable(config.root, error) from error
        _show_space(space, study)
        return cls(space, study, plan, cache)

    def train(self) -> None:
        """Train trials until as many as asked for have ended.

        Raises RunError if several trials in a row fail, or if the storage cannot be used any more.
        """
        from lstm_sentiment.commands.study import storage_errors_named

        with storage_errors_named(self.study.storage):
            while True:
                with self.study.next_trial(self._wait) as trial:
                    if trial is None:
                        return
                    self._train(trial)

    def _train(self, trial: "Trial") -> None:
        """Train a trial, and store its result."""
        from lstm_sentiment.training.run import describe_error, execute
        from lstm_sentiment.training.train import train

        self.is_waiting = False
        try:
            plan = _plan(self.space.compose(trial.values), self.cache, self.first.command)
            overrides = " ".join(f"{name}={value}" for name, value in trial.values.items())
            _require_same_reviews(self.first, [(overrides, plan)])
        except InputError as error:
            self.refused += 1
            self._fail(trial, str(error), self.refused, MOST_REFUSED)
            return
        is_finished = plan.finished_record is not None
        self._announce(trial, plan, is_finished)
        started = time.monotonic()
        display = display_of_run(plan.folder.name, plan.config.trainer.enable_progress_bar)
        try:
            record = execute(
                plan, display, wait=True, train=partial(train, may_continue=trial.may_continue)
            )
        except (InputError, RunError) as error:
            self.failed += 1
            self._fail(trial, describe_error(error)["reason"], self.failed, MOST_FAILED)
            return
        self.refused = self.failed = 0
        if not is_finished:
            self.durations.append(time.monotonic() - started)
        trial.finish(record)
        self._show_result(trial.number)

    def _fail(self, trial: "Trial", reason: str, times: int, most: int) -> None:
        """Store that a trial has failed. Raises RunError if as many as `most` did in a row."""
        trial.fail(reason)
        values = " ".join(f"{name}={value}" for name, value in trial.values.items())
        print_labelled("failed", f"trial {trial.number}, {values}: {reason}", "red")
        if times >= most:
            raise RunError(
                f"{times} trials in a row failed, the last because of: {reason.rstrip('.')}. The same "
                "command continues."
            )

    def _wait(self) -> None:
        if not self.is_waiting:
            console.print("Waiting for trials that other workers are training.")
        self.is_waiting = True

    def _announce(self, trial: "Trial", plan: "Plan", is_finished: bool) -> None:
        """Print the line of a trial: its number, its run and its values."""
        ended = sum(result.accuracy is not None for result in self.study.results())
        values = " ".join(f"{name}={value}" for name, value in trial.values.items())
        remarks = [f"{ended} of {self.study.total} trials have ended"]
        if self.durations:
            seconds = sum(self.durations) / len(self.durations) * (self.study.total - ended)
            remarks.append(f"about {duration(seconds)} left with one worker")
        if is_finished:
            remarks.append("its run is finished")
        head = f"trial {trial.number}  {plan.folder.name}"
        console.print(Text.assemble((head, "bold"), f"  {values}  ({', '.join(remarks)})"))

    def _show_result(self, number: int) -> None:
        results = self.study.results()
        [result] = [result for result in results if result.number == number]
        line = f"  {_outcome(result)}"
        if best := _ranked(results)[:1]:
            line += f"; the best so far is trial {best[0].number} with {best[0].accuracy:.2%}"
        console.print(line)

    def close(self) -> None:
        """Show the best trials, write the plots, and print the command that trains the best."""
        results = self.study.results()
        best = _ranked(results)
        names = [*self.space.spaces]
        rows = [
            [
                str(each.number),
                f"{each.accuracy:.2%}",
                str(each.epochs),
                *each.values.values(),
                each.run,
            ]
            for each in best[:BEST]
        ]
        columns = ["trial", "val", "epochs", *names, "run"]
        table = FittedTable(columns, rows, names=[len(columns) - 1], ruled=True)
        console.print(table)
        console.print(_summary(results))
        program, folder = typed_program("lstm-sentiment"), self.first.folder.parent
        commands = [f"{program} report {typed_path(folder)}"]
        if best:
            for file in self._write_plots(results):
                print_labelled("plot", file)
            commands = [f"{program} train -m {self.space.training(best[0].values)}", *commands]
        print_next(*commands)

    def _write_plots(self, results: Sequence["Result"]) -> list[Path]:
        """Write the plots of the study, and return their files."""
        from lstm_sentiment.commands.search_space import Numbers
        from lstm_sentiment.files.writing import write_atomically
        from lstm_sentiment.report import study_plots
        from lstm_sentiment.runs.run_plots import png

        axes = [
            study_plots.Axis(
                name,
                choices=None if isinstance(space, Numbers) else space.values,
                is_log=isinstance(space, Numbers) and space.is_log,
            )
            for name, space in self.space.spaces.items()
        ]
        points = [
            study_plots.Point(each.number, each.values, each.accuracy, each.state == "pruned")
            for each in results
            if each.accuracy is not None
        ]
        figures = {"history": study_plots.history(points)}
        figures["parallel_coordinates"] = study_plots.parallel_coordinates(points, axes)
        if importances := self.study.importances():
            figures["importances"] = study_plots.importances(importances)
        files = []
        for name, figure in figures.items():
            files.append(self.study.folder / f"{name}.png")
            write_atomically(files[-1], png(figure))
        return files


def _ranked(results: Sequence["Result"]) -> list["Result"]:
    """Return the finished trials, the best first."""
    finished = [result for result in results if result.state == "finished"]
    return sorted(finished, key=lambda result: (-(result.accuracy or 0), result.number))


def _outcome(result: "Result") -> str:
    epochs = counted(result.epochs, "epoch")
    if result.state == "pruned":
        return f"pruned after {epochs} with a validation accuracy of {result.accuracy:.2%}"
    return f"validation accuracy {result.accuracy:.2%} after {epochs}"


def _summary(results: Sequence["Result"]) -> str:
    """Return a line with the numbers of trials in each state."""
    counts = Counter(result.state for result in results)
    ended = counts["finished"] + counts["pruned"]
    text = f"{counted(ended, 'trial')}: {counts['finished']} finished, {counts['pruned']} pruned"
    failed = f"; {counted(counts['failed'], 'other trial')} failed" if counts["failed"] else ""
    return f"{text}{failed}. Accuracies are those of the validation set."


def _plan(composed: "Composed", cache: "DataCache", command: str | None = None) -> "Plan":
    """Plan the run of a trial. Raises InputError if it cannot be started."""
    from lstm_sentiment.config import CHOICE_GROUPS
    from lstm_sentiment.training.plan import Plan

    recorded = {group: composed.choices[group] for group in CHOICE_GROUPS}
    return replace(Plan.of(composed.config, cache, recorded, command), may_be_pruned=True)


def _reviews(plan: "Plan") -> str:
    """Return the identities of the reviews and of the validation set."""
    plan.data.setup()
    return f"{plan.data.identity} {plan.data.val_split.identity}"


def _require_same_reviews(plan: "Plan", others: Iterable[tuple[str, "Plan"]]) -> None:
    """Raise InputError if another plan, given with an override, validates on other reviews."""
    for override, other in others:
        if _reviews(other) != _reviews(plan):
            raise InputError(
                f"{override} cannot be searched: it changes the validation set, and all trials must "
                "validate on the same reviews."
            )


def _identity(space: "SearchSpace", plan: "Plan", options: argparse.Namespace) -> "Identity":
    from lstm_sentiment.commands.study import Identity
    from lstm_sentiment.runs.identity import chosen_values

    return Identity(
        spaces={name: each.override for name, each in space.spaces.items()},
        settings=chosen_values(plan.config),
        reviews=_reviews(plan),
        run=plan.folder.name,
        sampler=options.sampler,
        pruner=options.pruner,
    )


def _show_space(space: "SearchSpace", study: "Study") -> None:
    """Print the study and its spaces, and a warning on rates that are searched on a linear scale."""
    from lstm_sentiment.commands.search_space import Numbers

    console.print(Text.assemble("study ", (study.name, "bold"), f"  in {study.storage}"))
    for name, each in space.spaces.items():
        console.print(f"  {name}  {each}")
        if isinstance(each, Numbers) and each.is_wide_and_linear:
            Terminal(prefix="  ").message(
                f"{name} is searched on a linear scale, so small values are hardly tried: "
                f"{name}=tag(log,{each.override}) searches all magnitudes alike",
                "warning",
            )
