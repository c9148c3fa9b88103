"""two variants -> the settings in which they differ, and the runs that would settle the doubt.

A comparison is confounded if the variants differ in a setting that is not in question: the
difference of their scores may come from it. Two cells of the table of both choices are then
missing, each with the setting in question of one variant and all other settings of the other.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lstm_sentiment.config import (
    Config,
    Source,
    flat,
    updated,
    values_if_missing,
)
from lstm_sentiment.display import shortened, typed_value
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.formatting import enumeration
from lstm_sentiment.report.overrides import MODEL, is_in_question
from lstm_sentiment.report.settings import PSEUDO_LABELS, START_FROM, flattened
from lstm_sentiment.report.variants import FOLLOW_FROM_KIND, KIND, VECTORS, Variant
from lstm_sentiment.runs.record import FIELDS

NO_EXPERIMENTS: Mapping[str, Config] = MappingProxyType({})
NOT_TYPED = ("reference", "compare")  # fields that describe an experiment
LEARNED = "word2vec of "  # the source of vectors that were not read from a file begins like this


@dataclass(frozen=True)
class Difference:
    """A setting that two variants have with different values."""

    setting: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        name = f"the {MODEL}" if self.setting == MODEL else self.setting
        return f"{name} ({_shown(self.ours)} and {_shown(self.theirs)})"


def differing(variant: Variant, other: Variant) -> list[Difference]:
    """Return the settings in which two variants differ, except the seed.

    Settings that only networks, n-gram baselines or ensembles have are one difference, the kind of
    the model. Settings that identify word vectors are one difference, too. The content of vectors
    that follow from other settings counts only if nothing else differs. The penalties of baselines
    of different kinds follow from the kinds.
    """
    ours, theirs = _chosen(variant), _chosen(other)
    if ours == theirs:
        ours, theirs = dict(variant.settings), dict(other.settings)
    names = [*dict.fromkeys([*ours, *theirs])]
    differences = []
    if variant.model != other.model:
        differences.append(Difference(MODEL, variant.model, other.model))
        names = [name for name in names if name in ours and name in theirs]
    unlike = [name for name in names if ours.get(name) != theirs.get(name)]
    if KIND in unlike:
        following = FOLLOW_FROM_KIND & ours.keys() & theirs.keys()
        unlike = [name for name in unlike if name not in following]
    further_vectors = [name for name in unlike if name in VECTORS][1:]
    return differences + [
        Difference(name, _described(variant, name), _described(other, name))
        for name in unlike
        if name not in further_vectors
    ]


def confounders(variant: Variant, other: Variant, named: frozenset[str]) -> list[Difference]:
    """Return the differences that are not in question (`settings_in_question`).

    If no setting is in question, a single difference is; several differences confound each other.
    """
    differences = differing(variant, other)
    if not named:
        return differences if len(differences) > 1 else []
    return [each for each in differences if not is_in_question(each.setting, named)]


def confounded_sentence(variant: Variant, other: Variant, named: frozenset[str]) -> str:
    """Return a sentence on the differences that are not in question; "" if there are none."""
    differences = confounders(variant, other, named)
    if not differences:
        return ""
    also, source = ("also ", "it" if len(differences) == 1 else "them") if named else ("", "any")
    listed = enumeration([*map(str, differences)])
    of_them = "" if named else " of them"
    return f"They {also}differ in {listed}, so the difference may come from {source}{of_them}."


def missing_cells(
    variant: Variant,
    other: Variant,
    named: frozenset[str],
    variants: Iterable[Variant],
    experiments: Mapping[str, Config] = NO_EXPERIMENTS,
) -> list[str]:
    """Return the commands that train the missing cells of a confounded comparison of networks.

    One cell has the settings of `other` with the value in question of `variant`, the other cell
    the reverse. There is no command for a cell that is among the `variants`. A command starts from
    the default configuration or, if the sweep of its cell is one of the `experiments`, from this
    experiment, whose runs differ only in their seed.
    """
    if not (variant.is_network and other.is_network and named):
        return []
    if not confounders(variant, other, named):
        return []
    known = [_chosen(each) for each in variants]
    commands = [
        _command(base, source, named, experiments)
        for base, source in ((other, variant), (variant, other))
        if _mixed(_chosen(base), _chosen(source), named) not in known
    ]
    return [command for command in commands if command]


def _chosen(variant: Variant) -> dict[str, Any]:
    """Return the settings without the content of word vectors, unless they are read from a file.

    The content of other vectors follows from the settings: they are learned, or have a name.
    """
    is_file = _vector_file(variant.settings, variant.records[0].get("vectors")) is not None
    return {n: value for n, value in variant.settings.items() if n != "vectors" or is_file}


def _described(variant: Variant, name: str) -> Any:
    """Return the value of a setting; the content of vectors as their source and a fingerprint."""
    vectors = variant.records[0].get("vectors")
    if name == "vectors" and vectors:
        return f"{vectors.get('source')}, {vectors['fingerprint'][:15]}"
    return variant.settings.get(name)


def _shown(value: Any) -> str:
    return shortened(typed_value(value))


def _mixed(
    base: Mapping[str, Any], source: Mapping[str, Any], named: frozenset[str]
) -> dict[str, Any]:
    """Return the values of `base`, but those in question of `source`."""
    kept = {name: value for name, value in base.items() if not is_in_question(name, named)}
    return kept | {name: value for name, value in source.items() if is_in_question(name, named)}


def _command(
    base: Variant, source: Variant, named: frozenset[str], experiments: Mapping[str, Config]
) -> str:
    """Return the command that trains a cell with the seeds of both variants.

    It is "" if the values exclude each other, such as GloVe vectors and their number of components.
    """
    if named & VECTORS:
        named |= {"embedding.path"}
    try:
        cell = updated(Config(), _mixed(_fields(base), _fields(source), named))
    except InputError:
        return ""
    axes = {"seed": sorted({*base.runs, *source.runs})}
    if cell.data.folds is not None:
        axes["data.fold"] = [*range(cell.data.folds)]
    start = experiments.get(str(cell.sweep))
    default = flat(start or Config())
    words = [
        _word(name, value)
        for name, value in flat(cell).items()
        if value != default[name] and name not in (*axes, *NOT_TYPED)
    ]
    words += [f"{name}={','.join(map(str, numbers))}" for name, numbers in axes.items()]
    several = any(len(numbers) > 1 for numbers in axes.values())
    begin = [f"experiment={cell.sweep}"] if start else ["-m"] * several
    return shlex.join(["python", "train.py", *begin, *words])


def _fields(variant: Variant) -> dict[str, Any]:
    """Return the fields that a command has to name for the results of a network, except the seed.

    The path of the reviews is not recorded. The path of vectors is the recorded name of their file.
    """
    record = variant.records[0]
    values = values_if_missing() | flattened(record["config"])
    known = flat(Config())
    fields = {
        name: value
        for name, value in values.items()
        if name in known and (FIELDS[name].fingerprinted or name.startswith("data."))
    }
    fields |= {"seed": 0, "sweep": values["sweep"]}
    if values["data.folds"] is not None:
        fields["data.fold"] = 0
    if values["data.source"] == Source.reviews:
        fields["data.path"] = "FILE"
    if record.get("pseudo_labels"):  # whose folders are not recorded
        fields[PSEUDO_LABELS] = ["RUN"]
    if record.get("language_model"):
        fields[START_FROM] = "LANGUAGE_MODEL"
    return fields | {"embedding.path": _vector_file(values, record.get("vectors"))}


def _vector_file(values: Mapping[str, Any], vectors: Mapping[str, Any] | None) -> str | None:
    """Return the name of the file from which word vectors were read, if there was one."""
    if not vectors or values.get("embedding.name") is not None:
        return None
    source = str(vectors.get("source"))
    return None if source.startswith(LEARNED) else source


def _word(name: str, value: Any) -> str:
    return f"{name}={typed_value(value, quoted=True)}"
