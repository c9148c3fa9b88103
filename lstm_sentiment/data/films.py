"""The films of IMDB's reviews, by the number of their title, such as "tt0064354".

The original archive names the film of each review in `urls_neg.txt` and `urls_pos.txt`. The data
set of the hub and Kaggle's file do not name it. For these, `imdb_films.npz` beside this module has
the digest of each labelled text and the number of its film; it contains no texts.
`scripts/maintenance/film_index.py` writes it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from lstm_sentiment.data.columns import Review
from lstm_sentiment.data.digests import text_digest
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.limits import LINE_BYTES
from lstm_sentiment.files.reading import errors_named, read_bytes

INDEX = "imdb_films.npz"
# 50,000 texts have different digests of this size, and another text has one of them with a
# probability of 2e-10.
INDEX_BYTES = 6
TITLE = re.compile(r"/title/tt0*(\d{1,9})\b")
NUMBERED = re.compile(r"(\d{1,9})_")  # the beginning of a file's name in the archive


def film_name(number: int) -> str:
    """Return IMDB's name of a title from its number."""
    return f"tt{number:07d}"


def index_digest(text: str) -> bytes:
    """Return the digest of a text in the index; the number and kind of blanks have no meaning."""
    return text_digest(" ".join(text.split()))[:INDEX_BYTES]


@cache
def film_index() -> dict[bytes, str]:
    """Return the names of films by the digests of their reviews' texts."""
    with files("lstm_sentiment.data").joinpath(INDEX).open("rb") as stream:
        index = np.load(stream)
        digests, films = index["digests"], index["films"]  # (N, 6) uint8, (N,) uint32
    keys = digests.view(f"V{INDEX_BYTES}")[:, 0].tolist()
    return dict(zip(keys, map(film_name, films.tolist()), strict=True))


def with_films(reviews: Iterable[Review], note: Callable[[str], object]) -> Iterator[Review]:
    """Yield the reviews with their films as groups, by the index.

    `note` receives a sentence on reviews that are not in the index, which have no group. Raises
    InputError at the end if no review is in it.
    """
    index, number, unknown = film_index(), 0, 0
    for review in reviews:
        film = index.get(index_digest(review.text))
        number, unknown = number + 1, unknown + (film is None)
        yield review._replace(group=film)
    if number and unknown == number:
        raise InputError(
            "data.group_column=film: the reviews do not name their films, and none of them is a "
            "labelled review of IMDB: give IMDB's files, or leave out the field."
        )
    if unknown:
        note(f"{unknown:,} of {number:,} reviews are of an unknown film: each is its own group.")


def with_known_films(reviews: Iterable[Review]) -> Iterator[Review]:
    """Yield the reviews with their films as groups, by the index; others have no group."""
    index = film_index()
    return (review._replace(group=index.get(index_digest(review.text))) for review in reviews)


def addresses_file(folder: Path) -> Path:
    """Return the file of the archive that names the films of the reviews in a folder.

    Raises InputError if it does not exist.
    """
    file = folder.parent / f"urls_{folder.name}.txt"
    if not file.is_file():
        raise InputError(
            f"{file} does not exist: data.group_column=film needs this file of aclImdb, which "
            "names the film of each review."
        )
    return file


def films_of_archive(folder: Path) -> Callable[[Path], str]:
    """Return a function that gives the film of a file in a folder of the archive.

    Line i of `urls_pos.txt`, counted from 0, belongs to the file of the folder `pos` whose name
    begins with i. The function raises InputError if there is no such line, or no title in it.
    """
    addresses = addresses_file(folder)
    with errors_named(addresses):
        lines = read_bytes(addresses, LINE_BYTES, follow_links=True).decode("latin-1").splitlines()

    def film_of(file: Path) -> str:
        numbered = NUMBERED.match(file.name)
        row = int(numbered[1]) if numbered else len(lines)
        if row >= len(lines):
            raise InputError(
                f"{addresses.name} has no line for this file ({len(lines):,} lines): the file's "
                "name must begin with the number of its line, counted from 0."
            )
        title = TITLE.search(lines[row])
        if title is None:
            raise InputError(
                f"line {row + 1} of {addresses.name} is not the address of a title at IMDB (got "
                f"{lines[row]!r:.80})."
            )
        return film_name(int(title[1]))

    return film_of
