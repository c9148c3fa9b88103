"""Write the index of the films of IMDB's reviews, which the package ships.

    python -m scripts.maintenance.film_index ../imdb/train.parquet ../imdb/test.parquet

The Parquet files must have the columns `text` and `film`. A film is the number of its title in
IMDB, such as tt0064354, which `urls_neg.txt` and `urls_pos.txt` of the original archive give for
each review. The index has a digest of each text and the number of its film, but no text.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lstm_sentiment.data import films
from lstm_sentiment.errors import InputError

DEFAULT = Path(films.__file__).with_name(films.INDEX)


def films_by_digest(texts: Sequence[str], names: Sequence[str]) -> dict[bytes, int]:
    """Return the number of the film of each text; of several films with one text, the smallest.

    Raises InputError if two texts have the same digest.
    """
    index: dict[bytes, int] = {}
    known: dict[bytes, str] = {}
    for text, name in zip(texts, names, strict=True):
        digest, words = films.index_digest(text), " ".join(text.split())
        if known.setdefault(digest, words) != words:
            raise InputError("two texts have the same digest: raise films.INDEX_BYTES.")
        number = int(name.removeprefix("tt"))
        index[digest] = min(index.get(digest, number), number)
    return index


def write_index(index: dict[bytes, int], file: Path) -> None:
    """Write the index, sorted by film, since the films of sorted rows take little space."""
    rows = sorted(index.items(), key=lambda row: (row[1], row[0]))
    digests = np.frombuffer(b"".join(digest for digest, _ in rows), np.uint8)
    np.savez_compressed(
        file,
        digests=digests.reshape(-1, films.INDEX_BYTES),
        films=np.array([number for _, number in rows], np.uint32),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the index and print its size."""
    parser = argparse.ArgumentParser(description="Write the index of the films of IMDB's reviews.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="IMDB in Parquet")
    parser.add_argument("-o", "--output", type=Path, default=DEFAULT, help="file of the index")
    options = parser.parse_args(arguments)
    table = pa.concat_tables(
        pq.read_table(file, columns=["text", "film"]) for file in options.files
    )
    index = films_by_digest(table["text"].to_pylist(), table["film"].to_pylist())
    write_index(index, options.output)
    size = options.output.stat().st_size // 1024
    print(f"{len(index):,} texts of {len(set(index.values())):,} films, {size} KiB")


if __name__ == "__main__":
    main()
