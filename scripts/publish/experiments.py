"""conf/experiment -> the commands, the questions and the published results of the pages."""

import shlex
from collections.abc import Iterable, Sequence
from functools import cache

from lstm_sentiment.commands.choices import CONF
from lstm_sentiment.commands.hydra_config import compose_all, seed_experiments
from lstm_sentiment.config import Config, EmbeddingKind, Reference, flat
from lstm_sentiment.report.comparison import Comparison
from lstm_sentiment.report.questions import Question, questions
from lstm_sentiment.report.settings import START_FROM
from lstm_sentiment.report.variants import Variant

OF_IMDB = "skip-gram vectors of IMDB itself"
# What files of vectors contain, and a note on them, by the fingerprints in the records.
FILES_OF_VECTORS = {
    "sha256-c301e4186c2b782b3db8826ebe27ffd6a76d84d9b46926ad24c3ec5dda1f8fff": (
        OF_IMDB,
        "learned from 75,000 training and unlabelled reviews, among them 1,605 of the 2,000 "
        "validation reviews, and read from a file",
    ),
}


@cache
def planned(experiment: str) -> Sequence[Config]:
    """Return the configurations of an experiment's runs."""
    return compose_all([f"experiment={experiment}"])


def commands(experiment: str, networks: Iterable[Variant]) -> list[str]:
    """Return the commands that trained the networks, each with what it adds to the experiment."""
    typed = [_typed(experiment, variant) for variant in networks]
    begin = ["python", "train.py", f"experiment={experiment}"]
    return [shlex.join([*begin, *words]) for words in dict.fromkeys(typed)]


def _typed(experiment: str, variant: Variant) -> tuple[str, ...]:
    """Return the overrides that give a variant of an experiment."""
    values = [flat(config) for config in planned(experiment)]
    words = [
        f"{name}={value}"
        for name, value in variant.settings.items()
        if name in values[0] and value not in [each[name] for each in values]
    ]
    if _is_from_a_file(variant):  # whose vectors have no published name
        words.remove("embedding.name=None")
        words.insert(0, f"embedding.path={variant.records[0]['vectors']['source']}")
    if (folder := values[0].get(START_FROM)) is not None:
        # A record has the digest of the language model, not its place.
        words = [word for word in words if not word.startswith(f"{START_FROM}=")]
        words.insert(0, f"{START_FROM}={folder}")
    if {*variant.runs} != {config.seed for config in planned(experiment)}:
        words.append(f"seed={','.join(map(str, variant.runs))}")
    return tuple(words)


def _is_from_a_file(variant: Variant) -> bool:
    settings = variant.settings
    is_glove = settings["embedding.kind"] == EmbeddingKind.glove
    return is_glove and settings["embedding.name"] is None


def vectors_of(variant: Variant) -> str:
    """Return a network's initial word vectors in words; "" if they are random."""
    if variant.is_baseline or variant.settings["embedding.kind"] == EmbeddingKind.random:
        return ""
    if variant.settings["embedding.kind"] == EmbeddingKind.word2vec:
        return OF_IMDB
    vectors = variant.records[0]["vectors"]
    known = FILES_OF_VECTORS.get(vectors["fingerprint"])
    return known[0] if known else f"GloVe vectors ({vectors['source']})"


def note_on_vectors(variant: Variant) -> str:
    """Return a note on the file of a network's vectors; "" if there is none."""
    vectors = variant.records[0]["vectors"]
    known = FILES_OF_VECTORS.get(vectors["fingerprint"]) if vectors else None
    return known[1] if known else ""


def questions_of(experiment: str, comparison: Comparison) -> list[Question]:
    """Return the questions of an experiment that its tested variants answer."""
    known = seed_experiments(_sweeps(comparison))
    return questions(comparison.tested, planned(experiment)[0].compare, known)[0]


def references_of(comparison: Comparison) -> list[Reference]:
    """Return the published results of the experiments that trained the networks."""
    known = {file.stem for file in (CONF / "experiment").glob("*.yaml")}
    trained = sorted(known & _sweeps(comparison))
    return [each for name in trained for each in planned(name)[0].reference]


def _sweeps(comparison: Comparison) -> set[str]:
    return {str(record["sweep"]) for v in comparison.networks for record in v.records}
