"""Valid files of every kind, which the project writes itself, as the start of all mutations."""

import gzip
import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.config import Config, DataConfig, EmbeddingConfig, EncoderConfig, HeadConfig
from lstm_sentiment.config_pretraining import LanguageModelConfig, PretrainingConfig, Softmax
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.language_model import LanguageModel
from lstm_sentiment.model.ngram_classifier import NgramModel
from lstm_sentiment.model.ngrams import TrainingNgrams
from lstm_sentiment.runs.language_model_folder import save_language_model
from lstm_sentiment.runs.network_folder import save_model
from lstm_sentiment.runs.ngram_folder import save_ngrams
from lstm_sentiment.training.baseline import recorded_baseline
from lstm_sentiment.training.ensemble import ensemble
from tests.fuzz.cases import PLACE, Case, read
from tests.support import networks, records, vectors
from tests.support.tables import table_bytes

WORDS = "the a film was good bad not very dull and great plot".split()
LABELS = np.arange(12) % 2
TEXTS = ["A good film, with a plot.", 'It was "dull",\nand not good', "映画 🎬", "bad <br /> 7/10"]
COLUMNS = {"text": TEXTS, "label": [1, 0, 1, 0], "stars": ["9", "", "8.5", "NA"]}


def written(write: Callable[[Path], object]) -> Case:
    """Return the files that a function writes into an empty folder."""
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        write(Path(folder))
        return read(Path(folder))


def network_config(cell: str = "lstm", head: str = "max", **fields: object) -> Config:
    """Return the configuration of a network of a few hundred numbers."""
    encoder = EncoderConfig(cell, 3, bidirectional=cell == "gru")  # type: ignore[arg-type]
    data = DataConfig("synthetic", max_length=30, **fields)  # type: ignore[arg-type]
    return Config(encoder, HeadConfig(head), EmbeddingConfig(dim=2), data)  # type: ignore[arg-type]


@cache
def models() -> list[Case]:
    """Return model folders of networks."""
    configs = [
        network_config(),
        network_config("gru", "attention"),
        network_config("rnn", "flatten", padding="keras"),
    ]
    stars = written(
        lambda folder: networks.saved(
            folder / "run", network_config(classes=3), Classes(("1", "2", "3"))
        )
    )
    beside_ngrams = replace(network_config(), head=HeadConfig("max", ngrams=2))  # type: ignore[arg-type]
    return [*map(network, [*configs, beside_ngrams]), stars, subword_network()]


def subword_network() -> Case:
    """Return the folder of a network of subwords."""
    config = network_config(tokenizer="bpe", max_vocab=len(networks.WORDS) + len(SPECIALS))
    counts = np.arange(len(networks.WORDS), 0, -1)
    vocabulary = Vocabulary.of_subwords(networks.WORDS, counts, config.data.max_vocab)

    def save(folder: Path) -> None:
        (folder / "run").mkdir()
        save_model(folder / "run" / "model", networks.drawn(config), vocabulary, config)

    return written(save)


def network(config: Config) -> Case:
    """Return the folder of a network with random weights."""
    return written(lambda folder: networks.saved(folder / "run", config))


@cache
def ngrams() -> list[Case]:
    """Return model folders of n-gram baselines."""

    def save(folder: Path, kind: NgramModel) -> None:
        reviews = [[*WORDS[:4], word, *WORDS[:number]] for number, word in enumerate(WORDS * 2)]
        labels = np.arange(len(reviews)) % 2
        classifier = TrainingNgrams(kind, reviews, labels).fitted(1.0)
        settings = recorded_baseline(kind, Config())["ngrams"]
        save_ngrams(folder / "run" / "model", classifier, settings, Config())

    def both(kind: NgramModel) -> Callable[[Path], None]:
        return lambda folder: ((folder / "run").mkdir(), save(folder, kind))[1]

    return [written(both(kind)) for kind in NgramModel]


@cache
def language_models() -> list[Case]:
    """Return the folders of language models with both kinds of softmax."""
    return [written(lambda folder, kind=kind: save_drawn(folder / "run", kind)) for kind in Softmax]


def save_drawn(folder: Path, softmax: Softmax) -> None:
    """Write a language model with random weights."""
    config = PretrainingConfig(
        encoder=EncoderConfig(hidden_size=3),
        embedding=EmbeddingConfig(dim=2),
        data=DataConfig("synthetic"),  # type: ignore[arg-type]
        language_model=LanguageModelConfig(softmax=softmax),
    )
    vocabulary = Vocabulary([*SPECIALS, *networks.WORDS])
    model = LanguageModel(config, len(vocabulary))
    folder.mkdir()
    save_language_model(folder / "model", model, vocabulary, config, np.arange(5, dtype=np.uint64))


@cache
def onnx_folders() -> list[Case]:
    """Return folders for ONNX Runtime, in 32 and 8 bits."""
    from lstm_sentiment.serving.onnx_model import save_onnx

    vocabulary = Vocabulary([*SPECIALS, *networks.WORDS])

    def save(config: Config, int8: bool) -> Callable[[Path], None]:
        classifier = networks.drawn(config)
        return lambda folder: save_onnx(folder / "run", classifier, vocabulary, config, int8)

    choices = [(network_config(), False), (network_config("gru", "attention"), False)]
    return [written(save(*choice)) for choice in [*choices, (network_config(), True)]]


@cache
def sweeps() -> list[Case]:
    """Return sweeps with runs in every state and an ensemble, with predictions."""
    good, bad = (records.answers(wrong, LABELS) for wrong in (2, 5))

    def save(folder: Path) -> None:
        sweep = folder / "sweep"
        members = [
            records.put_run(sweep, records.network(cell, seed=seed), good, bad, labels=LABELS)
            for seed, cell in enumerate(["lstm", "gru"])
        ]
        ensemble(members)
        stars, labels = Classes(("1", "2", "3")), np.arange(12) % 3
        three = np.where(np.eye(3)[labels] > 0, 0.8, 0.1)
        data = records.DATA | {"fingerprint": "2"}
        config = records.network("gru", seed=2)
        records.put_run(sweep, config, three, three, labels, classes=stars, data=data)
        records.put_baseline(sweep, bad, bad, labels=LABELS)
        config = {"schema": 1, "choices": {}, "config": {}}
        failure = {"reason": "the loss is not finite", "epoch": 2}
        progress = {"epoch": 2, "max_epochs": 4, "share": 0.3, "seconds": 20.5}
        records.put(sweep / "failed-run", config=config, failed=failure)
        records.put(sweep / "interrupted-run", config=config, progress=progress)
        records.put(sweep, sweep=["failed-run", "interrupted-run", "missing-run"])

    return [written(save)]


@cache
def records_alone() -> list[Case]:
    """Return sweeps without predictions."""
    return [
        {name: content for name, content in case.items() if name.endswith(".json")}
        for case in sweeps()
    ]


@cache
def predictions() -> list[Case]:
    """Return sweeps of one run, in the forms of this and of the oldest version."""
    good, bad = (records.answers(wrong, LABELS) for wrong in (2, 5))
    config = records.network()
    return [
        written(lambda folder, put=put: put(folder / "sweep", config, good, bad, labels=LABELS))
        for put in (records.put_run, records.put_complete_run)
    ]


@cache
def delimited() -> list[Case]:
    """Return CSV, TSV and text files, also compressed and in other encodings."""
    csv, tsv = (table_bytes(f"reviews.{suffix}", COLUMNS) for suffix in ("csv", "tsv"))
    semicolons = "text;label\ngut;1\nschlecht und öde;0\n\n"
    return [
        {"reviews.csv": csv},
        {"reviews.tsv": tsv},
        {"reviews.csv": b"\xef\xbb\xbf" + csv.replace(b"\n", b"\r\n")},
        {"reviews.csv": csv.decode().encode("utf-16")},
        {"reviews.csv": semicolons.encode("cp1252")},
        {"reviews.tsv": b'text\tlabel\n"good\t1\nbad"\t0\n'},
        {"reviews.csv": b"text\ngood\n\nbad\n"},
        {"reviews.csv.gz": gzip.compress(csv, mtime=0)},
        {"reviews.txt": "\n".join(TEXTS).encode()},
    ]


@cache
def json_lines() -> list[Case]:
    """Return files of JSON Lines."""
    content = table_bytes("reviews.jsonl", COLUMNS)
    return [
        {"reviews.jsonl": content},
        {"reviews.jsonl": b'{"text": "good"}\n\n{"text": null, "stars": 5, "note": "keep me"}\n'},
        {"reviews.jsonl": b'{"text": "a \\ud800 b", "n": [1.5, {"x": 1e300}]}\r\n{}\n'},
        {"reviews.jsonl.gz": gzip.compress(content, mtime=0)},
    ]


def parquet(table: pa.Table, **options: object) -> bytes:
    """Return a table as the content of a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


@cache
def parquet_tables() -> list[Case]:
    """Return Parquet files with columns of many types."""
    plain = pa.table({"text": TEXTS, "label": [1, 0, 1, 0]})
    named = b'{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}'
    many = pa.table(
        {
            "text": pa.array(TEXTS, pa.large_string()).dictionary_encode(),
            "label": pa.array([True, False, True, None]),
            "when": pa.array([1, 2, 3, None], pa.timestamp("ns", tz="UTC")),
            "time": pa.array([1, 2, 3, None], pa.time64("ns")),
            "scores": pa.array([[1.5], [], None, [2.0, None]]),
            "inner": pa.array([{"a": 1, "b": b"x"}, None, {"a": None, "b": None}, {}]),
            "price": pa.array([1, 2, None, 3], pa.decimal128(9, 2)),
        }
    )
    return [
        {"reviews.parquet": parquet(plain)},
        {"reviews.parquet": parquet(plain.replace_schema_metadata({b"huggingface": named}))},
        {"reviews.parquet": parquet(plain, compression="none", use_dictionary=False)},
        {"reviews.parquet": parquet(many, compression="zstd", row_group_size=2)},
    ]


@cache
def word_vectors() -> list[Case]:
    """Return files of word vectors: plain, compressed and in an archive."""
    content = vectors.GLOVE.encode()
    return [
        {"vectors.txt": content},
        {"vectors.txt": b"7 2\n" + content},
        {"vectors.txt": gzip.compress(content, mtime=0)},
        {"vectors.txt": vectors.zipped(content)},
    ]
