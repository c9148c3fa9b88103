"""comparison, questions -> the section with the answers, what else differs, and missing runs."""

from collections.abc import Iterable, Sequence

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.differences import confounded_sentence, missing_cells
from lstm_sentiment.report.formatting import NOTHING, p_value, points
from lstm_sentiment.report.markup import plain
from lstm_sentiment.report.page import Block, Heading, Listing, Paragraph, Table
from lstm_sentiment.report.questions import Pair, Question
from lstm_sentiment.report.variants import Variant

COLUMNS = ("", "compared with", "points", "95 % interval", "p", "verdict")
CONFOUNDED = ", confounded"


def question_section(comparison: Comparison, questions: Iterable[Question]) -> list[Block]:
    """Return the section of each question; empty without questions."""
    return [block for question in questions for block in _section(comparison, question)]


def _section(comparison: Comparison, question: Question) -> list[Block]:
    rows = [_row(comparison, pair, question) for pair in question.pairs]
    return [
        Heading(question.text, 3),
        Table(COLUMNS, rows),
        *confounded_pairs(question.pairs, question.named, comparison.variants),
    ]


def _row(comparison: Comparison, pair: Pair, question: Question) -> list[str]:
    names = [plain(pair.variant.name), plain(pair.other.name)]
    verdict = comparison.against(pair.other).get(pair.variant.name)
    if verdict is None:
        return [*names, NOTHING, NOTHING, NOTHING, "not tested"]
    low, high = verdict.interval
    is_confounded = bool(confounded_sentence(pair.variant, pair.other, question.named))
    judged = verdict.wording + CONFOUNDED * is_confounded
    interval = f"{points(low)} to {points(high)}"
    return [*names, points(verdict.difference), interval, p_value(verdict.p), judged]


def confounded_pairs(
    pairs: Iterable[Pair], named: frozenset[str], variants: Sequence[Variant]
) -> list[Block]:
    """Return what else differs between the pairs, and the commands that train missing runs."""
    sentences, commands = [], dict[str, None]()
    for pair in pairs:
        if sentence := confounded_sentence(pair.variant, pair.other, named):
            names = f"{pair.variant.name} and {pair.other.name}"
            sentences.append(plain(f"{names}: {sentence}"))
            commands |= dict.fromkeys(missing_cells(pair.variant, pair.other, named, variants))
    blocks: list[Block] = [Listing(sentences)] if sentences else []
    if commands:
        blocks.append(Paragraph("Runs that would separate the two causes:"))
        blocks.append(Listing([f"`{plain(command)}`" for command in commands]))
    return blocks
