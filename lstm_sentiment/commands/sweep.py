"""The runs of one command, trained one after another. A failed run does not stop the sweep."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from lstm_sentiment.commands.terminal import (
    Terminal,
    console,
    display_of_run,
    print_labelled,
    print_next,
    ranking_table,
    typed_path,
    typed_program,
)
from lstm_sentiment.config import CHOICE_GROUPS, Config
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.display import counted
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files.heartbeats import LostError
from lstm_sentiment.files.locks import LOCK, HeldError, is_held, sole_writer
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import write_json
from lstm_sentiment.report.ranking import ranking
from lstm_sentiment.runs.folder import CONFIG, SWEEP, planned_runs, unwritable
from lstm_sentiment.runs.identity import COMMAND, new_command
from lstm_sentiment.runs.reader import State, read_run
from lstm_sentiment.training.plan import Plan
from lstm_sentiment.training.run import describe_error, execute, remove_leftovers

POLL = 0.5  # seconds between two checks whether another process has finished its run

MakeConfig = Callable[[], Config]  # may raise InputError
Choices = Mapping[str, str]  # by group


class Sweep:
    """The runs of a command; a single run is a sweep of one.

    Several processes may train the same sweep: each trains the runs that no other process has
    locked. `elsewhere` says that other machines train them, so this process trains none.
    """

    def __init__(self, size: int, elsewhere: bool = False) -> None:
        self.size, self.elsewhere = size, elsewhere
        self.cache = DataCache(Terminal())
        self.begun = 0  # runs trained or skipped so far, the current one included
        # Processes of a launcher belong to the command of their parent.
        self.command = os.environ.get(COMMAND) or new_command()
        self.configs: dict[Path, tuple[Config, Choices]] = {}  # by the run's folder
        self.unfinished: set[Path] = set()  # folders of runs that must be trained, as planned
        self.outdated: set[Path] = set()  # those of them that have a record all the same
        self.settled: set[Path] = set()  # folders of runs that have finished or failed
        self.refusals: list[str] = []  # reasons why runs could not be started
        self.durations: list[float] = []  # seconds of each trained run

    def plan(self, runs: Iterable[tuple[MakeConfig, Choices]]) -> list[Path | None]:
        """Plan all runs, and read and cache their data, before the first run is trained.

        Returns the folder of each run, or None if it cannot be planned; `refusals` has the reasons.
        Raises InputError if the root folder cannot be written.
        """
        folders: list[Path | None] = []
        for make_config, choices in runs:
            try:
                plan = self._plan(make_config, choices)
                if plan.finished_record:
                    remove_leftovers(plan)
                else:
                    self.unfinished.add(plan.folder)
                    if read_run(plan.folder).record is not None:
                        self.outdated.add(plan.folder)
                    self._prepare(plan)
                folders.append(plan.folder)
            except Exception as error:  # shown when this run is to be trained
                self.refusals.append(describe_error(error)["reason"])
                folders.append(None)
        if not self.configs:
            self.cache.discard_new_entries()
        if self.unfinished and len(self.configs) > 1:
            self._write_planned_runs()
        return folders

    def train(self, make_config: MakeConfig, choices: Choices) -> None:
        """Train one run, unless it is finished or another process is training it."""
        self.begun += 1
        with self._errors_collected():
            plan = self._plan(make_config, choices)
            if plan.finished_record:
                self._announce(plan, "is finished; rerun=true trains it again")
                self.settled.add(plan.folder)
            else:
                self._prepare(plan)
                self._announce(plan, self._time_left())
                self._execute(plan)

    def close(self) -> int:
        """Wait for other processes, print the results, and return the exit code.

        The code is 0 if every run of the command has a record, and 1 otherwise.
        """
        self._complete()
        if self.elsewhere:
            _list_anew(self.configs)
        runs = [read_run(folder) for folder in self.configs if self.elsewhere or folder.exists()]
        if runs:
            console.print(ranking_table(*ranking(runs)))
        if self.size != 1 or not self.begun:
            # Repeated at the end, since the lines above may have scrolled out of view.
            for refusal in dict.fromkeys(self.refusals):
                print_labelled("refused", refusal, "red")
        left = sum(run.state in (State.missing, State.interrupted) for run in runs)
        outdated = self._remain_outdated() if self.elsewhere else 0
        if left + outdated and self.elsewhere:
            count = f"{counted(left + outdated, 'run')} of {self.size}"
            console.print(f"{count} not finished: the same command continues.")
        if any(run.record for run in runs):
            where = typed_path(os.path.commonpath([folder.parent for folder in self.configs]))
            program = typed_program("lstm-sentiment")
            print_next(f"{program} report {where}", f"{program} tensorboard {where}")
        finished = sum(run.record is not None for run in runs) - outdated
        return 1 if self.refusals or finished < len(self.configs) else 0

    def _remain_outdated(self) -> int:
        """Return the number of runs that were to be trained again, and have not been begun."""
        own = [read_json(folder / CONFIG) for folder in self.outdated]
        return sum(
            not (isinstance(each, dict) and each.get("command") == self.command) for each in own
        )

    def _plan(self, make_config: MakeConfig, choices: Choices) -> Plan:
        """Plan a run and add it to `configs`."""
        config = make_config()
        config = replace(config, sweep=config.sweep or choices.get("experiment"))
        recorded_choices = {group: choices[group] for group in CHOICE_GROUPS}
        plan = Plan.of(config, self.cache, recorded_choices, self.command, elsewhere=self.elsewhere)
        self.configs[plan.folder] = (config, recorded_choices)
        return plan

    def _prepare(self, plan: Plan) -> None:
        """Read and cache the data of a run; remove it from `configs` if they cannot be used."""
        try:
            plan.prepare()
        except InputError:
            del self.configs[plan.folder]
            raise

    def _write_planned_runs(self) -> None:
        """Write `sweep.json`, so that `status` lists runs that have no folder yet."""
        for sweep in dict.fromkeys(folder.parent for folder in self.configs):
            names = {folder.name for folder in self.configs if folder.parent == sweep}
            try:
                if names <= planned_runs(sweep):
                    continue
                sweep.mkdir(parents=True, exist_ok=True)
                with sole_writer(sweep / LOCK, lambda: None):
                    write_json(sweep / SWEEP, sorted(names | planned_runs(sweep)))
            except OSError as error:
                raise unwritable(sweep.parent, error) from error

    def _execute(self, plan: Plan) -> None:
        """Train a run and show its failure; leave it unsettled if another process trains it."""
        self.settled.add(plan.folder)
        started = time.monotonic()
        shown = display_of_run(plan.folder.name, True)
        try:
            display = display_of_run(plan.folder.name, plan.config.trainer.enable_progress_bar)
            # This command may have begun the run in a process that has died, or is about to.
            execute(plan, display, wait=plan.is_begun)
        except (HeldError, LostError) as error:
            lost = isinstance(error, LostError)
            shown.message(str(error) if lost else "another process is training it")
            self.settled.remove(plan.folder)
            return
        except RunError as error:
            shown.message(str(error), "failed")
        self.durations.append(time.monotonic() - started)

    def _complete(self) -> None:
        """Wait for the runs of other processes; train runs whose process was killed."""
        announced = False
        while unsettled := [folder for folder in self.configs if folder not in self.settled]:
            held = [folder for folder in unsettled if is_held(folder / LOCK)]
            if held and not announced:
                console.print("Waiting for runs that other processes are training.")
                announced = True
            for folder in unsettled:
                if folder not in held and self.elsewhere:
                    self.settled.add(folder)
                elif folder not in held:
                    self._take_over(folder)
            if held:
                time.sleep(POLL)

    def _take_over(self, folder: Path) -> None:
        """Train a run that no process holds, unless it has finished or failed."""
        self.settled.add(folder)
        with self._errors_collected():
            config, choices = self.configs[folder]
            plan = Plan.of(config, self.cache, choices, self.command)
            if plan.finished_record:
                remove_leftovers(plan)
            elif not plan.failure_reason:
                console.print(Text.assemble((folder.name, "bold"), "  taken over"))
                self._execute(plan)

    @contextmanager
    def _errors_collected(self) -> Iterator[None]:
        """Collect and show any error of a run, so that the sweep continues."""
        try:
            yield
        except Exception as error:
            self.refusals.append(describe_error(error)["reason"])
            print_labelled("refused", self.refusals[-1], "red")

    def _announce(self, plan: Plan, remark: str) -> None:
        """Print the line of a run: its number, its name and a remark."""
        count = "" if self.size == 1 else f"run {self.begun} of {self.size}  "
        console.print(Text.assemble((f"{count}{plan.folder.name}", "bold"), f"  {remark}"))

    def _time_left(self) -> str:
        """Return an estimate from the mean duration of the trained runs; "" if there is none."""
        if not self.durations or self.size == 1:
            return ""
        left = sum(self.durations) / len(self.durations) * (self.size - self.begun + 1)
        return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"


def _list_anew(folders: Iterable[Path]) -> None:
    """List the folders of runs and sweeps, so that NFS shows what other machines have written."""
    for folder in dict.fromkeys(path for run in folders for path in (run.parent, run)):
        with suppress(OSError):  # the run has not begun
            os.listdir(folder)  # noqa: PTH208 - no other call is as short
