"""The runs of one command: carried out one after another, whatever becomes of each."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from lstm_sentiment.config import Config
from lstm_sentiment.data.cache import begin_command
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.files import LOCK, HeldError, is_held, remove_drafts, sole_writer
from lstm_sentiment.report.ranking import ranking
from lstm_sentiment.report.runs import read_run
from lstm_sentiment.training.progress import console, say
from lstm_sentiment.training.record import SWEEP, planned_runs, read_record, write_json
from lstm_sentiment.training.run import Plan, carry_out, explain, tidy, unwritable

CHOICES = ("encoder", "head", "embedding", "data")  # the groups whose choices a record names
POLL = 0.5  # seconds between two looks at what another process trains

Made = tuple[Callable[[], Config], Mapping[str, str]]  # may raise InputError; choices by group


class Sweep:
    """Counts, announces and survives the runs of a command; a single run is a sweep of one.

    Several processes may share one: each trains what no other holds.
    """

    def __init__(self, size: int) -> None:
        begin_command()
        self.size = size
        self.begun = 0
        self.started = time.time()
        self.plans: dict[Path, tuple[Config, Mapping[str, str]]] = {}  # by the run's folder
        self.settled: set[Path] = set()  # the folders of those that this process need not look at
        self.refusals: list[str] = []  # of configurations that never became a run
        self.durations: list[float] = []  # seconds of each run that was trained

    def plan(self, runs: Iterable[Made]) -> None:
        """Notes beforehand what the command stands for, and has its data read and kept.

        What cannot be is refused again when its turn comes. Raises InputError where the root
        cannot be written.
        """
        unfinished = False
        for make_config, choices in runs:
            try:
                plan = self._plan(make_config, choices)
                if not plan.finished:
                    unfinished = True
                    self._prepare(plan)
            except Exception as error:
                self.refusals.append(explain(error)["reason"])
        if unfinished and len(self.plans) > 1:
            self._note_what_is_planned()

    def train(self, make_config: Callable[[], Config], choices: Mapping[str, str]) -> None:
        """Trains or skips one run, or leaves it to the process that trains it."""
        self.begun += 1
        with self._refusals_kept():
            plan = self._plan(make_config, choices)
            if plan.finished:
                self._announce(plan, "is finished; rerun=true trains it again")
                self.settled.add(plan.folder)
                tidy(plan)  # a kill may have come before it
            else:
                self._prepare(plan)
                self._announce(plan, self._time_left())
                self._carry_out(plan)

    def close(self) -> int:
        """Waits for what others train, prints the comparison and what failed; the exit code."""
        self._complete()
        runs = [read_run(folder) for folder in self.plans if folder.exists()]
        if runs:
            console.print(ranking(runs))
        if self.size != 1 or not self.begun:
            for refusal in dict.fromkeys(self.refusals):  # once more: they have scrolled away
                console.print(f"[red]refused[/] {escape(refusal)}")
        if any(run.record for run in runs):
            where = shlex.quote(os.path.commonpath([folder.parent for folder in self.plans]))
            program = typed("lstm-sentiment")
            console.print("[bold]next[/] ", escape(f"{program} report {where}"))
            console.print("     ", escape(f"{program} tensorboard {where}"))
        return 1 if self.refusals or any(read_record(f) is None for f in self.plans) else 0

    def _plan(self, make_config: Callable[[], Config], choices: Mapping[str, str]) -> Plan:
        config = make_config()
        config = replace(config, sweep=config.sweep or choices.get("experiment"))
        named = {group: choices[group] for group in CHOICES}
        plan = Plan.of(config, named, self.started)
        self.plans[plan.folder] = (config, named)
        return plan

    def _prepare(self, plan: Plan) -> None:
        try:
            plan.prepare()
        except InputError:
            del self.plans[plan.folder]
            raise

    def _note_what_is_planned(self) -> None:
        """Beside the runs, so that those not begun yet can be told from those never asked for."""
        for sweep in dict.fromkeys(folder.parent for folder in self.plans):
            names = {folder.name for folder in self.plans if folder.parent == sweep}
            try:
                if names <= planned_runs(sweep):
                    continue
                sweep.mkdir(parents=True, exist_ok=True)
                with sole_writer(sweep / LOCK, lambda: None):
                    remove_drafts(sweep)
                    write_json(sweep / SWEEP, sorted(names | planned_runs(sweep)))
            except OSError as error:
                raise unwritable(sweep.parent, error) from error

    def _carry_out(self, plan: Plan) -> None:
        self.settled.add(plan.folder)
        started = time.monotonic()
        try:
            carry_out(plan)
        except HeldError:
            say(plan.folder.name, "another process trains it")
            self.settled.remove(plan.folder)
            return
        except RunError as error:
            say(plan.folder.name, f"[red]failed[/] {escape(str(error))}")
        self.durations.append(time.monotonic() - started)

    def _complete(self) -> None:
        """Waits for the runs that other processes hold, and takes over where one has died."""
        waits = False
        while unsettled := [folder for folder in self.plans if folder not in self.settled]:
            held = [folder for folder in unsettled if is_held(folder / LOCK)]
            if held and not waits:
                console.print("Waiting for what other processes train.")
                waits = True
            for folder in unsettled:
                if folder not in held:
                    self._take_over(folder)
            if held:
                time.sleep(POLL)

    def _take_over(self, folder: Path) -> None:
        self.settled.add(folder)
        with self._refusals_kept():
            plan = Plan.of(*self.plans[folder], self.started)
            if plan.finished:
                tidy(plan)
            elif not plan.failed:
                console.print(f"[bold]{folder.name}[/]  taken over")
                self._carry_out(plan)

    @contextmanager
    def _refusals_kept(self) -> Iterator[None]:
        """Nothing that befalls one run, not even a defect, keeps the others from going on."""
        try:
            yield
        except Exception as error:
            self.refusals.append(explain(error)["reason"])
            console.print(f"[red]refused[/] {escape(self.refusals[-1])}")

    def _announce(self, plan: Plan, remark: str) -> None:
        count = "" if self.size == 1 else f"run {self.begun} of {self.size}  "
        console.print(f"[bold]{count}{plan.folder.name}[/]  {remark}")

    def _time_left(self) -> str:
        if not self.durations or self.size == 1:
            return ""
        left = sum(self.durations) / len(self.durations) * (self.size - self.begun + 1)
        return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"


def typed(program: str) -> str:
    """What to type for a program of this environment, whether or not it is activated."""
    if shutil.which(program):
        return program
    beside = Path(sys.executable).with_name(program)
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
