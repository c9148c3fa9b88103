"""Puts the tables made from records into README.md, between the comments that name their folders.

python scripts/update_readme.py
"""

import re
from pathlib import Path

from lstm_sentiment.report.comparison import markdown
from lstm_sentiment.report.runs import read_runs

ROOT = Path(__file__).parent.parent
TABLE = re.compile(r"(<!-- table of (\S+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with every table made anew from its records."""
    return TABLE.sub(lambda m: m[1] + markdown(read_runs(ROOT / m[2])) + m[3], text)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text()))
