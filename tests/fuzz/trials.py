"""The inputs of a reader in every test run, which are always the same."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import cases, mutations, worker
from tests.fuzz.cases import Case
from tests.fuzz.readers import READERS, answer

# Values of JSON, as text.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
).map(json.dumps)
CONTENTS = st.binary() | (st.text() | JSON).map(lambda text: text.encode(errors="surrogatepass"))


def known_inputs(name: str) -> Iterator[tuple[str, Case]]:
    """Yield the valid files of a reader, and those that it has failed on."""
    reader = READERS[name]
    for number, seed in enumerate(reader.seeds()):
        yield f"seed {number}", seed
    yield from cases.regressions(name).items()
    yield from reader.attacks().items()


def try_inputs(name: str, mutants: int, examples: int) -> int:
    """Give known, mutated and generated inputs to a reader, and return their number.

    Raises AssertionError with the folder of an input that the reader fails on.
    """
    reader, count = READERS[name], 0
    seeds = reader.seeds()
    with tempfile.TemporaryDirectory(dir=cases.PLACE) as temporary:
        folder = Path(temporary, worker.INPUT)

        def try_case(case: Case, title: str) -> None:
            nonlocal count
            count += 1
            cases.write(case, folder)
            started = time.monotonic()
            try:
                answer(reader, folder)
                seconds = time.monotonic() - started
                assert seconds < worker.SECONDS or case in seeds, f"{seconds:.1f} seconds"
            except Exception as error:
                kept = Path(tempfile.mkdtemp(prefix="crash-"), name, worker.signature(error))
                cases.write(case, kept)
                problem = f"{title}: {type(error).__name__}: {error}"
                command = f"python -m tests.fuzz.replay '{kept}'"
                raise AssertionError(f"{problem}\n{command}") from error

        for title, case in known_inputs(name):
            try_case(case, title)
        random = Random(name)
        for number in range(mutants):
            mutant = mutations.mutated(random.choice(seeds), seeds, random)
            try_case(mutant, f"mutant {number}")

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(seeds), st.data())
        def try_example(seed: Case, data: st.DataObject) -> None:
            file = data.draw(st.sampled_from(sorted(seed)))
            try_case({**seed, file: data.draw(CONTENTS)}, f"generated {file}")

        try_example()
    return count
