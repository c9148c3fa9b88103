"""comparison -> the section on the effects of choices on accuracy."""

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.comparison_plots import effect_sizes
from lstm_sentiment.report.formatting import points
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Plot
from lstm_sentiment.report.statistics import Effect

TITLE = "Contribution of each choice, averaged over the others"
INTERACTIONS = 2  # number of interactions that are shown
NOTE = "The intervals are simultaneous: they hold for all of these effects at once."
SINGLE_SEEDS_NOTE = (
    "Since some networks have a single seed, the variance between seeds is estimated from the "
    "residuals of the additive model."
)


def effect_section(comparison: Comparison, prefix: str) -> list[Block]:
    """Return the section on the effects of choices; empty if they cannot be estimated."""
    main, pairs = comparison.effects()
    if not main:
        return []
    figure = effect_sizes(
        [_levels(effect) for effect in main],
        [effect.size for effect in main],
        [effect.interval for effect in main],
    )
    blocks: list[Block] = [
        Heading(TITLE, 3),
        Listing([_sentence(effect) for effect in main]),
        Paragraph(f"{NOTE} {SINGLE_SEEDS_NOTE}" if comparison.has_single_seeds else NOTE),
        Plot(f"{prefix}effects", "Contribution of each choice to the average accuracy.", figure),
    ]
    if pairs:
        blocks.append(Paragraph("The strongest interactions, beyond the sum of contributions:"))
        blocks.append(Listing([_sentence(effect) for effect in pairs[:INTERACTIONS]]))
    return blocks


def _levels(effect: Effect) -> str:
    return " and ".join(effect.choice.values())


def _sentence(effect: Effect) -> str:
    low, high = effect.interval
    amount = f"{points(abs(effect.size))[1:]} points {'lower' if effect.size < 0 else 'higher'}"
    single = len(effect.choice) == 1
    reference = "the average of all networks" if single else "the sum of both contributions"
    doubt = "" if effect.significant else "; this is not significant"
    return (
        f"With {plain(_levels(effect))}, accuracy is {amount} than {reference} "
        f"({points(low)} to {points(high)}){doubt}."
    )
