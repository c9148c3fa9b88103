"""comparison -> the section on the differences that its runs can show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lstm_sentiment.display import counted
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.effect_section import SINGLE_SEEDS_NOTE
from lstm_sentiment.report.formatting import percent
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Paragraph, Table
from lstm_sentiment.report.power import Design, design

DIFFERENCES, POWER = (0.005, 0.01), 0.8
TITLE = "What these runs can show"
COLUMNS = ("points", "power now", "seeds needed", "reviews needed", "smallest found")
NO_NUMBER, NO_TEST, UNKNOWN = "no number", "no test", "unknown"
NOTES = {  # on cells
    NO_NUMBER: "No number of seeds is enough if the test reviews alone are too uncertain, and no "
    "number of test reviews if the seeds alone are.",
    NO_TEST: "With single seeds, no test of two networks can account for other seeds.",
    UNKNOWN: "The variance between seeds is unknown, since each network has a single seed: the "
    "power is that of a comparison of these trained networks on other reviews.",
}
GROUPS = "More reviews are more groups of reviews, each as large as now."
SINGLE = (
    "There is only one network. The numbers are those of a comparison with a second network like "
    "it, as if their mistakes were independent; networks usually share mistakes, so the power is "
    "higher and fewer reviews are needed."
)


class PowerTable(NamedTuple):
    """A table of powers and the sentences that explain it, without markup."""

    rows: Sequence[Sequence[str]]  # below COLUMNS
    notes: Sequence[str]


def power_section(comparison: Comparison) -> list[Block]:
    """Return the section; empty without two tested networks."""
    if len(comparison.tested_networks) < 2:
        return []
    rows, notes = power_table(comparison, DIFFERENCES, POWER)
    return [
        Heading(TITLE, 3),
        Table(COLUMNS, [[*map(plain, row)] for row in rows]),
        Paragraph(plain(" ".join(notes))),
    ]


def power_table(comparison: Comparison, differences: Sequence[float], power: float) -> PowerTable:
    """Return the power of finding true differences, which are shares.

    The comparison has a tested network. If the accuracies of networks vary unequally between seeds,
    the table is for the smallest and for the largest variance.
    """
    networks = comparison.tested_networks
    measured = comparison.accuracies_of(networks)
    usual = design(measured, len(next(iter(comparison.correct[0].values()))))
    is_replicated = bool((measured.seeds > 1).all())
    deviations = comparison.effects.deviations
    from_effects = len(deviations) > 1 or (bool(deviations) and usual.between_seeds is None)
    designs = _by_level(usual, deviations, is_replicated) if from_effects else {"": usual}
    rows = [
        [f"{100 * difference:g}{_of(level)}", *_cells(each, difference, power)]
        for difference in differences
        for level, each in designs.items()
    ]
    notes = [
        _compared(usual),
        *_between_seeds(designs),
        *[SINGLE_SEEDS_NOTE] * (from_effects and not is_replicated),
        *[GROUPS] * (usual.groups < usual.reviews),
        *[SINGLE] * (len(networks) == 1),
        _meaning(power),
        *(note for cell, note in NOTES.items() if any(cell in row for row in rows)),
    ]
    return PowerTable(rows, notes)


def _by_level(
    usual: Design, deviations: Mapping[str, float], is_replicated: bool
) -> dict[str, Design]:
    """Return the designs with the smallest and the largest deviation between seeds, by level.

    The deviations contain chance: with several seeds, the part by chance of each seed, and in
    residuals, the whole variance of a network over reviews, half of that of a difference.
    """
    by_chance = usual.by_chance if is_replicated else usual.with_seeds(1).by_reviews / 2
    ordered = sorted(deviations, key=deviations.__getitem__)
    return {
        level: replace(usual, between_seeds=max(deviations[level] ** 2 - by_chance, 0), freedom=0)
        for level in (ordered[0], ordered[-1])
    }


def _cells(design: Design, difference: float, power: float) -> list[str]:
    """Return the cells of a row after its name."""
    now, smallest = design.power(difference), design.smallest_difference(power)
    seeds = design.seeds_needed(difference, power)
    reviews = design.reviews_needed(difference, power)
    none = UNKNOWN if design.between_seeds is None else NO_NUMBER
    return [
        NO_TEST if np.isnan(now) else _probability(now),
        none if seeds is None else f"{seeds:,}",
        NO_NUMBER if reviews is None else f"{_rounded_up(reviews):,}",
        NO_TEST if np.isnan(now) else NO_NUMBER if smallest is None else percent(smallest),
    ]


def _probability(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.9995 else ">99.9 %"


def _rounded_up(number: int) -> int:
    """Return a number with two significant digits; the variances are not known more exactly."""
    unit: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // unit) * unit


def _compared(design: Design) -> str:
    """Return a sentence on the comparison and on the variance by reviews."""
    return (
        f"Two networks like these are compared, each with {counted(design.seeds, 'seed')}, on "
        f"{counted(design.reviews, 'test review')}. The standard deviation of their difference "
        f"over samples of reviews is {_points(design.by_reviews)} points."
    )


def _between_seeds(designs: Mapping[str, Design]) -> list[str]:
    """Return a sentence on the variance between seeds, if it is known."""
    known = [
        f"{_points(each.between_seeds)} points{_of(level)}"
        for level, each in designs.items()
        if each.between_seeds is not None
    ]
    if not known:
        return []
    sentence = (
        "Without the part that comes from the finite number of test reviews, the standard "
        f"deviation of accuracies between seeds is {' to '.join(known)}"
    )
    each = next(iter(designs.values()))
    if each.largest_between_seeds is not None:
        sentence += (
            f"; it is estimated with {each.freedom} degrees of freedom and may be up to "
            f"{_points(each.largest_between_seeds)} points"
        )
    return [f"{sentence}."]


def _of(level: str) -> str:
    return f" with {level}" if level else ""


def _points(variance: float) -> str:
    """Return the standard deviation in points."""
    return percent(float(np.sqrt(variance)))


def _meaning(power: float) -> str:
    return (
        "Power is the probability that a true difference is significant in a single comparison "
        "(p below 0.05, two-sided); the correction for several comparisons lowers it. The last "
        f"three columns are for a power of {100 * power:g} %, with all else as it is now."
    )
