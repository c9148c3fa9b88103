"""Simulate how often the intervals and verdicts of a report are wrong.

    python -m scripts.benchmarks.statistics_rates

Simulates sweeps of networks with known true accuracies, and prints the tables of
docs/statistics.md: how often a difference is found and how often one is reported that does not
exist; how often the interval of a network contains its true accuracy, also if the network was
chosen as the best, and how often equal networks are called worse than it; and how often effects in
a grid are found or reported that do not exist. It takes half an hour.
"""

import argparse
import gc
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from rich.progress import track
from scipy.stats import norm

from lstm_sentiment.report.effects import effects
from lstm_sentiment.report.statistics import (
    accuracies,
    compare,
    local_level,
)
from scripts.markdown import table

ACCURACY = 0.87
FILM = 0.35  # the share of a review's difficulty that it has in common with others of its film


class Scenario(NamedTuple):
    """The variants of a simulated sweep.

    Accuracies are shares. Seeds deviate by `spread`. If `uneven` is above 0, the logarithm of the
    spread has this standard deviation over variants. `wild` is the spread of single variants, by
    position.
    """

    variants: int
    reviews: int
    behind: float
    spread: float
    uneven: float = 0.0
    seeds: int = 3
    wild: tuple[tuple[int, float], ...] = ()
    per_film: int = 1  # reviews of each film

    def __str__(self) -> str:
        spread = f"{100 * self.spread:g}" + ", uneven" * (self.uneven > 0)
        names = {0: "the reference", self.variants - 1: "the last"}
        return spread + "".join(f", {names[k]} {100 * value:g}" for k, value in self.wild)


class Rates(NamedTuple):
    """Shares of the simulated sweeps."""

    covered: float  # the 95 % interval of the last variant contains its true accuracy
    detected: float  # the variant that is behind is called worse
    false_alarms: float  # a variant that is as good is called better or worse


SCENARIOS = (
    Scenario(4, 25_000, 0.02, 0.003),
    Scenario(4, 25_000, 0.01, 0.003),
    Scenario(4, 4_000, 0.02, 0.003),
    Scenario(4, 2_000, 0.02, 0.003),
    Scenario(4, 2_000, 0.02, 0.01, uneven=0.7),
    Scenario(12, 25_000, 0.01, 0.003, uneven=0.7),
    Scenario(8, 4_000, 0.02, 0.003, wild=((7, 0.03),)),
    Scenario(8, 4_000, 0.02, 0.003, wild=((0, 0.03),)),
    Scenario(2, 25_000, 0.02, 0.003),
    Scenario(2, 25_000, 0.0, 0.003),
    Scenario(2, 25_000, 0.0, 0.02, wild=((0, 0.001),)),
    Scenario(2, 25_000, 0.0, 0.001, wild=((0, 0.02),)),
    Scenario(4, 25_000, 0.02, 0.0, seeds=1),
)
FILMS = Scenario(4, 4_000, 0.02, 0.003, per_film=10)
WINNERS = tuple(
    Scenario(count, reviews, 0.0, spread)
    for count, reviews, spread in product((8, 24), (2_000, 25_000), (0.003, 0.01))
)


def simulated(
    scenario: Scenario, random: np.random.Generator, gains: Sequence[float] | None = None
) -> tuple[list[dict[int, np.ndarray]], list[dict[int, np.ndarray]], np.ndarray]:
    """Return which reviews each variant predicts correctly, by seed, and their true accuracies.

    There are a test and a validation set. The accuracies, (K,), are those over all seeds. The
    second variant is behind the others; `gains` adds to the accuracy of each. Some reviews are hard
    for all networks, some for one architecture and some for one training, such that two seeds
    disagree on about a tenth of the reviews.
    """
    spreads = scenario.spread * np.exp(scenario.uneven * random.standard_normal(scenario.variants))
    for position, spread in scenario.wild:
        spreads[position] = spread
    means = np.full(scenario.variants, ACCURACY) + (0 if gains is None else np.array(gains))
    means[1] -= scenario.behind
    luck = spreads[:, None] * random.standard_normal((scenario.variants, scenario.seeds))
    bounds = norm.ppf(means[:, None] + luck)
    stages = [_answers(scenario, bounds, random) for _ in range(2)]
    return stages[0], stages[1], means


def _answers(
    scenario: Scenario, bounds: np.ndarray, random: np.random.Generator
) -> list[dict[int, np.ndarray]]:
    """Return which of some further reviews are predicted correctly, by seed of each variant."""
    shared, own, chance = np.sqrt([0.7, 0.15, 0.15])
    size = scenario.reviews
    hard = shared * _with_films(scenario, random)
    variants = []
    for of_seeds in bounds:
        kind = hard + own * _with_films(scenario, random)
        variants.append(
            {
                seed: kind + chance * random.standard_normal(size) < bound
                for seed, bound in enumerate(of_seeds)
            }
        )
    return variants


def _with_films(scenario: Scenario, random: np.random.Generator) -> np.ndarray:
    """Return standard normal values, which are alike for reviews of one film."""
    alone = random.standard_normal(scenario.reviews)
    if scenario.per_film == 1:
        return alone
    films = np.repeat(
        random.standard_normal(scenario.reviews // scenario.per_film), scenario.per_film
    )
    values: np.ndarray = np.sqrt(FILM) * films + np.sqrt(1 - FILM) * alone
    return values


def rates(scenario: Scenario, repeats: int, with_groups: bool = False) -> Rates:
    """Return the rates over `repeats` simulated sweeps; all variants are compared with the first.

    `with_groups` says whether the films of the reviews are known.
    """
    random = np.random.default_rng(0)
    counts = np.zeros(3)
    groups = np.arange(scenario.reviews) // scenario.per_film if with_groups else None
    pairs = [(k, 0) for k in range(1, scenario.variants)]
    for _ in range(repeats):
        correct, _, truth = simulated(scenario, random)
        measured = accuracies(correct, groups)
        low, high = measured.accuracy(len(correct) - 1).interval()
        behind, *others = compare(correct, pairs, measured)
        if not scenario.behind:
            others.append(behind)
        counts += (
            low <= truth[-1] <= high,
            behind.verdict == "worse",
            any(verdict.verdict in ("better", "worse") for verdict in others),
        )
    return Rates(*(counts / repeats))


class WinnerRates(NamedTuple):
    """Shares of the simulated sweeps."""

    too_high: float  # the accuracy of the chosen network minus its true one, mean over the sweeps
    usual: float  # its usual interval contains the true accuracy
    covered: float  # so does the interval that allows for the choice
    usual_alarms: float  # another network is called better or worse, in its usual family
    alarms: float  # so it is in the family of all pairs, which the report uses


def winner_rates(scenario: Scenario, repeats: int) -> WinnerRates:
    """Return the rates for the network with the highest validation accuracy of equal networks."""
    random = np.random.default_rng(0)
    sums = np.zeros(5)
    networks = range(scenario.variants)
    for _ in range(repeats):
        correct, validated, truth = simulated(scenario, random)
        best = int(np.argmax(accuracies(validated).observed))
        measured = accuracies(correct)
        accuracy = measured.accuracy(best)
        usual = accuracy.interval()
        low = accuracy.interval(1 - local_level(measured.covariance)).low
        pairs = [(k, best) for k in networks if k != best]
        families = [compare(correct, pairs, measured, chosen) for chosen in ((), networks)]
        sums += (
            accuracy.value - truth[best],
            usual.low <= truth[best] <= usual.high,
            low <= truth[best] <= usual.high,
            *(any(v.verdict in ("better", "worse") for v in family) for family in families),
        )
    return WinnerRates(*(sums / repeats))


class GridScenario(NamedTuple):
    """A grid in which some choices have an effect; the spreads are those of seeds, by cell."""

    seeds: int
    spreads: tuple[float, float, float]  # of rnn, lstm and gru
    cell: float  # the points by which gru is better than the other cells
    direction: float  # the points by which two directions are better than one
    reviews: int = 10_000


GRIDS = tuple(
    GridScenario(seeds, spreads, cell, direction)
    for spreads, cell, direction in (
        ((0.01, 0.01, 0.01), 0.02, 0.0),
        ((0.07, 0.012, 0.012), 0.0, 0.011),
    )
    for seeds in (1, 3)
)
LEVELS = {
    "cell": ["rnn", "lstm", "gru"],
    "direction": ["one", "two"],
    "depth": ["1", "2", "3"],
    "head": ["last", "flatten", "max", "avg"],
}
GRID = [dict(zip(LEVELS, levels, strict=True)) for levels in product(*LEVELS.values())]


class EffectRates(NamedTuple):
    """Shares of the simulated grids."""

    detected: float  # the effect is called significant, with the right sign
    false_alarms: float  # an effect of another choice, which has none, is called significant
    interactions: float  # the strongest interaction is called significant; there is none


def effect_rates(scenario: GridScenario, repeats: int) -> EffectRates:
    """Return the rates for a grid of 72 networks."""
    random = np.random.default_rng(0)
    factor, level = ("cell", "gru") if scenario.cell else ("direction", "two")
    size = scenario.cell or scenario.direction
    gains = [size * (choice[factor] == level) for choice in GRID]
    spreads = [scenario.spreads[LEVELS["cell"].index(choice["cell"])] for choice in GRID]
    of_networks = tuple(enumerate(spreads))
    sweep = Scenario(len(GRID), scenario.reviews, 0.0, 0.0, seeds=scenario.seeds, wild=of_networks)
    counts = np.zeros(3)
    for _ in range(repeats):
        correct, _, _ = simulated(sweep, random, gains)
        found = effects(GRID, LEVELS, accuracies(correct))
        (sought,) = (effect for effect in found.main if effect.choice.get(factor) == level)
        others = [effect for effect in found.main if factor not in effect.choice]
        counts += (
            sought.significant and sought.size > 0,
            any(effect.significant for effect in others),
            found.interactions[0].significant,
        )
    return EffectRates(*(counts / repeats))


def _percent(values: Sequence[float]) -> list[str]:
    return [f"{value:.1%}".replace("%", " %") for value in values]


def comparisons(repeats: int) -> str:
    """Return the table of comparisons with the first variant."""
    rows = []
    for scenario in track(SCENARIOS, "comparisons"):
        covered, detected, alarms = _percent(rates(scenario, repeats))
        numbers = [str(scenario.variants), str(scenario.seeds), f"{scenario.reviews:,}"]
        found = detected if scenario.behind else "–"
        no_others = scenario.behind and scenario.variants == 2
        rates_shown = [covered, found, "–" if no_others else alarms]
        rows.append([*numbers, f"{100 * scenario.behind:g}", str(scenario), *rates_shown])
    columns = ["variants", "seeds", "reviews", "behind", "between seeds"]
    return table([*columns, "covered", "found", "alarms"], rows, left=0)


def films(repeats: int) -> str:
    """Return the table of reviews whose films are alike, with known and unknown films."""
    rows = [
        [name, *_percent(rates(FILMS, repeats, with_groups=known))]
        for name, known in (("known", True), ("unknown", False))
    ]
    return table(["films", "covered", "found", "alarms"], rows)


def winners(repeats: int) -> str:
    """Return the table of networks that were chosen as the best."""
    rows = []
    for scenario in track(WINNERS, "winners"):
        found = winner_rates(scenario, repeats)
        numbers = [str(scenario.variants), f"{scenario.reviews:,}", str(scenario)]
        rows.append([*numbers, f"{100 * found.too_high:+.2f}", *_percent(found[1:])])
    columns = ["networks", "reviews", "between seeds", "too high", "usual interval", "covered"]
    return table([*columns, "usual alarms", "alarms"], rows, left=0)


def grids(repeats: int) -> str:
    """Return the table of the effects in grids."""
    rows = []
    for scenario in track(GRIDS, "grids"):
        effect = "gru, 2 points" if scenario.cell else "two directions, 1.1 points"
        spreads = " / ".join(f"{100 * spread:g}" for spread in scenario.spreads)
        found = _percent(effect_rates(scenario, repeats))
        rows.append([effect, str(scenario.seeds), spreads, *found])
    columns = ["effect", "seeds", "between seeds of rnn / lstm / gru"]
    return table([*columns, "found", "alarms", "interactions"], rows)


TABLES: dict[str, Callable[[int], str]] = {
    "comparisons": comparisons,
    "films": films,
    "winners": winners,
    "grids": grids,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--repeats", type=int, default=200, help="sweeps to simulate for each row (default: 200)"
    )
    parser.add_argument(
        "tables", nargs="*", choices=[*TABLES, []], help="the tables to print (default: all)"
    )
    args = parser.parse_args()
    gc.freeze()  # statsmodels collects garbage at every correction of p
    for name in args.tables or TABLES:
        print(f"{TABLES[name](args.repeats)}\n", flush=True)


if __name__ == "__main__":
    main()
