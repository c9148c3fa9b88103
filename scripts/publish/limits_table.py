"""The limits on the content of files as a Markdown table, for docs/reliability.md."""

from lstm_sentiment.files.limits import LIMITS, Limit
from scripts.markdown import table

COLUMNS = ("environment variable", "applies to", "limit")


def markdown() -> str:
    """Return a table with a row for each limit."""
    return table(COLUMNS, map(_row, LIMITS), left=2)


def _row(limit: Limit) -> tuple[str, str, str]:
    amount = f"{limit.default:,}"
    if limit.unit == "bytes" and limit.default % 2**20 == 0:
        amount = f"{limit.default // 2**20:,} MiB"
        return f"`{limit.variable}`", limit.applies_to, amount
    return f"`{limit.variable}`", limit.applies_to, f"{amount} {limit.unit}"
