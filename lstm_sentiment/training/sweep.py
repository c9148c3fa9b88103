"""The runs of one command: carried out one after another, whatever becomes of each."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from lstm_sentiment.config import Config
from lstm_sentiment.errors import InputError, RunError
from lstm_sentiment.report.comparison import comparison, read_run
from lstm_sentiment.training.progress import console
from lstm_sentiment.training.run import Plan, carry_out, explain

CHOICES = ("encoder", "head", "embedding", "data")  # the groups whose choices a record names


class Sweep:
    """Counts, announces and survives the runs of a command; a single run is a sweep of one.

    `size` is None where it is not known.
    """

    def __init__(self, size: int | None) -> None:
        self.size = size
        self.begun = 0
        self.folders: list[Path] = []
        self.refusals: list[str] = []  # of configurations that never became a run
        self.failed = 0  # runs that were begun; their folders say why
        self.durations: list[float] = []  # seconds of each run that was trained

    def train(self, make_config: Callable[[], Config], choices: Mapping[str, str]) -> None:
        """Trains or skips one run; whatever becomes of it is kept for the end.

        Making the configuration may raise InputError; `choices` are what was typed for each group.
        """
        self.begun += 1
        try:
            config = make_config()
            config = replace(config, sweep=config.sweep or choices.get("experiment"))
            self._carry_out(Plan.of(config, {group: choices[group] for group in CHOICES}))
        except InputError as error:
            self._refuse(str(error))
        except Exception as error:  # a defect of ours or of a library: the other runs go on
            self._refuse(explain(error)["reason"])

    def _carry_out(self, plan: Plan) -> None:
        if plan.finished:
            self._announce(plan, "is finished; rerun=true trains it again")
        else:
            self._announce(plan, self._time_left())
            started = time.monotonic()
            try:
                carry_out(plan)
            except RunError as error:
                self.failed += 1
                console.print(f"  [red]failed[/] {escape(str(error))}")
            self.durations.append(time.monotonic() - started)
        self.folders.append(plan.folder)

    def close(self) -> int:
        """Prints the comparison, what failed and what to type next; the exit code."""
        runs = [read_run(folder) for folder in dict.fromkeys(self.folders)]
        if runs:
            console.print(comparison(runs))
        if self.size != 1:
            for refusal in dict.fromkeys(self.refusals):  # once more: they have scrolled away
                console.print(f"[red]refused[/] {escape(refusal)}")
        if any(run.record for run in runs):
            where = shlex.quote(os.path.commonpath([folder.parent for folder in self.folders]))
            report, tensorboard = typed("lstm-sentiment"), typed("tensorboard")
            console.print("[bold]next[/] ", escape(f"{report} report {where}"))
            console.print("     ", escape(f"{tensorboard} --logdir {where}"))
        return 1 if self.refusals or self.failed else 0

    def _refuse(self, reason: str) -> None:
        self.refusals.append(reason)
        console.print(f"[red]refused[/] {escape(reason)}")

    def _announce(self, plan: Plan, remark: str) -> None:
        count = {None: f"run {self.begun}  ", 1: ""}.get(
            self.size, f"run {self.begun} of {self.size}  "
        )
        console.print(f"[bold]{count}{plan.folder.name}[/]  {remark}")

    def _time_left(self) -> str:
        if not self.durations or self.size is None:
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
