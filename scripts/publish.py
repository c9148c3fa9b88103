"""Makes all that the project says of its measurements from their records.

    make results     # tables of README and docs/performance.md, docs/results.md, the model card

Tables stand between comments that name their records. Experiments below results/ get their report
by `lstm-sentiment report results/pooling`, which `make results` calls before this.
"""

import json
import re
from pathlib import Path

import answers
import benchmark_serving
import model_card
import yaml

from lstm_sentiment.files import write_atomically
from lstm_sentiment.report import document, ranking, speed
from lstm_sentiment.report.document import Picture
from lstm_sentiment.report.runs import read_runs

ROOT = Path(__file__).parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
EXPERIMENTS, RESULTS = ROOT / "conf" / "experiment", ROOT / "results"
BENCHMARKS = {"peers.json": speed.markdown, "serving.json": benchmark_serving.markdown}
TABLE = re.compile(r"(<!-- table of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with every table made anew from its records."""
    return TABLE.sub(lambda m: f"{m[1]}{table(ROOT / m[2])}\n{m[3]}", text)


def table(record: Path) -> str:
    """Of a folder of runs, a benchmark's file, conf/experiment or all of results."""
    if record == RESULTS:
        return overview()
    if record == EXPERIMENTS:
        return experiments()
    if record.is_dir():
        return ranking.markdown(read_runs(record))
    return BENCHMARKS[record.name](json.loads(record.read_text()))


def overview() -> str:
    """README's table of all experiments, and its pictures."""
    figures = (DOCS / document.FIGURES).relative_to(ROOT)
    shown = [f"![{p.title}]({figures}/{p.name}.svg)" for p in answers.overview()]
    return "\n\n".join([document.markdown([answers.summary()]).strip(), *shown])


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


def pages() -> dict[Path, str]:
    """Every text that is made from records, by its file."""
    return {
        **{file: with_tables(file.read_text()) for file in (README, DOCS / "performance.md")},
        DOCS / "results.md": document.markdown(answers.answers()),
        DOCS / "model_card.md": document.markdown(model_card.card()),
    }


def pictures() -> list[Picture]:
    """Those of README and of the pages."""
    return [*answers.overview(), *document.pictures(answers.answers())]


def main() -> None:
    for file, text in pages().items():
        write_atomically(file, text.encode())
    figures = DOCS / document.FIGURES
    figures.mkdir(exist_ok=True)
    made = {figures / f"{picture.name}.svg": picture.svg for picture in pictures()}
    for outdated in {*figures.glob("*.svg")} - made.keys():
        outdated.unlink()
    for file, drawing in made.items():
        write_atomically(file, document.on_white(drawing).encode())


if __name__ == "__main__":
    main()
