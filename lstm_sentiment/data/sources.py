"""The sources of reviews: IMDB in all its forms, files, data sets of the Hugging Face hub, and
synthetic reviews.

`open_corpus` returns the `Corpus` that a configuration names. A corpus has parts ("train", "test",
...), and a `Part` reads its reviews from files, from the hub or from the grammar in `synthetic`.
The module `formats` reads files, and `columns` finds the columns of texts and labels.
"""

import glob
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache as memoized
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lstm_sentiment.config import FILM, DataConfig, MissingValues, Source
from lstm_sentiment.data import synthetic
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.columns import NO_CLASS, Columns, Options, Review
from lstm_sentiment.data.delimited import USUAL_FORMAT, TextFormat
from lstm_sentiment.data.films import (
    addresses_file,
    films_of_archive,
    with_films,
    with_known_films,
)
from lstm_sentiment.data.formats import (
    column_names,
    count_rows,
    read_arrow,
    read_folders,
    read_tables,
    table_suffix,
    text_files,
)
from lstm_sentiment.data.hub_datasets import cache_if_unreachable, require_hub_name
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import content_digest
from lstm_sentiment.labels import BINARY

TRAIN, VAL, TEST, UNSUPERVISED = "train", "val", "test", "unsupervised"
ALL = "all"  # a part with training and test reviews

# Part of the versions: raise it if the same table gives other reviews than before.
READING = 2

HUB_NAME = "stanfordnlp/imdb"
HUB_REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
HUB_DATA = re.compile(
    r"(?P<name>\w[\w.-]*(/\w[\w.-]*)?)(:(?P<subset>[\w.-]+))?(@(?P<revision>[\w./-]+))?"
)
FILE_NAME = re.compile(r"[^:]*\.[a-z]{1,5}")  # names of files; others may be data sets of the hub
TEST_FRACTION = 0.2  # if data.test_fraction is null
SYNTHETIC_SIZE = {TRAIN: 6_000, TEST: 1_500}
SYNTHETIC_SEED = {TRAIN: 1, TEST: 2}
KAGGLE_NAMES = ("IMDB Dataset.csv", "IMDB Dataset.csv.gz", "IMDB_Dataset.csv", "imdb.csv")
IMDB_FORMS = (
    "give a folder with train.parquet and test.parquet, aclImdb with its train/pos and train/neg, "
    f"or {KAGGLE_NAMES[0]}"
)
# Other labels than the usual ones are errors in IMDB, and no further classes.
IMDB_COLUMNS = Columns(options=Options(classes="the classes of IMDB"), classes=BINARY.names)
NAMES_SHOWN = 8  # files of a folder in a message

Shards = tuple[Path, ...]  # the files of one table


@dataclass(frozen=True)
class Part:
    """Some reviews of a corpus that have not been read yet."""

    name: str
    version: Callable[[], str]  # changes if the reviews may have changed; fast
    read: Callable[[], Iterator[Review]]
    count: Callable[[], int | None] = lambda: None  # the number of reviews, if known
    notes: list[str] = field(default_factory=list)  # sentences about the reviews, set by reading


Parts = dict[str, Callable[[], Part]]


@dataclass(frozen=True)
class Corpus:
    """A collection of labelled reviews in parts: "train", "test", perhaps "val", "unsupervised".

    If there is no part "val", the validation set is drawn from the training reviews. A corpus
    without a test set has the part "all" in place of "train", of which `test_fraction`, or a fold,
    is drawn as the test set. Calling a part raises InputError if its files are missing; reading it
    raises InputError if they are damaged.
    """

    name: str
    parts: Mapping[str, Callable[[], Part]]
    test_fraction: float | None = None
    cache: str | None = None  # folder of the tokenized reviews, if it is not data.cache

    def for_folds(self) -> "Corpus":
        """Return the corpus without its test set: its other reviews are the part "all"."""
        labelled = self.parts[ALL if ALL in self.parts else TRAIN]
        unlabelled = {name: self.parts[name] for name in {UNSUPERVISED} & self.parts.keys()}
        return replace(self, parts={ALL: labelled, **unlabelled}, test_fraction=None)


def open_corpus(config: DataConfig, cache: DataCache) -> Corpus:
    """Return the corpus that a configuration names. Raises InputError if it does not exist."""
    if config.source is Source.synthetic:
        return _synthetic_corpus(config.class_count or len(BINARY))
    if config.source is Source.reviews:
        return _reviews(config, cache)
    films = config.group_column is not None
    return _imdb_of_hub(cache, films) if config.path is None else _imdb(config.path, films)


# The synthetic corpus


def _synthetic_corpus(classes: int) -> Corpus:
    names = BINARY.names if classes == 2 else tuple(str(k + 1) for k in range(classes))
    suffix = "" if classes == 2 else f"-{classes}"

    def part(split: str) -> Part:
        size = SYNTHETIC_SIZE[split]

        def read() -> Iterator[Review]:
            for each in synthetic.generate_reviews(size, SYNTHETIC_SEED[split], classes=classes):
                yield Review(each.text, names[each.label], construct=each.construct)

        version = f"synthetic-{synthetic.GRAMMAR}-{size}-{split}{suffix}"
        return Part(split, lambda: version, read, lambda: size)

    return Corpus("synthetic", {split: partial(part, split) for split in SYNTHETIC_SIZE})


# IMDB


def _imdb(path_text: str, films: bool) -> Corpus:
    """Return IMDB from a folder, or from Kaggle's CSV file of all reviews.

    Reviews have their films as groups. `films` says whether the files must name them.
    """
    with _checked_path("data.path", path_text) as path:
        name = path.resolve().name
        if path.is_file():
            if table_suffix(path) != ".csv":
                raise InputError(
                    f"data.path={path_text} is not a CSV file of all of IMDB: {IMDB_FORMS}."
                )
            return _undivided(path, films)
        if not path.is_dir():
            state = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise InputError(f"data.path={path_text} {state}: {IMDB_FORMS}.")
        for archive in (path, path / "aclImdb"):
            if (archive / "train" / "pos").is_dir():
                return Corpus(f"aclImdb folder {name}", _archive_parts(archive, films))
        if any(_parquet_shards(path, split) for split in (TRAIN, TEST)):
            return Corpus(f"Parquet folder {name}", _parquet_parts(path, films))
        for file in KAGGLE_NAMES:
            if (path / file).is_file():
                return _undivided(path / file, films)
        raise InputError(
            f"data.path={path_text} has none of the forms of IMDB (it contains {_content(path)}): "
            f"{IMDB_FORMS}. For other reviews, use data=reviews."
        )


def _parquet_parts(folder: Path, films: bool) -> Parts:
    def part(split: str) -> Part:
        shards = _parquet_shards(folder, split)
        if not shards:
            raise InputError(
                f"data.path={folder} has no {split}.parquet (it contains {_content(folder)}): "
                "give a folder with train.parquet and test.parquet."
            )
        _require_all_shards(shards)
        labelled = split != UNSUPERVISED
        named = labelled and _names_films(shards[0])
        columns = replace(IMDB_COLUMNS, group=FILM if named else None)
        part = _tables(shards, columns, USUAL_FORMAT, labelled)
        return _by_film(part, films) if labelled and not named else part

    splits = [TRAIN, TEST]
    if _parquet_shards(folder, UNSUPERVISED):
        splits.append(UNSUPERVISED)
    return {split: partial(part, split) for split in splits}


def _names_films(shard: Path) -> bool:
    try:
        return FILM in column_names(shard)
    except InputError:
        return False  # the error is reported when the file is read


def _parquet_shards(folder: Path, split: str) -> Shards:
    # The last form is the layout of the hub: plain_text/train-00000-of-00001.parquet.
    for pattern in (f"{split}.parquet", f"{split}-*.parquet", f"plain_text/{split}-*.parquet"):
        if files := tuple(sorted(folder.glob(pattern))):
            return files
    return ()


def _require_all_shards(files: Shards) -> None:
    announced = re.search(r"-of-(\d+)\.parquet$", files[0].name)
    if announced and len(files) != int(announced[1]):
        raise InputError(
            f"{files[0].parent} has {len(files)} of the {int(announced[1])} files that the name "
            f"{files[0].name} announces: give all of them."
        )


def _archive_parts(archive: Path, films: bool) -> Parts:
    """Return the parts of the original archive, whose files are train/pos/0_9.txt and so on."""

    def part(split: str, *folders: tuple[Path, str | None]) -> Part:
        by_folder = [text_files(folder) for folder, _ in folders]
        for (folder, _), files in zip(folders, by_folder, strict=True):
            if not files:
                raise InputError(f"{folder} contains no .txt files: give all of aclImdb.")
        files_of_part = tuple(chain.from_iterable(by_folder))
        labelled = split != f"{TRAIN}/unsup"
        named = films and labelled
        addresses = tuple(addresses_file(folder) for folder, _ in folders if named)
        part = Part(
            f"{archive / split}",
            lambda: _version(
                f"tree {[len(files) for files in by_folder]}", files_of_part + addresses
            ),
            lambda: read_folders(folders, films_of_archive) if named else read_folders(folders),
            lambda: len(files_of_part),
        )
        return _by_film(part, films) if labelled and not named else part

    negative, positive = BINARY.names
    parts: Parts = {
        split: partial(
            part, split, (archive / split / "neg", negative), (archive / split / "pos", positive)
        )
        for split in (TRAIN, TEST)
    }
    if text_files(unlabelled := archive / "train" / "unsup"):
        parts[UNSUPERVISED] = partial(part, f"{TRAIN}/unsup", (unlabelled, None))
    return parts


def _by_film(part: Part, films: bool) -> Part:
    """Return the part with the films of its reviews, which do not name them, as groups.

    `films` says whether films are asked for: then unknown ones are noted or refused.
    """
    if not films:
        return replace(part, read=lambda: with_known_films(part.read()))
    return replace(
        part,
        version=lambda: f"{FILM} {part.version()}",
        read=lambda: with_films(part.read(), part.notes.append),
    )


# Files


def columns_of(config: DataConfig) -> Columns:
    """Return the columns that a configuration names."""
    return Columns(
        config.text_column,
        config.label_column,
        config.positive_label,
        skip_missing=config.missing is MissingValues.skip,
        classes=config.class_names,
        group=config.group_column,
    )


def text_format_of(config: DataConfig) -> TextFormat:
    """Return the format of delimited text files that a configuration names."""
    return TextFormat(config.delimiter, config.encoding, config.quoting)


def _reviews(config: DataConfig, cache: DataCache) -> Corpus:
    assert config.path is not None
    columns, text_format = columns_of(config), text_format_of(config)
    held_out: Parts = {}
    for split, path in ((VAL, config.val_path), (TEST, config.test_path)):
        if path is not None:
            field = f"data.{split}_path"
            files = _files(field, path)
            if not files:
                raise _not_a_file(field, path)
            held_out[split] = partial(_tables, files, columns, text_format)
    files = _files("data.path", config.path)
    if not files:
        return _reviews_of_hub(config, columns, held_out, cache)
    for field, value in (("val", config.val_split), ("test", config.test_split)):
        if value is not None:
            raise InputError(
                f"data.{field}_split={value} is allowed only with a data set of the hub: give "
                f"data.{field}_path=FILE."
            )
    reviews = partial(_tables, files, columns, text_format)
    if TEST in held_out:
        return Corpus(_name(files), {TRAIN: reviews, **held_out})
    return Corpus(_name(files), {ALL: reviews, **held_out}, _test_fraction(config))


def _test_fraction(config: DataConfig) -> float:
    return TEST_FRACTION if config.test_fraction is None else config.test_fraction


def _undivided(file: Path, films: bool) -> Corpus:
    """Return IMDB from a file of all reviews, of which half are drawn as the test set."""

    def part() -> Part:
        reviews = _tables((file,), IMDB_COLUMNS, USUAL_FORMAT)
        return _by_film(reviews, films)

    return Corpus(file.name, {ALL: part}, test_fraction=0.5)


def _tables(
    files: Shards, columns: Columns, text_format: TextFormat, labelled: bool = True
) -> Part:
    suffixes, notes = [file.suffixes[-2:] for file in files], list[str]()
    return Part(
        f"{files[0].parent / _name(files)}",
        lambda: _version(f"{READING} {_key(columns)} {text_format} {labelled} {suffixes}", files),
        lambda: read_tables(files, columns, labelled, text_format, notes.append),
        lambda: count_rows(files),
        notes,
    )


def _key(columns: Columns) -> str:
    """Return the part of a version that stands for the columns."""
    return f"{columns}" if columns.group is None else f"{columns} groups {columns.group}"


def _name(files: Shards) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"


def _version(reading: str, files: Shards) -> str:
    """Return a string that identifies the content of the files and the way of reading them.

    Raises InputError if a file cannot be read.
    """
    try:
        return f"{reading} {content_digest(*files)}"
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}).") from error


def _files(field: str, path_text: str) -> Shards:
    """Return the files of a path or a glob; none if `path_text` may be a data set of the hub."""
    with _checked_path(field, path_text) as path:
        if path.is_file():
            return (path,)
        if path.is_dir():
            raise InputError(
                f"{field}={path_text} is a folder (it contains {_content(path)}): "
                "give a file in it, or a glob such as 'folder/*.csv'."
            )
        if glob.has_magic(path_text):
            matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - supports ".."
            files = tuple(map(Path, matches))
            if not files:
                raise InputError(f"{field}={path_text} matches no file: give another glob.")
            for file in files:
                if not file.is_file():
                    raise InputError(
                        f"{field}={path_text} matches {file}, which is not a file: "
                        "give a glob that matches files only."
                    )
            return files
        names_file = table_suffix(path) is not None or FILE_NAME.fullmatch(path_text)
        if names_file or not HUB_DATA.fullmatch(path_text):
            raise _not_a_file(field, path_text)
        return ()


def _not_a_file(field: str, path_text: str) -> InputError:
    exists = Path(path_text).expanduser().exists()
    state = "is not a regular file" if exists else "does not exist"
    return InputError(f"{field}={path_text} {state}: give an existing file or a glob.")


@contextmanager
def _checked_path(field: str, path_text: str) -> Iterator[Path]:
    """Provide the path; turn errors of the file system into InputError with the field."""
    try:
        if "\0" in path_text:
            raise ValueError("embedded null byte")
        yield Path(path_text).expanduser()
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no such home folder
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise InputError(f"{field}={path_text!r} cannot be read ({reason}).") from error


def _content(folder: Path) -> str:
    names = sorted(item.name for item in folder.iterdir())
    shown = ", ".join(names[:NAMES_SHOWN]) or "nothing"
    return shown + (", ..." if len(names) > NAMES_SHOWN else "")


# The hub


def _imdb_of_hub(cache: DataCache, films: bool) -> Corpus:
    def part(split: str) -> Part:
        @memoized
        def table() -> Any:
            advice = "give data.path=FOLDER with IMDB's files"
            return _from_hub(cache, advice, HUB_NAME, "plain_text", HUB_REVISION, split).data.table

        name = f"{HUB_NAME}, {split}"
        reviews = Part(
            name,
            lambda: f"{HUB_NAME}@{HUB_REVISION}-{split}",
            lambda: read_arrow(name, table(), IMDB_COLUMNS, labelled=split != UNSUPERVISED),
        )
        return reviews if split == UNSUPERVISED else _by_film(reviews, films)

    splits = (TRAIN, TEST, UNSUPERVISED)
    return Corpus(f"{HUB_NAME}@{HUB_REVISION[:8]}", {s: partial(part, s) for s in splits})


def _reviews_of_hub(
    config: DataConfig, columns: Columns, held_out: Parts, cache: DataCache
) -> Corpus:
    """Return the corpus of a data set: NAME or NAME:SUBSET, either followed by @REVISION.

    `held_out` are the parts that are files.
    """
    data_set = config.path or ""
    match = HUB_DATA.fullmatch(data_set)
    assert match
    advice = f"data.path={data_set} is also not a file: give an existing file or data set"
    splits = _from_hub(cache, advice, match["name"], match["subset"], match["revision"])
    names = ", ".join(splits)
    if TRAIN not in splits:
        raise InputError(f"{data_set} has no split train (splits: {names}): give another data set.")

    def part(split: str, labelled: bool = True) -> Part:
        rows, name, notes = splits[split], f"{data_set}, {split}", list[str]()
        if split == hub_splits.get(TEST) and _all_hidden(rows.data.table, columns):
            raise InputError(_advice_on_hidden_labels(name, [*splits], hub_splits))
        return Part(
            name,
            # The fingerprint distinguishes the versions of a data set.
            lambda: f"{READING} {data_set} {rows._fingerprint} {_key(columns)} {labelled}",
            lambda: read_arrow(name, rows.data.table, columns, labelled, notes.append),
            lambda: len(rows),
            notes,
        )

    hub_splits = {TRAIN: TRAIN}
    for role, chosen in ((VAL, config.val_split), (TEST, config.test_split)):
        if chosen is not None and chosen not in splits:
            raise InputError(
                f"data.{role}_split={chosen} is not a split of {data_set} (splits: {names})."
            )
        if chosen is not None:
            hub_splits[role] = chosen
    if TEST in splits and TEST not in held_out:
        hub_splits.setdefault(TEST, TEST)
    if len(set(hub_splits.values())) < len(hub_splits):
        raise InputError(
            f"{data_set}: training, validation and test set must be different splits (got "
            f"{', '.join(hub_splits.values())})."
        )
    parts = held_out | {role: partial(part, split) for role, split in hub_splits.items()}
    if UNSUPERVISED in splits:
        parts[UNSUPERVISED] = partial(part, UNSUPERVISED, labelled=False)
    if TEST not in parts:
        return Corpus(data_set, {ALL: parts.pop(TRAIN), **parts}, _test_fraction(config))
    if config.test_fraction is not None:
        raise InputError(
            f"data.test_fraction={config.test_fraction} is allowed only without a test set, but "
            f"{data_set} has the split {TEST}: leave out the field."
        )
    return Corpus(data_set, parts)


def _all_hidden(table: Any, columns: Columns) -> bool:
    """Return whether all labels are -1, as in the test sets of competitions such as GLUE."""
    try:
        labels = table[columns.find_label(table.column_names)]
    except InputError:
        return False  # reported when the table is read
    return bool(labels.unique().to_pylist() == [NO_CLASS])


def _advice_on_hidden_labels(name: str, splits: list[str], used: Mapping[str, str]) -> str:
    advice = "test=false trains without a test set"
    if others := [split for split in splits if split not in (*used.values(), UNSUPERVISED)]:
        advice = f"give data.test_split={others[0]}, or test=false, which trains without a test set"
    return f"{name}: the labels are hidden (all of them are {NO_CLASS}): {advice}."


def _from_hub(
    cache: DataCache,
    advice: str,
    name: str,
    subset: str | None,
    revision: str | None,
    split: str | None = None,
) -> Any:
    """Return a data set or one of its splits. Raises InputError with `advice`."""

    def load() -> Any:
        import datasets

        require_hub_name(name)
        with cache_if_unreachable() as reachable:
            try:
                return datasets.load_dataset(name, subset, split=split, revision=revision)
            except Exception as error:
                reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                if not reachable:
                    reason = f"{datasets.config.HF_ENDPOINT} cannot be reached"
                raise InputError(
                    f"{name} cannot be fetched from the Hugging Face hub ({reason.rstrip('.')}): "
                    f"{advice}, or data=synthetic, which needs no network."
                ) from error

    return cache.unless_refused((name, subset, revision, split), load)
