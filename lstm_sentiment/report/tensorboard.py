"""runs -> a folder for TensorBoard in which they stand side by side under readable names."""

from collections.abc import Sequence
from pathlib import Path

from lstm_sentiment.report.configurations import groups
from lstm_sentiment.report.runs import RunSummary


def readable_names(runs: Sequence[RunSummary]) -> dict[str, Path]:
    """The folder of each run by its configuration's name and its seed, as a report calls it.

    A run that is not finished keeps its folder's name.
    """
    found = groups(runs)
    named: dict[str, Path] = {}
    for number, group in enumerate(found, 1):
        prefix = f"{number} " * (len(found) > 1)  # the same net on other reviews has the same name
        for configuration in group.configurations:
            for seed, run in configuration.runs.items():
                named[f"{prefix}{configuration.name} s{seed}"] = run.folder
    for run in runs:
        if not run.record and run.folder.exists():
            taken = run.name in named  # by a run of the same name in another sweep
            named[f"{run.folder.parent.name} {run.name}" if taken else run.name] = run.folder
    return named


def link(runs: Sequence[RunSummary], tree: Path) -> None:
    """Makes the folder `tree` with a link to each run."""
    tree.mkdir(exist_ok=True)
    for name, folder in readable_names(runs).items():
        place = tree / name.replace("/", "_")
        if place.exists():
            place = tree / f"{place.name} {folder.name}"
        place.symlink_to(folder.resolve(), target_is_directory=True)
