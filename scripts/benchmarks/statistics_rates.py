"""Simulate how often the intervals and verdicts of a report are wrong.

    python -m scripts.benchmarks.statistics_rates

Simulates sweeps of variants with known true accuracies, and prints two tables, which are in
docs/statistics.md. The first table shows, with a plain hierarchical bootstrap in brackets: how
often the interval of the last variant contains its true accuracy, how often a variant that is
`behind` is called worse, and how often one that is as good is called better or worse. The second
one shows how often effects in a grid are detected, and how often effects are reported that do not
exist. It takes a quarter of an hour.
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
from scripts.markdown import table

ACCURACY = 0.87


class Scenario(NamedTuple):
    """The variants of a simulated sweep.

    Accuracies are shares. Seeds deviate by `spread`. If `uneven` is above 0, the logarithm of the
    spread has this standard deviation over variants.
    """

    variants: int
    reviews: int
    behind: float
    spread: float
    uneven: float = 0.0
    seeds: int = 3
    wild: float = 0.0  # the spread of the last variant, if it is not 0


class Rates(NamedTuple):
    """Shares of the simulated sweeps."""

    covered: float  # the 95 % interval of the last variant contains its true accuracy
    detected: float  # the variant that is behind is called worse
    false_alarms: float  # a variant that is as good is called better or worse


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
    """Return which reviews each variant predicts correctly, by seed.

    The second variant is behind the others; `gains` adds to the accuracy of each. Some reviews are
    hard for all networks, some for one architecture and some for one training, such that two seeds
    disagree on about a tenth of the reviews.
    """
    shared, own, chance = np.sqrt([0.7, 0.15, 0.15])
    hard = shared * random.standard_normal(scenario.reviews)
    variants = []
    for number in range(scenario.variants):
        mean = ACCURACY - scenario.behind * (number == 1) + (gains[number] if gains else 0)
        spread = scenario.spread * np.exp(scenario.uneven * random.standard_normal())
        if scenario.wild and number == scenario.variants - 1:
            spread = scenario.wild
        kind = hard + own * random.standard_normal(scenario.reviews)
        variants.append(
            {
                seed: kind + chance * random.standard_normal(scenario.reviews)
                < norm.ppf(mean + spread * random.standard_normal())
                for seed in range(scenario.seeds)
            }
        )
    return variants


def resampled(variants: Sequence[Correct], count: int, seed: int) -> np.ndarray:
    """Return replicates of the plain hierarchical bootstrap, (count, K).

    It draws both seeds and reviews with replacement.
    """
    random = np.random.default_rng(seed)
    correct = np.stack([np.stack([*seeds.values()]) for seeds in variants])
    K, S, size = correct.shape
    counts = [np.bincount(random.integers(0, size, size), minlength=size) for _ in range(count)]
    accuracies = (
        np.stack(counts).astype(float) @ correct.reshape(K * S, size).T.astype(float) / size
    ).reshape(count, K, S)
    chosen = random.integers(0, S, (count, 1, S))
    return np.take_along_axis(accuracies, chosen, 2).mean(2)


def rates(scenario: Scenario, repeats: int, draw: Draw = replicates, count: int = 1000) -> Rates:
    """Return the rates over `repeats` simulated sweeps."""
    random = np.random.default_rng(0)
    counts = np.zeros(3)
    truth = ACCURACY - scenario.behind * (scenario.variants == 2)  # of the last variant
    for number in range(repeats):
        variants = simulated(scenario, random)
        drawn = draw(variants, count, number)
        low, high = interval(drawn[:, -1])
        verdicts = compare(variants, 0, drawn)
        others = [verdicts[k].verdict for k in verdicts if k != 1]
        counts += (
            low <= truth <= high,
            verdicts[1].verdict == "worse",
            any(verdict in ("better", "worse") for verdict in others),
        )
    return Rates(*(counts / repeats))


class EffectRates(NamedTuple):
    """Shares of the simulated grids."""

    detected: float  # the effect of the better cell is called certain, with the right sign
    false_alarms: float  # an effect of a choice without one is called certain
    interactions: float  # the strongest interaction is called certain; there is none


GRID = [
    {"cell": cell, "direction": direction, "head": head}
    for cell in ("rnn", "lstm", "gru")
    for direction in ("one", "two")
    for head in ("last", "flatten", "max", "avg")
]


def effect_rates(seeds: int, repeats: int, better: float = 0.02, count: int = 1000) -> EffectRates:
    """Return the rates for a grid in which the GRU is `better` than the other cells.

    It has 2,000 reviews, and seeds deviate by one point.
    """
    random = np.random.default_rng(0)
    scenario = Scenario(len(GRID), 2_000, 0.0, 0.01, seeds=seeds)
    counts = np.zeros(3)
    for number in range(repeats):
        gains = [better * (choice["cell"] == "gru") for choice in GRID]
        correct = simulated(scenario, random, gains)
        drawn = replicates(correct, count, number)
        observed = np.array([np.mean([*each.values()]) for each in correct])
        if seeds == 1:
            with_seeds = with_residuals(GRID, observed, drawn)
            assert with_seeds is not None
            drawn = with_seeds
        effects = main_effects(GRID, observed, drawn)
        others = [effect for effect in effects if "cell" not in effect.choice]
        (gru,) = (effect for effect in effects if effect.choice.get("cell") == "gru")
        counts += (
            gru.significant and gru.size > 0,
            any(effect.significant for effect in others),
            interactions(GRID, observed, drawn)[0].significant,
        )
    return EffectRates(*(counts / repeats))


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--repeats", type=int, default=200, help="sweeps to simulate for each row (default: 200)"
    )
    parser.add_argument(
        "--count", type=int, default=1000, help="bootstrap replicates (default: 1000)"
    )
    args = parser.parse_args()
    gc.freeze()  # statsmodels collects garbage at every correction of p
    columns = ["variants", "seeds", "reviews", "behind", "between seeds"]
    columns += ["covered", "detected", "false alarms"]
    print(table(columns, [], left=0))
    for scenario in track(SCENARIOS):
        both = [rates(scenario, args.repeats, d, args.count) for d in (replicates, resampled)]
        cells = [f"{ours:.1%} ({plain:.1%})" for ours, plain in zip(*both, strict=True)]
        spread = f"{100 * scenario.spread:g}{', uneven' if scenario.uneven else ''}"
        spread += f", one {100 * scenario.wild:g}" if scenario.wild else ""
        print(
            f"| {scenario.variants} | {scenario.seeds} | {scenario.reviews:,} "
            f"| {100 * scenario.behind:g} | {spread} | {' | '.join(cells)} |",
            flush=True,
        )
    print("\n" + table(("grid of 24", "detected", "false alarms", "interactions"), []))
    for seeds in (3, 1):
        cells = [f"{rate:.1%}" for rate in effect_rates(seeds, args.repeats, count=args.count)]
        print(f"| {seeds} seed{'s' * (seeds > 1)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
