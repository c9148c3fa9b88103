"""The readers of untrusted files, and what must hold whatever the files contain.

Each reader takes a folder. InputError is an answer, too; any other error is a fault of the project.
"""

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from lstm_sentiment.commands.status import status_table
from lstm_sentiment.commands.terminal import ranking_table
from lstm_sentiment.data.columns import Columns
from lstm_sentiment.data.delimited import USUAL_FORMAT
from lstm_sentiment.data.formats import read_rows, read_tables
from lstm_sentiment.data.vector_files import open_lines, read_vectors
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.errors import InputError
from lstm_sentiment.report import csv_files, page, ranking
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.runs.language_model_folder import model_folder_of, read_language_model
from lstm_sentiment.runs.predictions import read_predictions
from lstm_sentiment.runs.reader import RunSummary, read_runs
from lstm_sentiment.serving.file_prediction import predict_file, read_texts
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.predictor import Predictor
from tests.fuzz import attacks, cases, seeds
from tests.fuzz.cases import Case
from tests.support.vectors import MEMBER, WORDS

LONGEST_MESSAGE = 1_000  # characters, apart from the name of the folder
TEXTS = ["", "a good film , not dull", "Zyzzyva! " * 40]


class Reader(NamedTuple):
    """A reader of untrusted files."""

    check: Callable[[Path], None]  # takes the folder with the files
    seeds: Callable[[], list[Case]]  # valid files
    attacks: Callable[[], dict[str, Case]] = dict  # larger ones than regressions/ may contain


def answer(reader: Reader, folder: Path) -> str:
    """Return the message with which a reader refuses the files, or "".

    Raises every other error, and AssertionError if the answer is wrong.
    """
    try:
        reader.check(folder)
    except InputError as error:
        message = str(error).replace(str(folder.resolve()), "").replace(str(folder), "")
        assert "\n" not in message, message
        assert 0 < len(message) <= LONGEST_MESSAGE, f"{len(message)} characters: {message[:200]}"
        return message
    return ""


def read_model(folder: Path) -> None:
    """Load a model, predict and explain."""
    predictor = Predictor.load(folder / "run")
    probabilities = predictor.probabilities(TEXTS)
    assert ((probabilities >= 0) & (probabilities <= 1)).all(), probabilities
    if not (folder / "run" / "model.onnx").exists():
        contributions = predictor.explain(TEXTS[1]).attribution.contributions
        assert np.isfinite(contributions).all(), contributions


def read_start(folder: Path) -> None:
    """Read a language model, from which a network could start."""
    model = read_language_model(model_folder_of(folder / "run"))
    assert model.weights["embedding.weight"].shape[0] == len(model.vocabulary)
    assert all(weight.isfinite().all() for weight in model.weights.values())


def read_records(folder: Path) -> None:
    """Show the state and the ranking of the runs below a folder, as status and report do."""
    runs = read_runs(folder)
    console = Console(file=io.StringIO(), width=80)
    console.print(status_table(runs))
    console.print(ranking_table(*ranking.ranking(runs)))
    ranking.markdown(runs).encode()
    csv_files.run_table(runs).encode()


def read_report(folder: Path) -> None:
    """Make a report, without drawing its plots."""
    blocks, comparisons = build_report(read_runs(folder))
    page.markdown(blocks).encode()
    page.page("Comparison", list(_without_plots(blocks))).encode()
    csv_files.comparison_table(comparisons).encode()


def _without_plots(blocks: Iterable[page.Block]) -> Iterator[page.Block]:
    for block in blocks:
        if isinstance(block, page.Details):
            yield page.Details(block.title, list(_without_plots(block.blocks)))
        elif not isinstance(block, page.Plot):
            yield block


def read_run_predictions(folder: Path) -> None:
    """Read the predictions of the runs below a folder."""
    for run in read_runs(folder):
        if run.record is not None:
            _read_run_predictions(run)


def _read_run_predictions(run: RunSummary) -> None:
    assert run.record is not None
    for stage in ("val", "test"):
        predictions = read_predictions(run, stage)
        assert len(predictions.row) == len(predictions.label) == len(predictions.logit)
        assert np.isfinite(predictions.logit).all()
        assert len(predictions.row) == np.sum(run.record[stage]["confusion_matrix"])


@cache
def _small_model() -> Predictor:
    with tempfile.TemporaryDirectory() as folder:
        cases.write(seeds.ngrams()[0], Path(folder))
        return Predictor.load(Path(folder, "run"))


def read_reviews(folder: Path) -> None:
    """Read a table with and without labels, and predict its texts into a copy and other formats."""
    for file in folder.glob("reviews.*"):
        _read_table(folder, file)


def _read_table(folder: Path, file: Path) -> None:
    columns = Columns("text", skip_missing=True)
    reading = FileReading(columns)
    texts = list(read_texts(file, reading))
    rows = list(read_rows(file, columns).rows)
    assert len(texts) == len(rows)
    suffix = next(suffix for suffix in (*file.suffixes, ".csv") if suffix != ".gz")
    outputs = [folder / f"output{suffix}"] if suffix != ".txt" else []
    errors: list[InputError] = []
    for output in [*outputs, folder / "output.jsonl"]:
        try:
            counts = predict_file(_small_model(), file, output, reading)
        except InputError as error:  # for example, half a surrogate pair for another format
            errors.append(error)
            continue
        assert counts == (len(texts), texts.count(None)), counts
        copied = list(read_texts(output, FileReading(columns, USUAL_FORMAT)))
        assert copied == texts, output
    if errors:
        raise errors[0]
    reviews = list(read_tables([file], columns))
    assert len(reviews) <= len(texts)


def read_word_vectors(folder: Path) -> None:
    """Read the vectors of a few words."""
    vocabulary = Vocabulary([*SPECIALS, *WORDS])
    file = folder / "vectors.txt"
    if not file.exists():  # a mutation removed it
        return
    member = MEMBER if file.read_bytes()[:2] == b"PK" else None
    with open_lines(file, member) as lines:
        matrix, has_vector = read_vectors(lines, file, 2, vocabulary.words)
    assert matrix.shape == (len(vocabulary), 2)
    assert np.isfinite(matrix).all()
    assert not matrix[~has_vector].any()


READERS = {
    "model": Reader(read_model, seeds.models, attacks.models),
    "ngrams": Reader(read_model, seeds.ngrams),
    "language_model": Reader(read_start, seeds.language_models),
    "onnx": Reader(read_model, seeds.onnx_folders, attacks.onnx_folders),
    "records": Reader(read_records, seeds.records_alone, attacks.records),
    "report": Reader(read_report, seeds.sweeps),
    "predictions": Reader(read_run_predictions, seeds.predictions, attacks.predictions),
    "delimited": Reader(read_reviews, seeds.delimited, attacks.delimited),
    "jsonlines": Reader(read_reviews, seeds.json_lines, attacks.json_lines),
    "parquet": Reader(read_reviews, seeds.parquet_tables, attacks.parquet_tables),
    "vectors": Reader(read_word_vectors, seeds.word_vectors, attacks.word_vectors),
}
