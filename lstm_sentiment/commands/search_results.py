"""The results of a search: a table of the best trials, and plots."""

from collections import Counter
from collections.abc import Sequence

from lstm_sentiment.commands.search_space import Numbers, Space
from lstm_sentiment.commands.study import Result, State, Study
from lstm_sentiment.commands.tables import FittedTable
from lstm_sentiment.commands.terminal import console, print_labelled
from lstm_sentiment.display import counted
from lstm_sentiment.files.writing import write_atomically
from lstm_sentiment.report.study_plots import (
    Axis,
    Point,
    history,
    importances,
    parallel_coordinates,
)
from lstm_sentiment.runs.run_plots import png

MOST_SHOWN = 10  # trials in the table


def ranked(results: Sequence[Result]) -> list[Result]:
    """Return the finished trials, the best first."""
    finished = [result for result in results if result.state is State.finished]
    return sorted(finished, key=lambda result: (-(result.accuracy or 0), result.number))


def show_results(study: Study, results: Sequence[Result]) -> None:
    """Print the best trials and the numbers of trials, and write the plots."""
    best = ranked(results)[:MOST_SHOWN]
    if best:
        columns = ["trial", "val", "epochs", *study.spaces, "run"]
        rows = [
            [
                *(str(each.number), f"{each.accuracy:.2%}", str(each.epochs)),
                *(each.values[name] for name in study.spaces),
                each.run,
            ]
            for each in best
        ]
        names = [columns.index(name) for name in (*study.spaces, "run")]
        console.print(FittedTable(columns, rows, names=names, ruled=True))
    console.print(_summary(results))
    for file in _write_plots(study, results):
        print_labelled("plot", file)


def _summary(results: Sequence[Result]) -> str:
    """Return a line with the numbers of trials in each state."""
    counts = Counter(result.state for result in results)
    ended = counted(counts[State.finished] + counts[State.pruned], "trial")
    states = [f"{counts[state]} {state}" for state in (State.finished, State.pruned)]
    failed = f"; {counted(counts[State.failed], 'other')} failed" if counts[State.failed] else ""
    return f"{ended}: {', '.join(states)}{failed}. Accuracies are those of the validation set."


def _write_plots(study: Study, results: Sequence[Result]) -> list[str]:
    """Write the plots of a study into its folder, and return their files."""
    points = [
        Point(each.number, each.values, each.accuracy, each.state is State.pruned)
        for each in results
        if each.accuracy is not None
    ]
    if not points:
        return []
    axes = [_axis(name, space) for name, space in study.spaces.items()]
    figures = {"history": history(points), "parallel": parallel_coordinates(points, axes)}
    if shares := study.importances():
        figures["importances"] = importances(shares)
    files = {study.folder / f"{name}.png": figure for name, figure in figures.items()}
    for file, figure in files.items():
        write_atomically(file, png(figure))
    return [str(file) for file in files]


def _axis(name: str, space: Space) -> Axis:
    if isinstance(space, Numbers):
        return Axis(name, is_log=space.is_log)
    return Axis(name, choices=space.values)
