"""comparisons and variants -> the numbers and verdicts of the pages, as text."""

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import NOTHING, bounds, mean, percent, points, spread
from lstm_sentiment.report.page import Block, Listing, Paragraph
from lstm_sentiment.report.statistics import Verdict
from lstm_sentiment.report.variants import Variant


def score(variant: Variant | None) -> str:
    """Return the test accuracy in per cent, with its standard deviation over seeds."""
    return spread(variant.scores("test", "accuracy")) if variant else NOTHING


def interval(comparison: Comparison, variant: Variant) -> str:
    """Return the 95 % interval of the test accuracy."""
    return bounds(comparison.intervals.get(variant.name))


def loss(variant: Variant) -> str:
    """Return the test loss."""
    return mean(variant.scores("test", "loss"), ".3f")


def parameters(variant: Variant) -> str:
    """Return the number of parameters."""
    return mean(variant.costs("parameters"), ",.0f")


def seconds(variant: Variant) -> str:
    """Return the training time in seconds."""
    return mean(variant.costs("fit_seconds"), ",.0f")


def labels(variant: Variant) -> str:
    """Return the number of reviews that the variant was trained on."""
    return f"{variant.records[0]['data']['train']:,}"


def network(variant: Variant) -> str:
    """Return a network's encoder and head, such as "bilstm, max"."""
    return f"{variant.network}, {variant.settings['head.kind']}"


def optional_percent(value: float | None) -> str:
    """Return a share in per cent, or a dash if it is None."""
    return NOTHING if value is None else percent(value)


def difference(verdict: Verdict) -> str:
    """Return a difference of accuracies with its 95 % interval."""
    low, high = verdict.interval
    return f"{points(verdict.difference)} points ({points(low)} to {points(high)})"


def p_value(verdict: Verdict) -> str:
    """Return the p-value for a sentence, such as "p = 0.012"."""
    return "p below 0.001" if verdict.p < 0.001 else f"p = {verdict.p:.3f}"


def judgement(comparison: Comparison, ours: Variant, other: Variant) -> str:
    """Return the difference between a variant and another one, and the verdict on it."""
    verdict = comparison.against(other)[ours.name]
    return f"{difference(verdict)}, {verdict.wording} ({p_value(verdict)})."


def titled_list(title: str, items: list[str]) -> list[Block]:
    """Return a list with a title above it; empty without items."""
    return [Paragraph(title), Listing(items)] if items else []
