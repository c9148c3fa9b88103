"""How often do the intervals and verdicts of a report err, where the truth is known?

    python scripts/statistics_rates.py

Simulates records of configurations whose true accuracies are chosen, and prints two tables, which
stand in docs/statistics.md. Of verdicts, beside a plain hierarchical bootstrap: how often the last
configuration's interval holds its true accuracy, how often one that is `behind` is found worse,
and how often any that is as good is called better or worse. Of contributions in a grid: how often
one that is there is found, and how often one that is not. It takes a quarter of an hour.
"""

import argparse
import gc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import track
from scipy.stats import norm

from lstm_sentiment.report.statistics import (
    Correct,
    compare,
    interactions,
    interval,
    main_effects,
    replicates,
    with_residuals,
)

ACCURACY = 0.87


class Scenario(NamedTuple):
    """Accuracies are in shares. Seeds deviate by `spread`, in some configurations by more than in
    others where `uneven` (the standard deviation of the spread's logarithm) is above 0.
    """

    configurations: int
    reviews: int
    behind: float
    spread: float
    uneven: float = 0.0
    seeds: int = 3
    wild: float = 0.0  # the spread of the last one, where it is another


class Rates(NamedTuple):
    covered: float  # the true accuracy lay within the 95 % interval
    found: float  # what is behind was called worse
    alarms: float  # something that is as good was called better or worse


SCENARIOS = [
    Scenario(4, 25_000, 0.02, 0.003),
    Scenario(4, 25_000, 0.01, 0.003),
    Scenario(4, 4_000, 0.02, 0.003),
    Scenario(4, 2_000, 0.02, 0.003),
    Scenario(4, 2_000, 0.02, 0.01, uneven=0.7),
    Scenario(12, 25_000, 0.01, 0.003, uneven=0.7),
    Scenario(8, 4_000, 0.02, 0.003, wild=0.03),
    Scenario(2, 25_000, 0.02, 0.003),
    Scenario(4, 25_000, 0.02, 0.0, seeds=1),
]

Draw = Callable[[Sequence[Correct], int, int], np.ndarray]


def simulated(
    scenario: Scenario, random: np.random.Generator, gains: Sequence[float] | None = None
) -> list[dict[int, np.ndarray]]:
    """Answers, the second configuration behind the others, or each `gains` ahead of them.

    Some reviews are hard for all networks, some for one architecture, some for one training:
    two seeds disagree on about a tenth of the reviews.
    """
    shared, own, chance = np.sqrt([0.7, 0.15, 0.15])
    hard = shared * random.standard_normal(scenario.reviews)
    configurations = []
    for number in range(scenario.configurations):
        mean = ACCURACY - scenario.behind * (number == 1) + (gains[number] if gains else 0)
        spread = scenario.spread * np.exp(scenario.uneven * random.standard_normal())
        if scenario.wild and number == scenario.configurations - 1:
            spread = scenario.wild
        kind = hard + own * random.standard_normal(scenario.reviews)
        configurations.append(
            {
                seed: kind + chance * random.standard_normal(scenario.reviews)
                < norm.ppf(mean + spread * random.standard_normal())
                for seed in range(scenario.seeds)
            }
        )
    return configurations


def resampled(configurations: Sequence[Correct], count: int, seed: int) -> np.ndarray:
    """The plain hierarchical bootstrap: seeds and reviews, both drawn with replacement."""
    random = np.random.default_rng(seed)
    answers = np.stack([np.stack([*correct.values()]) for correct in configurations])
    K, S, size = answers.shape
    often = [np.bincount(random.integers(0, size, size), minlength=size) for _ in range(count)]
    accuracies = (
        np.stack(often).astype(float) @ answers.reshape(K * S, size).T.astype(float) / size
    ).reshape(count, K, S)
    chosen = random.integers(0, S, (count, 1, S))
    return np.take_along_axis(accuracies, chosen, 2).mean(2)


def rates(scenario: Scenario, repeats: int, draw: Draw = replicates, count: int = 1000) -> Rates:
    """Over so many simulated sweeps."""
    random = np.random.default_rng(0)
    counts = np.zeros(3)
    truth = ACCURACY - scenario.behind * (scenario.configurations == 2)  # of the last one
    for number in range(repeats):
        configurations = simulated(scenario, random)
        drawn = draw(configurations, count, number)
        low, high = interval(drawn[:, -1])
        verdicts = compare(configurations, 0, drawn)
        others = [verdicts[k].verdict for k in verdicts if k != 1]
        counts += (
            low <= truth <= high,
            verdicts[1].verdict == "worse",
            any(verdict != "cannot be told apart" for verdict in others),
        )
    return Rates(*(counts / repeats))


class EffectRates(NamedTuple):
    found: float  # what a cell adds was called certain, of the right sign
    alarms: float  # any main effect of what does not matter was
    interactions: float  # the strongest interaction was


GRID = [
    {"cell": cell, "direction": direction, "head": head}
    for cell in ("rnn", "lstm", "gru")
    for direction in ("one", "two")
    for head in ("last", "flatten", "max", "avg")
]


def effect_rates(seeds: int, repeats: int, better: float = 0.02, count: int = 1000) -> EffectRates:
    """On 2,000 reviews and with a spread of a point; a gru is `better` than the other cells."""
    random = np.random.default_rng(0)
    scenario = Scenario(len(GRID), 2_000, 0.0, 0.01, seeds=seeds)
    counts = np.zeros(3)
    for number in range(repeats):
        gains = [better * (choice["cell"] == "gru") for choice in GRID]
        right = simulated(scenario, random, gains)
        drawn = replicates(right, count, number)
        observed = np.array([np.mean([*each.values()]) for each in right])
        if seeds == 1:
            drawn = with_residuals(GRID, observed, drawn)
            assert drawn is not None
        main_ones = main_effects(GRID, observed, drawn)
        others = [effect for effect in main_ones if "cell" not in effect.choice]
        (gru,) = (effect for effect in main_ones if effect.choice.get("cell") == "gru")
        counts += (
            gru.certain and gru.size > 0,
            any(effect.certain for effect in others),
            interactions(GRID, observed, drawn)[0].certain,
        )
    return EffectRates(*(counts / repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description="How often does a report err?")
    parser.add_argument("--repeats", type=int, default=200, help="simulated sweeps each")
    parser.add_argument("--count", type=int, default=1000, help="replicates of each")
    args = parser.parse_args()
    gc.freeze()  # statsmodels collects garbage at every correction
    columns = ("configurations", "seeds", "reviews", "behind", "between seeds", *Rates._fields)
    print(f"| {' | '.join(columns)} |\n| {' | '.join(['--:'] * len(columns))} |")
    for scenario in track(SCENARIOS):
        both = [rates(scenario, args.repeats, d, args.count) for d in (replicates, resampled)]
        cells = [f"{ours:.1%} ({plain:.1%})" for ours, plain in zip(*both, strict=True)]
        spread = f"{100 * scenario.spread:g}{', uneven' if scenario.uneven else ''}"
        spread += f", one {100 * scenario.wild:g}" if scenario.wild else ""
        print(
            f"| {scenario.configurations} | {scenario.seeds} | {scenario.reviews:,} "
            f"| {100 * scenario.behind:g} | {spread} | {' | '.join(cells)} |",
            flush=True,
        )
    print("\n| grid of 24 | found | alarms | interactions |\n| --- | --: | --: | --: |")
    for seeds in (3, 1):
        cells = [f"{rate:.1%}" for rate in effect_rates(seeds, args.repeats, count=args.count)]
        print(f"| {seeds} seed{'s' * (seeds > 1)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
