"""How often do the intervals and verdicts of a report err, where the truth is known?

    python scripts/statistics_rates.py

Simulates records of configurations whose true accuracies are chosen, and prints, beside a plain
hierarchical bootstrap, how often the first configuration's interval holds its true accuracy,
how often one that is `behind` is found worse, and how often any that is as good is called better
or worse. It takes ten minutes; the table stands in docs/statistics.md.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import track
from scipy.stats import norm

from lstm_sentiment.report.statistics import Correct, compare, interval, replicates

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
    Scenario(24, 2_000, 0.05, 0.01, uneven=0.7),
    Scenario(2, 25_000, 0.02, 0.003),
    Scenario(4, 25_000, 0.02, 0.0, seeds=1),
]

Draw = Callable[[Sequence[Correct], int, int], np.ndarray]


def simulated(scenario: Scenario, random: np.random.Generator) -> list[dict[int, np.ndarray]]:
    """Answers, the second configuration behind the others.

    Some reviews are hard for all networks, some for one architecture, some for one training:
    two seeds disagree on about a tenth of the reviews, as they do on IMDB.
    """
    shared, own, chance = np.sqrt([0.7, 0.15, 0.15])
    hard = shared * random.standard_normal(scenario.reviews)
    configurations = []
    for number in range(scenario.configurations):
        mean = ACCURACY - scenario.behind * (number == 1)
        spread = scenario.spread * np.exp(scenario.uneven * random.standard_normal())
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
    answers = [np.stack([*correct.values()]) for correct in configurations]
    seeds, size = answers[0].shape
    drawn = np.empty((count, len(answers)))
    for number in range(count):
        often = np.bincount(random.integers(0, size, size), minlength=size)
        chosen = random.integers(0, seeds, seeds)
        drawn[number] = [(right @ often)[chosen].mean() / size for right in answers]
    return drawn


def rates(scenario: Scenario, repeats: int, draw: Draw = replicates, count: int = 1000) -> Rates:
    """Over so many simulated sweeps."""
    random = np.random.default_rng(0)
    counts = np.zeros(3)
    for number in range(repeats):
        configurations = simulated(scenario, random)
        drawn = draw(configurations, count, number)
        low, high = interval(drawn[:, 0])
        verdicts = compare(configurations, 0, drawn)
        others = [verdicts[k].verdict for k in verdicts if k != 1]
        counts += (
            low <= ACCURACY <= high,
            verdicts[1].verdict == "worse",
            any(verdict != "cannot be told apart" for verdict in others),
        )
    return Rates(*(counts / repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description="How often does a report err?")
    parser.add_argument("--repeats", type=int, default=200, help="simulated sweeps each")
    parser.add_argument("--count", type=int, default=1000, help="replicates of each")
    args = parser.parse_args()
    print(
        "| configurations | seeds | reviews | behind | between seeds | covered | found | alarms |"
    )
    print("| --: | --: | --: | --: | --: | --: | --: | --: |")
    for scenario in track(SCENARIOS):
        columns = [rates(scenario, args.repeats, d, args.count) for d in (replicates, resampled)]
        cells = [f"{ours:.1%} ({plain:.1%})" for ours, plain in zip(*columns, strict=True)]
        uneven = ", uneven" if scenario.uneven else ""
        print(
            f"| {scenario.configurations} | {scenario.seeds} | {scenario.reviews:,} "
            f"| {100 * scenario.behind:g} | {100 * scenario.spread:g}{uneven} "
            f"| {' | '.join(cells)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
