"""Readers of untrusted files: mutated, generated and once harmful files are read or refused.

`make fuzz` tries more of them.
"""

import gzip
import json
import re
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.errors import InputError
from tests.fuzz import campaign, cases, mutations, replay, worker
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.trials import try_inputs
from tests.support.bounded import bounded

# The numbers of mutated and of generated inputs; those of slow readers are small. `report` takes
# seconds for each input, and reads the same files as `records` and `predictions`.
INPUTS = {
    "model": (15, 10),
    "ngrams": (30, 10),
    "language_model": (15, 10),
    "onnx": (15, 5),
    "records": (6, 4),
    "predictions": (20, 10),
    "delimited": (40, 20),
    "jsonlines": (40, 20),
    "parquet": (40, 10),
    "vectors": (40, 20),
}


@pytest.mark.parametrize("name", INPUTS)
def test_hostile_files_are_read_or_refused(name: str) -> None:
    # Each input has 10 seconds, but the valid ones, which are first, may compile code.
    count = bounded(try_inputs, name, *INPUTS[name], seconds=60).value
    assert count > sum(INPUTS[name])


def test_every_reader_is_fuzzed() -> None:
    assert tuple(READERS) == campaign.NAMES
    assert READERS.keys() - INPUTS.keys() == {"report"}
    assert {
        folder.name for folder in cases.REGRESSIONS.iterdir() if folder.is_dir()
    } <= READERS.keys()


def fail_if_changed(folder: Path) -> None:
    """A reader with a fault: it fails on a byte beyond ASCII after the first line."""
    first, *others = (folder / "reviews.csv").read_bytes().split(b"\n")
    if not first:
        raise InputError("reviews.csv is empty.")
    if not b"".join(others).isascii():
        raise IndexError("out of range")


FAULTY = Reader(fail_if_changed, lambda: [{"reviews.csv": b"text\ngood\nbad\n"}])


def test_a_fault_is_found_and_its_input_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS, "delimited", FAULTY)
    with pytest.raises(AssertionError, match="IndexError: out of range") as found:
        try_inputs("delimited", 300, 1)
    [folder] = re.findall("'(.*)'", str(found.value))
    try:
        with pytest.raises(IndexError):
            replay.main([folder])
    finally:
        shutil.rmtree(Path(folder).parents[1])


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        ("run.json", [b'{"a": [1, {"b": "x"}], "c": 2.5}']),
        ("reviews.jsonl", [b'{"text": "good", "n": [1]}\n{"text": "bad", "n": []}\n']),
        ("reviews.csv.gz", [gzip.compress(b"text,label\ngood,1\n")]),
    ],
)
def test_most_mutations_keep_the_format(name: str, seeds: list[bytes]) -> None:
    kept, different = 0, set()
    random = Random(0)
    start = [{name: seed} for seed in seeds]
    for _ in range(100):
        content = mutations.mutated(start[0], start, random).get(name, b"")
        different.add(content)
        with suppress(ValueError, OSError, EOFError, zlib.error):
            if name.endswith(".gz"):
                gzip.decompress(content)
            else:
                [json.loads(line) for line in content.splitlines() if line]
            kept += 1
    assert len(different) > 50
    assert 40 < kept < 99


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(["a", "b/c"]), st.binary(max_size=300)), st.binary())
def test_a_case_survives_packing(case: dict[str, bytes], noise: bytes) -> None:
    names = {"a": b"", "b/c": b""}
    assert cases.unpacked(cases.packed(case), names) == case
    assert cases.unpacked(noise, names).keys() <= names.keys()


def test_the_smallest_input_of_a_crash_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "crashes" / "vectors" / "IndexError-in-x" / worker.INPUT
    for content, expected in [(b"long", b"long"), (b"s", b"s"), (b"longer", b"s")]:
        cases.write({"vectors.txt": content}, tmp_path / worker.INPUT)
        worker.save_crash(tmp_path, "vectors", "IndexError in x", "trace")
        assert cases.read(kept) == {"vectors.txt": expected}


# A worker that tries one input and ends as native code may end a process; then one that is well.
DYING = """
import faulthandler, os, pathlib, sys
folder, name, seconds, number = sys.argv[1:]
folder = pathlib.Path(folder)
(folder / "input").mkdir(exist_ok=True)
(folder / "input" / "vectors.txt").write_text(number)
(folder / "statistics.json").write_text('{"inputs": 7, "seconds": 0.4, "peak_mib": 90.5}')
if number == "1":
    faulthandler.enable((folder / "trace.txt").open("w"))
    os.abort()
(folder / "statistics.json").write_text(
    '{"inputs": 5, "seconds": %s, "peak_mib": 80}' % seconds)
"""


def test_a_process_that_crashes_is_replaced_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "WORKER", ["-c", DYING])
    result = campaign.fuzz("vectors", 2, 1, tmp_path)
    assert (result.inputs, result.peak_mib) == (12, 90.5)
    assert result.seconds == pytest.approx(2)
    [crash] = result.crashes
    folder = tmp_path / "crashes" / "vectors" / crash
    assert cases.read(folder / worker.INPUT) == {"vectors.txt": b"1"}
    assert "Aborted" in (folder / worker.TRACE).read_text()


def test_an_input_that_is_answered_with_more_time_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker beside other work may be too slow for an input that takes milliseconds."""
    slow = DYING.replace("os.abort()", 'sys.exit("Timeout (0:00:10)!")')
    monkeypatch.setattr(campaign, "WORKER", ["-c", slow])
    assert campaign.fuzz("vectors", 2, 1, tmp_path).crashes == set()


def test_a_worker_that_cannot_start_ends_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "WORKER", ["-c", "import no_such_module"])
    with pytest.raises(SystemExit, match="no_such_module"):
        campaign.fuzz("vectors", 2, 1, tmp_path)
