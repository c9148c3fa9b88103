"""runs -> report: its sections in their order, for every data set."""

from collections.abc import Mapping, Sequence

from lstm_sentiment.config import CompareConfig, Config
from lstm_sentiment.display import counted
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.decision_section import decision_section
from lstm_sentiment.report.differences import NO_EXPERIMENTS
from lstm_sentiment.report.effect_section import effect_section
from lstm_sentiment.report.folds import joined_folds
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.order_section import order_section
from lstm_sentiment.report.page import Block, Details, Heading, Listing, Paragraph
from lstm_sentiment.report.plot_sections import plot_section
from lstm_sentiment.report.power_section import power_section
from lstm_sentiment.report.question_section import question_section
from lstm_sentiment.report.questions import Question, questions
from lstm_sentiment.report.ranking import not_compared
from lstm_sentiment.report.table_sections import published_section, ranking_section, verdict_section
from lstm_sentiment.report.variant_sections import variant_section
from lstm_sentiment.report.variants import variant_groups
from lstm_sentiment.report.verdict_sentences import summary
from lstm_sentiment.runs.reader import RunSummary

MAX_VARIANTS = 72  # with their own section; with more plots, the page opens slowly


def build_report(
    runs: Sequence[RunSummary],
    compare: Sequence[CompareConfig] = (),
    experiments: Mapping[str, Config] = NO_EXPERIMENTS,
) -> tuple[list[Block], list[Comparison]]:
    """Return the blocks of the report, and its comparisons, one for each data set.

    The report answers the questions in the records of the runs, and those of `compare`. The
    `experiments` make commands shorter, see `missing_cells`.
    """
    joined, left_out = joined_folds(runs)
    comparisons = [Comparison(group) for group in variant_groups(joined)]
    blocks: list[Block] = [Heading("Comparison", 1)]
    if len(comparisons) > 1:
        blocks.append(
            Paragraph(
                f"The runs use {len(comparisons)} different data sets. Only runs on the same data "
                "can be compared, so each data set has its own section:"
            )
        )
        blocks.append(Listing([_contents(comparison) for comparison in comparisons]))
    for number, comparison in enumerate(comparisons, 1):
        prefix = f"{number}_" if len(comparisons) > 1 else ""
        asked, unanswered = questions(comparison.variants, compare, experiments)
        comparison.notes += unanswered
        blocks += _data_set(comparison, asked, prefix)
    if failures := not_compared(joined, left_out):
        blocks.append(Heading("Runs that are not compared"))
        blocks.append(Listing([plain(f"{name}: {trouble}") for name, trouble in failures]))
    return blocks, comparisons


def _contents(comparison: Comparison) -> str:
    return f"{plain(comparison.title)} ({counted(len(comparison.variants), 'variant')})"


def _data_set(comparison: Comparison, asked: Sequence[Question], prefix: str) -> list[Block]:
    """Return the sections on a data set; the names of its plots begin with `prefix`."""
    return [
        Heading(comparison.title),
        *summary(comparison),
        *ranking_section(comparison),
        *decision_section(comparison),
        *published_section(comparison),
        *question_section(comparison, asked),
        *verdict_section(comparison),
        *power_section(comparison),
        *effect_section(comparison, prefix),
        *order_section(comparison, prefix),
        *plot_section(comparison, prefix),
        *_notes(comparison),
        *_variants(comparison, prefix),
    ]


def _notes(comparison: Comparison) -> list[Block]:
    if not comparison.notes:
        return []
    return [Heading("Notes", 3), Listing([plain(note) for note in comparison.notes])]


def _variants(comparison: Comparison, prefix: str) -> list[Block]:
    blocks: list[Block] = [Heading("Variants", 3)]
    if len(comparison.variants) > MAX_VARIANTS:
        blocks.append(Paragraph(f"The best {MAX_VARIANTS}; comparison.csv lists all variants."))
    for number, variant in enumerate(comparison.variants[:MAX_VARIANTS], 1):
        predictions = comparison.predictions[variant.name]
        inside = variant_section(variant, predictions, f"{prefix}model_{number}")
        blocks.append(Details(variant.name, inside))
    return blocks
