"""Fuzz readers for a time, restart their processes after crashes, and print a table.

    make fuzz SECONDS=1800 READER=onnx

Without READER, all readers are fuzzed one after the other. Crashes are saved in .fuzz/crashes/,
each with its traceback. `python -m tests.fuzz.replay FOLDER` gives the input to its reader again.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from scripts.markdown import table
from tests.fuzz import cases, worker
from tests.support.project import ROOT

NAMES = (
    "model", "ngrams", "language_model", "onnx", "records",
    "report", "predictions", "delimited", "jsonlines",
    "parquet", "vectors",
)  # fmt: skip
COLUMNS = ("reader", "minutes", "inputs", "inputs per second", "crashes", "peak memory (MiB)")
WORKER = ["-m", "tests.fuzz.worker"]
START = 120  # seconds that the imports and the seeds may take
PAUSE = 10  # seconds between two lines of progress


@dataclass
class Result:
    """The numbers of a reader."""

    name: str
    inputs: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    crashes: set[str] = field(default_factory=set)

    @property
    def row(self) -> tuple[str, ...]:
        """The row of the table."""
        speed = self.inputs / self.seconds if self.seconds else 0
        minutes, crashes = f"{self.seconds / 60:.1f}", str(len(self.crashes))
        return (
            self.name, minutes, f"{self.inputs:,}", f"{speed:,.1f}", crashes,
            f"{self.peak_mib:,.0f}",
        )  # fmt: skip


def main() -> int:
    """Fuzz the chosen readers; return 1 if an input crashed a reader."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=float, default=60, help="for each reader (default: 60)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="of the mutations")
    parser.add_argument("--output", type=Path, default=ROOT / ".fuzz", help="folder of the crashes")
    options = parser.parse_args()
    if unknown := set(options.readers) - set(NAMES):
        parser.error(f"READER must be one of {', '.join(NAMES)} (got {min(unknown)}).")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end the worker, too
    guide = "coverage (atheris)" if find_spec("atheris") else "messages (atheris is not installed)"
    print(f"guided by {guide}, --seed {options.seed}")
    results = [
        fuzz(name, options.seconds, options.seed, options.output)
        for name in options.readers or NAMES
    ]
    print(table(COLUMNS, [result.row for result in results]))
    for result in results:
        for crash in sorted(result.crashes):
            print(f"python -m tests.fuzz.replay {options.output / 'crashes' / result.name / crash}")
    return int(any(result.crashes for result in results))


def fuzz(name: str, seconds: float, seed: int, output: Path) -> Result:
    """Fuzz a reader, with a new process after each crash that ends a process."""
    result = Result(name)
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=cases.PLACE) as temporary:
        folder = Path(temporary)
        kept = output / worker.CORPUS / name
        if kept.exists():
            shutil.copytree(kept, folder / worker.CORPUS)
        while (left := seconds - result.seconds) > 0.5:
            before = result.seconds
            _one_process(folder, result, left, seed, output)
            seed += 1
            if result.seconds == before:
                raise SystemExit(f"{name}: no input was tried.")
        if (folder / worker.CORPUS).exists():
            shutil.copytree(folder / worker.CORPUS, kept, dirs_exist_ok=True)
    return result


def _one_process(folder: Path, result: Result, seconds: float, seed: int, output: Path) -> None:
    """Run a process until it ends, and add its numbers to those of its reader."""
    shutil.rmtree(folder / worker.INPUT, ignore_errors=True)
    for name in (worker.STATISTICS, worker.TRACE):
        (folder / name).write_text("")
    arguments = [str(folder), result.name, str(seconds), str(seed)]
    command = [sys.executable, *WORKER, *arguments]
    with (folder / "output.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    start = time.monotonic()
    try:
        code = None
        while code is None and time.monotonic() - start < START + seconds:
            try:
                code = process.wait(PAUSE)
            except subprocess.TimeoutExpired:
                _show(folder, result)
    finally:
        process.kill()
        process.wait()
    output_of_process = (folder / "output.txt").read_text(errors="replace")
    if code != 0 and (folder / worker.INPUT).exists():
        # Where libFuzzer ends the process, the traceback is among what it prints.
        trace = f"{(folder / worker.TRACE).read_text()}\n{output_of_process[-5_000:]}"
        ending = "hang" if "Timeout" in trace else f"end of the process ({code})"
        saved = worker.save_crash(folder, result.name, f"{ending} in {_place(trace)}", trace)
        if ending == "hang" and _is_answered(saved):
            shutil.rmtree(saved)
            print(f"{result.name}: an input that took too long was answered when given again")
    elif code != 0:
        raise SystemExit(output_of_process)
    numbers = _statistics(folder)
    result.inputs += numbers["inputs"]
    result.seconds += max(numbers["seconds"], 0.0 if code == 0 else time.monotonic() - start)
    result.peak_mib = max(result.peak_mib, numbers["peak_mib"])
    found = folder / "crashes" / result.name
    if found.exists():
        result.crashes |= {each.name for each in found.iterdir()}
        shutil.copytree(found, output / "crashes" / result.name, dirs_exist_ok=True)


def _is_answered(saved: Path) -> bool:
    """Return whether a saved input is answered if it has more time: the machine may be busy."""
    command = [sys.executable, "-m", "tests.fuzz.replay", str(saved)]
    try:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=START)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False
    return True


def _place(trace: str) -> str:
    """Return the innermost function of the project in a traceback of faulthandler."""
    for line in trace.splitlines():
        if "lstm_sentiment/" in line:
            file, _, function = line.strip().partition(", line ")
            return f"{Path(file.split(chr(34))[1]).name}:{function.rpartition(' ')[2]}"
    return "unknown"


def _statistics(folder: Path) -> dict[str, float]:
    file = folder / worker.STATISTICS
    empty = {"inputs": 0, "seconds": 0.0, "peak_mib": 0.0}
    return json.loads(file.read_text() or "{}") or empty


def _show(folder: Path, result: Result) -> None:
    numbers = _statistics(folder)
    found = folder / "crashes" / result.name
    crashes = len(list(found.iterdir())) if found.exists() else 0
    inputs, seconds = result.inputs + numbers["inputs"], result.seconds + numbers["seconds"]
    print(f"{result.name}: {seconds:.0f} s, {inputs:,} inputs, {crashes} crashes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
