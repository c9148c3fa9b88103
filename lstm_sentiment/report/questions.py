"""variants, questions of an experiment (`compare`) -> the pairs of variants that answer each.

The comparisons that answer one question are a family: their p-values are corrected together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lstm_sentiment.config import CompareConfig, Config
from lstm_sentiment.config_fields import LONGEST_SHOWN
from lstm_sentiment.display import shortened
from lstm_sentiment.report.differences import (
    NO_EXPERIMENTS,
    confounded_sentence,
    confounders,
    missing_cells,
)
from lstm_sentiment.report.overrides import matches, settings_in_question, without_runs
from lstm_sentiment.report.variants import Variant


@dataclass(frozen=True, eq=False)
class Pair:
    """Two variants to compare."""

    variant: Variant
    other: Variant
    confounded: str  # a sentence on the differences that are not in question, "" without any

    @property
    def variants(self) -> tuple[Variant, Variant]:
        """Both variants."""
        return self.variant, self.other


@dataclass(frozen=True, eq=False)
class Question:
    """A question, with the pairs of variants whose comparisons answer it."""

    text: str
    pairs: Sequence[Pair]
    named: frozenset[str]  # the settings in question, see `settings_in_question`
    commands: Sequence[str]  # that train the runs which confounded pairs lack


def questions(
    variants: Sequence[Variant],
    more: Iterable[CompareConfig] = (),
    experiments: Mapping[str, Config] = NO_EXPERIMENTS,
) -> tuple[list[Question], list[str]]:
    """Return the questions in the records and `more` questions, and notes on missing runs.

    Each variant that has the choices `run` is compared with the variants that have the choices
    `other`: with those that differ from it in the fewest settings that are not in question.
    `experiments` make commands shorter, see `missing_cells`.
    """
    asked: list[Question] = []
    notes = []
    for text, run, other in dict.fromkeys([*_recorded(variants), *map(_sides, more)]):
        named = settings_in_question(run, other)
        shown = f"“{shortened(text, LONGEST_SHOWN)}”"
        if pairs := _pairs(variants, run, other, named):
            commands = [
                command
                for pair in pairs
                for command in missing_cells(pair.variant, pair.other, named, variants, experiments)
            ]
            asked.append(Question(text, pairs, named, [*dict.fromkeys(commands)]))
            if lacking := without_runs(variants, f"{run} {other}"):
                notes.append(f"{shown} is answered in part: no run has {_alternatives(lacking)}.")
        else:
            notes.append(f"{shown} has no answer: {_lacking(variants, run, other)}.")
    return asked, notes


def _recorded(variants: Iterable[Variant]) -> list[tuple[str, str, str]]:
    """Return the entries of all records; older records have none."""
    records = [record for variant in variants for record in variant.records]
    return [
        _texts(entry["question"], entry["run"], entry["other"])
        for record in records
        for entry in record["config"].get("compare") or []
    ]


def _sides(entry: CompareConfig) -> tuple[str, str, str]:
    return _texts(entry.question, entry.run, entry.other)


def _texts(question: str, run: str, other: str) -> tuple[str, str, str]:
    run, other = " ".join(run.split()), " ".join(other.split())
    return question or f"{run} compared with {other}", run, other


def _pairs(variants: Sequence[Variant], run: str, other: str, named: frozenset[str]) -> list[Pair]:
    """Return the pairs of an entry, each pair of variants once."""
    candidates = [variant for variant in variants if matches(variant, other)]
    pairs: list[Pair] = []
    for variant in variants:
        if matches(variant, run):
            known = [pair.variant for pair in pairs if pair.other is variant]
            others = [each for each in candidates if each is not variant and each not in known]
            pairs += [
                Pair(variant, nearest, confounded_sentence(variant, nearest, named))
                for nearest in _nearest(variant, others, named)
            ]
    return pairs


def _nearest(variant: Variant, others: Sequence[Variant], named: frozenset[str]) -> list[Variant]:
    """Return those that differ from the variant in the fewest settings that are not in question."""
    counts = [len(confounders(variant, other, named)) for other in others]
    return [each for each, count in zip(others, counts, strict=True) if count == min(counts)]


def _lacking(variants: Sequence[Variant], run: str, other: str) -> str:
    for overrides in (run, other):
        if not any(matches(variant, overrides) for variant in variants):
            lacking = without_runs(variants, overrides)
            return f"no run has {_alternatives(lacking or [overrides])}"
    return f"only one variant has {_alternatives([run])} and {_alternatives([other])}"


def _alternatives(choices: Sequence[str]) -> str:
    return shortened(" or ".join(choices), LONGEST_SHOWN)
