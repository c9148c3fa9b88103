"""Where reviews come from: IMDB in every form, files of one's own, the hub, a grammar."""

import glob
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data import synthetic
from lstm_sentiment.data.cache import refused_once
from lstm_sentiment.data.formats import (
    NEGATIVE,
    POSITIVE,
    UNLABELLED,
    Columns,
    Review,
    count_rows,
    read_arrow,
    read_folders,
    read_tables,
    table_suffix,
    text_files,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.files import content_digest

HUB_NAME = "stanfordnlp/imdb"
HUB_REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
HUB_DATA = re.compile(
    r"(?P<name>\w[\w.-]*(/\w[\w.-]*)?)(:(?P<subset>[\w.-]+))?(@(?P<revision>[\w./-]+))?"
)
FILE_NAME = re.compile(r"[^:]*\.[a-z]{1,5}")  # rather than a name of the hub
SYNTHETIC_SIZE = {"train": 6_000, "test": 1_500}
SYNTHETIC_SEED = {"train": 1, "test": 2}
KAGGLE_NAMES = ("IMDB Dataset.csv", "IMDB Dataset.csv.gz", "IMDB_Dataset.csv", "imdb.csv")
IMDB_FORMS = (
    "give a folder with train.parquet and test.parquet, aclImdb with its train/pos and train/neg, "
    f"or {KAGGLE_NAMES[0]}"
)

Shards = tuple[Path, ...]


@dataclass(frozen=True)
class Part:
    """Reviews as they lie somewhere."""

    name: str
    stamp: Callable[[], str]  # changes whenever the reviews may have; cheap
    read: Callable[[], Iterator[Review]]
    count: Callable[[], int | None] = lambda: None  # how many there are, where that is known


@dataclass(frozen=True)
class Corpus:
    """A labelled collection: its parts "train" and "test", perhaps "unsupervised", without labels.

    Or the part "all", from which the share `held_out` is to be drawn for testing. To ask for a part
    raises InputError where its files are not there; reading it may still find them damaged.
    """

    name: str
    parts: Mapping[str, Callable[[], Part]]
    held_out: float | None = None


def open_corpus(config: DataConfig) -> Corpus:
    """Raises InputError where the reviews cannot be there."""
    if config.source is Source.synthetic:
        return Corpus("synthetic", {split: partial(_synthetic, split) for split in SYNTHETIC_SIZE})
    if config.source is Source.reviews:
        return _reviews(config)
    return _imdb_of_the_hub() if config.path is None else _imdb(config.path)


def _synthetic(split: str) -> Part:
    size = SYNTHETIC_SIZE[split]

    def read() -> Iterator[Review]:
        texts, labels = synthetic.generate(size, SYNTHETIC_SEED[split])
        return map(Review, texts, labels.tolist())

    return Part(split, lambda: f"synthetic-{synthetic.GRAMMAR}-{size}-{split}", read, lambda: size)


def _imdb(typed: str) -> Corpus:
    """IMDB from a folder, or from a file that holds all of it, as Kaggle's."""
    with _looked_up("data.path", typed) as path:
        name = path.resolve().name
        if path.is_file():
            if table_suffix(path) != ".csv":
                raise InputError(f"data.path={typed} is not IMDB's only file: {IMDB_FORMS}.")
            return _in_one((path,), Columns(), held_out=0.5)
        if not path.is_dir():
            raise InputError(f"data.path={typed} is no file or folder: {IMDB_FORMS}.")
        for tree in (path, path / "aclImdb"):
            if (tree / "train" / "pos").is_dir():
                return Corpus(f"aclImdb folder {name}", _tree(tree))
        if any(_parquet_shards(path, split) for split in ("train", "test")):
            return Corpus(f"Parquet folder {name}", _parquet_folder(path))
        for file in KAGGLE_NAMES:
            if (path / file).is_file():
                return _in_one((path / file,), Columns(), held_out=0.5)
        raise InputError(
            f"data.path={typed} has none of the forms of IMDB (it holds {_content(path)}): "
            f"{IMDB_FORMS}; reviews of your own go with data=reviews."
        )


@contextmanager
def _looked_up(field: str, typed: str) -> Iterator[Path]:
    """The path that is meant; what the system has against it is said in a sentence."""
    try:
        if "\0" in typed:
            raise ValueError("embedded null byte")
        yield Path(typed).expanduser()
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # the latter: no such home, a NUL in it
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise InputError(f"{field}={typed!r} cannot be read ({reason}).") from error


def _content(folder: Path, most: int = 8) -> str:
    names = sorted(item.name for item in folder.iterdir())
    return (", ".join(names[:most]) + (", ..." if len(names) > most else "")) or "nothing"


def _parquet_folder(folder: Path) -> dict[str, Callable[[], Part]]:
    def part(split: str) -> Part:
        shards = _parquet_shards(folder, split)
        if not shards:
            raise InputError(
                f"data.path={folder} has no {split}.parquet (it holds {_content(folder)}): "
                "give a folder with train.parquet and test.parquet."
            )
        _require_all_shards(shards)
        return _tables(shards, Columns(), labelled=split != "unsupervised")

    splits = ["train", "test"]
    if _parquet_shards(folder, "unsupervised"):
        splits.append("unsupervised")
    return {split: partial(part, split) for split in splits}


def _parquet_shards(folder: Path, split: str) -> Shards:
    # The last form is the hub's own: plain_text/train-00000-of-00001.parquet.
    for pattern in (f"{split}.parquet", f"{split}-*.parquet", f"plain_text/{split}-*.parquet"):
        if files := tuple(sorted(folder.glob(pattern))):
            return files
    return ()


def _require_all_shards(files: Shards) -> None:
    announced = re.search(r"-of-(\d+)\.parquet$", files[0].name)
    if announced and len(files) != int(announced[1]):
        raise InputError(
            f"{files[0].parent} holds {len(files)} of the {int(announced[1])} files that "
            f"{files[0].name} speaks of: give all of them."
        )


def _tree(tree: Path) -> dict[str, Callable[[], Part]]:
    """The original archive: train/pos/0_9.txt and so on; train/unsup has no labels."""

    def part(split: str, *folders: tuple[Path, int]) -> Part:
        by_folder = [text_files(folder) for folder, _ in folders]
        for (folder, _), found in zip(folders, by_folder, strict=True):
            if not found:
                raise InputError(f"{folder} holds no .txt files: give the whole of aclImdb.")
        files = tuple(chain.from_iterable(by_folder))
        return Part(
            f"{tree / split}",
            lambda: _stamp(f"tree {[len(found) for found in by_folder]}", files),
            lambda: read_folders(folders),
            lambda: len(files),
        )

    parts: dict[str, Callable[[], Part]] = {
        split: partial(
            part, split, (tree / split / "neg", NEGATIVE), (tree / split / "pos", POSITIVE)
        )
        for split in ("train", "test")
    }
    if text_files(unlabelled := tree / "train" / "unsup"):
        parts["unsupervised"] = partial(part, "train/unsup", (unlabelled, UNLABELLED))
    return parts


def _reviews(config: DataConfig) -> Corpus:
    assert config.path is not None
    columns = Columns(config.text_column, config.label_column, config.positive_label)
    tested: dict[str, Callable[[], Part]] = {}
    if config.test_path is not None:
        test_files = _files("data.test_path", config.test_path)
        if not test_files:
            raise InputError(
                f"data.test_path={config.test_path} is no file: give one that is there."
            )
        tested["test"] = partial(_tables, test_files, columns)
    files, held_out = _files("data.path", config.path), config.test_fraction or 0.0
    if not files:
        return _reviews_of_the_hub(config.path, columns, tested, held_out)
    if not tested:
        return _in_one(files, columns, held_out)
    return Corpus(_name(files), {"train": partial(_tables, files, columns), **tested})


def _in_one(files: Shards, columns: Columns, held_out: float) -> Corpus:
    return Corpus(_name(files), {"all": partial(_tables, files, columns)}, held_out)


def _name(files: Shards) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"


def _files(field: str, typed: str) -> Shards:
    """The files that a path or a glob stands for; none where it may be a name of the hub."""
    with _looked_up(field, typed) as path:
        if path.is_file():
            return (path,)
        if path.is_dir():
            raise InputError(
                f"{field}={typed} is a folder (it holds {_content(path)}): "
                "give a file in it, or a glob such as 'folder/*.csv'."
            )
        if glob.has_magic(typed):
            found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path's knows no ".."
            if not found:
                raise InputError(f"{field}={typed} fits no file: give a glob that does.")
            for file in map(Path, found):
                if not file.is_file():
                    raise InputError(f"{field}={typed} fits {file}, which is no file.")
            return tuple(map(Path, found))
        named_so = table_suffix(path) is not None or FILE_NAME.fullmatch(typed)
        if named_so or not HUB_DATA.fullmatch(typed):
            raise InputError(f"{field}={typed} is no file: give one that is there.")
        return ()


def _tables(files: Shards, columns: Columns, labelled: bool = True) -> Part:
    return Part(
        f"{files[0].parent / _name(files)}",
        lambda: _stamp(f"{columns} {labelled} {[file.suffixes[-2:] for file in files]}", files),
        lambda: read_tables(files, columns, labelled),
        lambda: count_rows(files),
    )


def _stamp(how: str, files: Shards) -> str:
    """What comes of reading these files in this way depends on it; raises InputError."""
    try:
        return f"{how} {content_digest(*files)}"
    except OSError as error:
        raise InputError(f"{error.filename}: it cannot be read ({error.strerror}).") from error


def _imdb_of_the_hub() -> Corpus:
    def part(split: str) -> Part:
        @cache
        def table() -> Any:
            instead = "give data.path=FOLDER with IMDB's files"
            found = _from_hub(instead, HUB_NAME, "plain_text", HUB_REVISION, split)
            return found.data.table

        name = f"{HUB_NAME}, {split}"
        return Part(
            name,
            lambda: f"{HUB_NAME}@{HUB_REVISION}-{split}",
            lambda: read_arrow(name, table(), labelled=split != "unsupervised"),
        )

    splits = ("train", "test", "unsupervised")
    return Corpus(f"{HUB_NAME}@{HUB_REVISION[:8]}", {s: partial(part, s) for s in splits})


def _reviews_of_the_hub(
    typed: str, columns: Columns, tested: Mapping[str, Callable[[], Part]], held_out: float
) -> Corpus:
    """`typed` is NAME, NAME:SUBSET, or either with @REVISION behind it."""
    match = HUB_DATA.fullmatch(typed)
    assert match
    instead = f"data.path={typed} is no file here: give one, or a data set that can be fetched"
    splits = _from_hub(instead, match["name"], match["subset"], match["revision"])
    if "train" not in splits:
        raise InputError(f"{typed} has no split train, only {', '.join(splits)}.")

    def part(split: str) -> Part:
        rows, name = splits[split], f"{typed}, {split}"
        return Part(
            name,
            # Its fingerprint tells one version from another.
            lambda: f"{typed} {rows._fingerprint} {columns}",
            lambda: read_arrow(name, rows.data.table, columns, split != "unsupervised"),
            lambda: len(rows),
        )

    if "test" not in splits and not tested:
        return Corpus(typed, {"all": partial(part, "train")}, held_out)
    known = [split for split in ("train", "test", "unsupervised") if split in splits]
    return Corpus(typed, {**{split: partial(part, split) for split in known}, **tested})


def _from_hub(
    instead: str, name: str, subset: str | None, revision: str | None, split: str | None = None
) -> Any:
    def load() -> Any:
        import datasets

        try:
            return datasets.load_dataset(name, subset, split=split, revision=revision)
        # A ConnectionError is an OSError; an unknown subset or split is a ValueError, and a data
        # set that is a program a RuntimeError.
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            reason = (str(error).splitlines() or [""])[0].rstrip(".")
            raise InputError(
                f"{name} cannot be fetched from the Hugging Face hub "
                f"({type(error).__name__}: {reason}): "
                f"{instead}, or data=synthetic, which needs no network."
            ) from error

    return refused_once((name, subset, revision, split), load)
