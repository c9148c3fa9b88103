"""Reading the blocks of a report, and the variants and comparisons of runs."""

from collections.abc import Sequence
from pathlib import Path

from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.page import Block, Details, Heading, Paragraph, Plot, Table, plots
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.report.variants import VariantGroup, variant_groups
from lstm_sentiment.runs.reader import read_runs
from tests.support.records import answers, network, put_run


def only_group(root: Path) -> VariantGroup:
    """Return the group of all runs below `root`, which use the same data set."""
    (group,) = variant_groups(read_runs(root))
    return group


def comparison(root: Path) -> Comparison:
    """Return the comparison of all runs below `root`, which use the same data set."""
    return Comparison(only_group(root))


def put_three(root: Path) -> None:
    """Write three runs; gru has the highest validation accuracy and the lowest test accuracy."""
    put_run(root, network("gru", "max"), test=answers(40), val=answers(10))
    put_run(root, network("lstm", "max"), test=answers(10), val=answers(20))
    put_run(root, network("rnn", "max"), test=answers(39), val=answers(30))


def report(root: Path) -> list[Block]:
    """Return the report on all runs below `root`."""
    return build_report(read_runs(root))[0]


def headings(blocks: Sequence[Block]) -> list[str]:
    """Return the texts of all headings."""
    return [block.text for block in blocks if isinstance(block, Heading)]


def below(blocks: Sequence[Block], title: str) -> list[Block]:
    """Return the blocks below the heading with this text, up to the next heading."""
    [start] = [
        k for k, block in enumerate(blocks) if isinstance(block, Heading) and block.text == title
    ]
    section: list[Block] = []
    for block in blocks[start + 1 :]:
        if isinstance(block, Heading):
            break
        section.append(block)
    return section


def table_below(blocks: Sequence[Block], title: str) -> Table:
    """Return the first table below the heading whose text begins with `title`."""
    [whole] = [text for text in headings(blocks) if text.startswith(title)]
    return next(block for block in below(blocks, whole) if isinstance(block, Table))


def rows_by_column(table: Table) -> list[dict[str, str]]:
    """Return the rows of a table, each as cells by the titles of their columns."""
    assert len(table.columns) == len(set(table.columns))
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def ranking(blocks: Sequence[Block]) -> list[dict[str, str]]:
    """Return the rows of the report's first table, the ranking."""
    return rows_by_column(next(block for block in blocks if isinstance(block, Table)))


def verdicts(blocks: Sequence[Block], other: str) -> dict[str, dict[str, str]]:
    """Return the verdicts relative to the variant `other`, by the names of the variants."""
    rows = rows_by_column(table_below(blocks, f"Comparison with {other},"))
    return {row[""]: row for row in rows}


def opening(blocks: Sequence[Block]) -> str:
    """Return the paragraphs before the first table, the ranking."""
    end = next(k for k, block in enumerate(blocks) if isinstance(block, Table))
    return "\n".join(block.text for block in blocks[:end] if isinstance(block, Paragraph))


def details(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Return the folded blocks, by their titles."""
    return {block.title: [*block.blocks] for block in blocks if isinstance(block, Details)}


def plot(blocks: Sequence[Block], name: str) -> Plot:
    """Return the plot with this name."""
    [match] = [each for each in plots(blocks) if each.name == name]
    return match
