"""One process that gives a reader many inputs, with bounded memory and time for each input.

    python -m tests.fuzz.worker FOLDER READER SECONDS NUMBER

The process ends itself when an input takes too long or too much memory, and a crash of native code
ends it, too. The input is then still in FOLDER/input, and `tests.fuzz.campaign` saves it and starts
the next process.
"""

import faulthandler
import gc
import json
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import cases
from tests.fuzz.cases import Case

MIB = 2**20
MEMORY_MIB, SECONDS = 1_536, 10  # that any untrusted file may cost
ADDRESSES_MIB = 4_096  # more than before, so that the peak is measured
INPUT, TRACE, STATISTICS, CORPUS = "input", "trace.txt", "statistics.json", "corpus"
COMPILED = ["lstm_sentiment.model.kernels"]  # by numba, which cannot compile atheris' additions
TOO_LARGE = "MemoryError: more than {:,} MiB"


class Fuzzer:
    """The loop: an input, the answer of the reader, and the numbers to report."""

    def __init__(self, folder: Path, name: str, seconds: float, number: int) -> None:
        from tests.fuzz import mutations, readers

        self.folder, self.name, self.reader = folder, name, readers.READERS[name]
        self.answer: Callable[[Any, Path], str] = readers.answer
        self.mutated = mutations.mutated
        self.random = Random(f"{name} {number}")
        self.seeds = [*self.reader.seeds(), *cases.regressions(name).values()]
        for seed in self.reader.seeds():  # compiles code, which takes longer than an input may
            cases.write(seed, folder / "seed")
            self.answer(self.reader, folder / "seed")
        self.names: Case = {name: b"" for seed in self.seeds for name in seed}
        self.inputs = 0
        self.started = self.written = time.monotonic()
        self.end = self.started + seconds
        self.trace = (folder / TRACE).open("w")
        faulthandler.enable(self.trace)

    def run(self) -> None:
        """Try inputs until the time is over, guided by coverage if atheris is installed."""
        try:
            import atheris
        except ImportError:
            self._by_messages()
        else:
            self._by_coverage(atheris)

    def _by_messages(self) -> None:
        """Mutate inputs, and keep those with a new answer as the start of further mutations."""
        corpus, seen = list(self.seeds), set[str]()
        while True:
            case = self.mutated(self.random.choice(corpus), self.seeds, self.random)
            message = "".join(each for each in self.try_case(case) if each.isalpha())[:80]
            if message not in seen and len(seen) < 1_000:
                seen.add(message)
                corpus.append(case)

    def _by_coverage(self, atheris: Any) -> None:
        corpus = self.folder / CORPUS
        corpus.mkdir(exist_ok=True)
        for seed in self.seeds:
            (corpus / cases.digest(seed)).write_bytes(cases.packed(seed))

        def one_input(content: bytes) -> None:
            self.try_case(cases.unpacked(content, self.names))

        def mutate(content: bytes, _largest: int, seed: int) -> bytes:
            random = Random(seed)
            case = dict(cases.unpacked(content, self.names)) or random.choice(self.seeds)
            if random.random() < 0.2:  # libFuzzer's own mutations, with values that were compared
                name = random.choice(sorted(case))
                changed = atheris.Mutate(case[name], len(case[name]) + 100)
                return cases.packed({**case, name: changed})
            return cases.packed(self.mutated(case, self.seeds, random))

        options = ["-timeout=0", "-rss_limit_mb=0", "-max_len=10000000", "-len_control=0"]
        options += ["-handle_segv=0", "-handle_bus=0", "-handle_abrt=0", "-handle_fpe=0"]
        options += ["-verbosity=0", f"-seed={self.random.randrange(1, 2**31)}"]
        options += [f"-artifact_prefix={self.folder}/"]  # crashes are saved by `save`
        atheris.Setup([sys.argv[0], *options, str(corpus)], one_input, custom_mutator=mutate)
        atheris.Fuzz()

    def try_case(self, case: Case) -> str:
        """Return the message of the reader's refusal, "" for an answer, or the error's name."""
        if time.monotonic() > self.end:
            self._finish()
        cases.write(case, self.folder / INPUT)
        faulthandler.dump_traceback_later(SECONDS, exit=True, file=self.trace)
        try:
            return self.answer(self.reader, self.folder / INPUT)
        except Exception as error:
            self.save(error)
            return type(error).__name__
        finally:
            faulthandler.cancel_dump_traceback_later()
            self.inputs += 1
            self._check_memory()
            if time.monotonic() > self.written + 1:
                self._write_statistics()

    def save(self, error: BaseException) -> None:
        """Save the input that caused an error."""
        save_crash(self.folder, self.name, signature(error), traceback.format_exc())

    def _check_memory(self) -> None:
        if peak_mib() > MEMORY_MIB:
            text = TOO_LARGE.format(MEMORY_MIB)
            save_crash(self.folder, self.name, text, f"{text}: {peak_mib():,.0f} MiB\n")
            self._finish()

    def _finish(self) -> None:
        self._write_statistics()
        os._exit(0)  # atheris cannot be left otherwise

    def _write_statistics(self) -> None:
        self.written = time.monotonic()
        numbers = {"inputs": self.inputs, "seconds": time.monotonic() - self.started}
        text = json.dumps({**numbers, "peak_mib": peak_mib()})
        (self.folder / STATISTICS).write_text(text)


def signature(error: BaseException) -> str:
    """Return what distinguishes an error from others: its class and the place in the project."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "lstm_sentiment/" in frame.filename] or frames
    place = f"{Path(own[-1].filename).name}:{own[-1].name}" if own else ""
    words = re.findall(r"[a-z_]{2,}", str(error)) if isinstance(error, AssertionError) else []
    return " ".join([type(error).__name__, "in", place, *words[:4]])


def save_crash(folder: Path, reader: str, signature: str, trace: str) -> Path:
    """Save the present input, unless a smaller one with this signature was saved earlier.

    Return the folder that holds the smaller one.
    """
    case = cases.read(folder / INPUT)
    name = "".join(each if each.isalnum() else "-" for each in signature)[:80]
    target = folder / "crashes" / reader / name
    earlier = cases.read(target / INPUT) if target.exists() else None
    if earlier is None or size(case) < size(earlier):
        cases.write(case, target / INPUT)
        (target / TRACE).write_text(trace)
    return target


def size(case: Case) -> int:
    """Return the number of bytes of a case."""
    return sum(map(len, case.values()))


def peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MIB if sys.platform == "darwin" else 1024)


def limit_memory(mib: int = ADDRESSES_MIB) -> None:
    """Allow this process so much more memory than it has; only Linux knows how much it has."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        present = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (present + mib * MIB,) * 2)


def main(arguments: Sequence[str]) -> None:
    """Try inputs until the time is over."""
    folder, name, seconds, number = arguments
    try:
        import atheris

        with atheris.instrument_imports(include=["lstm_sentiment"], exclude=COMPILED):
            from tests.fuzz import readers  # noqa: F401
    except ImportError:
        pass
    import torch

    torch.set_num_threads(1)
    fuzzer = Fuzzer(Path(folder), name, float(seconds), int(number))
    gc.freeze()  # statsmodels collects garbage at every correction of a p-value
    limit_memory()
    fuzzer.run()


if __name__ == "__main__":
    main(sys.argv[1:])
