"""configurations -> comparison: who is best, how sure that is, and what each choice contributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lstm_sentiment.config import DEPTHS, Cell, EmbeddingKind, HeadKind, Source
from lstm_sentiment.errors import InputError
from lstm_sentiment.report import statistics
from lstm_sentiment.report.configurations import (
    Answers,
    Configuration,
    Group,
    read_answers,
    telling,
)
from lstm_sentiment.report.statistics import Effect, Interval, Verdict

FACTORS = {  # what a choice is called, by the setting behind it
    "encoder.cell": "cell",
    "encoder.bidirectional": "direction",
    "encoder.num_layers": "depth",
    "head.kind": "head",
}
NETWORKS = [f"{depth}{bi}{cell}" for depth in DEPTHS.values() for bi in ("", "bi") for cell in Cell]
OURS = {"encoder": NETWORKS, "head": [*HeadKind], "embedding": [*EmbeddingKind], "data": [*Source]}
FEWEST = 4  # configurations whose effects can be told from one another
NAMED = 3  # runs of a remark that are named; of more, how many


class Comparison:
    """The configurations of a group on the same test reviews.

    `best` is the best on validation, `baseline` the best of those without recurrence and
    `best_network` of the others; each is None where there is none. `remarks` say what keeps runs
    from being compared.
    """

    def __init__(self, group: Group) -> None:
        self.title = group.title
        self.configurations = group.configurations
        self.remarks = [*group.remarks, *_odd_environments(group.configurations)]
        validated = [c for c in self.configurations if not np.isnan(c.val)]
        self.best = next(iter(validated), None)
        self.baseline = next((c for c in self.configurations if c.is_baseline), None)
        self.networks = [c for c in self.configurations if not c.is_baseline]
        self.best_network = next((c for c in validated if not c.is_baseline), None)
        self.answers = {c.name: self._answers(c) for c in self.configurations}
        self.tested = self._on_the_same_reviews()
        self.right = [
            {seed: answers.right for seed, answers in self.answers[c.name].items()}
            for c in self.tested
        ]
        self._verdicts: dict[str, dict[str, Verdict]] = {}

    @cached_property
    def drawn(self) -> np.ndarray:
        """(count, K): replicates of the accuracies of those that were tested."""
        return statistics.replicates(self.right) if self.tested else np.zeros((0, 0))

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Of accuracy on test, by the configuration's name."""
        return {
            c.name: statistics.interval(self.drawn[:, k].clip(0, 1))  # no draw ends at a bound
            for k, c in enumerate(self.tested)
        }

    @property
    def has_single_seeds(self) -> bool:
        """Whether some network tells nothing of how much seeds matter."""
        return any(len(c.runs) == 1 for c in self.networks)

    def against(self, other: Configuration | None) -> dict[str, Verdict]:
        """How the others do beside `other`, by name: all beside a baseline, networks beside one.

        So no pair is judged twice, in two families of tests.
        """
        if other is None or other not in self.tested:
            return {}
        if other.name not in self._verdicts:
            among = [k for k, c in enumerate(self.tested) if other.is_baseline or not c.is_baseline]
            place = among.index(self.tested.index(other))
            right = [self.right[k] for k in among]
            found = statistics.compare(right, place, self.drawn[:, among])
            named = {self.tested[among[k]].name: verdict for k, verdict in found.items()}
            self._verdicts[other.name] = named
        return self._verdicts[other.name]

    def effects(self) -> tuple[list[Effect], list[Effect]]:
        """What each choice contributes, and the interactions, the strongest first.

        Both empty where fewer than two choices vary, or not apart from each other, or where
        single seeds leave nothing to tell their part from.
        """
        places = [k for k, c in enumerate(self.tested) if not c.is_baseline]
        choices, order = _choices([self.tested[k] for k in places])
        if len(places) < FEWEST or len(choices[0]) < 2:
            return [], []
        drawn = self.drawn[:, places]
        observed = np.array([accuracy(self.right[k]) for k in places])
        if self.has_single_seeds:
            with_seeds = statistics.with_residuals(choices, observed, drawn)
            if with_seeds is None:
                return [], []
            drawn = with_seeds
        main = statistics.main_effects(choices, observed, drawn)
        main.sort(key=lambda effect: order[next(iter(effect.choice.items()))])
        return main, statistics.interactions(choices, observed, drawn) if main else []

    def _answers(self, configuration: Configuration) -> dict[int, Answers]:
        """By seed; empty where those of any seed are missing."""
        answers = {}
        for seed, run in configuration.runs.items():
            if run.record and run.record["test"]:
                try:
                    answers[seed] = read_answers(run, "test")
                except InputError as error:
                    self.remarks.append(
                        f"{error}: {configuration.name} takes no part in intervals and tests."
                    )
                    return {}  # a mean over some of its seeds would not be that of its scores
        return answers

    def _on_the_same_reviews(self) -> list[Configuration]:
        """Those of which every seed answered the reviews that most of them did."""
        asked = {
            c.name: {answers.row.tobytes() + answers.label.tobytes() for answers in found.values()}
            for c in self.configurations
            if (found := self.answers[c.name])
        }
        alike = [next(iter(reviews)) for reviews in asked.values() if len(reviews) == 1]
        usual = {max(alike, key=alike.count, default=b"")}
        for name, reviews in asked.items():
            if reviews != usual:
                self.remarks.append(
                    f"{name} was tested on other reviews than the rest: it takes no part in "
                    "intervals and tests."
                )
        return [c for c in self.configurations if asked.get(c.name) == usual]


def accuracy(right: statistics.Correct) -> float:
    """The mean over seeds."""
    return float(np.mean([answers.mean() for answers in right.values()]))


def _odd_environments(configurations: Sequence[Configuration]) -> list[str]:
    """Runs on another device or with other threads than most: their times are not alike."""
    remarks = []
    records = [record for c in configurations for record in c.records if not c.is_baseline]
    for what in ("device", "threads"):
        values = [record["environment"][what] for record in records]
        usual = max(values, key=values.count, default=None)
        for value in dict.fromkeys(value for value in values if value != usual):
            names = [r["name"] for r in records if r["environment"][what] == value]
            remarks.append(
                f"{what} {value} instead of {usual}, so that times are not alike: {_first(names)}."
            )
    return remarks


def _first(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _choices(
    configurations: Sequence[Configuration],
) -> tuple[list[dict[str, str]], dict[tuple[str, str], tuple[int, int]]]:
    """For each configuration the levels of what varies among them; the order to tell them in."""
    chosen = [c.settings for c in configurations]
    order = {}
    for factor, name in enumerate(names := telling(chosen)):
        different = {str(values.get(name)): values.get(name) for values in chosen}
        for place, value in enumerate(sorted(different.values(), key=natural_order)):
            order[FACTORS.get(name, name), level(name, value)] = factor, place
    levels = [{FACTORS.get(n, n): level(n, values.get(n)) for n in names} for values in chosen]
    return levels, order


def natural_order(value: Any) -> tuple[int, float, str]:
    """Cells and heads as they are listed, numbers by size, other words by spelling."""
    if isinstance(value, int | float):
        return 0, value, ""
    listed = [str(name) for name in (*Cell, *HeadKind)]
    return 1, listed.index(str(value)) if str(value) in listed else len(listed), str(value)


def level(name: str, value: Any) -> str:
    """In words: two directions, three layers, data.padding=keras."""
    match name:
        case "encoder.bidirectional":
            return "two directions" if value else "one direction"
        case "encoder.num_layers":
            return ("one layer", "two layers", "three layers")[int(value) - 1]
        case "encoder.cell" | "head.kind":
            return str(value)
    return f"{name}={value}"


@dataclass(frozen=True)
class Published:
    """A figure of a paper or a reference system beside ours."""

    run: str  # as it is written: the words of a command line
    source: str
    score: str
    theirs: float
    name: str | None = None  # of the configuration that answers to it; None where none does
    ours: float | None = None


def published(configurations: Sequence[Configuration]) -> list[Published]:
    """Every published figure that the runs were given, beside each configuration it is of."""
    found: dict[str, dict[str, Any]] = {}
    for configuration in configurations:
        for record in configuration.records:
            for figure in record["config"].get("reference") or []:
                found.setdefault(str(sorted(figure.items(), key=str)), figure)
    return [
        row
        for figure in found.values()
        for score in ("accuracy", "loss")
        if figure.get(score) is not None
        for row in _beside(figure, score, configurations)
    ]


def _beside(
    figure: dict[str, Any], score: str, configurations: Sequence[Configuration]
) -> list[Published]:
    theirs = figure["run"], figure["source"], score, figure[score]
    ours = [
        Published(*theirs, c.name, float(c.scores("test", score).mean()))
        for c in configurations
        if len(c.scores("test", score)) and _is_of(figure["run"].split(), c)
    ]
    return ours or [Published(*theirs)]


def _is_of(words: Sequence[str], c: Configuration) -> bool:
    return bool(words) and all(_is(word, c) for word in words)


def _is(word: str, c: Configuration) -> bool:
    """Whether a choice, written as on the command line, is the configuration's."""
    name, _, text = word.partition("=")
    if name in OURS:
        # What the net is counts, however it was asked for; of others' names, what was typed.
        typed = c.records[0]["choices"].get(name)
        known = {"encoder": c.network, "head": c.settings.get("head.kind")}
        known |= {"embedding": c.settings.get("embedding.kind")}
        return text == (known.get(name, typed) if text in OURS[name] else typed)
    value = c.settings.get(name, "")
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return text == ("null" if value is None else str(value))
