"""variants -> comparison: the best variant, intervals and tests, and the effects of choices."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lstm_sentiment.config import Cell, Config, HeadKind
from lstm_sentiment.config_fields import fields_of
from lstm_sentiment.data.splits import copies_note
from lstm_sentiment.display import counted
from lstm_sentiment.errors import InputError
from lstm_sentiment.report import statistics
from lstm_sentiment.report.effects import NO_EFFECTS, Choice, Effects, effects
from lstm_sentiment.report.formatting import first_names
from lstm_sentiment.report.statistics import Accuracies, Correct, Interval, Verdict
from lstm_sentiment.report.variants import Variant, VariantGroup, distinguishing_settings
from lstm_sentiment.runs.predictions import Predictions, read_predictions
from lstm_sentiment.runs.record import MACHINE, machine, varying_attempts

FACTORS = {field.name: field.factor for field in fields_of(Config) if field.factor}  # by setting
MIN_NETWORKS = 4  # needed to estimate effects


class Comparison:
    """The variants of a group, compared on the same test reviews.

    `best` is the variant with the highest validation accuracy, `baseline` the n-gram baseline with
    the least validation loss and `best_network` the best single network; each may be None. `tested`
    are the variants with predictions for the same test reviews, and `correct` says whether their
    predictions are correct. `notes` are the limits of the comparison.
    """

    def __init__(self, group: VariantGroup) -> None:
        self.title = group.title
        self.data: Mapping[str, Any] = group.variants[0].records[0]["data"]  # of every run
        self.variants = group.variants
        self.classes = group.classes
        self.notes = [
            *group.notes,
            *_copies_notes(group.variants),
            *_language_model_notes(group.variants),
            *_environment_notes(group.variants),
        ]
        validated = [v for v in self.variants if not np.isnan(v.val_accuracy)]
        self.best = next(iter(validated), None)
        self.baseline = _best_baseline(self.variants)
        self.networks = [v for v in self.variants if v.is_network]
        self.best_network = next((v for v in validated if v.is_network), None)
        self.predictions = {v.name: self._predictions(v) for v in self.variants}
        self.tested = self._tested_on_the_same_reviews()
        self.correct: list[Correct] = [
            {seed: run.correct for seed, run in self.predictions[v.name].items()}
            for v in self.tested
        ]
        self._verdicts: dict[str, dict[str, Verdict]] = {}

    @cached_property
    def groups(self) -> np.ndarray | None:
        """The groups of the test reviews, such as their films, (N,) int; None if unknown."""
        runs = (run for v in self.tested for run in self.predictions[v.name].values())
        return next((run.group for run in runs if run.group is not None), None)

    @cached_property
    def accuracies(self) -> Accuracies:
        """The test accuracies of the tested variants and their errors."""
        return statistics.accuracies(self.correct, self.groups)

    def accuracies_of(self, variants: Iterable[Variant]) -> Accuracies:
        """Return the test accuracies of some of the tested variants."""
        return self.accuracies.of([self.tested.index(variant) for variant in variants])

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """The 95 % intervals of the test accuracies, by variant name.

        If the variant was chosen, its lower end is that of simultaneous intervals for all
        candidates, which holds whichever of them is chosen (Berk et al. 2013).
        """
        return {v.name: self._interval(v) for v in self.tested}

    def candidates(self, variant: Variant) -> list[Variant]:
        """Return the tested variants that a variant was chosen from; none if it was not chosen.

        The best variant and the best network are chosen more often if they were lucky.
        """
        if variant not in (self.best, self.best_network):
            return []
        among = self.variants if variant is self.best else self.networks
        known = [v for v in among if v in self.tested and not np.isnan(v.val_accuracy)]
        return known if len(known) > 1 else []

    def _interval(self, variant: Variant) -> Interval:
        accuracy = self.accuracies.accuracy(self.tested.index(variant))
        low, high = accuracy.interval()
        if candidates := self.candidates(variant):
            level = statistics.local_level(self.accuracies_of(candidates).covariance)
            low = accuracy.interval(1 - level).low
        return Interval(max(low, 0.0), min(high, 1.0))

    @property
    def tested_networks(self) -> list[Variant]:
        """The tested variants that are single networks."""
        return [variant for variant in self.tested if variant.is_network]

    @property
    def has_single_seeds(self) -> bool:
        """Whether any network has a single seed, so that its variance between seeds is unknown."""
        return any(len(v.runs) == 1 for v in self.networks)

    @property
    def has_ensembles(self) -> bool:
        """Whether any variant is an ensemble, whose variance between seeds is unknown, too."""
        return any(v.is_ensemble for v in self.variants)

    def against(self, other: Variant | None) -> dict[str, Verdict]:
        """Return the verdict on each variant relative to the variant `other`, by variant name.

        All variants are compared with a baseline, but only networks, and the ensembles of networks,
        are compared with a network. Otherwise a pair could get two verdicts that are corrected for
        different numbers of tests.
        The best network was chosen among the networks, and its luck with its seeds makes others
        look worse. Verdicts relative to a network therefore belong to the family of all pairs of
        networks, unless all have single seeds: then the verdicts are on these trained networks, and
        the choice does not depend on the test reviews. The result is empty if the other variant was
        not tested.
        """
        if other is None or other not in self.tested:
            return {}
        if other.name not in self._verdicts:
            among = [v for v in self.tested if other.is_baseline or not v.is_baseline]
            is_lucky = not other.is_baseline and any(len(v.runs) > 1 for v in among)
            family = self.family(
                [(v, other) for v in among if v is not other],
                chosen_from=among if is_lucky else (),
            )
            self._verdicts[other.name] = {ours.name: v for (ours, _), v in family.items()}
        return self._verdicts[other.name]

    def family(
        self, pairs: Iterable[tuple[Variant, Variant]], chosen_from: Sequence[Variant] = ()
    ) -> dict[tuple[Variant, Variant], Verdict]:
        """Return the verdicts on pairs of variants, each relative to the second one.

        They are corrected together, see `statistics.compare`. Pairs with a variant that was not
        tested are left out.
        """
        tested = [(ours, other) for ours, other in pairs if {ours, other} <= {*self.tested}]
        positions = [(self.tested.index(ours), self.tested.index(other)) for ours, other in tested]
        if not tested:
            return {}
        candidates = [self.tested.index(variant) for variant in chosen_from]
        verdicts = statistics.compare(self.correct, positions, self.accuracies, candidates)
        return dict(zip(tested, verdicts, strict=True))

    @cached_property
    def effects(self) -> Effects:
        """The effects of all choices; none if they cannot be estimated.

        This is so if fewer than two choices vary, if choices vary only together, or if networks
        have single seeds and the model leaves no residuals.
        """
        if len(self.tested_networks) < MIN_NETWORKS:
            return NO_EFFECTS
        choices, levels = _choices(self.tested_networks)
        if len(choices[0]) < 2:
            return NO_EFFECTS
        return effects(choices, levels, self.accuracies_of(self.tested_networks))

    def _predictions(self, variant: Variant) -> dict[int, Predictions]:
        """Return test predictions by seed; none if the predictions of any seed cannot be read.

        The mean over some of the seeds would differ from the variant's mean score.
        """
        predictions = {}
        for seed, run in variant.runs.items():
            if run.record and run.record["test"]:
                try:
                    predictions[seed] = read_predictions(run, "test")
                except InputError as error:
                    self.notes.append(
                        f"{error}: {variant.name} is left out of intervals and tests."
                    )
                    return {}
        return predictions

    def _tested_on_the_same_reviews(self) -> list[Variant]:
        """Return the variants with predictions for the test reviews that most variants share."""
        reviews = {
            v.name: {run.row.tobytes() + run.label.tobytes() for run in runs.values()}
            for v in self.variants
            if (runs := self.predictions[v.name])
        }
        alike = [next(iter(sets)) for sets in reviews.values() if len(sets) == 1]
        usual = {max(alike, key=alike.count, default=b"")}
        for name, sets in reviews.items():
            if sets != usual:
                self.notes.append(
                    f"{name} was not tested on the same reviews as the other variants: it is left "
                    "out of intervals and tests."
                )
        return [v for v in self.variants if reviews.get(v.name) == usual]


def _best_baseline(variants: Sequence[Variant]) -> Variant | None:
    """Return the n-gram baseline with the least validation loss, or the first one without any.

    The penalty of a baseline is chosen in the same way. By accuracy, a few of few validation
    reviews would decide, since a baseline has a single run.
    """
    baselines = [v for v in variants if v.is_baseline]
    validated = [v for v in baselines if len(v.scores("val", "loss"))]
    first = next(iter(baselines), None)
    return min(validated, key=lambda v: float(v.scores("val", "loss").mean()), default=first)


def _copies_notes(variants: Sequence[Variant]) -> list[str]:
    """Return notes on training reviews among the test reviews; older records do not count them."""
    counts = [record["data"] for v in variants for record in v.records if record["test"]]
    notes = [copies_note(data.get("test_copies"), data["test"]) for data in counts]
    return [note for note in dict.fromkeys(notes) if note]


def _language_model_notes(variants: Sequence[Variant]) -> list[str]:
    """Return notes on networks whose language model has read validation reviews."""
    names: dict[int, list[str]] = {}  # of runs, by the number of reviews
    for record in (record for v in variants for record in v.trained if record["val"]):
        if read := (record.get("language_model") or {}).get("read_validation"):
            names.setdefault(read, []).append(record["name"])
    return [
        f"The language model of {first_names(runs)} has read the texts of "
        f"{counted(read, 'validation review')}, without labels: the validation accuracy, by which "
        "variants are ranked, may be a little too high."
        for read, runs in names.items()
    ]


def _environment_notes(variants: Sequence[Variant]) -> list[str]:
    """Return notes on networks that were trained on another machine than most networks."""
    notes = []
    records = [record for v in variants for record in v.trained if v.is_network]
    for field in MACHINE:
        values = [machine(record["environment"])[field] for record in records]
        usual = max(values, key=values.count, default=None)
        for value in dict.fromkeys(value for value in values if value != usual):
            names = [r["name"] for r in records if machine(r["environment"])[field] == value]
            notes.append(
                f"Training times are not comparable: {field} is {value} instead of {usual} for "
                f"{first_names(names)}."
            )
    for record in records:
        if varying := varying_attempts(record):
            notes.append(
                f"{record['name']} was interrupted and resumed in another environment ({varying}): "
                "training it again may give slightly different numbers."
            )
    return notes


def _choices(variants: Sequence[Variant]) -> tuple[list[Choice], dict[str, list[str]]]:
    """Return the levels of the varying factors for each variant, and all levels in their order."""
    chosen = [v.settings for v in variants]
    names = distinguishing_settings(chosen)
    levels = {}
    for name in names:
        different = {str(values.get(name)): values.get(name) for values in chosen}
        ordered = sorted(different.values(), key=natural_order)
        levels[FACTORS.get(name, name)] = [level(name, value) for value in ordered]
    choices: list[Choice] = [
        {FACTORS.get(n, n): level(n, values.get(n)) for n in names} for values in chosen
    ]
    return choices, levels


def natural_order(value: Any) -> tuple[int, float, str]:
    """Return a sort key: numbers by size, cells and heads as in their enums, then by spelling."""
    if isinstance(value, int | float):
        return 0, value, ""
    listed = [str(name) for name in (*Cell, *HeadKind)]
    return 1, listed.index(str(value)) if str(value) in listed else len(listed), str(value)


def level(name: str, value: Any) -> str:
    """Return the value of a setting in words: two directions, three layers, data.padding=keras."""
    match name:
        case "encoder.bidirectional":
            return "two directions" if value else "one direction"
        case "encoder.num_layers":
            return ("one layer", "two layers", "three layers")[int(value) - 1]
        case "encoder.cell" | "head.kind":
            return str(value)
    return f"{name}={value}"
