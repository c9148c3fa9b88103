"""options and configurations of runs -> how a file is read: as in training, unless options differ.

A run records the columns, the positive label and the format of the files that it was trained on.
The encoding is one of the file rather than of the run, so a file in Unicode is recognised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lstm_sentiment.config import Config, DataConfig, MissingValues
from lstm_sentiment.config_fields import AUTO, own_fields
from lstm_sentiment.data.columns import Columns, Options, join_names
from lstm_sentiment.data.delimited import TextFormat, is_unicode
from lstm_sentiment.errors import InputError
from lstm_sentiment.labels import NEGATIVE, Classes

# Fields of the data's configuration, with the option of the command line for each.
OPTIONS = {
    "text_column": "--column",
    "label_column": "--label-column",
    "positive_label": "--positive-label",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "quoting": "--quoting",
    "missing": "--missing",
}
COLUMN_OPTIONS = Options(
    OPTIONS["text_column"],
    OPTIONS["label_column"],
    OPTIONS["positive_label"],
    classes="the model's classes",
    missing=f"{OPTIONS['missing']} {MissingValues.skip}",
    remedy=f": give the file's label of the second one with {OPTIONS['positive_label']}",
)
USUAL_COLUMNS, USUAL_FORMAT = Columns(options=COLUMN_OPTIONS), TextFormat(prefix="--")
AS_IN_TRAINING = "as in training"
FORMAT_FIELDS = ("delimiter", "encoding", "quoting")


@dataclass(frozen=True)
class FileReading:
    """How the rows of a file are read.

    `origins` says where a choice comes from: an option, or training. Fields at their defaults have
    no origin.
    """

    columns: Columns = USUAL_COLUMNS
    text_format: TextFormat = USUAL_FORMAT
    origins: Mapping[str, str] = field(default_factory=dict)

    def labelled(self, classes: Classes) -> Columns:
        """Return the columns of a file whose labels are those of a model with these classes.

        A positive label is that of the second of two classes, and the other label of the file is
        that of the first one. Raises InputError if there are more classes, or if the positive label
        is the name of the first class, so that the labels would be exchanged.
        """
        if (positive := self.columns.positive) is None:
            return replace(self.columns, classes=classes.names)
        if len(classes) > 2:
            raise InputError(
                f"{self.columns.options.positive}={positive} is allowed only for two classes: the "
                f"model has {len(classes)} ({join_names(classes.names)})."
            )
        if not classes.are_usual and classes.label(positive) == NEGATIVE:
            raise InputError(
                f"{self.columns.options.positive}={positive} names the first of the model's "
                f"classes ({join_names(classes.names)}): give the file's label of the second one."
            )
        return self.columns

    def used(self, columns: Sequence[str], is_text: bool) -> dict[str, str]:
        """Return how a file is read: its columns, and the positive label and the format if chosen.

        `columns` are the names of the columns that are read: that of the texts and, if there are
        labels, that of the labels. `is_text` says whether the file is a CSV, TSV or text file.
        """
        used = dict(zip(("text_column", "label_column"), columns, strict=False))
        if "label_column" in used and self.columns.positive is not None:
            used["positive_label"] = self.columns.positive
        if is_text:
            chosen = [name for name in FORMAT_FIELDS if name in self.origins]
            used |= {name: str(getattr(self.text_format, name)) for name in chosen}
        return used

    def sentence(self, file: Path, used: Mapping[str, str]) -> str:
        """Return a sentence on the result of `used`, with the origin of each choice."""
        parts = []
        for name, value in used.items():
            origin = f" ({self.origins[name]})" if name in self.origins else ""
            parts.append(f"{name.replace('_', ' ')} {value}{origin}")
        return f"{file.name}: {', '.join(parts)}."


def file_reading(
    file: Path,
    configs: Mapping[str, Config],
    options: Mapping[str, Any],
    on_command_line: bool = True,
) -> FileReading:
    """Return how a file is read for the runs with these configurations, by name.

    `options` holds the values that were given, by field; None and missing ones are taken from the
    configurations. Messages name the options as `on_command_line`, or else as the fields. Raises
    InputError if the configurations differ from each other.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, known in own_fields(DataConfig).items():
        if name not in OPTIONS:
            continue
        if (value := options.get(name)) is not None:
            option = origins[name] = OPTIONS[name] if on_command_line else name
            values[name] = replace(known, name=option).stored(value)  # for the error's message
            continue
        value = values[name] = _agreed(name, configs)
        if name == "encoding" and value != AUTO and is_unicode(file, value):
            values[name] = AUTO
        if values[name] != known.default:
            origins[name] = AS_IN_TRAINING
    columns = Columns(
        values["text_column"],
        values["label_column"],
        values["positive_label"],
        COLUMN_OPTIONS if on_command_line else Options(text="text_column"),
        skip_missing=values["missing"] is MissingValues.skip,
    )
    prefix = "--" if on_command_line else ""
    text_format = TextFormat(values["delimiter"], values["encoding"], values["quoting"], prefix)
    return FileReading(columns, text_format, origins)


def _agreed(name: str, configs: Mapping[str, Config]) -> Any:
    """Return the value of a field in all configurations."""
    values = {run: getattr(config.data, name) for run, config in configs.items()}
    if len(set(values.values())) > 1:
        differing = ", ".join(
            f"{'null' if value is None else value} ({run})" for run, value in values.items()
        )
        raise InputError(
            f"The runs were trained with different values of data.{name}: {differing}. "
            f"Choose one with {OPTIONS[name]}."
        )
    return next(iter(values.values()))
