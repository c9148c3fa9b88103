"""comparison -> the section on the effects of choices on accuracy."""

from collections.abc import Mapping, Sequence

from lstm_sentiment.report.comparison import FACTORS, Comparison
from lstm_sentiment.report.comparison_plots import effect_sizes
from lstm_sentiment.report.effects import Effect, Effects
from lstm_sentiment.report.formatting import NOTHING, enumeration, points
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Plot, Table

TITLE = "Contribution of each choice, averaged over the others"
WITHIN = "Contribution of each choice within"  # before the names of levels
INTERACTIONS = 2  # number of interactions that are shown
NOTE = "The intervals are simultaneous: they hold for all of these effects at once."
WITHIN_NOTE = "Bold contributions are significant. The intervals are simultaneous within a column."
SINGLE_SEEDS_NOTE = (
    "Since some networks have a single seed, the variance between seeds is estimated from the "
    "residuals of the additive model."
)


def effect_section(comparison: Comparison, prefix: str) -> list[Block]:
    """Return the section on the effects of choices; empty if they cannot be estimated."""
    effects = comparison.effects
    if not effects.main:
        return []
    figure = effect_sizes(
        [_levels(effect) for effect in effects.main],
        [effect.size for effect in effects.main],
        [effect.interval for effect in effects.main],
    )
    blocks: list[Block] = [
        Heading(TITLE, 3),
        *_spread(effects),
        Listing([_sentence(effect) for effect in effects.main]),
        Paragraph(NOTE if effects.is_replicated else f"{NOTE} {SINGLE_SEEDS_NOTE}"),
        Plot(f"{prefix}effects", "Contribution of each choice to the average accuracy.", figure),
    ]
    if effects.interactions:
        blocks.append(Paragraph("The strongest interactions, beyond the sum of contributions:"))
        blocks.append(Listing([_sentence(each) for each in effects.interactions[:INTERACTIONS]]))
    return blocks + _within(effects.within)


def _spread(effects: Effects) -> list[Block]:
    """Return a paragraph on the variances, if those of the levels of a factor differ."""
    deviations = effects.deviations.items()
    if len(deviations) < 2:
        return []
    spread = [f"{100 * value:.2f} points with {plain(name)}" for name, value in deviations]
    source = "between seeds" if effects.is_replicated else "from what its choices let expect"
    return [
        Paragraph(
            f"Networks are not equally reliable: the standard deviation of an accuracy {source} "
            f"is {enumeration(spread)}. Each network therefore counts by the inverse of its "
            "variance, so that averages are mainly those of reliable networks."
        )
    ]


def _levels(effect: Effect) -> str:
    return " and ".join(effect.choice.values())


def _sentence(effect: Effect) -> str:
    low, high = effect.interval
    amount = f"{points(abs(effect.size))[1:]} points {'lower' if effect.size < 0 else 'higher'}"
    single = len(effect.choice) == 1
    reference = _average(*effect.choice) if single else "the sum of both contributions"
    doubt = "" if effect.significant else "; this is not significant"
    equal = (
        f" If all networks counted equally, it would be {points(effect.equally_weighted)} points."
    )
    return (
        f"With {plain(_levels(effect))}, accuracy is {amount} than {reference} "
        f"({points(low)} to {points(high)}){doubt}.{equal * (single and effect.depends_on_weights)}"
    )


def _average(factor: str) -> str:
    """Return the name of the average from which the effects of a factor are measured."""
    levels = f"{factor}s" if factor in FACTORS.values() else f"values of {plain(factor)}"
    return f"the average over all {levels}"


def _within(within: Mapping[str, Sequence[Effect]]) -> list[Block]:
    """Return a table of the contributions within each level, and which level drives an average."""
    if not within:
        return []
    cells = {
        level: {_levels(effect): _cell(effect) for effect in effects}
        for level, effects in within.items()
    }
    rows = dict.fromkeys(name for column in cells.values() for name in column)
    table = [[plain(name), *(c.get(name, NOTHING) for c in cells.values())] for name in rows]
    unlike = [
        sentence
        for name in rows
        if (sentence := _unlike(name, {level: _named(name, e) for level, e in within.items()}))
    ]
    levels = enumeration([*map(plain, within)])
    return [
        Heading(f"{WITHIN} {levels}", 4),
        Table(["", *map(plain, within)], table),
        Paragraph(WITHIN_NOTE),
        *([Listing(unlike)] if unlike else []),
    ]


def _cell(effect: Effect) -> str:
    low, high = map(points, effect.interval)
    size = f"**{points(effect.size)}**" if effect.significant else points(effect.size)
    return f"{size} ({low} to {high})"


def _named(name: str, effects: Sequence[Effect]) -> Effect | None:
    return next((effect for effect in effects if _levels(effect) == name), None)


def _unlike(name: str, by_level: Mapping[str, Effect | None]) -> str:
    """Return a sentence on the level within which a contribution is unlike those within all others.

    Its interval and theirs do not overlap. (That only one of them is significant would not do: the
    difference between significant and not significant may itself not be significant.)
    """
    known = {level: effect for level, effect in by_level.items() if effect is not None}
    for level, effect in sorted(known.items(), key=lambda item: -abs(item[1].size)):
        others = [other for other in known if other != level]
        if others and all(_are_apart(effect, known[other]) for other in others):
            elsewhere = enumeration([*map(plain, others)])
            return (
                f"The contribution of {plain(name)} within {plain(level)} "
                f"({points(effect.size)}) is unlike that within {elsewhere}."
            )
    return ""


def _are_apart(one: Effect, other: Effect) -> bool:
    return one.interval.low > other.interval.high or one.interval.high < other.interval.low
