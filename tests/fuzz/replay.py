"""Give a saved input to its reader again: python -m tests.fuzz.replay FOLDER...

A folder is .fuzz/crashes/READER/NAME, or tests/fuzz/regressions/READER/NAME.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import cases, worker
from tests.fuzz.readers import READERS, answer


def main(folders: list[str]) -> None:
    """Print the answer of each input's reader, or end with the error."""
    for folder in map(Path, folders):
        files = folder / worker.INPUT if (folder / worker.INPUT).is_dir() else folder
        with tempfile.TemporaryDirectory(dir=cases.PLACE) as temporary:
            place = Path(temporary, worker.INPUT)  # a reader may write beside its input
            cases.write(cases.read(files), place)
            started = time.monotonic()
            message = answer(READERS[folder.resolve().parent.name], place)
            seconds, peak = time.monotonic() - started, worker.peak_mib()
            print(f"{folder}: {message or 'read'} ({seconds:.2f} s, peak {peak:,.0f} MiB)")


if __name__ == "__main__":
    worker.limit_memory()
    main(sys.argv[1:])
