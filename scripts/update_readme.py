"""Puts the tables made from records into README.md, between the comments that name the records,
and the questions of the experiments.

python scripts/update_readme.py
"""

import json
import re
from pathlib import Path

import yaml

from lstm_sentiment.report import ranking, speed
from lstm_sentiment.report.runs import read_runs

ROOT = Path(__file__).parent.parent
EXPERIMENTS = ROOT / "conf" / "experiment"
TABLE = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with every table made anew from its records."""
    return TABLE.sub(lambda m: f"{m[1]}{table(ROOT / m[2])}\n{m[3]}", text)


def table(record: Path) -> str:
    """Of a folder of runs, a file that benchmark_peers.py has written, or conf/experiment."""
    if record == EXPERIMENTS:
        return experiments()
    if record.is_dir():
        return ranking.markdown(read_runs(record))
    return speed.markdown(json.loads(record.read_text()))


def experiments() -> str:
    """A line for each: its name, its question (its first comment) and what was published."""
    lines = ["| `experiment=` | question | published |", "| --- | --- | --- |"]
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        text = file.read_text()
        question = re.findall(r"^# (.*?\?)", text, re.MULTILINE)[0]
        figures = [
            f"{figure['run'].split('=')[-1]} {100 * figure['accuracy']:g} %"
            for figure in yaml.safe_load(text).get("reference", [])
            if "accuracy" in figure
        ]
        lines.append(f"| `{file.stem}` | {question} | {', '.join(figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text()))
