"""comparisons and variants -> the numbers and verdicts of the pages, as text."""

from collections.abc import Callable

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import (
    NOTHING,
    bounds,
    enumeration,
    mean,
    percent,
    points,
    spread,
)
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Listing, Paragraph
from lstm_sentiment.report.question_section import missing_runs
from lstm_sentiment.report.questions import Question
from lstm_sentiment.report.settings import START_FROM
from lstm_sentiment.report.statistics import Verdict
from lstm_sentiment.report.table_sections import published_note
from lstm_sentiment.report.variants import Variant
from scripts.publish.experiments import vectors_of
from scripts.publish.trained import published_result, published_results


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
    """Return a network's encoder, head, n-grams and start of training, such as "bilstm, max"."""
    settings = variant.settings
    parts = [
        variant.network,
        str(settings["head.kind"]),
        "n-grams" if settings.get("head.ngrams") else "",
        vectors_of(variant),
        "from a language model" if settings.get(START_FROM) else "",
    ]
    return ", ".join(filter(None, parts))


def optional_percent(value: float | None) -> str:
    """Return a share in per cent, or a dash if it is None."""
    return NOTHING if value is None else percent(value)


def published_cell(comparison: Comparison, variant: Variant) -> str:
    """Return the published accuracy in per cent, with the number of labels if ours is another."""
    result = published_result(comparison, variant)
    if result is None or result.labels in (None, comparison.data["train"]):
        return optional_percent(result and result.theirs)
    return f"{percent(result.theirs)} ({result.labels:,} labels)"


def difference(verdict: Verdict) -> str:
    """Return a difference of accuracies with its 95 % interval."""
    low, high = verdict.interval
    return f"{points(verdict.difference)} points ({points(low)} to {points(high)})"


def p_value(verdict: Verdict) -> str:
    """Return the p-value for a sentence, such as "p = 0.012"."""
    return "p below 0.001" if verdict.p < 0.001 else f"p = {verdict.p:.3f}"


def judgement(verdict: Verdict) -> str:
    """Return the difference between a variant and another one, and the verdict on it."""
    return f"{difference(verdict)}, {verdict.wording} ({p_value(verdict)})."


def answers(
    comparison: Comparison, question: Question, name: Callable[[Variant], str]
) -> list[Block]:
    """Return the judgements that answer a question, and what else differs between the pairs."""
    verdicts = comparison.family(pair.variants for pair in question.pairs)
    sentences = [
        f"{name(pair.variant)} compared with {name(pair.other)}: "
        f"{judgement(verdicts[pair.variants])} {plain(pair.confounded)}".rstrip()
        for pair in question.pairs
    ]
    return [*titled_list(question.text, sentences), *missing_runs(question)]


def published_list(comparison: Comparison) -> list[Block]:
    """Return the published results with their sources, and what differs there."""
    figures: dict[str, dict[str, None]] = {}
    for row in published_results(comparison):
        labels = "labels not stated" if row.labels is None else f"{row.labels:,} labels"
        note = published_note(row, comparison)
        notes = [note] if note.startswith(labels) else [labels, *filter(None, [note])]
        figure = f"loss {row.theirs:.4f}" if row.score == "loss" else f"{percent(row.theirs)} %"
        about = f"{plain(row.source) or 'source not named'} ({'; '.join(notes)})"
        figures.setdefault(about, {})[f"{figure} for `{row.run}`"] = None
    return titled_list(
        "Published:", [f"{about}: {enumeration([*each])}." for about, each in figures.items()]
    )


def titled_list(title: str, items: list[str]) -> list[Block]:
    """Return a list with a title above it; empty without items."""
    return [Paragraph(title), Listing(items)] if items else []
