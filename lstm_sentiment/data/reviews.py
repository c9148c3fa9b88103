"""Where reviews come from: texts and labels of a split, and the identity of the data."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data import synthetic
from lstm_sentiment.errors import InputError

HUB_NAME = "stanfordnlp/imdb"
HUB_REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
SYNTHETIC_SIZE = {"train": 6_000, "test": 1_500}
SYNTHETIC_SEED = {"train": 1, "test": 2}


class Reviews(NamedTuple):
    texts: Sequence[str]
    labels: np.ndarray  # (N,) int8, 1 is positive


@dataclass(frozen=True)
class Corpus:
    """A labelled collection with the splits "train" and "test", read only when asked for."""

    name: str
    identify: Callable[[str], str]  # split -> what its reviews are, without reading them as text
    read: Callable[[str], Reviews]


def open_corpus(config: DataConfig) -> Corpus:
    """Raises InputError where the reviews cannot be there; reading may still find them damaged."""
    if config.source is Source.synthetic:
        return _synthetic()
    return _hub() if config.path is None else _parquet_folder(Path(config.path).expanduser())


def _synthetic() -> Corpus:
    def read(split: str) -> Reviews:
        return Reviews(*synthetic.generate(SYNTHETIC_SIZE[split], SYNTHETIC_SEED[split]))

    return Corpus(
        "synthetic",
        lambda split: f"synthetic-{synthetic.GRAMMAR}-{SYNTHETIC_SIZE[split]}-{split}",
        read,
    )


def _hub() -> Corpus:
    def read(split: str) -> Reviews:
        import datasets

        try:
            rows = datasets.load_dataset(HUB_NAME, "plain_text", split=split, revision=HUB_REVISION)
        # A ConnectionError is an OSError.
        except (OSError, datasets.exceptions.DatasetsError) as error:
            raise InputError(
                f"{HUB_NAME} cannot be fetched from the Hugging Face hub ({type(error).__name__}): "
                "give data.path=FOLDER with its train.parquet and test.parquet, "
                "or data=synthetic, which needs no network."
            ) from error
        return _checked(rows.data.table, f"{HUB_NAME}, {split}")

    return Corpus(
        f"{HUB_NAME}@{HUB_REVISION[:8]}",
        lambda split: f"{HUB_NAME}@{HUB_REVISION}-{split}",
        read,
    )


def _parquet_folder(folder: Path) -> Corpus:
    with _said_of(folder):
        if not folder.is_dir():
            raise InputError(
                f"data.path={folder} is no folder: "
                "give one that holds train.parquet and test.parquet."
            )

    @cache
    def identify(split: str) -> str:
        digest = hashlib.sha256()
        for file in _parquet_files(folder, split):
            with _said_of(file), file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return f"sha256-{digest.hexdigest()}"

    def read(split: str) -> Reviews:
        files, tables = _parquet_files(folder, split), []
        for file in files:
            with _said_of(file):
                tables.append(pq.read_table(file, columns=["text", "label"]))
        with _said_of(folder):
            table = pa.concat_tables(tables)
        return _checked(table, ", ".join(file.name for file in files))

    return Corpus(f"Parquet folder {folder.resolve().name}", identify, read)


@contextmanager
def _said_of(file: Path) -> Iterator[None]:
    """What cannot be read is said with the file's name."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(
            f"{file} cannot be read as Parquet with the columns text and label: {cause}."
        ) from error


def _parquet_files(folder: Path, split: str) -> list[Path]:
    # The second form is the hub's own: plain_text/train-00000-of-00001.parquet.
    for pattern in (f"{split}.parquet", f"{split}-*.parquet", f"plain_text/{split}-*.parquet"):
        if files := sorted(folder.glob(pattern)):
            _require_all_shards(files)
            return files
    present = ", ".join(sorted(item.name for item in folder.iterdir())[:8]) or "nothing"
    raise InputError(
        f"data.path={folder} has no {split}.parquet (it holds {present}): "
        "give a folder with train.parquet and test.parquet."
    )


def _require_all_shards(files: list[Path]) -> None:
    announced = re.search(r"-of-(\d+)\.parquet$", files[0].name)
    if announced and len(files) != int(announced[1]):
        raise InputError(
            f"{files[0].parent} holds {len(files)} of the {int(announced[1])} files that "
            f"{files[0].name} speaks of: give all of them."
        )


def _checked(table: Any, where: str) -> Reviews:
    texts, labels = table["text"], table["label"]
    if texts.null_count or labels.null_count:
        raise InputError(f"{where}: a text or a label is missing (null): every review needs both.")
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise InputError(f"{where}: column text holds {texts.type}: it must hold strings.")
    if pa.types.is_nested(labels.type):
        raise InputError(f"{where}: column label holds {labels.type}: it must hold 0 and 1.")
    values = labels.to_numpy()
    for value in pc.unique(labels).to_pylist():
        if value not in (0, 1):
            raise InputError(f"{where}: label {value} is not allowed: 0 is negative, 1 positive.")
    if len(np.unique(values)) < 2:
        raise InputError(f"{where}: all {len(values)} labels are alike: both 0 and 1 must occur.")
    try:
        return Reviews(texts.to_pylist(), values.astype(np.int8))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: a text is no UTF-8 ({error}).") from error
