"""Puts the tables made from records into README.md, between the comments that name the records.

python scripts/update_readme.py
"""

import json
import re
from pathlib import Path

from lstm_sentiment.report import comparison, speed
from lstm_sentiment.report.runs import read_runs

ROOT = Path(__file__).parent.parent
TABLE = re.compile(r"(<!-- table of (\S+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with every table made anew from its records."""
    return TABLE.sub(lambda m: m[1] + table(ROOT / m[2]) + m[3], text)


def table(record: Path) -> str:
    """Of a folder of runs, or of a file that benchmark_peers.py has written."""
    if record.is_dir():
        return comparison.markdown(read_runs(record))
    return speed.markdown(json.loads(record.read_text()))


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text()))
