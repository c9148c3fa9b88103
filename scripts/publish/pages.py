"""Generate the tables, plots and pages of the documentation that contain measurements.

    make results

This writes docs/results.md, docs/model_card.md, the plots in docs/figures/, and the tables in the
README and in other pages. Each table is between two comments, and the first gives its name.
`make results` also writes a report for every experiment into its folder below results/.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.report import page
from lstm_sentiment.report.page import Plot
from scripts.benchmarks import peer_tables, serving
from scripts.markdown import table
from scripts.publish import configuration_table, limits_table, overview
from scripts.publish.model_card import model_card
from scripts.publish.results_page import results_page

ROOT = Path(__file__).parents[2]
README, DOCS = ROOT / "README.md", ROOT / "docs"
FIGURES = DOCS / page.FIGURES
EXPERIMENTS, BENCHMARKS = ROOT / "conf" / "experiment", ROOT / "results" / "benchmarks"
# Pages that contain generated tables.
WITH_TABLES = (
    README,
    *(DOCS / f"{name}.md" for name in ("compare", "configuration", "performance", "reliability")),
)
TABLE = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def networks() -> str:
    """Return the table of the networks of all experiments, and its plots."""
    figures = FIGURES.relative_to(ROOT)
    links = [f"![{plot.title}]({figures}/{plot.name}.svg)" for plot in overview.plots()]
    return "\n\n".join([page.markdown([overview.summary()]).strip(), *links])


def experiments() -> str:
    """Return a table of all experiments: the question in the first comment, published results."""
    rows = []
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        text = file.read_text()
        question = re.findall(r"^# (.*?\?)", text, re.MULTILINE)[0]
        published = [
            f"{reference['run'].split('=')[-1]} {100 * reference['accuracy']:g} %"
            for reference in yaml.safe_load(text).get("reference", [])
            if "accuracy" in reference
        ]
        rows.append([f"`{file.stem}`", question, ", ".join(published)])
    return table(["`experiment=`", "question", "published"], rows, left=3)


def benchmark(name: str, markdown: Callable[[dict[str, Any]], str]) -> Callable[[], str]:
    """Return a function that returns the tables of a benchmark's record."""
    return lambda: markdown(json.loads((BENCHMARKS / name).read_text()))


TABLES: dict[str, Callable[[], str]] = {  # by the name in the comment
    "results": networks,
    "conf/experiment": experiments,
    "fields": configuration_table.markdown,
    "limits": limits_table.markdown,
    "results/benchmarks/peers.json": benchmark("peers.json", peer_tables.markdown),
    "results/benchmarks/serving.json": benchmark("serving.json", serving.markdown),
}


def with_tables(text: str) -> str:
    """Return the text of a page with all its tables generated anew."""
    return TABLE.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", text)


def pages() -> dict[Path, str]:
    """Return the text of every page with generated content, by file."""
    return {
        **{file: with_tables(file.read_text()) for file in WITH_TABLES},
        DOCS / "results.md": page.markdown(results_page()),
        DOCS / "model_card.md": page.markdown(model_card()),
    }


def plots() -> list[Plot]:
    """Return the plots of the README and of the pages."""
    return [*overview.plots(), *page.plots(results_page())]


def main() -> None:
    """Write all pages and plots, and remove outdated plots."""
    for file, text in pages().items():
        write_atomically(file, text.encode())
    FIGURES.mkdir(exist_ok=True)
    files = {FIGURES / f"{plot.name}.svg": plot.svg for plot in plots()}
    for outdated in {*FIGURES.glob("*.svg")} - files.keys():
        outdated.unlink()
    for file, svg in files.items():
        write_atomically(file, page.on_white(svg).encode())


if __name__ == "__main__":
    main()
