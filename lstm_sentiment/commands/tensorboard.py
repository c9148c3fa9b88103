"""lstm-sentiment tensorboard: start TensorBoard with readable names of runs."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from lstm_sentiment.commands.options import RUNS_HELP, Commands
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.names import file_name
from lstm_sentiment.files.writing import scratch_folder
from lstm_sentiment.runs.reader import RunSummary, read_runs

# TensorBoard, which ends when its standard input does.
TENSORBOARD = """\
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
runpy.run_module("tensorboard.main", run_name="__main__", alter_sys=True)
"""


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "tensorboard",
        help="start TensorBoard with runs under readable names",
        description="Start TensorBoard on the runs and the language models at or below RUNS. A run "
        "has the name that the report gives it and its seed. Options after RUNS are passed to "
        "TensorBoard.",
        epilog="example: lstm-sentiment tensorboard runs/pooling --port 6007",
    )
    parser.add_argument("runs", type=Path, metavar="RUNS", help=RUNS_HELP)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of TensorBoard")
    parser.set_defaults(handler=run, intermixed=False)


def run(options: argparse.Namespace) -> None:
    """Start TensorBoard on a temporary folder of links to the runs."""
    runs = read_runs(options.runs, language_models=True)
    with scratch_folder() as tree, _pipe() as end_of_this_process:
        try:
            link(runs, tree)
        except OSError as error:
            raise InputError(
                f"Links to the runs cannot be created ({error.strerror}): on Windows, turn on the "
                "developer mode, which allows them."
            ) from error
        command = [sys.executable, "-c", TENSORBOARD, "--logdir", str(tree), *options.options]
        with suppress(KeyboardInterrupt):  # the usual way to end it
            if code := subprocess.run(command, stdin=end_of_this_process).returncode:
                raise InputError(f"TensorBoard ended with exit code {code}; see its output above.")


@contextmanager
def _pipe() -> Iterator[int]:
    """Yield the reading end of a pipe, which ends with this process, however it is killed."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def readable_names(runs: Sequence[RunSummary]) -> dict[str, Path]:
    """Return the folders of the runs by their readable names.

    A readable name consists of the variant, as in a report, and the seed. A run without a record
    and a language model are named like their folders.
    """
    from lstm_sentiment.report.variants import variant_groups

    data_sets = variant_groups(runs)
    folders: dict[str, Path] = {}
    for number, group in enumerate(data_sets, 1):
        # On several data sets, variants may have the same name.
        prefix = f"{number} " if len(data_sets) > 1 else ""
        for variant in group.variants:
            for seed, run in variant.runs.items():
                name = f"{prefix}{variant.name} s{seed}"
                folders |= {f"{name} fold {n}": fold.folder for n, fold in enumerate(run.folds)}
                if not run.folds:
                    folders[name] = run.folder
    for run in runs:
        if not run.record and run.folder.exists():
            in_another_sweep = run.name in folders
            name = f"{run.folder.parent.name} {run.name}" if in_another_sweep else run.name
            folders[name] = run.folder
    return folders


def link(runs: Sequence[RunSummary], tree: Path) -> None:
    """Create the folder `tree` with a link to each run, under its readable name."""
    tree.mkdir(exist_ok=True)
    for name, folder in readable_names(runs).items():
        # Different names may become the same name of a file.
        numbered = (f"{name} {folder.name} {number}" for number in count(2))
        names = map(file_name, chain((name, f"{name} {folder.name}"), numbered))
        path = next(tree / each for each in names if not (tree / each).exists())
        path.symlink_to(folder.resolve(), target_is_directory=True)
