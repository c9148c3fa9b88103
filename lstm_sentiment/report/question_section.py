"""comparison, questions -> the section with the answers, what else differs, and missing runs."""

from collections.abc import Iterable, Sequence

from lstm_sentiment.display import counted
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.formatting import NOTHING, p_value, points
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Table
from lstm_sentiment.report.questions import Pair, Question
from lstm_sentiment.report.statistics import Verdict

COLUMNS = ("", "compared with", "points", "95 % interval", "p", "verdict")
CONFOUNDED = ", confounded"


def question_section(comparison: Comparison, questions: Iterable[Question]) -> list[Block]:
    """Return the section of each question; empty without questions."""
    return [block for question in questions for block in _section(comparison, question)]


def _section(comparison: Comparison, question: Question) -> list[Block]:
    verdicts = comparison.family(pair.variants for pair in question.pairs)
    sentences = [
        plain(f"{pair.variant.name} and {pair.other.name}: {pair.confounded}")
        for pair in question.pairs
        if pair.confounded
    ]
    return [
        Heading(question.text, 3),
        Table(COLUMNS, [_row(pair, verdicts.get(pair.variants)) for pair in question.pairs]),
        *_family([*verdicts.values()]),
        *([Listing(sentences)] if sentences else []),
        *missing_runs(question),
    ]


def _family(verdicts: Sequence[Verdict]) -> list[Block]:
    """Return a sentence on the family of a question; none if no pair was tested."""
    if not verdicts:
        return []
    comparisons = counted(verdicts[0].family, "comparison")
    return [
        Paragraph(
            f"The interval and p account for the {comparisons} of this question, but not for those "
            "of other questions."
        )
    ]


def _row(pair: Pair, verdict: Verdict | None) -> list[str]:
    names = [plain(pair.variant.name), plain(pair.other.name)]
    if verdict is None:
        return [*names, NOTHING, NOTHING, NOTHING, "not tested"]
    low, high = verdict.interval
    judged = verdict.wording + CONFOUNDED * bool(pair.confounded)
    interval = f"{points(low)} to {points(high)}"
    return [*names, points(verdict.difference), interval, p_value(verdict.p), judged]


def missing_runs(question: Question) -> list[Block]:
    """Return the commands that train the runs which confounded pairs lack; empty without any."""
    if not question.commands:
        return []
    commands = [f"`{plain(command)}`" for command in question.commands]
    return [Paragraph("Runs that would separate the causes:"), Listing(commands)]
